//! Errors of the member API: problems, OAuth errors, or an empty body, as in Storyden
//! (storyden-contract.md#error-bodies).

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::clients::secrets;
use crate::http::error::{ApiError, Kind};
use crate::oauth::OAuthError;
use crate::oauth::client_rules::ClientRuleError;
use crate::store;

/// An error response.
#[derive(Debug)]
pub enum MemberError {
    /// `application/problem+json` (RFC 9457).
    Problem(ApiError),
    /// `{"error", "error_description"}` (RFC 6749 §5.2).
    Protocol(OAuthError),
    /// 400 without a body.
    Empty,
}

impl MemberError {
    /// 404: the item does not exist.
    pub(super) fn not_found(detail: &'static str) -> Self {
        Self::Problem(ApiError::new(Kind::NotFound, detail))
    }

    /// 400: the item belongs to a different account, or does not exist.
    pub(super) fn missing_or_foreign(description: &'static str) -> Self {
        Self::Protocol(OAuthError::invalid_request(description))
    }
}

impl From<ApiError> for MemberError {
    fn from(problem: ApiError) -> Self {
        Self::Problem(problem)
    }
}

impl From<store::Error> for MemberError {
    fn from(error: store::Error) -> Self {
        Self::Problem(error.into())
    }
}

impl From<ClientRuleError> for MemberError {
    fn from(refused: ClientRuleError) -> Self {
        Self::Problem(refused.into())
    }
}

impl From<secrets::Error> for MemberError {
    fn from(error: secrets::Error) -> Self {
        Self::Problem(error.into())
    }
}

impl IntoResponse for MemberError {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Protocol(error) => error.into_response(),
            Self::Empty => StatusCode::BAD_REQUEST.into_response(),
        }
    }
}
