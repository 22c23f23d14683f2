//! `Content-Type` of forms and JSON bodies (RFC 9110 §8.3): every spelling of UTF-8 is read, and a
//! charset that cannot be read is an error.

use serde_json::json;

use crate::support::{Answer, PASSWORD, Server, both};

const FORM: &str = "application/x-www-form-urlencoded";

/// Spellings of a media type in UTF-8, for `format!`-like replacement of `TYPE`.
const UTF_8: &[&str] = &[
    "TYPE",
    "TYPE; charset=utf-8",
    "TYPE;charset=UTF-8",
    "TYPE; charset=\"utf-8\"",
    "TYPE; Charset=\"UTF-8\"; ",
    "TYPE ;\tCHARSET=utf8",
    "TYPE; charset=utf8; boundary=x",
    "TYPE; profile=\"a;charset=latin1\"",
    "TYPE; charset=us-ascii",
];

/// Charsets that are not read, with the name in the error.
const OTHERS: &[(&str, &str)] = &[
    ("TYPE; charset=iso-8859-1", "charset iso-8859-1"),
    ("TYPE; charset=\"windows-1252\"", "charset windows-1252"),
    ("TYPE; CHARSET=UTF-16", "charset UTF-16"),
    ("TYPE; charset=utf-8; charset=utf-7", "charset utf-7"),
    ("TYPE; charset=\"<x>\"", "charset"),
];

/// Sends a body to the device start endpoint.
async fn start(server: &Server, media_type: &str) -> Answer {
    let request = server
        .request("POST", "/api/oauth/device_authorization")
        .header("content-type", media_type)
        .body("client_id=app&scope=openid");
    server.send(request).await
}

both! {
    /// a form in UTF-8 is read in every spelling of its type.
    async fn a_form_is_read_in_every_spelling_of_utf8(setup: Setup) {
        let server = setup.start().await;
        server.public_client().await;
        for spelling in UTF_8 {
            for media_type in [FORM, "Application/X-WWW-Form-URLEncoded"] {
                start(&server, &spelling.replace("TYPE", media_type)).await.expect(200);
            }
        }
    }

    /// A-64, req_035: a form in another charset is an error that names the charset.
    async fn a_form_in_another_charset_is_an_error(setup: Setup) {
        let server = setup.start().await;
        server.public_client().await;
        for (spelling, named) in OTHERS {
            for path in ["device_authorization", "token", "revoke", "introspect"] {
                let request = server
                    .request("POST", &format!("/api/oauth/{path}"))
                    .header("content-type", spelling.replace("TYPE", FORM))
                    .body("client_id=app&grant_type=refresh_token&refresh_token=x&token=x");
                let answer = server.send(request).await.expect_error(400, "invalid_request");
                let expected = format!("{named} of Content-Type is not supported; send the body as UTF-8");
                assert_eq!(answer.text("error_description"), expected, "{path} {spelling}");
            }
        }
    }

    /// JSON bodies have the same rule, at registration and at the JSON API.
    async fn json_is_read_in_utf8_only(setup: Setup) {
        let server = setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true").start().await;
        server.member("frigg", &[]).await;
        let sign_in = json!({ "identifier": "frigg", "token": PASSWORD }).to_string();
        let register = json!({ "redirect_uris": ["https://app.example/cb"] }).to_string();
        let post = async |path: &str, media_type: &str, body: &str| {
            let request = server.request("POST", path).header("content-type", media_type).body(body.to_owned());
            server.send(request).await
        };
        for spelling in UTF_8 {
            let media_type = spelling.replace("TYPE", "application/json");
            post("/api/auth/password/signin", &media_type, &sign_in).await.expect(200);
            post("/api/oauth/register", &media_type, &register).await.expect(201);
        }
        for (spelling, named) in OTHERS {
            let media_type = spelling.replace("TYPE", "application/json");
            let expected = format!("{named} of Content-Type is not supported; send the body as UTF-8");
            let refused = post("/api/auth/password/signin", &media_type, &sign_in).await.expect(415);
            assert_eq!(refused.text("detail"), expected);
            let refused = post("/api/oauth/register", &media_type, &register).await;
            let refused = refused.expect_error(400, "invalid_client_metadata");
            assert_eq!(refused.text("error_description"), expected);
        }
    }

    /// storyden-contract.md#token-endpoint: in the profile `storyden` parameters of the type are ignored,
    /// quoted or not.
    async fn in_the_storyden_profile_parameters_of_the_type_are_ignored(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        server.public_client().await;
        let others = OTHERS.iter().map(|(spelling, _)| spelling);
        for spelling in UTF_8.iter().chain(others) {
            start(&server, &spelling.replace("TYPE", FORM)).await.expect(200);
        }
        start(&server, "text/plain; charset=utf-8").await.expect_error(400, "invalid_client");
    }
}
