//! Access keys as bearer credentials (contract 3.3): `sdpak_` for a person, `sdbak_` for a bot, then
//! twelve characters that name the key and thirty-two that prove it.

use crate::accounts::passwords;
use crate::app::App;
use crate::limits::ACCESS_KEY;
use crate::secret::Secret;
use crate::store;
use crate::store::access_keys::{self, AccessKey};
use crate::store::audit::{Entry, Event};

/// What a personal key begins with.
pub const PERSONAL: &str = "sdpak_";
/// What a bot's key begins with.
pub const BOT: &str = "sdbak_";

/// How long the part is that names a key, without the kind.
const NAME: usize = 12;
/// How long the part is that proves it.
const SECRET: usize = 32;

/// The characters of a key.
const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes a personal key: its public part, the Argon2id hash of its secret, and the whole of it.
///
/// # Errors
/// When too many hashes are being made.
pub async fn generate(app: &App) -> Result<(String, String, Secret), passwords::Error> {
    let identifier = format!("{PERSONAL}{}", app.random.symbols(ALPHABET, NAME));
    let secret = Secret::new(app.random.symbols(ALPHABET, SECRET));
    let hash = app.passwords.hash(&secret).await?;
    let key = Secret::new(format!("{identifier}{}", secret.reveal()));
    Ok((identifier, hash, key))
}

/// Whether a bearer has the form of an access key.
#[must_use]
pub fn looks_like_one(bearer: &Secret) -> bool {
    parts(bearer).is_some()
}

/// The public and the secret part of a key.
fn parts(bearer: &Secret) -> Option<(&str, Secret)> {
    let text = bearer.reveal();
    let rest = text
        .strip_prefix(PERSONAL)
        .or_else(|| text.strip_prefix(BOT))?;
    let fits = rest.len() == NAME + SECRET && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (identifier, secret) = fits.then(|| text.split_at(text.len() - SECRET))?;
    Some((identifier, Secret::new(secret)))
}

/// The key behind a bearer, if it is one that is good now.
///
/// A key that matched once is remembered as client secrets are, so that a program that uses it
/// again costs no hash. Wrong ones are checked one at a time, and after too many not at all for a
/// while.
///
/// # Errors
/// When the database does not answer, or too many others are being checked.
pub async fn verify(app: &App, bearer: &Secret) -> Result<Option<AccessKey>, store::Error> {
    let Some((identifier, secret)) = parts(bearer) else {
        return Ok(None);
    };
    let Some(key) = access_keys::find(&app.db, identifier).await? else {
        app.refused(Event::AccessKeyFailed);
        return Ok(None);
    };
    if !key.is_live(app.clock.now()) {
        return Ok(None);
    }
    if app.passwords.remembers(&secret, &key.secret_hash) {
        return Ok(Some(key));
    }
    let good = match is_secret_of(app, &key, &secret).await {
        Ok(good) => good,
        Err(passwords::Error::Busy) => return Err(store::Error::Busy),
        Err(error) => {
            tracing::error!(key = %key.id, %error, "an access key cannot be checked");
            false
        }
    };
    if !good {
        return Ok(None);
    }
    // The hash took its time: a key that was ended meanwhile must not be used, and the account may
    // have lost permissions.
    let again = access_keys::find(&app.db, identifier).await?;
    let is_same = |again: &AccessKey| again.id == key.id && again.secret_hash == key.secret_hash;
    Ok(again.filter(|again| is_same(again) && again.is_live(app.clock.now())))
}

async fn is_secret_of(
    app: &App,
    key: &AccessKey,
    secret: &Secret,
) -> Result<bool, passwords::Error> {
    let stored = key.secret_hash.as_str();
    let _turn = app.passwords.turn_of(stored).await?;
    if app.passwords.remembers(secret, stored) {
        return Ok(true);
    }
    let limits = [(ACCESS_KEY, key.identifier.as_str())];
    let refused = |event| {
        let entry = Entry::new(event, app.clock.now()).of(&key.account.id);
        app.refusals.record(entry.subject(&key.id));
    };
    if app.limits.check(&limits).is_err() {
        refused(Event::AccessKeyLimited);
        return Ok(false);
    }
    if app.passwords.verify_secret(secret, stored).await? {
        app.passwords.remember(secret, stored);
        return Ok(true);
    }
    app.limits.fail(&limits);
    refused(Event::AccessKeyFailed);
    Ok(false)
}
