//! Liveness and readiness.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse as _, Response};

use crate::context::SharedContext;
use crate::http::error::UNAVAILABLE_RETRY_AFTER;

/// `GET /healthz`: the process answers.
pub async fn healthz() -> StatusCode {
    StatusCode::OK
}

/// `GET /readyz`: 200 if the database answers and the server is not draining.
pub async fn readyz(State(context): State<SharedContext>) -> Response {
    if context.readiness.is_draining() {
        return not_ready("draining\n");
    }
    match context.db.ping().await {
        Ok(()) => (StatusCode::OK, "ready\n").into_response(),
        Err(error) => {
            tracing::warn!(error = %error, "the database does not answer");
            not_ready("the database does not answer\n")
        }
    }
}

fn not_ready(why: &'static str) -> Response {
    let again = [(RETRY_AFTER, UNAVAILABLE_RETRY_AFTER.to_string())];
    (StatusCode::SERVICE_UNAVAILABLE, again, why).into_response()
}
