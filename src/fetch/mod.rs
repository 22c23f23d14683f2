//! The only way out: HTTP requests that this program makes.
//!
//! Today only its own commands make any, to a server that their user names.

use std::time::Duration;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A client for commands: it follows no redirect and uses no proxy of the environment.
///
/// # Errors
/// When the system's TLS roots cannot be read.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that makes an HTTP client"
)]
pub fn command_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(TIMEOUT)
        .user_agent(concat!("storyden-auth/", env!("CARGO_PKG_VERSION")))
        .build()
}
