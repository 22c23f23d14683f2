//! Consent to a device flow (RFC 8628 §3.3, storyden-contract.md#device-consent).

use serde_json::json;
use time::Duration;

use crate::support::{Answer, Client, Member, Server, both, consent_page};

/// Path of the device consent endpoint.
const PATH: &str = "/api/oauth/device/consent";

/// Opens a user code, with `address` in X-Forwarded-For.
async fn open_from(server: &Server, address: &str, member: &Member, user_code: &str) -> Answer {
    let request = server
        .request("GET", PATH)
        .query(&[("user_code", user_code)])
        .header("x-forwarded-for", address)
        .header("cookie", member.cookie());
    server.send(request).await
}

/// Opens a user code.
async fn open(server: &Server, member: &Member, user_code: &str) -> Answer {
    open_from(server, "127.0.0.1", member, user_code).await
}

/// Decides on a user code.
async fn decide(server: &Server, member: &Member, user_code: &str, decision: &str) -> Answer {
    let body = json!({ "user_code": user_code, "decision": decision });
    server.post_as(member, PATH, &body).await
}

/// Creates a client and starts a device flow.
async fn start(server: &Server) -> (Client, Answer) {
    let app = server.public_client().await;
    let started = server
        .start_device(&app, "openid READ_PROFILE")
        .await
        .expect(200);
    (app, started)
}

/// Asserts the error for a code that is malformed, unknown, expired, decided, or claimed by a different
/// account.
#[track_caller]
fn unavailable(answer: Answer) {
    let answer = answer.expect_error(400, "invalid_request");
    let description = answer.text("error_description");
    assert_eq!(description, "User code is invalid or unavailable");
}

/// Returns a different code of the same form.
fn another(user_code: &str) -> String {
    let last = if user_code.ends_with('A') { "B" } else { "A" };
    format!("{}{last}", &user_code[..8])
}

