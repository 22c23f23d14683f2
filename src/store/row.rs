//! Rows: decoding from both engines.
//!
//! `row!` lists the columns of a struct. A query with a single column needs no struct: every type that
//! decodes from both engines is a row, and reads the first column.

use sqlx::postgres::PgRow;
use sqlx::{ColumnIndex, Decode, Postgres, Row as _, Type};

use super::sqlite_row::{FromSqlite, SqliteColumn, SqliteRow};

/// A row as the driver of an engine returns it.
pub enum EngineRow {
    /// A row of SQLite.
    Sqlite(SqliteRow),
    /// A row of PostgreSQL.
    Postgres(PgRow),
}

/// A type of a column, decoded from both engines.
pub trait Column: FromSqlite + for<'r> Decode<'r, Postgres> + Type<Postgres> {}
impl<T> Column for T where T: FromSqlite + for<'r> Decode<'r, Postgres> + Type<Postgres> {}

/// A type that decodes from a row. `row!` implements this trait for a struct.
pub trait Row: Sized {
    /// Decodes the row.
    ///
    /// # Errors
    /// If a column is missing or has a value that the field does not accept.
    fn decode(row: &EngineRow) -> sqlx::Result<Self>;
}

impl<T: Column> Row for T {
    fn decode(row: &EngineRow) -> sqlx::Result<Self> {
        row.get(0)
    }
}

impl EngineRow {
    /// Decodes the column with this name or index.
    ///
    /// # Errors
    /// If the column is missing or has a value that `T` does not accept.
    pub(super) fn get<T: Column, I>(&self, column: I) -> sqlx::Result<T>
    where
        I: SqliteColumn + ColumnIndex<PgRow>,
    {
        match self {
            Self::Sqlite(row) => row.get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }
}

/// Implements [`Row`] for a struct. Lists the fields with a column of the same name and, after a
/// semicolon, the fields that are rows themselves and decode from further columns of the same row.
macro_rules! row {
    ($name:ident: $($column:ident),* $(; $($part:ident),+)?) => {
        impl $crate::store::row::Row for $name {
            fn decode(row: &$crate::store::row::EngineRow) -> sqlx::Result<Self> {
                Ok(Self {
                    $($column: row.get(stringify!($column))?,)*
                    $($($part: $crate::store::row::Row::decode(row)?,)+)?
                })
            }
        }
    };
}
pub(super) use row;
