//! Things that are being fetched: whoever wants one of them meanwhile waits for the same answer.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

/// What is being fetched, by its name.
#[derive(Debug)]
pub struct Flights<T>(Mutex<HashMap<String, Arc<OnceCell<T>>>>);

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Flights<T> {
    /// Fetches what has a name, or waits for who is at it. Whoever hangs up leaves it to the next.
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

/// Forgets a flight when nobody waits for it any more, also when its last passenger hung up.
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
        // the map, this passenger, and nobody else
        let is_last = Arc::strong_count(self.flight) <= 2;
        if is_this && (self.flight.initialized() || is_last) {
            flights.remove(self.name);
        }
    }
}
