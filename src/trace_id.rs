//! The trace id of the request in progress, which connects a response with its lines in the log and in
//! the audit trail.

use std::future::Future;

tokio::task_local! {
    static TRACE_ID: String;
}

/// Returns the trace id of the request in progress: 32 hex digits, or `unknown` outside a request.
#[must_use]
pub fn trace_id() -> String {
    TRACE_ID
        .try_with(Clone::clone)
        .unwrap_or_else(|_| "unknown".to_owned())
}

/// Runs a future under a trace id.
pub async fn with_trace_id<T>(trace_id: String, future: impl Future<Output = T>) -> T {
    TRACE_ID.scope(trace_id, future).await
}
