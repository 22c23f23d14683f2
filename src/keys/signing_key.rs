//! The RSA key of this server: generated, read from a PEM or from `DATA_DIR`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, TokenData};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::Error;
use super::jwt::{TOKEN_MAX, signature_only};
use crate::files;
use crate::secret::{Secret, hex};

/// File name of the generated key, in `DATA_DIR`.
const KEY_FILE: &str = "oauth-signing-key.pem";

/// A signing key, parsed once.
#[derive(Clone)]
pub struct SigningKey(Arc<Parsed>);

struct Parsed {
    pair: KeyPair,
    kid: String,
    verifier: DecodingKey,
}

/// A public key in JWKS form (RFC 7517 §4, RFC 7518 §6.3).
#[derive(Clone, Debug, Serialize)]
#[expect(
    missing_docs,
    reason = "the members are defined by RFC 7517 and RFC 7518"
)]
pub struct Jwk {
    pub alg: &'static str,
    pub e: String,
    pub kid: String,
    pub kty: &'static str,
    pub n: String,
    #[serde(rename = "use")]
    pub usage: &'static str,
}

impl SigningKey {
    /// Generates an RSA-2048 key.
    ///
    /// # Errors
    /// [`Error::Key`] if the library fails.
    pub fn generate() -> Result<Self, Error> {
        Self::from_pair(
            KeyPair::generate(KeySize::Rsa2048).map_err(|_| Error::Key)?,
            None,
        )
    }

    /// Reads the value of `OAUTH_SIGNING_KEY_BASE64`: base64 of a PEM.
    ///
    /// # Errors
    /// [`Error::Base64`], or as [`SigningKey::from_pem`].
    pub fn from_base64(text: &Secret, kid: Option<&str>) -> Result<Self, Error> {
        let packed: String = text.reveal().split_whitespace().collect();
        let pem = STANDARD.decode(packed).map_err(|_| Error::Base64)?;
        Self::from_pem(&pem, kid)
    }

    /// Reads a PEM, PKCS#8 or PKCS#1.
    ///
    /// # Errors
    /// [`Error::Pem`], [`Error::Key`] or [`Error::Short`], depending on the fault.
    pub fn from_pem(text: &[u8], kid: Option<&str>) -> Result<Self, Error> {
        let block = pem::parse(text).map_err(|_| Error::Pem)?;
        let pair = match block.tag() {
            "PRIVATE KEY" => KeyPair::from_pkcs8(block.contents()),
            "RSA PRIVATE KEY" => KeyPair::from_der(block.contents()),
            _ => return Err(Error::Pem),
        };
        Self::from_pair(pair.map_err(|_| Error::Key)?, kid)
    }

    /// Reads the key in `DATA_DIR`; generates the key (mode 0600) if absent.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read or written, or as [`SigningKey::from_pem`].
    pub fn from_folder(folder: &Path, kid: Option<&str>) -> Result<Self, Error> {
        let path = folder.join(KEY_FILE);
        let failed = |error| Error::File(path.clone(), error);
        match std::fs::read(&path) {
            Ok(text) => return Self::from_pem(&text, kid),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            Err(_) => {}
        }
        files::create_folder(folder).map_err(failed)?;
        let key = Self::generate()?;
        match files::write_new(&path, key.to_pem()?.as_bytes()) {
            // A concurrent process was first: use that key.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Self::from_pem(&std::fs::read(&path).map_err(failed)?, kid)
            }
            Err(error) => Err(failed(error)),
            Ok(()) => Self::from_pem(&std::fs::read(&path).map_err(failed)?, kid),
        }
    }

    /// Returns true if `DATA_DIR` contains a key.
    #[must_use]
    pub fn is_in_folder(folder: &Path) -> bool {
        Self::file_in(folder).exists()
    }

    /// Returns the path of the key in `DATA_DIR`.
    #[must_use]
    pub fn file_in(folder: &Path) -> PathBuf {
        folder.join(KEY_FILE)
    }

    fn from_pair(pair: KeyPair, kid: Option<&str>) -> Result<Self, Error> {
        let bits = pair.public_modulus_len() * 8;
        if bits < 2_048 {
            return Err(Error::Short(bits));
        }
        let public = pair.public_key().as_ref(); // PKCS#1 DER
        let kid = kid.map_or_else(|| hex(&Sha256::digest(public)[..8]), str::to_owned);
        let verifier = DecodingKey::from_rsa_der(public);
        Ok(Self(Arc::new(Parsed {
            pair,
            kid,
            verifier,
        })))
    }

    /// Returns the `kid` (RFC 7515 §4.1.4): as configured, or from the SHA-256 of the public key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// Encodes the key as PKCS#8 PEM.
    ///
    /// # Errors
    /// [`Error::Key`] if the library fails.
    pub fn to_pem(&self) -> Result<String, Error> {
        let der: Pkcs8V1Der<'_> = self.0.pair.as_der().map_err(|_| Error::Key)?;
        let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        Ok(pem::encode_config(
            &pem::Pem::new("PRIVATE KEY", der.as_ref()),
            lines,
        ))
    }

    /// Encodes the key as the value of `OAUTH_SIGNING_KEY_BASE64`.
    ///
    /// # Errors
    /// As [`SigningKey::to_pem`].
    pub fn to_base64(&self) -> Result<String, Error> {
        Ok(STANDARD.encode(self.to_pem()?))
    }

    /// Returns the public key.
    #[must_use]
    pub fn jwk(&self) -> Jwk {
        let public = self.0.pair.public_key();
        let encode = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
        Jwk {
            alg: "RS256",
            e: encode(public.exponent().big_endian_without_leading_zero()),
            kid: self.0.kid.clone(),
            kty: "RSA",
            n: encode(public.modulus().big_endian_without_leading_zero()),
            usage: "sig",
        }
    }

    /// Verifies a signature of this key (RS256), and decodes header and claims. `jku`, `jwk` and `x5u`
    /// are ignored.
    pub(super) fn decode<T: DeserializeOwned>(&self, token: &str) -> Option<TokenData<T>> {
        if token.len() > TOKEN_MAX {
            return None;
        }
        let validation = signature_only(Algorithm::RS256);
        let data = jsonwebtoken::decode(token, &self.0.verifier, &validation).ok()?;
        // RFC 7515 §4.1.11: no extension is supported, so any `crit` is rejected
        data.header.crit.is_none().then_some(data)
    }

    /// Signs claims with RS256 (RFC 7515 §5.1).
    pub(super) fn sign(&self, typ: &str, claims: &[u8]) -> Result<String, Error> {
        let header = serde_json::json!({ "alg": "RS256", "kid": self.0.kid, "typ": typ });
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let mut signature = vec![0; self.0.pair.public_modulus_len()];
        let rng = aws_lc_rs::rand::SystemRandom::new();
        self.0
            .pair
            .sign(&RSA_PKCS1_SHA256, &rng, token.as_bytes(), &mut signature)
            .map_err(|_| Error::Signature)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.0.kid)
            .finish_non_exhaustive()
    }
}
