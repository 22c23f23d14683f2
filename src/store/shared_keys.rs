//! Random keys shared by all replicas: `auth_shared_keys`.

use super::db::Db;
use super::error::Result;
use crate::clock::Timestamp;
use crate::secret::Secret;

const FIND: &str = "SELECT secret FROM auth_shared_keys WHERE name = $1";

/// Finds a key by name.
pub async fn find(db: &Db, name: &'static str) -> Result<Option<Secret>> {
    let secret: Option<String> = db.fetch_optional(FIND, &[name.into()]).await?;
    Ok(secret.map(Secret::new))
}

/// Stores a key unless the name has a key; returns the stored key.
pub async fn insert(db: &Db, name: &'static str, key: &Secret, now: Timestamp) -> Result<Secret> {
    db.execute(
        "INSERT INTO auth_shared_keys (name, secret, created_at) VALUES ($1, $2, $3) \
         ON CONFLICT (name) DO NOTHING",
        vec![name.into(), key.reveal().into(), now.into()],
    )
    .await?;
    let secret: String = db.fetch_one(FIND, &[name.into()]).await?;
    Ok(Secret::new(secret))
}
