//! Backlog of the clean-up: due rows that are not deleted yet.

use time::Duration;

use super::WINDOW;
use super::expired::{AUDIT_TRAIL, STATISTICS};
use super::step::{Rows, Step};
use super::steps::STEPS;
use crate::clock::Timestamp;
use crate::store::db::Db;
use crate::store::error::Result;
use crate::store::value::Value;

/// Upper bound of a count, so that counting stays cheap with a large backlog. For a walk, where no
/// index tells which rows are due, the count covers only the window with the smallest keys.
pub const COUNTED: i64 = 10_000;

/// Backlog of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Name of the step.
    pub step: &'static str,
    /// Due rows, counted up to [`COUNTED`].
    pub rows: i64,
}

/// Retentions of the settings.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// The audit trail; zero keeps it for ever.
    pub audit: Duration,
    /// Hourly counts.
    pub statistics: Duration,
}

/// Counts the rows that each step would delete now.
///
/// # Errors
/// If the database does not answer.
pub async fn backlog(db: &Db, now: Timestamp, retention: Retention) -> Result<Vec<Backlog>> {
    let mut found = Vec::new();
    for step in STEPS {
        found.push(count(db, step, now - step.keep).await?);
    }
    found.push(count(db, &STATISTICS, now - retention.statistics).await?);
    if !retention.audit.is_zero() {
        found.push(count(db, &AUDIT_TRAIL, now - retention.audit).await?);
    }
    Ok(found)
}

async fn count(db: &Db, step: &Step, before: Timestamp) -> Result<Backlog> {
    let most = match step.rows {
        Rows::Due => COUNTED,
        Rows::Walk { .. } => WINDOW,
    };
    let parameters = [before.into(), most.into(), Value::Text(None)];
    let total: i64 = db.fetch_one(step.search.count, &parameters).await?;
    Ok(Backlog {
        step: step.name,
        rows: total,
    })
}
