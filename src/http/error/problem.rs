//! Problems: errors outside the OAuth protocol (RFC 9457).

use std::borrow::Cow;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{UNAVAILABLE_RETRY_AFTER, UNSTORABLE, log_cause};
use crate::clients::secrets;
use crate::compat::{Challenges, RemoteFailureStatus};
use crate::context::Context;
use crate::keys::sealer;
use crate::oauth::client_rules::ClientRuleError;
use crate::oauth::dpop::AuthScheme;
use crate::trace_id::trace_id;
use crate::{issuers, keys, passwords, remote, resources, signing_keys, store};

/// Kind of a problem (storyden-contract.md#error-bodies).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request is malformed.
    InvalidArgument,
    /// The request has no valid credential.
    Unauthenticated,
    /// The caller lacks a permission.
    PermissionDenied,
    /// The object does not exist.
    NotFound,
    /// The path does not support the method.
    MethodNotAllowed,
    /// The object exists already.
    AlreadyExists,
    /// The body is too long.
    TooLarge,
    /// The media type of the body is not supported.
    UnsupportedMediaType,
    /// Too many attempts.
    TooManyRequests,
    /// A part of the server, such as the database, is unavailable.
    Unavailable,
    /// An internal failure.
    Internal,
}

impl Kind {
    fn status(self) -> StatusCode {
        match self {
            Self::InvalidArgument => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::AlreadyExists => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid-argument",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission-denied",
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::TooLarge => "too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::TooManyRequests => "too-many-requests",
            Self::Unavailable => "unavailable",
            Self::MethodNotAllowed | Self::Internal => "internal", // storyden-contract.md#paths
        }
    }
}

/// The media type of a problem (RFC 9457 §3).
const PROBLEM: &str = "application/problem+json";

// storyden-contract.md#error-bodies
/// Body of a problem (RFC 9457 §3.1).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = APIError)]
pub struct Problem {
    /// Explanation of the problem and of the required change.
    detail: Cow<'static, str>,
    /// Same as `title`, for clients of older Storyden versions.
    error: &'static str,
    /// Same as `detail`, for clients of older Storyden versions.
    message: Cow<'static, str>,
    /// Details for programs, if any.
    metadata: Metadata,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Suggested next step for the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggested: Option<&'static str>,
    /// Short summary of the problem.
    title: &'static str,
    /// Id of this request in the server's log.
    trace_id: String,
    /// Type of the problem, as a URN.
    #[serde(rename = "type")]
    #[schema(format = "uri")]
    kind: String,
}

/// Details of a problem for programs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = APIErrorMetadata)]
struct Metadata {
    /// Code of the specific problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// Suggested next step for the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggested: Option<&'static str>,
}

/// An error of a request outside the OAuth protocol.
#[derive(Debug)]
pub struct ApiError {
    kind: Kind,
    title: Option<&'static str>,
    detail: Cow<'static, str>,
    code: Option<&'static str>,
    suggested: Option<&'static str>,
    retry_after: Option<u32>,
    challenges: Box<[String]>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    /// Creates a problem of a kind; `detail` tells the reader how to change the request.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            title: None,
            detail: detail.into(),
            code: None,
            suggested: None,
            retry_after: None,
            challenges: Box::default(),
            cause: None,
        }
    }

    /// Creates the problem of a malformed request.
    #[must_use]
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::InvalidArgument, detail)
    }

    /// Creates the problem of a request without a valid credential.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(Kind::Unauthenticated, "Sign in first").title(
            "The request did not contain any authentication information, \
             please check to make sure you are logged in.",
        )
    }

    /// Creates the problem of a caller without the permission.
    #[must_use]
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::PermissionDenied, detail)
            .title("You don\u{2019}t have access to this right now.")
    }

    /// Sets a specific title.
    #[must_use]
    pub fn title(mut self, title: &'static str) -> Self {
        self.title = Some(title);
        self
    }

    /// Sets a code for programs and a suggestion for users.
    #[must_use]
    pub fn suggest(mut self, code: &'static str, suggested: &'static str) -> Self {
        (self.code, self.suggested) = (Some(code), Some(suggested));
        self
    }

    /// Sets `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
        self
    }

    /// Converts the failure of a write: 404 with `detail` if the row does not exist.
    #[must_use]
    pub fn of_write(error: store::Error, detail: &'static str) -> Self {
        match error {
            store::Error::Gone => Self::new(Kind::NotFound, detail),
            error => error.into(),
        }
    }

    /// Adds challenges (`WWW-Authenticate`), with the error code of a token that was rejected in this scheme
    /// (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1). No challenge with [`Challenges::UserinfoOnly`]
    /// (storyden-contract.md#headers-and-limits).
    #[must_use]
    pub fn challenged(
        mut self,
        context: &Context,
        scheme: AuthScheme,
        error: Option<&'static str>,
    ) -> Self {
        if context.config.policies.responses.challenges == Challenges::All {
            let error = error.map(|code| (code, ""));
            self.challenges = context.config.challenges(scheme, error).into();
        }
        self
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
        let mut problem = if error.is_temporary() {
            Self::new(Kind::Unavailable, "The server is busy; try again shortly")
                .retry_after(UNAVAILABLE_RETRY_AFTER)
        } else if let store::Error::Unstorable(cause) = error {
            let mut problem = Self::invalid(UNSTORABLE);
            problem.cause = cause.map(Into::into);
            return problem;
        } else {
            Self::new(Kind::Internal, "The server could not answer this request")
        };
        problem.cause = Some(error.into());
        problem
    }
}

