//! Requirement of pushed requests by the client, its owner, an administrator and the operator (RFC 9126 §5, §6);
//! and the settings.

use serde_json::{Value, json};
use storyden_auth::oauth::request_protection::RequestProtection;

use crate::support::registration::{client_of, open, register};
use crate::support::{
    BrowserRequest, Client, ClientKey, Member, NewClient, Server, assert_redirect_to_consent, both,
    refused, told,
};

const URI: &str = "https://app.example/cb";
const PUSHED: RequestProtection = RequestProtection {
    pushed: true,
    signed: false,
};

/// Asserts that requests of a client must be pushed, or need not be.
async fn assert_must_push(server: &Server, member: &Member, client: &Client, must: bool) {
    for guest in [Some(member), None] {
        let answer = server
            .authorize(guest, client, &[("prompt", "consent")])
            .await;
        if must {
            refused(answer, "invalid_request");
        } else {
            answer.expect(302);
        }
    }
    let form = client.authorization_request(&[]);
    let posted = server.post_form("/api/oauth/authorize", &form).await;
    posted.expect(if must { 400 } else { 303 });
    let request_uri = server.pushed(client, &[("prompt", "consent")]).await;
    assert_redirect_to_consent(server.open_pushed(Some(member), client, &request_uri).await);
}

/// The metadata of the server.
async fn metadata(server: &Server) -> Value {
    server
        .get("/.well-known/oauth-authorization-server")
        .await
        .expect(200)
        .json()
}

