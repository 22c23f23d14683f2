//! Boolean columns.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::sqlite::{SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Postgres, Sqlite, Type, TypeInfo as _, ValueRef as _};

/// A boolean column; in SQLite the value may also be the text of the column's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Flag(pub bool);

impl Type<Sqlite> for Flag {
    fn type_info() -> SqliteTypeInfo {
        <bool as Type<Sqlite>>::type_info()
    }

    fn compatible(_: &SqliteTypeInfo) -> bool {
        true // `emails.verified` defaults to the text `false`
    }
}

impl<'r> Decode<'r, Sqlite> for Flag {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.type_info().name() == "TEXT" {
            return Ok(Self(<&str as Decode<Sqlite>>::decode(value)? == "true"));
        }
        Ok(Self(<i64 as Decode<Sqlite>>::decode(value)? != 0))
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
