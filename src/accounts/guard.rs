//! Who may call an operation of the JSON API (contract 3.5).
//!
//! Extractors that stand before the body: who lacks the right hears that and nothing else.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};

use super::caller::Caller;
use crate::app::{App, Shared};
use crate::error::ApiError;
use crate::ids::AccessKeyId;
use crate::oauth::permission::{Permission, PermissionSet};
use crate::store::accounts::Account;
use crate::store::sessions::Session;

/// A person with a browser session, whose account is not suspended. Access keys and access tokens
/// are refused: an application must not change what it was given.
#[derive(Debug)]
pub struct Person(pub Session);

impl Person {
    /// Refuses somebody who does not hold a permission.
    ///
    /// # Errors
    /// 403 as a problem.
    pub fn require(&self, permission: Permission) -> Result<(), ApiError> {
        require_permission(self.0.account.permissions, permission)
    }
}

impl FromRequestParts<Shared> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, ApiError> {
        match Caller::of(app, &parts.headers).await? {
            Caller::Session(session) => {
                require_own_origin(app, &parts.method, &parts.headers)?;
                require_not_suspended(&session.account)?;
                Ok(Self(session))
            }
            Caller::AccessToken(..)
            | Caller::PersonalKey(_)
            | Caller::BotKey(_)
            | Caller::NotPermitted(_) => Err(ApiError::forbidden(
                "This credential cannot be used here; sign in with a browser",
            )),
            Caller::Guest | Caller::Refused => Err(ApiError::unauthenticated()),
        }
    }
}

/// Somebody who manages access keys: a person with a browser session, or a program with a key, who holds
/// `USE_PERSONAL_ACCESS_KEYS` (contract 3.6).
#[derive(Debug)]
pub struct KeyHolder {
    /// Who it is.
    pub account: Account,
    /// The key that asks, if it is one.
    pub by_key: Option<AccessKeyId>,
}

impl FromRequestParts<Shared> for KeyHolder {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, ApiError> {
        let (account, by_key) = match Caller::of(app, &parts.headers).await? {
            Caller::Session(session) => {
                require_own_origin(app, &parts.method, &parts.headers)?;
                (session.account, None)
            }
            Caller::PersonalKey(key) | Caller::BotKey(key) => (key.account, Some(key.id)),
            Caller::NotPermitted(permission) => return Err(not_permitted(permission)),
            Caller::AccessToken(..) => {
                let detail = "An access token cannot be used here; sign in, or use an access key";
                return Err(ApiError::forbidden(detail));
            }
            Caller::Guest | Caller::Refused => return Err(ApiError::unauthenticated()),
        };
        require_not_suspended(&account)?;
        require_permission(account.permissions, Permission::UsePersonalAccessKeys)?;
        Ok(Self { account, by_key })
    }
}

/// Somebody, by any credential, with what that permits now.
#[derive(Debug)]
pub struct Actor {
    /// Who it is.
    pub account: Account,
    /// What the credential permits of what they hold.
    pub permissions: PermissionSet,
}

impl Actor {
    /// Finds out who calls, and refuses somebody who does not hold a permission.
    ///
    /// # Errors
    /// 401 when nobody is there, 403 when the permission is lacking or the account suspended; in
    /// `standards` with a challenge, since a bearer token may be used here (RFC 6750 §3, RFC 9728
    /// §5.1).
    async fn with(
        app: &App,
        (method, headers): (&Method, &HeaderMap),
        permission: Permission,
    ) -> Result<Self, ApiError> {
        let (account, permissions) = match Caller::of(app, headers).await? {
            Caller::Session(session) => {
                require_own_origin(app, method, headers)?;
                let permissions = session.account.permissions;
                (session.account, permissions)
            }
            Caller::AccessToken(account, permissions) => (account, permissions),
            Caller::PersonalKey(key) | Caller::BotKey(key) => {
                let permissions = key.account.permissions;
                (key.account, permissions)
            }
            Caller::NotPermitted(permission) => {
                let problem = not_permitted(permission);
                return Err(problem.challenged(app, Some("insufficient_scope")));
            }
            Caller::Guest => return Err(ApiError::unauthenticated().challenged(app, None)),
            Caller::Refused => {
                let problem = ApiError::unauthenticated();
                return Err(problem.challenged(app, Some("invalid_token")));
            }
        };
        require_not_suspended(&account)?;
        require_permission(permissions, permission)
            .map_err(|problem| problem.challenged(app, Some("insufficient_scope")))?;
        Ok(Self {
            account,
            permissions,
        })
    }
}

/// Somebody who holds ADMINISTRATOR, by any credential.
#[derive(Debug)]
pub struct Administrator(pub Actor);

impl FromRequestParts<Shared> for Administrator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, ApiError> {
        let request = (&parts.method, &parts.headers);
        let actor = Actor::with(app, request, Permission::Administrator).await?;
        Ok(Self(actor))
    }
}

/// Somebody who holds `MANAGE_ROBOTS`, by any credential: whoever manages remote connections
/// (contract 18).
#[derive(Debug)]
pub struct RobotManager(pub Actor);

impl FromRequestParts<Shared> for RobotManager {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, ApiError> {
        let request = (&parts.method, &parts.headers);
        let actor = Actor::with(app, request, Permission::ManageRobots).await?;
        Ok(Self(actor))
    }
}

/// Refuses a suspended account (contract 3.5).
///
/// # Errors
/// 403 as a problem.
pub fn require_not_suspended(account: &Account) -> Result<(), ApiError> {
    if account.suspended {
        return Err(ApiError::forbidden("This account is suspended"));
    }
    Ok(())
}

fn require_permission(held: PermissionSet, permission: Permission) -> Result<(), ApiError> {
    if held.permits(permission) {
        return Ok(());
    }
    Err(ApiError::forbidden(format!(
        "This needs the permission {}",
        permission.name()
    )))
}

/// The answer to a good bearer whose account may not use that kind of bearer any more.
fn not_permitted(permission: Permission) -> ApiError {
    ApiError::forbidden(format!(
        "The account of this credential lacks the permission {}",
        permission.name()
    ))
}

/// Whether a browser's request comes from a page that may act for its person.
///
/// A present `Origin` must be one of ours; without one, a browser that says `cross-site` is
/// refused. Programs send neither and pass: they have no cookie that a page could abuse.
///
/// # Errors
/// 403 as a problem.
pub fn require_own_origin(app: &App, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    if method.is_safe() {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let refused = match text("origin") {
        Some(origin) => {
            let origin = origin.to_ascii_lowercase();
            !app.config.allowed_origins().contains(&origin)
        }
        None => text("sec-fetch-site") == Some("cross-site"),
    };
    if refused {
        return Err(ApiError::forbidden(
            "This page may not act here; add its origin to CORS_ALLOWED_ORIGINS if it should",
        ));
    }
    Ok(())
}
