//! The protocol error (RFC 6749 §5.2 and extensions), with one constructor per meaning.
//!
//! The description is public: it tells the client what to change. It repeats input only through
//! [`super::error_value::named`]. Internal causes go into `detail`, which is logged under the trace id of
//! the response.

use std::borrow::Cow;
use std::sync::Arc;

use super::mistake::{Mistake, MistakeKind};

/// Values of the `error` member.
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
    InvalidDpopProof,
    UseDpopNonce,
    InsufficientScope,
    LoginRequired,
    ConsentRequired,
    UnmetAuthenticationRequirements,
    RequestNotSupported,
    RequestUriNotSupported,
    InvalidRequestObject,
    InvalidRequestUri,
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
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::InsufficientScope => "insufficient_scope",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::InvalidRequestObject => "invalid_request_object",
            Self::InvalidRequestUri => "invalid_request_uri",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    /// The usual mistake behind the code; `None` for an error that no developer has to correct: an answer of the
    /// member, a step of the protocol, or a fault of this server.
    #[must_use]
    pub fn usual_mistake(self) -> Option<MistakeKind> {
        Some(match self {
            Self::InvalidClient => MistakeKind::Secret,
            Self::UnauthorizedClient => MistakeKind::Grant,
            Self::UnsupportedGrantType => MistakeKind::GrantType,
            Self::InvalidScope => MistakeKind::Scope,
            Self::InvalidTarget => MistakeKind::Resource,
            Self::InvalidDpopProof => MistakeKind::Dpop,
            Self::InvalidRequestObject
            | Self::InvalidRequestUri
            | Self::RequestNotSupported
            | Self::RequestUriNotSupported => MistakeKind::ProtectedRequest,
            Self::InvalidRequest
            | Self::InvalidGrant
            | Self::UnsupportedResponseType
            | Self::RegistrationNotSupported
            | Self::UnsupportedTokenType => MistakeKind::Request,
            Self::AccessDenied
            | Self::AuthorizationPending
            | Self::SlowDown
            | Self::ExpiredToken
            | Self::InvalidToken
            | Self::UseDpopNonce
            | Self::InsufficientScope
            | Self::LoginRequired
            | Self::ConsentRequired
            | Self::UnmetAuthenticationRequirements
            | Self::InvalidRedirectUri
            | Self::InvalidClientMetadata
            | Self::ServerError
            | Self::TemporarilyUnavailable => return None,
        })
    }
}

