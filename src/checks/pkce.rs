//! Checks of exemptions from PKCE: their number, and their cost.

use super::Findings;
use crate::config::{Config, RegistrationPkce};
use crate::context::Context;
use crate::store::{self, clients};

/// The cost of an exemption from PKCE.
pub const PKCE_EXEMPTION: &str = "without PKCE, a code that is stolen from a redirect can be \
    injected into another user's session (RFC 9700 §4.5); only the client secret and a nonce protect \
    the application. Require PKCE as soon as the library of the application supports it";

/// The most clients that are named.
const NAMED: usize = 10;

/// Reports the setting for registrations.
pub fn examine_setting(config: &Config, findings: &mut Findings) {
    if config.registration_enabled && config.registration_pkce == RegistrationPkce::Optional {
        findings.warn(
            "pkce",
            format!(
                "OAUTH_DYNAMIC_REGISTRATION_PKCE=optional: registrations with a secret need no \
                 PKCE; {PKCE_EXEMPTION}"
            ),
            "set OAUTH_DYNAMIC_REGISTRATION_PKCE=required, and give the initial access token of \
             OAUTH_DYNAMIC_REGISTRATION_TOKEN to the clients that have no PKCE",
        );
    }
}

/// Names the clients that are exempt from PKCE.
///
/// # Errors
/// If the database does not answer.
pub async fn examine_clients(context: &Context, findings: &mut Findings) -> store::Result<()> {
    let most = i64::try_from(NAMED).unwrap_or(i64::MAX);
    let exempt = clients::list_pkce_exempt(&context.db, most + 1).await?;
    if exempt.is_empty() {
        findings.ok("pkce", "every client uses PKCE");
        return Ok(());
    }
    let named: Vec<&str> = exempt.iter().take(NAMED).map(String::as_str).collect();
    let more = if exempt.len() > NAMED {
        " and more"
    } else {
        ""
    };
    findings.warn(
        "pkce",
        format!(
            "clients exempt from PKCE: {}{more}; {PKCE_EXEMPTION}",
            named.join(", ")
        ),
        "open the client under Administration, Applications, and require PKCE there; `client show` \
         shows the setting",
    );
    Ok(())
}
