//! Resources as administrators and commands show them, and the metadata of a resource.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::context::Context;
use crate::ids::{ResourceId, RoleId};
use crate::oauth::resource::{DescribedScope, Resource};
use crate::oauth::resource_metadata::{ResourceMetadata, location};
use crate::oauth::scope::Scope;
use crate::store;
use crate::store::resources::{self as rows, StoredResource};

/// A resource in the administrators' API and in the output of commands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthResource)]
pub struct Shown {
    /// Row id; absent for a resource that only `OAUTH_RESOURCES` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<ResourceId>,
    /// Time of creation.
    #[serde(rename = "createdAt", skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    /// Time of the last change.
    #[serde(rename = "updatedAt", skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
    /// The resource: the `resource` parameter of clients, and the audience of its tokens.
    url: String,
    /// Name on the consent page.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Client id of the server of the resource, which may exchange tokens for the resource (RFC 8693).
    #[serde(skip_serializing_if = "Option::is_none")]
    server_client_id: Option<String>,
    /// The scopes of the resource.
    scopes: Vec<ShownScope>,
    /// The document that the server of the resource should serve (RFC 9728 §2).
    metadata: ResourceMetadata,
    /// The URL of that document (RFC 9728 §3.1); absent for a resource that is not on the web.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_url: Option<String>,
}

/// A scope of a resource.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthResourceScope)]
pub(super) struct ShownScope {
    /// The name.
    name: String,
    /// A sentence for the consent page.
    description: String,
    /// The roles that give the scope.
    role_ids: Vec<RoleId>,
}

impl Shown {
    /// Describes a resource of the database.
    #[must_use]
    pub fn stored(context: &Context, stored: &StoredResource) -> Self {
        let mut shown = Self::of(context, &stored.resource);
        shown.id = Some(stored.id.clone());
        shown.created_at = Some(stored.created_at);
        shown.updated_at = Some(stored.updated_at);
        shown.server_client_id.clone_from(&stored.server);
        for (scope, roles) in shown.scopes.iter_mut().zip(&stored.roles) {
            scope.role_ids.clone_from(roles);
        }
        shown
    }

    /// Describes a resource.
    #[must_use]
    pub fn of(context: &Context, resource: &Resource) -> Self {
        let scope = |scope: &DescribedScope| ShownScope {
            name: scope.name.name().to_owned(),
            description: scope.description.clone(),
            role_ids: Vec::new(),
        };
        Self {
            id: None,
            created_at: None,
            updated_at: None,
            url: resource.url.clone(),
            name: resource.name.clone(),
            server_client_id: None,
            scopes: resource.scopes.iter().map(scope).collect(),
            metadata: metadata(context, resource),
            metadata_url: location(&resource.url).map(String::from),
        }
    }

    /// The document that the server of the resource should serve, and the URL.
    #[must_use]
    pub fn document(&self) -> (&ResourceMetadata, Option<&str>) {
        (&self.metadata, self.metadata_url.as_deref())
    }

    /// The resource.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name, or an empty text.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// The names of the scopes.
    #[must_use]
    pub fn scope_names(&self) -> Vec<&str> {
        self.scopes
            .iter()
            .map(|scope| scope.name.as_str())
            .collect()
    }
}

/// Lists every resource beside the community's own API, the rows of the database first.
///
/// # Errors
/// If the database does not answer.
pub async fn list(context: &Context) -> Result<Vec<Shown>, store::Error> {
    let stored = rows::list(&context.db).await?;
    let is_stored = |url: &str| stored.iter().any(|stored| stored.resource.url == url);
    let listed = context.resources.others().iter();
    let listed = listed.filter(|resource| !is_stored(&resource.url));
    let listed = listed.map(|resource| Shown::of(context, resource));
    let shown = stored.iter().map(|stored| Shown::stored(context, stored));
    Ok(shown.chain(listed).collect())
}

/// Builds the metadata of a resource (RFC 9728 §2).
#[must_use]
pub fn metadata(context: &Context, resource: &Resource) -> ResourceMetadata {
    let mut metadata = ResourceMetadata::new(context.config.issuer(), resource.url.clone());
    metadata.resource_name.clone_from(&resource.name);
    let scopes: Scope = resource.scope_names().collect();
    metadata.scopes_supported = Some(scopes).filter(|scopes| !scopes.is_empty());
    metadata
}
