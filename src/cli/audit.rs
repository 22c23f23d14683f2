//! `audit`: the audit trail.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;

use super::{Error, account, open, output, progress};
use crate::audit_export::{Export, Format, people};
use crate::clock::Timestamp;
use crate::config::{Config, parse_duration};
use crate::context::Context;
use crate::ids::AccountId;
use crate::store::audit::Event;
use crate::store::audit_list::{self, Filter, ListedEntry};
use crate::store::paging::Page;

/// Show the audit trail, newest first: actor, account, application and address of each event.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: storyden-auth audit --since 24h --event refresh_token_reused --json"
)]
pub(super) struct Audit {
    /// Only this event, as in `grant_approved`.
    #[arg(long, value_parser = event)]
    event: Option<Event>,
    /// Only events by this account: a handle or an id.
    #[arg(long, value_name = "ACCOUNT")]
    actor: Option<String>,
    /// Only events about this account: a handle or an id.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only events about this application, by client id.
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Only events from this address, as shown in an entry.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// At this time or later: how long ago, as in 24h, or as in 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Before this time: how long ago, as in 24h, or as in 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
    /// Maximum number of lines.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON, an object per line.
    #[arg(long)]
    json: bool,
    /// Print every matching event, not only the newest: jsonl (an object per line) or csv.
    #[arg(long, value_name = "FORMAT", value_parser = format, conflicts_with_all = ["json", "limit"])]
    export: Option<Format>,
}

/// A time, absolute or relative to now.
#[derive(Clone, Copy, Debug)]
enum Moment {
    At(Timestamp),
    Ago(time::Duration),
}

impl Moment {
    fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now - span,
        }
    }
}

fn moment(text: &str) -> Result<Moment, String> {
    let at = Timestamp::parse_rfc3339(text).map(Moment::At);
    at.or_else(|| parse_duration(text).map(Moment::Ago))
        .ok_or_else(|| {
            let range = Timestamp::RANGE;
            format!("a time looks like 24h (ago) or 2026-01-31T12:00:00Z, {range}")
        })
}

fn format(text: &str) -> Result<Format, String> {
    Format::from_name(text).ok_or_else(|| format!("the formats are: {}", Format::NAMES.join(", ")))
}

fn event(text: &str) -> Result<Event, String> {
    Event::from_name(text).ok_or_else(|| {
        let names: Vec<_> = Event::ALL.iter().map(|event| event.name()).collect();
        format!("the events are: {}", names.join(", "))
    })
}

impl Audit {
    /// Runs the command.
    pub(super) async fn run(self, config: Config) -> Result<ExitCode, Error> {
        let context = open(config).await?;
        let now = context.clock.now();
        let filter = Filter {
            event: self.event,
            actor: account_id(&context, self.actor.as_deref()).await?,
            account: account_id(&context, self.account.as_deref()).await?,
            client: self.client,
            since: self.since.map(|moment| moment.at(now)),
            until: self.until.map(|moment| moment.at(now)),
            address: self.address,
        };
        if let Some(format) = self.export {
            export(&context, filter, format).await?;
            return Ok(ExitCode::SUCCESS);
        }
        let page = Page {
            number: 1,
            size: self.limit.into(),
        };
        let entries = audit_list::list(&context.db, &filter, false, page)
            .await?
            .rows;
        if self.json {
            let lines: Result<Vec<_>, _> = entries.iter().map(serde_json::to_string).collect();
            let lines = lines.map_err(|error| {
                Error::Io("the JSON cannot be written".to_owned(), error.into())
            })?;
            if !lines.is_empty() {
                output::print(&lines.join("\n"))?;
            }
        } else {
            let people = people(&context.db, &entries).await?;
            output::print(&table(entries, &people))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints the entries of a filter in batches, with the number of entries on a terminal.
async fn export(context: &Context, filter: Filter, format: Format) -> Result<(), Error> {
    let mut export = Export::new(context.db.clone(), filter, format);
    let entries = AtomicU64::new(0);
    let work = async {
        while let Some(text) = export.next().await? {
            entries.store(export.entries(), Ordering::Relaxed);
            if !output::print_part(&text)? {
                break; // the reader closed the pipe
            }
        }
        Ok(())
    };
    progress::with_count(work, "audit entries", || entries.load(Ordering::Relaxed)).await
}

fn table(entries: Vec<ListedEntry>, people: &HashMap<AccountId, String>) -> String {
    // A deleted account has no name.
    let text = |id: Option<AccountId>| {
        let shown = |id: AccountId| match people.get(&id) {
            Some(name) => format!("{name} {id}"),
            None => id.to_string(),
        };
        id.map(shown).unwrap_or_default()
    };
    let rows = entries.into_iter().map(|entry| {
        [
            entry.created_at.to_rfc3339(),
            entry.event,
            entry.occurrences.to_string(),
            text(entry.actor_id),
            text(entry.account_id),
            entry.client_id.unwrap_or_default(),
            entry.subject_id.unwrap_or_default(),
            entry.address.unwrap_or_default(),
        ]
    });
    output::table(
        [
            "TIME", "EVENT", "COUNT", "ACTOR", "ACCOUNT", "CLIENT", "SUBJECT", "ADDRESS",
        ],
        rows,
    )
}

/// Returns the id of an account. An unknown handle is taken as an id, because the audit trail outlives
/// accounts.
async fn account_id(context: &Context, text: Option<&str>) -> Result<Option<AccountId>, Error> {
    let Some(text) = text else { return Ok(None) };
    let found = account::find(context, text).await;
    Ok(Some(
        found.map_or(AccountId::new(text), |account| account.id),
    ))
}
