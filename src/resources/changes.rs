//! Changes of resources by an operator.

use super::Error;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::ids::{ResourceId, RoleId};
use crate::oauth::grant_type::ClientType;
use crate::oauth::resource::{DescribedScope, Resource, check_url};
use crate::oauth::scope::ScopeName;
use crate::store;
use crate::store::accounts::MEMBER_ROLE;
use crate::store::audit::{self, Entry};
use crate::store::clients;
use crate::store::resources::{self as rows, StoredResource};
use crate::store::roles::{self, Role};

/// The most resources, so that reading all of these stays cheap.
const RESOURCES_MAX: usize = 100;

/// The most scopes of a resource.
const SCOPES_MAX: usize = 32;

/// The most characters of a name.
const NAME_MAX: usize = 64;

/// The most characters of the client id of a server.
const CLIENT_ID_MAX: usize = 255;

/// The most characters of the sentence about a scope.
const DESCRIPTION_MAX: usize = 200;

/// A resource as an operator describes it.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The resource.
    pub url: String,
    /// Name, if any.
    pub name: Option<String>,
    /// Client id of the server of the resource, which may exchange tokens for the resource (RFC 8693).
    pub server: Option<String>,
    /// The scopes.
    pub scopes: Vec<DraftScope>,
}

/// A scope as an operator describes it.
#[derive(Clone, Debug)]
pub struct DraftScope {
    /// The name.
    pub name: String,
    /// A sentence for the consent page; may be empty.
    pub description: String,
    /// The roles that give the scope; `None` is the role of every member.
    pub roles: Option<Vec<RoleId>>,
}

/// Adds a resource.
///
/// # Errors
/// [`Error::Invalid`] or [`Error::Taken`] with the value and the reason.
pub async fn create(
    context: &Context,
    draft: Draft,
    entry: Entry,
) -> Result<StoredResource, Error> {
    let now = context.clock.now();
    let stored = rows::list(&context.db).await?;
    check_new(context, &stored, &draft.url)?;
    let new = checked(context, draft, ResourceId::generate(now), (now, now)).await?;
    let entry = entry.subject(&new.id);
    let inserted = context.db.write((new.clone(), entry), |tx, (new, entry)| {
        Box::pin(async move {
            rows::insert(tx, new).await?;
            audit::insert(tx, entry).await
        })
    });
    inserted.await.map_err(of_write)?;
    Ok(new)
}

/// Replaces name, scopes and roles of a resource. The URL of a resource never changes.
///
/// # Errors
/// [`Error::Missing`], or as [`create`].
pub async fn replace(
    context: &Context,
    before: &StoredResource,
    draft: Draft,
    entry: Entry,
) -> Result<StoredResource, Error> {
    let times = (before.created_at, context.clock.now());
    let new = checked(context, draft, before.id.clone(), times).await?;
    let entry = entry.subject(&new.id);
    let replaced = context.db.write((new.clone(), entry), |tx, (new, entry)| {
        Box::pin(async move {
            rows::replace(tx, new).await?;
            audit::insert(tx, entry).await
        })
    });
    replaced.await.map_err(of_write)?;
    Ok(new)
}

/// Removes a resource with its scopes. Tokens for the resource expire, and no further tokens are issued.
///
/// # Errors
/// [`Error::Missing`].
pub async fn delete(context: &Context, id: &ResourceId, entry: Entry) -> Result<(), Error> {
    let entry = entry.subject(id);
    let deleted = context.db.write((id.clone(), entry), |tx, (id, entry)| {
        Box::pin(async move {
            rows::delete(tx, id).await?;
            audit::insert(tx, entry).await
        })
    });
    deleted.await.map_err(of_write)
}

/// Rejects a URL that clients could take for a known resource. A resource of `OAUTH_RESOURCES` may be
/// added in the same spelling, to give it a name and scopes.
fn refuse_known_url(context: &Context, stored: &[StoredResource], url: &str) -> Result<(), Error> {
    let resources = stored.iter().map(|stored| stored.resource.clone());
    let all = context.resources.clone().with(resources.collect());
    let reason = match all.find(url) {
        Some(same) if same != url => {
            format!("url is the known resource {same} in another spelling")
        }
        Some(_) if stored.iter().any(|stored| stored.resource.url == url) => {
            "This resource exists already".to_owned()
        }
        Some(_) if context.resources.is_own(url) => {
            "url is this community's own API, which is always a resource".to_owned()
        }
        _ => return Ok(()),
    };
    Err(Error::Taken(reason))
}

/// Checks a draft, with the roles of the database.
async fn checked(
    context: &Context,
    draft: Draft,
    id: ResourceId,
    times: (Timestamp, Timestamp),
) -> Result<StoredResource, Error> {
    let known_roles = roles::list(&context.db).await?;
    check_server(context, draft.server.as_deref()).await?;
    check(draft, id, times, &known_roles)
}

