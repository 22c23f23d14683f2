//! The queue of signatures, first in, first out: as many at once as there are processors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::signing_threads::SigningThreads;
use super::{Error, SigningKey};
use crate::clock::Timer;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::telemetry::metrics;
use crate::trace_id::step;

/// Limits of the signing queue. A request beyond the limits gets 503 before anything is consumed.
#[derive(Clone, Copy, Debug)]
pub struct SigningLimits {
    /// Maximum number of requests that wait for a processor.
    pub waiting: usize,
    /// Maximum wait of a request.
    pub deadline: Duration,
}

impl Default for SigningLimits {
    fn default() -> Self {
        Self {
            waiting: 1_024,
            deadline: Duration::from_secs(5),
        }
    }
}

/// The queue. Clones share the queue.
#[derive(Clone, Debug)]
pub(super) struct SigningQueue {
    /// A permit per processor.
    permits: Arc<Semaphore>,
    /// A permit per free place in the queue.
    queue_permits: Arc<Semaphore>,
    limits: SigningLimits,
    threads: Arc<SigningThreads>,
    signatures: Arc<AtomicU64>,
}

/// A processor reserved for the signatures of a request, and the key to sign with.
#[derive(Debug)]
pub struct SigningPermit {
    pub(super) key: SigningKey,
    pub(super) turn: Turn,
}

/// A processor reserved for a request. Clones share the processor.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// Shared with the signing thread: if the client disconnects, the processor stays reserved until
    /// that thread is done.
    permit: Arc<OwnedSemaphorePermit>,
    threads: Arc<SigningThreads>,
    signatures: Arc<AtomicU64>,
}

impl SigningPermit {
    /// Returns the algorithm of the signatures.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.key.algorithm()
    }

    /// Signs claims; `typ` is the type in the header.
    ///
    /// # Errors
    /// [`Error::Signature`] if the library fails.
    pub async fn sign(&self, typ: &'static str, claims: &impl Serialize) -> Result<String, Error> {
        let claims = serde_json::to_vec(claims).map_err(|_| Error::Signature)?;
        let key = self.key.clone();
        self.run(1, move || key.sign(typ, &claims)).await
    }

    /// Signs an access token and then an ID token, in one turn of the thread. `id_claims` makes the claims of the
    /// ID token, which depend on the access token (OpenID Connect Core §3.1.3.6).
    ///
    /// # Errors
    /// As [`SigningPermit::sign`].
    pub async fn sign_both<C>(
        &self,
        typ: &'static str,
        claims: &impl Serialize,
        id: &Self,
        id_claims: C,
    ) -> Result<(String, String), Error>
    where
        C: FnOnce(&str) -> serde_json::Result<Vec<u8>> + Send + 'static,
    {
        let claims = serde_json::to_vec(claims).map_err(|_| Error::Signature)?;
        let (key, id_key) = (self.key.clone(), id.key.clone());
        let work = move || {
            let access_token = key.sign(typ, &claims)?;
            let claims = id_claims(&access_token).map_err(|_| Error::Signature)?;
            let id_token = id_key.sign("JWT", &claims)?;
            Ok((access_token, id_token))
        };
        self.run(2, work).await
    }

    /// Runs work on a signing thread. If the request ends early, the processor stays reserved until the work is
    /// done.
    async fn run<T: Send + 'static>(
        &self,
        signatures: u64,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let _step = step("signature");
        let Turn {
            permit,
            threads,
            signatures: count,
        } = &self.turn;
        count.fetch_add(signatures, Ordering::Relaxed);
        let permit = Arc::clone(permit);
        let (sender, outcome) = oneshot::channel();
        threads.run(Box::new(move || {
            let done = work();
            drop(permit);
            let _ = sender.send(done); // fails if the request ended
        }))?;
        outcome.await.map_err(|_| Error::Signature)?
    }
}

impl SigningQueue {
    /// Creates a queue with as many concurrent signatures as there are processors.
    pub(super) fn new(limits: SigningLimits) -> Self {
        let permits = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            permits: Arc::new(Semaphore::new(permits)),
            queue_permits: Arc::new(Semaphore::new(limits.waiting)),
            limits,
            threads: Arc::new(SigningThreads::new(permits)),
            signatures: Arc::default(),
        }
    }

    /// Waits for a processor.
    ///
    /// # Errors
    /// [`Error::Busy`] at once if the queue is full, or at the end of the deadline.
    pub(super) async fn turn(&self) -> Result<Turn, Error> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => {
                metrics::signing_wait(0.0);
                permit
            }
            Err(_) => self.wait_for_turn().await?,
        };
        Ok(Turn {
            permit: Arc::new(permit),
            threads: Arc::clone(&self.threads),
            signatures: Arc::clone(&self.signatures),
        })
    }

    async fn wait_for_turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let Ok(_place) = self.queue_permits.try_acquire() else {
            metrics::signing_refused("full");
            return Err(Error::Busy);
        };
        let stopwatch = Timer::start();
        let turn = Arc::clone(&self.permits).acquire_owned(); // the semaphore is fair
        let turn = tokio::time::timeout(self.limits.deadline, turn).await;
        metrics::signing_wait(stopwatch.seconds());
        let Ok(turn) = turn else {
            metrics::signing_refused("deadline");
            return Err(Error::Busy);
        };
        turn.map_err(|_| Error::Busy)
    }

    /// Returns the number of free processors.
    pub(super) fn free_permits(&self) -> usize {
        self.permits.available_permits()
    }

    /// Returns the number of requests that wait for a processor.
    pub(super) fn waiting(&self) -> usize {
        self.limits.waiting - self.queue_permits.available_permits()
    }

    /// Returns the number of signatures started since the process started.
    pub(super) fn signatures(&self) -> u64 {
        self.signatures.load(Ordering::Relaxed)
    }
}
