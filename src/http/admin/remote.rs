//! Connections to remote servers: `/api/admin/oauth/remote` (storyden-contract.md#remote-connections).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry;
use crate::clock::Timestamp;
use crate::context::SharedContext;
use crate::http::error::responses::{BodyErrors, Conflict, GuardErrors, Invalid, NotFound};
use crate::http::error::{ApiError, Kind};
use crate::http::extract::{ClientAddress, JsonBody};
use crate::http::guards::RobotManager;
use crate::ids::RemoteConnectionId;
use crate::remote::connect::{self, Manual, Wanted};
use crate::remote::discovery::{self, Mode};
use crate::remote::{self, Shown, tokens};
use crate::secret::Secret;
use crate::store::audit::{self, Event};
use crate::store::remote as rows;

/// A discovery request.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthRemoteDiscoverProps)]
pub struct Discover {
    /// The resource.
    resource_url: String,
    /// The chosen authorization server, if the resource lists several.
    #[serde(default)]
    authorization_server: Option<String>,
}

/// The result of a discovery.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthRemoteDiscoveryResult)]
pub struct Discovery {
    authorization_server: String,
    /// Metadata of the authorization server (RFC 8414 §2), unchanged.
    #[schema(schema_with = server_metadata)]
    authorization_server_metadata: Value,
    client_id: String,
    mode: Mode,
    /// Metadata of the resource (RFC 9728 §2), unchanged.
    #[schema(schema_with = resource_metadata)]
    protected_resource_metadata: Value,
    redirect_uri: String,
    resource_url: String,
}

fn server_metadata() -> utoipa::openapi::Ref {
    utoipa::openapi::Ref::from_schema_name("OAuthAuthorizationServerMetadata")
}

fn resource_metadata() -> utoipa::openapi::Ref {
    utoipa::openapi::Ref::from_schema_name("OAuthProtectedResourceMetadata")
}

/// `POST /api/admin/oauth/remote/discover`.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/remote/discover",
    operation_id = "OAuthRemoteDiscover",
    tag = "admin",
    request_body = Discover,
    responses(
        (status = 200, description = "Authorization server and metadata of the resource", body = Discovery),
        Invalid, GuardErrors, BodyErrors,
    )
)]
pub async fn discover(
    State(context): State<SharedContext>,
    _: RobotManager,
    JsonBody(asked): JsonBody<Discover>,
) -> Result<Json<Discovery>, ApiError> {
    let chosen = asked.authorization_server.as_deref();
    let found = discovery::discover(&context, &asked.resource_url, chosen).await;
    let found = found.map_err(|error| {
        ApiError::from_remote(error, context.config.policies.remote.failure_status)
    })?;
    Ok(Json(Discovery {
        authorization_server: found.server,
        authorization_server_metadata: with_documents(found.metadata.document),
        client_id: context.config.own_client_id().into(),
        mode: found.mode,
        protected_resource_metadata: found.resource.document,
        redirect_uri: context.config.remote_callback_page().into(),
        resource_url: found.resource_url.into(),
    }))
}

/// Adds `client_id_metadata_document_supported`: Storyden shows the member for every server.
fn with_documents(mut metadata: Value) -> Value {
    let name = "client_id_metadata_document_supported";
    if let Some(members) = metadata.as_object_mut() {
        members.entry(name).or_insert(Value::Bool(false));
    }
    metadata
}

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
    /// Requested scope.
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
    address: ClientAddress,
    JsonBody(asked): JsonBody<Create>,
) -> Result<Json<Shown>, ApiError> {
    let wanted = Wanted {
        resource_url: asked.resource_url,
        mode: asked.mode,
        scope: asked.scope,
        authorization_server: asked.authorization_server,
        manual: asked.manual,
    };
    let entry = entry(&context, Event::RemoteCreated, &actor, address, None);
    let made = Box::pin(connect::create(&context, wanted, &actor.account.id, entry)).await;
    let made = made.map_err(|error| {
        ApiError::from_remote(error, context.config.policies.remote.failure_status)
    })?;
    Ok(Json(made.into()))
}

