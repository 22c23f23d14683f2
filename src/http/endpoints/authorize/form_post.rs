//! The page that posts an authorization response, `GET /api/oauth/authorize/response` (OAuth 2.0 Form Post
//! Response Mode §2).

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::response::respond_without_redirect;
use super::sealed_response;
use crate::context::SharedContext;
use crate::http::error::OAuthErrorBody;
use crate::http::pages;
use crate::oauth::OAuthError;

/// `GET /api/oauth/authorize/response`.
#[utoipa::path(
    get,
    path = "/api/oauth/authorize/response",
    operation_id = "OAuthAuthoriseResponse",
    tag = "auth",
    security(()),
    params(("response" = Option<String>, Query, description = "Sealed response, from the location of a consent result")),
    responses(
        (status = 200, description = "Page that posts the response to the client", body = String, content_type = "text/html"),
        (
            status = 400,
            description = "The sealed response is invalid or expired",
            content((OAuthErrorBody = "application/json"), (String = "text/html"))
        ),
    ),
)]
pub async fn respond(
    State(context): State<SharedContext>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match sealed_response::open(&context, query.as_deref().unwrap_or_default()).await {
        Ok(Some(response)) => pages::Renderer::new(&context, &headers)
            .form(&response.redirect_uri, &response.parameters),
        Ok(None) => {
            let description = "This response is invalid or expired; start again at the application";
            respond_without_redirect(&context, OAuthError::invalid_request(description), &headers)
        }
        Err(error) => respond_without_redirect(&context, error, &headers),
    }
}
