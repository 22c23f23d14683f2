//! Request objects: authorization requests as JWTs, signed by the client (RFC 9101, OpenID Connect Core §6).
//!
//! Claims are checked here, the signature by [`crate::keys`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::authorization_request::Parameters;
use super::fapi::REQUEST_OBJECT_AGE_MAX;
use super::signing_algorithm::SigningAlgorithm;
use super::strict_json;
use crate::clock::Timestamp;

/// The media type of a request object without `application/`, for the header `typ` (RFC 9101 §10.8).
pub const TYPE: &str = "oauth-authz-req+jwt";

/// Signature algorithms of request objects: asymmetric, so that only the client has the key.
pub const ALGORITHMS: &[SigningAlgorithm] = &[
    SigningAlgorithm::Rs256,
    SigningAlgorithm::Ps256,
    SigningAlgorithm::Es256,
    SigningAlgorithm::EdDsa,
];

/// Names of these algorithms (RFC 9101 §9, `request_object_signing_alg_values_supported`).
pub const ALGORITHM_NAMES: &[&str] = &["RS256", "PS256", "ES256", "EdDSA"];

/// Tolerated clock difference between two machines, in seconds.
const LEEWAY: i64 = 60;

/// The reason for the rejection of a request object, as the end of a sentence that starts with "The request
/// object".
pub type Fault = std::borrow::Cow<'static, str>;

/// Returns the algorithm of a name, if request objects may have the algorithm.
#[must_use]
pub fn algorithm(name: &str) -> Option<SigningAlgorithm> {
    let algorithm = SigningAlgorithm::from_name(name)?;
    ALGORITHMS.contains(&algorithm).then_some(algorithm)
}

/// A request object whose signature is not verified yet.
#[derive(Debug)]
pub struct RequestObject(Map<String, Value>);

impl RequestObject {
    /// Decodes the claims of a JWS (RFC 7515 §3.1); `None` for an encrypted object and for any other text. The
    /// caller bounds the length.
    #[must_use]
    pub fn decode(object: &str) -> Option<Self> {
        let mut parts = object.split('.');
        let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        match strict_json::parse(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()? {
            Value::Object(claims) => Some(Self(claims)),
            _ => None,
        }
    }

    /// Checks the claims about the object itself (RFC 9101 §4 and §6.3). `issuers` are the names of this server,
    /// `presented_at` is the time at which the object arrived.
    ///
    /// # Errors
    /// The fault.
    pub fn check(
        &self,
        client_id: &str,
        issuers: &[&str],
        presented_at: Timestamp,
    ) -> Result<(), Fault> {
        let text = |name| self.0.get(name).and_then(Value::as_str);
        let now = presented_at.unix_seconds();
        // RFC 9101 §5: the client_id beside the object and the one in the object are equal
        if text("client_id") != Some(client_id) {
            return Err("must have the client_id of the request as client_id".into());
        }
        if text("iss") != Some(client_id) {
            return Err("must have the client_id as iss".into());
        }
        if !self.is_for(issuers) {
            return Err("must have the issuer of this server as aud".into()); // mix-up
        }
        // RFC 9101 §10.8: cross-JWT confusion with client assertions
        if text("sub") == Some(client_id) {
            return Err("must not have the client_id as sub: that is a client assertion".into());
        }
        let exp = self.time("exp")?;
        let exp = exp.ok_or("must have an exp")?;
        if exp <= now - LEEWAY {
            return Err("has expired".into());
        }
        let from = self.time("nbf")?;
        if from.is_some_and(|from| from > now + LEEWAY) {
            return Err("is not valid yet".into());
        }
        // RFC 9101 §4
        match ["request", "request_uri"]
            .into_iter()
            .find(|name| self.0.contains_key(*name))
        {
            Some(name) => Err(format!("must not contain {name}").into()),
            None => Ok(()),
        }
    }

    /// Checks the times of an object of a client that is held to FAPI 2.0 (Message Signing §5.3.1): `nbf` is
    /// present and at most an hour old, `exp` at most an hour after `nbf`.
    ///
    /// # Errors
    /// The fault.
    pub fn check_age(&self, presented_at: Timestamp) -> Result<(), Fault> {
        let most = REQUEST_OBJECT_AGE_MAX;
        let from = self.time("nbf")?;
        let from = from.ok_or("must have an nbf: this client is held to FAPI 2.0")?;
        if presented_at.unix_seconds().saturating_sub(from) > most {
            return Err("has an nbf that is more than an hour old".into());
        }
        let exp = self.time("exp")?.unwrap_or(i64::MAX);
        if exp.saturating_sub(from) > most {
            return Err("has an exp that is more than an hour after nbf".into());
        }
        Ok(())
    }

    fn is_for(&self, issuers: &[&str]) -> bool {
        let is_issuer = |name: &Value| name.as_str().is_some_and(|name| issuers.contains(&name));
        match self.0.get("aud") {
            Some(Value::Array(names)) => names.iter().any(is_issuer),
            Some(name) => is_issuer(name),
            None => false,
        }
    }

    /// Reads a `NumericDate`, which may have a fraction (RFC 7519 §2).
    fn time(&self, name: &str) -> Result<Option<i64>, Fault> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "out-of-range values saturate"
        )]
        let seconds = value
            .as_i64()
            .or_else(|| value.as_f64().map(|seconds| seconds as i64));
        match seconds {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(format!("has {name}, which is no time").into()),
        }
    }

    /// Returns the authorization parameters of the object, of those that `known` lists. JSON values become the
    /// texts of a query: numbers and booleans as in JSON, `claims` as a JSON text, a list of `resource` joined by
    /// spaces. Empty values are left out (RFC 6749 §3.1).
    ///
    /// # Errors
    /// The parameter of the wrong type.
    pub fn parameters(&self, known: &[&'static str]) -> Result<Parameters, Fault> {
        let mut parameters = Parameters::new();
        for name in known {
            let Some(value) = self.0.get(*name) else {
                continue;
            };
            let text = parameter(name, value);
            let text = text.ok_or_else(|| format!("has {name} of the wrong type"))?;
            if !text.is_empty() {
                parameters.insert((*name).to_owned(), text);
            }
        }
        Ok(parameters)
    }

    /// Returns a parameter of an object that is rejected; `None` for a parameter that is no text.
    #[must_use]
    pub fn unverified(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }
}

