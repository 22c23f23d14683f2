//! Consent to an authorization request (storyden-contract.md#consent).

use serde_json::{Value, json};
use time::Duration;

use crate::support::{Answer, Member, Server, both, consent_page};

/// Path of the consent endpoint.
const PATH: &str = "/api/oauth/authorize/consent";

/// Asserts the error for a request that is unknown, expired, decided, or of a different account.
#[track_caller]
fn assert_not_decidable(answer: Answer) {
    let answer = answer.expect_error(400, "invalid_request");
    let description = answer.text("error_description");
    assert_eq!(
        description,
        "Request is invalid, expired, or already processed"
    );
    assert_eq!(answer.json().get("location"), None);
}

/// Counts the authorization codes.
async fn codes(server: &Server) -> i64 {
    server
        .count("SELECT COUNT(*) AS n FROM oauth_authorisation_codes", &[])
        .await
}

/// Posts a decision with the given headers and body.
async fn post(server: &Server, member: &Member, headers: &[(&str, &str)], body: String) -> Answer {
    let mut request = server
        .request("POST", PATH)
        .header("cookie", member.cookie())
        .body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request).await
}

both! {
    /// req_133, req_192: the response has the client, the requested and granted scopes, and the
    /// redirect URI.
    async fn response_has_client_scopes_and_target(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let app = server.public_client().await;
        let scope = "openid MANAGE_POSTS profile ADMINISTRATOR READ_PROFILE VIEW_ACCOUNTS";
        let request_id = server.pending(&frigg, &app, &[("scope", scope)]).await;
        let answer = server.consent(&frigg, &request_id).await.expect(200);
        assert_eq!(answer.header("content-type"), "application/json");
        let consent = consent_page(&answer, "request_id", &request_id);
        insta::allow_duplicates! {
            insta::assert_json_snapshot!(consent, @r#"
            {
              "client_first_seen_at": "2026-01-01T00:00:00Z",
              "client_id": "app",
              "client_name": "The app",
              "client_registered_by": "administrator",
              "client_version": null,
              "expires_at": "2026-01-01T00:10:00Z",
              "granted_scopes": [
                "openid",
                "MANAGE_POSTS",
                "profile",
                "READ_PROFILE"
              ],
              "inherits_user_permissions": false,
              "new_scopes": [
                "openid",
                "MANAGE_POSTS",
                "profile",
                "READ_PROFILE"
              ],
              "redirect_host": "app.example",
              "redirect_is_loopback": false,
              "redirect_uri": "https://app.example/cb",
              "remembers": true,
              "request_id": null,
              "requested_scopes": [
                "openid",
                "MANAGE_POSTS",
                "profile",
                "ADMINISTRATOR",
                "READ_PROFILE",
                "VIEW_ACCOUNTS"
              ]
            }
            "#);
        }
        // reading changes nothing
        assert_eq!(server.consent(&frigg, &request_id).await.expect(200).body, answer.body);
    }

    /// req_020: an inheriting client that requests no permission is shown with all permissions of the
    /// account.
    async fn inheriting_client_is_shown_with_all_permissions(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let app = server.client(crate::support::NewClient {
            inherit: true,
            scope: "openid ADMINISTRATOR",
            ..Default::default()
        }).await;
        let request_id = server.pending(&odin, &app, &[("scope", "openid")]).await;
        let consent = server.consent(&odin, &request_id).await.expect(200).json();
        assert_eq!(consent["inherits_user_permissions"], true);
        assert_eq!(consent["requested_scopes"], json!(["openid"]));
        let granted = consent["granted_scopes"].as_array().unwrap();
        assert!(granted.contains(&json!("ADMINISTRATOR")), "{granted:?}");
    }

    /// req_025, req_105: approval returns a redirect URL with a code, denial with an error, both with
    /// `state` and `iss`.
    async fn decision_returns_the_redirect_url(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        let approved = server.decide(&frigg, &request_id, "approve").await.expect(200);
        assert_eq!(approved.text("status"), "approved");
        assert_eq!(approved.header("cache-control"), "no-store");
        let code = approved.sent("code").unwrap();
        assert_eq!(code.len(), 43);
        assert_eq!(
            approved.text("location"),
            format!("https://app.example/cb?code={code}&state=st&iss=https%3A%2F%2Fauth.example")
        );
        let request_id = server.pending(&frigg, &app, &[]).await;
        let denied = server.decide(&frigg, &request_id, "deny").await.expect(200);
        insta::allow_duplicates! {
            insta::assert_json_snapshot!(denied.json(), @r#"
            {
              "location": "https://app.example/cb?error=access_denied&state=st&iss=https%3A%2F%2Fauth.example",
              "status": "denied"
            }
            "#);
        }
        assert_eq!(codes(&server).await, 1);
    }

    /// A-52: a request is decided once, whether the second decision is the same or not.
    async fn request_is_decided_once(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for first in ["approve", "deny"] {
            let request_id = server.pending(&frigg, &app, &[]).await;
            server.decide(&frigg, &request_id, first).await.expect(200);
            for second in ["approve", "deny"] {
                assert_not_decidable(server.decide(&frigg, &request_id, second).await);
            }
            assert_not_decidable(server.consent(&frigg, &request_id).await);
        }
        assert_eq!(codes(&server).await, 1);
    }

    /// A-52: of two concurrent decisions, only the first is accepted.
    async fn concurrent_decisions_accept_one(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for other in ["approve", "deny"] {
            let request_id = server.pending(&frigg, &app, &[]).await;
            let (one, two) = tokio::join!(
                server.decide(&frigg, &request_id, "approve"),
                server.decide(&frigg, &request_id, other),
            );
            let mut statuses = [one.status, two.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 400], "{one:?} {two:?}");
        }
        assert!(codes(&server).await <= 2);
    }

    /// A-51: the request of a different account looks like an unknown request.
    async fn request_of_another_account_looks_unknown(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let odin = server.admin("odin").await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        for id in [request_id.as_str(), "nonsense", &"x".repeat(43)] {
            assert_not_decidable(server.consent(&odin, id).await);
            for decision in ["approve", "deny"] {
                assert_not_decidable(server.decide(&odin, id, decision).await);
            }
        }
        server.decide(&frigg, &request_id, "approve").await.expect(200);
    }

    /// A-53: a request expires after exactly ten minutes.
    async fn request_expires_after_ten_minutes(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let late = server.pending(&frigg, &app, &[]).await;
        let in_time = server.pending(&frigg, &app, &[]).await;
        server.turn(Duration::minutes(10) - Duration::microseconds(1));
        server.decide(&frigg, &in_time, "approve").await.expect(200);
        server.turn(Duration::microseconds(1));
        assert_not_decidable(server.consent(&frigg, &late).await);
        for decision in ["approve", "deny"] {
            assert_not_decidable(server.decide(&frigg, &late, decision).await);
        }
        assert_eq!(codes(&server).await, 1);
    }

    /// A-106: an account that lost the permission can no longer approve, but can deny.
    async fn lost_permission_allows_only_denial(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        server.demote(&frigg).await;
        for answer in [
            server.consent(&frigg, &request_id).await,
            server.decide(&frigg, &request_id, "approve").await,
        ] {
            let answer = answer.expect_error(400, "access_denied");
            let description = answer.text("error_description");
            assert_eq!(description, "Account is not permitted to authorise OAuth clients");
        }
        let denied = server.decide(&frigg, &request_id, "deny").await.expect(200);
        assert_eq!(denied.text("status"), "denied");
    }

    /// A-106, req_124: the granted scope is computed at the decision, not at the request.
    async fn permission_lost_before_the_decision_is_not_granted(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let app = server.public_client().await;
        let changed = [("scope", "openid READ_PROFILE MANAGE_POSTS")];
        let request_id = server.pending(&frigg, &app, &changed).await;
        server.sql("UPDATE roles SET permissions = '[\"USE_OAUTH_CLIENTS\"]' WHERE name = $1", &["role of frigg"]).await;
        let consent = server.consent(&frigg, &request_id).await.expect(200).json();
        assert_eq!(consent["granted_scopes"], json!(["openid", "READ_PROFILE"]));
        let approved = server.decide(&frigg, &request_id, "approve").await.expect(200);
        let tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
        assert_eq!(tokens.scope(), ["READ_PROFILE", "openid"]);
    }

    /// A-11: a redirect URI or grant type removed from the client after the request is rejected without
    /// a redirect.
    async fn client_metadata_is_checked_at_the_decision(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for (take, give_back, error) in [
            (
                "UPDATE oauth_clients SET redirect_uris = '[\"https://app.example/new\"]'",
                "UPDATE oauth_clients SET redirect_uris = '[\"https://app.example/cb\"]'",
                "invalid_request",
            ),
            (
                "UPDATE oauth_clients SET allowed_grants = '[\"refresh_token\"]'",
                "UPDATE oauth_clients SET allowed_grants = '[\"authorization_code\"]'",
                "unauthorized_client",
            ),
        ] {
            let request_id = server.pending(&frigg, &app, &[]).await;
            server.sql(take, &[]).await;
            let answer = server.decide(&frigg, &request_id, "approve").await;
            let answer = answer.expect_error(400, error);
            assert_eq!(answer.json().get("location"), None);
            assert_eq!(codes(&server).await, 0);
            server.sql(give_back, &[]).await;
        }
    }

    /// A-107: a request of a deleted client is invalid, and no 500.
    async fn requests_of_a_deleted_client_are_invalid(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        server.delete_client(&app).await;
        assert_not_decidable(server.consent(&frigg, &request_id).await);
        assert_not_decidable(server.decide(&frigg, &request_id, "approve").await);
    }

    /// storyden-contract.md#callers-of-each-operation: without a session the response is an empty 401.
    async fn missing_session_is_an_empty_401(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        let body = json!({ "request_id": request_id, "decision": "approve" });
        let get = server.request("GET", &format!("{PATH}?request_id={request_id}"));
        let post = server.request("POST", PATH).json(&body);
        for request in [get, post] {
            for cookie in ["", "storyden-session=", "storyden-session=nonsense"] {
                let request = request.try_clone().unwrap().header("cookie", cookie);
                let answer = server.send(request).await.expect(401);
                assert_eq!(answer.body, "");
                assert_eq!(answer.header("content-length"), "0");
                assert_eq!(answer.find_header("content-type"), None);
                assert_eq!(answer.header("cache-control"), "no-store");
            }
        }
    }

    /// A-56: an access token can neither read nor decide, even with a valid cookie.
    async fn access_token_cannot_decide(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let token = server.tokens(&frigg, &app, &[]).await.text("access_token");
        let request_id = server.pending(&frigg, &app, &[]).await;
        let body = json!({ "request_id": request_id, "decision": "approve" });
        let get = server.request("GET", &format!("{PATH}?request_id={request_id}"));
        let post = server.request("POST", PATH).json(&body);
        for request in [get, post] {
            for cookie in [String::new(), frigg.cookie()] {
                let request = request.try_clone().unwrap().header("cookie", cookie);
                let answer = server.send(request.bearer_auth(&token)).await.expect(403);
                assert_eq!(answer.header("content-type"), "application/problem+json");
            }
        }
        server.decide(&frigg, &request_id, "approve").await.expect(200);
    }

    /// A-105: a suspended account can neither read nor decide.
    async fn suspended_account_cannot_decide(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        server.suspend(&frigg).await;
        server.consent(&frigg, &request_id).await.expect(403);
        for decision in ["approve", "deny"] {
            server.decide(&frigg, &request_id, decision).await.expect(403);
        }
        server.reinstate(&frigg).await;
        server.decide(&frigg, &request_id, "approve").await.expect(200);
    }

    /// A-49, req_041: only JSON is accepted, which a cross-site form cannot send (CSRF).
    async fn decision_requires_json(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        let json = json!({ "request_id": request_id, "decision": "approve" }).to_string();
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonx",
            "text/plain; application/json",
            "",
        ] {
            let headers = [("content-type", content_type)];
            let answer = post(&server, &frigg, &headers, json.clone()).await.expect(415);
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        post(&server, &frigg, &[], json.clone()).await.expect(415);
        assert_eq!(codes(&server).await, 0);
        let headers = [("content-type", "application/json; charset=utf-8")];
        post(&server, &frigg, &headers, json).await.expect(200);
    }

    /// A-48, A-50, req_041: browsers may decide only from this server's pages and from
    /// CORS_ALLOWED_ORIGINS (CSRF).
    async fn decision_requires_an_allowed_origin(setup: Setup) {
        let server = setup
            .with("PUBLIC_WEB_ADDRESS", "https://www.example")
            .with("CORS_ALLOWED_ORIGINS", "https://admin.example:8443")
            .start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        let json = json!({ "request_id": request_id, "decision": "approve" }).to_string();
        for headers in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "https://sibling.auth.example")],
            &[("origin", "http://auth.example")],
            &[("origin", "https://auth.example.evil.example")],
            &[("origin", "https://auth.example:8443")],
            &[("origin", "https://admin.example")],
            &[("origin", "null")],
            &[("origin", "")],
            &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "cross-site")],
        ] {
            let headers = [headers, &[("content-type", "application/json")]].concat();
            let answer = post(&server, &frigg, &headers, json.clone()).await.expect(403);
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        assert_eq!(codes(&server).await, 0);
        for headers in [
            &[("origin", "https://auth.example")][..],
            &[("origin", "https://www.example"), ("sec-fetch-site", "same-site")],
            &[("origin", "https://admin.example:8443"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-origin")],
            &[],
        ] {
            let request_id = server.pending(&frigg, &app, &[]).await;
            let json = json!({ "request_id": request_id, "decision": "deny" }).to_string();
            let headers = [headers, &[("content-type", "application/json")]].concat();
            post(&server, &frigg, &headers, json).await.expect(200);
        }
    }

    /// A-66, A-67: a malformed or incomplete JSON body is rejected, and no 500.
    async fn malformed_json_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        let deep = "[".repeat(10_000);
        for body in [
            "",
            "{",
            "null",
            "[]",
            "{}",
            &deep,
            r#"{"request_id":"\ud800","decision":"deny"}"#,
            &format!(r#"{{"request_id":"{request_id}"}}"#),
            &format!(r#"{{"request_id":"{request_id}","decision":"maybe"}}"#),
            &format!(r#"{{"request_id":"{request_id}","decision":null}}"#),
            &format!(r#"{{"request_id":"{request_id}","decision":"deny","decision":"approve"}}"#),
            &format!(r#"{{"request_id":"{request_id}","decision":"deny"}}trailing"#),
            r#"{"request_id":1,"decision":"deny"}"#,
        ] {
            let headers = [("content-type", "application/json")];
            let answer = post(&server, &frigg, &headers, body.to_owned()).await.expect(400);
            assert_eq!(answer.header("content-type"), "application/problem+json", "{body}");
            assert!(!answer.body.contains(&request_id));
        }
        let long = format!(r#"{{"request_id":"{}","decision":"deny"}}"#, "x".repeat(33_000));
        post(&server, &frigg, &[("content-type", "application/json")], long).await.expect(413);
        for id in ["", " "] {
            let answer = server.decide(&frigg, id, "deny").await.expect_error(400, "invalid_request");
            assert_eq!(answer.text("error_description"), "Missing request_id");
        }
        let missing = server.get_as(&frigg, PATH).await.expect_error(400, "invalid_request");
        assert_eq!(missing.text("error_description"), "Missing request_id");
        let nul = server.decide(&frigg, "\0", "deny").await;
        assert_not_decidable(nul);
        let unknown = json!({ "request_id": request_id, "decision": "deny", "else": Value::Null });
        server.post_as(&frigg, PATH, &unknown).await.expect(200);
    }
}
