//! Per-secret queue for redemptions of a code, device code or refresh token, and for decisions about an
//! authorization request.
//!
//! The commit lets one of many concurrent redemptions win. Without the queue, every loser would sign
//! tokens and hold a connection of the database before the commit fails, and 64 losers would delay or
//! refuse other clients. With the queue, a loser reads that the secret was consumed, and neither signs nor
//! opens a transaction. This is an optimization within one replica: correctness comes from the commit
//! alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::oauth::OAuthError;
use crate::secret::SecretHash;

/// Longest wait for a turn. The holder may wait five seconds for a signature and five for the database
/// writer.
const DEADLINE: Duration = Duration::from_secs(12);

/// `Retry-After` of a request that got no turn.
const RETRY_AFTER: u64 = 1;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// Redemptions in progress, by the hash of the presented secret. The last request of an entry removes
/// the entry.
#[derive(Debug, Default)]
pub struct Redemptions(Mutex<HashMap<String, Lock>>);

/// The turn of a request; dropping it lets the next request proceed.
#[derive(Debug)]
pub struct Turn<'a> {
    // Field order is drop order: release the lock before checking if the entry is unused.
    _guard: tokio::sync::OwnedMutexGuard<()>,
    _entry: Entry<'a>,
}

impl Redemptions {
    /// Waits until no other request redeems this secret. Requests proceed in the order of arrival.
    ///
    /// # Errors
    /// `temporarily_unavailable` after the deadline; nothing was consumed.
    pub async fn turn(&self, secret: &SecretHash) -> Result<Turn<'_>, OAuthError> {
        let key = secret.as_str().to_owned();
        let lock = Arc::clone(self.locks().entry(key.clone()).or_default());
        let entry = Entry {
            redemptions: self,
            key,
            lock,
        };
        let guard = tokio::time::timeout(DEADLINE, Arc::clone(&entry.lock).lock_owned()).await;
        let guard = guard.map_err(|_| {
            OAuthError::temporarily_unavailable("The server is busy; try again shortly")
                .retry_after(RETRY_AFTER)
        })?;
        Ok(Turn {
            _guard: guard,
            _entry: entry,
        })
    }

    fn locks(&self) -> MutexGuard<'_, HashMap<String, Lock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's reference to a map entry, from the start of the wait to the end of the turn.
#[derive(Debug)]
struct Entry<'a> {
    redemptions: &'a Redemptions,
    key: String,
    lock: Lock,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut locks = self.redemptions.locks();
        // Two references left: the map's and this one. New references need the map's lock, held here.
        if Arc::strong_count(&self.lock) == 2 {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[tokio::test]
    async fn no_entry_outlives_its_requests() {
        let redemptions = Redemptions::default();
        let (first, second) = (Secret::new("first").hash(), Secret::new("second").hash());
        let held = redemptions.turn(&first).await.unwrap();
        // A different secret does not wait; the same secret does, and the waiting request may be
        // cancelled.
        let other = redemptions.turn(&second).await.unwrap();
        assert_eq!(redemptions.locks().len(), 2);
        let mut waiting = Box::pin(redemptions.turn(&first));
        assert!(polled_once(&mut waiting).await.is_none());
        drop(waiting);
        assert_eq!(redemptions.locks().len(), 2);
        let mut waiting = Box::pin(redemptions.turn(&first));
        assert!(polled_once(&mut waiting).await.is_none());
        drop((held, other));
        assert_eq!(redemptions.locks().len(), 1);
        drop(waiting.await.unwrap());
        assert!(redemptions.locks().is_empty());
    }

    /// Polls a future once; `None` if it is pending.
    async fn polled_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
