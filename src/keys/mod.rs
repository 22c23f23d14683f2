//! Signing keys: the only module that signs or verifies JWTs.
//!
//! aws-lc-rs signs with a key that is parsed once, on blocking threads and a few at a time, so that RSA
//! does not delay other requests. `jsonwebtoken` verifies signatures.

pub mod remote_key_sets;
pub mod sealer;
pub mod shared_key;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{Jwk as PublicKeyJwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Timer;
use crate::files;
use crate::secret::{Secret, hex};
use crate::telemetry::metrics;

/// Limits of the signing queue. A request beyond the limits gets 503 before anything is consumed.
#[derive(Clone, Copy, Debug)]
pub struct SigningLimits {
    /// Maximum number of requests that wait for a processor.
    pub waiting: usize,
    /// Maximum wait of a request.
    pub deadline: Duration,
}

impl Default for SigningLimits {
    fn default() -> Self {
        Self {
            waiting: 1_024,
            deadline: Duration::from_secs(5),
        }
    }
}

/// Maximum length of a token to verify, in bytes.
const TOKEN_MAX: usize = 8 * 1_024;

/// File name of the generated key, in `DATA_DIR`.
const KEY_FILE: &str = "oauth-signing-key.pem";

/// A fault of the signing key, or a signature that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not base64.
    #[error("is not base64; `storyden-auth key generate --json` prints a value that is")]
    Base64,
    /// The text is not the PEM of a private key.
    #[error("is not the PEM of a private key (BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY)")]
    Pem,
    /// The key is not RSA, or is damaged.
    #[error("is not a usable RSA key; use an RSA key in PKCS#8 or PKCS#1")]
    Key,
    /// The key is too short.
    #[error("is an RSA key of {0} bits; use at least 2048 bits")]
    Short(usize),
    /// The key file could not be read or written.
    #[error("cannot be kept in {0}")]
    File(PathBuf, #[source] std::io::Error),
    /// Too many signatures are waiting.
    #[error("too many signatures are waiting")]
    Busy,
    /// Signing failed.
    #[error("the signature failed")]
    Signature,
}

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
        match write_private(&path, key.to_pem()?.as_bytes()) {
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

    /// Signs claims with RS256 (RFC 7515 §5.1).
    fn sign(&self, typ: &str, claims: &[u8]) -> Result<String, Error> {
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

/// The signing key with a first-in, first-out queue. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Keys {
    key: SigningKey,
    /// A permit per processor.
    permits: Arc<Semaphore>,
    /// A permit per free place in the queue.
    queue_permits: Arc<Semaphore>,
    limits: SigningLimits,
    signatures: Arc<AtomicU64>,
}

/// A processor reserved for the signatures of a request.
#[derive(Debug)]
pub struct SigningPermit {
    key: SigningKey,
    /// Shared with the signing thread: if the client disconnects, the processor stays reserved until
    /// that thread is done.
    permit: Arc<OwnedSemaphorePermit>,
    signatures: Arc<AtomicU64>,
}

impl SigningPermit {
    /// Signs claims; `typ` is the type in the header.
    ///
    /// # Errors
    /// [`Error::Signature`] if the library fails.
    pub async fn sign(&self, typ: &'static str, claims: &impl Serialize) -> Result<String, Error> {
        let claims = serde_json::to_vec(claims).map_err(|_| Error::Signature)?;
        let (key, permit) = (self.key.clone(), Arc::clone(&self.permit));
        self.signatures.fetch_add(1, Ordering::Relaxed);
        let signed = tokio::task::spawn_blocking(move || {
            let token = key.sign(typ, &claims);
            drop(permit);
            token
        });
        signed.await.map_err(|_| Error::Signature)?
    }
}

impl Keys {
    /// Creates a signer with as many concurrent signatures as there are processors.
    #[must_use]
    pub fn new(key: SigningKey, limits: SigningLimits) -> Self {
        let permits = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            key,
            permits: Arc::new(Semaphore::new(permits)),
            queue_permits: Arc::new(Semaphore::new(limits.waiting)),
            limits,
            signatures: Arc::default(),
        }
    }

    /// Waits for a processor. A turn serves all signatures of a request, so that a request with an ID
    /// token does not queue twice.
    ///
    /// # Errors
    /// [`Error::Busy`] at once if the queue is full, or at the end of the deadline.
    pub async fn turn(&self) -> Result<SigningPermit, Error> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => {
                metrics::signing_wait(0.0);
                permit
            }
            Err(_) => self.wait_for_turn().await?,
        };
        Ok(SigningPermit {
            key: self.key.clone(),
            permit: Arc::new(permit),
            signatures: Arc::clone(&self.signatures),
        })
    }

    async fn wait_for_turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let Ok(_place) = self.queue_permits.try_acquire() else {
            metrics::signing_refused("full");
            return Err(Error::Busy);
        };
        let stopwatch = Timer::start();
        let turn = Arc::clone(&self.permits).acquire_owned(); // the semaphore is fair
        let turn = tokio::time::timeout(self.limits.deadline, turn).await;
        metrics::signing_wait(stopwatch.seconds());
        let Ok(turn) = turn else {
            metrics::signing_refused("deadline");
            return Err(Error::Busy);
        };
        turn.map_err(|_| Error::Busy)
    }

    /// Verifies a token of type `typ` signed by this server and returns the claims; `None` for any
    /// other text. Checks only the header and the signature, with RS256 and this server's key; `jku`,
    /// `jwk` and `x5u` are ignored.
    #[must_use]
    pub fn verify<T: DeserializeOwned>(&self, typ: &str, token: &str) -> Option<T> {
        let TokenData { header, claims } = self.decode(token)?;
        let is_of_type = header.typ.is_some_and(|given| is_type(&given, typ)); // RFC 9068 §4, RFC 8725 §3.11
        // no other key exists, and no key is fetched
        let is_of_key = header.kid.is_none_or(|kid| kid == self.key.kid());
        (is_of_type && is_of_key).then_some(claims)
    }

    /// Verifies a token of any type and any `kid` by the signature alone, and returns the claims.
    #[must_use]
    pub fn verify_any<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        self.decode(token).map(|data| data.claims)
    }

    /// Verifies the signature and decodes header and claims.
    fn decode<T: DeserializeOwned>(&self, token: &str) -> Option<TokenData<T>> {
        if token.len() > TOKEN_MAX {
            return None;
        }
        let mut validation = Validation::new(Algorithm::RS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false; // the caller checks `exp` by the `Clock`
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let data = jsonwebtoken::decode(token, &self.key.0.verifier, &validation).ok()?;
        // RFC 7515 §4.1.11: no extension is supported, so any `crit` is rejected
        data.header.crit.is_none().then_some(data)
    }

    /// Returns the number of free processors.
    #[must_use]
    pub fn free_permits(&self) -> usize {
        self.permits.available_permits()
    }

    /// Returns the number of requests that wait for a processor.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.limits.waiting - self.queue_permits.available_permits()
    }

    /// Returns the number of signatures started since the process started.
    #[must_use]
    pub fn signatures(&self) -> u64 {
        self.signatures.load(Ordering::Relaxed)
    }

    /// Returns the public keys as a JWK Set (RFC 7517 §5).
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        serde_json::json!({ "keys": [self.key.jwk()] })
    }

    /// Returns the signing key.
    #[must_use]
    pub fn signing_key(&self) -> &SigningKey {
        &self.key
    }
}

