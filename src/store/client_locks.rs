//! Locks on the rows of clients and accounts, held until the end of a transaction.

use super::clients::{IS_NOT_DELETED, fingerprint};
use super::db::Tx;
use super::error::Result;
use super::row::row;
use super::sql::{Sql, sql};
use super::value::JsonColumn;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId};

/// Locks a client and an account (`FOR KEY SHARE`) until the end of the transaction. Call before
/// inserting a request, code, or grant: a concurrent deletion or revocation then either waits, or is
/// visible to this transaction.
///
/// # Errors
/// [`super::Error::Gone`] if the client or the account was deleted.
pub async fn hold(tx: &mut Tx, client: &ClientRowId, account: &AccountId) -> Result<()> {
    const SQL: Sql = sql!(
        "SELECT c.id FROM oauth_clients c, accounts a WHERE c.id = $1 AND a.id = $2 AND ",
        IS_NOT_DELETED,
        ("", " FOR KEY SHARE OF c, a")
    );
    let held: Option<ClientRowId> = tx
        .fetch_optional(SQL, &[client.into(), account.into()])
        .await?;
    held.map(drop).ok_or(super::Error::Gone)
}

struct LockedClientRow {
    name: String,
    account_id: Option<AccountId>,
    redirect_uris: JsonColumn<Option<Vec<String>>>,
}

row!(LockedClientRow: name, account_id, redirect_uris);

/// Locks as [`hold`] does, and also the name, owner, and redirect URIs of the client. False if these no
/// longer match the fingerprint `shown`.
///
/// # Errors
/// [`super::Error::Gone`] if the client or the account was deleted.
pub async fn lock_as_shown(
    tx: &mut Tx,
    client: &ClientRowId,
    account: &AccountId,
    shown: &str,
) -> Result<bool> {
    const SQL: Sql = sql!(
        "SELECT c.name, c.account_id, c.redirect_uris FROM oauth_clients c, accounts a \
         WHERE c.id = $1 AND a.id = $2 AND ",
        IS_NOT_DELETED,
        ("", " FOR SHARE OF c FOR KEY SHARE OF a")
    );
    let row: Option<LockedClientRow> = tx
        .fetch_optional(SQL, &[client.into(), account.into()])
        .await?;
    let row = row.ok_or(super::Error::Gone)?;
    let redirect_uris = row.redirect_uris.0.unwrap_or_default();
    Ok(fingerprint(&row.name, row.account_id.as_ref(), &redirect_uris) == shown)
}

/// Locks a client against [`hold`] until the end of the transaction. False if there is no such client.
pub(super) async fn lock(tx: &mut Tx, id: &ClientRowId) -> Result<bool> {
    const SQL: Sql = sql!(
        "SELECT c.id FROM oauth_clients c WHERE c.id = $1 AND ",
        IS_NOT_DELETED,
        ("", " FOR UPDATE")
    );
    let row: Option<ClientRowId> = tx.fetch_optional(SQL, &[id.into()]).await?;
    Ok(row.is_some())
}

/// Sets the time of the last change and locks the row, so that the later of two concurrent changes sees
/// the earlier. False if there is no such client, or its deletion is in progress.
pub(super) async fn touch(tx: &mut Tx, id: &ClientRowId, now: Timestamp) -> Result<bool> {
    const SQL: Sql = sql!(
        "UPDATE oauth_clients AS c SET updated_at = $2 WHERE c.id = $1 AND ",
        IS_NOT_DELETED
    );
    Ok(tx.execute(SQL, &[id.into(), now.into()]).await? > 0)
}
