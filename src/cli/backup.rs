//! `backup`: writes a file with the database and the key files, while a server runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::archive::{self, ByteCounter, DatabaseFacts, Manifest, Temporary, blocking, failed};
use super::migrate::without_creating;
use super::progress::with_bytes;
use super::{Error, output};
use crate::clock::Clock;
use crate::config::Config;
use crate::database_url::DatabaseUrl;
use crate::store::{Db, copy, inspect};
use crate::{files, telemetry};

/// Write the SQLite database and the key files of `DATA_DIR` into a single file, while a server runs.
///
/// The file is a tar archive (mode 0600). The archive contains private keys and the hashes of passwords
/// and tokens: protect the file like the server. Secrets in environment variables are not included. The
/// folder of FILE needs free space for twice the database. With PostgreSQL, use `pg_dump`.
#[derive(Args, Debug)]
pub(super) struct Backup {
    /// The file to write.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace an existing file.
    #[arg(long)]
    force: bool,
    /// Print JSON: `{"file", "created_at", "size", "files"}`.
    #[arg(long)]
    json: bool,
}

impl Backup {
    /// Writes the archive to a temporary file and renames the file at the end.
    pub(super) async fn run(self, config: &Config) -> Result<ExitCode, Error> {
        telemetry::start(config);
        if let DatabaseUrl::Postgres(_) = config.database() {
            return Err(Error::because(
                "backup is for SQLite; for PostgreSQL use pg_dump --format=custom --file=FILE \
                 \"$DATABASE_URL\"; keep OAUTH_KEYS_SECRET or OAUTH_SIGNING_KEY_BASE64, and \
                 REMOTE_TOKEN_KEY, with the dump",
            ));
        }
        self.refuse_existing()?;
        let Some(config) = without_creating(config.clone()) else {
            return Err(Error::because(
                "there is no SQLite file yet: DATABASE_URL or DATA_DIR names none that exists",
            ));
        };
        let db = Db::open(&config.database()).await?;
        let made = self.make(&config, &db).await;
        db.close().await;
        let (manifest, size) = made?;
        let names: Vec<&str> = manifest.files.iter().map(|entry| &*entry.name).collect();
        if self.json {
            output::print_json(&serde_json::json!({
                "file": self.file,
                "created_at": manifest.created_at,
                "size": size,
                "files": names,
            }))?;
        } else {
            output::print(&output::facts([
                ("file", self.file.display().to_string()),
                ("made", manifest.created_at.clone()),
                ("bytes", size.to_string()),
                ("holds", names.join(", ")),
            ]))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn refuse_existing(&self) -> Result<(), Error> {
        if self.force || !self.file.exists() {
            return Ok(());
        }
        let file = self.file.display();
        Err(Error::because(format!(
            "{file} exists; choose another name, or replace the file with --force"
        )))
    }

    async fn make(&self, config: &Config, db: &Db) -> Result<(Manifest, u64), Error> {
        // Before the copy: the backup contains every change up to this time.
        let created_at = Clock::machine().now().to_rfc3339();
        let beside = |suffix: &str| files::with_suffix(&self.file, suffix);
        let (database, file) = Temporary::create(beside(".database.partial"))?;
        drop(file);
        let facts = copy::facts(db).await?;
        let journal_mode = inspect::journal_mode(db).await?.unwrap_or_default();
        let length = || std::fs::metadata(database.path()).map_or(0, |about| about.len());
        let copied = copy::copy(db, database.path());
        with_bytes(copied, "copied", facts.size, length).await?;
        let keys = archive::key_files(config).into_iter();
        let keys: Vec<PathBuf> = keys.filter(|key| key.exists()).collect();
        let (whole, mut to) = Temporary::create(beside(".partial"))?;
        let (hashed, written) = (ByteCounter::default(), ByteCounter::default());
        let count = {
            let (hashed, written) = (hashed.clone(), written.clone());
            move || hashed.bytes().midpoint(written.bytes())
        };
        let about = DatabaseFacts {
            created_at,
            migration: facts.migration,
            journal_mode,
        };
        let source = database.path().to_owned();
        let archived = blocking(move || {
            let manifest = Manifest::of(&source, &keys, &hashed, about)?;
            let paths: Vec<&Path> = std::iter::once(&source)
                .chain(&keys)
                .map(|path| &**path)
                .collect();
            archive::write(&mut to, &manifest, &paths, &written)?;
            Ok(manifest)
        });
        let manifest = with_bytes(archived, "archived", facts.size, count).await?;
        let about = std::fs::metadata(whole.path());
        let size = about
            .map_err(|error| failed("read", whole.path(), error))?
            .len();
        self.refuse_existing()?; // another backup may have been made meanwhile
        whole.rename(&self.file)?;
        files::sync_folder_of(&self.file).map_err(|error| failed("synced", &self.file, error))?;
        Ok((manifest, size))
    }
}
