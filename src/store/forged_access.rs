//! End of everything that a stolen signing key may have created: with a forged access token, an attacker can
//! approve applications, create access keys and start sessions, in the name of any account.
//!
//! Tokens of the revoked key are refused by each check of a token. The rows that were created since the key
//! exists are ended here, in windows by id, so that no transaction is long. Repeating is safe.

use serde::Serialize;
use time::Duration;

use super::db::Db;
use super::error::{Error, Result};
use super::row::row;
use super::sql::{IDS, Sql, sql};
use super::value::{Flag, Value};
use crate::clock::Timestamp;

/// Allowed clock skew of a Storyden that shares the database, which also covers times in whole seconds.
const CLOCK_SKEW: Duration = Duration::seconds(5);

/// Rows read per query.
const WINDOW: i64 = 1_000;

/// Rows changed per transaction.
const BATCH: usize = 200;

/// Numbers of rows that ended or would end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthForgedAccess)]
pub struct ForgedAccess {
    /// Browser sessions.
    pub sessions: u64,
    /// Access keys.
    pub access_keys: u64,
    /// Authorization codes not exchanged yet.
    pub codes: u64,
    /// Approved device authorizations not collected by the device yet.
    pub device_authorizations: u64,
    /// Grants, with the access tokens.
    pub grants: u64,
    /// Refresh tokens.
    pub refresh_tokens: u64,
    /// Remembered consents.
    pub remembered_consents: u64,
}

/// The time in which a key could be used.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The creation of the key.
    pub since: Timestamp,
    /// The revocation of the key.
    pub until: Timestamp,
}

/// A kind of rows. In `find`, rows count from `$1` to `$5`, `$2` is the id of the last row of the window before,
/// `$3` now, and `$4` the size of a window. In `end`, `$1` is a list of ids, and `$2` now.
struct Kind {
    find: Sql,
    end: Sql,
}

struct FoundRow {
    id: String,
    due: Flag,
}

row!(FoundRow: id, due);

/// Condition: `x` was created from `$1` to `$5`.
const CREATED: Sql = Sql::new(
    "julianday(x.created_at) BETWEEN julianday($1) AND julianday($5)",
    "x.created_at BETWEEN $1 AND $5",
);

/// Condition: `x` was approved from `$1` to `$5`.
const APPROVED: Sql = Sql::new(
    "julianday(x.approved_at) BETWEEN julianday($1) AND julianday($5)",
    "x.approved_at BETWEEN $1 AND $5",
);

/// Condition: `x` expires after `$3`.
const UNEXPIRED: Sql = Sql::new(
    " AND julianday(x.expires_at) > julianday($3)",
    " AND x.expires_at > $3",
);

const SESSIONS: Kind = Kind {
    find: sql!(
        "SELECT x.id AS id, (x.revoked_at IS NULL AND ",
        CREATED,
        UNEXPIRED,
        ") AS due FROM sessions x WHERE x.id > $2 ORDER BY x.id LIMIT $4"
    ),
    end: sql!(
        "UPDATE sessions SET revoked_at = $2 WHERE revoked_at IS NULL AND id IN ",
        IDS
    ),
};

const ACCESS_KEYS: Kind = Kind {
    find: sql!(
        "SELECT x.id AS id, (x.service = 'access_key' AND NOT x.disabled AND ",
        CREATED,
        " AND (x.expires_at IS NULL OR ",
        (
            "julianday(x.expires_at) > julianday($3)",
            "x.expires_at > $3"
        ),
        ")) AS due FROM authentications x WHERE x.id > $2 ORDER BY x.id LIMIT $4"
    ),
    end: sql!(
        "UPDATE authentications SET disabled = ($2 IS NOT NULL) WHERE service = 'access_key' AND id IN ",
        IDS
    ),
};

const CODES: Kind = Kind {
    find: sql!(
        "SELECT x.id AS id, (x.consumed_at IS NULL AND ",
        CREATED,
        UNEXPIRED,
        ") AS due FROM oauth_authorisation_codes x WHERE x.id > $2 ORDER BY x.id LIMIT $4"
    ),
    end: sql!(
        "UPDATE oauth_authorisation_codes SET consumed_at = $2 WHERE consumed_at IS NULL AND id IN ",
        IDS
    ),
};

const DEVICES: Kind = Kind {
    find: sql!(
        "SELECT x.id AS id, (x.approved_at IS NOT NULL AND x.denied_at IS NULL \
         AND x.consumed_at IS NULL AND ",
        APPROVED,
        UNEXPIRED,
        ") AS due FROM oauth_device_authorisations x WHERE x.id > $2 ORDER BY x.id LIMIT $4"
    ),
    end: sql!(
        "UPDATE oauth_device_authorisations SET denied_at = $2 \
         WHERE denied_at IS NULL AND consumed_at IS NULL AND id IN ",
        IDS
    ),
};

