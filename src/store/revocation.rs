//! Revocation of everything granted by an account, to a client, or by an account to a client.
//!
//! A revocation of any size is a transaction of constant size: the transaction updates at most `BATCH`
//! rows of each kind and, if more are left, opens a revocation (`auth_revocations`). Every check looks
//! for open revocations, so the covered rows are revoked at once; a job then updates the rows in batches
//! ([`super::apply_revocations`]).

use serde::Serialize;

use super::audit::{self, Entry};
use super::client_locks;
use super::consents;
use super::db::{Db, Tx};
use super::error::Result;
use super::open_revocations::OpenRevocation;
use super::revocation_kinds::{
    ALL, CLIENT_CREDENTIALS_GRANT, CODE, DEVICE, GRANT, Kind, REFRESH_TOKEN, REQUEST,
};
use super::sessions;
use super::sql::{Sql, sql};
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId, SessionId};

pub use super::open_revocations::Target;

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
    end(tx, target, because, now, &[&CLIENT_CREDENTIALS_GRANT]).await
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
        granted: end(tx, &target, because, now, &[&REQUEST]).await?,
    })
}

/// Revokes everything that an account granted to applications, in a separate transaction, with an audit entry, and
/// counts the rows. Sessions and the client credentials grants of the account's own applications stay.
pub async fn revoke_applications(
    db: &Db,
    account: AccountId,
    because: &'static str,
    entry: Entry,
) -> Result<RevokedCounts> {
    let target = Target::of_account(&account);
    let counted = count_approved(db, &target, entry.at).await?;
    let input = (target, because, entry);
    let ended = db.write(input, |tx, (target, because, entry)| {
        Box::pin(async move {
            lock(tx, target).await?;
            let ended = end(tx, target, because, entry.at, &[&REQUEST]).await?;
            audit::insert(tx, entry).await?;
            Ok(ended)
        })
    });
    Ok(ended.await?.or_counted(counted))
}

/// Ends all sessions of an account and its undecided authorization requests; grants stay. Returns the number of
/// updated sessions: if 200, older sessions may have ended too.
pub async fn end_sessions(tx: &mut Tx, account: &AccountId, now: Timestamp) -> Result<u64> {
    let target = Target::of_account(account);
    lock(tx, &target).await?;
    REQUEST.end(tx, &target, "signed_out", now).await?;
    sessions::revoke_all(tx, account, None, now).await
}

/// Revokes everything that an account granted to a client, pending authorization requests included.
pub async fn revoke_application(
    tx: &mut Tx,
    account: &AccountId,
    client: &ClientRowId,
    because: &'static str,
    now: Timestamp,
) -> Result<RevokedCounts> {
    let target = Target {
        account: Some(account.clone()),
        client: Some(client.clone()),
    };
    lock(tx, &target).await?;
    let and = [&REQUEST, &CLIENT_CREDENTIALS_GRANT];
    end(tx, &target, because, now, &and).await
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
    let ended = CLIENT_CREDENTIALS_GRANT
        .end(tx, target, because, now)
        .await?;
    Ok(ended.rows)
}

/// Locks the client and the account, in the order of [`client_locks::hold`], so that a concurrent grant is
/// either committed and seen by the next statements, or sees this revocation.
async fn lock(tx: &mut Tx, target: &Target) -> Result<()> {
    const LOCK_ACCOUNT: Sql = sql!("SELECT id FROM accounts WHERE id = $1", ("", " FOR UPDATE"));
    if let Some(client) = &target.client {
        client_locks::lock(tx, client).await?;
    }
    if let Some(account) = &target.account {
        tx.execute(LOCK_ACCOUNT, &[account.into()]).await?;
    }
    Ok(())
}

/// Ends remembered consents, codes, device authorizations, grants, refresh tokens, and the kinds in `and`.
/// Grants end before the refresh tokens of the grants, also in the job.
async fn end(
    tx: &mut Tx,
    target: &Target,
    because: &'static str,
    now: Timestamp,
    and: &[&Kind],
) -> Result<RevokedCounts> {
    consents::end(tx, target).await?;
    let mut more = false;
    let mut end = async |kind: &Kind| {
        let ended = kind.end(tx, target, because, now).await?;
        more |= ended.more;
        Ok::<u64, super::Error>(ended.rows)
    };
    let mut grants = 0;
    for &kind in and {
        let rows = end(kind).await?;
        if kind.name == CLIENT_CREDENTIALS_GRANT.name {
            grants += rows;
        }
    }
    let codes = end(&CODE).await?;
    let device_authorizations = end(&DEVICE).await?;
    grants += end(&GRANT).await?;
    let refresh_tokens = end(&REFRESH_TOKEN).await?;
    Ok(RevokedCounts {
        codes,
        device_authorizations,
        grants,
        refresh_tokens,
        more,
    })
}

/// Ends a batch of rows that an open revocation covers. Returns the number of rows; 0 for an unknown kind.
pub(super) async fn end_covered(db: &Db, open: &OpenRevocation) -> Result<u64> {
    match ALL.iter().find(|kind| kind.name == open.kind) {
        Some(kind) => kind.end_covered(db, open).await,
        None => Ok(0),
    }
}
