//! Device code grant at the token endpoint (RFC 8628 §3.4, §3.5).

use storyden_auth::oauth::grant_type::GrantType;
use time::Duration;

use crate::cleanup::clean_up;
use crate::support::race::{count, send_concurrently};
use crate::support::{Client, Member, NewClient, Server, Setup, both};

const SCOPE: &str = "openid profile offline_access";

const PENDING: &str = "authorization_pending";
const SLOW_DOWN: &str = "slow_down";

fn seconds(seconds: i64) -> Duration {
    Duration::seconds(seconds)
}

/// Polls after each of the times, and expects the error.
async fn expect_polls(
    server: &Server,
    client: &Client,
    device_code: &str,
    polls: &[(Duration, &str)],
) {
    for (wait, error) in polls {
        server.turn(*wait);
        let answer = server.poll(client, device_code).await;
        answer.expect_error(400, error);
    }
}

async fn pending(server: &Server, client: &Client, device_code: &str) {
    let answer = server.poll(client, device_code).await;
    answer.expect_error(400, PENDING);
}

async fn poll_slow_down(server: &Server, client: &Client, device_code: &str) {
    let answer = server.poll(client, device_code).await;
    answer.expect_error(400, SLOW_DOWN);
}

/// Starts a server and a device flow of a public client, and returns the device code.
async fn start(setup: Setup) -> (Server, Client, String) {
    let server = setup.start().await;
    let app = server.public_client().await;
    let started = server.start_device(&app, SCOPE).await.expect(200);
    (server, app, started.text("device_code"))
}

/// Starts a server and a device flow that a member approved, and returns the device code.
async fn start_approved(setup: Setup) -> (Server, Member, Client, String) {
    let server = setup.start().await;
    let frigg = server.member("frigg", &[]).await;
    let app = server.public_client().await;
    let device_code = server.approved_device(&frigg, &app, SCOPE).await;
    (server, frigg, app, device_code)
}

