//! The end of all that was granted by an account, to a client, or by the one to the other.
//!
//! A revocation of any size is a transaction of constant size: it updates at most `BATCH` rows of each
//! kind and, where more are left, opens a revocation (`auth_revocations`). Every check asks for open
//! revocations, so what they cover is ended at once; [`apply`] then updates the rows in batches.

use serde::Serialize;

use super::audit::{self, Entry};
use super::clients;
use super::db::{Db, Tx};
use super::error::Result;
use super::open_revocations::{
    self, OpenRevocation, code_ended, device_ended, grant_ended, refresh_token_ended, request_ended,
};
use super::paging::Total;
use super::sessions;
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId, SessionId};

/// Whose grants end. With neither it would be everybody's, so whoever makes one asks for at least
/// one of the two.
#[derive(Clone, Debug)]
pub struct Target {
    /// What this account approved.
    pub account: Option<AccountId>,
    /// What was given to this client.
    pub client: Option<ClientRowId>,
}

impl Target {
    /// Everything that an account approved.
    #[must_use]
    pub fn of_account(account: &AccountId) -> Self {
        Self {
            account: Some(account.clone()),
            client: None,
        }
    }

    /// Everything that was given to a client.
    #[must_use]
    pub fn of_client(client: &ClientRowId) -> Self {
        Self {
            account: None,
            client: Some(client.clone()),
        }
    }
}

/// How much was ended, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = RevokedGrants)]
pub struct Ended {
    /// Codes that nobody exchanged yet.
    pub codes: u64,
    /// Device authorizations that somebody approved and whose device was not told yet.
    pub device_authorizations: u64,
    /// Grants, with their access tokens.
    pub grants: u64,
    /// Refresh tokens.
    pub refresh_tokens: u64,
    /// True if more than these ended: a job updates the other rows.
    #[serde(skip)]
    pub more: bool,
}

impl Ended {
    /// The numbers that were counted before the transaction, if that updated a part of the rows.
    #[must_use]
    pub fn or_counted(self, counted: Self) -> Self {
        if self.more { counted } else { self }
    }

    /// Whether there was nothing to end.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The most rows of a kind that one transaction updates or deletes.
pub(super) const BATCH: i64 = 200;

/// A kind of rows that end, each with its statements: by account (and client, if one is given) or by
/// client alone. `$1` is the account, `$2` the client, `$3` the time, `$4` the most rows, and `$5` the
/// reason where the kind keeps one.
struct Kind {
    /// Its name in `auth_revocations`.
    name: &'static str,
    keeps_reason: bool,
    /// Counts what is alive.
    count: Statements,
    /// Ends what is alive, up to a number of rows.
    end: Statements,
    /// Ends what an open revocation covers, up to a number of rows.
    apply: Statements,
}

/// A statement in its four forms.
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
            "SELECT COUNT(*) AS n FROM ", $table, " y WHERE ", kind!(@ of $by $account), " AND ",
            $alive, kind!(@ in_time $engine $until), " AND NOT ", $ended!($engine, "y")
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
    // An index on the account or on the client is usable in each; with OR around both, none is.
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

/// Approved devices; one that polls next hears `access_denied` (RFC 8628 §3.5).
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

/// Grants of clients that act for themselves, with the access tokens of the clients.
const OWN_GRANT: Kind = kind!(
    "own_grant", "auth_grants", account "account_id", set "revoked_at",
    alive "revoked_at IS NULL AND client_credentials", until forever, ended grant_ended,
    reason ", revoked_because = $5, salt = NULL"
);

const REFRESH_TOKEN: Kind = kind!(
    "refresh_token", "oauth_refresh_tokens", account "account_id", set "revoked_at",
    alive "revoked_at IS NULL", until expiry, ended refresh_token_ended
);

const ALL: [&Kind; 6] = [&REQUEST, &CODE, &DEVICE, &GRANT, &OWN_GRANT, &REFRESH_TOKEN];

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
        ];
        let total: Total = db.fetch_one(sql, &parameters).await?;
        Ok(total.n.unsigned_abs())
    }

    /// Ends a batch of rows and opens a revocation if more may be left. Gives the rows of the batch,
    /// and true if there may be more.
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

/// Counts what [`revoke`] would end.
pub async fn count(db: &Db, target: &Target, now: Timestamp) -> Result<Ended> {
    let mut counted = count_approved(db, target, now).await?;
    counted.grants += OWN_GRANT.count(db, target, now).await?;
    Ok(counted)
}

/// Counts what members approved, as [`close_account`] would end it.
pub async fn count_approved(db: &Db, target: &Target, now: Timestamp) -> Result<Ended> {
    Ok(Ended {
        codes: CODE.count(db, target, now).await?,
        device_authorizations: DEVICE.count(db, target, now).await?,
        grants: GRANT.count(db, target, now).await?,
        refresh_tokens: REFRESH_TOKEN.count(db, target, now).await?,
        more: false,
    })
}

