//! Credentials of clients: rotation of secrets, and removal of the secrets and keys with which an account's
//! applications act without a session.

use super::client_keys::KeysRow;
use super::client_locks::touch;
use super::db::{Db, Tx};
use super::error::Result;
use super::own_grants;
use super::row::row;
use super::sql::{IDS, Sql, sql};
use super::value::{Names, Value};
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId};
use crate::oauth::grant_type::GrantType;

/// Revocation reason of a client's own grant after a secret change without overlap.
pub(super) const REPLACED: &str = "secret_replaced";

/// A rotation of a client secret.
#[derive(Clone)]
pub struct Rotation {
    /// The client.
    pub client: ClientRowId,
    /// The Argon2id hash of the new secret.
    pub hash: String,
    /// End of the overlap in which the old secret remains valid; `None` for no overlap.
    pub old_until: Option<Timestamp>,
    /// Time of the rotation.
    pub now: Timestamp,
}

/// Replaces the secret of a client. False if there is no such client, or its deletion is in progress. The
/// secret of an earlier overlap becomes invalid. Without an overlap, the client's own access tokens
/// (RFC 6749 §4.4) are revoked too. With an overlap the old secret is still trusted, so the access tokens
/// stay valid until expiry.
pub async fn rotate_secret(tx: &mut Tx, rotation: &Rotation) -> Result<bool> {
    let client = &rotation.client;
    // Lock the row first, so that the later of two concurrent rotations replaces the secret of the
    // earlier.
    if !touch(tx, client, rotation.now).await? {
        return Ok(false);
    }
    if let Some(until) = rotation.old_until {
        tx.execute(
            "INSERT INTO auth_clients (client_id, old_secret_hash, old_secret_until) \
             SELECT c.id, c.client_secret_hash, $2 FROM oauth_clients c WHERE c.id = $1 \
             ON CONFLICT (client_id) DO UPDATE SET old_secret_hash = excluded.old_secret_hash, \
             old_secret_until = excluded.old_secret_until",
            &[client.into(), until.into()],
        )
        .await?;
    } else {
        clear_old(tx, client).await?;
        own_grants::end(tx, client, REPLACED, rotation.now).await?;
    }
    tx.execute(
        "UPDATE oauth_clients SET client_secret_hash = $2 WHERE id = $1",
        &[client.into(), rotation.hash.as_str().into()],
    )
    .await?;
    Ok(true)
}

/// The credentials of a client.
struct CredentialsRow {
    id: ClientRowId,
    client_id: String,
    allowed_grants: Names,
    secret_hash: Option<String>,
    keys: KeysRow,
}

row!(CredentialsRow: id, client_id, allowed_grants, secret_hash; keys);

impl CredentialsRow {
    /// True if the client can authenticate, and may use the client credentials grant (RFC 6749 §4.4), which
    /// acts as the owner.
    fn acts_as_owner(&self) -> bool {
        let can_authenticate = self.secret_hash.is_some() || self.keys.is_any();
        let mut grants = self.allowed_grants.iter();
        let client_credentials = Some(GrantType::ClientCredentials);
        can_authenticate
            && grants.any(|name| GrantType::from_stored_name(name) == client_credentials)
    }
}

const CREDENTIALS_OF: &str = "SELECT c.id, c.client_id, c.allowed_grants, \
     c.client_secret_hash AS secret_hash, y.jwks, y.jwks_uri \
     FROM oauth_clients c LEFT JOIN auth_clients y ON y.client_id = c.id WHERE c.account_id = $1";

/// Counts the clients of an account that have a secret or keys and may use the client credentials grant.
pub async fn count_of_own_grants(db: &Db, owner: &AccountId) -> Result<u64> {
    let rows: Vec<CredentialsRow> = db.fetch_all(CREDENTIALS_OF, &[owner.into()]).await?;
    Ok(rows.iter().filter(|row| row.acts_as_owner()).count() as u64)
}

/// Removes the current and previous secret, and the keys, of every client of an account that may use the
/// client credentials grant, in three statements. Returns the client ids. The owner can set new secrets and
/// keys.
pub async fn remove_of_own_grants(
    tx: &mut Tx,
    owner: &AccountId,
    now: Timestamp,
) -> Result<Vec<String>> {
    const END: Sql = sql!(
        "UPDATE oauth_clients SET client_secret_hash = NULL, updated_at = $2 WHERE id IN ",
        IDS
    );
    const END_OTHERS: Sql = sql!(
        "UPDATE auth_clients SET old_secret_hash = NULL, old_secret_until = NULL, jwks = NULL, \
         jwks_uri = NULL WHERE client_id IN ",
        IDS
    );
    let rows: Vec<CredentialsRow> = tx.fetch_all(CREDENTIALS_OF, &[owner.into()]).await?;
    let rows: Vec<_> = rows
        .into_iter()
        .filter(CredentialsRow::acts_as_owner)
        .collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = Value::names(rows.iter().map(|row| row.id.as_str()));
    tx.execute(END, &[ids.clone(), now.into()]).await?;
    tx.execute(END_OTHERS, std::slice::from_ref(&ids)).await?;
    own_grants::end_all(tx, ids, "secret_ended", now).await?;
    Ok(rows.into_iter().map(|row| row.client_id).collect())
}

/// Ends the overlap of an earlier rotation.
pub(super) async fn clear_old(tx: &mut Tx, client: &ClientRowId) -> Result<()> {
    tx.execute(
        "UPDATE auth_clients SET old_secret_hash = NULL, old_secret_until = NULL \
         WHERE client_id = $1",
        &[client.into()],
    )
    .await?;
    Ok(())
}
