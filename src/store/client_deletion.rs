//! Deletion of clients with all rows that reference the client, in batches.

use super::clients::{is_not_deleted, lock};
use super::db::{Db, Tx};
use super::error::Result;
use super::open_revocations::{self, BATCH, Target};
use super::revocation;
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::ClientRowId;

/// Deletes a client with all requests, codes, device authorizations, and refresh tokens. False if there
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
    db.write(id, |tx, id| {
        Box::pin(async move {
            let deleted = delete_rows(tx, id).await?;
            if deleted >= BATCH.unsigned_abs() {
                return Ok(deleted);
            }
            let sql = concat!(
                "DELETE FROM oauth_clients WHERE id = $1 AND NOT (",
                is_not_deleted!("oauth_clients"),
                ")"
            );
            Ok(deleted + tx.execute(sql, &[id.into()]).await?)
        })
    })
    .await
}

/// Deletes up to [`BATCH`] rows that reference a client. A smaller result means that no rows are left.
async fn delete_rows(tx: &mut Tx, id: &ClientRowId) -> Result<u64> {
    /// A `DELETE` of the rows with an id in the JSON list `$1`.
    macro_rules! delete {
        ($table:literal, $key:literal) => {
            [
                concat!(
                    "DELETE FROM ",
                    $table,
                    " WHERE ",
                    $key,
                    " IN (SELECT value FROM json_each(CAST($1 AS TEXT)))"
                ),
                concat!(
                    "DELETE FROM ",
                    $table,
                    " WHERE ",
                    $key,
                    " IN (SELECT jsonb_array_elements_text($1))"
                ),
            ]
        };
    }
    const DEVICE_ORIGINS: [&str; 2] = delete!("auth_device_origins", "device_id");
    const DEVICES: [&str; 2] = delete!("oauth_device_authorisations", "id");
    const MEMBERSHIPS: [&str; 2] = delete!("auth_refresh_tokens", "token_id");
    const TOKENS: [&str; 2] = delete!("oauth_refresh_tokens", "id");
    const DETAILS: [&str; 2] = delete!("auth_request_details", "request_id");
    const SHOWN: [&str; 2] = delete!("auth_shown_consents", "request_id");
    const REQUESTS: [&str; 2] = delete!("oauth_authorisation_requests", "id");
    const CODES: [&str; 2] = delete!("oauth_authorisation_codes", "id");
    const PENDING: [&str; 2] = delete!("auth_pending_requests", "request_id_hash");
    let kinds: [(&'static str, &[[&'static str; 2]]); 5] = [
        (
            "SELECT request_id_hash AS id FROM auth_pending_requests WHERE client_id = $1 LIMIT $2",
            &[PENDING],
        ),
        (
            "SELECT id FROM oauth_authorisation_requests WHERE client_id = $1 LIMIT $2",
            &[DETAILS, SHOWN, REQUESTS],
        ),
        (
            "SELECT id FROM oauth_authorisation_codes WHERE client_id = $1 LIMIT $2",
            &[CODES],
        ),
        (
            "SELECT id FROM oauth_device_authorisations WHERE client_id = $1 LIMIT $2",
            &[DEVICE_ORIGINS, SHOWN, DEVICES],
        ),
        (
            "SELECT id FROM oauth_refresh_tokens WHERE client_id = $1 LIMIT $2",
            &[MEMBERSHIPS, TOKENS],
        ),
    ];
    let mut left = BATCH;
    for (select, deletes) in kinds {
        let rows: Vec<String> = tx.fetch_all(select, &[id.into(), left.into()]).await?;
        if rows.is_empty() {
            continue;
        }
        let ids = Value::names(rows.iter().map(String::as_str));
        for [sqlite, postgres] in deletes {
            let sql = tx.pick(sqlite, postgres);
            tx.execute(sql, std::slice::from_ref(&ids)).await?;
        }
        left -= i64::try_from(rows.len()).unwrap_or(left);
        if left <= 0 {
            break;
        }
    }
    Ok((BATCH - left).unsigned_abs())
}
