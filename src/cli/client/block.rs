//! `client block`, `client unblock` and `client blocked`.

use clap::Args;

use super::{Error, output};
use crate::clients::blocking::{self, Blocked};
use crate::context::Context;
use crate::ids::BlockedClientId;
use crate::store::audit::{self, Entry, Event};
use crate::store::blocked_clients::{self, BLOCKED_MAX, BlockedClient};

/// Block an application whose client id is a URL: its access ends, and its metadata document is not fetched.
#[derive(Args, Debug)]
#[command(after_help = "Example: storyden-auth client block https://app.example/client.json")]
pub(in crate::cli) struct Block {
    /// The client id: the URL of the metadata document.
    client_id: String,
    /// Block without asking.
    #[arg(long)]
    yes: bool,
}

/// End the block of an application.
#[derive(Args, Debug)]
pub(in crate::cli) struct Unblock {
    /// The client id: the URL of the metadata document.
    client_id: String,
}

/// List the blocked applications.
#[derive(Args, Debug)]
pub(in crate::cli) struct ListBlocked {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Block {
    /// Runs the command.
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let client_id = self.client_id;
        if !blocking::can_be_blocked(&client_id) {
            return Err(Error::because(format!(
                "CLIENT_ID: {client_id:?} is not a URL; delete the application with `client delete`"
            )));
        }
        output::agree(
            &format!("Block {client_id} and end all its access?"),
            self.yes,
        )?;
        let entry = Entry::new(Event::ClientBlocked, context.clock.now()).client(&client_id);
        let new = BlockedClient {
            blocked_by: None,
            created_at: entry.at,
            id: BlockedClientId::generate(entry.at),
            client_id: client_id.clone(),
        };
        let write = context.db.write((new, entry), |tx, (new, entry)| {
            Box::pin(blocking::block(tx, new, entry))
        });
        if write.await? == Blocked::Unchanged {
            return Err(Error::because(format!(
                "{client_id} is blocked already, or {BLOCKED_MAX} applications are"
            )));
        }
        output::note(&format!("{client_id} is blocked; its access ended"));
        Ok(())
    }
}

impl Unblock {
    /// Runs the command.
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let client_id = self.client_id;
        let blocked = blocked_clients::list(&context.db).await?;
        let found = blocked.into_iter().find(|one| one.client_id == client_id);
        let missing = || Error::because(format!("{client_id} is not blocked"));
        let id = found.ok_or_else(missing)?.id;
        let entry = Entry::new(Event::ClientUnblocked, context.clock.now()).client(&client_id);
        let write = context.db.write((id, entry), |tx, (id, entry)| {
            Box::pin(async move {
                blocked_clients::delete(tx, id).await?;
                audit::insert(tx, entry).await
            })
        });
        write.await?;
        output::note(&format!("{client_id} may ask members again"));
        Ok(())
    }
}

impl ListBlocked {
    /// Runs the command.
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let blocked = blocked_clients::list(&context.db).await?;
        if self.json {
            return output::print_json(&blocked);
        }
        let rows = blocked
            .into_iter()
            .map(|one| [one.created_at.to_rfc3339(), one.client_id]);
        output::print(&output::table(["BLOCKED", "CLIENT ID"], rows))
    }
}
