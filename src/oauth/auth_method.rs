//! Client authentication at the token endpoint (RFC 6749 §2.3, RFC 7591 §2).

use super::grant_type::ClientType;

/// A `token_endpoint_auth_method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// `none`: no secret; the client only names itself.
    None,
    /// `client_secret_basic`: the secret is in the `Authorization` header.
    Basic,
    /// `client_secret_post`: the secret is in the body.
    Post,
    /// `private_key_jwt`: the client signs with its own key (RFC 7523 §2.2, OpenID Connect Core §9).
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

    /// The method with the given name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|method| method.name() == name)
    }

    /// The default method of a client type (RFC 7591 §2).
    #[must_use]
    pub fn usual(kind: ClientType) -> Self {
        match kind {
            ClientType::Public => Self::None,
            ClientType::Confidential => Self::Basic,
        }
    }

    /// True if a client of the given type can use the method.
    #[must_use]
    pub fn fits(self, kind: ClientType) -> bool {
        (self == Self::None) == (kind == ClientType::Public)
    }
}
