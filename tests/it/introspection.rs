//! Introspection (RFC 7662): authentication of the caller, and the visible tokens.

use serde_json::{Value, json};
use storyden_auth::ids::AccessKeyId;
use storyden_auth::secret::Secret;
use time::Duration;

use crate::support::{Answer, Client, Member, NewClient, Server, both};

const PATH: &str = "/api/oauth/introspect";

/// Introspects a token as a client.
async fn introspect(server: &Server, client: &Client, token: &str) -> Answer {
    let mut form = vec![("token", token)];
    form.extend(client.credentials());
    server.post_form(PATH, &form).await
}

/// Fails unless the answer is exactly `{"active":false}`.
async fn is_inactive(server: &Server, client: &Client, token: &str) {
    let answer = introspect(server, client, token).await.expect(200);
    assert_eq!(answer.body, r#"{"active":false}"#);
}

/// Creates a personal access key in Storyden's format (storyden-contract.md#access-keys).
async fn access_key(server: &Server, member: &Member) -> String {
    let (identifier, secret) = (format!("sdpak_{:0>12}", member.handle), "x".repeat(32));
    let hash = server
        .context
        .passwords
        .hash(&Secret::new(secret.as_str()))
        .await
        .unwrap();
    let sql = "INSERT INTO authentications (id, created_at, service, token_type, identifier, token, disabled, \
        account_authentication) VALUES ($1, $2, 'access_key', 'password_hash', $3, $4, $5, $6)";
    let args = vec![
        (&AccessKeyId::generate(server.clock.now())).into(),
        server.clock.now().into(),
        identifier.as_str().into(),
        hash.into(),
        false.into(),
        (&member.id).into(),
    ];
    server.context.db.execute(sql, args).await.unwrap();
    format!("{identifier}{secret}")
}

/// Introspects a token with a bearer credential.
async fn introspect_with_bearer(server: &Server, bearer: &str, token: &str) -> Answer {
    let request = server.request("POST", PATH).bearer_auth(bearer);
    server.send(request.form(&[("token", token)])).await
}

both! {
    /// req_063, req_066: a confidential client sees the state of tokens issued to that client.
    async fn a_client_introspects_its_own_tokens(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let service = server.confidential_client(&frigg.id).await;
        let tokens = server.tokens(&frigg, &service, &[("scope", "openid offline_access READ_PROFILE")]).await;
        let answer = introspect(&server, &service, &tokens.text("access_token")).await.expect(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        let claims = tokens.claims("access_token");
        assert_eq!(answer.json(), json!({
            "active": true, "aud": "storyden", "client_id": "service", "exp": claims["exp"], "iat": claims["iat"],
            "iss": "https://auth.example", "jti": claims["jti"], "scope": "openid offline_access READ_PROFILE",
            "sub": frigg.id.as_str(), "token_type": "Bearer", "username": "frigg",
        }));
        let answer = introspect(&server, &service, &tokens.text("refresh_token")).await.expect(200);
        assert_eq!(answer.json(), json!({
            "active": true, "client_id": "service", "exp": 1_767_225_600 + 720 * 3_600, "iss": "https://auth.example",
            "scope": "openid offline_access READ_PROFILE", "sub": frigg.id.as_str(), "username": "frigg",
        }));
        // RFC 7662 §2.1: a wrong hint has no effect.
        let refresh_token = tokens.text("refresh_token");
        let mut form = vec![("token", refresh_token.as_str()), ("token_type_hint", "access_token")];
        form.extend(service.credentials());
        assert_eq!(server.post_form(PATH, &form).await.expect(200).json()["active"], true);
        // A token from client credentials.
        let mut form = vec![("grant_type", "client_credentials"), ("scope", "READ_PROFILE")];
        form.extend(service.credentials());
        let own = server.token(&form).await.expect(200).text("access_token");
        assert_eq!(introspect(&server, &service, &own).await.expect(200).json()["scope"], "READ_PROFILE");
    }

    /// req_064, req_065: unknown, malformed, expired, rotated, revoked and foreign tokens, and ID
    /// tokens, get the same answer.
    async fn every_invalid_token_gets_the_same_answer(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let service = server.confidential_client(&frigg.id).await;
        let app = server.public_client().await;
        let foreign = server.tokens(&frigg, &app, &[]).await;
        let tokens = server.tokens(&frigg, &service, &[]).await;
        for token in ["x", "a.b.c", &tokens.text("id_token"), &foreign.text("access_token"), &foreign.text("refresh_token")] {
            is_inactive(&server, &service, token).await;
        }
        let forged = crate::support::forgery::signed_by_another(&tokens.jwt_header("access_token"), &tokens.claims("access_token"));
        is_inactive(&server, &service, &forged).await;
        let next = server.refresh(&service, &tokens.text("refresh_token")).await.expect(200);
        is_inactive(&server, &service, &tokens.text("refresh_token")).await; // rotated
        let given_back = next.text("refresh_token");
        let mut form = vec![("token", given_back.as_str())];
        form.extend(service.credentials());
        server.post_form("/api/oauth/revoke", &form).await.expect(200);
        for ended in [&tokens, &next] {
            is_inactive(&server, &service, &ended.text("access_token")).await;
        }
        is_inactive(&server, &service, &next.text("refresh_token")).await;
        let expired = server.tokens(&frigg, &service, &[]).await;
        server.turn(Duration::minutes(15));
        is_inactive(&server, &service, &expired.text("access_token")).await;
        server.turn(Duration::hours(720));
        is_inactive(&server, &service, &expired.text("refresh_token")).await;
    }

    /// req_065, A-105: tokens of a suspended account are inactive; permissions that the account lost
    /// are not in the scope.
    async fn lost_permissions_and_suspensions_are_effective_at_once(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let loki = server.member("loki", &[]).await;
        let service = server.confidential_client(&loki.id).await;
        let tokens = server.tokens(&frigg, &service, &[("scope", "openid offline_access MANAGE_POSTS")]).await;
        server.remove_permissions_except_use_clients(&frigg).await;
        for token in ["access_token", "refresh_token"] {
            let answer = introspect(&server, &service, &tokens.text(token)).await.expect(200);
            assert_eq!(answer.json()["scope"], "openid offline_access");
        }
        server.suspend(&frigg).await;
        for token in ["access_token", "refresh_token"] {
            is_inactive(&server, &service, &tokens.text(token)).await;
        }
        server.reinstate(&frigg).await;
        assert_eq!(introspect(&server, &service, &tokens.text("access_token")).await.json()["active"], true);
    }

    /// req_063: the caller authenticates as a confidential client, or the answer is 401.
    async fn the_caller_must_authenticate(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.confidential_client(&frigg.id).await;
        let app = server.public_client().await;
        let token = server.tokens(&frigg, &app, &[]).await.text("access_token");
        for form in [
            vec![("token", token.as_str())],
            vec![("token", &token), ("client_id", "nobody")],
            vec![("token", &token), ("client_id", "service"), ("client_secret", "wrong")],
            vec![("token", &token), ("client_id", "app")], // public
        ] {
            let answer = server.post_form(PATH, &form).await.expect_error(401, "invalid_client");
            assert_eq!(answer.header("www-authenticate"), "Basic realm=\"auth.example\"");
        }
        // A session cookie does not authenticate the caller.
        let request = server.request("POST", PATH).header("cookie", frigg.cookie()).form(&[("token", &token)]);
        server.send(request).await.expect_error(401, "invalid_client");
        server.get(PATH).await.expect(405);
    }

    /// req_063: a bearer with `ADMINISTRATOR` may introspect any token; other bearers may not.
    async fn an_administrator_may_introspect_any_token(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let admins = NewClient { client_id: "admins", scope: "openid ADMINISTRATOR", ..NewClient::default() };
        let admins = server.client(admins).await;
        let app = server.public_client().await;
        let strong = server.tokens(&odin, &admins, &[("scope", "ADMINISTRATOR")]).await.text("access_token");
        let weak = server.tokens(&odin, &admins, &[("scope", "openid")]).await.text("access_token");
        let theirs = server.tokens(&frigg, &app, &[]).await;
        for token in ["access_token", "refresh_token"] {
            let answer = introspect_with_bearer(&server, &strong, &theirs.text(token)).await.expect(200);
            assert_eq!((&answer.json()["active"], answer.text("username")), (&json!(true), "frigg".to_owned()));
        }
        assert_eq!(introspect_with_bearer(&server, &strong, "x").await.expect(200).body, r#"{"active":false}"#);
        for (bearer, status, code) in [
            (weak.as_str(), 403, "insufficient_scope"),
            (&theirs.text("access_token"), 403, "insufficient_scope"),
            ("x", 401, "invalid_token"),
        ] {
            let answer = introspect_with_bearer(&server, bearer, &strong).await.expect_error(status, code);
            let challenge = answer.challenge();
            assert!(challenge.starts_with("Bearer resource_metadata=\"https://auth.example/.well-known/"), "{challenge}");
            assert!(challenge.contains(&format!("error=\"{code}\"")), "{challenge}");
        }
        let both = server.request("POST", PATH).bearer_auth(&strong).form(&[("token", "x"), ("client_id", "app")]);
        server.send(both).await.expect_error(400, "invalid_request");
        // Deleting a client deactivates its tokens.
        server.sql("DELETE FROM oauth_refresh_tokens WHERE client_id = $1", &[app.row_id.as_str()]).await;
        server.sql("DELETE FROM oauth_authorisation_codes WHERE client_id = $1", &[app.row_id.as_str()]).await;
        server.sql("DELETE FROM oauth_authorisation_requests WHERE client_id = $1", &[app.row_id.as_str()]).await;
        server.sql("DELETE FROM oauth_clients WHERE id = $1", &[app.row_id.as_str()]).await;
        let gone = introspect_with_bearer(&server, &strong, &theirs.text("access_token")).await.expect(200);
        assert_eq!(gone.body, r#"{"active":false}"#);
        server.suspend(&odin).await;
        introspect_with_bearer(&server, &strong, "x").await.expect_error(401, "invalid_token");
    }

    /// req_063, storyden-contract.md#callers-of-each-operation: an administrator's access key is
    /// accepted.
    async fn an_administrators_access_key_may_introspect(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.public_client().await;
        let token = server.tokens(&frigg, &app, &[]).await.text("access_token");
        let (his, hers) = (access_key(&server, &odin).await, access_key(&server, &frigg).await);
        assert_eq!(introspect_with_bearer(&server, &his, &token).await.expect(200).json()["active"], true);
        introspect_with_bearer(&server, &hers, &token).await.expect_error(403, "insufficient_scope");
        introspect_with_bearer(&server, &format!("{}y", &his[..his.len() - 1]), &token).await.expect_error(401, "invalid_token");
    }

    /// req_008, P4: a missing or repeated token is rejected; while the database is unavailable the
    /// answer is 503 without `active`.
    async fn a_malformed_request_is_refused(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let service = server.confidential_client(&frigg.id).await;
        server.post_form(PATH, &service.credentials()).await.expect_error(400, "invalid_request");
        let mut form = vec![("token", "a"), ("token", "b")];
        form.extend(service.credentials());
        server.post_form(PATH, &form).await.expect_error(400, "invalid_request");
        server.context.db.close().await;
        let away = introspect(&server, &service, "x").await.expect_error(503, "temporarily_unavailable");
        assert_eq!(away.header("retry-after"), "2");
        assert_eq!(away.json().get("active"), None::<&Value>);
    }
}
