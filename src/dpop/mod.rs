//! DPoP (RFC 9449): the verification of a proof, with nonces and replay detection.
//!
//! A proof costs a verified signature and no statement. At the token endpoint the transaction of the grant
//! records the proof, so that a replay is refused on every replica. At resources the process records the
//! proof in memory ([`crate::used_proofs`]).

mod nonce;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::context::Context;
use crate::keys;
use crate::oauth::dpop::{NonceState, ProofError, ProvenRequest, Thumbprint};
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::oauth::{OAuthError, fapi};
use crate::secret::Secret;
use crate::store::dpop_proofs::UsedProof;
pub use nonce::Nonces;

/// A proof as received, with the request that it was received with.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedProof<'a> {
    /// Value of the header `DPoP`.
    pub proof: &'a str,
    /// HTTP method of the request.
    pub method: &'a str,
    /// Path of the request, below the path of the issuer.
    pub path: &'a str,
}

/// A verified proof.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The key.
    pub key: Thumbprint,
    /// Algorithm of the signature.
    pub algorithm: SigningAlgorithm,
    /// The proof, to be recorded against replay.
    pub used: UsedProof,
}

impl ReceivedProof<'_> {
    /// Verifies the proof (§4.3), with the access token at a resource. Records nothing.
    ///
    /// # Errors
    /// `invalid_dpop_proof` with the fault; `use_dpop_nonce` without a fresh nonce, if `nonces` are required.
    pub fn verify(
        self,
        context: &Context,
        nonces: Option<&Nonces>,
        access_token: Option<&Secret>,
    ) -> Result<Proof, OAuthError> {
        let signed = keys::verify_proof(self.proof).map_err(invalid)?;
        let url = context.config.public_url(self.path);
        let token_hash = access_token.map(hash_of);
        let nonce = match (nonces, signed.claims.nonce.as_deref()) {
            (None, _) => NonceState::NotRequired,
            (Some(nonces), Some(nonce)) if nonces.accepts(nonce) => NonceState::Valid,
            (Some(_), _) => NonceState::Invalid,
        };
        let request = ProvenRequest {
            method: self.method,
            url: &url,
            token_hash: token_hash.as_deref(),
            nonce,
            now: context.clock.now(),
        };
        let id = signed.claims.check(request).map_err(|error| match error {
            ProofError::Invalid(fault) => invalid(fault),
            ProofError::NonceNeeded => OAuthError::use_dpop_nonce(
                "The DPoP proof must have the nonce of the header DPoP-Nonce",
            ),
        })?;
        let identity = Secret::new(format!("{}\0{}", signed.key.as_str(), id.jti));
        Ok(Proof {
            used: UsedProof {
                proof: identity.hash(),
                expires_at: id.expires_at,
            },
            key: signed.key,
            algorithm: signed.algorithm,
        })
    }
}

impl Proof {
    /// Checks the algorithm for a client that is held to the FAPI 2.0 Security Profile (§5.4.1).
    ///
    /// # Errors
    /// `invalid_dpop_proof` for an algorithm that the profile forbids.
    pub fn require_fapi_algorithm(&self) -> Result<(), OAuthError> {
        if fapi::is_permitted(self.algorithm) {
            return Ok(());
        }
        Err(invalid(
            "must be signed with PS256, ES256, EdDSA or Ed25519: this client is held to FAPI 2.0",
        ))
    }

    /// Records the proof in the memory of this process.
    ///
    /// # Errors
    /// `invalid_dpop_proof` for a replay.
    pub fn spend_in_memory(&self, context: &Context) -> Result<(), OAuthError> {
        if context.used_proofs.spend(&self.used.proof) {
            return Ok(());
        }
        Err(replayed())
    }
}

/// Returns `ath` of an access token (§4.2).
fn hash_of(access_token: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(access_token.reveal().as_bytes()))
}

fn invalid(fault: &'static str) -> OAuthError {
    OAuthError::invalid_dpop_proof(format!("The DPoP proof {fault}"))
}

/// Returns the error for a replayed proof.
#[must_use]
pub fn replayed() -> OAuthError {
    tracing::warn!("DPoP proof replayed");
    invalid("was used before; each request needs a proof with a new jti")
}
