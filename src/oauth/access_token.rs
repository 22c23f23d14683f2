//! Access tokens: JWTs in the profile of RFC 9068, which Storyden's own validator accepts too.

use serde::{Deserialize, Serialize};

use super::dpop::{Confirmation, Thumbprint};
use super::scope::Scope;
use super::token_exchange::Actor;
use crate::clock::Timestamp;
use crate::ids::{AccountId, GrantId};

/// The audience of tokens that are for Storyden's own API.
pub const STORYDEN: &str = "storyden";

/// The header type that keeps an access token from being taken for an ID token (RFC 9068 §2.1).
pub const TYPE: &str = "at+jwt";

/// The `gty` of a token that a client got for itself: `sub` is then the client's owner.
pub const CLIENT_CREDENTIALS: &str = "client-credentials";

/// The format of access tokens, issued and accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTokenFormat {
    /// RFC 9068: type `at+jwt`, with `exp`, `iat` and `scope`.
    Rfc9068,
    /// Storyden's: issued with the type `JWT`, accepted with any type and without `exp` or `scope`.
    PlainJwt,
}

impl AccessTokenFormat {
    /// The `typ` header of issued tokens.
    #[must_use]
    pub fn issued_type(self) -> &'static str {
        match self {
            Self::Rfc9068 => TYPE,
            Self::PlainJwt => "JWT",
        }
    }
}

/// The claims of an access token (RFC 9068 §2.2).
#[derive(Debug, Serialize)]
pub struct AccessTokenClaims<'a> {
    /// The way in which the person signed in, if known (RFC 9068 §2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<&'static str>,
    /// The clients that act for the account, after a token exchange (RFC 8693 §4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<&'a Actor>,
    /// The audience: resources (RFC 8707), or Storyden's own name.
    pub aud: Audience,
    /// Time of the person's sign-in, in seconds since 1970 (RFC 9068 §2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// The client that the token was issued to.
    pub client_id: &'a str,
    /// The key that the token is bound to (RFC 9449 §6.1); absent in a bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// Expiry, in seconds since 1970.
    pub exp: i64,
    /// The grant behind the token.
    pub gid: &'a GrantId,
    /// [`CLIENT_CREDENTIALS`] if the client acts for itself; `sub` is then the client's owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gty: Option<&'static str>,
    /// Time of issue, in seconds since 1970.
    pub iat: i64,
    /// The issuer: this server.
    pub iss: &'a str,
    /// Unique id of the token.
    pub jti: String,
    /// The granted scope, separated by spaces.
    pub scope: String,
    /// The account that the token acts for.
    pub sub: &'a AccountId,
}

/// The claims of a verified access token: a resource server may rely on these.
#[derive(Debug)]
pub struct VerifiedAccessToken {
    /// The account that the token acts for.
    pub account: AccountId,
    /// The granted scope.
    pub scope: Scope,
    /// The grant behind the token.
    pub grant: Option<GrantId>,
    /// True if the client acts for itself (RFC 6749 §4.4).
    pub for_client_itself: bool,
    /// The client that the token was issued to; absent in a token from Storyden.
    pub client_id: Option<String>,
    /// The audience.
    pub audience: Audience,
    /// The key that the token is bound to (RFC 9449 §6.1); `None` for a bearer token.
    pub key: Option<Thumbprint>,
    /// The clients that act for the account, after a token exchange (RFC 8693 §4.1).
    pub actor: Option<Actor>,
    /// Unique id of the token.
    pub jti: Option<String>,
    /// Expiry, in seconds since 1970.
    pub expires_at: Option<i64>,
    /// Time of issue, in seconds since 1970.
    pub issued_at: Option<i64>,
    /// Id of the key that signed the token.
    pub kid: Option<String>,
}

impl VerifiedAccessToken {
    /// Sets the id of the key that signed the token.
    #[must_use]
    pub fn signed_by(mut self, kid: String) -> Self {
        self.kid = Some(kid);
        self
    }
}

/// The claims that are read back; other claims are ignored.
#[derive(Debug, Deserialize)]
pub struct ReadClaims {
    iss: String,
    sub: String,
    aud: Audience,
    #[serde(default)]
    exp: Option<i64>,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    iat: Option<i64>,
    #[serde(default)]
    scope: Option<String>,
    #[serde(default)]
    gid: Option<String>,
    #[serde(default)]
    gty: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    jti: Option<String>,
    #[serde(default)]
    cnf: Option<Confirmation>,
    #[serde(default)]
    act: Option<Actor>,
}

/// One audience or several (RFC 7519 §4.1.3).
#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Audience {
    /// A single audience.
    One(String),
    /// Any number of audiences.
    Several(Vec<String>),
}

impl Audience {
    /// True if the list contains `somebody`.
    #[must_use]
    pub fn contains(&self, somebody: &str) -> bool {
        self.iter().any(|one| one == somebody)
    }

    /// True if the value is a single string, and equals `name`.
    #[must_use]
    pub fn is_only(&self, name: &str) -> bool {
        matches!(self, Self::One(audience) if audience == name)
    }

    /// The audiences, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let list = match self {
            Self::One(audience) => std::slice::from_ref(audience),
            Self::Several(audiences) => audiences,
        };
        list.iter().map(String::as_str)
    }
}

/// The audiences that a check accepts (RFC 9068 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForWhom {
    /// Tokens for this community's own API: required for access.
    Us,
    /// Tokens for any resource: enough for introspection and revocation.
    Anybody,
}

/// Tolerated clock difference between two machines, in seconds.
const LEEWAY: i64 = 30;

impl ReadClaims {
    /// Checks the claims after the signature was verified (RFC 9068 §4); `None` if any check fails.
    #[must_use]
    pub fn verify(
        self,
        format: AccessTokenFormat,
        issuer: &str,
        whom: ForWhom,
        now: Timestamp,
    ) -> Option<VerifiedAccessToken> {
        let now = now.unix_seconds();
        let for_us = whom == ForWhom::Anybody || self.aud.contains(STORYDEN);
        let lenient = format == AccessTokenFormat::PlainJwt;
        let in_time = self.exp.map_or(lenient, |end| end > now)
            && self.nbf.is_none_or(|from| from <= now + LEEWAY)
            && (lenient || self.iat.is_none_or(|made| made <= now + LEEWAY));
        if self.iss != issuer || !for_us || !in_time {
            return None;
        }
        // An unknown scope name proves that this server did not issue the token.
        let scope = match &self.scope {
            Some(scope) => {
                let scope = Scope::parse(scope).ok()?;
                // A Storyden knows no scopes of resources.
                Some(scope).filter(|scope| !lenient || !scope.has_resource_scopes())?
            }
            None if lenient => Scope::default(),
            None => return None,
        };
        Some(VerifiedAccessToken {
            account: AccountId::new(self.sub),
            scope,
            grant: self.gid.map(GrantId::new),
            for_client_itself: self.gty.as_deref() == Some(CLIENT_CREDENTIALS),
            client_id: self.client_id,
            audience: self.aud,
            key: self.cnf.map(|cnf| cnf.jkt),
            actor: self.act,
            jti: self.jti,
            expires_at: self.exp,
            issued_at: self.iat,
            kid: None,
        })
    }
}
