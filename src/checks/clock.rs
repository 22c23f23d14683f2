//! Checks of the clocks of the database and of this machine.

use time::Duration;

use super::Findings;
use crate::context::Context;
use crate::store::Db;

/// Maximum difference between PostgreSQL's clock and this machine's clock.
const CLOCK_MAX: Duration = Duration::seconds(5);

/// Compares the clocks of PostgreSQL and of this machine.
pub fn examine(context: &Context, findings: &mut Findings) {
    if let Db::Sqlite(_) = context.db {
        return;
    }
    let ahead = context.clock.ahead();
    let finding = format!(
        "PostgreSQL's clock is {:.3} s ahead of this machine's",
        ahead.as_seconds_f64()
    );
    if ahead.abs() <= CLOCK_MAX {
        return findings.ok("clock", finding);
    }
    let advice = "let NTP set both clocks; this server follows the database's, others may not";
    findings.warn("clock", finding, advice);
}
