//! Methods and cache headers of Storyden's router (storyden-contract.md#paths).

use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, PRAGMA};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::method_not_allowed;
use crate::compat::{Methods, NoStore, ResponsePolicy};
use crate::context::SharedContext;

/// True if a policy needs [`as_storyden`].
pub(super) fn adapts(policy: ResponsePolicy) -> bool {
    policy.methods == Methods::Storyden || policy.no_store == NoStore::Storyden
}

/// Adapts methods and cache headers to Storyden's router.
pub(super) async fn as_storyden(
    State(context): State<SharedContext>,
    request: Request,
    next: Next,
) -> Response {
    let policy = context.config.policies.responses;
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let storyden_methods = policy.methods == Methods::Storyden;
    let refused = storyden_methods && is_another_method(&method, &path);
    let mut response = if refused {
        method_not_allowed().await.into_response()
    } else {
        next.run(request).await
    };
    let status = response.status();
    let headers = response.headers_mut();
    if storyden_methods && status == StatusCode::METHOD_NOT_ALLOWED {
        headers.remove(ALLOW);
        if path.starts_with("/.well-known/") {
            headers.insert(ALLOW, HeaderValue::from_static("OPTIONS, GET"));
        }
    }
    if policy.no_store == NoStore::Storyden && !sends_no_store(&path) {
        let no_store = headers.get(CACHE_CONTROL).is_some_and(|v| v == "no-store");
        if no_store || path == "/api/oauth/jwks" {
            headers.remove(CACHE_CONTROL);
        }
        headers.remove(PRAGMA);
    }
    response
}

/// True for `HEAD`, and for `POST` where Storyden has only `GET`.
fn is_another_method(method: &Method, path: &str) -> bool {
    let get_alone = matches!(path, "/api/oauth/authorize" | "/api/oauth/userinfo");
    method == Method::HEAD || (method == Method::POST && get_alone)
}

/// True for endpoints with `no-store` in Storyden, and for endpoints that Storyden does not have.
fn sends_no_store(path: &str) -> bool {
    matches!(
        path,
        "/api/oauth/token"
            | "/api/oauth/register"
            | "/api/oauth/revoke"
            | "/api/oauth/introspect"
            | "/api/oauth/end_session"
    )
}
