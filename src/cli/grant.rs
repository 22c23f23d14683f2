//! `grant`: approvals of members.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Error, account, client, open, output};
use crate::config::Config;
use crate::context::Context;
use crate::store::audit::{Entry, Event};
use crate::store::revocation::{self, RevokedCounts, Target};

/// Commands for grants.
#[derive(Debug, Subcommand)]
pub(super) enum Grant {
    Revoke(Revoke),
}

/// Revoke grants: of an account, to an application, or of an account to an application.
///
/// Refresh tokens, codes, approved devices and access tokens of the grants stop at once. So do access
/// tokens of an application's own client credentials, until the application requests a new token. A
/// Storyden that checks access tokens without this server accepts them until expiry.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: storyden-auth grant revoke --account frigg --client my-app --dry-run"
)]
pub(super) struct Revoke {
    /// The handle or id of the account, as in frigg.
    #[arg(long, value_name = "HANDLE", required_unless_present = "client")]
    account: Option<String>,
    /// The client id of the application.
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Only count, without revoking.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Grant {
    /// Runs the command.
    pub(super) async fn run(self, config: Config) -> Result<ExitCode, Error> {
        let Self::Revoke(revoke) = self;
        revoke.run(&open(config).await?).await?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Revoke {
    async fn run(self, context: &Context) -> Result<(), Error> {
        let mut entry = Entry::new(Event::GrantsRevoked, context.clock.now());
        let mut target = Target {
            account: None,
            client: None,
        };
        if let Some(handle) = &self.account {
            let account = account::find(context, handle).await?;
            entry = entry.of(&account.id);
            target.account = Some(account.id);
        }
        if let Some(client_id) = &self.client {
            let client = client::find(context, client_id).await?;
            entry = entry.client(&client.client_id);
            target.client = Some(client.row_id);
        }
        let found = revocation::count(&context.db, &target, entry.at).await?;
        if self.dry_run {
            return self.print(&found);
        }
        if !self.yes {
            let question = format!("End {}?", sentence(&found));
            match output::confirm(&question)? {
                Some(true) => {}
                Some(false) => return Err(Error::because("nothing was revoked")),
                None => return Err(Error::because("nothing was revoked; confirm with --yes")),
            }
        }
        let ended = revocation::revoke_and_count(&context.db, target, "administrator", entry);
        self.print(&ended.await?)
    }

    fn print(&self, ended: &RevokedCounts) -> Result<(), Error> {
        if self.json {
            let mut answer = serde_json::json!(ended);
            answer["dry_run"] = self.dry_run.into();
            return output::print_json(&answer);
        }
        let verb = if self.dry_run { "would end" } else { "ended" };
        output::print(&format!("{verb}: {}", sentence(ended)))
    }
}

/// Formats the numbers in words.
fn sentence(ended: &RevokedCounts) -> String {
    let parts = [
        (ended.grants, "grants"),
        (ended.refresh_tokens, "refresh tokens"),
        (ended.codes, "codes"),
        (ended.device_authorizations, "approved devices"),
    ];
    let parts: Vec<_> = parts
        .iter()
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    parts.join(", ")
}
