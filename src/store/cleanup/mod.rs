//! Clean-up: deletes expired rows in small batches.
//!
//! Times are compared as instants: `julianday(…)` on SQLite, where the stored text has the time zone of
//! the process that wrote the row. A batch reads the ids of due rows, then deletes these rows and
//! dependent rows in a short transaction. The batch size adapts to the duration of the last batch, so
//! that no other write waits long, and a pause between batches lets other writers in: SQLite has a
//! single writer.

mod backlog;
mod expired;
mod grants;
mod orphans;
mod progress;
mod registrations;
mod step;
mod steps;

use std::time::Duration;

use super::db::Db;
use super::error::Result;
use super::value::{Flag, Value};
use crate::clock::{Timer, Timestamp};
use crate::store::row::row;
pub use backlog::{Backlog, COUNTED, Retention, backlog};
use expired::{AUDIT_TRAIL, PENDING_REQUESTS, PUSHED_REQUESTS, STATISTICS};
pub use progress::{Progress, progress};
use step::{Delete, Rows, Step};
use steps::STEPS;

/// Maximum number of rows of a batch.
const BATCH: usize = 50;

/// Target duration of a batch, in seconds. A longer batch makes the next batch smaller.
const BATCH_SECONDS: f64 = 0.04;

/// Minimum time from the start of a full batch to the start of the next, in seconds. With `BATCH`, this
/// limits a pass to 2,000 rows per second, more than twice the refreshes that `make bench` measured.
const PACE_SECONDS: f64 = 0.025;

/// Number of rows that a walk reads per query.
const WINDOW: i64 = 1_000;

/// Time limit of a step within a pass, in seconds, so that the other steps get a turn.
const STEP_SECONDS: f64 = 120.0;

/// Deleted rows by step, without steps that deleted nothing.
pub type Deleted = Vec<(&'static str, u64)>;

/// Result of a clean-up pass.
#[derive(Debug, Default)]
pub struct Pass {
    /// Deleted rows, side rows included.
    pub deleted: Deleted,
    /// Steps that failed.
    pub failed: Vec<&'static str>,
    /// False if due rows are left: the next pass should come soon.
    pub finished: bool,
}

/// Result of a step.
#[derive(Debug)]
struct StepResult {
    step: &'static str,
    deleted: u64,
    /// True if no due rows were left.
    completed: bool,
    error: Option<String>,
}

struct FoundRow {
    id: String,
    due: Flag,
    /// Position to continue the search: the time of the row on PostgreSQL, or the id in a walk.
    place: Option<String>,
}

row!(FoundRow: id, due, place);

/// Runs a pass over every table. A step that fails is logged, and the others run; `stop` is checked
/// between batches.
pub async fn run(db: &Db, now: Timestamp, stop: impl Fn() -> bool) -> Pass {
    let known = progress(db).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "clean-up progress cannot be read");
        Vec::new()
    });
    let is_due = |step: &&Step| match step.rows {
        Rows::Due => true,
        Rows::Walk { every } => !known.iter().any(|known| {
            // A time in the future is of a run with a wrong clock, and is overwritten.
            known.name == step.name
                && known
                    .completed_at
                    .is_some_and(|at| at <= now && now - at < every)
        }),
    };
    let mut runs = Vec::new();
    for step in STEPS.iter().filter(is_due) {
        runs.push(run_step(db, step, now - step.keep, &stop).await);
    }
    finish(db, runs, now).await
}

/// Deletes expired pending and pushed authorization requests.
pub async fn pending_requests(db: &Db, now: Timestamp, stop: impl Fn() -> bool) -> Pass {
    let mut runs = Vec::new();
    let mut finished = true;
    for step in [&PENDING_REQUESTS, &PUSHED_REQUESTS] {
        let run = run_step(db, step, now, &stop).await;
        finished &= run.completed || run.error.is_some();
        // Skip the write, which would happen every minute: the hourly pass records that the step
        // completed.
        if run.deleted > 0 || run.error.is_some() {
            runs.push(run);
        }
    }
    if runs.is_empty() {
        return Pass {
            finished,
            ..Pass::default()
        };
    }
    let pass = finish(db, runs, now).await;
    Pass {
        finished: finished && pass.finished,
        ..pass
    }
}

