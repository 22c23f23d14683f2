//! Resources of the operator with their scopes, and the roles that give the scopes: `auth_resources`,
//! `auth_resource_scopes`, `auth_role_scopes`.

use super::accounts::ACCOUNT_UNPROVEN;
use super::db::{Db, Tx};
use super::error::{Error, Result};
use super::row::row;
use super::sql::{Sql, sql};
use crate::clock::Timestamp;
use crate::ids::{AccountId, ResourceId, RoleId};
use crate::oauth::resource::{DescribedScope, Resource};
use crate::oauth::scope::{Scope, ScopeName};

/// A resource with the roles that give its scopes.
#[derive(Clone, Debug)]
pub struct StoredResource {
    /// Row id.
    pub id: ResourceId,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
    /// The resource.
    pub resource: Resource,
    /// Client id of the server of the resource, which may exchange tokens for the resource (RFC 8693).
    pub server: Option<String>,
    /// For each scope of the resource, the roles that give the scope.
    pub roles: Vec<Vec<RoleId>>,
}

struct ResourceRow {
    id: ResourceId,
    created_at: Timestamp,
    updated_at: Timestamp,
    url: String,
    name: Option<String>,
    server_client_id: Option<String>,
    scope: Option<String>,
    description: Option<String>,
    role_ids: Option<String>,
}

row!(ResourceRow: id, created_at, updated_at, url, name, server_client_id, scope, description, role_ids);

/// Lists every resource, by URL, with the scopes by name.
pub async fn list(db: &Db) -> Result<Vec<StoredResource>> {
    let rows: Vec<ResourceRow> = db
        .fetch_all(
            "SELECT r.id, r.created_at, r.updated_at, r.url, r.name, r.server_client_id, s.scope, s.description, \
             (SELECT string_agg(x.role_id, ' ') FROM auth_role_scopes x WHERE x.scope = s.scope) \
                 AS role_ids \
             FROM auth_resources r LEFT JOIN auth_resource_scopes s ON s.resource_id = r.id \
             ORDER BY r.url, s.scope",
            &[],
        )
        .await?;
    let mut resources: Vec<StoredResource> = Vec::new();
    for row in rows {
        if resources.last().is_none_or(|last| last.id != row.id) {
            resources.push(StoredResource {
                id: row.id.clone(),
                created_at: row.created_at,
                updated_at: row.updated_at,
                resource: Resource {
                    url: row.url,
                    name: row.name,
                    scopes: Vec::new(),
                    id: Some(row.id),
                },
                server: row.server_client_id,
                roles: Vec::new(),
            });
        }
        let name = row.scope.as_deref().and_then(ScopeName::from_name);
        if let (Some(last), Some(name)) = (resources.last_mut(), name) {
            last.resource.scopes.push(DescribedScope {
                name,
                description: row.description.unwrap_or_default(),
            });
            let roles = row.role_ids.unwrap_or_default();
            last.roles
                .push(roles.split_whitespace().map(RoleId::new).collect());
        }
    }
    Ok(resources)
}

/// Lists the URLs of the resources that a client is the server of.
pub async fn served_by(db: &Db, client_id: &str) -> Result<Vec<String>> {
    db.fetch_all(
        "SELECT url FROM auth_resources WHERE server_client_id = $1 ORDER BY url",
        &[client_id.into()],
    )
    .await
}

/// Inserts a resource with its scopes.
///
/// # Errors
/// [`Error::Taken`] if the URL or a scope is taken.
pub async fn insert(tx: &mut Tx, new: &StoredResource) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_resources (id, created_at, updated_at, url, name, server_client_id) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            (&new.id).into(),
            new.created_at.into(),
            new.updated_at.into(),
            new.resource.url.as_str().into(),
            new.resource.name.clone().into(),
            new.server.clone().into(),
        ],
    )
    .await?;
    insert_scopes(tx, new).await
}

