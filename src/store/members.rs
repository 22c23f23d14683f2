//! The accounts of a community as administrators see them: search, filters, order, and pages.
//!
//! A search reads index ranges: accounts with a handle, a name, the part of a name after the first space, or an
//! e-mail address that begins with the text. The number of candidates is limited, so that every page of a
//! community with a million accounts takes milliseconds.

use std::collections::HashMap;

use super::accounts::ADMIN_ROLE;
use super::db::Db;
use super::error::Result;
use super::paging::{ListSql, Page, Paged};
use super::row::row;
use super::sql::{IDS, Sql, sql};
use super::value::{Flag, Value};
use crate::clock::Timestamp;
use crate::ids::{AccountId, RoleId};

/// An account in the list.
#[derive(Clone, Debug)]
pub struct Member {
    /// Account id.
    pub id: AccountId,
    /// Unique name.
    pub handle: String,
    /// Display name.
    pub name: String,
    /// `human` or `bot`.
    pub kind: String,
    /// True for an account with the built-in role Admin.
    pub admin: Flag,
    /// Time of suspension, if the account is suspended.
    pub deleted_at: Option<Timestamp>,
    /// Time of creation.
    pub created_at: Timestamp,
}

row!(Member: id, handle, name, kind, admin, deleted_at, created_at);

/// Defines the orders with their names in queries.
macro_rules! orders {
    ($($(#[$attribute:meta])+ $order:ident = $name:literal,)*) => {
        /// Order of the list.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum Order { $($(#[$attribute])+ $order,)* }

        impl Order {
            /// The names of all orders.
            pub const NAMES: &[&str] = &[$($name,)*];

            /// Name in a query; a hyphen stands for the reverse order.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$order => $name,)* }
            }

            /// Parses a name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$order),)* _ => None }
            }
        }
    };
}

orders! {
    /// By handle.
    #[default]
    Handle = "handle",
    /// By handle, reversed.
    HandleReversed = "-handle",
    /// By display name.
    Name = "name",
    /// By display name, reversed.
    NameReversed = "-name",
    /// Oldest account first.
    Joined = "joined",
    /// Newest account first.
    JoinedReversed = "-joined",
}

/// State of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not suspended.
    Active,
    /// Suspended.
    Suspended,
}

impl State {
    /// The names of all states.
    pub const NAMES: &[&str] = &["active", "suspended"];

    /// Parses a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "active" => Some(Self::Active),
            "suspended" => Some(Self::Suspended),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}

/// Filter of the list; an account must match all given fields.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Beginning of the handle, of the name, of the name after the first space, or of an e-mail address; or the
    /// id.
    pub text: Option<String>,
    /// A role that the account holds by assignment; the id of Admin stands for administrator accounts.
    pub role: Option<RoleId>,
    /// State of the account.
    pub state: Option<State>,
}

/// The last character: every text with a prefix sorts before the prefix followed by this character.
const LAST: &str = "\u{10FFFF}";

const COUNT: Sql = Sql::same("SELECT COUNT(*) AS n FROM (SELECT 1 FROM accounts a WHERE ");

const SELECT: Sql = Sql::same(
    "SELECT a.id, a.handle, a.name, a.kind, a.admin, a.deleted_at, a.created_at \
     FROM accounts a WHERE ",
);

/// Condition on the role, `$1`, and the state, `$2`. `$3` is the name of the order.
const MATCHES: Sql = Sql::same(
    "($1 IS NULL OR ($1 = '00000000000000000a00' AND a.admin) OR EXISTS (SELECT 1 FROM account_roles o \
     WHERE o.account_id = a.id AND o.role_id = $1)) \
     AND ($2 IS NULL OR (a.deleted_at IS NULL) = ($2 = 'active')) AND $3 IS NOT NULL",
);

/// Order of a limited number of candidates, by the name of the order in `$3`.
const SORTED: Sql = sql!(
    " ORDER BY CASE WHEN $3 = 'handle' THEN a.handle END, CASE WHEN $3 = '-handle' THEN a.handle END DESC, \
     CASE WHEN $3 = 'name' THEN lower(a.name) END, CASE WHEN $3 = '-name' THEN lower(a.name) END DESC, ",
    (
        "CASE WHEN $3 = '-joined' THEN julianday(a.created_at) END DESC, julianday(a.created_at), a.id",
        "CASE WHEN $3 = '-joined' THEN a.created_at END DESC, a.created_at, a.id"
    ),
);

