//! Browser sessions: `sessions`.

use super::accounts::{Account, AccountColumns, account_columns, account_roles};
use super::db::{Db, Tx};
use super::error::Result;
use super::row::row;
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::{AccountId, SessionId};
use crate::secret::SecretHash;

/// Maximum number of tokens looked up at once, the number of placeholders in [`find`].
pub const TOKENS_MAX: usize = 8;

/// A live session with the account.
#[derive(Clone, Debug)]
pub struct Session {
    /// The session.
    pub id: SessionId,
    /// Time of the sign-in.
    pub created_at: Timestamp,
    /// The account, with current permissions.
    pub account: Account,
}

struct SessionRow {
    session_id: SessionId,
    session_token_hash: String,
    session_created_at: Timestamp,
    session_expires_at: Timestamp,
    account: AccountColumns,
}

row!(SessionRow: session_id, session_token_hash, session_created_at, session_expires_at; account);

/// Finds the session of the first token with a session that is neither expired nor revoked. Tokens
/// beyond [`TOKENS_MAX`] are ignored.
pub async fn find(db: &Db, tokens: &[SecretHash], now: Timestamp) -> Result<Option<Session>> {
    const SQL: &str = concat!(
        "SELECT x.id AS session_id, x.token_hash AS session_token_hash, \
         x.created_at AS session_created_at, x.expires_at AS session_expires_at, ",
        account_columns!(),
        " FROM sessions x JOIN accounts a ON a.id = x.account_id ",
        account_roles!(),
        " WHERE x.token_hash IN ($1, $2, $3, $4, $5, $6, $7, $8) AND x.revoked_at IS NULL"
    );
    let Some(first) = tokens.first() else {
        return Ok(None);
    };
    // The same statement for any number of tokens: the first token fills the unused placeholders.
    let places: [Value; TOKENS_MAX] =
        std::array::from_fn(|place| tokens.get(place).unwrap_or(first).into());
    let rows: Vec<SessionRow> = db.fetch_all(SQL, &places).await?;
    Ok(tokens.iter().find_map(|token| live(&rows, token, now)))
}

/// Builds the session of a token from the joined rows, if the session is live.
fn live(rows: &[SessionRow], token: &SecretHash, now: Timestamp) -> Option<Session> {
    let of_token = |row: &&SessionRow| {
        row.session_token_hash == token.as_str() && row.session_expires_at > now
    };
    let row = rows.iter().find(of_token)?;
    let account = Account::from_rows(rows.iter().filter(of_token).map(|row| &row.account))?;
    Some(Session {
        id: row.session_id.clone(),
        created_at: row.session_created_at,
        account,
    })
}

/// A new session.
pub struct NewSession {
    /// Row id.
    pub id: SessionId,
    /// Hash of the cookie.
    pub token: SecretHash,
    /// The account.
    pub account: AccountId,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Expiry.
    pub expires_at: Timestamp,
}

/// Inserts a session.
pub async fn insert(tx: &mut Tx, new: &NewSession) -> Result<()> {
    tx.execute(
        "INSERT INTO sessions (id, created_at, token_hash, expires_at, account_id) \
         VALUES ($1, $2, $3, $4, $5)",
        &[
            (&new.id).into(),
            new.created_at.into(),
            (&new.token).into(),
            new.expires_at.into(),
            (&new.account).into(),
        ],
    )
    .await?;
    Ok(())
}

/// An ended session with the account.
#[derive(Clone, Debug)]
pub struct EndedSession {
    /// The session.
    pub id: SessionId,
    /// The account.
    pub account_id: AccountId,
}

row!(EndedSession: id, account_id);

/// Ends a session on all replicas; `None` if already ended.
pub async fn revoke(
    tx: &mut Tx,
    token: &SecretHash,
    now: Timestamp,
) -> Result<Option<EndedSession>> {
    tx.fetch_optional(
        "UPDATE sessions SET revoked_at = $2 WHERE token_hash = $1 AND revoked_at IS NULL \
         RETURNING id, account_id",
        &[token.into(), now.into()],
    )
    .await
}

/// A live session in the member's list.
#[derive(Clone, Debug)]
pub struct ListedSession {
    /// The session.
    pub id: SessionId,
    /// Time of the sign-in.
    pub created_at: Timestamp,
    /// Expiry.
    pub expires_at: Timestamp,
}

row!(ListedSession: id, created_at, expires_at);

/// Lists the live sessions of an account, newest first.
pub async fn list(db: &Db, account: &AccountId, now: Timestamp) -> Result<Vec<ListedSession>> {
    let sql = db.pick(
        "SELECT id, created_at, expires_at FROM sessions WHERE account_id = $1 \
         AND revoked_at IS NULL AND julianday(expires_at) > julianday($2) \
         ORDER BY julianday(created_at) DESC, id DESC LIMIT 1000",
        "SELECT id, created_at, expires_at FROM sessions WHERE account_id = $1 \
         AND revoked_at IS NULL AND expires_at > $2 \
         ORDER BY created_at DESC, id DESC LIMIT 1000",
    );
    db.fetch_all(sql, &[account.into(), now.into()]).await
}

/// Ends a session of an account; returns false if the session was not live.
pub async fn revoke_one(
    tx: &mut Tx,
    account: &AccountId,
    id: &SessionId,
    now: Timestamp,
) -> Result<bool> {
    let ended = tx
        .execute(
            "UPDATE sessions SET revoked_at = $3 \
             WHERE id = $1 AND account_id = $2 AND revoked_at IS NULL",
            &[id.into(), account.into(), now.into()],
        )
        .await?;
    Ok(ended > 0)
}

/// Ends every session of an account except `keep`.
pub async fn revoke_all(
    tx: &mut Tx,
    account: &AccountId,
    keep: Option<&SessionId>,
    now: Timestamp,
) -> Result<u64> {
    let keep = keep.map(|id| id.as_str().to_owned());
    tx.execute(
        "UPDATE sessions SET revoked_at = $3 \
         WHERE account_id = $1 AND ($2 IS NULL OR id <> $2) AND revoked_at IS NULL",
        &[account.into(), keep.into(), now.into()],
    )
    .await
}

/// Locks a live session until the end of the transaction. A concurrent sign-out of all sessions waits,
/// and then also ends the rows that this transaction writes. Returns false if the session was revoked.
pub async fn lock_row(tx: &mut Tx, id: &SessionId) -> Result<bool> {
    let sql = tx.pick(
        "SELECT id FROM sessions WHERE id = $1 AND revoked_at IS NULL", // the transaction is the lock
        "SELECT id FROM sessions WHERE id = $1 AND revoked_at IS NULL FOR SHARE",
    );
    let held: Option<SessionId> = tx.fetch_optional(sql, &[id.into()]).await?;
    Ok(held.is_some())
}
