//! Forged JWTs: by an attacker, or by another service with the same key.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use super::database::signing_key;

/// Returns the signing input: encoded header and payload.
fn input(header: &str, payload: &str) -> String {
    let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
    format!("{}.{}", encode(header), encode(payload))
}

fn attach(input: &str, signature: &[u8]) -> String {
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn rsa(pair: &KeyPair, encoding: &'static dyn RsaEncoding, input: &str) -> String {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        encoding,
        &SystemRandom::new(),
        input.as_bytes(),
        &mut signature,
    )
    .unwrap();
    attach(input, &signature)
}

/// Loads the key pair of the servers under test.
fn our_key() -> KeyPair {
    let base64 = std::fs::read_to_string(signing_key()).unwrap();
    let pem = STANDARD
        .decode(base64.split_whitespace().collect::<String>())
        .unwrap();
    KeyPair::from_pkcs8(pem::parse(pem).unwrap().contents()).unwrap()
}

/// Signs any header and payload with the server's key.
pub(crate) fn signed(header: &Value, payload: &Value) -> String {
    signed_text(&header.to_string(), &payload.to_string())
}

/// Signs header and payload texts, which need not be JSON, with the server's key.
pub(crate) fn signed_text(header: &str, payload: &str) -> String {
    rsa(&our_key(), &RSA_PKCS1_SHA256, &input(header, payload))
}

/// Signs with the server's key and RS512.
pub(crate) fn signed_rs512(header: &Value, payload: &Value) -> String {
    let input = input(&header.to_string(), &payload.to_string());
    rsa(&our_key(), &RSA_PKCS1_SHA512, &input)
}

/// Signs with a new RSA key.
pub(crate) fn signed_by_another(header: &Value, payload: &Value) -> String {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let input = input(&header.to_string(), &payload.to_string());
    rsa(&pair, &RSA_PKCS1_SHA256, &input)
}

/// Signs with a new elliptic curve key.
pub(crate) fn signed_es256(header: &Value, payload: &Value) -> String {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let input = input(&header.to_string(), &payload.to_string());
    let signature = pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    attach(&input, signature.as_ref())
}

/// Appends an HMAC keyed by public data (algorithm confusion).
pub(crate) fn with_mac(header: &Value, payload: &Value, key: &[u8]) -> String {
    let input = input(&header.to_string(), &payload.to_string());
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(input.as_bytes());
    attach(&input, &mac.finalize().into_bytes())
}

/// Appends an empty signature.
pub(crate) fn unsigned(header: &Value, payload: &Value) -> String {
    attach(&input(&header.to_string(), &payload.to_string()), &[])
}
