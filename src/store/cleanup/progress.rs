//! State of each clean-up step, `auth_jobs`.

use super::StepResult;
use crate::clock::Timestamp;
use crate::store::db::Db;
use crate::store::error::Result;
use crate::store::row::row;

/// State of a step after the last pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Name of the step.
    pub name: String,
    /// Time of the last run that left no due rows.
    pub completed_at: Option<Timestamp>,
    /// Rows that the step deleted in total, side rows included.
    pub deleted: i64,
    /// Time of the last failure; `None` after a later complete run.
    pub failed_at: Option<Timestamp>,
    /// Cause of that failure.
    pub error: Option<String>,
}

row!(Progress: name, completed_at, deleted, failed_at, error);

/// Returns the state of every step that ran.
///
/// # Errors
/// If the database does not answer.
pub async fn progress(db: &Db) -> Result<Vec<Progress>> {
    db.fetch_all(
        "SELECT name, completed_at, deleted, failed_at, error FROM auth_jobs ORDER BY name",
        &[],
    )
    .await
}

/// Records the results of steps. A step that ran out of time changes only the count.
pub(super) async fn record(db: &Db, runs: Vec<StepResult>, now: Timestamp) -> Result<()> {
    db.write((runs, now), |tx, (runs, now)| {
        Box::pin(async move {
            for run in runs {
                let completed = run.completed.then_some(*now);
                let failed = run.error.as_ref().map(|_| *now);
                tx.execute(
                    "INSERT INTO auth_jobs (name, completed_at, deleted, failed_at, error) \
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO UPDATE SET \
                     deleted = auth_jobs.deleted + excluded.deleted, \
                     completed_at = COALESCE(excluded.completed_at, auth_jobs.completed_at), \
                     failed_at = CASE WHEN excluded.completed_at IS NULL AND excluded.error IS NULL \
                         THEN auth_jobs.failed_at ELSE excluded.failed_at END, \
                     error = CASE WHEN excluded.completed_at IS NULL AND excluded.error IS NULL \
                         THEN auth_jobs.error ELSE excluded.error END",
                    &[
                        run.step.into(),
                        completed.into(),
                        i64::try_from(run.deleted).unwrap_or(i64::MAX).into(),
                        failed.into(),
                        run.error.clone().into(),
                    ],
                )
                .await?;
            }
            Ok(())
        })
    })
    .await
}
