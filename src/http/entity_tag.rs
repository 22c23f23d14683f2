//! Entity tags and conditional requests (RFC 9110 §8.8.3, §13.1.2).

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use sha2::{Digest as _, Sha256};

/// Makes a strong entity tag: half of the SHA-256 of the content.
pub(super) fn etag(body: &[u8]) -> HeaderValue {
    let digest: [u8; 32] = Sha256::digest(body).into();
    let half: [u8; 16] = std::array::from_fn(|index| digest[index]);
    HeaderValue::try_from(format!("\"{:032x}\"", u128::from_be_bytes(half)))
        .expect("quotes and hexadecimal digits are legal in a header")
}

/// True if the client has this content already (RFC 9110 §13.1.2, weak comparison).
pub(super) fn is_known(request: &HeaderMap, etag: &HeaderValue) -> bool {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|tag| {
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes()
        })
}

/// The conditions of a request; `None` without `If-None-Match`.
pub(super) struct Conditions(Option<HeaderMap>);

impl Conditions {
    pub(super) fn of(request: &HeaderMap) -> Self {
        let is_conditional = request.contains_key(header::IF_NONE_MATCH);
        Self(is_conditional.then(|| request.clone()))
    }

    /// Answers 304 if the client has the content of a response already (RFC 9110 §15.4.5).
    pub(super) fn apply(self, response: Response) -> Response {
        let known = self
            .0
            .as_ref()
            .filter(|_| response.status() == StatusCode::OK);
        let tag = response.headers().get(header::ETAG);
        if known
            .zip(tag)
            .is_none_or(|(request, tag)| !is_known(request, tag))
        {
            return response;
        }
        let (mut parts, _) = response.into_parts();
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        parts.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(parts, Body::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_tag_is_strong_and_follows_the_content() {
        assert_eq!(etag(b""), "\"e3b0c44298fc1c149afbf4c8996fb924\"");
        assert_ne!(etag(b"a"), etag(b"b"));
    }

    #[test]
    fn a_known_entity_tag_is_found_in_any_form_of_the_list() {
        let tag = etag(b"page");
        let known = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                header::IF_NONE_MATCH,
                value.parse().expect("a legal header"),
            );
            is_known(&headers, &tag)
        };
        let own = tag.to_str().expect("an ASCII tag").to_owned();
        assert!(known(&own));
        assert!(known(&format!("\"other\", W/{own}")));
        assert!(known("*"));
        assert!(!known("\"other\""));
        assert!(!is_known(&HeaderMap::new(), &tag));
    }
}
