//! Request bodies of members' own applications.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::oauth::grant_type::ClientType;

/// A new application.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthClientSelfCreateProps)]
pub struct CreateClient {
    /// The public keys with which the client authenticates (`private_key_jwt`), as a JWK set, in place of a secret;
    /// `null` removes the keys.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    pub(super) jwks: Option<Value>,
    /// The https URL of these keys; `null` removes the URL.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub(super) jwks_uri: Option<Value>,
    /// Grant types: `authorization_code`, `refresh_token`, `client_credentials` or
    /// `urn:ietf:params:oauth:grant-type:device_code`.
    pub(super) allowed_grants: Vec<String>,
    /// Allowed scopes: permissions that the member holds, and standard scopes.
    pub(super) allowed_scopes: Vec<String>,
    /// Name shown on the consent page.
    pub(super) name: String,
    /// True if authorization requests need PKCE. Must be true for a public application with the code
    /// grant. False exempts an application with a secret that uses a library without PKCE: a stolen code
    /// can then be injected into another user's session.
    pub(super) pkce_required: bool,
    /// Redirect URIs.
    #[serde(default, deserialize_with = "given")]
    pub(super) redirect_uris: Option<Vec<String>>,
    /// True if every authorization request of the application must be pushed (RFC 9126 §6).
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    pub(super) require_pushed_authorization_requests: Option<Value>,
    /// Authentication method: `none`, `client_secret_basic` or `client_secret_post`, or `private_key_jwt` with
    /// `jwks` or `jwks_uri`. If absent, every method of the type is accepted, and with keys `private_key_jwt`.
    #[serde(default, deserialize_with = "given")]
    pub(super) token_endpoint_auth_method: Option<String>,
    /// `public` or `confidential`.
    #[serde(rename = "type")]
    pub(super) kind: TypeName,
}

/// The type of a client on the wire.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = OAuthClientType)]
pub enum TypeName {
    /// Runs on users' devices.
    Public,
    /// Runs on a server and keeps a secret.
    Confidential,
}

impl From<TypeName> for ClientType {
    fn from(name: TypeName) -> Self {
        match name {
            TypeName::Public => Self::Public,
            TypeName::Confidential => Self::Confidential,
        }
    }
}

/// Changes of an application; absent members stay unchanged.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthClientSelfUpdateProps)]
pub struct UpdateClient {
    /// The public keys with which the client authenticates (`private_key_jwt`), as a JWK set, in place of a secret;
    /// `null` removes the keys.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    pub(super) jwks: Option<Value>,
    /// The https URL of these keys; `null` removes the URL.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub(super) jwks_uri: Option<Value>,
    /// Allowed scopes.
    #[serde(default, deserialize_with = "given")]
    pub(super) allowed_scopes: Option<Vec<String>>,
    /// Name shown on the consent page.
    #[serde(default, deserialize_with = "given")]
    pub(super) name: Option<String>,
    /// True if authorization requests need PKCE; false only for an application with a secret.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    pub(super) pkce_required: Option<Value>,
    /// Redirect URIs.
    #[serde(default, deserialize_with = "given")]
    pub(super) redirect_uris: Option<Vec<String>>,
    /// True if every authorization request of the application must be pushed (RFC 9126 §6).
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    pub(super) require_pushed_authorization_requests: Option<Value>,
}

/// Replacement of a secret.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthClientSecretRotateProps)]
pub struct RotateSecret {
    /// Seconds during which the old secret stays valid: at most seven days, 0 if absent.
    #[serde(default)]
    pub(super) overlap_seconds: u32,
}

/// Deserializes an optional member that must not be `null` (storyden-contract.md#order-of-validation).
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    member: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(member).map(Some)
}
