//! Signing keys: the only place that makes or checks a JWT.
//!
//! Signatures are made by aws-lc-rs with a key that is parsed once, off the async threads and a few
//! at a time, so that answering stays fast while RSA works. They are checked by `jsonwebtoken`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{Jwk as TheirJwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Stopwatch;
use crate::files;
use crate::secret::{Secret, hex};
use crate::telemetry::metrics;

/// Limits of the signing queue. A request beyond them is answered 503, before anything is consumed.
#[derive(Clone, Copy, Debug)]
pub struct SigningLimits {
    /// The most requests that wait for a processor.
    pub waiting: usize,
    /// The longest wait of a request.
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

/// Longer tokens are not looked at.
const TOKEN_MAX: usize = 8 * 1_024;

/// The file of a generated key, in `DATA_DIR`.
const KEY_FILE: &str = "oauth-signing-key.pem";

/// Why there is no signing key, or no signature.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no base64.
    #[error("is not base64; `storyden-auth key generate --json` prints a value that is")]
    Base64,
    /// The text is no PEM of a private key.
    #[error("is not the PEM of a private key (BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY)")]
    Pem,
    /// The key is not RSA, or damaged.
    #[error("is not an RSA key that can be used; it must be RSA, PKCS#8 or PKCS#1")]
    Key,
    /// The key is too short.
    #[error("is an RSA key of {0} bits; it must have 2048 or more")]
    Short(usize),
    /// The key file could not be read or written.
    #[error("cannot be kept in {0}")]
    File(PathBuf, #[source] std::io::Error),
    /// Too many signatures are waiting.
    #[error("too many signatures are waiting")]
    Busy,
    /// The signature was not made.
    #[error("the signature was not made")]
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

/// A public key as JWKS has it (RFC 7517 §4, RFC 7518 §6.3).
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
    /// Makes an RSA-2048 key.
    ///
    /// # Errors
    /// [`Error::Key`] when the library fails.
    pub fn generate() -> Result<Self, Error> {
        Self::from_pair(
            KeyPair::generate(KeySize::Rsa2048).map_err(|_| Error::Key)?,
            None,
        )
    }

    /// Reads the value of `OAUTH_SIGNING_KEY_BASE64`: base64 of a PEM.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_base64(text: &Secret, kid: Option<&str>) -> Result<Self, Error> {
        let packed: String = text.reveal().split_whitespace().collect();
        let pem = STANDARD.decode(packed).map_err(|_| Error::Base64)?;
        Self::from_pem(&pem, kid)
    }

    /// Reads a PEM, PKCS#8 or PKCS#1.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_pem(text: &[u8], kid: Option<&str>) -> Result<Self, Error> {
        let block = pem::parse(text).map_err(|_| Error::Pem)?;
        let pair = match block.tag() {
            "PRIVATE KEY" => KeyPair::from_pkcs8(block.contents()),
            "RSA PRIVATE KEY" => KeyPair::from_der(block.contents()),
            _ => return Err(Error::Pem),
        };
        Self::from_pair(pair.map_err(|_| Error::Key)?, kid)
    }

    /// The key of `DATA_DIR`, made there (mode 0600) when there is none.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read or written; what is wrong with the key otherwise.
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
            // Another process was first: its key is the key.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Self::from_pem(&std::fs::read(&path).map_err(failed)?, kid)
            }
            Err(error) => Err(failed(error)),
            Ok(()) => Self::from_pem(&std::fs::read(&path).map_err(failed)?, kid),
        }
    }

    /// Whether `DATA_DIR` holds a key.
    #[must_use]
    pub fn is_in_folder(folder: &Path) -> bool {
        Self::file_in(folder).exists()
    }

    /// Where `DATA_DIR` holds its key.
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

    /// The `kid` (RFC 7515 §4.1.4): as configured, or from the SHA-256 of the public key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// PKCS#8 PEM.
    ///
    /// # Errors
    /// [`Error::Key`] when the library fails.
    pub fn to_pem(&self) -> Result<String, Error> {
        let der: Pkcs8V1Der<'_> = self.0.pair.as_der().map_err(|_| Error::Key)?;
        let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        Ok(pem::encode_config(
            &pem::Pem::new("PRIVATE KEY", der.as_ref()),
            lines,
        ))
    }

    /// The value that `OAUTH_SIGNING_KEY_BASE64` takes.
    ///
    /// # Errors
    /// As [`SigningKey::to_pem`].
    pub fn to_base64(&self) -> Result<String, Error> {
        Ok(STANDARD.encode(self.to_pem()?))
    }

    /// The public half.
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
        let chance = aws_lc_rs::rand::SystemRandom::new();
        self.0
            .pair
            .sign(&RSA_PKCS1_SHA256, &chance, token.as_bytes(), &mut signature)
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

