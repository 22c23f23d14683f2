//! Pool of read connections to an SQLite file.
//!
//! A look-up by key takes a few microseconds, less than the switch to another thread: it runs on the thread of the
//! request. A statement that meets a lock or takes many steps is repeated on a blocking thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::sqlite_connection::{SqliteConnection, SqliteOptions};
use super::statement::Wanted;
use crate::store::row::EngineRow;
use crate::store::value::Value;

/// Maximum number of connections.
const READ_CONNECTIONS_MAX: u32 = 8;

/// The pool: connections are opened on demand and kept.
#[derive(Debug)]
pub(super) struct ReadPool {
    options: SqliteOptions,
    timeouts: Duration,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<SqliteConnection>>,
    /// True if the file was opened to read only, by its mode, its owner or the URL.
    pub(super) is_read_only: bool,
}

/// A connection for a statement, which returns to the pool on drop.
struct ReadConnection {
    readers: Arc<ReadPool>,
    connection: Option<SqliteConnection>,
    _permit: OwnedSemaphorePermit,
}

impl ReadPool {
    /// Opens the first connection. `timeouts` is the longest wait for a connection.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub(super) fn open(options: SqliteOptions, timeouts: Duration) -> sqlx::Result<Self> {
        let first = options.connect()?;
        Ok(Self {
            options,
            timeouts,
            permits: Arc::new(Semaphore::new(READ_CONNECTIONS_MAX as usize)),
            is_read_only: first.is_read_only(),
            idle: Mutex::new(vec![first]),
        })
    }

    /// Reads rows. A cancelled request leaves a statement on a blocking thread, which finishes it.
    ///
    /// # Errors
    /// If all connections stay in use for too long, the pool is closed, or the statement fails.
    pub(super) async fn rows(
        self: &Arc<Self>,
        wanted: Wanted,
        sql: &'static str,
        args: &[Value],
    ) -> sqlx::Result<Vec<EngineRow>> {
        let reader = self.take().await?;
        // Other statements, such as `VACUUM INTO`, have effects, so that they cannot be repeated.
        let is_read = sql.starts_with("SELECT") || sql.starts_with("WITH");
        if let Some(connection) = reader.connection.as_ref().filter(|_| is_read)
            && let Some(outcome) = connection.rows_at_once(wanted, sql, args)
        {
            return outcome;
        }
        let args = args.to_vec();
        reader
            .on_a_thread(move |connection| connection.rows(wanted, sql, &args))
            .await
    }

    /// Runs a statement without parameters on a blocking thread.
    ///
    /// # Errors
    /// As [`ReadPool::rows`].
    pub(super) async fn command(self: &Arc<Self>, sql: &'static str) -> sqlx::Result<()> {
        let reader = self.take().await?;
        reader
            .on_a_thread(move |connection| connection.command(sql))
            .await
    }

    async fn take(self: &Arc<Self>) -> sqlx::Result<ReadConnection> {
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = tokio::time::timeout(self.timeouts, permit).await;
        let permit = permit.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let permit = permit.map_err(|_| sqlx::Error::PoolClosed)?;
        let connection = self.idle().pop();
        Ok(ReadConnection {
            readers: Arc::clone(self),
            connection,
            _permit: permit,
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
        self.idle().clear();
        drop(all);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadConnection {
    /// Runs a statement on a blocking thread, and opens the connection there, if none was idle.
    async fn on_a_thread<T: Send + 'static>(
        mut self,
        run: impl FnOnce(&SqliteConnection) -> sqlx::Result<T> + Send + 'static,
    ) -> sqlx::Result<T> {
        let run = move || {
            if self.connection.is_none() {
                self.connection = Some(self.readers.options.connect()?);
            }
            let connection = self.connection.as_ref();
            run(connection.expect("the connection was opened"))
        };
        let outcome = tokio::task::spawn_blocking(run).await;
        outcome.map_err(|_| sqlx::Error::WorkerCrashed)?
    }
}

impl Drop for ReadConnection {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.readers.idle().push(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database_url::SqliteUrl;

    fn readers(folder: &tempfile::TempDir) -> Arc<ReadPool> {
        let url = SqliteUrl::file(folder.path().join("file.db"));
        Arc::new(ReadPool::open(SqliteOptions::new(&url), Duration::ZERO).unwrap())
    }

    async fn number(readers: &Arc<ReadPool>, sql: &'static str) -> sqlx::Result<i64> {
        let rows = readers.rows(Wanted::First, sql, &[]).await?;
        rows[0].get(0)
    }

    #[tokio::test]
    async fn there_are_no_more_than_the_most_and_none_after_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder);
        let mut taken = Vec::new();
        for _ in 0..READ_CONNECTIONS_MAX {
            let reader = readers.take().await.unwrap();
            taken.push(reader.on_a_thread(|connection| connection.command("SELECT 1")));
        }
        let one_more = readers.take().await.map(drop);
        assert!(matches!(one_more, Err(sqlx::Error::PoolTimedOut)));
        for read in taken {
            read.await.unwrap();
        }
        assert_eq!(readers.load(), (0, READ_CONNECTIONS_MAX as usize));
        readers.close().await;
        let one_more = readers.take().await.map(drop);
        assert!(matches!(one_more, Err(sqlx::Error::PoolClosed)));
        assert_eq!(readers.load().1, 0);
    }

    /// A statement of many steps does not hold the thread of the request.
    #[tokio::test]
    async fn a_long_statement_runs_on_another_thread() {
        const COUNT: &str = "WITH RECURSIVE n (i) AS \
                             (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
                             SELECT COUNT(*) FROM n";
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder);
        let reader = readers.take().await.unwrap();
        let connection = reader.connection.as_ref().unwrap();
        assert!(connection.rows_at_once(Wanted::First, COUNT, &[]).is_none());
        assert!(
            connection
                .rows_at_once(Wanted::First, "SELECT 1", &[])
                .is_some()
        );
        drop(reader);
        for _ in 0..3 {
            assert_eq!(number(&readers, COUNT).await.unwrap(), 100_000);
            assert_eq!(number(&readers, "SELECT 7").await.unwrap(), 7);
        }
    }

    /// A file with a rollback journal, as a Storyden has, is locked while another process commits.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_locked_file_is_read_after_the_lock() {
        const TABLES: &str = "SELECT COUNT(*) FROM sqlite_master";
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder);
        let holder = readers.options.connect().unwrap();
        holder.command("CREATE TABLE t (i INTEGER)").unwrap();
        holder.command("BEGIN EXCLUSIVE").unwrap();
        let reader = readers.take().await.unwrap();
        let connection = reader.connection.as_ref().unwrap();
        assert!(
            connection
                .rows_at_once(Wanted::First, TABLES, &[])
                .is_none()
        );
        drop(reader);
        let read = {
            let readers = Arc::clone(&readers);
            tokio::spawn(async move { number(&readers, TABLES).await })
        };
        while readers.load().0 == 0 {
            tokio::task::yield_now().await;
        }
        holder.command("COMMIT").unwrap();
        assert_eq!(read.await.unwrap().unwrap(), 1);
    }

    /// A cancelled request may stop in the middle of a statement.
    #[tokio::test]
    async fn a_reader_of_a_cancelled_request_is_good_for_the_next() {
        const LONG: &str = "WITH RECURSIVE n (i) AS \
                            (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) \
                            SELECT COUNT(*) FROM n";
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder);
        for _ in 0..3 {
            let left = number(&readers, LONG);
            let left = tokio::time::timeout(Duration::from_millis(1), left).await;
            assert!(left.is_err());
            assert_eq!(number(&readers, "SELECT 7").await.unwrap(), 7);
        }
    }
}
