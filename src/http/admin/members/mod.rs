//! Members of the community: `/api/admin/oauth/members`, and the roles that they may hold.
//!
//! Beside a Storyden and in the profile `storyden`, members, sessions and roles are read-only here: a Storyden
//! keeps these in memory, and would not see a change.

pub mod changes;
pub mod details;
pub mod list;
pub mod roles;

use crate::context::Context;
use crate::http::error::{ApiError, Kind};
use crate::store::accounts::{self, Account};
use crate::store::{self, profiles};

/// Finds the account that a path names by id or handle.
///
/// # Errors
/// 404 if there is no such account.
async fn named(context: &Context, text: &str) -> Result<Account, ApiError> {
    let account = accounts::find_named(&context.db, text).await?;
    account.ok_or_else(|| {
        let text: String = text.chars().take(64).collect();
        let detail = format!("There is no account with the id or handle {text:?}");
        ApiError::new(Kind::NotFound, detail)
    })
}

/// True if a Storyden keeps members, sessions and roles.
async fn kept_by_storyden(context: &Context) -> Result<bool, store::Error> {
    if !context.config.policies.differences().is_empty() {
        return Ok(true);
    }
    profiles::is_beside_storyden(&context.db).await
}

/// Rejects a change that a Storyden would not see.
///
/// # Errors
/// 403 that tells where to make the change.
async fn require_own_members(context: &Context) -> Result<(), ApiError> {
    if !kept_by_storyden(context).await? {
        return Ok(());
    }
    Err(ApiError::forbidden(
        "A Storyden keeps the members, sessions and roles of this community and would not see this change; \
         make the change in Storyden's administration. Approvals of applications can be ended here, with \
         POST /api/admin/oauth/revoke",
    ))
}
