//! Browser sessions: `sessions`.

use super::accounts::{Account, AccountColumns, account_columns, account_roles};
use super::db::{Db, Tx};
use super::error::Result;
use crate::clock::Timestamp;
use crate::ids::{AccountId, SessionId};
use crate::secret::SecretHash;

/// A live session and who it belongs to.
#[derive(Clone, Debug)]
pub struct Session {
    /// The session.
    pub id: SessionId,
    /// When its holder signed in.
    pub created_at: Timestamp,
    /// Who that is, and what they hold now.
    pub account: Account,
}

#[derive(sqlx::FromRow)]
struct SessionRow {
    session_id: SessionId,
    session_created_at: Timestamp,
    session_expires_at: Timestamp,
    #[sqlx(flatten)]
    account: AccountColumns,
}

/// The session of a cookie, unless it has expired or was revoked.
pub async fn find(db: &Db, token: &SecretHash, now: Timestamp) -> Result<Option<Session>> {
    const SQL: &str = concat!(
        "SELECT x.id AS session_id, x.created_at AS session_created_at, \
         x.expires_at AS session_expires_at, ",
        account_columns!(),
        " FROM sessions x JOIN accounts a ON a.id = x.account_id ",
        account_roles!(),
        " WHERE x.token_hash = $1 AND x.revoked_at IS NULL"
    );
    let rows: Vec<SessionRow> = db.fetch_all(SQL, &[token.into()]).await?;
    let account = Account::from_rows(rows.iter().map(|row| &row.account));
    let (Some(row), Some(account)) = (rows.into_iter().next(), account) else {
        return Ok(None);
    };
    let session = Session {
        id: row.session_id,
        created_at: row.session_created_at,
        account,
    };
    Ok((row.session_expires_at > now).then_some(session))
}

/// A new session.
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// The hash of its cookie.
    pub token: SecretHash,
    /// Whose it is.
    pub account: AccountId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Makes a session.
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

/// A session that was ended, and whose it was.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct EndedSession {
    /// The session.
    pub id: SessionId,
    /// Whose it was.
    pub account_id: AccountId,
}

/// Ends a session, at once and everywhere; nothing when it was ended before.
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
