//! Metadata of this server as a protected resource (RFC 9728).

use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::well_known::{Document, require_enabled};
use crate::context::{Context, SharedContext};
use crate::http::error::{ApiError, Kind, responses};
use crate::oauth::scope::Scope;

/// Metadata of a protected resource (RFC 9728 §2).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthProtectedResourceMetadata)]
pub struct ProtectedResource {
    authorization_servers: [String; 1],
    bearer_methods_supported: [&'static str; 1],
    resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>)]
    scopes_supported: Option<Scope>,
}

/// `GET /.well-known/oauth-protected-resource` (RFC 9728 §3): the issuer itself as a resource.
#[utoipa::path(
    get,
    path = "/.well-known/oauth-protected-resource",
    operation_id = "OAuthProtectedResourceMetadata",
    tag = "metadata",
    security(()),
    responses(
        (status = 200, description = "Metadata (RFC 9728 §2)", body = ProtectedResource),
        responses::NotFound,
    ),
)]
pub async fn protected_resource(
    State(context): State<SharedContext>,
) -> Result<Document, ApiError> {
    require_enabled(&context)?;
    let place = &context.documents.protected_resource;
    Ok(Document::rendered_once(place, || resource(&context, "")))
}

/// `GET /.well-known/oauth-protected-resource/`: the same document, for clients that write the issuer
/// with a final slash (storyden-contract.md#paths).
#[utoipa::path(
    get,
    path = "/.well-known/oauth-protected-resource/",
    operation_id = "OAuthProtectedResourceMetadataWithSlash",
    tag = "metadata",
    security(()),
    responses(
        (status = 200, description = "Metadata (RFC 9728 §2)", body = ProtectedResource),
        responses::NotFound,
    ),
)]
pub async fn protected_resource_with_slash(
    State(context): State<SharedContext>,
) -> Result<Document, ApiError> {
    protected_resource(State(context)).await
}

/// `GET /.well-known/oauth-protected-resource/PATH` (RFC 9728 §3.1): a resource below the issuer, such
/// as `api`. `PATH` may start with the issuer's own path.
#[utoipa::path(
    get,
    path = "/.well-known/oauth-protected-resource/{*path}",
    operation_id = "OAuthProtectedResourceMetadataOf",
    tag = "metadata",
    security(()),
    params(("path" = String, Path, description = "Path of the resource, such as api")),
    responses(
        (status = 200, description = "Metadata (RFC 9728 §2)", body = ProtectedResource),
        responses::NotFound,
    ),
)]
pub async fn protected_resource_of(
    State(context): State<SharedContext>,
    Path(path): Path<String>,
) -> Result<Document, ApiError> {
    require_enabled(&context)?;
    if context.config.policies.metadata.any_path_is_resource {
        return Ok(Document::new(&resource(&context, path.trim_matches('/'))));
    }
    // A resource with a final slash; the document has the resource without.
    let path = path.strip_suffix('/').unwrap_or(&path);
    let issuer_path = context.config.issuer_path();
    if path == issuer_path && !path.is_empty() {
        return protected_resource(State(context)).await;
    }
    let below = path.strip_prefix(issuer_path);
    let below = below.and_then(|rest| rest.strip_prefix('/'));
    match below.unwrap_or(path) {
        "api" => {
            let place = &context.documents.protected_api;
            Ok(Document::rendered_once(place, || resource(&context, "api")))
        }
        path @ ("mcp" | "mcp/sse") if context.config.mcp_enabled => {
            Ok(Document::new(&resource(&context, path)))
        }
        _ => Err(unknown_resource()),
    }
}

/// Builds the metadata of the resource at a path below the issuer (RFC 9728 §2).
fn resource(context: &Context, path: &str) -> ProtectedResource {
    let issuer = context.config.issuer();
    let has_scopes = match path {
        "api" => true,
        "mcp/sse" => context.config.mcp_enabled,
        "mcp" => {
            context.config.mcp_enabled && !context.config.policies.metadata.any_path_is_resource
        }
        _ => false,
    };
    ProtectedResource {
        resource: if path.is_empty() {
            issuer.clone()
        } else {
            format!("{issuer}/{path}")
        },
        authorization_servers: [issuer],
        bearer_methods_supported: ["header"],
        resource_name: None,
        scopes_supported: has_scopes.then(Scope::all),
    }
}

fn unknown_resource() -> ApiError {
    ApiError::new(Kind::NotFound, "There is no resource with this path here")
}
