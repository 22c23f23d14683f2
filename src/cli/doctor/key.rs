//! Checks of the signing key: existence, source and file mode.

use std::os::unix::fs::PermissionsExt as _;

use super::Findings;
use crate::cli::{key, with_causes};
use crate::config::Config;
use crate::context;
use crate::keys::SigningKey;

const CHECK: &str = "signing key";

/// Checks the signing key, without generating a missing key, and returns a usable key.
pub(super) fn examine(config: &Config, findings: &mut Findings) -> Option<SigningKey> {
    if !config.oauth_enabled {
        findings.ok(CHECK, "none is needed while OAUTH_ENABLED is false");
        return None;
    }
    if key::will_be_generated(config) {
        let folder = config.data_dir.display();
        findings.ok(
            CHECK,
            format!("none yet; `serve` generates a key in DATA_DIR ({folder})"),
        );
        return None;
    }
    let key = match context::signing_key(config) {
        Ok(key) => {
            let origin = key::origin(config);
            findings.ok(CHECK, format!("RSA, kid {}, from {origin}", key.kid()));
            key
        }
        Err(error) => {
            let advice = "run `storyden-auth key generate --json` and set OAUTH_SIGNING_KEY_BASE64 \
                          to its `base64`";
            findings.fail(CHECK, with_causes(&error), advice);
            return None;
        }
    };
    if config.signing_key.is_none() {
        examine_file(config, findings);
    }
    Some(key)
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
