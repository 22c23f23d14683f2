//! Thumbprints of public keys (RFC 7638), and the claim that binds a token to a key (RFC 7800 §3.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The base64url SHA-256 of a public key (RFC 7638 §3), 43 characters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Thumbprint(String);

/// The claim `cnf`: the key that the sender of a token must prove (RFC 9449 §6.1).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthConfirmation)]
pub struct Confirmation {
    /// SHA-256 thumbprint of the public key (RFC 7638), base64url.
    #[schema(value_type = String)]
    pub jkt: Thumbprint,
}

impl Thumbprint {
    /// Parses a `dpop_jkt` parameter; `None` if the text cannot be a thumbprint.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let decoded = URL_SAFE_NO_PAD.decode(text).ok()?;
        (decoded.len() == 32).then(|| Self(text.to_owned()))
    }

    /// Wraps a stored thumbprint.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// Hashes a key: the JSON of the required members in the order of the names, without white space (RFC
    /// 7638 §3).
    #[must_use]
    pub fn of_canonical(jwk: &str) -> Self {
        Self(URL_SAFE_NO_PAD.encode(Sha256::digest(jwk.as_bytes())))
    }

    /// The text on the wire and in the database.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_has_32_bytes() {
        assert!(Thumbprint::parse("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs").is_some());
        for text in [
            "",
            "x",
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs=",
            "NzbLsXh8uDCcd+6MNwXF4W/7noWXFZAfHkxZsRGC9Xs",
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9XsA",
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9X",
        ] {
            assert_eq!(Thumbprint::parse(text), None, "{text}");
        }
    }
}
