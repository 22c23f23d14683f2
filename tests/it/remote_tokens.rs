//! Tokens of remote connections (storyden-contract.md#remote-token-supply): validation, sealing,
//! refresh by a single replica, and supply to backends.

use serde_json::{Value, json};
use time::Duration;

use crate::remote_connections::{CONNECTIONS, begin, connected, create, remote, tokens};
use crate::support::simulated_internet::{Host, Reply, SimulatedInternet};
use crate::support::{Answer, Member, Server, both};

/// Requests the connection's token as a backend does.
async fn supply_token(server: &Server, person: &Member, id: &str) -> Answer {
    server
        .post_as(person, &format!("{CONNECTIONS}/{id}/token"), &json!({}))
        .await
}

async fn status(server: &Server, person: &Member, id: &str) -> Value {
    server
        .get_as(person, &format!("{CONNECTIONS}/{id}"))
        .await
        .expect(200)
        .json()
}

/// The number of refresh requests at the remote server.
fn refreshes(host: &Host) -> usize {
    host.asked_at("/token")
        .iter()
        .filter(|request| request.contains("grant_type=refresh_token"))
        .count()
}

both! {
    /// an invalid response of a token endpoint is rejected with the reason.
    async fn an_invalid_token_response_is_refused(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let long = "x".repeat(17_000);
        let html = "Content-Type: text/html\r\n";
        let host = remote(&outside, "tools.example", &json!({})).await;
        let id = create(&server, &thor, &host).await.expect(200).text("id");
        for (reply, part) in [
            (Reply::body("200 OK", html, "<html>"), "not JSON"),
            (Reply::json("200 OK", "", &json!({ "error": "invalid_grant" })), "invalid_grant"),
            (Reply::json("400 Bad Request", "", &json!({ "error": "invalid_grant", "error_description": "old" })), "invalid_grant: old"),
            (Reply::json("401 x", "", &json!({ "error": "unauthorized_client" })), "unauthorized_client"),
            (Reply::json("302 Found", "Location: https://evil.example/\r\n", &json!({})), "302"),
            (tokens(&json!({ "access_token": null })), "no access_token"),
            (tokens(&json!({ "access_token": 7 })), "invalid or too long token"),
            (tokens(&json!({ "access_token": "a\nb" })), "invalid or too long token"),
            (tokens(&json!({ "access_token": long })), "too long"),
            (tokens(&json!({ "refresh_token": long })), "too long"),
            (tokens(&json!({ "token_type": null })), "no token_type"),
            (tokens(&json!({ "token_type": "mac" })), "other than Bearer"),
            (tokens(&json!({ "token_type": "DPoP" })), "other than Bearer"),
            (tokens(&json!({ "expires_in": -1 })), "expires_in"),
            (tokens(&json!({ "expires_in": 0 })), "expires_in"),
            (tokens(&json!({ "expires_in": "soon" })), "expires_in"),
            (Reply::json("200 OK", "", &json!({ "x": "y".repeat(70_000) })), "longer"),
            (Reply::Raw(Vec::new()), "did not answer"),
        ] {
            host.reply("/token", reply);
            let url = server.post_as(&thor, &format!("{CONNECTIONS}/{id}/authorize"), &json!({})).await.expect(200);
            let url: reqwest::Url = url.text("authorization_url").parse().unwrap();
            let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
            let request = server.request("GET", "/api/oauth/remote/callback").query(&[("state", state.as_str()), ("code", "c")]);
            let answer = server.send(request.header("cookie", thor.cookie())).await.expect(400);
            assert!(answer.text("detail").contains(part), "{part}: {}", answer.body);
            let shown = status(&server, &thor, &id).await;
            assert_eq!((&shown["status"], &shown["has_access_token"]), (&json!("error"), &json!(false)));
        }
        // an absurd lifetime is capped
        host.reply("/token", tokens(&json!({ "expires_in": 1e99 })));
        let other = remote(&outside, "other.example", &json!({})).await;
        other.reply("/token", tokens(&json!({ "expires_in": 1e99 })));
        let id = connected(&server, &thor, &other).await;
        assert!(status(&server, &thor, &id).await["token_expiry"].as_str().unwrap().starts_with("2035-"));
    }

    /// storyden-contract.md#remote-token-supply: a token is refreshed five minutes before expiry. A
    /// rotated refresh token replaces the stored token; without a new token the stored token stays.
    async fn a_token_is_refreshed_before_its_end(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        let id = connected(&server, &thor, &host).await;
        assert_eq!(supply_token(&server, &thor, &id).await.expect(200).text("access_token"), "at-1");
        server.turn(Duration::minutes(54));
        assert_eq!(supply_token(&server, &thor, &id).await.expect(200).text("access_token"), "at-1");
        host.reply("/token", tokens(&json!({ "access_token": "at-2", "refresh_token": "rt-2" })));
        server.turn(Duration::minutes(2));
        let given = supply_token(&server, &thor, &id).await.expect(200);
        assert_eq!((given.text("access_token"), given.header("cache-control")), ("at-2".into(), "no-store"));
        assert!(host.asked_at("/token")[1].contains("refresh_token=rt-1"));
        assert!(host.asked_at("/token")[1].contains("resource=https%3A%2F%2Ftools.example%2Fmcp"));
        host.reply("/token", tokens(&json!({ "access_token": "at-3", "refresh_token": null })));
        server.turn(Duration::hours(1));
        assert_eq!(supply_token(&server, &thor, &id).await.expect(200).text("access_token"), "at-3");
        server.turn(Duration::hours(1));
        supply_token(&server, &thor, &id).await.expect(200);
        assert!(host.asked_at("/token")[3].contains("refresh_token=rt-2"));
    }

    /// A token with a lifetime of a minute is refreshed in the last quarter, and supplied at once.
    async fn a_short_lived_token_is_supplied(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        host.reply("/token", tokens(&json!({ "expires_in": 60 })));
        let id = connected(&server, &thor, &host).await;
        supply_token(&server, &thor, &id).await.expect(200);
        server.turn(Duration::seconds(44));
        supply_token(&server, &thor, &id).await.expect(200);
        assert_eq!(refreshes(&host), 0);
        host.reply("/token", tokens(&json!({ "access_token": "at-2", "expires_in": 60 })));
        server.turn(Duration::seconds(2));
        assert_eq!(supply_token(&server, &thor, &id).await.expect(200).text("access_token"), "at-2");
        supply_token(&server, &thor, &id).await.expect(200);
        assert_eq!(refreshes(&host), 1);
        server.turn(Duration::hours(1));
        supply_token(&server, &thor, &id).await.expect(200);
        assert_eq!(refreshes(&host), 2);
    }

    /// A temporary failure changes nothing: a valid token is supplied, afterwards the caller gets 503;
    /// a rejection marks the connection as failed, with the reason.
    async fn a_temporary_failure_keeps_the_connection_and_a_refusal_fails_it(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        let id = connected(&server, &thor, &host).await;
        host.reply("/token", Reply::json("503 x", "", &json!({})));
        server.turn(Duration::minutes(57));
        assert_eq!(supply_token(&server, &thor, &id).await.expect(200).text("access_token"), "at-1");
        assert_eq!(refreshes(&host), 3, "tried again, with a pause between");
        server.turn(Duration::minutes(5));
        let away = supply_token(&server, &thor, &id).await.expect(503);
        assert!(away.header("retry-after").parse::<u64>().unwrap() > 0);
        assert_eq!(status(&server, &thor, &id).await["status"], "connected");
        host.reply("/token", tokens(&json!({ "access_token": "at-2" })));
        assert_eq!(supply_token(&server, &thor, &id).await.expect(200).text("access_token"), "at-2");
        host.reply("/token", Reply::json("400 x", "", &json!({ "error": "invalid_grant" })));
        server.turn(Duration::hours(1));
        let refused = supply_token(&server, &thor, &id).await.expect(400);
        assert!(refused.text("detail").contains("authorize the connection again"), "{}", refused.body);
        let shown = status(&server, &thor, &id).await;
        assert_eq!((&shown["status"], &shown["has_access_token"]), (&json!("error"), &json!(true)));
        let before = refreshes(&host);
        supply_token(&server, &thor, &id).await.expect(400);
        assert_eq!(refreshes(&host), before, "a token that was refused is not sent again");
    }

    /// Two replicas refresh a connection a hundred times at once: the remote server gets a single
    /// request.
    async fn concurrent_refreshes_are_a_single_request(setup: Setup) {
        let outside = SimulatedInternet::new();
        let setup = outside.around(setup)
            .with("REMOTE_TOKEN_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
            .with("REMOTE_TOKEN_ENDPOINT_ENABLED", "true");
        let servers = [std::sync::Arc::new(setup.start().await), std::sync::Arc::new(setup.start().await)];
        let thor = servers[0].member("thor", &["MANAGE_ROBOTS"]).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        let id = connected(&servers[0], &thor, &host).await;
        servers[0].turn(Duration::hours(2));
        host.reply("/token", tokens(&json!({ "access_token": "at-2", "refresh_token": "rt-2" })));
        let asked: Vec<_> = (0..100)
            .map(|number| {
                let (server, thor, id) = (std::sync::Arc::clone(&servers[number % 2]), thor.clone(), id.clone());
                tokio::spawn(async move { supply_token(&server, &thor, &id).await.expect(200).text("access_token") })
            })
            .collect();
        for asked in asked {
            assert_eq!(asked.await.unwrap(), "at-2");
        }
        assert_eq!(refreshes(&host), 1);
    }

    /// The lease of an interrupted refresh, as after a replica crash, expires after half a minute.
    async fn an_expired_refresh_lease_is_taken_over(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        let id = connected(&server, &thor, &host).await;
        server.turn(Duration::minutes(57));
        let begun = storyden_auth::store::value::Value::from(server.clock.now());
        let sql = "UPDATE oauth_remote_connections SET token_refresh_started_at = $1";
        server.context.db.execute(sql, vec![begun]).await.unwrap();
        assert_eq!(supply_token(&server, &thor, &id).await.expect(200).text("access_token"), "at-1");
        assert_eq!(refreshes(&host), 0);
        server.turn(Duration::seconds(31));
        host.reply("/token", tokens(&json!({ "access_token": "at-2" })));
        assert_eq!(supply_token(&server, &thor, &id).await.expect(200).text("access_token"), "at-2");
    }

    /// Tokens are sealed at rest, bound to row and column. With a wrong key decryption fails, with an
    /// error that names `REMOTE_TOKEN_KEY`.
    async fn tokens_are_sealed_at_rest(setup: Setup) {
        let (server, thor, outside) = begin(setup.clone()).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        let id = connected(&server, &thor, &host).await;
        let sealed = "SELECT COUNT(*) AS n FROM oauth_remote_connections \
                      WHERE access_token LIKE 'sealed:v1:%' AND refresh_token LIKE 'sealed:v1:%'";
        assert_eq!(server.count(sealed, &[]).await, 1);
        server.sql("UPDATE oauth_remote_connections SET access_token = refresh_token WHERE id = $1", &[&id]).await;
        assert!(supply_token(&server, &thor, &id).await.expect(503).text("detail").contains("REMOTE_TOKEN_KEY"));
        let other = outside.around(setup)
            .with("REMOTE_TOKEN_KEY", "HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
            .with("REMOTE_TOKEN_ENDPOINT_ENABLED", "true");
        let other = other.start().await;
        assert!(supply_token(&other, &thor, &id).await.expect(503).text("detail").contains("REMOTE_TOKEN_KEY"));
    }

    /// A backend gets a token only if the operation is enabled, with the permission, and with an audit
    /// event.
    async fn the_token_endpoint_requires_setting_and_permission(setup: Setup) {
        let (server, thor, outside) = begin(setup.clone()).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        let id = connected(&server, &thor, &host).await;
        supply_token(&server, &thor, &id).await.expect(200);
        let noted = "SELECT COUNT(*) AS n FROM auth_audit WHERE event = 'remote_token_given' AND subject_id = $1";
        assert_eq!(server.count(noted, &[&id]).await, 1);
        let loki = server.member("loki", &[]).await;
        supply_token(&server, &loki, &id).await.expect(403);
        let off = setup.start().await;
        assert!(supply_token(&off, &thor, &id).await.expect(403).text("detail").contains("REMOTE_TOKEN_ENDPOINT_ENABLED"));
    }

    /// The command makes, lists, shows and deletes a connection, and never prints a secret.
    async fn the_command_manages_connections(setup: Setup) {
        let settings = [("REMOTE_TOKEN_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")];
        let run = async |arguments: &[&str]| setup.run(arguments, &settings).await;
        for create in [
            vec!["account", "create", "--handle", "odin", "--admin", "--generate-password"],
            vec!["account", "create", "--handle", "loki", "--generate-password"],
        ] {
            assert_eq!(run(&create).await.code, Some(0));
        }
        let connect = |account: &'static str| vec![
            "remote", "connect", "https://api.example/v1", "--as", account, "--client-id", "mine", "--json",
            "--authorization-endpoint", "https://api.example/a", "--token-endpoint", "https://api.example/t",
        ];
        let refused = run(&connect("loki")).await;
        assert_eq!(refused.code, Some(1));
        assert!(refused.stderr.contains("MANAGE_ROBOTS"), "{}", refused.stderr);
        let made = run(&connect("odin")).await;
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        let made: Value = serde_json::from_str(&made.stdout).unwrap();
        assert!(made["authorization_url"].as_str().unwrap().starts_with("https://api.example/a?"));
        let id = made["connection"]["id"].as_str().unwrap();
        assert!(run(&["remote", "list"]).await.stdout.contains("https://api.example/v1"));
        assert!(run(&["remote", "show", id]).await.stdout.contains("pending"));
        let token = run(&["remote", "token", id]).await;
        assert!(token.stderr.contains("not authorized yet"), "{}", token.stderr);
        assert_eq!(run(&["remote", "delete", id, "--yes"]).await.code, Some(0));
        let gone = run(&["remote", "show", id]).await;
        assert!(gone.code == Some(1) && gone.stderr.contains("remote list"), "{}", gone.stderr);
    }
}
