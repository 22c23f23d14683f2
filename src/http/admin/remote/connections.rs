//! The connections: `/api/admin/oauth/remote/connections`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{ConnectionId, find, problem};
use crate::context::SharedContext;
use crate::http::admin::entry;
use crate::http::error::responses::{BodyErrors, Conflict, GuardErrors, Invalid, NotFound};
use crate::http::error::{ApiError, Kind};
use crate::http::extract::JsonBody;
use crate::http::guards::RobotManager;
use crate::remote::connect::{self, Manual, Wanted};
use crate::remote::discovery::Mode;
use crate::remote::{Shown, scope};
use crate::secret::Secret;
use crate::store::audit::{self, Event};
use crate::store::remote as rows;

/// All connections.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthRemoteConnectionListResult)]
pub struct List {
    /// Newest first.
    connections: Vec<Shown>,
}

/// `GET /api/admin/oauth/remote/connections`.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/remote/connections",
    operation_id = "OAuthRemoteConnectionList",
    tag = "admin",
    responses(
        (status = 200, description = "List of all connections", body = List),
        GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    _: RobotManager,
) -> Result<Json<List>, ApiError> {
    let connections = rows::list(&context.db).await?;
    Ok(Json(List {
        connections: connections.into_iter().map(Shown::from).collect(),
    }))
}

/// Request body for a new connection.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthRemoteConnectionCreateProps)]
pub struct Create {
    /// The resource.
    resource_url: String,
    /// Client mode; by default the discovered mode.
    #[serde(default)]
    mode: Option<Mode>,
    /// Requested scope; by default the scope that the resource requests.
    #[serde(default)]
    scope: Option<String>,
    /// The chosen authorization server, if the resource lists several.
    #[serde(default)]
    authorization_server: Option<String>,
    /// Client credentials and endpoints for the mode `manual`.
    #[serde(default)]
    manual: Option<Manual>,
}

/// `POST /api/admin/oauth/remote/connections`.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/remote/connections",
    operation_id = "OAuthRemoteConnectionCreate",
    tag = "admin",
    request_body = Create,
    responses(
        (status = 200, description = "The new connection; authorization is pending", body = Shown),
        Invalid, GuardErrors, Conflict, BodyErrors,
    )
)]
pub async fn create(
    State(context): State<SharedContext>,
    RobotManager(actor): RobotManager,
    JsonBody(asked): JsonBody<Create>,
) -> Result<Json<Shown>, ApiError> {
    let wanted = Wanted {
        resource_url: asked.resource_url,
        mode: asked.mode,
        scope: asked.scope,
        authorization_server: asked.authorization_server,
        manual: asked.manual,
    };
    let entry = entry(&context, Event::RemoteCreated, &actor, None);
    let made = Box::pin(connect::create(&context, wanted, &actor.account.id, entry)).await;
    let made = made.map_err(|error| problem(&context, error))?;
    Ok(Json(made.into()))
}

/// `GET /api/admin/oauth/remote/connections/{oauth_remote_connection_id}`.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/remote/connections/{oauth_remote_connection_id}",
    operation_id = "OAuthRemoteConnectionGet",
    tag = "admin",
    params(("oauth_remote_connection_id" = String, Path, description = "Row id")),
    responses(
        (status = 200, description = "The connection", body = Shown),
        Invalid, GuardErrors, NotFound,
    )
)]
pub async fn get(
    State(context): State<SharedContext>,
    _: RobotManager,
    ConnectionId(id): ConnectionId,
) -> Result<Json<Shown>, ApiError> {
    let connection = find(&context, &id).await?;
    Ok(Json(connection.into()))
}

/// Changes of a connection; absent members stay unchanged.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthRemoteConnectionUpdateProps)]
pub struct Update {
    /// Requested scope, from the next authorization on.
    #[serde(default)]
    scope: Option<String>,
    /// The client secret at the remote server.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    client_secret: Option<Secret>,
    /// Authentication method at the token endpoint.
    #[serde(default)]
    token_endpoint_auth_method: Option<String>,
}

/// `PATCH /api/admin/oauth/remote/connections/{oauth_remote_connection_id}`.
#[utoipa::path(
    patch,
    path = "/api/admin/oauth/remote/connections/{oauth_remote_connection_id}",
    operation_id = "OAuthRemoteConnectionUpdate",
    tag = "admin",
    params(("oauth_remote_connection_id" = String, Path, description = "Row id")),
    request_body = Update,
    responses(
        (status = 200, description = "The updated connection", body = Shown),
        Invalid, GuardErrors, NotFound, BodyErrors,
    )
)]
pub async fn update(
    State(context): State<SharedContext>,
    RobotManager(actor): RobotManager,
    id: Result<ConnectionId, ApiError>,
    JsonBody(asked): JsonBody<Update>,
) -> Result<Json<Shown>, ApiError> {
    let ConnectionId(id) = id?; // an invalid body is reported first
    let problem = |error| problem(&context, error);
    let row = find(&context, &id).await?;
    let secret = asked
        .client_secret
        .filter(|secret| !secret.reveal().is_empty());
    let method = asked
        .token_endpoint_auth_method
        .filter(|name| !name.is_empty());
    let method = method.as_deref().map(connect::chosen_method).transpose();
    let change = rows::Change {
        scope: scope::scope_of(asked.scope).map_err(problem)?,
        auth_method: method
            .map_err(problem)?
            .map(|method| method.name().to_owned()),
        client_secret: connect::seal_secret(&context, &row, secret.as_ref()).map_err(problem)?,
        now: context.clock.now(),
        id: id.clone(),
    };
    let entry = entry(&context, Event::RemoteUpdated, &actor, None).subject(&id);
    let written = context.db.write((change, entry), |tx, (change, entry)| {
        Box::pin(async move {
            if rows::update(tx, change).await? {
                audit::insert(tx, entry).await?;
            }
            Ok(())
        })
    });
    written.await?;
    Ok(Json(find(&context, &id).await?.into()))
}

/// `DELETE /api/admin/oauth/remote/connections/{oauth_remote_connection_id}`.
#[utoipa::path(
    delete,
    path = "/api/admin/oauth/remote/connections/{oauth_remote_connection_id}",
    operation_id = "OAuthRemoteConnectionDelete",
    tag = "admin",
    params(("oauth_remote_connection_id" = String, Path, description = "Row id")),
    responses(
        (status = 204, description = "Deleted with its tokens"),
        Invalid, GuardErrors, NotFound,
    )
)]
pub async fn delete(
    State(context): State<SharedContext>,
    RobotManager(actor): RobotManager,
    ConnectionId(id): ConnectionId,
) -> Result<StatusCode, ApiError> {
    let entry = entry(&context, Event::RemoteDeleted, &actor, None).subject(&id);
    let deleted = context.db.write((id, entry), |tx, (id, entry)| {
        Box::pin(async move {
            let deleted = rows::delete(tx, id).await?;
            if deleted {
                audit::insert(tx, entry).await?;
            }
            Ok(deleted)
        })
    });
    if deleted.await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::new(
        Kind::NotFound,
        "There is no remote connection with this id",
    ))
}
