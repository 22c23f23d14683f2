//! `resource`: other resources that tokens may be for (RFC 8707), with scopes that roles give.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Error, open, output};
use crate::config::Config;
use crate::context::Context;
use crate::ids::RoleId;
use crate::resources::{self, Draft, DraftScope, Shown};
use crate::store::audit::{Entry, Event};
use crate::store::resources::{self as rows, StoredResource};
use crate::store::roles;

/// Commands for resources.
#[derive(Debug, Subcommand)]
pub(super) enum Resource {
    Add(Add),
    List(List),
    Set(Set),
    Metadata(Metadata),
    Remove(Remove),
}

/// The scopes of a resource.
#[derive(Args, Debug)]
struct Scopes {
    /// Scope of the resource, with a colon, a dot or a slash, and a sentence for the consent page, for
    /// example `tools:read=Read your tools`; repeatable.
    #[arg(long = "scope", value_name = "NAME[=SENTENCE]")]
    scopes: Vec<String>,
    /// Role that gives the scopes of this command; repeatable [default: Member, the role of every
    /// member].
    #[arg(long = "role", value_name = "ROLE", requires = "scopes")]
    roles: Vec<String>,
}

/// Add a resource, and print the metadata document that its server should serve (RFC 9728).
///
/// Clients name the resource in the parameter `resource`, and get tokens for that resource alone. A
/// token has the scopes that the client requested, the member approved, and the member's roles give.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: storyden-auth resource add https://tools.example/mcp --name Tools --scope 'tools:read=Read your tools'"
)]
pub(super) struct Add {
    /// The URL of the resource, as in <https://tools.example/mcp>.
    url: String,
    /// Name on the consent page.
    #[arg(long)]
    name: Option<String>,
    /// Client id of the server of the resource, a confidential application: it may exchange tokens for the
    /// resource (RFC 8693), with `OAUTH_TOKEN_EXCHANGE`.
    #[arg(long, value_name = "CLIENT_ID")]
    server: Option<String>,
    #[command(flatten)]
    scopes: Scopes,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// List every resource.
#[derive(Args, Debug)]
pub(super) struct List {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Change the name of a resource, or add scopes and change their sentences and roles.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: storyden-auth resource set https://tools.example/mcp --scope 'tools:write=Change your tools' --role Developers"
)]
pub(super) struct Set {
    /// The URL of the resource.
    url: String,
    /// Name on the consent page.
    #[arg(long)]
    name: Option<String>,
    /// Client id of the server of the resource, which may exchange tokens for the resource; an empty text: none.
    #[arg(long, value_name = "CLIENT_ID")]
    server: Option<String>,
    #[command(flatten)]
    scopes: Scopes,
    /// Scope to remove from the resource; repeatable.
    #[arg(long, value_name = "NAME")]
    remove_scope: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Print the metadata document that the server of a resource should serve (RFC 9728).
#[derive(Args, Debug)]
pub(super) struct Metadata {
    /// The URL of the resource.
    url: String,
}

/// Remove a resource with its scopes. Tokens for the resource expire, and no further tokens are issued.
#[derive(Args, Debug)]
pub(super) struct Remove {
    /// The URL of the resource.
    url: String,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
}

impl Resource {
    /// Runs the command.
    pub(super) async fn run(self, config: Config) -> Result<ExitCode, Error> {
        let context = open(config).await?;
        match self {
            Self::Add(add) => add.run(&context).await?,
            Self::List(list) => list.run(&context).await?,
            Self::Set(set) => set.run(&context).await?,
            Self::Metadata(metadata) => metadata.run(&context).await?,
            Self::Remove(remove) => return remove.run(&context).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Add {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let draft = Draft {
            url: self.url,
            name: self.name,
            server: self.server,
            scopes: self.scopes.drafts(context).await?,
        };
        let entry = Entry::new(Event::ResourceCreated, context.clock.now());
        let stored = resources::create(context, draft, entry).await;
        print_changed(context, &stored.map_err(told)?, self.json)
    }
}

impl Scopes {
    async fn drafts(&self, context: &Context) -> Result<Vec<DraftScope>, Error> {
        let roles = match self.roles.as_slice() {
            [] => None,
            names => Some(find_roles(context, names).await?),
        };
        let draft = |text: &String| {
            let (name, sentence) = text.split_once('=').unwrap_or((text, ""));
            DraftScope {
                name: name.to_owned(),
                description: sentence.to_owned(),
                roles: roles.clone(),
            }
        };
        Ok(self.scopes.iter().map(draft).collect())
    }
}

async fn find_roles(context: &Context, names: &[String]) -> Result<Vec<RoleId>, Error> {
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let role = roles::find(&context.db, name).await?;
        let role = role.ok_or_else(|| {
            Error::because(format!(
                "--role: no role is called {name:?}; `role list` shows all"
            ))
        })?;
        ids.push(role.id);
    }
    Ok(ids)
}

impl List {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let shown = resources::list(context).await?;
        if self.json {
            return output::print_json(&shown);
        }
        if shown.is_empty() {
            output::note("There are no resources; `resource add` adds one.");
            return Ok(());
        }
        let rows = shown.iter().map(|one| {
            [
                one.url().to_owned(),
                one.name().to_owned(),
                one.scope_names().join(" "),
            ]
        });
        output::print(&output::table(["URL", "NAME", "SCOPES"], rows))
    }
}

impl Set {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let before = find(context, &self.url).await?;
        let given = self.scopes.drafts(context).await?;
        let kept = before.resource.scopes.iter().zip(&before.roles);
        let kept = kept.map(|(scope, roles)| DraftScope {
            name: scope.name.name().to_owned(),
            description: scope.description.clone(),
            roles: Some(roles.clone()),
        });
        let is_kept = |scope: &DraftScope| {
            !self.remove_scope.contains(&scope.name)
                && given.iter().all(|given| given.name != scope.name)
        };
        let mut scopes: Vec<DraftScope> = kept.filter(is_kept).collect();
        for scope in given {
            scopes.push(with_old_sentence(scope, &before));
        }
        let draft = Draft {
            url: before.resource.url.clone(),
            name: self.name.or_else(|| before.resource.name.clone()),
            server: self.server.or_else(|| before.server.clone()),
            scopes,
        };
        let entry = Entry::new(Event::ResourceUpdated, context.clock.now());
        let stored = resources::replace(context, &before, draft, entry).await;
        print_changed(context, &stored.map_err(told)?, self.json)
    }
}

