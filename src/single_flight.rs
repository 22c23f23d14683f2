//! Single flight: concurrent fetches of the same key share a single request.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

/// Fetches in progress, by key.
#[derive(Debug)]
pub struct Flights<T>(Mutex<HashMap<String, Arc<OnceCell<T>>>>);

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Flights<T> {
    /// Runs `fetch` for the key, or joins the fetch in progress. If the leader is cancelled, the next
    /// waiter takes over.
    pub async fn fetch(&self, name: &str, fetch: impl Future<Output = T>) -> T {
        let flight = {
            let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(flights.entry(name.to_owned()).or_default())
        };
        let _landing = Landing {
            flights: self,
            name,
            flight: &flight,
        };
        flight.get_or_init(|| fetch).await.clone()
    }
}

/// Removes the entry when the fetch is complete, or the last waiter is dropped.
struct Landing<'a, T> {
    flights: &'a Flights<T>,
    name: &'a str,
    flight: &'a Arc<OnceCell<T>>,
}

impl<T> Drop for Landing<'_, T> {
    fn drop(&mut self) {
        let mut flights = self
            .flights
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_this = flights
            .get(self.name)
            .is_some_and(|there| Arc::ptr_eq(there, self.flight));
        // the map and this waiter
        let is_last = Arc::strong_count(self.flight) <= 2;
        if is_this && (self.flight.initialized() || is_last) {
            flights.remove(self.name);
        }
    }
}
