//! Authorization of a connection, and access tokens of an authorized connection.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::{ConnectionId, find, problem};
use crate::clock::Timestamp;
use crate::context::SharedContext;
use crate::http::admin::entry;
use crate::http::error::responses::{BodyErrors, GuardErrors, Invalid, NotFound};
use crate::http::error::{ApiError, Kind};
use crate::http::extract::JsonBody;
use crate::http::guards::RobotManager;
use crate::remote::{self, Shown, authorize as flow, tokens};
use crate::store::audit::{self, Event};

/// Optional request body for an authorization.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthRemoteAuthorizeProps)]
pub struct Begin {
    /// Scope of an `insufficient_scope` challenge of the resource: joins the scope of the connection.
    #[serde(default)]
    scope: Option<String>,
}

/// The authorization URL for the browser.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthRemoteAuthorizeResult)]
pub struct Authorize {
    /// URL at the other server that the browser opens next.
    authorization_url: String,
    /// The connection.
    connection: Shown,
}

/// `POST /api/admin/oauth/remote/connections/{oauth_remote_connection_id}/authorize`.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/remote/connections/{oauth_remote_connection_id}/authorize",
    operation_id = "OAuthRemoteConnectionAuthorize",
    tag = "admin",
    params(("oauth_remote_connection_id" = String, Path, description = "Row id")),
    request_body = Option<Begin>,
    responses(
        (status = 200, description = "Authorization URL for the browser", body = Authorize),
        Invalid, GuardErrors, NotFound, BodyErrors,
    )
)]
pub async fn authorize(
    State(context): State<SharedContext>,
    RobotManager(actor): RobotManager,
    ConnectionId(id): ConnectionId,
    body: Option<JsonBody<Begin>>,
) -> Result<Json<Authorize>, ApiError> {
    let row = find(&context, &id).await?;
    let added = body.and_then(|JsonBody(asked)| asked.scope);
    let started = Box::pin(flow::authorize(&context, row, &actor.account.id, added)).await;
    let started = started.map_err(|error| problem(&context, error))?;
    Ok(Json(Authorize {
        authorization_url: started.url.into(),
        connection: started.connection.into(),
    }))
}

/// An access token of the remote server.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OAuthRemoteAccessToken)]
pub struct AccessTokenResponse {
    /// The access token.
    access_token: String,
    /// Expiry, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// Scope of the token, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// `Bearer`.
    token_type: String,
}

/// `POST /api/admin/oauth/remote/connections/{oauth_remote_connection_id}/token`.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/remote/connections/{oauth_remote_connection_id}/token",
    operation_id = "OAuthRemoteConnectionToken",
    tag = "admin",
    params(("oauth_remote_connection_id" = String, Path, description = "Row id")),
    responses(
        (status = 200, description = "A valid access token", body = AccessTokenResponse),
        Invalid, GuardErrors, NotFound,
    )
)]
pub async fn token(
    State(context): State<SharedContext>,
    RobotManager(actor): RobotManager,
    ConnectionId(id): ConnectionId,
) -> Result<Json<AccessTokenResponse>, ApiError> {
    if !context.config.remote_token_endpoint_enabled {
        let detail = "The token endpoint of remote connections is disabled; \
                      REMOTE_TOKEN_ENDPOINT_ENABLED=true enables it";
        return Err(ApiError::forbidden(detail));
    }
    let token = tokens::fresh(&context, &id)
        .await
        .map_err(|error| match error {
            remote::Error::Away(why) => ApiError::new(Kind::Unavailable, why).retry_after(5),
            error => problem(&context, error),
        })?;
    let entry = entry(&context, Event::RemoteTokenGiven, &actor, None).subject(&id);
    let noted = context
        .db
        .write(entry, |tx, entry| Box::pin(audit::insert(tx, entry)));
    noted.await?;
    Ok(Json(AccessTokenResponse {
        access_token: token.token.reveal().to_owned(),
        expires_at: token.expiry,
        scope: token.scope,
        token_type: token.token_type,
    }))
}
