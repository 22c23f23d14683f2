//! Authorization responses by form (OAuth 2.0 Form Post Response Mode), success and error.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use time::Duration;
use url::Url;

use crate::support::{Answer, BrowserRequest, Client, Member, NewClient, Server, both, told};

/// The parameter that asks for a form.
const FORM: (&str, &str) = ("response_mode", "form_post");

/// The form of a page: the action and the fields, in order.
struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

impl Form {
    /// Reads the form of a page, and asserts that the page runs only its own script.
    #[track_caller]
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("referrer-policy"), "strict-origin");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.find_header("location"), None);
        let script = attribute(&answer.body, "<script>", "</script>");
        assert_eq!(script, "document.forms[0].submit()");
        let hash = STANDARD.encode(Sha256::digest(&script));
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'none'",
            &format!("script-src 'sha256-{hash}'"),
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(answer.body.contains("<button>")); // without scripts
        let action = attribute(&answer.body, "method=\"post\" action=\"", "\"");
        let inputs = answer.body.split("<input type=\"hidden\" name=\"").skip(1);
        let fields = inputs.map(|input| {
            let name = input.split('"').next().unwrap();
            (unescape(name), attribute(input, "value=\"", "\""))
        });
        Self {
            action,
            fields: fields.collect(),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_str())
    }
}

/// Returns the text between two marks, unescaped.
#[track_caller]
fn attribute(text: &str, before: &str, after: &str) -> String {
    let (_, rest) = text.split_once(before).unwrap();
    unescape(rest.split_once(after).unwrap().0)
}

fn unescape(text: &str) -> String {
    let pairs = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    let plain = |text: String, (escaped, plain): (&str, &str)| text.replace(escaped, plain);
    pairs.into_iter().fold(text.to_owned(), plain)
}

/// Opens the location of a consent result in the browser.
async fn follow(server: &Server, location: &Url) -> Answer {
    assert_eq!(location.path(), "/api/oauth/authorize/response");
    server
        .get(&format!(
            "{}?{}",
            location.path(),
            location.query().unwrap()
        ))
        .await
}

/// Asserts an error by form, with `iss` and `state`.
#[track_caller]
fn posted(answer: &Answer, error: &str) -> Form {
    let form = Form::of(answer);
    assert_eq!(form.action, "https://app.example/cb");
    assert_eq!(
        (form.get("error"), form.get("state")),
        (Some(error), Some("st"))
    );
    assert_eq!(form.get("iss"), Some("https://auth.example"));
    form
}

/// Decides a new request, and returns the form of the response.
async fn decided(server: &Server, member: &Member, app: &Client, decision: &str) -> Form {
    let request_id = server.pending(member, app, &[FORM]).await;
    let answer = server
        .decide(member, &request_id, decision)
        .await
        .expect(200);
    Form::of(&follow(server, &answer.location()).await)
}

