//! Checks of settings that are well-formed but out of bounds or inconsistent.

use time::Duration;
use url::Url;

use super::{Config, Fault};
use crate::oauth::redirect_uri::is_loopback;
use crate::oauth::signing_algorithm::SigningAlgorithm;

/// The shortest initial access token, in bytes: too long to guess.
const REGISTRATION_TOKEN_MIN: usize = 32;

/// The shortest secret of signing keys, in bytes.
const KEYS_SECRET_MIN: usize = 32;

/// The shortest rotation period of signing keys: access tokens live up to a day.
const KEY_ROTATION_MIN: Duration = Duration::hours(24);

impl Config {
    /// Returns the faults of values that are well-formed but out of bounds or inconsistent.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |variable, problem: &str| {
            faults.push(Fault {
                variable,
                problem: problem.to_owned(),
            });
        };
        let addresses = [
            ("PUBLIC_API_ADDRESS", Some(&self.public_api_address)),
            ("PUBLIC_WEB_ADDRESS", self.public_web_address.as_ref()),
        ];
        for (variable, url) in addresses {
            let Some(url) = url else { continue };
            if url.scheme() != "https" && !is_loopback_http(url) {
                fault(
                    variable,
                    "must start with https:// (plain http is only allowed for localhost)",
                );
            }
            if url.query().is_some() || url.fragment().is_some() {
                fault(variable, "must have no query and no fragment");
            }
            if has_credentials(url) {
                fault(variable, "must have no user name and no password");
            }
        }
        self.docs_faults(&mut fault);
        let positive = [
            ("RATE_LIMIT_PERIOD", self.rate_limit_period),
            ("RATE_LIMIT_BUCKET", self.rate_limit_bucket),
            ("OAUTH_REFRESH_TOKEN_TTL", self.refresh_token_ttl),
            (
                "OAUTH_GRANT_TTL",
                self.grant_ttl.unwrap_or(self.refresh_token_ttl),
            ),
            ("OAUTH_AUTHORISATION_CODE_TTL", self.code_ttl()),
            ("OAUTH_DEVICE_CODE_TTL", self.device_code_ttl),
        ];
        for (variable, ttl) in positive {
            if ttl <= Duration::ZERO {
                fault(variable, "must be greater than 0");
            }
        }
        if self.rate_limit_period / self.rate_limit_bucket > 3_600.0 {
            fault(
                "RATE_LIMIT_BUCKET",
                "must be at least a 3600th of RATE_LIMIT_PERIOD",
            );
        }
        // RFC 6749 §4.1.2
        if self.code_ttl() > Duration::minutes(10) {
            fault("OAUTH_AUTHORISATION_CODE_TTL", "must be 10m or less");
        }
        // The clean-up keeps a revoked grant for longer, so that access tokens of the grant are
        // refused.
        if self.access_token_ttl > Duration::hours(24) {
            fault("OAUTH_ACCESS_TOKEN_TTL", "must be 24h or less");
        }
        let token = self.registration_token.as_ref();
        if token.is_some_and(|token| token.reveal().len() < REGISTRATION_TOKEN_MIN) {
            fault(
                "OAUTH_DYNAMIC_REGISTRATION_TOKEN",
                "must have at least 32 characters",
            );
        }
        self.key_faults(&mut fault);
        self.request_faults(&mut fault);
        self.webhook_faults(&mut fault);
        if self.audit_retention.is_negative() {
            fault("AUDIT_RETENTION", "must not be negative");
        }
        if self.statistics_retention.is_negative() {
            fault("STATISTICS_RETENTION", "must not be negative");
        }
        if self.device_poll_every.is_negative() {
            fault("OAUTH_DEVICE_POLL_EVERY", "must not be negative");
        }
        if self.refresh_reuse_window.is_negative()
            || self.refresh_reuse_window > Duration::minutes(5)
        {
            fault(
                "OAUTH_REFRESH_TOKEN_REUSE_WINDOW",
                "must be between 0s and 5m",
            );
        }
        faults.extend(self.brand_faults());
        faults
    }
}

impl Config {
    fn docs_faults(&self, fault: &mut impl FnMut(&'static str, &str)) {
        if let Some(url) = &self.otlp_endpoint
            && (url.query().is_some() || url.fragment().is_some() || has_credentials(url))
        {
            fault(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "must have no query, no fragment, no user name and no password; use \
                 OTEL_EXPORTER_OTLP_HEADERS for a credential",
            );
        }
        if let Some(url) = &self.docs_url
            && (url.query().is_some() || url.fragment().is_some() || has_credentials(url))
        {
            fault(
                "DOCS_URL",
                "must have no query, no fragment, no user name and no password",
            );
        }
    }

    fn key_faults(&self, fault: &mut impl FnMut(&'static str, &str)) {
        if !self.key_rotation.is_zero() && self.key_rotation < KEY_ROTATION_MIN {
            fault("OAUTH_KEY_ROTATION", "must be at least 24h, or 0s");
        }
        let secret = self.keys_secret.as_ref();
        if secret.is_some_and(|secret| secret.reveal().len() < KEYS_SECRET_MIN) {
            fault(
                "OAUTH_KEYS_SECRET",
                "must have at least 32 characters; use the output of `openssl rand -base64 32`",
            );
        }
        let has_rs256 = self.signing_algorithms.0.contains(&SigningAlgorithm::Rs256);
        if self.policies.tokens.single_key && (!has_rs256 || self.signing_algorithms.0.len() > 1) {
            fault(
                "OAUTH_SIGNING_ALGORITHMS",
                "must be RS256 in the profile storyden: the Storyden verifies no other algorithm",
            );
        } else if self.signing_key.is_some() && !has_rs256 {
            fault(
                "OAUTH_SIGNING_ALGORITHMS",
                "must contain RS256 while OAUTH_SIGNING_KEY_BASE64 is set",
            );
        }
    }
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Returns true for plain http to a loopback address, `localhost` or a name under `localhost`.
fn is_loopback_http(url: &Url) -> bool {
    let named = url
        .host_str()
        .is_some_and(|host| host.ends_with(".localhost"));
    url.scheme() == "http" && (is_loopback(url) || named)
}
