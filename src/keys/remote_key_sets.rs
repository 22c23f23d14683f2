//! Cache of the key sets that clients and trusted issuers publish at `jwks_uri` (RFC 7517 §5).

use std::sync::Arc;

use serde_json::Value;

use crate::bounded_map::{BoundedMap, Bounds, Eviction, Expiry};
use crate::clock::Timestamp;
use crate::single_flight::SingleFlight;

/// Maximum number of cached key sets.
const SETS_MAX: u64 = 500;

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

    /// Returns the cached key set of a URL.
    #[must_use]
    pub fn get(&self, url: &str) -> Option<KeySet> {
        self.sets.get(url).map(|set| KeySet::clone(&set))
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