/// Deletes audit entries from before a time.
pub async fn audit_trail(
    db: &Db,
    before: Timestamp,
    now: Timestamp,
    stop: impl Fn() -> bool,
) -> Pass {
    let run = run_step(db, &AUDIT_TRAIL, before, &stop).await;
    finish(db, vec![run], now).await
}

/// Deletes hourly counts from before a time.
pub async fn statistics(
    db: &Db,
    before: Timestamp,
    now: Timestamp,
    stop: impl Fn() -> bool,
) -> Pass {
    let run = run_step(db, &STATISTICS, before, &stop).await;
    finish(db, vec![run], now).await
}

/// Records the results of the steps.
async fn finish(db: &Db, runs: Vec<StepResult>, now: Timestamp) -> Pass {
    let mut pass = Pass {
        finished: true,
        ..Pass::default()
    };
    for run in &runs {
        // A failed step waits for the next regular pass.
        pass.finished &= run.completed || run.error.is_some();
        if run.deleted > 0 {
            pass.deleted.push((run.step, run.deleted));
        }
        if run.error.is_some() {
            pass.failed.push(run.step);
        }
    }
    if let Err(error) = progress::record(db, runs, now).await {
        tracing::warn!(%error, "clean-up progress cannot be written");
    }
    pass
}

/// Size of the next batch.
struct BatchSize(usize);

impl BatchSize {
    /// Adapts to the duration of a batch.
    fn adapt(&mut self, seconds: f64) {
        if seconds > BATCH_SECONDS {
            self.0 = (self.0 / 2).max(1);
        } else if seconds < BATCH_SECONDS / 2.0 {
            self.0 = (self.0 * 2).min(BATCH);
        }
    }

    /// Shrinks after a failed batch, perhaps a timeout. Returns false if the batch was already the
    /// smallest.
    fn shrink(&mut self) -> bool {
        let may_try_again = self.0 > 1;
        self.0 = (self.0 / 8).max(1);
        may_try_again
    }
}

/// Runs a step until no due rows are left or the time limit is reached.
async fn run_step(
    db: &Db,
    step: &'static Step,
    before: Timestamp,
    should_stop: &impl Fn() -> bool,
) -> StepResult {
    let mut run = StepResult {
        step: step.name,
        deleted: 0,
        completed: false,
        error: None,
    };
    let (since, mut size) = (Timer::start(), BatchSize(BATCH));
    let mut search = Search::new(step, before);
    while since.seconds() < STEP_SECONDS && !should_stop() {
        let batch = Timer::start();
        match search.batch(db, size.0).await {
            Ok(None) => {
                run.completed = true;
                break;
            }
            Ok(Some(Batch {
                deleted,
                seconds,
                full,
            })) => {
                run.deleted += deleted;
                size.adapt(seconds);
                if full {
                    pause_for_writers(db, batch.seconds()).await;
                }
            }
            Err(error) if size.shrink() => {
                tracing::debug!(%error, step = step.name, "clean-up batch failed");
            }
            Err(error) => {
                tracing::warn!(%error, step = step.name, "clean-up step failed");
                run.error = Some(error.to_string());
                break;
            }
        }
    }
    run
}

/// Pauses for other writers, as long as the batch took, within bounds. Meanwhile checkpoints the pages of the
/// batch, which SQLite would do in the transaction of another writer.
async fn pause_for_writers(db: &Db, seconds: f64) {
    let pause = (PACE_SECONDS - seconds).max(seconds).min(1.0);
    let pause = tokio::time::sleep(Duration::from_secs_f64(pause));
    let ((), checkpointed) = tokio::join!(pause, db.checkpoint());
    if let Err(error) = checkpointed {
        tracing::debug!(%error, "checkpoint failed; a later writer does it");
    }
}

