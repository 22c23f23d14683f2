//! Members of a client that its owner and administrators set by the same rules: protections of requests and tokens,
//! keys, and FAPI 2.0.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::clients::fapi;
use crate::context::Context;
use crate::http::error::ApiError;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_algorithms::ClientAlgorithms;
use crate::oauth::client_metadata::{ClientKeys, check_keys};
use crate::oauth::grant_type::ClientType;
use crate::oauth::request_protection::RequestProtection;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::store::client_changes::Changes;
use crate::store::clients::Client;

/// Protections of requests and tokens, as given.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthClientProtectionProps)]
pub struct ProtectionProps {
    /// True if token requests need a DPoP proof (RFC 9449 §5.2).
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    dpop_bound_access_tokens: Option<Value>,
    /// True holds the client to the FAPI 2.0 Security Profile: pushed requests, PKCE, `private_key_jwt`, DPoP, codes
    /// of 60 seconds, and only the algorithms PS256, ES256 and EdDSA. Needs `jwks` or `jwks_uri`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    fapi: Option<Value>,
    /// Public keys of the client (JWK Set, RFC 7517 §5). A confidential client then authenticates with
    /// `private_key_jwt` in place of a secret. Replaces `jwks_uri`; `null` removes the keys.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    jwks: Option<Value>,
    /// HTTPS URL of the public keys. Replaces `jwks`; `null` or an empty text removes the URL.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    jwks_uri: Option<Value>,
    /// True if every authorization request of the client must be pushed (RFC 9126 §6).
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    require_pushed_authorization_requests: Option<Value>,
    #[serde(flatten)]
    algorithms: AlgorithmProps,
}

/// The signature algorithms of a client; `null` or an empty text is no choice.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthClientAlgorithmProps)]
#[expect(clippy::struct_field_names, reason = "names of the protocol")]
pub struct AlgorithmProps {
    /// Algorithm of access tokens, from `id_token_signing_alg_values_supported`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    access_token_signed_response_alg: Option<Value>,
    /// Algorithm of ID tokens, from `id_token_signing_alg_values_supported`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    id_token_signed_response_alg: Option<Value>,
    /// Algorithm of signed userinfo responses; without a choice the responses are plain JSON.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    userinfo_signed_response_alg: Option<Value>,
}

impl ProtectionProps {
    /// Reads the given members as changes of a client with the keys `before`. Keys of a confidential client are its
    /// authentication method from then on. A profile without DPoP does not know the members, and ignores them; while
    /// pushed requests are disabled, their member is unknown too.
    ///
    /// # Errors
    /// 400 for a value of the wrong type, an algorithm that this server does not sign with, or keys that are not
    /// public keys.
    pub fn changes(
        &self,
        context: &Context,
        client: &Client,
        before: &ClientKeys,
    ) -> Result<Changes, ApiError> {
        let pushed = self.require_pushed_authorization_requests.as_ref();
        let pushed = pushed.filter(|_| context.config.protects_requests());
        let pushed = flag("require_pushed_authorization_requests", pushed)?;
        let request_protection = pushed.map(|pushed| RequestProtection {
            pushed,
            ..client.request_protection
        });
        if !context.config.supports_dpop() {
            return Ok(Changes {
                request_protection,
                ..Changes::default()
            });
        }
        let fapi = flag("fapi", self.fapi.as_ref())?;
        let keys = self.keys(before)?;
        let has_keys = keys
            .as_ref()
            .is_some_and(|keys| *keys != ClientKeys::default());
        let is_keyed = has_keys && client.kind == ClientType::Confidential;
        let uses_key = is_keyed || fapi == Some(true);
        Ok(Changes {
            request_protection,
            dpop_bound: flag(
                "dpop_bound_access_tokens",
                self.dpop_bound_access_tokens.as_ref(),
            )?,
            algorithms: self.algorithms.read(context, client.algorithms)?,
            fapi,
            auth_method: uses_key.then_some(AuthMethod::PrivateKeyJwt),
            keys,
            ..Changes::default()
        })
    }

    /// Reads the keys; `None` if neither member is given.
    fn keys(&self, before: &ClientKeys) -> Result<Option<ClientKeys>, ApiError> {
        let keys = match (&self.jwks, &self.jwks_uri) {
            (None, None) => return Ok(None),
            (Some(Value::Null), None) => ClientKeys {
                jwks: None,
                ..before.clone()
            },
            (Some(jwks), uri) => ClientKeys {
                jwks: Some(jwks.clone()).filter(|jwks| !jwks.is_null()),
                jwks_uri: uri.as_ref().map(text).transpose()?.flatten(),
            },
            (None, Some(uri)) => match text(uri)? {
                None => ClientKeys {
                    jwks_uri: None,
                    ..before.clone()
                },
                jwks_uri => ClientKeys {
                    jwks: None,
                    jwks_uri,
                },
            },
        };
        check_keys(&keys).map_err(|error| ApiError::invalid(error.description))?;
        Ok(Some(keys))
    }
}

