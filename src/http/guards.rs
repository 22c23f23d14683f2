//! Extractors that authorize callers of the JSON API (storyden-contract.md#callers-of-each-operation).
//! They run before the body is read, so that an unauthorized caller gets no other error.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};

use super::authorization::challenge_scheme;
use super::caller::{Caller, ResourceOwner, WrongCredential};
use super::dpop::RequestHead;
use crate::context::{Context, SharedContext};
use crate::http::error::ApiError;
use crate::http::extract::ClientAddress;
use crate::ids::AccessKeyId;
use crate::oauth::permission::{Permission, PermissionSet};
use crate::store::accounts::Account;
use crate::store::sessions::Session;

/// An account with a browser session, not suspended. Access keys and access tokens are rejected, so
/// that an application cannot extend its own access.
#[derive(Debug)]
pub struct Person {
    /// The session of the request.
    pub session: Session,
    /// The client address.
    pub address: IpAddr,
}

impl Person {
    /// Rejects an account without a permission.
    ///
    /// # Errors
    /// 403 as a problem.
    pub fn require(&self, permission: Permission) -> Result<(), ApiError> {
        require_permission(self.session.account.permissions, permission)
    }
}

impl FromRequestParts<SharedContext> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        context: &SharedContext,
    ) -> Result<Self, ApiError> {
        match Caller::of(context, RequestHead::of(parts)).await? {
            Caller::Session(session) => {
                require_own_origin(context, &parts.method, &parts.headers)?;
                require_not_suspended(&session.account)?;
                Ok(Self {
                    session,
                    address: address_of(parts, context),
                })
            }
            Caller::AccessToken(..)
            | Caller::PersonalKey(_)
            | Caller::BotKey(_)
            | Caller::Unproven
            | Caller::NotPermitted(_) => Err(wrong_credential()),
            Caller::Guest | Caller::Refused(_) => Err(ApiError::unauthenticated()),
        }
    }
}

/// An account that manages access keys, by browser session or by access key. Requires
/// `USE_PERSONAL_ACCESS_KEYS` (storyden-contract.md#sign-in-and-sign-out).
#[derive(Debug)]
pub struct KeyHolder {
    /// The account.
    pub account: Account,
    /// The access key of the request; `None` for a session.
    pub by_key: Option<AccessKeyId>,
    /// The client address.
    pub address: IpAddr,
}

impl FromRequestParts<SharedContext> for KeyHolder {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        context: &SharedContext,
    ) -> Result<Self, ApiError> {
        let (account, by_key) = match Caller::of(context, RequestHead::of(parts)).await? {
            Caller::Session(session) => {
                require_own_origin(context, &parts.method, &parts.headers)?;
                (session.account, None)
            }
            Caller::PersonalKey(key) | Caller::BotKey(key) => (key.account, Some(key.id)),
            Caller::NotPermitted(permission) => return Err(not_permitted(permission)),
            Caller::AccessToken(..) | Caller::Unproven => {
                let detail = "An access token cannot be used here; sign in, or use an access key";
                return Err(ApiError::forbidden(detail));
            }
            Caller::Guest | Caller::Refused(_) => return Err(ApiError::unauthenticated()),
        };
        require_not_suspended(&account)?;
        require_permission(account.permissions, Permission::UsePersonalAccessKeys)?;
        Ok(Self {
            account,
            by_key,
            address: address_of(parts, context),
        })
    }
}

/// An account authenticated by any credential, and the permissions of that credential.
#[derive(Debug)]
pub struct Actor {
    /// The account.
    pub account: Account,
    /// The account's permissions, limited to the token's scope for access tokens.
    pub permissions: PermissionSet,
    /// The client address.
    pub address: IpAddr,
}

