//! How many requests go out at once: so many to one host, so many in all.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests to one host at a time.
const PER_HOST: usize = 4;
/// Requests at a time.
const IN_ALL: usize = 64;
/// Hosts that are remembered; the count of one that is forgotten begins anew.
const HOSTS: u64 = 4_096;

/// A turn; it ends when it is dropped.
pub(super) struct Turn {
    _host: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// Counts the requests that are under way.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    all: Arc<Semaphore>,
    hosts: Cache<String, Arc<Semaphore>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(IN_ALL)),
            hosts: Cache::builder()
                .max_capacity(HOSTS)
                .time_to_idle(Duration::from_mins(5))
                .build(),
        }
    }
}

impl Gate {
    /// Waits for a turn to ask a host: first of its own, so that one slow host does not take the turns
    /// of all others.
    pub(super) async fn enter(&self, host: &str) -> Option<Turn> {
        let new = || Arc::new(Semaphore::new(PER_HOST));
        let turns = self.hosts.get_with_by_ref(host, new);
        let host = turns.acquire_owned().await.ok()?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Turn {
            _host: host,
            _all: all,
        })
    }
}
