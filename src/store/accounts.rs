//! Accounts with roles and permissions, from `accounts`, `account_roles`, `roles`, and `emails`.

use super::approver::{ApproverColumns, GRANT_APPROVER};
use super::db::{Db, Tx};
use super::derived_grants::ANCESTOR_ENDED;
use super::error::Result;
use super::lookup::{Lookup, lookup};
use super::open_revocations::GRANT_ENDED;
use super::row::{EngineRow, Row, row};
use super::sql::{Sql, sql};
use super::userinfo_terms::{TERMS_COLUMNS, TermsColumns, UserinfoTerms};
use super::value::{Flag, JsonColumn};
use crate::clock::Timestamp;
use crate::ids::{AccountId, GrantId, RoleId};
use crate::oauth::permission::{Permission, PermissionSet};

/// The role of guests (not signed in).
pub const GUEST_ROLE: &str = "0000000000000000000g";
/// The role of every account.
pub const MEMBER_ROLE: &str = "000000000000000000m0";
/// The role of administrators.
pub const ADMIN_ROLE: &str = "00000000000000000a00";

/// SQL expression: account `a` has no verified address where sign-in is by e-mail address; such an account
/// has only the permissions of guests.
pub(super) const ACCOUNT_UNPROVEN: Sql = Sql::same(
    "CASE WHEN NOT a.admin AND a.kind <> 'bot' \
         AND EXISTS (SELECT 1 FROM settings s WHERE s.id = 'storyden_system' \
             AND s.value LIKE '%\"AuthenticationMode\":\"email\"%') \
         THEN NOT EXISTS (SELECT 1 FROM emails e WHERE e.account_id = a.id AND e.verified) \
         ELSE false END",
);

/// Columns of the account `a` and of a role `r` that applies to the account; a query returns a row per role.
pub(super) const ACCOUNT_COLUMNS: Sql = sql!(
    "a.id AS account_id, a.handle AS account_handle, a.name AS account_name, \
     a.admin AS account_admin, a.deleted_at AS account_deleted_at, ",
    ACCOUNT_UNPROVEN,
    " AS account_unproven, r.id AS role_id, r.permissions AS role_permissions"
);

/// Joins the roles that apply to account `a`: the assigned roles and the three built-in roles.
pub(super) const ACCOUNT_ROLES: Sql = Sql::same(
    "LEFT JOIN roles r ON r.id IN (SELECT ar.role_id FROM account_roles ar \
         WHERE ar.account_id = a.id) \
     OR r.id IN ('0000000000000000000g', '000000000000000000m0', '00000000000000000a00')",
);

/// The columns of `ACCOUNT_COLUMNS`; all NULL if an outer join found no account.
pub struct AccountColumns {
    account_id: Option<AccountId>,
    account_handle: Option<String>,
    account_name: Option<String>,
    account_admin: Option<Flag>,
    account_deleted_at: Option<Timestamp>,
    account_unproven: Flag,
    role: RoleColumns,
}

row!(AccountColumns:
    account_id, account_handle, account_name, account_admin, account_deleted_at, account_unproven;
    role
);

/// The role in a row of `ACCOUNT_COLUMNS`.
struct RoleColumns {
    role_id: Option<RoleId>,
    role_permissions: Option<JsonColumn<PermissionSet>>,
}

