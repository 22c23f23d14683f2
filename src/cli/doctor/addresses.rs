//! Whether people, their browsers and applications find this server under its public addresses.

use std::time::Duration;

use serde::Deserialize;
use url::{Host, Url};

use super::Findings;
use crate::cli::with_causes;
use crate::config::Config;
use crate::fetch;

const CHECK: &str = "addresses";

/// How long the server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Looks at the public addresses as they are set.
pub(super) fn examine(config: &Config, findings: &mut Findings) {
    let (api, web) = (&config.public_api_address, config.web_address());
    if api.scheme() == "https" {
        findings.ok(CHECK, format!("PUBLIC_API_ADDRESS is {}", config.issuer()));
    } else if config.listen_addr.ip().is_loopback() {
        findings.ok(
            CHECK,
            format!("{} is for this computer alone", config.issuer()),
        );
    } else {
        findings.warn(
            CHECK,
            format!(
                "LISTEN_ADDR {} takes connections from elsewhere, but applications are told {}",
                config.listen_addr,
                config.issuer()
            ),
            "set PUBLIC_API_ADDRESS to the https address under which others reach this server",
        );
    }
    if same_site(api, &web) {
        findings.ok(CHECK, format!("the pages at {web} get the session cookie"));
    } else {
        findings.fail(
            CHECK,
            format!("the pages at {web} and the API at {api} share no site: no session cookie goes across"),
            "put both below one domain with the same scheme: PUBLIC_API_ADDRESS, PUBLIC_WEB_ADDRESS",
        );
    }
    examine_pages(config, &web, findings);
    if api.scheme() == "https" && config.trusted_proxies.0.is_empty() {
        findings.warn(
            CHECK,
            "TRUSTED_PROXIES is empty: behind a proxy everybody has the proxy's address, and \
             everybody's failures count together",
            "set TRUSTED_PROXIES to the address or network of the proxy that ends TLS",
        );
    }
}

/// The three pages that people are sent to.
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

/// Whether a browser counts two addresses as one site: the same scheme, and the same host or names
/// below one domain. (The two last labels stand for the domain; a public suffix of two labels, as
/// co.uk, is not known here.)
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

/// The part of a metadata document that is compared (RFC 8414 §3.3).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
}

/// Asks for the metadata as an application would.
pub(super) async fn ask_from_outside(config: &Config, findings: &mut Findings) {
    if !config.oauth_enabled {
        return;
    }
    let issuer = config.issuer();
    let url = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let finding = match ask(&url).await {
        Ok(metadata) if metadata.issuer == issuer => {
            return findings.ok("issuer", format!("{url} answers as {issuer}"));
        }
        Ok(metadata) => format!("{url} answers as {:?}, not as {issuer:?}", metadata.issuer),
        Err(why) => format!("{url}: {why}"),
    };
    findings.warn(
        "issuer",
        finding,
        "is the server running, does the name lead here, and does the proxy send /.well-known/ to \
         it? Applications read this address first",
    );
}

async fn ask(url: &str) -> Result<Metadata, String> {
    let failed = |error: reqwest::Error| with_causes(&error.without_url());
    let client = fetch::command_client().map_err(failed)?;
    let answer = client
        .get(url)
        .timeout(TIMEOUT)
        .send()
        .await
        .map_err(failed)?;
    if !answer.status().is_success() {
        return Err(format!("the answer was {}", answer.status()));
    }
    answer
        .json()
        .await
        .map_err(|_| "the answer is no metadata document".to_owned())
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