/// Ends all of it, Storyden's as well as ours, the access tokens of clients that act for themselves
/// included; `because` is kept with the grants. Of more rows than a transaction updates, the answer has
/// the first and `more`; [`revoke_and_count`] has the true numbers.
pub async fn revoke(
    tx: &mut Tx,
    target: &Target,
    because: &'static str,
    now: Timestamp,
) -> Result<Ended> {
    lock(tx, target).await?;
    end(tx, target, (because, now), &[&OWN_GRANT]).await
}

/// Ends all of it with a line of the trail, in a transaction of its own, and counts it.
pub async fn revoke_and_count(
    db: &Db,
    target: Target,
    because: &'static str,
    entry: Entry,
) -> Result<Ended> {
    // Counted before the transaction, which must be as short as any other.
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

/// Ends all that was given to a client that is another one now than its people approved.
pub async fn end_changed_client(
    tx: &mut Tx,
    client: &ClientRowId,
    now: Timestamp,
) -> Result<Ended> {
    revoke(tx, &Target::of_client(client), "client_changed", now).await
}

/// Ends the grants of a client that is being deleted and locked: their access tokens may outlive the
/// client's row.
pub(super) async fn end_grants_of_client(
    tx: &mut Tx,
    client: &ClientRowId,
    now: Timestamp,
) -> Result<()> {
    let target = Target::of_client(client);
    for kind in [&GRANT, &OWN_GRANT] {
        kind.end(tx, &target, "client_deleted", now).await?;
    }
    Ok(())
}

/// Ends all that an account has open: its sessions but the one to `keep`, its requests that
/// nobody decided, its codes, its approvals that no device took, its grants and their tokens. What its
/// own applications got for themselves stays; [`end_own_tokens`] ends that.
pub async fn close_account(
    tx: &mut Tx,
    account: &AccountId,
    keep: Option<&SessionId>,
    because: &'static str,
    now: Timestamp,
) -> Result<Ended> {
    let target = Target::of_account(account);
    lock(tx, &target).await?;
    sessions::revoke_all(tx, account, keep, now).await?;
    end(tx, &target, (because, now), &[&REQUEST]).await
}

/// Ends what an account gave to one client, the requests of the client that wait for it included.
pub async fn revoke_application(
    tx: &mut Tx,
    (account, client): (&AccountId, &ClientRowId),
    because: &'static str,
    now: Timestamp,
) -> Result<Ended> {
    let target = Target {
        account: Some(account.clone()),
        client: Some(client.clone()),
    };
    lock(tx, &target).await?;
    end(tx, &target, (because, now), &[&REQUEST, &OWN_GRANT]).await
}

/// Ends the access tokens that the applications of an account, or one client, got for themselves
/// (`client_credentials`). What members approved stays.
pub async fn end_own_tokens(
    tx: &mut Tx,
    target: &Target,
    because: &'static str,
    now: Timestamp,
) -> Result<u64> {
    lock(tx, target).await?;
    let (grants, _) = OWN_GRANT.end(tx, target, because, now).await?;
    Ok(grants)
}

/// Locks the client and the account, in the order of [`clients::hold`], so that a grant in flight is
/// either committed and seen below, or sees this revocation.
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

/// Ends codes, devices, grants, refresh tokens, and the kinds that are named beside them. Grants come
/// before the refresh tokens of theirs, also in the job.
async fn end(
    tx: &mut Tx,
    target: &Target,
    (because, now): (&'static str, Timestamp),
    and: &[&Kind],
) -> Result<Ended> {
    let mut ended = Ended::default();
    for kind in and {
        let (rows, more) = kind.end(tx, target, because, now).await?;
        ended.more |= more;
        if kind.name == OWN_GRANT.name {
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
    Ok(Ended {
        codes,
        device_authorizations,
        grants: ended.grants + grants,
        refresh_tokens,
        more: ended.more,
    })
}

/// The rows that a pass updated and deleted, and the revocations that it closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Updated or deleted rows.
    pub rows: u64,
    /// Revocations without rows left.
    pub closed: u64,
}

/// True while revocations have rows that are not updated.
pub async fn are_open(db: &Db) -> Result<bool> {
    Ok(!open_revocations::list(db).await?.is_empty())
}

/// Updates the rows of open revocations, a batch in a transaction, until none are left; `stop` is
/// asked between batches. A revocation that fails is logged and left to the next pass.
///
/// # Errors
/// When the open revocations cannot be read.
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
                    tracing::warn!(%error, kind = open.kind, "a revocation was not applied");
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
