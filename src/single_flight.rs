//! Single flight: concurrent fetches of the same key share one fetch.

use std::future::Future;
use std::time::Duration;

use moka::future::Cache;

/// Maximum number of keys with a fetch in progress.
const FETCHES_MAX: u64 = 10_000;

/// Lifetime of a result whose caller was cancelled before it could remove the result.
const ABANDONED_TTL: Duration = Duration::from_secs(1);

/// Fetches in progress, by key.
#[derive(Debug)]
pub struct SingleFlight<T: Clone + Send + Sync + 'static>(Cache<String, T>);

impl<T: Clone + Send + Sync + 'static> Default for SingleFlight<T> {
    fn default() -> Self {
        let fetches = Cache::builder()
            .max_capacity(FETCHES_MAX)
            .time_to_live(ABANDONED_TTL);
        Self(fetches.build())
    }
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// Runs `fetch` for the key, or joins the fetch in progress. If the leader is cancelled, the next
    /// waiter takes over. The result is forgotten when the fetch is complete.
    pub async fn run(&self, key: &str, fetch: impl Future<Output = T>) -> T {
        let result = self.0.get_with_by_ref(key, fetch).await;
        self.0.invalidate(key).await;
        result
    }
}
