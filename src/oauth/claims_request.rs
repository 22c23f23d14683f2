//! The `claims` parameter (OpenID Connect Core §5.5): claims that a client requests one by one, for the ID
//! token and for userinfo.
//!
//! A claim about the person is granted if the approval covers the scope that releases the claim, or if the
//! consent page showed the claim itself. Unknown claims and unknown members are ignored (§5.5.1).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::OAuthError;
use super::scope::{Scope, ScopeName};
use super::strict_json;

/// A claim about the person that this server can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonClaim {
    /// The display name.
    Name,
    /// The handle.
    PreferredUsername,
    /// The URL of the profile page.
    Profile,
    /// The URL of the avatar.
    Picture,
    /// Time of the last change of the account.
    UpdatedAt,
    /// The e-mail address.
    Email,
    /// True if the address is verified.
    EmailVerified,
}

impl PersonClaim {
    /// Every claim, in the published order.
    pub const ALL: &[Self] = &[
        Self::Name,
        Self::PreferredUsername,
        Self::Profile,
        Self::Picture,
        Self::UpdatedAt,
        Self::Email,
        Self::EmailVerified,
    ];

    /// The name on the wire (§5.1).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::PreferredUsername => "preferred_username",
            Self::Profile => "profile",
            Self::Picture => "picture",
            Self::UpdatedAt => "updated_at",
            Self::Email => "email",
            Self::EmailVerified => "email_verified",
        }
    }

    /// The claim of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|claim| claim.name() == name)
    }

    /// The scope that releases the claim (§5.4).
    #[must_use]
    pub fn scope(self) -> ScopeName {
        match self {
            Self::Email | Self::EmailVerified => ScopeName::Email,
            _ => ScopeName::Profile,
        }
    }
}

/// A list of distinct claims. Unknown names of a stored list are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<String>")]
pub struct ClaimList(Vec<PersonClaim>);

impl ClaimList {
    /// True if the list contains the claim.
    #[must_use]
    pub fn contains(&self, claim: PersonClaim) -> bool {
        self.0.contains(&claim)
    }

    /// True if the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The claims, in order.
    pub fn iter(&self) -> impl Iterator<Item = PersonClaim> {
        self.0.iter().copied()
    }

    /// The claims that pass.
    #[must_use]
    pub fn keep(&self, passes: impl Fn(PersonClaim) -> bool) -> Self {
        self.iter().filter(|claim| passes(*claim)).collect()
    }
}

impl FromIterator<PersonClaim> for ClaimList {
    fn from_iter<I: IntoIterator<Item = PersonClaim>>(claims: I) -> Self {
        let mut list = Self::default();
        for claim in claims {
            if !list.contains(claim) {
                list.0.push(claim);
            }
        }
        list
    }
}

impl From<Vec<String>> for ClaimList {
    fn from(names: Vec<String>) -> Self {
        let claims = names.iter().map(String::as_str);
        claims.filter_map(PersonClaim::from_name).collect()
    }
}

impl Serialize for ClaimList {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(PersonClaim::name))
    }
}

/// The requested claims about the person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestedClaims {
    /// For the ID token.
    pub id_token: ClaimList,
    /// For userinfo.
    pub userinfo: ClaimList,
    /// The claims that the client marked as essential (§5.5.1), at either place.
    pub essential: ClaimList,
}

impl RequestedClaims {
    /// True if no claim is requested.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.id_token.is_empty() && self.userinfo.is_empty()
    }

    /// Returns the claims that the consent page shows one by one: not released by a scope that the page
    /// shows, and within the scopes that the client may have.
    #[must_use]
    pub fn shown(&self, granted: &Scope, allows: impl Fn(ScopeName) -> bool) -> ClaimList {
        let asked: ClaimList = self.id_token.iter().chain(self.userinfo.iter()).collect();
        asked.keep(|claim| !granted.contains(claim.scope()) && allows(claim.scope()))
    }

    /// Returns the claims that an approval grants. `approved` are the claims that the page showed one by
    /// one.
    #[must_use]
    pub fn grant(&self, granted: &Scope, approved: ClaimList) -> GrantedClaims {
        let covers =
            |claim: PersonClaim| granted.contains(claim.scope()) || approved.contains(claim);
        GrantedClaims {
            id_token: self.id_token.keep(covers),
            userinfo: self.userinfo.keep(covers),
            approved,
        }
    }
}

/// The granted part of [`RequestedClaims`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrantedClaims {
    /// For the ID token.
    pub id_token: ClaimList,
    /// For userinfo.
    pub userinfo: ClaimList,
    /// The claims that the consent page showed one by one. The others are released only while the token
    /// has their scope.
    pub approved: ClaimList,
}

impl GrantedClaims {
    /// True if no claim is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.id_token.is_empty() && self.userinfo.is_empty()
    }
}

/// A parsed `claims` parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimsRequest {
    /// The claims about the person.
    pub person: RequestedClaims,
    /// The account that must be signed in: the requested value of `sub` in the ID token (§5.5.1).
    pub subject: Option<String>,
    /// The values of an essential `acr` in the ID token (§5.5.1.1); empty if any `acr`, or none, will do.
    pub acr_values: Vec<String>,
}

