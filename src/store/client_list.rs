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

/// The condition of [`Filter`].
macro_rules! filtered {
    () => {
        concat!(
            " FROM oauth_clients c WHERE ($1 IS NULL OR c.account_id = $1) \
             AND ($2 IS NULL OR c.client_id = $2) \
             AND ($3 IS NULL OR LOWER(c.name) LIKE LOWER($3) ESCAPE '\\' \
                 OR LOWER(c.client_id) LIKE LOWER($3) ESCAPE '\\') AND ",
            is_not_deleted!("c")
        )
    };
}

macro_rules! listed {
    ($order:literal) => {
        concat!(
            "SELECT ",
            client_columns!(),
            filtered!(),
            $order,
            " LIMIT $4 OFFSET $5"
        )
    };
}

/// Lists a page of clients, oldest first. The unpaged list has the order of the table, as in Storyden.
pub async fn list(db: &Db, filter: &Filter, page: Page) -> Result<(Vec<Client>, Pages)> {
    const COUNT: &str = concat!("SELECT COUNT(*) AS n", filtered!());
    let mut parameters = filter.parameters();
    let total: i64 = db.fetch_one(COUNT, &parameters).await?;
    parameters.extend(page.bounds());
    let list = if page.is_whole() {
        listed!("")
    } else {
        // SQLite stores times as text with any UTC offset: compare instants, not texts
        db.pick(
            listed!(" ORDER BY julianday(c.created_at), c.id"),
            listed!(" ORDER BY c.created_at, c.id"),
        )
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
