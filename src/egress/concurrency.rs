//! Concurrency limits of outgoing requests, per host and in total.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bounded_map::{BoundedMap, Bounds, Eviction, Expiry};

/// Concurrent requests to a host.
const PER_HOST: usize = 4;
/// Requests at a time.
const IN_ALL: usize = 64;
/// Hosts with a counter. An evicted host starts with a new counter.
const HOSTS: u64 = 4_096;

/// A permit, returned on drop.
pub(super) struct Turn {
    _host: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// Counts the requests that are under way.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    all: Arc<Semaphore>,
    hosts: BoundedMap<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(IN_ALL)),
            hosts: BoundedMap::new(Bounds {
                weight: HOSTS,
                expiry: Expiry::Idle(Duration::from_mins(5)),
                eviction: Eviction::LeastFrequent,
            }),
        }
    }
}

impl Gate {
    /// Waits for a permit of the host first and a global permit second, so that a slow host does not
    /// use up the global permits.
    pub(super) async fn enter(&self, host: &str) -> Option<Turn> {
        let new = || Semaphore::new(PER_HOST);
        let turns = self.hosts.get_or_insert_with(host, new);
        let host = turns.acquire_owned().await.ok()?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Turn {
            _host: host,
            _all: all,
        })
    }
}
