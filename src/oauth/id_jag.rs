//! Identity assertions as grants: ID-JAG (draft-ietf-oauth-identity-assertion-authz-grant), a JWT of the issuer that
//! members sign in to, for a client of this server (RFC 7523 §2.1, §3).

use serde::Deserialize;

use super::access_token::Audience;
use super::client_assertion::Once;
use super::numeric_date::{some_whole_seconds, whole_seconds};
use crate::clock::Timestamp;

/// The `typ` of the header, which tells an assertion from every other JWT of the issuer (RFC 8725 §3.11).
pub const TYPE: &str = "oauth-id-jag+jwt";

/// The name of the profile in `authorization_grant_profiles_supported`.
pub const PROFILE: &str = "urn:ietf:params:oauth:grant-profile:id-jag";

/// The longest accepted lifetime of an assertion, in seconds: the server remembers each id for that long.
const LIFE_MAX: i64 = 3_600;

/// Tolerated clock difference between two machines, in seconds.
const LEEWAY: i64 = 60;

/// The longest subject, in bytes.
const SUBJECT_MAX: usize = 255;

/// The claims that are checked; other claims are ignored.
#[derive(Clone, Debug, Deserialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The subject at the issuer.
    pub sub: String,
    aud: Audience,
    client_id: String,
    #[serde(default)]
    jti: Option<String>,
    #[serde(deserialize_with = "whole_seconds")]
    exp: i64,
    #[serde(default, deserialize_with = "some_whole_seconds")]
    nbf: Option<i64>,
    #[serde(default, deserialize_with = "some_whole_seconds")]
    iat: Option<i64>,
    /// The resources that the token may be for; absent: the community's own API.
    #[serde(default)]
    resource: Option<Audience>,
    /// The scope that the issuer allows; absent: the scope of the client.
    #[serde(default)]
    pub scope: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: Option<bool>,
}

impl Claims {
    /// The resources of the assertion, separated by spaces; `None` if the assertion names none.
    #[must_use]
    pub fn resources(&self) -> Option<String> {
        let named: Vec<&str> = self.resource.as_ref()?.iter().collect();
        Some(named.join(" ")).filter(|named| !named.is_empty())
    }

    /// The e-mail address, if the issuer verified it.
    #[must_use]
    pub fn verified_email(&self) -> Option<&str> {
        let email = self.email.as_deref()?;
        let is_address = email.contains('@') && !email.contains('\0');
        (self.email_verified == Some(true) && is_address).then_some(email)
    }

    /// Checks the claims; issuer and signature are checked separately. `issuer` is this server.
    ///
    /// # Errors
    /// The fault, as the end of a sentence that starts with "the assertion".
    pub fn check(
        &self,
        client_id: &str,
        issuer: &str,
        now: Timestamp,
    ) -> Result<Once<'_>, &'static str> {
        let now = now.unix_seconds();
        // The only audience: an assertion for several servers could be replayed by one of these at another.
        if self.aud.iter().count() != 1 || !self.aud.contains(issuer) {
            return Err("must have the issuer of this server as its only aud");
        }
        if self.iss.contains('\0') {
            return Err("must have a URL as iss");
        }
        if self.client_id != client_id {
            return Err("must have the authenticated client as client_id");
        }
        if self.sub.is_empty() || self.sub.len() > SUBJECT_MAX || self.sub.contains('\0') {
            return Err("must have a sub of 1 to 255 bytes");
        }
        if self.exp <= now - LEEWAY {
            return Err("has expired");
        }
        if self.exp > now + LIFE_MAX + LEEWAY {
            return Err("must expire within an hour");
        }
        let from = self.nbf.into_iter().chain(self.iat).max();
        if from.is_some_and(|from| from > now + LEEWAY) {
            return Err("is not valid yet");
        }
        let jti = self.jti.as_deref().filter(|jti| !jti.is_empty());
        let jti = jti.ok_or("must have a jti")?;
        Ok(Once {
            jti,
            expires_at: self.exp + LEEWAY,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn check(changed: &Value) -> Result<String, &'static str> {
        let mut claims = json!({
            "iss": "https://idp.example", "sub": "u1", "aud": "https://auth.example", "client_id": "agent",
            "jti": "1", "exp": NOW + 300, "iat": NOW,
        });
        for (name, value) in changed.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let claims: Claims = serde_json::from_value(claims).map_err(|_| "is malformed")?;
        let now = Timestamp::from_unix_seconds(NOW);
        let once = claims.check("agent", "https://auth.example", now)?;
        Ok(once.jti.to_owned())
    }

    /// Draft §4.4.1: the claims of an assertion for this server and this client.
    #[test]
    fn an_assertion_is_for_one_server_and_one_client() {
        for good in [
            json!({}),
            json!({ "aud": ["https://auth.example"] }),
            json!({ "exp": NOW - 59 }),
        ] {
            assert_eq!(check(&good).as_deref(), Ok("1"), "{good}");
        }
        for bad in [
            json!({ "aud": "https://other.example" }),
            json!({ "aud": ["https://auth.example", "https://other.example"] }),
            json!({ "aud": [] }),
            json!({ "client_id": "other" }),
            json!({ "client_id": null }),
            json!({ "sub": "" }),
            json!({ "exp": NOW - 60 }),
            json!({ "exp": NOW + 4_000 }),
            json!({ "iat": NOW + 61 }),
            json!({ "nbf": NOW + 61 }),
            json!({ "jti": "" }),
            json!({ "jti": null }),
        ] {
            assert!(check(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_verified_address_counts() {
        let email = |given: Value| {
            let mut claims =
                json!({ "iss": "i", "sub": "s", "aud": "a", "client_id": "c", "exp": 1 });
            claims["email"] = json!("frigg@example.com");
            claims["email_verified"] = given;
            let claims: Claims = serde_json::from_value(claims).unwrap();
            claims.verified_email().map(str::to_owned)
        };
        assert_eq!(email(json!(true)).as_deref(), Some("frigg@example.com"));
        assert_eq!(email(json!(false)), None);
        assert_eq!(email(json!(null)), None);
    }
}
