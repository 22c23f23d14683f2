//! Access tokens that were revoked and have no grant to end: `auth_revoked_tokens`. They are
//! looked for where the account of a token is; a job deletes a row when its token has expired.

use super::db::Tx;
use super::error::Result;
use crate::clock::Timestamp;

/// Revokes a token by its `jti`; whether it was good until now.
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
