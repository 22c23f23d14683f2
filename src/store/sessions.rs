//! Browser sessions: `sessions`.

use super::accounts::{ACCOUNT_COLUMNS, ACCOUNT_ROLES, Account, AccountColumns};
use super::db::{Db, Tx};
use super::error::Result;
use super::open_revocations::{self, BATCH, COUNTED, SESSION_ENDED};
use super::origins::{Origin, StoredOrigin};
use super::row::row;
use super::sql::{IDS, Sql, sql};
use super::value::{Flag, Value};
use crate::clock::Timestamp;
use crate::ids::{AccountId, SessionId};
use crate::oauth::sign_in_method::SignInMethod;
use crate::secret::SecretHash;

/// Maximum number of tokens looked up at once, the number of placeholders in `rows_of`.
pub const TOKENS_MAX: usize = 8;

/// A live session with the account.
#[derive(Clone, Debug)]
pub struct Session {
    /// The session.
    pub id: SessionId,
    /// Time of the sign-in.
    pub created_at: Timestamp,
    /// The way of the sign-in; `None` for a session from Storyden or from a command.
    pub method: Option<SignInMethod>,
    /// The last recorded use; `None` without a record.
    pub last_used_at: Option<Timestamp>,
    /// Expiry.
    pub expires_at: Timestamp,
    /// The account, with current permissions.
    pub account: Account,
}

struct SessionRow {
    session_id: SessionId,
    session_token_hash: String,
    session_created_at: Timestamp,
    session_expires_at: Timestamp,
    session_method: Option<String>,
    session_last_used_at: Option<Timestamp>,
    account: AccountColumns,
}

row!(SessionRow:
    session_id, session_token_hash, session_created_at, session_expires_at, session_method,
    session_last_used_at; account
);

/// Finds the session of the first token with a session that is neither expired nor revoked. Tokens
/// beyond [`TOKENS_MAX`] are ignored.
pub async fn find(db: &Db, tokens: &[SecretHash], now: Timestamp) -> Result<Option<Session>> {
    let rows = rows_of(db, tokens).await?;
    Ok(tokens.iter().find_map(|token| live(&rows, token, now)))
}

/// Finds the live session of each token, `None` for a token without. Tokens beyond [`TOKENS_MAX`] are ignored.
pub async fn find_each(
    db: &Db,
    tokens: &[SecretHash],
    now: Timestamp,
) -> Result<Vec<Option<Session>>> {
    let rows = rows_of(db, tokens).await?;
    Ok(tokens.iter().map(|token| live(&rows, token, now)).collect())
}

/// Reads the sessions of some tokens that are not revoked, a row per role of the account.
async fn rows_of(db: &Db, tokens: &[SecretHash]) -> Result<Vec<SessionRow>> {
    const SQL: Sql = sql!(
        "SELECT x.id AS session_id, x.token_hash AS session_token_hash, \
         x.created_at AS session_created_at, x.expires_at AS session_expires_at, \
         n.method AS session_method, n.last_used_at AS session_last_used_at, ",
        ACCOUNT_COLUMNS,
        " FROM sessions x JOIN accounts a ON a.id = x.account_id \
         LEFT JOIN auth_sessions n ON n.session_id = x.id ",
        ACCOUNT_ROLES,
        " WHERE x.token_hash IN ($1, $2, $3, $4, $5, $6, $7, $8) AND x.revoked_at IS NULL \
         AND NOT ",
        SESSION_ENDED
    );
    let Some(first) = tokens.first() else {
        return Ok(Vec::new());
    };
    // The same statement for any number of tokens: the first token fills the unused placeholders.
    let places: [Value; TOKENS_MAX] =
        std::array::from_fn(|place| tokens.get(place).unwrap_or(first).into());
    db.fetch_all(SQL, &places).await
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
        method: row
            .session_method
            .as_deref()
            .and_then(SignInMethod::from_name),
        last_used_at: row.session_last_used_at,
        expires_at: row.session_expires_at,
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
    /// The sign-in; `None` for a command.
    pub sign_in: Option<NewSignIn>,
}

