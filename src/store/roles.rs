//! Roles and role assignments: `roles`, `account_roles`. The three built-in roles have a row only after
//! an edit.

use super::accounts::{ADMIN_ROLE, GUEST_ROLE, MEMBER_ROLE};
use super::db::{Db, Tx};
use super::error::Result;
use super::row::row;
use super::value::{Names, Value};
use crate::clock::Timestamp;
use crate::ids::{AccountId, RoleId, xid};
use crate::oauth::permission::PermissionSet;

/// A role.
#[derive(Clone, Debug)]
pub struct Role {
    /// Row id.
    pub id: RoleId,
    /// Unique name.
    pub name: String,
    /// The permissions.
    pub permissions: PermissionSet,
}

struct RoleRow {
    id: RoleId,
    name: String,
    permissions: Names,
}

row!(RoleRow: id, name, permissions);

/// Returns the defaults of the built-in roles.
fn built_in() -> [Role; 3] {
    let role = |id: &str, name: &str, permissions| Role {
        id: RoleId::new(id),
        name: name.to_owned(),
        permissions,
    };
    [
        role(GUEST_ROLE, "Guest", PermissionSet::GUEST),
        role(MEMBER_ROLE, "Member", PermissionSet::MEMBER),
        role(ADMIN_ROLE, "Admin", PermissionSet::ADMIN),
    ]
}

/// True for a built-in role with its default permissions.
#[must_use]
pub fn is_default(role: &Role) -> bool {
    let is_same = |known: &Role| known.id == role.id && known.permissions == role.permissions;
    built_in().iter().any(is_same)
}

/// Lists every role, the built-in roles first.
pub async fn list(db: &Db) -> Result<Vec<Role>> {
    let rows: Vec<RoleRow> = db
        .fetch_all(
            "SELECT id, name, permissions FROM roles ORDER BY sort_key, name",
            &[],
        )
        .await?;
    let mut roles = built_in().to_vec();
    for row in rows {
        let role = Role {
            permissions: PermissionSet::from_names(row.permissions.iter()),
            id: row.id,
            name: row.name,
        };
        match roles.iter_mut().find(|known| known.id == role.id) {
            Some(known) => *known = role,
            None => roles.push(role),
        }
    }
    Ok(roles)
}

/// Finds a role by name, case-insensitively.
pub async fn find(db: &Db, name: &str) -> Result<Option<Role>> {
    let roles = list(db).await?;
    Ok(roles
        .into_iter()
        .find(|role| role.name.eq_ignore_ascii_case(name)))
}

/// Inserts a role, or replaces the permissions of an existing role, built-in roles included.
///
/// # Errors
/// [`super::Error::Taken`] if a different role has the name.
pub async fn save(tx: &mut Tx, role: &Role, now: Timestamp) -> Result<()> {
    let names = Value::names(
        role.permissions
            .iter()
            .map(crate::oauth::permission::Permission::name),
    );
    tx.execute(
        "INSERT INTO roles (id, created_at, updated_at, name, colour, permissions, sort_key) \
         VALUES ($1, $2, $2, $3, 'hsl(157, 65%, 44%)', $4, 0) \
         ON CONFLICT (id) DO UPDATE \
         SET permissions = excluded.permissions, updated_at = excluded.updated_at",
        &[
            (&role.id).into(),
            now.into(),
            role.name.as_str().into(),
            names,
        ],
    )
    .await?;
    Ok(())
}

/// Assigns a role to an account; returns false if already assigned.
pub async fn assign(
    tx: &mut Tx,
    account: &AccountId,
    role: &RoleId,
    now: Timestamp,
) -> Result<bool> {
    let made = tx
        .execute(
            "INSERT INTO account_roles (id, created_at, account_id, role_id) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (account_id, role_id) DO NOTHING",
            &[xid(now).into(), now.into(), account.into(), role.into()],
        )
        .await?;
    Ok(made > 0)
}

/// Removes a role from an account; returns false if not assigned.
pub async fn unassign(tx: &mut Tx, account: &AccountId, role: &RoleId) -> Result<bool> {
    let gone = tx
        .execute(
            "DELETE FROM account_roles WHERE account_id = $1 AND role_id = $2",
            &[account.into(), role.into()],
        )
        .await?;
    Ok(gone > 0)
}
