//! Open revocations, `auth_revocations`: revocations with rows that are not updated yet, and the SQL
//! conditions that every check of a grant, code, device authorization, authorization request or refresh
//! token includes.
//!
//! Each row inserted by this server stores the number of the newest revocation at that time, so that
//! "inserted before" does not depend on clocks: the inserting transaction first locks the client and
//! the account ([`super::client_locks::hold`]), and a revocation locks the same rows before taking a number.
//! A row inserted by a Storyden has no number and is compared by time.

use time::Duration;

use super::db::{Db, Tx};
use super::error::Result;
use super::row::row;
use super::sql::{Sql, sql};
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId, SessionId};

/// Allowed clock skew of a Storyden that shares the database: a row that a Storyden inserts up to this
/// long after a revocation counts as inserted before.
const CLOCK_SKEW: Duration = Duration::seconds(5);

/// Maximum number of rows of a kind that a transaction updates or deletes.
pub(super) const BATCH: i64 = 200;

/// Maximum number of rows of a kind that a response counts.
pub(super) const COUNTED: i64 = 100_000;

/// The grants to revoke. Without an account and a client the target would cover all grants, so every
/// caller sets at least `account` or `client`.
#[derive(Clone, Debug)]
pub struct Target {
    /// The account that approved.
    pub account: Option<AccountId>,
    /// The client that received the grants.
    pub client: Option<ClientRowId>,
}

impl Target {
    /// Targets everything that an account approved.
    #[must_use]
    pub fn of_account(account: &AccountId) -> Self {
        Self {
            account: Some(account.clone()),
            client: None,
        }
    }

    /// Targets everything that was granted to a client.
    #[must_use]
    pub fn of_client(client: &ClientRowId) -> Self {
        Self {
            account: None,
            client: Some(client.clone()),
        }
    }
}

/// Begins a condition: there is an open revocation `v` of the kind that follows.
const OPEN: Sql =
    Sql::same("EXISTS (SELECT 1 FROM auth_revocations v WHERE v.done_at IS NULL AND v.kind = ");

/// Condition: the grant `g` is revoked. Each condition compares the revocation number of the row or, for a
/// row without a number, the time.
pub(super) const GRANT_ENDED: Sql = sql!(
    "(g.revoked_at IS NOT NULL OR ",
    OPEN,
    "CASE WHEN g.client_credentials THEN 'own_grant' ELSE 'grant' END \
     AND (v.account_id IS NULL OR v.account_id = g.account_id) \
     AND (v.client_id IS NULL OR v.client_id = g.client_id) \
     AND COALESCE(g.revocation_id < v.id, ",
    (
        "julianday(g.created_at) <= julianday(v.cut_off)",
        "g.created_at <= v.cut_off"
    ),
    ")))"
);

/// Condition: the grant of the refresh token `t` is revoked or, for a token without a grant (issued by a
/// Storyden), an open revocation covers the token.
pub(super) const REFRESH_TOKEN_ENDED: Sql = sql!(
    "COALESCE((SELECT ",
    GRANT_ENDED,
    " FROM auth_refresh_tokens tm JOIN auth_grants g ON g.id = tm.grant_id WHERE tm.token_id = t.id), ",
    OPEN,
    "'refresh_token' AND (v.account_id IS NULL OR v.account_id = t.account_id) \
     AND (v.client_id IS NULL OR v.client_id = t.client_id) AND COALESCE(NULL < v.id, ",
    (
        "julianday(t.created_at) <= julianday(v.cut_off)",
        "t.created_at <= v.cut_off"
    ),
    ")))"
);

/// Condition: an open revocation covers the authorization code `k`.
pub(super) const CODE_ENDED: Sql = sql!(
    OPEN,
    "'code' AND (v.account_id IS NULL OR v.account_id = k.account_id) \
     AND (v.client_id IS NULL OR v.client_id = k.client_id) \
     AND COALESCE((SELECT kd.revocation_id FROM auth_request_details kd WHERE kd.code_id = k.id) < v.id, ",
    (
        "julianday(k.created_at) <= julianday(v.cut_off)",
        "k.created_at <= v.cut_off"
    ),
    "))"
);

