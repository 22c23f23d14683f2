//! `/metrics` for Prometheus, on a separate listener (`METRICS_ADDR`).

use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics::{counter, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::context::SharedContext;
use crate::telemetry::catalog;

/// Upper bounds of the latency histograms, in seconds.
const LATENCIES: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Installs the recorder. Called before the jobs start, because the jobs set gauges at once.
pub fn install() {
    recorder();
}

/// The process-wide recorder; `None` if a different recorder is installed already.
fn recorder() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let install = || {
        let recorder = PrometheusBuilder::new()
            .set_buckets(LATENCIES)
            .ok()?
            .install_recorder()
            .ok()?;
        crate::telemetry::metrics::describe();
        Some(recorder)
    };
    HANDLE.get_or_init(install).as_ref()
}

/// Serves `GET /metrics` until `stop`.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    context: SharedContext,
    listener: TcpListener,
    stop: CancellationToken,
) -> std::io::Result<()> {
    if let Some(recorder) = recorder() {
        tokio::spawn(run_upkeep_regularly(recorder, stop.clone()));
    }
    let router = Router::new()
        .route("/metrics", get(show))
        .with_state(context);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// Drains recorded samples regularly, so that memory stays bounded without scrapes.
async fn run_upkeep_regularly(recorder: &'static PrometheusHandle, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        recorder.run_upkeep();
    }
}

async fn show(State(context): State<SharedContext>) -> impl IntoResponse {
    let load = context.db.load();
    let number = |count: usize| u32::try_from(count).map_or(f64::MAX, f64::from);
    gauge!(catalog::DB_WRITERS_WAITING.name).set(number(load.writers_waiting));
    gauge!(catalog::DB_CONNECTIONS.name).set(f64::from(load.connections));
    gauge!(catalog::DB_CONNECTIONS_IDLE.name).set(number(load.idle));
    let ready = u8::from(context.readiness.is_ready());
    gauge!(catalog::READY.name).set(f64::from(ready));
    let connections = context.places.load();
    gauge!(catalog::HTTP_CONNECTIONS_OPEN.name).set(number(connections.open));
    gauge!(catalog::HTTP_CONNECTIONS_IDLE.name).set(number(connections.idle));
    counter!(catalog::HTTP_CONNECTIONS_REFUSED.name, "reason" => "share")
        .absolute(connections.refused_by_network);
    counter!(catalog::HTTP_CONNECTIONS_REFUSED.name, "reason" => "full")
        .absolute(connections.refused_when_full);
    counter!(catalog::HTTP_CONNECTIONS_CLOSED_FOR_ROOM.name).absolute(connections.evicted_idle);
    if let Some(keys) = &context.keys {
        for (algorithm, age, next) in keys.ages() {
            let algorithm = algorithm.name();
            gauge!(catalog::SIGNING_KEY_AGE.name, "algorithm" => algorithm)
                .set(age.as_seconds_f64());
            if let Some(next) = next {
                gauge!(catalog::SIGNING_KEY_ROTATION.name, "algorithm" => algorithm)
                    .set(next.as_seconds_f64());
            }
        }
        gauge!(catalog::SIGNING_TURNS_FREE.name).set(number(keys.free_permits()));
        gauge!(catalog::SIGNING_WAITING.name).set(number(keys.waiting()));
        counter!(catalog::SIGNATURES.name).absolute(keys.signatures());
    }
    let text = recorder().map(PrometheusHandle::render).unwrap_or_default();
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
}
