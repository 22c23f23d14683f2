//! Revoked access tokens without a grant: `auth_revoked_tokens`. Checked together with the token's
//! account; a background job deletes expired rows.

use super::db::Tx;
use super::error::Result;
use crate::clock::Timestamp;

/// Revokes a token by `jti`; returns false if the token was already revoked.
pub async fn insert(tx: &mut Tx, jti: &str, expires_at: Timestamp) -> Result<bool> {
    let inserted = tx
        .execute(
            "INSERT INTO auth_revoked_tokens (jti, expires_at) VALUES ($1, $2) \
             ON CONFLICT (jti) DO NOTHING",
            &[jti.into(), expires_at.into()],
        )
        .await?;
    Ok(inserted > 0)
}
