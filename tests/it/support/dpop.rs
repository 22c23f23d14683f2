//! Keys of clients, and DPoP proofs (RFC 9449).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::answer::Answer;
use super::client::Client;
use super::race::Form;
use super::server::Server;

/// The path of the token endpoint.
const TOKEN: &str = "/api/oauth/token";

/// The path of userinfo.
pub(crate) const USERINFO: &str = "/api/oauth/userinfo";

/// A key pair of a client.
pub(crate) struct ProofKey {
    pair: Arc<Pair>,
    alg: &'static str,
    /// The public key.
    pub(crate) jwk: Value,
}

enum Pair {
    P256(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl ProofKey {
    /// Generates a key of ES256.
    pub(crate) fn new() -> Self {
        Self::of("ES256")
    }

    /// Generates a key of an algorithm.
    pub(crate) fn of(alg: &'static str) -> Self {
        let (pair, jwk) = match alg {
            "ES256" => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
                let point = pair.public_key().as_ref();
                let (x, y) = (encoded(&point[1..33]), encoded(&point[33..]));
                let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
                (Pair::P256(pair), jwk)
            }
            "RS256" | "PS256" => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                let public = pair.public_key();
                let n = encoded(public.modulus().big_endian_without_leading_zero());
                let e = encoded(public.exponent().big_endian_without_leading_zero());
                let jwk = json!({ "kty": "RSA", "n": n, "e": e });
                (Pair::Rsa(Box::new(pair)), jwk)
            }
            _ => {
                let pair = Ed25519KeyPair::generate().unwrap();
                let x = encoded(pair.public_key().as_ref());
                let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
                (Pair::Ed25519(pair), jwk)
            }
        };
        let pair = Arc::new(pair);
        Self { pair, alg, jwk }
    }

    /// Returns the same key for another algorithm.
    pub(crate) fn with_alg(&self, alg: &'static str) -> Self {
        Self {
            pair: Arc::clone(&self.pair),
            alg,
            jwk: self.jwk.clone(),
        }
    }

    /// Returns the thumbprint of the public key (RFC 7638).
    pub(crate) fn thumbprint(&self) -> String {
        let names: &[&str] = match *self.pair {
            Pair::P256(_) => &["crv", "kty", "x", "y"],
            Pair::Rsa(_) => &["e", "kty", "n"],
            Pair::Ed25519(_) => &["crv", "kty", "x"],
        };
        let members = names
            .iter()
            .map(|name| format!("\"{name}\":{}", self.jwk[*name]));
        let canonical = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
        encoded(&Sha256::digest(canonical))
    }

    /// Begins a proof for a request to the server with the address `https://auth.example`.
    pub(crate) fn proof(&self, server: &Server, method: &str, path: &str) -> NewProof<'_> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        NewProof {
            key: self,
            header: json!({ "typ": "dpop+jwt", "alg": self.alg, "jwk": self.jwk }),
            claims: json!({
                "jti": format!("proof {number}"),
                "htm": method,
                "htu": format!("https://auth.example{path}"),
                "iat": server.clock.now().unix_seconds(),
            }),
        }
    }

    /// Makes a proof for the token endpoint.
    pub(crate) fn token_proof(&self, server: &Server) -> String {
        self.proof(server, "POST", TOKEN).sign()
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let rng = SystemRandom::new();
        match &*self.pair {
            Pair::P256(pair) => pair.sign(&rng, message).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                if self.alg == "PS256" {
                    pair.sign(&RSA_PSS_SHA256, &rng, message, &mut signature)
                } else {
                    pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature)
                }
                .unwrap();
                signature
            }
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// A proof that is not signed yet.
pub(crate) struct NewProof<'a> {
    key: &'a ProofKey,
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

