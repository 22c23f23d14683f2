//! Rate limits on failed and on costly attempts: by account, client and network, in memory.
//!
//! Successful requests do not count: 10,000 devices behind the same address can poll, and a
//! guesser is stopped. An IPv6 subscriber has at least a /64, and often a /56 or a /48, so an address
//! rule counts all of these networks, with a larger budget for the wider networks.
//!
//! Each process counts separately, and a restart resets the counts. Memory is bounded: keys are hashes
//! of fixed length, and beyond `COUNTS_MAX` the least recently used count is evicted.

pub mod connections;
pub mod device_polls;
pub mod refusals;
pub mod requests;

use std::net::IpAddr;
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};
use time::Duration;

use crate::bounded_map::{BoundedMap, Bounds, Eviction, Expiry};
use crate::clock::{Clock, Timestamp};
use crate::telemetry::metrics;

/// Maximum number of counts in memory.
const COUNTS_MAX: u64 = 100_000;

/// A limit on failures in a period, at the default `RATE_LIMIT`.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Name of the rule: part of the key, so that rules do not share counts.
    name: &'static str,
    /// Allowed failures per period.
    failures: u64,
    period: Duration,
    /// True for a leaky bucket, false for a fixed window.
    leaky_bucket: bool,
}

impl Rule {
    /// A fixed window: starts with the first failure, and all failures expire at the end.
    const fn new(name: &'static str, failures: u64, period: Duration) -> Self {
        Self {
            name,
            failures,
            period,
            leaky_bucket: false,
        }
    }

    /// The same rule as a leaky bucket. At the limit, a further failure is accepted every `period /
    /// failures`: attempts are slowed down, but never blocked for a whole period.
    const fn leaky_bucket(mut self) -> Self {
        self.leaky_bucket = true;
        self
    }

    /// The rule for a wider network, with `factor` times the budget.
    const fn times(mut self, factor: u64) -> Self {
        self.failures *= factor;
        self
    }
}

/// Wrong passwords per identifier and address.
pub const SIGN_IN_PAIR: Rule = Rule::new("sign-in-pair", 10, Duration::minutes(15));
/// Wrong passwords per identifier from unrecognized browsers, over all addresses: at the limit, an
/// attempt every 30 seconds. A leaky bucket, so that an attacker cannot lock out the owner of the
/// account.
pub const SIGN_IN_IDENTIFIER: Rule =
    Rule::new("sign-in-identifier", 30, Duration::minutes(15)).leaky_bucket();
/// Wrong passwords per address.
pub const SIGN_IN_ADDRESS: Rule = Rule::new("sign-in-address", 100, Duration::minutes(15));
/// Wrong passwords per browser that signed in to the account before, recognized by session or device
/// cookie. The database counts failures of a device cookie, without expiry. Above the limit, the
/// browser counts as unrecognized.
pub const SIGN_IN_BROWSER: Rule = Rule::new("sign-in-browser", 10, Duration::hours(1));
/// Wrong current passwords in a password change, per account.
pub const PASSWORD_CHANGE: Rule = Rule::new("password-change", 10, Duration::minutes(15));
/// Wrong secrets per client and address (RFC 6749 §2.3.1).
pub const CLIENT_SECRET: Rule = Rule::new("client-secret", 30, Duration::minutes(5));
/// Wrong client secrets per address, over all clients.
pub const CLIENT_SECRET_ADDRESS: Rule =
    Rule::new("client-secret-address", 100, Duration::minutes(5));
/// Wrong secrets per access key.
pub const ACCESS_KEY: Rule = Rule::new("access-key", 30, Duration::minutes(5));
/// Wrong code verifiers per authorization code.
pub const CODE_VERIFIER: Rule = Rule::new("code-verifier", 30, Duration::minutes(10));
/// Wrong user codes per account (RFC 8628 §5.1).
pub const USER_CODE_ACCOUNT: Rule = Rule::new("user-code-account", 5, Duration::minutes(10));
/// Wrong user codes per address.
pub const USER_CODE_ADDRESS: Rule = Rule::new("user-code-address", 50, Duration::minutes(10));
/// Authorization requests without a session, per address. Each request is stored for ten minutes.
pub const PENDING_REQUESTS: Rule = Rule::new("pending-requests", 300, Duration::minutes(10));
/// Authorization requests per account. Each request is stored for ten minutes.
pub const REQUESTS: Rule = Rule::new("requests", 300, Duration::minutes(10));
/// Pushed authorization requests per client.
pub const PUSHED_REQUESTS_CLIENT: Rule =
    Rule::new("pushed-requests-client", 50_000, Duration::minutes(10));
