//! Key sets of clients (RFC 7517 §5).

use serde_json::Value;

/// The most keys in a document.
const KEYS_MAX: usize = 10;

/// The reason for the rejection of a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeySetError(pub &'static str);

/// Checks a set of public keys (RFC 7517 §5).
///
/// # Errors
/// If the value is not a key set, or a key is not public.
pub fn check(jwks: &Value) -> Result<(), KeySetError> {
    let keys = jwks.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or(KeySetError("has a jwks that is no key set"))?;
    let is_public = |key: &Value| {
        let is_asymmetric = key.get("kty").is_some_and(|kty| kty != "oct");
        is_asymmetric && key.get("d").is_none() && key.get("k").is_none()
    };
    if keys.is_empty() || keys.len() > KEYS_MAX || !keys.iter().all(is_public) {
        return Err(KeySetError(
            "has a jwks without keys, with too many keys, or with a key that is not public",
        ));
    }
    Ok(())
}
