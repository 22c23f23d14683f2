//! `audit`: the audit trail.

use std::process::ExitCode;

use clap::Args;

use super::{Error, account, open, output};
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
        };
        let page = Page {
            number: 1,
            size: self.limit.into(),
        };
        let entries = audit_list::list(&context.db, &filter, page).await?.rows;
        if self.json {
            let lines: Result<Vec<_>, _> = entries.iter().map(serde_json::to_string).collect();
            let lines = lines.map_err(|error| {
                Error::Io("the JSON cannot be written".to_owned(), error.into())
            })?;
            if !lines.is_empty() {
                output::print(&lines.join("\n"))?;
            }
        } else {
            output::print(&table(entries))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(entries: Vec<ListedEntry>) -> String {
    let text = |id: Option<AccountId>| id.map(|id| id.to_string()).unwrap_or_default();
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
