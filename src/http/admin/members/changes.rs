//! Suspension and sign-out of members.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::{named, require_own_members};
use crate::accounts::suspension;
use crate::context::SharedContext;
use crate::http::admin::entry;
use crate::http::error::ApiError;
use crate::http::error::responses::{GuardErrors, NotFound};
use crate::http::extract::{PathName, PathNames};
use crate::http::guards::Administrator;
use crate::ids::SessionId;
use crate::oauth::permission::Permission;
use crate::store::audit::{self, Event};
use crate::store::{self, administrators, revocation, sessions};

/// Result of a suspension.
enum Suspended {
    Done,
    /// The account is the last with ADMINISTRATOR.
    Last,
    /// The account was deleted meanwhile.
    Missing,
}

/// `POST /api/admin/oauth/members/{member}/suspend`.
///
/// # Errors
/// 401, 403 for the own account, the last administrator, and beside a Storyden, 404 for an unknown account.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/members/{member}/suspend",
    operation_id = "AdminMemberSuspend",
    tag = "admin",
    params(("member" = String, Path, description = "Account id, or handle with or without @")),
    responses(
        (status = 204, description = "Suspended; sessions and approvals ended"),
        GuardErrors,
        NotFound,
    )
)]
pub async fn suspend(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathName(text): PathName,
) -> Result<StatusCode, ApiError> {
    let account = named(&context, &text).await?;
    require_own_members(&context).await?;
    if account.id == actor.account.id {
        return Err(ApiError::forbidden(
            "You cannot suspend your own account; a different administrator can",
        ));
    }
    if account.suspended {
        return Ok(StatusCode::NO_CONTENT);
    }
    let entry = entry(&context, Event::AccountSuspended, &actor, Some(&account.id));
    let write = context.db.write((account, entry), |tx, (account, entry)| {
        Box::pin(async move {
            administrators::lock(tx).await?;
            let administers = account.permissions.holds(Permission::Administrator);
            if administers && !administrators::another_exists(tx, &account.id).await? {
                return Ok(Suspended::Last);
            }
            let done = suspension::suspend(tx, &account.handle, &account.id, entry).await?;
            Ok(if done {
                Suspended::Done
            } else {
                Suspended::Missing
            })
        })
    });
    match write.await? {
        Suspended::Done => Ok(StatusCode::NO_CONTENT),
        Suspended::Last => Err(last_administrator()),
        Suspended::Missing => Err(ApiError::of_write(store::Error::Gone, MISSING)),
    }
}

/// Detail of the 404 for an account that was deleted during the request.
pub(super) const MISSING: &str = "The account was deleted during the request";

/// The error of a change that would leave the community without an administrator.
pub(super) fn last_administrator() -> ApiError {
    ApiError::forbidden(
        "This is the last account with ADMINISTRATOR; make a different account administrator first",
    )
}

/// `POST /api/admin/oauth/members/{member}/reinstate`.
///
/// # Errors
/// 401, 403 beside a Storyden, 404 for an unknown account.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/members/{member}/reinstate",
    operation_id = "AdminMemberReinstate",
    tag = "admin",
    params(("member" = String, Path, description = "Account id, or handle with or without @")),
    responses(
        (status = 204, description = "The account can sign in"),
        GuardErrors,
        NotFound,
    )
)]
pub async fn reinstate(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathName(text): PathName,
) -> Result<StatusCode, ApiError> {
    let account = named(&context, &text).await?;
    require_own_members(&context).await?;
    if !account.suspended {
        return Ok(StatusCode::NO_CONTENT);
    }
    let entry = entry(
        &context,
        Event::AccountReinstated,
        &actor,
        Some(&account.id),
    );
    let input = (account.handle, entry);
    let write = context.db.write(input, |tx, (handle, entry)| {
        Box::pin(suspension::reinstate(tx, handle, entry))
    });
    if write.await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::of_write(store::Error::Gone, MISSING))
}

/// Result of a sign-out.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MemberSignOutResult)]
pub struct SignedOut {
    /// Number of sessions that ended, counted up to 100,000.
    sessions: u64,
}

/// `DELETE /api/admin/oauth/members/{member}/sessions`: ends every session and undecided request of an account.
/// Approvals stay.
///
/// # Errors
/// 401, 403 beside a Storyden, 404 for an unknown account.
#[utoipa::path(
    delete,
    path = "/api/admin/oauth/members/{member}/sessions",
    operation_id = "AdminMemberSignOut",
    tag = "admin",
    params(("member" = String, Path, description = "Account id, or handle with or without @")),
    responses(
        (status = 200, description = "Number of the ended sessions", body = SignedOut),
        GuardErrors,
        NotFound,
    )
)]
pub async fn sign_out(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathName(text): PathName,
) -> Result<Json<SignedOut>, ApiError> {
    let account = named(&context, &text).await?;
    require_own_members(&context).await?;
    let open = sessions::count_open(&context.db, &account.id, None).await?;
    let entry = entry(&context, Event::SessionsEnded, &actor, Some(&account.id));
    let write = context.db.write((account.id, entry), |tx, (id, entry)| {
        Box::pin(async move {
            let ended = revocation::end_sessions(tx, id, entry.at).await?;
            audit::insert(tx, entry).await?;
            Ok(ended)
        })
    });
    let sessions = write.await?.max(open); // a job updates the rest of many rows
    Ok(Json(SignedOut { sessions }))
}

/// `DELETE /api/admin/oauth/members/{member}/sessions/{session_id}`: ends a session.
///
/// # Errors
/// 401, 403 beside a Storyden, 404 if the account has no such open session.
#[utoipa::path(
    delete,
    path = "/api/admin/oauth/members/{member}/sessions/{session_id}",
    operation_id = "AdminMemberSessionDelete",
    tag = "admin",
    params(
        ("member" = String, Path, description = "Account id, or handle with or without @"),
        ("session_id" = String, Path, description = "Id of the session"),
    ),
    responses(
        (status = 204, description = "The session ended"),
        GuardErrors,
        NotFound,
    )
)]
pub async fn end_session(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathNames(text, session): PathNames,
) -> Result<StatusCode, ApiError> {
    let account = named(&context, &text).await?;
    require_own_members(&context).await?;
    let id = SessionId::new(session);
    let entry = entry(&context, Event::SignedOut, &actor, Some(&account.id)).subject(&id);
    let input = (account.id, id, entry);
    let write = context.db.write(input, |tx, (account, id, entry)| {
        Box::pin(async move {
            if !sessions::revoke_one(tx, account, id, entry.at).await? {
                return Err(store::Error::Gone);
            }
            audit::insert(tx, entry).await
        })
    });
    let missing = "The account has no open session with this id";
    let written = write.await;
    written.map_err(|error| ApiError::of_write(error, missing))?;
    Ok(StatusCode::NO_CONTENT)
}
