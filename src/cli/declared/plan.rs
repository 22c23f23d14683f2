//! The difference between a file and the database.

use serde::Serialize;

use super::clients;
use super::file::{Declared, DeclaredResource, DeclaredRole};
use super::steps::{Change, Step, difference};
use crate::cli::role::keeps_administrators;
use crate::cli::{Error, arguments};
use crate::context::Context;
use crate::ids::{ResourceId, RoleId};
use crate::oauth::permission::{Permission, PermissionSet};
use crate::resources::{self, Draft, DraftScope};
use crate::store::issuers;
use crate::store::resources::{self as rows, StoredResource};
use crate::store::roles::{self, Role};

/// The changes that make the database equal to the file, in order.
pub(super) struct Plan {
    pub(super) changes: Vec<Change>,
}

/// A plan as JSON.
#[derive(Serialize)]
pub(super) struct Shown {
    changes: Vec<ShownChange>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<ShownSecret>,
}

#[derive(Serialize)]
struct ShownChange {
    change: &'static str,
    kind: &'static str,
    name: String,
    details: Vec<String>,
}

#[derive(Serialize)]
struct ShownSecret {
    client_id: String,
    client_secret: String,
}

impl Shown {
    /// Adds the generated secrets.
    pub(super) fn set_secrets(&mut self, secrets: Vec<(String, String)>) {
        let shown = secrets
            .into_iter()
            .map(|(client_id, client_secret)| ShownSecret {
                client_id,
                client_secret,
            });
        self.secrets = shown.collect();
    }
}

