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
        ]
    }
}

const COUNT: Sql = Sql::same("SELECT COUNT(*) AS n FROM (SELECT 1 FROM auth_audit e WHERE ");

const SELECT: Sql = Sql::same(
    "SELECT e.id, e.created_at, e.event, e.actor_id, e.account_id, e.client_id, \
     e.subject_id, e.address, e.trace_id, e.occurrences FROM auth_audit e WHERE ",
);

/// Condition on the times. Only this server writes the table, always in UTC, so on SQLite too the text
/// order is the time order.
const IN_TIME: Sql =
    Sql::same(" AND ($5 IS NULL OR e.created_at >= $5) AND ($6 IS NULL OR e.created_at < $6)");

const COUNTED: Sql = sql!(IN_TIME, " LIMIT $7) x");

const PAGE: Sql = sql!(
    IN_TIME,
    " ORDER BY e.created_at DESC, e.id DESC LIMIT $7 OFFSET $8"
);

/// The entries by client, the most selective filter. `$1` is the event, `$2` the actor, `$3` the account,
/// `$4` the client, `$5` and `$6` are the times.
const BY_CLIENT: ListSql = {
    const FILTER: Sql = Sql::same(
        "e.client_id = $4 AND ($1 IS NULL OR e.event = $1) AND ($2 IS NULL OR e.actor_id = $2) \
         AND ($3 IS NULL OR e.account_id = $3)",
    );
    ListSql {
        count: sql!(COUNT, FILTER, COUNTED),
        page: sql!(SELECT, FILTER, PAGE),
        whole: None,
    }
};

const BY_ACCOUNT: ListSql = {
    const FILTER: Sql = Sql::same(
        "e.account_id = $3 AND ($1 IS NULL OR e.event = $1) AND ($2 IS NULL OR e.actor_id = $2) \
         AND $4 IS NULL",
    );
    ListSql {
        count: sql!(COUNT, FILTER, COUNTED),
        page: sql!(SELECT, FILTER, PAGE),
        whole: None,
    }
};

const BY_ACTOR: ListSql = {
    const FILTER: Sql =
        Sql::same("e.actor_id = $2 AND ($1 IS NULL OR e.event = $1) AND $3 IS NULL AND $4 IS NULL");
    ListSql {
        count: sql!(COUNT, FILTER, COUNTED),
        page: sql!(SELECT, FILTER, PAGE),
        whole: None,
    }
};

const BY_EVENT: ListSql = {
    const FILTER: Sql = Sql::same("e.event = $1 AND $2 IS NULL AND $3 IS NULL AND $4 IS NULL");
    ListSql {
        count: sql!(COUNT, FILTER, COUNTED),
        page: sql!(SELECT, FILTER, PAGE),
        whole: None,
    }
};

const ALL: ListSql = {
    const FILTER: Sql = Sql::same("$1 IS NULL AND $2 IS NULL AND $3 IS NULL AND $4 IS NULL");
    ListSql {
        count: sql!(COUNT, FILTER, COUNTED),
        page: sql!(SELECT, FILTER, PAGE),
        whole: None,
    }
};

/// Lists a page of entries, newest first.
pub async fn list(db: &Db, filter: &Filter, page: Page) -> Result<Paged<ListedEntry>> {
    let list = match filter {
        Filter {
            client: Some(_), ..
        } => BY_CLIENT,
        Filter {
            account: Some(_), ..
        } => BY_ACCOUNT,
        Filter { actor: Some(_), .. } => BY_ACTOR,
        Filter { event: Some(_), .. } => BY_EVENT,
        _ => ALL,
    };
    list.fetch(db, filter.parameters(), page).await
}
