//! How often somebody may fail: counts of failures per account, client and address, in memory.
//!
//! Only failures count, so that ten thousand devices behind one address poll in peace while one
//! guesser does not. What a restart forgets is harmless. Memory is bounded: the counts that were
//! not touched longest go first.

pub mod budget;

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use time::Duration;

use crate::clock::{Clock, Timestamp};

/// How many counts are kept.
const COUNTS_MAX: u64 = 100_000;

/// A rule: so many failures in so much time.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What it is about; the first part of every key.
    pub name: &'static str,
    /// How many failures, at the default `RATE_LIMIT`.
    pub failures: u64,
    /// In how much time.
    pub period: Duration,
}

/// Wrong passwords of one account from one address.
pub const SIGN_IN_ACCOUNT: Rule = Rule {
    name: "sign-in-account",
    failures: 10,
    period: Duration::minutes(15),
};
/// Wrong passwords from one address.
pub const SIGN_IN_ADDRESS: Rule = Rule {
    name: "sign-in-address",
    failures: 100,
    period: Duration::minutes(15),
};
/// Wrong secrets of one client from one address (RFC 6749 §2.3.1).
pub const CLIENT_SECRET: Rule = Rule {
    name: "client-secret",
    failures: 30,
    period: Duration::minutes(5),
};
/// Wrong secrets of any client from one address.
pub const CLIENT_SECRET_ADDRESS: Rule = Rule {
    name: "client-secret-address",
    failures: 100,
    period: Duration::minutes(5),
};
/// Wrong secrets of one access key.
pub const ACCESS_KEY: Rule = Rule {
    name: "access-key",
    failures: 30,
    period: Duration::minutes(5),
};
/// Wrong verifiers of one authorization code.
pub const CODE_VERIFIER: Rule = Rule {
    name: "code-verifier",
    failures: 30,
    period: Duration::minutes(10),
};
/// Wrong user codes of one account (RFC 8628 §5.1).
pub const USER_CODE_ACCOUNT: Rule = Rule {
    name: "user-code-account",
    failures: 5,
    period: Duration::minutes(10),
};
/// Wrong user codes from one address.
pub const USER_CODE_ADDRESS: Rule = Rule {
    name: "user-code-address",
    failures: 50,
    period: Duration::minutes(10),
};
/// Authorization requests of people who are not signed in, each of which is kept for a while.
pub const PENDING_REQUESTS: Rule = Rule {
    name: "pending-requests",
    failures: 300,
    period: Duration::minutes(10),
};
/// Authorization requests of one account, each of which is kept for a while.
pub const REQUESTS: Rule = Rule {
    name: "requests",
    failures: 300,
    period: Duration::minutes(10),
};
/// Metadata documents of clients that were asked for on behalf of one account.
pub const DOCUMENTS_ACCOUNT: Rule = Rule {
    name: "documents-account",
    failures: 60,
    period: Duration::minutes(10),
};
/// Metadata documents of clients that were asked for from one address.
pub const DOCUMENTS_ADDRESS: Rule = Rule {
    name: "documents-address",
    failures: 300,
    period: Duration::minutes(10),
};
/// Fetches of the keys of one client, which come of signatures that its known keys did not make.
pub const KEYS_CLIENT: Rule = Rule {
    name: "keys-client",
    failures: 20,
    period: Duration::minutes(10),
};
/// Device authorizations started by one client.
pub const DEVICE_STARTS_CLIENT: Rule = Rule {
    name: "device-starts-client",
    failures: 50_000,
    period: Duration::minutes(10),
};
/// Device authorizations started from one address.
pub const DEVICE_STARTS: Rule = Rule {
    name: "device-starts",
    failures: 2_000,
    period: Duration::minutes(10),
};

