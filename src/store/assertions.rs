//! Client assertions that were used: `auth_assertions`. A job deletes a row when its assertion has
//! expired.

use super::db::Tx;
use super::error::Result;
use crate::clock::Timestamp;
use crate::secret::SecretHash;

/// Uses an assertion; whether nobody did before.
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
