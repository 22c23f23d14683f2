//! Backlog of the clean-up: due rows that are not deleted yet.

use time::Duration;

use super::WINDOW;
use super::expired::AUDIT_TRAIL;
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

/// Counts the rows that each step would delete now. The audit trail is kept for `audit_retention`, or
/// forever if that is zero.
///
/// # Errors
/// If the database does not answer.
pub async fn backlog(db: &Db, now: Timestamp, audit_retention: Duration) -> Result<Vec<Backlog>> {
    let mut found = Vec::new();
    for step in STEPS {
        found.push(count(db, step, now - step.keep).await?);
    }
    if !audit_retention.is_zero() {
        found.push(count(db, &AUDIT_TRAIL, now - audit_retention).await?);
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