/// Pushed authorization requests per address. Each request is stored for a minute.
pub const PUSHED_REQUESTS: Rule = Rule::new("pushed-requests", 2_000, Duration::minutes(10));
/// Fetches of client metadata documents per account.
pub const DOCUMENTS_ACCOUNT: Rule = Rule::new("documents-account", 60, Duration::minutes(10));
/// Fetches of client metadata documents per address.
pub const DOCUMENTS_ADDRESS: Rule = Rule::new("documents-address", 300, Duration::minutes(10));
/// Fetches of logos of clients, per account.
pub const LOGOS_ACCOUNT: Rule = Rule::new("logos-account", 60, Duration::minutes(10));
/// Fetches of logos of clients, per address.
pub const LOGOS_ADDRESS: Rule = Rule::new("logos-address", 300, Duration::minutes(10));
/// Fetches of a client's `jwks_uri`, per client.
pub const KEYS_CLIENT: Rule = Rule::new("keys-client", 20, Duration::minutes(10));
/// Fetches of the keys of an issuer of identity assertions, per issuer.
pub const KEYS_ISSUER: Rule = Rule::new("keys-issuer", 20, Duration::minutes(10));
/// Device authorization requests per client.
pub const DEVICE_STARTS_CLIENT: Rule =
    Rule::new("device-starts-client", 50_000, Duration::minutes(10));
/// Device authorization requests per address.
pub const DEVICE_STARTS: Rule = Rule::new("device-starts", 2_000, Duration::minutes(10));
/// Client registrations per address. Each registration is stored for at least a day.
pub const REGISTRATIONS: Rule = Rule::new("registrations", 100, Duration::hours(1));
/// Sign-ups per address.
pub const SIGN_UPS: Rule = Rule::new("sign-ups", 10, Duration::hours(1));
/// New applications, secrets and access keys per account. Each costs a hash and a row.
pub const CREATIONS: Rule = Rule::new("made", 100, Duration::hours(1));

/// Counters of failures, by rule and subject.
#[derive(Clone, Debug)]
pub struct Limits {
    counts: BoundedMap<Mutex<Count>>,
    clock: Clock,
    /// `RATE_LIMIT`; at 5000 the rules apply unchanged.
    scale: u64,
}

/// SHA-256 of the rule name and the subject: fixed length, for bounded memory.
type Key = [u8; 32];

/// Failures since a time.
#[derive(Debug)]
struct Count {
    since: Timestamp,
    failures: u64,
}

/// Limit exceeded: seconds until the next attempt is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetryAfter(pub u64);

impl Limits {
    /// Creates empty counters, with every rule scaled by `RATE_LIMIT`.
    #[must_use]
    pub fn new(clock: Clock, rate_limit: u64) -> Self {
        let counts = BoundedMap::new(Bounds {
            weight: COUNTS_MAX,
            expiry: Expiry::Idle(std::time::Duration::from_hours(1)),
            eviction: Eviction::LeastRecent,
        });
        Self {
            counts,
            clock,
            scale: rate_limit,
        }
    }

    /// Checks that no subject is at the limit.
    ///
    /// # Errors
    /// [`RetryAfter`] if any subject is at the limit.
    pub fn check<S: AsRef<str>>(&self, subjects: &[(Rule, S)]) -> Result<(), RetryAfter> {
        let now = self.clock.now();
        let waits = subjects.iter().filter_map(|(rule, name)| {
            let count = self.counts.get(key(*rule, name.as_ref()))?;
            let mut count = locked(&count);
            self.expire_failures(*rule, &mut count, now);
            let wait = self.wait(*rule, &count, now)?;
            metrics::limited(rule.name);
            Some(wait)
        });
        waits.max().map_or(Ok(()), Err)
    }

