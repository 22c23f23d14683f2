//! Clients: `oauth_clients`.

use sha2::{Digest as _, Sha256};

use super::accounts::{Account, AccountColumns, account_columns, account_roles};
use super::db::{Db, Tx};
use super::error::Result;
use super::open_revocations;
use super::own_grants;
use super::revocation::{self, BATCH, Target};
use super::row::row;
use super::value::{Flag, JsonColumn, Names, Value};
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId};
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::scope::{ClientScope, Scope, ScopePolicy};
use crate::secret::hex;

/// Columns of a client.
macro_rules! client_columns {
    () => {
        "c.id AS client_row_id, c.client_id AS client_client_id, \
         c.client_secret_hash AS client_secret_hash, c.name AS client_name, \
         c.type AS client_type, EXISTS (SELECT 1 FROM auth_clients y \
             WHERE y.client_id = c.id AND y.pkce_exempt) AS client_pkce_exempt, \
         (SELECT y.auth_method FROM auth_clients y WHERE y.client_id = c.id) \
             AS client_auth_method, \
         (SELECT y.old_secret_hash FROM auth_clients y WHERE y.client_id = c.id) \
             AS client_old_secret_hash, \
         (SELECT y.old_secret_until FROM auth_clients y WHERE y.client_id = c.id) \
             AS client_old_secret_until, \
         c.scope_policy AS client_scope_policy, \
         c.redirect_uris AS client_redirect_uris, \
         c.allowed_scopes AS client_allowed_scopes, c.allowed_grants AS client_allowed_grants, \
         c.account_id AS client_owner, c.created_at AS client_created_at, \
         c.updated_at AS client_updated_at"
    };
}

/// SQL condition: client `$c` is not being deleted. Deletion renames the client id to `deleted:` and
/// the row id, which no client can register.
macro_rules! is_not_deleted {
    ($c:literal) => {
        concat!($c, ".client_id <> 'deleted:' || ", $c, ".id")
    };
}

pub(super) use {client_columns, is_not_deleted};

/// The columns of `client_columns!`.
#[expect(
    clippy::struct_field_names,
    reason = "other tables are joined beside them"
)]
pub struct ClientColumns {
    client_row_id: ClientRowId,
    client_client_id: String,
    client_secret_hash: Option<String>,
    client_name: String,
    client_type: String,
    client_pkce_exempt: Flag,
    client_auth_method: Option<String>,
    client_old_secret_hash: Option<String>,
    client_old_secret_until: Option<Timestamp>,
    client_scope_policy: String,
    client_redirect_uris: JsonColumn<Option<Vec<String>>>,
    client_allowed_scopes: Names,
    client_allowed_grants: Names,
    client_owner: Option<AccountId>,
    client_created_at: Timestamp,
    client_updated_at: Timestamp,
}

row!(ClientColumns:
    client_row_id, client_client_id, client_secret_hash, client_name, client_type,
    client_pkce_exempt, client_auth_method, client_old_secret_hash, client_old_secret_until,
    client_scope_policy, client_redirect_uris, client_allowed_scopes, client_allowed_grants,
    client_owner, client_created_at, client_updated_at
);

