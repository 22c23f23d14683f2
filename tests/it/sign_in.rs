//! Sign-in and sign-out (storyden-contract.md#credentials, storyden-contract.md#sign-in-and-sign-out).

use serde_json::{Value, json};
use time::Duration;

use crate::support::{Answer, Member, PASSWORD, Server, both};

/// The sign-in endpoint.
const SIGN_IN: &str = "/api/auth/password/signin";
/// The sign-out endpoint.
const LOGOUT: &str = "/api/auth/logout";
/// An operation that needs a session: 400 with a session, 401 without.
const PROTECTED: &str = "/api/oauth/authorize/consent?request_id=x";

/// Signs in from the loopback address.
async fn sign_in(server: &Server, identifier: &str, password: &str) -> Answer {
    server.sign_in_from("127.0.0.1", identifier, password).await
}

/// Signs in with additional headers.
async fn sign_in_with(server: &Server, headers: &[(&str, &str)]) -> Answer {
    let body = json!({ "identifier": "frigg", "token": PASSWORD });
    let mut request = server.request("POST", SIGN_IN).json(&body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request).await
}

/// True if the session is live.
async fn is_signed_in(server: &Server, session: &str) -> bool {
    let cookie = format!("storyden-session={session}");
    let answer = server
        .send(server.request("GET", PROTECTED).header("cookie", cookie))
        .await;
    assert!([400, 401].contains(&answer.status), "{answer:?}");
    answer.status == 400
}

/// Signs a member out.
async fn sign_out(server: &Server, member: &Member) -> Answer {
    server
        .send(
            server
                .request("POST", LOGOUT)
                .header("cookie", member.cookie()),
        )
        .await
}

/// A problem with a fixed trace id.
fn problem(answer: &Answer) -> Value {
    let mut problem = answer.json();
    problem["trace_id"] = json!("[trace id]");
    problem
}