/// Condition: an open revocation covers the approval of the device authorization `d`.
pub(super) const DEVICE_ENDED: Sql = sql!(
    OPEN,
    "'device' AND (v.account_id IS NULL OR v.account_id = d.approved_by_account_id) \
     AND (v.client_id IS NULL OR v.client_id = d.client_id) \
     AND COALESCE((SELECT dd.revocation_id FROM auth_device_origins dd WHERE dd.device_id = d.id) < v.id, ",
    (
        "julianday(d.approved_at) <= julianday(v.cut_off)",
        "d.approved_at <= v.cut_off"
    ),
    "))"
);

/// Condition: an open revocation covers the authorization request `q`.
pub(super) const REQUEST_ENDED: Sql = sql!(
    OPEN,
    "'request' AND (v.account_id IS NULL OR v.account_id = q.account_id) \
     AND (v.client_id IS NULL OR v.client_id = q.client_id) \
     AND COALESCE((SELECT qd.revocation_id FROM auth_request_details qd WHERE qd.request_id = q.id) < v.id, ",
    (
        "julianday(q.created_at) <= julianday(v.cut_off)",
        "q.created_at <= v.cut_off"
    ),
    "))"
);

/// Condition: an open revocation of all sessions of an account covers the session `x`. Sessions have no
/// revocation number. Instead, the transaction that opens the revocation revokes the newest sessions, and
/// `cut_off` is the creation time of the oldest of these ([`super::sessions::revoke_all`]).
pub(super) const SESSION_ENDED: Sql = sql!(
    OPEN,
    "'session' AND v.account_id = x.account_id AND (v.session_id IS NULL OR v.session_id <> x.id) AND ",
    (
        "julianday(x.created_at) <= julianday(v.cut_off)",
        "x.created_at <= v.cut_off"
    ),
    ")"
);

/// Expression: the revocation number to store in a new row.
pub(super) const NEWEST_REVOCATION: Sql =
    Sql::same("(SELECT COALESCE(MAX(nv.id), 0) FROM auth_revocations nv)");

/// An open revocation.
#[derive(Clone, Debug)]
pub(super) struct OpenRevocation {
    pub(super) id: i64,
    /// The name of a row kind, or [`CLIENT`].
    pub(super) kind: String,
    account_id: Option<AccountId>,
    client_id: Option<ClientRowId>,
    pub(super) because: String,
    /// Time of the revocation, written to the updated rows.
    pub(super) created_at: Timestamp,
}

row!(OpenRevocation: id, kind, account_id, client_id, because, created_at);

/// The kind of a client deletion: covers the client's row and all dependent rows.
pub(super) const CLIENT: &str = "client";

/// The kind of a sign-out: covers all sessions of an account except `session_id`.
pub(super) const SESSION: &str = "session";

impl OpenRevocation {
    pub(super) fn target(&self) -> Target {
        Target {
            account: self.account_id.clone(),
            client: self.client_id.clone(),
        }
    }
}

/// Opens a revocation. From the commit on, every covered row counts as revoked.
pub(super) async fn insert(
    tx: &mut Tx,
    kind: &'static str,
    target: &Target,
    because: &str,
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_revocations (kind, account_id, client_id, because, created_at, cut_off) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            kind.into(),
            target.account.as_ref().into(),
            target.client.as_ref().into(),
            because.into(),
            now.into(),
            (now + CLOCK_SKEW).into(),
        ],
    )
    .await?;
    Ok(())
}

/// Opens a revocation of the sessions of an account created until `cut_off`, except `keep`.
pub(super) async fn insert_sessions(
    tx: &mut Tx,
    account: &AccountId,
    keep: Option<&SessionId>,
    cut_off: Timestamp,
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_revocations (kind, account_id, session_id, because, created_at, cut_off) \
         VALUES ($1, $2, $3, 'sessions_ended', $4, $5)",
        &[
            SESSION.into(),
            account.into(),
            keep.into(),
            now.into(),
            cut_off.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Lists the open revocations, oldest first, so that grants are updated before the refresh tokens of
/// the grants.
pub(super) async fn list(db: &Db) -> Result<Vec<OpenRevocation>> {
    db.fetch_all(
        "SELECT id, kind, account_id, client_id, because, created_at FROM auth_revocations \
         WHERE done_at IS NULL ORDER BY id",
        &[],
    )
    .await
}

/// Closes a revocation after the update of the last covered row.
pub(super) async fn close(db: &Db, id: i64, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE auth_revocations SET done_at = $2 WHERE id = $1",
        vec![id.into(), now.into()],
    )
    .await?;
    Ok(())
}
