//! Errors of SQLite, as errors of sqlx.

use std::borrow::Cow;

use rusqlite::ErrorCode;
use rusqlite::ffi::{
    SQLITE_CONSTRAINT_CHECK, SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_NOTNULL,
    SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE,
};
use sqlx::error::{DatabaseError, ErrorKind};

/// An error code of SQLite with the message.
#[derive(Clone, Debug, thiserror::Error)]
#[error("(code: {code}) {message}")]
pub(super) struct SqliteFault {
    /// The extended code.
    code: i32,
    message: String,
}

impl DatabaseError for SqliteFault {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.to_string().into())
    }

    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        match self.code {
            SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY => ErrorKind::UniqueViolation,
            SQLITE_CONSTRAINT_FOREIGNKEY => ErrorKind::ForeignKeyViolation,
            SQLITE_CONSTRAINT_NOTNULL => ErrorKind::NotNullViolation,
            SQLITE_CONSTRAINT_CHECK => ErrorKind::CheckViolation,
            _ => ErrorKind::Other,
        }
    }
}

/// Converts an error.
pub(super) fn to_sqlx(error: rusqlite::Error) -> sqlx::Error {
    let (fault, message) = match error {
        rusqlite::Error::SqliteFailure(fault, message) => (fault, message),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error, Some(msg)),
        other => return sqlx::Error::AnyDriverError(Box::new(other)),
    };
    sqlx::Error::Database(Box::new(SqliteFault {
        code: fault.extended_code,
        message: message.unwrap_or_else(|| fault.to_string()),
    }))
}

/// Returns the same error again, for a further request that it concerns.
pub(super) fn again(error: &sqlx::Error) -> sqlx::Error {
    let fault = match error {
        sqlx::Error::Database(fault) => fault.try_downcast_ref::<SqliteFault>(),
        _ => None,
    };
    match fault {
        Some(fault) => sqlx::Error::Database(Box::new(fault.clone())),
        None => sqlx::Error::BeginFailed,
    }
}

/// True if another connection holds a lock.
pub(super) fn is_locked(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// True if the progress handler interrupted the statement.
pub(super) fn is_interrupted(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted)
}
