//! Checks of the SQLite file and its folder: owners, modes, write access, and free space.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Findings;
use crate::config::Config;
use crate::database_url::{DatabaseUrl, SqliteMode, SqliteUrl};
use crate::files;

const CHECK: &str = "folder";

/// Free space that is tried, in bytes.
const SPACE: usize = 1_048_576;

/// The user id of root.
const ROOT: u32 = 0;

/// Checks the folder of an SQLite file. Returns false if the folder or the file cannot be used: the further
/// checks would only report consequences.
pub(super) fn examine(config: &Config, findings: &mut Findings) -> bool {
    let DatabaseUrl::Sqlite(url) = config.database() else {
        return true;
    };
    if url.mode == SqliteMode::ReadOnly {
        let advice = "take mode=ro out of DATABASE_URL";
        findings.fail(CHECK, "DATABASE_URL opens the file to read only", advice);
        return true;
    }
    let folder = files::folder_of(&url.path);
    // The nearest existing ancestor; missing folders are created on demand.
    let nearest = folder.ancestors().find(|folder| folder.exists());
    let nearest = nearest.unwrap_or(Path::new("."));
    if let Err(error) = probe(nearest) {
        if matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::FileTooLarge | ErrorKind::QuotaExceeded
        ) {
            let finding = format!(
                "{} has less than 1 MiB of free space: {error}",
                nearest.display()
            );
            let advice = "free space on this disk: while it is full, sign-in and tokens are answered with 503";
            findings.fail(CHECK, finding, advice);
            return true;
        }
        refuse(folder, nearest, &error, findings);
        return false;
    }
    let shown = nearest.display();
    findings.ok(CHECK, format!("{shown} can be written"));
    examine_modes(&url, findings) && examine_owner(&url, nearest, findings)
}

/// Creates, writes and deletes a test file.
fn probe(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".storyden-auth-doctor-{}", std::process::id()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)?;
    let written = file.write_all(&vec![0; SPACE]);
    let written = written.and_then(|()| file.sync_all());
    std::fs::remove_file(&path)?;
    written
}

/// Reports a folder that cannot be written: the owner, if this is a different user, or the error.
fn refuse(wanted: &Path, nearest: &Path, error: &std::io::Error, findings: &mut Findings) {
    let shown = nearest.display();
    let owner = owner_of(nearest).filter(|owner| Some(*owner) != own_id());
    if let (ErrorKind::PermissionDenied, Some(owner), Some(own)) = (error.kind(), owner, own_id()) {
        let finding = format!(
            "{shown} belongs to the user {}, and this command runs as {}",
            name_of(owner),
            name_of(own)
        );
        return findings.fail(CHECK, finding, folder_advice(wanted, nearest, owner, own));
    }
    findings.fail(
        CHECK,
        format!("{shown} cannot be written: {error}"),
        "give this user write permission for the directory (SQLite writes a log beside the file), or \
         choose another DATA_DIR or DATABASE_URL",
    );
}

/// Advice for a folder of a different user. A folder of root that others use too, such as `/var/lib`, must not change
/// its owner.
fn folder_advice(wanted: &Path, nearest: &Path, owner: u32, own: u32) -> String {
    let (own_name, folder) = (name_of(own), wanted.display());
    let other = "or choose another DATA_DIR or DATABASE_URL";
    let is_shared = nearest.components().count() <= 3 && !has_database(nearest);
    if wanted != nearest {
        format!("make the folder, as root: install -d -m 700 -o {own_name} {folder}; {other}")
    } else if is_shared {
        format!(
            "make a folder of its own, as root: install -d -m 700 -o {own_name} /var/lib/storyden-auth; and set \
             DATA_DIR to it"
        )
    } else if owner == ROOT {
        format!(
            "give the folder and its files to {own_name}, as root: chown -R {own_name} {folder}; {other}"
        )
    } else {
        format!("{}; {other}", same_user_advice(owner))
    }
}

