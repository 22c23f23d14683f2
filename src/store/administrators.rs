//! Administrator accounts: the flag `accounts.admin` and the roles with ADMINISTRATOR.

use super::db::Tx;
use super::error::Result;
use super::sql::Sql;
use crate::clock::Timestamp;
use crate::ids::AccountId;

/// Makes concurrent changes of administrators wait, so that two administrators cannot remove each other.
pub async fn lock(tx: &mut Tx) -> Result<()> {
    const LOCK: Sql = Sql::new(
        "SELECT 1 AS n WHERE 1 = 0", // BEGIN IMMEDIATE is the lock
        "LOCK TABLE account_roles IN SHARE ROW EXCLUSIVE MODE",
    );
    tx.execute(LOCK, &[]).await?;
    Ok(())
}

/// True if an account other than `except` has ADMINISTRATOR and is not suspended. Call after [`lock`].
pub async fn another_exists(tx: &mut Tx, except: &AccountId) -> Result<bool> {
    // CROSS JOIN: SQLite reads the roles first, and then the index on the role.
    let found: Option<AccountId> = tx
        .fetch_optional(
            "SELECT y.id FROM (SELECT x.id FROM (SELECT b.id FROM accounts b WHERE b.admin \
             AND b.deleted_at IS NULL AND b.id <> $1 LIMIT 1) x UNION ALL \
             SELECT x.id FROM (SELECT b.id FROM roles r CROSS JOIN account_roles o \
             CROSS JOIN accounts b WHERE o.role_id = r.id AND b.id = o.account_id \
             AND CAST(r.permissions AS text) LIKE '%\"ADMINISTRATOR\"%' \
             AND b.deleted_at IS NULL AND b.id <> $1 LIMIT 1) x) y LIMIT 1",
            &[except.into()],
        )
        .await?;
    Ok(found.is_some())
}

/// Gives or takes the built-in role Admin; returns false if the account has or lacks the role already.
pub async fn set(tx: &mut Tx, account: &AccountId, admin: bool, now: Timestamp) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE accounts SET admin = $2, updated_at = $3 WHERE id = $1 AND admin <> $2",
            &[account.into(), admin.into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}
