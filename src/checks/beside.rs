//! Checks of the settings beside a Storyden with the same database.

use super::Findings;
use crate::config::{Config, TokenStorage};

const CHECK: &str = "storyden";

/// Checks the settings that must match Storyden's settings.
pub fn examine(config: &Config, findings: &mut Findings) {
    if config.policies.differences().is_empty() {
        findings.warn(
            CHECK,
            "OAUTH_PROFILE is standards: some responses differ from a Storyden, which existing \
             clients, the frontend and sd may not expect",
            "set OAUTH_PROFILE=storyden; docs/storyden.md lists every difference",
        );
    } else {
        findings.ok(
            CHECK,
            "OAUTH_PROFILE is storyden: responses match a Storyden",
        );
    }
    if config.oauth_enabled && config.signing_key.is_none() {
        findings.fail(
            CHECK,
            "OAUTH_SIGNING_KEY_BASE64 is not set: the Storyden verifies access tokens with its own \
             key and rejects the tokens of this server",
            "set OAUTH_SIGNING_KEY_BASE64 (and OAUTH_SIGNING_KEY_ID, if set) to the values of the \
             Storyden",
        );
    }
    if config.public_web_address.is_none() {
        findings.warn(
            CHECK,
            format!(
                "PUBLIC_WEB_ADDRESS is not set: browsers are redirected to {}, not to the frontend",
                config.login_page()
            ),
            "set PUBLIC_WEB_ADDRESS as at the Storyden",
        );
    }
    if config.remote_storage() != TokenStorage::Storyden {
        findings.warn(
            CHECK,
            "REMOTE_TOKEN_STORAGE is sealed: the Storyden's robots cannot use remote connections that \
             were authorized here",
            "set REMOTE_TOKEN_STORAGE=storyden, or leave /api/admin/oauth/remote and \
             /api/oauth/remote with the Storyden",
        );
    }
    if config.signup_enabled {
        findings.warn(
            CHECK,
            "SIGNUP_ENABLED is true: sign-up on this server bypasses the Storyden's rules",
            "unset SIGNUP_ENABLED, and leave /api/auth/password with the Storyden",
        );
    }
}
