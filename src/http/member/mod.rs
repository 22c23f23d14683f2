//! JSON API of the signed-in member: sign-up, sign-in, sign-out, sessions, password, own applications,
//! approvals, and access keys.

pub mod access_keys;
pub mod accounts;
pub mod applications;
pub mod client_body;
pub mod client_errors;
pub mod client_secret;
pub mod clients;
pub mod origin;
pub mod password;
pub mod refusal;
pub mod resources;
pub mod session;
pub mod sessions;
pub mod sign_up;
pub mod tokens;

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::context::{Context, SharedContext};
use crate::http::error::{ApiError, Kind};
use crate::http::extract::decode_query;
use crate::http::guards::Person;
use crate::ids::{AccountId, SessionId};
use crate::oauth::permission::Permission;
use crate::rate_limit::CREATIONS;
use crate::store;
use crate::store::audit::{Entry, Event};
use crate::store::paging::Page;

/// An audit event for a member's action on the own account.
fn entry(context: &Context, event: Event, account: &AccountId, address: IpAddr) -> Entry {
    Entry::new(event, context.clock.now())
        .by(account)
        .from(address)
}

/// A member with the right to manage own applications and approvals: every member; in Storyden only
/// administrators (storyden-contract.md#self-service-clients).
pub struct Manager(Person);

impl FromRequestParts<SharedContext> for Manager {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        context: &SharedContext,
    ) -> Result<Self, ApiError> {
        let person = Person::from_request_parts(parts, context).await?;
        if context.config.policies.self_service.administrators_only {
            person.require(Permission::Administrator)?;
        }
        Ok(Self(person))
    }
}

/// The requested page (storyden-contract.md#refresh-token-lists).
pub struct RequestedPage(Page);

impl<S: Sync> FromRequestParts<S> for RequestedPage {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = decode_query(parts.uri.query(), &["page"])?;
        Ok(Self(Page::asked(query.get("page"))))
    }
}

/// Limits the number of items per account, in total and per hour.
fn require_below_limit(
    context: &Context,
    account: &AccountId,
    have: i64,
    most: i64,
) -> Result<(), ApiError> {
    if have >= most {
        let detail = format!("You have {have} of these, which is as many as may be; delete some");
        return Err(ApiError::new(Kind::PermissionDenied, detail));
    }
    let limits = [(CREATIONS, account.as_str())];
    context.limits.spend(&limits).map_err(|wait| {
        let detail = "This account created too many objects within an hour; wait before you create \
                      more";
        ApiError::new(Kind::TooManyRequests, detail).retry_after(wait.0)
    })
}

/// Requires an open session within the transaction: a session closed meanwhile must not create anything
/// that outlives the session.
async fn require_open_session(tx: &mut store::Tx, session: &SessionId) -> store::Result<()> {
    if store::sessions::lock_row(tx, session).await? {
        return Ok(());
    }
    Err(store::Error::RaceLost)
}

/// Maps the error of [`require_open_session`] to 401.
fn closed_session_error(error: store::Error) -> ApiError {
    match error {
        store::Error::RaceLost => ApiError::unauthenticated(),
        error => error.into(),
    }
}
