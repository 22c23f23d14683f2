//! Revocation of everything granted by an account, to a client, or by an account to a client.
//!
//! A revocation of any size is a transaction of constant size: the transaction updates at most `BATCH`
//! rows of each kind and, if more are left, opens a revocation (`auth_revocations`). Every check looks
//! for open revocations, so the covered rows are revoked at once; [`apply`] then updates the rows in
//! batches.

use serde::Serialize;

use super::audit::{self, Entry};
use super::clients;
use super::db::{Db, Tx};
use super::error::Result;
use super::open_revocations::{
    self, OpenRevocation, code_ended, device_ended, grant_ended, refresh_token_ended, request_ended,
};
use super::sessions;
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId, SessionId};

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

/// Numbers of rows that a revocation ended or would end, each counted up to 100,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = RevokedGrants)]
pub struct RevokedCounts {
    /// Authorization codes not exchanged yet.
    pub codes: u64,
    /// Approved device authorizations not collected by the device yet.
    pub device_authorizations: u64,
    /// Grants, with the access tokens.
    pub grants: u64,
    /// Refresh tokens.
    pub refresh_tokens: u64,
    /// True if more rows ended than counted here: a job updates the rest.
    #[serde(skip)]
    pub more: bool,
}

impl RevokedCounts {
    /// Returns `counted`, from before the transaction, if the transaction updated only part of the
    /// rows.
    #[must_use]
    pub fn or_counted(self, counted: Self) -> Self {
        if self.more { counted } else { self }
    }

    /// Returns true if there was nothing to end.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Maximum number of rows of a kind that a transaction updates or deletes.
pub(super) const BATCH: i64 = 200;

/// Maximum number of rows of a kind that a response counts.
pub(super) const COUNTED: i64 = 100_000;

/// A kind of revocable rows, with the statements by account (and client, if given) or by client alone.
/// `$1` is the account, `$2` the client, `$3` the time, `$4` the maximum number of rows, and `$5` the
/// reason if the kind stores a reason.
struct Kind {
    /// Name in `auth_revocations`.
    name: &'static str,
    keeps_reason: bool,
    /// Counts at most `$4` live rows.
    count: Statements,
    /// Ends at most `$4` live rows.
    end: Statements,
    /// Ends at most `$4` live rows that an open revocation covers.
    apply: Statements,
}

/// A statement in four forms: two engines, by account or by client.
struct Statements {
    sqlite: ByTarget,
    postgres: ByTarget,
}

struct ByTarget {
    account: &'static str,
    client: &'static str,
}

impl ByTarget {
    fn pick(&self, target: &Target) -> &'static str {
        match target.account {
            Some(_) => self.account,
            None => self.client,
        }
    }
}

macro_rules! kind {
    (
        $name:literal, $table:literal, account $account:literal, set $set:literal,
        alive $alive:literal, until $until:tt, ended $ended:ident $(, reason $reason:literal)?
    ) => {
        Kind {
            name: $name,
            keeps_reason: kind!(@ keeps $($reason)?),
            count: kind!(@ forms count $table $account $set $alive $until $ended),
            end: kind!(@ forms end $table $account $set $alive $until $ended $($reason)?),
            apply: kind!(@ forms apply $table $account $set $alive $until $ended $($reason)?),
        }
    };
    (@ keeps) => { false };
    (@ keeps $reason:literal) => { true };
    (@ forms $verb:ident $($rest:tt)*) => {
        Statements {
            sqlite: ByTarget {
                account: kind!(@ text $verb sqlite account $($rest)*),
                client: kind!(@ text $verb sqlite client $($rest)*),
            },
            postgres: ByTarget {
                account: kind!(@ text $verb postgres account $($rest)*),
                client: kind!(@ text $verb postgres client $($rest)*),
            },
        }
    };
    (@ text count $engine:ident $by:ident $table:literal $account:literal $set:literal $alive:literal
        $until:tt $ended:ident) => {
        concat!(
            "SELECT COUNT(*) AS n FROM (SELECT 1 FROM ", $table, " y WHERE ",
            kind!(@ of $by $account), " AND ", $alive, kind!(@ in_time $engine $until), " AND NOT ",
            $ended!($engine, "y"), " LIMIT $4) x"
        )
    };
    (@ text end $engine:ident $by:ident $table:literal $account:literal $set:literal $alive:literal
        $until:tt $ended:ident $($reason:literal)?) => {
        concat!(
            "UPDATE ", $table, " SET ", $set, " = $3" $(, $reason)?, " WHERE id IN (SELECT y.id FROM ",
            $table, " y WHERE ", kind!(@ of $by $account), " AND ", $alive,
            kind!(@ in_time $engine $until), " LIMIT $4) AND ", $alive
        )
    };
    (@ text apply $engine:ident $by:ident $table:literal $account:literal $set:literal $alive:literal
        $until:tt $ended:ident $($reason:literal)?) => {
        concat!(
            "UPDATE ", $table, " SET ", $set, " = $3" $(, $reason)?, " WHERE id IN (SELECT y.id FROM ",
            $table, " y WHERE ", kind!(@ of $by $account), " AND ", $alive,
            kind!(@ in_time $engine $until), " AND ", $ended!($engine, "y"), " LIMIT $4) AND ", $alive
        )
    };
    // Each form can use the index on the account or on the client; with OR around both, the engine uses
    // no index.
    (@ of account $account:literal) => {
        concat!("y.", $account, " = $1 AND ($2 IS NULL OR y.client_id = $2)")
    };
    (@ of client $account:literal) => {
        concat!("($1 IS NULL OR y.", $account, " = $1) AND y.client_id = $2")
    };
    (@ in_time sqlite expiry) => { " AND julianday(expires_at) > julianday($3)" };
    (@ in_time postgres expiry) => { " AND expires_at > $3" };
    (@ in_time $engine:ident forever) => { " AND $3 IS NOT NULL" };
}

