//! The id that a path names.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::app::Shared;

/// How long a row's id is (contract 1.5).
const LENGTH: usize = 20;

/// The one id of a path. What is no id is the empty one, which finds no row: never a reason for a 400
/// (contract 1.5).
#[derive(Clone, Debug)]
pub struct PathId(pub String);

impl FromRequestParts<Shared> for PathId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Infallible> {
        let text = Path::<String>::from_request_parts(parts, app).await;
        let mut id = text.map(|Path(text)| text).unwrap_or_default();
        if app.config.profile.path_ids_are_cut() && id.is_char_boundary(LENGTH) {
            id.truncate(LENGTH);
        }
        let fits = id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        Ok(Self(if fits { id } else { String::new() }))
    }
}
