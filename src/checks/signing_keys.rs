//! Checks of the signing keys: settings, rotation, and algorithms that clients chose.

use time::Duration;

use super::Findings;
use crate::config::Config;
use crate::context::Context;
use crate::keys::schedule::KeyState;
use crate::keys::{KeyStatus, Keys};
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::store::{self, clients};

/// The name of the check.
pub const CHECK: &str = "signing key";

/// Time after which a rotation that did not happen is reported.
const LATE: Duration = Duration::days(1);

/// Age of a key that is reported if keys do not rotate.
const OLD: Duration = Duration::days(365);

/// Checks combinations of settings.
pub fn examine_settings(config: &Config, findings: &mut Findings) {
    let is_rotated = !config.rotated_algorithms().is_empty();
    if config.keys_secret.is_some() && !is_rotated {
        findings.warn(
            CHECK,
            "OAUTH_KEYS_SECRET is set and has no effect: no key is generated",
            "remove OAUTH_SIGNING_KEY_BASE64 for keys that rotate, or remove OAUTH_KEYS_SECRET",
        );
    }
    if !config
        .signing_algorithms
        .0
        .contains(&SigningAlgorithm::Rs256)
    {
        findings.warn(
            CHECK,
            "OAUTH_SIGNING_ALGORITHMS has no RS256: clients that know only RS256, which every OpenID provider \
             must support (OpenID Connect Core §15.1), cannot verify ID tokens",
            "add RS256",
        );
    }
    if is_rotated && config.key_rotation.is_zero() {
        findings.warn(
            CHECK,
            "OAUTH_KEY_ROTATION is 0: keys do not rotate",
            "run `storyden-auth key rotate` regularly, or remove the setting",
        );
    }
}

/// Checks the algorithms that clients chose.
///
/// # Errors
/// If the database does not answer.
pub async fn examine_chosen(context: &Context, findings: &mut Findings) -> store::Result<()> {
    let chosen = clients::list_chosen_algorithms(&context.db).await?;
    let available = &context.config.signing_algorithms.0;
    let is_missing = |name: &String| {
        SigningAlgorithm::from_name(name).is_none_or(|one| !available.contains(&one))
    };
    let missing: Vec<String> = chosen.into_iter().filter(is_missing).collect();
    if !missing.is_empty() {
        let names = missing.join(", ");
        findings.warn(
            CHECK,
            format!("applications chose {names}, and there is no key: their tokens have the default algorithm"),
            format!("add {names} to OAUTH_SIGNING_ALGORITHMS, or change the applications"),
        );
    }
    Ok(())
}

/// Reports late rotations, and algorithms without a key.
pub fn examine_status(config: &Config, keys: &Keys, findings: &mut Findings) {
    let status = keys.status();
    if status.is_empty() {
        findings.ok(CHECK, "none yet; `serve` generates keys in the database");
    }
    for (algorithm, age, next) in keys.ages() {
        let is_current =
            |key: &&KeyStatus| key.state == KeyState::Current && key.facts.algorithm == algorithm;
        let kid = status
            .iter()
            .find(is_current)
            .map_or("", |key| &key.facts.kid);
        let finding = format!(
            "{}, kid {kid}, signs for {} days",
            algorithm.name(),
            age.whole_days()
        );
        match next {
            Some(next) if next < -LATE => findings.warn(
                CHECK,
                format!("{finding}; the rotation is {} days late", -next.whole_days()),
                "start `serve`, which rotates keys, and look for errors about signing keys in its log",
            ),
            Some(next) => {
                findings.ok(CHECK, format!("{finding}; next in {} days", next.whole_days()));
            }
            None if age > OLD => findings.warn(
                CHECK,
                format!("{finding}, and does not rotate"),
                "run `storyden-auth key rotate`, and remove OAUTH_KEY_ROTATION",
            ),
            None => findings.ok(CHECK, finding),
        }
    }
    let has_key = |algorithm: &SigningAlgorithm| {
        status
            .iter()
            .any(|key| key.facts.algorithm == *algorithm && key.state == KeyState::Current)
    };
    let rotated = keys.rotated_algorithms();
    for algorithm in rotated
        .iter()
        .filter(|one| !status.is_empty() && !has_key(one))
    {
        findings.ok(
            CHECK,
            format!("{}: none yet; `serve` generates a key", algorithm.name()),
        );
    }
    let is_unused = |key: &KeyStatus| {
        config.signing_key.is_some()
            && key.facts.algorithm == SigningAlgorithm::Rs256
            && key.state != KeyState::Revoked
    };
    if status.iter().any(is_unused) {
        findings.ok(
            CHECK,
            "generated RS256 keys verify, and do not sign while OAUTH_SIGNING_KEY_BASE64 is set",
        );
    }
}
