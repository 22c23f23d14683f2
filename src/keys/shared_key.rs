//! A random key that all replicas share, stored in `auth_shared_keys`.

use tokio::sync::OnceCell;

use crate::clock::Timestamp;
use crate::random::Random;
use crate::secret::{Secret, hex};
use crate::store::{self, Db, shared_keys};

/// A key by name, read from the database at first use.
#[derive(Debug)]
pub struct SharedKey {
    name: &'static str,
    key: OnceCell<Secret>,
}

impl SharedKey {
    /// Names a key without reading it.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            key: OnceCell::new(),
        }
    }

    /// The name in `auth_shared_keys`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the key if any replica has created it.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn find(&self, db: &Db) -> Result<Option<Secret>, store::Error> {
        if let Some(key) = self.key.get() {
            return Ok(Some(key.clone()));
        }
        let key = shared_keys::find(db, self.name).await?;
        Ok(key.inspect(|key| {
            let _ = self.key.set(key.clone());
        }))
    }

    /// Returns the key, and creates it if no replica has.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn find_or_create(
        &self,
        db: &Db,
        random: &Random,
        now: Timestamp,
    ) -> Result<Secret, store::Error> {
        let create = async || {
            if let Some(key) = shared_keys::find(db, self.name).await? {
                return Ok(key);
            }
            let new = Secret::new(hex(&random.bytes::<32>()));
            shared_keys::insert(db, self.name, &new, now).await
        };
        self.key.get_or_try_init(create).await.cloned()
    }
}
