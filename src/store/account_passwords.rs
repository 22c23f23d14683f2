//! Passwords of accounts: rows of `authentications` with the service `password`.

use super::db::{Db, Tx};
use super::error::Result;
use super::row::row;
use super::sql::{Sql, sql};
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::{AccountId, xid};

/// The stored password hash of an account, for the check at sign-in.
pub struct PasswordRow {
    /// Account id.
    pub account_id: AccountId,
    /// The Argon2id hash.
    pub password_hash: String,
    /// Time of suspension, if the account is suspended.
    pub deleted_at: Option<Timestamp>,
}

row!(PasswordRow: account_id, password_hash, deleted_at);

const FIND: Sql = Sql::same(
    "SELECT a.id AS account_id, p.token AS password_hash, a.deleted_at \
     FROM accounts a JOIN authentications p ON p.account_authentication = a.id ",
);

const AND_ENABLED: Sql = Sql::same("AND p.service = 'password' AND NOT p.disabled");

/// Finds the password of an account by handle, or by e-mail address if the text contains `@`.
pub async fn find(db: &Db, identifier: &str) -> Result<Option<PasswordRow>> {
    const BY_ADDRESS: Sql = sql!(
        FIND,
        "JOIN emails e ON e.account_id = a.id WHERE lower(e.email_address) = $1 ",
        AND_ENABLED
    );
    const BY_HANDLE: Sql = sql!(FIND, "WHERE a.handle = $1 ", AND_ENABLED);
    let sql = if identifier.contains('@') {
        BY_ADDRESS
    } else {
        BY_HANDLE
    };
    db.fetch_optional(sql, &[identifier.to_lowercase().into()])
        .await
}

/// Finds the password of an account by id.
pub async fn find_by_id(db: &Db, id: &AccountId) -> Result<Option<PasswordRow>> {
    const BY_ID: Sql = sql!(FIND, "WHERE a.id = $1 ", AND_ENABLED);
    db.fetch_optional(BY_ID, &[id.into()]).await
}

/// Locks a password (`FOR SHARE`) until the end of the transaction. False if `hash` is no longer the
/// stored hash: a password change that committed first makes this check fail, and a later change waits
///
pub async fn lock(tx: &mut Tx, id: &AccountId, hash: &str) -> Result<bool> {
    const SQL: Sql = sql!(
        "SELECT id FROM authentications WHERE account_authentication = $1 \
         AND service = 'password' AND token = $2 AND NOT disabled",
        ("", " FOR SHARE")
    );
    let held: Option<String> = tx.fetch_optional(SQL, &[id.into(), hash.into()]).await?;
    Ok(held.is_some())
}

/// Sets or replaces the password of an account.
pub async fn set(tx: &mut Tx, id: &AccountId, hash: &str, now: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO authentications (id, created_at, service, token_type, identifier, token, \
         disabled, metadata, account_authentication) \
         VALUES ($1, $2, 'password', 'password_hash', $3, $4, $5, $6, $3) \
         ON CONFLICT (service, identifier, account_authentication) \
         DO UPDATE SET token = excluded.token, disabled = excluded.disabled",
        &[
            xid(now).into(),
            now.into(),
            id.into(),
            hash.into(),
            false.into(),
            Value::Json(serde_json::Value::Null),
        ],
    )
    .await?;
    Ok(())
}

/// Replaces a password by compare and set: `old` is the stored hash that was checked. False if the
/// stored hash has changed since then, so that of two concurrent changes with the same old password
/// only the first succeeds.
pub async fn replace(tx: &mut Tx, id: &AccountId, old: &str, new: &str) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE authentications SET token = $3 WHERE account_authentication = $1 \
             AND service = 'password' AND token = $2 AND NOT disabled",
            &[id.into(), old.into(), new.into()],
        )
        .await?;
    Ok(changed > 0)
}
