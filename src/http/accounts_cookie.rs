//! The cookie of the further accounts of a browser: session tokens beside the session cookie. A second sign-in
//! moves the first session here, and `prompt=select_account` takes a session back.
//!
//! The values are the tokens themselves, so the rules of the session cookie hold: `HttpOnly`, `SameSite=Lax`, and
//! the prefix `__Host-` on https, so that other hosts of the site cannot plant a session (cookie tossing, session
//! fixation). Only this server's own session cookie is moved here, and each request looks the sessions up.

use axum::http::HeaderMap;
use time::Duration;

use super::cookies::{self, Lifetime, Scope};
use crate::config::Config;
use crate::secret::Secret;

/// The name of the cookie on plain http.
const NAME: &str = "storyden-auth-accounts";

/// The name with the prefix [`cookies::HOST_PREFIX`].
const HOST_NAME: &str = "__Host-storyden-auth-accounts";

/// The most accounts beside the current account.
pub const ACCOUNTS_MAX: usize = 4;

/// The lifetime of the cookie: as long as a session.
const TTL: Duration = Duration::days(90);

/// Reads the session tokens of the further accounts.
#[must_use]
pub fn tokens(config: &Config, headers: &HeaderMap) -> Vec<Secret> {
    let values = cookies::values(headers, name(config)).take(1);
    let tokens = values.flat_map(|value| value.split('.').take(ACCOUNTS_MAX));
    tokens
        .filter(|token| cookies::is_token(token))
        .map(Secret::new)
        .collect()
}

/// Replaces the further accounts; `None` if the browser has no such cookie and no further accounts.
#[must_use]
pub fn set(config: &Config, headers: &HeaderMap, tokens: &[Secret]) -> Option<String> {
    let kept: Vec<&str> = tokens
        .iter()
        .take(ACCOUNTS_MAX)
        .map(Secret::reveal)
        .collect();
    if kept.is_empty() {
        return clear(config, headers);
    }
    let secure = config.secure_cookies();
    Some(scope(config).set(&kept.join("."), Lifetime::For(TTL), secure))
}

/// Clears the cookie, if the browser sent the cookie.
#[must_use]
pub fn clear(config: &Config, headers: &HeaderMap) -> Option<String> {
    cookies::values(headers, name(config)).next()?;
    let secure = config.secure_cookies();
    Some(scope(config).set("", Lifetime::For(Duration::ZERO), secure))
}

/// The name of the cookie; with the prefix if the cookie is `Secure`, which the prefix demands.
fn name(config: &Config) -> &'static str {
    if config.secure_cookies() {
        HOST_NAME
    } else {
        NAME
    }
}

fn scope(config: &Config) -> Scope {
    Scope {
        name: name(config).to_owned(),
        path: "/".to_owned(),
        domain: None,
    }
}
