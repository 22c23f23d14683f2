//! Encryption of a text that passes through a browser: AES-256-GCM, with a key that all replicas share.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::Error;
use crate::secret::Secret;

/// Seals a text, as base64url. `nonce` is random.
///
/// # Errors
/// [`Error::Signature`] if the library fails.
pub fn seal(key: &Secret, nonce: [u8; NONCE_LEN], mut text: Vec<u8>) -> Result<String, Error> {
    let sealing = aead_key(key).ok_or(Error::Signature)?;
    sealing
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut text)
        .map_err(|_| Error::Signature)?;
    let mut whole = nonce.to_vec();
    whole.append(&mut text);
    Ok(URL_SAFE_NO_PAD.encode(whole))
}

/// Opens a sealed text; `None` if it was not sealed with this key.
#[must_use]
pub fn open(key: &Secret, sealed: &str) -> Option<Vec<u8>> {
    let mut whole = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (nonce, sealed) = whole.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let opened = aead_key(key)?.open_in_place(nonce, Aad::empty(), sealed);
    Some(opened.ok()?.to_vec())
}

/// Derives the key of the cipher from a shared key of any length.
fn aead_key(key: &Secret) -> Option<LessSafeKey> {
    let bytes = Sha256::digest(key.reveal());
    let key = UnboundKey::new(&AES_256_GCM, &bytes).ok()?;
    Some(LessSafeKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_that_sealed_a_text_opens_it() {
        let (key, other) = (Secret::new("one"), Secret::new("other"));
        let sealed = seal(&key, [7; NONCE_LEN], b"text".to_vec()).unwrap();
        assert_eq!(open(&key, &sealed).as_deref(), Some(&b"text"[..]));
        assert_eq!(open(&other, &sealed), None);
        for broken in [
            "",
            "x",
            "AAAA",
            &sealed[1..],
            &sealed[..sealed.len() - 2],
            &format!("{sealed}="),
        ] {
            assert_eq!(open(&key, broken), None, "{broken}");
        }
    }
}
