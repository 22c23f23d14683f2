//! The built-in pages: the files of `web/`, embedded at compile time.
//!
//! The pages are static and call the JSON API with the session cookie. Every page is the same for all
//! visitors; access control is in the API. Three small pages are rendered instead, and need no file:
//! [`error_page`], [`signed_out_page`] and [`form_page`].

mod files;
mod rendered;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;

use super::entity_tag::{etag, is_known};
use files::{ASSETS, DOCS, PAGES};
pub use rendered::{error_page, form_page, signed_out_page};

use super::trace::RouteLabel;

/// Content Security Policy of the pages: resources of the same origin only, no framing (clickjacking).
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// Security headers of every response, besides the Content Security Policy.
///
/// `Cross-Origin-Opener-Policy`: a page that opened this page in a pop-up window can neither navigate
/// that window nor learn when the window closes (double-clickjacking, XS-Leaks). A client that opens
/// the authorization request in a pop-up window loses the handle of that window.
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")), // RFC 9700 §4.16
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ), // RFC 9700 §4.2.4
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
];

/// Builds the routes of pages and assets. The router's fallback answers other paths.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let assets = ASSETS.iter().map(|asset| {
        let body = Bytes::from_static(asset.body);
        (asset.path, File::new("files", asset.content_type, body))
    });
    let docs = File::new("pages", DOCS.content_type, Bytes::from_static(DOCS.body));
    let pages = PAGES.iter().map(|page| {
        let body = Bytes::from(page.html());
        (
            page.path,
            File::new("pages", "text/html; charset=utf-8", body),
        )
    });
    pages
        .chain(assets)
        .chain([(DOCS.path, docs)])
        .fold(Router::new(), |router, (path, file)| {
            router.route(
                path,
                get(move |headers: HeaderMap| async move { file.serve(&headers) }),
            )
        })
}

/// A page or an asset, as served.
#[derive(Clone)]
struct File {
    /// The route in the metrics.
    route: RouteLabel,
    content_type: &'static str,
    body: Bytes,
    etag: HeaderValue,
}

impl File {
    fn new(route: &'static str, content_type: &'static str, body: Bytes) -> Self {
        Self {
            route: RouteLabel(route),
            content_type,
            etag: etag(&body),
            body,
        }
    }

    fn serve(self, request: &HeaderMap) -> Response {
        let unchanged = is_known(request, &self.etag);
        let route = Extension(self.route);
        let shared = [
            (header::ETAG, self.etag),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        ];
        if unchanged {
            return (StatusCode::NOT_MODIFIED, route, SECURITY_HEADERS, shared).into_response();
        }
        let content_type = [(header::CONTENT_TYPE, self.content_type)];
        (route, SECURITY_HEADERS, shared, content_type, self.body).into_response()
    }
}
