//! Error descriptions name the refused value and the accepted values, and tell only the client of a code
//! or token what became of it.

use storyden_auth::oauth::grant_type::GrantType;
use time::Duration;

use crate::support::race::with;
use crate::support::{Answer, NewClient, both};

/// The description of a protocol error, whose characters are those of RFC 6749 §5.2 (req_027).
#[track_caller]
fn text(answer: Answer, code: &str) -> String {
    let text = answer.expect_error(400, code).text("error_description");
    let allowed = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    assert!(text.bytes().all(allowed), "{text:?}");
    text
}

const CODE: &str = "Authorization code is invalid, expired, or already used";
const TOKEN: &str = "Refresh token is invalid, expired, or revoked";

both! {
    /// req_036, A-83: the client of a code learns whether the code has expired, was used, was revoked or
    /// was never issued. No description contains the code.
    async fn the_client_learns_what_became_of_its_code(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let unknown = text(server.exchange(&app, "x").await, "invalid_grant");
        assert_eq!(unknown, format!("{CODE}; no such code was issued to this client; codes live 60 seconds"));
        let code = server.code(&frigg, &app, &[]).await;
        server.exchange(&app, &code).await.expect(200);
        let used = text(server.exchange(&app, &code).await, "invalid_grant");
        assert_eq!(used, format!("{CODE}; this code was used before, each code is valid once"));
        let late = server.code(&frigg, &app, &[]).await;
        server.turn(Duration::seconds(60));
        let expired = text(server.exchange(&app, &late).await, "invalid_grant");
        assert_eq!(expired, format!("{CODE}; this code has expired, codes live 60 seconds"));
        let revoked = server.code(&frigg, &app, &[]).await;
        server.suspend(&frigg).await;
        let revoked_text = text(server.exchange(&app, &revoked).await, "invalid_grant");
        assert_eq!(revoked_text, format!("{CODE}; this code was revoked, start the authorization again"));
        for said in [unknown, used, expired, revoked_text] {
            assert!(![&code, &late, &revoked].iter().any(|code| said.contains(code.as_str())));
        }
    }

    /// a different client, and a request without the redirect URI or the verifier of the
    /// authorization request, learn nothing about a code.
    async fn others_learn_nothing_about_a_code(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let other = server.client(NewClient { client_id: "other", ..NewClient::default() }).await;
        let fresh = server.code(&frigg, &app, &[]).await;
        let used = server.code(&frigg, &app, &[]).await;
        server.exchange(&app, &used).await.expect(200);
        let late = server.code(&frigg, &app, &[]).await;
        let unknown = text(server.exchange(&other, "x").await, "invalid_grant");
        for turn in [0, 59] {
            server.turn(Duration::seconds(turn));
            for code in [&fresh, &used, &late] {
                assert_eq!(text(server.exchange(&other, code).await, "invalid_grant"), unknown);
                for (name, value) in [("code_verifier", "x".repeat(43)), ("redirect_uri", "https://app.example/x".to_owned())] {
                    let form = app.exchange_form(code);
                    let said = text(server.token(&with(&form, name, &value)).await, "invalid_grant");
                    assert!(!said.contains("expired") && !said.contains("used"), "{said}");
                }
            }
        }
    }

    /// the same for refresh tokens.
    async fn the_client_learns_what_became_of_its_refresh_token(setup: Setup) {
        let server = setup.with("OAUTH_REFRESH_TOKEN_TTL", "1h").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let other = server.client(NewClient { client_id: "other", ..NewClient::default() }).await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let unknown = format!("{TOKEN}; no such token was issued to this client");
        assert_eq!(text(server.refresh(&other, &first).await, "invalid_grant"), unknown);
        assert_eq!(text(server.refresh(&app, "x").await, "invalid_grant"), unknown);
        let second = server.refresh(&app, &first).await.expect(200).text("refresh_token");
        server.turn(Duration::seconds(11));
        let used = text(server.refresh(&app, &first).await, "invalid_grant");
        assert!(used.starts_with(&format!("{TOKEN}; this token was used before")), "{used}");
        let revoked = format!("{TOKEN}; this token was revoked, start the authorization again");
        assert_eq!(text(server.refresh(&app, &second).await, "invalid_grant"), revoked);
        assert_eq!(text(server.refresh(&other, &second).await, "invalid_grant"), unknown);
        let third = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        server.turn(Duration::hours(1));
        let expired = format!("{TOKEN}; this token has expired, start the authorization again");
        assert_eq!(text(server.refresh(&app, &third).await, "invalid_grant"), expired);
    }

    /// req_020, req_038: a scope that is not permitted is named, with the scopes that are.
    async fn a_refused_scope_is_named(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[("scope", "openid offline_access")]).await;
        let token = tokens.text("refresh_token");
        let form = with(&app.refresh_form(&token), "scope", "openid email");
        assert_eq!(
            text(server.token(&form).await, "invalid_scope"),
            "scope asks for more than was granted; the value email is none of openid and offline_access"
        );
        let service = server.confidential_client(&frigg.id).await;
        let mut form = vec![("grant_type", "client_credentials"), ("scope", "MANAGE_ROLES")];
        form.extend(service.credentials());
        assert_eq!(
            text(server.token(&form).await, "invalid_scope"),
            "Requested scope is not permitted; the value MANAGE_ROLES is none of openid, profile, email, \
             offline_access, READ_PROFILE and MANAGE_POSTS"
        );
    }

    /// req_144: a resource that is not known is named, with the known ones.
    async fn a_refused_resource_is_named(setup: Setup) {
        let server = setup.with("OAUTH_RESOURCES", "https://files.example/").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let service = server.confidential_client(&frigg.id).await;
        let mut form = vec![("grant_type", "client_credentials"), ("resource", "https://other.example")];
        form.extend(service.credentials());
        assert_eq!(
            text(server.token(&form).await, "invalid_target"),
            "resource is not known here; the value https://other.example is none of https://auth.example, \
             https://auth.example/api, https://auth.example/mcp, https://auth.example/mcp/sse and \
             https://files.example/"
        );
        let tokens = server.tokens(&frigg, &app, &[("resource", "https://files.example")]).await;
        let token = tokens.text("refresh_token");
        let mut form = app.refresh_form(&token);
        form.push(("resource", "https://auth.example/api"));
        assert_eq!(
            text(server.token(&form).await, "invalid_target"),
            "resource asks for more than was granted; the value https://auth.example/api is none of \
             https://files.example/"
        );
    }

    /// A-83, req_027: a value that may be a secret, or has characters of markup, is not repeated.
    async fn an_unsafe_value_is_not_repeated(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let secret = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        for grant_type in [secret, "<b>", "a b", "\"", "é", "a\\b"] {
            let mut form = app.refresh_form("x");
            form[0].1 = grant_type;
            let said = text(server.token(&form).await, "unsupported_grant_type");
            assert!(said.starts_with("The grant_type is not supported; the value is none of authorization_code"), "{said}");
        }
    }

    /// storyden-contract.md#error-texts: in the profile `storyden` the texts are Storyden's.
    async fn in_the_storyden_profile_the_texts_are_storydens(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let limited = server.client(NewClient {
            client_id: "limited",
            grants: &[GrantType::DeviceCode],
            ..NewClient::default()
        }).await;
        assert_eq!(text(server.exchange(&app, "x").await, "invalid_grant"), CODE);
        let code = server.code(&frigg, &app, &[]).await;
        server.exchange(&app, &code).await.expect(200);
        assert_eq!(text(server.exchange(&app, &code).await, "invalid_grant"), CODE);
        assert_eq!(text(server.refresh(&app, "x").await, "invalid_grant"), TOKEN);
        let grant = with(&app.refresh_form("x"), "grant_type", "password");
        assert_eq!(text(server.token(&grant).await, "unsupported_grant_type"), "The grant_type is not supported");
        let started = server.start_device(&limited, "MANAGE_ROLES").await;
        assert_eq!(text(started, "invalid_scope"), "Requested scope is not permitted for this client");
        let refused = text(server.refresh(&limited, "x").await, "unauthorized_client");
        assert_eq!(refused, "Client is not authorized for refresh_token grant");
    }
}
