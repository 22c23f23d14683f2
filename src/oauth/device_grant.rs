//! How far a device grant is, and what a poll is told (RFC 8628 §3.5).

use time::Duration;

use crate::clock::Timestamp;
use crate::profile::Profile;

/// The most seconds that a device is told to wait between polls.
const INTERVAL_MAX: i64 = 60;

/// A device authorization as far as a poll is concerned.
#[derive(Clone, Debug)]
pub struct DeviceGrant {
    /// When its codes end.
    pub expires_at: Timestamp,
    /// Seconds between polls.
    pub interval_seconds: i64,
    /// The last poll that was not too early.
    pub last_polled_at: Option<Timestamp>,
    /// Somebody said no.
    pub denied: bool,
    /// Tokens were issued.
    pub consumed: bool,
    /// Somebody said yes.
    pub approved: bool,
}

/// What a poll finds: the table of RFC 8628 §3.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Nobody has decided yet.
    Pending,
    /// Too soon after the last poll; the interval from now on, in seconds.
    SlowDown(i64),
    /// Somebody said no.
    Denied,
    /// Its time is over.
    Expired,
    /// Tokens were issued before.
    Consumed,
    /// Somebody said yes.
    Approved,
}

impl DeviceGrant {
    /// What a poll finds now.
    #[must_use]
    pub fn state(&self, profile: Profile, now: Timestamp) -> DeviceState {
        if self.consumed {
            return DeviceState::Consumed;
        }
        if self.denied {
            return DeviceState::Denied;
        }
        if now >= self.expires_at {
            return DeviceState::Expired;
        }
        let wait = Duration::seconds(self.interval_seconds);
        if self.last_polled_at.is_some_and(|last| now - last < wait) {
            // RFC 8628 §3.5: five seconds more, for this and all later polls
            let longest = if profile.early_polls_count() {
                i64::MAX
            } else {
                INTERVAL_MAX
            };
            let longer = self.interval_seconds.saturating_add(5);
            return DeviceState::SlowDown(longer.min(longest.max(self.interval_seconds)));
        }
        if self.approved {
            DeviceState::Approved
        } else {
            DeviceState::Pending
        }
    }

    /// Whether a person may still decide it.
    #[must_use]
    pub fn awaits_decision(&self, now: Timestamp) -> bool {
        !self.consumed && !self.denied && !self.approved && now < self.expires_at
    }
}
