//! `account list`: search, filters and order.

use clap::Args;

use super::{Error, output};
use crate::context::Context;
use crate::store::accounts::{self, ListedAccount};
use crate::store::members::{self, Filter, Member, Order, State};
use crate::store::paging::Page;
use crate::store::roles;

/// List accounts: all, or those that match.
///
/// The search finds accounts with a handle, a name, a word of a name or an e-mail address that begins with the
/// text.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: storyden-auth account list --search odin --role Developers --sort -joined"
)]
pub(in crate::cli) struct List {
    /// Only accounts with a handle, name or e-mail address that begins with this text, or with this id.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only accounts with this role, as in Admin or Developers.
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Only accounts in this state: active or suspended.
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<State>,
    /// Order: handle, name or joined; with a hyphen in front, reversed.
    #[arg(long, value_name = "ORDER", value_parser = order, allow_hyphen_values = true)]
    sort: Option<Order>,
    /// Maximum number of accounts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn state(text: &str) -> Result<State, String> {
    State::from_name(text).ok_or_else(|| format!("the states are: {}", State::NAMES.join(", ")))
}

fn order(text: &str) -> Result<Order, String> {
    Order::from_name(text).ok_or_else(|| format!("the orders are: {}", Order::NAMES.join(", ")))
}

impl List {
    /// Runs the command.
    pub(super) async fn run(self, context: &Context) -> Result<(), Error> {
        let json = self.json;
        let accounts = self.find(context).await?;
        if json {
            return output::print_json(&accounts);
        }
        let rows = accounts.into_iter().map(|account| {
            let state = match account.deleted_at {
                Some(at) => format!("suspended {}", at.to_rfc3339()),
                None => "active".to_owned(),
            };
            let admin = output::yes(account.admin.0);
            [
                account.handle,
                account.name,
                account.kind,
                admin,
                state,
                account.id.to_string(),
            ]
        });
        output::print(&output::table(
            ["HANDLE", "NAME", "KIND", "ADMIN", "STATE", "ID"],
            rows,
        ))
    }

    async fn find(self, context: &Context) -> Result<Vec<ListedAccount>, Error> {
        let is_whole = self.search.is_none() && self.role.is_none() && self.state.is_none();
        if is_whole && self.sort.is_none() && self.limit.is_none() {
            return Ok(accounts::list(&context.db).await?);
        }
        let role = match &self.role {
            Some(name) => Some(roles::find(&context.db, name).await?.ok_or_else(|| {
                Error::because(format!(
                    "--role: no role is called {name:?}; `role list` shows all"
                ))
            })?),
            None => None,
        };
        let filter = Filter {
            text: self
                .search
                .map(|text| text.trim_start_matches('@').to_owned()),
            role: role.map(|role| role.id),
            state: self.state,
        };
        let page = Page {
            number: 1,
            size: self.limit.unwrap_or(1_000).into(),
        };
        let order = self.sort.unwrap_or_default();
        let found = members::list(&context.db, &filter, order, page).await?;
        Ok(found.rows.into_iter().map(listed).collect())
    }
}

fn listed(member: Member) -> ListedAccount {
    ListedAccount {
        id: member.id,
        handle: member.handle,
        name: member.name,
        kind: member.kind,
        admin: member.admin,
        deleted_at: member.deleted_at,
        created_at: member.created_at,
    }
}
