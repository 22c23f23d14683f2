//! `error_uri` of protocol errors (RFC 6749 §4.1.2.1, §5.2): a link to the section of the code in
//! `docs/guides/errors.md`, at `DOCS_URL`.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::json;

use crate::support::registration::register;
use crate::support::{Answer, Client, Server, Setup, both};

const PAGE: &str = "https://docs.example/errors.html";
const ERRORS: &str = include_str!("../../docs/guides/errors.md");

/// The codes that the server can send, from the source text.
fn codes() -> BTreeSet<&'static str> {
    let code = Regex::new(r#"Self::\w+ => "([a-z_]+)""#).unwrap();
    let text = include_str!("../../src/oauth/error.rs");
    let codes = code.captures_iter(text);
    codes.map(|found| found.extract::<1>().1[0]).collect()
}

#[test]
fn every_error_code_has_a_section() {
    let sections: BTreeSet<_> = ERRORS
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .filter(|heading| !heading.contains(' ')) // "What went wrong"
        .collect();
    assert!(sections.len() > 20);
    assert_eq!(sections, codes());
}

/// A server with `DOCS_URL`, dynamic registration, and a further setting.
async fn explaining(setup: &Setup, further: (&str, &str)) -> Server {
    let setup = setup.clone().with("DOCS_URL", PAGE);
    let setup = setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true");
    setup.with(further.0, further.1).start().await
}

/// The errors of the token endpoint and of registration.
async fn errors(server: &Server, app: &Client) -> [Answer; 2] {
    let unknown = server
        .exchange(app, "x")
        .await
        .expect_error(400, "invalid_grant");
    let document = json!({ "redirect_uris": ["javascript:alert(1)"] });
    [unknown, register(server, &document).await.expect(400)]
}

/// Asserts the link of a body.
#[track_caller]
fn assert_linked(answer: &Answer) {
    let code = answer.text("error");
    assert!(codes().contains(code.as_str()));
    assert_eq!(answer.text("error_uri"), format!("{PAGE}#{code}"));
}

both! {
    /// RFC 6749 §5.2, RFC 7591 §3.2.2: the body of an error has the link beside code and description.
    async fn bodies_of_errors_have_the_link(setup: Setup) {
        let server = explaining(&setup, ("LOG_LEVEL", "info")).await;
        let app = server.public_client().await;
        for answer in errors(&server, &app).await {
            assert_linked(&answer);
            assert!(answer.text("error_description").len() > 10);
            assert_eq!(answer.header("cache-control"), "no-store");
            let length = answer.find_header("content-length").map(str::to_owned);
            assert!(length.is_none_or(|length| length == answer.body.len().to_string()));
        }
        let frigg = server.member("frigg", &[]).await;
        let tokens = server.tokens(&frigg, &app, &[("scope", "openid")]).await;
        assert_eq!(tokens.json().get("error_uri"), None);
        let lacking = server.get_with_bearer("/api/oauth/userinfo", "x").await;
        assert_linked(&lacking.expect_error(401, "invalid_token"));
    }

    /// RFC 6749 §4.1.2.1: an error that is sent to the redirect URI has the link as a parameter.
    async fn redirected_errors_have_the_link(setup: Setup) {
        let server = explaining(&setup, ("LOG_LEVEL", "info")).await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let refused = server.authorize(Some(&frigg), &app, &[("response_type", "token")]).await;
        assert_eq!(refused.sent("error").as_deref(), Some("unsupported_response_type"));
        assert_eq!(refused.sent("error_uri").unwrap(), format!("{PAGE}#unsupported_response_type"));
        assert_eq!(refused.sent("state").as_deref(), Some("st"));
        let request_id = server.pending(&frigg, &app, &[]).await;
        let denied = server.decide(&frigg, &request_id, "deny").await.expect(200);
        assert_eq!(denied.sent("error_uri"), None, "a denial of the member is no fault of the application");
    }

    /// Without `DOCS_URL`, and in the profile `storyden`, errors have no link.
    async fn without_the_setting_errors_have_no_link(setup: Setup) {
        let silent = [
            setup.clone().with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true").start().await,
            explaining(&setup.second_community().await, ("OAUTH_PROFILE", "storyden")).await,
        ];
        for server in silent {
            let app = server.public_client().await;
            for answer in errors(&server, &app).await {
                assert_eq!(answer.json().get("error_uri"), None);
            }
            let frigg = server.member("frigg", &[]).await;
            let refused = server.authorize(Some(&frigg), &app, &[("response_type", "token")]).await;
            assert!(!refused.body.contains("error_uri"));
            let location = refused.find_header("location").unwrap_or_default();
            assert!(!location.contains("error_uri"), "{location}");
        }
    }

    async fn the_setting_is_an_address_without_a_query(setup: Setup) {
        for wrong in ["docs", "ftp://docs.example", "https://docs.example/?a=b", "https://docs.example/#a", "https://u@docs.example"] {
            let ended = setup.run(&["client", "list"], &[("DOCS_URL", wrong)]).await;
            assert_ne!(ended.code, Some(0), "{wrong}");
            assert!(ended.stderr.contains("DOCS_URL"), "{wrong}: {}", ended.stderr);
        }
    }
}
