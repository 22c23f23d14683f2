//! `/api/auth/oauth/clients/{id}/secret`: rotation of an application's secret. The old secret stays
//! valid during an overlap, so that every server of the application can be updated.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use time::Duration;

use super::client_body::RotateSecret;
use super::clients::owned;
use super::refusal::MemberError;
use super::{Manager, closed_session_error, require_below_limit};
use crate::clients::secrets::{self, OVERLAP_MAX};
use crate::clock::Timestamp;
use crate::context::SharedContext;
use crate::http::error::ApiError;
use crate::http::error::responses;
use crate::http::extract::{JsonBody, PathId};
use crate::oauth::grant_type::ClientType;
use crate::store::audit::Event;

/// The result of a rotation.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthClientSecretRotated)]
pub struct RotatedSecret {
    /// Public client id of the application.
    client_id: String,
    /// The new secret, shown only in this response.
    client_secret: String,
    /// Expiry of the old secret; absent without an overlap.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_secret_until: Option<Timestamp>,
}

/// `POST /api/auth/oauth/clients/{oauth_client_id}/secret`.
///
/// # Errors
/// 400 for an unknown application, an application of a different account, a public application, or an
/// overlap above the limit; 401, 403, 429.
#[utoipa::path(
    post, path = "/api/auth/oauth/clients/{oauth_client_id}/secret",
    operation_id = "OAuthClientSecretRotate", tag = "auth",
    security(("browser" = [])),
    params(("oauth_client_id" = String, Path, description = "Row id")),
    request_body = RotateSecret,
    responses(
        (status = 200, body = RotatedSecret),
        (status = 400, description = "No such client, a client of another account, or a client without a secret"),
        responses::GuardErrors,
        responses::NotFound,
        responses::BodyErrors,
        responses::TooManyRequests,
    )
)]
pub async fn rotate(
    State(context): State<SharedContext>,
    Manager(person): Manager,
    PathId(id): PathId,
    body: Result<JsonBody<RotateSecret>, ApiError>,
) -> Result<Json<RotatedSecret>, MemberError> {
    let overlap = Duration::seconds(body?.0.overlap_seconds.into());
    if overlap > OVERLAP_MAX {
        let most = OVERLAP_MAX.whole_seconds();
        let detail = format!("overlap_seconds must be from 0 to {most}, which is seven days");
        return Err(ApiError::invalid(detail).into());
    }
    let (client, entry) = owned(&context, &person, id, Event::ClientSecretRotated).await?;
    if client.kind == ClientType::Public {
        let detail = "A public application has no secret";
        return Err(ApiError::invalid(detail).into());
    }
    require_below_limit(&context, &person.session.account.id, 0, 1)?;
    let at = entry.at;
    let secret = secrets::rotate(&context, &client, overlap, entry, Some(person.session.id)).await;
    let secret = secret.map_err(|error| match error {
        secrets::Error::Store(error) => closed_session_error(error).into(),
        error @ secrets::Error::Hashing(_) => MemberError::from(error),
    })?;
    Ok(Json(RotatedSecret {
        client_id: client.client_id,
        client_secret: secret.reveal().to_owned(),
        old_secret_until: overlap.is_positive().then(|| at + overlap),
    }))
}
