//! Accounts with roles and permissions, from `accounts`, `account_roles`, `roles`, and `emails`.

use super::approver::{ApproverColumns, approver_columns};
use super::db::{Db, Tx};
use super::error::Result;
use super::open_revocations::grant_ended;
use super::row::row;
use super::value::{Flag, Names, Value};
use crate::clock::Timestamp;
use crate::ids::{AccountId, GrantId, RoleId, xid};
use crate::oauth::permission::{Permission, PermissionSet};
use crate::random::Random;
use crate::secret::Secret;

/// The role of guests (not signed in).
pub const GUEST_ROLE: &str = "0000000000000000000g";
/// The role of every account.
pub const MEMBER_ROLE: &str = "000000000000000000m0";
/// The role of administrators.
pub const ADMIN_ROLE: &str = "00000000000000000a00";

/// Columns of an account and of a role that applies to the account; a query returns a row per role.
macro_rules! account_columns {
    () => {
        "a.id AS account_id, a.handle AS account_handle, a.name AS account_name, \
         a.admin AS account_admin, a.deleted_at AS account_deleted_at, \
         CASE WHEN NOT a.admin AND a.kind <> 'bot' \
             AND EXISTS (SELECT 1 FROM settings s WHERE s.id = 'storyden_system' \
                 AND s.value LIKE '%\"AuthenticationMode\":\"email\"%') \
             THEN NOT EXISTS (SELECT 1 FROM emails e WHERE e.account_id = a.id AND e.verified) \
             ELSE false END AS account_unproven, \
         r.id AS role_id, r.permissions AS role_permissions"
    };
}

/// Joins the roles that apply to account `a`: the assigned roles and the three built-in roles.
macro_rules! account_roles {
    () => {
        "LEFT JOIN roles r ON r.id IN (SELECT ar.role_id FROM account_roles ar \
             WHERE ar.account_id = a.id) \
         OR r.id IN ('0000000000000000000g', '000000000000000000m0', '00000000000000000a00')"
    };
}

pub(super) use {account_columns, account_roles};

/// The columns of `account_columns!`; all NULL if an outer join found no account.
pub struct AccountColumns {
    account_id: Option<AccountId>,
    account_handle: Option<String>,
    account_name: Option<String>,
    account_admin: Option<Flag>,
    account_deleted_at: Option<Timestamp>,
    account_unproven: Flag,
    role_id: Option<RoleId>,
    role_permissions: Option<Names>,
}

row!(AccountColumns:
    account_id, account_handle, account_name, account_admin, account_deleted_at, account_unproven,
    role_id, role_permissions
);

/// An account with the current permissions.
#[derive(Clone, Debug)]
pub struct Account {
    /// Account id, the `sub` of tokens.
    pub id: AccountId,
    /// Unique name.
    pub handle: String,
    /// Display name.
    pub name: String,
    /// True for an administrator.
    pub admin: bool,
    /// True if the account is suspended (`deleted_at` is set). All credentials of a suspended account
    /// are refused.
    pub suspended: bool,
    /// Permissions of all roles of the account.
    pub permissions: PermissionSet,
}

impl Account {
    /// True if clients may act for the account. Checked at each use, not only at the approval.
    #[must_use]
    pub fn may_use_clients(&self) -> bool {
        self.permissions.permits(Permission::UseOauthClients)
    }

    /// True if the account may use personal access keys. Checked at each use.
    #[must_use]
    pub fn may_use_access_keys(&self) -> bool {
        self.permissions.permits(Permission::UsePersonalAccessKeys)
    }

