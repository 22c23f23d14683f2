//! Deletion of clients with all rows that reference the client, in batches.

use super::client_errors;
use super::client_locks::lock;
use super::clients::IS_NOT_DELETED;
use super::db::{Db, Tx};
use super::delete_by_id;
use super::error::Result;
use super::open_revocations::{self, BATCH, Target};
use super::revocation;
use super::sql::{Sql, sql};
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::ClientRowId;

/// Deletes a client with all consents, requests, codes, device authorizations, and refresh tokens. False if there
/// is no such client. The grants are revoked and kept for a while, so that access tokens are refused.
///
/// If the first batch does not delete all rows, a job deletes the rest ([`super::apply_revocations::apply`]).
/// Until then the row of the client stays as the target of the foreign keys. This server and Storyden
/// accept nothing from that row: the client id is replaced, and secret, owner, grant types, scopes, and
/// redirect URIs are removed.
pub async fn delete(tx: &mut Tx, id: &ClientRowId, now: Timestamp) -> Result<bool> {
    if !lock(tx, id).await? {
        return Ok(false);
    }
    revocation::end_grants_of_client(tx, id, now).await?;
    tx.execute(
        "DELETE FROM auth_clients WHERE client_id = $1",
        &[id.into()],
    )
    .await?;
    client_errors::delete_of(tx, id).await?;
    if delete_rows(tx, id).await? < BATCH.unsigned_abs() {
        let sql = "DELETE FROM oauth_clients WHERE id = $1";
        return Ok(tx.execute(sql, &[id.into()]).await? > 0);
    }
    let nothing = || Value::names([]);
    tx.execute(
        "UPDATE oauth_clients SET client_id = 'deleted:' || id, client_secret_hash = NULL, \
         account_id = NULL, redirect_uris = $3, allowed_scopes = $4, allowed_grants = $5, \
         updated_at = $2 WHERE id = $1",
        &[id.into(), now.into(), nothing(), nothing(), nothing()],
    )
    .await?;
    let target = Target::of_client(id);
    open_revocations::insert(tx, open_revocations::CLIENT, &target, "client_deleted", now).await?;
    Ok(true)
}

/// Deletes a batch of rows of a deleted client, and the client's row with the last batch. Returns the
/// number of deleted rows.
pub(super) async fn delete_batch(db: &Db, id: ClientRowId) -> Result<u64> {
    const ROW: Sql = sql!(
        "DELETE FROM oauth_clients AS c WHERE c.id = $1 AND NOT (",
        IS_NOT_DELETED,
        ")"
    );
    db.write(id, |tx, id| {
        Box::pin(async move {
            let deleted = delete_rows(tx, id).await?;
            if deleted >= BATCH.unsigned_abs() {
                return Ok(deleted);
            }
            Ok(deleted + tx.execute(ROW, &[id.into()]).await?)
        })
    })
    .await
}

/// Rows that reference a client.
struct Dependents {
    /// Selects the ids of at most `$2` rows of the client `$1`.
    select: &'static str,
    /// Deletes the rows with an id in the JSON list `$1`, after the rows that reference these.
    delete: &'static [Sql],
}

const DEPENDENTS: &[Dependents] = &[
    Dependents {
        select: "SELECT id FROM auth_consents WHERE client_id = $1 LIMIT $2",
        delete: &[delete_by_id::CONSENTS],
    },
    Dependents {
        select: "SELECT request_id_hash AS id FROM auth_pending_requests WHERE client_id = $1 LIMIT $2",
        delete: &[delete_by_id::PENDING_REQUESTS],
    },
    Dependents {
        select: "SELECT id FROM oauth_authorisation_requests WHERE client_id = $1 LIMIT $2",
        delete: &[
            delete_by_id::REQUEST_DETAILS,
            delete_by_id::SHOWN_CONSENTS,
            delete_by_id::REQUESTS,
        ],
    },
    Dependents {
        select: "SELECT id FROM oauth_authorisation_codes WHERE client_id = $1 LIMIT $2",
        delete: &[delete_by_id::CODES],
    },
    Dependents {
        select: "SELECT id FROM oauth_device_authorisations WHERE client_id = $1 LIMIT $2",
        delete: &[
            delete_by_id::DEVICE_ORIGINS,
            delete_by_id::SHOWN_CONSENTS,
            delete_by_id::DEVICES,
        ],
    },
    Dependents {
        select: "SELECT id FROM oauth_refresh_tokens WHERE client_id = $1 LIMIT $2",
        delete: &[delete_by_id::MEMBERSHIPS, delete_by_id::REFRESH_TOKENS],
    },
];

/// Deletes up to [`BATCH`] rows that reference a client. A smaller result means that no rows are left.
async fn delete_rows(tx: &mut Tx, id: &ClientRowId) -> Result<u64> {
    let mut left = BATCH;
    for Dependents { select, delete } in DEPENDENTS {
        let rows: Vec<String> = tx.fetch_all(*select, &[id.into(), left.into()]).await?;
        if rows.is_empty() {
            continue;
        }
        let ids = Value::names(rows.iter().map(String::as_str));
        for sql in *delete {
            tx.execute(*sql, std::slice::from_ref(&ids)).await?;
        }
        left -= i64::try_from(rows.len()).unwrap_or(left);
        if left <= 0 {
            break;
        }
    }
    Ok((BATCH - left).unsigned_abs())
}
