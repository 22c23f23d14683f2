//! The backup file: a plain tar archive of `manifest.json`, `database.sqlite3` and the key files of
//! `DATA_DIR`, in this order.

use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Error;
use crate::config::Config;
use crate::files;
use crate::keys::SigningKey;
use crate::keys::{key_sealer, sealer};
use crate::secret::hex;

/// The version of the archive format.
const FORMAT: u32 = 1;
/// The first entry: a list of the other entries.
const MANIFEST: &str = "manifest.json";
/// The entry of the database.
pub(super) const DATABASE: &str = "database.sqlite3";
/// Maximum size of a manifest, in bytes.
const MANIFEST_MAX: u64 = 64 * 1_024;
/// Maximum size of a key file, in bytes.
const KEY_MAX: u64 = 64 * 1_024;
/// Size of a read, in bytes.
const CHUNK: usize = 256 * 1_024;

/// The contents of an archive.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// [`FORMAT`].
    format: u32,
    /// The version of the program that made the archive.
    pub(super) version: String,
    /// The instant before the copy (RFC 3339).
    pub(super) created_at: String,
    /// The newest migration of the database.
    pub(super) migration: i64,
    /// The journal mode of the database.
    pub(super) journal_mode: String,
    /// The entries.
    pub(super) files: Vec<Entry>,
}

/// A file in an archive.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// File name in `DATA_DIR`, or [`DATABASE`].
    pub(super) name: String,
    /// Length in bytes.
    size: u64,
    /// SHA-256 of the content, in hex.
    sha256: String,
}

/// A file that is deleted on drop, unless renamed.
#[derive(Debug)]
pub(super) struct Temporary(Option<PathBuf>);

impl Temporary {
    /// Creates an empty file with the mode 0600. Replaces the leftover of an interrupted command.
    pub(super) fn create(path: PathBuf) -> Result<(Self, File), Error> {
        let _ = std::fs::remove_file(&path);
        let file = files::create(&path).map_err(|error| failed("made", &path, error))?;
        Ok((Self(Some(path)), file))
    }

    /// The path.
    pub(super) fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// Renames the file and replaces an existing file.
    pub(super) fn rename(mut self, to: &Path) -> Result<(), Error> {
        std::fs::rename(self.path(), to).map_err(|error| failed("put in place", to, error))?;
        self.0 = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Number of processed bytes, for the progress.
#[derive(Clone, Debug, Default)]
pub(super) struct ByteCounter(Arc<AtomicU64>);

impl ByteCounter {
    /// Adds to the number.
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns the number.
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs blocking work on a thread for blocking tasks.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|_| Err(Error::because("the command broke off")))
}

/// Builds the error of a failed file operation.
pub(super) fn failed(done: &str, path: &Path, error: io::Error) -> Error {
    Error::Io(format!("{} cannot be {done}", path.display()), error)
}

/// The possible key files in `DATA_DIR`.
pub(super) fn key_files(config: &Config) -> [PathBuf; 3] {
    [
        SigningKey::file_in(&config.data_dir),
        key_sealer::file_in(&config.data_dir),
        sealer::file_in(&config.data_dir),
    ]
}

/// Returns the name of a file in an archive.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The facts about a database that a manifest records.
pub(super) struct DatabaseFacts {
    /// Time of the backup.
    pub(super) created_at: String,
    /// The last applied migration.
    pub(super) migration: i64,
    /// The journal mode of the original.
    pub(super) journal_mode: String,
}

impl Manifest {
    /// Builds the manifest of a database and the existing keys.
    pub(super) fn of(
        database: &Path,
        keys: &[PathBuf],
        done: &ByteCounter,
        database_facts: DatabaseFacts,
    ) -> Result<Self, Error> {
        let DatabaseFacts {
            created_at,
            migration,
            journal_mode,
        } = database_facts;
        let mut entries = vec![Entry::of(DATABASE.to_owned(), database, done)?];
        for key in keys {
            entries.push(Entry::of(name_of(key), key, done)?);
        }
        Ok(Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at,
            migration,
            journal_mode,
            files: entries,
        })
    }

    /// Rejects unknown formats and unexpected names: names become paths (path traversal).
    fn check(self) -> Result<Self, Error> {
        let damaged = |why: &str| Err(Error::because(format!("the archive is damaged: {why}")));
        if self.format != FORMAT {
            return Err(Error::because(format!(
                "the archive has the format {}, made by version {}; use that version or a newer one",
                self.format, self.version
            )));
        }
        let Some((database, keys)) = self.files.split_first() else {
            return damaged("the archive has no files");
        };
        let known = [
            SigningKey::file_in(Path::new("")),
            key_sealer::file_in(Path::new("")),
            sealer::file_in(Path::new("")),
        ];
        let are_known = keys.iter().enumerate().all(|(place, key)| {
            let is_first = !keys[..place].iter().any(|other| other.name == key.name);
            is_first && key.size <= KEY_MAX && known.iter().any(|path| name_of(path) == key.name)
        });
        if database.name != DATABASE || !are_known {
            return damaged("the archive has unexpected files");
        }
        Ok(self)
    }
}

