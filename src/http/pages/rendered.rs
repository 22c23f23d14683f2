//! Small pages that are rendered here, without the scripts of `web/`: errors of a navigation, the end of a sign-out,
//! and a form that is posted to a client. Each has the community's mark and, except the form, a way to the front page.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::{SECURITY_HEADERS, catalogue_for, escape};
use crate::appearance::Catalogue;
use crate::context::Context;
use crate::http::error::OAuthErrorBody;
use crate::oauth::OAuthError;
use crate::trace_id::trace_id;

/// The style of the pages, inline.
const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#f4f3ee;--card:#fff;--text:#1c2320;--muted:#56605b;--line:#d8dbd4;--accent:#1f6f54}\
@media(prefers-color-scheme:dark){:root{--ground:#101412;--card:#1a201d;--text:#e9edea;--muted:#a9b4ae;--line:#343d38;--accent:#74d0aa}}\
body{margin:0;padding:1.25rem 1rem 3rem;background:var(--ground);color:var(--text);\
font:1rem/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif;overflow-wrap:anywhere}\
header,main,footer{box-sizing:border-box;max-width:36rem;margin:0 auto 1rem}\
header{display:flex;align-items:center;gap:.6rem;font-weight:600}\
main{padding:1.75rem;background:var(--card);border:1px solid var(--line);border-radius:1rem}\
h1{margin:0 0 .75rem;font-size:1.6rem;line-height:1.25}p{margin:0 0 .75rem}main>:last-child{margin:0}\
a{color:var(--accent);text-underline-offset:.15em}.note,footer{color:var(--muted);font-size:.925rem}";

/// The script of the form page. Runs before the page is loaded, so that the browser replaces the page in the
/// history: going back does not post the form again.
const FORM_SCRIPT: &str = "document.forms[0].submit()";

/// True if a request is a navigation of a browser, which should get a page.
#[must_use]
pub fn accepts_pages(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    accept
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accepted| accepted.contains("text/html"))
}

/// Renders pages for one request, in the language of its browser.
pub struct Renderer<'a> {
    context: &'a Context,
    catalogue: &'a Catalogue,
}

impl<'a> Renderer<'a> {
    /// Chooses the language from the headers of the request.
    #[must_use]
    pub fn new(context: &'a Context, headers: &HeaderMap) -> Self {
        let catalogue = catalogue_for(&context.appearance, headers);
        Self { context, catalogue }
    }

    /// Renders the page of an authorization request that must not be redirected because the client or the
    /// redirect URI is invalid (RFC 6749 §3.1.2.4).
    #[must_use]
    pub fn sign_in_error(&self, error: &OAuthError) -> Response {
        self.protocol_error("errorPage.signIn", error)
    }

    /// Renders the page of a sign-out request that must not be redirected (OpenID Connect RP-Initiated Logout §4).
    #[must_use]
    pub fn sign_out_error(&self, error: &OAuthError) -> Response {
        self.protocol_error("errorPage.signOut", error)
    }

    /// Renders an error with its description for developers, which is English. A known code is explained in the
    /// language of the page.
    fn protocol_error(&self, title: &str, error: &OAuthError) -> Response {
        let code = OAuthErrorBody::of(error, None).error();
        let explanation = self.catalogue.text(&format!("errors.{code}"));
        let description = escape(&error.description);
        let mut content = String::new();
        if !explanation.is_empty() {
            content.extend(["<p>", &escape(explanation), "</p>\n"]);
        }
        content.extend(["<p lang=\"en\" dir=\"ltr\">", &description, "</p>\n"]);
        if error.status() == StatusCode::BAD_REQUEST {
            let developer = self.text("errorPage.developer");
            content.extend(["<p>", &developer, "</p>\n"]);
        }
        content.push_str(&self.trace_note());
        content.push_str(&self.way_home());
        let mut response = self.respond(error.status(), title, &content);
        if let Some(seconds) = error.retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    /// Renders the page of a path that nothing is at.
    #[must_use]
    pub fn not_found(&self) -> Response {
        let content = format!(
            "<p>{}</p>\n{}{}",
            self.text("errorPage.notFound.text"),
            self.trace_note(),
            self.way_home()
        );
        self.respond(StatusCode::NOT_FOUND, "errorPage.notFound.title", &content)
    }

    /// Renders the page at the end of a sign-out without a redirect (OpenID Connect RP-Initiated Logout §4).
    #[must_use]
    pub fn signed_out(&self) -> Response {
        let content = format!(
            "<p>{}</p>\n<p>{}</p>\n{}",
            self.text("layout.signedOut.text"),
            self.text("errorPage.close"),
            self.way_home()
        );
        self.respond(StatusCode::OK, "layout.signedOut.title", &content)
    }

    /// Renders a page that posts a form to a client at once, or by a button if scripts are off (OAuth 2.0 Form
    /// Post Response Mode §2).
    #[must_use]
    pub fn form(&self, action: &str, fields: &[(String, String)]) -> Response {
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
        let (text, button) = (
            self.text("errorPage.continueText"),
            self.text("errorPage.continue"),
        );
        let content = format!(
            "<form method=\"post\" action=\"{action}\" accept-charset=\"utf-8\">\n{inputs}\
             <p>{text}</p>\n<p><button>{button}</button></p>\n</form>\n<script>{FORM_SCRIPT}</script>\n"
        );
        let mut response = self.respond(StatusCode::OK, "errorPage.continueTitle", &content);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, self.form_policy());
        // The client sees the origin of the form and can admit it (CSRF protection by `Origin`).
        let origin_only = HeaderValue::from_static("strict-origin");
        headers.insert(header::REFERRER_POLICY, origin_only);
        response
    }

