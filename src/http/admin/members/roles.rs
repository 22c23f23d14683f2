//! Roles: the list, and giving and taking of a role.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::changes::last_administrator;
use super::list::role_named;
use super::{named, require_own_members};
use crate::context::SharedContext;
use crate::http::admin::entry;
use crate::http::error::responses::{GuardErrors, Invalid, NotFound};
use crate::http::error::{ApiError, Kind};
use crate::http::extract::PathNames;
use crate::http::guards::Administrator;
use crate::ids::{AccountId, RoleId};
use crate::oauth::permission::Permission;
use crate::store::accounts::{ADMIN_ROLE, GUEST_ROLE, MEMBER_ROLE};
use crate::store::administrators;
use crate::store::audit::{self, Entry, Event};
use crate::store::roles::{self, Role};
use crate::store::{self, Tx};

/// A role.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Role)]
pub struct ShownRole {
    /// True for a role that an account can be given: every role except Member and Guest.
    assignable: bool,
    /// Id of the role.
    id: RoleId,
    /// Name of the role.
    name: String,
    /// The permissions of the role.
    permissions: Vec<&'static str>,
}

/// Every role.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = RoleListResult)]
pub struct RoleList {
    /// The roles, the built-in roles first.
    roles: Vec<ShownRole>,
}

fn is_assignable(id: &RoleId) -> bool {
    ![MEMBER_ROLE, GUEST_ROLE].contains(&id.as_str())
}

/// `GET /api/admin/oauth/roles`.
///
/// # Errors
/// 401, 403.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/roles",
    operation_id = "AdminRoleList",
    tag = "admin",
    responses(
        (status = 200, description = "List of roles", body = RoleList),
        GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    _: Administrator,
) -> Result<Json<RoleList>, ApiError> {
    let roles = roles::list(&context.db).await?.into_iter();
    let roles = roles.map(|role| ShownRole {
        assignable: is_assignable(&role.id),
        permissions: role.permissions.iter().map(Permission::name).collect(),
        id: role.id,
        name: role.name,
    });
    Ok(Json(RoleList {
        roles: roles.collect(),
    }))
}

/// Finds the role that a path names.
async fn assignable(context: &SharedContext, text: &str) -> Result<Role, ApiError> {
    let known = roles::list(&context.db).await?;
    let role = role_named(&known, text)?;
    if !is_assignable(&role.id) {
        let detail = format!(
            "The role {} cannot be given or taken; it applies to every account or visitor",
            role.name
        );
        return Err(ApiError::invalid(detail));
    }
    Ok(role.clone())
}

/// `PUT /api/admin/oauth/members/{member}/roles/{role}`: gives a role.
///
/// # Errors
/// 400 for an unknown role, 401, 403 beside a Storyden, 404 for an unknown account.
#[utoipa::path(
    put,
    path = "/api/admin/oauth/members/{member}/roles/{role}",
    operation_id = "AdminMemberRoleGive",
    tag = "admin",
    params(
        ("member" = String, Path, description = "Account id, or handle with or without @"),
        ("role" = String, Path, description = "Name or id of the role"),
    ),
    responses(
        (status = 204, description = "The account holds the role"),
        Invalid,
        GuardErrors,
        NotFound,
    )
)]
pub async fn give(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathNames(text, role): PathNames,
) -> Result<StatusCode, ApiError> {
    let account = named(&context, &text).await?;
    let role = assignable(&context, &role).await?;
    require_own_members(&context).await?;
    let entry = entry(&context, Event::RoleGiven, &actor, Some(&account.id)).subject(&role.id);
    let input = (account.id, role.id, entry);
    let write = context.db.write(input, |tx, (account, role, entry)| {
        Box::pin(async move {
            let is_new = if role.as_str() == ADMIN_ROLE {
                administrators::set(tx, account, true, entry.at).await?
            } else {
                roles::assign(tx, account, role, entry.at).await?
            };
            if is_new {
                audit::insert(tx, entry).await?;
            }
            Ok(())
        })
    });
    write.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/admin/oauth/members/{member}/roles/{role}`: takes a role.
///
/// # Errors
/// 400 for an unknown role, 401, 403 for ADMINISTRATOR of the own account or of the last administrator, and
/// beside a Storyden, 404 for an unknown account, or for a role that the account does not hold.
#[utoipa::path(
    delete,
    path = "/api/admin/oauth/members/{member}/roles/{role}",
    operation_id = "AdminMemberRoleTake",
    tag = "admin",
    params(
        ("member" = String, Path, description = "Account id, or handle with or without @"),
        ("role" = String, Path, description = "Name or id of the role"),
    ),
    responses(
        (status = 204, description = "The account no longer holds the role"),
        Invalid,
        GuardErrors,
        NotFound,
    )
)]
pub async fn take(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathNames(text, role): PathNames,
) -> Result<StatusCode, ApiError> {
    let account = named(&context, &text).await?;
    let role = assignable(&context, &role).await?;
    require_own_members(&context).await?;
    let administers = role.permissions.holds(Permission::Administrator);
    if administers && account.id == actor.account.id {
        return Err(ApiError::forbidden(
            "You cannot take ADMINISTRATOR from your own account; a different administrator can",
        ));
    }
    let (handle, name) = (account.handle.clone(), role.name.clone());
    let entry = entry(&context, Event::RoleTaken, &actor, Some(&account.id)).subject(&role.id);
    let change = Taking {
        // a suspended account administers nothing
        last_matters: administers && !account.suspended,
        account: account.id,
        role: role.id,
        entry,
    };
    let write = context
        .db
        .write(change, |tx, change| Box::pin(change.carry_out(tx)));
    match write.await? {
        Taken::Done => Ok(StatusCode::NO_CONTENT),
        Taken::Last => Err(last_administrator()),
        Taken::NotHeld => {
            let detail = format!("{handle} does not hold the role {name}");
            Err(ApiError::new(Kind::NotFound, detail))
        }
    }
}

/// A role to take from an account.
struct Taking {
    account: AccountId,
    role: RoleId,
    /// True if the account must not be the last administrator.
    last_matters: bool,
    entry: Entry,
}

/// Result of a [`Taking`].
enum Taken {
    Done,
    /// The account is the last with ADMINISTRATOR.
    Last,
    NotHeld,
}

impl Taking {
    async fn carry_out(&self, tx: &mut Tx) -> store::Result<Taken> {
        administrators::lock(tx).await?;
        if self.last_matters && !administrators::another_exists(tx, &self.account).await? {
            return Ok(Taken::Last);
        }
        let is_held = if self.role.as_str() == ADMIN_ROLE {
            administrators::set(tx, &self.account, false, self.entry.at).await?
        } else {
            roles::unassign(tx, &self.account, &self.role).await?
        };
        if !is_held {
            return Ok(Taken::NotHeld);
        }
        audit::insert(tx, &self.entry).await?;
        Ok(Taken::Done)
    }
}
