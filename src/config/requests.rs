//! Settings of pushed and signed authorization requests, and of the grant types that are off unless set.

use super::Config;
use crate::oauth::grant_type::GrantType;

impl Config {
    /// Returns true if authorization requests may be pushed (RFC 9126) and signed (RFC 9101).
    #[must_use]
    pub fn protects_requests(&self) -> bool {
        let default = self.policies.defaults.pushed_requests_enabled;
        self.par_enabled.unwrap_or(default)
    }

    /// The enabled grant types that no client lists.
    pub fn further_grants(&self) -> impl Iterator<Item = GrantType> {
        let exchange = self.token_exchange.then_some(GrantType::TokenExchange);
        let assertion = self.jwt_bearer.then_some(GrantType::JwtBearer);
        exchange.into_iter().chain(assertion)
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