/// Builds the statements of a list with the candidates of a condition.
macro_rules! candidates {
    ($condition:ident, $count:literal, $page:literal) => {
        ListSql {
            count: sql!(COUNT, $condition, " AND ", MATCHES, $count),
            page: sql!(SELECT, $condition, " AND ", MATCHES, SORTED, $page),
            whole: None,
        }
    };
}

/// The accounts that a search finds. `$4` is the text, `$5` is [`LAST`].
const FOUND: ListSql = {
    const FOUND: Sql = sql!(
        "a.id IN (SELECT x.id FROM (SELECT b.id FROM accounts b WHERE ",
        (
            "b.handle >= lower($4) AND b.handle < lower($4) || $5",
            "b.handle COLLATE \"C\" >= lower($4) AND b.handle COLLATE \"C\" < lower($4) || $5"
        ),
        " LIMIT 1000) x UNION ALL SELECT x.id FROM (SELECT b.id FROM accounts b WHERE ",
        (
            "lower(b.name) >= lower($4) AND lower(b.name) < lower($4) || $5",
            "lower(b.name) COLLATE \"C\" >= lower($4) AND lower(b.name) COLLATE \"C\" < lower($4) || $5"
        ),
        " LIMIT 1000) x UNION ALL SELECT x.id FROM (SELECT b.id FROM accounts b WHERE ",
        (
            "lower(substr(b.name, instr(b.name, ' ') + 1)) >= lower($4) \
             AND lower(substr(b.name, instr(b.name, ' ') + 1)) < lower($4) || $5",
            "lower(substr(b.name, strpos(b.name, ' ') + 1)) COLLATE \"C\" >= lower($4) \
             AND lower(substr(b.name, strpos(b.name, ' ') + 1)) COLLATE \"C\" < lower($4) || $5"
        ),
        " LIMIT 1000) x UNION ALL SELECT x.account_id FROM (SELECT e.account_id FROM emails e WHERE ",
        (
            "lower(e.email_address) >= lower($4) AND lower(e.email_address) < lower($4) || $5",
            "lower(e.email_address) COLLATE \"C\" >= lower($4) \
             AND lower(e.email_address) COLLATE \"C\" < lower($4) || $5"
        ),
        " LIMIT 1000) x UNION ALL SELECT b.id FROM accounts b WHERE b.id = lower($4))"
    );
    candidates!(FOUND, " LIMIT $6) x", " LIMIT $6 OFFSET $7")
};

/// The accounts with a role.
const OF_ROLE: ListSql = {
    const OF_ROLE: Sql = Sql::same(
        "a.id IN (SELECT x.account_id FROM (SELECT o.account_id FROM account_roles o \
         WHERE o.role_id = $1 LIMIT 10000) x)",
    );
    candidates!(OF_ROLE, " LIMIT $4) x", " LIMIT $4 OFFSET $5")
};

/// The accounts with the built-in role Admin.
const ADMINS: ListSql = {
    const ADMINS: Sql = Sql::same(
        "a.id IN (SELECT x.id FROM (SELECT b.id FROM accounts b WHERE b.admin LIMIT 10000) x)",
    );
    candidates!(ADMINS, " LIMIT $4) x", " LIMIT $4 OFFSET $5")
};

const SUSPENDED: ListSql = {
    const SUSPENDED: Sql = Sql::same(
        "a.id IN (SELECT x.id FROM (SELECT b.id FROM accounts b WHERE b.deleted_at IS NOT NULL \
         LIMIT 10000) x)",
    );
    candidates!(SUSPENDED, " LIMIT $4) x", " LIMIT $4 OFFSET $5")
};

/// Builds the statements of the list of all accounts, in the order of an index.
macro_rules! all {
    ($order:tt, $direction:literal) => {
        ListSql {
            count: sql!(COUNT, MATCHES, " LIMIT $4) x"),
            page: sql!(
                SELECT,
                MATCHES,
                " ORDER BY ",
                $order,
                $direction,
                " LIMIT $4 OFFSET $5"
            ),
            whole: None,
        }
    };
}

