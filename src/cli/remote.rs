//! `remote`: connections to remote servers.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::account::find as find_account;
use super::{Error, open, output};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::context::Context;
use crate::ids::RemoteConnectionId;
use crate::oauth::permission::Permission;
use crate::remote::authorize::{self as flow, Started};
use crate::remote::connect::{self, Manual, Wanted};
use crate::remote::discovery::Mode;
use crate::remote::{self, Shown, tokens};
use crate::secret::Secret;
use crate::store::accounts::Account;
use crate::store::audit::{self, Entry, Event};
use crate::store::remote as rows;

/// Commands for connections.
#[derive(Debug, Subcommand)]
pub(super) enum Remote {
    List(List),
    Show(Show),
    Connect(Box<Connect>),
    Authorize(Authorize),
    Token(Token),
    Delete(Delete),
}

/// List the connections, newest first.
#[derive(Args, Debug)]
pub(super) struct List {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Show a connection: never a secret or a token.
#[derive(Args, Debug)]
pub(super) struct Show {
    /// Connection id, from `remote list`.
    id: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Create a connection to a protected resource, and print the authorization URL.
///
/// Discovers the resource's authorization server and becomes a client there: by this community's
/// metadata document, by registration, or with given credentials (--client-id). Open the printed URL in
/// a browser in which the account is signed in here.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: storyden-auth remote connect https://tools.example/mcp --as odin --scope 'tools:read'"
)]
pub(super) struct Connect {
    /// The URL of the resource, as in <https://tools.example/mcp>.
    resource_url: String,
    /// Handle of the authorizing account; requires `MANAGE_ROBOTS`.
    #[arg(long = "as", value_name = "HANDLE")]
    account: String,
    /// Requested scope, separated by spaces; by default the scope that the resource requests.
    #[arg(long)]
    scope: Option<String>,
    /// Client mode.
    #[arg(long, value_enum)]
    mode: Option<CliMode>,
    /// The chosen authorization server, if the resource lists several.
    #[arg(long, value_name = "URL")]
    authorization_server: Option<String>,
    /// Manual mode: the client id at the remote server.
    #[arg(long, requires = "authorization_endpoint", requires = "token_endpoint")]
    client_id: Option<String>,
    /// Manual mode: the client secret, from the first line of standard input.
    #[arg(long, requires = "client_id")]
    client_secret_stdin: bool,
    /// Manual mode: the authorization endpoint.
    #[arg(long, value_name = "URL", requires = "client_id")]
    authorization_endpoint: Option<String>,
    /// Manual mode: the token endpoint.
    #[arg(long, value_name = "URL", requires = "client_id")]
    token_endpoint: Option<String>,
    /// Manual mode: how the secret is sent, `client_secret_basic` (the default) or `client_secret_post`.
    #[arg(long, value_name = "METHOD", requires = "client_secret_stdin")]
    token_endpoint_auth_method: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The way in which this community becomes a client of a remote server.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum CliMode {
    /// By this community's own metadata document.
    Cimd,
    /// By dynamic client registration.
    Dcr,
}

/// Print the URL that authorizes a connection again, also with further scopes.
///
/// Open the printed URL in a browser in which the account is signed in here.
#[derive(Args, Debug)]
pub(super) struct Authorize {
    /// Connection id, from `remote list`.
    id: String,
    /// Handle of the authorizing account; requires `MANAGE_ROBOTS`.
    #[arg(long = "as", value_name = "HANDLE")]
    account: String,
    /// Scope of an `insufficient_scope` error, separated by spaces: joins the scope of the connection.
    #[arg(long)]
    scope: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Print a valid access token of a connection, refreshed if needed.
#[derive(Args, Debug)]
pub(super) struct Token {
    /// Connection id, from `remote list`.
    id: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Delete a connection and the tokens.
#[derive(Args, Debug)]
pub(super) struct Delete {
    /// Connection id, from `remote list`.
    id: String,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
}

impl Remote {
    /// Runs the command.
    pub(super) async fn run(self, config: Config) -> Result<ExitCode, Error> {
        let context = open(config).await?;
        match self {
            Self::List(list) => list.run(&context).await?,
            Self::Show(show) => show.run(&context).await?,
            Self::Connect(connect) => connect.run(&context).await?,
            Self::Authorize(authorize) => authorize.run(&context).await?,
            Self::Token(token) => token.run(&context).await?,
            Self::Delete(delete) => return delete.run(&context).await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn told(error: remote::Error) -> Error {
    match error {
        remote::Error::Store(error) => error.into(),
        error => Error::because(error.to_string()),
    }
}

async fn find(context: &Context, id: &str) -> Result<rows::Connection, Error> {
    let found = remote::find(context, &RemoteConnectionId::new(id)).await;
    found.map_err(|error| match error {
        remote::Error::Missing(_) => Error::because(format!(
            "There is no remote connection {id}; see `remote list`"
        )),
        error => told(error),
    })
}

impl List {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let rows = rows::list(&context.db).await?;
        let shown: Vec<Shown> = rows.into_iter().map(Shown::from).collect();
        if self.json {
            return output::print_json(&shown);
        }
        if shown.is_empty() {
            output::note("There are no remote connections; `remote connect` creates one.");
            return Ok(());
        }
        let rows = shown.into_iter().map(|one| {
            [
                one.id.to_string(),
                output::clean(&one.resource_url),
                one.mode,
                one.status,
                output::clean(&one.last_error.unwrap_or_default()),
            ]
        });
        output::print(&output::table(
            ["ID", "RESOURCE", "MODE", "STATUS", "WHY"],
            rows,
        ))
    }
}

impl Show {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let shown = Shown::from(find(context, &self.id).await?);
        if self.json {
            return output::print_json(&shown);
        }
        let text = |text: Option<String>| output::clean(&text.unwrap_or_else(|| "-".to_owned()));
        output::print(&output::facts([
            ("resource", output::clean(&shown.resource_url)),
            ("name", text(shown.resource_name)),
            ("status", shown.status),
            ("why", text(shown.last_error)),
            ("mode", shown.mode),
            ("authorization server", text(shown.authorization_server)),
            ("client id", text(shown.client_id)),
            ("scope", text(shown.scope)),
            ("granted scope", text(shown.granted_scope)),
            ("access token", output::yes(shown.has_access_token)),
            ("refresh token", output::yes(shown.has_refresh_token)),
            ("ends", text(shown.token_expiry.map(Timestamp::to_rfc3339))),
        ]))
    }
}

impl Connect {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let account = robot_manager(context, &self.account).await?;
        let manual = match self.client_id {
            Some(client_id) => Some(Manual {
                client_id,
                client_secret: self.client_secret_stdin.then(read_secret).transpose()?,
                authorization_endpoint: self.authorization_endpoint.unwrap_or_default(),
                token_endpoint: self.token_endpoint.unwrap_or_default(),
                token_endpoint_auth_method: self.token_endpoint_auth_method,
                redirect_uri: None,
                authorization_server: self.authorization_server.clone(),
                scope: None,
            }),
            None => None,
        };
        let mode = match self.mode {
            _ if manual.is_some() => Some(Mode::Manual),
            Some(CliMode::Cimd) => Some(Mode::Cimd),
            Some(CliMode::Dcr) => Some(Mode::Dcr),
            None => None,
        };
        let wanted = Wanted {
            resource_url: self.resource_url,
            mode,
            scope: self.scope,
            authorization_server: self.authorization_server,
            manual,
        };
        let entry = Entry::new(Event::RemoteCreated, context.clock.now()).of(&account.id);
        let row = Box::pin(connect::create(context, wanted, &account.id, entry)).await;
        let row = row.map_err(told)?;
        let started = Box::pin(flow::authorize(context, row, &account.id, None)).await;
        show(started.map_err(told)?, &account.handle, self.json)
    }
}

impl Authorize {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let account = robot_manager(context, &self.account).await?;
        let row = find(context, &self.id).await?;
        let started = Box::pin(flow::authorize(context, row, &account.id, self.scope)).await;
        show(started.map_err(told)?, &account.handle, self.json)
    }
}

/// Finds an account that may complete an authorization.
async fn robot_manager(context: &Context, handle: &str) -> Result<Account, Error> {
    let account = find_account(context, handle).await?;
    if !account.permissions.permits(Permission::ManageRobots) {
        let handle = account.handle;
        return Err(Error::because(format!(
            "{handle} lacks the permission MANAGE_ROBOTS and cannot complete the authorization; \
             choose another account, or assign a role with the permission to {handle} \
             (`role assign`)"
        )));
    }
    Ok(account)
}

/// Prints the authorization URL.
fn show(started: Started, handle: &str, json: bool) -> Result<(), Error> {
    let Started { connection, url } = started;
    if json {
        return output::print_json(&serde_json::json!({
            "connection": Shown::from(connection), "authorization_url": url.as_str(),
        }));
    }
    output::note(&format!(
        "Open this address within ten minutes, in a browser in which {handle} is signed in to this \
         server, to authorize the connection {}:",
        connection.id
    ));
    output::print(url.as_str())
}

/// Reads the first line of standard input.
fn read_secret() -> Result<Secret, Error> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| {
        Error::Io(
            "the secret cannot be read from standard input".to_owned(),
            error,
        )
    })?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n'])))
}

