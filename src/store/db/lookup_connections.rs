//! Connections to PostgreSQL for look-ups.
//!
//! The pool of sqlx pings a connection after each use, which doubles the round trips of a look-up. A look-up changes
//! nothing and needs no rollback, so a connection can be used again at once; a connection that was idle, or whose request
//! was cancelled, is pinged before the next use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::{ACQUIRE_TIMEOUT, IDLE_PING_AFTER};
use crate::clock::Timer;

/// Maximum number of connections.
pub(super) const LOOKUP_CONNECTIONS_MAX: u32 = 6;

/// Age after which a connection is replaced, so that a change of the server's address is noticed.
const AGE_MAX: Duration = Duration::from_mins(30);

/// The connections. Clones share them.
#[derive(Clone)]
pub(super) struct LookupConnections(Arc<Shared>);

struct Shared {
    options: PgConnectOptions,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: PgConnection,
    opened: Timer,
    since: Timer,
    /// True if a cancelled request may have left an answer on the connection.
    cancelled: bool,
}

/// A connection in use, which becomes idle with the drop.
pub(super) struct LookupConnection {
    shared: Arc<Shared>,
    connection: Option<PgConnection>,
    opened: Timer,
    finished: bool,
    _place: OwnedSemaphorePermit,
}

impl LookupConnections {
    /// Prepares connections with these options.
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self(Arc::new(Shared {
            options,
            places: Arc::new(Semaphore::new(LOOKUP_CONNECTIONS_MAX as usize)),
            idle: Mutex::default(),
        }))
    }

    /// Takes an idle connection, or opens one.
    ///
    /// # Errors
    /// If no connection is free within the timeout, or none can be opened.
    pub(super) async fn take(&self) -> sqlx::Result<LookupConnection> {
        let taken = timeout(ACQUIRE_TIMEOUT, self.take_or_open());
        taken.await.map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    async fn take_or_open(&self) -> sqlx::Result<LookupConnection> {
        let place = Arc::clone(&self.0.places).acquire_owned().await;
        let place = place.map_err(|_| sqlx::Error::PoolClosed)?;
        let (connection, opened) = if let Some(live) = self.live().await {
            live
        } else {
            let opened = PgConnection::connect_with(&self.0.options);
            (opened.await?, Timer::start())
        };
        Ok(LookupConnection {
            shared: Arc::clone(&self.0),
            connection: Some(connection),
            opened,
            finished: true,
            _place: place,
        })
    }

    /// Returns an idle connection that answers, and drops those that do not.
    async fn live(&self) -> Option<(PgConnection, Timer)> {
        loop {
            let mut idle = self.0.idle().pop()?;
            if idle.opened.seconds() > AGE_MAX.as_secs_f64() {
                continue;
            }
            let is_recent = idle.since.seconds() < IDLE_PING_AFTER.as_secs_f64();
            if (is_recent && !idle.cancelled) || idle.connection.ping().await.is_ok() {
                return Some((idle.connection, idle.opened));
            }
        }
    }

    /// Returns the number of open connections, and of idle ones.
    pub(super) fn load(&self) -> (u32, usize) {
        let free = u32::try_from(self.0.places.available_permits()).unwrap_or(0);
        let idle = self.0.idle().len();
        let used = LOOKUP_CONNECTIONS_MAX.saturating_sub(free);
        (used + u32::try_from(idle).unwrap_or(0), idle)
    }

    /// Closes idle connections; others close when their statement ends.
    pub(super) async fn close(&self) {
        self.0.places.close();
        let idle = std::mem::take(&mut *self.0.idle());
        for idle in idle {
            _ = idle.connection.close().await; // the server notices at the latest when the process ends
        }
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LookupConnection {
    /// Runs a statement. A cancelled or failed one leaves the connection to be pinged.
    ///
    /// # Errors
    /// The error of the statement.
    pub(super) async fn run<T>(
        &mut self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> sqlx::Result<T> {
        self.finished = false;
        let connection = self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        let outcome = statement(connection).await;
        self.finished = outcome.is_ok();
        outcome
    }
}

impl Drop for LookupConnection {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && !self.shared.places.is_closed()
        {
            self.shared.idle().push(Idle {
                connection,
                opened: self.opened,
                since: Timer::start(),
                cancelled: !self.finished,
            });
        }
    }
}
