//! DPoP proofs in token requests (RFC 9449 §5): the keys that tokens are bound to.

use crate::context::Context;
use crate::dpop::Proof;
use crate::http::dpop::RequestHead;
use crate::oauth::OAuthError;
use crate::oauth::dpop::Thumbprint;
use crate::oauth::grant_type::ClientType;
use crate::store;
use crate::store::clients::Client;
use crate::store::dpop_proofs::{self, UsedProof};

/// Verifies the proof of a token request, if any.
///
/// # Errors
/// `invalid_dpop_proof` also if the client is registered with `dpop_bound_access_tokens` and sent no proof
/// (§5.2); `use_dpop_nonce`.
pub(super) async fn proof_of(
    context: &Context,
    client: &Client,
    head: RequestHead<'_>,
) -> Result<Option<Proof>, OAuthError> {
    let proof = head.proof_of_client(context, client).await?;
    if proof.is_none() && client.dpop_bound {
        return Err(OAuthError::invalid_dpop_proof(
            "This client always uses DPoP (dpop_bound_access_tokens, or FAPI 2.0); each token request needs a \
             DPoP proof",
        ));
    }
    Ok(proof)
}

/// True if a code or token is bound to no key, or the request has a proof of the key.
pub(super) fn fits_key(bound_to: Option<&Thumbprint>, proof: Option<&Proof>) -> bool {
    bound_to.is_none_or(|key| proof.is_some_and(|proof| proof.key == *key))
}

/// Returns the key to bind the refresh token to: that of the proof for a public client. The refresh token of a
/// confidential client is bound to the client already, which may then change keys (§5).
pub(super) fn refresh_key(client: &Client, proof: Option<&Proof>) -> Option<Thumbprint> {
    let proof = proof.filter(|_| client.kind == ClientType::Public);
    proof.map(|proof| proof.key.clone())
}

/// Records the proof of a token request, in the transaction of the grant.
pub(super) async fn spend(tx: &mut store::Tx, used: Option<&UsedProof>) -> store::Result<()> {
    match used {
        Some(used) => dpop_proofs::spend(tx, used).await,
        None => Ok(()),
    }
}