    /// Builds an account from the rows of `account_columns!`, a row per role; `None` if there is no
    /// account.
    pub(super) fn from_rows<'a>(
        rows: impl IntoIterator<Item = &'a AccountColumns>,
    ) -> Option<Self> {
        let (mut guest, mut member, mut admin) = (
            PermissionSet::GUEST,
            PermissionSet::MEMBER,
            PermissionSet::ADMIN,
        );
        let (mut held, mut first) = (PermissionSet::EMPTY, None);
        for row in rows {
            first.get_or_insert(row);
            let Some(role) = &row.role_id else { continue };
            let names = row.role_permissions.as_ref();
            let permissions = PermissionSet::from_names(names.into_iter().flat_map(Names::iter));
            match role.as_str() {
                GUEST_ROLE => guest = permissions,
                MEMBER_ROLE => member = permissions,
                ADMIN_ROLE => admin = permissions,
                _ => held = held.union(permissions),
            }
        }
        let row = first?;
        let is_admin = row.account_admin.is_some_and(|flag| flag.0);
        // As in Storyden: in e-mail sign-in mode, an account without a verified address has only the
        // guest permissions.
        let permissions = match (row.account_unproven.0, is_admin) {
            (true, _) => guest,
            (false, true) => held.union(member).union(admin),
            (false, false) => held.union(member),
        };
        Some(Self {
            id: row.account_id.clone()?,
            handle: row.account_handle.clone()?,
            name: row.account_name.clone()?,
            admin: is_admin,
            suspended: row.account_deleted_at.is_some(),
            permissions,
        })
    }
}

struct TokenAccountRow {
    account: AccountColumns,
    approver: ApproverColumns,
}

row!(TokenAccountRow: ; account, approver);

/// The claims of an access token that identify the grant, the client, and the account.
#[derive(Clone, Copy, Debug)]
pub struct TokenOrigin<'a> {
    /// The account that the token acts for.
    pub account: &'a AccountId,
    /// The grant (`gid`); absent in a token from Storyden.
    pub grant: Option<&'a GrantId>,
    /// The token id.
    pub jti: Option<&'a str>,
    /// The public id of the client; absent in a token from Storyden.
    pub client_id: Option<&'a str>,
}

/// Finds the account of an access token, with the current permissions. `None` if the token was revoked
/// by `jti`, or if the grant, the access key that approved the grant, or the client has ended. A
/// missing grant row does not count as revoked, because clean-up deletes old rows.
pub async fn find_by_token(
    db: &Db,
    token: TokenOrigin<'_>,
    now: Timestamp,
) -> Result<Option<Account>> {
    macro_rules! sql {
        ($engine:ident) => {
            concat!(
                "SELECT ",
                account_columns!(),
                ", ",
                approver_columns!("g"),
                " FROM accounts a LEFT JOIN auth_grants g ON g.id = $2 \
                 LEFT JOIN authentications v ON v.id = g.access_key_id ",
                account_roles!(),
                " WHERE a.id = $1 AND (g.id IS NULL OR NOT ",
                grant_ended!($engine, "g"),
                ") AND NOT EXISTS (SELECT 1 FROM auth_revoked_tokens x WHERE x.jti = $3) \
                 AND ($4 IS NULL OR EXISTS (SELECT 1 FROM oauth_clients c \
                     WHERE c.client_id = $4 AND (g.id IS NULL OR g.client_id = c.id)))"
            )
        };
    }
    let sql = db.pick(sql!(sqlite), sql!(postgres));
    let text = |value: Option<&str>| Value::from(value.map(str::to_owned));
    let parameters = [
        token.account.into(),
        token.grant.into(),
        text(token.jti),
        text(token.client_id),
    ];
    let rows: Vec<TokenAccountRow> = db.fetch_all(sql, &parameters).await?;
    let account = Account::from_rows(rows.iter().map(|row| &row.account));
    let (Some(row), Some(account)) = (rows.first(), account) else {
        return Ok(None);
    };
    let counts = row
        .approver
        .approver()
        .counts(account.may_use_access_keys(), now);
    Ok(counts.then_some(account))
}

/// True if the account exists, even if suspended.
pub async fn exists(db: &Db, id: &AccountId) -> Result<bool> {
    let sql = "SELECT a.id FROM accounts a WHERE a.id = $1";
    let row: Option<AccountId> = db.fetch_optional(sql, &[id.into()]).await?;
    Ok(row.is_some())
}

/// Finds an account by handle; handles are case-insensitive.
pub async fn find_by_handle(db: &Db, handle: &str) -> Result<Option<Account>> {
    const SQL: &str = concat!(
        "SELECT ",
        account_columns!(),
        " FROM accounts a ",
        account_roles!(),
        " WHERE a.handle = $1"
    );
    let rows: Vec<AccountColumns> = db.fetch_all(SQL, &[handle.to_lowercase().into()]).await?;
    Ok(Account::from_rows(&rows))
}

