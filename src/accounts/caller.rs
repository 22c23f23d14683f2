//! Who makes a request: the session of a cookie, the person behind an access token or an access
//! key, or a guest.
//!
//! With both, the bearer decides, never silently the cookie.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::accounts::{access_keys, session_cookie};
use crate::app::App;
use crate::clock::Timestamp;
use crate::ids::AccessKeyId;
use crate::oauth::OAuthError;
use crate::oauth::access_token::{self, ForWhom, ReadClaims, VerifiedAccessToken};
use crate::oauth::permission::{Permission, PermissionSet};
use crate::profile::Profile;
use crate::secret::Secret;
use crate::store::access_keys::AccessKey;
use crate::store::accounts::Account;
use crate::store::sessions::Session;
use crate::store::{self, accounts, sessions};

/// Who makes a request.
#[derive(Debug)]
pub enum Caller {
    /// Nobody we know.
    Guest,
    /// A person with a browser session.
    Session(Session),
    /// A client with an access token of a person, and what the token permits of what they hold.
    AccessToken(Account, PermissionSet),
    /// A program with a person's own access key.
    PersonalKey(AccessKey),
    /// A program with a bot's access key.
    BotKey(AccessKey),
    /// A good bearer whose account lost the permission that this kind of bearer needs at each use:
    /// `USE_PERSONAL_ACCESS_KEYS` or `USE_OAUTH_CLIENTS`.
    NotPermitted(Permission),
    /// A credential that is good for nothing: a bearer that is malformed, expired or revoked.
    Refused,
}

/// The account that decides about a code flow, and how the request proves that account.
#[derive(Debug)]
pub struct Decider {
    /// The account, with the permissions that it holds now.
    pub account: Account,
    /// The credential.
    pub proof: Proof,
}

/// The credential of a [`Decider`].
#[derive(Debug)]
pub enum Proof {
    /// A browser session that began with a sign-in at this time.
    Session(Timestamp),
    /// A personal access key, which proves no sign-in.
    AccessKey(AccessKeyId),
}

impl Decider {
    /// The time of the sign-in; `None` with an access key.
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        match self.proof {
            Proof::Session(signed_in_at) => Some(signed_in_at),
            Proof::AccessKey(_) => None,
        }
    }

    /// The access key, if the request came with one.
    #[must_use]
    pub fn access_key(&self) -> Option<&AccessKeyId> {
        match &self.proof {
            Proof::Session(_) => None,
            Proof::AccessKey(key) => Some(key),
        }
    }
}

impl Caller {
    /// Finds out who makes a request.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn of(app: &App, headers: &HeaderMap) -> Result<Self, store::Error> {
        if app.config.profile.cookie_comes_before_bearer()
            && let Some(session) = session_of(app, headers).await?
        {
            return Ok(Self::Session(session));
        }
        match bearer(app.config.profile, headers) {
            Bearer::None => {}
            Bearer::Ambiguous => return Ok(Self::Refused),
            Bearer::Token(token) => return Self::of_bearer(app, &token).await,
        }
        Ok(session_of(app, headers)
            .await?
            .map_or(Self::Guest, Self::Session))
    }

    /// The account that authorizes by code, with a session or with its own access key (contract 3.5).
    /// `None` without a credential.
    ///
    /// # Errors
    /// [`WrongCredential`] for a client's token, a bot's key, and a key that its account may not use.
    pub fn into_decider(self) -> Result<Option<Decider>, WrongCredential> {
        match self {
            Self::Session(session) => Ok(Some(Decider {
                account: session.account,
                proof: Proof::Session(session.created_at),
            })),
            Self::PersonalKey(key) => Ok(Some(Decider {
                account: key.account,
                proof: Proof::AccessKey(key.id),
            })),
            Self::AccessToken(..) | Self::BotKey(_) | Self::NotPermitted(_) => Err(WrongCredential),
            Self::Guest | Self::Refused => Ok(None),
        }
    }

    /// Finds out whose bearer credential it is: an access token or an access key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn of_bearer(app: &App, token: &Secret) -> Result<Self, store::Error> {
        if access_keys::looks_like_one(token) {
            let key = access_keys::verify(app, token).await?;
            return Ok(match key {
                Some(key) if key.identifier.starts_with(access_keys::BOT) => Self::BotKey(key),
                Some(key) if key.account.may_use_access_keys() => Self::PersonalKey(key),
                Some(_) => Self::NotPermitted(Permission::UsePersonalAccessKeys),
                None => Self::Refused,
            });
        }
        Ok(match find_access_token(app, token, ForWhom::Us).await? {
            Some((token, account)) if account.may_use_clients() => {
                let permissions = account.permissions.limited_to(token.scope.permissions());
                Self::AccessToken(account, permissions)
            }
            Some(_) => Self::NotPermitted(Permission::UseOauthClients),
            None => Self::Refused,
        })
    }
}