/// A deleted batch.
struct Batch {
    deleted: u64,
    /// Duration of the transaction.
    seconds: f64,
    /// True if as many rows were due as the batch can hold.
    full: bool,
}

/// The search of a step for due rows.
struct Search {
    step: &'static Step,
    before: Timestamp,
    /// Position where the last batch ended.
    place: Option<String>,
    /// True if rows were deleted since the search started from the beginning: earlier tokens of the
    /// same chains may be due now.
    deleted: bool,
}

impl Search {
    fn new(step: &'static Step, before: Timestamp) -> Self {
        Self {
            step,
            before,
            place: None,
            deleted: false,
        }
    }

    /// Deletes a batch; `None` if no due rows are left.
    async fn batch(&mut self, db: &Db, size: usize) -> Result<Option<Batch>> {
        loop {
            let found = self.find(db, size).await?;
            let Some(last) = found.last() else {
                if !self.restart() {
                    return Ok(None);
                }
                continue;
            };
            let last = last.place.clone();
            let due: Vec<&str> = found
                .iter()
                .filter(|row| row.due.0)
                .map(|row| row.id.as_str())
                .take(size)
                .collect();
            if due.is_empty() {
                self.place = last; // a window of a walk without due rows
                tokio::task::yield_now().await;
                continue;
            }
            let full = due.len() == size;
            let write = Timer::start();
            let deleted = delete(db, self.step, Value::names(due), self.before).await?;
            let seconds = write.seconds();
            if deleted == 0 && last == self.place {
                return Ok(None); // a concurrent process deleted the rows
            }
            self.deleted |= deleted > 0;
            // Read a window of a walk again while the window has due rows.
            if deleted == 0 || matches!(self.step.rows, Rows::Due) {
                self.place = last;
            }
            return Ok(Some(Batch {
                deleted,
                seconds,
                full,
            }));
        }
    }

    async fn find(&self, db: &Db, size: usize) -> Result<Vec<FoundRow>> {
        let most = match self.step.rows {
            Rows::Due => i64::try_from(size).unwrap_or(i64::MAX),
            Rows::Walk { .. } => WINDOW,
        };
        let place = Value::Text(self.place.clone());
        let parameters = [self.before.into(), most.into(), place];
        db.fetch_all(self.step.search.find, &parameters).await
    }

    /// Restarts the search from the beginning; false if a restart would find nothing.
    fn restart(&mut self) -> bool {
        let again = matches!(self.step.rows, Rows::Due) && self.deleted && self.place.is_some();
        self.place = None;
        self.deleted = false;
        again
    }
}

/// Deletes rows with the dependent rows; returns the number of deleted rows.
async fn delete(db: &Db, step: &'static Step, ids: Value, before: Timestamp) -> Result<u64> {
    db.write((step, ids, before), |tx, (step, ids, before)| {
        Box::pin(async move {
            let mut rows = 0;
            for statement in step.delete {
                rows += match statement {
                    Delete::Ids(sql) => tx.execute(*sql, std::slice::from_ref(ids)).await?,
                    Delete::IdsBefore(sql) => {
                        tx.execute(*sql, &[ids.clone(), (*before).into()]).await?
                    }
                };
            }
            Ok(rows)
        })
    })
    .await
}

/// Deletes the salts of rotations before `closed`, in batches, so that the successors can no longer be
/// derived. Only this server writes `rotated_at`, so on SQLite too the text order is the time order.
pub async fn wipe_salts(db: &Db, closed: Timestamp) -> Result<u64> {
    const SQL: &str = "UPDATE auth_grants SET salt = NULL WHERE id IN (SELECT g.id FROM auth_grants g \
         WHERE g.salt IS NOT NULL AND g.rotated_at < $1 ORDER BY g.rotated_at LIMIT $2)";
    let most = i64::try_from(BATCH).unwrap_or(i64::MAX);
    let mut wiped = 0;
    loop {
        let rows = db.execute(SQL, vec![closed.into(), most.into()]).await?;
        wiped += rows;
        if rows < BATCH as u64 {
            return Ok(wiped);
        }
    }
}
