//! Single flight: concurrent fetches of the same key share one fetch.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::bounded_map::{AnyValue, typed};

/// Maximum number of keys with a fetch in progress.
const FETCHES_MAX: u64 = 10_000;

/// Lifetime of a result whose caller was cancelled before it could remove the result.
const ABANDONED_TTL: Duration = Duration::from_secs(1);

/// Fetches in progress, by key.
#[derive(Debug)]
pub struct SingleFlight<T> {
    fetches: Cache<String, AnyValue>,
    results: PhantomData<fn() -> T>,
}

impl<T: Clone + Send + Sync + 'static> Default for SingleFlight<T> {
    fn default() -> Self {
        let fetches = Cache::builder()
            .max_capacity(FETCHES_MAX)
            .time_to_live(ABANDONED_TTL);
        Self {
            fetches: fetches.build(),
            results: PhantomData,
        }
    }
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// Runs `fetch` for the key, or joins the fetch in progress. If the leader is cancelled, the next
    /// waiter takes over. The result is forgotten when the fetch is complete.
    pub async fn run(&self, key: &str, fetch: impl Future<Output = T> + Send) -> T {
        let fetch = async { Arc::new(fetch.await) as AnyValue };
        // Boxed, so that moka is compiled for one type of future.
        let fetch: Pin<Box<dyn Future<Output = AnyValue> + Send + '_>> = Box::pin(fetch);
        let result = self.fetches.get_with_by_ref(key, fetch).await;
        self.fetches.invalidate(key).await;
        T::clone(&typed(result))
    }
}
