//! The check that the database can be written, for the readiness of the server.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::context::{Context, SharedContext};
use crate::store::{self, Cause, Db, inspect};

/// Period of the check.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// Pause after a failed check.
const CHECK_SOON: Duration = Duration::from_millis(500);

/// Logs a failed pass of a job. While the database is unavailable only the first line is logged: the check, which this
/// failure makes due, logs the change of the state.
pub(super) fn pass_failed(context: &Context, error: &store::Error, what: &'static str) {
    let is_known =
        matches!(error, store::Error::Unavailable(_)) && !context.readiness.suspect_database();
    if is_known {
        tracing::debug!(%error, "{what}");
    } else {
        tracing::warn!(%error, "{what}");
    }
}

/// Checks the database regularly. No check is due at the start, because `serve` made one.
pub(super) async fn check_database_regularly(context: SharedContext, stop: CancellationToken) {
    let mut pause = CHECK_EVERY;
    while stop
        .run_until_cancelled(context.readiness.check_due(pause))
        .await
        .is_some()
    {
        pause = if check_database(&context).await {
            CHECK_EVERY
        } else {
            CHECK_SOON
        };
    }
}

/// Checks that the database can be written, and reports the outcome to the readiness. False if it cannot.
pub async fn check_database(context: &Context) -> bool {
    let readiness = &context.readiness;
    let error = match inspect::check_write(&context.db, context.clock.now()).await {
        Ok(()) => {
            readiness.database_checked(Ok(()));
            return true;
        }
        Err(error) if readiness.has_database_failed() => error,
        // A connection of its own tells why the pool has none.
        Err(error) => context.db.reason_of(error).await,
    };
    if is_overload(context, &error) {
        if readiness.has_database_failed() {
            return false;
        }
        tracing::warn!(%error, "the database cannot be checked");
        return true;
    }
    readiness.database_checked(Err(&error));
    false
}

/// True for an error that more load can cause: replicas that are taken out of service because of it would leave the
/// others more load still.
fn is_overload(context: &Context, error: &store::Error) -> bool {
    let is_late = matches!(error.cause(), Cause::Pool | Cause::Timeout);
    let is_postgres = matches!(context.db, Db::Postgres(_));
    is_late && is_postgres || matches!(error, store::Error::Busy | store::Error::Conflict(_))
}