impl ClaimsRequest {
    /// Parses the parameter.
    ///
    /// # Errors
    /// `invalid_request` if the value is not an object of objects.
    pub fn parse(text: &str) -> Result<Self, OAuthError> {
        let malformed = |why: &str| OAuthError::invalid_request(format!("claims {why}"));
        let document = strict_json::parse(text.as_bytes());
        let document = document.map_err(|why| malformed(&format!("cannot be read: {why}")))?;
        let members = document.as_object();
        let members = members.ok_or_else(|| malformed("must be a JSON object"))?;
        let place = |name: &str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(claims)) => Ok(Some(claims)),
            Some(_) => Err(malformed(&format!("must have an object as {name}"))),
        };
        let (id_token, userinfo) = (place("id_token")?, place("userinfo")?);
        let essential = [id_token, userinfo].into_iter().flatten();
        let essential = essential
            .flat_map(Map::iter)
            .filter(|one| is_essential(one.1));
        let individual = |name: &str| id_token.and_then(|claims| claims.get(name));
        let acr = individual("acr").filter(|acr| is_essential(acr));
        Ok(Self {
            person: RequestedClaims {
                id_token: known(id_token),
                userinfo: known(userinfo),
                essential: essential
                    .filter_map(|(name, _)| PersonClaim::from_name(name))
                    .collect(),
            },
            subject: individual("sub").and_then(|sub| values(sub).into_iter().next()),
            acr_values: acr.map(values).unwrap_or_default(),
        })
    }

    /// True if an `acr` satisfies the request.
    #[must_use]
    pub fn accepts_acr(&self, acr: Option<&str>) -> bool {
        self.acr_values.is_empty()
            || acr.is_some_and(|acr| self.acr_values.iter().any(|value| value == acr))
    }

    /// True if one of several `acr` satisfies the request.
    #[must_use]
    pub fn accepts_any_acr(&self, several: &[&str]) -> bool {
        several.iter().any(|acr| self.accepts_acr(Some(acr)))
    }
}

/// The known claims of a place.
fn known(claims: Option<&Map<String, Value>>) -> ClaimList {
    let names = claims.into_iter().flat_map(Map::keys);
    names
        .filter_map(|name| PersonClaim::from_name(name))
        .collect()
}

fn is_essential(request: &Value) -> bool {
    request.get("essential") == Some(&Value::Bool(true))
}

/// The texts of `value` and `values`.
fn values(request: &Value) -> Vec<String> {
    let several = request.get("values").and_then(Value::as_array);
    let all = request.get("value").into_iter();
    all.chain(several.into_iter().flatten())
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ClaimsRequest {
        ClaimsRequest::parse(text).unwrap()
    }

    fn names(list: &ClaimList) -> Vec<&'static str> {
        list.iter().map(PersonClaim::name).collect()
    }

    /// req_176: places, essential claims, unknown claims and members of §5.5.1.
    #[test]
    fn known_claims_are_read_by_place() {
        let request = parse(
            r#"{"userinfo":{"name":{"essential":true},"nickname":null,"email":null,"http://x/y":{"a":1}},
                "id_token":{"email":{"essential":false,"other":[1]},"auth_time":{"essential":true}},"more":1}"#,
        );
        assert_eq!(names(&request.person.userinfo), ["email", "name"]);
        assert_eq!(names(&request.person.id_token), ["email"]);
        assert_eq!(names(&request.person.essential), ["name"]);
        assert_eq!((request.subject, request.acr_values.len()), (None, 0));
        assert!(parse("{}").person.is_empty());
        assert!(
            parse(r#"{"userinfo":null,"id_token":{}}"#)
                .person
                .is_empty()
        );
    }

    #[test]
    fn a_malformed_request_is_refused() {
        for text in [
            "",
            "x",
            "[]",
            "null",
            "1",
            r#"{"userinfo":[]}"#,
            r#"{"id_token":"sub"}"#,
            "{} {}",
        ] {
            let error = ClaimsRequest::parse(text).unwrap_err();
            assert_eq!(error.code.as_str(), "invalid_request", "{text}");
        }
    }

    /// OpenID Connect Core §5.5.1.1: only an essential `acr` with values restricts the sign-in.
    #[test]
    fn an_essential_acr_has_values() {
        let essential = parse(
            r#"{"id_token":{"acr":{"essential":true,"values":["a","b"]},"sub":{"value":"s"}}}"#,
        );
        assert_eq!(essential.subject.as_deref(), Some("s"));
        assert!(essential.accepts_acr(Some("b")));
        assert!(!essential.accepts_acr(Some("c")) && !essential.accepts_acr(None));
        for voluntary in [
            r#"{"id_token":{"acr":{"values":["a"]}}}"#,
            r#"{"id_token":{"acr":{"essential":true}}}"#,
            r#"{"userinfo":{"acr":{"essential":true,"value":"a"}}}"#,
        ] {
            assert!(parse(voluntary).accepts_acr(None), "{voluntary}");
        }
    }

    /// An approval grants a claim by its scope, or because the page showed the claim.
    #[test]
    fn a_claim_is_granted_by_scope_or_one_by_one() {
        let request =
            parse(r#"{"userinfo":{"name":null},"id_token":{"email":null,"picture":null}}"#);
        let request = request.person;
        let scope = Scope::stored("openid email");
        let shown = request.shown(&scope, |_| true);
        assert_eq!(names(&shown), ["picture", "name"]);
        assert!(
            request
                .shown(&scope, |scope| scope == ScopeName::Email)
                .is_empty()
        );
        let granted = request.grant(&scope, shown.keep(|claim| claim == PersonClaim::Name));
        assert_eq!(names(&granted.id_token), ["email"]);
        assert_eq!(names(&granted.userinfo), ["name"]);
        let stored = serde_json::to_value(&granted).unwrap();
        assert_eq!(
            serde_json::from_value::<GrantedClaims>(stored).unwrap(),
            granted
        );
        let later = serde_json::json!({ "userinfo": ["name", "zoneinfo"], "else": 1 });
        let later: GrantedClaims = serde_json::from_value(later).unwrap();
        assert_eq!(names(&later.userinfo), ["name"]);
    }
}