/// An OAuth client.
#[derive(Clone)]
pub struct Client {
    /// Row id.
    pub row_id: ClientRowId,
    /// Client id (RFC 6749 §2.2).
    pub client_id: String,
    /// Argon2id hash of the secret.
    pub secret_hash: Option<String>,
    /// Previous secret, during the overlap after a rotation.
    pub old_secret: Option<OldSecret>,
    /// Chosen authentication method; only that method is then accepted. Storyden's column
    /// `token_endpoint_auth_method` is ignored, because most rows only hold the default.
    pub auth_method: Option<AuthMethod>,
    /// Name.
    pub name: String,
    /// Confidential or public (RFC 6749 §2.1).
    pub kind: ClientType,
    /// True unless an administrator exempted the client from PKCE (RFC 7636). Storyden's column of this
    /// name is ignored: Storyden never reads the column, and the default there is `false`.
    pub pkce_required: bool,
    /// Scopes that the client may request.
    pub scope: ClientScope,
    /// Registered redirect URIs.
    pub redirect_uris: Vec<String>,
    /// True if the row holds JSON `null` instead of an empty list. Storyden stores and returns `null`
    /// for a self-service client created without `redirect_uris` (storyden-contract.md#ids-and-times).
    pub redirect_uris_omitted: bool,
    /// Allowed grant types.
    pub grants: Vec<GrantType>,
    /// Account that owns the client, if any.
    pub owner: Option<AccountId>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// The secret before the last rotation.
#[derive(Clone)]
pub struct OldSecret {
    /// Argon2id hash.
    pub hash: String,
    /// End of the overlap.
    pub until: Timestamp,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// True if the client may use `grant`.
    #[must_use]
    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grants.contains(&grant)
    }

    /// Returns a hash of everything a member recognizes the client by: name, owner, and redirect URIs.
    /// A consent page shows all three, so a change requires a new consent page.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.name, self.owner.as_ref(), &self.redirect_uris)
    }

    /// Iterates over the hashes of the secrets valid at `now`, the current secret first.
    pub fn secret_hashes(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let old = self.old_secret.as_ref().filter(|old| now < old.until);
        self.secret_hash
            .as_deref()
            .into_iter()
            .chain(old.map(|old| old.hash.as_str()))
    }
}

