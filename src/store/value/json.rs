//! JSON columns.

use rusqlite::types::Value as SqliteValue;
use serde::de::DeserializeOwned;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::{Decode, Postgres, Type};

use crate::store::sqlite_row::{FromSqlite, text};

/// A JSON column: `jsonb`, or a BLOB or TEXT. JSON `null` reads as the default of `T`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonColumn<T>(pub T);

/// A JSON list of strings.
pub type Names = JsonColumn<Vec<String>>;

impl<T> JsonColumn<T> {
    fn read(bytes: &[u8]) -> Result<Self, BoxDynError>
    where
        T: DeserializeOwned + Default,
    {
        let value: Option<T> = serde_json::from_slice(bytes)?;
        Ok(Self(value.unwrap_or_default()))
    }
}

impl Names {
    /// Iterates over the strings.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<T: DeserializeOwned + Default> FromSqlite for JsonColumn<T> {
    fn from_sqlite(value: &SqliteValue) -> Result<Self, BoxDynError> {
        match value {
            SqliteValue::Blob(bytes) => Self::read(bytes),
            value => Self::read(text(value)?.as_bytes()), // Storyden writes BLOBs and reads TEXT too
        }
    }
}

impl<T> Type<Postgres> for JsonColumn<T> {
    fn type_info() -> PgTypeInfo {
        <serde_json::Value as Type<Postgres>>::type_info()
    }
}

impl<'r, T: DeserializeOwned + Default> Decode<'r, Postgres> for JsonColumn<T> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let bytes = value.as_bytes()?;
        // The binary form of `jsonb` is the text after a version number, 1.
        Self::read(bytes.strip_prefix(&[1]).unwrap_or(bytes))
    }
}
