//! Limits on failed and costly attempts, per account, client and network, counted in memory.
//!
//! Only failures count, so that 10,000 devices behind one address poll freely while a guesser
//! is stopped. An IPv6 subscriber holds a /64 at least and often a /56 or a /48, so every rule on
//! addresses counts each of these networks, with a larger budget for the wider ones.
//!
//! Each process counts for itself, and a restart starts from zero. Memory is bounded: keys are hashes
//! of one length, and beyond `COUNTS_MAX` the least recently used count is dropped.

pub mod budget;
pub mod refusals;

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};
use time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::telemetry::metrics;

/// The number of counts in memory.
const COUNTS_MAX: u64 = 100_000;

/// A limit: a number of failures in a period, at the default `RATE_LIMIT`.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The name of the rule, which keeps its counts apart from other rules' counts.
    name: &'static str,
    /// The failures that the period allows.
    failures: u64,
    period: Duration,
    /// True if failures are forgiven one by one during the period, not all at its end.
    gradual: bool,
}

impl Rule {
    /// A rule whose period begins with the first failure, and whose failures end with the period.
    const fn new(name: &'static str, failures: u64, period: Duration) -> Self {
        Self {
            name,
            failures,
            period,
            gradual: false,
        }
    }

    /// The same rule as a leaky bucket: a full bucket accepts one more failure each
    /// `period / failures`, so that it slows attempts down and never stops them for a whole period.
    const fn gradual(mut self) -> Self {
        self.gradual = true;
        self
    }

    /// The rule of a network that holds `factor` times the budget.
    const fn times(mut self, factor: u64) -> Self {
        self.failures *= factor;
        self
    }
}

/// Wrong passwords for one identifier from one address.
pub const SIGN_IN_PAIR: Rule = Rule::new("sign-in-pair", 10, Duration::minutes(15));
/// Wrong passwords for one identifier from browsers that never signed in to its account, from all
/// addresses together: then one every 30 seconds. Gradual, since strangers must not be able to lock
/// an account's owner out.
pub const SIGN_IN_IDENTIFIER: Rule =
    Rule::new("sign-in-identifier", 30, Duration::minutes(15)).gradual();
/// Wrong passwords from one address.
pub const SIGN_IN_ADDRESS: Rule = Rule::new("sign-in-address", 100, Duration::minutes(15));
/// Wrong passwords from one browser that signed in to the account before, by its session or its device
/// cookie; the failures of a device cookie are kept in the database and never forgiven. A browser
/// that spent this budget is a stranger.
pub const SIGN_IN_BROWSER: Rule = Rule::new("sign-in-browser", 10, Duration::hours(1));
/// Wrong current passwords while an account changes its password, from all addresses together.
pub const PASSWORD_CHANGE: Rule = Rule::new("password-change", 10, Duration::minutes(15));
/// Wrong secrets of one client from one address (RFC 6749 §2.3.1).
pub const CLIENT_SECRET: Rule = Rule::new("client-secret", 30, Duration::minutes(5));
/// Wrong secrets of all clients from one address.
pub const CLIENT_SECRET_ADDRESS: Rule =
    Rule::new("client-secret-address", 100, Duration::minutes(5));
