//! Rate limit per address in a sliding window: `RATE_LIMIT`, `RATE_LIMIT_PERIOD`, `RATE_LIMIT_BUCKET`
//! (storyden-contract.md#headers-and-limits).
//!
//! Counts are in memory, by address (IPv6 by /64), in buckets of a minute. Each replica counts
//! separately, and a restart resets the counts. Memory is bounded: the least recently used addresses
//! are evicted first.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Mutex;

use time::Duration;

use super::{locked, network_of};
use crate::bounded_map::{BoundedMap, Bounds, Eviction, Expiry};
use crate::clock::{Clock, Timestamp};

/// Maximum number of addresses in memory.
const ADDRESSES_MAX: u64 = 50_000;

/// The parameters of the rate limit.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Units per address and period.
    pub units: u64,
    /// Length of the sliding window.
    pub period: Duration,
    /// Width of a bucket.
    pub bucket: Duration,
}

/// Used units by address.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    spent: BoundedMap<Mutex<UsedUnits>>,
    clock: Clock,
    size: Size,
}

/// Used units by bucket, oldest first.
#[derive(Debug, Default)]
struct UsedUnits {
    buckets: VecDeque<(i64, u64)>,
}

/// The state of an address after a request, for the rate-limit headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitState {
    /// Units per period.
    pub limit: u64,
    /// Unused units.
    pub remaining: u64,
    /// Time at which all units are available again without further requests.
    pub reset: Timestamp,
    /// True if the request was within the limit.
    pub within: bool,
    /// Seconds until this request would be within the limit; 0 for a request within the limit.
    pub wait: u64,
}

impl RateLimiter {
    /// Creates an empty rate limit.
    #[must_use]
    pub fn new(clock: Clock, size: Size) -> Self {
        let spent = BoundedMap::new(Bounds {
            weight: ADDRESSES_MAX,
            expiry: Expiry::Idle(std::time::Duration::from_hours(2)),
            eviction: Eviction::LeastRecent,
        });
        Self { spent, clock, size }
    }

    /// Uses units of an address if enough are left.
    #[must_use]
    pub fn spend(&self, address: IpAddr, units: u64) -> RateLimitState {
        let now = self.clock.now();
        let width = self.size.bucket.whole_seconds().max(1);
        let kept = (self.size.period.whole_seconds() / width).max(1);
        let bucket = now.unix_seconds().div_euclid(width);
        let spent = self
            .spent
            .get_or_insert_with(network_of(address), Mutex::default);
        let mut spent = locked(&spent);
        let over = |(at, _): &(i64, u64)| *at <= bucket - kept;
        while spent.buckets.front().is_some_and(over) {
            spent.buckets.pop_front();
        }
        let total: u64 = spent.buckets.iter().map(|(_, units)| units).sum();
        let within = total + units <= self.size.units;
        if within && units > 0 {
            match spent.buckets.back_mut() {
                Some((at, counted)) if *at >= bucket => *counted += units,
                _ => spent.buckets.push_back((bucket, units)),
            }
        }
        let total = if within { total + units } else { total };
        let wait = if within {
            0
        } else {
            // the first bucket that frees enough units on leaving the window
            let mut left = total;
            let end = spent.buckets.iter().find_map(|(at, counted)| {
                left -= counted;
                (left + units <= self.size.units).then_some(at + kept)
            });
            let end = end.unwrap_or(bucket + kept) * width;
            (end - now.unix_seconds()).max(1).unsigned_abs()
        };
        RateLimitState {
            limit: self.size.units,
            remaining: if within { self.size.units - total } else { 0 },
            reset: now + self.size.period,
            within,
            wait,
        }
    }
}
