//! Signing keys of this server: generated, read from a PEM, or from `DATA_DIR`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::Error;
use super::public_key::{Jwk, PublicKey, RSA_BITS_MIN};
use super::rsa_length::rsa_bits;
use crate::files;
use crate::oauth::access_token;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::secret::Secret;

/// File name of the key that versions without rotation generated, in `DATA_DIR`.
const KEY_FILE: &str = "oauth-signing-key.pem";

/// A signing key, parsed once.
#[derive(Clone)]
pub struct SigningKey(Arc<Parsed>);

struct Parsed {
    pair: Pair,
    public: PublicKey,
    /// The encoded headers of the types of tokens.
    headers: [(&'static str, String); 2],
}

/// A private key.
enum Pair {
    Rsa(KeyPair, &'static dyn RsaEncoding),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Generates a key: RSA-2048, P-256 or Ed25519, depending on the algorithm.
    ///
    /// # Errors
    /// [`Error::Key`] if the library fails.
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Self, Error> {
        match algorithm {
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => {
                let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| Error::Key)?;
                Self::from_rsa(algorithm, pair, None)
            }
            SigningAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
                Self::from_p256(pair.map_err(|_| Error::Key)?)
            }
            SigningAlgorithm::EdDsa | SigningAlgorithm::Ed25519 => {
                let pair = Ed25519KeyPair::generate().map_err(|_| Error::Key)?;
                Self::from_ed25519(algorithm, pair)
            }
        }
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

    /// Reads the PEM of an RSA key, PKCS#8 or PKCS#1.
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
        let pair = pair.map_err(|_| fault_of(block.contents()))?;
        Self::from_rsa(SigningAlgorithm::Rs256, pair, kid)
    }

    /// Reads a private key in PKCS#8.
    ///
    /// # Errors
    /// [`Error::Key`] if the key is damaged or of another kind.
    pub(super) fn from_pkcs8(
        algorithm: SigningAlgorithm,
        der: &[u8],
        kid: &str,
    ) -> Result<Self, Error> {
        match algorithm {
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => {
                let pair = KeyPair::from_pkcs8(der).map_err(|_| Error::Key)?;
                Self::from_rsa(algorithm, pair, Some(kid))
            }
            SigningAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
                Self::from_p256(pair.map_err(|_| Error::Key)?)
            }
            SigningAlgorithm::EdDsa | SigningAlgorithm::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8(der).map_err(|_| Error::Key)?;
                Self::from_ed25519(algorithm, pair)
            }
        }
    }

    /// Reads the key in `DATA_DIR`; `None` if absent.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read, or as [`SigningKey::from_pem`].
    pub fn find_in_folder(folder: &Path, kid: Option<&str>) -> Result<Option<Self>, Error> {
        let path = folder.join(KEY_FILE);
        match std::fs::read(&path) {
            Ok(text) => Self::from_pem(&text, kid).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::File(path, error)),
        }
    }

    /// Reads the key in `DATA_DIR`; generates the key (mode 0600) if absent.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read or written, or as [`SigningKey::from_pem`].
    pub fn from_folder(folder: &Path, kid: Option<&str>) -> Result<Self, Error> {
        if let Some(key) = Self::find_in_folder(folder, kid)? {
            return Ok(key);
        }
        let path = folder.join(KEY_FILE);
        let failed = |error| Error::File(path.clone(), error);
        files::create_folder(folder).map_err(failed)?;
        let key = Self::generate(SigningAlgorithm::Rs256)?;
        match files::write_new(&path, key.to_pem()?.as_bytes()) {
            // A concurrent process was first: use that key.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
            Ok(()) => {}
        }
        Self::from_pem(&std::fs::read(&path).map_err(failed)?, kid)
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

    fn from_rsa(
        algorithm: SigningAlgorithm,
        pair: KeyPair,
        kid: Option<&str>,
    ) -> Result<Self, Error> {
        let public = PublicKey::rsa(algorithm, pair.public_key(), kid)?;
        let encoding: &'static dyn RsaEncoding = match algorithm {
            SigningAlgorithm::Ps256 => &RSA_PSS_SHA256,
            _ => &RSA_PKCS1_SHA256,
        };
        Ok(Self::new(Pair::Rsa(pair, encoding), public))
    }

    fn from_p256(pair: EcdsaKeyPair) -> Result<Self, Error> {
        let public = PublicKey::p256(SigningAlgorithm::Es256, pair.public_key().as_ref())?;
        Ok(Self::new(Pair::P256(pair), public))
    }

    fn from_ed25519(algorithm: SigningAlgorithm, pair: Ed25519KeyPair) -> Result<Self, Error> {
        let public = PublicKey::ed25519(algorithm, pair.public_key().as_ref())?;
        Ok(Self::new(Pair::Ed25519(pair), public))
    }

    fn new(pair: Pair, public: PublicKey) -> Self {
        let header = |typ| (typ, encoded_header(&public, typ));
        let headers = [access_token::TYPE, "JWT"].map(header);
        Self(Arc::new(Parsed {
            pair,
            public,
            headers,
        }))
    }

    /// Returns the `kid` (RFC 7515 §4.1.4): as configured, or from the SHA-256 of the public key.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.0.public.kid()
    }

    /// Returns the algorithm that the key signs with.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.0.public.algorithm()
    }

    /// Returns the public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.0.public
    }

    /// Returns the public key as a JWK.
    #[must_use]
    pub fn jwk(&self) -> Jwk {
        self.0.public.jwk().clone()
    }

    /// Encodes the key as PKCS#8.
    ///
    /// # Errors
    /// [`Error::Key`] if the library fails.
    pub(super) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let der = match &self.0.pair {
            Pair::Rsa(pair, _) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| Error::Key)?;
                der.as_ref().to_vec()
            }
            Pair::P256(pair) => pair.to_pkcs8v1().map_err(|_| Error::Key)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.to_pkcs8().map_err(|_| Error::Key)?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(der))
    }

    /// Encodes the key as PKCS#8 PEM.
    ///
    /// # Errors
    /// [`Error::Key`] if the library fails.
    pub fn to_pem(&self) -> Result<String, Error> {
        let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        Ok(pem::encode_config(
            &pem::Pem::new("PRIVATE KEY", self.to_pkcs8()?.as_slice()),
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

    /// Signs claims (RFC 7515 §5.1).
    pub(super) fn sign(&self, typ: &str, claims: &[u8]) -> Result<String, Error> {
        let mut headers = self.0.headers.iter();
        let known = headers.find(|(known, _)| *known == typ);
        let header = known.map_or_else(
            || Cow::Owned(encoded_header(self.public(), typ)),
            |(_, header)| Cow::Borrowed(header.as_str()),
        );
        // Room for the payload in base64, and for the signature of an RSA key of 2048 bits.
        let mut token = String::with_capacity(header.len() + claims.len() * 4 / 3 + 400);
        token.push_str(&header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let rng = aws_lc_rs::rand::SystemRandom::new();
        match &self.0.pair {
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &rng, message, &mut signature)
                    .map_err(|_| Error::Signature)?;
                Ok(signature)
            }
            Pair::P256(pair) => {
                let signature = pair.sign(&rng, message).map_err(|_| Error::Signature)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid())
            .finish_non_exhaustive()
    }
}

/// Encodes the header of a token (RFC 7515 §4.1).
fn encoded_header(key: &PublicKey, typ: &str) -> String {
    let header = serde_json::json!({
        "alg": key.algorithm().name(), "kid": key.kid(), "typ": typ,
    });
    URL_SAFE_NO_PAD.encode(header.to_string())
}

/// Returns the fault of an RSA key that the library rejects.
fn fault_of(der: &[u8]) -> Error {
    let bits = rsa_bits(der).filter(|bits| *bits < RSA_BITS_MIN);
    bits.map_or(Error::Key, Error::Short)
}

#[cfg(test)]
mod tests {
    use super::super::jwt::UnverifiedToken;
    use super::*;

    /// RFC 7518 §3.3: a key of less than 2048 bits is rejected with its length, in both encodings.
    #[test]
    fn a_short_key_is_rejected_with_its_length() {
        for text in [
            include_str!("../../tests/it/support/short-key-pkcs1.pem"),
            include_str!("../../tests/it/support/short-key-pkcs8.pem"),
        ] {
            let error = SigningKey::from_pem(text.as_bytes(), None).err().unwrap();
            assert!(matches!(error, Error::Short(1024)), "{error}");
        }
        let damaged = pem::encode(&pem::Pem::new("PRIVATE KEY", b"\x30\x01\x00".as_slice()));
        let error = SigningKey::from_pem(damaged.as_bytes(), None)
            .err()
            .unwrap();
        assert!(matches!(error, Error::Key), "{error}");
    }

    /// RFC 7518 §3.1, RFC 9864 §2.2: a signature is accepted by its key, with its algorithm, and by no
    /// other.
    #[test]
    fn each_algorithm_signs_and_verifies() {
        let generate = |algorithm: &SigningAlgorithm| SigningKey::generate(*algorithm).unwrap();
        let keys: Vec<SigningKey> = SigningAlgorithm::ALL.iter().map(generate).collect();
        for key in &keys {
            let der = key.to_pkcs8().unwrap();
            let read = SigningKey::from_pkcs8(key.algorithm(), &der, key.kid()).unwrap();
            assert_eq!(read.jwk(), key.jwk());
            let token = read.sign("JWT", b"{\"sub\":\"frigg\"}").unwrap();
            let token = UnverifiedToken::parse(&token).unwrap();
            for other in &keys {
                let is_same = other.algorithm() == key.algorithm();
                assert_eq!(other.public().has_signed(&token), is_same);
            }
            let claims: serde_json::Value = token.claims().unwrap();
            assert_eq!(claims["sub"], "frigg");
        }
    }
}
