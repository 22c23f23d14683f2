//! The client configuration endpoint, `/api/oauth/register/{client_id}` (RFC 7592 §2).

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::{challenge_bearer, register, require_enabled};
use crate::clients::management::{self, Registration};
use crate::clients::registration::ClientInformation;
use crate::context::{Context, SharedContext};
use crate::http::authorization::{Authorization, authorization};
use crate::http::error::OAuthErrorBody;
use crate::http::error::responses;
use crate::http::extract::{ClientAddress, read_json};
use crate::oauth::client_metadata::RequestedMetadata;
use crate::oauth::{ErrorCode, OAuthError, strict_json};
use crate::secret::Secret;

/// Members that a replacement must not contain (RFC 7592 §2.2).
const NOT_TO_SET: &[&str] = &[
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
];

/// `GET /api/oauth/register/{client_id}`.
#[utoipa::path(
    get,
    path = "/api/oauth/register/{client_id}",
    operation_id = "OAuthClientRegistrationGet",
    tag = "auth",
    security(("registration_token" = [])),
    params(("client_id" = String, Path, description = "Client id of the registration")),
    responses(
        (status = 200, description = "The registration", body = ClientInformation),
        responses::OAuthInvalid,
        responses::OAuthUnauthorized,
    ),
)]
pub async fn show(
    State(context): State<SharedContext>,
    Path(client_id): Path<String>,
    headers: HeaderMap,
) -> Response {
    match open(&context, &client_id, &headers).await {
        Ok((registration, token)) => {
            Json(management::show(&context, registration, &token)).into_response()
        }
        Err(error) => refuse(&context, error),
    }
}

/// `PUT /api/oauth/register/{client_id}`.
#[utoipa::path(
    put,
    path = "/api/oauth/register/{client_id}",
    operation_id = "OAuthClientRegistrationReplace",
    tag = "auth",
    security(("registration_token" = [])),
    params(("client_id" = String, Path, description = "Client id of the registration")),
    request_body = RequestedMetadata,
    responses(
        (status = 200, description = "The updated registration", body = ClientInformation),
        (status = 400, description = "The metadata is invalid", body = OAuthErrorBody),
        responses::OAuthUnauthorized,
    ),
)]
pub async fn replace(
    State(context): State<SharedContext>,
    Path(client_id): Path<String>,
    address: ClientAddress,
    request: Request,
) -> Response {
    match answer(&context, &client_id, address, request).await {
        Ok(registered) => Json(registered).into_response(),
        Err(error) => refuse(&context, error),
    }
}

/// `DELETE /api/oauth/register/{client_id}`.
#[utoipa::path(
    delete,
    path = "/api/oauth/register/{client_id}",
    operation_id = "OAuthClientRegistrationDelete",
    tag = "auth",
    security(("registration_token" = [])),
    params(("client_id" = String, Path, description = "Client id of the registration")),
    responses(
        (status = 204, description = "Deleted; all access of the client is revoked"),
        responses::OAuthInvalid,
        responses::OAuthUnauthorized,
    ),
)]
pub async fn delete(
    State(context): State<SharedContext>,
    Path(client_id): Path<String>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
) -> Response {
    let deleted = async {
        let (registration, _) = open(&context, &client_id, &headers).await?;
        management::delete(&context, registration, address).await
    };
    match deleted.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refuse(&context, error),
    }
}

async fn answer(
    context: &Context,
    client_id: &str,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Result<ClientInformation, OAuthError> {
    let headers = request.headers().clone();
    let (registration, token) = open(context, client_id, &headers).await?;
    let document = strict_json::parse(&read_json(request).await?);
    let document = document.map_err(OAuthError::invalid_client_metadata)?;
    check_members(&document, client_id)?;
    let policy = context.config.policies.registration;
    let asked = RequestedMetadata::read(policy, &document)?;
    let metadata = register::check(context, asked).await?;
    management::replace(context, registration, metadata, &token, address).await
}

/// Checks that the request repeats the client id and has no server-assigned member (RFC 7592 §2.2).
fn check_members(document: &Value, client_id: &str) -> Result<(), OAuthError> {
    let refuse = |why: String| Err(OAuthError::invalid_client_metadata(why));
    if document.get("client_id").and_then(Value::as_str) != Some(client_id) {
        return refuse(
            "client_id must be present and equal the client id of this registration".to_owned(),
        );
    }
    let ours = NOT_TO_SET
        .iter()
        .find(|name| document.get(**name).is_some());
    match ours {
        Some(name) => refuse(format!("{name} must not be sent")),
        None => Ok(()),
    }
}

async fn open(
    context: &Context,
    client_id: &str,
    headers: &HeaderMap,
) -> Result<(Registration, Secret), OAuthError> {
    require_enabled(context)?;
    match authorization(context.config.policies, headers) {
        Authorization::Bearer(token) => {
            let registration = management::open(context, client_id, &token).await?;
            Ok((registration, token))
        }
        Authorization::None | Authorization::Dpop(_) | Authorization::Ambiguous => Err(
            OAuthError::invalid_token("A registration access token is needed, as a bearer"),
        ),
    }
}

fn refuse(context: &Context, error: OAuthError) -> Response {
    if error.code == ErrorCode::InvalidToken {
        challenge_bearer(context, error)
    } else {
        error.into_response()
    }
}
