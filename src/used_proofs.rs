//! DPoP proofs used at resources of this server, in the memory of each process (RFC 9449 §11.1).
//!
//! A statement per request would double the work of a resource request. So a replay is refused by the
//! process that saw the proof, and a replay at another replica within the window of `iat` is not: the
//! attacker then repeats one request, with the same access token, method and address.

use std::time::Duration;

use crate::bounded_map::{BoundedMap, Bounds, Eviction, Expiry};
use crate::secret::SecretHash;

/// Maximum number of remembered proofs, about 30 MB. Only proofs with a valid access token count. The oldest
/// proof is forgotten first.
const PROOFS_MAX: u64 = 100_000;

/// Longer than any proof is accepted.
const REMEMBERED_FOR: Duration = Duration::from_mins(10);

/// The proofs that this process has seen.
#[derive(Debug)]
pub struct UsedProofs(BoundedMap<()>);

impl UsedProofs {
    /// Records the use of a proof. True for the first use, false for a replay.
    #[must_use]
    pub fn spend(&self, proof: &SecretHash) -> bool {
        let mut is_first = false;
        self.0
            .get_or_insert_with(proof.as_str(), || is_first = true);
        is_first
    }
}

impl Default for UsedProofs {
    fn default() -> Self {
        Self(BoundedMap::new(Bounds {
            weight: PROOFS_MAX,
            expiry: Expiry::Age(REMEMBERED_FOR),
            eviction: Eviction::LeastRecent,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_proof_is_used_once() {
        let proofs = UsedProofs::default();
        let (one, other) = (Secret::new("one").hash(), Secret::new("other").hash());
        assert!(proofs.spend(&one));
        assert!(proofs.spend(&other));
        assert!(!proofs.spend(&one));
    }
}
