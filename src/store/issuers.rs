//! Trusted issuers of identity assertions, and subjects of issuers that are mapped to accounts:
//! `auth_issuers`, `auth_issuer_subjects`.

use serde::Serialize;

use super::accounts::{ACCOUNT_COLUMNS, ACCOUNT_ROLES, Account, AccountColumns};
use super::db::{Db, Tx};
use super::error::{Error, Result};
use super::row::row;
use super::sql::{Sql, sql};
use super::value::Flag;
use crate::clock::Timestamp;
use crate::ids::{AccountId, IssuerId};

/// A trusted issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Row id.
    pub id: IssuerId,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
    /// The claim `iss`.
    pub url: String,
    /// Name for administrators.
    pub name: Option<String>,
    /// URL of the keys; `None`: as the issuer's metadata name.
    pub jwks_uri: Option<String>,
    /// True if a subject is also mapped by the verified e-mail address.
    pub by_email: bool,
}

struct IssuerRow {
    id: IssuerId,
    created_at: Timestamp,
    updated_at: Timestamp,
    url: String,
    name: Option<String>,
    jwks_uri: Option<String>,
    by_email: Flag,
}

row!(IssuerRow: id, created_at, updated_at, url, name, jwks_uri, by_email);

impl From<IssuerRow> for Issuer {
    fn from(row: IssuerRow) -> Self {
        Self {
            id: row.id,
            created_at: row.created_at,
            updated_at: row.updated_at,
            url: row.url,
            name: row.name,
            jwks_uri: row.jwks_uri,
            by_email: row.by_email.0,
        }
    }
}

/// Lists every issuer, by URL.
pub async fn list(db: &Db) -> Result<Vec<Issuer>> {
    let rows: Vec<IssuerRow> = db
        .fetch_all(
            "SELECT id, created_at, updated_at, url, name, jwks_uri, by_email FROM auth_issuers \
             ORDER BY url",
            &[],
        )
        .await?;
    Ok(rows.into_iter().map(Issuer::from).collect())
}

/// Finds an issuer by URL, compared byte for byte.
pub async fn find(db: &Db, url: &str) -> Result<Option<Issuer>> {
    let row: Option<IssuerRow> = db
        .fetch_optional(
            "SELECT id, created_at, updated_at, url, name, jwks_uri, by_email FROM auth_issuers \
             WHERE url = $1",
            &[url.into()],
        )
        .await?;
    Ok(row.map(Issuer::from))
}

/// Inserts an issuer.
///
/// # Errors
/// [`Error::Taken`] if the URL is taken.
pub async fn insert(tx: &mut Tx, new: &Issuer) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_issuers (id, created_at, updated_at, url, name, jwks_uri, by_email) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            (&new.id).into(),
            new.created_at.into(),
            new.updated_at.into(),
            new.url.as_str().into(),
            new.name.clone().into(),
            new.jwks_uri.clone().into(),
            new.by_email.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Replaces the properties of an issuer, except the URL.
///
/// # Errors
/// [`Error::Gone`] if there is no such issuer.
pub async fn replace(tx: &mut Tx, new: &Issuer) -> Result<()> {
    let changed = tx
        .execute(
            "UPDATE auth_issuers SET name = $2, jwks_uri = $3, by_email = $4, updated_at = $5 \
             WHERE id = $1",
            &[
                (&new.id).into(),
                new.name.clone().into(),
                new.jwks_uri.clone().into(),
                new.by_email.into(),
                new.updated_at.into(),
            ],
        )
        .await?;
    if changed == 0 {
        return Err(Error::Gone);
    }
    Ok(())
}

/// Deletes an issuer with its mapped subjects.
///
/// # Errors
/// [`Error::Gone`] if there is no such issuer.
pub async fn delete(tx: &mut Tx, id: &IssuerId) -> Result<()> {
    let sql = "DELETE FROM auth_issuer_subjects WHERE issuer_id = $1";
    tx.execute(sql, &[id.into()]).await?;
    let sql = "DELETE FROM auth_issuers WHERE id = $1";
    if tx.execute(sql, &[id.into()]).await? == 0 {
        return Err(Error::Gone);
    }
    Ok(())
}

/// A subject of an issuer that is mapped to an account.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthIssuerSubject)]
pub struct MappedSubject {
    /// The claim `sub` of the issuer's assertions.
    pub subject: String,
    /// Id of the account.
    pub account_id: AccountId,
    /// Handle of the account.
    pub handle: String,
}

row!(MappedSubject: subject, account_id, handle);

/// Lists the mapped subjects of an issuer, at most `most`.
pub async fn subjects(db: &Db, issuer: &IssuerId, most: i64) -> Result<Vec<MappedSubject>> {
    db.fetch_all(
        "SELECT s.subject, s.account_id, a.handle FROM auth_issuer_subjects s \
         JOIN accounts a ON a.id = s.account_id WHERE s.issuer_id = $1 ORDER BY s.subject LIMIT $2",
        &[issuer.into(), most.into()],
    )
    .await
}

/// Counts the mapped subjects of an issuer, without `subject`.
pub async fn count_other_subjects(tx: &mut Tx, issuer: &IssuerId, subject: &str) -> Result<i64> {
    let counted = tx
        .fetch_optional(
            "SELECT COUNT(*) AS n FROM auth_issuer_subjects WHERE issuer_id = $1 AND subject <> $2",
            &[issuer.into(), subject.into()],
        )
        .await?;
    Ok(counted.unwrap_or_default())
}

/// Maps a subject of an issuer to an account, in place of an earlier account.
pub async fn map(
    tx: &mut Tx,
    issuer: &IssuerId,
    subject: &str,
    account: &AccountId,
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_issuer_subjects (issuer_id, subject, account_id, created_at) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (issuer_id, subject) DO UPDATE SET \
         account_id = excluded.account_id, created_at = excluded.created_at",
        &[issuer.into(), subject.into(), account.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// Removes a mapping. False if the subject is not mapped.
pub async fn unmap(tx: &mut Tx, issuer: &IssuerId, subject: &str) -> Result<bool> {
    let removed = tx
        .execute(
            "DELETE FROM auth_issuer_subjects WHERE issuer_id = $1 AND subject = $2",
            &[issuer.into(), subject.into()],
        )
        .await?;
    Ok(removed > 0)
}

/// Finds the account that a subject is mapped to, with the current permissions.
pub async fn find_account(db: &Db, issuer: &IssuerId, subject: &str) -> Result<Option<Account>> {
    const SQL: Sql = sql!(
        "SELECT ",
        ACCOUNT_COLUMNS,
        " FROM auth_issuer_subjects s JOIN accounts a ON a.id = s.account_id ",
        ACCOUNT_ROLES,
        " WHERE s.issuer_id = $1 AND s.subject = $2"
    );
    let rows: Vec<AccountColumns> = db.fetch_all(SQL, &[issuer.into(), subject.into()]).await?;
    Ok(Account::from_rows(&rows))
}

/// True if the issuer is still trusted. Locks the row (`FOR KEY SHARE`) until the end of the transaction, so that a
/// grant is not made after the removal of the issuer.
pub async fn hold(tx: &mut Tx, id: &IssuerId) -> Result<bool> {
    const SQL: Sql = sql!(
        "SELECT id FROM auth_issuers WHERE id = $1",
        ("", " FOR KEY SHARE")
    );
    let held: Option<IssuerId> = tx.fetch_optional(SQL, &[id.into()]).await?;
    Ok(held.is_some())
}
