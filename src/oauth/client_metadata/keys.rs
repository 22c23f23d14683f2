//! Public keys of a client, for client assertions and for request objects (RFC 7591 §2).

use serde_json::Value;

use super::https_url::is_https_url;
use super::rules::Rules;
use super::{ClientKeys, key_set};
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::error::OAuthError;

/// The longest key set, in bytes of JSON.
const KEYS_MAX: usize = 8 * 1_024;

impl Rules<'_> {
    /// Reads the public keys: inline or by URL. Keys that cannot be registered are left out, unless the client
    /// authenticates with a key.
    pub(super) fn keys(
        &mut self,
        auth_method: AuthMethod,
        jwks: Option<Value>,
        jwks_uri: Option<String>,
    ) -> Result<ClientKeys, OAuthError> {
        let is_needed = auth_method == AuthMethod::PrivateKeyJwt;
        let jwks = jwks.filter(|jwks| is_needed || !is_empty(jwks));
        let given = ClientKeys { jwks, jwks_uri };
        match check_keys(&given) {
            Ok(()) if is_needed && given == ClientKeys::default() => {
                let fault = "private_key_jwt needs jwks or jwks_uri";
                Err(OAuthError::invalid_client_metadata(fault))
            }
            Ok(()) => Ok(given),
            Err(fault) if is_needed => Err(fault),
            Err(fault) => {
                self.faults.leave_out("jwks", fault)?;
                Ok(ClientKeys::default())
            }
        }
    }
}

/// True for a key set without keys, which equals no key set.
fn is_empty(jwks: &Value) -> bool {
    let keys = jwks.get("keys").and_then(Value::as_array);
    keys.is_some_and(Vec::is_empty)
}

/// Checks keys that a client or its owner gave.
///
/// # Errors
/// `invalid_client_metadata` for both kinds of keys, too many keys, a key that is not public, or a URL without
/// HTTPS.
pub fn check_keys(keys: &ClientKeys) -> Result<(), OAuthError> {
    let refuse = |why: String| Err(OAuthError::invalid_client_metadata(why));
    if keys.jwks.is_some() && keys.jwks_uri.is_some() {
        return refuse("give jwks or jwks_uri, not both".to_owned());
    }
    if let Some(jwks) = &keys.jwks {
        if jwks.to_string().len() > KEYS_MAX {
            return refuse(format!("jwks is longer than {KEYS_MAX} bytes"));
        }
        if let Err(why) = key_set::check(jwks) {
            return refuse(format!("the document {why}"));
        }
    }
    if keys
        .jwks_uri
        .as_deref()
        .is_some_and(|uri| !is_https_url(uri))
    {
        return refuse("jwks_uri must be a valid HTTPS URL".to_owned());
    }
    Ok(())
}