fn fingerprint(name: &str, owner: Option<&AccountId>, redirect_uris: &[String]) -> String {
    let owner = owner.map(AccountId::as_str).unwrap_or_default();
    let parts = [name, owner]
        .into_iter()
        .chain(redirect_uris.iter().map(String::as_str));
    let mut digest = Sha256::new();
    for part in parts {
        // length prefix, so that different lists never hash alike
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    hex(&digest.finalize())
}

impl From<ClientColumns> for Client {
    fn from(row: ClientColumns) -> Self {
        // An unknown value is read as the more restrictive value.
        let kind = match row.client_type.as_str() {
            "public" => ClientType::Public,
            _ => ClientType::Confidential,
        };
        let policy = match row.client_scope_policy.as_str() {
            "inherit" => ScopePolicy::Inherit,
            _ => ScopePolicy::Explicit,
        };
        Self {
            row_id: row.client_row_id,
            client_id: row.client_client_id,
            secret_hash: row.client_secret_hash,
            old_secret: row
                .client_old_secret_hash
                .zip(row.client_old_secret_until)
                .map(|(hash, until)| OldSecret { hash, until }),
            auth_method: row
                .client_auth_method
                .and_then(|name| AuthMethod::from_name(&name)),
            name: row.client_name,
            kind,
            pkce_required: !row.client_pkce_exempt.0,
            scope: ClientScope {
                policy,
                allowed: Scope::from_names(row.client_allowed_scopes.iter()),
            },
            grants: row
                .client_allowed_grants
                .iter()
                .filter_map(GrantType::from_stored_name)
                .collect(),
            redirect_uris_omitted: row.client_redirect_uris.0.is_none(),
            redirect_uris: row.client_redirect_uris.0.unwrap_or_default(),
            owner: row.client_owner,
            created_at: row.client_created_at,
            updated_at: row.client_updated_at,
        }
    }
}

/// Finds a client by client id, compared byte for byte.
pub async fn find(db: &Db, client_id: &str) -> Result<Option<Client>> {
    const SQL: &str = concat!(
        "SELECT ",
        client_columns!(),
        " FROM oauth_clients c WHERE c.client_id = $1 AND ",
        is_not_deleted!("c")
    );
    let row: Option<ClientColumns> = db.fetch_optional(SQL, &[client_id.into()]).await?;
    Ok(row.map(Client::from))
}

/// Finds a client by row id.
pub async fn find_by_row(db: &Db, id: &ClientRowId) -> Result<Option<Client>> {
    const SQL: &str = concat!(
        "SELECT ",
        client_columns!(),
        " FROM oauth_clients c WHERE c.id = $1 AND ",
        is_not_deleted!("c")
    );
    let row: Option<ClientColumns> = db.fetch_optional(SQL, &[id.into()]).await?;
    Ok(row.map(Client::from))
}

/// Finds the account that owns a client, with the current permissions.
pub async fn owner(db: &Db, client: &ClientRowId) -> Result<Option<Account>> {
    const SQL: &str = concat!(
        "SELECT ",
        account_columns!(),
        " FROM oauth_clients c JOIN accounts a ON a.id = c.account_id ",
        account_roles!(),
        " WHERE c.id = $1"
    );
    let rows: Vec<AccountColumns> = db.fetch_all(SQL, &[client.into()]).await?;
    Ok(Account::from_rows(&rows))
}

/// Lists all clients, oldest first.
pub async fn list(db: &Db) -> Result<Vec<Client>> {
    const SQL: &str = concat!(
        "SELECT ",
        client_columns!(),
        " FROM oauth_clients c WHERE ",
        is_not_deleted!("c"),
        " ORDER BY c.created_at, c.id"
    );
    let rows: Vec<ClientColumns> = db.fetch_all(SQL, &[]).await?;
    Ok(rows.into_iter().map(Client::from).collect())
}

/// Lists the clients of an account, oldest first.
pub async fn list_by_owner(db: &Db, owner: &AccountId) -> Result<Vec<Client>> {
    const SQL: &str = concat!(
        "SELECT ",
        client_columns!(),
        " FROM oauth_clients c WHERE c.account_id = $1 ORDER BY c.created_at, c.id"
    );
    let rows: Vec<ClientColumns> = db.fetch_all(SQL, &[owner.into()]).await?;
    Ok(rows.into_iter().map(Client::from).collect())
}

/// Counts the clients of an account.
pub async fn count_by_owner(db: &Db, owner: &AccountId) -> Result<i64> {
    db.fetch_one(
        "SELECT COUNT(*) AS n FROM oauth_clients WHERE account_id = $1",
        &[owner.into()],
    )
    .await
}

/// The owner of a client.
#[derive(Debug)]
pub struct Owner {
    /// Account id.
    pub id: AccountId,
    /// Handle.
    pub handle: String,
}

row!(Owner: id, handle);

/// Lists the accounts that own a client.
pub async fn owners(db: &Db) -> Result<Vec<Owner>> {
    db.fetch_all(
        "SELECT a.id, a.handle FROM accounts a \
         WHERE a.id IN (SELECT c.account_id FROM oauth_clients c)",
        &[],
    )
    .await
}

/// Inserts a client.
///
/// # Errors
/// [`super::Error::Taken`] if the client id is taken, [`super::Error::Gone`] if the owner does not
/// exist.
pub async fn insert(tx: &mut Tx, client: &Client) -> Result<()> {
    let method = client.auth_method.unwrap_or(AuthMethod::usual(client.kind));
    let redirect_uris = if client.redirect_uris_omitted {
        Value::Json(serde_json::Value::Null)
    } else {
        Value::names(client.redirect_uris.iter().map(String::as_str))
    };
    tx.execute(
        "INSERT INTO oauth_clients (id, created_at, updated_at, client_id, client_secret_hash, name, \
         type, scope_policy, token_endpoint_auth_method, pkce_required, redirect_uris, \
         allowed_scopes, allowed_grants, account_id) \
         VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        &[
            (&client.row_id).into(),
            client.created_at.into(),
            client.client_id.as_str().into(),
            client.secret_hash.clone().into(),
            client.name.as_str().into(),
            client.kind.name().into(),
            policy_name(client.scope.policy).into(),
            method.name().into(),
            client.pkce_required.into(),
            redirect_uris,
            Value::names(client.scope.allowed.names()),
            Value::names(client.grants.iter().map(|grant| grant.wire_name())),
            client.owner.as_ref().into(),
        ],
    )
    .await?;
    if !client.pkce_required || client.auth_method.is_some() {
        let chosen = client.auth_method.map(|method| method.name().to_owned());
        tx.execute(
            "INSERT INTO auth_clients (client_id, pkce_exempt, auth_method) VALUES ($1, $2, $3)",
            &[
                (&client.row_id).into(),
                (!client.pkce_required).into(),
                chosen.into(),
            ],
        )
        .await?;
    }
    Ok(())
}

