//! The paged list of all clients for administrators (storyden-contract.md#administration).

use super::clients::{Client, ClientColumns, client_columns, is_not_deleted};
use super::db::Db;
use super::error::Result;
use super::paging::{Page, Pages};
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

/// Selects the statement of a filter. `$sql` is a macro that takes the name of the filter.
macro_rules! pick {
    ($filter:ident, $sql:ident $(, $order:ident)?) => {
        match ($filter.client_id.is_some(), $filter.owner.is_some()) {
            (true, _) => $sql!(client_id $(, $order)?),
            (false, true) => $sql!(owner $(, $order)?),
            (false, false) => $sql!(all $(, $order)?),
        }
    };
}

/// The condition of [`Filter`]: `$1` is the owner, `$2` the public id, `$3` the text. Separate texts, since
/// SQLite uses no index for `$1 IS NULL OR …`.
macro_rules! filtered {
    ($filter:ident) => {
        concat!(
            " FROM oauth_clients c WHERE ",
            filtered!(@ by $filter),
            " AND ($3 IS NULL OR LOWER(c.name) LIKE LOWER($3) ESCAPE '\\' \
                 OR LOWER(c.client_id) LIKE LOWER($3) ESCAPE '\\') AND ",
            is_not_deleted!("c")
        )
    };
    (@ by client_id) => {
        "c.client_id = $2 AND ($1 IS NULL OR c.account_id = $1)"
    };
    (@ by owner) => {
        "c.account_id = $1 AND $2 IS NULL"
    };
    (@ by all) => {
        "$1 IS NULL AND $2 IS NULL"
    };
}

macro_rules! count {
    ($filter:ident) => {
        concat!(
            "SELECT COUNT(*) AS n FROM (SELECT 1",
            filtered!($filter),
            " LIMIT $4) x"
        )
    };
}

macro_rules! list {
    ($filter:ident, $order:ident) => {
        concat!(
            "SELECT ",
            client_columns!(),
            filtered!($filter),
            list!(@ $order),
            " LIMIT $4 OFFSET $5"
        )
    };
    (@ whole) => { "" };
    // SQLite stores times as text with any UTC offset: compare instants, not texts
    (@ sqlite) => { " ORDER BY julianday(c.created_at), c.id" };
    (@ postgres) => { " ORDER BY c.created_at, c.id" };
}

/// Lists a page of clients, oldest first. The unpaged list has the order of the table, as in Storyden.
pub async fn list(db: &Db, filter: &Filter, page: Page) -> Result<(Vec<Client>, Pages)> {
    let mut parameters = filter.parameters();
    parameters.push(page.counted());
    let total: i64 = db.fetch_one(pick!(filter, count), &parameters).await?;
    parameters.pop();
    parameters.extend(page.bounds());
    let list = if page.is_whole() {
        pick!(filter, list, whole)
    } else {
        db.pick(pick!(filter, list, sqlite), pick!(filter, list, postgres))
    };
    let rows: Vec<ClientColumns> = db.fetch_all(list, &parameters).await?;
    let pages = page.of(total, rows.len());
    Ok((rows.into_iter().map(Client::from).collect(), pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_pattern_escapes_wildcards() {
        assert_eq!(like_pattern("50%_\\"), "%50\\%\\_\\\\%");
    }
}
