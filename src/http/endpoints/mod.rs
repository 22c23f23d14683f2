//! HTTP endpoints of the protocol, one file per endpoint.

pub mod authorize;
pub mod client_logo;
mod consent;
pub mod device_authorization;
pub mod device_consent;
pub mod end_session;
pub mod health;
pub mod introspection;
pub mod openapi;
pub mod protected_resource;
pub mod register;
pub mod registration_management;
pub mod remote_callback;
pub mod revocation;
pub mod token;
pub mod userinfo;
pub mod well_known;

use axum::extract::Request;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::clients::{self, Credentials};
use crate::context::Context;
use crate::http::dpop::RequestHead;
use crate::http::extract::{ClientAddress, Decoded, TOKEN_PARAMETERS, credentials, read_form};
use crate::oauth::dpop::AuthScheme;
use crate::oauth::{ErrorCode, OAuthError};
use crate::secret::Secret;
use crate::store::clients::Client;

/// Converts an error to a response, with a `Basic` challenge if the error asks for one, as after failed
/// authentication by header (RFC 6749 §5.2). The realm is the API's host
/// (storyden-contract.md#headers-and-limits).
fn refuse_client(context: &Context, error: OAuthError) -> Response {
    context.statistics.client_error(&error);
    let challenge = error.challenge;
    let mut response = error.into_response();
    if challenge {
        let host = context
            .config
            .public_api_address
            .host_str()
            .unwrap_or_default();
        let host = host.trim_matches(['[', ']']);
        if let Ok(value) = HeaderValue::from_str(&format!("Basic realm=\"{host}\"")) {
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
    }
    response
}

/// A request about a token (RFC 7009 §2.1, RFC 7662 §2.1): the form and the client's credentials.
struct TokenInquiry {
    path: String,
    headers: HeaderMap,
    form: Decoded,
    address: ClientAddress,
}

impl TokenInquiry {
    /// Reads a request.
    ///
    /// # Errors
    /// `invalid_request` for a malformed form.
    async fn read(
        context: &Context,
        address: ClientAddress,
        request: Request,
    ) -> Result<Self, OAuthError> {
        let path = request.uri().path().to_owned();
        let headers = request.headers().clone();
        let syntax = context.config.policies.requests.form_syntax;
        let form = read_form(syntax, request, TOKEN_PARAMETERS).await?;
        Ok(Self {
            path,
            headers,
            form,
            address,
        })
    }

    /// Returns the parts of the request that a DPoP proof is checked against.
    fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: &Method::POST,
            path: &self.path,
            headers: &self.headers,
        }
    }

    /// Authenticates the client (RFC 6749 §3.2.1) at an endpoint.
    ///
    /// # Errors
    /// `invalid_client`, or `invalid_request` for two methods at once.
    async fn authenticate(
        &self,
        context: &Context,
        endpoint: &'static str,
    ) -> Result<(Client, Credentials), OAuthError> {
        let policy = context.config.policies.client_authentication;
        let credentials = credentials(policy, &self.headers, &self.form)?;
        let client = clients::identify(context, &credentials).await?;
        let proven = clients::prove(context, &client, &credentials, self.address.0).await;
        proven.inspect_err(|error| context.record_client_error(endpoint, &client, error))?;
        Ok((client, credentials))
    }

    /// Returns the token.
    ///
    /// # Errors
    /// `invalid_request` without a token.
    fn token(&self) -> Result<Secret, OAuthError> {
        self.form.require("token", "Missing token").map(Secret::new)
    }
}

/// The error description when an address exceeds the rate limit.
const OVER_BUDGET: &str = "Too many requests from this address; wait before the next";

/// Returns the response when an address exceeds the rate limit.
#[must_use]
pub fn over_budget(wait: u64) -> Response {
    OAuthError::limited(OVER_BUDGET, wait).into_response()
}

/// Converts the error of a registration access token to a response with a `Bearer` challenge (RFC 6750 §3.1).
fn challenge_bearer(context: &Context, error: OAuthError) -> Response {
    let (code, description) = (error.code.as_str(), error.description.clone());
    let mut response = error.into_response();
    let challenge = context.config.bearer_challenge(Some((code, &description)));
    if !response.status().is_server_error()
        && let Ok(challenge) = HeaderValue::try_from(challenge)
    {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Converts the error of an access token in this scheme to a response with challenges (RFC 6750 §3.1, RFC
/// 9449 §7.1).
fn challenge_token(context: &Context, scheme: AuthScheme, error: OAuthError) -> Response {
    let (code, description) = (error.code, error.description.clone());
    let mut response = error.into_response();
    if response.status().is_server_error() {
        return response;
    }
    if matches!(code, ErrorCode::InvalidDpopProof | ErrorCode::UseDpopNonce) {
        *response.status_mut() = StatusCode::UNAUTHORIZED; // 400 at the token endpoint
    }
    with_challenges(
        context,
        response,
        scheme,
        Some((code.as_str(), &description)),
    )
}

/// Adds challenges for an access token to a response (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1).
fn with_challenges(
    context: &Context,
    mut response: Response,
    scheme: AuthScheme,
    error: Option<(&str, &str)>,
) -> Response {
    for challenge in context.config.challenges(scheme, error) {
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response.headers_mut().append(WWW_AUTHENTICATE, challenge);
        }
    }
    response
}

/// Requires that OAuth is on (storyden-contract.md#while-oauth-is-off).
///
/// # Errors
/// `temporarily_unavailable`.
fn require_enabled(context: &Context) -> Result<(), OAuthError> {
    if context.config.oauth_enabled {
        return Ok(());
    }
    Err(OAuthError::temporarily_unavailable(
        "OAuth is not enabled on this instance",
    ))
}