/// Replaces the metadata of a client without an owner: a dynamically registered client (RFC 7592 §2.2)
/// or a metadata document client.
///
/// # Errors
/// [`super::Error::Gone`] if there is no such client, or its deletion is in progress.
pub async fn replace(tx: &mut Tx, client: &Client) -> Result<()> {
    let method = client.auth_method.unwrap_or(AuthMethod::usual(client.kind));
    let changed = tx
        .execute(
            concat!(
                "UPDATE oauth_clients SET name = $2, type = $3, client_secret_hash = $4, \
                 redirect_uris = $5, allowed_scopes = $6, allowed_grants = $7, \
                 token_endpoint_auth_method = $8, updated_at = $9 \
                 WHERE id = $1 AND account_id IS NULL AND ",
                is_not_deleted!("oauth_clients")
            ),
            &[
                (&client.row_id).into(),
                client.name.as_str().into(),
                client.kind.name().into(),
                client.secret_hash.clone().into(),
                Value::names(client.redirect_uris.iter().map(String::as_str)),
                Value::names(client.scope.allowed.names()),
                Value::names(client.grants.iter().map(|grant| grant.wire_name())),
                method.name().into(),
                client.updated_at.into(),
            ],
        )
        .await?;
    if changed == 0 {
        return Err(super::Error::Gone);
    }
    let chosen = client.auth_method.map(|method| method.name().to_owned());
    tx.execute(
        "INSERT INTO auth_clients (client_id, auth_method) VALUES ($1, $2) \
         ON CONFLICT (client_id) DO UPDATE SET auth_method = excluded.auth_method",
        &[(&client.row_id).into(), chosen.into()],
    )
    .await?;
    Ok(())
}

/// Name of a policy in the database.
#[must_use]
pub fn policy_name(policy: ScopePolicy) -> &'static str {
    match policy {
        ScopePolicy::Explicit => "explicit",
        ScopePolicy::Inherit => "inherit",
    }
}

/// Changes of a client; `None` leaves a field unchanged.
#[derive(Clone, Default)]
pub struct Changes {
    /// Name.
    pub name: Option<String>,
    /// Redirect URIs.
    pub redirect_uris: Option<Vec<String>>,
    /// Scopes that the client may request.
    pub allowed_scopes: Option<Scope>,
    /// Allowed grant types.
    pub allowed_grants: Option<Vec<GrantType>>,
    /// Source of the permissions: the registered list, or all permissions of the member.
    pub scope_policy: Option<ScopePolicy>,
    /// Argon2id hash of the secret.
    pub secret_hash: Option<String>,
}

