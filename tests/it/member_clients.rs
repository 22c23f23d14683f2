//! `/api/auth/oauth/clients`: clients that a member owns (storyden-contract.md#self-service-clients).

use serde_json::{Value, json};

use crate::support::{Answer, Member, Server, both};

const PATH: &str = "/api/auth/oauth/clients";

/// Sends a request with a member's session and an optional body.
async fn send_as(
    server: &Server,
    member: &Member,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Answer {
    let mut request = server
        .request(method, path)
        .header("cookie", member.cookie());
    if let Some(body) = body {
        request = request.json(body);
    }
    server.send(request).await
}

/// A public client with some members changed; `null` removes a member.
fn application(changed: &Value) -> Value {
    let mut body = json!({
        "name": "Calendar",
        "type": "public",
        "allowed_grants": ["authorization_code"],
        "allowed_scopes": ["READ_PROFILE"],
        "pkce_required": true,
        "redirect_uris": ["https://app.example/callback"],
    });
    for (name, value) in changed.as_object().unwrap() {
        if value.is_null() {
            body.as_object_mut().unwrap().remove(name);
        } else {
            body[name] = value.clone();
        }
    }
    body
}

/// Creates a client with these changes.
async fn create(server: &Server, member: &Member, changed: Value) -> Answer {
    send_as(server, member, "POST", PATH, Some(&application(&changed))).await
}

/// Creates a client and returns the row id.
async fn made(server: &Server, member: &Member) -> String {
    let made = create(server, member, json!({})).await.expect(200);
    made.json()["client"]["id"].as_str().unwrap().to_owned()
}

/// The number of audit entries of an event.
async fn audited(server: &Server, event: &str) -> i64 {
    let sql = "SELECT COUNT(*) AS n FROM auth_audit WHERE event = $1";
    server.count(sql, &[event]).await
}

both! {
    /// a member cannot give a client a reserved name such as Storyden's own, at creation or
    /// later; an administrator can. An unchanged reserved name does not block other changes.
    async fn a_reserved_name_is_for_administrators(setup: Setup) {
        let server = setup.start().await;
        let (frigg, odin) = (server.member("frigg", &[]).await, server.admin("odin").await);
        let row = made(&server, &frigg).await;
        let path = format!("{PATH}/{row}");
        for name in ["Storyden", "storyden-cli", "St\u{43e}ryden", " S t o r y d e n "] {
            let answer = create(&server, &frigg, json!({ "name": name })).await.expect(400);
            assert!(answer.text("detail").contains("a name of Storyden itself"), "{}", answer.body);
            let renamed = send_as(&server, &frigg, "PATCH", &path, Some(&json!({ "name": name }))).await;
            assert!(renamed.expect(400).text("detail").contains("a name of Storyden itself"));
        }
        create(&server, &frigg, json!({ "name": "Notes for Storyden" })).await.expect(200);
        create(&server, &odin, json!({ "name": "Storyden Mobile" })).await.expect(200);
        server.sql("UPDATE oauth_clients SET name = 'Storyden' WHERE id = $1", &[&row]).await;
        let body = json!({ "name": "Storyden", "allowed_scopes": [] });
        send_as(&server, &frigg, "PATCH", &path, Some(&body)).await.expect(200);
    }

    /// Issue 5, storyden-contract.md#self-service-clients: a member with `USE_OAUTH_CLIENTS` creates,
    /// reads, updates and deletes a client, with audit entries.
    async fn a_member_manages_own_clients(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let changed = json!({ "allowed_scopes": ["openid", "offline_access", "READ_PROFILE"] });
        let issued = create(&server, &frigg, changed).await.expect(200);
        assert_eq!(issued.json()["client_secret"], Value::Null);
        let client = issued.json()["client"].clone();
        assert!(client["client_id"].as_str().unwrap().starts_with("sdoak_"));
        assert_eq!(client["account_id"], frigg.id.as_str());
        assert_eq!(client["allowed_scopes"], json!(["openid", "offline_access", "READ_PROFILE"]));
        assert_eq!(client["scope_policy"], "explicit");
        let path = format!("{PATH}/{}", client["id"].as_str().unwrap());
        assert_eq!(server.get_as(&frigg, PATH).await.expect(200).json(), json!({ "clients": [client] }));
        assert_eq!(server.get_as(&frigg, &path).await.expect(200).json(), client);
        let body = json!({ "name": "Diary", "redirect_uris": ["https://b.example/cb"], "allowed_scopes": [] });
        let updated = send_as(&server, &frigg, "PATCH", &path, Some(&body)).await.expect(200).json();
        assert_eq!((&updated["name"], &updated["redirect_uris"]), (&body["name"], &body["redirect_uris"]));
        assert_eq!(updated["allowed_scopes"], json!([]));
        assert_eq!(updated["allowed_grants"], client["allowed_grants"]);
        send_as(&server, &frigg, "DELETE", &path, None).await.expect(204);
        server.get_as(&frigg, &path).await.expect(404);
        assert_eq!(server.get_as(&frigg, PATH).await.expect(200).json(), json!({ "clients": [] }));
        for event in ["client_created", "client_updated", "client_deleted"] {
            assert_eq!(audited(&server, event).await, 1, "{event}");
        }
    }

    /// Issue 5: a confidential client's secret is shown once, and is accepted only by the chosen
    /// authentication method.
    async fn a_secret_is_shown_once_and_works(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let changed = json!({
            "type": "confidential", "allowed_grants": ["client_credentials"], "redirect_uris": null,
            "token_endpoint_auth_method": "client_secret_post",
        });
        let issued = create(&server, &frigg, changed).await.expect(200).json();
        let secret = issued["client_secret"].as_str().unwrap();
        assert!(secret.starts_with("sdoas_"));
        assert_eq!(issued["client"]["redirect_uris"], json!([]));
        let client_id = issued["client"]["client_id"].as_str().unwrap();
        let grant = ("grant_type", "client_credentials");
        let form = [grant, ("client_id", client_id), ("client_secret", secret)];
        server.token(&form).await.expect(200);
        let by_header = server.token_request(&[grant]).basic_auth(client_id, Some(secret));
        server.send(by_header).await.expect_error(401, "invalid_client");
        let listed = server.get_as(&frigg, PATH).await.expect(200);
        assert!(!listed.body.contains("sdoas_"), "{}", listed.body);
    }

    /// storyden-contract.md#self-service-clients: invalid metadata is rejected with an error that names
    /// the invalid member or value.
    async fn invalid_metadata_is_refused_by_name(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let code = "authorization_code";
        for (changed, names) in [
            (json!({ "name": "" }), "name"),
            (json!({ "name": "x".repeat(65) }), "64 characters"),
            (json!({ "name": "Cal\u{202e}endar" }), "not shown"),
            (json!({ "name": null }), "lacks a member"),
            (json!({ "type": "x" }), "wrong type"),
            (json!({ "pkce_required": null }), "lacks a member"),
            (json!({ "allowed_scopes": ["NOPE"] }), "NOPE"),
            (json!({ "allowed_grants": [] }), "at least one grant"),
            (json!({ "allowed_grants": ["password"] }), "password"),
            (json!({ "redirect_uris": [] }), code),
            (json!({ "pkce_required": false }), "pkce_required"),
            (json!({ "allowed_grants": ["client_credentials"], "redirect_uris": [] }), "confidential"),
            (json!({ "type": "confidential", "allowed_grants": ["client_credentials"] }), "must be empty"),
            (json!({ "allowed_grants": ["refresh_token"] }), "first refresh token"),
            (json!({ "redirect_uris": ["https://ok.example/cb", "javascript:alert(1)"] }), "javascript:alert(1)"),
            (json!({ "redirect_uris": ["http://x.example"] }), "http://x.example"),
            (json!({ "redirect_uris": ["myapp://callback"] }), "dot"),
            (json!({ "token_endpoint_auth_method": "client_secret_basic" }), "none"),
        ] {
            let refused = create(&server, &frigg, changed).await.expect(400);
            assert!(refused.text("detail").contains(names), "{names}: {}", refused.body);
        }
        let null = json!({ "name": "x", "redirect_uris": null });
        send_as(&server, &frigg, "POST", PATH, Some(&null)).await.expect(400);
        let form = server.request("POST", PATH).header("cookie", frigg.cookie()).form(&[("name", "x")]);
        server.send(form).await.expect(415);
        let lacking = create(&server, &frigg, json!({ "allowed_scopes": ["MANAGE_REPORTS"] })).await.expect(403);
        assert!(lacking.text("detail").contains("MANAGE_REPORTS"));
        let odin = server.admin("odin").await;
        create(&server, &odin, json!({ "allowed_scopes": ["MANAGE_REPORTS"] })).await.expect(200);
        assert_eq!(audited(&server, "client_created").await, 1);
    }

    /// Issue 5: guests, suspended accounts, access tokens and cross-site requests (CSRF) are refused,
    /// before the body is validated.
    async fn other_callers_cannot_manage_clients(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let row = made(&server, &frigg).await;
        let tokens = server.tokens(&frigg, &server.public_client().await, &[]).await;
        let loki = server.plain_member("loki").await;
        create(&server, &loki, json!({ "name": null })).await.expect(403);
        let one = format!("{PATH}/{row}");
        let secret = format!("{one}/secret");
        let all = [
            ("GET", PATH), ("POST", PATH), ("GET", &one), ("PATCH", &one), ("DELETE", &one), ("POST", &secret),
        ];
        for (method, path) in all {
            let bad = json!({ "name": 1 });
            server.send(server.request(method, path).json(&bad)).await.expect(401);
            let bearer = server.request(method, path).json(&bad).bearer_auth(tokens.text("access_token"));
            server.send(bearer).await.expect(403);
            if method != "GET" {
                let request = server.request(method, path).header("cookie", frigg.cookie());
                server.send(request.header("origin", "https://evil.example").json(&bad)).await.expect(403);
            }
        }
        server.suspend(&frigg).await;
        for (method, path) in all {
            send_as(&server, &frigg, method, path, Some(&json!({}))).await.expect(403);
        }
        server.reinstate(&frigg).await;
        server.get_as(&frigg, &one).await.expect(200);
    }

    /// storyden-contract.md#self-service-clients: another account's client and a missing client have
    /// Storyden's errors.
    async fn clients_of_other_accounts_are_refused(setup: Setup) {
        for (profile, empty) in [("standards", false), ("storyden", true)] {
            let server = setup.clone().with("OAUTH_PROFILE", profile).start().await;
            let odin = server.admin(&format!("odin-{profile}")).await;
            let thor = server.admin(&format!("thor-{profile}")).await;
            let theirs = format!("{PATH}/{}", made(&server, &thor).await);
            let text = "Client does not belong to the requesting account";
            let refused = server.get_as(&odin, &theirs).await.expect_error(400, "invalid_request");
            assert_eq!(refused.text("error_description"), text);
            let refused = send_as(&server, &odin, "PATCH", &theirs, Some(&json!({}))).await.expect(400);
            assert_eq!(refused.body.is_empty(), empty, "{}", refused.body);
            for id in ["c000000000000000000g", "nonsense", "%00", "%ff%fe", "..%2f", "c000000000000000000ø"] {
                let path = format!("{PATH}/{id}");
                server.get_as(&odin, &path).await.expect(404);
                send_as(&server, &odin, "PATCH", &path, Some(&json!({}))).await.expect(404);
                let refused = send_as(&server, &odin, "DELETE", &path, None).await;
                let text = "Client not found or does not belong to account";
                assert_eq!(refused.expect_error(400, "invalid_request").text("error_description"), text);
            }
            send_as(&server, &odin, "DELETE", &theirs, None).await.expect_error(400, "invalid_request");
            server.get_as(&thor, &theirs).await.expect(200);
        }
    }

    /// storyden-contract.md#self-service-clients: the profile `storyden` is for administrators only and
    /// has Storyden's validation; banned redirect URIs stay banned.
    async fn the_storyden_profile_has_storydens_rules(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        server.get_as(&frigg, PATH).await.expect(403);
        create(&server, &frigg, json!({ "name": null })).await.expect(403);
        let no_grants = create(&server, &odin, json!({ "allowed_grants": [] })).await.expect(400);
        assert_eq!(no_grants.text("title"), "Allowed Grants field must contain at least one grant");
        let device = "urn:ietf:params:oauth:grant-type:device_code";
        let left_out = json!({ "allowed_grants": [device], "redirect_uris": null });
        let issued = create(&server, &odin, left_out).await.expect(200).json();
        assert_eq!(issued["client"]["redirect_uris"], Value::Null);
        assert_eq!(issued["client"]["allowed_grants"], json!([device]));
        let path = format!("{PATH}/{}more", issued["client"]["id"].as_str().unwrap());
        assert_eq!(server.get_as(&odin, &path).await.expect(200).json()["redirect_uris"], Value::Null);
        create(&server, &odin, json!({ "redirect_uris": ["myapp://callback"] })).await.expect(200);
        create(&server, &odin, json!({ "name": "x".repeat(10_000) })).await.expect(200);
        for changed in [
            json!({ "name": "" }), json!({ "allowed_scopes": ["openid"] }), json!({ "allowed_scopes": ["NOPE"] }),
            json!({ "redirect_uris": ["javascript:alert(1)"] }), json!({ "redirect_uris": ["http://x.example"] }),
        ] {
            assert_eq!(create(&server, &odin, changed).await.expect(400).text("title"), "Bad Request");
        }
    }

    /// Issue 5: an owner rotates a secret with a chosen overlap of at most a week.
    async fn an_owner_replaces_a_secret(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let changed = json!({ "type": "confidential", "allowed_grants": ["client_credentials"], "redirect_uris": [] });
        let issued = create(&server, &frigg, changed).await.expect(200).json();
        let path = format!("{PATH}/{}/secret", issued["client"]["id"].as_str().unwrap());
        let first = issued["client_secret"].as_str().unwrap();
        let works = async |secret: &str| {
            let id = issued["client"]["client_id"].as_str().unwrap();
            let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
            server.token(&form).await.status == 200
        };
        let week = json!({ "overlap_seconds": 604_800 });
        let second = server.post_as(&frigg, &path, &week).await.expect(200);
        assert_eq!(second.text("old_secret_until"), "2026-01-08T00:00:00Z");
        assert!(works(first).await && works(&second.text("client_secret")).await);
        let third = server.post_as(&frigg, &path, &json!({})).await.expect(200);
        assert_eq!(third.json()["old_secret_until"], Value::Null);
        assert!(!works(&second.text("client_secret")).await && works(&third.text("client_secret")).await);
        for bad in [json!({ "overlap_seconds": 604_801 }), json!({ "overlap_seconds": -1 }), json!([])] {
            server.post_as(&frigg, &path, &bad).await.expect(400);
        }
        let loki = server.plain_member("loki").await;
        server.post_as(&loki, &path, &json!({})).await.expect_error(400, "invalid_request");
        let public = format!("{PATH}/{}/secret", made(&server, &frigg).await);
        server.post_as(&frigg, &public, &json!({})).await.expect(400);
        assert_eq!(audited(&server, "client_secret_rotated").await, 2);
    }

    /// Issue 5: client creation is rate limited per account.
    async fn client_creation_is_rate_limited_per_account(setup: Setup) {
        let server = setup.with("RATE_LIMIT", "150").start().await;
        let frigg = server.member("frigg", &[]).await;
        for _ in 0..3 {
            create(&server, &frigg, json!({})).await.expect(200);
        }
        create(&server, &frigg, json!({})).await.expect(429).header("retry-after");
        let loki = server.member("loki", &[]).await;
        create(&server, &loki, json!({})).await.expect(200);
        server.turn(time::Duration::hours(1));
        create(&server, &frigg, json!({})).await.expect(200);
    }
}
