//! Job leases in `auth_leases`: a job runs on the replica with the lease.

use super::db::Db;
use super::error::Result;
use super::row::row;
use crate::clock::Timestamp;

struct LeaseRow {
    holder: String,
    expires_at: Timestamp,
}

row!(LeaseRow: holder, expires_at);

/// Acquires or renews a lease; true if `holder` has the lease until `until`.
pub async fn take(
    db: &Db,
    name: &'static str,
    holder: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool> {
    db.write(
        (name, holder.to_owned(), now, until),
        |tx, (name, holder, now, until)| {
            Box::pin(async move {
                // Insert the row first, so that two replicas wait for the same row lock.
                tx.execute(
                    "INSERT INTO auth_leases (name, holder, expires_at) VALUES ($1, $2, $3) \
                 ON CONFLICT (name) DO UPDATE SET name = excluded.name",
                    &[(*name).into(), holder.as_str().into(), (*now).into()],
                )
                .await?;
                let row: Option<LeaseRow> = tx
                    .fetch_optional(
                        "SELECT holder, expires_at FROM auth_leases WHERE name = $1",
                        &[(*name).into()],
                    )
                    .await?;
                // A lease far beyond its duration is of a holder with a wrong clock.
                let latest = *until + (*until - *now);
                let is_valid = |at: Timestamp| at > *now && at <= latest;
                if row.is_some_and(|row| row.holder != *holder && is_valid(row.expires_at)) {
                    return Ok(false);
                }
                tx.execute(
                    "UPDATE auth_leases SET holder = $2, expires_at = $3 WHERE name = $1",
                    &[(*name).into(), holder.as_str().into(), (*until).into()],
                )
                .await?;
                Ok(true)
            })
        },
    )
    .await
}

/// Releases a lease.
pub async fn release(db: &Db, name: &'static str, holder: &str) -> Result<()> {
    db.execute(
        "DELETE FROM auth_leases WHERE name = $1 AND holder = $2",
        vec![name.into(), holder.into()],
    )
    .await?;
    Ok(())
}