/// The statements of all accounts in an order.
fn all(order: Order) -> ListSql {
    const NAME: Sql = Sql::new("lower(a.name)", "lower(a.name) COLLATE \"C\"");
    const JOINED: Sql = Sql::new("julianday(a.created_at)", "a.created_at");
    const HANDLES: ListSql = all!("a.handle", "");
    const HANDLES_REVERSED: ListSql = all!("a.handle", " DESC");
    const NAMES: ListSql = all!(NAME, "");
    const NAMES_REVERSED: ListSql = all!(NAME, " DESC");
    const OLDEST: ListSql = all!(JOINED, "");
    const NEWEST: ListSql = all!(JOINED, " DESC");
    match order {
        Order::Handle => HANDLES,
        Order::HandleReversed => HANDLES_REVERSED,
        Order::Name => NAMES,
        Order::NameReversed => NAMES_REVERSED,
        Order::Joined => OLDEST,
        Order::JoinedReversed => NEWEST,
    }
}

/// Lists a page of accounts. A search has at most 1,000 candidates of each kind, and a filter by role or by
/// suspension at most 10,000.
pub async fn list(db: &Db, filter: &Filter, order: Order, page: Page) -> Result<Paged<Member>> {
    let mut parameters: Vec<Value> = vec![
        filter
            .role
            .as_ref()
            .map(|role| role.as_str().to_owned())
            .into(),
        filter.state.map(|state| state.name().to_owned()).into(),
        order.name().into(),
    ];
    let list = match filter {
        Filter {
            text: Some(text), ..
        } => {
            parameters.extend([Value::from(text.as_str()), LAST.into()]);
            FOUND
        }
        Filter {
            role: Some(role), ..
        } if role.as_str() == ADMIN_ROLE => ADMINS,
        Filter { role: Some(_), .. } => OF_ROLE,
        Filter {
            state: Some(State::Suspended),
            ..
        } => SUSPENDED,
        _ => all(order),
    };
    list.fetch(db, parameters, page).await
}

/// Finds accounts by id, in the order of the handles; unknown ids are left out.
pub async fn find(db: &Db, ids: &[AccountId]) -> Result<Vec<Member>> {
    const SQL: Sql = sql!(SELECT, "a.id IN ", IDS, " ORDER BY a.handle");
    let ids = Value::names(ids.iter().map(AccountId::as_str));
    db.fetch_all(SQL, &[ids]).await
}

/// Maximum number of e-mail addresses and role assignments that are read for a page.
const PARTS_MAX: i64 = 5_000;

struct EmailRow {
    account_id: AccountId,
    email_address: String,
}

row!(EmailRow: account_id, email_address);

/// Finds the oldest e-mail address of each account.
pub async fn emails(db: &Db, ids: &[AccountId]) -> Result<HashMap<AccountId, String>> {
    const SQL: Sql = sql!(
        "SELECT e.account_id, e.email_address FROM emails e WHERE e.account_id IN ",
        IDS,
        " ORDER BY e.created_at DESC, e.id DESC LIMIT $2"
    );
    let ids = Value::names(ids.iter().map(AccountId::as_str));
    let rows: Vec<EmailRow> = db.fetch_all(SQL, &[ids, PARTS_MAX.into()]).await?;
    // Newest first: the oldest address of an account replaces the others.
    Ok(rows
        .into_iter()
        .map(|row| (row.account_id, row.email_address))
        .collect())
}

struct RoleRow {
    account_id: AccountId,
    role_id: RoleId,
}

row!(RoleRow: account_id, role_id);

/// Finds the assigned roles of each account.
pub async fn roles(db: &Db, ids: &[AccountId]) -> Result<HashMap<AccountId, Vec<RoleId>>> {
    const SQL: Sql = sql!(
        "SELECT o.account_id, o.role_id FROM account_roles o WHERE o.account_id IN ",
        IDS,
        " ORDER BY o.created_at, o.id LIMIT $2"
    );
    let ids = Value::names(ids.iter().map(AccountId::as_str));
    let rows: Vec<RoleRow> = db.fetch_all(SQL, &[ids, PARTS_MAX.into()]).await?;
    let mut found: HashMap<AccountId, Vec<RoleId>> = HashMap::new();
    for row in rows {
        found.entry(row.account_id).or_default().push(row.role_id);
    }
    Ok(found)
}