const GRANTS: Kind = Kind {
    find: sql!(
        "SELECT x.id AS id, (x.revoked_at IS NULL AND $3 IS NOT NULL AND ",
        CREATED,
        ") AS due FROM auth_grants x WHERE x.id > $2 ORDER BY x.id LIMIT $4"
    ),
    end: sql!(
        "UPDATE auth_grants SET revoked_at = $2, revoked_because = 'key_revoked', salt = NULL \
         WHERE revoked_at IS NULL AND id IN ",
        IDS
    ),
};

/// Refresh tokens of the ended grants, and tokens of a Storyden, which have no grant. A token of an earlier
/// grant is not forged: a refresh needs the token before.
const REFRESH_TOKENS: Kind = Kind {
    find: sql!(
        "SELECT x.id AS id, (x.revoked_at IS NULL",
        UNEXPIRED,
        " AND COALESCE((SELECT ",
        (
            "julianday(g.created_at) BETWEEN julianday($1) AND julianday($5)",
            "g.created_at BETWEEN $1 AND $5"
        ),
        " FROM auth_refresh_tokens m JOIN auth_grants g ON g.id = m.grant_id WHERE m.token_id = x.id), ",
        CREATED,
        ")) AS due FROM oauth_refresh_tokens x WHERE x.id > $2 ORDER BY x.id LIMIT $4"
    ),
    end: sql!(
        "UPDATE oauth_refresh_tokens SET revoked_at = $2 WHERE revoked_at IS NULL AND id IN ",
        IDS
    ),
};

const REMEMBERED_CONSENTS: Kind = Kind {
    find: sql!(
        "SELECT x.id AS id, (",
        APPROVED,
        UNEXPIRED,
        ") AS due FROM auth_consents x WHERE x.id > $2 ORDER BY x.id LIMIT $4"
    ),
    end: sql!(
        "DELETE FROM auth_consents WHERE $2 IS NOT NULL AND id IN ",
        IDS
    ),
};

/// A pass over the rows of all kinds.
#[derive(Clone, Copy)]
struct Walk<'a> {
    span: Span,
    now: Timestamp,
    /// Ends the rows; if absent, the rows are only counted. True aborts the pass.
    stop: Option<&'a (dyn Fn() -> bool + Sync)>,
}

/// Counts the rows that [`end`] would end.
pub async fn count(db: &Db, span: Span, now: Timestamp) -> Result<ForgedAccess> {
    let stop = None;
    Walk { span, now, stop }.run(db).await
}

/// Ends sessions, access keys, codes, approved devices, grants, refresh tokens and remembered consents
/// created in a time. Checks `stop` before each window.
///
/// # Errors
/// [`Error::Aborted`] if `stop` is true; a repetition continues.
pub async fn end(
    db: &Db,
    span: Span,
    now: Timestamp,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<ForgedAccess> {
    let stop = Some(stop);
    Walk { span, now, stop }.run(db).await
}

impl Walk<'_> {
    async fn run(self, db: &Db) -> Result<ForgedAccess> {
        Ok(ForgedAccess {
            sessions: self.kind(db, &SESSIONS).await?,
            access_keys: self.kind(db, &ACCESS_KEYS).await?,
            codes: self.kind(db, &CODES).await?,
            device_authorizations: self.kind(db, &DEVICES).await?,
            grants: self.kind(db, &GRANTS).await?,
            refresh_tokens: self.kind(db, &REFRESH_TOKENS).await?,
            remembered_consents: self.kind(db, &REMEMBERED_CONSENTS).await?,
        })
    }

    async fn kind(self, db: &Db, kind: &Kind) -> Result<u64> {
        let mut place = String::new();
        let mut total = 0;
        loop {
            if self.stop.is_some_and(|stop| stop()) {
                return Err(Error::Aborted);
            }
            let parameters = [
                (self.span.since - CLOCK_SKEW).into(),
                place.as_str().into(),
                self.now.into(),
                WINDOW.into(),
                (self.span.until + CLOCK_SKEW).into(),
            ];
            let rows: Vec<FoundRow> = db.fetch_all(kind.find, &parameters).await?;
            let Some(last) = rows.last() else {
                return Ok(total);
            };
            place.clone_from(&last.id);
            let due = rows.iter().filter(|row| row.due.0);
            let due: Vec<&str> = due.map(|row| row.id.as_str()).collect();
            if self.stop.is_none() {
                total += u64::try_from(due.len()).unwrap_or(u64::MAX);
                continue;
            }
            for batch in due.chunks(BATCH) {
                let ids = Value::names(batch.iter().copied());
                total += db.execute(kind.end, vec![ids, self.now.into()]).await?;
            }
        }
    }
}
