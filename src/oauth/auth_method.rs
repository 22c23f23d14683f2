//! How a client authenticates at the token endpoint (RFC 6749 §2.3, RFC 7591 §2).

use super::grant_type::ClientType;

/// A `token_endpoint_auth_method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// `none`: it has no secret and names itself alone.
    None,
    /// `client_secret_basic`: its secret comes in the `Authorization` header.
    Basic,
    /// `client_secret_post`: its secret comes in the body.
    Post,
    /// `private_key_jwt`: it signs with a key of its own (RFC 7523 §2.2, OpenID Connect Core §9).
    PrivateKeyJwt,
}

impl AuthMethod {
    /// Every method, in the published order.
    pub const ALL: &[Self] = &[Self::None, Self::Basic, Self::Post, Self::PrivateKeyJwt];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The method of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|method| method.name() == name)
    }

    /// What a client of a type uses that chose nothing (RFC 7591 §2).
    #[must_use]
    pub fn usual(kind: ClientType) -> Self {
        match kind {
            ClientType::Public => Self::None,
            ClientType::Confidential => Self::Basic,
        }
    }

    /// Whether a client of a type can use it.
    #[must_use]
    pub fn fits(self, kind: ClientType) -> bool {
        (self == Self::None) == (kind == ClientType::Public)
    }
}
