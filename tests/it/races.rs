//! T6: of concurrent uses of a single-use item exactly one succeeds, without a server error; on a
//! single server and on two replicas.

use serde_json::json;
use time::Duration;

use crate::support::race::{count, send_concurrently};
use crate::support::{Answer, Server, Setup, both};

/// Concurrent requests and rounds: twenty rounds in total.
const ROUNDS: &[(usize, usize)] = &[(2, 12), (8, 6), (64, 2)];

const LIVE: &str = "SELECT COUNT(*) AS n FROM oauth_refresh_tokens WHERE revoked_at IS NULL";

/// Starts replicas on a shared database.
async fn servers(setup: &Setup, replicas: usize) -> Vec<Server> {
    let mut servers = Vec::new();
    for _ in 0..replicas {
        servers.push(setup.start().await);
    }
    servers
}

/// Sends a form to the token endpoint `n` times concurrently, spread over the servers.
async fn send_copies(servers: &[Server], form: &[(&str, &str)], n: usize) -> Vec<Answer> {
    servers[0].held.count("races", 1);
    let requests = (0..n).map(|at| servers[at % servers.len()].token_request(form));
    send_concurrently(requests.collect()).await
}

/// The only successful answer; fails unless all others are `invalid_grant`.
#[track_caller]
fn winner(answers: &[Answer]) -> Answer {
    assert_eq!(count(answers, 200), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.clone().expect_error(400, "invalid_grant");
    }
    let won = answers.iter().find(|answer| answer.status == 200);
    won.unwrap().clone()
}

async fn race_codes(servers: &[Server]) {
    let server = &servers[0];
    let frigg = server.member("frigg", &[]).await;
    let app = server.public_client().await;
    for (n, rounds) in ROUNDS {
        for _ in 0..*rounds {
            let code = server
                .code(&frigg, &app, &[("scope", "openid offline_access")])
                .await;
            let won = winner(&send_copies(servers, &app.exchange_form(&code), *n).await);
            // the losing exchanges are no replay and revoke nothing.
            let access_token = won.text("access_token");
            server
                .get_with_bearer("/api/oauth/userinfo", &access_token)
                .await
                .expect(200);
            server
                .refresh(&app, &won.text("refresh_token"))
                .await
                .expect(200);
        }
    }
    assert_eq!(server.count(LIVE, &[]).await, 20);
}

async fn race_devices(servers: &[Server]) {
    let server = &servers[0];
    let frigg = server.member("frigg", &[]).await;
    let app = server.public_client().await;
    for (n, rounds) in ROUNDS {
        for _ in 0..*rounds {
            let device_code = server.approved_device(&frigg, &app, "offline_access").await;
            let won = winner(&send_copies(servers, &app.poll_form(&device_code), *n).await);
            server
                .refresh(&app, &won.text("refresh_token"))
                .await
                .expect(200);
        }
    }
    assert_eq!(server.count(LIVE, &[]).await, 20);
}

async fn race_refresh_tokens(servers: &[Server]) {
    let server = &servers[0];
    let frigg = server.member("frigg", &[]).await;
    let app = server.public_client().await;
    let tokens = server
        .tokens(&frigg, &app, &[("scope", "offline_access")])
        .await;
    let mut token = tokens.text("refresh_token");
    for (n, rounds) in ROUNDS {
        for _ in 0..*rounds {
            let answers = send_copies(servers, &app.refresh_form(&token), *n).await;
            assert_eq!(count(&answers, 200), *n);
            token = answers[0].text("refresh_token");
            assert!(
                answers
                    .iter()
                    .all(|answer| answer.text("refresh_token") == token)
            );
            assert_eq!(server.count(LIVE, &[]).await, 1);
        }
    }
}

async fn race_refresh_tokens_without_window(servers: &[Server]) {
    let server = &servers[0];
    let frigg = server.member("frigg", &[]).await;
    let app = server.public_client().await;
    for (n, rounds) in ROUNDS {
        for _ in 0..*rounds {
            let tokens = server
                .tokens(&frigg, &app, &[("scope", "offline_access")])
                .await;
            let answers = send_copies(
                servers,
                &app.refresh_form(&tokens.text("refresh_token")),
                *n,
            )
            .await;
            let leaf = winner(&answers).text("refresh_token");
            // The second use counts as a replay and ends the family.
            assert_eq!(server.count(LIVE, &[]).await, 0);
            server
                .refresh(&app, &leaf)
                .await
                .expect_error(400, "invalid_grant");
        }
    }
}

/// The signatures that a server made so far.
fn signatures(server: &Server) -> u64 {
    server.context.keys.as_ref().unwrap().signatures()
}

