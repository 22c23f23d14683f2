//! Signature algorithms of the tokens of this server.

/// A signature algorithm (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
    Rs256,
    /// RSASSA-PSS with SHA-256 (RFC 7518 §3.5).
    Ps256,
    /// ECDSA with P-256 and SHA-256 (RFC 7518 §3.4).
    Es256,
    /// Ed25519 under the name of RFC 8037 §3.1.
    EdDsa,
    /// Ed25519 under the name of RFC 9864 §2.2.
    Ed25519,
}

/// The hash function of `at_hash` (OpenID Connect Core §3.1.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenHash {
    /// SHA-256.
    Sha256,
    /// SHA-512, the hash function of Ed25519.
    Sha512,
}

impl SigningAlgorithm {
    /// All algorithms.
    pub const ALL: &[Self] = &[
        Self::Rs256,
        Self::Ps256,
        Self::Es256,
        Self::EdDsa,
        Self::Ed25519,
    ];

    /// The value of `alg` in a header and in a JWK.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// Parses a value of `alg`; `None` for any other text, `none` included.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }

    /// Returns the hash function of `at_hash`.
    #[must_use]
    pub fn token_hash(self) -> TokenHash {
        match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 => TokenHash::Sha256,
            Self::EdDsa | Self::Ed25519 => TokenHash::Sha512,
        }
    }
}
