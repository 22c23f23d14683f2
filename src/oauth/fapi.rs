//! The FAPI 2.0 Security Profile (final), for the clients that are held to it. The values that the profile
//! demands, and the settings of a client that contradict it. Section numbers are those of the profile.

use std::borrow::Cow;

use serde_json::Value;
use time::Duration;

use super::client_algorithms::ClientAlgorithms;
use super::grant_type::ClientType;
use super::loopback_uri::has_any_port;
use super::signing_algorithm::SigningAlgorithm;

/// Permitted signature algorithms of tokens, client assertions, request objects and DPoP proofs (§5.4.1).
pub const ALGORITHMS: &[SigningAlgorithm] = &[
    SigningAlgorithm::Ps256,
    SigningAlgorithm::Es256,
    SigningAlgorithm::EdDsa,
    SigningAlgorithm::Ed25519,
];

/// Names of these algorithms, for descriptions.
pub const ALGORITHM_NAMES: &str = "PS256, ES256, EdDSA or Ed25519";

/// The longest lifetime of an authorization code (§5.3.2.1 item 11).
pub const CODE_TTL_MAX: Duration = Duration::seconds(60);

/// The longest time between `nbf` and `exp` of a request object, and the greatest age of `nbf`, in seconds (FAPI 2.0
/// Message Signing §5.3.1).
pub const REQUEST_OBJECT_AGE_MAX: i64 = 3_600;

/// True if the profile permits the algorithm.
#[must_use]
pub fn is_permitted(algorithm: SigningAlgorithm) -> bool {
    ALGORITHMS.contains(&algorithm)
}

/// Returns the algorithm of a token for the client: the chosen algorithm, or the first permitted of the
/// algorithms that this server signs with. `None` if the profile permits none of these.
#[must_use]
pub fn signing_algorithm(
    chosen: Option<SigningAlgorithm>,
    available: &[SigningAlgorithm],
) -> Option<SigningAlgorithm> {
    let first = || available.iter().copied().find(|one| is_permitted(*one));
    chosen.filter(|one| is_permitted(*one)).or_else(first)
}

/// The settings of a client that the profile restricts.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// Public or confidential.
    pub kind: ClientType,
    /// The registered keys (`jwks`).
    pub jwks: Option<&'a Value>,
    /// True if the client publishes its keys (`jwks_uri`).
    pub has_jwks_uri: bool,
    /// Redirect URIs.
    pub redirect_uris: &'a [String],
    /// Chosen algorithms.
    pub algorithms: ClientAlgorithms,
    /// The algorithms that this server signs with.
    pub available: &'a [SigningAlgorithm],
}

impl Shape<'_> {
    /// Lists the settings that contradict the profile, as sentences without a final stop. Settings that the
    /// profile implies (pushed requests, PKCE, DPoP, `private_key_jwt`) cannot contradict it.
    #[must_use]
    pub fn contradictions(&self) -> Vec<Cow<'static, str>> {
        let mut found: Vec<Cow<'static, str>> = Vec::new();
        if self.kind == ClientType::Public {
            found.push("FAPI 2.0 is for confidential clients: this client is public".into());
        }
        match self.jwks {
            None if !self.has_jwks_uri => found.push(
                "FAPI 2.0 needs jwks or jwks_uri: the client authenticates with private_key_jwt"
                    .into(),
            ),
            Some(jwks) if !has_permitted_key(jwks) => found
                .push(format!("FAPI 2.0 needs a key for {ALGORITHM_NAMES}: jwks has none").into()),
            _ => {}
        }
        let is_insecure = |uri: &&String| !uri.starts_with("https://") && !has_any_port(uri);
        if let Some(uri) = self.redirect_uris.iter().find(is_insecure) {
            let text = format!(
                "FAPI 2.0 allows redirect URIs with https, or http on a loopback address: not {uri}"
            );
            found.push(text.into());
        }
        if let Some(weak) = self.algorithms.iter().find(|one| !is_permitted(*one)) {
            let name = weak.name();
            let text =
                format!("FAPI 2.0 allows {ALGORITHM_NAMES} for tokens and userinfo: not {name}");
            found.push(text.into());
        }
        if signing_algorithm(None, self.available).is_none() {
            let text = "FAPI 2.0 needs a signing key for PS256, ES256 or EdDSA: add one to \
                        OAUTH_SIGNING_ALGORITHMS";
            found.push(text.into());
        }
        found
    }
}

