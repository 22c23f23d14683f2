//! Access keys of people and bots: `authentications` with the service `access_key` (contract 3.3).

use super::accounts::{Account, AccountColumns, account_columns, account_roles};
use super::db::{Db, Tx};
use super::error::Result;
use super::paging::{Page, Pages, Total};
use super::value::{Flag, Value};
use crate::clock::Timestamp;
use crate::ids::{AccessKeyId, AccountId};

/// An access key and who it acts for.
#[derive(Clone)]
pub struct AccessKey {
    /// Its row.
    pub id: AccessKeyId,
    /// The public part: `sdpak_…` or `sdbak_…` without the secret.
    pub identifier: String,
    /// The Argon2id hash of its secret.
    pub secret_hash: String,
    /// Whether it was deleted, which keeps the row.
    pub disabled: bool,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// Who it acts for, and what they hold now.
    pub account: Account,
}

impl AccessKey {
    /// True if the key was neither ended nor has expired.
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

#[derive(sqlx::FromRow)]
struct KeyRow {
    key_id: AccessKeyId,
    key_identifier: String,
    key_token: String,
    key_disabled: Flag,
    key_expires_at: Option<Timestamp>,
    #[sqlx(flatten)]
    account: AccountColumns,
}

/// The key of an identifier, compared byte for byte.
pub async fn find(db: &Db, identifier: &str) -> Result<Option<AccessKey>> {
    const SQL: &str = concat!(
        "SELECT k.id AS key_id, k.identifier AS key_identifier, k.token AS key_token, \
         k.disabled AS key_disabled, k.expires_at AS key_expires_at, ",
        account_columns!(),
        " FROM authentications k JOIN accounts a ON a.id = k.account_authentication ",
        account_roles!(),
        " WHERE k.service = 'access_key' AND k.identifier = $1"
    );
    let rows: Vec<KeyRow> = db.fetch_all(SQL, &[identifier.into()]).await?;
    let account = Account::from_rows(rows.iter().map(|row| &row.account));
    let (Some(row), Some(account)) = (rows.into_iter().next(), account) else {
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

/// Columns of the access key that approved something; `$row` has its `access_key_id`, and `v` is the
/// key's row.
macro_rules! approver_columns {
    ($row:literal) => {
        concat!(
            $row,
            ".access_key_id AS approver_key_id, v.disabled AS approver_key_disabled, \
             v.expires_at AS approver_key_expires_at"
        )
    };
}

pub(super) use approver_columns;

/// The columns of `approver_columns!`; all empty for an approval by session.
#[derive(sqlx::FromRow)]
#[expect(
    clippy::struct_field_names,
    reason = "other tables are joined beside them"
)]
pub struct ApproverColumns {
    approver_key_id: Option<AccessKeyId>,
    approver_key_disabled: Option<Flag>,
    approver_key_expires_at: Option<Timestamp>,
}

impl ApproverColumns {
    /// The credential that approved. A key without a row was deleted.
    pub(super) fn approver(&self) -> Approver {
        match &self.approver_key_id {
            None => Approver::Session,
            Some(id) => Approver::AccessKey {
                id: id.clone(),
                ended: self.approver_key_disabled.is_none_or(|disabled| disabled.0),
                expires_at: self.approver_key_expires_at,
            },
        }
    }
}

/// The credential that approved a request.
#[derive(Clone, Debug)]
pub enum Approver {
    /// A browser session. The end of the session leaves the approval as it is.
    Session,
    /// An access key. The approval ends with the key.
    AccessKey {
        /// The row of the key.
        id: AccessKeyId,
        /// True if the key was ended, by disabling or deleting it.
        ended: bool,
        /// When the key expires, if it does.
        expires_at: Option<Timestamp>,
    },
}

impl Approver {
    /// True if the approval of this account is good now: an access key must be live, and its account
    /// permitted to use it.
    #[must_use]
    pub fn counts(&self, account: &Account, now: Timestamp) -> bool {
        match self {
            Self::Session => true,
            Self::AccessKey {
                ended, expires_at, ..
            } => !ended && expires_at.is_none_or(|at| now < at) && account.may_use_access_keys(),
        }
    }

