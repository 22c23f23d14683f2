//! Remembered consents, `auth_consents`: the scopes that an account approved for a client by a browser
//! session, so that the same or less is given without a page.
//!
//! A consent counts until the expiry, and as long as the client is the one that was approved: same name,
//! owner, redirect URIs, type, authentication and keys. A revocation ends the consents that it covers in its
//! own transaction, which has a constant size: an account has at most `PER_ACCOUNT_MAX` rows, which are
//! deleted; a client may have a row of every account, so its `consent_epoch` increases, and rows of an earlier
//! epoch no longer count.

use sha2::{Digest as _, Sha256};

use super::clients::IS_NOT_DELETED;
use super::db::{Db, Tx};
use super::error::{Error, Result};
use super::open_revocations::Target;
use super::row::row;
use super::sql::{Sql, sql};
use super::value::{Flag, JsonColumn, Value};
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId, ConsentId};
use crate::oauth::remembered_consent::{self, rememberable, untouched};
use crate::oauth::scope::Scope;
use crate::secret::hex;

/// Maximum number of consents of an account; the oldest are deleted beyond.
const PER_ACCOUNT_MAX: i64 = 200;

/// The account, client and resources of a consent.
#[derive(Clone, Debug)]
pub struct ConsentKey {
    /// The account that approves.
    pub account: AccountId,
    /// The client.
    pub client: ClientRowId,
    /// The resources of the request (RFC 8707); `None` for the community's own API.
    pub resources: Option<Vec<String>>,
    /// The identity of each resource. A resource that changed has another identity, so that its consents no longer
    /// count.
    pub identities: Option<Vec<String>>,
}

impl ConsentKey {
    fn parameters(&self) -> [Value; 3] {
        [
            (&self.client).into(),
            (&self.account).into(),
            resources_hash(self.identities.as_deref()).into(),
        ]
    }
}

/// Hashes the identities of resources, in any order; empty for the community's own API.
fn resources_hash(identities: Option<&[String]>) -> String {
    let Some(identities) = identities else {
        return String::new();
    };
    let mut sorted: Vec<&str> = identities.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    hash_of(&sorted)
}

/// The consent of a key, if any, beside the current state of the client.
struct StateRow {
    name: String,
    owner_id: Option<AccountId>,
    redirect_uris: JsonColumn<Option<Vec<String>>>,
    client_type: String,
    auth_method: Option<String>,
    pkce_exempt: Option<Flag>,
    jwks: Option<JsonColumn<serde_json::Value>>,
    jwks_uri: Option<String>,
    epoch: i64,
    consent_scope: Option<String>,
    consent_fingerprint: Option<String>,
    consent_epoch: Option<i64>,
    consent_expires_at: Option<Timestamp>,
}

row!(StateRow:
    name, owner_id, redirect_uris, client_type, auth_method, pkce_exempt, jwks, jwks_uri, epoch,
    consent_scope, consent_fingerprint, consent_epoch, consent_expires_at
);

/// The columns of a [`StateRow`]: client `c`, its row `y` and the consent `n`.
const STATE_COLUMNS: Sql = Sql::same(
    "c.name, c.account_id AS owner_id, c.redirect_uris, c.type AS client_type, \
     y.auth_method, y.pkce_exempt, y.jwks, y.jwks_uri, COALESCE(y.consent_epoch, 0) AS epoch, \
     n.scope AS consent_scope, n.client_fingerprint AS consent_fingerprint, \
     n.client_epoch AS consent_epoch, n.expires_at AS consent_expires_at",
);

/// The state of the client `$1` for the account `$2` and the resources `$3`.
const STATE: Sql = sql!(
    "SELECT ",
    STATE_COLUMNS,
    " FROM oauth_clients c LEFT JOIN auth_clients y ON y.client_id = c.id \
     LEFT JOIN auth_consents n ON n.account_id = $2 AND n.client_id = c.id AND n.resources_hash = $3 \
     WHERE c.id = $1 AND ",
    IS_NOT_DELETED
);

impl StateRow {
    /// Returns a hash of everything that identifies the client to a member and to this server.
    fn fingerprint(&self) -> String {
        let owner = self.owner_id.as_ref().map(AccountId::as_str);
        let jwks = self.jwks.as_ref().map(|jwks| jwks.0.to_string());
        let pkce = self.pkce_exempt.as_ref().is_some_and(|exempt| exempt.0);
        let mut parts = vec![
            self.name.as_str(),
            owner.unwrap_or_default(),
            &self.client_type,
            self.auth_method.as_deref().unwrap_or_default(),
            if pkce { "pkce_exempt" } else { "" },
            jwks.as_deref()
                .filter(|jwks| *jwks != "null")
                .unwrap_or_default(),
            self.jwks_uri.as_deref().unwrap_or_default(),
        ];
        let redirect_uris = self.redirect_uris.0.as_deref().unwrap_or_default();
        parts.extend(redirect_uris.iter().map(String::as_str));
        hash_of(&parts)
    }