both! {
    /// Issue 15: the code of a remembered approval is sent by form too.
    async fn a_remembered_approval_is_sent_by_form(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        server.code(&frigg, &app, &[]).await;
        for prompt in ["", "none"] {
            let form = Form::of(&server.authorize(Some(&frigg), &app, &[FORM, ("prompt", prompt)]).await);
            assert_eq!(form.action, "https://app.example/cb");
            server.exchange(&app, form.get("code").unwrap()).await.expect(200);
        }
    }

    /// Form Post §2: the code comes by form, with `state` and `iss`; the location of the consent result shows
    /// nothing of it (A-84).
    async fn the_code_comes_by_form(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.client(NewClient { redirect_uris: &["https://app.example/cb?a=1&b=2"], ..NewClient::default() }).await;
        let state = "\"><script>alert(1)</script>&amp;'é";
        let request_id = server.pending(&frigg, &app, &[FORM, ("state", state)]).await;
        let approved = server.decide(&frigg, &request_id, "approve").await.expect(200);
        let location = approved.location();
        assert_eq!(location.origin().ascii_serialization(), "https://auth.example");
        let page = follow(&server, &location).await;
        let form = Form::of(&page);
        assert_eq!(form.action, "https://app.example/cb?a=1&b=2");
        let names: Vec<&str> = form.fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["code", "state", "iss"]);
        assert_eq!((form.get("state"), form.get("iss")), (Some(state), Some("https://auth.example")));
        let code = form.get("code").unwrap();
        assert!(!location.as_str().contains(code));
        server.exchange(&app, code).await.expect(200);
    }

    /// Form Post §2: errors come by form too, from the consent page and from the authorization endpoint.
    async fn errors_come_by_form(setup: Setup) {
        let server = setup.start().await;
        let (frigg, loki) = (server.member("frigg", &[]).await, server.plain_member("loki").await);
        let app = server.public_client().await;
        let denied = decided(&server, &frigg, &app, "deny").await;
        assert_eq!((denied.get("error"), denied.get("code")), (Some("access_denied"), None));
        posted(&server.authorize(Some(&frigg), &app, &[FORM, ("scope", "\u{1}")]).await, "invalid_scope");
        posted(&server.authorize(Some(&loki), &app, &[FORM]).await, "access_denied");
        posted(&server.authorize(Some(&frigg), &app, &[FORM, ("response_type", "")]).await, "invalid_request");
        for (who, error) in [(None, "login_required"), (Some(&frigg), "consent_required")] {
            posted(&server.authorize(who, &app, &[FORM, ("prompt", "none")]).await, error);
        }
        // OpenID Connect Core §6.1: the mode may be in the request object alone, which is rejected here
        let object = URL_SAFE_NO_PAD.encode(r#"{"response_mode":"form_post"}"#);
        let object = format!("eyJhbGciOiJub25lIn0.{object}.");
        for parameters in [[FORM, ("request", "x")], [("nonce", "n"), ("request", &object)]] {
            let detour = BrowserRequest::begin(&server, &app, &parameters).await;
            let answer = detour.open(&server, &frigg).await.expect_error(400, "invalid_request_object");
            posted(&follow(&server, &answer.location()).await, "invalid_request_object");
        }
        // errors before the redirect URI is known are not sent anywhere
        let nowhere = [FORM, ("redirect_uri", "https://evil.example/")];
        server.authorize(Some(&frigg), &app, &nowhere).await.expect_error(400, "invalid_request");
    }

    /// A request that waited for sign-in, or came by form, keeps the response mode.
    async fn the_mode_survives_the_sign_in(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let detour = BrowserRequest::begin(&server, &app, &[FORM]).await;
        detour.open(&server, &frigg).await.expect(200);
        let approved = detour.decide(&server, &frigg, "approve").await.expect(200);
        let form = Form::of(&follow(&server, &approved.location()).await);
        server.exchange(&app, form.get("code").unwrap()).await.expect(200);
    }

    /// A browser posts no form to an app: the error goes by redirect. Repeated and unknown modes too.
    async fn other_requests_are_answered_by_redirect(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let native = NewClient { client_id: "native", redirect_uris: &["com.example.app:/cb"], ..NewClient::default() };
        let native = server.client(native).await;
        let answer = server.authorize(Some(&frigg), &native, &[FORM]).await.expect(302);
        assert!(answer.header("location").starts_with("com.example.app:/cb?error=invalid_request&"));
        let app = server.public_client().await;
        told(server.authorize(Some(&frigg), &app, &[("response_mode", "fragment")]).await, "invalid_request");
        let loopback = NewClient { client_id: "loopback", redirect_uris: &["http://127.0.0.1/cb"], ..NewClient::default() };
        let loopback = server.client(loopback).await;
        let request_id = server.pending(&frigg, &loopback, &[FORM, ("redirect_uri", "http://127.0.0.1:7000/cb")]).await;
        let approved = server.decide(&frigg, &request_id, "approve").await.expect(200);
        let form = Form::of(&follow(&server, &approved.location()).await);
        assert_eq!(form.action, "http://127.0.0.1:7000/cb");
    }

    /// The page posts only what this server sealed, for the life of a code, on every replica.
    async fn a_sealed_response_cannot_be_made_elsewhere(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        server.get("/api/oauth/authorize/response?response=AAAA").await.expect_error(400, "invalid_request");
        let request_id = server.pending(&frigg, &app, &[FORM]).await;
        let approved = server.decide(&frigg, &request_id, "approve").await.expect(200);
        let location = approved.location();
        let query = location.query().unwrap();
        let path = "/api/oauth/authorize/response";
        for broken in ["", "response=", "response=x", &query[..query.len() - 1], &format!("{query}A")] {
            server.get(&format!("{path}?{broken}")).await.expect_error(400, "invalid_request");
        }
        let html = server.request("GET", path).header("accept", "text/html");
        assert!(server.send(html).await.expect(400).header("content-type").starts_with("text/html"));
        let replica = setup.start().await;
        Form::of(&replica.get(&format!("{path}?{query}")).await);
        server.turn(Duration::seconds(59));
        Form::of(&follow(&server, &location).await);
        server.turn(Duration::seconds(1));
        follow(&server, &location).await.expect_error(400, "invalid_request");
    }
}