/// A credential that is good, and not for this.
#[derive(Clone, Copy, Debug)]
pub struct WrongCredential;

/// Finds the live session of a request: that of the first cookie that is valid.
///
/// # Errors
/// When the database does not answer.
pub async fn session_of(app: &App, headers: &HeaderMap) -> Result<Option<Session>, store::Error> {
    let tokens = session_cookie::tokens(&app.config, headers);
    sessions::find(&app.db, &tokens, app.clock.now()).await
}

/// What the `Authorization` header holds.
pub enum Bearer {
    /// Nothing, or another scheme.
    None,
    /// One bearer token (RFC 6750 §2.1).
    Token(Secret),
    /// More than one header (RFC 6750 §2).
    Ambiguous,
}

/// Reads the bearer token of a request; the scheme has no case (RFC 9110 §11.1).
#[must_use]
pub fn bearer(profile: Profile, headers: &HeaderMap) -> Bearer {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Bearer::Ambiguous;
    }
    let Some((scheme, token)) = first.and_then(|value| value.to_str().ok()?.split_once(' ')) else {
        return Bearer::None;
    };
    if profile.bearer_is_read_to_the_letter() {
        let is_bearer = scheme == "Bearer" && !token.starts_with(' ');
        return if is_bearer {
            Bearer::Token(Secret::new(token))
        } else {
            Bearer::None
        };
    }
    if scheme.eq_ignore_ascii_case("bearer") {
        Bearer::Token(Secret::new(token.trim()))
    } else {
        Bearer::None
    }
}

/// Checks an access token (RFC 9068 §4) and loads its account. `None` for a token that is malformed,
/// expired or revoked, alone or with its grant, or whose client was deleted, and for an account that is
/// suspended, gone or may not use applications any more.
///
/// # Errors
/// When the database does not answer.
pub async fn verify_access_token(
    app: &App,
    token: &Secret,
    whom: ForWhom,
) -> Result<Option<(VerifiedAccessToken, Account)>, store::Error> {
    let found = find_access_token(app, token, whom).await?;
    Ok(found.filter(|(_, account)| account.may_use_clients()))
}

/// [`verify_access_token`] without the question of the account's permission.
async fn find_access_token(
    app: &App,
    token: &Secret,
    whom: ForWhom,
) -> Result<Option<(VerifiedAccessToken, Account)>, store::Error> {
    let Some(token) = read_access_token(app, token, whom) else {
        return Ok(None);
    };
    let origin = accounts::TokenOrigin {
        account: &token.account,
        grant: token.grant.as_ref(),
        jti: token.jti.as_deref(),
        client_id: token.client_id.as_deref(),
    };
    let account = accounts::find_by_token(&app.db, origin, app.clock.now()).await?;
    Ok(account
        .filter(|account| !account.suspended)
        .map(|account| (token, account)))
}

/// Reads an access token that this server signed and that has not expired (RFC 9068 §4). Whether it
/// was revoked, and who is behind it, is not looked at.
#[must_use]
pub fn read_access_token(app: &App, token: &Secret, whom: ForWhom) -> Option<VerifiedAccessToken> {
    let keys = app.keys.as_ref()?;
    let profile = app.config.profile;
    let claims: Option<ReadClaims> = if profile.access_tokens_are_plain_jwts() {
        keys.verify_any(token.reveal())
    } else {
        keys.verify(access_token::TYPE, token.reveal())
    };
    claims?.verify(profile, &app.config.issuer(), whom, app.clock.now())
}

/// Refuses somebody who may not authorize applications (contract 3.5).
///
/// # Errors
/// `access_denied` with the contract's text.
pub fn require_may_authorize(account: &Account) -> Result<(), OAuthError> {
    if account.may_use_clients() {
        return Ok(());
    }
    Err(OAuthError::access_denied(
        "Account is not permitted to authorise OAuth clients",
    ))
}
