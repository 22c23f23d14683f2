//! Counts and latencies, where they happen; `prometheus` serves them.
//!
//! Labels are routes, grants and codes, which are few; never ids, and never anything secret.

use axum::http::{Method, StatusCode};
use metrics::{counter, describe_counter, describe_gauge, gauge, histogram};

use crate::store::cleanup::{Backlog, Pass, Progress};

/// Counts an answer and how long it took, in seconds.
pub fn answered(method: &Method, route: &str, status: StatusCode, seconds: f64) {
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        _ => "other", // the names that a stranger may invent are not ours to keep
    };
    let (route, status) = (route.to_owned(), status.as_str().to_owned());
    counter!("http_requests_total", "method" => method, "route" => route.clone(), "status" => status)
        .increment(1);
    histogram!("http_request_duration_seconds", "method" => method, "route" => route)
        .record(seconds);
}

/// Counts a token request by its grant and what came of it: `ok`, or the error code.
pub fn token_request(grant: &'static str, outcome: &'static str) {
    counter!("oauth_token_requests_total", "grant" => grant, "outcome" => outcome).increment(1);
}

/// Records how long a request waited for a processor to sign on, in seconds.
pub fn waited_to_sign(seconds: f64) {
    histogram!("oauth_signing_wait_seconds").record(seconds);
}

/// Counts a request that the signing queue refused: `full`, or `deadline`.
pub fn signing_refused(reason: &'static str) {
    counter!("oauth_signing_refused_total", "reason" => reason).increment(1);
}

/// Counts the rows that a pass of the clean-up deleted, and its steps that failed.
pub fn cleaned_up(pass: &Pass) {
    for (step, rows) in &pass.deleted {
        counter!("cleanup_rows_deleted_total", "step" => *step).increment(*rows);
    }
    for step in &pass.failed {
        counter!("cleanup_failures_total", "step" => *step).increment(1);
    }
}

/// Sets the backlog of each step of the clean-up, and when each last completed.
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
        "cleanup_backlog_rows",
        "Rows that are due for deletion and still there, by step, counted up to 10000, each minute."
    );
    describe_gauge!(
        "cleanup_last_completed_timestamp_seconds",
        "When a step of the clean-up last found nothing left to delete, on any replica."
    );
    describe_counter!(
        "cleanup_rows_deleted_total",
        "Rows that the clean-up of this process deleted, side rows included, by step."
    );
    describe_counter!(
        "cleanup_failures_total",
        "Steps of the clean-up of this process that failed; the next pass tries them again."
    );
}

/// Counts a refused attempt by its event in the audit trail.
pub fn refused(event: &'static str) {
    counter!("auth_refusals_total", "event" => event).increment(1);
}

/// Counts an attempt that a limit refused, by the name of the limit.
pub fn limited(limit: &'static str) {
    counter!("auth_limited_total", "limit" => limit).increment(1);
}

/// Gives the metrics of refusals their HELP text.
fn describe_refusals() {
    describe_counter!(
        "auth_refusals_total",
        "Refused attempts by their event in the audit trail: wrong credentials (*_failed), limits (*_limited), refused registrations, sign-ups and device starts (*_refused)"
    );
    describe_counter!(
        "auth_limited_total",
        "Attempts refused by a limit on failures, by the name of the limit"
    );
}
