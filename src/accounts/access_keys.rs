//! Access keys as bearer credentials (storyden-contract.md#access-keys): `sdpak_` (personal) or
//! `sdbak_` (bot), then a public part of 12 characters and a secret of 32.

use crate::clock::Timestamp;
use crate::compat::UpdatedAt;
use crate::context::Context;
use crate::passwords;
use crate::rate_limit::ACCESS_KEY;
use crate::secret::Secret;
use crate::store;
use crate::store::access_keys::{self, AccessKey};
use crate::store::audit::{Entry, Event};

/// Prefix of personal keys.
pub const PERSONAL: &str = "sdpak_";
/// Prefix of bot keys.
pub const BOT: &str = "sdbak_";

/// Length of the public part, without the prefix.
const NAME: usize = 12;
/// Length of the secret.
const SECRET: usize = 32;

/// Alphabet of both parts.
const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Generates a personal key. Returns the public part, the Argon2id hash of the secret, and the full
/// key.
///
/// # Errors
/// [`passwords::Error::Busy`] if the hashing queue is full.
pub async fn generate(context: &Context) -> Result<(String, String, Secret), passwords::Error> {
    let identifier = format!("{PERSONAL}{}", context.random.symbols(ALPHABET, NAME));
    let secret = Secret::new(context.random.symbols(ALPHABET, SECRET));
    let hash = context.passwords.hash(&secret).await?;
    let key = Secret::new(format!("{identifier}{}", secret.reveal()));
    Ok((identifier, hash, key))
}

/// Returns the `updatedAt` of a key: keys cannot be changed.
#[must_use]
pub fn updated_at(policy: UpdatedAt, created_at: Timestamp) -> String {
    match policy {
        UpdatedAt::Created => created_at.to_rfc3339(),
        UpdatedAt::Zero => "0001-01-01T00:00:00Z".to_owned(),
    }
}

/// True if a bearer credential has the form of an access key.
#[must_use]
pub fn has_access_key_format(bearer: &Secret) -> bool {
    parts(bearer).is_some()
}

/// Splits a key into the public part (with the prefix) and the secret.
fn parts(bearer: &Secret) -> Option<(&str, Secret)> {
    let text = bearer.reveal();
    let rest = text
        .strip_prefix(PERSONAL)
        .or_else(|| text.strip_prefix(BOT))?;
    let fits = rest.len() == NAME + SECRET && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (identifier, secret) = fits.then(|| text.split_at(text.len() - SECRET))?;
    Some((identifier, Secret::new(secret)))
}

/// Finds the valid access key of a bearer credential; `None` if there is no such key.
///
/// A verified secret is cached, so that later requests with the same key need no Argon2id hash.
/// Unverified secrets of a key are hashed sequentially, and rate-limited after repeated failures.
///
/// # Errors
/// If the database is unavailable, or the hashing queue is full.
pub async fn verify(context: &Context, bearer: &Secret) -> Result<Option<AccessKey>, store::Error> {
    let Some((identifier, secret)) = parts(bearer) else {
        return Ok(None);
    };
    let Some(key) = access_keys::find(&context.db, identifier).await? else {
        context.refused(Event::AccessKeyFailed);
        return Ok(None);
    };
    if !key.is_live(context.clock.now()) {
        return Ok(None);
    }
    if context.passwords.is_verified(&secret, &key.secret_hash) {
        return Ok(Some(key));
    }
    let good = match verify_key_secret(context, &key, &secret).await {
        Ok(good) => good,
        Err(passwords::Error::Busy) => return Err(store::Error::Busy),
        Err(error) => {
            tracing::error!(key = %key.id, %error, "access key cannot be verified");
            false
        }
    };
    if !good {
        return Ok(None);
    }
    // Read the key again: during the slow hash, the key may have been revoked, or the account may have
    // lost permissions.
    let again = access_keys::find(&context.db, identifier).await?;
    let is_same = |again: &AccessKey| again.id == key.id && again.secret_hash == key.secret_hash;
    Ok(again.filter(|again| is_same(again) && again.is_live(context.clock.now())))
}

async fn verify_key_secret(
    context: &Context,
    key: &AccessKey,
    secret: &Secret,
) -> Result<bool, passwords::Error> {
    let stored = key.secret_hash.as_str();
    let _turn = context.passwords.lock_hash(stored).await?;
    if context.passwords.is_verified(secret, stored) {
        return Ok(true);
    }
    let limits = [(ACCESS_KEY, key.identifier.as_str())];
    let refused = |event| {
        let entry = Entry::new(event, context.clock.now()).of(&key.account.id);
        context.record_refusal(entry.subject(&key.id));
    };
    if context.limits.check(&limits).is_err() {
        refused(Event::AccessKeyLimited);
        return Ok(false);
    }
    if context.passwords.verify_secret(secret, stored).await? {
        context.passwords.remember(secret, stored);
        return Ok(true);
    }
    context.limits.fail(&limits);
    refused(Event::AccessKeyFailed);
    Ok(false)
}
