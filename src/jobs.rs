//! Background jobs: clean-up, missing indexes, revocations, poll times, errors of clients, statistics, signing keys, the
//! webhook, the database clock, and the check of the database. A failed pass is logged, and the next pass tries again.

mod database_check;
mod writes;

use std::sync::atomic::Ordering;
use std::time::Duration;

use time::Duration as Span;
use tokio_util::sync::CancellationToken;

use crate::clock::{Timer, Timestamp};
use crate::context::{Context, SharedContext, follow_database_clock};
use crate::keys::{Keys, POLL_EVERY};
use crate::store::apply_revocations;
use crate::store::cleanup::Pass;
use crate::store::index_creation::Outcome;
use crate::store::{cleanup, index_creation, indexes, leases};
use crate::telemetry::metrics;
use crate::{signing_keys, webhook};
pub use database_check::check_database;
use database_check::{check_database_regularly, pass_failed};
pub use writes::{write_client_errors, write_polls, write_refusals, write_statistics};

/// Period of the clean-up.
const CLEANUP_EVERY: Duration = Duration::from_hours(1);
/// Pause before the next clean-up pass if due rows are left.
const CLEANUP_SOON: Duration = Duration::from_secs(5);
/// Duration of the clean-up lease, held by a single replica.
const CLEANUP_LEASE: Span = Span::minutes(10);
/// Maximum duration of a clean-up pass in seconds, well below [`CLEANUP_LEASE`].
const CLEANUP_SECONDS: f64 = 300.0;
/// Period of writing poll times.
const POLLS_EVERY: Duration = Duration::from_secs(1);
/// Period of writing errors of clients.
const CLIENT_ERRORS_EVERY: Duration = Duration::from_secs(5);
/// Period of writing statistics: a crash loses the counts of this time.
const STATISTICS_EVERY: Duration = Duration::from_secs(10);
/// Period of checking for open revocations.
const REVOCATIONS_EVERY: Duration = Duration::from_secs(2);
/// Duration of the revocation lease: the longest delay if the holder crashes.
const REVOCATIONS_LEASE: Span = Span::minutes(10);
/// Duration of the lease of the key rotation.
const KEYS_LEASE: Span = Span::minutes(2);
/// Period of the webhook.
const WEBHOOK_EVERY: Duration = Duration::from_secs(10);
/// Duration of the lease of the webhook: longer than a pass with 50 slow requests.
const WEBHOOK_LEASE: Span = Span::minutes(10);
/// Period of the per-minute jobs and of the index check.
const MINUTE: Duration = Duration::from_mins(1);

/// Starts every job. Jobs end soon after `stop`.
pub fn start(context: &SharedContext, stop: &CancellationToken) -> tokio_util::task::TaskTracker {
    let tasks = tokio_util::task::TaskTracker::new();
    let cleaned_up = CancellationToken::new();
    tasks.spawn(clean_up_regularly(
        context.clone(),
        stop.clone(),
        cleaned_up.clone(),
    ));
    tasks.spawn(check_indexes_regularly(
        context.clone(),
        stop.clone(),
        cleaned_up,
    ));
    tasks.spawn(check_database_regularly(context.clone(), stop.clone()));
    tasks.spawn(every(
        POLLS_EVERY,
        context.clone(),
        stop.clone(),
        write_polls,
    ));
    tasks.spawn(every(
        CLIENT_ERRORS_EVERY,
        context.clone(),
        stop.clone(),
        write_client_errors,
    ));
    tasks.spawn(every(MINUTE, context.clone(), stop.clone(), each_minute));
    tasks.spawn(every(
        REVOCATIONS_EVERY,
        context.clone(),
        stop.clone(),
        apply_revocations,
    ));
    tasks.spawn(every(MINUTE, context.clone(), stop.clone(), write_refusals));
    if context.config.counts_events() {
        let (context, stop) = (context.clone(), stop.clone());
        tasks.spawn(every(STATISTICS_EVERY, context, stop, write_statistics));
    }
    if context.config.webhook_url.is_some() {
        let (context, stop) = (context.clone(), stop.clone());
        tasks.spawn(every(WEBHOOK_EVERY, context, stop, send_webhooks));
    }
    if context.keys.as_ref().is_some_and(Keys::are_rotated) {
        let (context, stop) = (context.clone(), stop.clone());
        tasks.spawn(every(POLL_EVERY, context, stop, poll_keys));
    }
    tasks.spawn(every(MINUTE, context.clone(), stop.clone(), rotate_keys));
    tasks.spawn(every(
        MINUTE,
        context.clone(),
        stop.clone(),
        complete_key_revocations,
    ));
    tasks.close();
    tasks
}

/// Runs a pass immediately, and then again after each period.
async fn every<F>(
    period: Duration,
    context: SharedContext,
    stop: CancellationToken,
    pass: fn(SharedContext) -> F,
) where
    F: Future<Output = ()>,
{
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        pass(context.clone()).await;
    }
    // Flush what is buffered at shutdown: poll times, and errors of clients.
    if [POLLS_EVERY, CLIENT_ERRORS_EVERY].contains(&period) {
        pass(context).await;
    }
}

