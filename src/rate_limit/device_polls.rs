//! Last polls of devices: kept in memory, written to the database in batches.
//!
//! If memory and database differ, the later time and the longer interval count. No poll waits for the
//! database writer. The price: after a crash, up to a second of polls is lost, and a device may poll
//! once too early.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::bounded_map::{BoundedMap, Bounds, Eviction, Expiry};
use crate::clock::Timestamp;
use crate::ids::DeviceAuthorizationId;
use crate::store::device_authorizations::{self, DevicePoll};
use crate::store::{self, Db};

/// Limit of remembered devices.
const DEVICES_MAX: u64 = 200_000;

/// Polls written in one transaction.
const BATCH_SIZE: usize = 200;

/// The last poll of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll {
    /// The time of the last poll that counts.
    pub at: Timestamp,
    /// Minimum seconds until the next poll.
    pub interval_seconds: i64,
}

/// The last polls of devices.
#[derive(Debug)]
pub struct Polls {
    last: BoundedMap<Poll>,
    dirty: Mutex<HashMap<DeviceAuthorizationId, Poll>>,
    /// Held during a write, so that [`Polls::write`] also waits for a write in progress.
    writing: tokio::sync::Mutex<()>,
}

impl Polls {
    /// Creates an empty record.
    #[must_use]
    pub fn new() -> Self {
        let last = BoundedMap::new(Bounds {
            weight: DEVICES_MAX,
            expiry: Expiry::Age(Duration::from_mins(10)),
            eviction: Eviction::LeastFrequent,
        });
        Self {
            last,
            dirty: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Returns the last poll of a device at this process.
    #[must_use]
    pub fn last(&self, device: &DeviceAuthorizationId) -> Option<Poll> {
        self.last.get(device.as_str()).map(|poll| *poll)
    }

    /// Records a poll.
    pub fn record(&self, device: &DeviceAuthorizationId, poll: Poll) {
        self.last.insert(device.as_str(), poll);
        self.dirty().insert(device.clone(), poll);
    }

    /// Writes the polls that the database does not have yet. A failed batch stays in memory only; the device's next poll
    /// is written again.
    ///
    /// # Errors
    /// The error of the last failed batch.
    pub async fn write(&self, db: &Db) -> store::Result<()> {
        let _writing = self.writing.lock().await;
        let polls = std::mem::take(&mut *self.dirty()).into_iter();
        let mut polls: Vec<_> = polls
            .map(|(device, poll)| DevicePoll {
                device,
                at: poll.at,
                interval_seconds: poll.interval_seconds,
            })
            .collect();
        let mut outcome = Ok(());
        polls.sort_unstable_by(|one, other| one.device.cmp(&other.device));
        for chunk in polls.chunks(BATCH_SIZE) {
            let written = db.write(chunk.to_vec(), |tx, polls| {
                Box::pin(device_authorizations::record_polls(tx, polls))
            });
            if let Err(error) = written.await {
                outcome = Err(error);
            }
        }
        outcome
    }

    fn dirty(&self) -> std::sync::MutexGuard<'_, HashMap<DeviceAuthorizationId, Poll>> {
        self.dirty
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Default for Polls {
    fn default() -> Self {
        Self::new()
    }
}