/// The signer: a key and its queue, first come, first served. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Keys {
    key: SigningKey,
    /// One permit per processor.
    turns: Arc<Semaphore>,
    /// One permit per free place in the queue.
    places: Arc<Semaphore>,
    limits: SigningLimits,
    signatures: Arc<AtomicU64>,
}

/// A processor reserved for the signatures of one request.
#[derive(Debug)]
pub struct SigningTurn {
    key: SigningKey,
    /// Shared with the thread that signs: a client that disconnects does not free the processor
    /// before the thread is done with it.
    permit: Arc<OwnedSemaphorePermit>,
    signatures: Arc<AtomicU64>,
}

impl SigningTurn {
    /// Signs claims; `typ` goes into the header.
    ///
    /// # Errors
    /// [`Error::Signature`] when the library fails.
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
    /// A signer with as many signatures at a time as there are processors.
    #[must_use]
    pub fn new(key: SigningKey, limits: SigningLimits) -> Self {
        let turns = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            key,
            turns: Arc::new(Semaphore::new(turns)),
            places: Arc::new(Semaphore::new(limits.waiting)),
            limits,
            signatures: Arc::default(),
        }
    }

    /// Waits for a processor. One turn serves all signatures of a request, so that a request with an
    /// ID token does not queue twice.
    ///
    /// # Errors
    /// [`Error::Busy`] at once when the queue is full, or at the end of its deadline.
    pub async fn turn(&self) -> Result<SigningTurn, Error> {
        let permit = match Arc::clone(&self.turns).try_acquire_owned() {
            Ok(permit) => {
                metrics::waited_to_sign(0.0);
                permit
            }
            Err(_) => self.wait_for_turn().await?,
        };
        Ok(SigningTurn {
            key: self.key.clone(),
            permit: Arc::new(permit),
            signatures: Arc::clone(&self.signatures),
        })
    }

    async fn wait_for_turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let Ok(_place) = self.places.try_acquire() else {
            metrics::signing_refused("full");
            return Err(Error::Busy);
        };
        let stopwatch = Stopwatch::start();
        let turn = Arc::clone(&self.turns).acquire_owned(); // the semaphore is fair
        let turn = tokio::time::timeout(self.limits.deadline, turn).await;
        metrics::waited_to_sign(stopwatch.seconds());
        let Ok(turn) = turn else {
            metrics::signing_refused("deadline");
            return Err(Error::Busy);
        };
        turn.map_err(|_| Error::Busy)
    }

    /// The claims of a token of a type that this server signed; `None` for every other text. Only
    /// the header and the signature are checked here: RS256 by our key, whatever the header points at.
    #[must_use]
    pub fn verify<T: DeserializeOwned>(&self, typ: &str, token: &str) -> Option<T> {
        let TokenData { header, claims } = self.decode(token)?;
        let is_of_type = header.typ.is_some_and(|given| is_type(&given, typ)); // RFC 9068 §4, RFC 8725 §3.11
        // no other key exists, and none is fetched
        let is_of_key = header.kid.is_none_or(|kid| kid == self.key.kid());
        (is_of_type && is_of_key).then_some(claims)
    }

    /// The same for a token of any type and any key id: our key's signature is what counts.
    #[must_use]
    pub fn verify_any<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        self.decode(token).map(|data| data.claims)
    }

    /// Checks the signature, and reads header and claims once.
    fn decode<T: DeserializeOwned>(&self, token: &str) -> Option<TokenData<T>> {
        if token.len() > TOKEN_MAX {
            return None;
        }
        let mut validation = Validation::new(Algorithm::RS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false; // by our own clock, by the caller
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let data = jsonwebtoken::decode(token, &self.key.0.verifier, &validation).ok()?;
        // RFC 7515 §4.1.11: there is no extension that we know
        data.header.crit.is_none().then_some(data)
    }

    /// The processors that sign nothing now.
    #[must_use]
    pub fn free_turns(&self) -> usize {
        self.turns.available_permits()
    }

    /// The requests that wait for a processor.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.limits.waiting - self.places.available_permits()
    }

    /// The signatures begun since the start.
    #[must_use]
    pub fn signatures(&self) -> u64 {
        self.signatures.load(Ordering::Relaxed)
    }

    /// The public keys (RFC 7517 §5).
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        serde_json::json!({ "keys": [self.key.jwk()] })
    }

    /// The key that signs.
    #[must_use]
    pub fn signing_key(&self) -> &SigningKey {
        &self.key
    }
}