both! {
    /// A-55, req_032: a correct password gives a session in an `HttpOnly` cookie.
    async fn a_good_password_gives_a_session_cookie(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        for identifier in ["frigg", "FRIGG"] {
            let answer = sign_in(&server, identifier, PASSWORD).await.expect(200);
            assert_eq!(answer.json(), json!({ "id": frigg.id.as_str() }));
            assert_eq!(answer.header("cache-control"), "no-store");
            let (cookie, attributes) = answer.find_header("set-cookie").unwrap().split_once("; ").unwrap();
            assert_eq!(cookie.len(), "__Host-storyden-session=".len() + 43);
            assert_eq!(
                attributes,
                "HttpOnly; SameSite=Lax; Secure; Path=/; Expires=Wed, 01 Apr 2026 00:00:00 GMT"
            );
            assert!(is_signed_in(&server, &answer.cookie("storyden-session")).await);
        }
    }

    /// A-55: on plain http the cookie is not `Secure`; for two hosts of a site the cookie has a
    /// `Domain`.
    async fn cookie_attributes_follow_the_addresses(setup: Setup) {
        for (handle, api, web, expected) in [
            ("frigg", "http://localhost:8000", "http://localhost:3000", "Path=/; Expires"),
            ("odin", "https://api.forum.example", "https://forum.example", "Path=/; Domain=forum.example; Expires"),
            ("loki", "https://api.forum.example", "https://www.forum.example", "Path=/; Domain=api.forum.example; Expires"),
        ] {
            let server = setup.clone()
                .with("PUBLIC_API_ADDRESS", api)
                .with("PUBLIC_WEB_ADDRESS", web)
                .start().await;
            server.member(handle, &[]).await;
            let answer = sign_in(&server, handle, PASSWORD).await.expect(200);
            let cookie = answer.find_header("set-cookie").unwrap();
            assert!(cookie.contains(expected), "{cookie}");
            assert_eq!(cookie.contains("Secure"), api.starts_with("https"));
        }
    }

    /// A-79: an unknown handle and a wrong password are answered alike.
    async fn an_unknown_handle_and_a_wrong_password_are_answered_alike(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        let wrong = sign_in(&server, "frigg", "wrong password").await.expect(401);
        let unknown = sign_in(&server, "nobody", "wrong password").await.expect(401);
        assert_eq!(problem(&wrong), problem(&unknown));
        assert_eq!(wrong.header("content-type"), "application/problem+json");
        assert_eq!(wrong.header("cache-control"), "no-store");
        assert_eq!(wrong.find_header("set-cookie"), None);
        insta::allow_duplicates! {
            insta::assert_json_snapshot!(problem(&wrong), @r#"
            {
              "detail": "The handle or the password is wrong",
              "error": "The handle or the password is wrong.",
              "message": "The handle or the password is wrong",
              "metadata": {},
              "status": 401,
              "title": "The handle or the password is wrong.",
              "trace_id": "[trace id]",
              "type": "urn:storyden:problem:unauthenticated"
            }
            "#);
        }
    }

    /// storyden-contract.md#sign-in-and-sign-out: too short and too long passwords and malformed
    /// handles are 400 before any look-up.
    async fn impossible_credentials_are_refused_before_look_up(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        let long = "x".repeat(1_025);
        for password in ["", "1234567", &long] {
            for identifier in ["frigg", "nobody"] {
                sign_in(&server, identifier, password).await.expect(400);
            }
        }
        for identifier in ["fri\0gg", &"x".repeat(321)] {
            sign_in(&server, identifier, PASSWORD).await.expect(400);
        }
        sign_in(&server, "", PASSWORD).await.expect(401);
        sign_in(&server, "' OR 1=1 --", PASSWORD).await.expect(401);
        for body in [json!({}), json!({ "identifier": "frigg" }), json!({ "identifier": 1, "token": PASSWORD })] {
            server.send(server.request("POST", SIGN_IN).json(&body)).await.expect(400);
        }
    }

    /// req_004: after ten wrong passwords for an account from an address, every attempt is refused for
    /// 15 minutes, also with the correct password. Other accounts and addresses are not affected.
    async fn ten_wrong_passwords_limit_an_account_from_an_address(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        server.member("odin", &[]).await;
        for guess in 0..10 {
            let identifier = if guess % 2 == 0 { "frigg" } else { "FRIGG" };
            sign_in(&server, identifier, "wrong password").await.expect(401);
        }
        for password in ["wrong password", PASSWORD] {
            let answer = sign_in(&server, "frigg", password).await.expect(429);
            let wait: u64 = answer.header("retry-after").parse().unwrap();
            assert!((890..=901).contains(&wait), "{wait}");
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        sign_in(&server, "odin", PASSWORD).await.expect(200);
        server.sign_in_from("203.0.113.9", "frigg", PASSWORD).await.expect(200);
        server.turn(Duration::minutes(15) - Duration::seconds(1));
        sign_in(&server, "frigg", PASSWORD).await.expect(429);
        server.turn(Duration::seconds(1));
        sign_in(&server, "frigg", PASSWORD).await.expect(200);
    }

    /// req_004: attempts on an unknown handle count like attempts on a known handle (account
    /// enumeration).
    async fn an_unknown_handle_is_counted_too(setup: Setup) {
        let server = setup.start().await;
        for _ in 0..10 {
            sign_in(&server, "nobody", "wrong password").await.expect(401);
        }
        sign_in(&server, "nobody", "wrong password").await.expect(429);
    }

    /// req_004: wrong passwords also count per address, or per IPv6 /64, across accounts.
    async fn wrong_passwords_are_limited_per_address(setup: Setup) {
        // The default of 5000 allows 100 per address; 500 allows 10.
        let server = setup.with("RATE_LIMIT", "500").start().await;
        server.member("frigg", &[]).await;
        for guess in 0..10 {
            let address = format!("2001:db8:1:2::{guess}");
            server.sign_in_from(&address, &format!("n{guess}"), "wrong password").await.expect(401);
        }
        server.sign_in_from("2001:db8:1:2:ffff::1", "frigg", PASSWORD).await.expect(429);
        server.sign_in_from("2001:db8:1:3::1", "frigg", PASSWORD).await.expect(200);
    }

    /// req_004: successful sign-ins do not count.
    async fn right_passwords_do_not_count(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        for _ in 0..12 {
            sign_in(&server, "frigg", PASSWORD).await.expect(200);
        }
        for _ in 0..9 {
            sign_in(&server, "frigg", "wrong password").await.expect(401);
        }
        sign_in(&server, "frigg", PASSWORD).await.expect(200);
    }

    /// A-70: only a trusted proxy may set the client address (`X-Forwarded-For`).
    async fn only_a_trusted_proxy_sets_the_client_address(setup: Setup) {
        let server = setup.with("TRUSTED_PROXIES", "10.0.0.0/8").start().await;
        for guess in 0..10 {
            let address = format!("203.0.113.{guess}");
            server.sign_in_from(&address, "frigg", "wrong password").await.expect(401);
        }
        server.sign_in_from("198.51.100.1", "frigg", "wrong password").await.expect(429);
    }

    /// A-60, A-105: a suspended account cannot sign in, and the account's sessions are refused.
    async fn a_suspended_account_cannot_sign_in(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.suspend(&frigg).await;
        let answer = sign_in(&server, "frigg", PASSWORD).await.expect(403);
        assert_eq!(answer.find_header("set-cookie"), None);
        server.get_as(&frigg, PROTECTED).await.expect(403);
        sign_in(&server, "frigg", "wrong password").await.expect(401);
        server.reinstate(&frigg).await;
        sign_in(&server, "frigg", PASSWORD).await.expect(200);
    }

    /// A-54: a session cookie planted before sign-in is not accepted after sign-in (session fixation).
    async fn session_fixation_has_no_effect(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        let planted = "x".repeat(43);
        let cookie = format!("storyden-session={planted}");
        let answer = sign_in_with(&server, &[("cookie", &cookie)]).await.expect(200);
        assert_ne!(answer.cookie("storyden-session"), planted);
        assert!(!is_signed_in(&server, &planted).await);
        assert!(is_signed_in(&server, &answer.cookie("storyden-session")).await);
    }

    /// A-48: cross-site sign-in is refused (login CSRF).
    async fn cross_site_sign_in_is_refused(setup: Setup) {
        let server = setup.with("CORS_ALLOWED_ORIGINS", "https://www.example").start().await;
        server.member("frigg", &[]).await;
        for header in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
        ] {
            let answer = sign_in_with(&server, &[header]).await.expect(403);
            assert_eq!(answer.find_header("set-cookie"), None);
        }
        for header in [
            ("origin", "https://auth.example"),
            ("origin", "https://www.example"),
            ("sec-fetch-site", "same-origin"),
        ] {
            sign_in_with(&server, &[header]).await.expect(200);
        }
        let form = [("identifier", "frigg"), ("token", PASSWORD)];
        server.post_form(SIGN_IN, &form).await.expect(415);
    }

    /// A-55: a session ends after 90 days.
    async fn a_session_ends_after_90_days(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.turn(Duration::days(90) - Duration::microseconds(1));
        assert!(is_signed_in(&server, &frigg.session).await);
        server.turn(Duration::microseconds(1));
        assert!(!is_signed_in(&server, &frigg.session).await);
    }

    /// A-60, storyden-contract.md#sign-in-and-sign-out: sign-out ends the session at once on every
    /// replica, and clears cookies and site data.
    async fn signing_out_ends_the_session_everywhere(setup: Setup) {
        let server = setup.start().await;
        let other = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        assert!(is_signed_in(&other, &frigg.session).await);
        let answer = sign_out(&server, &frigg).await.expect(302);
        assert_eq!(answer.header("location"), "https://auth.example");
        let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
        assert_eq!(
            cookies,
            [
                "__Host-storyden-session=; HttpOnly; SameSite=Lax; Secure; Path=/; Expires=Thu, 01 Jan 2026 00:00:00 GMT",
                "storyden-session=; HttpOnly; SameSite=Lax; Secure; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                "storyden-session=; HttpOnly; SameSite=Lax; Secure; Path=/; Domain=auth.example; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            ]
        );
        assert_eq!(
            answer.header("clear-site-data"),
            r#""cache", "storage", "executionContexts""#
        );
        assert_eq!(answer.header("cache-control"), "no-cache, no-store, must-revalidate");
        for server in [&server, &other] {
            assert!(!is_signed_in(server, &frigg.session).await);
        }
        // A second sign-out, or one without a session, has the same answer.
        sign_out(&server, &frigg).await.expect(302);
        server.send(server.request("POST", LOGOUT)).await.expect(302);
    }

    /// A-57, req_187: cross-site sign-out is refused (logout CSRF).
    async fn cross_site_sign_out_is_refused(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.get_as(&frigg, LOGOUT).await.expect(405);
        let request = || server.request("POST", LOGOUT).header("cookie", frigg.cookie());
        server.send(request().header("origin", "https://evil.example")).await.expect(403);
        server.send(request().header("sec-fetch-site", "cross-site")).await.expect(403);
        assert!(is_signed_in(&server, &frigg.session).await);
        server.send(request().header("origin", "https://auth.example")).await.expect(302);
        assert!(!is_signed_in(&server, &frigg.session).await);
    }

    /// req_042: sign-out redirects to the web address, regardless of the request (open redirect).
    async fn sign_out_redirects_to_the_web_address_only(setup: Setup) {
        let server = setup.with("PUBLIC_WEB_ADDRESS", "https://www.example/forum/").start().await;
        let request = server.request("POST", &format!("{LOGOUT}?return_url=https://evil.example"));
        let answer = server.send(request.header("host", "evil.example")).await.expect(302);
        assert_eq!(answer.header("location"), "https://www.example/forum");
    }
}
