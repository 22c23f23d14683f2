//! The client of a pending request, for the sign-in page: `GET /api/oauth/authorize/request`.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;

use super::pending;
use super::request::Resolution;
use crate::clients::documents::Requester;
use crate::clients::facts::host_of;
use crate::context::SharedContext;
use crate::http::endpoints::require_enabled;
use crate::http::error::responses;
use crate::http::extract::{ClientAddress, Decoded, decode};
use crate::oauth::OAuthError;
use crate::oauth::redirect_uri::is_loopback;
use crate::secret::Secret;

/// The client that a person signs in for. The name is not verified.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthAuthorisePendingRequest)]
pub struct PendingClient {
    /// The client id.
    client_id: String,
    /// The host of a client id that is a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id_host: Option<String>,
    /// Absent if the metadata document of the client was never fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_name: Option<String>,
    /// Host and port of the redirect URI; absent for a private-use scheme.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_host: Option<String>,
    /// True if the redirect URI is a loopback address.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_is_loopback: Option<bool>,
}

/// `GET /api/oauth/authorize/request?request_id=`.
///
/// # Errors
/// `invalid_request` if no such request is pending in this browser.
#[utoipa::path(
    get,
    path = "/api/oauth/authorize/request",
    operation_id = "OAuthAuthorisePendingRequest",
    tag = "auth",
    security(()),
    params(("request_id" = Option<String>, Query, description = "Id of the pending authorization request")),
    responses(
        (status = 200, description = "Client of a request that is pending in this browser", body = PendingClient),
        responses::OAuthInvalid,
    ),
)]
pub async fn show(
    State(context): State<SharedContext>,
    RawQuery(query): RawQuery,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
) -> Result<Json<PendingClient>, OAuthError> {
    require_enabled(&context)?;
    let query = decode(query.as_deref().unwrap_or_default(), &["request_id"])?.without_repeats()?;
    let request_id = Secret::new(query.require("request_id", "Missing request_id")?);
    let guest = Requester {
        account: None,
        address,
    };
    let (resolution, _) = pending::resume(&context, request_id, &headers, guest).await?;
    Ok(Json(match resolution {
        Resolution::Resolved(request) => {
            let redirect = Url::parse(&request.redirect_uri).ok();
            PendingClient {
                client_id_host: host_of(&request.client.client_id),
                client_id: request.client.client_id,
                client_name: Some(request.client.name),
                redirect_host: host_of(&request.redirect_uri),
                redirect_is_loopback: redirect.as_ref().map(is_loopback),
            }
        }
        Resolution::Unresolved(parameters) => unresolved(&parameters),
    }))
}

/// Describes a client by the client id alone: the URL of a metadata document that was never fetched. The
/// redirect URI is not validated yet, so no host of the redirect URI is shown.
fn unresolved(parameters: &Decoded) -> PendingClient {
    let client_id = parameters.get("client_id").unwrap_or_default();
    PendingClient {
        client_id: client_id.to_owned(),
        client_id_host: host_of(client_id),
        client_name: None,
        redirect_host: None,
        redirect_is_loopback: None,
    }
}