/// The sign-in of a new session.
pub struct NewSignIn {
    /// The way of the sign-in.
    pub method: SignInMethod,
    /// The browser.
    pub origin: Origin,
    /// True if the browser had not signed in to the account before.
    pub is_unknown_browser: bool,
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
    if let Some(sign_in) = &new.sign_in {
        tx.execute(
            "INSERT INTO auth_sessions (session_id, method, address, user_agent, last_used_at, \
             unknown_browser) VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                (&new.id).into(),
                Some(sign_in.method).into(),
                sign_in.origin.address.to_string().as_str().into(),
                sign_in.origin.user_agent.clone().into(),
                new.created_at.into(),
                sign_in.is_unknown_browser.into(),
            ],
        )
        .await?;
    }
    Ok(())
}

/// Records the last use of a session.
pub async fn record_use(db: &Db, id: &SessionId, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE auth_sessions SET last_used_at = $2 WHERE session_id = $1",
        vec![id.into(), now.into()],
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
    /// The last recorded use.
    pub last_used_at: Option<Timestamp>,
    /// The browser.
    pub origin: StoredOrigin,
    /// True if the browser had not signed in to the account before.
    pub is_unknown_browser: bool,
}

struct ListedRow {
    id: SessionId,
    created_at: Timestamp,
    expires_at: Timestamp,
    last_used_at: Option<Timestamp>,
    address: Option<String>,
    user_agent: Option<String>,
    unknown_browser: Flag,
}

row!(ListedRow: id, created_at, expires_at, last_used_at, address, user_agent, unknown_browser);

/// Lists the live sessions of an account, newest first.
pub async fn list(db: &Db, account: &AccountId, now: Timestamp) -> Result<Vec<ListedSession>> {
    const SQL: Sql = sql!(
        "SELECT x.id, x.created_at, x.expires_at, n.last_used_at, n.address, n.user_agent, \
         COALESCE(n.unknown_browser, false) AS unknown_browser FROM sessions x \
         LEFT JOIN auth_sessions n ON n.session_id = x.id WHERE x.account_id = $1 \
         AND x.revoked_at IS NULL AND ",
        (
            "julianday(x.expires_at) > julianday($2)",
            "x.expires_at > $2"
        ),
        " AND NOT ",
        SESSION_ENDED,
        " ORDER BY ",
        ("julianday(x.created_at)", "x.created_at"),
        " DESC, x.id DESC LIMIT 1000"
    );
    let rows: Vec<ListedRow> = db.fetch_all(SQL, &[account.into(), now.into()]).await?;
    let listed = |row: ListedRow| ListedSession {
        id: row.id,
        created_at: row.created_at,
        expires_at: row.expires_at,
        last_used_at: row.last_used_at,
        origin: StoredOrigin {
            address: row.address,
            user_agent: row.user_agent,
            device_name: None,
        },
        is_unknown_browser: row.unknown_browser.0,
    };
    Ok(rows.into_iter().map(listed).collect())
}

/// Ends a session of an account; returns false if the session was not live.
pub async fn revoke_one(
    tx: &mut Tx,
    account: &AccountId,
    id: &SessionId,
    now: Timestamp,
) -> Result<bool> {
    const SQL: Sql = sql!(
        "UPDATE sessions AS x SET revoked_at = $3 \
         WHERE x.id = $1 AND x.account_id = $2 AND x.revoked_at IS NULL AND NOT ",
        SESSION_ENDED
    );
    let ended = tx
        .execute(SQL, &[id.into(), account.into(), now.into()])
        .await?;
    Ok(ended > 0)
}