/// Wrong secrets of one access key.
pub const ACCESS_KEY: Rule = Rule::new("access-key", 30, Duration::minutes(5));
/// Wrong verifiers of one authorization code.
pub const CODE_VERIFIER: Rule = Rule::new("code-verifier", 30, Duration::minutes(10));
/// Wrong user codes of one account (RFC 8628 §5.1).
pub const USER_CODE_ACCOUNT: Rule = Rule::new("user-code-account", 5, Duration::minutes(10));
/// Wrong user codes from one address.
pub const USER_CODE_ADDRESS: Rule = Rule::new("user-code-address", 50, Duration::minutes(10));
/// Authorization requests from one address without a session. Each is kept for ten minutes.
pub const PENDING_REQUESTS: Rule = Rule::new("pending-requests", 300, Duration::minutes(10));
/// Authorization requests of one account. Each is kept for ten minutes.
pub const REQUESTS: Rule = Rule::new("requests", 300, Duration::minutes(10));
/// Client metadata documents fetched on behalf of one account.
pub const DOCUMENTS_ACCOUNT: Rule = Rule::new("documents-account", 60, Duration::minutes(10));
/// Client metadata documents fetched on behalf of one address.
pub const DOCUMENTS_ADDRESS: Rule = Rule::new("documents-address", 300, Duration::minutes(10));
/// Fetches of one client's keys after a signature that the known keys did not make.
pub const KEYS_CLIENT: Rule = Rule::new("keys-client", 20, Duration::minutes(10));
/// Device authorizations started by one client.
pub const DEVICE_STARTS_CLIENT: Rule =
    Rule::new("device-starts-client", 50_000, Duration::minutes(10));
/// Device authorizations started from one address.
pub const DEVICE_STARTS: Rule = Rule::new("device-starts", 2_000, Duration::minutes(10));
/// Clients registered from one address. Each is kept for a day at least.
pub const REGISTRATIONS: Rule = Rule::new("registrations", 100, Duration::hours(1));
/// Sign-ups from one address.
pub const SIGN_UPS: Rule = Rule::new("sign-ups", 10, Duration::hours(1));
/// Applications, secrets and access keys made by one account. Each costs a hash and a row.
pub const MADE: Rule = Rule::new("made", 100, Duration::hours(1));

/// Counts failures.
#[derive(Clone, Debug)]
pub struct Limits {
    counts: moka::sync::Cache<Key, Arc<Mutex<Count>>>,
    clock: Clock,
    /// `RATE_LIMIT`; 5000 leaves the rules as they are.
    scale: u64,
}

/// SHA-256 of a rule's name and the counted name: one length, whatever a request names.
type Key = [u8; 32];

/// Failures since an instant.
#[derive(Debug)]
struct Count {
    since: Timestamp,
    failures: u64,
}

/// Too many failures: the seconds until the next attempt is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait(pub u64);

impl Limits {
    /// Counts by a clock, with every rule scaled by `RATE_LIMIT`.
    #[must_use]
    pub fn new(clock: Clock, rate_limit: u64) -> Self {
        let counts = moka::sync::Cache::builder()
            .max_capacity(COUNTS_MAX)
            .eviction_policy(moka::policy::EvictionPolicy::lru()) // a new key is never refused
            .time_to_idle(std::time::Duration::from_hours(1))
            .build();
        Self {
            counts,
            clock,
            scale: rate_limit,
        }
    }

    /// Tells whether an attempt is accepted.
    ///
    /// # Errors
    /// [`Wait`] when any of the subjects failed too often.
    pub fn check<S: AsRef<str>>(&self, subjects: &[(Rule, S)]) -> Result<(), Wait> {
        let now = self.clock.now();
        let waits = subjects.iter().filter_map(|(rule, name)| {
            let count = self.counts.get(&key(*rule, name.as_ref()))?;
            let mut count = locked(&count);
            self.forget(*rule, &mut count, now);
            let wait = self.wait(*rule, &count, now)?;
            metrics::limited(rule.name);
            Some(wait)
        });
        waits.max().map_or(Ok(()), Err)
    }

    /// Counts a failure.
    pub fn fail<S: AsRef<str>>(&self, subjects: &[(Rule, S)]) {
        let now = self.clock.now();
        for (rule, name) in subjects {
            let fresh = || {
                Arc::new(Mutex::new(Count {
                    since: now,
                    failures: 0,
                }))
            };
            let count = self.counts.get_with(key(*rule, name.as_ref()), fresh);
            let mut count = locked(&count);
            self.forget(*rule, &mut count, now);
            count.failures += 1;
        }
    }

