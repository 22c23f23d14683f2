//! Access keys of members and bots: rows of `authentications` with the service `access_key`
//! (storyden-contract.md#access-keys).

use super::accounts::{ACCOUNT_COLUMNS, ACCOUNT_ROLES, Account, WithAccount};
use super::db::{Db, Tx};
use super::error::Result;
use super::lookup::{Lookup, lookup};
use super::open_revocations::BATCH;
use super::paging::{ListSql, Page, Paged};
use super::row::row;
use super::sql::{Sql, sql};
use super::value::Flag;
use crate::clock::Timestamp;
use crate::ids::{AccessKeyId, AccountId};

/// An access key with the account that owns the key.
#[derive(Clone)]
pub struct AccessKey {
    /// Row id.
    pub id: AccessKeyId,
    /// The public part: `sdpak_…` or `sdbak_…` without the secret.
    pub identifier: String,
    /// Argon2id hash of the secret part.
    pub secret_hash: String,
    /// True after deletion, which keeps the row.
    pub disabled: bool,
    /// Expiry, if the key has any.
    pub expires_at: Option<Timestamp>,
    /// The owner, with the current permissions.
    pub account: Account,
}

impl AccessKey {
    /// True if the key is neither deleted nor expired.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        !self.disabled && self.expires_at.is_none_or(|at| now < at)
    }
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[expect(
    clippy::struct_field_names,
    reason = "the columns stand beside those of the account"
)]
struct KeyRow {
    key_id: AccessKeyId,
    key_identifier: String,
    key_token: String,
    key_disabled: Flag,
    key_expires_at: Option<Timestamp>,
}

row!(KeyRow: key_id, key_identifier, key_token, key_disabled, key_expires_at);

/// Finds a key by identifier, compared byte for byte.
pub async fn find(db: &Db, identifier: &str) -> Result<Option<AccessKey>> {
    const FIND: Lookup = lookup!(
        1 key: SELECT "k.id AS key_id, k.identifier AS key_identifier, k.token AS key_token, \
         k.disabled AS key_disabled, k.expires_at AS key_expires_at, ",
        ACCOUNT_COLUMNS;
        FROM "authentications k JOIN accounts a ON a.id = k.account_authentication ",
        ACCOUNT_ROLES,
        " WHERE k.service = 'access_key' AND k.identifier = ", [1]
    );
    let rows = db.look_up(FIND, &[Some(identifier)]).await?;
    let found = WithAccount::<KeyRow>::decode(&rows)?;
    let Some(WithAccount { row, account }) = found else {
        return Ok(None);
    };
    Ok(Some(AccessKey {
        id: row.key_id,
        identifier: row.key_identifier,
        secret_hash: row.key_token,
        disabled: row.key_disabled.0,
        expires_at: row.key_expires_at,
        account,
    }))
}

/// A key in the list of the owner.
#[derive(Clone, Debug)]
pub struct ListedKey {
    /// Row id.
    pub id: AccessKeyId,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Name that the owner chose.
    pub name: Option<String>,
    /// True after deletion.
    pub disabled: Flag,
    /// Expiry, if the key has any.
    pub expires_at: Option<Timestamp>,
}

row!(ListedKey: id, created_at, name, disabled, expires_at);

/// Lists the keys of an account, oldest first, including deleted keys.
pub async fn list(db: &Db, account: &AccountId) -> Result<Vec<ListedKey>> {
    db.fetch_all(
        "SELECT id, created_at, name, disabled, expires_at FROM authentications \
         WHERE service = 'access_key' AND account_authentication = $1 ORDER BY created_at, id",
        &[account.into()],
    )
    .await
}

/// A key with the owner, in the list for administrators.
#[derive(Clone, Debug)]
pub struct KeyWithOwner {
    /// Row id.
    pub id: AccessKeyId,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Name that the owner chose.
    pub name: Option<String>,
    /// True after deletion.
    pub disabled: Flag,
    /// Expiry, if the key has any.
    pub expires_at: Option<Timestamp>,
    /// Account id of the owner.
    pub owner_id: AccountId,
    /// Handle of the owner.
    pub owner_handle: String,
    /// Display name of the owner.
    pub owner_name: String,
    /// Time at which the owner's account was created.
    pub owner_joined: Timestamp,
    /// Time of suspension, if the owner is suspended.
    pub owner_suspended: Option<Timestamp>,
}