/// A rejected protocol request.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {description}", code.as_str())]
pub struct OAuthError {
    /// The code.
    pub code: ErrorCode,
    /// Text for the developer of the client.
    pub description: Cow<'static, str>,
    /// Seconds until the same request may succeed.
    pub retry_after: Option<u64>,
    /// True if a rate limit refused the request: status 429, whatever the code (RFC 6585 §4).
    pub limited: bool,
    /// True if authentication by the `Authorization` header failed (RFC 6749 §5.2).
    pub challenge: bool,
    /// The mistake of the client, for its developer; `None`: the usual one of the code. Never sent.
    pub mistake: Option<Box<Mistake>>,
    /// The internal cause, for the log.
    #[source]
    pub detail: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// Defines one constructor per error code.
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
    /// An error with the given code.
    #[must_use]
    pub fn new(code: ErrorCode, description: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            description: description.into(),
            retry_after: None,
            limited: false,
            challenge: false,
            mistake: None,
            detail: None,
        }
    }

    by_meaning! {
        /// A missing, repeated, malformed or contradictory parameter.
        invalid_request => InvalidRequest;
        /// An unknown client, or failed client authentication.
        invalid_client => InvalidClient;
        /// A code, token or device code that is invalid, expired or used.
        invalid_grant => InvalidGrant;
        /// The client may not use this grant.
        unauthorized_client => UnauthorizedClient;
        /// An unknown grant type.
        unsupported_grant_type => UnsupportedGrantType;
        /// An unknown response type.
        unsupported_response_type => UnsupportedResponseType;
        /// A scope that is malformed, unknown or not allowed.
        invalid_scope => InvalidScope;
        /// An unknown resource, or a resource outside the grant (RFC 8707 §2).
        invalid_target => InvalidTarget;
        /// Denied by the member or by a rule.
        access_denied => AccessDenied;
        /// Not decided yet (RFC 8628 §3.5).
        authorization_pending => AuthorizationPending;
        /// Polling too frequently (RFC 8628 §3.5).
        slow_down => SlowDown;
        /// An expired device code (RFC 8628 §3.5).
        expired_token => ExpiredToken;
        /// The access token is malformed, expired or revoked (RFC 6750 §3.1).
        invalid_token => InvalidToken;
        /// The DPoP proof is missing, malformed, or not for this request and key (RFC 9449 §5, §7.1).
        invalid_dpop_proof => InvalidDpopProof;
        /// The DPoP proof needs a nonce of this server (RFC 9449 §8).
        use_dpop_nonce => UseDpopNonce;
        /// The token lacks the required scope (RFC 6750 §3.1).
        insufficient_scope => InsufficientScope;
        /// Sign-in is required, but `prompt=none` was sent (OpenID Connect Core §3.1.2.6).
        login_required => LoginRequired;
        /// Consent is required, but `prompt=none` was sent (OpenID Connect Core §3.1.2.6).
        consent_required => ConsentRequired;
        /// The person cannot sign in as the client demands (OpenID Connect Core Unmet Authentication
        /// Requirements §2).
        unmet_authentication_requirements => UnmetAuthenticationRequirements;
        /// A request object that is malformed, not signed by the client, or not for this server (RFC 9101 §7).
        invalid_request_object => InvalidRequestObject;
        /// A `request_uri` that is unknown, expired, used or of a different client (RFC 9101 §7).
        invalid_request_uri => InvalidRequestUri;
        /// A redirect URI that cannot be registered (RFC 7591 §3.2.2).
        invalid_redirect_uri => InvalidRedirectUri;
        /// Other client metadata that cannot be registered (RFC 7591 §3.2.2).
        invalid_client_metadata => InvalidClientMetadata;
        /// A token that cannot be revoked (RFC 7009 §2.2.1).
        unsupported_token_type => UnsupportedTokenType;
        /// Temporary failure; the same request may succeed later.
        temporarily_unavailable => TemporarilyUnavailable;
    }

    /// An internal failure.
    pub fn server_error(detail: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let mut error = Self::new(
            ErrorCode::ServerError,
            "The server could not answer this request",
        );
        error.detail = Some(Arc::from(detail.into()));
        error
    }

    /// A rate limit refused the request; `wait` is the number of seconds until it may be repeated.
    #[must_use]
    pub fn limited(description: impl Into<Cow<'static, str>>, wait: u64) -> Self {
        let mut error = Self::temporarily_unavailable(description).retry_after(wait);
        error.limited = true;
        error
    }

    /// Sets the seconds until the request may be repeated.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Tells the mistake of the client, with the refused value. The value must be no secret.
    #[must_use]
    pub fn mistake(mut self, kind: MistakeKind, value: Option<&str>) -> Self {
        self.mistake = Some(Box::new(Mistake::new(kind, value)));
        self
    }

    /// Returns the mistake of the client; `None` if the client made none.
    #[must_use]
    pub fn mistake_of_client(&self) -> Option<Mistake> {
        if self.limited || self.detail.is_some() {
            return None;
        }
        let usual = |kind| Mistake::new(kind, None);
        let told = self.mistake.as_deref().cloned();
        told.or_else(|| self.code.usual_mistake().map(usual))
    }

    /// Marks that authentication by the `Authorization` header failed.
    #[must_use]
    pub fn challenged(mut self) -> Self {
        self.challenge = true;
        self
    }
}