/// Parses the id in a path; an invalid id is 400 as in Storyden
/// (storyden-contract.md#remote-authorization).
fn id_of(path: &str) -> Result<RemoteConnectionId, ApiError> {
    let is_id = path.len() == 20 && path.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_id {
        Ok(RemoteConnectionId::new(path))
    } else {
        Err(ApiError::invalid(
            "The id of a connection has 20 letters and digits",
        ))
    }
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
    axum::extract::Path(id): axum::extract::Path<String>,
) -> Result<Json<Shown>, ApiError> {
    let found = remote::find(&context, &id_of(&id)?).await;
    Ok(Json(
        found
            .map_err(|error| {
                ApiError::from_remote(error, context.config.policies.remote.failure_status)
            })?
            .into(),
    ))
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
    address: ClientAddress,
    axum::extract::Path(id): axum::extract::Path<String>,
    JsonBody(asked): JsonBody<Update>,
) -> Result<Json<Shown>, ApiError> {
    let problem = |error: remote::Error| {
        ApiError::from_remote(error, context.config.policies.remote.failure_status)
    };
    let id = id_of(&id)?;
    let row = remote::find(&context, &id).await.map_err(problem)?;
    let secret = asked
        .client_secret
        .filter(|secret| !secret.reveal().is_empty());
    let change = rows::Change {
        scope: connect::scope_of(asked.scope).map_err(problem)?,
        client_secret: connect::seal_secret(&context, &row, secret.as_ref()).map_err(problem)?,
        now: context.clock.now(),
        id: id.clone(),
    };
    let entry = entry(&context, Event::RemoteUpdated, &actor, address, None).subject(&id);
    let written = context.db.write((change, entry), |tx, (change, entry)| {
        Box::pin(async move {
            if rows::update(tx, change).await? {
                audit::insert(tx, entry).await?;
            }
            Ok(())
        })
    });
    written.await?;
    Ok(Json(
        remote::find(&context, &id).await.map_err(problem)?.into(),
    ))
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
    address: ClientAddress,
    axum::extract::Path(id): axum::extract::Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = id_of(&id)?;
    let entry = entry(&context, Event::RemoteDeleted, &actor, address, None).subject(&id);
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

/// The authorization URL for the browser.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthRemoteAuthorizeResult)]
pub struct Authorize {
    authorization_url: String,
    connection: Shown,
}

/// `POST /api/admin/oauth/remote/connections/{oauth_remote_connection_id}/authorize`.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/remote/connections/{oauth_remote_connection_id}/authorize",
    operation_id = "OAuthRemoteConnectionAuthorize",
    tag = "admin",
    params(("oauth_remote_connection_id" = String, Path, description = "Row id")),
    responses(
        (status = 200, description = "Authorization URL for the browser", body = Authorize),
        Invalid, GuardErrors, NotFound,
    )
)]
pub async fn authorize(
    State(context): State<SharedContext>,
    RobotManager(actor): RobotManager,
    axum::extract::Path(id): axum::extract::Path<String>,
) -> Result<Json<Authorize>, ApiError> {
    let problem = |error: remote::Error| {
        ApiError::from_remote(error, context.config.policies.remote.failure_status)
    };
    let row = remote::find(&context, &id_of(&id)?)
        .await
        .map_err(problem)?;
    let url = connect::authorize(&context, &row, &actor.account.id).await;
    Ok(Json(Authorize {
        authorization_url: url.map_err(problem)?.into(),
        connection: row.into(),
    }))
}

/// An access token of the remote server.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OAuthRemoteAccessToken)]
pub struct AccessTokenResponse {
    access_token: String,
    /// Expiry, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
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
    address: ClientAddress,
    axum::extract::Path(id): axum::extract::Path<String>,
) -> Result<Json<AccessTokenResponse>, ApiError> {
    let id = id_of(&id)?;
    if !context.config.remote_token_endpoint_enabled {
        let detail = "The token endpoint of remote connections is disabled; \
                      REMOTE_TOKEN_ENDPOINT_ENABLED=true enables it";
        return Err(ApiError::forbidden(detail));
    }
    let token = tokens::fresh(&context, &id)
        .await
        .map_err(|error| match error {
            remote::Error::Away(why) => ApiError::new(Kind::Unavailable, why).retry_after(5),
            error => ApiError::from_remote(error, context.config.policies.remote.failure_status),
        })?;
    let entry = entry(&context, Event::RemoteTokenGiven, &actor, address, None).subject(&id);
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
