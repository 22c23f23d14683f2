//! An SQLite file: a pool of readers, and a single writer behind a bounded queue.

use std::path::Path;
use std::sync::Arc;

use super::readers::ReadPool;
use super::sqlite_connection::SqliteOptions;
use super::write::{Attempt, Outcome};
use super::writer::Writer;
use super::{ACQUIRE_TIMEOUT, Load};
use crate::database_url::{SqliteMode, SqliteUrl};
use crate::files;
use crate::store::error::Result;

/// An SQLite file. Clones share the connections.
#[derive(Clone, Debug)]
pub struct SqliteDb {
    pub(super) readers: Arc<ReadPool>,
    writer: Writer,
}

impl SqliteDb {
    pub(super) fn open(url: &SqliteUrl) -> Result<Self> {
        if url.mode == SqliteMode::Create {
            create_private(&url.path).map_err(sqlx::Error::Io)?;
        }
        let options = SqliteOptions::new(url);
        let writer = Writer::open(&options)?;
        let readers = ReadPool::open(options, ACQUIRE_TIMEOUT)?;
        Ok(Self {
            readers: Arc::new(readers),
            writer,
        })
    }

    /// Runs a write in a transaction, and waits for the commit.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub(super) async fn write(&self, write: Box<dyn Attempt>) -> Result<Outcome> {
        self.writer.write(write).await
    }

    pub(super) fn load(&self) -> Load {
        let (reading, idle) = self.readers.load();
        let waiting = self.writer.waiting();
        let idle_writer = usize::from(waiting == 0);
        Load {
            writers_waiting: waiting,
            connections: reading + 1 + u32::try_from(idle).unwrap_or(0),
            idle: idle + idle_writer,
        }
    }

    pub(super) async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
    }

    /// Switches the file to a write-ahead log. The setting is persistent, so only for a file that
    /// Storyden does not use.
    pub(in crate::store) async fn use_wal(&self) -> Result<()> {
        Ok(self.writer.statement("PRAGMA journal_mode = WAL").await?)
    }
}

/// Creates an empty file with mode 0600, and the parent folder, if missing. SQLite would create a
/// world-readable file; the journal files get the mode of the database file.
fn create_private(path: &Path) -> std::io::Result<()> {
    files::create_folder(files::folder_of(path))?;
    match files::create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        created => {
            created?;
            files::give_to_owner_of_folder(path);
            Ok(())
        }
    }
}
