//! The keys of this server in use: signing, verification, and the key set, always with the rows as they are
//! in the database.
//!
//! The keys are in memory, so that no request needs a statement. The memory is compared with the database
//! every [`POLL_EVERY`]; at once for a token with an unknown `kid`; and before a request is answered if the
//! last comparison is longer ago than [`FRESH_FOR`], as after a pause of the process or of the machine.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration as StdDuration;

use serde::de::DeserializeOwned;
use time::Duration;
use tokio::sync::Mutex;

use super::jwt::UnverifiedToken;
use super::key_sealer::KeySealer;
use super::key_set::{ConfiguredKeys, KeySet, Purpose};
use super::public_key::PublicKey;
use super::rendered_key_set::RenderedKeySet;
use super::rotated_keys::RotatedKeys;
use super::schedule::Schedule;
use super::signing_queue::{SigningLimits, SigningPermit, SigningQueue};
use super::{Error, SigningKey};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::random::Random;
use crate::store::{self, Db};

/// Period of the comparison with the database.
pub const POLL_EVERY: StdDuration = StdDuration::from_secs(2);

/// Maximum age of the last comparison for an answer from memory.
const FRESH_FOR: Duration = Duration::seconds(30);

/// Minimum time between two comparisons because of unknown key ids, which anybody may send.
const UNKNOWN_KID_EVERY: Duration = Duration::seconds(1);

/// A verified token.
#[derive(Debug)]
pub struct Verified<T> {
    /// The claims.
    pub claims: T,
    /// Key id of the key that signed the token.
    pub kid: String,
}

/// The keys of this server.
#[derive(Debug)]
pub struct Keys {
    set: RwLock<Arc<KeySet>>,
    pub(super) rotated: Option<RotatedKeys>,
    /// The algorithm of a token whose client chose none.
    default_algorithm: SigningAlgorithm,
    queue: SigningQueue,
    pub(super) rendered: RenderedKeySet,
    pub(super) clock: Clock,
    /// Time of the last comparison with the database, in seconds since 1970.
    checked_at: AtomicI64,
    /// Number of started reads of the database.
    reads: AtomicU64,
    /// Held while the database is read (single flight); the time of the last read because of an unknown
    /// key id.
    reading: Mutex<Option<Timestamp>>,
}

/// Dependencies of the keys.
#[derive(Debug)]
pub struct KeyEnvironment {
    /// The database.
    pub db: Db,
    /// The clock.
    pub clock: Clock,
    /// Source of randomness.
    pub random: Random,
    /// Limits of the signing queue.
    pub limits: SigningLimits,
}

impl Keys {
    /// Creates the keys that the settings describe. Rotated keys are read by [`Keys::load`], after the
    /// migrations.
    ///
    /// # Errors
    /// [`Error::NoSecret`] if keys are rotated and there is no secret to seal the keys with.
    pub fn new(
        config: &Config,
        configured: ConfiguredKeys,
        environment: KeyEnvironment,
    ) -> Result<Self, Error> {
        let KeyEnvironment {
            db,
            clock,
            random,
            limits,
        } = environment;
        let schedule = Schedule {
            rotation: config.key_rotation,
            algorithms: config.rotated_algorithms(),
            hint_life: config.grant_life(),
        };
        let rotated = if schedule.algorithms.is_empty() {
            None
        } else {
            Some(RotatedKeys {
                db,
                sealer: KeySealer::new(config, random).ok_or(Error::NoSecret)?,
                schedule: schedule.clone(),
                earlier_key: config.earlier_key_folder(),
            })
        };
        let set = KeySet {
            configured,
            schedule,
            facts: Vec::new(),
            rotated: Vec::new(),
        };
        Ok(Self {
            set: RwLock::new(Arc::new(set)),
            rotated,
            default_algorithm: config.default_algorithm(),
            queue: SigningQueue::new(limits),
            rendered: RenderedKeySet::default(),
            clock,
            checked_at: AtomicI64::new(i64::MIN),
            reads: AtomicU64::new(0),
            reading: Mutex::new(None),
        })
    }

    /// Reads the rotated keys, and creates the first key of each algorithm.
    ///
    /// # Errors
    /// [`Error::Sealed`] if a key cannot be opened, and if the database is unavailable.
    pub async fn load(&self) -> Result<(), Error> {
        let Some(rotated) = &self.rotated else {
            return Ok(());
        };
        let now = self.clock.now();
        let mut set = rotated.read(&self.set()).await?;
        if rotated.create_first(&set, now).await? {
            set = rotated.read(&set).await?;
        }
        self.replace(set, now);
        Ok(())
    }

