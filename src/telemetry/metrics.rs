//! Metrics: counters, gauges and histograms, served by [`crate::http::prometheus`].
//!
//! Labels are routes, grants and error codes (low cardinality), never ids or secrets.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use axum::http::{Method, StatusCode};
use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use super::catalog::{self, Kind};
use crate::store::cleanup::{Backlog, Pass, Progress};

/// Metrics of responses by route. The handles of a series are looked up by its labels once and kept, because a
/// look-up costs more than an increment.
#[derive(Debug, Default)]
pub struct RequestMetrics(RwLock<HashMap<String, RouteSeries>>);

/// The series of a route, by method and status.
type RouteSeries = HashMap<(&'static str, StatusCode), Handles>;

#[derive(Debug)]
struct Handles {
    responses: Counter,
    durations: Histogram,
}

impl RequestMetrics {
    /// Counts a response, and records the duration in seconds.
    pub fn answered(&self, method: &Method, route: &str, status: StatusCode, seconds: f64) {
        let method = match *method {
            Method::GET => "GET",
            Method::POST => "POST",
            Method::OPTIONS => "OPTIONS",
            _ => "other", // bounds the label cardinality
        };
        let record = |series: &Handles| {
            series.responses.increment(1);
            series.durations.record(seconds);
        };
        let key = (method, status);
        {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(series) = known.get(route).and_then(|series| series.get(&key)) {
                return record(series);
            }
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let series = known.entry(route.to_owned()).or_default();
        record(
            series
                .entry(key)
                .or_insert_with(|| Handles::new(method, route, status)),
        );
    }
}

impl Handles {
    fn new(method: &'static str, route: &str, status: StatusCode) -> Self {
        let (route, status) = (route.to_owned(), status.as_str().to_owned());
        Self {
            durations: histogram!(catalog::HTTP_REQUEST_DURATION.name, "method" => method, "route" => route.clone()),
            responses: counter!(catalog::HTTP_REQUESTS.name, "method" => method, "route" => route, "status" => status),
        }
    }
}

/// Counts a token request by grant type and outcome: `ok`, or the error code.
pub fn token_request(grant: &'static str, outcome: &'static str) {
    counter!(catalog::TOKEN_REQUESTS.name, "grant" => grant, "outcome" => outcome).increment(1);
}

/// Counts a request at the pushed authorization request endpoint by outcome: `ok`, or the error code.
pub fn pushed_request(outcome: &'static str) {
    counter!(catalog::PUSHED_REQUESTS.name, "outcome" => outcome).increment(1);
}

/// Records the time that a request waited for a signing slot, in seconds.
pub fn signing_wait(seconds: f64) {
    histogram!(catalog::SIGNING_WAIT.name).record(seconds);
}

/// Counts a request rejected by the signing queue: `full`, or `deadline`.
pub fn signing_refused(reason: &'static str) {
    counter!(catalog::SIGNING_REFUSED.name, "reason" => reason).increment(1);
}

/// Counts the deleted rows and the failed steps of a clean-up pass.
pub fn cleaned_up(pass: &Pass) {
    for (step, rows) in &pass.deleted {
        counter!(catalog::CLEANUP_ROWS_DELETED.name, "step" => *step).increment(*rows);
    }
    for step in &pass.failed {
        counter!(catalog::CLEANUP_FAILURES.name, "step" => *step).increment(1);
    }
}

/// Sets the backlog of each step of the clean-up, and the time of the last completion.
pub fn cleanup_backlog(backlog: &[Backlog], progress: &[Progress]) {
    for Backlog { step, rows } in backlog {
        let rows = u32::try_from(*rows).map_or(f64::MAX, f64::from);
        gauge!(catalog::CLEANUP_BACKLOG_ROWS.name, "step" => *step).set(rows);
        let known = progress.iter().find(|known| known.name == *step);
        if let Some(at) = known.and_then(|known| known.completed_at) {
            let seconds = u32::try_from(at.unix_seconds()).map_or(0.0, f64::from);
            gauge!(catalog::CLEANUP_LAST_COMPLETED.name, "step" => *step).set(seconds);
        }
    }
}

/// Describes all metrics (`# HELP`), and sets the metrics that are known at start. A counter that starts at zero
/// lets `rate` see the first increment.
pub fn describe() {
    for metric in catalog::ALL {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.help),
            Kind::Histogram => describe_histogram!(metric.name, metric.help),
        }
    }
    let (version, os, arch) = (
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
    );
    gauge!(catalog::BUILD_INFO.name, "version" => version, "os" => os, "arch" => arch).set(1.0);
    for reason in ["full", "deadline"] {
        counter!(catalog::SIGNING_REFUSED.name, "reason" => reason).increment(0);
    }
    for outcome in ["delivered", "failed"] {
        counter!(catalog::WEBHOOKS.name, "outcome" => outcome).increment(0);
    }
}

/// Counts a request to the webhook: `delivered`, or `failed`.
pub fn webhook(outcome: &'static str) {
    counter!(catalog::WEBHOOKS.name, "outcome" => outcome).increment(1);
}

/// Counts a rejected attempt by audit event.
pub fn refused(event: &'static str) {
    counter!(catalog::REFUSALS.name, "event" => event).increment(1);
}

/// Counts an attempt rejected by a rate limit, by name of the limit.
pub fn limited(limit: &'static str) {
    counter!(catalog::LIMITED.name, "limit" => limit).increment(1);
}