/// The reason why a client assertion is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionError {
    /// Not a JWT, or with an algorithm, type or extension not allowed for assertions.
    Malformed,
    /// No given key verifies the signature; newer keys of the client may.
    NoKey,
}

/// Signature algorithms for assertions: asymmetric only, so that only the signer has the key.
const ASSERTION_ALGORITHMS: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Names of these algorithms (RFC 8414 §2, `token_endpoint_auth_signing_alg_values_supported`).
pub const ASSERTION_ALGORITHM_NAMES: &[&str] = &[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];

/// Decodes the claims of an assertion without verification, only to find the client and the keys. Do
/// not use the claims in any other way before [`check_assertion`].
#[must_use]
pub fn peek_assertion<T: DeserializeOwned>(assertion: &str) -> Option<T> {
    if assertion.len() > TOKEN_MAX {
        return None;
    }
    let payload = assertion.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// Verifies the signature of an assertion with a client's public keys (RFC 7523 §3 rule 9).
///
/// # Errors
/// [`AssertionError`] with the reason.
pub fn check_assertion(assertion: &str, jwks: &serde_json::Value) -> Result<(), AssertionError> {
    if assertion.len() > TOKEN_MAX {
        return Err(AssertionError::Malformed);
    }
    let header = jsonwebtoken::decode_header(assertion).map_err(|_| AssertionError::Malformed)?;
    let is_access_token = header
        .typ
        .as_deref()
        .is_some_and(|typ| is_type(typ, "at+jwt"));
    if !ASSERTION_ALGORITHMS.contains(&header.alg) || header.crit.is_some() || is_access_token {
        return Err(AssertionError::Malformed); // `none` and HMAC too
    }
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false; // the caller checks `exp` by the `Clock`
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let keys = jwks.get("keys").and_then(serde_json::Value::as_array);
    let signed = keys.into_iter().flatten().any(|key| {
        let Ok(key) = serde_json::from_value::<PublicKeyJwk>(key.clone()) else {
            return false; // an unsupported key type
        };
        let is_named = header.kid.is_none() || key.common.key_id == header.kid;
        let is_for_signing = key.common.public_key_use != Some(PublicKeyUse::Encryption);
        is_named
            && is_for_signing
            && DecodingKey::from_jwk(&key).is_ok_and(|key| {
                jsonwebtoken::decode::<serde_json::Value>(assertion, &key, &validation).is_ok()
            })
    });
    if signed {
        Ok(())
    } else {
        Err(AssertionError::NoKey)
    }
}

/// Compares the `typ` of a header without regard to case, with or without `application/` (RFC 7515
/// §4.1.9).
fn is_type(given: &str, typ: &str) -> bool {
    let given = given.to_ascii_lowercase();
    let given = given.strip_prefix("application/").unwrap_or(&given);
    given.eq_ignore_ascii_case(typ)
}

/// Writes a new file that only the owner can read, and syncs the file.
///
/// # Errors
/// If the file cannot be written, or exists.
pub fn write_private(path: &Path, text: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = files::create(path)?;
    file.write_all(text)?;
    file.sync_all()
}