/// Counts the sessions that a revocation of all would revoke, up to 100,000.
pub async fn count_open(db: &Db, account: &AccountId, keep: Option<&SessionId>) -> Result<u64> {
    const SQL: Sql = sql!(
        "SELECT COUNT(*) AS n FROM (SELECT 1 FROM sessions x WHERE x.account_id = $1 \
         AND ($2 IS NULL OR x.id <> $2) AND x.revoked_at IS NULL AND NOT ",
        SESSION_ENDED,
        " LIMIT $3) y"
    );
    let parameters = [account.into(), keep.into(), COUNTED.into()];
    let total: i64 = db.fetch_one(SQL, &parameters).await?;
    Ok(total.unsigned_abs())
}

struct OpenRow {
    id: SessionId,
    created_at: Timestamp,
}
row!(OpenRow: id, created_at);

/// Revokes all sessions of an account except `keep`: updates the newest [`BATCH`] rows, and opens a
/// revocation for older sessions, which every check of a session reads. The caller has locked the account.
/// Returns the number of updated rows.
pub(super) async fn revoke_all(
    tx: &mut Tx,
    account: &AccountId,
    keep: Option<&SessionId>,
    now: Timestamp,
) -> Result<u64> {
    const NEWEST: Sql = sql!(
        "SELECT x.id, x.created_at FROM sessions x WHERE x.account_id = $1 \
         AND ($2 IS NULL OR x.id <> $2) AND x.revoked_at IS NULL ORDER BY ",
        (
            "julianday(x.created_at) DESC LIMIT $3",
            "x.created_at DESC LIMIT $3 FOR UPDATE"
        )
    );
    const END: Sql = sql!(
        "UPDATE sessions SET revoked_at = $2 WHERE id IN ",
        IDS,
        " AND revoked_at IS NULL"
    );
    let parameters = [account.into(), keep.into(), BATCH.into()];
    let rows: Vec<OpenRow> = tx.fetch_all(NEWEST, &parameters).await?;
    let Some(oldest) = rows.last() else {
        return Ok(0);
    };
    if rows.len() as u64 >= BATCH.unsigned_abs() {
        open_revocations::insert_sessions(tx, account, keep, oldest.created_at, now).await?;
    }
    let ids = Value::names(rows.iter().map(|row| row.id.as_str()));
    tx.execute(END, &[ids, now.into()]).await
}

/// Updates a batch of the sessions that an open revocation covers. Returns the number of rows.
pub(super) async fn revoke_batch(db: &Db, account: &AccountId, at: Timestamp) -> Result<u64> {
    const SQL: Sql = sql!(
        "UPDATE sessions SET revoked_at = $2 WHERE id IN (SELECT x.id FROM sessions x \
         WHERE x.account_id = $1 AND x.revoked_at IS NULL AND ",
        SESSION_ENDED,
        " LIMIT $3) AND revoked_at IS NULL"
    );
    db.execute(SQL, vec![account.into(), at.into(), BATCH.into()])
        .await
}

/// Locks a live session until the end of the transaction. A concurrent sign-out of all sessions waits,
/// and then also ends the rows that this transaction writes. Returns false if the session was revoked.
pub async fn lock_row(tx: &mut Tx, id: &SessionId) -> Result<bool> {
    // Lock the account first, as a sign-out of all sessions does: the next statement then sees the
    // open revocation.
    const LOCK: Sql = Sql::new(
        "SELECT id FROM sessions WHERE id = $1", // the transaction is the lock
        "SELECT x.id FROM sessions x JOIN accounts a ON a.id = x.account_id WHERE x.id = $1 \
         FOR KEY SHARE OF a",
    );
    const LIVE: Sql = sql!(
        "SELECT x.id FROM sessions x WHERE x.id = $1 AND x.revoked_at IS NULL AND NOT ",
        SESSION_ENDED,
        ("", " FOR SHARE OF x")
    );
    tx.execute(LOCK, &[id.into()]).await?;
    let held: Option<SessionId> = tx.fetch_optional(LIVE, &[id.into()]).await?;
    Ok(held.is_some())
}
