//! Refresh token lists of members and administrators, and revocation of a listed token
//! (storyden-contract.md#refresh-token-lists).

use serde::Serialize;

use super::clients::is_not_deleted;
use super::db::{Db, Tx};
use super::error::Result;
use super::open_revocations::refresh_token_ended;
use super::paging::{Page, Pages};
use super::row::row;
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

/// Selects the statement of a filter. `$sql` is a macro that takes the engine and the name of the filter.
macro_rules! pick {
    ($db:ident, $filter:ident, $sql:ident) => {
        match ($filter.account.is_some(), $filter.client.is_some()) {
            (true, _) => $db.pick($sql!(sqlite, account), $sql!(postgres, account)),
            (false, true) => $db.pick($sql!(sqlite, client), $sql!(postgres, client)),
            (false, false) => $db.pick($sql!(sqlite, all), $sql!(postgres, all)),
        }
    };
}

/// The condition of [`Filter`]: `$1` is the account, `$2` the client. Separate texts, since SQLite uses no
/// index for `$1 IS NULL OR …`.
macro_rules! filtered {
    (account) => {
        "t.account_id = $1 AND ($2 IS NULL OR t.client_id = $2)"
    };
    (client) => {
        "$1 IS NULL AND t.client_id = $2"
    };
    (all) => {
        "$1 IS NULL AND $2 IS NULL"
    };
}

/// Lists a page of refresh tokens, newest first, used and revoked tokens included.
pub async fn list(db: &Db, filter: &Filter, page: Page) -> Result<(Vec<ListedToken>, Pages)> {
    let [size, before] = page.bounds();
    let (account, client) = (filter.account.as_ref(), filter.client.as_ref());
    // A token of a revoked grant is invalid before the token's own row is updated.
    macro_rules! list {
        ($engine:ident, $filter:ident) => {
            concat!(
                "SELECT t.id, t.created_at, t.client_id AS oauth_client_id, c.client_id, \
                 c.name AS client_name, t.account_id, t.scope, t.expires_at, \
                 CASE WHEN t.revoked_at IS NULL AND ",
                refresh_token_ended!($engine, "t"),
                " THEN COALESCE((SELECT g.revoked_at FROM auth_refresh_tokens m \
                     JOIN auth_grants g ON g.id = m.grant_id WHERE m.token_id = t.id), \
                     (SELECT MAX(v.created_at) FROM auth_revocations v WHERE v.done_at IS NULL)) \
                 ELSE t.revoked_at END AS revoked_at, \
                 t.replaced_by_token_id, t.last_used_at \
                 FROM oauth_refresh_tokens t JOIN oauth_clients c ON c.id = t.client_id WHERE ",
                filtered!($filter),
                " AND ",
                is_not_deleted!("c"),
                list!(@ order $engine),
                " LIMIT $3 OFFSET $4"
            )
        };
        // SQLite stores times as text with any UTC offset: compare instants, not texts
        (@ order sqlite) => { " ORDER BY julianday(t.created_at) DESC, t.id DESC" };
        (@ order postgres) => { " ORDER BY t.created_at DESC, t.id DESC" };
    }
    macro_rules! count {
        ($engine:ident, $filter:ident) => {
            concat!(
                "SELECT COUNT(*) AS n FROM (SELECT 1 FROM oauth_refresh_tokens t WHERE ",
                filtered!($filter),
                " AND NOT EXISTS (SELECT 1 FROM auth_revocations v WHERE v.done_at IS NULL \
                     AND v.kind = 'client' AND v.client_id = t.client_id) LIMIT $3) x"
            )
        };
    }
    let parameters = [account.into(), client.into(), size, before];
    let tokens: Vec<ListedToken> = db.fetch_all(pick!(db, filter, list), &parameters).await?;
    let parameters = [account.into(), client.into(), page.counted()];
    let total: i64 = db.fetch_one(pick!(db, filter, count), &parameters).await?;
    let pages = page.of(total, tokens.len());
    Ok((tokens, pages))
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

struct HolderRow {
    account_id: AccountId,
    client_id: String,
}

row!(HolderRow: account_id, client_id);

/// Finds the account that approved a token, and the public id of the client.
pub async fn holder(tx: &mut Tx, id: &RefreshTokenId) -> Result<Option<(AccountId, String)>> {
    let row: Option<HolderRow> = tx
        .fetch_optional(
            "SELECT t.account_id, c.client_id FROM oauth_refresh_tokens t \
             JOIN oauth_clients c ON c.id = t.client_id WHERE t.id = $1",
            &[id.into()],
        )
        .await?;
    Ok(row.map(|row| (row.account_id, row.client_id)))
}
