//! Operations on the signing keys of this server, for the commands, the API of administrators and the jobs:
//! the list, the rotation, and the revocation of a stolen key.
//!
//! A revocation has three steps, so that an interruption at any point leaves nothing half done:
//!
//! 1. One transaction revokes the key and lets the next key sign. From its commit on, no check accepts a token
//!    of the key, so nothing new can be created with a forged token.
//! 2. What was created since the key exists ends in small transactions, which may be repeated.
//! 3. After `IN_FLIGHT`, when no request from before the revocation is in progress, the job repeats step 2
//!    and marks the key as done.

use serde::Serialize;
use time::Duration;

use crate::clock::Timestamp;
use crate::context::Context;
use crate::keys::schedule::KeyState;
use crate::keys::{self, KeyStatus, Keys};
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::store;
use crate::store::audit::Entry;
use crate::store::forged_access::{self, ForgedAccess, Span};
use crate::store::signing_keys::{self as rows, RevokedKey};

/// Time after a revocation in which a request from before the revocation may still write: more than the
/// deadline of requests.
const IN_FLIGHT: Duration = Duration::minutes(1);

/// The reason why an operation was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// OAuth is off.
    #[error("OAUTH_ENABLED is false: there are no signing keys")]
    Disabled,
    /// The keys of the algorithms come from the settings.
    #[error(
        "only generated keys rotate. To replace the key of OAUTH_SIGNING_KEY_BASE64: put the output of \
         `storyden-auth key generate` into OAUTH_RETIRED_KEYS of every replica and restart; exchange the two \
         values after 10 minutes and restart again"
    )]
    NotGenerated,
    /// No generated key has the key id.
    #[error(
        "there is no generated key with the kid {0}; `storyden-auth key list` lists the keys. A key of \
         OAUTH_SIGNING_KEY_BASE64 or OAUTH_RETIRED_KEYS is revoked by removing the value and restarting every \
         replica"
    )]
    Unknown(String),
    /// A key could not be generated or sealed.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// A key in output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthSigningKey)]
pub struct KeyResource {
    /// Key id (RFC 7515 §4.1.4).
    pub kid: String,
    /// Signature algorithm (RFC 7518 §3.1).
    pub algorithm: &'static str,
    /// `next`, `current`, `retired`, `archived`, `expired` or `revoked`.
    pub state: &'static str,
    /// `database` for a generated key, which rotates; `settings` for a key of `OAUTH_SIGNING_KEY_BASE64`,
    /// `OAUTH_RETIRED_KEYS` or `DATA_DIR`.
    pub source: &'static str,
    /// Time of creation; published from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Time of the first signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signs_from: Option<Timestamp>,
    /// Time until which the key is in the key set; absent before a successor is planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_until: Option<Timestamp>,
    /// Time of the revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl From<KeyStatus> for KeyResource {
    fn from(key: KeyStatus) -> Self {
        Self {
            kid: key.facts.kid,
            algorithm: key.facts.algorithm.name(),
            state: key.state.name(),
            source: "database",
            created_at: Some(key.facts.created_at),
            signs_from: Some(key.facts.signs_from),
            published_until: key.published_until,
            revoked_at: key.facts.revoked_at,
        }
    }
}

impl KeyResource {
    /// A key of the settings.
    fn configured(kid: &str, algorithm: SigningAlgorithm, state: KeyState) -> Self {
        Self {
            kid: kid.to_owned(),
            algorithm: algorithm.name(),
            state: state.name(),
            source: "settings",
            created_at: None,
            signs_from: None,
            published_until: None,
            revoked_at: None,
        }
    }
}

/// Returns the keys of the server.
///
/// # Errors
/// [`Error::Disabled`] if OAuth is off.
pub fn keys_of(context: &Context) -> Result<&Keys, Error> {
    context.keys.as_ref().ok_or(Error::Disabled)
}

/// Lists all keys, as the database has these now: the keys of the settings, then the generated keys in the
/// order of algorithms and of signing.
///
/// # Errors
/// [`Error::Disabled`], or if the database is unavailable.
pub async fn list(context: &Context) -> Result<Vec<KeyResource>, Error> {
    let keys = keys_of(context)?;
    let generated = keys.read_status().await?;
    let configured = keys.configured();
    let signing = configured
        .signing
        .iter()
        .map(|key| KeyResource::configured(key.kid(), key.algorithm(), KeyState::Current));
    let verification = configured
        .verification
        .iter()
        .map(|key| KeyResource::configured(key.kid(), key.algorithm(), KeyState::Retired));
    let generated = generated.into_iter().map(KeyResource::from);
    Ok(signing.chain(verification).chain(generated).collect())
}

/// Returns the generated RS256 keys in the database while the key of `OAUTH_SIGNING_KEY_BASE64` signs, without those that
/// `OAUTH_RETIRED_KEYS` names. A replica without the setting signs with these keys.
///
/// # Errors
/// If the database is unavailable.
pub async fn replaced_by_setting(context: &Context) -> Result<Vec<String>, store::Error> {
    let Some(keys) = &context.keys else {
        return Ok(Vec::new());
    };
    if context.config.signing_key.is_none() {
        return Ok(Vec::new());
    }
    let configured = keys.configured();
    let is_retired = |kid: &str| configured.verification.iter().any(|key| key.kid() == kid);
    let rows = rows::list(&context.db).await?.into_iter();
    let rs256 = SigningAlgorithm::Rs256.name();
    let live = rows.filter(|row| row.sealed.is_some() && row.algorithm == rs256);
    let kids = live.map(|row| row.kid).filter(|kid| !is_retired(kid));
    Ok(kids.collect())
}

