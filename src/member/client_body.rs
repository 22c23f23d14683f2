//! What a member sends to make or change an application.

use serde::{Deserialize, Deserializer};

use crate::oauth::grant_type::ClientType;

/// A new application.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthClientSelfCreateProps)]
pub struct CreateClient {
    /// How it gets tokens: `authorization_code`, `refresh_token`, `client_credentials` or
    /// `urn:ietf:params:oauth:grant-type:device_code`.
    pub(super) allowed_grants: Vec<String>,
    /// What it may have: permissions that its maker holds, and standard scopes.
    pub(super) allowed_scopes: Vec<String>,
    /// The name that people read when they are asked.
    pub(super) name: String,
    /// Whether it must use PKCE. A public one must; every one that is made here must in fact.
    pub(super) pkce_required: bool,
    /// Where people are sent back to.
    #[serde(default, deserialize_with = "given")]
    pub(super) redirect_uris: Option<Vec<String>>,
    /// How it authenticates: `none`, `client_secret_basic` or `client_secret_post`. Left out, any way
    /// that its type allows will do.
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
    /// It runs where people can look into it.
    Public,
    /// It runs on a server and keeps a secret.
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

/// What of an application is changed; what is left out stays as it is.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthClientSelfUpdateProps)]
pub struct UpdateClient {
    /// What it may have.
    #[serde(default, deserialize_with = "given")]
    pub(super) allowed_scopes: Option<Vec<String>>,
    /// The name that people read when they are asked.
    #[serde(default, deserialize_with = "given")]
    pub(super) name: Option<String>,
    /// Where people are sent back to.
    #[serde(default, deserialize_with = "given")]
    pub(super) redirect_uris: Option<Vec<String>>,
}

/// How a secret is replaced.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthClientSecretRotateProps)]
pub struct RotateSecret {
    /// Seconds that the old secret stays good beside the new one: at most seven days, not at all when
    /// left out.
    #[serde(default)]
    pub(super) overlap_seconds: u32,
}

/// A member that may be left out and may not be `null` (contract 1.3).
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    member: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(member).map(Some)
}
