//! Public keys: JWKs, and the verification of signatures.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Error;
use super::jwt::UnverifiedToken;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::secret::hex;

/// Minimum length of an RSA key (RFC 7518 §3.3), in bits.
pub(super) const RSA_BITS_MIN: usize = 2_048;

/// A public key with its key id, parsed once.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: SigningAlgorithm,
    verifier: ParsedPublicKey,
    jwk: Jwk,
}

/// A public key in JWKS form (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(
    missing_docs,
    reason = "the members are defined by RFC 7517, RFC 7518 and RFC 8037"
)]
pub struct Jwk {
    pub alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    pub kid: String,
    pub kty: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    #[serde(rename = "use")]
    pub usage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
}

/// A JWK set in a setting.
#[derive(Deserialize)]
struct KeySetText {
    keys: Vec<JwkText>,
}

/// A JWK in a setting. Other members are ignored.
#[derive(Deserialize)]
struct JwkText {
    alg: String,
    kid: String,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl PublicKey {
    /// Wraps an RSA key. Without a `kid`, the key id is derived from the key.
    ///
    /// # Errors
    /// [`Error::Short`] for a key of less than 2048 bits.
    pub(super) fn rsa(
        algorithm: SigningAlgorithm,
        key: &rsa::PublicKey,
        kid: Option<&str>,
    ) -> Result<Self, Error> {
        let bits = key.modulus_len() * 8;
        if bits < RSA_BITS_MIN {
            return Err(Error::Short(bits));
        }
        let encode = |number: &[u8]| Some(URL_SAFE_NO_PAD.encode(number));
        let der = key.as_ref(); // PKCS#1
        Ok(Self {
            algorithm,
            verifier: parsed(algorithm, der)?,
            jwk: Jwk {
                e: encode(key.exponent().big_endian_without_leading_zero()),
                n: encode(key.modulus().big_endian_without_leading_zero()),
                ..jwk(algorithm, "RSA", der, kid)
            },
        })
    }

    /// Wraps a point of P-256 in uncompressed form (SEC 1 §2.3.3).
    ///
    /// # Errors
    /// [`Error::Key`] for any other text.
    pub(super) fn p256(algorithm: SigningAlgorithm, point: &[u8]) -> Result<Self, Error> {
        let coordinates = point.strip_prefix(&[4]).ok_or(Error::Key)?;
        let (x, y) = coordinates.split_at_checked(32).ok_or(Error::Key)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        Ok(Self {
            algorithm,
            verifier: parsed(algorithm, point)?,
            jwk: Jwk {
                crv: Some("P-256"),
                x: Some(x),
                y: Some(y),
                ..jwk(algorithm, "EC", point, None)
            },
        })
    }

    /// Wraps the 32 bytes of an Ed25519 key (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// [`Error::Key`] if the library rejects the key.
    pub(super) fn ed25519(algorithm: SigningAlgorithm, key: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            algorithm,
            verifier: parsed(algorithm, key)?,
            jwk: Jwk {
                crv: Some("Ed25519"),
                x: Some(URL_SAFE_NO_PAD.encode(key)),
                ..jwk(algorithm, "OKP", key, None)
            },
        })
    }

    /// Reads an entry of `OAUTH_RETIRED_KEYS`: base64 of the PEM of a public or private RSA key, after
    /// `KID:` if the key id is not the derived one, or base64 of a JWK set (RFC 7517 §5) of public keys.
    ///
    /// # Errors
    /// As [`super::SigningKey::from_base64`], or [`Error::KeySet`].
    pub(super) fn from_entry(entry: &str) -> Result<Vec<Self>, Error> {
        let (kid, packed) = match entry.split_once(':') {
            Some((kid, packed)) => (Some(kid.trim()), packed),
            None => (None, entry),
        };
        let packed: String = packed.split_whitespace().collect();
        let text = STANDARD.decode(packed).map_err(|_| Error::Base64)?;
        if text.first() == Some(&b'{') {
            let set: KeySetText = serde_json::from_slice(&text).map_err(|_| Error::KeySet)?;
            return set.keys.iter().map(Self::from_jwk).collect();
        }
        let block = pem::parse(&text).map_err(|_| Error::Pem)?;
        if !matches!(block.tag(), "PUBLIC KEY" | "RSA PUBLIC KEY") {
            let key = super::SigningKey::from_pem(&text, kid)?;
            return Ok(vec![key.public().clone()]);
        }
        let key = rsa::PublicKey::from_der(block.contents()).map_err(|_| Error::Key)?;
        Ok(vec![Self::rsa(SigningAlgorithm::Rs256, &key, kid)?])
    }

    /// True if an entry of `OAUTH_RETIRED_KEYS` is a private key.
    pub(super) fn is_private_entry(entry: &str) -> bool {
        let packed = entry.rsplit(':').next().unwrap_or_default();
        let packed: String = packed.split_whitespace().collect();
        let block = STANDARD.decode(packed).ok();
        let block = block.and_then(|text| pem::parse(text).ok());
        block.is_some_and(|block| block.tag().ends_with("PRIVATE KEY"))
    }

    /// Reads a JWK that [`Jwk`] wrote.
    fn from_jwk(text: &JwkText) -> Result<Self, Error> {
        let algorithm = SigningAlgorithm::from_name(&text.alg).ok_or(Error::KeySet)?;
        let part = |part: &Option<String>| {
            let part = part.as_deref().unwrap_or_default();
            URL_SAFE_NO_PAD.decode(part).map_err(|_| Error::KeySet)
        };
        let mut key = match algorithm {
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => {
                let (n, e) = (part(&text.n)?, part(&text.e)?);
                let der = rsa::PublicKeyComponents { n, e }.as_der();
                let der: PublicKeyX509Der<'_> = der.map_err(|_| Error::KeySet)?;
                let key = rsa::PublicKey::from_der(der.as_ref()).map_err(|_| Error::KeySet)?;
                Self::rsa(algorithm, &key, None)?
            }
            SigningAlgorithm::Es256 => {
                let point = [vec![4], part(&text.x)?, part(&text.y)?].concat();
                Self::p256(algorithm, &point).map_err(|_| Error::KeySet)?
            }
            SigningAlgorithm::EdDsa | SigningAlgorithm::Ed25519 => {
                let point = part(&text.x)?;
                if point.len() != 32 {
                    return Err(Error::KeySet);
                }
                Self::ed25519(algorithm, &point)?
            }
        };
        key.jwk.kid.clone_from(&text.kid);
        Ok(key)
    }

    /// Returns the `kid` (RFC 7515 §4.1.4).
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.jwk.kid
    }

    /// Returns the only algorithm that the key is for (RFC 8725 §3.1).
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// Returns the JWK.
    #[must_use]
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// Verifies the signature of a token by this key, and with the algorithm of this key only.
    pub(super) fn has_signed(&self, token: &UnverifiedToken<'_>) -> bool {
        let is_signed = |signature: Vec<u8>| {
            let message = token.message.as_bytes();
            self.verifier.verify_sig(message, &signature).is_ok()
        };
        token.algorithm == self.algorithm
            && URL_SAFE_NO_PAD.decode(token.signature).is_ok_and(is_signed)
    }
}