impl Actor {
    /// Authenticates a request and requires a permission.
    ///
    /// # Errors
    /// 401 without a valid credential, 403 without the permission or for a suspended account. The
    /// profile `standards` adds `WWW-Authenticate` challenges (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1).
    async fn with(
        context: &Context,
        parts: &Parts,
        permission: Permission,
    ) -> Result<Self, ApiError> {
        let challenged = |problem: ApiError, code| {
            let scheme = challenge_scheme(context.config.policies, &parts.headers);
            problem.challenged(context, scheme, code)
        };
        let (account, permissions) = match Caller::of(context, RequestHead::of(parts)).await? {
            Caller::Session(session) => {
                require_own_origin(context, &parts.method, &parts.headers)?;
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
                return Err(challenged(problem, Some("insufficient_scope")));
            }
            Caller::Guest | Caller::Unproven => {
                return Err(challenged(ApiError::unauthenticated(), None));
            }
            Caller::Refused(error) => {
                let code = error.code.as_str();
                return Err(challenged(ApiError::unauthenticated(), Some(code)));
            }
        };
        require_not_suspended(&account)?;
        require_permission(permissions, permission)
            .map_err(|problem| challenged(problem, Some("insufficient_scope")))?;
        Ok(Self {
            account,
            permissions,
            address: address_of(parts, context),
        })
    }
}

/// An account with `ADMINISTRATOR`, by any credential.
#[derive(Debug)]
pub struct Administrator(pub Actor);

impl FromRequestParts<SharedContext> for Administrator {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        context: &SharedContext,
    ) -> Result<Self, ApiError> {
        let actor = Actor::with(context, parts, Permission::Administrator).await?;
        Ok(Self(actor))
    }
}

/// An account with `MANAGE_ROBOTS`, by any credential: required for remote connections
/// (storyden-contract.md#callers-of-each-operation).
#[derive(Debug)]
pub struct RobotManager(pub Actor);

impl FromRequestParts<SharedContext> for RobotManager {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        context: &SharedContext,
    ) -> Result<Self, ApiError> {
        let actor = Actor::with(context, parts, Permission::ManageRobots).await?;
        Ok(Self(actor))
    }
}

fn address_of(parts: &Parts, context: &Context) -> IpAddr {
    ClientAddress::of(&parts.extensions, &parts.headers, context).0
}

/// Returns the account that decides on an authorization request; `None` without a valid credential.
///
/// # Errors
/// 403 as a problem, for the wrong kind of credential and for a suspended account.
pub fn resource_owner(caller: Caller) -> Result<Option<ResourceOwner>, ApiError> {
    let owner = caller.into_resource_owner();
    let owner = owner.map_err(|WrongCredential| wrong_credential())?;
    if let Some(owner) = &owner {
        require_not_suspended(&owner.account)?;
    }
    Ok(owner)
}

/// Returns the error for a valid credential that cannot act here, such as an access token
/// (storyden-contract.md#callers-of-each-operation).
#[must_use]
pub fn wrong_credential() -> ApiError {
    ApiError::forbidden("This credential cannot be used here; sign in with a browser")
}

/// Rejects a suspended account (storyden-contract.md#callers-of-each-operation).
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

/// The error for [`Caller::NotPermitted`].
fn not_permitted(permission: Permission) -> ApiError {
    ApiError::forbidden(format!(
        "The account of this credential lacks the permission {}",
        permission.name()
    ))
}

/// CSRF protection of requests with a session cookie.
///
/// `Origin` must be an allowed origin if present. Without `Origin`, `Sec-Fetch-Site: cross-site` is
/// rejected. Non-browser clients send neither header and pass, because such clients hold no ambient
/// cookie.
///
/// # Errors
/// 403 as a problem.
pub fn require_own_origin(
    context: &Context,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    if method.is_safe() {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let refused = match text("origin") {
        Some(origin) => {
            let origin = origin.to_ascii_lowercase();
            !context.config.allowed_origins().contains(&origin)
        }
        None => text("sec-fetch-site") == Some("cross-site"),
    };
    if refused {
        let origin = text("origin").unwrap_or("-");
        let now = context.clock.now();
        context
            .warnings
            .origin_refused(origin, &context.config, now);
        return Err(ApiError::forbidden(
            "Requests from this origin are not allowed. The operator sets the address of the community in \
             PUBLIC_API_ADDRESS and PUBLIC_WEB_ADDRESS, and further origins in CORS_ALLOWED_ORIGINS",
        ));
    }
    Ok(())
}
