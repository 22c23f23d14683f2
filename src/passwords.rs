//! Argon2id for passwords and client secrets, with bounded concurrency.
//!
//! A hash costs tens of milliseconds and megabytes on purpose, so a small semaphore keeps a flood of
//! guesses from using up the machine. A verified client secret is remembered by a keyed hash
//! bound to the stored value: the same secret costs nothing the next time, and rotation forgets the old
//! secret.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};
use unicode_normalization::UnicodeNormalization as _;

use crate::bounded_map::{BoundedMap, Bounds, Eviction, Expiry};
use crate::random::Random;
use crate::secret::Secret;
use crate::trace_id::step;

/// Longest wait in the queue; then the response is 503.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// The most memory of a stored hash, in KiB: four times Storyden's.
const MEMORY_MAX: u32 = 256 * 1_024;

/// The most passes and lanes that a stored hash may ask for.
const COST_MAX: u32 = 16;

/// Why a text cannot be stored as the hash of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashFormatError {
    /// Not a PHC string of a complete hash.
    #[error("must be an Argon2id PHC string, as in $argon2id$v=19$m=65536,t=1,p=1$salt$hash")]
    Form,
    /// An algorithm other than Argon2id.
    #[error("must be an Argon2id hash")]
    Algorithm,
    /// A check would cost too much.
    #[error("asks for too much: at most m=262144 (256 MiB), t=16 and p=16")]
    Cost,
}

/// Checks a hash made by a different program, before storage.
///
/// # Errors
/// The reason of the rejection, as the end of a sentence that starts with the name of the value.
pub fn check_hash(text: &str) -> Result<(), HashFormatError> {
    let hash = PasswordHash::new(text).map_err(|_| HashFormatError::Form)?;
    if hash.algorithm.as_str() != Algorithm::Argon2id.ident().as_str() {
        return Err(HashFormatError::Algorithm);
    }
    let params = Params::try_from(&hash).map_err(|_| HashFormatError::Form)?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(HashFormatError::Form);
    }
    if is_bounded(&params) {
        Ok(())
    } else {
        Err(HashFormatError::Cost)
    }
}

/// True if the cost of a stored hash is within the limits.
fn is_bounded(params: &Params) -> bool {
    params.m_cost() <= MEMORY_MAX && params.t_cost() <= COST_MAX && params.p_cost() <= COST_MAX
}

/// Why a password was not checked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The queue is full: the wait exceeded the timeout.
    #[error("too many passwords are being checked")]
    Busy,
    /// The stored hash is malformed, or too expensive.
    #[error("a stored password hash cannot be used")]
    Stored,
    /// Hashing failed.
    #[error("hashing the password failed")]
    Hashing,
}

/// Hashes and checks passwords. Clones share the queue and the cache.
#[derive(Clone)]
pub struct Passwords {
    params: Params,
    /// Concurrency limit for passwords of people, separate from `programs` so that neither starves.
    people: Arc<Semaphore>,
    /// Concurrency limit for client secrets and access keys.
    programs: Arc<Semaphore>,
    /// Locks by stored hash: guesses at the same secret are checked sequentially.
    checking: BoundedMap<Mutex<()>>,
    /// HMAC key of the cache, so that a memory dump contains nothing that can be guessed offline.
    key: [u8; 32],
    matched: BoundedMap<()>,
    /// A hash that matches no password: an unknown account costs the same time (timing attack).
    decoy: Arc<str>,
    random: Random,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords")
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}

/// Cost parameters of new hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// 64 MiB and a single pass, as in Storyden: all hashes take the same time to check, so the
    /// response time does not reveal whether an account exists.
    Standard,
    /// Minimal cost, for tests.
    Cheap,
}

impl Passwords {
    /// Creates a checker with as many concurrent checks as there are processors.
    ///
    /// # Errors
    /// [`Error::Hashing`] if the library fails.
    pub fn new(cost: Cost, random: &Random) -> Result<Self, Error> {
        let (memory, passes) = match cost {
            Cost::Standard => (64 * 1_024, 1),
            Cost::Cheap => (8, 1),
        };
        let params = Params::new(memory, passes, 1, Some(32)).map_err(|_| Error::Hashing)?;
        let turns = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Ok(Self {
            decoy: decoy(&params, random).into(),
            params,
            people: Arc::new(Semaphore::new(turns)),
            programs: Arc::new(Semaphore::new(turns)),
            checking: BoundedMap::new(Bounds {
                weight: 10_000,
                expiry: Expiry::Idle(Duration::from_mins(1)),
                eviction: Eviction::LeastFrequent,
            }),
            key: random.bytes(),
            matched: BoundedMap::new(Bounds {
                weight: 10_000,
                expiry: Expiry::Age(Duration::from_hours(1)),
                eviction: Eviction::LeastFrequent,
            }),
            random: random.clone(),
        })
    }

