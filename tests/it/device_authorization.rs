//! Device authorization endpoint (RFC 8628 §3.1, storyden-contract.md#device-start).

use serde_json::json;
use storyden_auth::oauth::grant_type::GrantType;

use crate::support::{Answer, NewClient, Server, both};

/// Scope that the built-in client must request.
const CLI_SCOPE: &str = "openid profile offline_access";

/// Starts a device flow of the built-in client.
async fn start_cli(server: &Server, scope: &str) -> Answer {
    let form = [("client_id", "storyden-cli"), ("scope", scope)];
    server
        .post_form("/api/oauth/device_authorization", &form)
        .await
}

/// Counts the device authorizations.
async fn started(server: &Server) -> i64 {
    server
        .count("SELECT COUNT(*) AS n FROM oauth_device_authorisations", &[])
        .await
}

both! {
    /// req_081, req_082, req_089, req_091: the response has two codes, the verification URIs, the
    /// lifetime and the interval.
    async fn response_has_codes_uris_and_interval(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let answer = server.start_device(&app, "openid").await.expect(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("pragma"), "no-cache");
        let mut body = answer.json();
        let device_code = body["device_code"].take();
        assert_eq!(device_code.as_str().unwrap().len(), 43); // 256 bits
        let user_code = body["user_code"].take();
        let user_code = user_code.as_str().unwrap();
        assert_eq!((user_code.len(), user_code.find('-')), (9, Some(4)));
        let unambiguous = |c: char| "0123456789ABCDEFGHJKMNPQRSTVWXYZ-".contains(c);
        assert!(user_code.chars().all(unambiguous), "{user_code}");
        let complete = body["verification_uri_complete"].take();
        assert_eq!(complete, json!(format!("https://auth.example/oauth/consent?user_code={user_code}")));
        insta::allow_duplicates! {
            insta::assert_json_snapshot!(body, @r#"
            {
              "device_code": null,
              "expires_in": 600,
              "interval": 5,
              "user_code": null,
              "verification_uri": "https://auth.example/oauth/consent",
              "verification_uri_complete": null
            }
            "#);
        }
    }

    /// req_040, req_089: the device code is stored as a hash, and codes are unique.
    async fn device_codes_are_stored_as_hashes(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let one = server.start_device(&app, "openid").await.expect(200);
        let two = server.start_device(&app, "openid").await.expect(200);
        for member in ["device_code", "user_code"] {
            assert_ne!(one.text(member), two.text(member));
        }
        let sql = "SELECT COUNT(*) AS n FROM oauth_device_authorisations WHERE device_code_hash = $1";
        assert_eq!(server.count(sql, &[&one.text("device_code")]).await, 0);
        assert_eq!(started(&server).await, 2);
    }

    /// req_080, req_071, req_072: the client must be known, public and have the grant.
    async fn client_must_be_known_public_and_have_the_grant(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let service = server.confidential_client(&frigg.id).await;
        let other = server.client(NewClient {
            client_id: "other",
            grants: &[GrantType::AuthorizationCode, GrantType::RefreshToken],
            ..NewClient::default()
        }).await;
        let path = "/api/oauth/device_authorization";
        for form in [&[][..], &[("client_id", "")], &[("client_id", "nobody")]] {
            server.post_form(path, form).await.expect_error(400, "invalid_client");
        }
        let answer = server.start_device(&service, "openid").await;
        let answer = answer.expect_error(400, "unauthorized_client");
        let description = answer.text("error_description");
        assert_eq!(description, "Confidential clients cannot use device authorization");
        let answer = server.start_device(&other, "openid").await;
        let answer = answer.expect_error(400, "unauthorized_client");
        let description = answer.text("error_description");
        assert!(description.starts_with("Client is not authorized for device_code grant; its grant types are "));
        assert_eq!(started(&server).await, 0);
    }

    /// req_034, req_080: failed authentication in the Authorization header is challenged.
    async fn unknown_client_in_the_header_is_challenged(setup: Setup) {
        let server = setup.start().await;
        server.public_client().await;
        let path = "/api/oauth/device_authorization";
        let form = [("scope", "openid")];
        let unknown = server.request("POST", path).basic_auth("nobody", Some("x")).form(&form);
        let answer = server.send(unknown).await.expect_error(401, "invalid_client");
        assert!(answer.header("www-authenticate").starts_with("Basic realm="));
        let known = server.request("POST", path).basic_auth("app", Some("")).form(&form);
        server.send(known).await.expect(200);
    }

    /// req_017, req_019, req_020: a scope not allowed for the client is rejected; an empty scope is
    /// accepted.
    async fn scope_not_allowed_for_the_client_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let app = server.client(NewClient { scope: "openid profile", ..NewClient::default() }).await;
        let any = server.client(NewClient {
            client_id: "any",
            scope: "ADMINISTRATOR",
            ..NewClient::default()
        }).await;
        for scope in ["MANAGE_REPORTS", "openid email", "openid ADMINISTRATOR"] {
            let answer = server.start_device(&app, scope).await.expect_error(400, "invalid_scope");
            let description = answer.text("error_description");
            let refused = scope.rsplit(' ').next().unwrap();
            let expected = format!(
                "Requested scope is not permitted for this client; the value {refused} is none of openid and profile"
            );
            assert_eq!(description, expected);
        }
        for scope in ["nonsense", "OPENID", "openid\tprofile", "openid\u{a0}profile"] {
            server.start_device(&app, scope).await.expect_error(400, "invalid_scope");
        }
        for scope in ["", "openid", "profile openid"] {
            server.start_device(&app, scope).await.expect(200);
        }
        server.start_device(&any, "openid MANAGE_REPORTS ADMINISTRATOR").await.expect(200);
    }

    /// storyden-contract.md#built-in-client: the built-in client is created at the first use, once
    /// despite concurrent requests.
    async fn built_in_client_is_created_at_first_use(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let (one, two) = tokio::join!(start_cli(&server, CLI_SCOPE), start_cli(&server, CLI_SCOPE));
        one.expect(200);
        let user_code = two.expect(200).text("user_code");
        let made = "SELECT COUNT(*) AS n FROM oauth_clients WHERE client_id = 'storyden-cli'";
        assert_eq!(server.count(made, &[]).await, 1);
        let path = format!("/api/oauth/device/consent?user_code={user_code}");
        let consent = server.get_as(&odin, &path).await.expect(200).json();
        assert_eq!(consent["client_id"], "storyden-cli");
        assert_eq!(consent["client_name"], "Storyden");
        assert_eq!(consent["inherits_user_permissions"], true);
    }

    /// storyden-contract.md#built-in-client: the built-in client must request exactly three scopes, in
    /// any order.
    async fn built_in_client_requires_exact_scopes(setup: Setup) {
        let server = setup.start().await;
        for scope in [
            "",
            "openid",
            "openid profile",
            "openid profile offline_access email",
            "openid profile offline_access ADMINISTRATOR",
        ] {
            let answer = start_cli(&server, scope).await.expect_error(400, "invalid_scope");
            let description = answer.text("error_description");
            assert_eq!(description, "Storyden CLI requires openid, profile, and offline_access scopes");
        }
        start_cli(&server, "offline_access openid profile").await.expect(200);
    }

    /// A-37: `OAUTH_CLI_ENABLED=false` disables the built-in client, also if already created.
    async fn built_in_client_can_be_disabled(setup: Setup) {
        let before = setup.start().await;
        let odin = before.admin("odin").await;
        let started = start_cli(&before, CLI_SCOPE).await.expect(200);
        let server = setup.clone().with("OAUTH_CLI_ENABLED", "false").start().await;
        start_cli(&server, CLI_SCOPE).await.expect_error(400, "invalid_client");
        let path = format!("/api/oauth/device/consent?user_code={}", started.text("user_code"));
        server.get_as(&odin, &path).await.expect_error(400, "invalid_request");
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", "storyden-cli"),
            ("device_code", &started.text("device_code")),
        ];
        server.token(&form).await.expect_error(400, "invalid_client");
    }

    /// A-70, req_081: the verification page is configurable, and a query in the setting is kept;
    /// forwarded hosts are ignored.
    async fn verification_uri_is_configurable(setup: Setup) {
        for (name, value, page, joint) in [
            ("PUBLIC_WEB_ADDRESS", "https://www.example/forum", "https://www.example/forum/oauth/consent", "?"),
            ("OAUTH_DEVICE_AUTHORISATION_CONSENT_URL", "https://go.example/d", "https://go.example/d", "?"),
            (
                "OAUTH_DEVICE_AUTHORISATION_CONSENT_URL",
                "https://go.example/d?lang=is&x=%20y",
                "https://go.example/d?lang=is&x=%20y",
                "&",
            ),
        ] {
            let server = setup.clone().with(name, value).start().await;
            let form = [("client_id", "storyden-cli"), ("scope", CLI_SCOPE)];
            let request = server.request("POST", "/api/oauth/device_authorization");
            let request = request.header("x-forwarded-host", "evil.example").form(&form);
            let answer = server.send(request).await.expect(200);
            assert_eq!(answer.text("verification_uri"), page);
            let complete = format!("{page}{joint}user_code={}", answer.text("user_code"));
            assert_eq!(answer.text("verification_uri_complete"), complete);
        }
    }

    /// req_081: the lifetime of codes and the polling interval are configurable.
    async fn lifetime_and_interval_are_configurable(setup: Setup) {
        let server = setup
            .with("OAUTH_DEVICE_CODE_TTL", "1.5m")
            .with("OAUTH_DEVICE_POLL_EVERY", "0s")
            .start().await;
        let app = server.public_client().await;
        let answer = server.start_device(&app, "openid").await.expect(200).json();
        assert_eq!(answer["expires_in"], 90);
        assert_eq!(answer["interval"], 0);
    }

    /// req_003, A-62, A-64, req_008, req_035: parameters are accepted only once, in a form, in the
    /// body.
    async fn parameters_are_accepted_once_in_the_body(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let path = "/api/oauth/device_authorization";
        let refused = [
            server.request("POST", &format!("{path}?client_id=app")).form(&[("scope", "openid")]),
            server.request("POST", path).form(&[("client_id", "app"), ("client_id", "app")]),
            server.request("POST", path).form(&[("client_id", "app"), ("scope", "a"), ("scope", "b")]),
            server.request("POST", path).json(&json!({ "client_id": "app" })),
            server.request("POST", path).body("client_id=app"),
            server.request("POST", path).header("content-type", "multipart/form-data").body("client_id=app"),
            server.request("POST", path)
                .header("content-type", "application/x-www-form-urlencoded; charset=utf-7")
                .body("client_id=app"),
            server.request("POST", path)
                .header("content-type", "application/x-www-form-urlencoded")
                .body("client_id=%ff%fe"),
        ];
        for request in refused {
            let answer = server.send(request).await.expect_error(400, "invalid_request");
            assert_eq!(answer.header("content-type"), "application/json");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        // unknown and empty parameters are ignored
        let form = [("client_id", app.client_id.as_str()), ("scope", ""), ("x", "1"), ("x", "2")];
        server.post_form(path, &form).await.expect(200);
        server.get(path).await.expect(405);
        assert_eq!(started(&server).await, 1);
    }

    /// A-47: starts are rate limited per address, and a new flow deletes no flow.
    async fn starts_are_rate_limited_per_address(setup: Setup) {
        // the default 5000 allows 2000 in ten minutes, so 10 allows 4
        let server = setup.with("RATE_LIMIT", "10").start().await;
        let app = server.public_client().await;
        for _ in 0..4 {
            server.start_device(&app, "openid").await.expect(200);
        }
        let answer = server.start_device(&app, "openid").await;
        let answer = answer.expect_error(429, "temporarily_unavailable");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 600);
        let other = server.request("POST", "/api/oauth/device_authorization");
        let other = other.header("x-forwarded-for", "203.0.113.9").form(&[("client_id", "app")]);
        server.send(other).await.expect(200);
        server.turn(time::Duration::minutes(11));
        server.start_device(&app, "openid").await.expect(200);
        assert_eq!(started(&server).await, 6);
    }
}
