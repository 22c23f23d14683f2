//! Checks of the signing keys: existence, source and file mode.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;

use super::Findings;
use crate::checks::signing_keys::{CHECK, examine_settings, examine_status};
use crate::cli::migrate::without_creating;
use crate::cli::{key, with_causes};
use crate::config::Config;
use crate::context::{self, Context, Environment};
use crate::keys::schedule::KeyState;
use crate::keys::{self, KeyStatus, Keys, SigningKey};
use crate::signing_keys;
use crate::store::migrate;

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
        Box::pin(examine_rotated(config, findings)).await
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
    examine_status(&context.config, keys, findings);
    examine_earlier_file(&context.config, &keys.status(), findings);
    keys.signing_key(keys.default_algorithm())
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
