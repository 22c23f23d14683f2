//! Resources beside this community's own API: `/api/admin/oauth/resources`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::entry;
use crate::context::{Context, SharedContext};
use crate::http::error::ApiError;
use crate::http::error::responses::{BodyErrors, Conflict, GuardErrors, Invalid, NotFound};
use crate::http::extract::{JsonBody, PathId};
use crate::http::guards::Administrator;
use crate::ids::{ResourceId, RoleId};
use crate::resources::{self, Draft, DraftScope, Error, Shown};
use crate::store::audit::Event;
use crate::store::resources::{self as rows, StoredResource};
use crate::store::roles;

/// Every resource, and every role that may give its scopes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthResourceListResult)]
pub struct List {
    /// The resources: rows of the database first, by URL.
    resources: Vec<Shown>,
    /// The built-in roles first.
    roles: Vec<NamedRole>,
}

/// A role.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthResourceRole)]
pub struct NamedRole {
    /// Id of the role, for `role_ids`.
    id: RoleId,
    /// Name of the role.
    name: String,
}

/// `GET /api/admin/oauth/resources`.
///
/// # Errors
/// 401, 403.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/resources",
    operation_id = "AdminOAuthResourceList",
    tag = "admin",
    responses(
        (status = 200, description = "List of resources", body = List),
        GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    _: Administrator,
) -> Result<Json<List>, ApiError> {
    let roles = roles::list(&context.db).await?;
    let named = |role: roles::Role| NamedRole {
        id: role.id,
        name: role.name,
    };
    Ok(Json(List {
        resources: resources::list(&context).await?,
        roles: roles.into_iter().map(named).collect(),
    }))
}

/// A new resource.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthResourceCreateProps)]
pub struct CreateResource {
    /// The resource (RFC 8707 §2): an absolute URI without a fragment.
    url: String,
    /// Name on the consent page.
    #[serde(default)]
    name: Option<String>,
    /// Client id of a confidential client, the server of the resource: it may exchange tokens for the resource
    /// (RFC 8693).
    #[serde(default)]
    server_client_id: Option<String>,
    /// The scopes of the resource.
    #[serde(default)]
    scopes: Vec<ScopeProps>,
}

/// A change of a resource: replaces name and scopes.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthResourceReplaceProps)]
pub struct ReplaceResource {
    /// Name on the consent page; none if absent.
    #[serde(default)]
    name: Option<String>,
    /// Client id of the server of the resource; none if absent.
    #[serde(default)]
    server_client_id: Option<String>,
    /// The scopes of the resource.
    scopes: Vec<ScopeProps>,
}

/// A scope of a resource.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthResourceScopeProps)]
pub struct ScopeProps {
    /// The name, with a colon, a dot or a slash, as in `tools:read`.
    name: String,
    /// A sentence for the consent page.
    #[serde(default)]
    description: String,
    /// The roles that give the scope; the role Member if absent.
    #[serde(default)]
    role_ids: Option<Vec<String>>,
}

impl From<ScopeProps> for DraftScope {
    fn from(props: ScopeProps) -> Self {
        let roles = props.role_ids;
        Self {
            name: props.name,
            description: props.description,
            roles: roles.map(|ids| ids.into_iter().map(RoleId::new).collect()),
        }
    }
}

/// `POST /api/admin/oauth/resources`.
///
/// # Errors
/// 400 for a value that is not accepted, 401, 403, 409 for a known resource or scope.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/resources",
    operation_id = "AdminOAuthResourceCreate",
    tag = "admin",
    request_body = CreateResource,
    responses(
        (status = 200, description = "The resource", body = Shown),
        Invalid,
        GuardErrors,
        Conflict,
        BodyErrors,
    )
)]
pub async fn create(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    JsonBody(new): JsonBody<CreateResource>,
) -> Result<Json<Shown>, ApiError> {
    let draft = Draft {
        url: new.url,
        name: new.name,
        server: new.server_client_id,
        scopes: new.scopes.into_iter().map(DraftScope::from).collect(),
    };
    let entry = entry(&context, Event::ResourceCreated, &actor, None);
    let stored = resources::create(&context, draft, entry).await?;
    Ok(Json(Shown::stored(&context, &stored)))
}

/// `PUT /api/admin/oauth/resources/{resource_id}`: replaces name, scopes and roles.
///
/// # Errors
/// 400 for a value that is not accepted, 401, 403, 404, 409 for a scope of another resource.
#[utoipa::path(
    put,
    path = "/api/admin/oauth/resources/{resource_id}",
    operation_id = "AdminOAuthResourceReplace",
    tag = "admin",
    params(("resource_id" = String, Path, description = "Row id")),
    request_body = ReplaceResource,
    responses(
        (status = 200, description = "The changed resource", body = Shown),
        Invalid,
        GuardErrors,
        NotFound,
        Conflict,
        BodyErrors,
    )
)]
pub async fn replace(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathId(id): PathId,
    JsonBody(new): JsonBody<ReplaceResource>,
) -> Result<Json<Shown>, ApiError> {
    let before = find(&context, &ResourceId::new(id)).await?;
    let draft = Draft {
        url: before.resource.url.clone(),
        name: new.name,
        server: new.server_client_id,
        scopes: new.scopes.into_iter().map(DraftScope::from).collect(),
    };
    let entry = entry(&context, Event::ResourceUpdated, &actor, None);
    let stored = resources::replace(&context, &before, draft, entry).await?;
    Ok(Json(Shown::stored(&context, &stored)))
}

/// `DELETE /api/admin/oauth/resources/{resource_id}`.
///
/// # Errors
/// 401, 403, 404.
#[utoipa::path(
    delete,
    path = "/api/admin/oauth/resources/{resource_id}",
    operation_id = "AdminOAuthResourceDelete",
    tag = "admin",
    params(("resource_id" = String, Path, description = "Row id")),
    responses(
        (status = 204, description = "Removed with its scopes; no further tokens are issued for it"),
        GuardErrors,
        NotFound,
    )
)]
pub async fn delete(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    let entry = entry(&context, Event::ResourceDeleted, &actor, None);
    resources::delete(&context, &ResourceId::new(id), entry).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn find(context: &Context, id: &ResourceId) -> Result<StoredResource, Error> {
    let stored = rows::list(&context.db).await?;
    let found = stored.into_iter().find(|stored| stored.id == *id);
    found.ok_or(Error::Missing)
}