row!(KeyWithOwner:
    id, created_at, name, disabled, expires_at, owner_id, owner_handle, owner_name, owner_joined,
    owner_suspended
);

const COUNT: Sql = Sql::same("SELECT COUNT(*) AS n FROM (SELECT 1 FROM authentications k WHERE ");

const SELECT: Sql = Sql::same(
    "SELECT k.id, k.created_at, k.name, k.disabled, k.expires_at, a.id AS owner_id, \
     a.handle AS owner_handle, a.name AS owner_name, a.created_at AS owner_joined, \
     a.deleted_at AS owner_suspended \
     FROM authentications k JOIN accounts a ON a.id = k.account_authentication WHERE ",
);

/// SQLite stores times as text with any UTC offset: compares instants, not texts.
const PAGE: Sql = sql!(
    (
        " ORDER BY julianday(k.created_at), k.id",
        " ORDER BY k.created_at, k.id"
    ),
    " LIMIT $2 OFFSET $3"
);

/// The access keys of an account, `$1`.
const OF_OWNER: ListSql = {
    const KEYS: Sql = Sql::same("k.service = 'access_key' AND k.account_authentication = $1");
    ListSql {
        count: sql!(COUNT, KEYS, " LIMIT $2) x"),
        page: sql!(SELECT, KEYS, PAGE),
        whole: Some(sql!(SELECT, KEYS, " LIMIT $2 OFFSET $3")),
    }
};

/// The access keys of all accounts.
const ALL: ListSql = {
    const KEYS: Sql = Sql::same("k.service = 'access_key' AND $1 IS NULL");
    ListSql {
        count: sql!(COUNT, KEYS, " LIMIT $2) x"),
        page: sql!(SELECT, KEYS, PAGE),
        whole: Some(sql!(SELECT, KEYS, " LIMIT $2 OFFSET $3")),
    }
};

/// Lists a page of all keys, or of the keys of `owner`, oldest first, including deleted keys. The
/// unpaged list has the order of the table, as in Storyden (storyden-contract.md#administration).
pub async fn list_all(
    db: &Db,
    owner: Option<&AccountId>,
    page: Page,
) -> Result<Paged<KeyWithOwner>> {
    let list = if owner.is_some() { OF_OWNER } else { ALL };
    list.fetch(db, vec![owner.into()], page).await
}

/// Counts the keys of an account, including deleted keys.
pub async fn count(db: &Db, account: &AccountId) -> Result<i64> {
    db.fetch_one(
        "SELECT COUNT(*) AS n FROM authentications \
             WHERE service = 'access_key' AND account_authentication = $1",
        &[account.into()],
    )
    .await
}

/// A new key.
#[derive(Clone)]
pub struct NewKey {
    /// Row id.
    pub id: AccessKeyId,
    /// The owner.
    pub account: AccountId,
    /// The public part: `sdpak_…` without the secret.
    pub identifier: String,
    /// Argon2id hash of the secret part.
    pub secret_hash: String,
    /// Name that the owner chose.
    pub name: String,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Expiry, if the key has any.
    pub expires_at: Option<Timestamp>,
}

/// Inserts a key.
pub async fn insert(tx: &mut Tx, new: &NewKey) -> Result<()> {
    tx.execute(
        "INSERT INTO authentications (id, created_at, expires_at, service, token_type, identifier, \
         token, name, disabled, account_authentication) \
         VALUES ($1, $2, $3, 'access_key', 'password_hash', $4, $5, $6, $7, $8)",
        &[
            (&new.id).into(),
            new.created_at.into(),
            new.expires_at.into(),
            new.identifier.as_str().into(),
            new.secret_hash.as_str().into(),
            new.name.as_str().into(),
            false.into(),
            (&new.account).into(),
        ],
    )
    .await?;
    Ok(())
}

