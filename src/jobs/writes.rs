//! Jobs that write what requests collect in memory.

use super::database_check::pass_failed;
use crate::context::SharedContext;
use crate::store::{audit, statistics};

/// Writes the buffered poll times of device authorizations.
pub async fn write_polls(context: SharedContext) {
    if let Err(error) = context.polls.write(&context.db).await {
        pass_failed(
            &context,
            &error,
            "poll times were not written to the database",
        );
    }
}

/// Writes the collected errors of clients.
pub async fn write_client_errors(context: SharedContext) {
    context.client_errors.write(&context.db).await;
}

/// Writes the rejected requests of past minutes into the audit trail; all of them during a drain.
pub async fn write_refusals(context: SharedContext) {
    let entries = if context.readiness.is_draining() {
        context.refusals.take_all()
    } else {
        context.refusals.take_complete(context.clock.now())
    };
    if entries.is_empty() {
        return;
    }
    let write = context.db.write(entries.clone(), |tx, entries| {
        Box::pin(async move {
            for entry in entries {
                audit::insert(tx, entry).await?;
            }
            Ok(())
        })
    });
    if let Err(error) = write.await {
        pass_failed(
            &context,
            &error,
            "rejections were not written to the audit trail; retrying in the next pass",
        );
        context.refusals.put_back(entries);
    }
}

/// Adds the counts in memory to the database.
pub async fn write_statistics(context: SharedContext) {
    let counts = context.statistics.take();
    if counts.is_empty() {
        return;
    }
    if let Err(error) = statistics::add(&context.db, &counts).await {
        pass_failed(
            &context,
            &error,
            "statistics were not written; retrying in the next pass",
        );
        context.statistics.put_back(counts);
    }
}
