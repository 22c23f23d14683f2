//! Addresses of this server and of the pages, derived from the settings.

use std::fmt::Write as _;

use url::Url;

use super::Config;
use crate::oauth::dpop::{self, AuthScheme, DpopSupport};

impl Config {
    /// Returns the issuer (RFC 8414 §2): the API address, less a trailing slash.
    #[must_use]
    pub fn issuer(&self) -> String {
        without_slash(self.public_api_address.as_str()).to_owned()
    }

    /// Returns the path of the issuer, without slashes at the ends; empty for an issuer without a path.
    #[must_use]
    pub fn issuer_path(&self) -> &str {
        self.public_api_address.path().trim_matches('/')
    }

    /// Returns the base URL of the endpoints: the API address with `/api`.
    #[must_use]
    pub fn endpoint_base(&self) -> String {
        let base = self.public_api_address.as_str().trim_end_matches('/');
        if base.ends_with("/api") {
            base.to_owned()
        } else {
            format!("{base}/api")
        }
    }

    /// Returns the public URL of a path below `/api`.
    #[must_use]
    pub fn public_url(&self, path: &str) -> String {
        let below = path.strip_prefix("/api").unwrap_or(path);
        format!("{}{below}", self.endpoint_base())
    }

    /// Returns true if access tokens may be bound to a key (RFC 9449).
    #[must_use]
    pub fn supports_dpop(&self) -> bool {
        self.policies.tokens.dpop == DpopSupport::Supported
    }

    /// Returns the `WWW-Authenticate` challenges for an access token in this scheme. An error belongs to the
    /// scheme of the rejected token. A bearer challenge comes with a challenge for DPoP (RFC 9449 §7.1), so
    /// that clients know the algorithms.
    #[must_use]
    pub fn challenges(&self, scheme: AuthScheme, error: Option<(&str, &str)>) -> Vec<String> {
        let algorithms = dpop::ALGORITHM_NAMES.join(" ");
        match scheme {
            AuthScheme::Bearer if self.supports_dpop() => vec![
                self.bearer_challenge(error),
                format!("DPoP algs=\"{algorithms}\""),
            ],
            AuthScheme::Bearer => vec![self.bearer_challenge(error)],
            AuthScheme::Dpop => {
                let mut challenge = self.challenge("DPoP", error);
                let _ = write!(challenge, ", algs=\"{algorithms}\"");
                vec![challenge]
            }
        }
    }

    /// Returns the `WWW-Authenticate` challenge for a bearer token, with the URL of the API's resource
    /// metadata (RFC 9728 §5.1) and the error of a rejected token (RFC 6750 §3.1).
    #[must_use]
    pub fn bearer_challenge(&self, error: Option<(&str, &str)>) -> String {
        self.challenge("Bearer", error)
    }

    fn challenge(&self, scheme: &str, error: Option<(&str, &str)>) -> String {
        let issuer = self.issuer();
        let metadata = format!("{issuer}/.well-known/oauth-protected-resource/api");
        let error = match error {
            None => String::new(),
            Some((code, "")) => format!(", error=\"{code}\""),
            Some((code, description)) => {
                format!(", error=\"{code}\", error_description=\"{description}\"")
            }
        };
        format!("{scheme} resource_metadata=\"{metadata}\"{error}")
    }

    /// Returns the base URL of the pages.
    #[must_use]
    pub fn web_address(&self) -> Url {
        match &self.public_web_address {
            Some(url) => url.clone(),
            None if self.web_enabled => self.public_api_address.clone(),
            None => Url::parse("http://localhost:3000").expect("a URL that is written here"),
        }
    }

    /// Returns the sign-in page.
    #[must_use]
    pub fn login_page(&self) -> Url {
        self.login_url.clone().unwrap_or_else(|| self.page("login"))
    }

    /// Returns the consent page of code flows.
    #[must_use]
    pub fn code_consent_page(&self) -> Url {
        self.code_consent_url
            .clone()
            .unwrap_or_else(|| self.page("oauth/authorize/consent"))
    }

    /// Returns the page to enter a user code.
    #[must_use]
    pub fn device_consent_page(&self) -> Url {
        self.device_consent_url
            .clone()
            .unwrap_or_else(|| self.page("oauth/consent"))
    }

    /// Returns the page that confirms a sign-out.
    #[must_use]
    pub fn logout_page(&self) -> Url {
        self.page("logout")
    }

    /// Returns a page below the path of the web address.
    fn page(&self, path: &str) -> Url {
        let mut url = self.web_address();
        let below = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&below);
        url
    }

    /// Returns the origins with pages that may use a session here: web, API and configured origins.
    #[must_use]
    pub fn allowed_origins(&self) -> Vec<String> {
        let own = [self.web_address(), self.public_api_address.clone()];
        let own = own.iter().map(|url| url.origin().ascii_serialization());
        own.chain(self.cors_allowed_origins.0.iter().cloned())
            .collect()
    }

    /// Returns the page that a remote server redirects the browser to.
    #[must_use]
    pub fn remote_callback_page(&self) -> Url {
        let mut page = self.web_address();
        page.set_path("/oauth/remote/callback");
        page
    }

    /// Returns the client id of this server as a client of remote servers: the URL of the metadata
    /// document.
    #[must_use]
    pub fn own_client_id(&self) -> Url {
        let mut client_id = self.public_api_address.clone();
        client_id.set_path("/.well-known/oauth-client-metadata");
        client_id
    }

    /// Returns the hosts of this server's own addresses.
    pub(super) fn own_hosts(&self) -> Vec<String> {
        let web = self.web_address();
        let hosts = [self.public_api_address.host_str(), web.host_str()];
        hosts.into_iter().flatten().map(str::to_owned).collect()
    }
}

/// Removes a trailing slash, but not a second.
fn without_slash(text: &str) -> &str {
    text.strip_suffix('/').unwrap_or(text)
}