/// The warning about keys of [`replaced_by_setting`].
#[must_use]
pub fn replaced_by_setting_warning(kids: &[String]) -> String {
    format!(
        "OAUTH_SIGNING_KEY_BASE64 is set, and the database has generated RS256 keys ({}): a replica without the setting \
         signs with these, and replicas with different keys refuse each other's tokens",
        kids.join(", ")
    )
}

/// The solution of [`replaced_by_setting_warning`].
pub const REPLACED_BY_SETTING_ADVICE: &str = "if the keys are generated on the other replicas, remove \
     OAUTH_SIGNING_KEY_BASE64 and set OAUTH_KEYS_SECRET to their value; if every replica has the key of the setting, and the \
     last token of the generated keys has expired, delete the rows: DELETE FROM auth_keys WHERE algorithm = 'RS256'";

/// Makes new keys sign, of one algorithm or of each algorithm with generated keys: as soon as clients had time
/// to fetch the keys, or at once.
///
/// # Errors
/// [`Error::NotGenerated`] for an algorithm without generated keys.
pub async fn rotate(
    context: &Context,
    algorithm: Option<SigningAlgorithm>,
    immediately: bool,
    entry: &Entry,
) -> Result<(), Error> {
    let keys = keys_of(context)?;
    let generated = keys.rotated_algorithms();
    let algorithms = match algorithm {
        Some(algorithm) => vec![algorithm],
        None => generated.clone(),
    };
    if algorithms.is_empty() || !algorithms.iter().all(|one| generated.contains(one)) {
        return Err(Error::NotGenerated);
    }
    for algorithm in algorithms {
        keys.rotate(algorithm, immediately, entry.clone()).await?;
    }
    Ok(())
}

/// Counts what [`revoke`] would end.
///
/// # Errors
/// [`Error::Unknown`] if no generated key has the key id.
pub async fn count(context: &Context, kid: &str) -> Result<ForgedAccess, Error> {
    let key = find(context, kid).await?;
    let now = context.clock.now();
    let revoked_at = key.facts.revoked_at.unwrap_or(now);
    let span = span(&key.facts.predecessor, key.facts.created_at, revoked_at);
    Ok(forged_access::count(&context.db, span, now).await?)
}

/// Revokes a key, and ends everything that may have been created with a forged token of the key. Safe to
/// repeat.
///
/// # Errors
/// As [`count`].
pub async fn revoke(context: &Context, kid: &str, entry: Entry) -> Result<ForgedAccess, Error> {
    find(context, kid).await?;
    keys_of(context)?.revoke(kid, entry).await?;
    let key = find(context, kid).await?; // with the time of the revocation
    let now = context.clock.now();
    let revoked_at = key.facts.revoked_at.unwrap_or(now);
    let span = span(&key.facts.predecessor, key.facts.created_at, revoked_at);
    Ok(forged_access::end(&context.db, span, now, &|| false).await?)
}

/// Returns true if [`complete_revocations`] has keys to complete.
///
/// # Errors
/// If the database is unavailable.
pub async fn has_incomplete_revocation(context: &Context) -> Result<bool, store::Error> {
    let before = context.clock.now() - IN_FLIGHT;
    let keys = rows::list_incomplete_revocations(&context.db, before).await?;
    Ok(!keys.is_empty())
}

/// Completes the revocations that are older than `IN_FLIGHT`. Returns the key ids. Aborted by a drain.
///
/// # Errors
/// If the database is unavailable; the keys that are left are completed by the next call.
pub async fn complete_revocations(context: &Context) -> Result<Vec<String>, store::Error> {
    let now = context.clock.now();
    let mut completed = Vec::new();
    for key in rows::list_incomplete_revocations(&context.db, now - IN_FLIGHT).await? {
        let RevokedKey {
            kid,
            predecessor,
            created_at,
            revoked_at,
        } = key;
        let span = span(&predecessor, created_at, revoked_at);
        let stop = || context.readiness.is_draining();
        forged_access::end(&context.db, span, now, &stop).await?;
        rows::complete_revocation(&context.db, &kid, now).await?;
        completed.push(kid);
    }
    Ok(completed)
}

/// Returns the time in which forged tokens may have created rows. A key of an earlier version was taken over as
/// the first key, and is older than its row.
fn span(predecessor: &str, created_at: Timestamp, revoked_at: Timestamp) -> Span {
    let is_first = predecessor.is_empty();
    Span {
        since: if is_first {
            Timestamp::FIRST
        } else {
            created_at
        },
        until: revoked_at,
    }
}

async fn find(context: &Context, kid: &str) -> Result<KeyStatus, Error> {
    let generated = keys_of(context)?.read_status().await?;
    let found = generated.into_iter().find(|key| key.facts.kid == kid);
    found.ok_or_else(|| Error::Unknown(kid.to_owned()))
}
