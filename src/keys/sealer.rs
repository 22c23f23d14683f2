//! Encryption of remote servers' secrets at rest: AES-256-GCM, bound to row and column; plain text if a
//! Storyden reads the rows too.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::remote::Error;
use crate::context::App;
use crate::config::TokenStorage;
use crate::files;
use crate::keys::write_private;
use crate::random::Random;
use crate::secret::Secret;
use crate::database_url::DatabaseUrl;

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

/// The sealing key, read at first use. A missing key is looked for again.
#[derive(Debug, Default)]
pub struct Sealer(OnceLock<LessSafeKey>);

/// Seals a secret, or returns it unchanged if a Storyden reads the row.
///
/// # Errors
/// [`Error::Unset`] without a key.
pub fn seal(app: &App, place: Place<'_>, secret: &Secret) -> Result<String, Error> {
    if app.config.remote_storage() == TokenStorage::Storyden {
        return Ok(secret.reveal().to_owned());
    }
    let nonce = app.random.bytes::<NONCE_LEN>();
    let mut sealed = secret.reveal().as_bytes().to_vec();
    key(app)?
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(place.bytes()),
            &mut sealed,
        )
        .map_err(|_| Error::Unset("REMOTE_TOKEN_KEY: nothing can be sealed with it"))?;
    let mut whole = nonce.to_vec();
    whole.append(&mut sealed);
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(whole)))
}

/// Opens a sealed text. Plain text is returned unchanged, so that the setting may change in both
/// directions.
///
/// # Errors
/// [`Error::Unset`] without the key that sealed the text.
pub fn open(app: &App, place: Place<'_>, kept: &str) -> Result<Secret, Error> {
    let Some(sealed) = kept.strip_prefix(PREFIX) else {
        return Ok(Secret::new(kept));
    };
    let wrong = || {
        Error::Unset(
            "REMOTE_TOKEN_KEY is not the key that the tokens of this connection were sealed with; set \
             that key, or authorize the connection again",
        )
    };
    let mut whole = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| wrong())?;
    let (nonce, sealed) = whole.split_at_mut_checked(NONCE_LEN).ok_or_else(wrong)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
    let opened = key(app)?
        .open_in_place(nonce, Aad::from(place.bytes()), sealed)
        .map_err(|_| wrong())?;
    let text = String::from_utf8(opened.to_vec()).map_err(|_| wrong())?;
    Ok(Secret::new(text))
}

/// The key, read once.
fn key(app: &App) -> Result<&LessSafeKey, Error> {
    let Sealer(sealer) = &app.sealer;
    if let Some(key) = sealer.get() {
        return Ok(key);
    }
    let key = read_key(app)?;
    Ok(sealer.get_or_init(|| key))
}

/// The key of the settings, or the generated key in `DATA_DIR`.
fn read_key(app: &App) -> Result<LessSafeKey, Error> {
    let bytes = match (&app.config.remote_token_key, app.config.database()) {
        (Some(key), _) => STANDARD.decode(key.reveal().trim()).ok(),
        (None, DatabaseUrl::Sqlite(_)) => generated(&app.config.data_dir, &app.random),
        (None, DatabaseUrl::Postgres(_)) => {
            return Err(Error::Unset(
                "REMOTE_TOKEN_KEY is not set, and with PostgreSQL no key is generated, since every replica \
                 must have the same: set it to the output of `openssl rand -base64 32`",
            ));
        }
    };
    let bytes = bytes.filter(|bytes| bytes.len() == KEY_LENGTH);
    let key = bytes.and_then(|bytes| UnboundKey::new(&AES_256_GCM, &bytes).ok());
    key.map(LessSafeKey::new).ok_or(Error::Unset(
        "REMOTE_TOKEN_KEY, or remote-token.key in DATA_DIR, is not base64 of 32 bytes",
    ))
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
        let _ = write_private(&path, new.as_bytes());
        read()
    })
}