    /// Hashes a password with Argon2id, as a PHC string: the bytes as typed, because Storyden compares
    /// the bytes that a browser sends.
    ///
    /// # Errors
    /// [`Error::Busy`], or [`Error::Hashing`].
    pub async fn hash(&self, password: &Secret) -> Result<String, Error> {
        let (params, password, salt) = (self.params.clone(), password.clone(), self.random.bytes());
        self.run_limited(&self.people, move || {
            hash_now(&params, password.reveal(), &salt)
        })
        .await?
    }

    /// Verifies a password in each of its `forms`. Without a stored hash the cost is the same, and the
    /// result is `false`: the number of hashes depends on the typed password alone (timing attack).
    ///
    /// # Errors
    /// [`Error::Busy`], or [`Error::Stored`] for a malformed hash.
    pub async fn verify(&self, password: &Secret, stored: Option<&str>) -> Result<bool, Error> {
        let known = stored.is_some();
        let hash = stored.unwrap_or(&self.decoy).to_owned();
        let forms = forms(password);
        let matches = self
            .run_limited(&self.people, move || {
                for form in &forms {
                    if verify_now(form.reveal(), &hash)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
            .await??;
        Ok(known && matches)
    }

    /// Verifies a client secret.
    ///
    /// # Errors
    /// As [`Passwords::verify`].
    pub async fn verify_secret(&self, secret: &Secret, stored: &str) -> Result<bool, Error> {
        let (secret, hash) = (secret.clone(), stored.to_owned());
        self.run_limited(&self.programs, move || verify_now(secret.reveal(), &hash))
            .await?
    }

    /// Locks a stored hash, so that only a single request checks a secret against that hash.
    ///
    /// # Errors
    /// [`Error::Busy`] after a few seconds.
    pub async fn lock_hash(&self, stored: &str) -> Result<OwnedMutexGuard<()>, Error> {
        let lock = self.checking.get_or_insert_with(stored, Mutex::default);
        let turn = tokio::time::timeout(QUEUE_TIMEOUT, lock.lock_owned()).await;
        turn.map_err(|_| Error::Busy)
    }

    /// True if the secret matched this stored hash before. Needs no Argon2id hash.
    #[must_use]
    pub fn is_verified(&self, secret: &Secret, stored: &str) -> bool {
        self.matched.get(self.tag(secret, stored)).is_some()
    }

    /// Caches a verified secret, because clients present the same secret in every request.
    pub fn remember(&self, secret: &Secret, stored: &str) {
        self.matched.insert(self.tag(secret, stored), ());
    }

    fn tag(&self, secret: &Secret, stored: &str) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(stored.as_bytes());
        mac.update(&[0]);
        mac.update(secret.reveal().as_bytes());
        mac.finalize().into_bytes().into()
    }

    async fn run_limited<T: Send + 'static>(
        &self,
        turns: &Arc<Semaphore>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let _step = step("password hash");
        let turn = Arc::clone(turns).acquire_owned();
        let turn = tokio::time::timeout(QUEUE_TIMEOUT, turn).await;
        let turn = turn.map_err(|_| Error::Busy)?.map_err(|_| Error::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let outcome = work();
            drop(turn);
            outcome
        });
        done.await.map_err(|_| Error::Hashing)
    }
}

/// Returns a hash with these parameters that matches no password, because its value is random. A hash of a random
/// password would take longest of everything at the start.
fn decoy(params: &Params, random: &Random) -> String {
    let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    let salt = STANDARD_NO_PAD.encode(random.bytes::<16>());
    let value = STANDARD_NO_PAD.encode(random.bytes::<32>());
    format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${value}")
}

/// The distinct forms of a password, at most four: as typed, NFC, NFD and NFKC. Keyboards and operating
/// systems encode the same letters differently, so the form at sign-in may not be the stored form.
fn forms(password: &Secret) -> Vec<Secret> {
    let typed = password.reveal();
    let mut forms = vec![password.clone()];
    if typed.is_ascii() {
        return forms; // normalization changes only non-ASCII texts
    }
    for form in [
        typed.nfc().collect::<String>(),
        typed.nfd().collect(),
        typed.nfkc().collect(),
    ] {
        let form = Secret::new(form);
        if forms.iter().all(|known| known.reveal() != form.reveal()) {
            forms.push(form);
        }
    }
    forms
}

