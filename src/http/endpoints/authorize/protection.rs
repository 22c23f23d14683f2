//! Protections that a client or the operator demands of authorization requests. An attacker who can change the
//! browser's request cannot remove the protection (downgrade, RFC 9101 §10.5).

use super::parameters::{INVALID_OBJECT, PUSHED, SIGNED};
use crate::context::Context;
use crate::http::extract::Decoded;
use crate::oauth::OAuthError;
use crate::oauth::mistake::MistakeKind;
use crate::oauth::request_protection::RequestProtection;
use crate::store::clients::Client;

/// Requires the protections that the client (RFC 9126 §6, RFC 9101 §10.5) and the operator (RFC 9126 §5) demand.
///
/// # Errors
/// `invalid_request`. Not redirected, because no parameter of the request can be trusted.
pub(super) fn require(
    context: &Context,
    client: &Client,
    parameters: &Decoded,
) -> Result<(), OAuthError> {
    if demanded(context, client).pushed && parameters.get(PUSHED).is_none() {
        let error = OAuthError::invalid_request(
            "The authorization requests of this application must be pushed: send the parameters to \
             pushed_authorization_request_endpoint, and client_id and request_uri here",
        );
        return Err(error.mistake(MistakeKind::ProtectedRequest, None));
    }
    require_signature(client, parameters)
}

/// Requires a signed request object if the client demands one.
///
/// # Errors
/// `invalid_request`.
pub(super) fn require_signature(client: &Client, parameters: &Decoded) -> Result<(), OAuthError> {
    let is_signed = parameters.get(SIGNED).is_some() || parameters.get(INVALID_OBJECT).is_some();
    if client.request_protection.signed && !is_signed {
        let error = OAuthError::invalid_request(
            "The authorization requests of this application must be signed: send the parameters in \
             a request object, as the parameter request",
        );
        return Err(error.mistake(MistakeKind::ProtectedRequest, None));
    }
    Ok(())
}

fn demanded(context: &Context, client: &Client) -> RequestProtection {
    RequestProtection {
        pushed: client.request_protection.pushed || context.config.pushed_requests_required,
        ..client.request_protection
    }
}
