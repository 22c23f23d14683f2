//! Encryption of private keys in the database: AES-256-GCM, bound to kid and algorithm.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::{Error, SigningKey};
use crate::config::Config;
use crate::database_url::DatabaseUrl;
use crate::files;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::random::Random;
use crate::secret::Secret;

/// Prefix of a sealed key.
const PREFIX: &str = "sealed:v1:";

/// The file of a generated secret, in `DATA_DIR`.
const SECRET_FILE: &str = "oauth-keys.secret";

/// The purpose of the derived key (RFC 5869 §3.2).
const INFO: &[&[u8]] = &[b"storyden-auth auth_keys v1"];

/// The encryption of private keys. The secret is read at first use.
#[derive(Debug)]
pub(super) struct KeySealer {
    key: OnceLock<LessSafeKey>,
    source: Source,
    random: Random,
}

/// The place of the secret.
#[derive(Debug)]
enum Source {
    /// The value of `OAUTH_KEYS_SECRET`.
    Setting(Secret),
    /// A generated file in `DATA_DIR`, on SQLite.
    File(PathBuf),
}

impl KeySealer {
    /// Creates the sealer that the settings describe; `None` without a secret: with PostgreSQL no secret is
    /// generated, because replicas have no common folder.
    pub(super) fn new(config: &Config, random: Random) -> Option<Self> {
        let source = match (&config.keys_secret, config.database()) {
            (Some(secret), _) => Source::Setting(secret.clone()),
            (None, DatabaseUrl::Sqlite(_)) => Source::File(file_in(&config.data_dir)),
            (None, DatabaseUrl::Postgres(_)) => return None,
        };
        Some(Self {
            key: OnceLock::new(),
            source,
            random,
        })
    }

    /// Generates the secret in `DATA_DIR` unless there is a secret. Called only while no key is sealed.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be written.
    pub(super) fn create_secret(&self) -> Result<(), Error> {
        let Source::File(path) = &self.source else {
            return Ok(());
        };
        let failed = |error| Error::File(path.clone(), error);
        files::create_folder(files::folder_of(path)).map_err(failed)?;
        let new = Zeroizing::new(STANDARD.encode(self.random.bytes::<32>()));
        match files::write_new(path, new.as_bytes()) {
            // If another process wrote a secret first, that secret is used.
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(failed(error)),
            _ => Ok(()),
        }
    }

    /// Seals a private key.
    ///
    /// # Errors
    /// Without the secret.
    pub(super) fn seal(&self, key: &SigningKey) -> Result<String, Error> {
        let nonce = self.random.bytes::<NONCE_LEN>();
        let mut sealed = key.to_pkcs8()?.to_vec();
        self.key()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place(key.algorithm(), key.kid())),
                &mut sealed,
            )
            .map_err(|_| Error::Key)?;
        let mut whole = nonce.to_vec();
        whole.append(&mut sealed);
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(whole)))
    }

    /// Opens a sealed private key; `Ok(None)` if the key was not sealed with this secret for this kid and
    /// algorithm.
    ///
    /// # Errors
    /// Without the secret.
    pub(super) fn open(
        &self,
        algorithm: SigningAlgorithm,
        kid: &str,
        sealed: &str,
    ) -> Result<Option<SigningKey>, Error> {
        let key = self.key()?;
        let open = || {
            let sealed = sealed.strip_prefix(PREFIX)?;
            let mut whole = Zeroizing::new(URL_SAFE_NO_PAD.decode(sealed).ok()?);
            let (nonce, sealed) = whole.split_at_mut_checked(NONCE_LEN)?;
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let place = Aad::from(place(algorithm, kid));
            let der = key.open_in_place(nonce, place, sealed).ok()?;
            let key = SigningKey::from_pkcs8(algorithm, der, kid).ok()?;
            (key.kid() == kid).then_some(key)
        };
        Ok(open())
    }

    fn key(&self) -> Result<&LessSafeKey, Error> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let key = match &self.source {
            Source::Setting(secret) => derive(secret.reveal())?,
            Source::File(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|error| Error::SecretFile(path.clone(), error))?;
                derive(Zeroizing::new(text).trim())?
            }
        };
        Ok(self.key.get_or_init(|| key))
    }
}

/// The file in which `DATA_DIR` holds the generated secret.
#[must_use]
pub fn file_in(folder: &Path) -> PathBuf {
    folder.join(SECRET_FILE)
}

/// Derives the key of the cipher (RFC 5869). The secret has a high entropy, so that no slow hash is needed.
fn derive(secret: &str) -> Result<LessSafeKey, Error> {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]);
    let extracted = salt.extract(secret.as_bytes());
    let expanded = extracted.expand(INFO, &AES_256_GCM);
    let key = UnboundKey::from(expanded.map_err(|_| Error::Key)?);
    Ok(LessSafeKey::new(key))
}

/// The row that a sealed key is bound to: decryption fails in any other row.
fn place(algorithm: SigningAlgorithm, kid: &str) -> Vec<u8> {
    format!("auth_keys\0{kid}\0{}", algorithm.name()).into_bytes()
}
