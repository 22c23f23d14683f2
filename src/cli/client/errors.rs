//! `client errors`: the recent errors in requests of an application.

use clap::Args;

use super::find;
use crate::cli::{Error, output};
use crate::clients::errors::{self, ShownError};
use crate::clock::Timestamp;
use crate::context::Context;

/// List the recent errors of an application, with what to change.
///
/// The errors of the last seven days, the last one first, as the owner sees them on the page of the application. Equal
/// errors are one line with a count. A running server writes errors within five seconds.
#[derive(Args, Debug)]
#[command(after_help = "Example: storyden-auth client errors my-app")]
pub(in crate::cli) struct ListErrors {
    /// The client id.
    client_id: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl ListErrors {
    /// Runs the command.
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let client = find(context, &self.client_id).await?;
        let found = errors::list(context, &client.row_id).await?.errors;
        if self.json {
            return output::print_json(&found);
        }
        if found.is_empty() {
            output::note(&format!(
                "{} had no errors in the last seven days",
                self.client_id
            ));
            return Ok(());
        }
        let now = context.clock.now();
        let rows = found.into_iter().map(|error| row(error, now));
        output::print(&output::table(
            [
                "LAST",
                "COUNT",
                "ENDPOINT",
                "ERROR",
                "VALUE",
                "DESCRIPTION",
                "TO CHANGE",
            ],
            rows,
        ))
    }
}

fn row(error: ShownError, now: Timestamp) -> [String; 7] {
    [
        output::ago(now, error.last_at),
        error.count.to_string(),
        error.endpoint,
        error.error,
        error.value.unwrap_or_default(),
        error.description,
        error.hint.to_owned(),
    ]
}
