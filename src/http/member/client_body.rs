//! Request bodies of members' own applications.

use serde::Deserialize;
use serde_json::Value;

use crate::http::client_about::AboutProps;
use crate::http::client_members::{ProtectionProps, given};
use crate::oauth::grant_type::ClientType;

/// A new application.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthClientSelfCreateProps)]
pub struct CreateClient {
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
    #[serde(flatten)]
    pub(super) protection: ProtectionProps,
    #[serde(flatten)]
    pub(super) about: AboutProps,
    /// Authentication method: `none`, `client_secret_basic`, `client_secret_post`, or `private_key_jwt` with keys. If
    /// absent, `private_key_jwt` for a confidential application with keys, and every method of the type for others.
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
    #[serde(flatten)]
    pub(super) protection: ProtectionProps,
    #[serde(flatten)]
    pub(super) about: AboutProps,
}

/// Replacement of a secret.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthClientSecretRotateProps)]
pub struct RotateSecret {
    /// Seconds during which the old secret stays valid: at most seven days, 0 if absent.
    #[serde(default)]
    pub(super) overlap_seconds: u32,
}
