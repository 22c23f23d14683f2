//! The kinds of rows that a revocation ends, with the statements of each kind.

use super::db::{Db, Tx};
use super::error::Result;
use super::open_revocations::{
    self, BATCH, CODE_ENDED, COUNTED, DEVICE_ENDED, GRANT_ENDED, OpenRevocation,
    REFRESH_TOKEN_ENDED, REQUEST_ENDED, Target,
};
use super::sql::{Sql, sql};
use super::value::Value;
use crate::clock::Timestamp;

/// A kind of revocable rows. `$1` is the account, `$2` the client, `$3` the time, `$4` the maximum number
/// of rows, and `$5` the reason if the kind stores a reason.
pub(super) struct Kind {
    /// Name in `auth_revocations`.
    pub(super) name: &'static str,
    keeps_reason: bool,
    /// Counts at most `$4` live rows.
    count: ByTarget,
    /// Ends at most `$4` live rows.
    end: ByTarget,
    /// Ends at most `$4` live rows that an open revocation covers.
    end_covered: ByTarget,
}

/// A statement by account (and client, if given) or by client alone. Each form can use the index on the
/// account or on the client; with OR around both, the engine uses no index.
struct ByTarget {
    account: Sql,
    client: Sql,
}

impl ByTarget {
    fn pick(&self, target: &Target) -> Sql {
        match target.account {
            Some(_) => self.account,
            None => self.client,
        }
    }
}

/// The statements of a kind. A macro and no function, because only a macro can join texts at compile time.
macro_rules! kind {
    (
        name: $name:literal,
        keeps_reason: $keeps_reason:literal,
        count: $count:literal,
        end: $end:literal,
        of_account: $of_account:literal,
        of_client: $of_client:literal,
        live: $live:literal and $unexpired:ident,
        ended: $ended:ident,
    ) => {{
        const ACCOUNT: Sql = sql!($of_account, " AND ", $live, $unexpired);
        const CLIENT: Sql = sql!($of_client, " AND ", $live, $unexpired);
        const NOT_ENDED: Sql = sql!(" AND NOT ", $ended, " LIMIT $4) x");
        const STILL_LIVE: Sql = sql!(" LIMIT $4) AND ", $live);
        const COVERED: Sql = sql!(" AND ", $ended, STILL_LIVE);
        Kind {
            name: $name,
            keeps_reason: $keeps_reason,
            count: ByTarget {
                account: sql!($count, ACCOUNT, NOT_ENDED),
                client: sql!($count, CLIENT, NOT_ENDED),
            },
            end: ByTarget {
                account: sql!($end, ACCOUNT, STILL_LIVE),
                client: sql!($end, CLIENT, STILL_LIVE),
            },
            end_covered: ByTarget {
                account: sql!($end, ACCOUNT, COVERED),
                client: sql!($end, CLIENT, COVERED),
            },
        }
    }};
}

/// Condition: the row has not expired.
const UNEXPIRED: Sql = Sql::new(
    " AND julianday(expires_at) > julianday($3)",
    " AND expires_at > $3",
);

/// Condition of a row that does not expire: always true, and uses `$3`.
const ALWAYS: Sql = Sql::same(" AND $3 IS NOT NULL");

pub(super) const REQUEST: Kind = kind! {
    name: "request",
    keeps_reason: false,
    count: "SELECT COUNT(*) AS n FROM (SELECT 1 FROM oauth_authorisation_requests q WHERE ",
    end: "UPDATE oauth_authorisation_requests SET denied_at = $3 \
          WHERE id IN (SELECT q.id FROM oauth_authorisation_requests q WHERE ",
    of_account: "q.account_id = $1 AND ($2 IS NULL OR q.client_id = $2)",
    of_client: "($1 IS NULL OR q.account_id = $1) AND q.client_id = $2",
    live: "approved_at IS NULL AND denied_at IS NULL" and UNEXPIRED,
    ended: REQUEST_ENDED,
};

pub(super) const CODE: Kind = kind! {
    name: "code",
    keeps_reason: false,
    count: "SELECT COUNT(*) AS n FROM (SELECT 1 FROM oauth_authorisation_codes k WHERE ",
    end: "UPDATE oauth_authorisation_codes SET consumed_at = $3 \
          WHERE id IN (SELECT k.id FROM oauth_authorisation_codes k WHERE ",
    of_account: "k.account_id = $1 AND ($2 IS NULL OR k.client_id = $2)",
    of_client: "($1 IS NULL OR k.account_id = $1) AND k.client_id = $2",
    live: "consumed_at IS NULL" and UNEXPIRED,
    ended: CODE_ENDED,
};