    /// Counts a failure for each subject.
    pub fn fail<S: AsRef<str>>(&self, subjects: &[(Rule, S)]) {
        for (rule, name) in subjects {
            self.count(key(*rule, name.as_ref()), |count, now| {
                self.expire_failures(*rule, count, now);
                count.failures += 1;
            });
        }
    }

    /// Checks the limits, and counts an action that costs a row or a fetch. Each check counts under the same
    /// lock, so that concurrent actions cannot exceed the limit.
    ///
    /// # Errors
    /// [`RetryAfter`] if any subject is at the limit; then nothing is counted.
    pub fn spend<S: AsRef<str>>(&self, subjects: &[(Rule, S)]) -> Result<(), RetryAfter> {
        let mut counted = Vec::with_capacity(subjects.len());
        let mut longest = None;
        for (rule, name) in subjects {
            let key = key(*rule, name.as_ref());
            let wait = self.count(key, |count, now| {
                self.expire_failures(*rule, count, now);
                let wait = self.wait(*rule, count, now);
                if wait.is_none() {
                    count.failures += 1;
                }
                wait
            });
            match wait {
                None => counted.push(key),
                Some(_) => metrics::limited(rule.name),
            }
            longest = longest.max(wait);
        }
        match longest {
            None => Ok(()),
            Some(wait) => {
                for key in &counted {
                    self.undo_failure(key);
                }
                Err(wait)
            }
        }
    }

    /// Runs `change` with the count of a key, under the lock of the count.
    fn count<T>(&self, key: Key, change: impl FnOnce(&mut Count, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let fresh = || {
            Mutex::new(Count {
                since: now,
                failures: 0,
            })
        };
        let count = self.counts.get_or_insert_with(key, fresh);
        change(&mut locked(&count), now)
    }

    /// Checks the limits, and counts an attempt before the credential is checked, so that concurrent
    /// attempts cannot exceed the limit. Dropping the [`Attempt`] undoes the count, unless
    /// [`Attempt::failed`] is called.
    ///
    /// # Errors
    /// [`RetryAfter`] if any subject is at the limit.
    pub fn attempt<S: AsRef<str>>(
        &self,
        subjects: &[(Rule, S)],
    ) -> Result<Attempt<'_>, RetryAfter> {
        self.spend(subjects)?;
        let keys = subjects.iter();
        let keys = keys.map(|(rule, name)| key(*rule, name.as_ref())).collect();
        Ok(Attempt {
            limits: self,
            keys,
            failed: false,
        })
    }

    fn undo_failure(&self, key: &Key) {
        if let Some(count) = self.counts.get(key) {
            let mut count = locked(&count);
            count.failures = count.failures.saturating_sub(1);
        }
    }

    /// Removes expired failures.
    fn expire_failures(&self, rule: Rule, count: &mut Count, now: Timestamp) {
        let passed = now - count.since;
        if count.failures == 0 || passed >= rule.period {
            *count = Count {
                since: now,
                failures: 0,
            };
        } else if rule.leaky_bucket {
            let interval = self.interval(rule);
            let forgiven =
                passed.whole_microseconds().max(0) / interval.whole_microseconds().max(1);
            let forgiven = u64::try_from(forgiven).unwrap_or(u64::MAX);
            count.failures = count.failures.saturating_sub(forgiven);
            let steps = i32::try_from(forgiven).unwrap_or(i32::MAX);
            count.since = count.since + interval * steps;
        }
    }

    /// The time until the next failure is accepted; `None` below the limit.
    fn wait(&self, rule: Rule, count: &Count, now: Timestamp) -> Option<RetryAfter> {
        let length = if rule.leaky_bucket {
            self.interval(rule)
        } else {
            rule.period
        };
        let left = length - (now - count.since);
        (count.failures >= self.allowed(rule) && left.is_positive())
            .then(|| RetryAfter(left.whole_seconds().unsigned_abs() + 1))
    }

    /// The allowed failures of a rule, scaled by `RATE_LIMIT`.
    #[must_use]
    pub fn allowed(&self, rule: Rule) -> u64 {
        (rule.failures.saturating_mul(self.scale) / 5_000).max(1)
    }