    fn text(&self, path: &str) -> String {
        escape(self.catalogue.text(path))
    }

    /// Returns the line with the id of this request in the server's log.
    fn trace_note(&self) -> String {
        let id = format!("<code dir=\"ltr\">{}</code>", escape(&trace_id()));
        let text = self.catalogue.text("errorPage.traceId");
        let (before, after) = text.split_once("{trace}").unwrap_or((text, ""));
        let (before, after) = (escape(before), escape(after));
        format!("<p class=\"note\">{before}{id}{after}</p>\n")
    }

    fn way_home(&self) -> String {
        let web = self.context.config.web_address();
        let (address, text) = (escape(web.as_str()), self.text("common.home"));
        format!("<p><a href=\"{address}\">{text}</a></p>\n")
    }

    fn respond(&self, status: StatusCode, title: &str, content: &str) -> Response {
        let own = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=utf-8"),
            ),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (header::CONTENT_SECURITY_POLICY, self.policy()),
        ];
        let page = self.document(&self.text(title), content);
        (status, SECURITY_HEADERS, own, page).into_response()
    }

    /// Builds a page. Both arguments are markup.
    fn document(&self, title: &str, content: &str) -> String {
        let appearance = &self.context.appearance;
        let mark = &appearance.mark;
        let image = STANDARD.encode(&mark.content);
        let image = format!("data:{};base64,{image}", mark.media_type);
        let web = self.context.config.web_address();
        let name = appearance.name.as_deref().or_else(|| web.host_str());
        let name = escape(name.unwrap_or_default());
        let footer = match &appearance.text {
            Some(text) => format!("<footer>{}</footer>\n", escape(text)),
            None => String::new(),
        };
        let (language, direction) = (
            self.catalogue.language(),
            self.catalogue.direction().attribute(),
        );
        format!(
            "<!doctype html>\n<html lang=\"{language}\" dir=\"{direction}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<link rel=\"icon\" href=\"{image}\">\n\
             <style>{}</style>\n</head>\n<body>\n\
             <header><img src=\"{image}\" alt=\"\" width=\"28\" height=\"28\"><bdi>{name}</bdi></header>\n\
             <main>\n<h1>{title}</h1>\n{content}</main>\n{footer}</body>\n</html>\n",
            self.style()
        )
    }

    fn style(&self) -> String {
        format!("{STYLE}\n{}", self.context.appearance.colors)
    }

    /// Content Security Policy: allows only the inline style, by hash, and the mark.
    fn policy(&self) -> HeaderValue {
        let style = STANDARD.encode(Sha256::digest(self.style()));
        policy(&format!("style-src 'sha256-{style}'; form-action 'none'"))
    }

    /// Content Security Policy of the form page. Without `form-action`: browsers apply it to redirects after the
    /// form too, so a client with the callback on one origin and the application on another could not be reached.
    fn form_policy(&self) -> HeaderValue {
        let style = STANDARD.encode(Sha256::digest(self.style()));
        let script = STANDARD.encode(Sha256::digest(FORM_SCRIPT));
        policy(&format!(
            "style-src 'sha256-{style}'; script-src 'sha256-{script}'"
        ))
    }
}

fn policy(own: &str) -> HeaderValue {
    HeaderValue::try_from(format!(
        "default-src 'none'; {own}; img-src data:; base-uri 'none'; frame-ancestors 'none'"
    ))
    .expect("base64 is legal in a header")
}