both! {
    /// RFC 9126 §5: the operator requires pushed requests of every client; a request in the browser is refused
    /// without a redirect.
    async fn the_operator_requires_pushed_requests(setup: Setup) {
        let setting = "OAUTH_REQUIRE_PUSHED_AUTHORIZATION_REQUESTS";
        let server = setup.clone().with(setting, "true").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        assert_eq!(metadata(&server).await["require_pushed_authorization_requests"], true);
        assert_must_push(&server, &frigg, &app, true).await;
        // a request that waits for the sign-in since before the setting
        let before = setup.start().await;
        let plain = BrowserRequest::begin(&before, &app, &[]).await;
        assert_eq!(metadata(&before).await["require_pushed_authorization_requests"], false);
        plain.open(&server, &frigg).await.expect_error(400, "invalid_request");
        plain.open(&before, &frigg).await.expect(200);
        let waiting = server.pushed(&app, &[]).await;
        let waiting = BrowserRequest::of(&server.open_pushed(None, &app, &waiting).await.expect(302));
        waiting.open(&server, &frigg).await.expect(200);
        // other grants are not concerned
        server.start_device(&app, "openid").await.expect(200);
    }

    /// RFC 9126 §6: a registration or a metadata document demands it of its own client alone.
    async fn a_registration_demands_pushed_requests(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let document = json!({
            "redirect_uris": [URI], "token_endpoint_auth_method": "none",
            "require_pushed_authorization_requests": true,
        });
        let answer = register(&server, &document).await.expect(201);
        assert_eq!(answer.json()["require_pushed_authorization_requests"], true);
        let app = client_of(&answer, URI);
        assert_must_push(&server, &frigg, &app, true).await;
        let path = format!("/api/oauth/register/{}", app.client_id);
        let token = answer.text("registration_access_token");
        let shown = server.get_with_bearer(&path, &token).await.expect(200);
        assert_eq!(shown.json()["require_pushed_authorization_requests"], true);
        let mut changed = document.clone();
        changed["client_id"] = json!(app.client_id);
        changed["require_pushed_authorization_requests"] = json!(false);
        let put = server.request("PUT", &path).bearer_auth(&token).json(&changed);
        let put = server.send(put).await.expect(200);
        assert_eq!(put.json().get("require_pushed_authorization_requests"), None);
        assert_must_push(&server, &frigg, &app, false).await;
        assert_must_push(&server, &frigg, &server.public_client().await, false).await;
        let wrong = json!({ "redirect_uris": [URI], "require_pushed_authorization_requests": "yes" });
        let warned = register(&server, &wrong).await.expect(201);
        assert_eq!(warned.json()["warnings"].as_array().unwrap().len(), 1);
    }

    /// The owner and administrators set and end the requirement; the command line sets it.
    async fn owner_and_administrators_set_the_requirement(setup: Setup) {
        let server = setup.start().await;
        let (frigg, odin) = (server.member("frigg", &[]).await, server.admin("odin").await);
        let new = json!({
            "name": "App", "type": "public", "allowed_scopes": ["openid", "profile", "email", "offline_access"],
            "allowed_grants": ["authorization_code", "refresh_token"], "pkce_required": true,
            "redirect_uris": [URI], "require_pushed_authorization_requests": true,
        });
        let member = "/api/auth/oauth/clients";
        let made = server.post_as(&frigg, member, &new).await.expect(200).json();
        let app = Client {
            client_id: made["client"]["client_id"].as_str().unwrap().to_owned(),
            redirect_uri: URI.to_owned(), ..server.public_client().await
        };
        assert_eq!(made["client"]["require_pushed_authorization_requests"], true);
        assert_must_push(&server, &frigg, &app, true).await;
        let row = made["client"]["id"].as_str().unwrap();
        for (who, path) in [(&frigg, member), (&odin, "/api/admin/oauth/clients")] {
            let path = format!("{path}/{row}");
            for required in [false, true] {
                let body = json!({ "require_pushed_authorization_requests": required });
                let changed = server.call_as(who, ("PATCH", &path), Some(&body)).await.expect(200);
                assert_eq!(changed.json()["require_pushed_authorization_requests"], required);
                let named = server.call_as(who, ("PATCH", &path), Some(&json!({ "name": "Named" }))).await.expect(200);
                assert_eq!(named.json()["require_pushed_authorization_requests"], required);
                assert_must_push(&server, &frigg, &app, required).await;
            }
            for wrong in [json!("yes"), json!(null), json!(1)] {
                let body = json!({ "require_pushed_authorization_requests": wrong });
                let answer = server.call_as(who, ("PATCH", &path), Some(&body)).await.expect(400);
                assert!(answer.body.contains("true or false"), "{}", answer.body);
            }
        }
        let made = json!({
            "account_id": frigg.id, "client_id": "made", "name": "Made", "type": "public", "allowed_scopes": ["openid"],
            "allowed_grants": ["authorization_code"], "redirect_uris": [URI],
            "require_pushed_authorization_requests": true,
        });
        let made = server.post_as(&odin, "/api/admin/oauth/clients", &made).await.expect(200);
        assert_eq!(made.json()["require_pushed_authorization_requests"], true);
    }

    /// `client create --require-pushed-requests`, `client show`.
    async fn the_command_line_sets_the_requirement(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let create = [
            "client", "create", "--name", "Strict", "--client-id", "strict", "--type", "public",
            "--redirect-uri", URI, "--require-pushed-requests",
        ];
        assert_eq!(setup.run(&create, &[]).await.code, Some(0));
        let shown = setup.run(&["client", "show", "strict", "--json"], &[]).await;
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
        assert_eq!(shown["require_pushed_authorization_requests"], true);
        let text = setup.run(&["client", "show", "strict"], &[]).await.stdout;
        assert!(text.contains("pushed requests"), "{text}");
        let app = Client { client_id: "strict".to_owned(), ..server.public_client().await };
        assert_must_push(&server, &frigg, &app, true).await;
    }

    /// While pushed requests are disabled, there is no endpoint, the metadata do not name it, and requests by
    /// reference or as an object are not supported. A client that demands protection is not authorized without.
    async fn pushed_requests_can_be_disabled(setup: Setup) {
        let enabled = setup.start().await;
        let server = setup.with("OAUTH_PAR_ENABLED", "false").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        server.push(&app, &[]).await.expect(404);
        let document = metadata(&server).await;
        for member in [
            "pushed_authorization_request_endpoint", "require_pushed_authorization_requests",
            "request_object_signing_alg_values_supported",
        ] {
            assert_eq!(document.get(member), None);
        }
        assert_eq!(document["request_parameter_supported"], false);
        let request_uri = enabled.pushed(&app, &[]).await;
        for (name, value) in [("request_uri", request_uri.as_str()), ("request", "eyJhbGciOiJub25lIn0.e30.")] {
            let answer = server.authorize(Some(&frigg), &app, &[(name, value)]).await;
            told(answer, &format!("{name}_not_supported"));
        }
        let strict = NewClient { client_id: "strict", request_protection: PUSHED, ..NewClient::default() };
        let strict = server.client(strict).await;
        refused(server.authorize(Some(&frigg), &strict, &[]).await, "invalid_request");
        let body = json!({ "require_pushed_authorization_requests": true });
        let odin = server.admin("odin").await;
        let path = format!("/api/admin/oauth/clients/{}", app.row_id);
        let changed = server.call_as(&odin, ("PATCH", &path), Some(&body)).await.expect(200);
        assert_eq!(changed.json().get("require_pushed_authorization_requests"), None);
        server.authorize(Some(&frigg), &app, &[]).await.expect(302);
    }

    /// A registration is told that pushed and signed requests are disabled.
    async fn a_registration_is_told_what_is_disabled(setup: Setup) {
        let server = open(setup.with("OAUTH_PAR_ENABLED", "false")).await;
        let key = ClientKey::es256();
        let document = json!({
            "redirect_uris": [URI], "jwks": key.jwks(), "require_pushed_authorization_requests": true,
            "require_signed_request_object": true, "request_object_signing_alg": "ES256",
        });
        let answer = register(&server, &document).await.expect(201).json();
        for member in ["require_pushed_authorization_requests", "require_signed_request_object", "request_object_signing_alg"] {
            assert_eq!(answer.get(member), None);
        }
        assert_eq!(answer["warnings"].as_array().unwrap().len(), 1);
    }

    /// The profile `storyden` has neither pushed nor signed requests, unless the operator turns them on.
    async fn the_profile_storyden_has_them_on_demand(setup: Setup) {
        let setup = setup.with("OAUTH_PROFILE", "storyden");
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        server.push(&app, &[]).await.expect(404);
        let document = metadata(&server).await;
        let members: Vec<&String> = document.as_object().unwrap().keys().collect();
        assert!(!members.iter().any(|name| name.contains("request")), "{members:?}");
        let plain = server.authorize(Some(&frigg), &app, &[]).await.expect(302);
        // Storyden ignores both parameters
        for (name, value) in [("request", "x"), ("request_uri", "urn:ietf:params:oauth:request_uri:x")] {
            let answer = server.authorize(Some(&frigg), &app, &[(name, value)]).await.expect(302);
            assert_eq!(answer.location().path(), plain.location().path());
        }
        let answer = server.send(server.authorize_query(Some(&frigg), &[("client_id", "app"), ("request_uri", "x")])).await;
        assert_eq!(answer.expect(400).header("content-type"), "application/problem+json");

        let server = setup.with("OAUTH_PAR_ENABLED", "true").start().await;
        let document = metadata(&server).await;
        assert_eq!(document["pushed_authorization_request_endpoint"], "https://auth.example/api/oauth/par");
        assert_eq!(document["request_parameter_supported"], true);
        server.authorize(Some(&frigg), &app, &[]).await.expect(302);
        let request_uri = server.pushed(&app, &[]).await;
        let request_id = assert_redirect_to_consent(server.open_pushed(Some(&frigg), &app, &request_uri).await);
        let back = server.decide(&frigg, &request_id, "approve").await.expect(200);
        server.exchange(&app, &back.sent("code").unwrap()).await.expect(200);
        let strict = NewClient { client_id: "strict", request_protection: PUSHED, ..NewClient::default() };
        let strict = server.client(strict).await;
        server.authorize(Some(&frigg), &strict, &[]).await.expect(400);
    }

    /// While OAuth is off, nothing is stored (storyden-contract.md#while-oauth-is-off).
    async fn nothing_is_pushed_while_oauth_is_off(setup: Setup) {
        let app = setup.start().await.public_client().await;
        let server = setup.with("OAUTH_ENABLED", "false").start().await;
        server.push(&app, &[]).await.expect_error(400, "temporarily_unavailable");
    }
}

/// Pushed requests cannot be required while they are disabled.
#[test]
fn disabled_requests_cannot_be_required() {
    use storyden_auth::config::Config;
    for (profile, enabled, valid) in [
        ("standards", "", true),
        ("standards", "false", false),
        ("storyden", "", false),
        ("storyden", "true", true),
    ] {
        let setting = |name: &str| match name {
            "OAUTH_PROFILE" => Some(profile.to_owned()),
            "OAUTH_PAR_ENABLED" => Some(enabled.to_owned()),
            "OAUTH_REQUIRE_PUSHED_AUTHORIZATION_REQUESTS" => Some("true".to_owned()),
            _ => None,
        };
        assert_eq!(
            Config::from_lookup(&setting).is_ok(),
            valid,
            "{profile} {enabled}"
        );
    }
}
