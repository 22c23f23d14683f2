//! The slot of a connection, and the phases of the connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use super::ConnectionSlots;
use super::eviction::{Connection, EvictionRank, IdleKey};

/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between requests.
    Idle,
    /// Reading the head of a request.
    Reading,
    /// Processing by a handler; the read timeout does not apply.
    Answering,
    /// Sending the response.
    Sending,
}

/// The parsed length of a request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// A number of bytes; 0 without a body.
    Known(u64),
    /// Chunked transfer coding.
    Chunked,
}

/// The slot of a connection, released on drop.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    places: Arc<ConnectionSlots>,
    pub(super) connection: Connection,
    state: Mutex<State>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// The entry in the index while the connection is idle.
    key: Option<IdleKey>,
    /// The body length of the last parsed request, until taken by the stream.
    body: Option<BodyLength>,
}

impl ConnectionSlot {
    /// Makes the slot of an idle connection, which is in the index under `key`.
    pub(super) fn new(
        places: Arc<ConnectionSlots>,
        connection: Connection,
        key: IdleKey,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let state = State {
            phase: Phase::Idle,
            key: Some(key),
            body: None,
        };
        Self {
            places,
            connection,
            state: Mutex::new(state),
            _permit: permit,
        }
    }

    /// Waits until the connection is evicted.
    pub(crate) async fn closed(&self) {
        self.connection.close.cancelled().await;
    }

    /// Returns the phase of the connection.
    pub(crate) fn phase(&self) -> Phase {
        self.state().phase
    }

    /// Records the start of a head. False if the connection was evicted: do not read.
    pub(crate) fn begin_head(&self) -> bool {
        self.enter(Phase::Reading, Some(EvictionRank::Head))
    }

    /// Records a parsed request. False if the connection was evicted: do not run the handler.
    pub(crate) fn begin_answer(&self, body: BodyLength) -> bool {
        self.state().body = Some(body);
        let rank = (body != BodyLength::Known(0)).then_some(EvictionRank::Body);
        self.enter(Phase::Answering, rank)
    }

    /// Records the end of the body.
    pub(crate) fn received(&self) {
        if self.phase() == Phase::Answering {
            self.enter(Phase::Answering, None);
        }
    }

    /// Records the response of the handler. The connection is not idle until the response is sent.
    pub(crate) fn answered(&self) {
        self.enter(Phase::Sending, None);
    }

    /// Records that all bytes were sent.
    pub(crate) fn sent(&self) {
        if self.phase() == Phase::Sending {
            self.enter(Phase::Idle, Some(EvictionRank::KeptAlive));
        }
    }

    /// Takes the body length of the last parsed request.
    pub(crate) fn take_body(&self) -> Option<BodyLength> {
        self.state().body.take()
    }

    fn enter(&self, phase: Phase, rank: Option<EvictionRank>) -> bool {
        let mut state = self.state();
        let mut index = self.places.index();
        if let Some(key) = state.key.take()
            && index.remove(key).is_none()
        {
            return false;
        }
        state.phase = phase;
        state.key = rank.map(|rank| index.insert(rank, self.connection.clone()));
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let key = self.state().key;
        let mut index = self.places.index();
        if let Some(key) = key {
            index.remove(key);
        }
        if let Some(network) = self.connection.network {
            index.close(network);
        }
    }
}
