//! Checks of a JWT that are the same for our tokens and for client assertions.

use jsonwebtoken::{Algorithm, Validation};

/// Maximum length of a token to verify, in bytes.
pub(super) const TOKEN_MAX: usize = 8 * 1_024;

/// Returns the rules of `jsonwebtoken` for a signature alone: the caller checks the claims.
pub(super) fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false; // the caller checks `exp` by the `Clock`
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

/// Compares the `typ` of a header without regard to case, with or without `application/` (RFC 7515
/// §4.1.9).
pub(super) fn is_type(given: &str, typ: &str) -> bool {
    let given = given.to_ascii_lowercase();
    let given = given.strip_prefix("application/").unwrap_or(&given);
    given.eq_ignore_ascii_case(typ)
}