/// Keeps the sentence of a scope for which the command has none.
fn with_old_sentence(mut scope: DraftScope, before: &StoredResource) -> DraftScope {
    let mut known = before.resource.scopes.iter();
    let old = known.find(|known| known.name.name() == scope.name);
    if let Some(old) = old.filter(|_| scope.description.is_empty()) {
        scope.description.clone_from(&old.description);
    }
    scope
}

impl Metadata {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let shown = resources::list(context).await?;
        let found = shown.iter().find(|one| one.url() == self.url);
        let found = found.ok_or_else(|| unknown(&self.url))?;
        print_document(found)
    }
}

impl Remove {
    async fn run(self, context: &Context) -> Result<ExitCode, Error> {
        let stored = find(context, &self.url).await?;
        let question = format!(
            "Remove the resource {} with {} scopes?",
            stored.resource.url,
            stored.resource.scopes.len()
        );
        if !self.yes && output::confirm(&question)? != Some(true) {
            output::note("Nothing was removed; --yes removes without asking.");
            return Ok(ExitCode::FAILURE);
        }
        let entry = Entry::new(Event::ResourceDeleted, context.clock.now());
        resources::delete(context, &stored.id, entry)
            .await
            .map_err(told)?;
        output::note("The resource is removed.");
        Ok(ExitCode::SUCCESS)
    }
}

/// Finds a resource of the database by URL.
async fn find(context: &Context, url: &str) -> Result<StoredResource, Error> {
    let stored = rows::list(&context.db).await?;
    let found = stored.into_iter().find(|stored| stored.resource.url == url);
    found.ok_or_else(|| unknown(url))
}

fn unknown(url: &str) -> Error {
    Error::because(format!(
        "There is no resource {url}; `resource list` shows all. Resources of OAUTH_RESOURCES are \
         changed there, or given a name and scopes with `resource add`"
    ))
}

fn told(error: resources::Error) -> Error {
    match error {
        resources::Error::Store(error) => error.into(),
        error => Error::because(error.to_string()),
    }
}

fn print_changed(context: &Context, stored: &StoredResource, json: bool) -> Result<(), Error> {
    let shown = Shown::stored(context, stored);
    if json {
        return output::print_json(&shown);
    }
    print_document(&shown)
}

/// Prints the metadata document on stdout, and its address on stderr.
fn print_document(shown: &Shown) -> Result<(), Error> {
    let (document, url) = shown.document();
    if let Some(url) = url {
        output::note(&format!(
            "The server of the resource should serve this document at {url}, and name that address \
             in a 401: WWW-Authenticate: Bearer resource_metadata=\"{url}\""
        ));
    }
    output::print_json(document)
}