const REQUEST: Kind = kind!(
    "request", "oauth_authorisation_requests", account "account_id", set "denied_at",
    alive "approved_at IS NULL AND denied_at IS NULL", until expiry, ended request_ended
);

const CODE: Kind = kind!(
    "code", "oauth_authorisation_codes", account "account_id", set "consumed_at",
    alive "consumed_at IS NULL", until expiry, ended code_ended
);

/// Approved device authorizations; the next poll gets `access_denied` (RFC 8628 §3.5).
const DEVICE: Kind = kind!(
    "device", "oauth_device_authorisations", account "approved_by_account_id", set "denied_at",
    alive "approved_at IS NOT NULL AND denied_at IS NULL AND consumed_at IS NULL",
    until expiry, ended device_ended
);

/// Grants that members approved.
const GRANT: Kind = kind!(
    "grant", "auth_grants", account "account_id", set "revoked_at",
    alive "revoked_at IS NULL AND NOT client_credentials", until forever, ended grant_ended,
    reason ", revoked_because = $5, salt = NULL"
);

/// Client credentials grants, with the access tokens of the clients.
const CLIENT_CREDENTIALS_GRANT: Kind = kind!(
    "own_grant", "auth_grants", account "account_id", set "revoked_at",
    alive "revoked_at IS NULL AND client_credentials", until forever, ended grant_ended,
    reason ", revoked_because = $5, salt = NULL"
);

const REFRESH_TOKEN: Kind = kind!(
    "refresh_token", "oauth_refresh_tokens", account "account_id", set "revoked_at",
    alive "revoked_at IS NULL", until expiry, ended refresh_token_ended
);

const ALL: [&Kind; 6] = [
    &REQUEST,
    &CODE,
    &DEVICE,
    &GRANT,
    &CLIENT_CREDENTIALS_GRANT,
    &REFRESH_TOKEN,
];

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

    async fn count(&self, db: &Db, target: &Target, now: Timestamp) -> Result<u64> {
        let sql = db.pick(
            self.count.sqlite.pick(target),
            self.count.postgres.pick(target),
        );
        let parameters = [
            target.account.as_ref().into(),
            target.client.as_ref().into(),
            now.into(),
            COUNTED.into(),
        ];
        let total: i64 = db.fetch_one(sql, &parameters).await?;
        Ok(total.unsigned_abs())
    }

    /// Ends a batch of rows and opens a revocation if more may be left. Returns the number of rows, and
    /// true if more may be left.
    async fn end(
        &self,
        tx: &mut Tx,
        target: &Target,
        because: &'static str,
        now: Timestamp,
    ) -> Result<(u64, bool)> {
        let sql = tx.pick(self.end.sqlite.pick(target), self.end.postgres.pick(target));
        let rows = tx
            .execute(sql, &self.parameters(target, now, because))
            .await?;
        let is_full = rows >= BATCH.unsigned_abs();
        if is_full {
            open_revocations::insert(tx, self.name, target, because, now).await?;
        }
        Ok((rows, is_full))
    }
}

