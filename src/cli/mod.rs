//! The command line: a file per subcommand. Results go to stdout, logs and errors to stderr.

mod account;
mod archive;
mod arguments;
mod audit;
mod backup;
mod client;
mod database_advice;
mod declared;
mod demo;
mod doctor;
mod grant;
mod healthcheck;
mod issuer;
mod key;
mod login;
mod migrate;
mod openapi;
mod output;
mod password;
mod progress;
mod remote;
mod resource;
mod restore;
mod role;
mod serve;
mod session;
mod shell_files;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Fault};
use crate::context::{self, Context, Environment};
use crate::passwords;
use crate::{keys, signing_keys, store, telemetry};

/// The OAuth 2.0 and OpenID Connect authorization server of a Storyden community.
///
/// Without a command, the server runs. Settings come from the environment; `config/storyden-auth.env`
/// lists all. To try a demo: `storyden-auth demo`.
#[derive(Debug, Parser)]
#[command(name = "storyden-auth", version, arg_required_else_help = false)]
pub struct Cli {
    /// A file of NAME=value lines, like config/storyden-auth.env; the environment takes precedence.
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Login(login::Login),
    Migrate(migrate::Migrate),
    Backup(backup::Backup),
    Restore(restore::Restore),
    /// Members' accounts: create, list, show, suspend, reinstate, sign out, set the password.
    #[command(subcommand)]
    Account(account::Account),
    /// Roles: the permissions of members.
    #[command(subcommand)]
    Role(role::Role),
    /// Applications (OAuth clients): create, list, change, delete.
    #[command(subcommand)]
    Client(client::Client),
    /// Approvals of members: revoke by account or by application.
    #[command(subcommand)]
    Grant(grant::Grant),
    Audit(audit::Audit),
    /// Connections to remote servers: create, list, print tokens.
    #[command(subcommand)]
    Remote(remote::Remote),
    /// Other resources that tokens may be for, and their scopes: add, list, change, remove.
    #[command(subcommand)]
    Resource(resource::Resource),
    /// Trusted issuers of identity assertions: add, list, change, map subjects, remove.
    #[command(subcommand)]
    Issuer(issuer::Issuer),
    /// The keys that sign tokens: list, rotate, revoke, export.
    #[command(subcommand)]
    Key(key::Key),
    Plan(declared::PlanFile),
    Apply(declared::Apply),
    Export(declared::Export),
    /// Browser sessions, for scripts.
    #[command(subcommand)]
    Session(session::Session),
    /// Print the OpenAPI 3.1 document of the API, the same as /api/openapi.json.
    #[command(name = "openapi")]
    OpenApi,
    Doctor(doctor::Doctor),
    Healthcheck(healthcheck::Healthcheck),
    Completions(shell_files::Completions),
    #[command(name = "man")]
    Manual(shell_files::Manual),
}

