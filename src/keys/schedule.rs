//! States of rotated keys: a pure function of the rows and the time, so that every replica knows the state at
//! each moment, also after a pause, without a message and without a job.
//!
//! Each algorithm has a chain of keys. A key is published when it is created, signs from `signs_from` until
//! the next key of the chain does, is published for `RETIRED_FOR` longer, and then verifies only ID token
//! hints until the grants of its time have ended.

use time::Duration;

use crate::clock::Timestamp;
use crate::oauth::signing_algorithm::SigningAlgorithm;

/// Time that clients may cache the key set.
pub const KEY_SET_MAX_AGE: Duration = Duration::minutes(5);

/// Minimum time from the creation of a key to its first signature: more than twice [`KEY_SET_MAX_AGE`].
pub const PUBLISHED_AHEAD: Duration = Duration::minutes(15);

/// Usual time from the creation of a key to its first signature.
const LEAD: Duration = Duration::days(7);

/// Time that a key is published after its last signature: more than the maximum of `OAUTH_ACCESS_TOKEN_TTL`.
const RETIRED_FOR: Duration = Duration::hours(25);

/// Time that the row of a revoked key is kept.
const REVOKED_KEPT: Duration = Duration::days(365);

/// The columns of a key that determine the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// Key id.
    pub kid: String,
    /// Signature algorithm.
    pub algorithm: SigningAlgorithm,
    /// Key id of the key that was the last of the chain before; empty for the first key.
    pub predecessor: String,
    /// Time from which the key is published.
    pub created_at: Timestamp,
    /// Time from which the key signs.
    pub signs_from: Timestamp,
    /// Time of the revocation.
    pub revoked_at: Option<Timestamp>,
}

/// The state of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyState {
    /// Signs and verifies.
    Current,
    /// Published, signs nothing yet.
    Next,
    /// Published, verifies.
    Retired,
    /// Verifies only ID token hints.
    Archived,
    /// Due for deletion.
    Expired,
    /// Nothing that the key signed is accepted.
    Revoked,
}

impl KeyState {
    /// Name in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Next => "next",
            Self::Retired => "retired",
            Self::Archived => "archived",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// True if the key is in the key set.
    #[must_use]
    pub fn is_published(self) -> bool {
        matches!(self, Self::Current | Self::Next | Self::Retired)
    }
}

/// A key to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Successor {
    pub(super) algorithm: SigningAlgorithm,
    /// Kid of a key without a successor; empty for the first key.
    pub(super) predecessor: String,
    pub(super) signs_from: Timestamp,
}

/// Changes of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) creates: Vec<Successor>,
    /// Kids with a new `signs_from`.
    pub(super) reschedules: Vec<(String, Timestamp)>,
    /// Kids to delete.
    pub(super) deletes: Vec<String>,
}

impl Plan {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The rules of the rotation.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Time that a key signs; zero: for ever.
    pub rotation: Duration,
    /// The rotated algorithms.
    pub algorithms: Vec<SigningAlgorithm>,
    /// Time that an ID token is a useful hint: the lifetime of a grant.
    pub hint_life: Duration,
}

impl Schedule {
    /// Returns the state of a key among all keys.
    #[must_use]
    pub fn state(&self, keys: &[KeyFacts], key: &KeyFacts, now: Timestamp) -> KeyState {
        if key.revoked_at.is_some() {
            return KeyState::Revoked;
        }
        let chain = chain(keys, key.algorithm);
        let is_rotated = self.algorithms.contains(&key.algorithm);
        let Some(current) = current(&chain, now) else {
            return KeyState::Retired;
        };
        if current.kid == key.kid && is_rotated {
            return KeyState::Current;
        }
        if after(&chain, current)
            .iter()
            .any(|next| next.kid == key.kid)
        {
            return KeyState::Next;
        }
        let Some(end) = self.end(&chain, key) else {
            return KeyState::Retired;
        };
        let since = now - end;
        if since < RETIRED_FOR {
            KeyState::Retired
        } else if since < self.hint_life {
            KeyState::Archived
        } else {
            KeyState::Expired
        }
    }

    /// Returns the time from which the next key of an algorithm signs; `None` if no rotation is planned.
    #[must_use]
    pub fn next_rotation(
        &self,
        keys: &[KeyFacts],
        algorithm: SigningAlgorithm,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let chain = chain(keys, algorithm);
        let current = current(&chain, now)?;
        let next = live(after(&chain, current)).next();
        let planned = (!self.rotation.is_zero()).then(|| current.signs_from + self.rotation);
        next.map(|next| next.signs_from).or(planned)
    }

    /// Returns the time until which a key is in the key set; `None` if the end of its signatures is not known
    /// yet, and for a revoked key.
    pub(super) fn published_until(&self, keys: &[KeyFacts], key: &KeyFacts) -> Option<Timestamp> {
        if key.revoked_at.is_some() {
            return None;
        }
        let end = self.end(&chain(keys, key.algorithm), key)?;
        Some(end + RETIRED_FOR)
    }

