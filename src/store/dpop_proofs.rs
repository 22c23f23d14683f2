//! DPoP proofs used at the token endpoint: `auth_dpop_proofs`. A background job deletes expired rows.

use super::db::Tx;
use super::error::{Error, Result};
use crate::clock::Timestamp;
use crate::secret::SecretHash;

/// A proof that a transaction uses.
#[derive(Clone, Debug)]
pub struct UsedProof {
    /// Hash of the key and the `jti`.
    pub proof: SecretHash,
    /// The time from which the proof is no longer accepted.
    pub expires_at: Timestamp,
}

/// Records the use of a proof. The first statement of a transaction, so that a replay writes nothing.
///
/// # Errors
/// [`Error::Replayed`] if the proof was used before, at any replica.
pub async fn spend(tx: &mut Tx, used: &UsedProof) -> Result<()> {
    let inserted = tx
        .execute(
            "INSERT INTO auth_dpop_proofs (proof_hash, expires_at) VALUES ($1, $2) \
             ON CONFLICT (proof_hash) DO NOTHING",
            &[(&used.proof).into(), used.expires_at.into()],
        )
        .await?;
    if inserted == 0 {
        return Err(Error::Replayed);
    }
    Ok(())
}