/// True if a folder has a database of this server.
fn has_database(folder: &Path) -> bool {
    folder.join("storyden-auth.db").exists()
}

fn same_user_advice(owner: u32) -> String {
    let owner = name_of(owner);
    format!(
        "run the commands and the server as the same user, as in: sudo -u {owner} storyden-auth doctor"
    )
}

/// The file, its side files and its lock, as far as these exist.
fn existing_files(url: &SqliteUrl) -> Vec<PathBuf> {
    let lock = files::with_suffix(&url.real_path(), ".lock");
    let all = url.files().into_iter().chain([lock]);
    all.filter(|path| path.exists()).collect()
}

/// Reports files that their own owner cannot write. SQLite gives `-wal` and `-shm` the mode of the database when it
/// creates them, so that a corrected mode of the database alone changes nothing.
fn examine_modes(url: &SqliteUrl, findings: &mut Findings) -> bool {
    let closed: Vec<PathBuf> = existing_files(url)
        .into_iter()
        .filter(|path| std::fs::metadata(path).is_ok_and(|about| about.mode() & 0o600 != 0o600))
        .collect();
    if closed.is_empty() {
        return true;
    }
    let names: Vec<String> = closed
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let finding = format!("their owner cannot read and write: {}", names.join(", "));
    findings.fail(CHECK, finding, format!("chmod 600 {}", names.join(" ")));
    false
}

/// Checks that files and folder belong to the user of this command. Returns false if the file of a different
/// user cannot be written.
fn examine_owner(url: &SqliteUrl, folder: &Path, findings: &mut Findings) -> bool {
    let Some(own) = own_id() else {
        return true;
    };
    let foreign = |path: PathBuf| {
        owner_of(&path)
            .filter(|owner| *owner != own)
            .map(|owner| (path, owner))
    };
    let all = existing_files(url).into_iter().chain([folder.to_owned()]);
    let all: Vec<(PathBuf, u32)> = all.filter_map(foreign).collect();
    let first = if own == ROOT {
        all.into_iter().next()
    } else {
        all.into_iter().find(|(path, _)| !is_writable(path))
    };
    let Some((path, owner)) = first else {
        return true;
    };
    let (shown, own_name, owner_name) = (path.display(), name_of(own), name_of(owner));
    let finding =
        format!("{shown} belongs to the user {owner_name}, and this command runs as {own_name}");
    if own == ROOT {
        let advice = format!(
            "run the commands and the server as {owner_name}, as in: sudo -u {owner_name} storyden-auth doctor"
        );
        findings.warn(CHECK, finding, advice);
        return true;
    }
    let advice = if owner == ROOT {
        format!("give the files to {own_name}, as root: chown {own_name} {shown}*")
    } else {
        format!(
            "{}; or give the files to {own_name}, as root: chown {own_name} {shown}*",
            same_user_advice(owner)
        )
    };
    findings.fail(CHECK, finding, advice);
    false
}

/// True if a file can be opened for writing, and for a folder. SQLite has the file not open at this time, so
/// that closing drops no lock.
fn is_writable(path: &Path) -> bool {
    path.is_dir() || std::fs::OpenOptions::new().append(true).open(path).is_ok()
}

pub(super) fn owner_of(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().map(|about| about.uid())
}

/// The user of this process; `None` on systems without `/proc`.
pub(super) fn own_id() -> Option<u32> {
    owner_of(Path::new("/proc/self"))
}

/// The name of a user in `/etc/passwd`, or the number.
pub(super) fn name_of(id: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    find_name(&users, id).unwrap_or_else(|| id.to_string())
}

fn find_name(users: &str, id: u32) -> Option<String> {
    let user = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(id)).then(|| name.to_owned())
    });
    user.filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_the_name_of_the_system() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nauth:x:998:998::/var/lib/auth:/usr/sbin/nologin\n";
        assert_eq!(find_name(users, 0).as_deref(), Some("root"));
        assert_eq!(find_name(users, 998).as_deref(), Some("auth"));
        assert_eq!(find_name(users, 5), None);
    }
}
