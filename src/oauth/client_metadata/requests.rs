//! Metadata about authorization requests: protections that the client demands, and the algorithm of its request
//! objects.

use serde::Serialize;

use super::faults::{Faults, shown};
use super::{ClientKeys, Members};
use crate::oauth::error::OAuthError;
use crate::oauth::request_object::{self, ALGORITHM_NAMES};
use crate::oauth::request_protection::RequestProtection;
use crate::oauth::signing_algorithm::SigningAlgorithm;

/// Metadata about authorization requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RequestMetadata {
    /// True if every authorization request of the client must be pushed (RFC 9126 §6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_pushed_authorization_requests: Option<bool>,
    /// True if every authorization request of the client must be a signed request object (RFC 9101 §10.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_signed_request_object: Option<bool>,
    /// The only accepted algorithm of request objects: `RS256`, `PS256`, `ES256` or `EdDSA`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_signing_alg: Option<String>,
}

impl RequestMetadata {
    /// Returns the metadata of a stored client.
    #[must_use]
    pub fn stored(protection: RequestProtection, algorithm: Option<SigningAlgorithm>) -> Self {
        Self {
            require_pushed_authorization_requests: protection.pushed.then_some(true),
            require_signed_request_object: protection.signed.then_some(true),
            request_object_signing_alg: algorithm.map(|algorithm| algorithm.name().to_owned()),
        }
    }

    /// Reads the members. A member of the wrong type is left out.
    pub(in crate::oauth) fn read(
        members: Members<'_>,
        faults: &mut Faults,
    ) -> Result<Self, OAuthError> {
        Ok(Self {
            require_pushed_authorization_requests: members
                .flag(faults, "require_pushed_authorization_requests")?,
            require_signed_request_object: members.flag(faults, "require_signed_request_object")?,
            request_object_signing_alg: members.text(faults, "request_object_signing_alg")?,
        })
    }

    /// Checks the members. An algorithm that is not supported, and the demand of signatures by a client without
    /// keys, are left out: the client could make no authorization request.
    pub(in crate::oauth) fn check(
        self,
        keys: &ClientKeys,
        faults: &mut Faults,
    ) -> Result<Self, OAuthError> {
        let mut checked = Self::stored(self.protection(), self.algorithm());
        let has_keys = keys.jwks.is_some() || keys.jwks_uri.is_some();
        if checked.require_signed_request_object.is_some() && !has_keys {
            checked.require_signed_request_object = None;
            let fault = "require_signed_request_object needs jwks or jwks_uri";
            let fault = OAuthError::invalid_client_metadata(fault);
            faults.leave_out("require_signed_request_object", fault)?;
        }
        if let Some(given) = &self.request_object_signing_alg
            && checked.request_object_signing_alg.is_none()
        {
            let fault = format!(
                "request_object_signing_alg {} is not supported; use {}",
                shown(given),
                ALGORITHM_NAMES.join(", ")
            );
            let fault = OAuthError::invalid_client_metadata(fault);
            faults.leave_out("request_object_signing_alg", fault)?;
        }
        Ok(checked)
    }

    /// The demanded protections.
    #[must_use]
    pub fn protection(&self) -> RequestProtection {
        RequestProtection {
            pushed: self.require_pushed_authorization_requests == Some(true),
            signed: self.require_signed_request_object == Some(true),
        }
    }

    /// The only algorithm of request objects, if the client chose any.
    #[must_use]
    pub fn algorithm(&self) -> Option<SigningAlgorithm> {
        request_object::algorithm(self.request_object_signing_alg.as_deref()?)
    }
}
