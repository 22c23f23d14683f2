//! Files and folders for the owner alone: the database, the keys, the backups.
//!
//! New ones get their mode when they are made, whatever the umask says, so that there is no moment in which
//! others can open them.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The rights of group and others.
const OTHERS: u32 = 0o077;

/// Makes a folder and the folders above it, if they are missing, with the mode 0700. The mode of a folder
/// that exists stays: it may be `/srv` or `/tmp`.
///
/// # Errors
/// When it cannot be made.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes a new file with the mode 0600.
///
/// # Errors
/// When it cannot be made, or exists.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// The mode of a file that group or others have rights on; `None` for a private or a missing file.
#[must_use]
pub fn open_to_others(path: &Path) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & OTHERS != 0).then_some(mode)
}

/// Takes the rights of group and others on a file. The path is not opened: closing a database file that
/// this process has open elsewhere would drop SQLite's locks on it (POSIX `fcntl` locks).
///
/// # Errors
/// When the file is another user's.
pub fn make_private(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
}

/// Makes the names in a folder durable: that of a new file, or of a renamed one.
///
/// # Errors
/// When the folder cannot be synced.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// The folder of a file; `.` for a bare name.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    folder.unwrap_or(Path::new("."))
}

/// The path with a suffix to its last name, as in `storyden-auth.db` and `-wal`.
#[must_use]
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_new_is_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        create_folder(&below).unwrap();
        create_folder(&below).unwrap();
        assert_eq!(
            (mode(&folder.path().join("a")), mode(&below)),
            (0o700, 0o700)
        );
        let file = below.join("file");
        create(&file).unwrap();
        assert_eq!((mode(&file), open_to_others(&file)), (0o600, None));
        assert!(create(&file).is_err());
        std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(open_to_others(&file), Some(0o640));
        make_private(&file).unwrap();
        assert_eq!(open_to_others(&file), None);
        assert_eq!(open_to_others(&below.join("missing")), None);
    }

    #[test]
    fn a_bare_name_is_in_this_folder() {
        assert_eq!(folder_of(Path::new("x.db")), Path::new("."));
        assert_eq!(folder_of(Path::new("/a/x.db")), Path::new("/a"));
        assert_eq!(
            with_suffix(Path::new("a/x.db"), "-wal"),
            Path::new("a/x.db-wal")
        );
    }
}
