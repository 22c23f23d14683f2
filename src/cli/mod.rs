//! The command line: one file per subcommand. Results go to stdout, logs to stderr.

mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app;
use crate::config::{Config, Fault};
use crate::store;

/// The OAuth 2.0 and OpenID Connect authorization server of a Storyden community.
///
/// Without a command it serves. Settings come from the environment; `config/storyden-auth.env`
/// lists them all.
#[derive(Debug, Parser)]
#[command(name = "storyden-auth", version, arg_required_else_help = false)]
pub struct Cli {
    /// A file of NAME=value lines; the environment wins over it.
    #[arg(long, global = true, value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Migrate the database and serve.
    Serve(serve::Serve),
}

/// Why a command failed: printed on stderr, with exit code 1.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings that cannot be used, one line each.
    #[error("{}", lines(.0))]
    Settings(Vec<Fault>),
    /// The server cannot be put together.
    #[error(transparent)]
    App(#[from] app::Error),
    /// The database does not do what it should.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Reading or writing failed.
    #[error("{0}")]
    Io(String, #[source] std::io::Error),
    /// Anything else, in a sentence that says what to do.
    #[error("{0}")]
    Other(String),
}

fn lines(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Runs the command that the arguments name.
pub async fn run(cli: Cli) -> ExitCode {
    let command = cli
        .command
        .unwrap_or(Command::Serve(serve::Serve::default()));
    let settings = Config::from_environment(cli.env_file.as_deref()).map_err(Error::Settings);
    let outcome = match (command, settings) {
        (_, Err(error)) => Err(error),
        (Command::Serve(serve), Ok(config)) => serve.run(config).await,
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Says on stderr what went wrong, with its causes.
fn complain(error: &Error) {
    use std::io::Write as _;
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    let _ = writeln!(std::io::stderr(), "storyden-auth: {text}");
}
