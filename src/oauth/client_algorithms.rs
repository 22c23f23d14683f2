//! The signature algorithms that a client chose for the tokens and responses that it receives.

use super::signing_algorithm::SigningAlgorithm;

/// The algorithms of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientAlgorithms {
    /// ID tokens (`id_token_signed_response_alg`, OpenID Connect Registration §2); `None`: the first of
    /// `OAUTH_SIGNING_ALGORITHMS`.
    pub id_token: Option<SigningAlgorithm>,
    /// Access tokens (`access_token_signed_response_alg`, in no RFC; Keycloak and Authelia use the name);
    /// `None`: the first of `OAUTH_SIGNING_ALGORITHMS`.
    pub access_token: Option<SigningAlgorithm>,
    /// Userinfo responses (`userinfo_signed_response_alg`, OpenID Connect Registration §2); `None`: plain
    /// JSON.
    pub userinfo: Option<SigningAlgorithm>,
}

impl ClientAlgorithms {
    /// Returns the chosen algorithms.
    pub fn iter(self) -> impl Iterator<Item = SigningAlgorithm> {
        [self.id_token, self.access_token, self.userinfo]
            .into_iter()
            .flatten()
    }

    /// True if the client chose no algorithm.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}