/// Updates a client. False if there is no such client, or its deletion is in progress.
pub async fn update(
    tx: &mut Tx,
    id: &ClientRowId,
    changes: &Changes,
    now: Timestamp,
) -> Result<bool> {
    let text = |sql, value: String| (sql, Value::from(value));
    let uris = |uris: &Vec<String>| Value::names(uris.iter().map(String::as_str));
    let grants = |grants: &Vec<GrantType>| Value::names(grants.iter().map(|g| g.wire_name()));
    let columns = [
        changes
            .name
            .clone()
            .map(|name| text("UPDATE oauth_clients SET name = $2 WHERE id = $1", name)),
        changes.secret_hash.clone().map(|hash| {
            text(
                "UPDATE oauth_clients SET client_secret_hash = $2 WHERE id = $1",
                hash,
            )
        }),
        changes.scope_policy.map(|policy| {
            text(
                "UPDATE oauth_clients SET scope_policy = $2 WHERE id = $1",
                policy_name(policy).to_owned(),
            )
        }),
        changes.redirect_uris.as_ref().map(|list| {
            (
                "UPDATE oauth_clients SET redirect_uris = $2 WHERE id = $1",
                uris(list),
            )
        }),
        changes.allowed_scopes.as_ref().map(|scope| {
            (
                "UPDATE oauth_clients SET allowed_scopes = $2 WHERE id = $1",
                Value::names(scope.names()),
            )
        }),
        changes.allowed_grants.as_ref().map(|list| {
            (
                "UPDATE oauth_clients SET allowed_grants = $2 WHERE id = $1",
                grants(list),
            )
        }),
    ];
    if !touch(tx, id, now).await? {
        return Ok(false);
    }
    for (sql, value) in columns.into_iter().flatten() {
        tx.execute(sql, &[id.into(), value]).await?;
    }
    if changes.secret_hash.is_some() {
        clear_old_secret(tx, id).await?;
        own_grants::end(tx, id, SECRET_REPLACED, now).await?;
    }
    Ok(true)
}

/// Sets the time of the last change and locks the row, so that the later of two concurrent changes sees
/// the earlier. False if there is no such client, or its deletion is in progress.
async fn touch(tx: &mut Tx, id: &ClientRowId, now: Timestamp) -> Result<bool> {
    const SQL: &str = concat!(
        "UPDATE oauth_clients SET updated_at = $2 WHERE id = $1 AND ",
        is_not_deleted!("oauth_clients")
    );
    Ok(tx.execute(SQL, &[id.into(), now.into()]).await? > 0)
}

/// Revocation reason of a client's own grant after a secret change without overlap.
const SECRET_REPLACED: &str = "secret_replaced";

/// A rotation of a client secret.
#[derive(Clone)]
pub struct Rotation {
    /// The client.
    pub client: ClientRowId,
    /// The Argon2id hash of the new secret.
    pub hash: String,
    /// End of the overlap in which the old secret remains valid; `None` for no overlap.
    pub old_until: Option<Timestamp>,
    /// Time of the rotation.
    pub now: Timestamp,
}

/// Replaces the secret of a client. False if there is no such client, or its deletion is in progress. The
/// secret of an earlier overlap becomes invalid. Without an overlap, the client's own access tokens
/// (RFC 6749 §4.4) are revoked too. With an overlap the old secret is still trusted, so the access tokens
/// stay valid until expiry.
pub async fn rotate_secret(tx: &mut Tx, rotation: &Rotation) -> Result<bool> {
    let client = &rotation.client;
    // Lock the row first, so that the later of two concurrent rotations replaces the secret of the
    // earlier.
    if !touch(tx, client, rotation.now).await? {
        return Ok(false);
    }
    if let Some(until) = rotation.old_until {
        tx.execute(
            "INSERT INTO auth_clients (client_id, old_secret_hash, old_secret_until) \
             SELECT c.id, c.client_secret_hash, $2 FROM oauth_clients c WHERE c.id = $1 \
             ON CONFLICT (client_id) DO UPDATE SET old_secret_hash = excluded.old_secret_hash, \
             old_secret_until = excluded.old_secret_until",
            &[client.into(), until.into()],
        )
        .await?;
    } else {
        clear_old_secret(tx, client).await?;
        own_grants::end(tx, client, SECRET_REPLACED, rotation.now).await?;
    }
    tx.execute(
        "UPDATE oauth_clients SET client_secret_hash = $2 WHERE id = $1",
        &[client.into(), rotation.hash.as_str().into()],
    )
    .await?;
    Ok(true)
}

struct SecretRow {
    id: ClientRowId,
    client_id: String,
    allowed_grants: Names,
}

row!(SecretRow: id, client_id, allowed_grants);

