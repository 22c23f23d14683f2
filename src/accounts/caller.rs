//! Who makes a request: the session of a cookie, the person behind an access token, or a guest.
//!
//! With both, the bearer decides, never silently the cookie.

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE};

use crate::app::App;
use crate::oauth::OAuthError;
use crate::oauth::access_token::{self, ReadClaims, VerifiedAccessToken};
use crate::profile::Profile;
use crate::secret::Secret;
use crate::store::accounts::Account;
use crate::store::sessions::Session;
use crate::store::{self, accounts, refresh_tokens, sessions};

/// The cookie of a session (contract 3.2).
pub const SESSION_COOKIE: &str = "storyden-session";

/// Who makes a request.
#[derive(Debug)]
pub enum Caller {
    /// Nobody we know.
    Guest,
    /// A person with a browser session.
    Session(Session),
    /// A client with an access token of a person.
    AccessToken(Account),
    /// A credential that is good for nothing: a bearer that is malformed, expired or revoked.
    Refused,
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
            Bearer::Token(token) => {
                let verified = verify_access_token(app, &token).await?;
                return Ok(
                    verified.map_or(Self::Refused, |(_, account)| Self::AccessToken(account))
                );
            }
        }
        Ok(session_of(app, headers)
            .await?
            .map_or(Self::Guest, Self::Session))
    }
}

/// The live session of a request's cookie.
async fn session_of(app: &App, headers: &HeaderMap) -> Result<Option<Session>, store::Error> {
    match cookie(headers, SESSION_COOKIE) {
        Some(cookie) => sessions::find(&app.db, &cookie.hash(), app.clock.now()).await,
        None => Ok(None),
    }
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

/// The value of a cookie.
#[must_use]
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<Secret> {
    let values = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut pairs = values
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| Secret::new(value.trim()))
}

/// Checks an access token (RFC 9068 §4) and who is behind it; `None` when it is malformed, expired,
/// revoked with its grant, or its account is suspended or gone.
///
/// # Errors
/// When the database does not answer.
pub async fn verify_access_token(
    app: &App,
    token: &Secret,
) -> Result<Option<(VerifiedAccessToken, Account)>, store::Error> {
    let Some(keys) = &app.keys else {
        return Ok(None);
    };
    let profile = app.config.profile;
    let claims: Option<ReadClaims> = if profile.access_tokens_are_plain_jwts() {
        keys.verify_any(token.reveal())
    } else {
        keys.verify(access_token::TYPE, token.reveal())
    };
    let (issuer, now) = (app.config.issuer(), app.clock.now());
    let Some(token) = claims.and_then(|claims| claims.verify(profile, &issuer, now)) else {
        return Ok(None);
    };
    if let Some(grant) = &token.grant
        && refresh_tokens::is_grant_revoked(&app.db, grant).await?
    {
        return Ok(None);
    }
    let account = accounts::find(&app.db, &token.account).await?;
    Ok(account
        .filter(|account| !account.suspended)
        .map(|account| (token, account)))
}

/// Refuses somebody who may not authorize applications (contract 3.5).
///
/// # Errors
/// `access_denied` with the contract's text.
pub fn require_may_authorize(account: &Account) -> Result<(), OAuthError> {
    use crate::oauth::permission::Permission;
    if account.permissions.permits(Permission::UseOauthClients) {
        return Ok(());
    }
    Err(OAuthError::access_denied(
        "Account is not permitted to authorise OAuth clients",
    ))
}
