//! Failed sign-ins from browsers with a device cookie: `auth_device_failures`. A job deletes the rows
//! of expired cookies.

use super::db::Db;
use super::error::Result;
use crate::clock::Timestamp;

/// Counts a wrong password from a device.
pub async fn add(db: &Db, device: &str, expires_at: Timestamp) -> Result<()> {
    db.execute(
        "INSERT INTO auth_device_failures (device_id, failures, expires_at) VALUES ($1, 1, $2) \
         ON CONFLICT (device_id) DO UPDATE SET failures = auth_device_failures.failures + 1",
        vec![device.into(), expires_at.into()],
    )
    .await?;
    Ok(())
}

/// Returns the number of wrong passwords from a device.
pub async fn count(db: &Db, device: &str) -> Result<u64> {
    let sql = "SELECT failures FROM auth_device_failures WHERE device_id = $1";
    let failures: Option<i64> = db.fetch_optional(sql, &[device.into()]).await?;
    Ok(failures.map_or(0, i64::unsigned_abs))
}
