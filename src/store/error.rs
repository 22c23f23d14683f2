//! Store errors, grouped by the reaction of the caller.

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
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// Serialization failure or deadlock of PostgreSQL.
    #[error("the transaction met another")]
    Conflict(#[source] sqlx::Error),
    /// The task of the transaction was cancelled.
    #[error("the transaction was aborted")]
    Aborted,
    /// A parameter holds an unstorable text: with U+0000, or too long for an index. The source is
    /// PostgreSQL's error, if the statement was sent.
    #[error("a text has the character U+0000 or is too long to be stored")]
    Unstorable(#[source] Option<sqlx::Error>),
    /// Invalid statement or stored value: a bug.
    #[error("the database refused a statement")]
    Other(#[source] sqlx::Error),
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
                    _ if matches!(&*code, "40001" | "40P01") => Self::Conflict(error),
                    _ if is_temporary(&code) => Self::Unavailable(error),
                    _ if is_unstorable(&code) => Self::Unstorable(Some(error)),
                    _ => Self::Other(error),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            // A PostgreSQL server died during the startup handshake or `BEGIN`.
            | sqlx::Error::Protocol(_)
            | sqlx::Error::BeginFailed => Self::Unavailable(error),
            _ => Self::Other(error),
        }
    }
}

/// True for temporary errors. PostgreSQL: SQLSTATE classes 08 (connection), 53 (resources), 57
/// (operator), 58 (system), and 25006 (read-only after a failover). SQLite: primary codes BUSY, LOCKED,
/// READONLY, IOERR, FULL, and CANTOPEN (the low byte of an extended code).
fn is_temporary(code: &str) -> bool {
    if code.len() == 5 {
        let class = &code[..2];
        return matches!(class, "08" | "53" | "57" | "58") || code == "25006";
    }
    let primary = code.parse::<u32>().map(|code| code & 0xFF);
    matches!(primary, Ok(5 | 6 | 8 | 10 | 13 | 14))
}

/// True for a parameter that PostgreSQL cannot store. SQLSTATE 22001 (too long for the column), 22021
/// and 22P05 (character not in the encoding), 54000 (too long for an index).
fn is_unstorable(code: &str) -> bool {
    matches!(code, "22001" | "22021" | "22P05" | "54000")
}