impl SecretRow {
    /// True if the client may use the client credentials grant (RFC 6749 §4.4), which acts as the
    /// owner.
    fn acts_as_owner(&self) -> bool {
        let mut grants = self.allowed_grants.iter();
        grants.any(|name| GrantType::from_stored_name(name) == Some(GrantType::ClientCredentials))
    }
}

const SECRETS_OF: &str = "SELECT id, client_id, allowed_grants FROM oauth_clients \
     WHERE account_id = $1 AND client_secret_hash IS NOT NULL";

/// Counts the clients of an account that have a secret and may use the client credentials grant.
pub async fn count_own_grant_secrets(db: &Db, owner: &AccountId) -> Result<u64> {
    let rows: Vec<SecretRow> = db.fetch_all(SECRETS_OF, &[owner.into()]).await?;
    Ok(rows.iter().filter(|row| row.acts_as_owner()).count() as u64)
}

/// Removes the current and previous secret of every client of an account that may use the client
/// credentials grant, in three statements. Returns the client ids. The owner can set new secrets.
pub async fn remove_own_grant_secrets(
    tx: &mut Tx,
    owner: &AccountId,
    now: Timestamp,
) -> Result<Vec<String>> {
    let rows: Vec<SecretRow> = tx.fetch_all(SECRETS_OF, &[owner.into()]).await?;
    let rows: Vec<SecretRow> = rows.into_iter().filter(SecretRow::acts_as_owner).collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = Value::names(rows.iter().map(|row| row.id.as_str()));
    let end = tx.pick(
        "UPDATE oauth_clients SET client_secret_hash = NULL, updated_at = $2 \
         WHERE id IN (SELECT value FROM json_each(CAST($1 AS TEXT)))",
        "UPDATE oauth_clients SET client_secret_hash = NULL, updated_at = $2 \
         WHERE id IN (SELECT jsonb_array_elements_text($1))",
    );
    tx.execute(end, &[ids.clone(), now.into()]).await?;
    let clear_old = tx.pick(
        "UPDATE auth_clients SET old_secret_hash = NULL, old_secret_until = NULL \
         WHERE client_id IN (SELECT value FROM json_each(CAST($1 AS TEXT)))",
        "UPDATE auth_clients SET old_secret_hash = NULL, old_secret_until = NULL \
         WHERE client_id IN (SELECT jsonb_array_elements_text($1))",
    );
    tx.execute(clear_old, std::slice::from_ref(&ids)).await?;
    own_grants::end_all(tx, ids, "secret_ended", now).await?;
    Ok(rows.into_iter().map(|row| row.client_id).collect())
}

async fn clear_old_secret(tx: &mut Tx, client: &ClientRowId) -> Result<()> {
    tx.execute(
        "UPDATE auth_clients SET old_secret_hash = NULL, old_secret_until = NULL \
         WHERE client_id = $1",
        &[client.into()],
    )
    .await?;
    Ok(())
}

/// Locks a client and an account (`FOR KEY SHARE`) until the end of the transaction. Call before
/// inserting a request, code, or grant: a concurrent deletion or revocation then either waits, or is
/// visible to this transaction.
///
/// # Errors
/// [`super::Error::Gone`] if the client or the account was deleted.
pub async fn hold(tx: &mut Tx, client: &ClientRowId, account: &AccountId) -> Result<()> {
    let sql = tx.pick(
        concat!(
            "SELECT c.id FROM oauth_clients c, accounts a WHERE c.id = $1 AND a.id = $2 AND ",
            is_not_deleted!("c") // BEGIN IMMEDIATE is the lock
        ),
        concat!(
            "SELECT c.id FROM oauth_clients c, accounts a WHERE c.id = $1 AND a.id = $2 AND ",
            is_not_deleted!("c"),
            " FOR KEY SHARE OF c, a"
        ),
    );
    let held: Option<ClientRowId> = tx
        .fetch_optional(sql, &[client.into(), account.into()])
        .await?;
    held.map(drop).ok_or(super::Error::Gone)
}

