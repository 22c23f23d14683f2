//! The signature algorithms that a client asks for. Only an algorithm that this server has a key for is
//! registered.

use serde::Serialize;

use super::faults::{Faults, shown};
use super::members::Members;
use super::rules::Rules;
use crate::oauth::client_algorithms::ClientAlgorithms;
use crate::oauth::error::OAuthError;
use crate::oauth::signing_algorithm::SigningAlgorithm;

const ID_TOKEN: &str = "id_token_signed_response_alg";
const ACCESS_TOKEN: &str = "access_token_signed_response_alg";
const USERINFO: &str = "userinfo_signed_response_alg";

/// The algorithms as received.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
#[expect(clippy::struct_field_names, reason = "names of the protocol")]
pub struct RequestedAlgorithms {
    /// Algorithm of ID tokens, from `id_token_signing_alg_values_supported`.
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token_signed_response_alg: Option<String>,
    /// Algorithm of access tokens, from the same list.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token_signed_response_alg: Option<String>,
    /// Algorithm of signed userinfo responses, from `userinfo_signing_alg_values_supported`. Without an
    /// algorithm, the responses are plain JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    userinfo_signed_response_alg: Option<String>,
}

impl Members<'_> {
    /// The algorithms. A member of the wrong type is left out.
    pub(in crate::oauth) fn algorithms(
        &self,
        faults: &mut Faults,
    ) -> Result<RequestedAlgorithms, OAuthError> {
        Ok(RequestedAlgorithms {
            id_token_signed_response_alg: self.text(faults, ID_TOKEN)?,
            access_token_signed_response_alg: self.text(faults, ACCESS_TOKEN)?,
            userinfo_signed_response_alg: self.text(faults, USERINFO)?,
        })
    }
}

impl Rules<'_> {
    /// Leaves out the algorithms that this server has no key for.
    pub(in crate::oauth) fn algorithms(
        &mut self,
        asked: &RequestedAlgorithms,
    ) -> Result<ClientAlgorithms, OAuthError> {
        let RequestedAlgorithms {
            id_token_signed_response_alg: id_token,
            access_token_signed_response_alg: access_token,
            userinfo_signed_response_alg: userinfo,
        } = asked;
        Ok(ClientAlgorithms {
            id_token: self.algorithm(ID_TOKEN, id_token.as_deref())?,
            access_token: self.algorithm(ACCESS_TOKEN, access_token.as_deref())?,
            userinfo: self.algorithm(USERINFO, userinfo.as_deref())?,
        })
    }

    /// RFC 9864 §2.2: `Ed25519` and the older name `EdDSA` are two names, because a client compares the name
    /// in the header with the registered name.
    fn algorithm(
        &mut self,
        member: &'static str,
        given: Option<&str>,
    ) -> Result<Option<SigningAlgorithm>, OAuthError> {
        let Some(name) = given.filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let available = self.bounds.signing_algorithms;
        let known = SigningAlgorithm::from_name(name).filter(|known| available.contains(known));
        if known.is_none() {
            let names: Vec<&str> = available.iter().map(|one| one.name()).collect();
            let names = names.join(", ");
            let fault = format!(
                "this server does not sign with {}; use {names}",
                shown(name)
            );
            let fault = OAuthError::invalid_client_metadata(fault);
            self.faults.leave_out(member, fault)?;
        }
        Ok(known)
    }
}
