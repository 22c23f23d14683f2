//! What happens without a request: clean-up, poll times, the clock. Each job goes on until told to
//! stop, and a failure of one pass is logged and left to the next.

use std::time::Duration;

use time::Duration as Span;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Shared, follow_database_clock};
use crate::clock::Timestamp;
use crate::store::indexes::Outcome;
use crate::store::{cleanup, indexes, leases, revocation};

/// How often rows that have had their time are deleted.
const CLEANUP_EVERY: Duration = Duration::from_hours(1);
/// How long a replica that does the clean-up keeps the others from it.
const CLEANUP_LEASE: Span = Span::minutes(10);
/// How often poll times are written.
const POLLS_EVERY: Duration = Duration::from_secs(1);
/// Pause between two looks for open revocations.
const REVOCATIONS_EVERY: Duration = Duration::from_secs(2);
/// The time that a replica which applies revocations keeps the others from it, if it dies.
const REVOCATIONS_LEASE: Span = Span::minutes(10);
/// How often closed refresh windows are wiped and the database's clock is looked at.
const MINUTE: Duration = Duration::from_mins(1);

/// Starts every job; they end soon after `stop`.
pub fn start(app: &Shared, stop: &CancellationToken) -> tokio_util::task::TaskTracker {
    let tasks = tokio_util::task::TaskTracker::new();
    tasks.spawn(every(CLEANUP_EVERY, app.clone(), stop.clone(), clean_up));
    tasks.spawn(every(POLLS_EVERY, app.clone(), stop.clone(), write_polls));
    tasks.spawn(every(MINUTE, app.clone(), stop.clone(), each_minute));
    tasks.spawn(every(
        REVOCATIONS_EVERY,
        app.clone(),
        stop.clone(),
        apply_revocations,
    ));
    tasks.close();
    tasks
}

/// Runs a pass at once and then again and again.
async fn every<F>(period: Duration, app: Shared, stop: CancellationToken, pass: fn(Shared) -> F)
where
    F: Future<Output = ()>,
{
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        pass(app.clone()).await;
    }
    // What is known at the end is not lost: a last pass for the poll times.
    if period == POLLS_EVERY {
        pass(app).await;
    }
}

/// Makes the indexes that a Storyden dropped when it started. True once all that can be made are there:
/// without them a pass of the clean-up is slow, and still correct.
pub async fn make_indexes(app: &App) -> bool {
    match indexes::make_missing(&app.db, || app.readiness.is_draining()).await {
        Ok(Outcome::Complete(made)) => {
            if !made.is_empty() {
                tracing::info!(indexes = ?made, "made missing indexes");
            }
            true
        }
        Ok(Outcome::InProgress) => false,
        Err(error) => {
            tracing::warn!(%error, "missing indexes were not made");
            true
        }
    }
}

/// Deletes what has had its time; one replica at a time (contract 17.2).
pub async fn clean_up(app: Shared) {
    let now = app.clock.now();
    let holder = app.random.base64url::<16>();
    match leases::take(&app.db, "cleanup", &holder, now, now + CLEANUP_LEASE).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => return tracing::warn!(%error, "the clean-up could not begin"),
    }
    make_indexes(&app).await;
    let deleted = cleanup::run(&app.db, now, || app.readiness.is_draining()).await;
    if !deleted.is_empty() {
        tracing::info!(?deleted, "cleaned up");
    }
    shorten_audit_trail(&app, now).await;
    if let Err(error) = leases::release(&app.db, "cleanup", &holder).await {
        tracing::warn!(%error, "the lease of the clean-up was not given back");
    }
}

/// Updates and deletes the rows that open revocations cover; one replica at a time.
pub async fn apply_revocations(app: Shared) {
    match revocation::are_open(&app.db).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => return tracing::warn!(%error, "open revocations could not be read"),
    }
    let now = app.clock.now();
    let holder = app.random.base64url::<16>();
    let until = now + REVOCATIONS_LEASE;
    match leases::take(&app.db, "revocations", &holder, now, until).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => return tracing::warn!(%error, "open revocations could not be applied"),
    }
    match revocation::apply(&app.db, now, || app.readiness.is_draining()).await {
        Ok(applied) => tracing::info!(?applied, "revocations were applied"),
        Err(error) => tracing::warn!(%error, "open revocations could not be applied"),
    }
    if let Err(error) = leases::release(&app.db, "revocations", &holder).await {
        tracing::warn!(%error, "the lease of open revocations was not given back");
    }
}

/// Deletes what of the audit trail is older than it is kept.
async fn shorten_audit_trail(app: &App, now: Timestamp) {
    let keep = app.config.audit_retention;
    if keep.is_zero() {
        return;
    }
    let stop = || app.readiness.is_draining();
    match cleanup::audit_trail(&app.db, now - keep, stop).await {
        Ok(0) => {}
        Ok(lines) => tracing::info!(lines, "shortened the audit trail"),
        Err(error) => tracing::warn!(%error, "the audit trail was not shortened"),
    }
}

/// Writes when devices polled last.
pub async fn write_polls(app: Shared) {
    app.polls.write(&app.db).await;
}

/// Makes missing indexes, wipes the salts of closed refresh windows, and follows the database's clock.
async fn each_minute(app: Shared) {
    make_indexes(&app).await;
    let closed = app.clock.now() - app.config.reuse_window();
    if let Err(error) = cleanup::wipe_salts(&app.db, closed).await {
        tracing::warn!(%error, "the salts of closed windows were not wiped");
    }
    if let Err(error) = follow_database_clock(&app.db, &app.clock).await {
        tracing::warn!(%error, "the database's clock was not read");
    }
}