/// Why a client assertion proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// It is no JWT, or is signed in a way that is not for assertions.
    Malformed,
    /// None of the keys made its signature: others may have.
    NoKey,
}

/// How an assertion may be signed: with a key that its signer alone has.
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

/// The names of those algorithms (RFC 8414 §2, `token_endpoint_auth_signing_alg_values_supported`).
pub const ASSERTION_ALGORITHM_NAMES: &[&str] = &[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];

/// The claims of an assertion before its signature is checked: they say which client's keys to look
/// at, and nothing else may come of them.
#[must_use]
pub fn peek_assertion<T: DeserializeOwned>(assertion: &str) -> Option<T> {
    if assertion.len() > TOKEN_MAX {
        return None;
    }
    let payload = assertion.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// Checks the signature of an assertion with somebody's public keys (RFC 7523 §3 rule 9).
///
/// # Errors
/// Why it proves nothing.
pub fn check_assertion(assertion: &str, jwks: &serde_json::Value) -> Result<(), Unproven> {
    if assertion.len() > TOKEN_MAX {
        return Err(Unproven::Malformed);
    }
    let header = jsonwebtoken::decode_header(assertion).map_err(|_| Unproven::Malformed)?;
    let is_access_token = header
        .typ
        .as_deref()
        .is_some_and(|typ| is_type(typ, "at+jwt"));
    if !ASSERTION_ALGORITHMS.contains(&header.alg) || header.crit.is_some() || is_access_token {
        return Err(Unproven::Malformed); // `none` and shared keys among them
    }
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false; // by our own clock, by the caller
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let keys = jwks.get("keys").and_then(serde_json::Value::as_array);
    let signed = keys.into_iter().flatten().any(|key| {
        let Ok(key) = serde_json::from_value::<TheirJwk>(key.clone()) else {
            return false; // of a kind that nobody here knows
        };
        let is_named = header.kid.is_none() || key.common.key_id == header.kid;
        let is_for_signing = key.common.public_key_use != Some(PublicKeyUse::Encryption);
        is_named
            && is_for_signing
            && DecodingKey::from_jwk(&key).is_ok_and(|key| {
                jsonwebtoken::decode::<serde_json::Value>(assertion, &key, &validation).is_ok()
            })
    });
    if signed { Ok(()) } else { Err(Unproven::NoKey) }
}

/// Whether a header's `typ` is a type; it has no case and may be written in full (RFC 7515 §4.1.9).
fn is_type(given: &str, typ: &str) -> bool {
    let given = given.to_ascii_lowercase();
    let given = given.strip_prefix("application/").unwrap_or(&given);
    given.eq_ignore_ascii_case(typ)
}

/// Writes a file that only its owner may read, and that was not there before.
///
/// # Errors
/// When it cannot be written, or is there.
pub fn write_private(path: &Path, text: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = files::create(path)?;
    file.write_all(text)?;
    file.sync_all()
}
