//! `/api/auth/oauth/clients/{id}/secret`: another secret for an application, with an overlap in which
//! the old one is good too, so that it can be brought to every machine before the old one stops.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use time::Duration;

use super::client_body::RotateSecret;
use super::clients::owned;
use super::refusal::Refusal;
use super::{require_manager, require_room, unless_signed_out};
use crate::accounts::guard::Person;
use crate::app::Shared;
use crate::clients::secrets::{self, OVERLAP_MAX};
use crate::clock::Timestamp;
use crate::endpoints::extract::{ClientAddress, JsonBody, PathId};
use crate::error::{ApiError, answers};
use crate::oauth::grant_type::ClientType;
use crate::store::audit::Event;

/// A secret that was replaced.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthClientSecretRotated)]
pub struct RotatedSecret {
    /// The public id of the application.
    client_id: String,
    /// Its new secret, shown this once.
    client_secret: String,
    /// Until when the old one is good; left out when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_secret_until: Option<Timestamp>,
}

/// `POST /api/auth/oauth/clients/{oauth_client_id}/secret`.
///
/// # Errors
/// 400 when there is none, it is somebody else's or has no secret, and for too long an overlap; 401,
/// 403, 429.
#[utoipa::path(
    post, path = "/api/auth/oauth/clients/{oauth_client_id}/secret",
    operation_id = "OAuthClientSecretRotate", tag = "auth",
    security(("browser" = [])),
    params(("oauth_client_id" = String, Path, description = "The row's id")),
    request_body = RotateSecret,
    responses(
        (status = 200, body = RotatedSecret),
        (status = 400, description = "There is none, it is somebody else's, or it has no secret"),
        answers::Unauthenticated,
        answers::Forbidden,
        answers::NotFound,
        answers::TooLarge,
        answers::UnsupportedMediaType,
        answers::TooManyRequests,
        answers::Broken,
    )
)]
pub async fn rotate(
    State(app): State<Shared>,
    person: Person,
    PathId(id): PathId,
    ClientAddress(address): ClientAddress,
    body: Result<JsonBody<RotateSecret>, ApiError>,
) -> Result<Json<RotatedSecret>, Refusal> {
    require_manager(&app, &person)?;
    let overlap = Duration::seconds(body?.0.overlap_seconds.into());
    if overlap > OVERLAP_MAX {
        let most = OVERLAP_MAX.whole_seconds();
        let detail = format!("overlap_seconds must be from 0 to {most}, which is seven days");
        return Err(ApiError::invalid(detail).into());
    }
    let account = &person.0.account.id;
    let event = Event::ClientSecretRotated;
    let (client, entry) = owned(&app, account, id, address, event).await?;
    if client.kind == ClientType::Public {
        let detail = "A public application has no secret";
        return Err(ApiError::invalid(detail).into());
    }
    require_room(&app, account, 0, 1)?;
    let at = entry.at;
    let secret = secrets::rotate(&app, &client, overlap, entry, Some(person.0.id.clone())).await;
    let secret = secret.map_err(|error| match error {
        secrets::Error::Store(error) => unless_signed_out(error).into(),
        error @ secrets::Error::Hashing(_) => Refusal::from(error),
    })?;
    Ok(Json(RotatedSecret {
        client_id: client.client_id,
        client_secret: secret.reveal().to_owned(),
        old_secret_until: overlap.is_positive().then(|| at + overlap),
    }))
}
