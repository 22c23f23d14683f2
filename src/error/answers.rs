//! Refusals as the document of the API names them: types for `responses(…)` of `#[utoipa::path]`,
//! each with its status, its media type and its body.

use utoipa::{IntoResponses, ToResponse};

use super::{OAuthErrorBody, Problem};

/// One type per status.
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
    /// Nobody is signed in, or the credential is no longer good.
    Unauthenticated = 401 "application/problem+json" Problem;
    /// Somebody is, and may not: suspended, without the permission, a credential of the wrong
    /// kind, or a page of another origin.
    Forbidden = 403 "application/problem+json" Problem;
    /// There is no such thing.
    NotFound = 404 "application/problem+json" Problem;
    /// There is one already.
    Conflict = 409 "application/problem+json" Problem;
    /// The body is longer than 32 KiB.
    TooLarge = 413 "application/problem+json" Problem;
    /// The body is not `application/json`.
    UnsupportedMediaType = 415 "application/problem+json" Problem;
    /// Too many tries; `Retry-After` says when the next one may come.
    TooManyRequests = 429 "application/problem+json" Problem
        [headers(("Retry-After" = u64, description = "Seconds"))];
    /// The request is refused in the protocol's words (RFC 6749 §5.2).
    OAuthInvalid = 400 "application/json" OAuthErrorBody;
    /// The client did not prove who it is (RFC 6749 §5.2).
    OAuthUnauthorized = 401 "application/json" OAuthErrorBody;
    /// Too many tries; `Retry-After` says when the next one may come.
    OAuthTooManyRequests = 429 "application/json" OAuthErrorBody
        [headers(("Retry-After" = u64, description = "Seconds"))];
}

/// What may become of any request.
#[derive(Debug, IntoResponses)]
pub enum Broken {
    /// Too many requests from one address; `Retry-After` says when the next one may come.
    #[response(
        status = 429,
        content_type = "application/problem+json",
        headers(("Retry-After" = u64, description = "Seconds"))
    )]
    TooMany(Problem),
    /// Something of ours broke; the log has it under the `trace_id`.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
    /// Something of ours is away; `Retry-After` says when to try again.
    #[response(
        status = 503,
        content_type = "application/problem+json",
        headers(("Retry-After" = u64, description = "Seconds"))
    )]
    Unavailable(Problem),
}

/// The same in the protocol's words.
#[derive(Debug, IntoResponses)]
pub enum OAuthBroken {
    /// Too many requests from one address; `Retry-After` says when the next one may come.
    #[response(
        status = 429,
        content_type = "application/json",
        headers(("Retry-After" = u64, description = "Seconds"))
    )]
    TooMany(OAuthErrorBody),
    /// Something of ours broke; the log has it under the trace id of the answer.
    #[response(status = 500, content_type = "application/json")]
    ServerError(OAuthErrorBody),
    /// Something of ours is away; `Retry-After` says when to try again.
    #[response(
        status = 503,
        content_type = "application/json",
        headers(("Retry-After" = u64, description = "Seconds"))
    )]
    TemporarilyUnavailable(OAuthErrorBody),
}

/// What may become of a request that is refused in either words: the handler's are the protocol's,
/// the layers' are not.
#[derive(Debug, IntoResponses)]
pub enum EitherBroken {
    /// Too many requests from one address.
    #[response(status = 429)]
    TooMany(#[to_response] EitherAway),
    /// Something of ours broke.
    #[response(status = 500)]
    Broken(#[to_response] Either),
    /// Something of ours is away.
    #[response(status = 503)]
    Away(#[to_response] EitherAway),
}

/// Something of ours broke.
#[derive(Debug, ToResponse)]
pub enum Either {
    /// The protocol's words.
    OAuth(#[content("application/json")] OAuthErrorBody),
    /// A problem.
    Problem(#[content("application/problem+json")] Problem),
}

/// Not now; `Retry-After` says when to try again.
#[derive(Debug, ToResponse)]
#[response(headers(("Retry-After" = u64, description = "Seconds")))]
pub enum EitherAway {
    /// The protocol's words.
    OAuth(#[content("application/json")] OAuthErrorBody),
    /// A problem.
    Problem(#[content("application/problem+json")] Problem),
}
