//! Checks for files that other users of this machine can read or replace.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::folder::{name_of, own_id, owner_of};
use super::{Findings, Owner};
use crate::cli::serve::open_to_others;
use crate::config::{Config, secrets_in};
use crate::database_url::DatabaseUrl;
use crate::files;
use crate::keys::{SigningKey, key_sealer, sealer};

const CHECK: &str = "files";

/// Permission bits of all users other than owner and group.
const OTHER_USERS: u32 = 0o007;

/// Checks the modes of the database, the key of remote connections, the settings file and the folders.
pub(super) fn examine(
    config: &Config,
    env_file: Option<&Path>,
    owner: Owner,
    findings: &mut Findings,
) {
    let before = findings.0.len();
    if let DatabaseUrl::Sqlite(url) = config.database() {
        examine_database(url.files(), owner, findings);
        examine_folder(files::folder_of(&url.real_path()), findings);
    }
    for (path, mode) in open_to_others([sealer::file_in(&config.data_dir)]) {
        let advice = "and authorize the remote connections again if another user may have read the \
                      file";
        report(&path, mode, "the key that seals tokens", advice, findings);
    }
    for (path, mode) in open_to_others([key_sealer::file_in(&config.data_dir)]) {
        let advice = "and rotate the signing keys with `storyden-auth key rotate --now` if another user may \
                      have read the file";
        report(
            &path,
            mode,
            "the secret that seals signing keys",
            advice,
            findings,
        );
    }
    let keys = [
        SigningKey::file_in(&config.data_dir),
        key_sealer::file_in(&config.data_dir),
        sealer::file_in(&config.data_dir),
    ];
    for path in keys {
        examine_readable(&path, findings);
    }
    if let Some(path) = env_file {
        examine_settings(path, findings);
    }
    if findings.0.len() == before {
        findings.ok(CHECK, "other users can neither read nor replace them");
    }
}

/// Reports a key file that this user cannot read, such as a file of a different user.
fn examine_readable(path: &Path, findings: &mut Findings) {
    let Err(error) = std::fs::File::open(path) else {
        return;
    };
    if error.kind() != ErrorKind::PermissionDenied {
        return; // mostly a file that does not exist yet
    }
    let (shown, own) = (path.display(), own_id().map(name_of));
    let owner = owner_of(path).map_or_else(|| "a different user".to_owned(), name_of);
    let own = own.unwrap_or_else(|| "USER".to_owned());
    findings.fail(
        CHECK,
        format!("{shown} belongs to {owner} and cannot be read: {error}"),
        format!("give the file to the user of the server, as root: chown {own} {shown}"),
    );
}

/// Reports a file that other users can read. Only a warning for the group, which can be intended.
fn report(path: &Path, mode: u32, what: &str, advice: &str, findings: &mut Findings) {
    let path = path.display();
    let readers = if mode & OTHER_USERS == 0 {
        "its group"
    } else {
        "everybody"
    };
    let found = format!("{path} has the mode {mode:04o}: {readers} can read {what}");
    let advice = format!("chmod 600 {path}, {advice}");
    if mode & OTHER_USERS == 0 {
        findings.warn(CHECK, found, advice);
    } else {
        findings.fail(CHECK, found, advice);
    }
}

/// Checks the database files, which contain hashes of passwords, sessions and tokens.
fn examine_database(paths: [PathBuf; 4], owner: Owner, findings: &mut Findings) {
    for (path, mode) in open_to_others(paths) {
        if owner == Owner::ThisServer {
            let advice = "as `serve` does when it starts";
            report(&path, mode, "the database", advice, findings);
            continue;
        }
        let path = path.display();
        findings.warn(
            CHECK,
            format!("{path} has the mode {mode:04o}: others can read the database"),
            format!(
                "chmod 600 {path}, if Storyden runs as the same user; this server leaves the modes of a \
                 Storyden's files as they are"
            ),
        );
    }
}

/// Checks the folder: write access to a folder allows replacing the files, unless the folder is sticky,
/// like `/tmp`.
fn examine_folder(folder: &Path, findings: &mut Findings) {
    let Ok(about) = std::fs::metadata(folder) else {
        return;
    };
    let mode = about.permissions().mode();
    if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        let (folder, mode) = (folder.display(), mode & 0o777);
        findings.warn(
            CHECK,
            format!(
                "{folder} has the mode {mode:04o}: other users can replace the database and its \
                 keys"
            ),
            format!("chmod 700 {folder}"),
        );
    }
}

fn examine_settings(path: &Path, findings: &mut Findings) {
    let secrets = secrets_in(path);
    if secrets.is_empty() {
        return;
    }
    for (path, mode) in open_to_others([path.to_owned()]) {
        let advice = "and replace the secrets if another user may have read the file";
        report(&path, mode, &secrets.join(", "), advice, findings);
    }
}
