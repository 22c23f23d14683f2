//! Replacement of the public keys with which a client authenticates (RFC 7523 §2.2).

use super::client_documents;
use super::db::Tx;
use super::error::Result;
use super::own_grants;
use crate::clock::Timestamp;
use crate::ids::ClientRowId;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_metadata::ClientKeys;

/// Revocation reason of a client's own grant after a change of the keys.
const KEYS_REPLACED: &str = "keys_replaced";

/// Replaces the keys of a confidential client. With keys, only `private_key_jwt` authenticates; without, any method
/// with a secret. The client's own access tokens end (RFC 6749 §4.4): the credential before may be stolen.
pub async fn replace(
    tx: &mut Tx,
    client: &ClientRowId,
    keys: &ClientKeys,
    now: Timestamp,
) -> Result<()> {
    client_documents::save_keys(tx, client, keys).await?;
    let has_keys = *keys != ClientKeys::default();
    let method = has_keys.then(|| AuthMethod::PrivateKeyJwt.name().to_owned());
    tx.execute(
        "UPDATE auth_clients SET auth_method = $2 WHERE client_id = $1",
        &[client.into(), method.into()],
    )
    .await?;
    own_grants::end(tx, client, KEYS_REPLACED, now).await?;
    Ok(())
}
