//! The logo of a client, `GET /api/oauth/client_logo`: the image at `logo_uri`, fetched by this server.

use axum::extract::{RawQuery, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use url::Url;

use crate::clients::documents::Requester;
use crate::clients::{self, logos};
use crate::context::SharedContext;
use crate::http::error::{ApiError, Kind, responses};
use crate::http::extract::decode;
use crate::http::guards::Person;
use crate::logo_cache::Logo;
use crate::store::client_details;

/// `GET /api/oauth/client_logo`.
#[utoipa::path(
    get,
    path = "/api/oauth/client_logo",
    operation_id = "OAuthClientLogo",
    tag = "auth",
    security(("browser" = [])),
    params(("client_id" = Option<String>, Query, description = "Client id")),
    responses(
        (
            status = 200,
            description = "PNG, JPEG, WebP or GIF image",
            body = Vec<u8>,
            content_type = "image/*"
        ),
        responses::Invalid,
        responses::GuardErrors,
        responses::NotFound,
    ),
)]
pub async fn show(
    State(context): State<SharedContext>,
    Person { session, address }: Person,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = decode(query.as_deref().unwrap_or_default(), &["client_id"]);
    let query = query.map_err(|error| ApiError::invalid(error.description))?;
    let client_id = query.get("client_id").unwrap_or_default();
    let requester = Requester {
        account: Some(&session.account.id),
        address,
    };
    let url = logo_of(&context, client_id).await?.ok_or_else(no_logo)?;
    let logo = logos::find(&context, &url, requester).await;
    let logo = logo.map_err(|wait| {
        let detail = "Too many logos were requested; wait before the next";
        ApiError::new(Kind::TooManyRequests, detail).retry_after(wait.0)
    })?;
    Ok(respond(logo.ok_or_else(no_logo)?))
}

/// Finds the URL of a client's logo.
async fn logo_of(context: &SharedContext, client_id: &str) -> Result<Option<Url>, ApiError> {
    let Some(client) = clients::find(context, client_id).await? else {
        return Ok(None);
    };
    let details = client_details::find(&context.db, &client.row_id).await?;
    let uri = details.about.logo_uri;
    Ok(uri.and_then(|uri| Url::parse(&uri).ok()))
}

/// Responds with an image that a browser shows, and never runs: another site chose its content.
fn respond(logo: Logo) -> Response {
    const CACHED: HeaderValue = HeaderValue::from_static("private, max-age=3600");
    const SANDBOX: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(logo.media_type)),
        (CACHE_CONTROL, CACHED),
        (CONTENT_SECURITY_POLICY, SANDBOX),
    ];
    (headers, logo.image).into_response()
}

fn no_logo() -> ApiError {
    ApiError::new(Kind::NotFound, "This client has no logo that can be shown")
}
