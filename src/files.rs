//! Private files and folders (database, keys, backups), accessible only to the owner.
//!
//! New files and folders get the private mode at creation, independent of the umask, so that other
//! users can never open a new file.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

/// Permission bits of group and others.
const OTHERS: u32 = 0o077;

/// The user id of root.
const ROOT: u32 = 0;

/// Creates a folder and missing parent folders with mode 0700. The mode of an existing folder stays:
/// the folder may be `/srv` or `/tmp`.
///
/// # Errors
/// If a folder cannot be created.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Creates a new file with mode 0600.
///
/// # Errors
/// If the file cannot be created, or exists.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Writes a new file that only the owner can read, and syncs the file.
///
/// # Errors
/// If the file cannot be written, or exists.
pub fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let mut file = create(path)?;
    file.write_all(text)?;
    file.sync_all()?;
    give_to_owner_of_folder(path);
    Ok(())
}

/// Gives a file of root to the owner of its folder: a command that root ran must not leave files that the server, which
/// runs as a less privileged user, cannot open. Without effect for other users.
pub fn give_to_owner_of_folder(path: &Path) {
    let (Ok(file), Ok(folder)) = (
        std::fs::symlink_metadata(path),
        std::fs::metadata(folder_of(path)),
    ) else {
        return;
    };
    if file.uid() == ROOT && folder.uid() != ROOT {
        // Fails without the capability; `doctor` names files of other users.
        let _ = std::os::unix::fs::lchown(path, Some(folder.uid()), Some(folder.gid()));
    }
}

/// Returns the mode of a file that group or others can access; `None` for a private or missing file.
#[must_use]
pub fn open_to_others(path: &Path) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & OTHERS != 0).then_some(mode)
}

/// Removes the permissions of group and others. The path is not opened: closing a database file that
/// this process also has open in SQLite would drop SQLite's locks (POSIX `fcntl` locks belong to the
/// process).
///
/// # Errors
/// If the file belongs to a different user.
pub fn make_private(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
}

/// Syncs the folder of a file, so that a new or renamed entry survives a crash.
///
/// # Errors
/// If the folder cannot be synced.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Returns the folder of a file; `.` for a bare name.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    folder.unwrap_or(Path::new("."))
}

/// Appends a suffix to the last name of a path, for example `-wal` to `storyden-auth.db`.
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
