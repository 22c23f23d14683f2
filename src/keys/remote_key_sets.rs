//! Cache of the key sets that clients and trusted issuers publish at `jwks_uri` (RFC 7517 §5).

use std::sync::Arc;

use serde_json::Value;
use time::Duration;

use super::assertion_signature::AssertionError;
use crate::bounded_map::{BoundedMap, Bounds, Eviction, Expiry};
use crate::clock::Timestamp;
use crate::single_flight::SingleFlight;

/// Maximum number of cached key sets.
const SETS_MAX: u64 = 500;
/// Cache lifetime of a key set.
const TTL: Duration = Duration::minutes(10);
/// Minimum age of a cached key set before a signature by an unknown key causes a new fetch.
const REFETCH_AGE_MIN: Duration = Duration::seconds(30);

/// A key set as published.
#[derive(Clone, Debug)]
pub struct KeySet {
    /// The JSON Web Key Set.
    pub jwks: Arc<Value>,
    /// The time of the fetch.
    pub fetched_at: Timestamp,
}

/// Key sets by URL, and the fetches in progress.
#[derive(Debug)]
pub struct RemoteKeySets {
    sets: BoundedMap<KeySet>,
    /// The fetches in progress; `None` if a fetch failed.
    pub fetches: SingleFlight<Option<KeySet>>,
}

impl RemoteKeySets {
    /// Creates an empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self {
            sets: BoundedMap::new(Bounds {
                weight: SETS_MAX,
                expiry: Expiry::Never,
                eviction: Eviction::LeastFrequent,
            }),
            fetches: SingleFlight::default(),
        }
    }

    /// Verifies a signature with the cached key set of a URL. `None` if the keys must be fetched: no set is
    /// cached, the set is too old, or no key matches and the keys may have been rotated.
    #[must_use]
    pub fn check(
        &self,
        url: &str,
        now: Timestamp,
        check: impl FnOnce(&Value) -> Result<(), AssertionError>,
    ) -> Option<Result<(), AssertionError>> {
        let set = self.sets.get(url)?;
        let checked = check(&set.jwks);
        let age = now - set.fetched_at;
        let may_have_changed = checked == Err(AssertionError::NoKey) && age >= REFETCH_AGE_MIN;
        (age < TTL && !may_have_changed).then_some(checked)
    }

    /// Stores the key set of a URL.
    pub fn insert(&self, url: &str, set: KeySet) {
        self.sets.insert(url, set);
    }
}

impl Default for RemoteKeySets {
    fn default() -> Self {
        Self::new()
    }
}
