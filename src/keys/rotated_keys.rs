//! Rotated keys in the database: reading, creating and revoking.

use std::path::PathBuf;

use super::key_sealer::KeySealer;
use super::key_set::{ConfiguredKeys, KeySet, RotatedKey};
use super::schedule::{KeyFacts, Plan, Schedule, Successor};
use super::{Error, SigningKey};
use crate::clock::Timestamp;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::store::audit::{Entry, Event};
use crate::store::signing_keys::{self, Change, KeyRow};
use crate::store::{self, Db};

/// Access to the rotated keys.
#[derive(Debug)]
pub(super) struct RotatedKeys {
    pub(super) db: Db,
    pub(super) sealer: KeySealer,
    pub(super) schedule: Schedule,
    /// The folder of a key of an earlier version, and the configured key id of that key.
    pub(super) earlier_key: Option<(PathBuf, Option<String>)>,
}

impl RotatedKeys {
    /// Returns a set without rotated keys.
    pub(super) fn empty_set(&self, configured: ConfiguredKeys) -> KeySet {
        KeySet {
            configured,
            schedule: self.schedule.clone(),
            facts: Vec::new(),
            rotated: Vec::new(),
        }
    }

    /// Reads all keys. A key in `known` with the same sealed form is not opened again.
    ///
    /// # Errors
    /// [`Error::Sealed`] if a key cannot be opened, or if the database is unavailable.
    pub(super) async fn read(&self, known: &KeySet) -> Result<KeySet, Error> {
        let rows = signing_keys::list(&self.db).await?;
        let mut set = self.empty_set(known.configured.clone());
        for row in rows {
            self.add_to(&mut set, row, known)?;
        }
        Ok(set)
    }

