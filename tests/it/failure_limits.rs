//! Rate limits per address and per network on failed and costly attempts (A-35, A-42, req_004,
//! req_142).

use serde_json::json;
use time::Duration;

use crate::support::{Answer, Client, NewClient, PASSWORD, Server, both};

/// Attempts allowed per address, per IPv6 /56 and /48, and per IPv4 /24.
struct Budgets {
    address: usize,
    n56: usize,
    n48: usize,
    n24: usize,
}

/// The factors that every address rule applies to wider networks: /56 times 4, /48 times 16, /24 times
/// 8.
const GROWTH: Budgets = Budgets {
    address: 1,
    n56: 4,
    n48: 16,
    n24: 8,
};

/// Addresses to attempt from, in order, with the expected outcome: refused if any network of the
/// address has spent the budget.
fn attempts(budgets: &Budgets) -> Vec<(String, Outcome)> {
    use Outcome::{Accepted, Refused};
    let mut attempts = Vec::new();
    let mut then = |address: String, outcome| attempts.push((address, outcome));
    for host in 0..budgets.address {
        then(format!("2001:db8:1:0:{host}::1"), Accepted);
    }
    then("2001:db8:1:0:ffff::1".to_owned(), Refused);
    for subnet in 1..=budgets.n56 - budgets.address {
        then(format!("2001:db8:1:{subnet:x}::1"), Accepted);
    }
    then("2001:db8:1:ff::1".to_owned(), Refused);
    for number in budgets.n56..budgets.n48 {
        // Every further /56 up to the limit of a /56.
        let (site, subnet) = (number / budgets.n56, number % budgets.n56);
        then(format!("2001:db8:1:{:x}::1", 256 * site + subnet), Accepted);
    }
    then("2001:db8:1:ff00::1".to_owned(), Refused);
    then("2001:db8:2::1".to_owned(), Accepted);
    for number in 0..budgets.n24 {
        let host = number / budgets.address;
        then(format!("203.0.113.{host}"), Accepted);
    }
    then("203.0.113.200".to_owned(), Refused);
    then("::ffff:203.0.113.201".to_owned(), Refused);
    then("198.51.100.1".to_owned(), Accepted);
    attempts
}

/// The expected outcome of an attempt with respect to rate limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Any answer except 429 and 5xx.
    Accepted,
    /// 429 with `Retry-After`.
    Refused,
}

impl Outcome {
    #[track_caller]
    fn assert(self, address: &str, answer: &Answer) {
        let status = answer.status;
        if self == Self::Accepted {
            assert!(status != 429 && status < 500, "{address}: {}", answer.body);
            return;
        }
        assert_eq!(status, 429, "{address}: {}", answer.body);
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=3_601).contains(&wait), "{address}: {wait}");
    }
}

/// Posts a form from an address.
async fn post_form_from(
    server: &Server,
    address: &str,
    path: &str,
    form: &[(&str, &str)],
) -> Answer {
    let request = server.request("POST", path).form(form);
    server
        .send(request.header("x-forwarded-for", address))
        .await
}

/// Starts an authorization request without a session from an address.
async fn authorize_from(server: &Server, address: &str) -> Answer {
    let request = server.request("GET", "/api/oauth/authorize?client_id=app");
    server
        .send(request.header("x-forwarded-for", address))
        .await
}

/// Polls from an address.
async fn poll_from(server: &Server, address: &str, app: &Client, device_code: &str) -> Answer {
    let form = app.poll_form(device_code);
    post_form_from(server, address, "/api/oauth/token", &form).await
}

/// The number of pending authorization requests of guests.
async fn pending_rows(server: &Server) -> i64 {
    server
        .count("SELECT COUNT(*) AS n FROM auth_pending_requests", &[])
        .await
}

