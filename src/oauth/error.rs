//! The protocol's one error (RFC 6749 §5.2 and the extensions), made by meaning.
//!
//! The description is public: it says what to change and never repeats what was sent. What is not
//! for the client goes into the detail, which is logged under the trace id of the answer.

use std::borrow::Cow;
use std::sync::Arc;

/// The codes of `error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the registry's (RFC 6749 §11.4)")]
pub enum ErrorCode {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedResponseType,
    InvalidScope,
    InvalidTarget,
    AccessDenied,
    AuthorizationPending,
    SlowDown,
    ExpiredToken,
    InvalidToken,
    InsufficientScope,
    LoginRequired,
    ConsentRequired,
    RequestNotSupported,
    RequestUriNotSupported,
    RegistrationNotSupported,
    InvalidRedirectUri,
    InvalidClientMetadata,
    UnsupportedTokenType,
    ServerError,
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// The value on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::AccessDenied => "access_denied",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }
}

/// Why a request of the protocol is refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {description}", code.as_str())]
pub struct OAuthError {
    /// The code.
    pub code: ErrorCode,
    /// What a developer is told.
    pub description: Cow<'static, str>,
    /// Seconds after which the same request may be answered otherwise.
    pub retry_after: Option<u64>,
    /// Whether the client authenticated by the `Authorization` header, and failed (RFC 6749 §5.2).
    pub challenge: bool,
    /// What went wrong inside, for the log.
    #[source]
    pub detail: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// Makes a constructor per meaning.
macro_rules! by_meaning {
    ($($(#[$doc:meta])* $name:ident => $code:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(description: impl Into<Cow<'static, str>>) -> Self {
            Self::new(ErrorCode::$code, description)
        }
    )*};
}

impl OAuthError {
    /// An error of a code.
    #[must_use]
    pub fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            description: description.into(),
            retry_after: None,
            challenge: false,
            detail: None,
        }
    }

    by_meaning! {
        /// A parameter is missing, repeated, malformed or meaningless.
        invalid_request => InvalidRequest;
        /// Nobody knows the client, or it did not prove who it is.
        invalid_client => InvalidClient;
        /// The code, token or device code is not (or no longer) good for this.
        invalid_grant => InvalidGrant;
        /// The client may not use this grant.
        unauthorized_client => UnauthorizedClient;
        /// Nobody knows the grant type.
        unsupported_grant_type => UnsupportedGrantType;
        /// Nobody knows the response type.
        unsupported_response_type => UnsupportedResponseType;
        /// The scope is malformed, unknown or more than is allowed.
        invalid_scope => InvalidScope;
        /// Nobody here gives tokens for that resource, or the grant has not that (RFC 8707 §2).
        invalid_target => InvalidTarget;
        /// The person, or a rule about them, said no.
        access_denied => AccessDenied;
        /// Nobody has decided yet (RFC 8628 §3.5).
        authorization_pending => AuthorizationPending;
        /// Poll less often (RFC 8628 §3.5).
        slow_down => SlowDown;
        /// The device code is too old (RFC 8628 §3.5).
        expired_token => ExpiredToken;
        /// The access token is malformed, expired or revoked (RFC 6750 §3.1).
        invalid_token => InvalidToken;
        /// The access token does not reach so far (RFC 6750 §3.1).
        insufficient_scope => InsufficientScope;
        /// Nobody is signed in, and nobody may be asked (OpenID Connect Core §3.1.2.6).
        login_required => LoginRequired;
        /// The person has to be asked, and may not be (OpenID Connect Core §3.1.2.6).
        consent_required => ConsentRequired;
        /// A redirect URI that may not be registered (RFC 7591 §3.2.2).
        invalid_redirect_uri => InvalidRedirectUri;
        /// Something else that a client may not register (RFC 7591 §3.2.2).
        invalid_client_metadata => InvalidClientMetadata;
        /// A token that cannot be revoked (RFC 7009 §2.2.1).
        unsupported_token_type => UnsupportedTokenType;
        /// It cannot be answered now; the same request may succeed later.
        temporarily_unavailable => TemporarilyUnavailable;
    }

    /// Something of ours broke.
    pub fn server_error(detail: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let mut error = Self::new(
            ErrorCode::ServerError,
            "The server could not answer this request",
        );
        error.detail = Some(Arc::from(detail.into()));
        error
    }

    /// Says after how many seconds the request may be tried again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Says that the `Authorization` header failed.
    #[must_use]
    pub fn challenged(mut self) -> Self {
        self.challenge = true;
        self
    }
}
