//! Discovery: `POST /api/admin/oauth/remote/discover`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::Ref;

use super::problem;
use crate::context::SharedContext;
use crate::http::error::ApiError;
use crate::http::error::responses::{BodyErrors, GuardErrors, Invalid};
use crate::http::extract::JsonBody;
use crate::http::guards::RobotManager;
use crate::remote::discovery::{self, Mode};

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
    /// Issuer of the other server.
    authorization_server: String,
    /// Metadata of the authorization server (RFC 8414 §2), unchanged.
    #[schema(schema_with = server_metadata)]
    authorization_server_metadata: Value,
    /// Client id of this community in the mode `cimd`.
    client_id: String,
    /// The mode in which this community would become a client.
    mode: Mode,
    /// Metadata of the resource (RFC 9728 §2), unchanged.
    #[schema(schema_with = resource_metadata)]
    protected_resource_metadata: Value,
    /// Redirect URI of this community.
    redirect_uri: String,
    /// URL of the resource.
    resource_url: String,
    /// Scope of a connection for which no scope is given: of the resource's challenge, or of the metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

fn server_metadata() -> Ref {
    let mut metadata = Ref::from_schema_name("OAuthAuthorizationServerMetadata");
    "Metadata of the authorization server, unchanged.".clone_into(&mut metadata.description);
    metadata
}

fn resource_metadata() -> Ref {
    let mut metadata = Ref::from_schema_name("OAuthProtectedResourceMetadata");
    "Metadata of the resource, unchanged.".clone_into(&mut metadata.description);
    metadata
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
    let found = found.map_err(|error| problem(&context, error))?;
    Ok(Json(Discovery {
        authorization_server: found.server,
        authorization_server_metadata: with_documents(found.metadata.document),
        client_id: context.config.own_client_id().into(),
        mode: found.mode,
        protected_resource_metadata: found.resource.document,
        redirect_uri: context.config.remote_callback_page().into(),
        resource_url: found.resource_url.into(),
        scope: found.scope,
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