both! {
    /// req_004: wrong passwords count per address and per /56, /48 and /24.
    async fn sign_in_counts_wide_networks(setup: Setup) {
        let server = setup.with("RATE_LIMIT", "50").start().await;
        for (number, (address, outcome)) in attempts(&GROWTH).into_iter().enumerate() {
            let answer = server.sign_in_from(&address, &format!("n{number}"), "wrong password").await;
            outcome.assert(&address, &answer);
        }
    }

    /// req_142: registrations count per address and per /56, /48 and /24.
    async fn registration_counts_wide_networks(setup: Setup) {
        let setup = setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true");
        let server = setup.with("RATE_LIMIT", "50").start().await;
        let document = json!({ "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none" });
        for (address, outcome) in attempts(&GROWTH) {
            let request = server.request("POST", "/api/oauth/register").json(&document);
            let answer = server.send(request.header("x-forwarded-for", &address)).await;
            outcome.assert(&address, &answer);
        }
    }

    /// P7, A-65: the pending authorization requests of a network are bounded.
    async fn pending_requests_count_wide_networks(setup: Setup) {
        let server = setup.with("RATE_LIMIT", "17").start().await;
        server.public_client().await;
        for (address, outcome) in attempts(&GROWTH) {
            outcome.assert(&address, &authorize_from(&server, &address).await);
        }
        assert_eq!(pending_rows(&server).await, 16 + 1 + 8 + 1);
    }

    /// device starts count per address and per /56, /48 and /24.
    async fn device_starts_count_wide_networks(setup: Setup) {
        let server = setup.with("RATE_LIMIT", "5").start().await;
        server.public_client().await;
        let budgets = Budgets { address: 2, n56: 8, n48: 32, n24: 16 };
        for (address, outcome) in attempts(&budgets) {
            let form = [("client_id", "app"), ("scope", "openid")];
            let path = "/api/oauth/device_authorization";
            outcome.assert(&address, &post_form_from(&server, &address, path, &form).await);
        }
    }

    /// Sign-ups count per address and per /56, /48 and /24.
    async fn sign_up_counts_wide_networks(setup: Setup) {
        let server = setup.with("SIGNUP_ENABLED", "true").with("RATE_LIMIT", "500").start().await;
        for (number, (address, outcome)) in attempts(&GROWTH).into_iter().enumerate() {
            let body = json!({ "identifier": format!("n{number}"), "token": PASSWORD });
            let request = server.request("POST", "/api/auth/password/signup").json(&body);
            let answer = server.send(request.header("x-forwarded-for", &address)).await;
            outcome.assert(&address, &answer);
        }
    }

    /// req_004: wrong client secrets count per address and per /56, /48 and /24.
    async fn client_secrets_count_wide_networks(setup: Setup) {
        let server = setup.with("RATE_LIMIT", "167").start().await;
        server.client(NewClient { client_id: "service", secret: Some("right"), ..NewClient::default() }).await;
        for (address, outcome) in attempts(&GROWTH) {
            let form = [("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", "wrong")];
            let answer = post_form_from(&server, &address, "/api/oauth/token", &form).await;
            outcome.assert(&address, &answer);
        }
    }

    /// wrong user codes count per address and per /56, /48 and /24, across accounts.
    async fn user_codes_count_wide_networks(setup: Setup) {
        let server = setup.with("RATE_LIMIT", "100").start().await;
        for (number, (address, outcome)) in attempts(&GROWTH).into_iter().enumerate() {
            let guesser = server.member(&format!("n{number}"), &[]).await;
            let request = server.request("GET", "/api/oauth/device/consent?user_code=BCDF-GHJK");
            let request = request.header("cookie", guesser.cookie());
            let answer = server.send(request.header("x-forwarded-for", &address)).await;
            outcome.assert(&address, &answer);
        }
    }

    /// polls with unknown device codes or unknown clients are refused once the address has spent
    /// `RATE_LIMIT`. Polls with an issued code are not counted, with any outcome.
    async fn unknown_device_codes_spend_the_budget(setup: Setup) {
        let server = setup.with("RATE_LIMIT", "120").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let started = server.start_device(&app, "openid").await.expect(200);
        let waiting = started.text("device_code");
        let denied = server.start_device(&app, "openid").await.expect(200);
        server.open_device(&frigg, &denied.text("user_code")).await.expect(200);
        server.decide_device(&frigg, &denied.text("user_code"), "deny").await.expect(200);
        let approved = server.approved_device(&frigg, &app, "openid").await;
        let unknown = Client { client_id: "nobody".to_owned(), ..app.clone() };
        for number in 0..120 {
            let client = if number % 2 == 0 { &app } else { &unknown };
            let answer = poll_from(&server, "203.0.113.7", client, "unknown").await;
            assert_eq!(answer.status, 400, "{number}: {}", answer.body);
        }
        for client in [&app, &unknown] {
            let refused = poll_from(&server, "203.0.113.7", client, "unknown").await;
            let refused = refused.expect_error(429, "temporarily_unavailable");
            assert_eq!(refused.header("retry-after"), "3600");
        }
        for _ in 0..70 {
            let poll = poll_from(&server, "203.0.113.7", &app, &waiting).await;
            poll.expect_error(400, "authorization_pending");
            server.turn(Duration::seconds(6));
        }
        let denied = denied.text("device_code");
        poll_from(&server, "203.0.113.7", &app, &denied).await.expect_error(400, "access_denied");
        poll_from(&server, "203.0.113.7", &app, &approved).await.expect(200);
        poll_from(&server, "198.51.100.1", &app, "unknown").await.expect_error(400, "invalid_grant");
        server.turn(Duration::hours(1));
        poll_from(&server, "203.0.113.7", &app, "unknown").await.expect_error(400, "invalid_grant");
    }

    /// storyden-contract.md#headers-and-limits: in the profile `storyden` a poll costs 1 unit, also
    /// with an unknown code.
    async fn a_poll_costs_one_unit_in_the_profile_storyden(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").with("RATE_LIMIT", "60").start().await;
        let app = server.public_client().await;
        let first = server.poll(&app, "unknown").await.expect_error(400, "invalid_grant");
        assert_eq!(first.header("x-ratelimit-remaining"), "59");
        let second = server.poll(&app, "unknown").await.expect_error(400, "invalid_grant");
        assert_eq!(second.header("x-ratelimit-remaining"), "58");
    }

    /// A-65, P7: the total size of an authorization request's parameters is bounded, measured as stored
    /// JSON.
    async fn the_parameters_of_a_request_are_bounded_together(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let (most, much) = ("x".repeat(4_096), "x".repeat(3_500));
        let escaped = "\u{1}".repeat(1_400); // six bytes each in JSON
        let too_long: [&[(&str, &str)]; 3] = [
            &[("state", &most), ("nonce", &most)],
            &[("state", &most), ("login_hint", &much), ("ui_locales", &much)],
            &[("state", &escaped)],
        ];
        for changed in too_long {
            for member in [None, Some(&frigg)] {
                let answer = server.authorize(member, &app, changed).await;
                let answer = answer.expect_error(400, "invalid_request");
                assert!(answer.text("error_description").contains("8 KiB together"), "{}", answer.body);
            }
            let mut form = vec![("client_id", "app")];
            form.extend(changed);
            let answer = server.post_form("/api/oauth/authorize", &form).await;
            answer.expect_error(400, "invalid_request");
        }
        assert_eq!(pending_rows(&server).await, 0);
        server.authorize(None, &app, &[("state", &most), ("nonce", &much)]).await.expect(302);
        let small = "SELECT COUNT(*) AS n FROM auth_pending_requests WHERE length(CAST(parameters AS text)) <= 8192";
        assert_eq!(server.count(small, &[]).await, 1);
    }

    /// the same bound holds in the profile `storyden`.
    async fn the_parameters_are_bounded_in_the_profile_storyden(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let most = "x".repeat(4_096);
        let answer = server.authorize(Some(&frigg), &app, &[("state", &most), ("nonce", &most)]).await;
        assert!(answer.expect(400).body.contains("8 KiB together"));
    }
}
