//! Connections to remote servers: `oauth_remote_connections`, with `auth_remote_connections` for the
//! columns that Storyden's table lacks.

use serde_json::Value as Json;

use super::db::{Db, Tx};
use super::error::Result;
use super::row::row;
use super::sql::{Sql, sql};
use super::value::{JsonColumn, Value};
use crate::clock::Timestamp;
use crate::ids::{AccountId, RemoteConnectionId};

/// A connection, with the secrets in stored form: sealed or plain.
#[derive(Clone)]
#[expect(
    missing_docs,
    reason = "columns of a Storyden table (storyden-contract.md#remote-connections)"
)]
pub struct Connection {
    pub id: RemoteConnectionId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub resource_url: String,
    pub resource: Option<String>,
    pub resource_name: Option<String>,
    pub protected_resource_metadata: Option<JsonColumn<Json>>,
    pub authorization_server: Option<String>,
    pub authorization_server_metadata: Option<JsonColumn<Json>>,
    pub mode: String,
    pub status: String,
    pub client_id: Option<String>,
    pub client_secret: Option<String>,
    pub authorization_endpoint: Option<String>,
    pub token_endpoint: Option<String>,
    pub registration_endpoint: Option<String>,
    pub token_endpoint_auth_method: Option<String>,
    pub redirect_uris: Option<JsonColumn<Option<Vec<String>>>>,
    pub redirect_uri: Option<String>,
    pub scope: Option<String>,
    pub access_token: Option<String>,
    pub refresh_token: Option<String>,
    pub token_type: Option<String>,
    pub token_expiry: Option<Timestamp>,
    pub token_refresh_started_at: Option<Timestamp>,
    pub last_error: Option<String>,
    pub added_by: AccountId,
    pub details: Details,
}

/// Columns beside Storyden's: without values for a connection that a Storyden wrote.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// Scope of the stored tokens; unknown if absent.
    pub granted_scope: Option<String>,
    /// Granted scope of the last authorization, which refreshes repeat.
    pub authorized_scope: Option<String>,
    /// Time of the last registration by this server.
    pub registered_at: Option<Timestamp>,
    /// Expiry of the registered secret (RFC 7591 §3.2.1).
    pub secret_expires_at: Option<Timestamp>,
    /// Time at which the server rejected the registration, which the next authorization replaces.
    pub registration_rejected_at: Option<Timestamp>,
}

row!(Details: granted_scope, authorized_scope, registered_at, secret_expires_at, registration_rejected_at);

row!(Connection:
    id, created_at, updated_at, resource_url, resource, resource_name, protected_resource_metadata,
    authorization_server, authorization_server_metadata, mode, status, client_id, client_secret,
    authorization_endpoint, token_endpoint, registration_endpoint, token_endpoint_auth_method,
    redirect_uris, redirect_uri, scope, access_token, refresh_token, token_type, token_expiry,
    token_refresh_started_at, last_error, added_by; details
);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("resource_url", &self.resource_url)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

const SELECT: Sql = Sql::same(
    "SELECT c.id, c.created_at, c.updated_at, c.resource_url, c.resource, c.resource_name, \
     c.protected_resource_metadata, c.authorization_server, c.authorization_server_metadata, \
     c.mode, c.status, c.client_id, c.client_secret, c.authorization_endpoint, c.token_endpoint, \
     c.registration_endpoint, c.token_endpoint_auth_method, c.redirect_uris, c.redirect_uri, \
     c.scope, c.access_token, c.refresh_token, c.token_type, c.token_expiry, \
     c.token_refresh_started_at, c.last_error, c.added_by, x.granted_scope, x.authorized_scope, \
     x.registered_at, x.secret_expires_at, x.registration_rejected_at \
     FROM oauth_remote_connections c \
     LEFT JOIN auth_remote_connections x ON x.connection_id = c.id ",
);

/// Every connection, newest first.
pub async fn list(db: &Db) -> Result<Vec<Connection>> {
    const SQL: Sql = sql!(
        SELECT,
        "ORDER BY ",
        ("julianday(c.created_at)", "c.created_at"),
        " DESC, c.id DESC"
    );
    db.fetch_all(SQL, &[]).await
}

/// Finds a connection by id.
pub async fn find(db: &Db, id: &RemoteConnectionId) -> Result<Option<Connection>> {
    const SQL: Sql = sql!(SELECT, "WHERE c.id = $1");
    db.fetch_optional(SQL, &[id.into()]).await
}

/// Finds the connection of an account to a resource by an authorization server.
pub async fn find_same(
    db: &Db,
    resource_url: &str,
    authorization_server: &str,
    added_by: &AccountId,
) -> Result<Option<Connection>> {
    const SQL: Sql = sql!(
        SELECT,
        "WHERE c.resource_url = $1 AND c.authorization_server = $2 AND c.added_by = $3"
    );
    db.fetch_optional(
        SQL,
        &[
            resource_url.into(),
            authorization_server.into(),
            added_by.into(),
        ],
    )
    .await
}

