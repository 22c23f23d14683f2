//! ID tokens (OpenID Connect Core §2), and the claims about the person in ID tokens and userinfo (§5.3, §5.4).

use serde::Serialize;

use super::claims_request::{ClaimList, GrantedClaims, PersonClaim};
use super::scope::Scope;
use crate::ids::AccountId;

/// The claims of an ID token.
#[derive(Debug, Serialize)]
pub struct IdTokenClaims<'a> {
    /// The way in which the person signed in, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<&'static str>,
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
    /// The claims about the person.
    #[serde(flatten)]
    pub person: PersonClaims,
}

/// The claims of a signed userinfo response (OpenID Connect Core §5.3.2). Without `iat`, so that the response
/// is not accepted as an ID token.
#[derive(Debug, Serialize)]
pub struct SignedUserinfo<'a> {
    /// The client.
    pub aud: &'a str,
    /// Expiry, in seconds since 1970: that of the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// The issuer: this server.
    pub iss: &'a str,
    /// The account.
    pub sub: &'a AccountId,
    /// The claims about the person.
    #[serde(flatten)]
    pub person: PersonClaims,
}

/// The claims about the person (§5.1). Claims without a value are omitted (§5.3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PersonClaims {
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// True if the address is verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// The display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// URL of the avatar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// The handle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    /// URL of the profile page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Time of the last change of the account, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<i64>,
}

/// The claims in ID tokens and userinfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimPolicy {
    /// OpenID Connect Core §5.4: userinfo has the claims of the scopes. The ID token has the name and the
    /// claims that the client requested for it, and tells how the person signed in.
    Standard,
    /// Storyden's claims: the ID token has the e-mail address too, and a profile is a name and a handle.
    Storyden,
}

/// The place of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimPlace {
    /// An ID token, issued with an access token.
    IdToken,
    /// The response of the userinfo endpoint.
    Userinfo,
}

impl ClaimPolicy {
    /// True if ID tokens and access tokens have `acr`.
    #[must_use]
    pub fn has_acr(self) -> bool {
        self == Self::Standard
    }

    /// Returns the claims about the person that a token with `scope` releases at a place. `granted` are the
    /// claims that the client requested one by one (§5.5).
    #[must_use]
    pub fn released(self, place: ClaimPlace, scope: &Scope, granted: &GrantedClaims) -> ClaimList {
        use PersonClaim::{Email, EmailVerified, Name, PreferredUsername};
        let by_scope: &[PersonClaim] = match (self, place) {
            (Self::Standard, ClaimPlace::IdToken) => &[Name],
            (Self::Standard, ClaimPlace::Userinfo) => PersonClaim::ALL,
            (Self::Storyden, ClaimPlace::IdToken) => &[Name, Email, EmailVerified],
            (Self::Storyden, ClaimPlace::Userinfo) => {
                &[Name, PreferredUsername, Email, EmailVerified]
            }
        };
        let by_scope = by_scope.iter().copied();
        let by_scope = by_scope.filter(|claim| scope.contains(claim.scope()));
        let requested = match (self, place) {
            (Self::Storyden, _) => None,
            (Self::Standard, ClaimPlace::IdToken) => Some(&granted.id_token),
            (Self::Standard, ClaimPlace::Userinfo) => Some(&granted.userinfo),
        };
        let requested = requested.into_iter().flat_map(ClaimList::iter);
        let is_covered = |claim: &PersonClaim| {
            scope.contains(claim.scope()) || granted.approved.contains(*claim)
        };
        by_scope.chain(requested.filter(is_covered)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(policy: ClaimPolicy, place: ClaimPlace, scope: &str) -> Vec<&'static str> {
        let granted = GrantedClaims {
            id_token: vec!["email".to_owned(), "picture".to_owned()].into(),
            userinfo: vec!["name".to_owned()].into(),
            approved: vec!["picture".to_owned()].into(),
        };
        let released = policy.released(place, &Scope::stored(scope), &granted);
        released.iter().map(PersonClaim::name).collect()
    }

    /// OpenID Connect Core §5.4 and §5.5: a claim needs its scope, unless the page showed the claim.
    #[test]
    fn claims_are_released_by_scope_and_by_approval() {
        use ClaimPlace::{IdToken, Userinfo};
        let standard = |place, scope| names(ClaimPolicy::Standard, place, scope);
        assert_eq!(standard(IdToken, "openid"), ["picture"]);
        assert_eq!(standard(IdToken, "openid email"), ["email", "picture"]);
        assert_eq!(standard(IdToken, "openid profile"), ["name", "picture"]);
        assert_eq!(standard(Userinfo, "openid"), [""; 0]);
        assert_eq!(
            standard(Userinfo, "openid email"),
            ["email", "email_verified"]
        );
        assert_eq!(standard(Userinfo, "openid profile").len(), 5);
        let storyden = |place, scope| names(ClaimPolicy::Storyden, place, scope);
        assert_eq!(storyden(IdToken, "openid profile"), ["name"]);
        assert_eq!(
            storyden(IdToken, "openid email"),
            ["email", "email_verified"]
        );
        assert_eq!(
            storyden(Userinfo, "openid profile"),
            ["name", "preferred_username"]
        );
    }
}