both! {
    /// req_084, req_086: polls are pending until the user approves, and tokens are issued once.
    async fn approved_device_gets_tokens_once(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let started = server.start_device(&app, SCOPE).await.expect(200);
        let (device_code, user_code) = (started.text("device_code"), started.text("user_code"));
        pending(&server, &app, &device_code).await;
        server.open_device(&frigg, &user_code).await.expect(200);
        server.turn(seconds(5));
        pending(&server, &app, &device_code).await;
        server.decide_device(&frigg, &user_code, "approve").await.expect(200);
        server.turn(seconds(5));
        let tokens = server.poll(&app, &device_code).await.expect(200);
        assert_eq!(tokens.scope(), ["offline_access", "openid", "profile"]);
        assert_eq!(tokens.claims("access_token")["sub"], frigg.id.as_str());
        server.turn(seconds(5));
        let refused = server.poll(&app, &device_code).await.expect_error(400, "invalid_grant");
        assert_eq!(refused.text("error_description"), "Device code has already been used");
        server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
    }

    /// req_084: polls of a denied device get `access_denied`.
    async fn denied_device_gets_access_denied(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let started = server.start_device(&app, SCOPE).await.expect(200);
        server.open_device(&frigg, &started.text("user_code")).await.expect(200);
        server.decide_device(&frigg, &started.text("user_code"), "deny").await.expect(200);
        for _ in 0..2 {
            let refused = server.poll(&app, &started.text("device_code")).await;
            let refused = refused.expect_error(400, "access_denied");
            assert_eq!(refused.text("error_description"), "Device authorisation was denied");
        }
    }

    /// req_084: an account without the permission decides nothing, and the device stays pending.
    async fn account_without_permission_leaves_the_device_pending(setup: Setup) {
        let server = setup.start().await;
        let loki = server.plain_member("loki").await;
        let app = server.public_client().await;
        let started = server.start_device(&app, SCOPE).await.expect(200);
        let user_code = started.text("user_code");
        server.open_device(&loki, &user_code).await.expect_error(400, "access_denied");
        server.decide_device(&loki, &user_code, "approve").await.expect_error(400, "access_denied");
        pending(&server, &app, &started.text("device_code")).await;
    }

    /// A-41, req_085: each poll that is early by more than half a second gets `slow_down` and adds five
    /// seconds to the interval.
    async fn early_poll_adds_five_seconds(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let device_code = server.start_device(&app, SCOPE).await.expect(200).text("device_code");
        pending(&server, &app, &device_code).await; // the first poll is never too early
        server.turn(Duration::milliseconds(4_500) - Duration::microseconds(1));
        let early = server.poll(&app, &device_code).await.expect_error(400, "slow_down");
        let text = "Polling too frequently; increase the interval; it is 10 seconds now";
        assert_eq!(early.text("error_description"), text);
        server.turn(seconds(10));
        pending(&server, &app, &device_code).await;
        server.turn(seconds(9));
        poll_slow_down(&server, &app, &device_code).await; // fifteen seconds
        server.turn(seconds(15));
        pending(&server, &app, &device_code).await;
        server.turn(seconds(14));
        poll_slow_down(&server, &app, &device_code).await;
    }

    /// req_084: a poll that is early by half a second is in time, again and again.
    async fn poll_may_be_half_a_second_early(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let device_code = server.start_device(&app, SCOPE).await.expect(200).text("device_code");
        for _ in 0..4 {
            pending(&server, &app, &device_code).await;
            server.turn(Duration::milliseconds(4_500));
        }
        pending(&server, &app, &device_code).await;
    }

    /// storyden-contract.md#device-poll: in the profile `storyden` a poll is early by any time.
    async fn in_the_storyden_profile_any_early_poll_is_too_early(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let app = server.public_client().await;
        let device_code = server.start_device(&app, SCOPE).await.expect(200).text("device_code");
        pending(&server, &app, &device_code).await;
        server.turn(seconds(5) - Duration::microseconds(1));
        let early = server.poll(&app, &device_code).await.expect_error(400, "slow_down");
        assert_eq!(early.text("error_description"), "Polling too frequently; increase the interval");
    }

    /// the interval grows to at most a minute.
    async fn interval_grows_to_a_minute(setup: Setup) {
        let (server, app, device_code) = start(setup).await;
        pending(&server, &app, &device_code).await;
        for _ in 0..15 {
            poll_slow_down(&server, &app, &device_code).await;
        }
        let polls = [(seconds(60), PENDING), (seconds(60), PENDING)];
        expect_polls(&server, &app, &device_code, &polls).await;
    }

    /// polls at the interval do not change the stored interval.
    async fn poll_at_the_interval_changes_nothing(setup: Setup) {
        let (server, app, device_code) = start(setup).await;
        for _ in 0..5 {
            pending(&server, &app, &device_code).await;
            server.turn(seconds(5));
        }
        let unchanged = "SELECT COUNT(*) AS n FROM oauth_device_authorisations WHERE poll_interval_seconds = 5";
        assert_eq!(server.count(unchanged, &[]).await, 1);
    }

    /// req_085: the interval applies after the approval too.
    async fn interval_applies_after_approval(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let started = server.start_device(&app, SCOPE).await.expect(200);
        let (device_code, user_code) = (started.text("device_code"), started.text("user_code"));
        pending(&server, &app, &device_code).await;
        server.open_device(&frigg, &user_code).await.expect(200);
        server.decide_device(&frigg, &user_code, "approve").await.expect(200);
        poll_slow_down(&server, &app, &device_code).await;
        server.turn(seconds(10));
        server.poll(&app, &device_code).await.expect(200);
    }

    /// req_081: a polling interval of zero disables `slow_down`.
    async fn zero_interval_disables_slow_down(setup: Setup) {
        let server = setup.with("OAUTH_DEVICE_POLL_EVERY", "0s").start().await;
        let app = server.public_client().await;
        let started = server.start_device(&app, SCOPE).await.expect(200);
        assert_eq!(started.json()["interval"], 0);
        for _ in 0..5 {
            pending(&server, &app, &started.text("device_code")).await;
        }
    }

    /// many devices behind the same address poll without interference.
    async fn many_devices_behind_one_address_may_poll(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let mut codes = Vec::new();
        for _ in 0..50 {
            codes.push(server.start_device(&app, "openid").await.expect(200).text("device_code"));
        }
        for _ in 0..3 {
            let polls = codes.iter().map(|code| server.token_request(&app.poll_form(code)));
            let answers = send_concurrently(polls.collect()).await;
            assert_eq!(count(&answers, 400), codes.len());
            assert!(answers.iter().all(|answer| answer.text("error") == "authorization_pending"));
            server.turn(seconds(5));
        }
    }

    /// A-43, req_083: a device code is rejected for a different client, and is not consumed.
    async fn device_code_is_bound_to_the_client(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let other = server.client(NewClient { client_id: "other", ..NewClient::default() }).await;
        let device_code = server.approved_device(&frigg, &app, SCOPE).await;
        let refused = server.poll(&other, &device_code).await.expect_error(400, "invalid_grant");
        assert_eq!(
            refused.text("error_description"),
            "Device code is invalid or does not match client"
        );
        server.poll(&app, &device_code).await.expect(200);
    }

    /// A-44, req_084: an expired device code gets `expired_token` for at least an hour, then
    /// `invalid_grant`.
    async fn expired_device_code_is_expired_token_for_an_hour(setup: Setup) {
        let (server, app, device_code) = start(setup).await;
        server.turn(Duration::minutes(10) - Duration::microseconds(1));
        pending(&server, &app, &device_code).await;
        server.turn(Duration::microseconds(1));
        let refused = server.poll(&app, &device_code).await.expect_error(400, "expired_token");
        let text = "Device code has expired; device codes live 600 seconds";
        assert_eq!(refused.text("error_description"), text);
        server.turn(Duration::minutes(60));
        clean_up(&server).await;
        server.poll(&app, &device_code).await.expect_error(400, "expired_token");
        server.turn(Duration::minutes(11));
        clean_up(&server).await;
        server.poll(&app, &device_code).await.expect_error(400, "invalid_grant");
    }

    /// an approval expires with the device code.
    async fn approval_expires_with_the_device_code(setup: Setup) {
        let (server, _, app, device_code) = start_approved(setup).await;
        server.turn(Duration::minutes(10));
        server.poll(&app, &device_code).await.expect_error(400, "expired_token");
    }

    /// suspension of the approving account after the approval denies the tokens.
    async fn suspended_approver_denies_tokens(setup: Setup) {
        let (server, frigg, app, device_code) = start_approved(setup).await;
        server.suspend(&frigg).await;
        server.poll(&app, &device_code).await.expect_error(400, "access_denied");
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM oauth_refresh_tokens", &[]).await, 0);
    }

    /// a permission lost after the approval is not granted.
    async fn permission_lost_after_approval_is_not_granted(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let app = server.public_client().await;
        let device_code = server.approved_device(&frigg, &app, "openid READ_PROFILE MANAGE_POSTS").await;
        server.remove_permissions_except_use_clients(&frigg).await;
        let tokens = server.poll(&app, &device_code).await.expect(200);
        assert_eq!(tokens.scope(), ["READ_PROFILE", "openid"]);
    }

    /// req_036: a client without the grant, or a confidential client, is rejected before the code is
    /// looked up.
    async fn only_public_clients_with_the_grant_may_poll(setup: Setup) {
        let server = setup.start().await;
        let without = server
            .client(NewClient { grants: &[GrantType::AuthorizationCode], ..NewClient::default() })
            .await;
        let refused = server.poll(&without, "any").await.expect_error(400, "unauthorized_client");
        let text = "Client is not authorized for device_code grant; its grant types are authorization_code";
        assert_eq!(refused.text("error_description"), text);
        let confidential = server
            .client(NewClient { client_id: "conf", secret: Some("a secret"), ..NewClient::default() })
            .await;
        server.poll(&confidential, "any").await.expect_error(400, "unauthorized_client");
    }

    /// req_086: the built-in command-line client inherits the permissions of the account, and can
    /// refresh.
    async fn built_in_client_inherits_permissions(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let cli = Client { client_id: "storyden-cli".to_owned(), ..server.public_client().await };
        let device_code = server.approved_device(&odin, &cli, SCOPE).await;
        let tokens = server.poll(&cli, &device_code).await.expect(200);
        let scope = tokens.scope();
        assert!(scope.contains(&"ADMINISTRATOR".to_owned()) && scope.contains(&"READ_PROFILE".to_owned()));
        server.refresh(&cli, &tokens.text("refresh_token")).await.expect(200);
    }
}
