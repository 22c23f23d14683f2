//! Authentication of a request: by session cookie, access token or access key.
//!
//! If a request has both a cookie and a credential in the header `Authorization`, the header decides; in
//! the profile `storyden` a valid cookie decides. An access token that is bound to a key (DPoP) counts only in
//! the scheme `DPoP`, with a proof of the key (RFC 9449 §7).

use axum::http::HeaderMap;
use time::Duration;

use super::authorization::{
    Authorization, Credential, TokenError, accept_access_token, authorization, invalid_token,
};
use crate::accounts::access_keys;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::http::dpop::RequestHead;
use crate::http::session_cookie;
use crate::ids::AccessKeyId;
use crate::oauth::OAuthError;
use crate::oauth::permission::{Permission, PermissionSet};
use crate::oauth::sign_in_method::SignInMethod;
use crate::store::access_keys::AccessKey;
use crate::store::accounts::Account;
use crate::store::sessions::Session;
use crate::store::{self, sessions};

/// Time between two records of the use of a session.
const RECORD_EVERY: Duration = Duration::minutes(15);

/// The authenticated caller of a request.
#[derive(Debug)]
pub enum Caller {
    /// No credential.
    Guest,
    /// A browser session.
    Session(Session),
    /// A client with an access token: the account, and the account's permissions within the token's
    /// scope.
    AccessToken(Account, PermissionSet),
    /// A personal access key.
    PersonalKey(AccessKey),
    /// A bot's access key.
    BotKey(AccessKey),
    /// A client with a valid access token that is bound to a key, whose proof was not checked. Never
    /// authenticates.
    Unproven,
    /// A valid bearer credential, but the account lost the permission required for its kind:
    /// `USE_PERSONAL_ACCESS_KEYS` or `USE_OAUTH_CLIENTS`.
    NotPermitted(Permission),
    /// An invalid credential: malformed, unknown, expired, revoked, or without a valid proof of its key. The
    /// error is `invalid_token`, `invalid_dpop_proof` or `use_dpop_nonce`.
    Refused(Box<OAuthError>),
}

/// The account that decides on an authorization request, and the proof of authentication.
#[derive(Debug)]
pub struct ResourceOwner {
    /// The account, with current permissions.
    pub account: Account,
    /// The credential.
    pub proof: Proof,
}

/// The credential of a [`ResourceOwner`].
#[derive(Debug)]
pub enum Proof {
    /// A browser session.
    Session {
        /// Time of the sign-in.
        signed_in_at: Timestamp,
        /// The way of the sign-in, if known.
        method: Option<SignInMethod>,
    },
    /// A personal access key. Proves no sign-in.
    AccessKey(AccessKeyId),
}

impl ResourceOwner {
    /// The time of the sign-in; `None` for an access key.
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        match self.proof {
            Proof::Session { signed_in_at, .. } => Some(signed_in_at),
            Proof::AccessKey(_) => None,
        }
    }

    /// The way of the sign-in; `None` if unknown, and for an access key.
    #[must_use]
    pub fn sign_in_method(&self) -> Option<SignInMethod> {
        match self.proof {
            Proof::Session { method, .. } => method,
            Proof::AccessKey(_) => None,
        }
    }

    /// The access key of the request, if any.
    #[must_use]
    pub fn access_key(&self) -> Option<&AccessKeyId> {
        match &self.proof {
            Proof::Session { .. } => None,
            Proof::AccessKey(key) => Some(key),
        }
    }
}

