//! Secrets and hashes of secrets, as distinct types.
//!
//! A [`Secret`] is redacted in `Debug` and logs, and wiped from memory. A [`SecretHash`] may be stored
//! and looked up. Opaque values (codes, tokens, request ids, session cookies) have 256 random bits, so
//! a single SHA-256 without salt is enough.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::random::Random;

/// A credential: a code, a token, a password, a client secret.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a value from outside.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// Generates an opaque value: 32 random bytes, base64url without padding (43 characters).
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self::new(random.base64url::<32>())
    }

    /// Returns the value, for checks and for the response that issues the secret.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the lower-case hex SHA-256, the stored form of opaque values.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash(hex(&Sha256::digest(self.0.as_bytes())))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// The stored form of an opaque [`Secret`]; compared in constant time.
#[derive(Clone)]
pub struct SecretHash(String);

impl SecretHash {
    /// Wraps a stored hash.
    #[must_use]
    pub fn stored(value: String) -> Self {
        Self(value)
    }

    /// Returns the stored text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for SecretHash {}

/// Encodes bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| digits_of(*byte));
    let mut text = String::with_capacity(bytes.len() * 2);
    text.extend(digits.map(char::from));
    text
}

/// Encodes 16 bytes in lower-case hexadecimal, without an allocation.
#[must_use]
pub fn hex_digits(bytes: [u8; 16]) -> [u8; 32] {
    std::array::from_fn(|index| digits_of(bytes[index / 2])[index % 2])
}

fn digits_of(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [byte >> 4, byte & 15].map(|half| DIGITS[usize::from(half)])
}