/// Clients registered from one address, each of which is kept for a day at least.
pub const REGISTRATIONS: Rule = Rule {
    name: "registrations",
    failures: 100,
    period: Duration::hours(1),
};
/// Sign-ups from one address.
pub const SIGN_UPS: Rule = Rule {
    name: "sign-ups",
    failures: 10,
    period: Duration::hours(1),
};
/// Applications, secrets and access keys that one account made: each costs a hash and a row.
pub const MADE: Rule = Rule {
    name: "made",
    failures: 100,
    period: Duration::hours(1),
};

/// A rule and whom it is applied to.
pub type Subject<'a> = (Rule, &'a str);

/// Counts failures.
#[derive(Clone, Debug)]
pub struct Limits {
    counts: moka::sync::Cache<String, Arc<Mutex<Count>>>,
    clock: Clock,
    /// `RATE_LIMIT`, of which 5000 leaves the rules as they are.
    scale: u64,
}

/// Failures since an instant.
#[derive(Debug)]
struct Count {
    since: Timestamp,
    failures: u64,
}

/// Too many failures: seconds until the next try is heard.
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

    /// Whether a try is heard.
    ///
    /// # Errors
    /// [`Wait`] when there were too many failures of any of these.
    pub fn check(&self, who: &[Subject<'_>]) -> Result<(), Wait> {
        let now = self.clock.now();
        let waits = who.iter().filter_map(|(rule, name)| {
            let count = self.counts.get(&key(*rule, name))?;
            let count = locked(&count);
            let left = rule.period - (now - count.since);
            (count.failures >= self.allowed(*rule) && left.is_positive())
                .then(|| Wait(left.whole_seconds().unsigned_abs() + 1))
        });
        waits.max().map_or(Ok(()), Err)
    }

    /// Counts a failure.
    pub fn fail(&self, who: &[Subject<'_>]) {
        let now = self.clock.now();
        for (rule, name) in who {
            let fresh = || {
                Arc::new(Mutex::new(Count {
                    since: now,
                    failures: 0,
                }))
            };
            let count = self.counts.get_with(key(*rule, name), fresh);
            let mut count = locked(&count);
            if now - count.since >= rule.period {
                *count = Count {
                    since: now,
                    failures: 0,
                };
            }
            count.failures += 1;
        }
    }

    /// Counts something that costs us a row, as a failure counts.
    ///
    /// # Errors
    /// [`Wait`] when there were too many.
    pub fn spend(&self, who: &[Subject<'_>]) -> Result<(), Wait> {
        self.check(who)?;
        self.fail(who);
        Ok(())
    }

    /// Counts a try before it is made, so that many at once do not pass together. It is taken back
    /// when the [`Attempt`] is dropped, unless that was told that it failed.
    ///
    /// # Errors
    /// [`Wait`] when there were too many.
    pub fn attempt<'a>(&'a self, who: &'a [Subject<'a>]) -> Result<Attempt<'a>, Wait> {
        self.spend(who)?;
        Ok(Attempt {
            limits: self,
            who,
            failed: false,
        })
    }

    fn forgive(&self, who: &[Subject<'_>]) {
        for (rule, name) in who {
            if let Some(count) = self.counts.get(&key(*rule, name)) {
                let mut count = locked(&count);
                count.failures = count.failures.saturating_sub(1);
            }
        }
    }

    fn allowed(&self, rule: Rule) -> u64 {
        (rule.failures.saturating_mul(self.scale) / 5_000).max(1)
    }
}

/// A try that is being made. Only a wrong answer counts: a database that is away does not.
#[derive(Debug)]
pub struct Attempt<'a> {
    limits: &'a Limits,
    who: &'a [Subject<'a>],
    failed: bool,
}

impl Attempt<'_> {
    /// The answer was wrong: it counts.
    pub fn failed(mut self) {
        self.failed = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.failed {
            self.limits.forgive(self.who);
        }
    }
}

fn locked<T>(count: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    count
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn key(rule: Rule, who: &str) -> String {
    format!("{}\0{who}", rule.name)
}

/// An address as limits see it: all of an IPv6 /64 is one.
#[must_use]
pub fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}