    /// Counts an action that costs a row or a fetch, as a failure is counted.
    ///
    /// # Errors
    /// [`Wait`] when there were too many.
    pub fn spend<S: AsRef<str>>(&self, subjects: &[(Rule, S)]) -> Result<(), Wait> {
        self.check(subjects)?;
        self.fail(subjects);
        Ok(())
    }

    /// Counts an attempt before it is made, so that many at once do not pass together. Dropping the
    /// [`Attempt`] takes the count back, unless [`Attempt::failed`] was called.
    ///
    /// # Errors
    /// [`Wait`] when there were too many failures.
    pub fn attempt<S: AsRef<str>>(&self, subjects: &[(Rule, S)]) -> Result<Attempt<'_>, Wait> {
        self.spend(subjects)?;
        let keys = subjects.iter();
        let keys = keys.map(|(rule, name)| key(*rule, name.as_ref())).collect();
        Ok(Attempt {
            limits: self,
            keys,
            failed: false,
        })
    }

    fn forgive(&self, key: &Key) {
        if let Some(count) = self.counts.get(key) {
            let mut count = locked(&count);
            count.failures = count.failures.saturating_sub(1);
        }
    }

    /// Drops the failures that no longer count.
    fn forget(&self, rule: Rule, count: &mut Count, now: Timestamp) {
        let passed = now - count.since;
        if count.failures == 0 || passed >= rule.period {
            *count = Count {
                since: now,
                failures: 0,
            };
        } else if rule.gradual {
            let interval = self.interval(rule);
            let forgiven =
                passed.whole_microseconds().max(0) / interval.whole_microseconds().max(1);
            let forgiven = u64::try_from(forgiven).unwrap_or(u64::MAX);
            count.failures = count.failures.saturating_sub(forgiven);
            let steps = i32::try_from(forgiven).unwrap_or(i32::MAX);
            count.since = count.since + interval * steps;
        }
    }

    /// The time until one more failure is accepted.
    fn wait(&self, rule: Rule, count: &Count, now: Timestamp) -> Option<Wait> {
        let length = if rule.gradual {
            self.interval(rule)
        } else {
            rule.period
        };
        let left = length - (now - count.since);
        (count.failures >= self.allowed(rule) && left.is_positive())
            .then(|| Wait(left.whole_seconds().unsigned_abs() + 1))
    }

    /// The failures that a rule allows at this `RATE_LIMIT`.
    #[must_use]
    pub fn allowed(&self, rule: Rule) -> u64 {
        (rule.failures.saturating_mul(self.scale) / 5_000).max(1)
    }

    /// The time in which a gradual rule forgives one failure.
    fn interval(&self, rule: Rule) -> Duration {
        let allowed = i32::try_from(self.allowed(rule)).unwrap_or(i32::MAX);
        rule.period / allowed
    }
}

/// An attempt in progress. Only a wrong credential counts, not a database that is unavailable.
#[derive(Debug)]
pub struct Attempt<'a> {
    limits: &'a Limits,
    keys: Vec<Key>,
    failed: bool,
}

impl Attempt<'_> {
    /// Leaves the attempt counted as a failure.
    pub fn failed(mut self) {
        self.failed = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.failed {
            for key in &self.keys {
                self.limits.forgive(key);
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

/// A rule on addresses, applied to every network that holds an address: an IPv4 address and its /24
/// with 8 times the budget; an IPv6 /64, its /56 with 4 times and its /48 with 16 times the budget.
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

/// The same for a name and an address together.
#[must_use]
pub fn networks_with(rule: Rule, name: &str, address: IpAddr) -> Vec<(Rule, String)> {
    let mut subjects = networks(rule, address);
    for (_, network) in &mut subjects {
        *network = format!("{network}\0{name}");
    }
    subjects
}

/// An address as limits see it: an IPv4 address, or the /64 of an IPv6 address.
#[must_use]
pub fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => prefix(address.into(), 64),
    }
}

/// The network of one site: an IPv4 /24 or an IPv6 /48.
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
