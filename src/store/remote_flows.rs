//! Authorizations in progress at remote servers: `oauth_remote_authorisation_flows`, with
//! `auth_remote_flows`.

use super::db::{Db, Tx};
use super::error::Result;
use super::row::row;
use crate::clock::Timestamp;
use crate::ids::{AccountId, RemoteConnectionId, RemoteFlowId};

/// A new authorization flow.
#[derive(Clone)]
pub struct NewFlow {
    /// Row id.
    pub id: RemoteFlowId,
    /// The base64url SHA-256 of the `state`.
    pub state_hash: String,
    /// The PKCE verifier, in stored form.
    pub verifier: String,
    /// Redirect URI.
    pub redirect_uri: String,
    /// The connection.
    pub connection: RemoteConnectionId,
    /// The account that started the flow.
    pub account: AccountId,
    /// The expected issuer of the response.
    pub issuer: Option<String>,
    /// Scope of the authorization request.
    pub scope: Option<String>,
    /// Client id of the authorization request.
    pub client_id: String,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Expiry.
    pub expires_at: Timestamp,
}

/// Inserts an authorization flow.
///
/// # Errors
/// [`super::Error::Gone`] if the connection was deleted.
pub async fn insert(tx: &mut Tx, new: &NewFlow) -> Result<()> {
    tx.execute(
        "INSERT INTO oauth_remote_authorisation_flows \
         (id, created_at, state_hash, pkce_verifier, redirect_uri, expires_at, connection_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            (&new.id).into(),
            new.created_at.into(),
            new.state_hash.as_str().into(),
            new.verifier.as_str().into(),
            new.redirect_uri.as_str().into(),
            new.expires_at.into(),
            (&new.connection).into(),
        ],
    )
    .await?;
    tx.execute(
        "INSERT INTO auth_remote_flows (flow_id, account_id, issuer, scope, client_id) \
         VALUES ($1, $2, $3, $4, $5)",
        &[
            (&new.id).into(),
            (&new.account).into(),
            new.issuer.clone().into(),
            new.scope.clone().into(),
            new.client_id.as_str().into(),
        ],
    )
    .await?;
    Ok(())
}

/// An authorization flow.
#[derive(Clone)]
pub struct Flow {
    /// Row id.
    pub id: RemoteFlowId,
    /// The PKCE verifier, in stored form.
    pub pkce_verifier: String,
    /// Redirect URI.
    pub redirect_uri: String,
    /// The connection.
    pub connection_id: RemoteConnectionId,
    /// Expiry.
    pub expires_at: Timestamp,
    /// Time of the response.
    pub consumed_at: Option<Timestamp>,
    /// The account that started the flow; unknown for a flow that a Storyden started.
    pub account_id: Option<AccountId>,
    /// The expected issuer of the response.
    pub issuer: Option<String>,
    /// Scope of the authorization request, if known.
    pub scope: Option<String>,
    /// Client id of the authorization request, if known.
    pub client_id: Option<String>,
}

row!(Flow:
    id, pkce_verifier, redirect_uri, connection_id, expires_at, consumed_at, account_id, issuer,
    scope, client_id
);

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flow")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Finds the flow of a `state`.
pub async fn find(db: &Db, state_hash: &str) -> Result<Option<Flow>> {
    db.fetch_optional(
        "SELECT f.id, f.pkce_verifier, f.redirect_uri, f.connection_id, f.expires_at, \
         f.consumed_at, x.account_id, x.issuer, x.scope, x.client_id FROM oauth_remote_authorisation_flows f \
         LEFT JOIN auth_remote_flows x ON x.flow_id = f.id WHERE f.state_hash = $1",
        &[state_hash.into()],
    )
    .await
}

/// Consumes a flow; true for the first response only.
pub async fn consume(db: &Db, id: &RemoteFlowId, now: Timestamp) -> Result<bool> {
    let changed = db
        .execute(
            "UPDATE oauth_remote_authorisation_flows SET consumed_at = $2 \
             WHERE id = $1 AND consumed_at IS NULL",
            vec![id.into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}
