//! The lock that prevents two servers on the same SQLite file.
//!
//! Two servers would have separate rate limits and poll times, and a restore under a running server
//! would be lost. The lock is advisory (`flock`), on a separate file, and ends with the process, also
//! after `kill -9`. A lock on the database file itself is not possible: closing any handle of that file
//! drops SQLite's POSIX locks in this process. `serve`, `demo`, and `restore` take the lock; other
//! commands may run beside a server. Storyden does not know the lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use crate::database_url::{SqliteMode, SqliteUrl};
use crate::files;

/// Reasons for not taking the lock.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the lock.
    #[error("{} is in use by {holder}; {ADVICE}", database.display())]
    Held {
        /// The database file.
        database: PathBuf,
        /// The process that holds the lock, if known.
        holder: String,
    },
    /// The folder cannot be created.
    #[error("the folder {} cannot be created: {}; set DATA_DIR or DATABASE_URL to a folder of this user", .0.display(), .1)]
    Folder(PathBuf, io::Error),
    /// The lock file cannot be created or read.
    #[error("the lock file {} cannot be used: {}{}", .0.display(), .1, lock_advice(.1))]
    File(PathBuf, io::Error),
}

const ADVICE: &str = "only one server can use an SQLite file: stop the other server first, or \
                      choose another DATA_DIR or DATABASE_URL (several servers need PostgreSQL)";

/// The change that makes a lock file usable.
fn lock_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; give the file and its folder to the user of the server with chown"
        }
        _ => "",
    }
}

/// The lock, held until drop or the end of the process.
#[derive(Debug)]
pub struct ServerLock {
    _file: File,
}

impl ServerLock {
    /// Takes the lock of an SQLite file; `None` if the file is opened read-only.
    ///
    /// # Errors
    /// [`Error::Held`] if another process holds the lock.
    pub fn take(url: &SqliteUrl) -> Result<Option<Self>, Error> {
        if url.mode == SqliteMode::ReadOnly {
            return Ok(None);
        }
        if url.mode == SqliteMode::Create {
            let folder = files::folder_of(&url.path);
            files::create_folder(folder)
                .map_err(|error| Error::Folder(folder.to_owned(), error))?;
        }
        let database = url.real_path();
        let path = files::with_suffix(&database, ".lock");
        let failed = |error| Error::File(path.clone(), error);
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path);
        let mut file = opened.map_err(failed)?;
        files::give_to_owner_of_folder(&path);
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = process_in(&mut file);
                return Err(Error::Held { database, holder });
            }
            // Some network file systems have no locks. The server runs there without this protection.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                let path = path.display();
                tracing::warn!(%path, "the file system has no file locks; a second server on this file is not detected");
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Some(Self { _file: file }))
    }

    /// Returns the name of the process that holds the lock of an SQLite file; `None` if the lock is free. Holds
    /// a shared lock for an instant, so a server that starts in this instant may be refused.
    #[must_use]
    pub fn holder(url: &SqliteUrl) -> Option<String> {
        let path = files::with_suffix(&url.real_path(), ".lock");
        let mut file = File::open(path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(process_in(&mut file)),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }
}

/// Reads the name of the process that holds the lock.
fn process_in(file: &mut File) -> String {
    let mut process = String::new();
    let read = file.read_to_string(&mut process);
    let process = process.trim();
    if read.is_ok() && process.parse::<u32>().is_ok() {
        format!("the storyden-auth with the process id {process}")
    } else {
        "another storyden-auth".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_server_is_refused_by_any_path() {
        let folder = tempfile::tempdir().unwrap();
        let url = SqliteUrl::file(folder.path().join("new/file.db"));
        let lock = ServerLock::take(&url).unwrap().unwrap();
        std::fs::write(&url.path, "").unwrap();
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(&url.path, &link).unwrap();
        for path in [
            url.path.clone(),
            folder.path().join("new/../new/file.db"),
            link,
        ] {
            let refused = ServerLock::take(&SqliteUrl::file(path)).unwrap_err();
            let own = format!("the process id {}", std::process::id());
            assert!(refused.to_string().contains(&own), "{refused}");
            assert!(
                refused.to_string().contains("new/file.db is in use"),
                "{refused}"
            );
        }
        let reader = SqliteUrl {
            mode: SqliteMode::ReadOnly,
            ..url.clone()
        };
        assert!(ServerLock::take(&reader).unwrap().is_none());
        let holder = ServerLock::holder(&url).unwrap();
        assert!(
            holder.ends_with(&std::process::id().to_string()),
            "{holder}"
        );
        drop(lock);
        assert_eq!(ServerLock::holder(&url), None);
        assert!(ServerLock::take(&url).unwrap().is_some());
    }
}
