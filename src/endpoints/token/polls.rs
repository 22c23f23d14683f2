//! When devices polled last: in memory at once, in the database in batches.
//!
//! The later of the two counts. What a crash forgets is at most a second of polls, which costs
//! nothing but that a device may poll once too early.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::DeviceAuthorizationId;
use crate::store::{Db, device_authorizations};

/// How many devices are remembered.
const DEVICES_MAX: u64 = 200_000;

/// How many poll times are written in one transaction.
const AT_ONCE: usize = 200;

/// The last polls of devices.
#[derive(Debug)]
pub struct Polls {
    last: moka::sync::Cache<DeviceAuthorizationId, Timestamp>,
    unwritten: Mutex<HashMap<DeviceAuthorizationId, Timestamp>>,
    /// Held while poll times are written, so that [`Polls::write`] returns after a write in progress.
    writing: tokio::sync::Mutex<()>,
}

impl Polls {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let last = moka::sync::Cache::builder()
            .max_capacity(DEVICES_MAX)
            .time_to_live(Duration::from_mins(10))
            .build();
        Self {
            last,
            unwritten: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// When a device polled last, as far as this process knows.
    #[must_use]
    pub fn last(&self, device: &DeviceAuthorizationId) -> Option<Timestamp> {
        self.last.get(device)
    }

    /// Notes a poll.
    pub fn record(&self, device: &DeviceAuthorizationId, now: Timestamp) {
        self.last.insert(device.clone(), now);
        self.unwritten().insert(device.clone(), now);
    }

    /// Writes the poll times that are not in the database yet. A failure is logged: the times stay in
    /// memory, and the next poll of the device is written.
    pub async fn write(&self, db: &Db) {
        let _writing = self.writing.lock().await;
        let mut polls: Vec<_> = self.unwritten().drain().collect();
        polls.sort_unstable();
        for chunk in polls.chunks(AT_ONCE) {
            let written = db.write(chunk.to_vec(), |tx, polls| {
                Box::pin(device_authorizations::record_polls(tx, polls))
            });
            if let Err(error) = written.await {
                tracing::warn!(%error, "poll times were not written");
            }
        }
    }

    fn unwritten(&self) -> std::sync::MutexGuard<'_, HashMap<DeviceAuthorizationId, Timestamp>> {
        self.unwritten
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Default for Polls {
    fn default() -> Self {
        Self::new()
    }
}
