//! Timeouts towards peers.

use std::time::Duration;

/// Timeouts of connections.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the head of a request, after the first byte.
    pub head: Duration,
    /// For the body of a request.
    pub body: Duration,
    /// Between requests, and for a peer that stops reading a response.
    pub idle: Duration,
    /// For an outgoing request, from the name lookup to the last byte of the response; twice as long in
    /// the profile `storyden` (storyden-contract.md#fetching-a-document).
    pub fetch: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(5),
            body: Duration::from_secs(10),
            idle: Duration::from_mins(1),
            fetch: Duration::from_secs(5),
        }
    }
}
