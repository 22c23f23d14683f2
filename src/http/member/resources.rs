//! `/api/auth/oauth/resources`: the resources with the scopes that an account may grant, for the form of an
//! application.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Manager;
use crate::context::SharedContext;
use crate::http::error::ApiError;
use crate::http::error::responses;
use crate::oauth::known_resources::KnownResources;
use crate::oauth::resource::Resource;
use crate::oauth::scope::Scope;
use crate::resources;
use crate::store::resources::held_by;

/// The resources with scopes that the account may grant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthGrantableResourceListResult)]
pub struct ResourceList {
    /// By URL.
    resources: Vec<GrantableResource>,
}

/// A resource with scopes that the account may grant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthGrantableResource)]
struct GrantableResource {
    /// The resource: the `resource` parameter of clients.
    url: String,
    /// Name on the consent page.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The scopes that a role of the account gives.
    scopes: Vec<GrantableScope>,
}

/// A scope of a resource that the account may grant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthGrantableScope)]
struct GrantableScope {
    /// Name of the scope.
    name: String,
    /// A sentence by the operator; may be empty.
    description: String,
}

/// `GET /api/auth/oauth/resources`.
///
/// # Errors
/// 401, 403.
#[utoipa::path(
    get, path = "/api/auth/oauth/resources", operation_id = "OAuthGrantableResourceList", tag = "auth",
    security(("browser" = [])),
    responses(
        (status = 200, body = ResourceList),
        responses::GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    Manager(person): Manager,
) -> Result<Json<ResourceList>, ApiError> {
    // In the profile `storyden` a scope of a resource is unknown.
    if context.config.policies.token_endpoint.resource_ignored {
        return Ok(Json(ResourceList {
            resources: Vec::new(),
        }));
    }
    let held = held_by(&context.db, &person.session.account.id).await?;
    let known = if held.is_empty() {
        None
    } else {
        Some(resources::known(&context).await?)
    };
    let others = known.iter().flat_map(KnownResources::others);
    let grantable = others.filter_map(|resource| GrantableResource::of(resource, &held));
    Ok(Json(ResourceList {
        resources: grantable.collect(),
    }))
}

impl GrantableResource {
    /// Returns the part of a resource that an account may grant; `None` without such a scope.
    fn of(resource: &Resource, held: &Scope) -> Option<Self> {
        let scopes = resource.scopes.iter();
        let scopes = scopes.filter(|scope| held.contains(scope.name));
        let scopes: Vec<GrantableScope> = scopes
            .map(|scope| GrantableScope {
                name: scope.name.name().to_owned(),
                description: scope.description.clone(),
            })
            .collect();
        (!scopes.is_empty()).then(|| Self {
            url: resource.url.clone(),
            name: resource.name.clone(),
            scopes,
        })
    }
}
