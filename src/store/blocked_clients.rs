//! Clients known by the URL of a metadata document that an administrator blocked: `auth_blocked_clients`.

use serde::Serialize;

use super::db::{Db, Tx};
use super::error::Result;
use super::row::row;
use crate::clock::Timestamp;
use crate::ids::{AccountId, BlockedClientId, ClientRowId};

/// Maximum number of blocked clients.
pub const BLOCKED_MAX: i64 = 1_000;

/// A blocked client.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthBlockedClient)]
pub struct BlockedClient {
    /// Account of the administrator; absent if a command blocked the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<AccountId>,
    /// The URL: the client id.
    pub client_id: String,
    /// Time of the block.
    #[serde(rename = "createdAt")]
    pub created_at: Timestamp,
    /// Id of the block.
    pub id: BlockedClientId,
}

row!(BlockedClient: blocked_by, client_id, created_at, id);

/// True if a client id is blocked.
pub async fn is_blocked(db: &Db, client_id: &str) -> Result<bool> {
    let found: Option<BlockedClientId> = db
        .fetch_optional(
            "SELECT b.id FROM auth_blocked_clients b WHERE b.client_id = $1",
            &[client_id.into()],
        )
        .await?;
    Ok(found.is_some())
}

/// Lists the blocked clients, newest first; at most [`BLOCKED_MAX`] exist.
pub async fn list(db: &Db) -> Result<Vec<BlockedClient>> {
    db.fetch_all(
        "SELECT b.blocked_by, b.client_id, b.created_at, b.id FROM auth_blocked_clients b \
         ORDER BY b.created_at DESC, b.id DESC LIMIT $1",
        &[BLOCKED_MAX.into()],
    )
    .await
}

/// Blocks a client id; returns false if it is blocked already, or [`BLOCKED_MAX`] are.
pub async fn insert(tx: &mut Tx, new: &BlockedClient) -> Result<bool> {
    let made = tx
        .execute(
            "INSERT INTO auth_blocked_clients (id, client_id, blocked_by, created_at) \
             SELECT $1, $2, $3, $4 WHERE (SELECT COUNT(*) AS n FROM auth_blocked_clients) < $5 \
             ON CONFLICT (client_id) DO NOTHING",
            &[
                (&new.id).into(),
                new.client_id.as_str().into(),
                new.blocked_by.as_ref().into(),
                new.created_at.into(),
                BLOCKED_MAX.into(),
            ],
        )
        .await?;
    Ok(made > 0)
}

/// Finds the row of a client by client id.
pub async fn client_row(tx: &mut Tx, client_id: &str) -> Result<Option<ClientRowId>> {
    tx.fetch_optional(
        "SELECT c.id FROM oauth_clients c WHERE c.client_id = $1",
        &[client_id.into()],
    )
    .await
}

/// Ends a block; returns the client id, `None` if there is no such block.
pub async fn delete(tx: &mut Tx, id: &BlockedClientId) -> Result<Option<String>> {
    tx.fetch_optional(
        "DELETE FROM auth_blocked_clients WHERE id = $1 RETURNING client_id",
        &[id.into()],
    )
    .await
}