fn hash_now(params: &Params, password: &str, salt: &[u8; 16]) -> Result<String, Error> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let hash = argon2.hash_password_with_salt(password.as_bytes(), salt);
    hash.map(|hash| hash.to_string())
        .map_err(|_| Error::Hashing)
}

fn verify_now(password: &str, stored: &str) -> Result<bool, Error> {
    let hash = PasswordHash::new(stored).map_err(|_| Error::Stored)?;
    let params = Params::try_from(&hash).map_err(|_| Error::Stored)?;
    if !is_bounded(&params) {
        return Err(Error::Stored);
    }
    match Argon2::default().verify_password(password.as_bytes(), &hash) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(_) => Err(Error::Stored),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each distinct form costs one hash: one for ASCII, at most four for any text.
    #[test]
    fn only_distinct_forms_of_a_password_are_checked() {
        let count = |text: &str| forms(&Secret::new(text)).len();
        assert_eq!(count("correct horse battery"), 1);
        assert_eq!(count("p\u{e4}ssword"), 2); // NFC, NFD
        assert_eq!(count("pa\u{308}ssword"), 2);
        assert_eq!(count("\u{fb01}sh"), 2); // a ligature: as typed, NFKC
        assert_eq!(count("\u{fb01}sh \u{e4}"), 3); // as typed, NFD, NFKC
        assert_eq!(count("\u{fb01}sh \u{e4}a\u{308}"), 4);
        assert_eq!(count("\u{5bc6}\u{7801}"), 1);
    }

    proptest! {
        #[test]
        fn any_password_has_few_distinct_forms(text in ".{0,40}") {
            let forms = forms(&Secret::new(text.clone()));
            prop_assert_eq!(forms[0].reveal(), text.as_str());
            prop_assert!(forms.len() <= 4);
            for (index, form) in forms.iter().enumerate() {
                prop_assert!(forms[..index].iter().all(|other| other.reveal() != form.reveal()));
            }
        }
    }

    /// The decoy costs the same as a hash of a password, so that the time of a sign-in does not reveal whether an account
    /// exists.
    #[test]
    fn the_decoy_costs_the_same_and_matches_nothing() {
        let passwords = Passwords::new(Cost::Cheap, &Random::seeded(1)).unwrap();
        let made = hash_now(&passwords.params, "a password", &[1; 16]).unwrap();
        let cost = |hash: &str| hash.rsplitn(3, '$').nth(2).map(str::to_owned);
        assert_eq!(cost(&passwords.decoy), cost(&made));
        assert_eq!(passwords.decoy.len(), made.len());
        assert!(!verify_now("a password", &passwords.decoy).unwrap());
    }

    /// an imported hash is Argon2id, complete, and at most four times as expensive as Storyden's.
    #[test]
    fn a_foreign_hash_is_argon2id_and_bounded() {
        const TAIL: &str = "c2FsdHNhbHRzYWx0c2FsdA$mn7JPPnYRvXKsLqLzXbKBg2kwp1sXGuLwPMZTHkx0XM";
        let of = |cost: &str| check_hash(&format!("$argon2id$v=19${cost}${TAIL}"));
        assert_eq!(of("m=65536,t=1,p=1"), Ok(()));
        assert_eq!(of("m=262144,t=16,p=16"), Ok(()));
        assert_eq!(of("m=262145,t=1,p=1"), Err(HashFormatError::Cost));
        assert_eq!(of("m=4194304,t=1,p=1"), Err(HashFormatError::Cost));
        assert_eq!(of("m=65536,t=17,p=1"), Err(HashFormatError::Cost));
        assert_eq!(of("m=65536,t=1,p=17"), Err(HashFormatError::Cost));
        let other = format!("$argon2i$v=19$m=65536,t=1,p=1${TAIL}");
        assert_eq!(check_hash(&other), Err(HashFormatError::Algorithm));
        for text in [
            "",
            "nonsense",
            "$argon2id$x",
            "$argon2id$v=19$m=65536,t=1,p=1",
        ] {
            assert_eq!(check_hash(text), Err(HashFormatError::Form), "{text}");
        }
    }
}
