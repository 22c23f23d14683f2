//! The refresh tokens that people see and revoke (contract 16): one's own, or everybody's.

use serde::Serialize;

use super::clients::is_not_deleted;
use super::db::{Db, Tx};
use super::error::Result;
use super::open_revocations::refresh_token_ended;
use super::paging::{Page, Pages, Total};
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId, RefreshTokenId};

/// A refresh token as it is listed; the token itself is nowhere.
#[derive(Debug, Serialize, sqlx::FromRow, utoipa::ToSchema)]
#[schema(as = OAuthRefreshToken)]
pub struct ListedToken {
    /// Who approved.
    pub account_id: AccountId,
    /// The public id of the client.
    pub client_id: String,
    /// Its name.
    pub client_name: String,
    /// When the token was made.
    #[serde(rename = "createdAt")]
    pub created_at: Timestamp,
    /// When it can no longer be used.
    pub expires_at: Timestamp,
    /// Its row.
    pub id: RefreshTokenId,
    /// When it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// The client's row.
    pub oauth_client_id: ClientRowId,
    /// The token that took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by_token_id: Option<RefreshTokenId>,
    /// When it was used or revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// What was granted.
    pub scope: String,
}

/// Which tokens are listed: all, or those of an account, of a client, or of both.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this account alone.
    pub account: Option<AccountId>,
    /// Of this client alone.
    pub client: Option<ClientRowId>,
}

/// A page of refresh tokens, newest first; those that are used or revoked are among them.
pub async fn list(db: &Db, filter: &Filter, page: Page) -> Result<(Vec<ListedToken>, Pages)> {
    let [size, before] = page.bounds();
    let (account, client) = (filter.account.as_ref(), filter.client.as_ref());
    // A token of an ended grant is over before its own row says so.
    macro_rules! sql {
        ($engine:ident) => {
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
                 FROM oauth_refresh_tokens t JOIN oauth_clients c ON c.id = t.client_id \
                 WHERE ($1 IS NULL OR t.account_id = $1) AND ($2 IS NULL OR t.client_id = $2) AND ",
                is_not_deleted!("c"),
                " ORDER BY t.created_at DESC, t.id DESC LIMIT $3 OFFSET $4"
            )
        };
    }
    let sql = db.pick(sql!(sqlite), sql!(postgres));
    let parameters = [account.into(), client.into(), size, before];
    let tokens: Vec<ListedToken> = db.fetch_all(sql, &parameters).await?;
    let total: Total = db
        .fetch_one(
            "SELECT COUNT(*) AS n FROM oauth_refresh_tokens t \
             WHERE ($1 IS NULL OR t.account_id = $1) AND ($2 IS NULL OR t.client_id = $2) \
             AND NOT EXISTS (SELECT 1 FROM auth_revocations v WHERE v.done_at IS NULL \
                 AND v.kind = 'client' AND v.client_id = t.client_id)",
            &[account.into(), client.into()],
        )
        .await?;
    let pages = page.of(total.n, tokens.len());
    Ok((tokens, pages))
}

/// Ends refreshing with one token (contract 16): the rest of its chain and its access tokens stay as
/// they are. Whether there is such a token, of this account where one is named; one that is over
/// stays as it is.
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

#[derive(sqlx::FromRow)]
struct HolderRow {
    account_id: AccountId,
    client_id: String,
}

/// Whose a token is: the account that approved it and the public id of its client.
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
