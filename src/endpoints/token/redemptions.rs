//! Turns for redemptions of the same code, device code or refresh token.
//!
//! The commit lets one of many simultaneous redemptions win. Without turns every loser would sign its
//! tokens first, and the signatures of 64 losers would delay or refuse other clients. With turns, a
//! loser reads that the secret was used and signs nothing. Another replica may still sign in vain:
//! correctness comes from the commit alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::oauth::OAuthError;
use crate::secret::SecretHash;

/// The longest wait for a turn. The holder may wait for a signature and for the writer, each for
/// five seconds.
const DEADLINE: Duration = Duration::from_secs(12);

/// Seconds after which a request that got no turn may be sent again.
const RETRY_AFTER: u64 = 1;

type Lock = Arc<tokio::sync::Mutex<()>>;

/// Redemptions in progress, by the hash of the presented secret. Holds as many entries as there are
/// requests at work, each removed with its last request.
#[derive(Debug, Default)]
pub struct Redemptions(Mutex<HashMap<String, Lock>>);

/// The turn of a request; the next begins when this is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    // Dropped in this order: the lock is free before its entry is looked at.
    _guard: tokio::sync::OwnedMutexGuard<()>,
    _entry: Entry<'a>,
}

impl Redemptions {
    /// Waits until no other request redeems this secret, in the order of arrival.
    ///
    /// # Errors
    /// `temporarily_unavailable` at the end of the deadline; nothing was consumed.
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

/// The share of a request in an entry of the map, while it waits and while it has its turn.
#[derive(Debug)]
struct Entry<'a> {
    redemptions: &'a Redemptions,
    key: String,
    lock: Lock,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut locks = self.redemptions.locks();
        // The references of the map and of this entry. Others join under the lock of the map alone.
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
        // Another secret does not wait; the same one does, and may give up.
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