    /// Reads all keys, without keys that cannot be opened: a damaged row must not stop a running server.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub(super) async fn read_again(&self, known: &KeySet) -> Result<KeySet, store::Error> {
        let rows = signing_keys::list(&self.db).await?;
        let mut set = self.empty_set(known.configured.clone());
        for row in rows {
            if let Err(error) = self.add_to(&mut set, row, known) {
                tracing::error!(%error, "signing key is not used");
            }
        }
        Ok(set)
    }

    fn add_to(&self, set: &mut KeySet, row: KeyRow, known: &KeySet) -> Result<(), Error> {
        let Some(algorithm) = SigningAlgorithm::from_name(&row.algorithm) else {
            return Ok(()); // of a later version of this server
        };
        if let Some(sealed) = &row.sealed {
            let key = self.open(algorithm, &row.kid, sealed, known)?;
            let sealed = sealed.clone();
            set.rotated.push(RotatedKey { sealed, key });
        }
        set.facts.push(facts(row, algorithm));
        Ok(())
    }

    fn open(
        &self,
        algorithm: SigningAlgorithm,
        kid: &str,
        sealed: &str,
        known: &KeySet,
    ) -> Result<SigningKey, Error> {
        let mut known = known.rotated.iter();
        let is_same = |one: &&RotatedKey| {
            one.sealed == sealed && one.key.kid() == kid && one.key.algorithm() == algorithm
        };
        if let Some(known) = known.find(is_same) {
            return Ok(known.key.clone());
        }
        let opened = self.sealer.open(algorithm, kid, sealed)?;
        opened.ok_or_else(|| Error::Sealed(kid.to_owned()))
    }

    /// Lists the stored keys that are not revoked, each with true if the key can be opened.
    ///
    /// # Errors
    /// Without the secret, or if the database is unavailable.
    pub(super) async fn examine(&self) -> Result<Vec<(String, bool)>, Error> {
        let mut found = Vec::new();
        for row in signing_keys::list(&self.db).await? {
            let algorithm = SigningAlgorithm::from_name(&row.algorithm);
            if let (Some(sealed), Some(algorithm)) = (row.sealed, algorithm) {
                let opened = self.sealer.open(algorithm, &row.kid, &sealed)?;
                found.push((row.kid, opened.is_some()));
            }
        }
        Ok(found)
    }

    /// True if the rows changed since `set` was read: a single small statement.
    pub(super) async fn changed_since(&self, set: &KeySet) -> Result<bool, store::Error> {
        let rows = signing_keys::versions(&self.db).await?;
        let is_known = |row: &signing_keys::KeyVersion| {
            set.facts.iter().any(|facts| {
                facts.kid == row.kid
                    && facts.signs_from == row.signs_from
                    && facts.revoked_at == row.revoked_at
            })
        };
        Ok(rows.len() != set.facts.len() || !rows.iter().all(is_known))
    }

    /// Creates the first key of every algorithm that has no key. A key of an earlier version in `DATA_DIR`
    /// becomes the first RS256 key, with the same kid, so that its tokens stay valid. True if a row changed.
    ///
    /// # Errors
    /// If a key cannot be generated or stored.
    pub(super) async fn create_first(&self, set: &KeySet, now: Timestamp) -> Result<bool, Error> {
        if set.facts.is_empty() {
            self.sealer.create_secret()?;
        }
        let mut change = Change::default();
        let has_key = |algorithm| set.facts.iter().any(|facts| facts.algorithm == algorithm);
        if let (Some((folder, kid)), false) = (&self.earlier_key, has_key(SigningAlgorithm::Rs256))
            && let Some(key) = SigningKey::find_in_folder(folder, kid.as_deref())
                .map_err(|error| Error::KeyFile(Box::new(error)))?
        {
            let first = Successor {
                algorithm: key.algorithm(),
                predecessor: String::new(),
                signs_from: now,
            };
            self.add(&mut change, &key, first, now)?;
        }
        let is_taken_over = !change.inserts.is_empty();
        let is_missing = |key: &Successor| {
            let is_added = is_taken_over && key.algorithm == SigningAlgorithm::Rs256;
            !has_key(key.algorithm) && !is_added
        };
        let plan = self.schedule.plan(&set.facts, now);
        let creates: Vec<Successor> = plan.creates.into_iter().filter(is_missing).collect();
        for first in creates {
            self.generate(&mut change, first, now).await?;
        }
        self.write(change).await
    }

    /// Carries out a plan in one transaction, with the audit entries. True if a row changed.
    ///
    /// # Errors
    /// If a key cannot be generated or stored.
    pub(super) async fn carry_out(
        &self,
        plan: Plan,
        revoke: Option<String>,
        entries: Vec<Entry>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let mut change = Change {
            revoke: revoke.map(|kid| (kid, now)),
            reschedules: plan.reschedules,
            deletes: plan.deletes,
            entries,
            ..Change::default()
        };
        for successor in plan.creates {
            self.generate(&mut change, successor, now).await?;
        }
        self.write(change).await
    }

    async fn generate(
        &self,
        change: &mut Change,
        successor: Successor,
        now: Timestamp,
    ) -> Result<(), Error> {
        let algorithm = successor.algorithm;
        let generated = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm)).await;
        let key = generated.map_err(|_| Error::Key)??;
        self.add(change, &key, successor, now)
    }

    fn add(
        &self,
        change: &mut Change,
        key: &SigningKey,
        successor: Successor,
        now: Timestamp,
    ) -> Result<(), Error> {
        let row = KeyRow {
            kid: key.kid().to_owned(),
            algorithm: successor.algorithm.name().to_owned(),
            predecessor: successor.predecessor,
            sealed: Some(self.sealer.seal(key)?),
            public_jwk: serde_json::to_string(&key.jwk()).map_err(|_| Error::Key)?,
            created_at: now,
            signs_from: successor.signs_from,
            revoked_at: None,
        };
        let entry = Entry::new(Event::SigningKeyCreated, now).subject(&row.kid);
        change.inserts.push((row, entry));
        Ok(())
    }

    async fn write(&self, change: Change) -> Result<bool, Error> {
        if change.is_empty() {
            return Ok(false);
        }
        let write = self.db.write(change, |tx, change| {
            Box::pin(async move { signing_keys::apply(tx, change).await })
        });
        Ok(write.await?)
    }
}

fn facts(row: KeyRow, algorithm: SigningAlgorithm) -> KeyFacts {
    KeyFacts {
        kid: row.kid,
        algorithm,
        predecessor: row.predecessor,
        created_at: row.created_at,
        signs_from: row.signs_from,
        revoked_at: row.revoked_at,
    }
}
