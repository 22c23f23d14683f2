//! Columns and parameters with the id types of `ids.rs`.

use rusqlite::types::Value as SqliteValue;
use sqlx::error::BoxDynError;
use sqlx::{Decode, Type};

use super::Value;
use crate::store::sqlite_row::{FromSqlite, text};

/// Implements the conversion from and to the id types of `ids.rs`.
macro_rules! values_from_ids {
    ($($id:ident),*) => {$(
        impl From<&crate::ids::$id> for Value {
            fn from(id: &crate::ids::$id) -> Self {
                Self::Text(Some(id.as_str().to_owned()))
            }
        }

        impl From<Option<&crate::ids::$id>> for Value {
            fn from(id: Option<&crate::ids::$id>) -> Self {
                Self::Text(id.map(|id| id.as_str().to_owned()))
            }
        }

        impl FromSqlite for crate::ids::$id {
            fn from_sqlite(value: &SqliteValue) -> Result<Self, BoxDynError> {
                text(value).map(Self::new)
            }
        }

        impl<DB: sqlx::Database> Type<DB> for crate::ids::$id
        where
            String: Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                String::type_info()
            }

            fn compatible(kind: &DB::TypeInfo) -> bool {
                String::compatible(kind)
            }
        }

        impl<'r, DB: sqlx::Database> Decode<'r, DB> for crate::ids::$id
        where
            String: Decode<'r, DB>,
        {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
                String::decode(value).map(Self::new)
            }
        }
    )*};
}

values_from_ids!(
    AccountId,
    RoleId,
    SessionId,
    ClientRowId,
    AuthorizationRequestId,
    AuthorizationCodeId,
    DeviceAuthorizationId,
    RefreshTokenId,
    GrantId,
    AccessKeyId,
    AuditId,
    BlockedClientId,
    ConsentId,
    RemoteConnectionId,
    RemoteFlowId,
    ResourceId,
    IssuerId
);
