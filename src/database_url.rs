//! Parser of `DATABASE_URL`: engine, file and pragmas.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::files;

/// The location of the database.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// An SQLite file.
    Sqlite(SqliteUrl),
    /// A PostgreSQL database, as `postgres://user:password@host:port/name?…`.
    Postgres(String),
}

/// An SQLite file with the options to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteUrl {
    /// Path of the file.
    pub path: PathBuf,
    /// Access mode.
    pub mode: SqliteMode,
    /// `?_pragma=name(value)`, in the syntax of Storyden's driver.
    pub pragmas: Vec<(String, String)>,
}

/// `?mode=` of an SQLite URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqliteMode {
    /// `ro`: read, never write.
    ReadOnly,
    /// `rw`: the file must exist.
    ReadWrite,
    /// `rwc`, the default: created if absent.
    Create,
}

impl DatabaseUrl {
    /// Parses a URL with the scheme `sqlite`, `sqlite3`, `postgres` or `postgresql`.
    ///
    /// # Errors
    /// A description of the fault for the operator, without the URL, which may contain a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err("is no URL; use sqlite://FILE or postgres://USER@HOST/NAME".into());
        };
        match scheme {
            "sqlite" | "sqlite3" => SqliteUrl::parse(rest).map(Self::Sqlite),
            "postgres" | "postgresql" => match url::Url::parse(text) {
                Ok(_) => Ok(Self::Postgres(text.to_owned())),
                Err(error) => Err(format!(
                    "is no URL: {error}; percent-encode special characters of the password, as %40 for @, %23 for # and \
                     %2F for /"
                )),
            },
            _ => Err(format!(
                "has the scheme {scheme}; use sqlite:// or postgres://"
            )),
        }
    }

    /// Returns the path of the file, or host and name of the database, without user and password.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Sqlite(url) => url.real_path().display().to_string(),
            Self::Postgres(text) => url::Url::parse(text).map_or_else(
                |_| String::new(),
                |url| {
                    let host = url.host_str().unwrap_or_default();
                    let port = url
                        .port()
                        .map_or_else(String::new, |port| format!(":{port}"));
                    format!("{host}{port}{}", url.path())
                },
            ),
        }
    }

    /// Returns `sqlite` or `postgres`.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(sqlite) => sqlite.fmt(f),
            Self::Postgres(_) => f.write_str("Postgres(…)"), // the URL may contain a password
        }
    }
}

impl SqliteUrl {
    /// Returns the URL of a file, created if absent.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self {
            path,
            mode: SqliteMode::Create,
            pragmas: Vec::new(),
        }
    }

    /// Returns the path without symbolic links, the base of the names of SQLite's side files.
    #[must_use]
    pub fn real_path(&self) -> PathBuf {
        std::fs::canonicalize(&self.path).unwrap_or_else(|_| {
            let folder = std::fs::canonicalize(files::folder_of(&self.path));
            let name = self.path.file_name().unwrap_or_default();
            folder.map_or_else(|_| self.path.clone(), |folder| folder.join(name))
        })
    }

    /// Returns the file and SQLite's side files (WAL, shared memory, journal), existing or not.
    #[must_use]
    pub fn files(&self) -> [PathBuf; 4] {
        let path = self.real_path();
        ["", "-wal", "-shm", "-journal"].map(|suffix| files::with_suffix(&path, suffix))
    }

    fn parse(rest: &str) -> Result<Self, String> {
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = decode(path)?;
        if path.is_empty() || path == ":memory:" {
            return Err("names no file; a database in memory would not survive a restart".into());
        }
        let mut url = Self::file(PathBuf::from(path));
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decode(name)?.as_str(), decode(value)?) {
                ("mode", value) => url.mode = SqliteMode::parse(&value)?,
                ("_pragma", value) => url.pragmas.push(pragma(&value)?),
                _ => {} // options of other drivers are ignored
            }
        }
        Ok(url)
    }
}

impl SqliteMode {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "ro" => Ok(Self::ReadOnly),
            "rw" => Ok(Self::ReadWrite),
            "rwc" => Ok(Self::Create),
            _ => Err(format!("has mode={text}; use ro, rw or rwc")),
        }
    }
}

fn decode(text: &str) -> Result<String, String> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err("has a percent-escape that is no UTF-8".into()),
    }
}

/// Parses `name(value)` or `name=value`. Both parts must be words, to prevent SQL injection.
fn pragma(text: &str) -> Result<(String, String), String> {
    let halves = text
        .strip_suffix(')')
        .and_then(|text| text.split_once('('))
        .or_else(|| text.split_once('='));
    let is_word = |word: &str, also: &[u8]| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || also.contains(&byte);
        !word.is_empty() && word.bytes().all(fits)
    };
    match halves {
        Some((name, value)) if is_word(name, b"") && is_word(value, b"-") => {
            Ok((name.to_ascii_lowercase(), value.to_owned()))
        }
        _ => Err(format!("has _pragma={text}; use _pragma=name(value)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(text: &str) -> SqliteUrl {
        match DatabaseUrl::parse(text) {
            Ok(DatabaseUrl::Sqlite(url)) => url,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn storydens_forms_of_a_sqlite_url_are_understood() {
        let plain = sqlite("sqlite:///var/data.db?_pragma=foreign_keys(1)");
        assert_eq!(plain.path, PathBuf::from("/var/data.db"));
        assert_eq!(plain.pragmas, [("foreign_keys".to_owned(), "1".to_owned())]);
        assert_eq!(
            sqlite("sqlite3:///var/data.db?_pragma=foreign_keys%281%29"),
            plain
        );
        let relative = sqlite("sqlite://data/data.db?mode=rw&_pragma=busy_timeout(900)&cache=x");
        assert_eq!(relative.path, PathBuf::from("data/data.db"));
        assert_eq!(relative.mode, SqliteMode::ReadWrite);
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said() {
        for text in [
            "data.db",
            "mysql://x",
            "sqlite://",
            "sqlite://:memory:",
            "sqlite://a?mode=x",
        ] {
            assert!(DatabaseUrl::parse(text).is_err(), "{text}");
        }
        assert!(DatabaseUrl::parse("sqlite://a?_pragma=x(1);drop").is_err());
    }
}
