//! Boolean columns.

use rusqlite::types::Value as SqliteValue;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::{Decode, Postgres, Type};

use crate::store::sqlite_row::FromSqlite;

/// A boolean column; in SQLite the value may also be the text of the column's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Flag(pub bool);

impl FromSqlite for Flag {
    fn from_sqlite(value: &SqliteValue) -> Result<Self, BoxDynError> {
        match value {
            // `emails.verified` defaults to the text `false`
            SqliteValue::Text(text) => Ok(Self(text == "true")),
            value => bool::from_sqlite(value).map(Self),
        }
    }
}

impl Type<Postgres> for Flag {
    fn type_info() -> PgTypeInfo {
        <bool as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Flag {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        <bool as Decode<Postgres>>::decode(value).map(Self)
    }
}