    /// The access key, if one approved.
    #[must_use]
    pub fn access_key(&self) -> Option<&AccessKeyId> {
        match self {
            Self::Session => None,
            Self::AccessKey { id, .. } => Some(id),
        }
    }
}

/// A key as its owner sees it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ListedKey {
    /// Its row.
    pub id: AccessKeyId,
    /// When it was made.
    pub created_at: Timestamp,
    /// What its owner calls it.
    pub name: Option<String>,
    /// Whether it was deleted.
    pub disabled: Flag,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
}

/// The keys of an account, oldest first; deleted ones are among them.
pub async fn list(db: &Db, account: &AccountId) -> Result<Vec<ListedKey>> {
    db.fetch_all(
        "SELECT id, created_at, name, disabled, expires_at FROM authentications \
         WHERE service = 'access_key' AND account_authentication = $1 ORDER BY created_at, id",
        &[account.into()],
    )
    .await
}

/// A key with its owner, as administrators see it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct OwnedKey {
    /// The id of the row.
    pub id: AccessKeyId,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The name that the owner gave.
    pub name: Option<String>,
    /// True once the key was deleted.
    pub disabled: Flag,
    /// The time of expiry, if the key has one.
    pub expires_at: Option<Timestamp>,
    /// The account that owns the key.
    pub owner_id: AccountId,
    /// The handle of that account.
    pub owner_handle: String,
    /// The name of that account.
    pub owner_name: String,
    /// The time at which that account was made.
    pub owner_joined: Timestamp,
    /// The time of suspension, if that account is suspended.
    pub owner_suspended: Option<Timestamp>,
}

macro_rules! owned {
    ($order:literal) => {
        concat!(
            "SELECT k.id, k.created_at, k.name, k.disabled, k.expires_at, a.id AS owner_id, \
             a.handle AS owner_handle, a.name AS owner_name, a.created_at AS owner_joined, \
             a.deleted_at AS owner_suspended \
             FROM authentications k JOIN accounts a ON a.id = k.account_authentication \
             WHERE k.service = 'access_key' AND ($1 IS NULL OR k.account_authentication = $1)",
            $order,
            " LIMIT $2 OFFSET $3"
        )
    };
}

/// A page of the keys of every account, or of one, oldest first; the whole list in the order of the
/// table, as a Storyden lists it. Deleted keys are among them.
pub async fn list_all(
    db: &Db,
    owner: Option<&AccountId>,
    page: Page,
) -> Result<(Vec<OwnedKey>, Pages)> {
    let total: Total = db
        .fetch_one(
            "SELECT COUNT(*) AS n FROM authentications k \
             WHERE k.service = 'access_key' AND ($1 IS NULL OR k.account_authentication = $1)",
            &[owner.into()],
        )
        .await?;
    let list = if page.is_whole() {
        owned!("")
    } else {
        // SQLite holds text with the offset of its writer, so instants are compared
        db.pick(
            owned!(" ORDER BY julianday(k.created_at), k.id"),
            owned!(" ORDER BY k.created_at, k.id"),
        )
    };
    let mut parameters: Vec<Value> = vec![owner.into()];
    parameters.extend(page.bounds());
    let keys: Vec<OwnedKey> = db.fetch_all(list, &parameters).await?;
    let pages = page.of(total.n, keys.len());
    Ok((keys, pages))
}

/// How many keys an account has, deleted ones too.
pub async fn count(db: &Db, account: &AccountId) -> Result<i64> {
    let total: Total = db
        .fetch_one(
            "SELECT COUNT(*) AS n FROM authentications \
             WHERE service = 'access_key' AND account_authentication = $1",
            &[account.into()],
        )
        .await?;
    Ok(total.n)
}

