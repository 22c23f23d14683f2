//! Form and claims of the userinfo response, as columns of the query for the account of an access token.

use super::row::row;
use super::sql::Sql;
use super::value::JsonColumn;
use crate::oauth::claims_request::GrantedClaims;
use crate::oauth::fapi;
use crate::oauth::signing_algorithm::SigningAlgorithm;

/// Columns of the grant `g`, and of the details `y` of its client.
pub(super) const TERMS_COLUMNS: Sql =
    Sql::same("g.claims AS terms_claims, y.userinfo_signed_response_alg AS terms_algorithm");

/// The terms of a userinfo response; the defaults without a grant.
#[derive(Clone, Debug, Default)]
pub struct UserinfoTerms {
    /// The claims that the client requested one by one.
    pub claims: GrantedClaims,
    /// Algorithm of a signed response (`userinfo_signed_response_alg`); `None`: plain JSON.
    pub algorithm: Option<SigningAlgorithm>,
}

impl UserinfoTerms {
    /// Leaves out an algorithm that the FAPI 2.0 Security Profile forbids, if the client is held to it.
    #[must_use]
    pub(super) fn within_fapi(self, is_of_fapi_client: bool) -> Self {
        let is_allowed = |one: &SigningAlgorithm| !is_of_fapi_client || fapi::is_permitted(*one);
        Self {
            algorithm: self.algorithm.filter(is_allowed),
            ..self
        }
    }
}

/// The columns of `TERMS_COLUMNS`; all NULL if an outer join found no grant.
pub(super) struct TermsColumns {
    terms_claims: Option<JsonColumn<GrantedClaims>>,
    terms_algorithm: Option<String>,
}

row!(TermsColumns: terms_claims, terms_algorithm);

impl From<TermsColumns> for UserinfoTerms {
    fn from(columns: TermsColumns) -> Self {
        let algorithm = columns.terms_algorithm.as_deref();
        Self {
            claims: columns.terms_claims.unwrap_or_default().0,
            algorithm: algorithm.and_then(SigningAlgorithm::from_name),
        }
    }
}