/// Sends a form 64 times concurrently. Fails unless only the successful answer was signed.
async fn one_signs(server: &Server, form: &[(&str, &str)]) {
    let before = signatures(server);
    let won = winner(&send_copies(std::slice::from_ref(server), form, 64).await);
    assert!(!won.text("id_token").is_empty());
    assert_eq!(
        signatures(server) - before,
        2,
        "an access token and an ID token"
    );
}

async fn race_consents(servers: &[Server], decisions: [&str; 2]) {
    let server = &servers[0];
    let frigg = server.member("frigg", &[]).await;
    let app = server.public_client().await;
    let mut approved = 0;
    for (n, rounds) in ROUNDS {
        for _ in 0..*rounds {
            server.held.count("races", 1);
            let request_id = server.pending(&frigg, &app, &[]).await;
            let requests = (0..*n).map(|at| {
                let body = json!({ "request_id": request_id, "decision": decisions[at % 2] });
                servers[(at / 2) % servers.len()]
                    .request("POST", "/api/oauth/authorize/consent")
                    .header("cookie", frigg.cookie())
                    .json(&body)
            });
            let answers = send_concurrently(requests.collect()).await;
            assert_eq!((count(&answers, 200), count(&answers, 400)), (1, n - 1));
            let won = answers.iter().find(|answer| answer.status == 200).unwrap();
            if let Some(code) = won.sent("code") {
                approved += 1;
                server.exchange(&app, &code).await.expect(200);
            }
        }
    }
    let codes = "SELECT COUNT(*) AS n FROM oauth_authorisation_codes";
    assert_eq!(server.count(codes, &[]).await, approved);
}

async fn race_device_decisions(servers: &[Server]) {
    let server = &servers[0];
    let frigg = server.member("frigg", &[]).await;
    let app = server.public_client().await;
    for n in [2, 4] {
        // User codes are limited to five errors per account, and every loser counts as an error.
        server.turn(Duration::minutes(11));
        let started = server.start_device(&app, "openid").await.expect(200);
        server.held.count("races", 1);
        let (device_code, user_code) = (started.text("device_code"), started.text("user_code"));
        server.open_device(&frigg, &user_code).await.expect(200);
        let requests = (0..n).map(|at| {
            let decision = ["approve", "deny"][at % 2];
            servers[(at / 2) % servers.len()]
                .request("POST", "/api/oauth/device/consent")
                .header("cookie", frigg.cookie())
                .json(&json!({ "user_code": user_code, "decision": decision }))
        });
        let answers = send_concurrently(requests.collect()).await;
        assert_eq!((count(&answers, 200), count(&answers, 400)), (1, n - 1));
        let won = answers.iter().find(|answer| answer.status == 200).unwrap();
        let polled = server.poll(&app, &device_code).await;
        match won.text("status").as_str() {
            "approved" => drop(polled.expect(200)),
            _ => drop(polled.expect_error(400, "access_denied")),
        }
    }
}

