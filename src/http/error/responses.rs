//! Error responses of the OpenAPI document: types for `responses(…)` of `#[utoipa::path]`, with status,
//! media type and body.

use utoipa::{IntoResponses, ToResponse};

use super::{OAuthErrorBody, Problem};

/// Defines a type per response.
macro_rules! documented {
    ($($(#[$doc:meta])* $name:ident = $status:tt $media_type:tt $body:ident $([$($more:tt)*])?;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, IntoResponses)]
        #[response(status = $status, content_type = $media_type $(, $($more)*)?)]
        pub struct $name(pub $body);
    )*};
}

documented! {
    /// The request is malformed.
    Invalid = 400 "application/problem+json" Problem;
    /// Not allowed: a suspended account, a missing permission, the wrong kind of credential, or a page
    /// of a foreign origin (CSRF).
    Forbidden = 403 "application/problem+json" Problem;
    /// The item does not exist.
    NotFound = 404 "application/problem+json" Problem;
    /// The item exists already.
    Conflict = 409 "application/problem+json" Problem;
    /// Too many attempts; `Retry-After` tells when to try again.
    TooManyRequests = 429 "application/problem+json" Problem
        [headers(("Retry-After" = u64, description = "Delay in seconds"))];
    /// The request is refused with an OAuth error (RFC 6749 §5.2).
    OAuthInvalid = 400 "application/json" OAuthErrorBody;
    /// Client authentication failed (RFC 6749 §5.2).
    OAuthUnauthorized = 401 "application/json" OAuthErrorBody;
    /// Too many attempts; `Retry-After` tells when to try again.
    OAuthTooManyRequests = 429 "application/json" OAuthErrorBody
        [headers(("Retry-After" = u64, description = "Delay in seconds"))];
}

/// Errors of the guards: the extractors that authorize a caller.
#[derive(Debug, IntoResponses)]
pub enum GuardErrors {
    /// Not signed in, or the credential is no longer valid.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// Not allowed: a suspended account, a missing permission, the wrong kind of credential, or a page
    /// of a foreign origin (CSRF).
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
}

/// Errors of a JSON body that cannot be read.
#[derive(Debug, IntoResponses)]
pub enum BodyErrors {
    /// The body is longer than 32 KiB.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The body is not `application/json`.
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(Problem),
}

/// Errors of a consent operation.
#[derive(Debug, IntoResponses)]
pub enum ConsentErrors {
    /// The request is refused
    #[response(status = 400)]
    Refused(#[to_response] EitherRefused),
    /// Nobody is signed in
    #[response(status = 401)]
    SignIn,
    /// Not allowed: a suspended account, a missing permission, the wrong kind of credential, or a page
    /// of a foreign origin (CSRF).
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
}

/// The request is refused
#[derive(Debug, ToResponse)]
pub enum EitherRefused {
    /// An OAuth error.
    OAuth(#[content("application/json")] OAuthErrorBody),
    /// A problem.
    Problem(#[content("application/problem+json")] Problem),
}

/// Errors that every operation may return.
#[derive(Debug, IntoResponses)]
pub enum CommonProblems {
    /// Rate limit of the address exceeded; `Retry-After` tells when to try again.
    #[response(
        status = 429,
        content_type = "application/problem+json",
        headers(("Retry-After" = u64, description = "Delay in seconds"))
    )]
    TooMany(Problem),
    /// Internal error; logged under the `trace_id`.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
    /// The server is overloaded, or a dependency is unavailable; `Retry-After` tells when to try again.
    #[response(
        status = 503,
        content_type = "application/problem+json",
        headers(("Retry-After" = u64, description = "Delay in seconds"))
    )]
    Unavailable(Problem),
}

/// Errors that every operation may return, as OAuth errors.
#[derive(Debug, IntoResponses)]
pub enum CommonOAuthErrors {
    /// Rate limit of the address exceeded; `Retry-After` tells when to try again.
    #[response(
        status = 429,
        content_type = "application/json",
        headers(("Retry-After" = u64, description = "Delay in seconds"))
    )]
    TooMany(OAuthErrorBody),
    /// Internal error; logged under the trace id of the response.
    #[response(status = 500, content_type = "application/json")]
    ServerError(OAuthErrorBody),
    /// The server is overloaded, or a dependency is unavailable; `Retry-After` tells when to try again.
    #[response(
        status = 503,
        content_type = "application/json",
        headers(("Retry-After" = u64, description = "Delay in seconds"))
    )]
    TemporarilyUnavailable(OAuthErrorBody),
}

/// Errors of operations with both shapes: OAuth errors from handlers, problems from layers.
#[derive(Debug, IntoResponses)]
pub enum CommonMixedErrors {
    /// Rate limit of the address exceeded.
    #[response(status = 429)]
    TooMany(#[to_response] EitherUnavailable),
    /// Internal error.
    #[response(status = 500)]
    Broken(#[to_response] EitherInternal),
    /// The server is overloaded, or a dependency is unavailable.
    #[response(status = 503)]
    Unavailable(#[to_response] EitherUnavailable),
}

/// Internal error, in either shape.
#[derive(Debug, ToResponse)]
pub enum EitherInternal {
    /// An OAuth error.
    OAuth(#[content("application/json")] OAuthErrorBody),
    /// A problem.
    Problem(#[content("application/problem+json")] Problem),
}

/// Temporary error; `Retry-After` tells when to try again.
#[derive(Debug, ToResponse)]
#[response(headers(("Retry-After" = u64, description = "Delay in seconds")))]
pub enum EitherUnavailable {
    /// An OAuth error.
    OAuth(#[content("application/json")] OAuthErrorBody),
    /// A problem.
    Problem(#[content("application/problem+json")] Problem),
}
