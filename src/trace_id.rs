//! The trace id of the request in progress, which connects a response with its lines in the log and in
//! the audit trail.

use std::future::Future;

use crate::random::Random;
use crate::secret::hex_digits;

/// A trace id: 32 hex digits.
#[derive(Clone, Copy, Debug)]
pub struct TraceId([u8; 32]);

tokio::task_local! {
    static TRACE_ID: TraceId;
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
    TRACE_ID
        .try_with(|id| id.as_str().to_owned())
        .unwrap_or_else(|_| "unknown".to_owned())
}

/// Runs a future under a trace id.
pub async fn with_trace_id<T>(trace_id: TraceId, future: impl Future<Output = T>) -> T {
    TRACE_ID.scope(trace_id, future).await
}