/// The stored password hash of an account, for the check at sign-in.
pub struct PasswordRow {
    /// Account id.
    pub account_id: AccountId,
    /// The Argon2id hash.
    pub password_hash: String,
    /// Time of suspension, if the account is suspended.
    pub deleted_at: Option<Timestamp>,
}

row!(PasswordRow: account_id, password_hash, deleted_at);

/// Finds the password of an account by handle, or by e-mail address if the text contains `@`.
pub async fn find_password(db: &Db, identifier: &str) -> Result<Option<PasswordRow>> {
    let sql = if identifier.contains('@') {
        "SELECT a.id AS account_id, p.token AS password_hash, a.deleted_at \
         FROM accounts a JOIN authentications p ON p.account_authentication = a.id \
         JOIN emails e ON e.account_id = a.id \
         WHERE lower(e.email_address) = $1 AND p.service = 'password' AND NOT p.disabled"
    } else {
        "SELECT a.id AS account_id, p.token AS password_hash, a.deleted_at \
         FROM accounts a JOIN authentications p ON p.account_authentication = a.id \
         WHERE a.handle = $1 AND p.service = 'password' AND NOT p.disabled"
    };
    db.fetch_optional(sql, &[identifier.to_lowercase().into()])
        .await
}

/// Finds the password of an account by id.
pub async fn find_password_by_id(db: &Db, id: &AccountId) -> Result<Option<PasswordRow>> {
    db.fetch_optional(
        "SELECT a.id AS account_id, p.token AS password_hash, a.deleted_at \
         FROM accounts a JOIN authentications p ON p.account_authentication = a.id \
         WHERE a.id = $1 AND p.service = 'password' AND NOT p.disabled",
        &[id.into()],
    )
    .await
}

/// True if no account exists. Locks the table, so that of several concurrent sign-ups only the first
/// becomes administrator.
pub async fn lock_and_check_empty(tx: &mut Tx) -> Result<bool> {
    let lock = tx.pick(
        "SELECT 1 AS n WHERE 1 = 0", // BEGIN IMMEDIATE is the lock
        "LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE",
    );
    tx.execute(lock, &[]).await?;
    let total: Option<i64> = tx
        .fetch_optional(
            "SELECT COUNT(*) AS n FROM (SELECT id FROM accounts LIMIT 1) x",
            &[],
        )
        .await?;
    Ok(total.is_none_or(|total| total == 0))
}

/// An e-mail address of an account.
#[derive(Clone, Debug)]
pub struct Email {
    /// The address.
    pub email_address: String,
    /// True if the owner proved control of the address.
    pub verified: Flag,
}

row!(Email: email_address, verified);

/// Lists the e-mail addresses of an account, oldest first.
pub async fn emails(db: &Db, id: &AccountId) -> Result<Vec<Email>> {
    db.fetch_all(
        "SELECT email_address, verified FROM emails WHERE account_id = $1 ORDER BY created_at, id",
        &[id.into()],
    )
    .await
}

/// An account in the list of accounts.
#[derive(Debug, serde::Serialize)]
pub struct ListedAccount {
    /// Account id.
    pub id: AccountId,
    /// Unique name.
    pub handle: String,
    /// Display name.
    pub name: String,
    /// `human` or `bot`.
    pub kind: String,
    /// True for an administrator.
    pub admin: Flag,
    /// Time of suspension, if the account is suspended.
    #[serde(rename = "suspended_at")]
    pub deleted_at: Option<Timestamp>,
    /// Time of creation.
    pub created_at: Timestamp,
}

row!(ListedAccount: id, handle, name, kind, admin, deleted_at, created_at);

/// Lists all accounts by handle.
pub async fn list(db: &Db) -> Result<Vec<ListedAccount>> {
    db.fetch_all(
        "SELECT id, handle, name, kind, admin, deleted_at, created_at FROM accounts ORDER BY handle",
        &[],
    )
    .await
}

/// A new account.
#[derive(Clone)]
pub struct NewAccount {
    /// Account id.
    pub id: AccountId,
    /// Unique name, in lower case.
    pub handle: String,
    /// Display name.
    pub name: String,
    /// True for an administrator.
    pub admin: bool,
    /// E-mail address, if any.
    pub email: Option<NewEmail>,
    /// Argon2id hash of the password, if the account has any.
    pub password_hash: Option<String>,
}

