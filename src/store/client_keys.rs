//! Public keys of clients, in `auth_clients`: registered (`jwks`), or at a URL of the client (`jwks_uri`).

use super::db::{Db, Tx};
use super::error::Result;
use super::row::row;
use super::value::{JsonColumn, Value};
use crate::ids::ClientRowId;
use crate::oauth::client_metadata::ClientKeys;

/// The key columns of `auth_clients`.
pub(super) struct KeysRow {
    jwks: Option<JsonColumn<serde_json::Value>>,
    jwks_uri: Option<String>,
}

row!(KeysRow: jwks, jwks_uri);

impl KeysRow {
    /// True if the client has registered keys, or keys at a URL.
    pub(super) fn is_any(&self) -> bool {
        let registered = self.jwks.as_ref().is_some_and(|jwks| !jwks.0.is_null());
        registered || self.jwks_uri.is_some()
    }
}

impl From<KeysRow> for ClientKeys {
    fn from(row: KeysRow) -> Self {
        Self {
            jwks: row.jwks.map(|jwks| jwks.0).filter(|jwks| !jwks.is_null()),
            jwks_uri: row.jwks_uri,
        }
    }
}

/// Finds the keys of a client.
pub async fn find(db: &Db, client: &ClientRowId) -> Result<ClientKeys> {
    let row: Option<KeysRow> = db
        .fetch_optional(
            "SELECT jwks, jwks_uri FROM auth_clients WHERE client_id = $1",
            &[client.into()],
        )
        .await?;
    Ok(row.map(ClientKeys::from).unwrap_or_default())
}

/// Inserts or replaces the keys of a client. Other columns of the row are unchanged.
pub async fn save(tx: &mut Tx, client: &ClientRowId, keys: &ClientKeys) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_clients (client_id, jwks, jwks_uri) VALUES ($1, $2, $3) \
         ON CONFLICT (client_id) DO UPDATE SET jwks = excluded.jwks, jwks_uri = excluded.jwks_uri",
        &[
            client.into(),
            Value::Json(keys.jwks.clone().unwrap_or_default()),
            keys.jwks_uri.clone().into(),
        ],
    )
    .await?;
    Ok(())
}