both! {
    /// req_087, req_090, A-37: the response has the client, the scopes, the address and time of the
    /// start, and the code to compare.
    async fn response_has_client_address_and_time(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.public_client().await;
        let start = server.request("POST", "/api/oauth/device_authorization")
            .header("x-forwarded-for", "203.0.113.7")
            .header("user-agent", "sd/1.2 (\u{e9}vil <b>)")
            .form(&[("client_id", "app"), ("scope", "openid READ_PROFILE MANAGE_POSTS")]);
        let started = server.send(start).await.expect(200);
        server.turn(Duration::seconds(30));
        let user_code = started.text("user_code");
        let answer = open(&server, &frigg, &user_code).await.expect(200);
        let consent = consent_page(&answer, "user_code", &user_code);
        insta::allow_duplicates! {
            insta::assert_json_snapshot!(consent, @r#"
            {
              "client_first_seen_at": "2026-01-01T00:00:00Z",
              "client_id": "app",
              "client_name": "The app",
              "client_registered_by": "administrator",
              "client_version": null,
              "device": {
                "address": "203.0.113.7",
                "requested_at": "2026-01-01T00:00:00Z",
                "user_agent": "sd/1.2 (vil <b>)"
              },
              "expires_at": "2026-01-01T00:10:00Z",
              "granted_scopes": [
                "openid",
                "READ_PROFILE"
              ],
              "inherits_user_permissions": false,
              "new_scopes": [
                "openid",
                "READ_PROFILE"
              ],
              "requested_scopes": [
                "openid",
                "READ_PROFILE",
                "MANAGE_POSTS"
              ],
              "user_code": null
            }
            "#);
        }
    }

    /// req_086, req_093: an approved code gives the device tokens with the granted scope.
    async fn approved_code_gives_the_device_tokens(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let (app, started) = start(&server).await;
        let user_code = started.text("user_code");
        open(&server, &frigg, &user_code).await.expect(200);
        let approved = decide(&server, &frigg, &user_code, "approve").await.expect(200);
        assert_eq!(approved.body, r#"{"status":"approved"}"#);
        assert_eq!(approved.header("cache-control"), "no-store");
        let tokens = server.poll(&app, &started.text("device_code")).await.expect(200);
        assert_eq!(tokens.scope(), ["READ_PROFILE", "openid"]);
    }

    /// req_084: a denied code gives the device no tokens; an account that lost the permission can still
    /// deny.
    async fn denied_code_gives_the_device_no_tokens(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let (app, started) = start(&server).await;
        let user_code = started.text("user_code");
        open(&server, &frigg, &user_code).await.expect(200);
        server.demote(&frigg).await;
        let denied = decide(&server, &frigg, &user_code, "deny").await.expect(200);
        assert_eq!(denied.body, r#"{"status":"denied"}"#);
        server.poll(&app, &started.text("device_code")).await.expect_error(400, "access_denied");
    }

    /// req_093, A-38: `GET` claims a code and decides nothing.
    async fn get_decides_nothing(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let (app, started) = start(&server).await;
        let user_code = started.text("user_code");
        for _ in 0..3 {
            let path = format!("{PATH}?user_code={user_code}&decision=approve");
            server.get_as(&frigg, &path).await.expect(200);
        }
        let device_code = started.text("device_code");
        server.poll(&app, &device_code).await.expect_error(400, "authorization_pending");
        for method in ["PUT", "PATCH", "DELETE"] {
            server.send(server.request(method, PATH).header("cookie", frigg.cookie())).await.expect(405);
        }
    }

    /// A-39, A-40, req_093: the first account to open a code claims the code; other accounts can
    /// neither read nor decide.
    async fn first_account_claims_the_code(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let odin = server.admin("odin").await;
        let (_, started) = start(&server).await;
        let user_code = started.text("user_code");
        for decision in ["approve", "deny"] {
            unavailable(decide(&server, &frigg, &user_code, decision).await); // not opened yet
        }
        open(&server, &frigg, &user_code).await.expect(200);
        open(&server, &frigg, &user_code).await.expect(200);
        let answer = open(&server, &odin, &user_code).await.expect_error(400, "access_denied");
        assert_eq!(
            answer.text("error_description"),
            "Device authorisation has already been claimed by another account"
        );
        for decision in ["approve", "deny"] {
            unavailable(decide(&server, &odin, &user_code, decision).await);
        }
        decide(&server, &frigg, &user_code, "approve").await.expect(200);
        unavailable(open(&server, &odin, &user_code).await);
    }

    /// A-40: of two accounts that open a code concurrently, only the first claims the code.
    async fn concurrent_opening_claims_once(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let odin = server.admin("odin").await;
        let (_, started) = start(&server).await;
        let user_code = started.text("user_code");
        let (one, two) = tokio::join!(
            open(&server, &frigg, &user_code),
            open(&server, &odin, &user_code),
        );
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400], "{one:?} {two:?}");
    }

    /// A-52: a code is decided once.
    async fn code_is_decided_once(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for first in ["approve", "deny"] {
            let started = server.start_device(&app, "openid").await.expect(200);
            let user_code = started.text("user_code");
            open(&server, &frigg, &user_code).await.expect(200);
            decide(&server, &frigg, &user_code, first).await.expect(200);
            unavailable(decide(&server, &frigg, &user_code, "approve").await);
            unavailable(open(&server, &frigg, &user_code).await);
        }
    }

    /// A-53, req_088: a code expires after exactly ten minutes.
    async fn user_code_expires(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let late = server.start_device(&app, "openid").await.text("user_code");
        let in_time = server.start_device(&app, "openid").await.text("user_code");
        open(&server, &frigg, &late).await.expect(200);
        server.turn(Duration::minutes(10) - Duration::microseconds(1));
        open(&server, &frigg, &in_time).await.expect(200);
        decide(&server, &frigg, &in_time, "approve").await.expect(200);
        server.turn(Duration::microseconds(1));
        unavailable(open(&server, &frigg, &late).await);
        unavailable(decide(&server, &frigg, &late, "approve").await);
    }

    /// A-36, req_091: user codes are found regardless of case, spaces, hyphens, and O/0 and I/L/1
    /// confusion.
    async fn user_code_input_is_normalized(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let (_, started) = start(&server).await;
        let user_code = started.text("user_code");
        let bare = user_code.replace('-', "");
        for typed in [
            user_code.to_lowercase(),
            bare.clone(),
            format!("  {} ", bare.to_lowercase()),
            format!("{}-{}-{}-", &bare[..2], &bare[2..5], &bare[5..]),
            user_code.replace('0', "O").replace('1', "I"),
            user_code.replace('0', "o").replace('1', "l"),
        ] {
            let consent = open(&server, &frigg, &typed).await.expect(200);
            assert_eq!(consent.text("user_code"), user_code, "{typed:?}");
        }
        decide(&server, &frigg, &bare.to_lowercase(), "approve").await.expect(200);
    }

    /// A-36, A-66: malformed codes get the same error as unknown codes.
    async fn malformed_code_looks_like_an_unknown_code(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let (_, started) = start(&server).await;
        let user_code = started.text("user_code");
        let full_width: String = user_code.chars()
            .map(|c| if c == '-' { c } else { char::from_u32(c as u32 + 0xFEE0).unwrap() })
            .collect();
        let padded = format!("{}{user_code}", " ".repeat(24));
        let inputs = [
            another(&user_code),
            user_code[..8].to_owned(),
            format!("{user_code}0"),
            user_code.replace('-', "_"),
            format!("{}U", &user_code[..8]),
            full_width,
            "🙂🙂🙂🙂".to_owned(),
            padded, // 33 bytes
            "' OR 1=1 --".to_owned(),
            String::new(),
        ];
        for (index, input) in inputs.iter().enumerate() {
            let address = format!("203.0.113.{index}");
            unavailable(open_from(&server, &address, &frigg, input).await);
            server.turn(Duration::minutes(2)); // below the rate limit
        }
        unavailable(server.get_as(&frigg, PATH).await);
        unavailable(decide(&server, &frigg, "\0", "deny").await);
        server.get_as(&frigg, &format!("{PATH}?user_code=%00")).await.expect_error(400, "invalid_request");
    }

    /// A-35, req_088: an account may try five wrong codes in ten minutes, from any address.
    async fn guesses_are_limited_per_account(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let odin = server.admin("odin").await;
        let (_, started) = start(&server).await;
        let user_code = started.text("user_code");
        let wrong = another(&user_code);
        for guess in 0..5 {
            unavailable(open_from(&server, &format!("203.0.113.{guess}"), &frigg, &wrong).await);
        }
        // all further attempts are rejected, whether the code is right or wrong
        for code in [&wrong, &user_code] {
            let answer = open_from(&server, "198.51.100.1", &frigg, code).await;
            let answer = answer.expect_error(429, "invalid_request");
            assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 600);
            decide(&server, &frigg, code, "deny").await.expect(429);
        }
        open_from(&server, "203.0.113.1", &odin, &user_code).await.expect(200);
        server.turn(Duration::minutes(10));
        unavailable(open(&server, &frigg, &wrong).await);
    }

    /// A-35: right codes do not count as guesses.
    async fn right_codes_are_no_guesses(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let (_, started) = start(&server).await;
        let user_code = started.text("user_code");
        for _ in 0..10 {
            open(&server, &frigg, &user_code).await.expect(200);
        }
        for _ in 0..4 {
            unavailable(open(&server, &frigg, &another(&user_code)).await);
        }
        open(&server, &frigg, &user_code).await.expect(200);
        decide(&server, &frigg, &user_code, "approve").await.expect(200);
    }

    /// A-35: guesses are also limited per address, across accounts; an IPv6 /64 counts as a single
    /// address.
    async fn guesses_are_limited_per_address(setup: Setup) {
        // the default 5000 allows 50 per address and 5 per account, so 500 allows 5 and 1
        let server = setup.with("RATE_LIMIT", "500").start().await;
        let odin = server.admin("odin").await;
        let (_, started) = start(&server).await;
        let user_code = started.text("user_code");
        for handle in ["a", "b", "c", "d", "e"] {
            let guesser = server.member(handle, &[]).await;
            let address = format!("2001:db8:1:2:{handle}::1");
            unavailable(open_from(&server, &address, &guesser, &another(&user_code)).await);
        }
        open_from(&server, "2001:db8:1:2:ffff::9", &odin, &user_code).await.expect(429);
        open_from(&server, "2001:db8:1:3::9", &odin, &user_code).await.expect(200);
    }

    /// storyden-contract.md#device-consent: without the permission to approve, known and unknown codes
    /// get the same error.
    async fn account_without_permission_cannot_probe_codes(setup: Setup) {
        let server = setup.start().await;
        let loki = server.plain_member("loki").await;
        let (app, started) = start(&server).await;
        let user_code = started.text("user_code");
        let known = open(&server, &loki, &user_code).await.expect_error(400, "access_denied");
        let unknown = open(&server, &loki, &another(&user_code)).await;
        assert_eq!(known.body, unknown.expect_error(400, "access_denied").body);
        for code in [user_code.clone(), another(&user_code)] {
            decide(&server, &loki, &code, "approve").await.expect_error(400, "access_denied");
            unavailable(decide(&server, &loki, &code, "deny").await);
        }
        let device_code = started.text("device_code");
        server.poll(&app, &device_code).await.expect_error(400, "authorization_pending");
    }

    /// A-46, A-105, A-106: a permission, grant type or account state lost between opening and approving
    /// is checked again.
    async fn permissions_are_checked_again_at_approval(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let (app, started) = start(&server).await;
        let user_code = started.text("user_code");
        open(&server, &frigg, &user_code).await.expect(200);
        server.suspend(&frigg).await;
        decide(&server, &frigg, &user_code, "approve").await.expect(403);
        server.reinstate(&frigg).await;
        server.sql("UPDATE oauth_clients SET allowed_grants = '[]' WHERE client_id = $1", &["app"]).await;
        decide(&server, &frigg, &user_code, "approve").await.expect_error(400, "unauthorized_client");
        server.sql("UPDATE oauth_clients SET allowed_grants = '[\"device_code\"]' WHERE client_id = $1", &["app"]).await;
        server.demote(&frigg).await;
        decide(&server, &frigg, &user_code, "approve").await.expect_error(400, "access_denied");
        let device_code = started.text("device_code");
        server.poll(&app, &device_code).await.expect_error(400, "authorization_pending");
    }

    /// A-48, A-49, A-56, req_041: only a session, from this server's origin, with JSON, can decide
    /// (CSRF).
    async fn decision_requires_session_origin_and_json(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let (app, started) = start(&server).await;
        let user_code = started.text("user_code");
        open(&server, &frigg, &user_code).await.expect(200);
        let token = server.tokens(&frigg, &app, &[]).await.text("access_token");
        let body = json!({ "user_code": user_code, "decision": "approve" });
        let post = || server.request("POST", PATH);
        let anonymous = server.send(post().json(&body)).await.expect(401);
        assert_eq!(anonymous.body, "");
        server.get(&format!("{PATH}?user_code={user_code}")).await.expect(401);
        server.send(post().json(&body).bearer_auth(&token)).await.expect(403);
        let mine = || post().header("cookie", frigg.cookie());
        server.send(mine().json(&body).header("origin", "https://evil.example")).await.expect(403);
        server.send(mine().json(&body).header("sec-fetch-site", "cross-site")).await.expect(403);
        server.send(mine().body(body.to_string())).await.expect(415);
        server.send(mine().form(&[("user_code", user_code.as_str()), ("decision", "approve")])).await.expect(415);
        let device_code = started.text("device_code");
        server.poll(&app, &device_code).await.expect_error(400, "authorization_pending");
        server.send(mine().json(&body).header("origin", "https://auth.example")).await.expect(200);
    }
}
