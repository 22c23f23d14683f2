//! Signing keys: the only module that signs or verifies JWTs.
//!
//! A key from the settings does not rotate. Without such a key, the server generates keys, stores the keys sealed
//! in `auth_keys`, and rotates the keys: [`schedule`] has the states.
//!
//! aws-lc-rs signs and verifies with keys that are parsed once; signatures are made on threads of their own and
//! a few at a time, so that RSA does not delay other requests. `jsonwebtoken` verifies by keys of clients.

mod assertion_signature;
mod dpop_proof;
mod jwt;
mod key_operations;
pub mod key_sealer;
mod key_set;
mod public_key;
pub mod remote_key_sets;
mod rendered_key_set;
mod rotated_keys;
mod rsa_length;
pub mod schedule;
pub mod sealed_text;
pub mod sealer;
mod server_keys;
pub mod shared_key;
mod signing_key;
mod signing_queue;
mod signing_threads;

use std::path::PathBuf;

pub use assertion_signature::{
    ASSERTION_ALGORITHM_NAMES, AssertionError, check_assertion, check_identity_assertion,
    check_request_object, is_identity_assertion, key_id, peek_assertion,
};
pub use dpop_proof::{SignedProof, verify_proof};
pub use key_set::{ConfiguredKeys, KeyStatus};
pub use public_key::{Jwk, PublicKey};
pub use server_keys::{KeyEnvironment, Keys, POLL_EVERY, Verified};
pub use signing_key::SigningKey;
pub use signing_queue::{SigningLimits, SigningPermit};

use crate::config::Config;
use crate::secret::Secret;
use crate::store;

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
    /// The text is not a JWK set of public keys.
    #[error(
        "has an entry that is not a set of public keys as `storyden-auth key export --public` prints it"
    )]
    KeySet,
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
    /// No key signs with the algorithm.
    #[error("there is no signing key")]
    NoKey,
    /// Keys are rotated, and there is no secret to seal the keys with.
    #[error("there is no secret to seal signing keys with")]
    NoSecret,
    /// The secret of the stored keys cannot be read.
    #[error("the secret of the signing keys cannot be read from {}: {}; {}", .0.display(), .1, secret_advice(.1))]
    SecretFile(PathBuf, std::io::Error),
    /// The key file of an earlier version cannot be used.
    #[error("oauth-signing-key.pem in DATA_DIR {0}")]
    KeyFile(#[source] Box<Error>),
    /// A stored key cannot be opened.
    #[error(
        "the signing key {0} in the database cannot be opened: OAUTH_KEYS_SECRET, or oauth-keys.secret in \
         DATA_DIR, is not the secret that the key was sealed with, or the row was changed. Use the secret of \
         the server that wrote the key, or restore the row from a backup"
    )]
    Sealed(String),
    /// The key is not a key that this server rotates.
    #[error("is not a key that this server rotates")]
    NotRotated,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// The change that makes the file of the secret readable.
fn secret_advice(error: &std::io::Error) -> &'static str {
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        "give the file to the user of the server with chown"
    } else {
        "restore the file from a backup, or set OAUTH_KEYS_SECRET"
    }
}

impl Error {
    /// True if the text is a sentence of its own; false if it needs the name of a key or of a setting before it.
    #[must_use]
    pub fn is_sentence(&self) -> bool {
        match self {
            Self::Base64
            | Self::Pem
            | Self::Key
            | Self::KeySet
            | Self::Short(_)
            | Self::File(..)
            | Self::NotRotated => false,
            Self::Busy
            | Self::Signature
            | Self::NoKey
            | Self::NoSecret
            | Self::SecretFile(..)
            | Self::KeyFile(_)
            | Self::Sealed(_)
            | Self::Store(_) => true,
        }
    }
}

impl ConfiguredKeys {
    /// Reads `OAUTH_SIGNING_KEY_BASE64` and `OAUTH_RETIRED_KEYS`; with the profile `storyden` and SQLite, a
    /// key in `DATA_DIR` instead of the first.
    ///
    /// # Errors
    /// The variable, and the reason why a key cannot be used.
    pub fn read(config: &Config) -> Result<Self, (&'static str, Error)> {
        let kid = config.signing_key_id.as_deref();
        let signing = match &config.signing_key {
            Some(key) => Some(SigningKey::from_base64(key, kid)),
            None if config.has_key_file() => Some(SigningKey::from_folder(&config.data_dir, kid)),
            None => None,
        };
        let signing = signing.transpose();
        let signing = signing.map_err(|error| ("OAUTH_SIGNING_KEY_BASE64", error))?;
        let entries = retired_entries(config);
        let verification: Result<Vec<_>, Error> = entries.map(PublicKey::from_entry).collect();
        let verification = verification.map_err(|error| ("OAUTH_RETIRED_KEYS", error))?;
        let mut verification: Vec<PublicKey> = verification.into_iter().flatten().collect();
        verification.retain(|key| signing.as_ref().is_none_or(|own| own.kid() != key.kid()));
        Ok(Self {
            signing,
            verification,
        })
    }
}

/// A key of `OAUTH_RETIRED_KEYS`, for the checks of `doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetiredKey {
    /// Key id.
    pub kid: String,
    /// True if the setting has the private half, which no signature needs.
    pub is_private: bool,
}

/// Lists the keys of `OAUTH_RETIRED_KEYS` that can be read, the key that signs too.
#[must_use]
pub fn retired_keys(config: &Config) -> Vec<RetiredKey> {
    let mut found = Vec::new();
    for entry in retired_entries(config) {
        let is_private = PublicKey::is_private_entry(entry);
        let keys = PublicKey::from_entry(entry).unwrap_or_default();
        found.extend(keys.iter().map(|key| RetiredKey {
            kid: key.kid().to_owned(),
            is_private,
        }));
    }
    found
}

fn retired_entries(config: &Config) -> impl Iterator<Item = &str> {
    let retired = config.retired_keys.as_ref().map_or("", Secret::reveal);
    let entries = retired.split(',').map(str::trim);
    entries.filter(|entry| !entry.is_empty())
}