/// A new key.
#[derive(Clone)]
pub struct NewKey {
    /// Its row.
    pub id: AccessKeyId,
    /// Whose it is.
    pub account: AccountId,
    /// The public part: `sdpak_…` without the secret.
    pub identifier: String,
    /// The Argon2id hash of its secret.
    pub secret_hash: String,
    /// What its owner calls it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
}

/// Makes a key.
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

#[derive(sqlx::FromRow)]
struct OwnerRow {
    account_id: AccountId,
}

/// The account that owns a key, deleted keys too.
pub async fn owner(tx: &mut Tx, id: &AccessKeyId) -> Result<Option<AccountId>> {
    let row: Option<OwnerRow> = tx
        .fetch_optional(
            "SELECT account_authentication AS account_id FROM authentications \
             WHERE id = $1 AND service = 'access_key'",
            &[id.into()],
        )
        .await?;
    Ok(row.map(|row| row.account_id))
}

#[derive(sqlx::FromRow)]
struct KeyId {
    id: AccessKeyId,
}

/// Holds a live key to the end of the transaction, so that the end of the key waits for the approval
/// that this transaction writes. False if the key is not live any more.
pub async fn hold_live(tx: &mut Tx, id: &AccessKeyId, now: Timestamp) -> Result<bool> {
    let sql = tx.pick(
        "SELECT id FROM authentications WHERE id = $1 AND service = 'access_key' AND NOT disabled \
         AND (expires_at IS NULL OR julianday(expires_at) > julianday($2))", // the transaction is the lock
        "SELECT id FROM authentications WHERE id = $1 AND service = 'access_key' AND NOT disabled \
         AND (expires_at IS NULL OR expires_at > $2) FOR SHARE",
    );
    let held: Option<KeyId> = tx.fetch_optional(sql, &[id.into(), now.into()]).await?;
    Ok(held.is_some())
}

/// Ends a key of an account, and the grants that it approved; the row of the key stays. False if the
/// account has no such key.
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

/// Ends the grants that a key approved. Their tokens are refused with the grant.
async fn end_grants(tx: &mut Tx, id: &AccessKeyId, now: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE auth_grants SET revoked_at = $2, revoked_because = 'access_key_ended', salt = NULL \
         WHERE access_key_id = $1 AND revoked_at IS NULL",
        &[id.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// Counts the live keys of an account.
pub async fn count_live(db: &Db, account: &AccountId, now: Timestamp) -> Result<u64> {
    let sql = db.pick(
        "SELECT COUNT(*) AS n FROM authentications WHERE service = 'access_key' \
         AND account_authentication = $1 AND NOT disabled \
         AND (expires_at IS NULL OR julianday(expires_at) > julianday($2))",
        "SELECT COUNT(*) AS n FROM authentications WHERE service = 'access_key' \
         AND account_authentication = $1 AND NOT disabled \
         AND (expires_at IS NULL OR expires_at > $2)",
    );
    let total: Total = db.fetch_one(sql, &[account.into(), now.into()]).await?;
    Ok(total.n.unsigned_abs())
}

/// Ends every live key of an account and the grants that they approved; gives the keys that ended.
pub async fn end_all(tx: &mut Tx, account: &AccountId, now: Timestamp) -> Result<Vec<AccessKeyId>> {
    let sql = tx.pick(
        "UPDATE authentications SET disabled = $3 WHERE service = 'access_key' \
         AND account_authentication = $1 AND NOT disabled \
         AND (expires_at IS NULL OR julianday(expires_at) > julianday($2)) RETURNING id",
        "UPDATE authentications SET disabled = $3 WHERE service = 'access_key' \
         AND account_authentication = $1 AND NOT disabled \
         AND (expires_at IS NULL OR expires_at > $2) RETURNING id",
    );
    let ended: Vec<KeyId> = tx
        .fetch_all(sql, &[account.into(), now.into(), true.into()])
        .await?;
    for key in &ended {
        end_grants(tx, &key.id, now).await?;
    }
    Ok(ended.into_iter().map(|key| key.id).collect())
}
