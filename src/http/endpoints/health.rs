//! Liveness and readiness.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse as _, Response};

use crate::context::SharedContext;
use crate::http::error::UNAVAILABLE_RETRY_AFTER;
use crate::store::Cause;

/// `GET /healthz`: the process answers.
pub async fn healthz() -> StatusCode {
    StatusCode::OK
}

/// `GET /readyz`: 200 if the database answers, the last check could write it, and the server is not draining. A check is a
/// job: this address is read every few seconds, and a write on each request would cost too much.
pub async fn readyz(State(context): State<SharedContext>) -> Response {
    let readiness = &context.readiness;
    if readiness.is_draining() {
        return not_ready("draining\n");
    }
    match context.db.ping().await {
        Ok(()) if readiness.has_database_failed() => {
            readiness.check_database_again();
            not_ready("the database cannot be used\n")
        }
        Ok(()) => (StatusCode::OK, "ready\n").into_response(),
        Err(error) => {
            if readiness.suspect_database() {
                tracing::warn!(%error, "the database does not answer");
            }
            if error.cause() == Cause::NoTable {
                return not_ready("the tables of this server are missing\n");
            }
            not_ready("the database does not answer\n")
        }
    }
}

fn not_ready(why: &'static str) -> Response {
    let again = [(RETRY_AFTER, UNAVAILABLE_RETRY_AFTER.to_string())];
    (StatusCode::SERVICE_UNAVAILABLE, again, why).into_response()
}
