//! The three pages that are rendered here, without the files of `web/`: an error that must not be redirected,
//! the end of a sign-out, and a form that is posted to a client.

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
    let message = escape(message);
    let content = format!(
        "<p>{message}</p>\n<p>The application got no access. Report this message to the developer of the \
         application.</p>\n"
    );
    let page = document(title, &content);
    rendered(StatusCode::BAD_REQUEST, ERROR_POLICY.clone(), page)
}

/// Renders the page at the end of a sign-out without a redirect (OpenID Connect RP-Initiated Logout §4).
pub fn signed_out_page() -> Response {
    let content = "<p>This browser is signed out. Applications that you allowed keep their access.</p>\n\
                   <p>You can close this page.</p>\n";
    let page = document("You are signed out", content);
    rendered(StatusCode::OK, ERROR_POLICY.clone(), page)
}

/// The script of the form page. Runs before the page is loaded, so that the browser replaces the page in the
/// history: going back does not post the form again.
const FORM_SCRIPT: &str = "document.forms[0].submit()";

/// Content Security Policy of the form page. Without `form-action`: browsers apply it to redirects after the
/// form too, so a client with the callback on one origin and the application on another could not be reached.
static FORM_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(ERROR_STYLE));
    let script = STANDARD.encode(Sha256::digest(FORM_SCRIPT));
    HeaderValue::try_from(format!(
        "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; img-src data:; \
         base-uri 'none'; frame-ancestors 'none'"
    ))
    .expect("base64 is legal in a header")
});

/// Renders a page that posts a form to a client at once, or by a button if scripts are off (OAuth 2.0 Form
/// Post Response Mode §2). All texts are escaped here.
pub fn form_page(action: &str, fields: &[(String, String)]) -> Response {
    let mut inputs = String::new();
    for (name, value) in fields {
        for part in [
            "<input type=\"hidden\" name=\"",
            &escape(name),
            "\" value=\"",
            &escape(value),
            "\">\n",
        ] {
            inputs.push_str(part);
        }
    }
    let action = escape(action);
    let content = format!(
        "<form method=\"post\" action=\"{action}\" accept-charset=\"utf-8\">\n{inputs}\
         <p>You return to the application.</p>\n<p><button>Continue</button></p>\n</form>\n\
         <script>{FORM_SCRIPT}</script>\n"
    );
    let page = document("Continue to the application", &content);
    let mut response = rendered(StatusCode::OK, FORM_POLICY.clone(), page);
    // The client sees the origin of the form and can admit it (CSRF protection by `Origin`).
    let origin_only = HeaderValue::from_static("strict-origin");
    let headers = response.headers_mut();
    headers.insert(header::REFERRER_POLICY, origin_only);
    response
}

/// Builds a small page. `title` is plain text, `content` is markup.
fn document(title: &str, content: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <style>{ERROR_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{content}\
         </main>\n</body>\n</html>\n"
    )
}

fn rendered(status: StatusCode, policy: HeaderValue, page: String) -> Response {
    let own = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (status, SECURITY_HEADERS, own, page).into_response()
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
