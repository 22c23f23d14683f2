//! Members of a client that its owner and administrators set by the same rules.

use serde_json::Value;

use crate::context::Context;
use crate::http::error::ApiError;

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
