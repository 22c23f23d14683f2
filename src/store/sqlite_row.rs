//! Rows of SQLite.

use std::sync::Arc;

use rusqlite::types::Value as SqliteValue;
use sqlx::error::BoxDynError;

/// A row: the values, with the names of the columns, which all rows of a result share.
#[derive(Debug)]
pub struct SqliteRow {
    columns: Arc<[Box<str>]>,
    values: Vec<SqliteValue>,
}

/// A type of a column of SQLite.
pub trait FromSqlite: Sized {
    /// Decodes a value.
    ///
    /// # Errors
    /// If the value has another type or form.
    fn from_sqlite(value: &SqliteValue) -> Result<Self, BoxDynError>;
}

/// A column: its name or its index.
pub(super) trait SqliteColumn: Copy + std::fmt::Display {
    /// Returns the index in the list of the columns.
    fn position(self, columns: &[Box<str>]) -> Option<usize>;
}

impl SqliteColumn for usize {
    fn position(self, columns: &[Box<str>]) -> Option<usize> {
        (self < columns.len()).then_some(self)
    }
}

impl SqliteColumn for &str {
    fn position(self, columns: &[Box<str>]) -> Option<usize> {
        columns.iter().rposition(|name| **name == *self)
    }
}

impl SqliteRow {
    pub(super) fn new(columns: &Arc<[Box<str>]>, values: Vec<SqliteValue>) -> Self {
        Self {
            columns: Arc::clone(columns),
            values,
        }
    }

    /// Decodes a column.
    pub(super) fn get<T: FromSqlite>(&self, column: impl SqliteColumn) -> sqlx::Result<T> {
        let index = column.position(&self.columns);
        let index = index.ok_or_else(|| sqlx::Error::ColumnNotFound(column.to_string()))?;
        T::from_sqlite(&self.values[index]).map_err(|source| sqlx::Error::ColumnDecode {
            index: column.to_string(),
            source,
        })
    }
}

impl<T: FromSqlite> FromSqlite for Option<T> {
    fn from_sqlite(value: &SqliteValue) -> Result<Self, BoxDynError> {
        match value {
            SqliteValue::Null => Ok(None),
            value => T::from_sqlite(value).map(Some),
        }
    }
}

impl FromSqlite for String {
    fn from_sqlite(value: &SqliteValue) -> Result<Self, BoxDynError> {
        text(value).map(str::to_owned)
    }
}

impl FromSqlite for i64 {
    fn from_sqlite(value: &SqliteValue) -> Result<Self, BoxDynError> {
        match value {
            SqliteValue::Integer(number) => Ok(*number),
            value => Err(unexpected("an integer", value)),
        }
    }
}

impl FromSqlite for bool {
    fn from_sqlite(value: &SqliteValue) -> Result<Self, BoxDynError> {
        i64::from_sqlite(value).map(|number| number != 0)
    }
}

/// Borrows a text.
///
/// # Errors
/// If the value is none.
pub(super) fn text(value: &SqliteValue) -> Result<&str, BoxDynError> {
    match value {
        SqliteValue::Text(text) => Ok(text),
        value => Err(unexpected("a text", value)),
    }
}

fn unexpected(wanted: &str, value: &SqliteValue) -> BoxDynError {
    format!(
        "the column has the type {} instead of {wanted}",
        value.data_type()
    )
    .into()
}
