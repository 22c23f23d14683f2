//! The job of open revocations: updates or deletes the covered rows in batches.

use super::db::Db;
use super::error::Result;
use super::open_revocations::{self, OpenRevocation};
use super::{client_deletion, revocation, sessions};
use crate::clock::Timestamp;

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
        return client_deletion::delete_batch(db, client).await;
    }
    if open.kind == open_revocations::SESSION {
        let Some(account) = target.account else {
            return Ok(0);
        };
        return sessions::revoke_batch(db, &account, open.created_at).await;
    }
    revocation::end_covered(db, open).await
}
