//! `client`: applications that people sign in to.

mod block;
mod create;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use time::Duration;

use super::{Error, arguments, open, output};
use crate::clients::{builtin, secrets};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::context::Context;
use crate::ids::ClientRowId;
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::store::audit::{self, Entry, Event};
use crate::store::client_deletion;
use crate::store::client_details::{self, Details};
use crate::store::clients::{self, policy_name};
use crate::store::{self};

/// The cost of an exemption from PKCE.
pub(super) const PKCE_EXEMPTION: &str = "without PKCE, a code that is stolen from a redirect can be \
    injected into another user's session (RFC 9700 §4.5); only the client secret and a nonce protect \
    the application. Require PKCE as soon as the library of the application supports it";

/// Commands for applications.
#[derive(Debug, Subcommand)]
pub(super) enum Client {
    Create(Box<create::Create>),
    List(List),
    Show(Show),
    Delete(Delete),
    RotateSecret(RotateSecret),
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
            Self::List(list) => list.run(&context).await,
            Self::Show(show) => show.run(&context).await,
            Self::Delete(delete) => delete.run(&context).await,
            Self::RotateSecret(rotate) => rotate.run(&context).await,
            Self::Block(block) => block.run(&context).await,
            Self::Unblock(unblock) => unblock.run(&context).await,
            Self::ListBlocked(list) => list.run(&context).await,
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

/// An application in the output.
#[derive(Serialize)]
pub(super) struct Shown {
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    id: ClientRowId,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    scope_policy: &'static str,
    allowed_scopes: Vec<String>,
    allowed_grants: Vec<&'static str>,
    redirect_uris: Vec<String>,
    pkce_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    require_pushed_authorization_requests: Option<bool>,
    dpop_bound_access_tokens: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    post_logout_redirect_uris: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token_signed_response_alg: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token_signed_response_alg: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    userinfo_signed_response_alg: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    created_at: Timestamp,
}

impl Shown {
    /// Converts a client; `owner` is a handle.
    fn new(client: clients::Client, owner: Option<String>) -> Self {
        let algorithms = client.algorithms;
        let name = |algorithm: Option<SigningAlgorithm>| algorithm.map(SigningAlgorithm::name);
        Self {
            client_id: client.client_id,
            client_secret: None,
            id: client.row_id,
            name: client.name,
            kind: client.kind.name(),
            scope_policy: policy_name(client.scope.policy),
            allowed_scopes: client
                .scope
                .allowed
                .names()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            allowed_grants: client
                .grants
                .iter()
                .map(|grant| grant.stored_name())
                .collect(),
            redirect_uris: client.redirect_uris,
            pkce_required: client.pkce_required || client.kind == ClientType::Public,
            require_pushed_authorization_requests: client.request_protection.pushed.then_some(true),
            dpop_bound_access_tokens: client.dpop_bound,
            post_logout_redirect_uris: Vec::new(),
            id_token_signed_response_alg: name(algorithms.id_token),
            access_token_signed_response_alg: name(algorithms.access_token),
            userinfo_signed_response_alg: name(algorithms.userinfo),
            owner,
            created_at: client.created_at,
        }
    }

    /// Adds the metadata without a column in Storyden's table.
    fn with_details(mut self, details: Details) -> Self {
        self.post_logout_redirect_uris = details.post_logout_redirect_uris;
        self
    }

    fn print(&self, json: bool) -> Result<(), Error> {
        if json {
            return output::print_json(self);
        }
        let text = |name: Option<&'static str>| name.unwrap_or_default().to_owned();
        let mut facts = vec![("client_id", self.client_id.clone())];
        if let Some(secret) = &self.client_secret {
            facts.push(("client_secret", format!("{secret}   (shown this once)")));
        }
        facts.extend([
            ("name", self.name.clone()),
            ("type", self.kind.to_owned()),
            ("scope policy", self.scope_policy.to_owned()),
            ("scopes", self.allowed_scopes.join(" ")),
            ("grants", self.allowed_grants.join(" ")),
            ("redirect URIs", self.redirect_uris.join("\n")),
            (
                "PKCE",
                if self.pkce_required {
                    "required".to_owned()
                } else {
                    format!("not required: {PKCE_EXEMPTION}")
                },
            ),
            (
                "pushed requests",
                self.require_pushed_authorization_requests
                    .map_or("", |_| "required")
                    .to_owned(),
            ),
            (
                "DPoP",
                if self.dpop_bound_access_tokens {
                    "required".to_owned()
                } else {
                    "optional".to_owned()
                },
            ),
            (
                "after signing out",
                self.post_logout_redirect_uris.join("\n"),
            ),
            (
                "ID token algorithm",
                text(self.id_token_signed_response_alg),
            ),
            (
                "access token algorithm",
                text(self.access_token_signed_response_alg),
            ),
            ("signed userinfo", text(self.userinfo_signed_response_alg)),
            ("owner", self.owner.clone().unwrap_or_default()),
            ("created", self.created_at.to_rfc3339()),
        ]);
        output::print(&output::facts(facts))
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
        let owner = clients::owner(&context.db, &client.row_id).await?;
        let details = client_details::find(&context.db, &client.row_id).await?;
        let shown = Shown::new(client, owner.map(|owner| owner.handle));
        shown.with_details(details).print(self.json)
    }
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