    /// True if the client is as approved.
    fn is_same_client(&self) -> bool {
        self.consent_fingerprint.as_ref() == Some(&self.fingerprint())
    }

    /// Returns scope and expiry of the consent if it still counts.
    fn live(&self, now: Timestamp) -> Option<(Scope, Timestamp)> {
        let expires_at = self.consent_expires_at.filter(|at| now < *at)?;
        let is_same = self.consent_epoch == Some(self.epoch) && self.is_same_client();
        let scope = self.consent_scope.as_deref().filter(|_| is_same)?;
        Some((Scope::stored(scope), expires_at))
    }

    fn covers(&self, granted: &Scope, now: Timestamp) -> bool {
        let live = self.live(now);
        live.is_some_and(|(scope, _)| remembered_consent::covers(&scope, granted))
    }
}

/// Hashes a list of texts, each with a length prefix, so that different lists never hash alike.
fn hash_of(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    hex(&digest.finalize())
}

/// True if a remembered consent answers a request that would be granted `granted`. For display: an approval
/// checks again with [`is_covered`].
pub async fn find_covering(
    db: &Db,
    key: &ConsentKey,
    granted: &Scope,
    now: Timestamp,
) -> Result<bool> {
    let row: Option<StateRow> = db.fetch_optional(STATE, &key.parameters()).await?;
    Ok(row.is_some_and(|row| row.covers(granted, now)))
}

/// As [`find_covering`], in the transaction of the approval. The caller holds the locks on the client and
/// the account ([`super::client_locks::lock_as_shown`]), so that a concurrent revocation or change of the client
/// either waits or is seen.
pub async fn is_covered(
    tx: &mut Tx,
    key: &ConsentKey,
    granted: &Scope,
    now: Timestamp,
) -> Result<bool> {
    let row: Option<StateRow> = tx.fetch_optional(STATE, &key.parameters()).await?;
    Ok(row.is_some_and(|row| row.covers(granted, now)))
}

/// Records the use of a consent.
pub async fn touch(tx: &mut Tx, key: &ConsentKey, now: Timestamp) -> Result<()> {
    let [client, account, resources] = key.parameters();
    tx.execute(
        "UPDATE auth_consents SET used_at = $4 \
         WHERE client_id = $1 AND account_id = $2 AND resources_hash = $3",
        &[client, account, resources, now.into()],
    )
    .await?;
    Ok(())
}

/// A remembered consent of an account, for the list of applications.
#[derive(Clone, Debug)]
pub struct ListedConsent {
    /// The client.
    pub client: ClientRowId,
    /// Expiry.
    pub expires_at: Timestamp,
    /// The resources; `None` for the community's own API, and for a consent from before migration 26.
    pub resources: Option<Vec<String>>,
    resources_hash: String,
    is_same_client: bool,
}

impl ListedConsent {
    /// True if the client and the resources are as approved. `identities` is a function of the resources.
    pub fn is_current(&self, identities: impl Fn(&[String]) -> Vec<String>) -> bool {
        let is_same = |resources: &Vec<String>| {
            resources_hash(Some(&identities(resources))) == self.resources_hash
        };
        self.is_same_client && self.resources.as_ref().is_none_or(is_same)
    }
}

struct ListedRow {
    client_id: ClientRowId,
    resources_hash: String,
    resources: Option<JsonColumn<Option<Vec<String>>>>,
    state: StateRow,
}

row!(ListedRow: client_id, resources_hash, resources; state);

/// Lists the consents of an account that have not expired and that no revocation ended, at most
/// `PER_ACCOUNT_MAX`.
pub async fn list(db: &Db, account: &AccountId, now: Timestamp) -> Result<Vec<ListedConsent>> {
    const SQL: Sql = sql!(
        "SELECT n.client_id, n.resources_hash, n.resources, ",
        STATE_COLUMNS,
        " FROM auth_consents n JOIN oauth_clients c ON c.id = n.client_id \
         LEFT JOIN auth_clients y ON y.client_id = c.id WHERE n.account_id = $1 AND ",
        (
            "julianday(n.expires_at) > julianday($2)",
            "n.expires_at > $2"
        ),
        " AND n.client_epoch = COALESCE(y.consent_epoch, 0) AND ",
        IS_NOT_DELETED
    );
    let rows: Vec<ListedRow> = db.fetch_all(SQL, &[account.into(), now.into()]).await?;
    let listed = rows.into_iter().filter_map(|row| {
        Some(ListedConsent {
            client: row.client_id,
            expires_at: row.state.consent_expires_at?,
            resources: row.resources.and_then(|list| list.0),
            resources_hash: row.resources_hash,
            is_same_client: row.state.is_same_client(),
        })
    });
    Ok(listed.collect())
}