/// Returns the owner of a key, even of a deleted key.
pub async fn owner(tx: &mut Tx, id: &AccessKeyId) -> Result<Option<AccountId>> {
    tx.fetch_optional(
        "SELECT account_authentication AS account_id FROM authentications \
             WHERE id = $1 AND service = 'access_key'",
        &[id.into()],
    )
    .await
}

/// Condition: the key has not expired at `$2`.
const UNEXPIRED: Sql = Sql::new(
    "(expires_at IS NULL OR julianday(expires_at) > julianday($2))",
    "(expires_at IS NULL OR expires_at > $2)",
);

/// Condition: a live key of the account `$1`.
const LIVE_OF_ACCOUNT: Sql = sql!(
    "service = 'access_key' AND account_authentication = $1 AND NOT disabled AND ",
    UNEXPIRED
);

/// Locks a live key (`FOR SHARE`) until the end of the transaction, so that a concurrent deletion waits
/// and then ends the grant that this transaction writes. False if the key is no longer live.
pub async fn lock_live(tx: &mut Tx, id: &AccessKeyId, now: Timestamp) -> Result<bool> {
    const SQL: Sql = sql!(
        "SELECT id FROM authentications WHERE id = $1 AND service = 'access_key' AND NOT disabled AND ",
        UNEXPIRED,
        ("", " FOR SHARE")
    );
    let held: Option<AccessKeyId> = tx.fetch_optional(SQL, &[id.into(), now.into()]).await?;
    Ok(held.is_some())
}

/// Deletes a key of an account, keeping the row, and revokes the grants that the key approved. False if
/// the account has no such key.
pub async fn end(
    tx: &mut Tx,
    account: &AccountId,
    id: &AccessKeyId,
    now: Timestamp,
) -> Result<bool> {
    let found = tx
        .execute(
            "UPDATE authentications SET disabled = $3 \
             WHERE id = $1 AND account_authentication = $2 AND service = 'access_key'",
            &[id.into(), account.into(), true.into()],
        )
        .await?;
    if found > 0 {
        end_grants(tx, id, now).await?;
    }
    Ok(found > 0)
}

/// Revokes at most [`BATCH`] of the grants that a key approved. Access and refresh tokens of the other grants
/// are refused too, since every check of a grant reads the key.
async fn end_grants(tx: &mut Tx, id: &AccessKeyId, now: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE auth_grants SET revoked_at = $2, revoked_because = 'access_key_ended', salt = NULL \
         WHERE id IN (SELECT g.id FROM auth_grants g WHERE g.access_key_id = $1 \
             AND g.revoked_at IS NULL LIMIT $3) AND revoked_at IS NULL",
        &[id.into(), now.into(), BATCH.into()],
    )
    .await?;
    Ok(())
}

/// Counts the live keys of an account.
pub async fn count_live(db: &Db, account: &AccountId, now: Timestamp) -> Result<u64> {
    const SQL: Sql = sql!(
        "SELECT COUNT(*) AS n FROM authentications WHERE ",
        LIVE_OF_ACCOUNT
    );
    let total: i64 = db.fetch_one(SQL, &[account.into(), now.into()]).await?;
    Ok(total.unsigned_abs())
}

/// Deletes every live key of an account and revokes the grants that the keys approved. Returns the ids
/// of the deleted keys.
pub async fn end_all(tx: &mut Tx, account: &AccountId, now: Timestamp) -> Result<Vec<AccessKeyId>> {
    const SQL: Sql = sql!(
        "UPDATE authentications SET disabled = $3 WHERE ",
        LIVE_OF_ACCOUNT,
        " RETURNING id"
    );
    let ended: Vec<AccessKeyId> = tx
        .fetch_all(SQL, &[account.into(), now.into(), true.into()])
        .await?;
    for key in &ended {
        end_grants(tx, key, now).await?;
    }
    Ok(ended)
}
