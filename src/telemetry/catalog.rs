//! All metrics with their labels and help texts. `tests/it/operators_kit.rs` holds the dashboard, the alert
//! rules and the documentation to this list.

/// A metric of `/metrics`.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The name in Prometheus, with the prefix `storyden_auth_`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Names of the labels.
    pub labels: &'static [&'static str],
    /// The text of `# HELP`.
    pub help: &'static str,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Only increases, until the process restarts.
    Counter,
    /// Increases and decreases.
    Gauge,
    /// A distribution of durations in seconds.
    Histogram,
}

/// Declares a constant for each metric, and the list of all.
macro_rules! catalog {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = concat!("The metric `storyden_auth_", $name, "`.")]
            pub const $constant: Metric = Metric {
                name: concat!("storyden_auth_", $name),
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*
        /// All metrics.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

catalog! {
    BUILD_INFO: Gauge "build_info" ["version", "os", "arch"]
        "Always 1; the labels have the version and the platform of the program.";
    READY: Gauge "ready" []
        "1 if the server is ready; 0 while it drains, and while the last check of the database failed, as at /readyz.";
    HTTP_REQUESTS: Counter "http_requests_total" ["method", "route", "status"]
        "Answered requests by method, route and status. All built-in pages are the route pages, all their files the route files.";
    HTTP_REQUEST_DURATION: Histogram "http_request_duration_seconds" ["method", "route"]
        "Time from the request head to the response head, in seconds.";
    HTTP_CONNECTIONS_OPEN: Gauge "http_connections_open" []
        "Open connections.";
    HTTP_CONNECTIONS_IDLE: Gauge "http_connections_idle" []
        "Open connections without a request in progress.";
    HTTP_CONNECTIONS_REFUSED: Counter "http_connections_refused_total" ["reason"]
        "Refused connections: share, the address has used up its share; full, no connection is idle.";
    HTTP_CONNECTIONS_CLOSED_FOR_ROOM: Counter "http_connections_closed_for_room_total" []
        "Idle connections closed in favour of new connections.";
    TOKEN_REQUESTS: Counter "token_requests_total" ["grant", "outcome"]
        "Requests at the token endpoint by grant type and outcome: ok, or the error code of RFC 6749.";
    PUSHED_REQUESTS: Counter "pushed_requests_total" ["outcome"]
        "Requests at the pushed authorization request endpoint by outcome: ok, or the error code of RFC 6749 and RFC 9101.";
    SIGNATURES: Counter "signatures_total" []
        "Signed tokens.";
    SIGNING_WAIT: Histogram "signing_wait_seconds" []
        "Time that a request waited for a processor to sign, in seconds.";
    SIGNING_WAITING: Gauge "signing_waiting" []
        "Requests that wait for a processor to sign.";
    SIGNING_TURNS_FREE: Gauge "signing_turns_free" []
        "Processors that are free to sign.";
    SIGNING_REFUSED: Counter "signing_refused_total" ["reason"]
        "Requests refused by the signing queue: full, too many requests wait; deadline, the wait was too long.";
    SIGNING_KEY_AGE: Gauge "signing_key_age_seconds" ["algorithm"]
        "Time since the current generated key began to sign, by algorithm.";
    SIGNING_KEY_ROTATION: Gauge "signing_key_rotation_seconds" ["algorithm"]
        "Time until the next generated key signs, by algorithm; negative if the rotation is late.";
    REFUSALS: Counter "refusals_total" ["event"]
        "Rejected attempts by audit event: wrong credentials (*_failed), rate limits (*_limited), rejected registrations, sign-ups and device starts (*_refused).";
    WEBHOOKS: Counter "webhooks_total" ["outcome"]
        "Requests to WEBHOOK_URL by outcome: delivered, or failed. A failed report is tried again for a day.";
    LIMITED: Counter "limited_total" ["limit"]
        "Attempts rejected by a rate limit, by name of the limit.";
    CLEANUP_BACKLOG_ROWS: Gauge "cleanup_backlog_rows" ["step"]
        "Rows due for deletion, by clean-up step; counted up to 10000, once a minute.";
    CLEANUP_LAST_COMPLETED: Gauge "cleanup_last_completed_timestamp_seconds" ["step"]
        "Time at which a clean-up step last had no rows left to delete, on any replica (Unix seconds).";
    CLEANUP_ROWS_DELETED: Counter "cleanup_rows_deleted_total" ["step"]
        "Rows deleted by the clean-up of this process, including dependent rows, by step.";
    CLEANUP_FAILURES: Counter "cleanup_failures_total" ["step"]
        "Failed clean-up steps of this process; the next pass retries them.";
    DB_WRITERS_WAITING: Gauge "db_writers_waiting" []
        "Transactions that wait for the write lock of the SQLite file.";
    DB_CONNECTIONS: Gauge "db_connections" []
        "Open connections to the database.";
    DB_CONNECTIONS_IDLE: Gauge "db_connections_idle" []
        "Open connections to the database that are not in use.";
}
