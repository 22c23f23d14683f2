//! The paged list of audit entries for administrators.

use serde::Serialize;

use super::audit::Event;
use super::db::Db;
use super::error::Result;
use super::paging::{ListSql, Page, Paged};
use super::row::row;
use super::sql::{Sql, sql};
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::{AccountId, AuditId};

/// An audit entry in a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditEntry)]
pub struct ListedEntry {
    /// The affected account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// The account that acted, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<AccountId>,
    /// Remote address of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Client id of the affected client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Number of equal rejections within a minute, if more than 1. The address is then the common
    /// network (IPv4 /24, IPv6 /48), unless all requests had the same address.
    #[serde(rename = "count", skip_serializing_if = "is_one")]
    #[schema(minimum = 2, required = false)]
    pub occurrences: i64,
    /// Time of the event.
    #[serde(rename = "createdAt")]
    pub created_at: Timestamp,
    /// Name of the event.
    pub event: String,
    /// Id of the entry.
    pub id: AuditId,
    /// Id of the affected object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_id: Option<String>,
    /// The trace id of the request.
    pub trace_id: String,
}

row!(ListedEntry:
    account_id, actor_id, address, client_id, occurrences, created_at, event, id, subject_id,
    trace_id
);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_one(count: &i64) -> bool {
    *count == 1
}

/// Filter of the list; an entry must match all given fields.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The event.
    pub event: Option<Event>,
    /// The account that acted.
    pub actor: Option<AccountId>,
    /// The affected account.
    pub account: Option<AccountId>,
    /// Client id of the affected client.
    pub client: Option<String>,
    /// Earliest time, inclusive.
    pub since: Option<Timestamp>,
    /// Latest time, exclusive.
    pub until: Option<Timestamp>,
    /// Remote address, as in the entry: an address or the common network of several requests.
    pub address: Option<String>,
}

impl Filter {
    fn parameters(&self) -> Vec<Value> {
        vec![
            self.event.map(|event| event.name().to_owned()).into(),
            self.actor.as_ref().into(),
            self.account.as_ref().into(),
            self.client.clone().into(),
            self.since.into(),
            self.until.into(),
            self.address.clone().into(),
        ]
    }
}

const COUNT: Sql = Sql::same("SELECT COUNT(*) AS n FROM (SELECT 1 FROM auth_audit e WHERE ");

const SELECT: Sql = Sql::same(
    "SELECT e.id, e.created_at, e.event, e.actor_id, e.account_id, e.client_id, \
     e.subject_id, e.address, e.trace_id, e.occurrences FROM auth_audit e WHERE ",
);

/// Condition on the times and the address. Only this server writes the table, always in UTC, so on SQLite too the
/// text order is the time order.
const IN_TIME: Sql = Sql::same(
    " AND ($5 IS NULL OR e.created_at >= $5) AND ($6 IS NULL OR e.created_at < $6) \
     AND ($7 IS NULL OR e.address = $7)",
);

const COUNTED: Sql = sql!(IN_TIME, " LIMIT $8) x");

const NEWEST: Sql = sql!(
    IN_TIME,
    " ORDER BY e.created_at DESC, e.id DESC LIMIT $8 OFFSET $9"
);

const OLDEST: Sql = sql!(IN_TIME, " ORDER BY e.created_at, e.id LIMIT $8 OFFSET $9");

/// The entries before a position, newest first: `$9` is its time, `$10` its id.
const BEFORE: Sql = sql!(
    IN_TIME,
    " AND e.created_at <= $9 AND (e.created_at < $9 OR e.id < $10) \
     ORDER BY e.created_at DESC, e.id DESC LIMIT $8"
);

/// The statements of a filter.
struct Statements {
    newest: ListSql,
    oldest: ListSql,
    before: Sql,
}

macro_rules! statements {
    ($filter:literal) => {{
        const FILTER: Sql = Sql::same($filter);
        Statements {
            newest: ListSql {
                count: sql!(COUNT, FILTER, COUNTED),
                page: sql!(SELECT, FILTER, NEWEST),
                whole: None,
            },
            oldest: ListSql {
                count: sql!(COUNT, FILTER, COUNTED),
                page: sql!(SELECT, FILTER, OLDEST),
                whole: None,
            },
            before: sql!(SELECT, FILTER, BEFORE),
        }
    }};
}

/// The entries by client, the most selective filter. `$1` is the event, `$2` the actor, `$3` the account,
/// `$4` the client, `$5` and `$6` are the times, `$7` is the address.
const BY_CLIENT: Statements = statements!(
    "e.client_id = $4 AND ($1 IS NULL OR e.event = $1) AND ($2 IS NULL OR e.actor_id = $2) \
     AND ($3 IS NULL OR e.account_id = $3)"
);

const BY_ACCOUNT: Statements = statements!(
    "e.account_id = $3 AND ($1 IS NULL OR e.event = $1) AND ($2 IS NULL OR e.actor_id = $2) \
     AND $4 IS NULL"
);

const BY_ACTOR: Statements =
    statements!("e.actor_id = $2 AND ($1 IS NULL OR e.event = $1) AND $3 IS NULL AND $4 IS NULL");

const BY_ADDRESS: Statements = statements!(
    "e.address = $7 AND ($1 IS NULL OR e.event = $1) AND $2 IS NULL AND $3 IS NULL AND $4 IS NULL"
);

const BY_EVENT: Statements =
    statements!("e.event = $1 AND $2 IS NULL AND $3 IS NULL AND $4 IS NULL");

const ALL: Statements = statements!("$1 IS NULL AND $2 IS NULL AND $3 IS NULL AND $4 IS NULL");

fn statements(filter: &Filter) -> Statements {
    match filter {
        Filter {
            client: Some(_), ..
        } => BY_CLIENT,
        Filter {
            account: Some(_), ..
        } => BY_ACCOUNT,
        Filter { actor: Some(_), .. } => BY_ACTOR,
        Filter {
            address: Some(_), ..
        } => BY_ADDRESS,
        Filter { event: Some(_), .. } => BY_EVENT,
        _ => ALL,
    }
}

/// Lists a page of entries, newest first unless `oldest_first`.
pub async fn list(
    db: &Db,
    filter: &Filter,
    oldest_first: bool,
    page: Page,
) -> Result<Paged<ListedEntry>> {
    let Statements { newest, oldest, .. } = statements(filter);
    let list = if oldest_first { oldest } else { newest };
    list.fetch(db, filter.parameters(), page).await
}

/// The position of an entry in the trail.
#[derive(Clone, Debug)]
pub struct Position {
    at: Timestamp,
    id: AuditId,
}

impl Position {
    /// The position of an entry.
    #[must_use]
    pub fn of(entry: &ListedEntry) -> Self {
        Self {
            at: entry.created_at,
            id: entry.id.clone(),
        }
    }
}

/// Reads at most `most` entries after a position, newest first: every batch reads a range of the index, however far
/// the position is.
pub async fn batch(
    db: &Db,
    filter: &Filter,
    after: Option<&Position>,
    most: i64,
) -> Result<Vec<ListedEntry>> {
    let Statements { newest, before, .. } = statements(filter);
    let mut parameters = filter.parameters();
    parameters.push(most.into());
    let sql = if let Some(Position { at, id }) = after {
        parameters.extend([Value::from(*at), id.into()]);
        before
    } else {
        parameters.push(0_i64.into()); // OFFSET
        newest.page
    };
    db.fetch_all(sql, &parameters).await
}
