//! Counts and latencies, where they happen; `prometheus` serves them.
//!
//! Labels are routes, grants and codes, which are few; never ids, and never anything secret.

use axum::http::{Method, StatusCode};
use metrics::{counter, histogram};

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
