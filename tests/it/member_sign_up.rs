//! Sign-up with a password (storyden-contract.md#sign-in-and-sign-out).

use serde_json::json;

use crate::support::race::{count, send_concurrently};
use crate::support::{PASSWORD, both};

const SIGN_UP: &str = "/api/auth/password/signup";

both! {
    /// storyden-contract.md#sign-in-and-sign-out: sign-up is closed by default.
    async fn signing_up_is_closed_by_default(setup: Setup) {
        let server = setup.start().await;
        let body = json!({ "identifier": "freyja", "token": PASSWORD });
        let request = server.request("POST", SIGN_UP).json(&body);
        let refused = server.send(request).await.expect(403);
        assert!(refused.text("detail").contains("SIGNUP_ENABLED"));
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM accounts", &[]).await, 0);
    }

    /// storyden-contract.md#sign-in-and-sign-out: a sign-up creates an account with a session; the
    /// first account is an administrator. Cross-site and too many sign-ups are refused.
    async fn a_sign_up_creates_an_account_with_a_session(setup: Setup) {
        let server = setup.with("SIGNUP_ENABLED", "true").start().await;
        let sign_up = async |address: &str, identifier: &str, token: &str| {
            let body = json!({ "identifier": identifier, "token": token });
            let request = server.request("POST", SIGN_UP);
            server.send(request.header("x-forwarded-for", address).json(&body)).await
        };
        let freyja = sign_up("192.0.2.1", "Freyja", PASSWORD).await.expect(200);
        let cookie = format!("storyden-session={}", freyja.cookie("storyden-session"));
        let asked = server.request("GET", "/api/auth/sessions").header("cookie", cookie);
        server.send(asked).await.expect(200);
        sign_up("192.0.2.1", "freyja", PASSWORD).await.expect(409);
        let short = sign_up("192.0.2.1", "short", "abc").await.expect(400);
        assert_eq!(short.text("title"), "Password must be at least 8 characters.");
        for handle in ["a b", "", "ø", &"x".repeat(31)] {
            sign_up("192.0.2.1", handle, PASSWORD).await.expect(400);
        }
        sign_up("192.0.2.1", "second", PASSWORD).await.expect(200);
        server.sign_in_from("192.0.2.1", "second", PASSWORD).await.expect(200);
        let admins = "SELECT COUNT(*) AS n FROM accounts WHERE admin";
        assert_eq!(server.count(admins, &[]).await, 1);
        let first = "SELECT COUNT(*) AS n FROM accounts WHERE admin AND handle = 'freyja'";
        assert_eq!(server.count(first, &[]).await, 1);
        let made = "SELECT COUNT(*) AS n FROM auth_audit WHERE event = 'account_created'";
        assert_eq!(server.count(made, &[]).await, 2);
        for number in 0..7 {
            sign_up("192.0.2.1", &format!("more-{number}"), PASSWORD).await.expect(200);
        }
        sign_up("192.0.2.1", "one-more", PASSWORD).await.expect(429).header("retry-after");
        sign_up("192.0.2.2", "one-more", PASSWORD).await.expect(200);
        let evil = server.request("POST", SIGN_UP).header("origin", "https://evil.example");
        let body = json!({ "identifier": "evil", "token": PASSWORD });
        server.send(evil.json(&body)).await.expect(403);
    }

    /// storyden-contract.md#sign-in-and-sign-out: of concurrent first sign-ups exactly one makes an
    /// administrator.
    async fn concurrent_first_sign_ups_make_one_administrator(setup: Setup) {
        let server = setup.with("SIGNUP_ENABLED", "true").start().await;
        let sign_ups = (0..8).map(|number| {
            let body = json!({ "identifier": format!("m{number}"), "token": PASSWORD });
            server.request("POST", SIGN_UP).json(&body)
        });
        let answers = send_concurrently(sign_ups.collect()).await;
        assert_eq!(count(&answers, 200), 8);
        let admins = "SELECT COUNT(*) AS n FROM accounts WHERE admin";
        assert_eq!(server.count(admins, &[]).await, 1);
    }
}
