//! Connection slots: a limit on all connections, a limit per network, and eviction of idle connections.
//!
//! An open connection costs memory and a file descriptor, so an address with many idle connections
//! would lock out all others (A-72, Slowloris). Idle connections are evicted in this order, longest
//! idle first: keep-alive, no byte received, partial head, partial body. A completely received request
//! is never evicted.

mod eviction;
mod slot;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use eviction::{Connection, EvictionRank, Index};
pub(crate) use slot::{BodyLength, ConnectionSlot, Phase};

/// Maximum number of connections, if the file descriptor limit allows.
const CONNECTIONS_MAX: u64 = 10_000;
/// File descriptors reserved for the database and other uses.
const FILES_RESERVED: u64 = 128;

/// Limits on open connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Limit on all connections.
    pub total: usize,
    /// Limit per IPv4 address or IPv6 /64, except `TRUSTED_PROXIES`.
    pub per_network: usize,
}

impl ConnectionLimits {
    /// Limits derived from the file descriptor limit of the process, which is raised first. A network
    /// gets a tenth of all connections.
    #[must_use]
    pub fn of_process() -> Self {
        let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
        let total = files
            .saturating_sub(FILES_RESERVED)
            .clamp(64, CONNECTIONS_MAX);
        let total = usize::try_from(total).unwrap_or(64);
        Self {
            total,
            per_network: (total / 10).max(32),
        }
    }
}

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRefused {
    /// The network is at the limit, and has no idle connection.
    Share,
    /// The server is at the limit, and has no idle connection.
    Full,
}

/// Connection statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Open connections.
    pub open: usize,
    /// Idle connections, which can be evicted.
    pub idle: usize,
    /// Connections refused with [`ConnectionRefused::Share`] since the start.
    pub refused_by_network: u64,
    /// Connections refused with [`ConnectionRefused::Full`] since the start.
    pub refused_when_full: u64,
    /// Idle connections evicted since the start.
    pub evicted_idle: u64,
}

/// The connection slots of a server.
#[derive(Debug)]
pub struct ConnectionSlots {
    limits: ConnectionLimits,
    free: Arc<Semaphore>,
    index: Mutex<Index>,
    refused_by_network: AtomicU64,
    refused_when_full: AtomicU64,
    evicted_idle: AtomicU64,
}

