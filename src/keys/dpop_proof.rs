//! Signatures of DPoP proofs (RFC 9449 §4.3, checks 2 to 7). A proof brings its public key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};

use super::jwt::{TOKEN_MAX, is_type};
use super::public_key::verifies;
use crate::oauth::dpop::{ALGORITHMS, ProofClaims, TYPE, Thumbprint};
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::oauth::strict_json;

/// Length of the modulus of an RSA key, in bytes. The maximum bounds the time of a verification.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;

/// Maximum length of the exponent of an RSA key, in bytes.
const RSA_EXPONENT_MAX: usize = 4;

/// Members of private and symmetric keys (RFC 7518 §6).
const SECRET_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A proof whose signature was verified with its own key.
#[derive(Debug)]
pub struct SignedProof {
    /// The claims, unchecked.
    pub claims: ProofClaims,
    /// Thumbprint of the key.
    pub key: Thumbprint,
    /// Algorithm of the signature.
    pub algorithm: SigningAlgorithm,
}

/// The header of a proof. Other members, such as `kid` and `jku`, are ignored.
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    jwk: Map<String, Value>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

/// Verifies the signature of a proof.
///
/// # Errors
/// The fault, as the end of a sentence that starts with "the DPoP proof".
pub fn verify_proof(proof: &str) -> Result<SignedProof, &'static str> {
    if proof.len() > TOKEN_MAX {
        return Err("is longer than 8 KiB");
    }
    let parts = proof.rsplit_once('.');
    let parts = parts.and_then(|(message, signature)| {
        let (header, payload) = message.split_once('.')?;
        Some((message, header, payload, signature))
    });
    let (message, header, payload, signature) = parts.ok_or("is not a signed JWT")?;
    let header: Header =
        decode(header).ok_or("is not a JWT with typ, alg and jwk in the header")?;
    if !is_type(&header.typ, TYPE) {
        return Err("must have the typ dpop+jwt");
    }
    if header.crit.is_some() {
        return Err("has an extension (crit) that this server does not know");
    }
    let algorithm = SigningAlgorithm::from_name(&header.alg);
    let algorithm = algorithm.filter(|algorithm| ALGORITHMS.contains(algorithm));
    let algorithm = algorithm.ok_or("must have one of the algorithms that the metadata name")?;
    let (verifier, key) = key_of(&header.jwk, algorithm)?;
    let claims: ProofClaims =
        decode(payload).ok_or("must have the claims jti, htm, htu and iat")?;
    if !verifies(&verifier, algorithm, message, signature) {
        return Err("is not signed by the key in its jwk");
    }
    Ok(SignedProof {
        claims,
        key,
        algorithm,
    })
}

/// Decodes a part of a JWT; `None` for a part that two parsers could read differently, too.
fn decode<T: DeserializeOwned>(part: &str) -> Option<T> {
    let text = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_value(strict_json::parse(&text).ok()?).ok()
}

/// Reads the public key and its thumbprint (RFC 7638 §3.2, RFC 8037 §2). Numbers have a single form, so that
/// a key has a single thumbprint.
fn key_of(
    jwk: &Map<String, Value>,
    algorithm: SigningAlgorithm,
) -> Result<(DecodingKey, Thumbprint), &'static str> {
    if SECRET_MEMBERS
        .iter()
        .any(|member| jwk.contains_key(*member))
    {
        return Err("has a private key in the jwk, which is now known to others; replace the key");
    }
    let text = |name| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
    match (algorithm, text("kty"), text("crv")) {
        (SigningAlgorithm::Es256, "EC", "P-256") => ec_key(text("x"), text("y")),
        (SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256, "RSA", _) => {
            rsa_key(text("n"), text("e"))
        }
        (SigningAlgorithm::EdDsa | SigningAlgorithm::Ed25519, "OKP", "Ed25519") => {
            ed25519_key(text("x"))
        }
        _ => None,
    }
    .ok_or("must have a jwk that is a public key for its alg; an RSA key has 2048 to 4096 bits")
}

