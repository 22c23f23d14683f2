//! Revocation (RFC 7009): the revoked token ends, and no other token.

use time::Duration;

use crate::support::{Answer, Client, NewClient, Server, both};

const PATH: &str = "/api/oauth/revoke";

/// Revokes a token as a client.
async fn revoke(server: &Server, client: &Client, token: &str) -> Answer {
    let mut form = vec![("token", token)];
    form.extend(client.credentials());
    server.post_form(PATH, &form).await
}

/// True if an access token is accepted.
async fn is_good(server: &Server, access_token: &str) -> bool {
    let answer = server
        .get_with_bearer("/api/oauth/userinfo", access_token)
        .await;
    answer.status == 200
}

/// The number of audit events of a kind.
async fn audited(server: &Server, event: &str) -> i64 {
    let sql = "SELECT COUNT(*) AS n FROM auth_audit WHERE event = $1";
    server.count(sql, &[event]).await
}

both! {
    /// req_057, req_058, req_059: revoking a refresh token ends the whole grant: successors and access
    /// tokens. The same holds for a used token, and for public and confidential clients.
    async fn a_refresh_token_ends_with_its_grant(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        for client in [server.public_client().await, server.confidential_client(&frigg.id).await] {
            for give_back_the_first in [false, true] {
                let first = server.tokens(&frigg, &client, &[]).await;
                let second = server.refresh(&client, &first.text("refresh_token")).await.expect(200);
                let other = server.tokens(&frigg, &client, &[]).await;
                let back = if give_back_the_first { &first } else { &second };
                let answer = revoke(&server, &client, &back.text("refresh_token")).await.expect(200);
                assert_eq!((answer.body.as_str(), answer.header("cache-control")), ("", "no-store"));
                for ended in [&first, &second] {
                    assert!(!is_good(&server, &ended.text("access_token")).await);
                }
                server.refresh(&client, &second.text("refresh_token")).await.expect_error(400, "invalid_grant");
                assert!(is_good(&server, &other.text("access_token")).await); // a separate grant
                server.refresh(&client, &other.text("refresh_token")).await.expect(200);
            }
        }
        assert_eq!(audited(&server, "grant_revoked").await, 4);
    }

    /// req_057: revoking an access token ends the grant.
    async fn an_access_token_ends_with_its_grant(setup: Setup) {
        for profile in ["standards", "storyden"] {
            let server = setup.clone().with("OAUTH_PROFILE", profile).start().await;
            let frigg = server.member(&format!("frigg-{profile}"), &[]).await;
            let name = if profile == "standards" { "one" } else { "two" };
            let app = server.client(NewClient { client_id: name, ..NewClient::default() }).await;
            let tokens = server.tokens(&frigg, &app, &[]).await;
            let other = server.tokens(&frigg, &app, &[]).await;
            revoke(&server, &app, &tokens.text("access_token")).await.expect(200);
            assert!(!is_good(&server, &tokens.text("access_token")).await);
            server.refresh(&app, &tokens.text("refresh_token")).await.expect_error(400, "invalid_grant");
            assert!(is_good(&server, &other.text("access_token")).await);
        }
    }

    /// req_057: revoking an access token from client credentials ends that token alone; the row of the
    /// revocation is deleted after the token's expiry.
    async fn a_clients_own_access_token_ends_alone(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await; // where userinfo needs no `openid`
        let frigg = server.member("frigg", &[]).await;
        let service = server.confidential_client(&frigg.id).await;
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(service.credentials());
        let one = server.token(&form).await.expect(200).text("access_token");
        let two = server.token(&form).await.expect(200).text("access_token");
        for _ in 0..2 {
            revoke(&server, &service, &one).await.expect(200);
        }
        assert!(!is_good(&server, &one).await);
        assert!(is_good(&server, &two).await);
        assert_eq!(audited(&server, "access_token_revoked").await, 1);
        let rows = "SELECT COUNT(*) AS n FROM auth_revoked_tokens";
        assert_eq!(server.count(rows, &[]).await, 1);
        server.turn(Duration::minutes(15) - Duration::seconds(1));
        crate::cleanup::clean_up(&server).await;
        assert!(!is_good(&server, &one).await);
        server.turn(Duration::seconds(5));
        crate::cleanup::clean_up(&server).await;
        assert_eq!(server.count(rows, &[]).await, 0);
        assert!(!is_good(&server, &one).await);
    }

    /// req_058, A-30: a token of another client is not revoked.
    async fn a_token_of_another_client_stays_good(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let other = server.confidential_client(&frigg.id).await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        for token in ["access_token", "refresh_token"] {
            revoke(&server, &other, &tokens.text(token)).await.expect_error(400, "invalid_grant");
        }
        assert!(is_good(&server, &tokens.text("access_token")).await);
        server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
        assert_eq!(audited(&server, "grant_revoked").await, 0);
    }

    /// req_058: the client authenticates first, as at the token endpoint.
    async fn the_client_authenticates_first(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let service = server.confidential_client(&frigg.id).await;
        let tokens = server.tokens(&frigg, &service, &[]).await;
        let token = tokens.text("refresh_token");
        for form in [
            vec![("token", token.as_str())],
            vec![("token", &token), ("client_id", "nobody")],
            vec![("token", &token), ("client_id", "service")],
            vec![("token", &token), ("client_id", "service"), ("client_secret", "wrong")],
        ] {
            server.post_form(PATH, &form).await.expect_error(400, "invalid_client");
        }
        let basic = |secret| server.request("POST", PATH).basic_auth("service", Some(secret));
        let wrong = server.send(basic("wrong").form(&[("token", &token)])).await.expect_error(401, "invalid_client");
        assert_eq!(wrong.header("www-authenticate"), "Basic realm=\"auth.example\"");
        server.refresh(&service, &token).await.expect(200);
        // RFC 6749 §2.3.1: client id and secret in the header are form-encoded.
        let right = server.request("POST", PATH).basic_auth("service", Some("s3cret%3Awith+%25%2B+odd%3Dchars"));
        server.send(right.form(&[("token", "x")])).await.expect(200);
    }

    /// req_060: a wrong or unknown hint has no effect.
    async fn a_wrong_hint_has_no_effect(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for (token, hint) in [
            ("refresh_token", "access_token"),
            ("access_token", "refresh_token"),
            ("refresh_token", "something_else"),
        ] {
            let tokens = server.tokens(&frigg, &app, &[]).await;
            let form = [("token", &*tokens.text(token)), ("token_type_hint", hint), ("client_id", "app")];
            server.post_form(PATH, &form).await.expect(200);
            assert!(!is_good(&server, &tokens.text("access_token")).await, "{token} {hint}");
        }
    }

    /// req_061: an unknown, malformed, revoked or expired token, or an ID token, is answered with 200.
    async fn an_invalid_token_is_answered_with_200(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        let id_token = tokens.text("id_token");
        for token in ["x", "a.b.c", "\u{fc}", &"x".repeat(4_000), &id_token] {
            revoke(&server, &app, token).await.expect(200);
        }
        assert!(is_good(&server, &tokens.text("access_token")).await);
        for _ in 0..2 {
            revoke(&server, &app, &tokens.text("refresh_token")).await.expect(200);
        }
        let expired = server.tokens(&frigg, &app, &[]).await;
        server.turn(Duration::hours(1));
        revoke(&server, &app, &expired.text("access_token")).await.expect(200);
        server.refresh(&app, &expired.text("refresh_token")).await.expect(200);
        assert_eq!(audited(&server, "grant_revoked").await, 1);
    }

    /// req_008, req_057, req_062: revocation is a form POST with a single token. A token issued by
    /// Storyden names no client, so revocation is refused. While the database is unavailable the answer
    /// is 503, so that the client knows the token may be live.
    async fn a_malformed_request_is_refused(setup: Setup) {
        let server = setup.clone().with("OAUTH_PROFILE", "storyden").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        let mut claims = tokens.claims("access_token");
        for ours in ["client_id", "gid"] {
            claims.as_object_mut().unwrap().remove(ours).unwrap();
        }
        let theirs = crate::support::forgery::signed(&tokens.jwt_header("access_token"), &claims);
        revoke(&server, &app, &theirs).await.expect_error(400, "unsupported_token_type");

        let server = setup.start().await;
        server.get(PATH).await.expect(405);
        server.post_form(PATH, &[("client_id", "app")]).await.expect_error(400, "invalid_request");
        let twice = [("token", "a"), ("token", "b"), ("client_id", "app")];
        server.post_form(PATH, &twice).await.expect_error(400, "invalid_request");
        let json = server.request("POST", PATH).json(&serde_json::json!({ "token": "a", "client_id": "app" }));
        server.send(json).await.expect_error(400, "invalid_request");
        server.context.db.close().await;
        let away = revoke(&server, &app, "x").await.expect_error(503, "temporarily_unavailable");
        assert_eq!(away.header("retry-after"), "2");
    }

    /// while OAuth is off revocation and introspection are refused.
    async fn while_oauth_is_off_revocation_is_refused(setup: Setup) {
        let server = setup.with("OAUTH_ENABLED", "false").start().await;
        for path in [PATH, "/api/oauth/introspect"] {
            let answer = server.post_form(path, &[("token", "x"), ("client_id", "app")]).await;
            answer.expect_error(400, "temporarily_unavailable");
        }
    }

    /// A-27, req_059: a refresh concurrent with the revocation of the grant leaves no live token.
    async fn a_concurrent_refresh_does_not_survive_a_revocation(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for _ in 0..10 {
            let tokens = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
            let (_, revoked) = tokio::join!(server.refresh(&app, &tokens), revoke(&server, &app, &tokens));
            revoked.expect(200);
            let live = "SELECT COUNT(*) AS n FROM oauth_refresh_tokens WHERE revoked_at IS NULL";
            assert_eq!(server.count(live, &[]).await, 0);
        }
    }
}