row!(RoleColumns: role_id, role_permissions);

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

    /// Builds an account from the rows of `ACCOUNT_COLUMNS`, a row per role; `None` if there is no
    /// account.
    pub(super) fn from_rows<'a>(
        rows: impl IntoIterator<Item = &'a AccountColumns> + Clone,
    ) -> Option<Self> {
        let first = rows.clone().into_iter().next()?;
        Self::with_roles(first, rows.into_iter().map(|row| &row.role))
    }

    fn with_roles<'a>(
        row: &AccountColumns,
        roles: impl IntoIterator<Item = &'a RoleColumns>,
    ) -> Option<Self> {
        let (mut guest, mut member, mut admin) = (
            PermissionSet::GUEST,
            PermissionSet::MEMBER,
            PermissionSet::ADMIN,
        );
        let mut held = PermissionSet::EMPTY;
        for role in roles {
            let Some(id) = &role.role_id else { continue };
            let permissions = role.role_permissions.as_ref();
            let permissions = permissions.map_or(PermissionSet::EMPTY, |column| column.0);
            match id.as_str() {
                GUEST_ROLE => guest = permissions,
                MEMBER_ROLE => member = permissions,
                ADMIN_ROLE => admin = permissions,
                _ => held = held.union(permissions),
            }
        }
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

/// A row, and the account that the query joins to the row.
pub(super) struct WithAccount<T, A = Account> {
    pub(super) row: T,
    pub(super) account: A,
}

impl<T: Row> WithAccount<T, Option<Account>> {
    /// Decodes the rows of a query with `ACCOUNT_COLUMNS` that finds at most one row, repeated for each role of an
    /// account that may be missing (outer join). Only the role is decoded from each row.
    pub(super) fn optional(rows: &[EngineRow]) -> Result<Option<Self>> {
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let roles: Vec<RoleColumns> = rows
            .iter()
            .map(RoleColumns::decode)
            .collect::<sqlx::Result<_>>()?;
        Ok(Some(Self {
            row: T::decode(first)?,
            account: Account::with_roles(&AccountColumns::decode(first)?, &roles),
        }))
    }
}

impl<T: Row> WithAccount<T> {
    /// Decodes rows as [`WithAccount::optional`] does. `None` also if there is no account.
    pub(super) fn decode(rows: &[EngineRow]) -> Result<Option<Self>> {
        let found = WithAccount::optional(rows)?;
        Ok(found.and_then(|WithAccount { row, account }| {
            let account = account?;
            Some(Self { row, account })
        }))
    }
}

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
    /// The id of the key that signed the token.
    pub kid: Option<&'a str>,
}

/// The account of an access token, and the terms of its grant.
#[derive(Clone, Debug)]
pub struct TokenAccount {
    /// The account, with the current permissions.
    pub account: Account,
    /// The terms of a userinfo response.
    pub userinfo: UserinfoTerms,
    /// True if the client of the grant is held to the FAPI 2.0 Security Profile.
    pub is_of_fapi_client: bool,
}

struct TokenRow {
    client_fapi: Flag,
    approver: ApproverColumns,
    terms: TermsColumns,
}

row!(TokenRow: client_fapi; approver, terms);

/// Finds the account of an access token, with the current permissions. `None` if the token was revoked by `jti`, or with
/// its signing key, or if the grant, a grant that it derives from, the access key that approved the grant, or the client
/// has ended. A missing grant row does not count as revoked, because clean-up deletes old rows.
pub async fn find_by_token(
    db: &Db,
    token: TokenOrigin<'_>,
    now: Timestamp,
) -> Result<Option<TokenAccount>> {
    const FIND: Lookup = lookup!(
        5 keys: SELECT ACCOUNT_COLUMNS, ", ", GRANT_APPROVER, ", ", TERMS_COLUMNS,
        ", y.fapi IS NOT NULL AND y.fapi AS client_fapi";
        FROM "accounts a LEFT JOIN auth_grants g ON g.id = ", [2], " \
         LEFT JOIN auth_clients y ON y.client_id = g.client_id \
         LEFT JOIN authentications v ON v.id = g.access_key_id ",
        ACCOUNT_ROLES,
        " WHERE a.id = ", [1], " AND (g.id IS NULL OR NOT ",
        GRANT_ENDED,
        ") AND NOT ",
        ANCESTOR_ENDED, [2],
        ") AND NOT EXISTS (SELECT 1 FROM auth_revoked_tokens x WHERE x.jti = ", [3], ") AND (", [4],
        " IS NULL OR EXISTS (SELECT 1 FROM oauth_clients c WHERE c.client_id = ", [4],
        " AND (g.id IS NULL OR g.client_id = c.id))) \
         AND NOT EXISTS (SELECT 1 FROM auth_keys sk WHERE sk.kid = ", [5], " AND sk.revoked_at IS NOT NULL)"
    );
    let keys = [
        Some(token.account.as_str()),
        token.grant.map(GrantId::as_str),
        token.jti,
        token.client_id,
        token.kid,
    ];
    let rows = db.look_up(FIND, &keys).await?;
    let found = WithAccount::<TokenRow>::decode(&rows)?;
    let Some(WithAccount { row, account }) = found else {
        return Ok(None);
    };
    let approver = row.approver.approver();
    let counts = approver.counts(account.may_use_access_keys(), now);
    let is_of_fapi_client = row.client_fapi.0;
    Ok(counts.then(|| TokenAccount {
        account,
        userinfo: UserinfoTerms::from(row.terms).within_fapi(is_of_fapi_client),
        is_of_fapi_client,
    }))
}

