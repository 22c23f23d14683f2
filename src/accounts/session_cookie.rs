//! The cookie of a session as browsers get it (contract 3.2, A-55).

use super::caller::SESSION_COOKIE;
use crate::app::App;
use crate::clock::Timestamp;
use crate::config::Config;

/// The `Set-Cookie` of a session; with an empty value and the present time, the one that ends it.
#[must_use]
pub fn session_cookie(app: &App, value: &str, expires_at: Timestamp) -> String {
    let domain = match cookie_domain(&app.config) {
        Some(domain) => format!("; Domain={domain}"),
        None => String::new(),
    };
    let secure = if app.config.secure_cookies() {
        "; Secure"
    } else {
        ""
    };
    let expires = expires_at.to_http_date();
    format!(
        "{SESSION_COOKIE}={value}; Path=/{domain}; Expires={expires}; HttpOnly; SameSite=Lax{secure}"
    )
}

/// The domain that the API and the pages share; none, so that the cookie stays with one host, where
/// they are one host. As the contract has it: the API's host where that is the same as the page's or
/// a sibling of it, the page's where the API is below it, else the API's.
#[must_use]
pub fn cookie_domain(config: &Config) -> Option<String> {
    let api = config.public_api_address.host_str()?.to_owned();
    let web = config.web_address();
    let web = web.host_str()?;
    if api == web && !config.profile.cookie_names_its_domain() {
        return None;
    }
    Some(if api.ends_with(&format!(".{web}")) {
        web.to_owned()
    } else {
        api
    })
}
