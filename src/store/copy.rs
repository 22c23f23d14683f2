//! Copies of an SQLite file: `VACUUM INTO` while a server writes, and checks before a copy replaces the file.

use std::path::Path;
use std::time::Duration;

use super::db::{Db, SqliteOptions};
use super::error::{Error, Result};
use super::migrate;
use super::value::Value;
use crate::database_url::{DatabaseUrl, SqliteMode, SqliteUrl};

/// Wait for a lock of another process before the file counts as in use.
const EXCLUSIVE_LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of reported faults.
const MAX_FAULTS: usize = 10;

/// Facts about a database file, for comparison with a copy.
#[derive(Clone, Debug)]
pub struct FileFacts {
    /// Newest applied migration; 0 if no migration ran.
    pub migration: i64,
    /// True if the file has Storyden's tables.
    pub has_storyden_tables: bool,
    /// The size in bytes, without free pages.
    pub size: u64,
}

/// Copies the committed state into an empty file at `to`. During the copy, writers continue on a file
/// with a write-ahead log, and wait on a file with a rollback journal, as Storyden has.
///
/// # Errors
/// If the file is not readable or the copy not writable.
pub async fn copy(db: &Db, to: &Path) -> Result<()> {
    let to = to.to_str().ok_or_else(not_utf8)?;
    // `VACUUM` fails inside a transaction: use a reader.
    db.fetch_all::<String>("VACUUM INTO $1", &[Value::from(to)])
        .await?;
    Ok(())
}

/// Reads the facts about a file.
///
/// # Errors
/// If the file is no database or not readable.
pub async fn facts(db: &Db) -> Result<FileFacts> {
    let size: i64 = db
        .fetch_one(
            "SELECT (c.page_count - f.freelist_count) * s.page_size AS n \
             FROM pragma_page_count c, pragma_freelist_count f, pragma_page_size s",
            &[],
        )
        .await?;
    Ok(FileFacts {
        migration: migrate::newest_applied(db).await?,
        has_storyden_tables: super::inspect::has_storyden_tables(db).await?,
        size: size.unsigned_abs(),
    })
}

/// Returns the faults of SQLite's integrity check; empty for an intact file.
///
/// # Errors
/// If the file is no database or not readable.
pub async fn faults(db: &Db) -> Result<Vec<String>> {
    let found: Vec<String> = db
        .fetch_all(
            "SELECT integrity_check AS text FROM pragma_integrity_check",
            &[],
        )
        .await?;
    Ok(found
        .into_iter()
        .filter(|text| text != "ok")
        .take(MAX_FAULTS)
        .collect())
}

/// Returns true if all faults are of indexes, which [`rebuild_indexes`] corrects.
#[must_use]
pub fn are_of_indexes(faults: &[String]) -> bool {
    !faults.is_empty() && faults.iter().all(|fault| fault.contains(" index "))
}

/// Rebuilds all indexes of a copy. Versions of SQLite round the fraction of a second in `julianday`
/// differently, by a millisecond from .9995 on, so an index that another version wrote can lack a row.
///
/// # Errors
/// If a table cannot be read, or has two rows with the same key.
pub async fn rebuild_indexes(db: &Db) -> Result<()> {
    db.execute("REINDEX", Vec::new()).await.map(drop)
}

/// Opens an existing file with default settings.
///
/// # Errors
/// If the file is no database.
pub async fn open(path: &Path) -> Result<Db> {
    let mut url = SqliteUrl::file(path.to_owned());
    url.mode = SqliteMode::ReadWrite;
    Db::open(&DatabaseUrl::Sqlite(url)).await
}

/// Sets the journal mode of the source on a copy, which `VACUUM INTO` creates with a rollback journal.
///
/// # Errors
/// If the file is not writable.
pub async fn set_journal_mode(db: &Db, mode: &str) -> Result<()> {
    match db {
        Db::Sqlite(sqlite) if mode == "wal" => sqlite.use_wal().await,
        _ => Ok(()),
    }
}