    /// Reads the rotated keys, and creates none.
    ///
    /// # Errors
    /// As [`Keys::load`].
    pub async fn load_existing(&self) -> Result<(), Error> {
        if let Some(rotated) = &self.rotated {
            let set = rotated.read(&self.set()).await?;
            self.replace(set, self.clock.now());
        }
        Ok(())
    }

    /// Compares the memory with the database, and reads the keys again if a row changed.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn poll(&self) -> Result<(), store::Error> {
        let Some(rotated) = &self.rotated else {
            return Ok(());
        };
        let now = self.clock.now();
        if rotated.changed_since(&self.set()).await? {
            self.read(|_| true).await?;
        } else {
            self.checked_at.store(now.unix_seconds(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Reads the database, or joins the read in progress. `wanted` decides under the lock.
    pub(super) async fn read(
        &self,
        wanted: impl FnOnce(&mut Option<Timestamp>) -> bool,
    ) -> Result<Arc<KeySet>, store::Error> {
        let Some(rotated) = &self.rotated else {
            return Ok(self.set());
        };
        let before = self.reads.load(Ordering::Acquire);
        let mut last_unknown = self.reading.lock().await;
        if self.reads.load(Ordering::Acquire) != before || !wanted(&mut last_unknown) {
            return Ok(self.set()); // a read that began after this call, or none is due
        }
        let now = self.clock.now();
        self.reads.fetch_add(1, Ordering::Release);
        let known = self.set();
        let set = rotated.read_again(&known).await?;
        log_revocations(&known, &set);
        self.replace(set, now);
        Ok(self.set())
    }

    /// Returns the keys, read from the database if the last comparison is too long ago.
    pub(super) async fn fresh(&self) -> Result<Arc<KeySet>, store::Error> {
        if self.is_fresh() {
            return Ok(self.set());
        }
        let set = self.read(|_| true).await?;
        if self.is_fresh() {
            Ok(set)
        } else {
            Err(store::Error::Aborted) // the read that this call joined failed
        }
    }

    fn is_fresh(&self) -> bool {
        let checked_at = self.checked_at.load(Ordering::Relaxed);
        let age = self.clock.now().unix_seconds().saturating_sub(checked_at);
        // Also false after the clock went back.
        self.rotated.is_none() || age.unsigned_abs() <= FRESH_FOR.whole_seconds().unsigned_abs()
    }

    /// Returns the keys, read from the database if the key of a token is unknown.
    async fn fresh_for(&self, token: &UnverifiedToken<'_>) -> Result<Arc<KeySet>, store::Error> {
        let set = self.fresh().await?;
        let is_known = token.kid.as_ref().is_none_or(|kid| set.knows(kid));
        if is_known || self.rotated.is_none() {
            return Ok(set);
        }
        let now = self.clock.now();
        let is_due = |last: &mut Option<Timestamp>| {
            let is_due = last.is_none_or(|last| (now - last).abs() >= UNKNOWN_KID_EVERY);
            if is_due {
                *last = Some(now);
            }
            is_due
        };
        self.read(is_due).await
    }

    fn replace(&self, set: KeySet, checked_at: Timestamp) {
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
        let seconds = checked_at.unix_seconds();
        self.checked_at.store(seconds, Ordering::Relaxed);
    }

    pub(super) fn set(&self) -> Arc<KeySet> {
        Arc::clone(&self.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for a processor. A turn serves all signatures of a request, so that a request with an ID
    /// token does not queue twice.
    ///
    /// # Errors
    /// [`Error::Busy`] at once if the queue is full, or at the end of the deadline; [`Error::NoKey`] without
    /// a key.
    pub async fn turn(&self) -> Result<SigningPermit, Error> {
        self.turn_with(None).await
    }

    /// Waits for a processor, to sign with an algorithm; with the default algorithm without a choice, or if
    /// there is no key for the algorithm.
    ///
    /// # Errors
    /// As [`Keys::turn`].
    pub async fn turn_with(
        &self,
        algorithm: Option<SigningAlgorithm>,
    ) -> Result<SigningPermit, Error> {
        let set = self.fresh().await?;
        let turn = self.queue.turn().await?;
        let key = self.key_for(&set, algorithm)?;
        Ok(SigningPermit { key, turn })
    }

    /// Returns a permit for the same processor, to sign with another algorithm in the same request.
    ///
    /// # Errors
    /// [`Error::NoKey`] without a key.
    pub fn same_turn_with(
        &self,
        permit: &SigningPermit,
        algorithm: Option<SigningAlgorithm>,
    ) -> Result<SigningPermit, Error> {
        let key = self.key_for(&self.set(), algorithm)?;
        let turn = permit.turn.clone();
        Ok(SigningPermit { key, turn })
    }

    fn key_for(
        &self,
        set: &KeySet,
        algorithm: Option<SigningAlgorithm>,
    ) -> Result<SigningKey, Error> {
        let now = self.clock.now();
        let chosen = algorithm.and_then(|algorithm| set.signing_key(algorithm, now));
        let key = chosen.or_else(|| set.signing_key(self.default_algorithm, now));
        key.cloned().ok_or(Error::NoKey)
    }

    /// Verifies an access token of type `typ` signed by this server; `None` for any other text. Checks only
    /// the header and the signature; `jku`, `jwk` and `x5u` are ignored.
    ///
    /// # Errors
    /// If the database is unavailable and the keys in memory may be out of date.
    pub async fn verify<T: DeserializeOwned>(
        &self,
        typ: &str,
        token: &str,
    ) -> Result<Option<Verified<T>>, store::Error> {
        self.verify_for(Purpose::AccessToken, typ, token).await
    }

    /// Verifies an ID token that is used as a hint, also by keys that sign and verify nothing else any more.
    ///
    /// # Errors
    /// As [`Keys::verify`].
    pub async fn verify_hint<T: DeserializeOwned>(
        &self,
        token: &str,
    ) -> Result<Option<T>, store::Error> {
        let verified = self.verify_for(Purpose::Hint, "JWT", token).await?;
        Ok(verified.map(|verified| verified.claims))
    }

    async fn verify_for<T: DeserializeOwned>(
        &self,
        purpose: Purpose,
        typ: &str,
        token: &str,
    ) -> Result<Option<Verified<T>>, store::Error> {
        let Some(token) = UnverifiedToken::parse(token) else {
            return Ok(None);
        };
        let set = self.fresh_for(&token).await?;
        let key = set.verifying_key(&token, typ, purpose, self.clock.now());
        Ok(key.and_then(|key| verified(key, &token)))
    }

    /// Verifies an access token of any type and any `kid` by the signature alone.
    ///
    /// # Errors
    /// As [`Keys::verify`].
    pub async fn verify_any<T: DeserializeOwned>(
        &self,
        token: &str,
    ) -> Result<Option<Verified<T>>, store::Error> {
        let Some(token) = UnverifiedToken::parse(token) else {
            return Ok(None);
        };
        let set = self.fresh().await?;
        let key = set.verifying_key_of_any(&token, self.clock.now());
        Ok(key.and_then(|key| verified(key, &token)))
    }

    /// Returns the number of free processors.
    #[must_use]
    pub fn free_permits(&self) -> usize {
        self.queue.free_permits()
    }

    /// Returns the number of requests that wait for a processor.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Returns the number of signatures started since the process started.
    #[must_use]
    pub fn signatures(&self) -> u64 {
        self.queue.signatures()
    }

    /// Returns the number of reads of the database since the process started.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Returns the key that signs with an algorithm, in memory.
    #[must_use]
    pub fn signing_key(&self, algorithm: SigningAlgorithm) -> Option<SigningKey> {
        self.set().signing_key(algorithm, self.clock.now()).cloned()
    }

    /// Returns the algorithm of a token whose client chose none.
    #[must_use]
    pub fn default_algorithm(&self) -> SigningAlgorithm {
        self.default_algorithm
    }
}

/// Logs the keys that were revoked since the last read, here, by a command or by another replica.
fn log_revocations(known: &KeySet, set: &KeySet) {
    let is_new = |kid: &str| {
        let mut known = known.facts.iter();
        known.any(|facts| facts.kid == kid && facts.revoked_at.is_none())
    };
    let revoked = set.facts.iter().filter(|facts| facts.revoked_at.is_some());
    for facts in revoked.filter(|facts| is_new(&facts.kid)) {
        tracing::warn!(
            kid = facts.kid,
            "signing key was revoked; its tokens are refused"
        );
    }
}

fn verified<T: DeserializeOwned>(
    key: &PublicKey,
    token: &UnverifiedToken<'_>,
) -> Option<Verified<T>> {
    Some(Verified {
        claims: token.claims()?,
        kid: key.kid().to_owned(),
    })
}