/// Inserts a connection and deletes an unconnected row for the same resource, server and account.
///
/// # Errors
/// [`super::Error::Taken`] if a connected row exists.
pub async fn insert(tx: &mut Tx, new: &Connection) -> Result<()> {
    // Absent texts are stored as empty, as Storyden does, so that the unique index applies.
    let or_empty = |text: &Option<String>| Value::from(text.clone().unwrap_or_default());
    let same: &[Value] = &[
        new.resource_url.as_str().into(),
        or_empty(&new.authorization_server),
        (&new.added_by).into(),
    ];
    for sql in [
        "DELETE FROM auth_remote_connections WHERE connection_id IN (SELECT c.id \
         FROM oauth_remote_connections c WHERE c.resource_url = $1 AND c.authorization_server = $2 \
         AND c.added_by = $3 AND c.access_token IS NULL)",
        "DELETE FROM auth_remote_flows WHERE flow_id IN (SELECT f.id \
         FROM oauth_remote_authorisation_flows f JOIN oauth_remote_connections c \
         ON c.id = f.connection_id WHERE c.resource_url = $1 AND c.authorization_server = $2 \
         AND c.added_by = $3 AND c.access_token IS NULL)",
        "DELETE FROM oauth_remote_authorisation_flows WHERE connection_id IN (SELECT c.id \
         FROM oauth_remote_connections c WHERE c.resource_url = $1 AND c.authorization_server = $2 \
         AND c.added_by = $3 AND c.access_token IS NULL)",
        "DELETE FROM oauth_remote_connections WHERE resource_url = $1 \
         AND authorization_server = $2 AND added_by = $3 AND access_token IS NULL",
    ] {
        tx.execute(sql, same).await?;
    }
    let json = |value: &Option<JsonColumn<Json>>| {
        Value::Json(value.as_ref().map_or(Json::Null, |json| json.0.clone()))
    };
    let uris = new
        .redirect_uris
        .as_ref()
        .and_then(|uris| uris.0.as_deref());
    tx.execute(
        "INSERT INTO oauth_remote_connections (id, created_at, updated_at, resource_url, resource, \
         resource_name, protected_resource_metadata, authorization_server, \
         authorization_server_metadata, mode, status, client_id, client_secret, \
         authorization_endpoint, token_endpoint, registration_endpoint, \
         token_endpoint_auth_method, redirect_uris, redirect_uri, scope, added_by) \
         VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
         $18, $19, $20)",
        &[
            (&new.id).into(),
            new.created_at.into(),
            new.resource_url.as_str().into(),
            or_empty(&new.resource),
            or_empty(&new.resource_name),
            json(&new.protected_resource_metadata),
            or_empty(&new.authorization_server),
            json(&new.authorization_server_metadata),
            new.mode.as_str().into(),
            new.status.as_str().into(),
            new.client_id.clone().into(),
            new.client_secret.clone().into(),
            new.authorization_endpoint.clone().into(),
            new.token_endpoint.clone().into(),
            or_empty(&new.registration_endpoint),
            new.token_endpoint_auth_method.clone().into(),
            Value::optional_names(uris),
            new.redirect_uri.clone().into(),
            new.scope.clone().into(),
            (&new.added_by).into(),
        ],
    )
    .await?;
    if new.details.registered_at.is_some() {
        registered(tx, &new.id, &new.details).await?;
    }
    Ok(())
}

/// Stores the age of a registration.
pub(super) async fn registered(
    tx: &mut Tx,
    id: &RemoteConnectionId,
    details: &Details,
) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_remote_connections (connection_id, registered_at, secret_expires_at) \
         VALUES ($1, $2, $3) ON CONFLICT (connection_id) DO UPDATE SET \
         registered_at = excluded.registered_at, secret_expires_at = excluded.secret_expires_at, \
         registration_rejected_at = NULL",
        &[
            id.into(),
            details.registered_at.into(),
            details.secret_expires_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Changes of a connection.
#[derive(Clone, Debug)]
pub struct Change {
    /// The connection.
    pub id: RemoteConnectionId,
    /// Requested scope, from the next authorization on.
    pub scope: Option<String>,
    /// The secret, in stored form.
    pub client_secret: Option<String>,
    /// Authentication method at the token endpoint.
    pub auth_method: Option<String>,
    /// Time of the change.
    pub now: Timestamp,
}

/// Changes a connection; returns false if the connection does not exist.
pub async fn update(tx: &mut Tx, change: &Change) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE oauth_remote_connections SET scope = COALESCE($2, scope), \
             client_secret = COALESCE($3, client_secret), token_endpoint_auth_method = \
             COALESCE($4, token_endpoint_auth_method), updated_at = $5 WHERE id = $1",
            &[
                (&change.id).into(),
                change.scope.clone().into(),
                change.client_secret.clone().into(),
                change.auth_method.clone().into(),
                change.now.into(),
            ],
        )
        .await?;
    Ok(changed > 0)
}

/// Deletes a connection with the tokens and flows; returns false if the connection does not exist.
pub async fn delete(tx: &mut Tx, id: &RemoteConnectionId) -> Result<bool> {
    let mut deleted = 0;
    for sql in [
        "DELETE FROM auth_remote_connections WHERE connection_id = $1",
        "DELETE FROM auth_remote_flows WHERE flow_id IN \
         (SELECT f.id FROM oauth_remote_authorisation_flows f WHERE f.connection_id = $1)",
        "DELETE FROM oauth_remote_authorisation_flows WHERE connection_id = $1",
        "DELETE FROM oauth_remote_connections WHERE id = $1",
    ] {
        deleted = tx.execute(sql, &[id.into()]).await?;
    }
    Ok(deleted > 0) // rows of the last statement: the connection
}
