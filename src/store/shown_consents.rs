//! Contents of shown consent pages, `auth_shown_consents`: an approval grants at most these.
//!
//! The insert of a request also inserts a row here, with the contents that a page would show at that
//! time. The first page replaces the row with the contents shown; later pages can only narrow the
//! scopes, so that each of several open tabs showed at least the granted scopes. The fingerprint stays
//! while every page shows the same client. A decision without a client version is valid only for the
//! client of that fingerprint.

use super::db::{Db, Tx};
use super::error::Result;
use super::row::row;
use super::sql::{Sql, sql};
use super::value::Flag;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId};
use crate::oauth::scope::Scope;

/// The consent page of a request, as shown or as predicted when the request was inserted.
#[derive(Clone, Debug)]
pub struct ShownConsent {
    /// Scopes shown as granted.
    pub scope: Scope,
    /// Fingerprint of the client; empty after pages with different fingerprints.
    pub client: String,
    /// False if no page was shown yet and the row is the prediction.
    pub was_shown: bool,
}

/// Columns of the shown consent `s`; all NULL for a request inserted by a Storyden.
pub(super) const SHOWN_COLUMNS: Sql = Sql::same(
    "s.scope AS shown_scope, s.client_fingerprint AS shown_client, s.shown_at AS shown_at",
);

/// The columns of `SHOWN_COLUMNS`.
#[expect(clippy::struct_field_names, reason = "other tables are joined too")]
pub struct ShownColumns {
    shown_scope: Option<String>,
    shown_client: Option<String>,
    shown_at: Option<Timestamp>,
}

row!(ShownColumns: shown_scope, shown_client, shown_at);

impl From<ShownColumns> for Option<ShownConsent> {
    fn from(row: ShownColumns) -> Self {
        let (scope, client) = row.shown_scope.zip(row.shown_client)?;
        Some(ShownConsent {
            scope: Scope::stored(&scope),
            client,
            was_shown: row.shown_at.is_some(),
        })
    }
}

/// Stores the prediction of the consent page for a new request.
pub async fn insert(tx: &mut Tx, request: &str, scope: &Scope, client: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_shown_consents (request_id, scope, client_fingerprint) \
         VALUES ($1, $2, $3) ON CONFLICT (request_id) DO NOTHING",
        &[request.into(), scope.to_string().into(), client.into()],
    )
    .await?;
    Ok(())
}

/// A page about to be shown.
#[derive(Clone, Debug)]
pub struct Page {
    /// Row id of the authorization request or device authorization.
    pub request: String,
    /// Scopes that an approval would grant now.
    pub scope: Scope,
    /// Fingerprint of the client.
    pub client: String,
    /// Time of the page view.
    pub at: Timestamp,
}

/// Records a page before display; returns the scopes that the page may show as granted.
pub async fn record(tx: &mut Tx, page: &Page) -> Result<Scope> {
    const LOCK: Sql = sql!(
        "SELECT scope FROM auth_shown_consents WHERE request_id = $1",
        ("", " FOR UPDATE")
    );
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
    // An earlier page exists, perhaps from a concurrent tab: keep only the scopes that both show.
    let before: Option<String> = tx.fetch_optional(LOCK, &parameters[..1]).await?;
    let before = before.map(|scope| Scope::stored(&scope));
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

/// Returns true if the client or the account's permissions may have changed since a request without a
/// row here was inserted. A page at that time would have shown different contents.
pub async fn may_have_changed(
    db: &Db,
    client: &ClientRowId,
    account: &AccountId,
    since: Timestamp,
) -> Result<bool> {
    const SQL: Sql = sql!(
        "SELECT EXISTS (SELECT 1 FROM oauth_clients c WHERE c.id = $1 AND ",
        (
            "julianday(c.updated_at) > julianday($3)",
            "c.updated_at > $3"
        ),
        ") OR EXISTS (SELECT 1 FROM accounts a WHERE a.id = $2 AND ",
        (
            "julianday(a.updated_at) > julianday($3)",
            "a.updated_at > $3"
        ),
        ") OR EXISTS (SELECT 1 FROM account_roles h WHERE h.account_id = $2 AND ",
        (
            "julianday(h.created_at) > julianday($3)",
            "h.created_at > $3"
        ),
        ") OR EXISTS (SELECT 1 FROM roles r WHERE ",
        (
            "julianday(r.updated_at) > julianday($3)",
            "r.updated_at > $3"
        ),
        " AND (r.id IN (SELECT h.role_id FROM account_roles h WHERE h.account_id = $2) \
         OR r.id IN ('0000000000000000000g', '000000000000000000m0', '00000000000000000a00'))) \
         AS changed"
    );
    let changed: Flag = db
        .fetch_one(SQL, &[client.into(), account.into(), since.into()])
        .await?;
    Ok(changed.0)
}
