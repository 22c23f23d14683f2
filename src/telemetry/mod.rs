//! Logs, and the trace id that ties an answer to its lines in the log.

pub mod metrics;
pub mod prometheus;

use std::future::Future;
use std::io::IsTerminal as _;

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;
use tracing_subscriber::EnvFilter;

use crate::app::Shared;
use crate::clock::Stopwatch;
use crate::config::{Config, LogFormat};
use crate::secret::hex;

tokio::task_local! {
    static TRACE_ID: String;
}

/// The trace id of the request that is being answered: 32 hex digits, or `unknown` outside one.
#[must_use]
pub fn trace_id() -> String {
    TRACE_ID
        .try_with(Clone::clone)
        .unwrap_or_else(|_| "unknown".to_owned())
}

/// Begins to log on stderr as the settings say.
pub fn start(config: &Config) {
    let level = config.log_level.0;
    let filter = EnvFilter::new(format!("warn,storyden_auth={level}"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let logs = logs.with_ansi(std::io::stderr().is_terminal());
    // A second start, as in tests, changes nothing.
    let _ = match config.log_format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
}

/// The layer that gives every request a span and a trace id: the caller's (W3C Trace Context), or
/// a fresh one. Queries are never logged: they carry `state`, codes and worse.
pub async fn trace(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let theirs = request.headers().get("traceparent").and_then(trace_id_of);
    let trace_id = theirs.unwrap_or_else(|| hex(&app.random.bytes::<16>()));
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unknown", MatchedPath::as_str);
    let method = request.method().clone();
    let span = tracing::info_span!("request", %method, route, trace_id);
    let stopwatch = Stopwatch::start();
    let answer = async {
        let response = next.run(request).await;
        tracing::debug!(status = response.status().as_u16(), "answered");
        response
    };
    let response = within(trace_id, answer.instrument(span)).await;
    metrics::answered(&method, route, response.status(), stopwatch.seconds());
    response
}

/// Runs a future under a trace id.
async fn within<T>(trace_id: String, future: impl Future<Output = T>) -> T {
    TRACE_ID.scope(trace_id, future).await
}

/// The trace id of a `traceparent` header: `00-<32 hex>-<16 hex>-<2 hex>`, not all zeros.
fn trace_id_of(header: &HeaderValue) -> Option<String> {
    let id = header.to_str().ok()?.split('-').nth(1)?;
    let fits = id.len() == 32
        && id
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        && id.bytes().any(|byte| byte != b'0');
    fits.then(|| id.to_owned())
}
