//! Authentication of a request: by session cookie, access token or access key.
//!
//! If a request has both a cookie and a bearer credential, the bearer decides; in the profile
//! `storyden` a valid cookie decides.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::accounts::access_keys;
use crate::clock::Timestamp;
use crate::compat::BearerScheme;
use crate::context::Context;
use crate::http::session_cookie;
use crate::ids::AccessKeyId;
use crate::keys::Verified;
use crate::oauth::OAuthError;
use crate::oauth::access_token::{
    self, AccessTokenFormat, ForWhom, ReadClaims, VerifiedAccessToken,
};
use crate::oauth::permission::{Permission, PermissionSet};
use crate::oauth::sign_in_method::SignInMethod;
use crate::secret::Secret;
use crate::store::access_keys::AccessKey;
use crate::store::accounts::{Account, TokenAccount};
use crate::store::sessions::Session;
use crate::store::{self, accounts, sessions};

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
    /// A valid bearer credential, but the account lost the permission required for its kind:
    /// `USE_PERSONAL_ACCESS_KEYS` or `USE_OAUTH_CLIENTS`.
    NotPermitted(Permission),
    /// An invalid bearer credential: malformed, unknown, expired or revoked.
    Refused,
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
    pub async fn of(context: &Context, headers: &HeaderMap) -> Result<Self, store::Error> {
        if context.config.policies.callers.cookie_first
            && let Some(session) = session_of(context, headers).await?
        {
            return Ok(Self::Session(session));
        }
        match bearer(context.config.policies.callers.bearer_scheme, headers) {
            Bearer::None => {}
            Bearer::Ambiguous => return Ok(Self::Refused),
            Bearer::Token(token) => return Self::from_bearer(context, &token).await,
        }
        Ok(session_of(context, headers)
            .await?
            .map_or(Self::Guest, Self::Session))
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
            Self::AccessToken(..) | Self::BotKey(_) | Self::NotPermitted(_) => Err(WrongCredential),
            Self::Guest | Self::Refused => Ok(None),
        }
    }

    /// Authenticates a bearer credential: an access token or an access key.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn from_bearer(context: &Context, token: &Secret) -> Result<Self, store::Error> {
        if access_keys::has_access_key_format(token) {
            let key = access_keys::verify(context, token).await?;
            return Ok(match key {
                Some(key) if key.identifier.starts_with(access_keys::BOT) => Self::BotKey(key),
                Some(key) if key.account.may_use_access_keys() => Self::PersonalKey(key),
                Some(_) => Self::NotPermitted(Permission::UsePersonalAccessKeys),
                None => Self::Refused,
            });
        }
        Ok(
            match find_access_token(context, token, ForWhom::Us).await? {
                Some((token, TokenAccount { account, .. })) if account.may_use_clients() => {
                    let permissions = account.permissions.limited_to(token.scope.permissions());
                    Self::AccessToken(account, permissions)
                }
                Some(_) => Self::NotPermitted(Permission::UseOauthClients),
                None => Self::Refused,
            },
        )
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
    sessions::find(&context.db, &tokens, context.clock.now()).await
}

/// The content of the `Authorization` header.
pub enum Bearer {
    /// No header, or a scheme other than Bearer.
    None,
    /// A bearer token (RFC 6750 §2.1).
    Token(Secret),
    /// Several `Authorization` headers (RFC 6750 §2).
    Ambiguous,
}

/// Reads the bearer token of a request.
#[must_use]
pub fn bearer(scheme: BearerScheme, headers: &HeaderMap) -> Bearer {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Bearer::Ambiguous;
    }
    let Some((name, token)) = first.and_then(|value| value.to_str().ok()?.split_once(' ')) else {
        return Bearer::None;
    };
    match scheme {
        BearerScheme::AnyCase if name.eq_ignore_ascii_case("bearer") => {
            Bearer::Token(Secret::new(token.trim()))
        }
        BearerScheme::Exact if name == "Bearer" && !token.starts_with(' ') => {
            Bearer::Token(Secret::new(token))
        }
        _ => Bearer::None,
    }
}

/// Verifies an access token (RFC 9068 §4) and loads the account. `None` if the token is malformed,
/// expired or revoked, the grant is revoked, the client is deleted, or the account is suspended,
/// deleted or without `USE_OAUTH_CLIENTS`.
///
/// # Errors
/// If the database is unavailable.
pub async fn verify_access_token(
    context: &Context,
    token: &Secret,
    whom: ForWhom,
) -> Result<Option<(VerifiedAccessToken, TokenAccount)>, store::Error> {
    let found = find_access_token(context, token, whom).await?;
    Ok(found.filter(|(_, found)| found.account.may_use_clients()))
}

/// [`verify_access_token`] without the check of `USE_OAUTH_CLIENTS`.
async fn find_access_token(
    context: &Context,
    token: &Secret,
    whom: ForWhom,
) -> Result<Option<(VerifiedAccessToken, TokenAccount)>, store::Error> {
    let Some(token) = read_access_token(context, token, whom).await? else {
        return Ok(None);
    };
    let origin = accounts::TokenOrigin {
        account: &token.account,
        grant: token.grant.as_ref(),
        jti: token.jti.as_deref(),
        client_id: token.client_id.as_deref(),
        kid: token.kid.as_deref(),
    };
    let found = accounts::find_by_token(&context.db, origin, context.clock.now()).await?;
    Ok(found
        .filter(|found| !found.account.suspended)
        .map(|found| (token, found)))
}

/// Verifies the signature and the claims of an access token (RFC 9068 §4). Does not check revocation or
/// the account.
///
/// # Errors
/// If the database is unavailable and the keys in memory may be out of date.
pub async fn read_access_token(
    context: &Context,
    token: &Secret,
    whom: ForWhom,
) -> Result<Option<VerifiedAccessToken>, store::Error> {
    let Some(keys) = &context.keys else {
        return Ok(None);
    };
    let format = context.config.policies.tokens.access_token_format;
    let verified: Option<Verified<ReadClaims>> = match format {
        AccessTokenFormat::Rfc9068 => keys.verify(access_token::TYPE, token.reveal()).await?,
        AccessTokenFormat::PlainJwt => keys.verify_any(token.reveal()).await?,
    };
    let Some(Verified { claims, kid }) = verified else {
        return Ok(None);
    };
    let token = claims.verify(format, &context.config.issuer(), whom, context.clock.now());
    Ok(token.map(|token| token.signed_by(kid)))
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
