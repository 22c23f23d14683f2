//! Signing keys: the only module that signs or verifies JWTs.
//!
//! aws-lc-rs signs with a key that is parsed once, on blocking threads and a few at a time, so that RSA
//! does not delay other requests. `jsonwebtoken` verifies signatures.

mod assertion_signature;
mod jwt;
pub mod remote_key_sets;
pub mod sealed_text;
pub mod sealer;
pub mod shared_key;
mod signing_key;
mod signing_queue;

use std::path::PathBuf;

pub use assertion_signature::{
    ASSERTION_ALGORITHM_NAMES, AssertionError, check_assertion, peek_assertion,
};
pub use signing_key::{Jwk, SigningKey};
pub use signing_queue::{Keys, SigningLimits, SigningPermit};

/// A fault of the signing key, or a signature that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not base64.
    #[error("is not base64; `storyden-auth key generate --json` prints a value that is")]
    Base64,
    /// The text is not the PEM of a private key.
    #[error("is not the PEM of a private key (BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY)")]
    Pem,
    /// The key is not RSA, or is damaged.
    #[error("is not a usable RSA key; use an RSA key in PKCS#8 or PKCS#1")]
    Key,
    /// The key is too short.
    #[error("is an RSA key of {0} bits; use at least 2048 bits")]
    Short(usize),
    /// The key file could not be read or written.
    #[error("cannot be kept in {0}")]
    File(PathBuf, #[source] std::io::Error),
    /// Too many signatures are waiting.
    #[error("too many signatures are waiting")]
    Busy,
    /// Signing failed.
    #[error("the signature failed")]
    Signature,
}