impl Entry {
    fn of(name: String, path: &Path, done: &ByteCounter) -> Result<Self, Error> {
        let file = File::open(path).map_err(|error| failed("read", path, error))?;
        let (size, sha256) = copy_hashed(file, &mut io::sink(), done)
            .map_err(|error| failed("read", path, error))?;
        Ok(Self { name, size, sha256 })
    }
}

/// Copies a reader into a writer; returns the length and the SHA-256.
fn copy_hashed(
    mut from: impl Read,
    to: &mut impl io::Write,
    done: &ByteCounter,
) -> io::Result<(u64, String)> {
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok((size, hex(&hash.finalize())));
        }
        to.write_all(&chunk[..read])?;
        hash.update(&chunk[..read]);
        size += read as u64;
        done.add(read);
    }
}

/// Writes an archive. `paths` has the order of the manifest.
pub(super) fn write(
    to: &mut File,
    manifest: &Manifest,
    paths: &[&Path],
    done: &ByteCounter,
) -> Result<(), Error> {
    let broken = |error| Error::Io("the archive cannot be written".to_owned(), error);
    let text = serde_json::to_vec_pretty(manifest).map_err(|error| broken(error.into()))?;
    let mut archive = tar::Builder::new(io::BufWriter::with_capacity(CHUNK, to));
    let header = |size| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(size);
        header
    };
    let size = text.len() as u64;
    archive
        .append_data(&mut header(size), MANIFEST, text.as_slice())
        .map_err(broken)?;
    for (entry, path) in manifest.files.iter().zip(paths) {
        let file = File::open(path).map_err(|error| failed("read", path, error))?;
        // Read at most the recorded size, so that a growing file does not shift the following entries.
        let counted = Counted(file.take(entry.size), done);
        archive
            .append_data(&mut header(entry.size), &entry.name, counted)
            .map_err(broken)?;
    }
    let mut buffer = archive.into_inner().map_err(broken)?;
    buffer.flush().map_err(broken)?;
    buffer.get_ref().sync_all().map_err(broken)
}

/// A reader that counts the read bytes.
struct Counted<'a, R>(R, &'a ByteCounter);

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(into)?;
        self.1.add(read);
        Ok(read)
    }
}

/// Extracts the files of an archive and checks each against the manifest. `place` maps a name to the
/// path of the extracted file.
///
/// # Errors
/// If the archive cannot be read, is damaged, or is not a backup.
pub(super) fn read(
    path: &Path,
    done: &ByteCounter,
    place: impl Fn(&str) -> PathBuf,
) -> Result<(Manifest, Vec<Temporary>), Error> {
    let text = format!(
        "{} is no archive of `backup`, or is damaged",
        path.display()
    );
    let broken = |error: io::Error| match error.kind() {
        // The text of an error of the format has bytes of the file.
        io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            Error::because(text.as_str())
        }
        _ => Error::Io(text.clone(), error),
    };
    let file = File::open(path).map_err(|error| failed("read", path, error))?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(CHUNK, file));
    let mut entries = archive.entries().map_err(broken)?;
    let mut next = |name: &str| {
        let entry = entries
            .next()
            .unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
        let entry = entry.map_err(broken)?;
        let is_it = entry
            .path()
            .is_ok_and(|path| path.as_ref() == Path::new(name));
        if is_it && entry.header().entry_type().is_file() {
            return Ok(entry);
        }
        Err(Error::because(format!(
            "{text}: {name} is not at the expected position"
        )))
    };
    let manifest = next(MANIFEST)?.take(MANIFEST_MAX);
    let manifest: Manifest =
        serde_json::from_reader(manifest).map_err(|error| broken(error.into()))?;
    let manifest = manifest.check()?;
    let mut taken = Vec::with_capacity(manifest.files.len());
    for wanted in &manifest.files {
        let entry = next(&wanted.name)?;
        let (temporary, mut file) = Temporary::create(place(&wanted.name))?;
        let (size, sha256) = copy_hashed(entry, &mut file, done).map_err(broken)?;
        if (size, &sha256) != (wanted.size, &wanted.sha256) {
            let text = format!(
                "the archive is damaged: the SHA-256 of {} differs",
                wanted.name
            );
            return Err(Error::because(text));
        }
        let synced = file.sync_all();
        synced.map_err(|error| failed("written", temporary.path(), error))?;
        taken.push(temporary);
    }
    Ok((manifest, taken))
}
