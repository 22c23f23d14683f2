//! Access tokens: JWTs in the profile of RFC 9068, which Storyden's own validator accepts too.

use serde::{Deserialize, Serialize};

use super::scope::Scope;
use crate::clock::Timestamp;
use crate::ids::{AccountId, GrantId};
use crate::profile::Profile;

/// The audience of tokens that are for Storyden's own API.
pub const STORYDEN: &str = "storyden";

/// The header type that keeps an access token from being taken for an ID token (RFC 9068 §2.1).
pub const TYPE: &str = "at+jwt";

/// The claims of an access token (RFC 9068 §2.2).
#[derive(Debug, Serialize)]
pub struct AccessTokenClaims<'a> {
    /// Who it is for.
    pub aud: Audience,
    /// When the person signed in, seconds since 1970 (RFC 9068 §2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// The client it was given to.
    pub client_id: &'a str,
    /// When it ends, seconds since 1970.
    pub exp: i64,
    /// The grant it came of; none for a client that acts for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<&'a GrantId>,
    /// `client-credentials` when no person is behind it: then `sub` is the client's owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gty: Option<&'static str>,
    /// When it was made, seconds since 1970.
    pub iat: i64,
    /// This server.
    pub iss: &'a str,
    /// What tells it from every other.
    pub jti: String,
    /// What it permits, separated by spaces.
    pub scope: String,
    /// The account it acts for.
    pub sub: &'a AccountId,
}

/// An access token that was checked: what a resource server may rely on.
#[derive(Debug)]
pub struct VerifiedAccessToken {
    /// The account it acts for.
    pub account: AccountId,
    /// What it permits.
    pub scope: Scope,
    /// The grant it came of.
    pub grant: Option<GrantId>,
    /// The client it was given to; none in a token that a Storyden made.
    pub client_id: Option<String>,
    /// Who it is for.
    pub audience: Audience,
    /// What tells it from every other.
    pub jti: Option<String>,
    /// When it ends, seconds since 1970.
    pub expires_at: Option<i64>,
    /// When it was made, seconds since 1970.
    pub issued_at: Option<i64>,
}

/// The claims that are read back; everything else is ignored.
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
    client_id: Option<String>,
    #[serde(default)]
    jti: Option<String>,
}

/// One audience or several (RFC 7519 §4.1.3).
#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Any number.
    Several(Vec<String>),
}

impl Audience {
    /// Whether somebody is among them.
    #[must_use]
    pub fn contains(&self, somebody: &str) -> bool {
        match self {
            Self::One(audience) => audience == somebody,
            Self::Several(audiences) => audiences.iter().any(|one| one == somebody),
        }
    }
}

/// Whose tokens count (RFC 9068 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForWhom {
    /// Those for this community's own API: what lets somebody in.
    Us,
    /// Those for any resource: what is looked up, or ended.
    Anybody,
}

/// How far apart two machines' clocks may be, in seconds.
const LEEWAY: i64 = 30;

impl ReadClaims {
    /// Checks what the signature does not say (RFC 9068 §4); `None` when anything is off.
    #[must_use]
    pub fn verify(
        self,
        profile: Profile,
        issuer: &str,
        whom: ForWhom,
        now: Timestamp,
    ) -> Option<VerifiedAccessToken> {
        let now = now.unix_seconds();
        let for_us = whom == ForWhom::Anybody || self.aud.contains(STORYDEN);
        let lenient = profile.access_tokens_are_plain_jwts();
        let in_time = self.exp.map_or(lenient, |end| end > now)
            && self.nbf.is_none_or(|from| from <= now + LEEWAY)
            && (lenient || self.iat.is_none_or(|made| made <= now + LEEWAY));
        if self.iss != issuer || !for_us || !in_time {
            return None;
        }
        // A scope that names what nobody knows is not one we wrote.
        let scope = match &self.scope {
            Some(scope) => Scope::parse(scope).ok()?,
            None if lenient => Scope::default(),
            None => return None,
        };
        Some(VerifiedAccessToken {
            account: AccountId::new(self.sub),
            scope,
            grant: self.gid.map(GrantId::new),
            client_id: self.client_id,
            audience: self.aud,
            jti: self.jti,
            expires_at: self.exp,
            issued_at: self.iat,
        })
    }
}
