//! Metadata of protected resources (RFC 9728): this server, and the resources of the operator on the
//! same origin.

use axum::extract::{Path, State};

use super::OVER_BUDGET;
use super::well_known::{Document, require_enabled};
use crate::context::{Context, SharedContext};
use crate::http::error::{ApiError, Kind, responses};
use crate::http::extract::ClientAddress;
use crate::oauth::dpop;
use crate::oauth::resource_metadata::ResourceMetadata;
use crate::oauth::scope::Scope;
use crate::resources;
use crate::store::audit::Event;

/// `GET /.well-known/oauth-protected-resource` (RFC 9728 §3): the issuer itself as a resource.
#[utoipa::path(
    get,
    path = "/.well-known/oauth-protected-resource",
    operation_id = "OAuthProtectedResourceMetadata",
    tag = "metadata",
    security(()),
    responses(
        (status = 200, description = "Metadata (RFC 9728 §2)", body = ResourceMetadata),
        responses::NotFound,
    ),
)]
pub async fn protected_resource(
    State(context): State<SharedContext>,
) -> Result<Document, ApiError> {
    require_enabled(&context)?;
    let place = &context.documents.protected_resource;
    Ok(Document::rendered_once(&context, place, || {
        resource(&context, "")
    }))
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
        (status = 200, description = "Metadata (RFC 9728 §2)", body = ResourceMetadata),
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
        (status = 200, description = "Metadata (RFC 9728 §2)", body = ResourceMetadata),
        responses::NotFound,
        responses::TooManyRequests,
    ),
)]
pub async fn protected_resource_of(
    State(context): State<SharedContext>,
    address: ClientAddress,
    Path(whole): Path<String>,
) -> Result<Document, ApiError> {
    require_enabled(&context)?;
    if context.config.policies.metadata.any_path_is_resource {
        return Ok(Document::new(
            &context,
            &resource(&context, whole.trim_matches('/')),
        ));
    }
    // A resource with a final slash; the document has the resource without.
    let path = whole.strip_suffix('/').unwrap_or(&whole);
    let issuer_path = context.config.issuer_path();
    if path == issuer_path && !path.is_empty() {
        return protected_resource(State(context)).await;
    }
    let below = path.strip_prefix(issuer_path);
    let below = below.and_then(|rest| rest.strip_prefix('/'));
    match below.unwrap_or(path) {
        "api" => {
            let place = &context.documents.protected_api;
            Ok(Document::rendered_once(&context, place, || {
                resource(&context, "api")
            }))
        }
        path @ ("mcp" | "mcp/sse") if context.config.mcp_enabled => {
            Ok(Document::new(&context, &resource(&context, path)))
        }
        _ => of_operator(&context, address, &whole).await,
    }
}

/// Builds the metadata of the resource at a path below the issuer (RFC 9728 §2).
fn resource(context: &Context, path: &str) -> ResourceMetadata {
    let issuer = context.config.issuer();
    let has_scopes = match path {
        "api" => true,
        "mcp/sse" => context.config.mcp_enabled,
        "mcp" => {
            context.config.mcp_enabled && !context.config.policies.metadata.any_path_is_resource
        }
        _ => false,
    };
    let resource = if path.is_empty() {
        issuer.clone()
    } else {
        format!("{issuer}/{path}")
    };
    let mut metadata = ResourceMetadata::new(issuer, resource);
    metadata.scopes_supported = has_scopes.then(Scope::all);
    // A Storyden's MCP endpoint is served by the Storyden, which knows no DPoP.
    let is_ours = matches!(path, "" | "api");
    metadata.dpop_signing_alg_values_supported =
        (is_ours && context.config.supports_dpop()).then_some(dpop::ALGORITHM_NAMES);
    metadata
}

/// Finds the metadata of an operator's resource on this origin, whose well-known path this server has.
/// Charged to the rate limit of the address, because only this document needs the database.
async fn of_operator(
    context: &Context,
    ClientAddress(address): ClientAddress,
    path: &str,
) -> Result<Document, ApiError> {
    let left = context.budget.spend(address, 1);
    if !left.within {
        context.refused(Event::RequestLimited);
        return Err(ApiError::new(Kind::TooManyRequests, OVER_BUDGET).retry_after(left.wait));
    }
    let origin = context.config.public_api_address.origin();
    let asked = format!("{}/{path}", origin.ascii_serialization());
    let known = resources::known(context).await?;
    let found = known.find(&asked).and_then(|url| known.other(url));
    let found = found.ok_or_else(unknown_resource)?;
    Ok(Document::new(context, &resources::metadata(context, found)))
}

fn unknown_resource() -> ApiError {
    ApiError::new(Kind::NotFound, "There is no resource with this path here")
}
