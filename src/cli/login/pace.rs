//! Polling interval of a device (RFC 8628 §3.5).

use time::Duration;

/// Default interval, in seconds (RFC 8628 §3.2).
const DEFAULT_SECONDS: u64 = 5;

/// Maximum pause between attempts while the server is unavailable.
const BACKOFF_MAX: Duration = Duration::seconds(60);

/// The interval, and the number of consecutive network failures.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    failures: i32,
}

impl Pace {
    /// Starts with the server's interval, but at least a second.
    pub(super) fn new(interval: Option<u64>) -> Self {
        let seconds = interval.unwrap_or(DEFAULT_SECONDS).clamp(1, 3_600);
        Self {
            interval: Duration::seconds(seconds.cast_signed()),
            failures: 0,
        }
    }

    /// Returns the time until the next poll: doubled for each consecutive failure (exponential
    /// backoff).
    pub(super) fn wait(&self) -> Duration {
        if self.failures == 0 {
            return self.interval;
        }
        (self.interval * 2_i32.pow(self.failures.min(10).unsigned_abs()))
            .clamp(self.interval, BACKOFF_MAX.max(self.interval))
    }

    /// True if the last attempt did not reach the server.
    pub(super) fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Records a response of the server.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
    }

    /// RFC 8628 §3.5: adds five seconds to this and all later intervals.
    pub(super) fn slow_down(&mut self) {
        self.failures = 0;
        self.interval += Duration::seconds(5);
    }

    /// RFC 8628 §3.5: polls less often after a timeout.
    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_down_adds_five_seconds_permanently() {
        let mut pace = Pace::new(Some(2));
        assert_eq!(pace.wait(), Duration::seconds(2));
        pace.slow_down();
        pace.answered();
        assert_eq!(pace.wait(), Duration::seconds(7));
        pace.slow_down();
        assert_eq!(pace.wait(), Duration::seconds(12));
    }

    #[test]
    fn failures_double_the_interval() {
        let mut pace = Pace::new(None);
        let waits: Vec<i64> = (0..6)
            .map(|_| {
                pace.failed();
                pace.wait().whole_seconds()
            })
            .collect();
        assert_eq!(waits, [10, 20, 40, 60, 60, 60]);
        pace.answered();
        assert_eq!(pace.wait(), Duration::seconds(5));
    }

    #[test]
    fn interval_is_at_least_one_second() {
        assert_eq!(Pace::new(Some(0)).wait(), Duration::SECOND);
    }
}