/// Reads `jwks_uri`; `None` for `null` and an empty text.
fn text(given: &Value) -> Result<Option<String>, ApiError> {
    match given {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        _ => Err(ApiError::invalid("jwks_uri must be a URL")),
    }
}

/// Reads a boolean.
fn flag(member: &str, given: Option<&Value>) -> Result<Option<bool>, ApiError> {
    match given {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(ApiError::invalid(format!("{member} must be true or false"))),
    }
}

impl AlgorithmProps {
    /// Reads the algorithms of a client, which now has the algorithms `before`; `None` if no member is given.
    fn read(
        &self,
        context: &Context,
        before: ClientAlgorithms,
    ) -> Result<Option<ClientAlgorithms>, ApiError> {
        let Self {
            access_token_signed_response_alg: access_token,
            id_token_signed_response_alg: id_token,
            userinfo_signed_response_alg: userinfo,
        } = self;
        if [access_token, id_token, userinfo]
            .iter()
            .all(|one| one.is_none())
        {
            return Ok(None);
        }
        let available = &context.config.signing_algorithms.0;
        let read = |member: &str, before, given: &Option<Value>| match given {
            None => Ok(before),
            Some(given) => algorithm(available, member, given),
        };
        Ok(Some(ClientAlgorithms {
            id_token: read("id_token_signed_response_alg", before.id_token, id_token)?,
            access_token: read(
                "access_token_signed_response_alg",
                before.access_token,
                access_token,
            )?,
            userinfo: read("userinfo_signed_response_alg", before.userinfo, userinfo)?,
        }))
    }
}

fn algorithm(
    available: &[SigningAlgorithm],
    member: &str,
    given: &Value,
) -> Result<Option<SigningAlgorithm>, ApiError> {
    let name = match given {
        Value::Null => return Ok(None),
        Value::String(name) if name.is_empty() => return Ok(None),
        Value::String(name) => SigningAlgorithm::from_name(name),
        _ => None,
    };
    let known = name.filter(|known| available.contains(known));
    known.map(Some).ok_or_else(|| {
        let names: Vec<&str> = available.iter().map(|one| one.name()).collect();
        ApiError::invalid(format!("{member} must be one of: {}", names.join(", ")))
    })
}

/// Adds the given protections to a new client. Returns the client with its keys.
///
/// # Errors
/// 400 for an invalid value, and with the first contradiction of FAPI 2.0.
pub fn with_protection(
    context: &Context,
    client: Client,
    given: &ProtectionProps,
) -> Result<(Client, ClientKeys), ApiError> {
    let mut changes = given.changes(context, &client, &ClientKeys::default())?;
    if changes.fapi != Some(true) {
        // With a chosen method, the keys are for signed requests.
        changes.auth_method = client.auth_method.or(changes.auth_method);
    }
    let client = changes.applied_to(client);
    let keys = changes.keys.unwrap_or_default();
    require_consistent(context, &client, &keys)?;
    Ok((client.with_fapi(), keys))
}

/// Requires that a new client, with its keys, fits its authentication method and FAPI 2.0.
///
/// # Errors
/// 400 with the first contradiction.
pub fn require_consistent(
    context: &Context,
    client: &Client,
    keys: &ClientKeys,
) -> Result<(), ApiError> {
    if let Some(first) = fapi::contradictions(&context.config, client, keys).first() {
        return Err(ApiError::invalid(first.clone()));
    }
    if client.auth_method == Some(AuthMethod::PrivateKeyJwt) && *keys == ClientKeys::default() {
        return Err(ApiError::invalid("private_key_jwt needs jwks or jwks_uri"));
    }
    Ok(())
}

/// Requires that a client fits its authentication method and FAPI 2.0 after changes. Changes of other members are
/// not refused for a client that contradicts FAPI 2.0 already.
///
/// # Errors
/// 400 with the first contradiction.
pub fn require_consistent_changes(
    context: &Context,
    client: &Client,
    keys: ClientKeys,
    changes: &Changes,
) -> Result<(), ApiError> {
    let is_concerned = changes.fapi == Some(true)
        || changes.keys.is_some()
        || changes.redirect_uris.is_some()
        || changes.algorithms.is_some();
    if !is_concerned {
        return Ok(());
    }
    let keys = changes.keys.clone().unwrap_or(keys);
    require_consistent(context, &changes.applied_to(client.clone()), &keys)
}

/// Deserializes an optional member that must not be `null` (storyden-contract.md#order-of-validation).
///
/// # Errors
/// For a value of the wrong type.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    member: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(member).map(Some)
}
