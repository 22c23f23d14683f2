//! The order in which idle connections are evicted.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use tokio_util::sync::CancellationToken;

/// The eviction order: by rank, then by age.
pub(super) type IdleKey = (EvictionRank, u64);

/// Eviction rank; the smallest is evicted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EvictionRank {
    /// Between two requests: the client can reconnect.
    KeptAlive,
    /// No byte received yet.
    Silent,
    /// Partial head.
    Head,
    /// Partial body.
    Body,
}

/// The idle connections in the order of eviction, and the connections of each network.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Sequence number of the next entry, for the order by age.
    next: u64,
    pub(super) idle: BTreeMap<IdleKey, Connection>,
    pub(super) networks: HashMap<IpAddr, Network>,
}

/// A connection, as the index knows it.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    /// The network; `None` for a trusted proxy.
    pub(super) network: Option<IpAddr>,
    /// Cancelled by the eviction.
    pub(super) close: CancellationToken,
}

/// The connections of a network.
#[derive(Debug, Default)]
pub(super) struct Network {
    open: usize,
    idle: BTreeSet<IdleKey>,
}

impl Index {
    /// Counts a new connection of a network.
    pub(super) fn open(&mut self, network: IpAddr) {
        self.networks.entry(network).or_default().open += 1;
    }

    /// Returns the number of open connections of a network.
    pub(super) fn count(&self, network: IpAddr) -> usize {
        self.networks.get(&network).map_or(0, |of| of.open)
    }

    /// Removes a connection from the count of the network, and the network after the last connection.
    pub(super) fn close(&mut self, network: IpAddr) {
        if let Entry::Occupied(mut of) = self.networks.entry(network) {
            of.get_mut().open -= 1;
            if of.get().open == 0 {
                of.remove();
            }
        }
    }

    /// Adds an idle connection.
    pub(super) fn insert(&mut self, rank: EvictionRank, idle: Connection) -> IdleKey {
        let key = (rank, self.next);
        self.next += 1;
        if let Some(network) = idle.network.and_then(|at| self.networks.get_mut(&at)) {
            network.idle.insert(key);
        }
        self.idle.insert(key, idle);
        key
    }

    /// Removes an entry; `None` if the connection was evicted.
    pub(super) fn remove(&mut self, key: IdleKey) -> Option<Connection> {
        let idle = self.idle.remove(&key)?;
        if let Some(network) = idle.network.and_then(|at| self.networks.get_mut(&at)) {
            network.idle.remove(&key);
        }
        Some(idle)
    }

    /// Evicts the first idle connection, of a network or of all; false if there is no idle connection.
    pub(super) fn evict_first(&mut self, of: Option<IpAddr>) -> bool {
        let first = match of {
            Some(at) => self
                .networks
                .get(&at)
                .and_then(|at| at.idle.first().copied()),
            None => self.idle.first_key_value().map(|(key, _)| *key),
        };
        let closed = first.and_then(|key| self.remove(key));
        closed.inspect(|idle| idle.close.cancel()).is_some()
    }
}
