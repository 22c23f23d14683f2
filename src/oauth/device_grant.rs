//! States of a device grant, and the result of a poll (RFC 8628 §3.5).

use time::Duration;

use crate::clock::Timestamp;

/// The longest polling interval, in seconds.
const INTERVAL_MAX: i64 = 60;

/// Time by which a poll may be early without `slow_down`: timers and networks are not exact, and a
/// client that waits for the interval cannot do better.
const TOLERANCE: Duration = Duration::milliseconds(500);

/// The effect of polls before the interval is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyPolls {
    /// A poll is early if half a second is missing. The interval still runs from the last timely poll,
    /// and grows to 60 seconds at most.
    Ignored,
    /// A poll is early if any time is missing. The interval runs from the early poll, and grows without
    /// limit.
    Counted,
}

/// The part of a device authorization that a poll depends on. `A` is the account that approved.
#[derive(Clone, Debug)]
pub struct DeviceGrant<A> {
    /// Expiry of the codes.
    pub expires_at: Timestamp,
    /// Polling interval, in seconds.
    pub interval_seconds: i64,
    /// The last poll that was not too early.
    pub last_polled_at: Option<Timestamp>,
    /// The decision of a member.
    pub decision: DeviceDecision<A>,
}

/// The decision about a device authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceDecision<A> {
    /// Not decided yet.
    Undecided,
    /// Denied by a member, or ended by a revocation.
    Denied,
    /// Approved by this account.
    Approved(A),
    /// Approved by an account that does not exist any more.
    ApproverGone,
    /// Approved, and tokens were issued.
    Consumed,
}

/// Result of a poll: the table of RFC 8628 §3.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState<A> {
    /// Not decided yet.
    Pending,
    /// Too early.
    SlowDown {
        /// The new interval, in seconds.
        interval_seconds: i64,
        /// Start of the new interval.
        last_polled_at: Timestamp,
    },
    /// Denied by a member.
    Denied,
    /// Expired.
    Expired,
    /// Tokens were already issued.
    Consumed,
    /// Approved by this account.
    Approved(A),
}

impl<A> DeviceGrant<A> {
    /// Returns the result of a poll at `now`.
    #[must_use]
    pub fn state(self, early_polls: EarlyPolls, now: Timestamp) -> DeviceState<A> {
        match self.decision {
            DeviceDecision::Consumed => return DeviceState::Consumed,
            DeviceDecision::Denied => return DeviceState::Denied,
            _ => {}
        }
        if now >= self.expires_at {
            return DeviceState::Expired;
        }
        let wait = Duration::seconds(self.interval_seconds);
        let wait = match early_polls {
            EarlyPolls::Ignored => wait - TOLERANCE,
            EarlyPolls::Counted => wait,
        };
        if let Some(last) = self.last_polled_at
            && now - last < wait
        {
            // RFC 8628 §3.5: five more seconds for this and all later polls.
            let (longest, last_polled_at) = match early_polls {
                EarlyPolls::Ignored => (INTERVAL_MAX, last),
                EarlyPolls::Counted => (i64::MAX, now),
            };
            let longer = self.interval_seconds.saturating_add(5);
            return DeviceState::SlowDown {
                interval_seconds: longer.min(longest.max(self.interval_seconds)),
                last_polled_at,
            };
        }
        match self.decision {
            DeviceDecision::Undecided => DeviceState::Pending,
            DeviceDecision::Approved(account) => DeviceState::Approved(account),
            DeviceDecision::Denied | DeviceDecision::ApproverGone => DeviceState::Denied,
            DeviceDecision::Consumed => DeviceState::Consumed,
        }
    }

    /// True if a member can still decide.
    #[must_use]
    pub fn awaits_decision(&self, now: Timestamp) -> bool {
        matches!(self.decision, DeviceDecision::Undecided) && now < self.expires_at
    }
}
