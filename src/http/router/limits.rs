//! The deadline of a request, and panics of a handler.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::response::{IntoResponse as _, Response};

use crate::http::error::{ApiError, Kind};
use crate::oauth::OAuthError;

/// Time limit of every request.
const DEADLINE: Duration = Duration::from_secs(30);

/// The error description of a request that was aborted at the deadline.
const BUSY: &str = "The server is busy; try again shortly";

/// The reason why a handler gave no response.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    /// Aborted at the deadline.
    TooSlow,
    /// The handler panicked, which ends only the request.
    Panicked,
}

impl Failure {
    /// Answers with a problem: 503 at the deadline, 500 after a panic.
    pub(super) fn problem(self) -> Response {
        match self {
            Self::TooSlow => ApiError::new(Kind::Unavailable, BUSY).retry_after(2),
            Self::Panicked => {
                ApiError::new(Kind::Internal, "The server could not answer this request")
            }
        }
        .into_response()
    }

    /// Answers with an OAuth error (RFC 6749 §5.2): 503 at the deadline, 500 after a panic.
    pub(super) fn oauth_error(self) -> Response {
        match self {
            Self::TooSlow => OAuthError::temporarily_unavailable(BUSY).retry_after(2),
            Self::Panicked => OAuthError::server_error("handler panicked"),
        }
        .into_response()
    }
}

/// Waits for an answer until the deadline.
///
/// # Errors
/// [`Failure`].
pub(super) async fn answer_in_time(
    answer: impl Future<Output = Result<Response, Infallible>>,
) -> Result<Response, Failure> {
    let answer = tokio::time::timeout(DEADLINE, answer_or_panic(answer)).await;
    answer.unwrap_or(Err(Failure::TooSlow))
}

/// Waits for an answer, and logs a panic.
///
/// # Errors
/// [`Failure::Panicked`].
pub(super) async fn answer_or_panic(
    answer: impl Future<Output = Result<Response, Infallible>>,
) -> Result<Response, Failure> {
    let mut answer = pin!(answer);
    let caught = std::future::poll_fn(|task| {
        // The future is dropped after a panic, so that no broken state is used again.
        match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(task))) {
            Ok(poll) => poll.map(Ok),
            Err(payload) => Poll::Ready(Err(payload)),
        }
    });
    match caught.await {
        Ok(Ok(response)) => Ok(response),
        Err(payload) => {
            log_panic(&*payload);
            Err(Failure::Panicked)
        }
    }
}

fn log_panic(payload: &(dyn Any + Send)) {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or_default(), "handler panicked");
}

#[cfg(test)]
mod tests {
    use std::task::Context;

    use super::*;

    #[tokio::test]
    async fn a_panic_ends_only_the_request() {
        let bug = |_: &mut Context<'_>| -> Poll<Result<Response, Infallible>> { panic!("a bug") };
        let answer = answer_in_time(std::future::poll_fn(bug)).await;
        let failure = answer.expect_err("the panic was not caught");
        assert!(matches!(failure, Failure::Panicked));
        assert_eq!(failure.problem().status(), 500);
        assert_eq!(failure.oauth_error().status(), 500);
    }
}
