//! Errors in requests of clients, for their developers: `auth_client_errors`. Equal errors share a row with a count.

use time::Duration;

use super::db::{Db, Tx};
use super::error::Result;
use super::row::row;
use crate::clock::Timestamp;
use crate::ids::ClientRowId;
use crate::secret::Secret;

/// Rows kept for a client.
pub const KEPT: i64 = 100;

/// Time for which a row is kept after its last error.
pub const KEPT_FOR: Duration = Duration::days(7);

/// Equal errors of a client.
#[derive(Clone, Debug)]
pub struct ClientError {
    /// The client.
    pub client_id: ClientRowId,
    /// Path of the endpoint.
    pub endpoint: String,
    /// Error code.
    pub error: String,
    /// Description of the last one, as sent to the client.
    pub description: String,
    /// Name of the [`crate::oauth::mistake::MistakeKind`].
    pub mistake: String,
    /// The refused value, safe to show.
    pub value: Option<String>,
    /// Number of errors.
    pub occurrences: i64,
    /// Time of the first one.
    pub first_at: Timestamp,
    /// Time of the last one.
    pub last_at: Timestamp,
}

row!(ClientError:
    client_id, endpoint, error, description, mistake, value, occurrences, first_at, last_at
);

impl ClientError {
    /// The row id: a hash of everything in which equal errors agree.
    #[must_use]
    pub fn id(&self) -> String {
        let value = self.value.as_deref().unwrap_or_default();
        // No part but the last has a line break.
        let parts = [
            self.client_id.as_str(),
            &self.endpoint,
            &self.error,
            &self.mistake,
            value,
        ];
        Secret::new(parts.join("\n")).hash().as_str().to_owned()
    }
}

/// Adds errors of a client, and deletes the rows beyond [`KEPT`]. Adds nothing if the client was deleted.
pub async fn record(tx: &mut Tx, client: &ClientRowId, errors: &[ClientError]) -> Result<()> {
    for error in errors {
        add(tx, error).await?;
    }
    prune(tx, client).await
}

async fn add(tx: &mut Tx, error: &ClientError) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_client_errors (id, client_id, endpoint, error, description, mistake, value, \
         occurrences, first_at, last_at, expires_at) \
         SELECT $1, c.id, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM oauth_clients c WHERE c.id = $2 \
         ON CONFLICT (id) DO UPDATE SET description = excluded.description, \
         occurrences = auth_client_errors.occurrences + excluded.occurrences, \
         last_at = excluded.last_at, expires_at = excluded.expires_at",
        &[
            error.id().into(),
            (&error.client_id).into(),
            error.endpoint.as_str().into(),
            error.error.as_str().into(),
            error.description.as_str().into(),
            error.mistake.as_str().into(),
            error.value.clone().into(),
            error.occurrences.into(),
            error.first_at.into(),
            error.last_at.into(),
            (error.last_at + KEPT_FOR).into(),
        ],
    )
    .await?;
    Ok(())
}

/// Deletes the rows of a client beyond [`KEPT`]: the newest of each mistake stay longest, so that a flood of one mistake
/// displaces no other.
async fn prune(tx: &mut Tx, client: &ClientRowId) -> Result<()> {
    tx.execute(
        "DELETE FROM auth_client_errors WHERE id IN (SELECT y.id FROM \
         (SELECT x.id, x.last_at, ROW_NUMBER() OVER \
         (PARTITION BY x.mistake ORDER BY x.last_at DESC, x.id) AS place \
         FROM auth_client_errors x WHERE x.client_id = $1) y \
         ORDER BY y.place, y.last_at DESC, y.id LIMIT 1000 OFFSET $2)",
        &[client.into(), KEPT.into()],
    )
    .await?;
    Ok(())
}

/// Lists the errors of a client since a time, the last one first; at most [`KEPT`].
pub async fn list(db: &Db, client: &ClientRowId, since: Timestamp) -> Result<Vec<ClientError>> {
    db.fetch_all(
        "SELECT x.client_id, x.endpoint, x.error, x.description, x.mistake, x.value, x.occurrences, \
         x.first_at, x.last_at FROM auth_client_errors x WHERE x.client_id = $1 AND x.last_at >= $2 \
         ORDER BY x.last_at DESC, x.id LIMIT $3",
        &[client.into(), since.into(), KEPT.into()],
    )
    .await
}

/// Deletes the errors of a client that is deleted.
pub async fn delete_of(tx: &mut Tx, client: &ClientRowId) -> Result<()> {
    tx.execute(
        "DELETE FROM auth_client_errors WHERE client_id = $1",
        &[client.into()],
    )
    .await?;
    Ok(())
}
