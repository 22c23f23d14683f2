//! The paged list of all clients for administrators (storyden-contract.md#administration).

use super::clients::{CLIENT_COLUMNS, Client, ClientColumns, IS_NOT_DELETED};
use super::db::Db;
use super::error::Result;
use super::paging::{ListSql, Page, Paged};
use super::sql::{Sql, sql};
use super::value::Value;
use crate::ids::AccountId;

/// Filter of the list; a client must match all given fields.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Account that owns the client.
    pub owner: Option<AccountId>,
    /// Client id.
    pub client_id: Option<String>,
    /// Text in the name or the client id, case-insensitive.
    pub text: Option<String>,
    /// True for the newest first.
    pub newest_first: bool,
}

impl Filter {
    fn parameters(&self) -> Vec<Value> {
        vec![
            self.owner.as_ref().into(),
            self.client_id.clone().into(),
            self.text.as_deref().map(like_pattern).into(),
        ]
    }
}

/// Escapes a text as a substring pattern for `LIKE … ESCAPE '\\'`.
fn like_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for symbol in text.chars() {
        if matches!(symbol, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(symbol);
    }
    pattern.push('%');
    pattern
}

const COUNT: Sql = Sql::same("SELECT COUNT(*) AS n FROM (SELECT 1 FROM oauth_clients c WHERE ");

const SELECT: Sql = sql!("SELECT ", CLIENT_COLUMNS, " FROM oauth_clients c WHERE ");

/// Condition on the text, `$3`.
const MATCHES: Sql = sql!(
    " AND ($3 IS NULL OR LOWER(c.name) LIKE LOWER($3) ESCAPE '\\' \
         OR LOWER(c.client_id) LIKE LOWER($3) ESCAPE '\\') AND ",
    IS_NOT_DELETED
);

const COUNTED: Sql = sql!(MATCHES, " LIMIT $4) x");

const WHOLE: Sql = sql!(MATCHES, " LIMIT $4 OFFSET $5");

/// SQLite stores times as text with any UTC offset: compares instants, not texts.
const PAGE: Sql = sql!(
    MATCHES,
    (
        " ORDER BY julianday(c.created_at), c.id",
        " ORDER BY c.created_at, c.id"
    ),
    " LIMIT $4 OFFSET $5"
);

const PAGE_NEWEST: Sql = sql!(
    MATCHES,
    (
        " ORDER BY julianday(c.created_at) DESC, c.id DESC",
        " ORDER BY c.created_at DESC, c.id DESC"
    ),
    " LIMIT $4 OFFSET $5"
);

/// Builds the statements of a filter: oldest first, and newest first.
macro_rules! statements {
    ($filter:literal) => {{
        const FILTER: Sql = Sql::same($filter);
        const OLDEST: ListSql = ListSql {
            count: sql!(COUNT, FILTER, COUNTED),
            page: sql!(SELECT, FILTER, PAGE),
            whole: Some(sql!(SELECT, FILTER, WHOLE)),
        };
        const NEWEST: ListSql = ListSql {
            page: sql!(SELECT, FILTER, PAGE_NEWEST),
            ..OLDEST
        };
        [OLDEST, NEWEST]
    }};
}

/// The clients with a client id. `$1` is the owner, `$2` the client id.
const BY_CLIENT_ID: [ListSql; 2] =
    statements!("c.client_id = $2 AND ($1 IS NULL OR c.account_id = $1)");

const BY_OWNER: [ListSql; 2] = statements!("c.account_id = $1 AND $2 IS NULL");

const ALL: [ListSql; 2] = statements!("$1 IS NULL AND $2 IS NULL");

/// Lists a page of clients, oldest first unless the filter says newest. The unpaged list has the order of the table, as in Storyden.
pub async fn list(db: &Db, filter: &Filter, page: Page) -> Result<Paged<Client>> {
    let [oldest, newest] = match (filter.client_id.is_some(), filter.owner.is_some()) {
        (true, _) => BY_CLIENT_ID,
        (false, true) => BY_OWNER,
        (false, false) => ALL,
    };
    let list = if filter.newest_first { newest } else { oldest };
    let Paged { rows, pages } = list
        .fetch::<ClientColumns>(db, filter.parameters(), page)
        .await?;
    Ok(Paged {
        rows: rows.into_iter().map(Client::from).collect(),
        pages,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_pattern_escapes_wildcards() {
        assert_eq!(like_pattern("50%_\\"), "%50\\%\\_\\\\%");
    }
}