/// The result of an index check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexCheck {
    /// No index is missing.
    Complete,
    /// Another process creates the indexes, or the database is unavailable.
    Later,
    /// An index could not be created. The clean-up is slow without the index, but correct.
    Failed,
}

/// Creates indexes that Storyden dropped at start-up (storyden-contract.md#tables).
pub async fn make_indexes(context: &Context) -> IndexCheck {
    let made =
        index_creation::create_missing(&context.db, || context.readiness.is_draining()).await;
    let check = match made {
        Ok(Outcome::Complete(made)) => {
            if !made.is_empty() {
                tracing::info!(indexes = ?made, "missing indexes created");
            }
            IndexCheck::Complete
        }
        Ok(Outcome::InProgress) => IndexCheck::Later,
        Err(error) if error.is_temporary() => IndexCheck::Later,
        Err(_) => IndexCheck::Failed, // logged by create_missing
    };
    let failed = check == IndexCheck::Failed;
    context.index_failed.store(failed, Ordering::Relaxed);
    check
}

/// Checks for missing indexes every minute; every hour after a failure. The first check waits for the first
/// clean-up pass: on small tables that pass needs no index, and both would take turns at SQLite's writer; on
/// large tables without an index it ends at once.
async fn check_indexes_regularly(
    context: SharedContext,
    stop: CancellationToken,
    cleaned_up: CancellationToken,
) {
    stop.run_until_cancelled(cleaned_up.cancelled()).await;
    let mut pause = Duration::ZERO;
    while stop
        .run_until_cancelled(tokio::time::sleep(pause))
        .await
        .is_some()
    {
        pause = match make_indexes(&context).await {
            IndexCheck::Failed => CLEANUP_EVERY,
            IndexCheck::Complete | IndexCheck::Later => MINUTE,
        };
    }
}

/// Runs clean-up passes every hour, or after [`CLEANUP_SOON`] while due rows are left. Cancels `cleaned_up`
/// after the first pass.
async fn clean_up_regularly(
    context: SharedContext,
    stop: CancellationToken,
    cleaned_up: CancellationToken,
) {
    let mut pause = Duration::ZERO;
    while stop
        .run_until_cancelled(tokio::time::sleep(pause))
        .await
        .is_some()
    {
        let finished = clean_up(context.clone()).await;
        cleaned_up.cancel();
        pause = if finished {
            CLEANUP_EVERY
        } else {
            CLEANUP_SOON
        };
    }
}

/// Deletes expired rows on a single replica (storyden-contract.md#clean-up). False if due rows are
/// left.
pub async fn clean_up(context: SharedContext) -> bool {
    let now = context.clock.now();
    let holder = context.random.base64url::<16>();
    match leases::take(&context.db, "cleanup", &holder, now, now + CLEANUP_LEASE).await {
        Ok(true) => {}
        Ok(false) => return true,
        Err(error) => {
            pass_failed(&context, &error, "clean-up cannot start");
            return true;
        }
    }
    let finished = !must_wait_for_indexes(&context).await && delete_due(&context, now).await;
    if let Err(error) = leases::release(&context.db, "cleanup", &holder).await {
        pass_failed(&context, &error, "lease of the clean-up was not released");
    }
    finished
}

/// True while the tables are large and [`check_indexes_regularly`], here or on another replica, still has an
/// index to create. Small tables need no indexes: do not delay the first pass after a start.
async fn must_wait_for_indexes(context: &Context) -> bool {
    !context.index_failed.load(Ordering::Relaxed)
        && indexes::are_needed(&context.db).await.unwrap_or(true)
        && !indexes::missing(&context.db)
            .await
            .is_ok_and(|missing| missing.is_empty())
}

/// Updates and deletes the rows covered by open revocations, on a single replica.
pub async fn apply_revocations(context: SharedContext) {
    match apply_revocations::any_open(&context.db).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => return pass_failed(&context, &error, "open revocations cannot be read"),
    }
    let now = context.clock.now();
    let holder = context.random.base64url::<16>();
    let until = now + REVOCATIONS_LEASE;
    match leases::take(&context.db, "revocations", &holder, now, until).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => return pass_failed(&context, &error, "open revocations cannot be applied"),
    }
    match apply_revocations::apply(&context.db, now, || context.readiness.is_draining()).await {
        Ok(applied) => tracing::info!(?applied, "open revocations applied"),
        Err(error) => pass_failed(&context, &error, "open revocations cannot be applied"),
    }
    if let Err(error) = leases::release(&context.db, "revocations", &holder).await {
        pass_failed(
            &context,
            &error,
            "lease of the revocation job was not released",
        );
    }
}

/// Compares the keys in memory with the database.
pub async fn poll_keys(context: SharedContext) {
    if let Some(keys) = &context.keys
        && let Err(error) = keys.poll().await
    {
        pass_failed(
            &context,
            &error,
            "signing keys cannot be compared with the database",
        );
    }
}