/// Counts the rows that [`revoke`] would end.
pub async fn count(db: &Db, target: &Target, now: Timestamp) -> Result<RevokedCounts> {
    let mut counted = count_approved(db, target, now).await?;
    counted.grants += CLIENT_CREDENTIALS_GRANT.count(db, target, now).await?;
    Ok(counted)
}

/// Counts the rows approved by members that [`close_account`] would end.
pub async fn count_approved(db: &Db, target: &Target, now: Timestamp) -> Result<RevokedCounts> {
    Ok(RevokedCounts {
        codes: CODE.count(db, target, now).await?,
        device_authorizations: DEVICE.count(db, target, now).await?,
        grants: GRANT.count(db, target, now).await?,
        refresh_tokens: REFRESH_TOKEN.count(db, target, now).await?,
        more: false,
    })
}

/// Revokes everything of a target, rows made by a Storyden and client credentials grants included.
/// Grants store `because`. If more rows exist than a transaction updates, the result counts the first
/// batch and sets `more`; [`revoke_and_count`] returns the full numbers.
pub async fn revoke(
    tx: &mut Tx,
    target: &Target,
    because: &'static str,
    now: Timestamp,
) -> Result<RevokedCounts> {
    lock(tx, target).await?;
    end(tx, target, (because, now), &[&CLIENT_CREDENTIALS_GRANT]).await
}

/// Revokes everything of a target in a separate transaction, with an audit entry, and counts the rows.
pub async fn revoke_and_count(
    db: &Db,
    target: Target,
    because: &'static str,
    entry: Entry,
) -> Result<RevokedCounts> {
    // Count before the transaction, to keep the write lock short.
    let counted = count(db, &target, entry.at).await?;
    let input = (target, because, entry);
    let ended = db.write(input, |tx, (target, because, entry)| {
        Box::pin(async move {
            let ended = revoke(tx, target, because, entry.at).await?;
            audit::insert(tx, entry).await?;
            Ok(ended)
        })
    });
    let ended = ended.await?;
    Ok(ended.or_counted(counted))
}

/// Revokes everything granted to a client after a change to a different application than members
/// approved.
pub async fn end_changed_client(
    tx: &mut Tx,
    client: &ClientRowId,
    now: Timestamp,
) -> Result<RevokedCounts> {
    revoke(tx, &Target::of_client(client), "client_changed", now).await
}

/// Ends the grants of a client in deletion; the caller holds the lock on the client. Access tokens may
/// outlive the client's row.
pub(super) async fn end_grants_of_client(
    tx: &mut Tx,
    client: &ClientRowId,
    now: Timestamp,
) -> Result<()> {
    let target = Target::of_client(client);
    for kind in [&GRANT, &CLIENT_CREDENTIALS_GRANT] {
        kind.end(tx, &target, "client_deleted", now).await?;
    }
    Ok(())
}

/// Numbers of rows that [`close_account`] updated.
#[derive(Clone, Copy, Debug)]
pub struct ClosedAccount {
    /// Sessions. If 200, older sessions may have ended too.
    pub sessions: u64,
    /// Codes, approvals, grants and tokens.
    pub granted: RevokedCounts,
}

/// Ends everything that an account has open: sessions except `keep`, undecided authorization
/// requests, codes, device approvals not collected yet, and grants with the tokens. Client credentials
/// grants of the account's own applications stay; [`end_client_credentials_grants`] ends these.
pub async fn close_account(
    tx: &mut Tx,
    account: &AccountId,
    keep: Option<&SessionId>,
    because: &'static str,
    now: Timestamp,
) -> Result<ClosedAccount> {
    let target = Target::of_account(account);
    lock(tx, &target).await?;
    Ok(ClosedAccount {
        sessions: sessions::revoke_all(tx, account, keep, now).await?,
        granted: end(tx, &target, (because, now), &[&REQUEST]).await?,
    })
}

/// Revokes everything that an account granted to a client, pending authorization requests included.
pub async fn revoke_application(
    tx: &mut Tx,
    (account, client): (&AccountId, &ClientRowId),
    because: &'static str,
    now: Timestamp,
) -> Result<RevokedCounts> {
    let target = Target {
        account: Some(account.clone()),
        client: Some(client.clone()),
    };
    lock(tx, &target).await?;
    end(
        tx,
        &target,
        (because, now),
        &[&REQUEST, &CLIENT_CREDENTIALS_GRANT],
    )
    .await
}

