//! Settings of pushed and signed authorization requests.

use super::Config;

impl Config {
    /// Returns true if authorization requests may be pushed (RFC 9126) and signed (RFC 9101).
    #[must_use]
    pub fn protects_requests(&self) -> bool {
        let default = self.policies.defaults.pushed_requests_enabled;
        self.par_enabled.unwrap_or(default)
    }

    /// Reports the requirement of pushed requests while these are disabled: no client could be authorized.
    pub(super) fn request_faults(&self, fault: &mut impl FnMut(&'static str, &str)) {
        if self.pushed_requests_required && !self.protects_requests() {
            fault(
                "OAUTH_REQUIRE_PUSHED_AUTHORIZATION_REQUESTS",
                "must be false while pushed requests are disabled; set OAUTH_PAR_ENABLED=true",
            );
        }
    }
}
