//! Whether the server lives, and whether it should be sent requests.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use crate::app::Shared;

/// `GET /healthz`: the process answers.
pub async fn healthz() -> StatusCode {
    StatusCode::OK
}

/// `GET /readyz`: the database answers and the server is not on its way out.
pub async fn readyz(State(app): State<Shared>) -> Response {
    if app.readiness.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    match app.db.ping().await {
        Ok(()) => (StatusCode::OK, "ready\n").into_response(),
        Err(error) => {
            tracing::warn!(error = %error, "the database does not answer");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the database does not answer\n",
            )
                .into_response()
        }
    }
}
