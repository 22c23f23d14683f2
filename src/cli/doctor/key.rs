//! Checks of the signing keys: existence, source, file mode, and rotation.

use std::os::unix::fs::PermissionsExt as _;

use time::Duration;

use super::Findings;
use crate::cli::migrate::without_creating;
use crate::cli::{key, with_causes};
use crate::config::Config;
use crate::context::{self, Context, Environment};
use crate::keys::schedule::KeyState;
use crate::keys::{KeyStatus, Keys, SigningKey};
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::store::migrate;

const CHECK: &str = "signing key";

/// Time after which a rotation that did not happen is reported.
const LATE: Duration = Duration::days(1);

/// Checks the signing keys, without generating a missing key, and returns a usable key.
pub(super) async fn examine(config: &Config, findings: &mut Findings) -> Option<SigningKey> {
    if !config.oauth_enabled {
        findings.ok(CHECK, "none is needed while OAUTH_ENABLED is false");
        return None;
    }
    examine_settings(config, findings);
    if config.has_key_file() && key::will_be_generated(config) {
        let folder = config.data_dir.display();
        findings.ok(
            CHECK,
            format!("none yet; `serve` generates a key in DATA_DIR ({folder})"),
        );
        return None;
    }
    let configured = match context::configured_keys(config) {
        Ok(keys) => keys.signing,
        Err(error) => {
            let advice = "run `storyden-auth key generate --json` and set OAUTH_SIGNING_KEY_BASE64 \
                          to its `base64`, or set OAUTH_KEYS_SECRET instead";
            findings.fail(CHECK, with_causes(&error), advice);
            return None;
        }
    };
    if let Some(key) = &configured {
        let (kid, origin) = (key.kid(), configured_origin(config));
        findings.ok(CHECK, format!("RSA, kid {kid}, from {origin}"));
    }
    if config.has_key_file() {
        examine_file(config, findings);
    }
    let rotated = if config.rotated_algorithms().is_empty() {
        None
    } else {
        examine_rotated(config, findings).await
    };
    configured.or(rotated)
}

fn configured_origin(config: &Config) -> String {
    if config.has_key_file() {
        return SigningKey::file_in(&config.data_dir).display().to_string();
    }
    "OAUTH_SIGNING_KEY_BASE64".to_owned()
}

/// Checks combinations of settings.
fn examine_settings(config: &Config, findings: &mut Findings) {
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

/// Checks the keys in the database.
async fn examine_rotated(config: &Config, findings: &mut Findings) -> Option<SigningKey> {
    let Some(config) = without_creating(config.clone()) else {
        findings.ok(CHECK, "none yet; `serve` generates keys in the database");
        return None;
    };
    // Failures of the database itself are findings of its own check.
    let context = Context::new(config, Environment::machine()).await.ok()?;
    if !migrate::has_table(&context.db, "auth_keys").await.ok()? {
        findings.ok(CHECK, "none yet; `serve` generates keys in the database");
        return None;
    }
    let keys = context.keys.as_ref()?;
    if let Err(error) = keys.load_existing().await {
        let advice = "set OAUTH_KEYS_SECRET to the value of the other replicas, or restore \
                      oauth-keys.secret from a backup";
        findings.fail(CHECK, with_causes(&error), advice);
        return None;
    }
    examine_status(&context, keys, findings);
    keys.signing_key(keys.default_algorithm())
}

fn examine_status(context: &Context, keys: &Keys, findings: &mut Findings) {
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
            None => findings.ok(CHECK, finding),
        }
    }
    let config = &context.config;
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
    examine_earlier_file(config, &status, findings);
}

/// Reports a key file of an earlier version whose key no longer signs.
fn examine_earlier_file(config: &Config, status: &[KeyStatus], findings: &mut Findings) {
    let kid = config.signing_key_id.as_deref();
    let Ok(Some(key)) = SigningKey::find_in_folder(&config.data_dir, kid) else {
        return;
    };
    let path = SigningKey::file_in(&config.data_dir);
    let path = path.display();
    let known = status.iter().find(|known| known.facts.kid == key.kid());
    match known.map(|known| known.state) {
        Some(KeyState::Current | KeyState::Next) => examine_file(config, findings),
        Some(_) => findings.warn(
            CHECK,
            format!("{path} has a key that no longer signs"),
            format!("delete {path}, unless you want to return to a version without rotation"),
        ),
        None => {}
    }
}

/// Checks that only the owner can read the file.
fn examine_file(config: &Config, findings: &mut Findings) {
    let path = SigningKey::file_in(&config.data_dir);
    let Ok(about) = std::fs::metadata(&path) else {
        return;
    };
    let (mode, path) = (about.permissions().mode() & 0o777, path.display());
    let for_others = mode & 0o077;
    if for_others == 0 {
        return findings.ok(CHECK, format!("{path} has the mode {mode:04o}"));
    }
    findings.fail(
        CHECK,
        format!(
            "{path} has the mode {mode:04o}: other users can read the key and sign tokens of \
                 this server"
        ),
        format!(
            "chmod 600 {path}, and delete the file if another user may have read it: `serve` \
                 then generates a new key"
        ),
    );
}
