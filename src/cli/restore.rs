//! `restore`: replaces the database and the key files by the files of a backup.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::archive::{self, ByteCounter, DATABASE, Manifest, Temporary, blocking, failed};
use super::progress::with_bytes;
use super::{Error, output, serve};
use crate::clock::Clock;
use crate::config::Config;
use crate::database_url::{DatabaseUrl, SqliteMode, SqliteUrl};
use crate::store::{Db, copy, migrate};
use crate::{files, telemetry};

/// Replace the database and the key files by the files of a backup.
///
/// Refuses while a server runs on the SQLite file. The archive is verified first, and the database
/// again afterwards. Nothing is deleted: replaced files, including the -wal file of a crash, are kept
/// beside the new files, with .before-restore-TIME in the names. Stop a Storyden on the same file
/// first.
#[derive(Args, Debug)]
pub(super) struct Restore {
    /// The archive of `backup`.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Verify the archive and change nothing; a server may run.
    #[arg(long)]
    check: bool,
    /// Print JSON: `{"created_at", "version", "files", "kept"}`.
    #[arg(long)]
    json: bool,
}

impl Restore {
    /// Verifies the archive, and restores the files unless `check` is set:
    ///
    /// 1. Take the server lock.
    /// 2. Extract each file beside the target path, and check the hash.
    /// 3. Check the integrity of the database, and tell if a newer version migrated it.
    /// 4. Check that no other process has the old database open.
    /// 5. Set the old files aside, and rename the new files.
    /// 6. Check the database again at the target path.
    pub(super) async fn run(self, config: &Config) -> Result<ExitCode, Error> {
        telemetry::start(config);
        let url = match config.database() {
            DatabaseUrl::Sqlite(url) if url.mode != SqliteMode::ReadOnly => url,
            DatabaseUrl::Sqlite(_) => {
                return Err(Error::because(
                    "DATABASE_URL opens the file read-only: remove mode=ro",
                ));
            }
            DatabaseUrl::Postgres(_) => {
                return Err(Error::because(
                    "restore is for SQLite; for PostgreSQL stop every server and use pg_restore --no-owner \
                     --clean --if-exists --exit-on-error --dbname=\"$DATABASE_URL\" FILE",
                ));
            }
        };
        for folder in [files::folder_of(&url.path), &config.data_dir] {
            files::create_folder(folder).map_err(|error| failed("made", folder, error))?;
        }
        let lock = if self.check {
            None
        } else {
            serve::lock(config)?
        };
        let target = url.real_path();
        let (manifest, taken) = self.take(config, &target).await?;
        let has_storyden_tables = verify(taken[0].path(), &manifest).await?;
        let kept = if self.check {
            Vec::new()
        } else {
            let kept = put_in_place(config, &target, &manifest, taken, has_storyden_tables).await?;
            verify_in_place(&url, &kept).await?;
            kept
        };
        drop(lock);
        self.print_result(&manifest, &kept)?;
        if has_storyden_tables && !self.check {
            output::note(
                "A Storyden uses this database: restart the Storyden, because it keeps sessions \
                 and accounts in memory.",
            );
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Step 2: extracts each file beside the target path.
    async fn take(
        &self,
        config: &Config,
        target: &Path,
    ) -> Result<(Manifest, Vec<Temporary>), Error> {
        let (file, target) = (self.file.clone(), target.to_owned());
        let total = std::fs::metadata(&file).map_or(0, |about| about.len());
        let suffix = if self.check {
            ".checking"
        } else {
            ".restoring"
        };
        let folder = config.data_dir.clone();
        let done = ByteCounter::default();
        let count = done.clone();
        let read = blocking(move || {
            archive::read(&file, &done, |name| {
                let place = if name == DATABASE {
                    target.clone()
                } else {
                    folder.join(name)
                };
                files::with_suffix(&place, suffix)
            })
        });
        with_bytes(read, "verified", total, move || count.bytes()).await
    }

    fn print_result(&self, manifest: &Manifest, kept: &[PathBuf]) -> Result<(), Error> {
        let names: Vec<&str> = manifest.files.iter().map(|entry| &*entry.name).collect();
        if self.json {
            return output::print_json(&serde_json::json!({
                "created_at": manifest.created_at,
                "version": manifest.version,
                "files": names,
                "kept": kept,
            }));
        }
        let mut rows = vec![
            ("made", manifest.created_at.clone()),
            ("by version", manifest.version.clone()),
            (
                if self.check { "good" } else { "restored" },
                names.join(", "),
            ),
        ];
        rows.extend(kept.iter().map(|path| ("kept", path.display().to_string())));
        output::print(&output::facts(rows))
    }
}

/// Step 3. Returns true for the database of a Storyden.
async fn verify(path: &Path, manifest: &Manifest) -> Result<bool, Error> {
    let db = copy::open(path)
        .await
        .map_err(|error| damaged(path, &error.to_string()))?;
    let verified = verify_open(&db, path).await;
    let verified = match verified {
        Ok(facts) => copy::set_journal_mode(&db, &manifest.journal_mode)
            .await
            .map(|()| facts)
            .map_err(Error::from),
        Err(error) => Err(error),
    };
    db.close().await;
    let facts = verified?;
    let known = migrate::newest_known();
    if facts.migration > known {
        output::note(&format!(
            "note: version {} migrated the database in the archive up to {}; this program knows migrations up to {known}, \
             and works on such a database as after a downgrade",
            manifest.version, facts.migration
        ));
    }
    Ok(facts.has_storyden_tables)
}

async fn verify_open(db: &Db, path: &Path) -> Result<copy::FileFacts, Error> {
    let size = std::fs::metadata(path).map_or(0, |about| about.len());
    let mut faults = with_bytes(copy::faults(db), "checked", size, || 0).await;
    if matches!(&faults, Ok(faults) if copy::are_of_indexes(faults)) {
        faults = match copy::rebuild_indexes(db).await {
            Ok(()) => with_bytes(copy::faults(db), "checked", size, || 0).await,
            Err(error) => Err(error),
        };
    }
    match faults {
        Ok(faults) if faults.is_empty() => Ok(copy::facts(db).await?),
        Ok(faults) => Err(damaged(path, &faults.join("; "))),
        Err(error) => Err(damaged(path, &super::with_causes(&error))),
    }
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::because(format!("{} is no whole database: {why}", path.display()))
}

/// Step 6.
async fn verify_in_place(url: &SqliteUrl, kept: &[PathBuf]) -> Result<(), Error> {
    let kept: Vec<String> = kept.iter().map(|path| path.display().to_string()).collect();
    let verified = match Db::open(&DatabaseUrl::Sqlite(url.clone())).await {
        Ok(db) => {
            let verified = verify_open(&db, &url.path).await;
            db.close().await;
            verified.map(drop)
        }
        Err(error) => Err(error.into()),
    };
    verified.map_err(|error| {
        let kept = kept.join(", ");
        let why = super::with_causes(&error);
        Error::because(format!("{why}; the files before the restore are: {kept}"))
    })
}

/// Steps 4 and 5. Returns the files that were set aside.
async fn put_in_place(
    config: &Config,
    target: &Path,
    manifest: &Manifest,
    taken: Vec<Temporary>,
    has_storyden_tables: bool,
) -> Result<Vec<PathBuf>, Error> {
    if target.exists() {
        match copy::checkpoint_exclusively(target).await {
            Ok(()) => {}
            Err(error) if error.is_temporary() => {
                let text = format!(
                    "{} is open in another process, such as a Storyden or a command; stop that \
                     process first",
                    target.display()
                );
                return Err(Error::because(text));
            }
            Err(error) => output::note(&format!(
                "the current database cannot be read ({}); the file is kept unchanged",
                super::with_causes(&error)
            )),
        }
    }
    let now = Clock::machine().now().to_rfc3339();
    let now: String = now
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() && *c != '.')
        .collect();
    let aside = BackupSuffix(format!(".before-restore-{now}"));
    let mut kept = Vec::new();
    let mut taken: Vec<(&str, Temporary)> = manifest
        .files
        .iter()
        .map(|entry| &*entry.name)
        .zip(taken)
        .collect();
    // Keys first: the old database stays in place until the last rename.
    taken.reverse();
    for (name, new) in taken {
        if name == DATABASE {
            copy_ownership(new.path(), target, has_storyden_tables);
            // SQLite would replay a leftover journal into the new file. `checkpoint_exclusively` has written the
            // journal into the old database, unless unreadable.
            for suffix in ["-wal", "-journal"] {
                let log = files::with_suffix(target, suffix);
                if log.exists() {
                    let to = files::with_suffix(&aside.of(target), suffix);
                    std::fs::rename(&log, &to).map_err(|error| failed("set aside", &log, error))?;
                    kept.push(to);
                }
            }
            // The -shm file is only an index of the -wal file.
            let _ = std::fs::remove_file(files::with_suffix(target, "-shm"));
            kept.extend(aside.keep(target)?);
            new.rename(target)?;
            files::sync_folder_of(target).map_err(|error| failed("synced", target, error))?;
            continue;
        }
        let place = config.data_dir.join(name);
        let same = std::fs::read(&place).ok() == std::fs::read(new.path()).ok();
        if !same {
            copy_ownership(new.path(), &place, false);
            kept.extend(aside.keep(&place)?);
            new.rename(&place)?;
            files::sync_folder_of(&place).map_err(|error| failed("synced", &place, error))?;
        }
    }
    kept.sort();
    Ok(kept)
}

/// The suffix of the files that are set aside.
struct BackupSuffix(String);

impl BackupSuffix {
    fn of(&self, path: &Path) -> PathBuf {
        files::with_suffix(path, &self.0)
    }