/// Approved device authorizations; the next poll gets `access_denied` (RFC 8628 §3.5).
pub(super) const DEVICE: Kind = kind! {
    name: "device",
    keeps_reason: false,
    count: "SELECT COUNT(*) AS n FROM (SELECT 1 FROM oauth_device_authorisations d WHERE ",
    end: "UPDATE oauth_device_authorisations SET denied_at = $3 \
          WHERE id IN (SELECT d.id FROM oauth_device_authorisations d WHERE ",
    of_account: "d.approved_by_account_id = $1 AND ($2 IS NULL OR d.client_id = $2)",
    of_client: "($1 IS NULL OR d.approved_by_account_id = $1) AND d.client_id = $2",
    live: "approved_at IS NOT NULL AND denied_at IS NULL AND consumed_at IS NULL" and UNEXPIRED,
    ended: DEVICE_ENDED,
};

/// Grants that members approved.
pub(super) const GRANT: Kind = kind! {
    name: "grant",
    keeps_reason: true,
    count: "SELECT COUNT(*) AS n FROM (SELECT 1 FROM auth_grants g WHERE ",
    end: "UPDATE auth_grants SET revoked_at = $3, revoked_because = $5, salt = NULL \
          WHERE id IN (SELECT g.id FROM auth_grants g WHERE ",
    of_account: "g.account_id = $1 AND ($2 IS NULL OR g.client_id = $2)",
    of_client: "($1 IS NULL OR g.account_id = $1) AND g.client_id = $2",
    live: "revoked_at IS NULL AND NOT client_credentials" and ALWAYS,
    ended: GRANT_ENDED,
};

/// Client credentials grants, with the access tokens of the clients.
pub(super) const CLIENT_CREDENTIALS_GRANT: Kind = kind! {
    name: "own_grant",
    keeps_reason: true,
    count: "SELECT COUNT(*) AS n FROM (SELECT 1 FROM auth_grants g WHERE ",
    end: "UPDATE auth_grants SET revoked_at = $3, revoked_because = $5, salt = NULL \
          WHERE id IN (SELECT g.id FROM auth_grants g WHERE ",
    of_account: "g.account_id = $1 AND ($2 IS NULL OR g.client_id = $2)",
    of_client: "($1 IS NULL OR g.account_id = $1) AND g.client_id = $2",
    live: "revoked_at IS NULL AND client_credentials" and ALWAYS,
    ended: GRANT_ENDED,
};

pub(super) const REFRESH_TOKEN: Kind = kind! {
    name: "refresh_token",
    keeps_reason: false,
    count: "SELECT COUNT(*) AS n FROM (SELECT 1 FROM oauth_refresh_tokens t WHERE ",
    end: "UPDATE oauth_refresh_tokens SET revoked_at = $3 \
          WHERE id IN (SELECT t.id FROM oauth_refresh_tokens t WHERE ",
    of_account: "t.account_id = $1 AND ($2 IS NULL OR t.client_id = $2)",
    of_client: "($1 IS NULL OR t.account_id = $1) AND t.client_id = $2",
    live: "revoked_at IS NULL" and UNEXPIRED,
    ended: REFRESH_TOKEN_ENDED,
};

pub(super) const ALL: [&Kind; 6] = [
    &REQUEST,
    &CODE,
    &DEVICE,
    &GRANT,
    &CLIENT_CREDENTIALS_GRANT,
    &REFRESH_TOKEN,
];

/// The result of [`Kind::end`].
pub(super) struct Ended {
    /// Number of ended rows.
    pub(super) rows: u64,
    /// True if more rows may be left: a revocation is open.
    pub(super) more: bool,
}

impl Kind {
    fn parameters(&self, target: &Target, now: Timestamp, because: &str) -> Vec<Value> {
        let mut parameters = vec![
            target.account.as_ref().into(),
            target.client.as_ref().into(),
            now.into(),
            BATCH.into(),
        ];
        if self.keeps_reason {
            parameters.push(because.into());
        }
        parameters
    }

    /// Counts the live rows of a target, up to [`COUNTED`].
    pub(super) async fn count(&self, db: &Db, target: &Target, now: Timestamp) -> Result<u64> {
        let parameters = [
            target.account.as_ref().into(),
            target.client.as_ref().into(),
            now.into(),
            COUNTED.into(),
        ];
        let total: i64 = db.fetch_one(self.count.pick(target), &parameters).await?;
        Ok(total.unsigned_abs())
    }

    /// Ends a batch of rows, and opens a revocation if more may be left.
    pub(super) async fn end(
        &self,
        tx: &mut Tx,
        target: &Target,
        because: &'static str,
        now: Timestamp,
    ) -> Result<Ended> {
        let parameters = self.parameters(target, now, because);
        let rows = tx.execute(self.end.pick(target), &parameters).await?;
        let more = rows >= BATCH.unsigned_abs();
        if more {
            open_revocations::insert(tx, self.name, target, because, now).await?;
        }
        Ok(Ended { rows, more })
    }

    /// Ends at most [`BATCH`] rows that an open revocation covers. Returns the number of rows.
    pub(super) async fn end_covered(&self, db: &Db, open: &OpenRevocation) -> Result<u64> {
        let target = open.target();
        let parameters = self.parameters(&target, open.created_at, &open.because);
        db.execute(self.end_covered.pick(&target), parameters).await
    }
}
