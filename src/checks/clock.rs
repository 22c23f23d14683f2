//! Checks of the clocks of the database and of this machine.

use time::Duration;

use super::Findings;
use crate::context::Context;
use crate::store::Db;

/// Maximum difference between PostgreSQL's clock and this machine's clock.
pub(super) const CLOCK_MAX: Duration = Duration::seconds(5);

/// Compares the clocks of PostgreSQL and of this machine.
pub fn examine(context: &Context, findings: &mut Findings) {
    if let Db::Sqlite(_) = context.db {
        return;
    }
    let ahead = context.clock.ahead();
    let finding = format!("PostgreSQL's clock is {} this machine's", lead(ahead));
    if ahead.abs() <= CLOCK_MAX {
        return findings.ok("clock", finding);
    }
    let advice = "let NTP set both clocks; this server follows the database's, others may not";
    findings.warn("clock", finding, advice);
}

/// Formats the lead of a clock, as in `2.500 s ahead of` and `3 days behind`.
#[must_use]
pub fn lead(ahead: Duration) -> String {
    let direction = if ahead.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    let by = ahead.abs();
    if by >= Duration::days(2) {
        format!("{} days {direction}", by.whole_days())
    } else if by >= Duration::hours(2) {
        format!("{} hours {direction}", by.whole_hours())
    } else {
        format!("{:.3} s {direction}", by.as_seconds_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_ahead_or_behind() {
        assert_eq!(lead(Duration::milliseconds(2)), "0.002 s ahead of");
        assert_eq!(lead(-Duration::seconds(259_200)), "3 days behind");
        assert_eq!(lead(Duration::hours(5)), "5 hours ahead of");
    }
}
