//! What can go wrong in the store, by what a caller does about it.

/// The outcome of a store function.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a store function failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A unique value is taken; the constraint's or column's name as the engine gives it.
    #[error("a unique value is taken: {0}")]
    Taken(String),
    /// A row that another points at is gone (or was never there).
    #[error("a row that another points at is gone")]
    Gone,
    /// What the transaction was to change is not as it was read; nothing was written.
    #[error("somebody else was first")]
    Lost,
    /// Too many writers wait already.
    #[error("too many writers are waiting")]
    Busy,
    /// The database is away, full, locked or overloaded; it may be back.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// PostgreSQL could not serialize the transaction with others.
    #[error("the transaction met another")]
    Conflict(#[source] sqlx::Error),
    /// The task of the transaction was ended before it was done.
    #[error("the transaction was aborted")]
    Aborted,
    /// A parameter holds a text that no column stores: with U+0000, or too long for an index. The cause
    /// is PostgreSQL's answer, if the statement was sent.
    #[error("a text has the character U+0000 or is too long to be stored")]
    Unstorable(#[source] Option<sqlx::Error>),
    /// A fault of the statement or of a stored value.
    #[error("the database refused a statement")]
    Other(#[source] sqlx::Error),
}

impl Error {
    /// Whether the same request may succeed a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Busy | Self::Unavailable(_) | Self::Conflict(_) | Self::Aborted
        )
    }

    /// Whether the same transaction may succeed at once.
    pub(super) fn may_be_retried(&self) -> bool {
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
                    _ if is_passing(&code) => Self::Unavailable(error),
                    _ if is_unstorable(&code) => Self::Unstorable(Some(error)),
                    _ => Self::Other(error),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            // What a server leaves behind that dies in the middle of a greeting or of a `BEGIN`.
            | sqlx::Error::Protocol(_)
            | sqlx::Error::BeginFailed => Self::Unavailable(error),
            _ => Self::Other(error),
        }
    }
}

/// SQLSTATE classes 08 (connection), 53 (resources), 57 (operator) and 58 (system) and 25006
/// (read-only after a failover) of PostgreSQL; of SQLite the primary codes BUSY, LOCKED, READONLY,
/// IOERR, FULL and CANTOPEN (the low byte of an extended code).
fn is_passing(code: &str) -> bool {
    if code.len() == 5 {
        let class = &code[..2];
        return matches!(class, "08" | "53" | "57" | "58") || code == "25006";
    }
    let primary = code.parse::<u32>().map(|code| code & 0xFF);
    matches!(primary, Ok(5 | 6 | 8 | 10 | 13 | 14))
}

/// SQLSTATE of PostgreSQL for a parameter that cannot be stored: 22001 (too long for its column), 22021
/// and 22P05 (a character that the encoding does not have), 54000 (too long for an index).
fn is_unstorable(code: &str) -> bool {
    matches!(code, "22001" | "22021" | "22P05" | "54000")
}
