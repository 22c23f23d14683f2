//! Proof Key for Code Exchange (RFC 7636), method S256 only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// An S256 code challenge: the base64url SHA-256 of a verifier, 43 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// Parses a `code_challenge` parameter; `None` if the text cannot be an S256 challenge.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // RFC 7636 §4.2: 32 bytes in base64url, so 43 characters, of which the last has 4 bits.
        let decoded = URL_SAFE_NO_PAD.decode(text).ok()?;
        (decoded.len() == 32).then(|| Self(text.to_owned()))
    }

    /// A stored challenge, accepted as written; `None` if empty.
    #[must_use]
    pub fn stored(text: String) -> Option<Self> {
        (!text.is_empty()).then_some(Self(text))
    }

    /// The stored form of a challenge; empty without a challenge.
    #[must_use]
    pub fn to_stored(challenge: Option<&Self>) -> &str {
        challenge.map_or("", |challenge| &challenge.0)
    }

    /// The challenge of a verifier (RFC 7636 §4.2).
    #[must_use]
    pub fn of(verifier: &CodeVerifier) -> Self {
        Self(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.0.as_bytes())))
    }

    /// True if the challenge was made from `verifier` (RFC 7636 §4.6). Constant-time comparison.
    #[must_use]
    pub fn is_met_by(&self, verifier: &CodeVerifier) -> bool {
        Self::of(verifier)
            .0
            .as_bytes()
            .ct_eq(self.0.as_bytes())
            .into()
    }

    /// The text on the wire and in the database.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A code verifier: 43 to 128 unreserved characters (RFC 7636 §4.1).
#[derive(Clone)]
pub struct CodeVerifier(String);

impl CodeVerifier {
    /// Parses a `code_verifier` parameter; `None` for a grammar error.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let fits = (43..=128).contains(&text.len()) && text.bytes().all(is_unreserved);
        fits.then(|| Self(text.to_owned()))
    }
}

impl std::fmt::Debug for CodeVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeVerifier(…)")
    }
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// req_052: the example of RFC 7636, appendix B.
    #[test]
    fn the_example_of_the_rfc_holds() {
        let verifier = CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        let challenge =
            CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert!(challenge.is_met_by(&verifier));
    }

    proptest! {
        /// T18, req_051: a verifier has exactly 43 to 128 unreserved characters.
        #[test]
        fn a_verifier_has_43_to_128_unreserved_characters(text in "[A-Za-z0-9._~-]{40,132}") {
            prop_assert_eq!(CodeVerifier::parse(&text).is_some(), (43..=128).contains(&text.len()));
        }

        /// T18, req_052, req_056: only the right verifier meets a challenge.
        #[test]
        fn a_challenge_is_met_by_its_verifier_alone(
            one in "[A-Za-z0-9._~-]{43,128}", other in "[A-Za-z0-9._~-]{43,128}",
        ) {
            let (a, b) = (CodeVerifier::parse(&one).unwrap(), CodeVerifier::parse(&other).unwrap());
            let challenge = CodeChallenge::of(&a);
            prop_assert!(challenge.is_met_by(&a));
            prop_assert_eq!(challenge.is_met_by(&b), one == other);
            prop_assert_eq!(CodeChallenge::parse(challenge.as_str()), Some(challenge.clone()));
        }

        /// T18, A-21: a challenge is 43 characters of base64url.
        #[test]
        fn nothing_else_is_a_challenge(text in ".{0,60}") {
            if CodeChallenge::parse(&text).is_some() {
                prop_assert_eq!(text.len(), 43);
                prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
            }
        }
    }
}
