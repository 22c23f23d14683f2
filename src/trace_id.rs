//! The trace id of the request in progress, which connects a response with its lines in the log, in the audit trail
//! and in a trace, and the timed steps of a traced request.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::clock::machine_time;
use crate::random::Random;
use crate::secret::hex_digits;

/// Maximum number of steps that are kept of a request.
const STEPS_MAX: usize = 64;

/// A trace id: 32 hex digits.
#[derive(Clone, Copy, Debug)]
pub struct TraceId([u8; 32]);

/// A step of a request, such as a read of the database.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The kind of work.
    pub name: &'static str,
    /// The beginning.
    pub start: SystemTime,
    /// The end.
    pub end: SystemTime,
}

/// The steps of a traced request. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Steps(Arc<Mutex<Vec<Step>>>);

impl Steps {
    /// Takes the steps that ended.
    #[must_use]
    pub fn take(&self) -> Vec<Step> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, step: Step) {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if steps.len() < STEPS_MAX {
            steps.push(step);
        }
    }
}

struct Current {
    id: TraceId,
    /// `None`: the request is not traced.
    steps: Option<Steps>,
}

tokio::task_local! {
    static CURRENT: Current;
}

impl TraceId {
    /// Generates a trace id.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(hex_digits(random.bytes::<16>()))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default() // hex digits are ASCII
    }
}

/// Returns the trace id of the request in progress: 32 hex digits, or `unknown` outside a request.
#[must_use]
pub fn trace_id() -> String {
    CURRENT
        .try_with(|current| current.id.as_str().to_owned())
        .unwrap_or_else(|_| "unknown".to_owned())
}

/// Runs a future under a trace id. With `steps`, the request is traced.
pub async fn with_trace_id<T>(
    id: TraceId,
    steps: Option<Steps>,
    future: impl Future<Output = T>,
) -> T {
    CURRENT.scope(Current { id, steps }, future).await
}

/// A step in progress, which ends with the drop.
#[derive(Debug)]
#[must_use = "the step ends with the drop"]
pub struct StepGuard(Option<(Steps, &'static str, SystemTime)>);

/// Begins a step of the request in progress. Without effect unless the request is traced.
pub fn step(name: &'static str) -> StepGuard {
    let steps = CURRENT.try_with(|current| current.steps.clone());
    StepGuard(
        steps
            .ok()
            .flatten()
            .map(|steps| (steps, name, machine_time())),
    )
}

impl Drop for StepGuard {
    fn drop(&mut self) {
        if let Some((steps, name, start)) = self.0.take() {
            let end = machine_time();
            steps.push(Step { name, start, end });
        }
    }
}