/// Checkpoints the write-ahead log of a file that is about to be replaced, and checks that no other
/// process has the file open: SQLite then refuses the exclusive lock. (An idle process on a file with a
/// rollback journal holds no lock and is not detected.)
///
/// # Errors
/// [`Error::Unavailable`] if another process has the file open; other errors for a damaged file.
pub async fn checkpoint_exclusively(path: &Path) -> Result<()> {
    let mut url = SqliteUrl::file(path.to_owned());
    url.mode = SqliteMode::ReadWrite;
    let options = SqliteOptions {
        busy_timeout: EXCLUSIVE_LOCK_TIMEOUT,
        exclusive: true,
        ..SqliteOptions::new(&url)
    };
    let locked = tokio::task::spawn_blocking(move || {
        let connection = options.connect()?;
        connection.execute_script("BEGIN EXCLUSIVE; COMMIT")
    });
    Ok(locked.await.map_err(|_| Error::Aborted)??)
}

fn not_utf8() -> Error {
    sqlx::Error::Configuration("the path is no UTF-8, which SQLite needs".into()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn new(path: &Path) -> Db {
        let url = DatabaseUrl::Sqlite(SqliteUrl::file(path.to_owned()));
        let db = Db::open(&url).await.unwrap();
        migrate::run(&db, crate::clock::Timestamp::FIRST)
            .await
            .unwrap();
        db
    }

    /// An index with other values than this version of SQLite computes, as another version may have written.
    #[tokio::test]
    async fn an_index_of_another_version_is_rebuilt() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.db");
        let options = SqliteOptions::new(&SqliteUrl::file(path.clone()));
        let change = |script: &str| options.connect().unwrap().execute_script(script).unwrap();
        change("CREATE TABLE t (a TEXT); CREATE INDEX i ON t (julianday(a))");
        change("INSERT INTO t VALUES ('2026-11-28 12:16:52.9995')");
        change(
            "PRAGMA writable_schema = ON; \
             UPDATE sqlite_master SET sql = replace(sql, '(a)', '(a) + 1') WHERE name = 'i'",
        );
        let db = open(&path).await.unwrap();
        let found = faults(&db).await.unwrap();
        assert!(are_of_indexes(&found), "{found:?}");
        rebuild_indexes(&db).await.unwrap();
        assert_eq!(faults(&db).await.unwrap(), [] as [String; 0]);
        assert!(!are_of_indexes(&[
            "database disk image is malformed".to_owned()
        ]));
    }

    #[tokio::test]
    async fn copy_has_committed_rows_and_journal_mode() {
        let folder = tempfile::tempdir().unwrap();
        let db = new(&folder.path().join("a.db")).await;
        let path = folder.path().join("b.db");
        copy(&db, &path).await.unwrap();
        assert!(copy(&db, &path).await.is_err(), "it is no empty file");
        let copied = open(&path).await.unwrap();
        set_journal_mode(&copied, "wal").await.unwrap();
        assert_eq!(faults(&copied).await.unwrap(), Vec::<String>::new());
        let (was, is) = (facts(&db).await.unwrap(), facts(&copied).await.unwrap());
        assert_eq!(
            (was.migration, was.has_storyden_tables),
            (is.migration, false)
        );
        assert!(is.migration > 0 && is.size > 4_096);
        copied.close().await;
        assert!(!folder.path().join("b.db-wal").exists());
    }

    #[tokio::test]
    async fn file_in_use_is_not_checkpointed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let db = new(&path).await;
        let refused = checkpoint_exclusively(&path).await.unwrap_err();
        assert!(refused.is_temporary(), "{refused:?}");
        db.close().await;
        checkpoint_exclusively(&path).await.unwrap();
        std::fs::write(&path, [7; 9_000]).unwrap();
        let refused = checkpoint_exclusively(&path).await.unwrap_err();
        assert!(!refused.is_temporary(), "{refused:?}");
    }
}
