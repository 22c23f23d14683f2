//! Metrics: counters, gauges and histograms, served by [`crate::http::prometheus`].
//!
//! Labels are routes, grants and error codes (low cardinality), never ids or secrets.

use axum::http::{Method, StatusCode};
use metrics::{counter, describe_counter, describe_gauge, gauge, histogram};

use crate::store::cleanup::{Backlog, Pass, Progress};

/// Counts a response, and records the duration in seconds.
pub fn answered(method: &Method, route: &str, status: StatusCode, seconds: f64) {
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        _ => "other", // bounds the label cardinality
    };
    let (route, status) = (route.to_owned(), status.as_str().to_owned());
    counter!("http_requests_total", "method" => method, "route" => route.clone(), "status" => status)
        .increment(1);
    histogram!("http_request_duration_seconds", "method" => method, "route" => route)
        .record(seconds);
}

/// Counts a token request by grant type and outcome: `ok`, or the error code.
pub fn token_request(grant: &'static str, outcome: &'static str) {
    counter!("oauth_token_requests_total", "grant" => grant, "outcome" => outcome).increment(1);
}

/// Records the time that a request waited for a signing slot, in seconds.
pub fn signing_wait(seconds: f64) {
    histogram!("oauth_signing_wait_seconds").record(seconds);
}

/// Counts a request rejected by the signing queue: `full`, or `deadline`.
pub fn signing_refused(reason: &'static str) {
    counter!("oauth_signing_refused_total", "reason" => reason).increment(1);
}

/// Counts the deleted rows and the failed steps of a clean-up pass.
pub fn cleaned_up(pass: &Pass) {
    for (step, rows) in &pass.deleted {
        counter!("cleanup_rows_deleted_total", "step" => *step).increment(*rows);
    }
    for step in &pass.failed {
        counter!("cleanup_failures_total", "step" => *step).increment(1);
    }
}

/// Sets the backlog of each step of the clean-up, and the time of the last completion.
pub fn cleanup_backlog(backlog: &[Backlog], progress: &[Progress]) {
    for Backlog { step, rows } in backlog {
        let rows = u32::try_from(*rows).map_or(f64::MAX, f64::from);
        gauge!("cleanup_backlog_rows", "step" => *step).set(rows);
        let known = progress.iter().find(|known| known.name == *step);
        if let Some(at) = known.and_then(|known| known.completed_at) {
            let seconds = u32::try_from(at.unix_seconds()).map_or(0.0, f64::from);
            gauge!("cleanup_last_completed_timestamp_seconds", "step" => *step).set(seconds);
        }
    }
}

/// Describes the metrics (`# HELP`).
pub fn describe() {
    describe_refusals();
    describe_gauge!(
        "oauth_signing_key_age_seconds",
        "Time since the current generated key began to sign, by algorithm."
    );
    describe_gauge!(
        "oauth_signing_key_rotation_seconds",
        "Time until the next generated key signs, by algorithm; negative if the rotation is late."
    );
    describe_gauge!(
        "cleanup_backlog_rows",
        "Rows due for deletion, by clean-up step; counted up to 10000, once a minute."
    );
    describe_gauge!(
        "cleanup_last_completed_timestamp_seconds",
        "Time at which a clean-up step last had no rows left to delete, on any replica (Unix seconds)."
    );
    describe_counter!(
        "cleanup_rows_deleted_total",
        "Rows deleted by the clean-up of this process, including dependent rows, by step."
    );
    describe_counter!(
        "cleanup_failures_total",
        "Failed clean-up steps of this process; the next pass retries them."
    );
}

/// Counts a rejected attempt by audit event.
pub fn refused(event: &'static str) {
    counter!("auth_refusals_total", "event" => event).increment(1);
}

/// Counts an attempt rejected by a rate limit, by name of the limit.
pub fn limited(limit: &'static str) {
    counter!("auth_limited_total", "limit" => limit).increment(1);
}

/// Describes the metrics of rejected attempts.
fn describe_refusals() {
    describe_counter!(
        "auth_refusals_total",
        "Rejected attempts by audit event: wrong credentials (*_failed), rate limits (*_limited), rejected registrations, sign-ups and device starts (*_refused)."
    );
    describe_counter!(
        "auth_limited_total",
        "Attempts rejected by a rate limit, by name of the limit."
    );
}
