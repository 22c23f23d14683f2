//! When devices polled last: in memory at once, in the database in batches.
//!
//! The later of the two counts. What a crash forgets is at most a second of polls, which costs
//! nothing but that a device may poll once too early.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::DeviceAuthorizationId;

/// How many devices are remembered.
const DEVICES_MAX: u64 = 200_000;

/// The last polls of devices.
#[derive(Debug)]
pub struct Polls {
    last: moka::sync::Cache<DeviceAuthorizationId, Timestamp>,
    unwritten: Mutex<HashMap<DeviceAuthorizationId, Timestamp>>,
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

    /// What is to be written now.
    #[must_use]
    pub fn take_unwritten(&self) -> Vec<(DeviceAuthorizationId, Timestamp)> {
        self.unwritten().drain().collect()
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