    /// Returns the end of the signatures of a key: the first signature of the next key, or the end of the
    /// rotation period if the algorithm is no longer in use.
    fn end(&self, chain: &[&KeyFacts], key: &KeyFacts) -> Option<Timestamp> {
        // A key that was revoked before its first signature replaced no key.
        let signed = |next: &&&KeyFacts| next.revoked_at.is_none_or(|at| at > next.signs_from);
        let next = after(chain, key).iter().find(signed);
        let is_rotated = self.algorithms.contains(&key.algorithm);
        let ends_alone = !is_rotated && !self.rotation.is_zero();
        next.map(|next| next.signs_from)
            .or_else(|| ends_alone.then(|| key.signs_from + self.rotation))
    }

    /// Returns the changes that are due.
    pub(super) fn plan(&self, keys: &[KeyFacts], now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        for algorithm in &self.algorithms {
            self.plan_chain(&chain(keys, *algorithm), *algorithm, now, &mut plan);
        }
        let is_due = |key: &&KeyFacts| match key.revoked_at {
            Some(at) => now - at > REVOKED_KEPT,
            None => self.state(keys, key, now) == KeyState::Expired,
        };
        plan.deletes = keys
            .iter()
            .filter(is_due)
            .map(|key| key.kid.clone())
            .collect();
        plan
    }

    fn plan_chain(
        &self,
        chain: &[&KeyFacts],
        algorithm: SigningAlgorithm,
        now: Timestamp,
        plan: &mut Plan,
    ) {
        let predecessor = tail(chain);
        let (Some(current), Some(last)) = (current(chain, now), live(chain).next_back()) else {
            return plan.creates.push(Successor {
                algorithm,
                predecessor,
                signs_from: now,
            });
        };
        if self.rotation.is_zero() {
            return;
        }
        let due = current.signs_from + self.rotation;
        let at_once = now + PUBLISHED_AHEAD;
        if last.kid != current.kid {
            // The clock jumped far ahead while the key was created.
            if last.signs_from > at_once.max(due) + LEAD {
                plan.reschedules.push((last.kid.clone(), at_once.max(due)));
            }
        } else if now >= due - LEAD.min(self.rotation / 2) {
            plan.creates.push(Successor {
                algorithm,
                predecessor,
                signs_from: at_once.max(due),
            });
        }
    }

    /// Returns the changes that make a new key sign: as soon as clients had time to fetch the key, or at
    /// once.
    pub(super) fn rotate(
        keys: &[KeyFacts],
        algorithm: SigningAlgorithm,
        immediately: bool,
        now: Timestamp,
    ) -> Plan {
        let chain = chain(keys, algorithm);
        let mut plan = Plan::default();
        let at = |created_at: Timestamp| {
            if immediately {
                now
            } else {
                now.max(created_at + PUBLISHED_AHEAD)
            }
        };
        let current = current(&chain, now);
        let next = current.and_then(|current| live(after(&chain, current)).next());
        match next {
            Some(next) if next.signs_from == at(next.created_at) => {}
            Some(next) => {
                let signs_from = at(next.created_at);
                plan.reschedules.push((next.kid.clone(), signs_from));
            }
            None => plan.creates.push(Successor {
                algorithm,
                predecessor: tail(&chain),
                signs_from: if current.is_some() { at(now) } else { now },
            }),
        }
        plan
    }
}

/// Returns the keys of an algorithm in the order of signing.
fn chain(keys: &[KeyFacts], algorithm: SigningAlgorithm) -> Vec<&KeyFacts> {
    let of_algorithm = keys.iter().filter(|key| key.algorithm == algorithm);
    let mut chain: Vec<&KeyFacts> = of_algorithm.collect();
    chain.sort_by_cached_key(|key| (key.signs_from, depth(keys, key)));
    chain
}

/// Returns the number of keys before a key in the chain, which orders keys that sign from the same moment on.
fn depth(keys: &[KeyFacts], key: &KeyFacts) -> usize {
    let before = |key: &KeyFacts| keys.iter().find(|other| other.kid == key.predecessor);
    std::iter::successors(before(key), |key| before(key))
        .take(keys.len())
        .count()
}

/// Returns the keys after a key in the order of signing.
fn after<'c, 'k>(chain: &'c [&'k KeyFacts], key: &KeyFacts) -> &'c [&'k KeyFacts] {
    let place = chain.iter().position(|one| one.kid == key.kid);
    let rest = place.and_then(|place| chain.get(place + 1..));
    rest.unwrap_or_default()
}

/// Returns the kid of the newest key that no other key names as predecessor. A key has at most one successor
/// (a unique index), so that two replicas cannot both extend the chain.
fn tail(chain: &[&KeyFacts]) -> String {
    let has_successor = |key: &KeyFacts| chain.iter().any(|next| next.predecessor == key.kid);
    let tails = chain.iter().filter(|key| !has_successor(key));
    let newest = tails.max_by_key(|key| key.created_at);
    newest.map_or_else(String::new, |key| key.kid.clone())
}

fn live<'k>(chain: &[&'k KeyFacts]) -> impl DoubleEndedIterator<Item = &'k KeyFacts> {
    chain.iter().copied().filter(|key| key.revoked_at.is_none())
}

/// Returns the key that signs: the last that may; the first if the clock went back before all keys.
fn current<'a>(chain: &[&'a KeyFacts], now: Timestamp) -> Option<&'a KeyFacts> {
    let signing = live(chain).rfind(|key| key.signs_from <= now);
    signing.or_else(|| live(chain).next())
}

#[cfg(test)]
mod tests;
