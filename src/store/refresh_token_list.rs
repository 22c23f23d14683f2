//! Refresh token lists of members and administrators, and revocation of a listed token
//! (storyden-contract.md#refresh-token-lists).

use serde::Serialize;

use super::clients::IS_NOT_DELETED;
use super::db::{Db, Tx};
use super::error::Result;
use super::open_revocations::REFRESH_TOKEN_ENDED;
use super::paging::{ListSql, Page, Paged};
use super::row::row;
use super::sql::{Sql, sql};
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId, RefreshTokenId};

/// An entry of the list. The token value is not stored.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthRefreshToken)]
pub struct ListedToken {
    /// The account that approved the grant.
    pub account_id: AccountId,
    /// The public id of the client.
    pub client_id: String,
    /// Name of the client.
    pub client_name: String,
    /// Creation time.
    #[serde(rename = "createdAt")]
    pub created_at: Timestamp,
    /// Expiry.
    pub expires_at: Timestamp,
    /// Row id.
    pub id: RefreshTokenId,
    /// Time of use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// Row id of the client.
    pub oauth_client_id: ClientRowId,
    /// The successor from the rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by_token_id: Option<RefreshTokenId>,
    /// Time of use or revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// Granted scope.
    pub scope: String,
}

row!(ListedToken:
    account_id, client_id, client_name, created_at, expires_at, id, last_used_at, oauth_client_id,
    replaced_by_token_id, revoked_at, scope
);

/// Filter of the list: by account, by client, by both, or all tokens.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only tokens of this account.
    pub account: Option<AccountId>,
    /// Only tokens of this client.
    pub client: Option<ClientRowId>,
}

const COUNT: Sql =
    Sql::same("SELECT COUNT(*) AS n FROM (SELECT 1 FROM oauth_refresh_tokens t WHERE ");

const COUNTED: Sql = Sql::same(
    " AND NOT EXISTS (SELECT 1 FROM auth_revocations v WHERE v.done_at IS NULL \
         AND v.kind = 'client' AND v.client_id = t.client_id) LIMIT $3) x",
);

/// A token of a revoked grant is invalid before the token's own row is updated.
const SELECT: Sql = sql!(
    "SELECT t.id, t.created_at, t.client_id AS oauth_client_id, c.client_id, \
     c.name AS client_name, t.account_id, t.scope, t.expires_at, \
     CASE WHEN t.revoked_at IS NULL AND ",
    REFRESH_TOKEN_ENDED,
    " THEN COALESCE((SELECT g.revoked_at FROM auth_refresh_tokens m \
         JOIN auth_grants g ON g.id = m.grant_id WHERE m.token_id = t.id), \
         (SELECT MAX(v.created_at) FROM auth_revocations v WHERE v.done_at IS NULL)) \
     ELSE t.revoked_at END AS revoked_at, \
     t.replaced_by_token_id, t.last_used_at \
     FROM oauth_refresh_tokens t JOIN oauth_clients c ON c.id = t.client_id WHERE "
);

/// SQLite stores times as text with any UTC offset: compares instants, not texts.
const PAGE: Sql = sql!(
    " AND ",
    IS_NOT_DELETED,
    (
        " ORDER BY julianday(t.created_at) DESC, t.id DESC",
        " ORDER BY t.created_at DESC, t.id DESC"
    ),
    " LIMIT $3 OFFSET $4"
);

const PAGE_OLDEST: Sql = sql!(
    " AND ",
    IS_NOT_DELETED,
    (
        " ORDER BY julianday(t.created_at), t.id",
        " ORDER BY t.created_at, t.id"
    ),
    " LIMIT $3 OFFSET $4"
);

/// Builds the statements of a filter: newest first, and oldest first.
macro_rules! statements {
    ($filter:literal) => {{
        const FILTER: Sql = Sql::same($filter);
        const NEWEST: ListSql = ListSql {
            count: sql!(COUNT, FILTER, COUNTED),
            page: sql!(SELECT, FILTER, PAGE),
            whole: None,
        };
        const OLDEST: ListSql = ListSql {
            page: sql!(SELECT, FILTER, PAGE_OLDEST),
            ..NEWEST
        };
        [NEWEST, OLDEST]
    }};
}

/// The tokens of an account, `$1`. `$2` is the client.
const BY_ACCOUNT: [ListSql; 2] =
    statements!("t.account_id = $1 AND ($2 IS NULL OR t.client_id = $2)");

const BY_CLIENT: [ListSql; 2] = statements!("$1 IS NULL AND t.client_id = $2");

const ALL: [ListSql; 2] = statements!("$1 IS NULL AND $2 IS NULL");

/// Lists a page of refresh tokens, newest first, used and revoked tokens included.
pub async fn list(db: &Db, filter: &Filter, page: Page) -> Result<Paged<ListedToken>> {
    let [newest, _] = statements_of(filter);
    fetch(db, newest, filter, page).await
}

/// Lists a page of refresh tokens, oldest first, used and revoked tokens included.
pub async fn list_oldest(db: &Db, filter: &Filter, page: Page) -> Result<Paged<ListedToken>> {
    let [_, oldest] = statements_of(filter);
    fetch(db, oldest, filter, page).await
}

fn statements_of(filter: &Filter) -> [ListSql; 2] {
    match (&filter.account, &filter.client) {
        (Some(_), _) => BY_ACCOUNT,
        (None, Some(_)) => BY_CLIENT,
        (None, None) => ALL,
    }
}

async fn fetch(db: &Db, list: ListSql, filter: &Filter, page: Page) -> Result<Paged<ListedToken>> {
    let parameters = vec![
        filter.account.as_ref().into(),
        filter.client.as_ref().into(),
    ];
    list.fetch(db, parameters, page).await
}

/// Revokes a single refresh token (storyden-contract.md#refresh-token-lists): the rest of the chain and
/// the access tokens stay. Returns true if the token exists and belongs to `account`, if given. A token
/// already used or revoked stays unchanged.
pub async fn revoke(
    tx: &mut Tx,
    id: &RefreshTokenId,
    account: Option<&AccountId>,
    now: Timestamp,
) -> Result<bool> {
    let found = tx
        .execute(
            "UPDATE oauth_refresh_tokens SET revoked_at = COALESCE(revoked_at, $3), \
             last_used_at = CASE WHEN revoked_at IS NULL THEN $3 ELSE last_used_at END \
             WHERE id = $1 AND ($2 IS NULL OR account_id = $2)",
            &[id.into(), account.into(), now.into()],
        )
        .await?;
    Ok(found > 0)
}

/// The account that approved a token, and the client that received the token.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The account.
    pub account_id: AccountId,
    /// The public id of the client.
    pub client_id: String,
}

row!(Holder: account_id, client_id);

/// Finds the account and the client of a token.
pub async fn holder(tx: &mut Tx, id: &RefreshTokenId) -> Result<Option<Holder>> {
    tx.fetch_optional(
        "SELECT t.account_id, c.client_id FROM oauth_refresh_tokens t \
         JOIN oauth_clients c ON c.id = t.client_id WHERE t.id = $1",
        &[id.into()],
    )
    .await
}