impl From<passwords::Error> for ApiError {
    fn from(error: passwords::Error) -> Self {
        let mut problem = match error {
            passwords::Error::Busy => {
                Self::new(Kind::Unavailable, "The server is busy; try again shortly").retry_after(1)
            }
            _ => Self::new(Kind::Internal, "The server could not answer this request"),
        };
        problem.cause = Some(error.into());
        problem
    }
}

impl From<ClientRuleError> for ApiError {
    fn from(refused: ClientRuleError) -> Self {
        let detail = refused.to_string();
        match refused {
            ClientRuleError::NoGrants => {
                Self::invalid(detail).title("Allowed Grants field must contain at least one grant")
            }
            ClientRuleError::Invalid(_) => Self::invalid(detail),
            ClientRuleError::NotHeld(_) => Self::forbidden(detail),
        }
    }
}

impl From<secrets::Error> for ApiError {
    fn from(error: secrets::Error) -> Self {
        match error {
            secrets::Error::Hashing(error) => error.into(),
            secrets::Error::Store(store::Error::Gone) => Self::new(
                Kind::NotFound,
                "The application was deleted during the request",
            ),
            secrets::Error::Store(error) => error.into(),
        }
    }
}

impl ApiError {
    /// Converts the failure of a remote connection (storyden-contract.md#identity-as-a-client).
    #[must_use]
    pub fn from_remote(error: remote::Error, failure_status: RemoteFailureStatus) -> Self {
        use remote::Error;
        match error {
            Error::Away(why) | Error::Useless(why)
                if failure_status == RemoteFailureStatus::Internal =>
            {
                Self::new(Kind::Internal, why)
            }
            Error::Refused(why) | Error::Useless(why) => Self::invalid(why),
            Error::Missing(what) => Self::new(Kind::NotFound, what),
            Error::Connected(what) => Self::new(Kind::AlreadyExists, what),
            Error::Away(why) => Self::new(Kind::Unavailable, why).retry_after(5),
            Error::Unset(what) | Error::Sealer(sealer::Error(what)) => {
                Self::new(Kind::Unavailable, what)
            }
            Error::Store(error) => error.into(),
        }
    }
}

impl From<resources::Error> for ApiError {
    fn from(error: resources::Error) -> Self {
        use resources::Error;
        match error {
            Error::Invalid(why) => Self::invalid(why),
            Error::Taken(why) => Self::new(Kind::AlreadyExists, why),
            Error::Missing => Self::new(Kind::NotFound, Error::Missing.to_string()),
            Error::Store(error) => error.into(),
        }
    }
}

impl From<issuers::Error> for ApiError {
    fn from(error: issuers::Error) -> Self {
        use issuers::Error;
        match error {
            Error::Invalid(why) => Self::invalid(why),
            Error::Taken(why) => Self::new(Kind::AlreadyExists, why),
            Error::Missing(why) => Self::new(Kind::NotFound, why),
            Error::Store(error) => error.into(),
        }
    }
}

impl From<signing_keys::Error> for ApiError {
    fn from(error: signing_keys::Error) -> Self {
        use signing_keys::Error;
        match error {
            Error::Disabled | Error::Unknown(_) => Self::new(Kind::NotFound, error.to_string()),
            Error::NotGenerated => Self::new(Kind::AlreadyExists, error.to_string()),
            Error::Keys(keys::Error::Store(error)) | Error::Store(error) => error.into(),
            Error::Keys(error) => {
                let text = "The signing keys could not be changed; the log has the reason";
                let mut problem = Self::new(Kind::Internal, text);
                problem.cause = Some(error.into());
                problem
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.cause {
            log_cause(&**cause, self.kind == Kind::Internal);
        }
        let status = self.kind.status();
        let title = self.title.or(status.canonical_reason()).unwrap_or("Error");
        let body = Problem {
            detail: self.detail.clone(),
            error: title,
            message: self.detail,
            metadata: Metadata {
                code: self.code,
                suggested: self.suggested,
            },
            status: status.as_u16(),
            suggested: self.suggested,
            title,
            trace_id: trace_id(),
            kind: format!("urn:storyden:problem:{}", self.kind.name()),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        for challenge in self.challenges {
            if let Ok(challenge) = HeaderValue::try_from(challenge) {
                headers.append(WWW_AUTHENTICATE, challenge);
            }
        }
        response
    }
}