/// Replaces name, scopes and roles of a resource.
///
/// # Errors
/// [`Error::Gone`] if there is no such resource, [`Error::Taken`] if a different resource has a scope.
pub async fn replace(tx: &mut Tx, new: &StoredResource) -> Result<()> {
    let changed = tx
        .execute(
            "UPDATE auth_resources SET name = $2, updated_at = $3, server_client_id = $4 WHERE id = $1",
            &[
                (&new.id).into(),
                new.resource.name.clone().into(),
                new.updated_at.into(),
                new.server.clone().into(),
            ],
        )
        .await?;
    if changed == 0 {
        return Err(Error::Gone);
    }
    delete_scopes(tx, &new.id).await?;
    insert_scopes(tx, new).await
}

/// Deletes a resource with its scopes. Grants keep the names, which no account holds any more.
///
/// # Errors
/// [`Error::Gone`] if there is no such resource.
pub async fn delete(tx: &mut Tx, id: &ResourceId) -> Result<()> {
    delete_scopes(tx, id).await?;
    let sql = "DELETE FROM auth_resources WHERE id = $1";
    if tx.execute(sql, &[id.into()]).await? == 0 {
        return Err(Error::Gone);
    }
    Ok(())
}

async fn insert_scopes(tx: &mut Tx, new: &StoredResource) -> Result<()> {
    // A Storyden deletes roles without these rows.
    tx.execute(
        "DELETE FROM auth_role_scopes WHERE role_id NOT IN (SELECT r.id FROM roles r) AND role_id \
         NOT IN ('0000000000000000000g', '000000000000000000m0', '00000000000000000a00')",
        &[],
    )
    .await?;
    for (scope, roles) in new.resource.scopes.iter().zip(&new.roles) {
        tx.execute(
            "INSERT INTO auth_resource_scopes (scope, resource_id, description) VALUES ($1, $2, $3)",
            &[
                scope.name.name().into(),
                (&new.id).into(),
                scope.description.as_str().into(),
            ],
        )
        .await?;
        for role in roles {
            tx.execute(
                "INSERT INTO auth_role_scopes (role_id, scope) VALUES ($1, $2) \
                 ON CONFLICT (role_id, scope) DO NOTHING",
                &[role.into(), scope.name.name().into()],
            )
            .await?;
        }
    }
    Ok(())
}

async fn delete_scopes(tx: &mut Tx, id: &ResourceId) -> Result<()> {
    for sql in [
        "DELETE FROM auth_role_scopes WHERE scope IN \
         (SELECT s.scope FROM auth_resource_scopes s WHERE s.resource_id = $1)",
        "DELETE FROM auth_resource_scopes WHERE resource_id = $1",
    ] {
        tx.execute(sql, &[id.into()]).await?;
    }
    Ok(())
}

/// Returns the scopes of resources that the roles of an account give now.
pub async fn held_by(db: &Db, account: &AccountId) -> Result<Scope> {
    const SQL: Sql = sql!(
        "SELECT DISTINCT x.scope FROM accounts a JOIN (\
         SELECT ar.role_id, true AS assigned FROM account_roles ar WHERE ar.account_id = $1 \
         UNION ALL SELECT '0000000000000000000g', false \
         UNION ALL SELECT '000000000000000000m0', false \
         UNION ALL SELECT '00000000000000000a00', false) h ON a.id = $1 AND CASE WHEN ",
        ACCOUNT_UNPROVEN,
        " THEN h.role_id = '0000000000000000000g' \
         ELSE h.assigned OR h.role_id = '000000000000000000m0' \
             OR a.admin AND h.role_id = '00000000000000000a00' END \
         JOIN auth_role_scopes x ON x.role_id = h.role_id"
    );
    let scopes: Vec<String> = db.fetch_all(SQL, &[account.into()]).await?;
    Ok(Scope::from_names(scopes.iter().map(String::as_str)))
}