impl ConnectionSlots {
    /// Creates empty slots.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            free: Arc::new(Semaphore::new(limits.total)),
            index: Mutex::default(),
            refused_by_network: AtomicU64::new(0),
            refused_when_full: AtomicU64::new(0),
            evicted_idle: AtomicU64::new(0),
        }
    }

    /// Returns the connection statistics.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            open: self.limits.total - self.free.available_permits(),
            idle: self.index().idle.len(),
            refused_by_network: self.refused_by_network.load(Ordering::Relaxed),
            refused_when_full: self.refused_when_full.load(Ordering::Relaxed),
            evicted_idle: self.evicted_idle.load(Ordering::Relaxed),
        }
    }

    /// Takes a slot for a new connection, and evicts an idle connection if necessary. `address` is the
    /// peer; `None` for a trusted proxy, which has no limit per network. Called by the accept loop
    /// only.
    ///
    /// # Errors
    /// [`ConnectionRefused`] if no idle connection can be evicted.
    pub(crate) async fn take(
        self: &Arc<Self>,
        address: Option<IpAddr>,
    ) -> Result<Arc<ConnectionSlot>, ConnectionRefused> {
        let network = address.map(network_of);
        let permit = if self.evict_if_full(network)? {
            // The task of the evicted connection releases the permit soon.
            Arc::clone(&self.free).acquire_owned().await
        } else {
            Ok(Arc::clone(&self.free)
                .try_acquire_owned()
                .map_err(|_| ConnectionRefused::Full)?)
        };
        let permit = permit.map_err(|_| ConnectionRefused::Full)?; // the semaphore is never closed
        let connection = Connection {
            network,
            close: CancellationToken::new(),
        };
        let mut index = self.index();
        if let Some(network) = network {
            index.open(network);
        }
        let key = index.insert(EvictionRank::Silent, connection.clone());
        drop(index);
        let slot = ConnectionSlot::new(Arc::clone(self), connection, key, permit);
        Ok(Arc::new(slot))
    }

    /// Evicts an idle connection if a limit is reached. True after an eviction.
    fn evict_if_full(&self, network: Option<IpAddr>) -> Result<bool, ConnectionRefused> {
        let mut index = self.index();
        let is_at_limit = |network| index.count(network) >= self.limits.per_network;
        let (of, refused) = if network.is_some_and(is_at_limit) {
            (network, ConnectionRefused::Share)
        } else if self.free.available_permits() == 0 {
            (None, ConnectionRefused::Full)
        } else {
            return Ok(false);
        };
        let (counter, outcome) = match (index.evict_first(of), refused) {
            (true, _) => (&self.evicted_idle, Ok(true)),
            (false, ConnectionRefused::Share) => (&self.refused_by_network, Err(refused)),
            (false, ConnectionRefused::Full) => (&self.refused_when_full, Err(refused)),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        outcome
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The network of an address: the IPv4 address, or the IPv6 /64.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(total: usize, per_network: usize) -> Arc<ConnectionSlots> {
        Arc::new(ConnectionSlots::new(ConnectionLimits {
            total,
            per_network,
        }))
    }

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn is_closed(place: &ConnectionSlot) -> bool {
        place.connection.close.is_cancelled()
    }

    /// the order of eviction, until no idle connection is left.
    #[tokio::test]
    async fn idle_connections_are_evicted_by_rank() {
        let places = places(5, 5);
        let body = places.take(Some(at("192.0.2.7"))).await.unwrap();
        assert!(body.begin_head() && body.begin_answer(BodyLength::Chunked));
        let head = places.take(Some(at("192.0.2.1"))).await.unwrap();
        assert!(head.begin_head());
        let silent = places.take(Some(at("192.0.2.2"))).await.unwrap();
        let kept = places.take(Some(at("192.0.2.3"))).await.unwrap();
        assert!(kept.begin_head() && kept.begin_answer(BodyLength::Known(0)));
        kept.answered();
        let busy = places.take(Some(at("192.0.2.4"))).await.unwrap();
        assert!(busy.begin_head() && busy.begin_answer(BodyLength::Known(1)));
        busy.received();
        kept.sent();
        let mut answering = vec![busy];
        for gives_way in [kept, silent, head, body] {
            assert!(!is_closed(&gives_way));
            let newcomer = tokio::spawn({
                let places = Arc::clone(&places);
                async move { places.take(Some(at("192.0.2.5"))).await }
            });
            gives_way.closed().await;
            assert!(!gives_way.begin_answer(BodyLength::Known(0)));
            drop(gives_way);
            let newcomer = newcomer.await.unwrap().unwrap();
            assert!(newcomer.begin_answer(BodyLength::Known(0)));
            answering.push(newcomer);
        }
        let refused = places.take(Some(at("192.0.2.6"))).await;
        assert_eq!(refused.err(), Some(ConnectionRefused::Full));
        assert!(!answering.iter().any(|place| is_closed(place)));
        let load = places.load();
        assert_eq!((load.open, load.evicted_idle), (5, 4));
        assert_eq!((load.refused_when_full, load.refused_by_network), (1, 0));
    }

    /// an IPv6 /64 is a single network; the counts of a network are removed with the last
    /// connection.
    #[tokio::test]
    async fn ipv6_64_shares_the_network_limit() {
        let places = places(100, 2);
        let busy = async |text: &str| {
            let place = places.take(Some(at(text))).await?;
            assert!(place.begin_answer(BodyLength::Known(0)));
            Ok::<_, ConnectionRefused>(place)
        };
        let first = busy("2001:db8::1").await.unwrap();
        let second = busy("2001:db8::2").await.unwrap();
        assert_eq!(
            busy("2001:db8::3").await.err(),
            Some(ConnectionRefused::Share)
        );
        let elsewhere = busy("2001:db8:0:1::1").await.unwrap();
        let mapped = busy("::ffff:192.0.2.1").await.unwrap();
        let plain = busy("192.0.2.1").await.unwrap();
        assert_eq!(
            busy("192.0.2.1").await.err(),
            Some(ConnectionRefused::Share)
        );
        drop(first);
        let third = busy("2001:db8::3").await.unwrap();
        drop((second, third, elsewhere, mapped, plain));
        let index = places.index();
        assert!(index.networks.is_empty() && index.idle.is_empty());
        drop(index);
        assert_eq!(places.load().open, 0);
    }
}
