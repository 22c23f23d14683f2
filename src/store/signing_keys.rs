//! Signing keys of this server: `auth_keys`. Nothing here knows states: a state is a function of the rows
//! and the time, see [`crate::keys`].

use super::audit::{self, Entry};
use super::db::{Db, Tx};
use super::error::Result;
use super::row::row;
use super::sql::{Sql, sql};
use crate::clock::Timestamp;

/// A key with its private half.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Key id.
    pub kid: String,
    /// Name of the signature algorithm.
    pub algorithm: String,
    /// Key id of the key before; empty for the first key.
    pub predecessor: String,
    /// The sealed private key; `None` for a revoked key.
    pub sealed: Option<String>,
    /// The public key as a JWK.
    pub public_jwk: String,
    /// Time from which the key is published.
    pub created_at: Timestamp,
    /// Time from which the key signs.
    pub signs_from: Timestamp,
    /// Time of the revocation.
    pub revoked_at: Option<Timestamp>,
}

row!(KeyRow: kid, algorithm, predecessor, sealed, public_jwk, created_at, signs_from, revoked_at);

/// The columns of a key that may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyVersion {
    /// Key id.
    pub kid: String,
    /// Time from which the key signs.
    pub signs_from: Timestamp,
    /// Time of the revocation.
    pub revoked_at: Option<Timestamp>,
}

row!(KeyVersion: kid, signs_from, revoked_at);

/// Lists all keys.
pub async fn list(db: &Db) -> Result<Vec<KeyRow>> {
    db.fetch_all(
        "SELECT kid, algorithm, predecessor, sealed, public_jwk, created_at, signs_from, revoked_at \
         FROM auth_keys ORDER BY kid",
        &[],
    )
    .await
}

/// Lists what may have changed, to compare with the keys in memory.
pub async fn versions(db: &Db) -> Result<Vec<KeyVersion>> {
    let sql = "SELECT kid, signs_from, revoked_at FROM auth_keys ORDER BY kid";
    db.fetch_all(sql, &[]).await
}

/// Changes that belong together: all in one transaction.
#[derive(Debug, Default)]
pub struct Change {
    /// Keys to insert, unless the predecessor has a successor, each with the audit entry.
    pub inserts: Vec<(KeyRow, Entry)>,
    /// Keys with a new `signs_from`.
    pub reschedules: Vec<(String, Timestamp)>,
    /// The key to revoke.
    pub revoke: Option<(String, Timestamp)>,
    /// Keys to delete.
    pub deletes: Vec<String>,
    /// Further audit entries.
    pub entries: Vec<Entry>,
}

impl Change {
    /// True if nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inserts.is_empty()
            && self.reschedules.is_empty()
            && self.revoke.is_none()
            && self.deletes.is_empty()
    }
}

/// Applies changes. True if a row changed: repeated changes, and changes that another replica made first,
/// change no row and leave no audit entry.
pub async fn apply(tx: &mut Tx, change: &Change) -> Result<bool> {
    let mut changed = 0;
    for (key, entry) in &change.inserts {
        let rows = insert(tx, key).await?;
        if rows > 0 {
            audit::insert(tx, entry).await?;
        }
        changed += rows;
    }
    for (kid, signs_from) in &change.reschedules {
        let sql = "UPDATE auth_keys SET signs_from = $2 WHERE kid = $1 AND revoked_at IS NULL";
        let parameters = [kid.as_str().into(), (*signs_from).into()];
        changed += tx.execute(sql, &parameters).await?;
    }
    if let Some((kid, now)) = &change.revoke {
        let sql = "UPDATE auth_keys SET revoked_at = $2, sealed = NULL \
                   WHERE kid = $1 AND revoked_at IS NULL";
        let parameters = [kid.as_str().into(), (*now).into()];
        changed += tx.execute(sql, &parameters).await?;
    }
    for kid in &change.deletes {
        let sql = "DELETE FROM auth_keys WHERE kid = $1";
        changed += tx.execute(sql, &[kid.as_str().into()]).await?;
    }
    if changed > 0 {
        for entry in &change.entries {
            audit::insert(tx, entry).await?;
        }
    }
    Ok(changed > 0)
}

/// A revoked key, whose forged access has not ended completely.
#[derive(Clone, Debug)]
pub struct RevokedKey {
    /// Key id.
    pub kid: String,
    /// Key id of the key before; empty for the first key.
    pub predecessor: String,
    /// Time from which the key was published.
    pub created_at: Timestamp,
    /// Time of the revocation.
    pub revoked_at: Timestamp,
}

row!(RevokedKey: kid, predecessor, created_at, revoked_at);

/// Lists the keys that were revoked before a time, and are not marked by [`complete_revocation`].
pub async fn list_incomplete_revocations(db: &Db, before: Timestamp) -> Result<Vec<RevokedKey>> {
    const SQL: Sql = sql!(
        "SELECT k.kid, k.predecessor, k.created_at, k.revoked_at FROM auth_keys k \
         WHERE k.revoked_at IS NOT NULL AND k.access_ended_at IS NULL AND ",
        (
            "julianday(k.revoked_at) <= julianday($1)",
            "k.revoked_at <= $1"
        ),
        " ORDER BY k.kid"
    );
    db.fetch_all(SQL, &[before.into()]).await
}

/// Marks that everything that a revoked key may have created has ended.
pub async fn complete_revocation(db: &Db, kid: &str, now: Timestamp) -> Result<()> {
    let sql = "UPDATE auth_keys SET access_ended_at = $2 WHERE kid = $1 AND revoked_at IS NOT NULL";
    db.execute(sql, vec![kid.into(), now.into()]).await?;
    Ok(())
}

async fn insert(tx: &mut Tx, key: &KeyRow) -> Result<u64> {
    tx.execute(
        "INSERT INTO auth_keys \
         (kid, algorithm, predecessor, sealed, public_jwk, created_at, signs_from) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        &[
            key.kid.as_str().into(),
            key.algorithm.as_str().into(),
            key.predecessor.as_str().into(),
            key.sealed.clone().into(),
            key.public_jwk.as_str().into(),
            key.created_at.into(),
            key.signs_from.into(),
        ],
    )
    .await
}
