//! The end of all that was granted by an account, to a client, or by the one to the other.

use serde::Serialize;

use super::db::{Db, Tx};
use super::error::Result;
use super::paging::Total;
use super::value::Value;
use super::{authorization_requests, sessions};
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
}

impl Ended {
    /// Whether there was nothing to end.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A kind of thing that ends: how it is counted and how it is ended, on either engine. `$1` is the
/// account, `$2` the client, `$3` the time.
struct Kind {
    sqlite: [&'static str; 2],
    postgres: [&'static str; 2],
}

macro_rules! kind {
    ($table:literal, $account:literal, $ended:literal, $alive:literal) => {
        Kind {
            sqlite: kind!(@ $table, $account, $ended, $alive, "julianday(expires_at) > julianday($3)"),
            postgres: kind!(@ $table, $account, $ended, $alive, "expires_at > $3"),
        }
    };
    (@ $table:literal, $account:literal, $ended:literal, $alive:literal, $in_time:literal) => {
        [
            concat!(
                "SELECT COUNT(*) AS n FROM ", $table, " WHERE ($1 IS NULL OR ", $account, " = $1) ",
                "AND ($2 IS NULL OR client_id = $2) AND ", $alive, " AND ", $in_time
            ),
            concat!(
                "UPDATE ", $table, " SET ", $ended, " = $3 WHERE ($1 IS NULL OR ", $account,
                " = $1) AND ($2 IS NULL OR client_id = $2) AND ", $alive, " AND ", $in_time
            ),
        ]
    };
}

const CODES: Kind = kind!(
    "oauth_authorisation_codes",
    "account_id",
    "consumed_at",
    "consumed_at IS NULL"
);

/// A device that polls next hears `access_denied` (RFC 8628 §3.5).
const DEVICES: Kind = kind!(
    "oauth_device_authorisations",
    "approved_by_account_id",
    "denied_at",
    "approved_at IS NOT NULL AND denied_at IS NULL AND consumed_at IS NULL"
);

const TOKENS: Kind = kind!(
    "oauth_refresh_tokens",
    "account_id",
    "revoked_at",
    "revoked_at IS NULL"
);

impl Target {
    fn parameters(&self) -> Vec<Value> {
        vec![self.account.as_ref().into(), self.client.as_ref().into()]
    }

    fn parameters_at(&self, now: Timestamp) -> Vec<Value> {
        let mut parameters = self.parameters();
        parameters.push(now.into());
        parameters
    }
}

/// Counts what [`revoke`] would end.
pub async fn count(db: &Db, target: &Target, now: Timestamp) -> Result<Ended> {
    let parameters = target.parameters_at(now);
    let count = async |kind: Kind| {
        let sql = db.pick(kind.sqlite[0], kind.postgres[0]);
        let total: Total = db.fetch_one(sql, &parameters).await?;
        Ok::<u64, super::Error>(total.n.unsigned_abs())
    };
    let grants: Total = db.fetch_one(COUNT_GRANTS, &target.parameters()).await?;
    Ok(Ended {
        codes: count(CODES).await?,
        device_authorizations: count(DEVICES).await?,
        grants: grants.n.unsigned_abs(),
        refresh_tokens: count(TOKENS).await?,
    })
}

const COUNT_GRANTS: &str = "SELECT COUNT(*) AS n FROM auth_grants WHERE ($1 IS NULL OR account_id = $1) \
     AND ($2 IS NULL OR client_id = $2) AND revoked_at IS NULL";

/// Ends all of it, Storyden's as well as ours, and says how much that was; `because` is kept with the
/// grants.
///
/// Codes and devices go first: an exchange that is in flight holds its code, and the grant that it
/// made is seen afterwards.
pub async fn revoke(
    tx: &mut Tx,
    target: &Target,
    because: &'static str,
    now: Timestamp,
) -> Result<Ended> {
    let parameters = target.parameters_at(now);
    let mut reasoned = parameters.clone();
    reasoned.push(because.into());
    let mut ended = Ended {
        codes: end(tx, CODES, &parameters).await?,
        device_authorizations: end(tx, DEVICES, &parameters).await?,
        ..Ended::default()
    };
    // Looked at anew until nothing is alive: a rotation that was in flight, and that an update had
    // to wait for, has added a token that the update did not see.
    while is_alive(tx, target, &parameters).await? {
        ended.grants += tx
            .execute(
                "UPDATE auth_grants SET revoked_at = $3, revoked_because = $4, \
                 salt = NULL WHERE ($1 IS NULL OR account_id = $1) \
                 AND ($2 IS NULL OR client_id = $2) AND revoked_at IS NULL",
                &reasoned,
            )
            .await?;
        ended.refresh_tokens += end(tx, TOKENS, &parameters).await?;
    }
    Ok(ended)
}

/// Ends all that was given to a client that is another one now than its people approved.
pub async fn end_changed_client(
    tx: &mut Tx,
    client: &ClientRowId,
    now: Timestamp,
) -> Result<Ended> {
    let target = Target {
        account: None,
        client: Some(client.clone()),
    };
    revoke(tx, &target, "client_changed", now).await
}

async fn end(tx: &mut Tx, kind: Kind, parameters: &[Value]) -> Result<u64> {
    let sql = tx.pick(kind.sqlite[1], kind.postgres[1]);
    tx.execute(sql, parameters).await
}

async fn is_alive(tx: &mut Tx, target: &Target, parameters: &[Value]) -> Result<bool> {
    let grants: Option<Total> = tx
        .fetch_optional(COUNT_GRANTS, &target.parameters())
        .await?;
    let sql = tx.pick(TOKENS.sqlite[0], TOKENS.postgres[0]);
    let tokens: Option<Total> = tx.fetch_optional(sql, parameters).await?;
    Ok([grants, tokens]
        .into_iter()
        .flatten()
        .any(|total| total.n > 0))
}

/// Ends all that an account has open: its sessions but the one to `keep`, its requests that
/// nobody decided, its codes, its approvals that no device took, its grants and their tokens.
pub async fn close_account(
    tx: &mut Tx,
    account: &AccountId,
    keep: Option<&SessionId>,
    because: &'static str,
    now: Timestamp,
) -> Result<Ended> {
    sessions::revoke_all(tx, account, keep, now).await?;
    authorization_requests::deny_all(tx, account, None, now).await?;
    let target = Target {
        account: Some(account.clone()),
        client: None,
    };
    revoke(tx, &target, because, now).await
}
