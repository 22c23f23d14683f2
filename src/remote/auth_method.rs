//! Authentication of this server at a remote token endpoint (RFC 6749 §2.3).

/// This community's authentication method at a remote server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// Client id only.
    None,
    /// Secret in the `Authorization` header.
    Basic,
    /// Secret in the body.
    Post,
}

impl AuthMethod {
    /// The method of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "client_secret_basic" => Some(Self::Basic),
            "client_secret_post" => Some(Self::Post),
            _ => None,
        }
    }

    /// The name of the method.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
        }
    }
}
