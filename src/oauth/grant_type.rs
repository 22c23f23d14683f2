//! Grant types (RFC 6749 §1.3, RFC 8628 §3.4) and client types (RFC 6749 §2.1).

/// A way for a client to get tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantType {
    /// `authorization_code` (RFC 6749 §4.1).
    AuthorizationCode,
    /// `refresh_token` (RFC 6749 §6).
    RefreshToken,
    /// `client_credentials` (RFC 6749 §4.4).
    ClientCredentials,
    /// The device grant (RFC 8628).
    DeviceCode,
    /// Token exchange (RFC 8693). Allowed by a resource that names the client as its server.
    TokenExchange,
    /// The JWT bearer grant (RFC 7523 §2.1). Allowed by an issuer that names the client in its assertion.
    JwtBearer,
}

impl GrantType {
    /// Every grant type that a client lists, in the published order.
    pub const ALL: &[Self] = &[
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::ClientCredentials,
        Self::DeviceCode,
    ];

    /// The grant types that no client lists, because other parties allow them.
    pub const UNLISTED: &[Self] = &[Self::TokenExchange, Self::JwtBearer];

    /// The value of `grant_type` at the token endpoint, and the name in a client's stored list.
    #[must_use]
    pub fn wire_name(self) -> &'static str {
        match self {
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
            Self::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
            other => other.stored_name(),
        }
    }

    /// The short name, for sentences; a stored list may have it too.
    #[must_use]
    pub fn stored_name(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "device_code",
            Self::TokenExchange => "token_exchange",
            Self::JwtBearer => "jwt_bearer",
        }
    }

    /// The grant type of a `grant_type` parameter, also if no client lists the type.
    #[must_use]
    pub fn from_parameter(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().chain(Self::UNLISTED).copied();
        all.find(|grant| grant.wire_name() == name)
    }

    /// The grant type of a name in the metadata of a client.
    #[must_use]
    pub fn from_wire_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|grant| grant.wire_name() == name)
    }

    /// The grant type of a name in a list, long or short.
    #[must_use]
    pub fn from_stored_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|grant| grant.stored_name() == name || grant.wire_name() == name)
    }
}

/// The client types of RFC 6749 §2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientType {
    /// Cannot keep a secret.
    Public,
    /// Has a secret and authenticates with it.
    Confidential,
}

impl ClientType {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Confidential => "confidential",
        }
    }
}
