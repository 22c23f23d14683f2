//! The queue of signatures, first in, first out: as many at once as there are processors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jsonwebtoken::TokenData;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::jwt::is_type;
use super::{Error, SigningKey};
use crate::clock::Timer;
use crate::telemetry::metrics;

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

/// The signing key with a first-in, first-out queue. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Keys {
    key: SigningKey,
    /// A permit per processor.
    permits: Arc<Semaphore>,
    /// A permit per free place in the queue.
    queue_permits: Arc<Semaphore>,
    limits: SigningLimits,
    signatures: Arc<AtomicU64>,
}

/// A processor reserved for the signatures of a request.
#[derive(Debug)]
pub struct SigningPermit {
    key: SigningKey,
    /// Shared with the signing thread: if the client disconnects, the processor stays reserved until
    /// that thread is done.
    permit: Arc<OwnedSemaphorePermit>,
    signatures: Arc<AtomicU64>,
}

impl SigningPermit {
    /// Signs claims; `typ` is the type in the header.
    ///
    /// # Errors
    /// [`Error::Signature`] if the library fails.
    pub async fn sign(&self, typ: &'static str, claims: &impl Serialize) -> Result<String, Error> {
        let claims = serde_json::to_vec(claims).map_err(|_| Error::Signature)?;
        let (key, permit) = (self.key.clone(), Arc::clone(&self.permit));
        self.signatures.fetch_add(1, Ordering::Relaxed);
        let signed = tokio::task::spawn_blocking(move || {
            let token = key.sign(typ, &claims);
            drop(permit);
            token
        });
        signed.await.map_err(|_| Error::Signature)?
    }
}

impl Keys {
    /// Creates a signer with as many concurrent signatures as there are processors.
    #[must_use]
    pub fn new(key: SigningKey, limits: SigningLimits) -> Self {
        let permits = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            key,
            permits: Arc::new(Semaphore::new(permits)),
            queue_permits: Arc::new(Semaphore::new(limits.waiting)),
            limits,
            signatures: Arc::default(),
        }
    }

    /// Waits for a processor. A turn serves all signatures of a request, so that a request with an ID
    /// token does not queue twice.
    ///
    /// # Errors
    /// [`Error::Busy`] at once if the queue is full, or at the end of the deadline.
    pub async fn turn(&self) -> Result<SigningPermit, Error> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => {
                metrics::signing_wait(0.0);
                permit
            }
            Err(_) => self.wait_for_turn().await?,
        };
        Ok(SigningPermit {
            key: self.key.clone(),
            permit: Arc::new(permit),
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

    /// Verifies a token of type `typ` signed by this server and returns the claims; `None` for any
    /// other text. Checks only the header and the signature, with RS256 and this server's key; `jku`,
    /// `jwk` and `x5u` are ignored.
    #[must_use]
    pub fn verify<T: DeserializeOwned>(&self, typ: &str, token: &str) -> Option<T> {
        let TokenData { header, claims } = self.key.decode(token)?;
        let is_of_type = header.typ.is_some_and(|given| is_type(&given, typ)); // RFC 9068 §4, RFC 8725 §3.11
        // no other key exists, and no key is fetched
        let is_of_key = header.kid.is_none_or(|kid| kid == self.key.kid());
        (is_of_type && is_of_key).then_some(claims)
    }

    /// Verifies a token of any type and any `kid` by the signature alone, and returns the claims.
    #[must_use]
    pub fn verify_any<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        self.key.decode(token).map(|data| data.claims)
    }

    /// Returns the number of free processors.
    #[must_use]
    pub fn free_permits(&self) -> usize {
        self.permits.available_permits()
    }

    /// Returns the number of requests that wait for a processor.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.limits.waiting - self.queue_permits.available_permits()
    }

    /// Returns the number of signatures started since the process started.
    #[must_use]
    pub fn signatures(&self) -> u64 {
        self.signatures.load(Ordering::Relaxed)
    }

    /// Returns the public keys as a JWK Set (RFC 7517 §5).
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        serde_json::json!({ "keys": [self.key.jwk()] })
    }

    /// Returns the signing key.
    #[must_use]
    pub fn signing_key(&self) -> &SigningKey {
        &self.key
    }
}