/// Finds an account by id.
pub async fn find(db: &Db, id: &AccountId) -> Result<Option<Account>> {
    const SQL: Sql = sql!(
        "SELECT ",
        ACCOUNT_COLUMNS,
        " FROM accounts a ",
        ACCOUNT_ROLES,
        " WHERE a.id = $1"
    );
    let rows: Vec<AccountColumns> = db.fetch_all(SQL, &[id.into()]).await?;
    Ok(Account::from_rows(&rows))
}

/// Finds an account by id or handle. A handle may begin with `@`; without `@`, an id comes first, so that no
/// handle hides an account.
pub async fn find_named(db: &Db, text: &str) -> Result<Option<Account>> {
    if text.contains('\0') {
        return Ok(None); // no engine stores NUL
    }
    if let Some(handle) = text.strip_prefix('@') {
        return find_by_handle(db, handle).await;
    }
    match find(db, &AccountId::new(text)).await? {
        Some(account) => Ok(Some(account)),
        None => find_by_handle(db, text).await,
    }
}

/// Finds an account by handle; handles are case-insensitive.
pub async fn find_by_handle(db: &Db, handle: &str) -> Result<Option<Account>> {
    const SQL: Sql = sql!(
        "SELECT ",
        ACCOUNT_COLUMNS,
        " FROM accounts a ",
        ACCOUNT_ROLES,
        " WHERE a.handle = $1"
    );
    let rows: Vec<AccountColumns> = db.fetch_all(SQL, &[handle.to_lowercase().into()]).await?;
    Ok(Account::from_rows(&rows))
}

/// Finds the account with a verified e-mail address, in lower case. `None` also if several accounts have the address.
pub async fn find_by_verified_email(db: &Db, address: &str) -> Result<Option<Account>> {
    const SQL: Sql = sql!(
        "SELECT ",
        ACCOUNT_COLUMNS,
        " FROM accounts a ",
        ACCOUNT_ROLES,
        " WHERE a.id = (SELECT MIN(e.account_id) FROM emails e \
         WHERE lower(e.email_address) = $1 AND e.verified HAVING COUNT(DISTINCT e.account_id) = 1)"
    );
    let rows: Vec<AccountColumns> = db.fetch_all(SQL, &[address.to_lowercase().into()]).await?;
    Ok(Account::from_rows(&rows))
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
    const FIND: Lookup = lookup!(
        1 key: SELECT "e.email_address, e.verified";
        FROM "emails e WHERE e.account_id = ", [1], " ORDER BY e.created_at, e.id"
    );
    let rows = db.look_up(FIND, &[Some(id.as_str())]).await?;
    Ok(rows
        .iter()
        .map(Email::decode)
        .collect::<sqlx::Result<_>>()?)
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
