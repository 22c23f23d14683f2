//! Encryption of remote servers' secrets at rest: AES-256-GCM, bound to row and column; plain text if a
//! Storyden reads the rows too.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::config::{Config, TokenStorage};
use crate::database_url::DatabaseUrl;
use crate::files;
use crate::random::Random;
use crate::secret::Secret;

/// Prefix of a sealed text.
const PREFIX: &str = "sealed:v1:";

/// The file of a generated key, in `DATA_DIR`.
const KEY_FILE: &str = "remote-token.key";

/// Length of the key, in bytes.
const KEY_LENGTH: usize = 32;

/// The row and column that a sealed text is bound to: decryption fails at any other place.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The row.
    pub row: &'a str,
    /// The column.
    pub column: &'static str,
}

impl Place<'_> {
    fn bytes(&self) -> Vec<u8> {
        format!("{}\0{}", self.row, self.column).into_bytes()
    }
}

/// A secret cannot be sealed or opened; the text tells which setting to change.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub &'static str);

/// The encryption of remote secrets, with a key that is read at first use. A missing key is looked for
/// again.
#[derive(Debug)]
pub struct Sealer {
    key: OnceLock<LessSafeKey>,
    source: KeySource,
    storage: TokenStorage,
    random: Random,
}

/// The place of the sealing key.
#[derive(Debug)]
enum KeySource {
    /// The value of `REMOTE_TOKEN_KEY`.
    Setting(Secret),
    /// A generated file in `DATA_DIR`.
    Folder(PathBuf),
    /// No key: replicas on PostgreSQL have no common folder.
    Unset,
}

impl Sealer {
    /// Creates the sealer that the settings describe.
    #[must_use]
    pub fn new(config: &Config, random: Random) -> Self {
        let source = match (&config.remote_token_key, config.database()) {
            (Some(key), _) => KeySource::Setting(key.clone()),
            (None, DatabaseUrl::Sqlite(_)) => KeySource::Folder(config.data_dir.clone()),
            (None, DatabaseUrl::Postgres(_)) => KeySource::Unset,
        };
        Self {
            key: OnceLock::new(),
            source,
            storage: config.remote_storage(),
            random,
        }
    }

    /// Seals a secret, or returns it unchanged if a Storyden reads the row.
    ///
    /// # Errors
    /// Without a key.
    pub fn seal(&self, place: Place<'_>, secret: &Secret) -> Result<String, Error> {
        if self.storage == TokenStorage::Storyden {
            return Ok(secret.reveal().to_owned());
        }
        let nonce = self.random.bytes::<NONCE_LEN>();
        let mut sealed = secret.reveal().as_bytes().to_vec();
        self.key()?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.bytes()),
                &mut sealed,
            )
            .map_err(|_| Error("REMOTE_TOKEN_KEY: encryption with this key failed"))?;
        let mut whole = nonce.to_vec();
        whole.append(&mut sealed);
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(whole)))
    }

    /// Opens a sealed text. Plain text is returned unchanged, so that the setting may change in both
    /// directions.
    ///
    /// # Errors
    /// Without the key that sealed the text.
    pub fn open(&self, place: Place<'_>, stored: &str) -> Result<Secret, Error> {
        let Some(sealed) = stored.strip_prefix(PREFIX) else {
            return Ok(Secret::new(stored));
        };
        let wrong = || {
            Error(
                "REMOTE_TOKEN_KEY is not the key that the tokens of this connection were sealed with; set \
                 that key, or authorize the connection again",
            )
        };
        let mut whole = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| wrong())?;
        let (nonce, sealed) = whole.split_at_mut_checked(NONCE_LEN).ok_or_else(wrong)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
        let opened = self
            .key()?
            .open_in_place(nonce, Aad::from(place.bytes()), sealed)
            .map_err(|_| wrong())?;
        let text = String::from_utf8(opened.to_vec()).map_err(|_| wrong())?;
        Ok(Secret::new(text))
    }

    fn key(&self) -> Result<&LessSafeKey, Error> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let key = self.read_key()?;
        Ok(self.key.get_or_init(|| key))
    }

    fn read_key(&self) -> Result<LessSafeKey, Error> {
        let bytes = match &self.source {
            KeySource::Setting(key) => STANDARD.decode(key.reveal().trim()).ok(),
            KeySource::Folder(folder) => generated(folder, &self.random),
            KeySource::Unset => {
                return Err(Error(
                    "REMOTE_TOKEN_KEY is not set, and with PostgreSQL no key is generated, because \
                     all replicas need the same key: set it to the output of `openssl rand -base64 \
                     32`",
                ));
            }
        };
        let bytes = bytes.filter(|bytes| bytes.len() == KEY_LENGTH);
        let key = bytes.and_then(|bytes| UnboundKey::new(&AES_256_GCM, &bytes).ok());
        key.map(LessSafeKey::new).ok_or(Error(
            "REMOTE_TOKEN_KEY, or remote-token.key in DATA_DIR, is not base64 of 32 bytes",
        ))
    }
}

/// The file in which `DATA_DIR` holds the generated key.
#[must_use]
pub fn file_in(folder: &Path) -> PathBuf {
    folder.join(KEY_FILE)
}

fn generated(folder: &Path, random: &Random) -> Option<Vec<u8>> {
    let path = file_in(folder);
    let read = || {
        STANDARD
            .decode(std::fs::read_to_string(&path).ok()?.trim())
            .ok()
    };
    read().or_else(|| {
        files::create_folder(folder).ok()?;
        let new = STANDARD.encode(random.bytes::<KEY_LENGTH>());
        // If another process wrote a key first, that key is used.
        let _ = files::write_new(&path, new.as_bytes());
        read()
    })
}
