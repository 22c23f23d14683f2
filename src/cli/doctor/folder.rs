//! Checks of the folder of the SQLite file: its owner, and write access.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Findings;
use crate::config::Config;
use crate::database_url::{DatabaseUrl, SqliteMode, SqliteUrl};
use crate::files;

const CHECK: &str = "folder";

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
        refuse(nearest, &error, findings);
        return false;
    }
    let shown = nearest.display();
    findings.ok(CHECK, format!("{shown} can be written"));
    examine_owner(&url, nearest, findings)
}

/// Creates and deletes a test file.
fn probe(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".storyden-auth-doctor-{}", std::process::id()));
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)
}

/// Reports a folder that cannot be written: the owner, if this is a different user, or the error.
fn refuse(folder: &Path, error: &std::io::Error, findings: &mut Findings) {
    let shown = folder.display();
    let owner = owner_of(folder).filter(|owner| Some(*owner) != own_id());
    if let (ErrorKind::PermissionDenied, Some(owner), Some(own)) = (error.kind(), owner, own_id()) {
        let (owner, own) = (name_of(owner), name_of(own));
        return findings.fail(
            CHECK,
            format!("{shown} belongs to the user {owner}, and this command runs as {own}"),
            format!(
                "run the commands and the server as the same user, as in: sudo -u {owner} storyden-auth doctor; or \
                 choose another DATA_DIR or DATABASE_URL"
            ),
        );
    }
    findings.fail(
        CHECK,
        format!("{shown} cannot be written: {error}"),
        "give this user write permission for the directory (SQLite writes a log beside the file), or \
         choose another DATA_DIR or DATABASE_URL",
    );
}

/// Checks that file and folder belong to the user of this command. Returns false if the file of a different
/// user cannot be written.
fn examine_owner(url: &SqliteUrl, folder: &Path, findings: &mut Findings) -> bool {
    let Some(own) = own_id() else {
        return true;
    };
    let [file, ..] = url.files();
    let foreign = [file, folder.to_owned()].into_iter().find_map(|path| {
        owner_of(&path)
            .filter(|owner| *owner != own)
            .map(|owner| (path, owner))
    });
    let Some((path, owner)) = foreign else {
        return true;
    };
    let (shown, owner) = (path.display(), name_of(owner));
    let finding = format!(
        "{shown} belongs to the user {owner}, and this command runs as {}",
        name_of(own)
    );
    let advice = format!(
        "run the commands and the server as {owner}, as in: sudo -u {owner} storyden-auth doctor"
    );
    if own == ROOT {
        let advice = format!("{advice}; files that root creates there cannot be opened by {owner}");
        findings.warn(CHECK, finding, advice);
        return true;
    }
    let writable = is_writable(&path);
    if !writable {
        findings.fail(CHECK, finding, advice);
    }
    writable
}

/// True if a file can be opened for writing, and for a folder. SQLite has the file not open at this time, so
/// that closing drops no lock.
fn is_writable(path: &Path) -> bool {
    path.is_dir() || std::fs::OpenOptions::new().append(true).open(path).is_ok()
}

fn owner_of(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().map(|about| about.uid())
}

/// The user of this process; `None` on systems without `/proc`.
fn own_id() -> Option<u32> {
    owner_of(Path::new("/proc/self"))
}

/// The name of a user in `/etc/passwd`, or the number.
fn name_of(id: u32) -> String {
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
