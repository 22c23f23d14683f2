//! Responses of the authorization endpoint: redirects to the client and to the pages, and errors that are
//! not redirected.

use axum::http::header::{ACCEPT, CACHE_CONTROL, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use url::Url;

use super::parameters::REQUEST_ID;
use crate::compat::ResponseQuery;
use crate::context::Context;
use crate::http::pages;
use crate::oauth::OAuthError;
use crate::oauth::redirect_uri::{with_parameters, with_parameters_sorted};
use crate::secret::Secret;

/// Builds the redirect URI with an error response (RFC 6749 §4.1.2.1).
pub(super) fn error_location(
    context: &Context,
    redirect_uri: &str,
    state: Option<&str>,
    error: &OAuthError,
) -> String {
    let parameters = [
        ("error", error.code.as_str()),
        ("error_description", &*error.description),
    ];
    answer_location(context, redirect_uri, &parameters, state)
}

/// Builds the redirect URI with the parameters of a response, the client's `state` and, unless omitted,
/// the issuer (RFC 9207 §2).
pub(super) fn answer_location(
    context: &Context,
    redirect_uri: &str,
    parameters: &[(&str, &str)],
    state: Option<&str>,
) -> String {
    let mut parameters = parameters.to_vec();
    parameters.extend(state.map(|state| ("state", state)));
    let policy = context.config.policies.authorize;
    let issuer = context.config.issuer();
    if !policy.iss_omitted {
        parameters.push(("iss", &issuer));
    }
    match policy.response_query {
        ResponseQuery::Appended => with_parameters(redirect_uri, &parameters),
        ResponseQuery::Sorted => with_parameters_sorted(redirect_uri, &parameters),
    }
}

/// Builds the URL of the consent page. Keeps the query of the configured address.
pub(super) fn consent_page(context: &Context, request_id: &Secret) -> Url {
    let mut page = context.config.code_consent_page();
    page.query_pairs_mut()
        .append_pair(REQUEST_ID, request_id.reveal());
    page
}

/// Redirects; caches do not store the response.
pub(super) fn redirect(status: StatusCode, location: &str) -> Response {
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match HeaderValue::from_str(location) {
        Ok(location) => headers.insert(LOCATION, location),
        // A stored redirect URI with characters that a header cannot carry.
        Err(error) => return OAuthError::server_error(error).into_response(),
    };
    response
}

/// Reports an error without a redirect: as an HTML page to browsers, as JSON to other clients.
pub(super) fn respond_without_redirect(error: OAuthError, headers: &HeaderMap) -> Response {
    let accepts = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if error.status() == StatusCode::BAD_REQUEST && accepts.contains("text/html") {
        error.log();
        return pages::error_page("This application cannot sign you in", &error.description);
    }
    error.into_response()
}
