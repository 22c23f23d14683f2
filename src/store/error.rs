//! Store errors, grouped by the reaction of the caller.

use std::borrow::Cow;
use std::fmt;

/// Result of a store function.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed store function.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Unique constraint violated; holds the name of the constraint or column, as reported by the
    /// engine.
    #[error("a unique value is taken: {0}")]
    Taken(String),
    /// Foreign key violated: the referenced row was deleted or never existed.
    #[error("a referenced row does not exist")]
    Gone,
    /// Compare and set failed: the row has changed since the read. Nothing was written.
    #[error("a concurrent request was first")]
    RaceLost,
    /// A proof that is valid once was used before. Nothing was written.
    #[error("the proof was used before")]
    Replayed,
    /// The writer queue is full.
    #[error("too many writers are waiting")]
    Busy,
    /// The database is unreachable, full, locked, or overloaded. Temporary.
    #[error("the database is not available: {0}")]
    Unavailable(Reason),
    /// Serialization failure or deadlock of PostgreSQL.
    #[error("the transaction met another: {0}")]
    Conflict(Reason),
    /// The task of the transaction was cancelled.
    #[error("the transaction was aborted")]
    Aborted,
    /// A parameter holds an unstorable text: with U+0000, or too long for an index. The source is
    /// PostgreSQL's error, if the statement was sent.
    #[error("a text has the character U+0000 or is too long to be stored")]
    Unstorable(#[source] Option<Reason>),
    /// Invalid statement or stored value: a bug.
    #[error("the database refused a statement: {0}")]
    Other(Reason),
}

/// The driver's error. The text of the store's error has it, because background jobs, requests and commands all log
/// that text, and none may hide the reason.
#[derive(Debug)]
pub struct Reason(sqlx::Error);

impl Reason {
    /// SQLSTATE of PostgreSQL, or the extended code of SQLite; `None` for an error of the connection.
    fn code(&self) -> Option<Cow<'_, str>> {
        self.0
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
    }
}

impl fmt::Display for Reason {
    /// Formats without the line of PostgreSQL's own source code, which the driver appends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            sqlx::Error::Database(error) => match error.code() {
                Some(code) => write!(f, "{} (code {code})", error.message()),
                None => f.write_str(error.message()),
            },
            error => error.fmt(f),
        }
    }
}

impl std::error::Error for Reason {}

/// The cause of an error of the database, as far as it decides what an operator has to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server or the role has no further connection (SQLSTATE 53300).
    TooManyConnections,
    /// User, password or `pg_hba.conf` (class 28).
    Credentials,
    /// The database does not exist (3D000).
    NoDatabase,
    /// The role may not use the schema, or a table (42501).
    Permission,
    /// A table is missing (42P01, "no such table").
    NoTable,
    /// The statement took too long, or waited for a lock (57014, 55P03).
    Timeout,
    /// Another process holds the lock of the SQLite file (`SQLITE_BUSY`, `SQLITE_LOCKED`).
    Locked,
    /// Nothing can be written: a standby, a read-only transaction, or the mode of the file (25006, `SQLITE_READONLY`,
    /// `SQLITE_PERM`).
    ReadOnly,
    /// No space is left (53100, `SQLITE_FULL`, `SQLITE_IOERR`).
    Full,
    /// The SQLite file cannot be opened (`SQLITE_CANTOPEN`).
    CannotOpen,
    /// The SQLite file is damaged, or is no database (`SQLITE_CORRUPT`, `SQLITE_NOTADB`).
    Damaged,
    /// TLS of the connection.
    Tls,
    /// No connection was free in time.
    Pool,
    /// Any other cause.
    Other,
}

impl Error {
    /// True if the same request may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Busy | Self::Unavailable(_) | Self::Conflict(_) | Self::Aborted
        )
    }

    /// Returns the cause.
    #[must_use]
    pub fn cause(&self) -> Cause {
        let (Self::Unavailable(reason) | Self::Conflict(reason) | Self::Other(reason)) = self
        else {
            return Cause::Other;
        };
        match (&reason.0, reason.code()) {
            (sqlx::Error::Database(error), Some(code)) => cause_of(&code, error.message()),
            (sqlx::Error::Tls(_), _) => Cause::Tls,
            (sqlx::Error::PoolTimedOut, _) => Cause::Pool,
            _ => Cause::Other,
        }
    }

    /// True if the same transaction may succeed on an immediate retry.
    pub(super) fn is_retryable(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                match database.kind() {
                    sqlx::error::ErrorKind::UniqueViolation => {
                        let name = database.constraint().unwrap_or_else(|| database.message());
                        Self::Taken(name.to_owned())
                    }
                    sqlx::error::ErrorKind::ForeignKeyViolation => Self::Gone,
                    _ if matches!(&*code, "40001" | "40P01") => Self::Conflict(Reason(error)),
                    _ if is_temporary(&code) => Self::Unavailable(Reason(error)),
                    _ if is_unstorable(&code) => Self::Unstorable(Some(Reason(error))),
                    _ => Self::Other(Reason(error)),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            // A PostgreSQL server died during the startup handshake or `BEGIN`.
            | sqlx::Error::Protocol(_)
            | sqlx::Error::BeginFailed => Self::Unavailable(Reason(error)),
            _ => Self::Other(Reason(error)),
        }
    }
}

/// Returns the cause of a code. SQLite's extended codes have the primary code in the low byte.
fn cause_of(code: &str, message: &str) -> Cause {
    if code.len() == 5 {
        return match code {
            "53300" => Cause::TooManyConnections,
            "53100" => Cause::Full,
            "3D000" => Cause::NoDatabase,
            "42501" => Cause::Permission,
            "42P01" => Cause::NoTable,
            "57014" | "55P03" => Cause::Timeout,
            "25006" => Cause::ReadOnly,
            _ if code.starts_with("28") => Cause::Credentials,
            _ => Cause::Other,
        };
    }
    match code.parse::<u32>().map(|code| code & 0xFF) {
        Ok(1) if message.starts_with("no such table") => Cause::NoTable,
        Ok(3 | 8) => Cause::ReadOnly,
        Ok(5 | 6) => Cause::Locked,
        Ok(10 | 13) => Cause::Full,
        Ok(11 | 26) => Cause::Damaged,
        Ok(14) => Cause::CannotOpen,
        _ => Cause::Other,
    }
}

/// True for temporary errors. PostgreSQL: SQLSTATE classes 08 (connection), 28 (credentials, as during a change of the
/// password), 3D (the database is missing, as during a restore), 53 (resources), 57
/// (operator), 58 (system), and 25006 (read-only after a failover). SQLite: primary codes BUSY, LOCKED,
/// READONLY, IOERR, FULL, and CANTOPEN (the low byte of an extended code).
fn is_temporary(code: &str) -> bool {
    if code.len() == 5 {
        let class = &code[..2];
        return matches!(class, "08" | "28" | "3D" | "53" | "57" | "58") || code == "25006";
    }
    let primary = code.parse::<u32>().map(|code| code & 0xFF);
    matches!(primary, Ok(5 | 6 | 8 | 10 | 13 | 14))
}

/// True for a parameter that PostgreSQL cannot store. SQLSTATE 22001 (too long for the column), 22021
/// and 22P05 (character not in the encoding), 54000 (too long for an index).
fn is_unstorable(code: &str) -> bool {
    matches!(code, "22001" | "22021" | "22P05" | "54000")
}