impl Token {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let row = find(context, &self.id).await?;
        let token = tokens::fresh(context, &row.id).await.map_err(told)?;
        let entry = Entry::new(Event::RemoteTokenGiven, context.clock.now()).subject(&row.id);
        let noted = context
            .db
            .write(entry, |tx, entry| Box::pin(audit::insert(tx, entry)));
        noted.await?;
        if self.json {
            return output::print_json(&serde_json::json!({
                "access_token": token.token.reveal(), "token_type": token.token_type,
                "expires_at": token.expiry, "scope": token.scope,
            }));
        }
        output::print(token.token.reveal())
    }
}

impl Delete {
    async fn run(self, context: &Context) -> Result<ExitCode, Error> {
        let row = find(context, &self.id).await?;
        let question = format!(
            "Delete the connection to {}?",
            output::clean(&row.resource_url)
        );
        if !self.yes && output::confirm(&question)? != Some(true) {
            output::note("Nothing was deleted; --yes deletes without asking.");
            return Ok(ExitCode::FAILURE);
        }
        let entry = Entry::new(Event::RemoteDeleted, context.clock.now()).subject(&row.id);
        let deleted = context.db.write((row.id, entry), |tx, (id, entry)| {
            Box::pin(async move {
                if rows::delete(tx, id).await? {
                    audit::insert(tx, entry).await?;
                }
                Ok(())
            })
        });
        deleted.await?;
        output::note("The connection is deleted.");
        Ok(ExitCode::SUCCESS)
    }
}
