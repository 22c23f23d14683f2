//! The form of the token endpoint (RFC 6749 §3.2, §5.2): parsing and errors.

use insta::{allow_duplicates, assert_json_snapshot};
use reqwest::RequestBuilder;
use serde_json::json;

use crate::support::race::{Form, with, without};
use crate::support::{Answer, Client, Member, NewClient, Server, both};

const TOKEN: &str = "/api/oauth/token";
const FORM: &str = "application/x-www-form-urlencoded";

/// A member, with a public client.
async fn people(server: &Server) -> (Member, Client) {
    (
        server.member("frigg", &[]).await,
        server.public_client().await,
    )
}

/// A request with a raw body.
fn raw(server: &Server, body: impl Into<reqwest::Body>) -> RequestBuilder {
    server
        .request("POST", TOKEN)
        .header("content-type", FORM)
        .body(body)
}

/// URL-encodes a form as clients do.
fn encode(form: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish()
}

/// Expects 400 with a protocol error.
#[track_caller]
fn refused(answer: Answer, code: &str) -> Answer {
    let answer = answer.expect_error(400, code);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("pragma"), "no-cache");
    // RFC 6749 §5.2
    let allowed = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    assert!(
        answer.text("error_description").bytes().all(allowed),
        "{}",
        answer.body
    );
    answer
}