struct LockedClientRow {
    name: String,
    account_id: Option<AccountId>,
    redirect_uris: JsonColumn<Option<Vec<String>>>,
}

row!(LockedClientRow: name, account_id, redirect_uris);

/// Locks as [`hold`] does, and also the name, owner, and redirect URIs of the client. False if these no
/// longer match the fingerprint `shown`.
///
/// # Errors
/// [`super::Error::Gone`] if the client or the account was deleted.
pub async fn lock_as_shown(
    tx: &mut Tx,
    client: &ClientRowId,
    account: &AccountId,
    shown: &str,
) -> Result<bool> {
    let sql = tx.pick(
        concat!(
            "SELECT c.name, c.account_id, c.redirect_uris FROM oauth_clients c, accounts a \
             WHERE c.id = $1 AND a.id = $2 AND ",
            is_not_deleted!("c") // BEGIN IMMEDIATE is the lock
        ),
        concat!(
            "SELECT c.name, c.account_id, c.redirect_uris FROM oauth_clients c, accounts a \
             WHERE c.id = $1 AND a.id = $2 AND ",
            is_not_deleted!("c"),
            " FOR SHARE OF c FOR KEY SHARE OF a"
        ),
    );
    let row: Option<LockedClientRow> = tx
        .fetch_optional(sql, &[client.into(), account.into()])
        .await?;
    let row = row.ok_or(super::Error::Gone)?;
    let redirect_uris = row.redirect_uris.0.unwrap_or_default();
    Ok(fingerprint(&row.name, row.account_id.as_ref(), &redirect_uris) == shown)
}

/// Locks a client against [`hold`] until the end of the transaction. False if there is no such client.
pub(super) async fn lock(tx: &mut Tx, id: &ClientRowId) -> Result<bool> {
    let sql = tx.pick(
        concat!(
            "SELECT c.id FROM oauth_clients c WHERE c.id = $1 AND ",
            is_not_deleted!("c") // BEGIN IMMEDIATE is the lock
        ),
        concat!(
            "SELECT c.id FROM oauth_clients c WHERE c.id = $1 AND ",
            is_not_deleted!("c"),
            " FOR UPDATE"
        ),
    );
    let row: Option<ClientRowId> = tx.fetch_optional(sql, &[id.into()]).await?;
    Ok(row.is_some())
}

/// Deletes a client with all requests, codes, device authorizations, and refresh tokens. False if there
/// is no such client. The grants are revoked and kept for a while, so that access tokens are refused.
///
/// If the first batch does not delete all rows, a job deletes the rest ([`super::revocation::apply`]).
/// Until then the row of the client stays as the target of the foreign keys. This server and Storyden
/// accept nothing from that row: the client id is replaced, and secret, owner, grant types, scopes, and
/// redirect URIs are removed.
pub async fn delete(tx: &mut Tx, id: &ClientRowId, now: Timestamp) -> Result<bool> {
    if !lock(tx, id).await? {
        return Ok(false);
    }
    revocation::end_grants_of_client(tx, id, now).await?;
    tx.execute(
        "DELETE FROM auth_clients WHERE client_id = $1",
        &[id.into()],
    )
    .await?;
    if delete_rows(tx, id).await? < BATCH.unsigned_abs() {
        let sql = "DELETE FROM oauth_clients WHERE id = $1";
        return Ok(tx.execute(sql, &[id.into()]).await? > 0);
    }
    let nothing = || Value::names([]);
    tx.execute(
        "UPDATE oauth_clients SET client_id = 'deleted:' || id, client_secret_hash = NULL, \
         account_id = NULL, redirect_uris = $3, allowed_scopes = $4, allowed_grants = $5, \
         updated_at = $2 WHERE id = $1",
        &[id.into(), now.into(), nothing(), nothing(), nothing()],
    )
    .await?;
    let target = Target::of_client(id);
    open_revocations::insert(tx, open_revocations::CLIENT, &target, "client_deleted", now).await?;
    Ok(true)
}

