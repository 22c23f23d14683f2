//! Randomness as a value: all code that needs randomness takes a [`Random`], which tests seed.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

/// A source of randomness. Clones share the source.
#[derive(Clone, Debug)]
pub struct Random(Source);

#[derive(Clone, Debug)]
enum Source {
    /// The operating system's generator, through a per-thread generator.
    System,
    /// A generator that gives the same sequence for the same seed.
    Seeded(Arc<Mutex<StdRng>>),
}

impl Random {
    /// Returns the operating system's generator, fit for secrets.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Returns a generator with a fixed seed, for tests.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(
            seed,
        )))))
    }

    /// Returns `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            Source::System => system_rng().fill_bytes(&mut bytes),
            Source::Seeded(rng) => locked(rng).fill_bytes(&mut bytes),
        }
        bytes
    }

    /// Returns `N` random bytes, base64url without padding.
    #[must_use]
    pub fn base64url<const N: usize>(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<N>())
    }

    /// Returns `length` symbols of an alphabet, uniformly distributed.
    #[must_use]
    pub fn symbols(&self, alphabet: &[u8], length: usize) -> String {
        let pick = |_| match &self.0 {
            Source::System => alphabet[system_rng().random_range(0..alphabet.len())] as char,
            Source::Seeded(rng) => alphabet[locked(rng).random_range(0..alphabet.len())] as char,
        };
        (0..length).map(pick).collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "the only source of randomness")]
fn system_rng() -> rand::rngs::ThreadRng {
    rand::rng()
}

fn locked(rng: &Mutex<StdRng>) -> std::sync::MutexGuard<'_, StdRng> {
    rng.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
