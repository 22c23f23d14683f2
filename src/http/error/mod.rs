//! Conversion of errors into responses, and the only place that logs internal failures.
//!
//! Two shapes: protocol endpoints answer `{"error", "error_description"}` (RFC 6749 §5.2), all other
//! endpoints `application/problem+json` (RFC 9457). Causes stay in the log, under the trace id of the
//! response.

mod error_uri;
mod oauth;
mod problem;
pub mod responses;

pub use error_uri::{add_error_uri, error_uri};
pub use oauth::OAuthErrorBody;
pub use problem::{ApiError, Kind, Problem};

/// `Retry-After` of a 503 while the database is unavailable, in seconds.
pub(crate) const UNAVAILABLE_RETRY_AFTER: u64 = 2;

/// Error text for a request with text that no database can store.
const UNSTORABLE: &str = "a value in the request contains the character U+0000 or is too long; \
                          change the value";

/// Logs the cause of a failed request: as an error if internal, as a warning if temporary.
fn log_cause(error: &(dyn std::error::Error + 'static), broke: bool) {
    let cause = error_chain(error);
    if broke {
        tracing::error!(cause, "request failed with an internal error");
    } else {
        tracing::warn!(cause, "request refused: temporarily unavailable");
    }
}

/// Joins an error and all causes in a single line, without the causes that a text already has.
fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
