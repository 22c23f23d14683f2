//! Pool of read connections to an SQLite file.
//!
//! Each connection runs on a dedicated thread, and the switch to that thread is the main cost of a
//! query. sqlx's pool switches a second time after each statement to test the connection; a connection
//! to a file needs no test.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Maximum number of connections.
const READ_CONNECTIONS_MAX: u32 = 8;

/// The pool: connections are opened on demand and kept.
#[derive(Debug)]
pub(super) struct ReadPool {
    options: SqliteConnectOptions,
    timeouts: Duration,
    permits: Semaphore,
    idle: Mutex<Vec<SqliteConnection>>,
}

/// A connection for a statement. Returned on drop, even in the middle of the statement: the thread
/// finishes that statement before the next.
pub(super) struct ReadConnection<'a> {
    readers: &'a ReadPool,
    connection: Option<SqliteConnection>,
    _turn: SemaphorePermit<'a>,
}

impl ReadPool {
    /// Opens the first connection. `timeouts` is the longest wait for a connection.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub(super) async fn open(
        options: SqliteConnectOptions,
        timeouts: Duration,
    ) -> sqlx::Result<Self> {
        let first = options.connect().await?;
        Ok(Self {
            options,
            timeouts,
            permits: Semaphore::new(READ_CONNECTIONS_MAX as usize),
            idle: Mutex::new(vec![first]),
        })
    }

    /// Takes an idle connection, or opens a new connection.
    ///
    /// # Errors
    /// If all connections stay in use for longer than `timeouts`, or the pool is closed.
    pub(super) async fn take(&self) -> sqlx::Result<ReadConnection<'_>> {
        let turn = tokio::time::timeout(self.timeouts, self.permits.acquire()).await;
        let turn = turn.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let turn = turn.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        Ok(ReadConnection {
            readers: self,
            connection: Some(connection),
            _turn: turn,
        })
    }

    /// Returns the numbers of busy and idle connections.
    pub(super) fn load(&self) -> (u32, usize) {
        let free = u32::try_from(self.permits.available_permits()).unwrap_or(READ_CONNECTIONS_MAX);
        (READ_CONNECTIONS_MAX.saturating_sub(free), self.idle().len())
    }

    /// Closes all connections after the current statements finish. No connection is handed out
    /// afterwards.
    pub(super) async fn close(&self) {
        let all = self.permits.acquire_many(READ_CONNECTIONS_MAX).await;
        self.permits.close();
        let idle: Vec<_> = self.idle().drain(..).collect();
        for connection in idle {
            let closed = connection.close().await;
            closed.unwrap_or_else(
                |error| tracing::debug!(%error, "read connection was not closed cleanly"),
            );
        }
        drop(all);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadConnection<'_> {
    /// Returns the connection for a statement.
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        let connection = self.connection.as_mut();
        connection.expect("a reader has a connection until it is dropped")
    }

    /// Ends the use of the connection and passes on the outcome of the statement. A connection with a
    /// dead thread is dropped; any other connection returns to the pool.
    pub(super) fn done<T>(mut self, outcome: sqlx::Result<T>) -> sqlx::Result<T> {
        if matches!(outcome, Err(sqlx::Error::WorkerCrashed)) {
            self.connection = None;
        }
        outcome
    }
}

impl Drop for ReadConnection<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.readers.idle().push(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn readers(folder: &tempfile::TempDir) -> ReadPool {
        let file = folder.path().join("file.db");
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true);
        ReadPool::open(options, Duration::ZERO).await.unwrap()
    }

    #[tokio::test]
    async fn there_are_no_more_than_the_most_and_none_after_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder).await;
        let mut taken = Vec::new();
        for _ in 0..READ_CONNECTIONS_MAX {
            taken.push(readers.take().await.unwrap());
        }
        let one_more = readers.take().await.map(drop);
        assert!(matches!(one_more, Err(sqlx::Error::PoolTimedOut)));
        taken.clear();
        assert_eq!(readers.load(), (0, READ_CONNECTIONS_MAX as usize));
        readers.close().await;
        let one_more = readers.take().await.map(drop);
        assert!(matches!(one_more, Err(sqlx::Error::PoolClosed)));
        assert_eq!(readers.load().1, 0);
    }

    /// A cancelled request may stop in the middle of a statement.
    #[tokio::test]
    async fn a_reader_that_is_left_in_a_statement_is_good_for_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder).await;
        for _ in 0..20 {
            let mut reader = readers.take().await.unwrap();
            let endless = sqlx::query(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
            );
            let left = endless.fetch_all(reader.connection());
            let left = tokio::time::timeout(Duration::from_millis(1), left).await;
            assert!(left.is_err());
            drop(reader);
            let mut reader = readers.take().await.unwrap();
            let next = sqlx::query_scalar("SELECT 7");
            let next = next.fetch_one(reader.connection()).await;
            let seven: i64 = reader.done(next).unwrap();
            assert_eq!((seven, readers.load()), (7, (0, 1)));
        }
    }
}
