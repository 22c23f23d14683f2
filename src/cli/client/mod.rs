//! `client`: applications that people sign in to.

mod block;
mod create;
mod errors;
mod keys;
mod pages;
mod shown;
mod update;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use time::Duration;

use super::{Error, arguments, open, output};
use crate::clients::{builtin, fapi, secrets};
use crate::config::Config;
use crate::context::Context;
use crate::ids::ClientRowId;
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::store::audit::{self, Entry, Event};
use crate::store::client_deletion;
use crate::store::client_details;
use crate::store::client_keys;
use crate::store::clients;
use crate::store::{self};
use shown::Shown;

/// Commands for applications.
#[derive(Debug, Subcommand)]
pub(super) enum Client {
    Create(Box<create::Create>),
    Update(Box<update::Update>),
    List(List),
    Show(Show),
    Delete(Delete),
    RotateSecret(RotateSecret),
    #[command(name = "errors")]
    ListErrors(errors::ListErrors),
    Block(block::Block),
    Unblock(block::Unblock),
    #[command(name = "blocked")]
    ListBlocked(block::ListBlocked),
}

/// List every application.
#[derive(Args, Debug)]
pub(super) struct List {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Show an application.
#[derive(Args, Debug)]
pub(super) struct Show {
    /// The client id.
    client_id: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Delete an application with its requests, codes and refresh tokens.
///
/// Access tokens that a Storyden checks by itself stay valid until expiry.
#[derive(Args, Debug)]
pub(super) struct Delete {
    /// The client id.
    client_id: String,
    /// Delete without asking.
    #[arg(long)]
    yes: bool,
}

/// Replace the secret of a confidential application and print the new secret, once.
///
/// The old secret stops at once, or after --overlap, during which both are valid.
#[derive(Args, Debug)]
#[command(after_help = "Example: storyden-auth client rotate-secret my-app --overlap 24h")]
pub(super) struct RotateSecret {
    /// The client id.
    client_id: String,
    /// Time during which the old secret stays valid, for example 24h; at most 168h [default: 0].
    #[arg(long, value_name = "DURATION", value_parser = arguments::overlap)]
    overlap: Option<Duration>,
    /// Replace without asking.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Client {
    /// Runs the command.
    pub(super) async fn run(self, config: Config) -> Result<ExitCode, Error> {
        let context = open(config).await?;
        match self {
            Self::Create(create) => create.run(&context).await,
            Self::Update(update) => update.run(&context).await,
            Self::List(list) => list.run(&context).await,
            Self::Show(show) => show.run(&context).await,
            Self::Delete(delete) => delete.run(&context).await,
            Self::RotateSecret(rotate) => rotate.run(&context).await,
            Self::ListErrors(list) => list.run(&context).await,
            Self::Block(block) => block.run(&context).await,
            Self::Unblock(unblock) => unblock.run(&context).await,
            Self::ListBlocked(list) => list.run(&context).await,
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let owners = clients::owners(&context.db).await?;
        let shown = clients::list(&context.db).await?.into_iter().map(|client| {
            let owner = owners
                .iter()
                .find(|owner| Some(&owner.id) == client.owner.as_ref());
            Shown::new(client, owner.map(|owner| owner.handle.clone()))
        });
        if self.json {
            return output::print_json(&shown.collect::<Vec<_>>());
        }
        let rows = shown.map(|client| {
            let owner = client.owner.unwrap_or_default();
            let grants = client.allowed_grants.join(" ");
            [
                client.client_id,
                client.name,
                client.kind.to_owned(),
                owner,
                grants,
            ]
        });
        output::print(&output::table(
            ["CLIENT ID", "NAME", "TYPE", "OWNER", "GRANTS"],
            rows,
        ))
    }
}

impl Show {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let client = find(context, &self.client_id).await?;
        show(context, client).await?.print(self.json)
    }
}

/// Reads everything about an application that is shown.
async fn show(context: &Context, client: clients::Client) -> Result<Shown, Error> {
    let owner = clients::owner(&context.db, &client.row_id).await?;
    let details = client_details::find(&context.db, &client.row_id).await?;
    let keys = client_keys::find(&context.db, &client.row_id).await?;
    let contradictions = fapi::contradictions(&context.config, &client, &keys);
    let shown = Shown::new(client, owner.map(|owner| owner.handle));
    Ok(shown.with_details(details).with_keys(keys, contradictions))
}

impl Delete {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let client = find(context, &self.client_id).await?;
        let (id, name) = (client.client_id, output::clean(&client.name));
        if !self.yes {
            let question = format!("Delete {id} ({name}) and all its refresh tokens?");
            match output::confirm(&question)? {
                Some(true) => {}
                Some(false) => return Err(Error::because("nothing was deleted")),
                None => {
                    return Err(Error::because("nothing was deleted; confirm with --yes"));
                }
            }
        }
        let entry = entry(context, Event::ClientDeleted, &id, &client.row_id);
        context
            .db
            .write((client.row_id, entry), |tx, (id, entry)| {
                Box::pin(async move {
                    if client_deletion::delete(tx, id, entry.at).await? {
                        audit::insert(tx, entry).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        output::note(&format!("{id} is deleted"));
        if id == builtin::CLIENT_ID {
            output::note(
                "The client is built in and is created again at the next use; \
                 OAUTH_CLI_ENABLED=false disables it",
            );
        }
        Ok(())
    }
}

impl RotateSecret {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let client = find(context, &self.client_id).await?;
        if client.kind == ClientType::Public {
            let id = client.client_id;
            return Err(Error::because(format!(
                "{id} is a public client and has no secret"
            )));
        }
        if !client.has_secret() {
            let id = client.client_id;
            return Err(Error::because(format!(
                "{id} authenticates with its key and has no secret; `client update {id} --jwks FILE` replaces the key"
            )));
        }
        if self.overlap.is_none() {
            let id = &client.client_id;
            output::agree(
                &format!("Replace the secret of {id}? The old secret stops at once"),
                self.yes,
            )?;
        }
        let overlap = self.overlap.unwrap_or(Duration::ZERO);
        let now = context.clock.now();
        let entry = Entry::new(Event::ClientSecretRotated, now).client(&client.client_id);
        let rotated = secrets::rotate(context, &client, overlap, entry, None).await;
        let secret = rotated.map_err(|error| match error {
            secrets::Error::Hashing(error) => error.into(),
            secrets::Error::Store(store::Error::Gone) => no_client(&self.client_id),
            secrets::Error::Store(error) => error.into(),
        })?;
        let old_until = self.overlap.map(|overlap| (now + overlap).to_rfc3339());
        if self.json {
            let mut answer = serde_json::json!({
                "client_id": client.client_id,
                "client_secret": secret.reveal(),
            });
            if let Some(until) = old_until {
                answer["old_secret_until"] = until.into();
            }
            return output::print_json(&answer);
        }
        let mut facts = vec![
            ("client_id", client.client_id),
            (
                "client_secret",
                format!("{}   (shown this once)", secret.reveal()),
            ),
        ];
        facts.extend(old_until.map(|until| ("old secret", format!("valid until {until}"))));
        output::print(&output::facts(facts))
    }
}

/// Joins the names of grants for a sentence.
fn grant_names(grants: &[GrantType]) -> String {
    grants
        .iter()
        .map(|grant| grant.stored_name())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Builds the audit event of an operator's action on an application.
fn entry(context: &Context, event: Event, client_id: &str, row: &ClientRowId) -> Entry {
    Entry::new(event, context.clock.now())
        .client(client_id)
        .subject(row)
}

/// Finds the application of a client id from the command line.
pub(super) async fn find(context: &Context, client_id: &str) -> Result<clients::Client, Error> {
    let client = clients::find(&context.db, client_id).await?;
    client.ok_or_else(|| no_client(client_id))
}

fn no_client(client_id: &str) -> Error {
    Error::because(format!(
        "no client has the id {client_id:?}; `client list` shows all"
    ))
}
