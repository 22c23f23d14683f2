//! Signing keys of clients, for client assertions and request objects.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use storyden_auth::keys::SigningKey;
use storyden_auth::oauth::signing_algorithm::SigningAlgorithm;

use super::client::{CHALLENGE, Client};
use super::server::Server;

/// The issuer of the servers under test.
pub(crate) const ISSUER: &str = "https://auth.example";

/// A signing key of a client.
pub(crate) struct ClientKey {
    algorithm: Algorithm,
    key: EncodingKey,
    pub(crate) kid: String,
    pub(crate) jwk: Value,
}

impl ClientKey {
    /// Generates a key.
    pub(crate) fn new(algorithm: SigningAlgorithm) -> Self {
        let key = SigningKey::generate(algorithm).unwrap();
        let pem = key.to_pem().unwrap();
        let pem = pem.as_bytes();
        let (algorithm, encoding) = match algorithm {
            SigningAlgorithm::Rs256 => (Algorithm::RS256, EncodingKey::from_rsa_pem(pem)),
            SigningAlgorithm::Ps256 => (Algorithm::PS256, EncodingKey::from_rsa_pem(pem)),
            SigningAlgorithm::Es256 => (Algorithm::ES256, EncodingKey::from_ec_pem(pem)),
            SigningAlgorithm::EdDsa | SigningAlgorithm::Ed25519 => {
                (Algorithm::EdDSA, EncodingKey::from_ed_pem(pem))
            }
        };
        Self {
            algorithm,
            key: encoding.unwrap(),
            kid: key.kid().to_owned(),
            jwk: serde_json::to_value(key.jwk()).unwrap(),
        }
    }

    /// Generates a key for ES256.
    pub(crate) fn es256() -> Self {
        Self::new(SigningAlgorithm::Es256)
    }

    /// The metadata `jwks` with this key alone.
    pub(crate) fn jwks(&self) -> Value {
        json!({ "keys": [self.jwk] })
    }

    /// Signs claims, with the type `oauth-authz-req+jwt`.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(Some("oauth-authz-req+jwt"), claims)
    }

    /// Signs claims with a `typ`.
    pub(crate) fn sign_as(&self, typ: Option<&str>, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.clone());
        header.typ = typ.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

impl Client {
    /// The claims of a valid request object.
    pub(crate) fn request_object(&self, server: &Server) -> Value {
        json!({
            "iss": self.client_id, "aud": ISSUER, "exp": server.clock.now().unix_seconds() + 60,
            "client_id": self.client_id, "response_type": "code", "redirect_uri": self.redirect_uri,
            "scope": "openid profile offline_access", "state": "st",
            "code_challenge": CHALLENGE, "code_challenge_method": "S256",
        })
    }
}