/// Why a command failed: printed on stderr, with exit code 1.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Invalid settings, a line each.
    #[error("{}", lines(.0))]
    Settings(Vec<Fault>),
    /// The server cannot be constructed.
    #[error(transparent)]
    Context(#[from] context::Error),
    /// The SQLite file is locked by a second server.
    #[error(transparent)]
    Lock(#[from] store::lock::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Hashing a password or a secret failed.
    #[error(transparent)]
    Passwords(#[from] passwords::Error),
    /// An operation on a signing key failed.
    #[error("{}{}", subject_of(.0), .0)]
    Key(#[from] keys::Error),
    /// An operation on the signing keys was not carried out.
    #[error(transparent)]
    SigningKeys(#[from] signing_keys::Error),
    /// Reading or writing failed.
    #[error("{0}")]
    Io(String, #[source] std::io::Error),
    /// Any other error, in a sentence that advises the user.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// Builds an error from a sentence.
    fn because(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }
}

/// The subject of an error of a key whose text has none.
fn subject_of(error: &keys::Error) -> &'static str {
    if error.is_sentence() { "" } else { "the key " }
}

fn lines(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Runs the command of the arguments, on a new runtime.
///
/// Neither async nor generic, so that the server's futures are compiled with the library only, and not
/// again with the binary.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            output::note(&format!(
                "storyden-auth: no threads can be started: {error}"
            ));
            return ExitCode::FAILURE;
        }
    };
    let command = cli
        .command
        .unwrap_or(Command::Serve(serve::Serve::default()));
    let outcome = runtime.block_on(Box::pin(dispatch(command, cli.env_file.as_deref())));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            for line in with_causes(&error).lines() {
                output::note(&format!("storyden-auth: {line}"));
            }
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(command: Command, env_file: Option<&Path>) -> Result<ExitCode, Error> {
    let settings = || Config::from_environment(env_file).map_err(Error::Settings);
    match command {
        Command::Serve(serve) => Box::pin(serve.run(settings()?, env_file)).await,
        Command::Demo(demo) => Box::pin(demo.run(env_file)).await,
        Command::Login(login) => login.run().await,
        Command::Migrate(migrate) => Box::pin(migrate.run(settings()?)).await,
        Command::Backup(backup) => backup.run(&settings()?).await,
        Command::Restore(restore) => restore.run(&settings()?).await,
        Command::Account(account) => Box::pin(account.run(settings()?)).await,
        Command::Role(role) => Box::pin(role.run(settings()?)).await,
        Command::Client(client) => Box::pin(client.run(settings()?)).await,
        Command::Grant(grant) => Box::pin(grant.run(settings()?)).await,
        Command::Audit(audit) => Box::pin(audit.run(settings()?)).await,
        Command::Key(key::Key::Generate(generate)) => generate.run(),
        Command::Key(key) => Box::pin(key.run(settings()?)).await,
        Command::Remote(remote) => Box::pin(remote.run(settings()?)).await,
        Command::Resource(resource) => Box::pin(resource.run(settings()?)).await,
        Command::Issuer(issuer) => Box::pin(issuer.run(settings()?)).await,
        Command::Plan(plan) => Box::pin(plan.run(settings()?)).await,
        Command::Apply(apply) => Box::pin(apply.run(settings()?)).await,
        Command::Export(export) => Box::pin(export.run(settings()?)).await,
        Command::Session(session) => Box::pin(session.run(settings()?)).await,
        Command::OpenApi => openapi::run(&settings()?),
        Command::Doctor(doctor) => {
            let settings = Config::from_environment(env_file);
            Box::pin(doctor.run(settings, env_file)).await
        }
        Command::Healthcheck(healthcheck) => healthcheck.run(&settings()?).await,
        Command::Completions(completions) => completions.run(),
        Command::Manual(manual) => manual.run(),
    }
}

/// Opens the database for a command that needs no signing key, and runs pending migrations. Creates no file: without the
/// settings of the server, a command would work on a second, empty database.
async fn open(config: Config) -> Result<Context, Error> {
    require_database(&config)?;
    open_or_create(config).await
}

/// Refuses an SQLite file that does not exist.
fn require_database(config: &Config) -> Result<(), Error> {
    if migrate::without_creating(config.clone()).is_some() {
        return Ok(());
    }
    Err(Error::because(format!(
        "{}: there is no such database. Run the command with the settings of the server, as in: storyden-auth \
         --env-file /etc/storyden-auth.env …; or create the database with `storyden-auth serve`, `migrate` or `account \
         create`",
        config.database_setting()
    )))
}

/// As [`open`], and creates a missing SQLite file, because an account may be created before the first `serve`.
async fn open_or_create(config: Config) -> Result<Context, Error> {
    telemetry::start(&config);
    let made = Box::pin(Context::without_keys(config, Environment::machine()));
    let context = made.await?;
    serve::migrate(&context).await?;
    Ok(context)
}

/// Formats an error with all causes, in a line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
