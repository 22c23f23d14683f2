//! How a client says who it is (RFC 6749 §2.3).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Decoded, PARAMETER_MAX, decode_part};
use crate::clients::Credentials;
use crate::oauth::OAuthError;
use crate::profile::Profile;
use crate::secret::Secret;

/// What a client says of itself (RFC 6749 §2.3): by HTTP Basic or in the body, never both.
///
/// # Errors
/// `invalid_request` for two methods at once, `invalid_client` when there is none or the header
/// cannot be read.
pub fn credentials(
    profile: Profile,
    headers: &HeaderMap,
    form: &Decoded,
) -> Result<Credentials, OAuthError> {
    let body_id = form.get("client_id");
    let body_secret = form.get("client_secret");
    let header = match basic(profile, headers) {
        Err(_) if profile.basic_is_read_leniently() => None,
        header => header?,
    };
    let Some((client_id, secret)) = header else {
        let missing = if profile.basic_is_read_leniently() {
            "Client not found"
        } else {
            "Missing client_id"
        };
        let client_id = body_id.ok_or_else(|| OAuthError::invalid_client(missing))?;
        return Ok(Credentials {
            client_id: client_id.to_owned(),
            secret: body_secret.map(Secret::new),
            by_header: false,
        });
    };
    let two = "multiple client authentication methods used";
    if profile.basic_is_read_leniently() {
        if body_secret.is_some() || body_id.is_some_and(|id| !id.is_empty()) {
            return Err(OAuthError::invalid_client(two));
        }
    } else if body_secret.is_some() || body_id.is_some_and(|id| id != client_id) {
        // RFC 6749 §2.3; a client_id that says the same again is no second method
        return Err(OAuthError::invalid_request(two));
    }
    Ok(Credentials {
        client_id,
        secret: secret.map(Secret::new),
        by_header: true,
    })
}

/// The pair of an HTTP Basic header, form-decoded (RFC 6749 §2.3.1); `None` without one.
fn basic(
    profile: Profile,
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
        Err(_) if profile.basic_is_read_leniently() => Ok(String::new()),
        half => half.map_err(|_| refused()),
    };
    let (id, secret) = (decode_half(id)?, decode_half(secret)?);
    if id.is_empty() && !profile.basic_is_read_leniently() {
        return Err(refused());
    }
    Ok(Some((id, Some(secret).filter(|secret| !secret.is_empty()))))
}
