//! ID tokens (OpenID Connect Core §2) and the claims that scopes release (§5.4).

use serde::Serialize;

use super::scope::{Scope, ScopeName};
use crate::ids::AccountId;

/// The claims of an ID token.
#[derive(Debug, Serialize)]
pub struct IdTokenClaims<'a> {
    /// What ties it to the access token beside it (§3.1.3.6).
    pub at_hash: String,
    /// The client that asked.
    pub aud: &'a str,
    /// When the person signed in, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// When it ends, seconds since 1970.
    pub exp: i64,
    /// When it was made, seconds since 1970.
    pub iat: i64,
    /// This server.
    pub iss: &'a str,
    /// As the client sent it; absent when it sent none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<&'a str>,
    /// The account.
    pub sub: &'a AccountId,
    /// What the scopes release.
    #[serde(flatten)]
    pub person: PersonClaims,
}

/// What the scopes `profile` and `email` release about a person (OpenID Connect Core §5.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PersonClaims {
    /// The address, with `email`; absent when there is none (§5.3.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether its holder proved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// The shown name, with `profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The handle, with `profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
}

/// An address and whether its holder proved it.
pub type EmailClaim = (String, bool);

impl PersonClaims {
    /// What a scope releases about somebody.
    #[must_use]
    pub fn released_by(scope: &Scope, name: &str, handle: &str, email: Option<EmailClaim>) -> Self {
        let mut claims = Self::default();
        if scope.contains(ScopeName::Profile) {
            claims.name = Some(name.to_owned());
            claims.preferred_username = Some(handle.to_owned());
        }
        if scope.contains(ScopeName::Email)
            && let Some((address, verified)) = email
        {
            claims.email = Some(address);
            claims.email_verified = Some(verified);
        }
        claims
    }
}
