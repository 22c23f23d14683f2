//! Metadata of clients that are held to the FAPI 2.0 Security Profile.

use super::ClientKeys;
use super::rules::Rules;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_algorithms::ClientAlgorithms;
use crate::oauth::error::OAuthError;
use crate::oauth::fapi::Shape;
use crate::oauth::grant_type::ClientType;

impl Rules<'_> {
    /// Rejects metadata that contradicts the profile. Nothing is left out: a client that asks for the profile must
    /// not get a weaker registration.
    ///
    /// # Errors
    /// `invalid_client_metadata` with the first contradiction.
    pub(in crate::oauth) fn require_fapi(
        &self,
        auth_method: AuthMethod,
        keys: &ClientKeys,
        redirect_uris: &[String],
        algorithms: ClientAlgorithms,
    ) -> Result<(), OAuthError> {
        if auth_method != AuthMethod::PrivateKeyJwt {
            return Err(OAuthError::invalid_client_metadata(
                "FAPI 2.0 needs token_endpoint_auth_method private_key_jwt",
            ));
        }
        let shape = Shape {
            kind: ClientType::Confidential,
            jwks: keys.jwks.as_ref(),
            has_jwks_uri: keys.jwks_uri.is_some(),
            redirect_uris,
            algorithms,
            available: self.bounds.signing_algorithms,
        };
        match shape.contradictions().into_iter().next() {
            Some(first) => Err(OAuthError::invalid_client_metadata(first)),
            None => Ok(()),
        }
    }
}