/// True if a key of the set can make a permitted signature.
fn has_permitted_key(jwks: &Value) -> bool {
    let keys = jwks.get("keys").and_then(Value::as_array);
    keys.into_iter().flatten().any(|key| {
        let text = |name| key.get(name).and_then(Value::as_str);
        let fits_type = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => true,
            (Some("EC"), curve) => curve == Some("P-256"),
            (Some("OKP"), curve) => curve == Some("Ed25519"),
            _ => false,
        };
        let fits_algorithm = |name| SigningAlgorithm::from_name(name).is_some_and(is_permitted);
        fits_type && text("alg").is_none_or(fits_algorithm) && text("use") != Some("enc")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const AVAILABLE: &[SigningAlgorithm] = &[SigningAlgorithm::Rs256, SigningAlgorithm::Es256];

    /// Returns the contradictions of a client with a key and a redirect URI.
    fn of(jwk: &Value, uri: &str, available: &[SigningAlgorithm]) -> Vec<Cow<'static, str>> {
        Shape {
            kind: ClientType::Confidential,
            jwks: Some(&json!({ "keys": [jwk] })),
            has_jwks_uri: false,
            redirect_uris: &[uri.to_owned()],
            algorithms: ClientAlgorithms::default(),
            available,
        }
        .contradictions()
    }

    /// FAPI 2.0 §5.4.1: keys for other algorithms do not count.
    #[test]
    fn a_key_of_the_client_fits_the_profile() {
        let uri = "https://app.example/cb";
        for (jwk, fits) in [
            (json!({ "kty": "RSA" }), true),
            (json!({ "kty": "RSA", "alg": "PS256" }), true),
            (json!({ "kty": "RSA", "alg": "RS256" }), false),
            (json!({ "kty": "RSA", "use": "enc" }), false),
            (json!({ "kty": "EC", "crv": "P-256", "alg": "ES256" }), true),
            (
                json!({ "kty": "EC", "crv": "P-384", "alg": "ES384" }),
                false,
            ),
            (
                json!({ "kty": "OKP", "crv": "Ed25519", "alg": "Ed25519" }),
                true,
            ),
            (json!({}), false),
        ] {
            assert_eq!(of(&jwk, uri, AVAILABLE).is_empty(), fits, "{jwk}");
        }
    }

    /// FAPI 2.0 §5.3.2.2: redirect URIs have https; http only on a loopback address.
    #[test]
    fn redirect_uris_are_secure() {
        let jwk = json!({ "kty": "RSA" });
        for (uri, fits) in [
            ("https://app.example/cb", true),
            ("http://127.0.0.1:8000/cb", true),
            ("http://[::1]/cb", true),
            ("http://app.example/cb", false),
            ("com.example.app:/cb", false),
        ] {
            assert_eq!(of(&jwk, uri, AVAILABLE).is_empty(), fits, "{uri}");
        }
    }

    /// FAPI 2.0 §5.4.1: the server needs a permitted algorithm, and chooses the first one.
    #[test]
    fn tokens_have_a_permitted_algorithm() {
        use SigningAlgorithm::{Es256, Ps256, Rs256};
        assert_eq!(signing_algorithm(None, &[Rs256, Es256, Ps256]), Some(Es256));
        assert_eq!(signing_algorithm(Some(Ps256), &[Rs256, Es256]), Some(Ps256));
        assert_eq!(signing_algorithm(Some(Rs256), &[Rs256, Es256]), Some(Es256));
        assert_eq!(signing_algorithm(None, &[Rs256]), None);
        let jwk = json!({ "kty": "RSA" });
        assert_eq!(of(&jwk, "https://app.example/cb", &[Rs256]).len(), 1);
    }
}
