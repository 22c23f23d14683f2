//! Readiness of the server, as `/readyz` and the metric `storyden_auth_ready` report it.
//!
//! A job checks regularly that the database can be written ([`crate::jobs`]). The state changes with the outcome, and
//! each change is one line of the log: while the database is unavailable, other jobs log no further lines.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::store;

/// The readiness of the server: false from the start of the drain on, and while the database cannot be used.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
    /// True from a failed check of the database until a check succeeds.
    database_failed: AtomicBool,
    /// True from a failed statement of a job or of `/readyz` until a check of the database succeeds.
    suspected: AtomicBool,
    check: Notify,
}

impl Readiness {
    /// Returns true once the server is shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Reports "not ready" from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Returns true if the last check of the database failed.
    #[must_use]
    pub fn has_database_failed(&self) -> bool {
        self.database_failed.load(Ordering::Relaxed)
    }

    /// Returns true unless the server is shutting down or the last check of the database failed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.is_draining() && !self.has_database_failed()
    }

    /// Records the outcome of a check of the database. Logs a change of the state.
    pub fn database_checked(&self, outcome: Result<(), &store::Error>) {
        let failed = outcome.is_err();
        let had_failed = self.database_failed.swap(failed, Ordering::Relaxed);
        if !failed {
            self.suspected.store(false, Ordering::Relaxed);
        }
        match outcome {
            Err(error) if !had_failed => {
                tracing::error!(%error, "the database cannot be used; not ready until it can");
            }
            Ok(()) if had_failed => tracing::info!("the database can be used again"),
            _ => {}
        }
    }

    /// Makes a check of the database due because a statement failed. Returns true for the first such failure since the
    /// last successful check: only this one is logged.
    pub fn suspect_database(&self) -> bool {
        let is_first = !self.suspected.swap(true, Ordering::Relaxed);
        if is_first {
            self.check.notify_one();
        }
        is_first
    }

    /// Makes a check of the database due because the database answers again.
    pub fn check_database_again(&self) {
        self.check.notify_one();
    }

    /// Waits until a check of the database is due: at the end of the period, or before.
    pub async fn check_due(&self, period: Duration) {
        // The end of the period is not an error.
        let _ = tokio::time::timeout(period, self.check.notified()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readiness_follows_the_checks_and_the_drain() {
        let readiness = Readiness::default();
        assert!(readiness.is_ready() && readiness.suspect_database());
        assert!(!readiness.suspect_database(), "logged once");
        readiness.check_due(Duration::MAX).await;
        readiness.database_checked(Err(&store::Error::Aborted));
        assert!(!readiness.is_ready() && !readiness.suspect_database());
        readiness.database_checked(Ok(()));
        assert!(readiness.is_ready() && readiness.suspect_database());
        readiness.drain();
        assert!(!readiness.is_ready() && !readiness.has_database_failed());
    }
}
