//! Tokens and registrations of connections to remote servers, and the lease of a refresh.

use super::db::{Db, Tx};
use super::error::Result;
use super::remote::{Details, registered};
use super::sql::{Sql, sql};
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::RemoteConnectionId;

/// New tokens, in stored form. Absent values stay, except the expiry.
#[derive(Clone)]
pub struct NewTokens {
    /// The connection.
    pub id: RemoteConnectionId,
    /// The access token.
    pub access_token: String,
    /// Token type.
    pub token_type: String,
    /// The refresh token, if the response has a new token.
    pub refresh_token: Option<String>,
    /// Expiry of the access token, if known.
    pub expiry: Option<Timestamp>,
    /// The granted scope, if known.
    pub scope: GrantedScope,
    /// Time of the response.
    pub now: Timestamp,
}

/// Place of the granted scope.
#[derive(Clone, Debug)]
pub enum GrantedScope {
    /// Beside the requested scope, after an authorization.
    Authorized(Option<String>),
    /// Beside the requested scope, after a refresh.
    Refreshed(Option<String>),
    /// In place of the requested scope, which stays if the granted scope is unknown: as in a Storyden.
    Replacing(Option<String>),
}

/// Stores tokens, marks the connection as connected and releases the refresh lease.
pub async fn save_tokens(tx: &mut Tx, new: &NewTokens) -> Result<bool> {
    let replacing = match &new.scope {
        GrantedScope::Replacing(scope) => scope.clone(),
        GrantedScope::Authorized(_) | GrantedScope::Refreshed(_) => None,
    };
    let changed = tx
        .execute(
            "UPDATE oauth_remote_connections SET access_token = $2, token_type = $3, \
             refresh_token = COALESCE($4, refresh_token), token_expiry = $5, \
             scope = COALESCE($6, scope), status = 'connected', last_error = NULL, \
             token_refresh_started_at = NULL, updated_at = $7 WHERE id = $1",
            &[
                (&new.id).into(),
                new.access_token.as_str().into(),
                new.token_type.as_str().into(),
                new.refresh_token.clone().into(),
                new.expiry.into(),
                replacing.into(),
                new.now.into(),
            ],
        )
        .await?;
    let beside = match &new.scope {
        GrantedScope::Authorized(scope) => Some((
            "INSERT INTO auth_remote_connections (connection_id, granted_scope, authorized_scope) \
             VALUES ($1, $2, $2) ON CONFLICT (connection_id) DO UPDATE SET granted_scope = \
             excluded.granted_scope, authorized_scope = excluded.authorized_scope",
            scope,
        )),
        GrantedScope::Refreshed(scope) => Some((
            "INSERT INTO auth_remote_connections (connection_id, granted_scope) VALUES ($1, $2) \
             ON CONFLICT (connection_id) DO UPDATE SET granted_scope = excluded.granted_scope",
            scope,
        )),
        GrantedScope::Replacing(_) => None,
    };
    if let Some((sql, scope)) = beside
        && changed > 0
    {
        tx.execute(sql, &[(&new.id).into(), scope.clone().into()])
            .await?;
    }
    Ok(changed > 0)
}

/// Records the error of a failed connection. The tokens stay.
pub async fn fail(db: &Db, id: &RemoteConnectionId, why: &str, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE oauth_remote_connections SET status = 'error', last_error = $2, \
         token_refresh_started_at = NULL, updated_at = $3 WHERE id = $1",
        vec![id.into(), why.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// Records the error of an authorization that failed while the stored tokens still work.
pub async fn note(db: &Db, id: &RemoteConnectionId, why: &str, now: Timestamp) -> Result<()> {
    db.execute(
        "UPDATE oauth_remote_connections SET last_error = $2, updated_at = $3, \
         status = CASE WHEN status = 'connected' THEN status ELSE 'error' END WHERE id = $1",
        vec![id.into(), why.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// A registration that replaces a rejected one.
#[derive(Clone)]
pub struct NewRegistration {
    /// The connection.
    pub id: RemoteConnectionId,
    /// The rejected client id.
    pub replaced: String,
    /// The client id.
    pub client_id: String,
    /// The registered redirect URI.
    pub redirect_uri: String,
    /// The secret, in stored form.
    pub client_secret: Option<String>,
    /// Authentication method at the token endpoint.
    pub auth_method: &'static str,
    /// Expiry of the secret.
    pub secret_expires_at: Option<Timestamp>,
    /// Time of the registration.
    pub now: Timestamp,
}

/// Replaces a rejected registration; false if a concurrent attempt replaced it already.
pub async fn replace_registration(tx: &mut Tx, new: &NewRegistration) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE oauth_remote_connections SET client_id = $3, client_secret = $4, \
             token_endpoint_auth_method = $5, redirect_uri = $6, redirect_uris = $7, \
             updated_at = $8 WHERE id = $1 AND client_id = $2",
            &[
                (&new.id).into(),
                new.replaced.as_str().into(),
                new.client_id.as_str().into(),
                new.client_secret.clone().into(),
                new.auth_method.into(),
                new.redirect_uri.as_str().into(),
                Value::optional_names(Some(std::slice::from_ref(&new.redirect_uri))),
                new.now.into(),
            ],
        )
        .await?;
    if changed > 0 {
        let details = Details {
            registered_at: Some(new.now),
            secret_expires_at: new.secret_expires_at,
            ..Details::default()
        };
        registered(tx, &new.id, &details).await?;
    }
    Ok(changed > 0)
}

/// Marks the registration as rejected by the server.
pub async fn reject_registration(db: &Db, id: &RemoteConnectionId, now: Timestamp) -> Result<()> {
    db.execute(
        "INSERT INTO auth_remote_connections (connection_id, registration_rejected_at) \
         VALUES ($1, $2) ON CONFLICT (connection_id) DO UPDATE SET \
         registration_rejected_at = excluded.registration_rejected_at",
        vec![id.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// Acquires the refresh lease as a Storyden does: on the row itself, expiring after `stale`. `seen` is
/// the refresh token as read (optimistic concurrency), so that a used token is not sent again.
pub async fn take_lease(
    db: &Db,
    id: &RemoteConnectionId,
    seen: &str,
    now: Timestamp,
    stale: Timestamp,
) -> Result<bool> {
    const SQL: Sql = sql!(
        "UPDATE oauth_remote_connections SET token_refresh_started_at = $3 \
         WHERE id = $1 AND refresh_token = $2 AND (token_refresh_started_at IS NULL OR ",
        (
            "julianday(token_refresh_started_at) < julianday($4)",
            "token_refresh_started_at < $4"
        ),
        ")"
    );
    let taken = db
        .execute(SQL, vec![id.into(), seen.into(), now.into(), stale.into()])
        .await?;
    Ok(taken > 0)
}

/// Releases the refresh lease.
pub async fn release_lease(db: &Db, id: &RemoteConnectionId) -> Result<()> {
    db.execute(
        "UPDATE oauth_remote_connections SET token_refresh_started_at = NULL WHERE id = $1",
        vec![id.into()],
    )
    .await?;
    Ok(())
}