/// An approval to remember.
#[derive(Clone, Debug)]
pub struct NewConsent {
    /// Account, client and resources.
    pub key: ConsentKey,
    /// Scopes that the page offered.
    pub offered: Scope,
    /// Scopes that the member granted.
    pub granted: Scope,
    /// Time of the approval.
    pub approved_at: Timestamp,
    /// Expiry.
    pub expires_at: Timestamp,
}

/// Remembers an approval. Scopes of an earlier consent that the page did not offer stay remembered, but not
/// longer than before. The caller holds the locks on the client and the account.
///
/// # Errors
/// [`Error::Gone`] if the client was deleted.
pub async fn remember(tx: &mut Tx, new: &NewConsent) -> Result<()> {
    let [client, account, resources] = new.key.parameters();
    let found: Option<StateRow> = tx.fetch_optional(STATE, &new.key.parameters()).await?;
    let state = found.ok_or(Error::Gone)?;
    let mut scope = rememberable(&new.granted);
    let mut expires_at = new.expires_at;
    if let Some((earlier, until)) = state.live(new.approved_at) {
        let kept = untouched(&earlier, &new.offered);
        if !kept.is_empty() {
            expires_at = expires_at.min(until);
        }
        kept.iter().for_each(|name| scope.push(name));
    }
    if scope.is_empty() {
        let sql = "DELETE FROM auth_consents \
                   WHERE client_id = $1 AND account_id = $2 AND resources_hash = $3";
        tx.execute(sql, &[client, account, resources]).await?;
        return Ok(());
    }
    tx.execute(
        "INSERT INTO auth_consents (id, account_id, client_id, resources_hash, scope, \
         client_fingerprint, client_epoch, approved_at, used_at, expires_at, resources) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10) \
         ON CONFLICT (account_id, client_id, resources_hash) DO UPDATE SET \
         scope = excluded.scope, resources = excluded.resources, client_fingerprint = excluded.client_fingerprint, \
         client_epoch = excluded.client_epoch, approved_at = excluded.approved_at, \
         used_at = excluded.used_at, expires_at = excluded.expires_at",
        &[
            (&ConsentId::generate(new.approved_at)).into(),
            account,
            client,
            resources,
            scope.to_string().into(),
            state.fingerprint().into(),
            state.epoch.into(),
            new.approved_at.into(),
            expires_at.into(),
            Value::optional_names(new.key.resources.as_deref()),
        ],
    )
    .await?;
    delete_oldest(tx, &new.key.account).await
}

/// Deletes the oldest consents of an account beyond `PER_ACCOUNT_MAX`.
async fn delete_oldest(tx: &mut Tx, account: &AccountId) -> Result<()> {
    const SQL: Sql = sql!(
        "DELETE FROM auth_consents WHERE id IN (SELECT n.id FROM auth_consents n \
         WHERE n.account_id = $1 ORDER BY ",
        ("julianday(n.used_at)", "n.used_at"),
        " DESC, n.id DESC",
        (" LIMIT -1", ""),
        " OFFSET $2)"
    );
    tx.execute(SQL, &[account.into(), PER_ACCOUNT_MAX.into()])
        .await?;
    Ok(())
}

/// Deletes the consents of an account for a client. Returns the number of rows.
pub async fn forget(tx: &mut Tx, account: &AccountId, client: &ClientRowId) -> Result<u64> {
    tx.execute(
        "DELETE FROM auth_consents WHERE account_id = $1 AND client_id = $2",
        &[account.into(), client.into()],
    )
    .await
}

/// Ends every consent that a revocation covers. The caller holds the locks of the revocation.
pub(super) async fn end(tx: &mut Tx, target: &Target) -> Result<()> {
    match (&target.account, &target.client) {
        (Some(account), Some(client)) => {
            forget(tx, account, client).await?;
        }
        (Some(account), None) => {
            let sql = "DELETE FROM auth_consents WHERE account_id = $1";
            tx.execute(sql, &[account.into()]).await?;
        }
        (None, Some(client)) => {
            tx.execute(
                "INSERT INTO auth_clients (client_id, consent_epoch) VALUES ($1, 1) \
                 ON CONFLICT (client_id) DO UPDATE SET consent_epoch = auth_clients.consent_epoch + 1",
                &[client.into()],
            )
            .await?;
        }
        (None, None) => {}
    }
    Ok(())
}