/// Deletes a batch of rows of a deleted client, and the client's row with the last batch. Returns the
/// number of deleted rows.
pub(super) async fn delete_batch(db: &Db, id: ClientRowId) -> Result<u64> {
    db.write(id, |tx, id| {
        Box::pin(async move {
            let deleted = delete_rows(tx, id).await?;
            if deleted >= BATCH.unsigned_abs() {
                return Ok(deleted);
            }
            let sql = concat!(
                "DELETE FROM oauth_clients WHERE id = $1 AND NOT (",
                is_not_deleted!("oauth_clients"),
                ")"
            );
            Ok(deleted + tx.execute(sql, &[id.into()]).await?)
        })
    })
    .await
}

/// Deletes up to [`BATCH`] rows that reference a client. A smaller result means that no rows are left.
async fn delete_rows(tx: &mut Tx, id: &ClientRowId) -> Result<u64> {
    /// A `DELETE` of the rows with an id in the JSON list `$1`.
    macro_rules! delete {
        ($table:literal, $key:literal) => {
            [
                concat!(
                    "DELETE FROM ",
                    $table,
                    " WHERE ",
                    $key,
                    " IN (SELECT value FROM json_each(CAST($1 AS TEXT)))"
                ),
                concat!(
                    "DELETE FROM ",
                    $table,
                    " WHERE ",
                    $key,
                    " IN (SELECT jsonb_array_elements_text($1))"
                ),
            ]
        };
    }
    const DEVICE_ORIGINS: [&str; 2] = delete!("auth_device_origins", "device_id");
    const DEVICES: [&str; 2] = delete!("oauth_device_authorisations", "id");
    const MEMBERSHIPS: [&str; 2] = delete!("auth_refresh_tokens", "token_id");
    const TOKENS: [&str; 2] = delete!("oauth_refresh_tokens", "id");
    const DETAILS: [&str; 2] = delete!("auth_request_details", "request_id");
    const SHOWN: [&str; 2] = delete!("auth_shown_consents", "request_id");
    const REQUESTS: [&str; 2] = delete!("oauth_authorisation_requests", "id");
    const CODES: [&str; 2] = delete!("oauth_authorisation_codes", "id");
    const PENDING: [&str; 2] = delete!("auth_pending_requests", "request_id_hash");
    let kinds: [(&'static str, &[[&'static str; 2]]); 5] = [
        (
            "SELECT request_id_hash AS id FROM auth_pending_requests WHERE client_id = $1 LIMIT $2",
            &[PENDING],
        ),
        (
            "SELECT id FROM oauth_authorisation_requests WHERE client_id = $1 LIMIT $2",
            &[DETAILS, SHOWN, REQUESTS],
        ),
        (
            "SELECT id FROM oauth_authorisation_codes WHERE client_id = $1 LIMIT $2",
            &[CODES],
        ),
        (
            "SELECT id FROM oauth_device_authorisations WHERE client_id = $1 LIMIT $2",
            &[DEVICE_ORIGINS, SHOWN, DEVICES],
        ),
        (
            "SELECT id FROM oauth_refresh_tokens WHERE client_id = $1 LIMIT $2",
            &[MEMBERSHIPS, TOKENS],
        ),
    ];
    let mut left = BATCH;
    for (select, deletes) in kinds {
        let rows: Vec<String> = tx.fetch_all(select, &[id.into(), left.into()]).await?;
        if rows.is_empty() {
            continue;
        }
        let ids = Value::names(rows.iter().map(String::as_str));
        for [sqlite, postgres] in deletes {
            let sql = tx.pick(sqlite, postgres);
            tx.execute(sql, std::slice::from_ref(&ids)).await?;
        }
        left -= i64::try_from(rows.len()).unwrap_or(left);
        if left <= 0 {
            break;
        }
    }
    Ok((BATCH - left).unsigned_abs())
}
