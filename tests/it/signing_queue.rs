//! The signing queue: bounded in length and time; a refused request consumes no code or token (A-80,
//! P3).

use std::time::Duration;

use storyden_auth::keys::{SigningLimits, SigningPermit};
use tokio::task::JoinSet;

use crate::support::race::Form;
use crate::support::{Answer, Server, both};

const LONG: Duration = Duration::from_hours(1);

/// Takes every signing permit until the result is dropped.
async fn occupy_signers(server: &Server) -> Vec<SigningPermit> {
    let keys = server.context.keys.as_ref().unwrap();
    let mut turns = Vec::new();
    for _ in 0..keys.free_permits() {
        turns.push(keys.turn().await.unwrap());
    }
    turns
}

fn waiting(server: &Server) -> usize {
    server.context.keys.as_ref().unwrap().waiting()
}

/// Fails unless the answer is a 503 with `Retry-After`.
#[track_caller]
fn assert_retry_later(answer: Answer) {
    let answer = answer.expect_error(503, "temporarily_unavailable");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
}

/// Sends a request of each grant except the device grant: refused while no signature can be made, and
/// successful afterwards.
async fn nothing_is_consumed(server: &Server) {
    let frigg = server.member("frigg", &["USE_OAUTH_CLIENTS"]).await;
    let app = server.public_client().await;
    let service = server.confidential_client(&frigg.id).await;
    let code = server.code(&frigg, &app, &[]).await;
    let token = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
    let mut itself: Form<'_> = vec![("grant_type", "client_credentials")];
    itself.extend(service.credentials());
    let forms = [app.exchange_form(&code), app.refresh_form(&token), itself];
    let turns = occupy_signers(server).await;
    for form in &forms {
        assert_retry_later(server.token(form).await);
    }
    drop(turns);
    for form in &forms {
        server.token(form).await.expect(200);
    }
}

both! {
    /// A-80, P3: a full queue refuses at once, with `Retry-After`, and no code or token is consumed.
    async fn a_full_queue_consumes_nothing(setup: Setup) {
        let mut setup = setup;
        setup.signing = SigningLimits { waiting: 0, deadline: LONG };
        nothing_is_consumed(&setup.start().await).await;
    }

    /// A-80, P3: the same at the end of the deadline.
    async fn a_wait_that_is_too_long_consumes_nothing(setup: Setup) {
        let mut setup = setup;
        setup.signing = SigningLimits { waiting: 8, deadline: Duration::from_millis(50) };
        nothing_is_consumed(&setup.start().await).await;
    }

    /// requests up to the limit of the queue are served; further requests are refused.
    async fn requests_in_the_queue_are_served(setup: Setup) {
        let mut setup = setup;
        setup.signing = SigningLimits { waiting: 2, deadline: LONG };
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let mut tokens = Vec::new();
        for _ in 0..3 {
            tokens.push(server.tokens(&frigg, &app, &[]).await.text("refresh_token"));
        }
        let turns = occupy_signers(&server).await;
        let mut queue = JoinSet::new();
        for token in &tokens[..2] {
            let request = server.token_request(&app.refresh_form(token));
            queue.spawn(async move { Answer::of(request.send().await.unwrap()).await });
        }
        while waiting(&server) < 2 {
            tokio::task::yield_now().await;
        }
        assert_retry_later(server.refresh(&app, &tokens[2]).await);
        assert_eq!(waiting(&server), 2);
        drop(turns);
        for answer in queue.join_all().await {
            answer.expect(200);
        }
        server.refresh(&app, &tokens[2]).await.expect(200);
        assert_eq!(waiting(&server), 0);
    }

    /// req_084, A-41: a poll with a pending decision needs no signature, so a full queue does not
    /// change the answer. An approved device gets `slow_down`, as a client gives up at a 503 (RFC 8628
    /// §3.5).
    async fn a_full_queue_ends_no_device_flow(setup: Setup) {
        let mut setup = setup;
        setup.signing = SigningLimits { waiting: 0, deadline: LONG };
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let approved = server.approved_device(&frigg, &app, "openid offline_access").await;
        let denied = server.start_device(&app, "openid").await.expect(200);
        server.open_device(&frigg, &denied.text("user_code")).await.expect(200);
        server.decide_device(&frigg, &denied.text("user_code"), "deny").await.expect(200);
        let started = server.start_device(&app, "openid").await.expect(200).text("device_code");
        let turns = occupy_signers(&server).await;
        for (code, error) in [
            (&denied.text("device_code"), "access_denied"),
            (&started, "authorization_pending"),
            (&started, "slow_down"),
            (&approved, "slow_down"),
        ] {
            let answer = server.poll(&app, code).await.expect_error(400, error);
            assert_eq!(answer.find_header("retry-after"), None);
        }
        drop(turns);
        server.turn(time::Duration::seconds(10)); // the interval after slow_down
        server.poll(&app, &approved).await.expect(200);
        server.turn(time::Duration::minutes(10));
        let turns = occupy_signers(&server).await;
        server.poll(&app, &started).await.expect_error(400, "expired_token");
        drop(turns);
    }
}
