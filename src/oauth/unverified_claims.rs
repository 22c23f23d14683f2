//! Claims of a JWT before the verification.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;

/// Decodes the claims of a JWT (RFC 7519) without verification. The caller bounds the length, and verifies the
/// signature or needs none.
#[must_use]
pub fn unverified_claims<T: DeserializeOwned>(jwt: &str) -> Option<T> {
    let payload = jwt.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}
