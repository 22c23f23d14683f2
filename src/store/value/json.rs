//! JSON columns.

use serde::de::DeserializeOwned;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::sqlite::{SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Postgres, Sqlite, Type, TypeInfo as _, ValueRef as _};

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

impl<T> Type<Sqlite> for JsonColumn<T> {
    fn type_info() -> SqliteTypeInfo {
        <[u8] as Type<Sqlite>>::type_info()
    }

    fn compatible(_: &SqliteTypeInfo) -> bool {
        true // Storyden writes BLOBs and reads TEXT too
    }
}

impl<'r, T: DeserializeOwned + Default> Decode<'r, Sqlite> for JsonColumn<T> {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.type_info().name() == "TEXT" {
            Self::read(<&str as Decode<Sqlite>>::decode(value)?.as_bytes())
        } else {
            Self::read(<&[u8] as Decode<Sqlite>>::decode(value)?)
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
        let value = <serde_json::Value as Decode<Postgres>>::decode(value)?;
        let value: Option<T> = serde_json::from_value(value)?;
        Ok(Self(value.unwrap_or_default()))
    }
}
