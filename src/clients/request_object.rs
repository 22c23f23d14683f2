//! Verification of request objects (RFC 9101 §6). The keys are those of client assertions: registered (`jwks`) or
//! fetched from the client (`jwks_uri`).

use super::assertion::check_signature;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::keys::{self, AssertionError};
use crate::oauth::authorization_request::Parameters;
use crate::oauth::request_object::{ALGORITHMS, Fault, RequestObject};
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::oauth::{OAuthError, fapi};
use crate::store::client_details;
use crate::store::clients::Client;

/// Verifies a request object that arrived at `presented_at`, and returns its parameters, of those that `known`
/// lists. The inner error is the fault of the object.
///
/// # Errors
/// `temporarily_unavailable` if the client's keys were fetched too often or are unavailable.
pub async fn verify(
    context: &Context,
    client: &Client,
    object: &str,
    presented_at: Timestamp,
    known: &[&'static str],
) -> Result<Result<Parameters, Fault>, OAuthError> {
    let Some(claims) = RequestObject::decode(object) else {
        return Ok(Err("is no signed JWT with a JSON object".into()));
    };
    let issuer = context.config.issuer();
    let with_slash = format!("{issuer}/");
    // Check the claims before any fetch, so that an invalid object causes no request.
    let checked = claims.check(&client.client_id, &[&issuer, &with_slash], presented_at);
    if let Err(fault) = checked {
        return Ok(Err(fault));
    }
    if client.fapi
        && let Err(fault) = claims.check_age(presented_at)
    {
        return Ok(Err(fault));
    }
    let details = client_details::find(&context.db, &client.row_id).await?;
    let allowed = allowed_algorithms(client, details.request_object_algorithm);
    let check = |jwks: &serde_json::Value| keys::check_request_object(object, jwks, &allowed);
    match check_signature(context, client, &check).await? {
        Ok(()) => Ok(claims.parameters(known)),
        Err(AssertionError::NoKey) => Ok(Err("is signed by none of the client's keys".into())),
        Err(AssertionError::Malformed) => Ok(Err(malformed(&allowed))),
    }
}

/// The algorithms of the objects of a client: the one that the client registered, if any, and within the FAPI 2.0
/// Security Profile (§5.4.1).
fn allowed_algorithms(client: &Client, only: Option<SigningAlgorithm>) -> Vec<SigningAlgorithm> {
    let is_allowed = |one: &SigningAlgorithm| {
        only.is_none_or(|only| *one == only) && (!client.fapi || fapi::is_permitted(*one))
    };
    ALGORITHMS.iter().copied().filter(is_allowed).collect()
}

/// The fault of an object with a type or an algorithm that is not accepted.
fn malformed(allowed: &[SigningAlgorithm]) -> Fault {
    let names: Vec<&str> = allowed.iter().map(|one| one.name()).collect();
    let names = names.join(", ");
    format!("must be a JWT of the type oauth-authz-req+jwt with the algorithm {names}").into()
}
