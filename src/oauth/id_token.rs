//! ID tokens (OpenID Connect Core §2) and the claims that scopes release (§5.4).

use serde::Serialize;

use super::scope::{Scope, ScopeName};
use crate::ids::AccountId;

/// The claims of an ID token.
#[derive(Debug, Serialize)]
pub struct IdTokenClaims<'a> {
    /// Binds the ID token to the access token issued with it (§3.1.3.6).
    pub at_hash: String,
    /// The client.
    pub aud: &'a str,
    /// Time of the person's sign-in, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// Expiry, in seconds since 1970.
    pub exp: i64,
    /// Time of issue, in seconds since 1970.
    pub iat: i64,
    /// The issuer: this server.
    pub iss: &'a str,
    /// The nonce of the request; absent if the request had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<&'a str>,
    /// The account.
    pub sub: &'a AccountId,
    /// The claims released by the scope.
    #[serde(flatten)]
    pub person: PersonClaims,
}

/// The claims that the scopes `profile` and `email` release (OpenID Connect Core §5.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PersonClaims {
    /// The e-mail address, with `email`; absent if the account has none (§5.3.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// True if the address is verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// The display name, with `profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The handle, with `profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
}

/// An e-mail address, and true if it is verified.
pub type EmailClaim = (String, bool);

impl PersonClaims {
    /// Returns the claims that a scope releases.
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
