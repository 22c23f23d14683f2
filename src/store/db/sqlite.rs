//! An SQLite file: a pool of readers, and a single writer behind a bounded queue.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqlitePool};
use tokio::sync::Semaphore;

use super::readers::ReadPool;
use super::{ACQUIRE_TIMEOUT, Load, Tx};
use crate::database_url::{SqliteMode, SqliteUrl};
use crate::files;
use crate::store::error::{Error, Result};

/// Maximum number of writers waiting for the single writing connection; more get [`Error::Busy`].
const MAX_WAITING_WRITERS: usize = 1_024;

/// SQLite's `busy_timeout` for locks of other processes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(4);

/// An SQLite file. Clones share the connections.
#[derive(Clone, Debug)]
pub struct SqliteDb {
    pub(super) readers: Arc<ReadPool>,
    writer: SqlitePool,
    queue: Arc<Semaphore>,
}

impl SqliteDb {
    pub(super) async fn open(url: &SqliteUrl) -> Result<Self> {
        if url.mode == SqliteMode::Create {
            create_private(&url.path).map_err(sqlx::Error::Io)?;
        }
        let options = options(url);
        // A file connection cannot be lost, so no test before use.
        let writer = SqlitePoolOptions::new()
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .max_connections(1)
            // SQLite rolls back by itself when the disk is full. The rollback of sqlx then fails, and
            // sqlx keeps counting the connection as inside that transaction: replace the connection.
            .before_acquire(|connection, _| {
                let usable = !connection.is_in_transaction();
                Box::pin(async move { Ok(usable) })
            })
            .connect_with(options.clone())
            .await?;
        let readers = ReadPool::open(options, ACQUIRE_TIMEOUT).await?;
        Ok(Self {
            readers: Arc::new(readers),
            writer,
            queue: Arc::new(Semaphore::new(MAX_WAITING_WRITERS)),
        })
    }

    /// Begins a writing transaction.
    ///
    /// # Errors
    /// [`Error::Busy`] if the writer queue is full, [`Error::Unavailable`] after a timeout.
    pub(super) async fn begin(&self) -> Result<Tx> {
        let queue = Arc::clone(&self.queue);
        let place = queue.try_acquire_owned().map_err(|_| Error::Busy)?;
        let tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Tx::Sqlite(tx, place))
    }

    pub(super) fn load(&self) -> Load {
        let (reading, idle) = self.readers.load();
        Load {
            writers_waiting: MAX_WAITING_WRITERS - self.queue.available_permits(),
            connections: reading + self.writer.size() + u32::try_from(idle).unwrap_or(0),
            idle: idle + self.writer.num_idle(),
        }
    }

    pub(super) async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
    }

    /// Switches the file to a write-ahead log. The setting is persistent, so only for a file that
    /// Storyden does not use.
    pub(in crate::store) async fn use_wal(&self) -> Result<()> {
        sqlx::query("PRAGMA journal_mode = WAL")
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

fn options(url: &SqliteUrl) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(&url.path)
        .create_if_missing(url.mode == SqliteMode::Create)
        .read_only(url.mode == SqliteMode::ReadOnly)
        .busy_timeout(BUSY_TIMEOUT);
    let options = url.pragmas.iter().fold(options, |options, (name, value)| {
        options.pragma(name.clone(), value.clone())
    });
    // Not configurable: foreign keys for cascades, and full sync for durable commits.
    options
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
}

/// Creates an empty file with mode 0600, and the parent folder, if missing. SQLite would create a
/// world-readable file; the journal files get the mode of the database file.
fn create_private(path: &Path) -> std::io::Result<()> {
    files::create_folder(files::folder_of(path))?;
    match files::create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}
