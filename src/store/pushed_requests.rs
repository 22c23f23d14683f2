//! Pushed authorization requests (RFC 9126): `auth_pushed_requests`. A background job deletes expired rows.

use std::collections::BTreeMap;

use super::db::Tx;
use super::error::Result;
use super::row::row;
use super::value::{JsonColumn, Value};
use crate::clock::Timestamp;
use crate::ids::ClientRowId;
use crate::secret::SecretHash;

/// A new pushed request.
#[derive(Clone, Debug)]
pub struct NewPushedRequest {
    /// Hash of the random part of the `request_uri`.
    pub request_uri: SecretHash,
    /// The client that pushed the request.
    pub client: ClientRowId,
    /// Parameters of the authorization request.
    pub parameters: serde_json::Value,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Expiry.
    pub expires_at: Timestamp,
}

/// Inserts a pushed request.
pub async fn insert(tx: &mut Tx, new: &NewPushedRequest) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_pushed_requests \
         (request_uri_hash, client_id, parameters, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5)",
        &[
            (&new.request_uri).into(),
            (&new.client).into(),
            Value::Json(new.parameters.clone()),
            new.created_at.into(),
            new.expires_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// A redeemed request.
#[derive(Debug)]
pub struct RedeemedRequest {
    /// Parameters of the authorization request.
    pub parameters: JsonColumn<BTreeMap<String, String>>,
    /// Expiry. The caller must check the expiry.
    pub expires_at: Timestamp,
}

row!(RedeemedRequest: parameters, expires_at);

/// Deletes and returns a pushed request of a client. A single statement, so that only one of several concurrent
/// requests gets the row, on every replica.
pub async fn redeem(
    tx: &mut Tx,
    request_uri: &SecretHash,
    client: &ClientRowId,
) -> Result<Option<RedeemedRequest>> {
    tx.fetch_optional(
        "DELETE FROM auth_pushed_requests WHERE request_uri_hash = $1 AND client_id = $2 \
         RETURNING parameters, expires_at",
        &[request_uri.into(), client.into()],
    )
    .await
}
