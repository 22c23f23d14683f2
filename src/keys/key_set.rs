//! The keys in memory: the configured key, the keys for verification only, and the rotated keys.

use super::jwt::{UnverifiedToken, is_type};
use super::public_key::{Jwk, PublicKey};
use super::schedule::{KeyFacts, KeyState, Schedule};
use super::signing_key::SigningKey;
use crate::clock::Timestamp;
use crate::oauth::signing_algorithm::SigningAlgorithm;

/// Keys from the settings: these do not rotate.
#[derive(Clone, Debug, Default)]
pub struct ConfiguredKeys {
    /// `OAUTH_SIGNING_KEY_BASE64`.
    pub signing: Option<SigningKey>,
    /// `OAUTH_RETIRED_KEYS`: for verification only.
    pub verification: Vec<PublicKey>,
}

/// A rotated key.
#[derive(Clone, Debug)]
pub(super) struct RotatedKey {
    /// The sealed form that the key was opened from.
    pub(super) sealed: String,
    pub(super) key: SigningKey,
}

/// A rotated key with its state, for output.
#[derive(Clone, Debug)]
pub struct KeyStatus {
    /// The columns of the row.
    pub facts: KeyFacts,
    /// The state.
    pub state: KeyState,
    /// Time until which the key is in the key set, if the end of its signatures is known.
    pub published_until: Option<Timestamp>,
}

/// The kind of a token, which decides about the keys that verify the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// An access token.
    AccessToken,
    /// An ID token as a hint (OpenID Connect Core §3.1.2.1), which does not expire.
    Hint,
}

/// The keys at a moment. Immutable: a change replaces the whole set.
#[derive(Clone, Debug)]
pub(super) struct KeySet {
    pub(super) configured: ConfiguredKeys,
    pub(super) schedule: Schedule,
    /// Every row, revoked keys included.
    pub(super) facts: Vec<KeyFacts>,
    /// The keys of the rows that are not revoked.
    pub(super) rotated: Vec<RotatedKey>,
}

impl KeySet {
    /// Returns the key that signs with an algorithm.
    pub(super) fn signing_key(
        &self,
        algorithm: SigningAlgorithm,
        now: Timestamp,
    ) -> Option<&SigningKey> {
        let configured = self.configured.signing.as_ref();
        if let Some(key) = configured.filter(|key| key.algorithm() == algorithm) {
            return Some(key);
        }
        self.rotated.iter().map(|one| &one.key).find(|key| {
            key.algorithm() == algorithm && self.state(key.kid(), now) == Some(KeyState::Current)
        })
    }

    /// Returns every rotated key with its state, in the order of the algorithms and of signing.
    pub(super) fn status(&self, now: Timestamp) -> Vec<KeyStatus> {
        let status = |facts: &KeyFacts| KeyStatus {
            facts: facts.clone(),
            state: self.schedule.state(&self.facts, facts, now),
            published_until: self.schedule.published_until(&self.facts, facts),
        };
        let mut keys: Vec<KeyStatus> = self.facts.iter().map(status).collect();
        keys.sort_by_key(|key| {
            (
                key.facts.algorithm,
                key.facts.signs_from,
                key.facts.created_at,
            )
        });
        keys
    }

    /// Returns the public keys of the key set (RFC 7517 §5): for each algorithm the key that signs, then the
    /// next, then the retired keys.
    pub(super) fn published(&self, now: Timestamp) -> Vec<&Jwk> {
        let configured = self.configured.signing.iter().map(SigningKey::public);
        let configured = configured.chain(&self.configured.verification);
        let mut rotated: Vec<(usize, KeyState, &PublicKey)> = Vec::new();
        for one in &self.rotated {
            let state = self.state(one.key.kid(), now);
            if let Some(state) = state.filter(|state| state.is_published()) {
                let algorithms = self.schedule.algorithms.iter();
                let place = algorithms.take_while(|other| **other != one.key.algorithm());
                rotated.push((place.count(), state, one.key.public()));
            }
        }
        rotated.sort_by_key(|(place, state, key)| (*place, *state, key.kid()));
        let rotated = rotated.into_iter().map(|(_, _, key)| key);
        let mut keys: Vec<&Jwk> = Vec::new();
        for key in configured.chain(rotated).map(PublicKey::jwk) {
            if !keys.iter().any(|known| known.kid == key.kid) {
                keys.push(key);
            }
        }
        keys
    }

    /// True if a row or a setting has this key id, also of a revoked key.
    pub(super) fn knows(&self, kid: &str) -> bool {
        let configured = self.configured.signing.iter().map(SigningKey::kid);
        let verification = self.configured.verification.iter().map(PublicKey::kid);
        let rows = self.facts.iter().map(|facts| &*facts.kid);
        configured
            .chain(verification)
            .chain(rows)
            .any(|known| known == kid)
    }

    /// Returns the key that verifies a token of type `typ`: the key that `kid` names or, without a `kid`, any
    /// key of the algorithm. No key is fetched.
    pub(super) fn verifying_key(
        &self,
        token: &UnverifiedToken<'_>,
        typ: &str,
        purpose: Purpose,
        now: Timestamp,
    ) -> Option<&PublicKey> {
        // RFC 9068 §4, RFC 8725 §3.11
        if !token.typ.as_ref().is_some_and(|given| is_type(given, typ)) {
            return None;
        }
        let is_named = |key: &&PublicKey| token.kid.as_ref().is_none_or(|kid| kid == key.kid());
        let mut candidates = self.verifying(purpose, now).filter(is_named);
        candidates.find(|key| key.has_signed(token))
    }

    /// Returns the key that verifies an access token of any type and any `kid`.
    pub(super) fn verifying_key_of_any(
        &self,
        token: &UnverifiedToken<'_>,
        now: Timestamp,
    ) -> Option<&PublicKey> {
        let mut candidates = self.verifying(Purpose::AccessToken, now);
        candidates.find(|key| key.has_signed(token))
    }

    fn verifying(&self, purpose: Purpose, now: Timestamp) -> impl Iterator<Item = &PublicKey> {
        let configured = self.configured.signing.iter().map(SigningKey::public);
        let counts = move |one: &&RotatedKey| match self.state(one.key.kid(), now) {
            Some(KeyState::Archived) => purpose == Purpose::Hint,
            state => state.is_some_and(KeyState::is_published),
        };
        let rotated = self
            .rotated
            .iter()
            .filter(counts)
            .map(|one| one.key.public());
        configured
            .chain(&self.configured.verification)
            .chain(rotated)
    }

    fn state(&self, kid: &str, now: Timestamp) -> Option<KeyState> {
        let facts = self.facts.iter().find(|facts| facts.kid == kid)?;
        Some(self.schedule.state(&self.facts, facts, now))
    }
}
