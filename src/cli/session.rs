//! `session`: browser sessions, for operators' scripts.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::account::find;
use super::{Error, open, output};
use crate::config::Config;
use crate::http::member::session;
use crate::http::session_cookie;

/// Commands for sessions.
#[derive(Debug, Subcommand)]
pub(super) enum Session {
    Create(Create),
}

/// Create a session and print only the cookie value.
///
/// The value gives full access to the account.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: curl --cookie storyden-session=$(storyden-auth session create odin) \
    'http://localhost:8000/api/oauth/device/consent?user_code=…'"
)]
pub(super) struct Create {
    /// The handle or id of the account, as in odin.
    handle: String,
    /// Print JSON.
    #[arg(long, help = "Print JSON: {\"cookie\", \"value\", \"expires_at\"}")]
    json: bool,
}

impl Session {
    /// Runs the command.
    pub(super) async fn run(self, config: Config) -> Result<ExitCode, Error> {
        let Self::Create(Create { handle, json }) = self;
        let context = open(config).await?;
        let account = find(&context, &handle).await?;
        if account.suspended {
            let handle = account.handle;
            return Err(Error::because(format!(
                "{handle} is suspended; `account reinstate {handle}` ends that"
            )));
        }
        let (value, expires_at) = session::begin(&context, &account.id).await?;
        if json {
            output::print_json(&serde_json::json!({
                "cookie": session_cookie::name(&context.config),
                "value": value.reveal(),
                "expires_at": expires_at,
            }))?;
        } else {
            output::print(value.reveal())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
