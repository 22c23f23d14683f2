//! Checks of the signing keys: existence, source, file mode, and rotation.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;

use time::Duration;

use super::Findings;
use crate::cli::migrate::without_creating;
use crate::cli::{key, with_causes};
use crate::config::Config;
use crate::context::{self, Context, Environment};
use crate::keys::schedule::KeyState;
use crate::keys::{self, KeyStatus, Keys, SigningKey};
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::signing_keys;
use crate::store::{self, clients, migrate};

const CHECK: &str = "signing key";

/// Time after which a rotation that did not happen is reported.
const LATE: Duration = Duration::days(1);

/// Age of a key that is reported if keys do not rotate.
const OLD: Duration = Duration::days(365);

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
        Err(context::Error::NoKey) => {
            examine_missing(config, findings).await;
            return None;
        }
        Err(error) => {
            let advice = "set it to the `base64` of `storyden-auth key generate --json`, or to the value of the other \
                          replicas";
            findings.fail(CHECK, with_causes(&error), advice);
            return None;
        }
    };
    if let Some(key) = &configured {
        let (kid, origin) = (key.kid(), configured_origin(config));
        findings.ok(CHECK, format!("RSA, kid {kid}, from {origin}"));
        examine_replaced(config, findings).await;
    }
    if config.has_key_file() {
        examine_file(config, findings);
    }
    let rotated = if config.rotated_algorithms().is_empty() {
        None
    } else {
        examine_rotated(config, findings).await
    };
    let current = configured.or(rotated);
    examine_retired(config, current.as_ref().map(SigningKey::kid), findings);
    current
}

/// Reports that there is neither a key nor a secret. A new secret cannot open keys that are in the database.
async fn examine_missing(config: &Config, findings: &mut Findings) {
    let error = context::no_key(config.clone(), Environment::machine()).await;
    let advice = match &error {
        context::Error::NoSecret(_) => {
            "set OAUTH_KEYS_SECRET to the value of the other replicas or of your copy"
        }
        _ if config.rotated_algorithms().is_empty() => {
            "set OAUTH_SIGNING_KEY_BASE64 to the value of the Storyden"
        }
        _ => {
            "set OAUTH_KEYS_SECRET to the output of `openssl rand -base64 32`, the same on every replica, and keep a copy"
        }
    };
    findings.fail(CHECK, with_causes(&error), advice);
}

/// Reports generated keys beside the key of `OAUTH_SIGNING_KEY_BASE64`.
async fn examine_replaced(config: &Config, findings: &mut Findings) {
    let Some(config) = without_creating(config.clone()) else {
        return;
    };
    // Failures of the database itself are findings of its own check.
    let Ok(context) = Context::new(config, Environment::machine()).await else {
        return;
    };
    let kids = signing_keys::replaced_by_setting(&context).await;
    let kids = kids.unwrap_or_default(); // before the migrations
    if !kids.is_empty() {
        let finding = signing_keys::replaced_by_setting_warning(&kids);
        findings.warn(CHECK, finding, signing_keys::REPLACED_BY_SETTING_ADVICE);
    }
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

/// Checks `OAUTH_RETIRED_KEYS`: `current` is the kid of the key that signs.
fn examine_retired(config: &Config, current: Option<&str>, findings: &mut Findings) {
    for key in keys::retired_keys(config) {
        let kid = &key.kid;
        if Some(kid.as_str()) == current {
            findings.warn(
                CHECK,
                format!("OAUTH_RETIRED_KEYS has the key {kid}, which signs"),
                "remove the entry, or put the key before into the setting",
            );
        } else if key.is_private {
            findings.warn(
                CHECK,
                format!(
                    "OAUTH_RETIRED_KEYS has the private key {kid}, and its public half is enough"
                ),
                "set the entry to the output of: base64 -d | openssl pkey -pubout | base64 -w0",
            );
        }
    }
}

/// Checks the algorithms that clients chose.
pub(super) async fn examine_chosen(
    context: &Context,
    findings: &mut Findings,
) -> store::Result<()> {
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

/// Reports the stored keys that cannot be opened.
async fn examine_seals(keys: &Keys, error: &keys::Error, findings: &mut Findings) {
    let advice = match error {
        keys::Error::SecretFile(path, cause) if cause.kind() == ErrorKind::PermissionDenied => {
            let advice = format!(
                "give the file to the user of the server: chown USER {}",
                path.display()
            );
            return findings.fail(CHECK, error.to_string(), advice);
        }
        _ => {
            "set OAUTH_KEYS_SECRET to the value of the other replicas, or restore oauth-keys.secret from a backup"
        }
    };
    let examined = keys.examine().await.unwrap_or_default();
    let (opened, closed): (Vec<_>, Vec<_>) =
        examined.into_iter().partition(|(_, is_open)| *is_open);
    if opened.is_empty() || closed.is_empty() {
        return findings.fail(CHECK, with_causes(error), advice);
    }
    let kids = |keys: &[(String, bool)]| {
        let kids: Vec<&str> = keys.iter().map(|(kid, _)| kid.as_str()).collect();
        kids.join(", ")
    };
    let finding = format!(
        "the keys {} can be opened and {} cannot: servers with different secrets wrote them",
        kids(&opened),
        kids(&closed)
    );
    findings.fail(CHECK, finding, advice);
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
        examine_seals(keys, &error, findings).await;
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
    examine_earlier_file(&context.config, &status, findings);
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