    /// Hard-links an existing file to a second name, so that the file is never missing: a server
    /// starting at that moment would create an empty database. Renames on file systems without hard
    /// links.
    fn keep(&self, path: &Path) -> Result<Option<PathBuf>, Error> {
        if !path.exists() {
            return Ok(None);
        }
        let to = self.of(path);
        let kept = std::fs::hard_link(path, &to).or_else(|_| std::fs::rename(path, &to));
        kept.map_err(|error| failed("set aside", path, error))?;
        Ok(Some(to))
    }
}

/// Copies the owner of the replaced file, or of the folder, to a new file: `restore` may run as root,
/// and the server as a less privileged user. Also copies the mode of a Storyden's database.
fn copy_ownership(new: &Path, replaced: &Path, mode_too: bool) {
    let before = std::fs::metadata(replaced);
    if mode_too && let Ok(before) = &before {
        let _ = std::fs::set_permissions(new, before.permissions());
    }
    let Ok(owner) = before.or_else(|_| std::fs::metadata(files::folder_of(replaced))) else {
        return;
    };
    let lock = files::with_suffix(replaced, ".lock");
    for path in [new, &lock] {
        let differs = std::fs::metadata(path)
            .is_ok_and(|is| (is.uid(), is.gid()) != (owner.uid(), owner.gid()));
        if differs
            && let Err(error) = std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()))
        {
            let path = path.display();
            output::note(&format!(
                "{path} keeps its owner, which is not the owner of the replaced file: {error}"
            ));
        }
    }
}