impl NewProof<'_> {
    /// Changes members of the claims; `null` removes a member.
    pub(crate) fn with(mut self, changes: &Value) -> Self {
        change(&mut self.claims, changes);
        self
    }

    /// Changes members of the header; `null` removes a member.
    pub(crate) fn with_header(mut self, changes: &Value) -> Self {
        change(&mut self.header, changes);
        self
    }

    /// Sets `ath` for an access token.
    pub(crate) fn for_token(self, access_token: &str) -> Self {
        let ath = encoded(&Sha256::digest(access_token));
        self.with(&json!({ "ath": ath }))
    }

    /// Signs the proof.
    pub(crate) fn sign(&self) -> String {
        let parts = [&self.header, &self.claims].map(|part| encoded(part.to_string().as_bytes()));
        let message = parts.join(".");
        let signature = encoded(&self.key.signature(message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// Joins header and claims with another signature.
    pub(crate) fn sign_with(&self, signature: &[u8]) -> String {
        let parts = [&self.header, &self.claims].map(|part| encoded(part.to_string().as_bytes()));
        format!("{}.{}", parts.join("."), encoded(signature))
    }
}

fn change(json: &mut Value, changes: &Value) {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(json.as_object_mut().unwrap().remove(name)),
            value => json[name] = value.clone(),
        }
    }
}

impl Server {
    /// Sends a form to the token endpoint, with a new proof of a key.
    pub(crate) async fn token_with_key(&self, form: &Form<'_>, key: &ProofKey) -> Answer {
        self.token_with_proof(form, &key.token_proof(self)).await
    }

    /// Sends a form to the token endpoint, with a proof.
    pub(crate) async fn token_with_proof(&self, form: &Form<'_>, proof: &str) -> Answer {
        self.send(self.token_request(form).header("DPoP", proof))
            .await
    }

    /// Exchanges a code, with a new proof of a key.
    pub(crate) async fn exchange_with_key(
        &self,
        client: &Client,
        code: &str,
        key: &ProofKey,
    ) -> Answer {
        self.token_with_key(&client.exchange_form(code), key).await
    }

    /// Uses a refresh token, with a new proof of a key.
    pub(crate) async fn refresh_with_key(
        &self,
        client: &Client,
        token: &str,
        key: &ProofKey,
    ) -> Answer {
        self.token_with_key(&client.refresh_form(token), key).await
    }

    /// Builds a request with an access token in the scheme DPoP, and a proof.
    pub(crate) fn dpop_request(
        &self,
        (method, path): (&str, &str),
        token: &str,
        proof: &str,
    ) -> RequestBuilder {
        let request = self.request(method, path).header("DPoP", proof);
        request.header("authorization", format!("DPoP {token}"))
    }

    /// Sends a request with an access token in the scheme DPoP, and a new proof of a key.
    pub(crate) async fn call_with_key(
        &self,
        (method, path): (&str, &str),
        token: &str,
        key: &ProofKey,
    ) -> Answer {
        let target = path.split('?').next().unwrap();
        let proof = key.proof(self, method, target).for_token(token).sign();
        self.send(self.dpop_request((method, path), token, &proof))
            .await
    }

    /// Calls userinfo with a bound access token.
    pub(crate) async fn userinfo_with_key(&self, token: &str, key: &ProofKey) -> Answer {
        self.call_with_key(("GET", USERINFO), token, key).await
    }
}

impl Answer {
    /// Returns every challenge of the response.
    pub(crate) fn challenges(&self) -> Vec<&str> {
        let values = self.headers.get_all("www-authenticate").iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }

    /// Returns the first challenge: that of the scheme that the request used.
    #[track_caller]
    pub(crate) fn challenge(&self) -> &str {
        let challenges = self.challenges();
        challenges
            .first()
            .unwrap_or_else(|| panic!("no challenge: {} {}", self.status, self.body))
    }

    /// Asserts the rejection of a bound access token with an error code: a 401 with a challenge for DPoP.
    #[track_caller]
    pub(crate) fn expect_dpop_error(self, code: &str) -> Self {
        let answer = self.expect(401);
        let challenges = answer.challenges();
        let [challenge] = &challenges[..] else {
            panic!("{challenges:?}");
        };
        let metadata = "https://auth.example/.well-known/oauth-protected-resource/api";
        assert!(
            challenge.starts_with(&format!("DPoP resource_metadata=\"{metadata}\"")),
            "{challenge}"
        );
        assert!(
            challenge.contains(&format!(", error=\"{code}\"")),
            "{challenge}"
        );
        assert!(
            challenge.ends_with(", algs=\"ES256 RS256 PS256 EdDSA Ed25519\""),
            "{challenge}"
        );
        answer
    }
}