/// Creates and deletes the signing keys that are due, on a single replica.
pub async fn rotate_keys(context: SharedContext) {
    let Some(keys) = &context.keys else { return };
    if !keys.is_change_due() {
        return;
    }
    let now = context.clock.now();
    let holder = context.random.base64url::<16>();
    match leases::take(&context.db, "keys", &holder, now, now + KEYS_LEASE).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => return pass_failed(&context, &error, "signing keys cannot be rotated"),
    }
    match keys.rotate_due().await {
        Ok(()) => tracing::info!("signing keys that were due were created or deleted"),
        Err(error) => tracing::error!(%error, "signing keys cannot be rotated"),
    }
    if let Err(error) = leases::release(&context.db, "keys", &holder).await {
        pass_failed(
            &context,
            &error,
            "lease of the key rotation was not released",
        );
    }
}

/// Completes the revocations of signing keys that were interrupted or are a minute old, on a single replica.
pub async fn complete_key_revocations(context: SharedContext) {
    match signing_keys::has_incomplete_revocation(&context).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            return pass_failed(
                &context,
                &error,
                "revocations of signing keys cannot be read",
            );
        }
    }
    let now = context.clock.now();
    let holder = context.random.base64url::<16>();
    let until = now + REVOCATIONS_LEASE;
    match leases::take(&context.db, "key_revocations", &holder, now, until).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            let what = "revocation of a signing key is not complete";
            return pass_failed(&context, &error, what);
        }
    }
    match signing_keys::complete_revocations(&context).await {
        Ok(kids) => tracing::info!(?kids, "revocations of signing keys completed"),
        Err(error) => tracing::warn!(%error, "revocation of a signing key is not complete"),
    }
    if let Err(error) = leases::release(&context.db, "key_revocations", &holder).await {
        pass_failed(
            &context,
            &error,
            "lease of the revocation of signing keys was not released",
        );
    }
}

/// Sends the webhook's reports that are due, on a single replica.
pub async fn send_webhooks(context: SharedContext) {
    let now = context.clock.now();
    let holder = context.random.base64url::<16>();
    match leases::take(&context.db, "webhook", &holder, now, now + WEBHOOK_LEASE).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => return pass_failed(&context, &error, "webhooks cannot be sent"),
    }
    if let Err(error) = webhook::send_due(&context).await {
        pass_failed(&context, &error, "webhooks cannot be sent");
    }
    if let Err(error) = leases::release(&context.db, "webhook", &holder).await {
        pass_failed(&context, &error, "lease of the webhook was not released");
    }
}

/// Deletes due rows of every table and of the audit trail. False if due rows are left.
async fn delete_due(context: &Context, now: Timestamp) -> bool {
    let since = Timer::start();
    let stop = || context.readiness.is_draining() || since.seconds() > CLEANUP_SECONDS;
    let pass = cleanup::run(&context.db, now, stop).await;
    report(&pass);
    let retention = context.retention();
    let before = now - retention.statistics;
    let counts = cleanup::statistics(&context.db, before, now, stop).await;
    report(&counts);
    let finished = pass.finished && counts.finished;
    if retention.audit.is_zero() {
        return finished;
    }
    let trail = cleanup::audit_trail(&context.db, now - retention.audit, now, stop).await;
    report(&trail);
    finished && trail.finished
}

fn report(pass: &Pass) {
    if !pass.deleted.is_empty() {
        let Pass {
            deleted, finished, ..
        } = pass;
        tracing::info!(?deleted, finished, "clean-up finished");
    }
    metrics::cleaned_up(pass);
}

/// Deletes expired pending and pushed requests, wipes the salts of closed refresh windows,
/// follows the database's clock, and counts the backlog of the clean-up for the metrics.
pub async fn each_minute(context: SharedContext) {
    let now = context.clock.now();
    let stop = || context.readiness.is_draining();
    report(&cleanup::pending_requests(&context.db, now, stop).await);
    if context.config.metrics_addr.is_some() {
        count_backlog(&context, now).await;
    }
    let closed = context.clock.now() - context.config.reuse_window();
    if let Err(error) = cleanup::wipe_salts(&context.db, closed).await {
        pass_failed(
            &context,
            &error,
            "salts of closed reuse windows were not deleted",
        );
    }
    if let Err(error) = follow_database_clock(&context.db, &context.clock).await {
        pass_failed(&context, &error, "database clock cannot be read");
    }
}

async fn count_backlog(context: &Context, now: Timestamp) {
    let counted = cleanup::backlog(&context.db, now, context.retention()).await;
    match (counted, cleanup::progress(&context.db).await) {
        (Ok(backlog), Ok(progress)) => metrics::cleanup_backlog(&backlog, &progress),
        (Err(error), _) | (_, Err(error)) => {
            pass_failed(context, &error, "clean-up backlog cannot be counted");
        }
    }
}
