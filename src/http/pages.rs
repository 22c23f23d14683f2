//! The built-in pages: the files of `web/`, embedded at compile time.
//!
//! The pages are static and call the JSON API with the session cookie. Every page is the same for all
//! visitors; access control is in the API. Only [`error_page`] is rendered here, for an authorization
//! request that must not be redirected.

use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

/// A file of `web/` with the path to serve.
struct File {
    path: &'static str,
    content_type: &'static str,
    body: &'static [u8],
}

/// A page of `web/`, served at the given path.
macro_rules! page {
    ($path:literal, $name:literal) => {
        File {
            path: $path,
            content_type: "text/html; charset=utf-8",
            body: include_bytes!(concat!("../../web/", $name, ".html")),
        }
    };
}

/// An asset of `web/`, served at `/web/` and the path of the file.
macro_rules! asset {
    ($name:literal, $content_type:literal) => {
        File {
            path: concat!("/web/", $name),
            content_type: $content_type,
            body: include_bytes!(concat!("../../web/", $name)),
        }
    };
}

macro_rules! script {
    ($name:literal) => {
        asset!($name, "text/javascript; charset=utf-8")
    };
}

/// All pages and assets. The router's fallback answers other paths.
const FILES: &[File] = &[
    page!("/", "index"),
    page!("/login", "login"),
    page!("/logout", "logout"),
    page!("/oauth/authorize/consent", "consent"),
    page!("/oauth/consent", "device"),
    page!("/oauth/remote/callback", "remote-callback"),
    page!("/settings/applications", "applications"),
    page!("/settings/clients", "clients"),
    page!("/settings/access-keys", "access-keys"),
    page!("/settings/security", "security"),
    page!("/admin/oauth", "admin"),
    script!("access-keys.js"),
    script!("account.js"),
    script!("admin-audit.js"),
    script!("admin-clients.js"),
    script!("admin-connections.js"),
    script!("admin-devices.js"),
    script!("admin-keys.js"),
    script!("admin-list.js"),
    script!("admin-tokens.js"),
    script!("admin.js"),
    script!("api.js"),
    script!("applications.js"),
    script!("client-details.js"),
    script!("client-form.js"),
    script!("client-kinds.js"),
    script!("clients.js"),
    script!("consent.js"),
    script!("copyable.js"),
    script!("device.js"),
    script!("dialog.js"),
    script!("guard.js"),
    script!("i18n.js"),
    script!("index.js"),
    script!("layout.js"),
    script!("login.js"),
    script!("logout.js"),
    script!("messages/en.js"),
    script!("navigation.js"),
    script!("page.js"),
    script!("remote-callback.js"),
    script!("scopes.js"),
    script!("security.js"),
    script!("snippets.js"),
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml; charset=utf-8"),
];

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

/// Builds the routes of pages and assets.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, file| {
        let etag = etag(file.body);
        router.route(
            file.path,
            get(move |headers: HeaderMap| async move { serve(file, etag, &headers) }),
        )
    })
}

fn serve(file: &File, etag: HeaderValue, request: &HeaderMap) -> Response {
    let unchanged = is_known(request, &etag);
    let shared = [
        (header::ETAG, etag),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
    ];
    if unchanged {
        return (StatusCode::NOT_MODIFIED, SECURITY_HEADERS, shared).into_response();
    }
    (
        SECURITY_HEADERS,
        shared,
        [(header::CONTENT_TYPE, file.content_type)],
        file.body,
    )
        .into_response()
}

/// Makes a strong entity tag: half of the SHA-256 of the content.
fn etag(body: &[u8]) -> HeaderValue {
    let digest: [u8; 32] = Sha256::digest(body).into();
    let half: [u8; 16] = std::array::from_fn(|index| digest[index]);
    HeaderValue::try_from(format!("\"{:032x}\"", u128::from_be_bytes(half)))
        .expect("quotes and hexadecimal digits are legal in a header")
}

/// True if the browser has this content already (RFC 9110 §13.1.2, weak comparison).
fn is_known(request: &HeaderMap, etag: &HeaderValue) -> bool {
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

/// The style of the error page, inline.
const ERROR_STYLE: &str = "\
:root{color-scheme:light dark;--ground:#f4f3ee;--card:#fff;--text:#1c2320;--muted:#56605b;--line:#d8dbd4}\
@media(prefers-color-scheme:dark){:root{--ground:#101412;--card:#1a201d;--text:#e9edea;--muted:#a9b4ae;--line:#343d38}}\
body{margin:0;padding:3rem 1rem;background:var(--ground);color:var(--text);\
font:1rem/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif;overflow-wrap:anywhere}\
main{box-sizing:border-box;max-width:36rem;margin:auto;padding:1.75rem;background:var(--card);\
border:1px solid var(--line);border-radius:1rem}\
h1{margin:0 0 .75rem;font-size:1.6rem;line-height:1.25}p{margin:0 0 .75rem}p:last-child{margin:0;color:var(--muted)}";

/// Content Security Policy of the error page: allows only the inline style, by hash.
static ERROR_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(ERROR_STYLE));
    HeaderValue::try_from(format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; form-action 'none'; \
         base-uri 'none'; frame-ancestors 'none'"
    ))
    .expect("base64 is legal in a header")
});

/// Renders an error page, status 400, for an authorization request that must not be redirected because
/// the client or the redirect URI is invalid (RFC 6749 §3.1.2.4).
///
/// `title` and `message` are plain text and are escaped here.
pub fn error_page(title: &str, message: &str) -> Response {
    let (title, message) = (escape(title), escape(message));
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <style>{ERROR_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{message}</p>\n\
         <p>The application got no access. Report this message to the developer of the application.</p>\n\
         </main>\n</body>\n</html>\n"
    );
    let own = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, ERROR_POLICY.clone()),
    ];
    (StatusCode::BAD_REQUEST, SECURITY_HEADERS, own, page).into_response()
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
            escape(r#"<script src='x'>"a" & b</script>"#),
            "&lt;script src=&#39;x&#39;&gt;&quot;a&quot; &amp; b&lt;/script&gt;"
        );
        assert_eq!(escape("Größe 你好"), "Größe 你好");
    }

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
