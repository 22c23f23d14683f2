//! Clients with a metadata document URL as client id: the snapshot of the document, in Storyden's
//! `oauth_clients` and in `auth_clients`.

use super::client_changes;
use super::client_details::{self, Details};
use super::client_keys::{self, KeysRow};
use super::clients::{CLIENT_COLUMNS, Client, ClientColumns, IS_NOT_DELETED};
use super::db::{Db, Tx};
use super::error::Result;
use super::revocation;
use super::row::row;
use super::sql::{Sql, sql};
use crate::clock::Timestamp;
use crate::ids::ClientRowId;
use crate::oauth::client_metadata::ClientKeys;

/// The stored snapshot of a document.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The client.
    pub client: Client,
    /// Keys of the client (`jwks` or `jwks_uri`).
    pub keys: ClientKeys,
    /// Time of the last fetch; `None` if Storyden fetched the document.
    pub confirmed_at: Option<Timestamp>,
    /// End of freshness: later uses fetch the document again (RFC 9111).
    pub fresh_until: Option<Timestamp>,
}

impl Snapshot {
    /// True if a fetched document may replace the client. A client with an owner or a secret is no
    /// document client.
    fn is_document_client(&self) -> bool {
        self.client.owner.is_none() && self.client.secret_hash.is_none()
    }

    /// True if the snapshot is usable without another fetch.
    #[must_use]
    pub fn serves(&self, now: Timestamp) -> bool {
        !self.is_document_client() || self.fresh_until.is_some_and(|until| now < until)
    }
}

struct SnapshotRow {
    client: ClientColumns,
    keys: KeysRow,
    confirmed_at: Option<Timestamp>,
    fresh_until: Option<Timestamp>,
}

row!(SnapshotRow: confirmed_at, fresh_until; client, keys);

/// Finds the snapshot of a client id, compared byte for byte.
pub async fn find(db: &Db, client_id: &str) -> Result<Option<Snapshot>> {
    const SQL: Sql = sql!(
        "SELECT ",
        CLIENT_COLUMNS,
        ", y.jwks, y.jwks_uri, y.confirmed_at, y.fresh_until FROM oauth_clients c \
         LEFT JOIN auth_clients y ON y.client_id = c.id WHERE c.client_id = $1 AND ",
        IS_NOT_DELETED
    );
    let row: Option<SnapshotRow> = db.fetch_optional(SQL, &[client_id.into()]).await?;
    Ok(row.map(|row| Snapshot {
        client: row.client.into(),
        keys: row.keys.into(),
        confirmed_at: row.confirmed_at,
        fresh_until: row.fresh_until,
    }))
}

/// A fetched document to store.
#[derive(Clone)]
pub struct NewSnapshot {
    /// The client, with the existing row id if there is a row.
    pub client: Client,
    /// True if the client has a row.
    pub exists: bool,
    /// True if the document changed so much that members approved a different client: all grants end
    ///
    pub ends_grants: bool,
    /// The other metadata of the document.
    pub details: Details,
    /// Keys of the client.
    pub keys: ClientKeys,
    /// Time of the fetch.
    pub confirmed_at: Timestamp,
    /// End of freshness.
    pub fresh_until: Timestamp,
}

/// Inserts or replaces a snapshot.
///
/// # Errors
/// [`super::Error::Taken`] if another replica inserted the client first, [`super::Error::Gone`] if the
/// row was deleted.
pub async fn save(tx: &mut Tx, new: &NewSnapshot) -> Result<()> {
    let client = &new.client;
    if new.exists {
        client_changes::replace(tx, client).await?;
    } else {
        client_changes::insert(tx, client).await?;
    }
    client_details::save(tx, &client.row_id, &new.details).await?;
    client_keys::save(tx, &client.row_id, &new.keys).await?;
    tx.execute(
        "UPDATE auth_clients SET confirmed_at = $2, fresh_until = $3 WHERE client_id = $1",
        &[
            (&client.row_id).into(),
            new.confirmed_at.into(),
            new.fresh_until.into(),
        ],
    )
    .await?;
    if new.ends_grants {
        revocation::end_changed_client(tx, &client.row_id, new.confirmed_at).await?;
    }
    Ok(())
}