/// The e-mail address of a new account.
#[derive(Clone, Debug)]
pub struct NewEmail {
    /// The address; stored in lower case.
    pub address: String,
    /// True if the address counts as verified.
    pub verified: bool,
    code: Secret,
}

impl NewEmail {
    /// An address that receives no verification e-mail. Storyden accepts the verification code of the
    /// row as proof, so the row gets a random code that is never sent.
    #[must_use]
    pub fn without_verification(address: String, verified: bool, random: &Random) -> Self {
        Self {
            address,
            verified,
            code: Secret::generate(random),
        }
    }
}

/// Inserts an account with e-mail address and password.
///
/// # Errors
/// [`super::Error::Taken`] if the handle or the address is taken.
pub async fn insert(tx: &mut Tx, new: &NewAccount, now: Timestamp) -> Result<()> {
    let verified = new.email.as_ref().is_some_and(|email| email.verified);
    tx.execute(
        "INSERT INTO accounts (id, created_at, updated_at, handle, name, kind, verified_status, admin) \
         VALUES ($1, $2, $2, $3, $4, 'human', $5, $6)",
        &[
            (&new.id).into(),
            now.into(),
            new.handle.as_str().into(),
            new.name.as_str().into(),
            (if verified { "email" } else { "none" }).into(),
            new.admin.into(),
        ],
    )
    .await?;
    if let Some(email) = &new.email {
        // The verification code is stored already expired: only a code that Storyden sent verifies an
        // address.
        tx.execute(
            "INSERT INTO emails (id, created_at, email_address, verification_code, \
             verification_code_expires_at, verification_attempts, verified, account_id) \
             VALUES ($1, $2, $3, $4, $2, 0, $5, $6)",
            &[
                xid(now).into(),
                now.into(),
                email.address.to_lowercase().into(),
                email.code.reveal().into(),
                email.verified.into(),
                (&new.id).into(),
            ],
        )
        .await?;
    }
    if let Some(hash) = &new.password_hash {
        set_password(tx, &new.id, hash, now).await?;
    }
    Ok(())
}

/// Locks a password (`FOR SHARE`) until the end of the transaction. False if `hash` is no longer the
/// stored hash: a password change that committed first makes this check fail, and a later change waits
///
pub async fn lock_password(tx: &mut Tx, id: &AccountId, hash: &str) -> Result<bool> {
    let sql = tx.pick(
        "SELECT id FROM authentications WHERE account_authentication = $1 \
         AND service = 'password' AND token = $2 AND NOT disabled", // BEGIN IMMEDIATE is the lock
        "SELECT id FROM authentications WHERE account_authentication = $1 \
         AND service = 'password' AND token = $2 AND NOT disabled FOR SHARE",
    );
    let held: Option<String> = tx.fetch_optional(sql, &[id.into(), hash.into()]).await?;
    Ok(held.is_some())
}

/// Sets or replaces the password of an account.
pub async fn set_password(tx: &mut Tx, id: &AccountId, hash: &str, now: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO authentications (id, created_at, service, token_type, identifier, token, \
         disabled, metadata, account_authentication) \
         VALUES ($1, $2, 'password', 'password_hash', $3, $4, $5, $6, $3) \
         ON CONFLICT (service, identifier, account_authentication) \
         DO UPDATE SET token = excluded.token, disabled = excluded.disabled",
        &[
            xid(now).into(),
            now.into(),
            id.into(),
            hash.into(),
            false.into(),
            Value::Json(serde_json::Value::Null),
        ],
    )
    .await?;
    Ok(())
}

/// Replaces a password by compare and set: `old` is the stored hash that was checked. False if the
/// stored hash has changed since then, so that of two concurrent changes with the same old password
/// only the first succeeds.
pub async fn replace_password(tx: &mut Tx, id: &AccountId, old: &str, new: &str) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE authentications SET token = $3 WHERE account_authentication = $1 \
             AND service = 'password' AND token = $2 AND NOT disabled",
            &[id.into(), old.into(), new.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// Suspends an account (`at`) or ends the suspension (`None`). False if there is no such account.
pub async fn set_suspended(
    tx: &mut Tx,
    handle: &str,
    at: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE accounts SET deleted_at = $2, updated_at = $3 WHERE handle = $1",
            &[handle.to_lowercase().into(), at.into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}
