//! The error page for a request that must not be redirected, rendered here without the files of `web/`.

use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::SECURITY_HEADERS;

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
}