fn ec_key(x: &str, y: &str) -> Option<(DecodingKey, Thumbprint)> {
    let has_32_bytes = |text| URL_SAFE_NO_PAD.decode(text).is_ok_and(|it| it.len() == 32);
    if !has_32_bytes(x) || !has_32_bytes(y) {
        return None;
    }
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let verifier = DecodingKey::from_ec_components(x, y).ok()?;
    Some((verifier, Thumbprint::of_canonical(&canonical)))
}

fn rsa_key(n: &str, e: &str) -> Option<(DecodingKey, Thumbprint)> {
    let modulus = URL_SAFE_NO_PAD.decode(n).ok()?;
    let exponent = URL_SAFE_NO_PAD.decode(e).ok()?;
    let has_leading_zero = |number: &[u8]| number.first() == Some(&0);
    if !RSA_BYTES.contains(&modulus.len())
        || !(1..=RSA_EXPONENT_MAX).contains(&exponent.len())
        || has_leading_zero(&modulus)
        || has_leading_zero(&exponent)
    {
        return None;
    }
    let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    let verifier = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
    Some((verifier, Thumbprint::of_canonical(&canonical)))
}

fn ed25519_key(x: &str) -> Option<(DecodingKey, Thumbprint)> {
    let key = URL_SAFE_NO_PAD.decode(x).ok()?;
    if key.len() != 32 {
        return None;
    }
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let verifier = DecodingKey::from_ed_der(&key);
    Some((verifier, Thumbprint::of_canonical(&canonical)))
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use super::*;

    /// The proof of RFC 9449 §4.1 and figure 1.
    const EXAMPLE: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

    /// req_107: the example of RFC 9449 §4.1, with the thumbprint of §6.1.
    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let proof = verify_proof(EXAMPLE).unwrap();
        assert_eq!(
            proof.key.as_str(),
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
        );
    }

    /// RFC 7638 §3.1: the example.
    #[test]
    fn the_thumbprint_of_an_rsa_key_is_that_of_rfc_7638() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let (_, key) = rsa_key(n, "AQAB").unwrap();
        assert_eq!(key.as_str(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let (_, ed25519) = ed25519_key("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        // RFC 8037 appendix A.3
        assert_eq!(
            ed25519.as_str(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    /// req_107, A-75: broken proofs are rejected without a panic.
    #[test]
    fn broken_proofs_are_rejected() {
        let parts: Vec<&str> = EXAMPLE.split('.').collect();
        for proof in [
            "",
            ".",
            "..",
            "...",
            "é",
            &parts[..2].join("."),
            &format!("{EXAMPLE}."),
            &format!("{EXAMPLE}.{}", parts[2]),
            &format!("{}.{}.", parts[0], parts[1]),
            &format!("{}.{}.{}", parts[0], parts[1], "A".repeat(86)),
            &format!("{}.{}.{}", parts[1], parts[0], parts[2]),
            &format!("{EXAMPLE}, {EXAMPLE}"),
            &"A".repeat(3_000_000),
        ] {
            assert!(verify_proof(proof).is_err(), "{proof:.80}");
        }
    }

    /// A number in another form would give the same key a second thumbprint.
    #[test]
    fn numbers_have_a_single_form() {
        let n = URL_SAFE_NO_PAD.encode([0xC3; 256]);
        assert!(rsa_key(&n, "AQAB").is_some());
        let padded = URL_SAFE_NO_PAD.encode([&[0][..], &[0xC3; 256]].concat());
        for (n, e) in [
            (padded.as_str(), "AQAB"),
            (n.as_str(), "AAEAAQ"),
            (n.as_str(), ""),
            (n.as_str(), "AQABAQAB"),
            (&n[..300], "AQAB"),
            (&URL_SAFE_NO_PAD.encode([0xC3; 1_024]), "AQAB"),
        ] {
            assert!(rsa_key(n, e).is_none(), "{e}");
        }
        assert!(ec_key("AQ", "AQ").is_none());
        assert!(ed25519_key("AQ").is_none());
    }
}
