//! Responses of the authorization endpoint: to the client by redirect or by form, to the pages, and errors
//! that are not redirected.

use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use url::Url;

use super::parameters::REQUEST_ID;
use super::sealed_response;
use crate::compat::ResponseQuery;
use crate::context::Context;
use crate::http::error::error_uri;
use crate::http::pages;
use crate::oauth::OAuthError;
use crate::oauth::authorization_request::ResponseMode;
use crate::oauth::redirect_uri::{with_parameters, with_parameters_sorted};
use crate::secret::Secret;

/// The receiver of an authorization response.
#[derive(Clone, Copy)]
pub(super) struct Receiver<'a> {
    pub(super) redirect_uri: &'a str,
    /// The client's `state`.
    pub(super) state: Option<&'a str>,
    pub(super) mode: ResponseMode,
}

impl Receiver<'_> {
    /// Builds an error response (RFC 6749 §4.1.2.1).
    pub(super) fn error(self, context: &Context, error: &OAuthError) -> AuthorizationResponse {
        context.statistics.client_error(error);
        let code = error.code.as_str();
        let mut parameters = vec![("error", code), ("error_description", &*error.description)];
        let uri = error_uri(&context.config, code);
        parameters.extend(uri.as_deref().map(|uri| ("error_uri", uri)));
        self.respond(context, &parameters)
    }

    /// Builds a response with the client's `state` and, unless omitted, the issuer (RFC 9207 §2).
    pub(super) fn respond(
        self,
        context: &Context,
        parameters: &[(&str, &str)],
    ) -> AuthorizationResponse {
        let mut parameters = parameters.to_vec();
        parameters.extend(self.state.map(|state| ("state", state)));
        let issuer = context.config.issuer();
        if !context.config.policies.authorize.iss_omitted {
            parameters.push(("iss", &issuer));
        }
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        AuthorizationResponse {
            redirect_uri: self.redirect_uri.to_owned(),
            mode: self.mode,
            parameters: parameters.into_iter().map(owned).collect(),
        }
    }
}

/// A response to the client, success or error.
pub(super) struct AuthorizationResponse {
    redirect_uri: String,
    mode: ResponseMode,
    parameters: Vec<(String, String)>,
}

impl AuthorizationResponse {
    /// Responds to a navigation of the browser: with a redirect, or with a page that posts the form.
    pub(super) fn into_response(self, context: &Context, headers: &HeaderMap) -> Response {
        match self.mode {
            ResponseMode::Query => redirect(StatusCode::FOUND, &self.in_query(context)),
            ResponseMode::FormPost => {
                pages::Renderer::new(context, headers).form(&self.redirect_uri, &self.parameters)
            }
        }
    }

    /// Returns the URL that the consent page opens next: at the client, or of the page that posts the form.
    ///
    /// # Errors
    /// If the database does not answer.
    pub(super) async fn location(self, context: &Context) -> Result<String, OAuthError> {
        match self.mode {
            ResponseMode::Query => Ok(self.in_query(context)),
            ResponseMode::FormPost => {
                sealed_response::location(context, self.redirect_uri, self.parameters).await
            }
        }
    }

    fn in_query(&self, context: &Context) -> String {
        let parameters = self.parameters.iter();
        let parameters = parameters.map(|(name, value)| (name.as_str(), value.as_str()));
        let parameters: Vec<(&str, &str)> = parameters.collect();
        match context.config.policies.authorize.response_query {
            ResponseQuery::Appended => with_parameters(&self.redirect_uri, &parameters),
            ResponseQuery::Sorted => with_parameters_sorted(&self.redirect_uri, &parameters),
        }
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
pub(super) fn respond_without_redirect(
    context: &Context,
    error: OAuthError,
    headers: &HeaderMap,
) -> Response {
    context.statistics.client_error(&error);
    if error.status() != StatusCode::UNAUTHORIZED && pages::accepts_pages(headers) {
        error.log();
        return pages::Renderer::new(context, headers).sign_in_error(&error);
    }
    error.into_response()
}
