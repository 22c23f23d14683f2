//! `error_uri` of protocol errors (RFC 6749 §4.1.2.1, §5.2): the section of `docs/guides/errors.md` about the
//! error code, at `DOCS_URL`.

use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::OAuthErrorBody;
use crate::config::Config;
use crate::context::SharedContext;
use crate::oauth::error_value::ErrorTexts;

/// Returns the address of the section about an error code; `None` without `DOCS_URL` and with Storyden's error
/// texts. A URL has no character outside RFC 6749 §5.2.
#[must_use]
pub fn error_uri(config: &Config, code: &str) -> Option<String> {
    if config.policies.responses.error_texts == ErrorTexts::Storyden {
        return None;
    }
    let mut address = config.docs_url.clone()?;
    address.set_fragment(Some(code));
    Some(address.into())
}

/// Layer that adds `error_uri` to the bodies of protocol errors. A layer, because an error is rendered without
/// the settings.
pub async fn add_error_uri(
    State(context): State<SharedContext>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let Some(mut body) = response.extensions_mut().remove::<OAuthErrorBody>() else {
        return response;
    };
    body.error_uri = error_uri(&context.config, body.error);
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH); // of the body without `error_uri`
    Response::from_parts(parts, body.into_response().into_body())
}