impl Plan {
    /// Compares a file with the database.
    pub(super) async fn of(context: &Context, declared: &Declared) -> Result<Self, Error> {
        let mut changes = Vec::new();
        let mut known_roles = roles::list(&context.db).await?;
        for role in &declared.roles {
            changes.extend(role_change(context, role, &mut known_roles)?);
        }
        let mut stored = rows::list(&context.db).await?;
        for resource in &declared.resources {
            changes.extend(resource_change(
                context,
                resource,
                &known_roles,
                &mut stored,
            )?);
        }
        let mut known_issuers = issuers::list(&context.db).await?;
        for issuer in &declared.issuers {
            let change = super::issuers::change(context, issuer, &mut known_issuers);
            changes.extend(change.map_err(|error| of_entry("issuer", &issuer.url, error))?);
        }
        for client in &declared.clients {
            let change = clients::change(context, client, &stored).await;
            let change = change.map_err(|error| of_entry("client", &client.id, error))?;
            changes.extend(change);
        }
        Ok(Self { changes })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Formats the plan: `+` for a new entry, `~` for a change.
    pub(super) fn text(&self) -> String {
        if self.is_empty() {
            return "no changes: the database is equal to the file".to_owned();
        }
        let mut lines = Vec::new();
        for change in &self.changes {
            let mark = if change.is_new { "+" } else { "~" };
            lines.push(format!("{mark} {} {}", change.kind, change.name));
            lines.extend(change.details.iter().map(|detail| format!("    {detail}")));
        }
        lines.join("\n")
    }

    /// Formats the plan as JSON.
    pub(super) fn shown(&self) -> Shown {
        let shown = self.changes.iter().map(|change| ShownChange {
            change: if change.is_new { "create" } else { "update" },
            kind: change.kind,
            name: change.name.clone(),
            details: change.details.clone(),
        });
        Shown {
            changes: shown.collect(),
            secrets: Vec::new(),
        }
    }
}

/// Names the entry of an error.
fn of_entry(kind: &str, name: &str, error: Error) -> Error {
    match error {
        Error::Other(text) => Error::because(format!("{kind} {name}: {text}")),
        error => error,
    }
}

fn role_change(
    context: &Context,
    declared: &DeclaredRole,
    known: &mut Vec<Role>,
) -> Result<Option<Change>, Error> {
    let refused = |text: String| of_entry("role", &declared.name, Error::because(text));
    let name = arguments::name(&declared.name).map_err(refused)?;
    let permissions = declared.permissions.iter();
    let permissions = permissions.map(|name| arguments::permission(name));
    let permissions: PermissionSet = permissions.collect::<Result<_, _>>().map_err(refused)?;
    let found = known
        .iter_mut()
        .find(|role| role.name.eq_ignore_ascii_case(&name));
    let (role, before) = match found {
        Some(role) if role.permissions == permissions => return Ok(None),
        Some(role) => {
            let before = names(role.permissions);
            role.permissions = permissions;
            keeps_administrators(role).map_err(|error| of_entry("role", &declared.name, error))?;
            (role.clone(), Some(before))
        }
        None => {
            let role = Role {
                id: RoleId::generate(context.clock.now()),
                name,
                permissions,
            };
            known.push(role.clone());
            (role, None)
        }
    };
    let after = names(permissions);
    Ok(Some(Change {
        is_new: before.is_none(),
        kind: "role",
        name: role.name.clone(),
        details: vec![difference(
            "permissions",
            &before.unwrap_or_default(),
            &after,
        )],
        step: Step::Role(role),
    }))
}

fn names(permissions: PermissionSet) -> String {
    let names: Vec<&str> = permissions.iter().map(Permission::name).collect();
    names.join(" ")
}

fn resource_change(
    context: &Context,
    declared: &DeclaredResource,
    known_roles: &[Role],
    stored: &mut Vec<StoredResource>,
) -> Result<Option<Change>, Error> {
    let refused = |error: resources::Error| match error {
        resources::Error::Store(error) => error.into(),
        error => of_entry("resource", &declared.url, Error::because(error.to_string())),
    };
    let draft = draft_of(declared, known_roles)?;
    let now = context.clock.now();
    let place = stored
        .iter()
        .position(|one| one.resource.url == declared.url);
    let before = place.and_then(|place| stored.get(place)).cloned();
    let new = if let Some(before) = &before {
        let times = (before.created_at, now);
        resources::check(draft, before.id.clone(), times, known_roles)
    } else {
        resources::check_new(context, stored, &draft.url).map_err(refused)?;
        resources::check(draft, ResourceId::generate(now), (now, now), known_roles)
    };
    let new = new.map_err(refused)?;
    let details = differences(before.as_ref(), &new, known_roles);
    if before.is_some() && details.is_empty() {
        return Ok(None);
    }
    let is_new = before.is_none();
    match place.and_then(|place| stored.get_mut(place)) {
        Some(place) => *place = new.clone(),
        None => stored.push(new.clone()),
    }
    let step = if is_new {
        Step::NewResource(new)
    } else {
        Step::Resource(new)
    };
    Ok(Some(Change {
        is_new,
        kind: "resource",
        name: declared.url.clone(),
        details,
        step,
    }))
}

fn draft_of(declared: &DeclaredResource, known_roles: &[Role]) -> Result<Draft, Error> {
    let mut scopes = Vec::with_capacity(declared.scopes.len());
    for scope in &declared.scopes {
        let mut roles = Vec::with_capacity(scope.roles.len());
        for name in &scope.roles {
            let role = known_roles
                .iter()
                .find(|role| role.name.eq_ignore_ascii_case(name));
            let role = role.ok_or_else(|| {
                let text = format!("scope {}: no role is called {name:?}", scope.name);
                of_entry("resource", &declared.url, Error::because(text))
            })?;
            roles.push(role.id.clone());
        }
        scopes.push(DraftScope {
            name: scope.name.clone(),
            description: scope.description.clone(),
            roles: Some(roles),
        });
    }
    Ok(Draft {
        url: declared.url.clone(),
        name: declared.name.clone(),
        server: declared.server.clone(),
        scopes,
    })
}

/// The differences of two resources; all properties of a new one.
fn differences(
    before: Option<&StoredResource>,
    after: &StoredResource,
    known: &[Role],
) -> Vec<String> {
    let name = |one: &StoredResource| one.resource.name.clone().unwrap_or_default();
    let mut lines = Vec::new();
    let name_before = before.map(name).unwrap_or_default();
    if name_before != name(after) {
        lines.push(difference("name", &name_before, &name(after)));
    }
    let server = |one: &StoredResource| one.server.clone().unwrap_or_default();
    let server_before = before.map(server).unwrap_or_default();
    if server_before != server(after) {
        lines.push(difference("server", &server_before, &server(after)));
    }
    let old = before
        .map(|before| scope_lines(before, known))
        .unwrap_or_default();
    let new = scope_lines(after, known);
    lines.extend(
        old.iter()
            .filter(|line| !new.contains(line))
            .map(|line| format!("- scope {line}")),
    );
    lines.extend(
        new.iter()
            .filter(|line| !old.contains(line))
            .map(|line| format!("+ scope {line}")),
    );
    lines
}

/// A line per scope: name, sentence and roles.
fn scope_lines(resource: &StoredResource, known: &[Role]) -> Vec<String> {
    let scopes = resource.resource.scopes.iter().zip(&resource.roles);
    let line = scopes.map(|(scope, roles)| {
        let role_name = |id: &RoleId| {
            let role = known.iter().find(|role| role.id == *id);
            role.map_or_else(|| id.to_string(), |role| role.name.clone())
        };
        let mut roles: Vec<String> = roles.iter().map(role_name).collect();
        roles.sort();
        let (name, roles) = (scope.name.name(), roles.join(", "));
        format!("{name} {:?}, given by {roles}", scope.description)
    });
    line.collect()
}