both! {
    /// T6, A-15, P2, req_022: of concurrent exchanges of a code one succeeds, and nothing is revoked.
    async fn one_of_many_exchanges_of_a_code_wins(setup: Setup) {
        race_codes(&servers(&setup, 1).await).await;
    }

    /// T6, A-15, P2, P6: the same on two replicas.
    async fn one_of_many_exchanges_of_a_code_wins_on_two_replicas(setup: Setup) {
        race_codes(&servers(&setup, 2).await).await;
    }

    /// T6, A-45, P2, req_086: of concurrent polls of an approved device one gets tokens.
    async fn one_of_many_polls_of_an_approved_device_wins(setup: Setup) {
        race_devices(&servers(&setup, 1).await).await;
    }

    /// T6, A-45, P2, P6: the same on two replicas.
    async fn one_of_many_polls_of_an_approved_device_wins_on_two_replicas(setup: Setup) {
        race_devices(&servers(&setup, 2).await).await;
    }

    /// T6, A-25, A-26, P2, P3: concurrent uses of a refresh token within the reuse window all get the
    /// same successor.
    async fn many_uses_of_a_refresh_token_share_one_successor(setup: Setup) {
        race_refresh_tokens(&servers(&setup, 1).await).await;
    }

    /// T6, A-25, A-26, P2, P6: the same on two replicas.
    async fn many_uses_of_a_refresh_token_share_one_successor_on_two_replicas(setup: Setup) {
        race_refresh_tokens(&servers(&setup, 2).await).await;
    }

    /// T6, A-25, P2, req_123: without a reuse window one use succeeds, and the others end the family.
    async fn without_a_window_one_use_of_a_refresh_token_wins(setup: Setup) {
        let setup = setup.with("OAUTH_REFRESH_TOKEN_REUSE_WINDOW", "0s");
        race_refresh_tokens_without_window(&servers(&setup, 1).await).await;
    }

    /// T6, A-25, P2, P6: the same on two replicas.
    async fn without_a_window_one_use_of_a_refresh_token_wins_on_two_replicas(setup: Setup) {
        let setup = setup.with("OAUTH_REFRESH_TOKEN_REUSE_WINDOW", "0s");
        race_refresh_tokens_without_window(&servers(&setup, 2).await).await;
    }

    /// T6, A-15, A-45, A-25: of concurrent redemptions of a code, device code or refresh token only the
    /// successful request is signed.
    async fn one_of_many_redemptions_signs(setup: Setup) {
        let setup = setup.with("OAUTH_REFRESH_TOKEN_REUSE_WINDOW", "0s");
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let scope = "openid offline_access";
        let code = server.code(&frigg, &app, &[("scope", scope)]).await;
        one_signs(&server, &app.exchange_form(&code)).await;
        let device_code = server.approved_device(&frigg, &app, scope).await;
        one_signs(&server, &app.poll_form(&device_code)).await;
        let tokens = server.tokens(&frigg, &app, &[("scope", scope)]).await;
        one_signs(&server, &app.refresh_form(&tokens.text("refresh_token"))).await;
    }

    /// T6, A-52, P2: of concurrent approvals exactly one makes a code.
    async fn one_of_many_approvals_makes_a_code(setup: Setup) {
        race_consents(&servers(&setup, 1).await, ["approve", "approve"]).await;
    }

    /// T6, A-52, P2: of concurrent approvals and denials exactly one counts.
    async fn one_of_many_decisions_counts(setup: Setup) {
        race_consents(&servers(&setup, 1).await, ["approve", "deny"]).await;
    }

    /// T6, A-52, P2, P6: the same on two replicas.
    async fn one_of_many_decisions_counts_on_two_replicas(setup: Setup) {
        race_consents(&servers(&setup, 2).await, ["approve", "deny"]).await;
    }

    /// T6, A-52, P2: of concurrent decisions of a device flow exactly one counts.
    async fn one_of_many_decisions_of_a_device_counts(setup: Setup) {
        race_device_decisions(&servers(&setup, 1).await).await;
    }

    /// T6, A-52, P2, P6: the same on two replicas.
    async fn one_of_many_decisions_of_a_device_counts_on_two_replicas(setup: Setup) {
        race_device_decisions(&servers(&setup, 2).await).await;
    }

    /// T6, A-27, req_123: a replay of an old token concurrent with a rotation of the newest leaves no
    /// live token.
    async fn reuse_during_a_rotation_leaves_nothing_alive(setup: Setup) {
        let servers = servers(&setup, 2).await;
        let server = &servers[0];
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for _ in 0..10 {
            let first = server.tokens(&frigg, &app, &[("scope", "offline_access")]).await.text("refresh_token");
            let second = server.refresh(&app, &first).await.expect(200).text("refresh_token");
            let third = server.refresh(&app, &second).await.expect(200).text("refresh_token");
            let (old, new) = (app.refresh_form(&first), app.refresh_form(&third));
            let requests = (0..8).map(|at| servers[at % 2].token_request(if at < 4 { &new } else { &old }));
            let answers = send_concurrently(requests.collect()).await;
            server.held.count("races", 1);
            count(&answers, 200);
            assert_eq!(server.count(LIVE, &[]).await, 0);
            for answer in answers.iter().filter(|answer| answer.status == 200) {
                let leaf = answer.text("refresh_token");
                server.refresh(&app, &leaf).await.expect_error(400, "invalid_grant");
            }
        }
    }

    /// T6, A-14, A-27: a replay of a code concurrent with a refresh of the code's tokens leaves no live
    /// token.
    async fn a_codes_replay_during_a_rotation_leaves_nothing_alive(setup: Setup) {
        let servers = servers(&setup, 2).await;
        let server = &servers[0];
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for _ in 0..10 {
            let code = server.code(&frigg, &app, &[("scope", "offline_access")]).await;
            let token = server.exchange(&app, &code).await.expect(200).text("refresh_token");
            server.turn(Duration::seconds(10));
            let (replay, refresh) = (app.exchange_form(&code), app.refresh_form(&token));
            let requests = (0..8).map(|at| servers[at % 2].token_request(if at < 4 { &refresh } else { &replay }));
            server.held.count("races", 1);
            count(&send_concurrently(requests.collect()).await, 200);
            assert_eq!(server.count(LIVE, &[]).await, 0);
        }
    }
}
