//! Lifetimes and retentions that depend on the profile or on several settings.

use time::Duration;

use super::Config;
use crate::clock::Timestamp;

/// Lifetime of a remembered approval while grants have no end.
pub(super) const CONSENT_TTL: Duration = Duration::days(180);

impl Config {
    /// Returns the lifetime of an authorization code.
    #[must_use]
    pub fn code_ttl(&self) -> Duration {
        self.authorization_code_ttl
            .unwrap_or(self.policies.defaults.code_ttl)
    }

    /// Returns the expiry of a refresh token issued now, in a grant that started at `started_at`.
    #[must_use]
    pub fn refresh_token_expiry(&self, now: Timestamp, started_at: Timestamp) -> Timestamp {
        let end = now + self.refresh_token_ttl;
        let last = self.grant_ttl.or(self.policies.defaults.grant_ttl);
        last.map_or(end, |ttl| end.min(started_at + ttl))
    }

    /// Returns true if approvals are remembered.
    #[must_use]
    pub fn remembers_consent(&self) -> bool {
        self.remember_consent && !self.policies.consent.never_remembered
    }

    /// Returns the expiry of an approval that is remembered now: the same lifetime as of a grant.
    #[must_use]
    pub fn consent_expiry(&self, now: Timestamp) -> Timestamp {
        let lifetime = self.grant_ttl.or(self.policies.defaults.grant_ttl);
        now + lifetime.unwrap_or(CONSENT_TTL)
    }

    /// Returns the window in which a client may repeat a refresh after a lost response.
    #[must_use]
    pub fn reuse_window(&self) -> Duration {
        if self.policies.tokens.reuse_window_ignored {
            Duration::ZERO
        } else {
            self.refresh_reuse_window
        }
    }

    /// Returns true if events are counted for the overview of administrators.
    #[must_use]
    pub fn counts_events(&self) -> bool {
        !self.statistics_retention.is_zero()
    }
}