/// Parses a public key once, for all verifications.
///
/// # Errors
/// [`Error::Key`] if the library rejects the key.
fn parsed(algorithm: SigningAlgorithm, key: &[u8]) -> Result<ParsedPublicKey, Error> {
    let rules: &'static dyn VerificationAlgorithm = match algorithm {
        SigningAlgorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        SigningAlgorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        SigningAlgorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        SigningAlgorithm::EdDsa | SigningAlgorithm::Ed25519 => &ED25519,
    };
    ParsedPublicKey::new(rules, key).map_err(|_| Error::Key)
}

/// Verifies a signature by a key of a client, in base64url.
pub(super) fn verifies(
    key: &DecodingKey,
    algorithm: SigningAlgorithm,
    message: &str,
    signature: &str,
) -> bool {
    let algorithm = match algorithm {
        SigningAlgorithm::Rs256 => Algorithm::RS256,
        SigningAlgorithm::Ps256 => Algorithm::PS256,
        SigningAlgorithm::Es256 => Algorithm::ES256,
        SigningAlgorithm::EdDsa | SigningAlgorithm::Ed25519 => Algorithm::EdDSA,
    };
    jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, algorithm).unwrap_or(false)
}

/// Returns the members that all keys have. The key id is derived from the SHA-256 of the public key, unless
/// given.
fn jwk(algorithm: SigningAlgorithm, kty: &'static str, public: &[u8], kid: Option<&str>) -> Jwk {
    Jwk {
        alg: algorithm.name(),
        crv: None,
        e: None,
        kid: kid.map_or_else(|| hex(&Sha256::digest(public)[..8]), str::to_owned),
        kty,
        n: None,
        usage: "sig",
        x: None,
        y: None,
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.jwk.fmt(f)
    }
}