both! {
    /// req_015: only POST issues tokens.
    async fn only_post_gives_tokens(setup: Setup) {
        let server = setup.start().await;
        let (frigg, app) = people(&server).await;
        let code = server.code(&frigg, &app, &[]).await;
        let form = app.exchange_form(&code);
        for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD"] {
            let request = server.request(method, TOKEN).query(&form);
            let answer = server.send(request).await.expect(405);
            assert_eq!(answer.header("cache-control"), "no-store");
            let request = server.request(method, TOKEN).form(&form).header("x-http-method-override", "POST");
            server.send(request).await.expect(405);
        }
        server.exchange(&app, &code).await.expect(200);
    }

    /// req_035, A-64: only a form is read; every other content type is `invalid_request`.
    async fn only_a_form_is_read(setup: Setup) {
        let server = setup.start().await;
        let (frigg, app) = people(&server).await;
        let code = server.code(&frigg, &app, &[]).await;
        let body = encode(&app.exchange_form(&code));
        let post = || server.request("POST", TOKEN).body(body.clone());
        let multipart = "--x\r\ncontent-disposition: form-data; name=\"grant_type\"\r\n\r\nauthorization_code\r\n--x--\r\n";
        for request in [
            post(),
            post().header("content-type", "application/json"),
            post().header("content-type", "text/plain"),
            post().header("content-type", ""),
            post().header("content-type", "application/x-www-form-urlencoded; charset=utf-7"),
            post().header("content-type", "application/x-www-form-urlencodedx"),
            post().header("content-type", FORM).header("content-type", FORM),
            server.request("POST", TOKEN).json(&json!({ "grant_type": "authorization_code", "code": code })),
            server.request("POST", TOKEN).header("content-type", "multipart/form-data; boundary=x").body(multipart),
        ] {
            refused(server.send(request).await, "invalid_request");
        }
        let fine = post().header("content-type", "Application/X-WWW-Form-URLEncoded; Charset=UTF-8");
        server.send(fine).await.expect(200);
    }

    /// req_008, A-62: a repeated parameter is refused, and nothing is consumed.
    async fn a_repeated_parameter_is_refused(setup: Setup) {
        let server = setup.start().await;
        let (frigg, app) = people(&server).await;
        let code = server.code(&frigg, &app, &[]).await;
        let form = app.exchange_form(&code);
        for (name, value) in &form {
            let mut twice = form.clone();
            twice.push((name, value)); // even the same value
            refused(server.token(&twice).await, "invalid_request");
        }
        server.exchange(&app, &code).await.expect(200);
    }

    /// req_003, A-62: parameters in the URL are refused, alone and beside those of the body.
    async fn parameters_in_the_url_are_refused(setup: Setup) {
        let server = setup.start().await;
        let (frigg, app) = people(&server).await;
        let tokens = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let form = app.refresh_form(&tokens);
        for name in ["grant_type", "refresh_token", "client_id"] {
            let (in_url, in_body): (Form<'_>, Form<'_>) = form.iter().copied().partition(|(key, _)| *key == name);
            let request = server.request("POST", TOKEN).query(&in_url).form(&in_body);
            refused(server.send(request).await, "invalid_request");
            let request = server.request("POST", TOKEN).query(&in_url).form(&form);
            refused(server.send(request).await, "invalid_request");
        }
        server.refresh(&app, &tokens).await.expect(200);
    }

    /// A-63: parameter names count only in the exact decoded spelling.
    async fn names_count_only_as_decoded(setup: Setup) {
        let server = setup.start().await;
        let (frigg, app) = people(&server).await;
        let code = server.code(&frigg, &app, &[]).await;
        let rest = encode(&without(&app.exchange_form(&code), "code"));
        for spelling in ["Code=", "code[]=", "code%5B%5D=", " code=", "%20code=", "code%00=", "code;=", "codе="] {
            let answer = server.send(raw(&server, format!("{rest}&{spelling}{code}"))).await;
            refused(answer, "invalid_request");
        }
        // A semicolon does not separate parameters: here the client id is unknown.
        assert!(rest.ends_with("client_id=app"));
        refused(server.send(raw(&server, format!("{rest};code={code}"))).await, "invalid_client");
        server.send(raw(&server, format!("{rest}&c%6fde={code}"))).await.expect(200);
    }

    /// req_006: an empty value counts as absent.
    async fn an_empty_value_counts_as_absent(setup: Setup) {
        let server = setup.start().await;
        let (frigg, app) = people(&server).await;
        let code = server.code(&frigg, &app, &[]).await;
        let form = app.exchange_form(&code);
        for (name, text) in [
            ("grant_type", "Missing grant_type"),
            ("code", "Missing authorization code"),
            ("code_verifier", "Missing code_verifier"),
        ] {
            for form in [with(&form, name, ""), without(&form, name)] {
                let answer = refused(server.token(&form).await, "invalid_request");
                assert_eq!(answer.text("error_description"), text);
            }
        }
        let body = encode(&form) + "&scope=&scope=&client_secret=&&redirect_uri";
        let tokens = server.send(raw(&server, body)).await.expect(200);
        let form = app.refresh_form("");
        let answer = refused(server.token(&form).await, "invalid_request");
        assert_eq!(answer.text("error_description"), "Missing refresh_token");
        let answer = refused(server.poll(&app, "").await, "invalid_request");
        assert_eq!(answer.text("error_description"), "Missing device_code");
        let refresh_token = tokens.text("refresh_token");
        let form = with(&app.refresh_form(&refresh_token), "scope", "");
        server.token(&form).await.expect(200);
    }

    /// req_007: unknown parameters are ignored, also repeated ones.
    async fn unknown_parameters_are_ignored(setup: Setup) {
        let server = setup.start().await;
        let (frigg, app) = people(&server).await;
        let code = server.code(&frigg, &app, &[]).await;
        let mut form = app.exchange_form(&code);
        form.extend([("audience", "a"), ("audience", "b"), ("x", ""), ("", "y")]);
        server.token(&form).await.expect(200);
    }

    /// A-65: a body of more than 32 KiB is refused.
    async fn a_long_body_is_refused(setup: Setup) {
        let server = setup.start().await;
        let (frigg, app) = people(&server).await;
        let code = server.code(&frigg, &app, &[]).await;
        let body = encode(&app.exchange_form(&code));
        let padded = |length: usize| format!("{body}&x={}", "a".repeat(length - body.len() - 3));
        refused(server.send(raw(&server, padded(32 * 1_024 + 1))).await, "invalid_request");
        refused(server.send(raw(&server, padded(40_000))).await, "invalid_request");
        server.send(raw(&server, padded(32 * 1_024))).await.expect(200);
    }

    /// A-65: long parameters, many parameters, and a scope with many names are refused.
    async fn long_and_many_parameters_are_refused(setup: Setup) {
        let server = setup.start().await;
        let (frigg, app) = people(&server).await;
        let token = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let form = app.refresh_form(&token);
        let (long, names) = ("a".repeat(4_097), "openid ".repeat(300));
        let many = ["openid"; 65].join(" ");
        refused(server.token(&with(&form, "refresh_token", &long)).await, "invalid_request");
        refused(server.token(&with(&form, "client_id", &long)).await, "invalid_request");
        refused(server.token(&with(&form, "scope", names.trim())).await, "invalid_request");
        refused(server.token(&with(&form, "scope", &many)).await, "invalid_scope");
        let padding = |count| std::iter::repeat_n(("x", "y"), count);
        let mut crowded: Form<'_> = form.clone();
        crowded.extend(padding(65 - form.len()));
        refused(server.token(&crowded).await, "invalid_request");
        refused(server.send(raw(&server, "x&".repeat(10_000))).await, "invalid_request");
        crowded.pop();
        server.token(&crowded).await.expect(200);
    }

    /// A-66: values and names must be percent-encoded UTF-8 without NUL.
    async fn malformed_percent_encoding_is_refused(setup: Setup) {
        let server = setup.start().await;
        let (_, app) = people(&server).await;
        for broken in ["%ff%fe", "%00", "a%00b", "%", "%zz", "%4", "%c0%af", "%ed%a0%80", "%f4%90%80%80"] {
            for name in ["refresh_token", "client_id", "scope", "grant_type"] {
                let rest = encode(&without(&app.refresh_form("x"), name));
                let answer = server.send(raw(&server, format!("{rest}&{name}={broken}"))).await;
                refused(answer, "invalid_request");
            }
            let rest = encode(&app.refresh_form("x"));
            refused(server.send(raw(&server, format!("{rest}&x{broken}=y"))).await, "invalid_request");
        }
        for bytes in [&b"grant_type=\xff"[..], b"\x00", b"grant_type=a\x00b"] {
            refused(server.send(raw(&server, bytes)).await, "invalid_request");
        }
    }

    /// A-69: SQL syntax in values has no effect.
    async fn sql_syntax_has_no_effect(setup: Setup) {
        let server = setup.start().await;
        let (frigg, app) = people(&server).await;
        let token = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        for text in ["'", "\"", "' OR '1'='1", "'; DROP TABLE oauth_clients; --", "$1", "%", "\\", "1) OR (1=1", "{\"a\":1}"] {
            refused(server.token(&app.exchange_form(text)).await, "invalid_grant");
            refused(server.token(&app.refresh_form(text)).await, "invalid_grant");
            refused(server.token(&app.poll_form(text)).await, "invalid_grant");
            let form = with(&app.refresh_form(&token), "client_id", text);
            refused(server.token(&form).await, "invalid_client");
            let form = with(&app.refresh_form(&token), "scope", text);
            refused(server.token(&form).await, "invalid_scope");
            let form = with(&app.refresh_form(&token), "grant_type", text);
            refused(server.token(&form).await, "unsupported_grant_type");
        }
        server.refresh(&app, &token).await.expect(200);
    }

    /// req_036, req_113: an unknown grant type is refused before the client is looked up; `password`
    /// and `implicit` are unknown.
    async fn an_unknown_grant_is_unsupported(setup: Setup) {
        let server = setup.start().await;
        for grant in ["password", "implicit", "token", "AUTHORIZATION_CODE", "authorization_code ", "device_code"] {
            let form = [("grant_type", grant), ("username", "odin"), ("password", "x")];
            let answer = refused(server.token(&form).await, "unsupported_grant_type");
            let shown = if grant.contains(' ') { String::new() } else { format!(" {grant}") };
            let expected = format!(
                "The grant_type is not supported; the value{shown} is none of authorization_code, refresh_token, \
                 client_credentials and urn:ietf:params:oauth:grant-type:device_code"
            );
            assert_eq!(answer.text("error_description"), expected);
        }
        let answer = refused(server.token(&[]).await, "invalid_request");
        assert_eq!(answer.text("error_description"), "Missing grant_type");
    }

    /// req_027, req_035: an error response never echoes input (reflected XSS).
    async fn errors_do_not_echo_input(setup: Setup) {
        let server = setup.start().await;
        let (_, app) = people(&server).await;
        let evil = "<script>\"\\\r\nevil";
        for form in [
            with(&app.refresh_form("x"), "client_id", evil),
            with(&app.refresh_form("x"), "grant_type", evil),
            with(&app.refresh_form("x"), "scope", evil),
            app.refresh_form(evil),
            app.exchange_form(evil),
        ] {
            let answer = server.token(&form).await;
            assert_eq!(answer.status, 400);
            let code = answer.text("error");
            assert!(!refused(answer, &code).body.contains("evil"));
        }
    }

    /// req_035: an error has exactly the members `error` and `error_description`.
    async fn an_error_has_two_members(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let answer = refused(server.refresh(&app, "x").await, "invalid_grant");
        allow_duplicates! { assert_json_snapshot!(answer.json(), @r#"
        {
          "error": "invalid_grant",
          "error_description": "Refresh token is invalid, expired, or revoked; no such token was issued to this client"
        }
        "#) }
    }

    /// A-108: while OAuth is off no token is issued, with the reason.
    async fn while_oauth_is_off_no_token_is_issued(setup: Setup) {
        let on = setup.start().await;
        let (frigg, app) = people(&on).await;
        let tokens = on.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let off = setup.clone().with("OAUTH_ENABLED", "false").start().await;
        let answer = refused(off.refresh(&app, &tokens).await, "invalid_request");
        assert_eq!(answer.text("error_description"), "OAuth is not enabled on this instance");
        on.refresh(&app, &tokens).await.expect(200);
    }

    /// req_036: a client without any grant is `unauthorized_client` for each grant.
    async fn a_client_without_grants_is_unauthorized(setup: Setup) {
        let server = setup.start().await;
        let app = server.client(NewClient { grants: &[], ..NewClient::default() }).await;
        for form in [app.exchange_form("x"), app.refresh_form("x"), app.poll_form("x")] {
            refused(server.token(&form).await, "unauthorized_client");
        }
    }
}