impl Caller {
    /// Authenticates a request.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn of(context: &Context, head: RequestHead<'_>) -> Result<Self, store::Error> {
        Self::find(context, head.headers, Some(head)).await
    }

    /// Authenticates a request to which no access token gives access, without the check of a proof: a bound
    /// access token is [`Caller::Unproven`].
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn without_proof(
        context: &Context,
        headers: &HeaderMap,
    ) -> Result<Self, store::Error> {
        Self::find(context, headers, None).await
    }

    async fn find(
        context: &Context,
        headers: &HeaderMap,
        head: Option<RequestHead<'_>>,
    ) -> Result<Self, store::Error> {
        let policies = context.config.policies;
        if policies.callers.cookie_first
            && let Some(session) = session_of(context, headers).await?
        {
            return Ok(Self::Session(session));
        }
        match authorization(policies, headers) {
            Authorization::None => {}
            Authorization::Ambiguous => return Ok(Self::refused(invalid_token())),
            Authorization::Bearer(token) => {
                return Self::by_credential(context, Credential::Bearer(&token)).await;
            }
            Authorization::Dpop(token) => {
                let credential = Credential::Dpop(&token, head);
                return Self::by_credential(context, credential).await;
            }
        }
        Ok(session_of(context, headers)
            .await?
            .map_or(Self::Guest, Self::Session))
    }

    fn refused(error: OAuthError) -> Self {
        Self::Refused(Box::new(error))
    }

    /// Converts the caller into the account that decides on an authorization request: by session or
    /// personal access key (storyden-contract.md#callers-of-each-operation). `None` without a valid
    /// credential.
    ///
    /// # Errors
    /// [`WrongCredential`] for access tokens, bot keys, and accounts without the required permission.
    pub fn into_resource_owner(self) -> Result<Option<ResourceOwner>, WrongCredential> {
        match self {
            Self::Session(session) => Ok(Some(ResourceOwner {
                proof: Proof::Session {
                    signed_in_at: session.created_at,
                    method: session.method,
                },
                account: session.account,
            })),
            Self::PersonalKey(key) => Ok(Some(ResourceOwner {
                account: key.account,
                proof: Proof::AccessKey(key.id),
            })),
            Self::AccessToken(..) | Self::Unproven | Self::BotKey(_) | Self::NotPermitted(_) => {
                Err(WrongCredential)
            }
            Self::Guest | Self::Refused(_) => Ok(None),
        }
    }

    /// Authenticates the credential of the header `Authorization`: an access token or an access key. An
    /// access key is a bearer credential.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn by_credential(
        context: &Context,
        credential: Credential<'_>,
    ) -> Result<Self, store::Error> {
        if let Credential::Bearer(key) = credential
            && access_keys::has_access_key_format(key)
        {
            let key = access_keys::verify(context, key).await?;
            return Ok(match key {
                Some(key) if key.identifier.starts_with(access_keys::BOT) => Self::BotKey(key),
                Some(key) if key.account.may_use_access_keys() => Self::PersonalKey(key),
                Some(_) => Self::NotPermitted(Permission::UsePersonalAccessKeys),
                None => Self::refused(invalid_token()),
            });
        }
        let (token, account) = match accept_access_token(context, credential).await {
            Ok((token, found)) => (token, found.account),
            Err(TokenError::Refused(error)) => return Ok(Self::Refused(error)),
            Err(TokenError::Store(error)) => return Err(error),
        };
        if !account.may_use_clients() {
            return Ok(Self::NotPermitted(Permission::UseOauthClients));
        }
        if matches!(credential, Credential::Dpop(_, None)) {
            return Ok(Self::Unproven);
        }
        let permissions = account.permissions.limited_to(token.scope.permissions());
        Ok(Self::AccessToken(account, permissions))
    }
}

/// A valid credential of a kind that the operation does not accept.
#[derive(Clone, Copy, Debug)]
pub struct WrongCredential;

/// Finds the session of the first valid session cookie of a request.
///
/// # Errors
/// If the database is unavailable.
pub async fn session_of(
    context: &Context,
    headers: &HeaderMap,
) -> Result<Option<Session>, store::Error> {
    let tokens = session_cookie::tokens(&context.config, headers);
    let now = context.clock.now();
    let session = sessions::find(&context.db, &tokens, now).await?;
    if let Some(session) = &session {
        record_use(context, session, now);
    }
    Ok(session)
}

/// Records the use of a session, at most every [`RECORD_EVERY`]. A request does not wait for the write, and does not
/// fail with it. A session without a recorded sign-in, such as Storyden's, has no such record.
fn record_use(context: &Context, session: &Session, now: Timestamp) {
    let Some(last) = session.last_used_at else {
        return;
    };
    if now < last + RECORD_EVERY {
        return;
    }
    let (db, id) = (context.db.clone(), session.id.clone());
    tokio::spawn(async move {
        if let Err(error) = sessions::record_use(&db, &id, now).await {
            tracing::debug!(%error, "the use of a session was not recorded");
        }
    });
}

/// Rejects an account without `USE_OAUTH_CLIENTS` (storyden-contract.md#callers-of-each-operation).
///
/// # Errors
/// `access_denied`, with Storyden's text.
pub fn require_may_authorize(account: &Account) -> Result<(), OAuthError> {
    if account.may_use_clients() {
        return Ok(());
    }
    Err(OAuthError::access_denied(
        "Account is not permitted to authorise OAuth clients",
    ))
}
