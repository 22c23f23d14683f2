//! The headers of DPoP (RFC 9449): `DPoP` of requests, `DPoP-Nonce` of responses.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::Response;

use crate::context::Context;
use crate::dpop::{Nonces, Proof, ReceivedProof};
use crate::oauth::OAuthError;
use crate::oauth::dpop::Thumbprint;
use crate::secret::Secret;
use crate::store;
use crate::store::clients::Client;

/// The request header with a proof (§4.1).
pub const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The response header with a nonce for the next proof (§8).
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The parts of a request that a proof is checked against.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// Method.
    pub method: &'a Method,
    /// Path, below the path of the issuer.
    pub path: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
}

impl<'a> RequestHead<'a> {
    /// Returns the head of a request whose body is not read yet.
    #[must_use]
    pub fn of(parts: &'a Parts) -> Self {
        Self {
            method: &parts.method,
            path: parts.uri.path(),
            headers: &parts.headers,
        }
    }

    /// Verifies the proof of a request without an access token, as to the token endpoint; `None` without a
    /// proof, and if the profile has no DPoP. The transaction of the request records the proof.
    ///
    /// # Errors
    /// `invalid_dpop_proof`, or `use_dpop_nonce` (§5, §8).
    pub async fn proof_without_token(self, context: &Context) -> Result<Option<Proof>, OAuthError> {
        if !context.config.supports_dpop() {
            return Ok(None);
        }
        let Some(received) = self.received_proof()? else {
            return Ok(None);
        };
        let nonces = Nonces::of(context).await?;
        received.verify(context, nonces.as_ref(), None).map(Some)
    }

    /// Verifies the proof of a request of an authenticated client, as [`Self::proof_without_token`]. A client that
    /// is held to FAPI 2.0 may use fewer algorithms.
    ///
    /// # Errors
    /// `invalid_dpop_proof`, or `use_dpop_nonce` (§5, §8).
    pub async fn proof_of_client(
        self,
        context: &Context,
        client: &Client,
    ) -> Result<Option<Proof>, OAuthError> {
        let proof = self.proof_without_token(context).await?;
        if let Some(proof) = proof.as_ref().filter(|_| client.fapi) {
            proof.require_fapi_algorithm()?;
        }
        Ok(proof)
    }

    /// Checks the proof of a request with an access token that is bound to `key` (§7.1), records the proof in
    /// memory, and returns it.
    ///
    /// # Errors
    /// The outer error if the database is unavailable; the inner error, `invalid_dpop_proof`, `use_dpop_nonce`
    /// or `invalid_token`, for the client.
    pub async fn check_resource_proof(
        self,
        context: &Context,
        access_token: &Secret,
        key: &Thumbprint,
    ) -> Result<Result<Proof, OAuthError>, store::Error> {
        let nonces = Nonces::of(context).await?;
        Ok(self.resource_proof(context, nonces.as_ref(), access_token, key))
    }

    fn resource_proof(
        self,
        context: &Context,
        nonces: Option<&Nonces>,
        access_token: &Secret,
        key: &Thumbprint,
    ) -> Result<Proof, OAuthError> {
        let received = self.received_proof()?.ok_or_else(|| {
            OAuthError::invalid_dpop_proof("The scheme DPoP needs a proof in the header DPoP")
        })?;
        let proof = received.verify(context, nonces, Some(access_token))?;
        if proof.key != *key {
            return Err(OAuthError::invalid_token(
                "The access token is bound to another key than that of the DPoP proof",
            ));
        }
        proof.spend_in_memory(context)?;
        Ok(proof)
    }

    /// Reads the header `DPoP`.
    fn received_proof(&self) -> Result<Option<ReceivedProof<'a>>, OAuthError> {
        let mut values = self.headers.get_all(DPOP).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            let description = "The request must have one header DPoP";
            return Err(OAuthError::invalid_dpop_proof(description));
        }
        let proof = value
            .to_str()
            .map_err(|_| OAuthError::invalid_dpop_proof("The DPoP proof is not a signed JWT"))?;
        Ok(Some(ReceivedProof {
            proof: proof.trim(),
            method: self.method.as_str(),
            path: self.path,
        }))
    }
}

/// Adds the current nonce to the response to a request with a proof, so that a client has a new nonce before
/// the last one expires (§8.2).
pub async fn add_nonce(context: &Context, response: &mut Response) {
    // While the database is unavailable, the request itself fails.
    if let Ok(Some(nonces)) = Nonces::of(context).await
        && let Ok(nonce) = HeaderValue::try_from(nonces.current())
    {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
}
