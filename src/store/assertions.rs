//! Used client assertions: `auth_assertions`. A background job deletes expired rows.

use super::db::Tx;
use super::error::Result;
use crate::clock::Timestamp;
use crate::secret::SecretHash;

/// Records the use of a client assertion. True for the first use, false for a replay.
pub async fn spend(tx: &mut Tx, assertion: &SecretHash, expires_at: Timestamp) -> Result<bool> {
    let inserted = tx
        .execute(
            "INSERT INTO auth_assertions (assertion_hash, expires_at) VALUES ($1, $2) \
             ON CONFLICT (assertion_hash) DO NOTHING",
            &[assertion.into(), expires_at.into()],
        )
        .await?;
    Ok(inserted > 0)
}
