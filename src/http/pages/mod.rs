//! The built-in pages: the files of `web/`, embedded at compile time.
//!
//! The pages are static and call the JSON API with the session cookie. Every page is the same for all
//! visitors with the same language; access control is in the API. Small pages are rendered instead, and need no
//! file: [`Renderer`].

mod files;
mod rendered;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;

use super::cookies;
use super::entity_tag::{etag, is_known};
use crate::appearance::{Appearance, Catalogue};
use crate::context::SharedContext;
use files::{ASSETS, COLORS, DOCS, MARK, PAGES};
pub use rendered::{Renderer, accepts_pages};

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

/// Content Security Policy of the mark: an SVG opened as a page runs no script (XSS).
const MARK_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");

/// The cookie with the language that the member chose. A script sets the cookie.
const LANGUAGE_COOKIE: &str = "storyden-auth-language";

/// Chooses the language of a response: the member's choice, else `Accept-Language`.
fn catalogue_for<'a>(appearance: &'a Appearance, headers: &HeaderMap) -> &'a Catalogue {
    let accepted = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok());
    let chosen = cookies::values(headers, LANGUAGE_COOKIE).next();
    appearance.choose(chosen, accepted.unwrap_or_default())
}

/// Builds the routes of pages and assets. The router's fallback answers other paths.
pub fn router(context: &SharedContext) -> Router<SharedContext> {
    let appearance = &context.appearance;
    let fixed = ASSETS.iter().map(|asset| {
        let body = Bytes::from_static(asset.body);
        (
            asset.path.to_owned(),
            File::new("files", asset.content_type, body),
        )
    });
    let docs = File::new("pages", DOCS.content_type, Bytes::from_static(DOCS.body));
    let files = fixed
        .chain([(DOCS.path.to_owned(), docs)])
        .chain(chosen_files(appearance));
    let router = files.fold(Router::new(), |router, (path, file)| {
        let serve = move |headers: HeaderMap| async move { file.serve(&headers) };
        router.route(&path, get(serve))
    });
    PAGES.iter().fold(router, |router, page| {
        let languages = appearance.catalogues().iter();
        let files: Arc<[File]> = languages
            .map(|catalogue| File::page(page.html(appearance, catalogue), catalogue))
            .collect();
        let serve = move |State(context): State<SharedContext>, headers: HeaderMap| async move {
            let language = catalogue_for(&context.appearance, &headers).language();
            let file = files.iter().find(|file| file.is_in(language));
            file.unwrap_or(&files[0]).clone().serve(&headers)
        };
        router.route(page.path, get(serve))
    })
}

/// Returns the files that depend on the settings: catalogues, the mark, the colours.
fn chosen_files(appearance: &Appearance) -> Vec<(String, File)> {
    let catalogues = appearance.catalogues().iter().map(|catalogue| {
        let path = format!("/web/messages/{}.json", catalogue.language());
        let file = File::new("files", "application/json", catalogue.json());
        (path, file)
    });
    let mut files: Vec<(String, File)> = catalogues.collect();
    let mark = &appearance.mark;
    if !mark.is_built_in {
        let mut file = File::new("files", mark.media_type, mark.content.clone());
        file.policy = MARK_POLICY;
        files.push((MARK.to_owned(), file));
    }
    if !appearance.colors.is_empty() {
        let colors = Bytes::from(appearance.colors.clone());
        let file = File::new("files", "text/css; charset=utf-8", colors);
        files.push((COLORS.to_owned(), file));
    }
    files
}

/// A page or an asset, as served.
#[derive(Clone)]
struct File {
    /// The route in the metrics.
    route: RouteLabel,
    content_type: &'static str,
    policy: HeaderValue,
    /// The language of a page.
    language: Option<HeaderValue>,
    body: Bytes,
    etag: HeaderValue,
}

impl File {
    fn new(route: &'static str, content_type: &'static str, body: Bytes) -> Self {
        Self {
            route: RouteLabel(route),
            content_type,
            policy: PAGE_POLICY,
            language: None,
            etag: etag(&body),
            body,
        }
    }

    fn page(html: String, catalogue: &Catalogue) -> Self {
        Self {
            language: HeaderValue::from_str(catalogue.language()).ok(),
            ..Self::new("pages", "text/html; charset=utf-8", Bytes::from(html))
        }
    }

    fn is_in(&self, language: &str) -> bool {
        self.language
            .as_ref()
            .is_some_and(|own| own.as_bytes() == language.as_bytes())
    }

    fn serve(self, request: &HeaderMap) -> Response {
        let unchanged = is_known(request, &self.etag);
        let shared = [
            (header::ETAG, self.etag),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::CONTENT_SECURITY_POLICY, self.policy),
        ];
        let mut response = if unchanged {
            (StatusCode::NOT_MODIFIED, SECURITY_HEADERS, shared).into_response()
        } else {
            let content_type = [(header::CONTENT_TYPE, self.content_type)];
            (SECURITY_HEADERS, shared, content_type, self.body).into_response()
        };
        if let Some(language) = self.language {
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_LANGUAGE, language);
            let vary = HeaderValue::from_static("accept-language, cookie");
            headers.append(header::VARY, vary);
        }
        response.extensions_mut().insert(self.route);
        response
    }
}

/// Escapes text for an HTML element or a quoted attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // The placeholders of the layout.
            '{' => escaped.push_str("&#123;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_message_is_text() {
        assert_eq!(
            escape(r#"<script src='x'>"a" & b</script>{{body}}"#),
            "&lt;script src=&#39;x&#39;&gt;&quot;a&quot; &amp; b&lt;/script&gt;&#123;&#123;body}}"
        );
        assert_eq!(escape("Größe 你好"), "Größe 你好");
    }
}