/// Checks that the server of a resource is a confidential client: only such a client can authenticate.
async fn check_server(context: &Context, client_id: Option<&str>) -> Result<(), Error> {
    let Some(client_id) = client_id.filter(|id| !id.is_empty()) else {
        return Ok(());
    };
    match clients::find(&context.db, client_id).await? {
        Some(client) if client.kind == ClientType::Confidential => Ok(()),
        Some(_) => Err(Error::Invalid(format!(
            "The client {client_id:?} is public, and cannot be the server of a resource: it cannot authenticate"
        ))),
        None => Err(Error::Invalid(format!(
            "There is no client with the client id {client_id:?}"
        ))),
    }
}

/// Checks that a resource may be added to `stored`, apart from the scopes.
///
/// # Errors
/// [`Error::Invalid`] or [`Error::Taken`] with the reason.
pub fn check_new(context: &Context, stored: &[StoredResource], url: &str) -> Result<(), Error> {
    check_url(url).map_err(|why| Error::Invalid(format!("url {why}")))?;
    if stored.len() >= RESOURCES_MAX {
        return Err(Error::Invalid(format!(
            "There are {RESOURCES_MAX} resources already, the most that are possible"
        )));
    }
    refuse_known_url(context, stored, url)
}

/// Checks a draft, apart from the URL. `times` are those of creation and of this change.
///
/// # Errors
/// [`Error::Invalid`] with the value and the reason.
pub fn check(
    draft: Draft,
    id: ResourceId,
    (created_at, updated_at): (Timestamp, Timestamp),
    known_roles: &[Role],
) -> Result<StoredResource, Error> {
    let name = draft.name.map(|name| name.trim().to_owned());
    let name = name.filter(|name| !name.is_empty());
    check_text("name", name.as_deref().unwrap_or_default(), NAME_MAX)?;
    let server = draft.server.filter(|id| !id.is_empty());
    check_text(
        "client id",
        server.as_deref().unwrap_or_default(),
        CLIENT_ID_MAX,
    )?;
    if draft.scopes.len() > SCOPES_MAX {
        return Err(Error::Invalid(format!(
            "A resource has at most {SCOPES_MAX} scopes"
        )));
    }
    let (mut scopes, mut scope_roles) = (Vec::<DescribedScope>::new(), Vec::new());
    for scope in draft.scopes {
        let (scope, roles) = checked_scope(scope, known_roles)?;
        if scopes.iter().any(|other| other.name == scope.name) {
            let name = scope.name.name();
            return Err(Error::Invalid(format!("The scope {name} is repeated")));
        }
        scopes.push(scope);
        scope_roles.push(roles);
    }
    Ok(StoredResource {
        id: id.clone(),
        created_at,
        updated_at,
        resource: Resource {
            url: draft.url,
            name,
            scopes,
            id: Some(id),
        },
        server,
        roles: scope_roles,
    })
}

/// Checks a scope, and returns the scope with the roles that give the scope.
fn checked_scope(
    draft: DraftScope,
    known_roles: &[Role],
) -> Result<(DescribedScope, Vec<RoleId>), Error> {
    check_text("description", &draft.description, DESCRIPTION_MAX)?;
    let scope = DescribedScope {
        name: scope_name(&draft.name)?,
        description: draft.description.trim().to_owned(),
    };
    let roles = draft.roles;
    let roles = roles.unwrap_or_else(|| vec![RoleId::new(MEMBER_ROLE)]);
    let is_known = |role: &RoleId| known_roles.iter().any(|known| known.id == *role);
    if let Some(role) = roles.iter().find(|role| !is_known(role)) {
        let description = format!("There is no role with the id {role}");
        return Err(Error::Invalid(description));
    }
    Ok((scope, roles))
}

fn scope_name(name: &str) -> Result<ScopeName, Error> {
    let name_of_resource = ScopeName::from_name(name).filter(ScopeName::is_of_resource);
    name_of_resource.ok_or_else(|| {
        Error::Invalid(format!(
            "The scope {name:?} must have a colon, a dot or a slash, as in tools:read, at most 64 \
             characters, and no spaces, quotes or backslashes"
        ))
    })
}

fn check_text(what: &str, text: &str, max: usize) -> Result<(), Error> {
    if text.chars().count() > max {
        return Err(Error::Invalid(format!(
            "{what} has more than {max} characters"
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::Invalid(format!("{what} has control characters")));
    }
    Ok(())
}

/// Explains a failed write. A taken value is the URL, or a scope.
fn of_write(error: store::Error) -> Error {
    match error {
        store::Error::Taken(_) => Error::Taken(
            "The resource, or one of its scopes at another resource, exists already".to_owned(),
        ),
        store::Error::Gone => Error::Missing,
        error => error.into(),
    }
}
