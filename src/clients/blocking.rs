//! Blocking of clients that are known by the URL of a metadata document. A deletion alone would not last: the next
//! authorization request fetches the document again.

use crate::oauth::client_id_url;
use crate::store::audit::{self, Entry, Event};
use crate::store::blocked_clients::{self, BlockedClient};
use crate::store::{self, Tx, client_deletion};

/// Result of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// The client is blocked now, and its access ended.
    Done,
    /// The client was blocked already, or the list is full.
    Unchanged,
}

/// True if a client id can be blocked: it is a URL. Other clients are deleted.
#[must_use]
pub fn can_be_blocked(client_id: &str) -> bool {
    client_id_url::is_url(client_id)
}

/// Blocks a client id, and deletes the client with everything that was granted to it. `entry` is the audit entry of
/// the block.
///
/// # Errors
/// If the database does not answer.
pub async fn block(tx: &mut Tx, new: &BlockedClient, entry: &Entry) -> store::Result<Blocked> {
    if !blocked_clients::insert(tx, new).await? {
        return Ok(Blocked::Unchanged);
    }
    if let Some(row) = blocked_clients::client_row(tx, &new.client_id).await? {
        client_deletion::delete(tx, &row, entry.at).await?;
        audit::insert(tx, &entry.clone().event(Event::ClientDeleted)).await?;
    }
    audit::insert(tx, entry).await?;
    Ok(Blocked::Done)
}
