//! What consent pages showed, `auth_shown_consents`: an approval grants at most this.
//!
//! A request gets its row when it is made, with what the page would show at that time. The first page
//! replaces it with what it shows; later pages can only narrow the scopes, so that each of several open
//! tabs showed at least what is granted. The fingerprint stays while every page showed the same client.
//! A decision that does not say which version of the client it is about is good only for that one.

use super::db::{Db, Tx};
use super::error::Result;
use super::value::Flag;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId};
use crate::oauth::scope::Scope;

/// What the page of a request showed, or would have shown when the request was made.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The scopes that were shown as granted.
    pub scope: Scope,
    /// The fingerprint of the client; empty after pages that showed different ones.
    pub client: String,
    /// False if the row only tells what a page would have shown when the request was made.
    pub on_a_page: bool,
}

/// Columns of what was shown; all empty for a request that a Storyden wrote.
macro_rules! shown_columns {
    () => {
        "s.scope AS shown_scope, s.client_fingerprint AS shown_client, s.shown_at AS shown_at"
    };
}

pub(super) use shown_columns;

/// The columns of `shown_columns!`.
#[derive(sqlx::FromRow)]
#[expect(
    clippy::struct_field_names,
    reason = "other tables are joined beside them"
)]
pub struct ShownColumns {
    shown_scope: Option<String>,
    shown_client: Option<String>,
    shown_at: Option<Timestamp>,
}

impl From<ShownColumns> for Option<Shown> {
    fn from(row: ShownColumns) -> Self {
        let (scope, client) = row.shown_scope.zip(row.shown_client)?;
        Some(Shown {
            scope: Scope::stored(&scope),
            client,
            on_a_page: row.shown_at.is_some(),
        })
    }
}

/// Stores what the page of a new request would show.
pub async fn insert(tx: &mut Tx, request: &str, scope: &Scope, client: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_shown_consents (request_id, scope, client_fingerprint) \
         VALUES ($1, $2, $3) ON CONFLICT (request_id) DO NOTHING",
        &[request.into(), scope.to_string().into(), client.into()],
    )
    .await?;
    Ok(())
}

/// What a page is about to show.
#[derive(Clone, Debug)]
pub struct Page {
    /// The row of the authorization request or of the device authorization.
    pub request: String,
    /// The scopes that would be granted now.
    pub scope: Scope,
    /// The fingerprint of the client.
    pub client: String,
    /// When it is shown.
    pub at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct ScopeRow {
    scope: String,
}

/// Records a page before it is shown; gives the scopes that it may show as granted.
pub async fn record(tx: &mut Tx, page: &Page) -> Result<Scope> {
    let parameters = [
        page.request.as_str().into(),
        page.scope.to_string().into(),
        page.client.as_str().into(),
        page.at.into(),
    ];
    let first = tx
        .execute(
            "INSERT INTO auth_shown_consents (request_id, scope, client_fingerprint, shown_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (request_id) DO UPDATE SET \
             scope = excluded.scope, client_fingerprint = excluded.client_fingerprint, \
             shown_at = excluded.shown_at WHERE auth_shown_consents.shown_at IS NULL",
            &parameters,
        )
        .await?;
    if first > 0 {
        return Ok(page.scope.clone());
    }
    // Another page was shown before, maybe a moment ago in another tab: what both show counts.
    let sql = tx.pick(
        "SELECT scope FROM auth_shown_consents WHERE request_id = $1", // the transaction is the lock
        "SELECT scope FROM auth_shown_consents WHERE request_id = $1 FOR UPDATE",
    );
    let before: Option<ScopeRow> = tx.fetch_optional(sql, &parameters[..1]).await?;
    let before = before.map(|row| Scope::stored(&row.scope));
    let narrowed = page.scope.within(&before.unwrap_or_default());
    tx.execute(
        "UPDATE auth_shown_consents SET scope = $2, client_fingerprint = \
         CASE WHEN client_fingerprint = $3 THEN client_fingerprint ELSE '' END WHERE request_id = $1",
        &[
            page.request.as_str().into(),
            narrowed.to_string().into(),
            page.client.as_str().into(),
        ],
    )
    .await?;
    Ok(narrowed)
}

#[derive(sqlx::FromRow)]
struct Changed {
    changed: Flag,
}

/// True if the client, or what the account holds, may have changed since a request was made that has
/// no row here: then its page would have shown something else.
pub async fn may_have_changed(
    db: &Db,
    client: &ClientRowId,
    account: &AccountId,
    since: Timestamp,
) -> Result<bool> {
    let sql = db.pick(
        "SELECT EXISTS (SELECT 1 FROM oauth_clients c WHERE c.id = $1 \
             AND julianday(c.updated_at) > julianday($3)) \
         OR EXISTS (SELECT 1 FROM accounts a WHERE a.id = $2 \
             AND julianday(a.updated_at) > julianday($3)) \
         OR EXISTS (SELECT 1 FROM account_roles h WHERE h.account_id = $2 \
             AND julianday(h.created_at) > julianday($3)) \
         OR EXISTS (SELECT 1 FROM roles r WHERE julianday(r.updated_at) > julianday($3) \
             AND (r.id IN (SELECT h.role_id FROM account_roles h WHERE h.account_id = $2) \
             OR r.id IN ('0000000000000000000g', '000000000000000000m0', '00000000000000000a00'))) \
             AS changed",
        "SELECT EXISTS (SELECT 1 FROM oauth_clients c WHERE c.id = $1 AND c.updated_at > $3) \
         OR EXISTS (SELECT 1 FROM accounts a WHERE a.id = $2 AND a.updated_at > $3) \
         OR EXISTS (SELECT 1 FROM account_roles h WHERE h.account_id = $2 AND h.created_at > $3) \
         OR EXISTS (SELECT 1 FROM roles r WHERE r.updated_at > $3 \
             AND (r.id IN (SELECT h.role_id FROM account_roles h WHERE h.account_id = $2) \
             OR r.id IN ('0000000000000000000g', '000000000000000000m0', '00000000000000000a00'))) \
             AS changed",
    );
    let row: Changed = db
        .fetch_one(sql, &[client.into(), account.into(), since.into()])
        .await?;
    Ok(row.changed.0)
}