/// Converts a JSON value to the text of a parameter.
fn parameter(name: &str, value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Object(_) => matches!(name, "claims" | "registration").then(|| value.to_string()),
        Value::Array(items) if name == "resource" => {
            let items: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            Some(items?.join(" "))
        }
        Value::Array(_) | Value::Null => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const ISSUERS: &[&str] = &["https://auth.example", "https://auth.example/"];

    fn object(claims: &Value) -> RequestObject {
        let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
        RequestObject::decode(&format!("x.{payload}.y")).unwrap()
    }

    fn good() -> Value {
        json!({ "client_id": "app", "iss": "app", "aud": ISSUERS[0], "exp": 1_000, "state": "s" })
    }

    /// RFC 9101 §4, §6.3, §10.8: each claim about the object is checked.
    #[test]
    fn claims_about_the_object_are_checked() {
        let now = Timestamp::from_unix_seconds(1_000);
        assert_eq!(object(&good()).check("app", ISSUERS, now), Ok(()));
        for (name, value, part) in [
            ("client_id", json!("other"), "as client_id"),
            ("client_id", json!(null), "as client_id"),
            ("iss", json!("other"), "as iss"),
            ("aud", json!("https://other.example"), "as aud"),
            ("aud", json!([]), "as aud"),
            ("sub", json!("app"), "as sub"),
            ("exp", json!(940), "expired"),
            ("exp", json!("1000"), "no time"),
            ("nbf", json!(1_061), "not valid yet"),
            ("request", json!("x"), "contain request"),
            ("request_uri", json!("x"), "contain request_uri"),
        ] {
            let mut claims = good();
            claims[name] = value;
            let fault = object(&claims).check("app", ISSUERS, now).unwrap_err();
            assert!(fault.contains(part), "{claims}: {fault}");
        }
        for (name, value) in [
            ("aud", json!(["x", "https://auth.example/"])),
            ("exp", json!(940.5)),
            ("exp", json!(941)),
            ("nbf", json!(1_060)),
            ("sub", json!("other")),
        ] {
            let mut claims = good();
            claims[name] = value;
            let is_past = claims["exp"] == json!(940.5);
            let checked = object(&claims).check("app", ISSUERS, now);
            assert_eq!(checked.is_ok(), !is_past, "{claims}");
        }
    }

    /// FAPI 2.0 Message Signing §5.3.1: an object of such a client is an hour old at most.
    #[test]
    fn times_of_a_fapi_client_are_bounded() {
        let now = Timestamp::from_unix_seconds(10_000);
        for (nbf, exp, fits) in [
            (json!(10_000), json!(13_600), true),
            (json!(6_400), json!(10_000), true),
            (json!(null), json!(10_060), false),
            (json!(6_399), json!(9_999), false),
            (json!(10_000), json!(13_601), false),
            (json!(i64::MIN), json!(i64::MAX), false),
        ] {
            let mut claims = good();
            claims["exp"] = exp;
            match nbf {
                Value::Null => {}
                nbf => claims["nbf"] = nbf,
            }
            assert_eq!(object(&claims).check_age(now).is_ok(), fits, "{claims}");
        }
    }

    #[test]
    fn json_values_become_texts() {
        let mut claims = good();
        claims["max_age"] = json!(60);
        claims["claims"] = json!({ "userinfo": { "name": null } });
        claims["resource"] = json!(["https://a.example", "https://b.example"]);
        claims["nonce"] = json!("");
        claims["other"] = json!([1]);
        let known = ["max_age", "claims", "resource", "nonce", "state"];
        let parameters = object(&claims).parameters(&known).unwrap();
        let expected = [
            ("claims", r#"{"userinfo":{"name":null}}"#),
            ("max_age", "60"),
            ("resource", "https://a.example https://b.example"),
            ("state", "s"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parameters, Parameters::from(expected));
        for wrong in [json!(null), json!(["a"]), json!({})] {
            claims["state"] = wrong;
            assert!(object(&claims).parameters(&known).is_err());
        }
    }

    #[test]
    fn repeated_members_and_other_forms_are_no_object() {
        let encoded = |text: &str| format!("x.{}.y", URL_SAFE_NO_PAD.encode(text));
        for text in [
            encoded(r#"{"a":1,"a":2}"#),
            encoded("[]"),
            encoded("\u{0}"),
            "x.e30".to_owned(),
            "x.e30.y.z.w".to_owned(),
            String::new(),
        ] {
            assert!(RequestObject::decode(&text).is_none(), "{text}");
        }
    }

    proptest! {
        /// T18: no text makes the reader fall over.
        #[test]
        fn any_text_is_an_object_or_none(text in "[-_.A-Za-z0-9]{0,80}") {
            let _ = RequestObject::decode(&text);
        }
    }
}
