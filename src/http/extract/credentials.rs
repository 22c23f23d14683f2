//! Client credentials of a request (RFC 6749 §2.3).

use std::borrow::Cow;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::parameters::{Decoded, PARAMETER_MAX, decode_part};
use crate::clients::Credentials;
use crate::clients::assertion::subject;
use crate::compat::{ClientAuthenticationPolicy, TwoMethods};
use crate::oauth::mistake::MistakeKind;
use crate::oauth::{OAuthError, client_assertion};
use crate::secret::Secret;

const TWO_METHODS: &str = "multiple client authentication methods used";

/// Rejects HTTP Basic together with a client id or secret in the body. Storyden's first check
/// (storyden-contract.md#client-authentication).
///
/// # Errors
/// `invalid_client`.
pub fn refuse_two_methods(
    policy: ClientAuthenticationPolicy,
    headers: &HeaderMap,
    form: &Decoded,
) -> Result<(), OAuthError> {
    let in_body = form.get("client_secret").is_some()
        || form.get("client_id").is_some_and(|id| !id.is_empty());
    if in_body && basic(policy, headers).is_ok_and(|pair| pair.is_some()) {
        let error = OAuthError::invalid_client(TWO_METHODS);
        return Err(error.mistake(MistakeKind::AuthMethod, None));
    }
    Ok(())
}

/// Reads the client credentials (RFC 6749 §2.3): HTTP Basic or the body, never both.
///
/// # Errors
/// `invalid_request` for two methods at once, `invalid_client` without credentials or for a malformed
/// header.
pub fn credentials(
    policy: ClientAuthenticationPolicy,
    headers: &HeaderMap,
    form: &Decoded,
) -> Result<Credentials, OAuthError> {
    let body_id = form.get("client_id");
    let body_secret = form.get("client_secret");
    let assertion = assertion(form)?;
    let header = match basic(policy, headers) {
        Err(_) if policy.malformed_basic_ignored => None,
        header => header?,
    };
    let Some((client_id, secret)) = header else {
        // RFC 7521 §4.2: the subject of the assertion identifies the client
        let subject = assertion.as_ref().and_then(subject);
        let client_id = body_id.map(str::to_owned).or(subject);
        if assertion.is_some() && body_secret.is_some() {
            return Err(two_methods());
        }
        return Ok(Credentials {
            client_id: client_id
                .ok_or_else(|| OAuthError::invalid_client(policy.missing_client_error))?,
            secret: body_secret.map(Secret::new),
            assertion,
            by_header: false,
        });
    };
    if assertion.is_some() {
        return Err(two_methods());
    }
    if policy.two_methods == TwoMethods::InvalidClient {
        refuse_two_methods(policy, headers, form)?;
    } else if body_secret.is_some() || body_id.is_some_and(|id| id != client_id) {
        // RFC 6749 §2.3: two methods at once. An equal client_id in the body is allowed.
        return Err(two_methods());
    }
    Ok(Credentials {
        client_id,
        secret: secret.map(Secret::new),
        assertion: None,
        by_header: true,
    })
}

fn two_methods() -> OAuthError {
    OAuthError::invalid_request(TWO_METHODS).mistake(MistakeKind::AuthMethod, None)
}

/// Returns the client id that a request names, also if its credentials are not accepted.
#[must_use]
pub fn named_client(
    policy: ClientAuthenticationPolicy,
    headers: &HeaderMap,
    form: &Decoded,
) -> Option<String> {
    let in_header = || Some(basic(policy, headers).ok()??.0);
    form.get("client_id").map(str::to_owned).or_else(in_header)
}

/// Reads the client assertion of a form; JWT is the only supported type (RFC 7523 §2.2).
fn assertion(form: &Decoded) -> Result<Option<Secret>, OAuthError> {
    match (
        form.get("client_assertion"),
        form.get("client_assertion_type"),
    ) {
        (None, None) => Ok(None),
        (Some(assertion), Some(client_assertion::TYPE)) => Ok(Some(Secret::new(assertion))),
        _ => Err(OAuthError::invalid_client(format!(
            "client_assertion and client_assertion_type go together, and the type is {}",
            client_assertion::TYPE
        ))),
    }
}

/// Reads the id and secret of an HTTP Basic header, form-decoded (RFC 6749 §2.3.1); `None` without the
/// header.
fn basic(
    policy: ClientAuthenticationPolicy,
    headers: &HeaderMap,
) -> Result<Option<(String, Option<String>)>, OAuthError> {
    let refused =
        || OAuthError::invalid_client("the Authorization header cannot be read").challenged();
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(OAuthError::invalid_request(
            "more than one Authorization header",
        ));
    }
    let (scheme, encoded) = value
        .to_str()
        .ok()
        .and_then(|v| v.split_once(' '))
        .ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 2 * PARAMETER_MAX {
        return Err(refused());
    }
    let bytes = STANDARD.decode(encoded.trim()).map_err(|_| refused())?;
    let pair = String::from_utf8(bytes).map_err(|_| refused())?;
    let (id, secret) = pair.split_once(':').ok_or_else(refused)?;
    let decode_half = |half| match decode_part(half) {
        Err(_) if policy.malformed_basic_ignored => Ok(String::new()),
        half => half.map(Cow::into_owned).map_err(|_| refused()),
    };
    let (id, secret) = (decode_half(id)?, decode_half(secret)?);
    if id.is_empty() && !policy.malformed_basic_ignored {
        return Err(refused());
    }
    Ok(Some((id, Some(secret).filter(|secret| !secret.is_empty()))))
}
