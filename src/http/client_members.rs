//! Members of a client that its owner and administrators set by the same rules.

use serde_json::Value;

use crate::context::Context;
use crate::http::error::ApiError;
use crate::oauth::client_metadata::{ClientKeys, check_keys};
use crate::oauth::grant_type::ClientType;

/// Reads `require_pushed_authorization_requests` (RFC 9126 §6): `None` if absent. While pushed requests are
/// disabled, the member is unknown, and ignored.
///
/// # Errors
/// 400 for a value that is not a boolean.
pub fn pushing_required(
    context: &Context,
    given: Option<&Value>,
) -> Result<Option<bool>, ApiError> {
    match given.filter(|_| context.config.protects_requests()) {
        None => Ok(None),
        Some(Value::Bool(required)) => Ok(Some(*required)),
        Some(_) => Err(ApiError::invalid(
            "require_pushed_authorization_requests must be true or false",
        )),
    }
}

/// Reads `jwks` and `jwks_uri` (RFC 7591 §2): `None` if both are absent, no keys if both are `null`. While
/// `private_key_jwt` is not supported, the members are unknown, and ignored.
///
/// # Errors
/// 400 for keys that cannot be used, and for keys of a public client, which does not authenticate.
pub fn read_keys(
    context: &Context,
    kind: ClientType,
    jwks: Option<&Value>,
    jwks_uri: Option<&Value>,
) -> Result<Option<ClientKeys>, ApiError> {
    let is_unknown = context.config.policies.registration.basic_members_only;
    if is_unknown || jwks.is_none() && jwks_uri.is_none() {
        return Ok(None);
    }
    let jwks_uri = match jwks_uri {
        None | Some(Value::Null) => None,
        Some(Value::String(uri)) => Some(uri.clone()).filter(|uri| !uri.is_empty()),
        Some(_) => return Err(ApiError::invalid("jwks_uri must be a text")),
    };
    let keys = ClientKeys {
        jwks: jwks.filter(|jwks| !jwks.is_null()).cloned(),
        jwks_uri,
    };
    if kind == ClientType::Public && keys != ClientKeys::default() {
        return Err(ApiError::invalid(
            "jwks and jwks_uri are for confidential clients: a public client does not authenticate",
        ));
    }
    check_keys(&keys).map_err(|error| ApiError::invalid(error.description))?;
    Ok(Some(keys))
}
