//! Row ids in request paths.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::context::SharedContext;

/// Length of a row id (storyden-contract.md#ids-and-times).
const LENGTH: usize = 20;

/// The id in a path. An invalid id becomes empty and finds no row: never a 400
/// (storyden-contract.md#ids-and-times).
#[derive(Clone, Debug)]
pub struct PathId(pub String);

impl FromRequestParts<SharedContext> for PathId {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        context: &SharedContext,
    ) -> Result<Self, Infallible> {
        let text = Path::<String>::from_request_parts(parts, context).await;
        let mut id = text.map(|Path(text)| text).unwrap_or_default();
        if context.config.policies.requests.path_ids_truncated && id.is_char_boundary(LENGTH) {
            id.truncate(LENGTH);
        }
        let fits = id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        Ok(Self(if fits { id } else { String::new() }))
    }
}

/// The name in a path: an id, a handle, or the name of a role. Invalid encoding becomes empty and finds nothing.
#[derive(Clone, Debug)]
pub struct PathName(pub String);

impl FromRequestParts<SharedContext> for PathName {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        context: &SharedContext,
    ) -> Result<Self, Infallible> {
        let text = Path::<String>::from_request_parts(parts, context).await;
        Ok(Self(text.map(|Path(text)| text).unwrap_or_default()))
    }
}

/// The two names in a path, as [`PathName`].
#[derive(Clone, Debug)]
pub struct PathNames(pub String, pub String);

impl FromRequestParts<SharedContext> for PathNames {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        context: &SharedContext,
    ) -> Result<Self, Infallible> {
        let texts = Path::<(String, String)>::from_request_parts(parts, context).await;
        let (first, second) = texts.map(|Path(texts)| texts).unwrap_or_default();
        Ok(Self(first, second))
    }
}
