//! Operations on the keys of this server: states, rotation and revocation.

use bytes::Bytes;
use time::Duration;

use super::key_set::{ConfiguredKeys, KeyStatus};
use super::rendered_key_set::key_set;
use super::schedule::{KeyState, Plan, Schedule};
use super::server_keys::Keys;
use super::{Error, SigningKey};
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::store;
use crate::store::audit::Entry;

impl Keys {
    /// Returns the public keys as a JWK Set (RFC 7517 §5). While the database is unavailable, the keys in
    /// memory.
    pub async fn key_set(&self) -> serde_json::Value {
        let set = self.fresh().await.unwrap_or_else(|_| self.set());
        key_set(&set.published(self.clock.now()))
    }

    /// Returns the text of [`Keys::key_set`]: the same text until a key is added or removed.
    pub async fn jwks(&self) -> Bytes {
        let set = self.fresh().await.unwrap_or_else(|_| self.set());
        self.rendered.text(&set.published(self.clock.now()))
    }

    /// Returns every rotated key in memory with its state.
    #[must_use]
    pub fn status(&self) -> Vec<KeyStatus> {
        self.set().status(self.clock.now())
    }

    /// Returns every rotated key with its state, read from the database.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn read_status(&self) -> Result<Vec<KeyStatus>, store::Error> {
        let set = self.read(|_| true).await?;
        Ok(set.status(self.clock.now()))
    }

    /// Lists the stored keys that are not revoked, each with true if the key can be opened with the secret of
    /// this process.
    ///
    /// # Errors
    /// Without the secret, or if the database is unavailable.
    pub async fn examine(&self) -> Result<Vec<(String, bool)>, Error> {
        match &self.rotated {
            Some(rotated) => rotated.examine().await,
            None => Ok(Vec::new()),
        }
    }

    /// Returns the keys of the settings.
    #[must_use]
    pub fn configured(&self) -> ConfiguredKeys {
        self.set().configured.clone()
    }

    /// Returns the rotated algorithms, each with the age of the current key and the time until the next key
    /// signs, if a rotation is planned.
    #[must_use]
    pub fn ages(&self) -> Vec<(SigningAlgorithm, Duration, Option<Duration>)> {
        let (set, now) = (self.set(), self.clock.now());
        let keys = set.status(now);
        let current = keys.iter().filter(|key| key.state == KeyState::Current);
        let age = |key: &KeyStatus| {
            let algorithm = key.facts.algorithm;
            let next = set.schedule.next_rotation(&set.facts, algorithm, now);
            (
                algorithm,
                now - key.facts.signs_from,
                next.map(|at| at - now),
            )
        };
        current.map(age).collect()
    }

    /// Returns true if this server generates keys.
    #[must_use]
    pub fn are_rotated(&self) -> bool {
        self.rotated.is_some()
    }

    /// Returns the algorithms with generated keys.
    #[must_use]
    pub fn rotated_algorithms(&self) -> Vec<SigningAlgorithm> {
        self.set().schedule.algorithms.clone()
    }

    /// Returns true if a key is due to be created or deleted.
    #[must_use]
    pub fn is_change_due(&self) -> bool {
        let set = self.set();
        self.rotated.is_some() && !set.schedule.plan(&set.facts, self.clock.now()).is_empty()
    }

    /// Creates the keys that are due and deletes expired keys. Safe to repeat, and on several replicas at the
    /// same time.
    ///
    /// # Errors
    /// If a key cannot be generated, or the database is unavailable.
    pub async fn rotate_due(&self) -> Result<(), Error> {
        let Some(rotated) = &self.rotated else {
            return Ok(());
        };
        let set = self.read(|_| true).await?;
        let now = self.clock.now();
        let plan = set.schedule.plan(&set.facts, now);
        if rotated.carry_out(plan, None, Vec::new(), now).await? {
            self.read(|_| true).await?;
        }
        Ok(())
    }

    /// Makes a new key of an algorithm sign: as soon as clients had time to fetch the key, or at once. `entry`
    /// goes to the audit trail, with the key before as the subject.
    ///
    /// # Errors
    /// [`Error::NotRotated`] for an algorithm without rotated keys, and as [`Keys::rotate_due`].
    pub async fn rotate(
        &self,
        algorithm: SigningAlgorithm,
        immediately: bool,
        entry: Entry,
    ) -> Result<(), Error> {
        let rotated = self.rotated.as_ref().ok_or(Error::NotRotated)?;
        if !rotated.schedule.algorithms.contains(&algorithm) {
            return Err(Error::NotRotated);
        }
        let (set, now) = (self.read(|_| true).await?, self.clock.now());
        let plan = Schedule::rotate(&set.facts, algorithm, immediately, now);
        let current = set.signing_key(algorithm, now).map(SigningKey::kid);
        let entry = entry.subject(current.unwrap_or_default());
        rotated.carry_out(plan, None, vec![entry], now).await?;
        self.read(|_| true).await?;
        Ok(())
    }

    /// Revokes a key, with its private half. If the key signs, the next key signs at once. `entry` goes to the
    /// audit trail, with the key as the subject.
    ///
    /// # Errors
    /// [`Error::NotRotated`] for an unknown key, and as [`Keys::rotate_due`].
    pub async fn revoke(&self, kid: &str, entry: Entry) -> Result<(), Error> {
        let rotated = self.rotated.as_ref().ok_or(Error::NotRotated)?;
        let (set, now) = (self.read(|_| true).await?, self.clock.now());
        let mut keys = set.status(now).into_iter();
        let key = keys
            .find(|key| key.facts.kid == kid)
            .ok_or(Error::NotRotated)?;
        let plan = match key.state {
            KeyState::Current => Schedule::rotate(&set.facts, key.facts.algorithm, true, now),
            _ => Plan::default(),
        };
        let entry = entry.subject(kid);
        let revoke = Some(kid.to_owned());
        rotated.carry_out(plan, revoke, vec![entry], now).await?;
        self.read(|_| true).await?;
        Ok(())
    }
}
