//! Access keys of people and bots: `authentications` with the service `access_key` (contract 3.3).

use super::accounts::{Account, AccountColumns, account_columns, account_roles};
use super::db::Db;
use super::error::Result;
use super::value::Flag;
use crate::clock::Timestamp;
use crate::ids::AccessKeyId;

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
