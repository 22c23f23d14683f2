//! Checks of the public addresses: reachability for browsers and applications, and cookie scope.

use url::{Host, Url};

use super::Findings;
use crate::config::Config;
use crate::http::session_cookie::cookie_domain;

const CHECK: &str = "addresses";

/// Checks the configured public addresses.
pub(super) fn examine(config: &Config, findings: &mut Findings) {
    let (api, web) = (&config.public_api_address, config.web_address());
    if api.scheme() == "https" {
        findings.ok(CHECK, format!("PUBLIC_API_ADDRESS is {}", config.issuer()));
    } else if config.listen_addr.ip().is_loopback() {
        findings.ok(
            CHECK,
            format!(
                "{} only accepts connections of this computer",
                config.issuer()
            ),
        );
    } else {
        findings.warn(
            CHECK,
            format!(
                "LISTEN_ADDR {} accepts connections from other computers, but the issuer is {}",
                config.listen_addr,
                config.issuer()
            ),
            "set PUBLIC_API_ADDRESS to the https address under which others reach this server",
        );
    }
    examine_cookie(config, &web, findings);
    examine_pages(config, &web, findings);
    examine_proxies(config, findings);
    if api.scheme() == "https" && config.trusted_proxies.0.is_empty() {
        findings.warn(
            CHECK,
            "TRUSTED_PROXIES is empty: behind a proxy all clients have the proxy's address and \
             share its rate limits",
            "set TRUSTED_PROXIES to the address or network of the proxy that ends TLS",
        );
    }
}

/// Reports trusted networks that contain every address of a version: a client then chooses its address itself.
fn examine_proxies(config: &Config, findings: &mut Findings) {
    let all = config.trusted_proxies.of_everybody();
    if !all.is_empty() {
        findings.fail(
            CHECK,
            format!(
                "TRUSTED_PROXIES has {}: every client is believed to be a proxy, chooses its address in \
                 X-Forwarded-For, and escapes the rate limits",
                all.join(", ")
            ),
            "set TRUSTED_PROXIES to the address or network of your proxy only",
        );
    }
}

/// Checks the scope of the session cookie. Browser requests from the pages to the API need the same
/// site; pages rendered on a server also need to receive the cookie.
fn examine_cookie(config: &Config, web: &Url, findings: &mut Findings) {
    let api = &config.public_api_address;
    if !same_site(api, web) {
        return findings.fail(
            CHECK,
            format!(
                "the pages at {web} and the API at {api} share no site, so browsers do not \
                     send the session cookie to the API"
            ),
            "use the same scheme and a common domain for both: PUBLIC_API_ADDRESS, \
             PUBLIC_WEB_ADDRESS",
        );
    }
    let host = web.host_str().unwrap_or_default();
    let domain = cookie_domain(config).or_else(|| api.host_str().map(str::to_owned));
    let domain = domain.unwrap_or_default();
    if host == domain || host.ends_with(&format!(".{domain}")) {
        return findings.ok(
            CHECK,
            format!("the session cookie is for {domain} and is sent to the pages at {web}"),
        );
    }
    findings.warn(
        CHECK,
        format!(
            "the session cookie is for {domain}: the pages at {web} send it to the API, but do not \
             receive it themselves"
        ),
        "no change is needed if the pages call the API from the browser; if their server calls the \
         API, put the API below the host of PUBLIC_WEB_ADDRESS, or both at one host",
    );
}

/// Checks the login page and the two consent pages.
fn examine_pages(config: &Config, web: &Url, findings: &mut Findings) {
    let pages = [
        ("OAUTH_AUTHORISATION_LOGIN_URL", config.login_page()),
        (
            "OAUTH_AUTHORISATION_CODE_CONSENT_URL",
            config.code_consent_page(),
        ),
        (
            "OAUTH_DEVICE_AUTHORISATION_CONSENT_URL",
            config.device_consent_page(),
        ),
    ];
    for (variable, page) in pages {
        if same_site(&page, web) {
            findings.ok(CHECK, format!("{variable}: {page}"));
        } else {
            findings.warn(
                CHECK,
                format!("{variable} is {page}, which is not where the pages are ({web})"),
                format!("unset {variable}, or set PUBLIC_WEB_ADDRESS to where that page is"),
            );
        }
    }
}

/// True if two addresses are same-site: the same scheme and registrable domain. Approximates the
/// registrable domain by the last two labels, without the public suffix list: wrong for `co.uk`.
fn same_site(one: &Url, other: &Url) -> bool {
    let domain = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => {
            let labels: Vec<&str> = name.rsplit('.').take(2).collect();
            Some(labels.join("."))
        }
        Some(host) => Some(host.to_string()),
        None => None,
    };
    one.scheme() == other.scheme() && domain(one) == domain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_a_scheme_and_a_domain() {
        let same =
            |one: &str, other: &str| same_site(&one.parse().unwrap(), &other.parse().unwrap());
        assert!(same("https://api.example.org", "https://www.example.org/x"));
        assert!(same("http://localhost:8000", "http://localhost:3000"));
        assert!(!same("https://example.org", "http://example.org"));
        assert!(!same("https://example.org", "https://example.com"));
        assert!(!same("http://127.0.0.1:1", "http://localhost:1"));
    }
}
