//! Protocol errors as responses (RFC 6749 §5.2).

use std::borrow::Cow;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{UNAVAILABLE_RETRY_AFTER, UNSTORABLE, log_cause};
use crate::oauth::{ErrorCode, OAuthError};
use crate::{keys, passwords, store};

impl From<store::Error> for OAuthError {
    fn from(error: store::Error) -> Self {
        if error.is_temporary() {
            let mut away = Self::temporarily_unavailable("The server is busy; try again shortly");
            away.detail = Some(std::sync::Arc::new(error));
            return away.retry_after(UNAVAILABLE_RETRY_AFTER);
        }
        if let store::Error::Unstorable(cause) = error {
            let mut refused = Self::invalid_request(UNSTORABLE);
            refused.detail = cause.map(|cause| std::sync::Arc::new(cause) as _);
            return refused;
        }
        Self::server_error(error)
    }
}

impl From<keys::Error> for OAuthError {
    fn from(error: keys::Error) -> Self {
        match error {
            keys::Error::Busy => {
                Self::temporarily_unavailable("The server is busy; try again shortly")
                    .retry_after(1)
            }
            keys::Error::Store(error) => error.into(),
            error => Self::server_error(error),
        }
    }
}

impl From<passwords::Error> for OAuthError {
    fn from(error: passwords::Error) -> Self {
        match error {
            passwords::Error::Busy => {
                Self::temporarily_unavailable("The server is busy; try again shortly")
                    .retry_after(1)
            }
            error => Self::server_error(error),
        }
    }
}

impl OAuthError {
    /// Returns the HTTP status of this error (RFC 6749 §5.2, RFC 6750 §3.1).
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.code {
            ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            _ if self.limited => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::TemporarilyUnavailable if self.retry_after.is_some() => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ErrorCode::InvalidClient if self.challenge => StatusCode::UNAUTHORIZED,
            ErrorCode::InvalidToken => StatusCode::UNAUTHORIZED,
            ErrorCode::InsufficientScope => StatusCode::FORBIDDEN,
            // Too many attempts: the code names the fault of the attempt, the status is the rate
            // limit's.
            _ if self.retry_after.is_some() => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Logs the internal cause; the client never sees the cause.
    pub fn log(&self) {
        if let Some(detail) = &self.detail {
            log_cause(&**detail, self.code == ErrorCode::ServerError);
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        self.log();
        let status = self.status();
        let mut response = (status, OAuthErrorBody::of(&self, None)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Body of a protocol error (RFC 6749 §5.2).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = OAuthError)]
pub struct OAuthErrorBody {
    /// Error code, for programs.
    pub(super) error: &'static str,
    /// Description of the error, for developers.
    error_description: Cow<'static, str>,
    /// Address of an explanation of the error code, for developers, if the operator has set one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri")]
    pub(super) error_uri: Option<String>,
    /// Redirect target that reports the error to the client; only in answers of the consent operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri")]
    location: Option<String>,
}

impl OAuthErrorBody {
    /// Returns the error code.
    #[must_use]
    pub fn error(&self) -> &'static str {
        self.error
    }

    /// Builds the body of an error, with the redirect target, if any.
    #[must_use]
    pub fn of(error: &OAuthError, location: Option<String>) -> Self {
        Self {
            error: error.code.as_str(),
            error_description: error.description.clone(),
            error_uri: None,
            location,
        }
    }
}

impl IntoResponse for OAuthErrorBody {
    /// Builds a response that keeps the body as an extension, for the layer that adds `error_uri`.
    fn into_response(self) -> Response {
        let mut response = Json(&self).into_response();
        response.extensions_mut().insert(self);
        response
    }
}