    /// The time in which a leaky bucket drains a single failure.
    fn interval(&self, rule: Rule) -> Duration {
        let allowed = i32::try_from(self.allowed(rule)).unwrap_or(i32::MAX);
        rule.period / allowed
    }
}

/// An attempt in progress. Only a wrong credential counts, not an unavailable database.
#[derive(Debug)]
pub struct Attempt<'a> {
    limits: &'a Limits,
    keys: Vec<Key>,
    failed: bool,
}

impl Attempt<'_> {
    /// Keeps the attempt counted as a failure.
    pub fn failed(mut self) {
        self.failed = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.failed {
            for key in &self.keys {
                self.limits.undo_failure(key);
            }
        }
    }
}

fn locked<T>(count: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    count
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn key(rule: Rule, name: &str) -> Key {
    let mut hash = Sha256::new();
    hash.update(rule.name.as_bytes());
    hash.update([0]);
    hash.update(name.as_bytes());
    hash.finalize().into()
}

/// Expands an address rule to the networks of an address: an IPv4 address, and the /24 with 8 times the
/// budget; an IPv6 /64, the /56 with 4 times and the /48 with 16 times the budget.
#[must_use]
pub fn networks(rule: Rule, address: IpAddr) -> Vec<(Rule, String)> {
    match address.to_canonical() {
        IpAddr::V4(address) => vec![
            (rule, prefix(address.into(), 32)),
            (rule.times(8), prefix(address.into(), 24)),
        ],
        IpAddr::V6(address) => vec![
            (rule, prefix(address.into(), 64)),
            (rule.times(4), prefix(address.into(), 56)),
            (rule.times(16), prefix(address.into(), 48)),
        ],
    }
}

/// Expands a rule on the combination of a name and an address, like [`networks`].
#[must_use]
pub fn networks_with(rule: Rule, name: &str, address: IpAddr) -> Vec<(Rule, String)> {
    let mut subjects = networks(rule, address);
    for (_, network) in &mut subjects {
        *network = format!("{network}\0{name}");
    }
    subjects
}

/// The unit of a rate limit: an IPv4 address, or the /64 of an IPv6 address.
#[must_use]
pub fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => prefix(address.into(), 64),
    }
}

/// The network of a site: an IPv4 /24 or an IPv6 /48.
#[must_use]
pub fn site_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => prefix(address.into(), 24),
        IpAddr::V6(address) => prefix(address.into(), 48),
    }
}

/// A network in CIDR notation: the first `length` bits of an address.
fn prefix(address: IpAddr, length: u8) -> String {
    let network: IpAddr = match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            std::net::Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            std::net::Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    };
    format!("{network}/{length}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Concurrent attempts do not exceed a limit.
    #[test]
    fn concurrent_attempts_stay_within_the_limit() {
        let at = Timestamp::from_unix_seconds(1_700_000_000);
        for round in 0..50 {
            let limits = Limits::new(Clock::fixed(at), 5_000);
            let accepted = std::thread::scope(|scope| {
                let attempts = || {
                    let spends = (0..10).map(|_| limits.spend(&[(SIGN_IN_BROWSER, "browser")]));
                    spends.flatten().count()
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(attempts)).collect();
                let accepted = threads.into_iter().map(|thread| thread.join().unwrap());
                accepted.sum::<usize>()
            });
            assert_eq!(accepted, 10, "round {round}");
        }
    }

    /// A refused attempt counts for no subject.
    #[test]
    fn a_refused_attempt_counts_for_no_subject() {
        let limits = Limits::new(Clock::fixed(Timestamp::from_unix_seconds(0)), 5_000);
        let both = [(SIGN_IN_ADDRESS, "address"), (SIGN_IN_BROWSER, "browser")];
        for _ in 0..10 {
            assert_eq!(limits.spend(&both), Ok(()));
        }
        for _ in 0..200 {
            assert_eq!(limits.spend(&both), Err(RetryAfter(3_601)));
        }
        for _ in 0..90 {
            assert_eq!(limits.spend(&both[..1]), Ok(()));
        }
        assert_eq!(limits.spend(&both[..1]), Err(RetryAfter(901)));
    }
}