/// Ends the client credentials grants of an account's applications, or of a client. Grants that members
/// approved stay.
pub async fn end_client_credentials_grants(
    tx: &mut Tx,
    target: &Target,
    because: &'static str,
    now: Timestamp,
) -> Result<u64> {
    lock(tx, target).await?;
    let (grants, _) = CLIENT_CREDENTIALS_GRANT
        .end(tx, target, because, now)
        .await?;
    Ok(grants)
}

/// Locks the client and the account, in the order of [`clients::hold`], so that a concurrent grant is
/// either committed and seen by the next statements, or sees this revocation.
async fn lock(tx: &mut Tx, target: &Target) -> Result<()> {
    if let Some(client) = &target.client {
        clients::lock(tx, client).await?;
    }
    if let Some(account) = &target.account {
        let sql = tx.pick(
            "SELECT id FROM accounts WHERE id = $1", // the transaction is the lock
            "SELECT id FROM accounts WHERE id = $1 FOR UPDATE",
        );
        tx.execute(sql, &[account.into()]).await?;
    }
    Ok(())
}

/// Ends codes, device authorizations, grants, refresh tokens, and the kinds in `and`. Grants end before
/// the refresh tokens of the grants, also in the job.
async fn end(
    tx: &mut Tx,
    target: &Target,
    (because, now): (&'static str, Timestamp),
    and: &[&Kind],
) -> Result<RevokedCounts> {
    let mut ended = RevokedCounts::default();
    for kind in and {
        let (rows, more) = kind.end(tx, target, because, now).await?;
        ended.more |= more;
        if kind.name == CLIENT_CREDENTIALS_GRANT.name {
            ended.grants += rows;
        }
    }
    let mut end = async |kind: &Kind| {
        let (rows, more) = kind.end(tx, target, because, now).await?;
        ended.more |= more;
        Ok::<u64, super::Error>(rows)
    };
    let codes = end(&CODE).await?;
    let device_authorizations = end(&DEVICE).await?;
    let grants = end(&GRANT).await?;
    let refresh_tokens = end(&REFRESH_TOKEN).await?;
    Ok(RevokedCounts {
        codes,
        device_authorizations,
        grants: ended.grants + grants,
        refresh_tokens,
        more: ended.more,
    })
}

/// Result of [`apply`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Updated or deleted rows.
    pub rows: u64,
    /// Closed revocations.
    pub closed: u64,
}

/// Returns true while a revocation is open.
pub async fn any_open(db: &Db) -> Result<bool> {
    Ok(!open_revocations::list(db).await?.is_empty())
}

/// Updates the rows of open revocations, each batch in a transaction, until no rows are left. Checks
/// `stop` between batches. A revocation that fails is logged and left to the next pass.
///
/// # Errors
/// If the open revocations cannot be read.
pub async fn apply(db: &Db, now: Timestamp, stop: impl Fn() -> bool) -> Result<Applied> {
    let mut applied = Applied::default();
    for open in open_revocations::list(db).await? {
        loop {
            if stop() {
                return Ok(applied);
            }
            match apply_batch(db, &open).await {
                Ok(0) => {
                    open_revocations::close(db, open.id, now).await?;
                    applied.closed += 1;
                    break;
                }
                Ok(rows) => applied.rows += rows,
                Err(error) => {
                    tracing::warn!(%error, kind = open.kind, "revocation cannot be applied");
                    break;
                }
            }
        }
    }
    Ok(applied)
}

async fn apply_batch(db: &Db, open: &OpenRevocation) -> Result<u64> {
    let target = open.target();
    if open.kind == open_revocations::CLIENT {
        let Some(client) = target.client else {
            return Ok(0);
        };
        return clients::delete_batch(db, client).await;
    }
    if open.kind == open_revocations::SESSION {
        let Some(account) = target.account else {
            return Ok(0);
        };
        return sessions::revoke_batch(db, &account, open.created_at).await;
    }
    let Some(kind) = ALL.iter().find(|kind| kind.name == open.kind) else {
        return Ok(0);
    };
    let sql = db.pick(
        kind.apply.sqlite.pick(&target),
        kind.apply.postgres.pick(&target),
    );
    let parameters = kind.parameters(&target, open.created_at, &open.because);
    db.execute(sql, parameters).await
}
