//! Rate limit per address in a sliding hour (storyden-contract.md#headers-and-limits, A-35, A-42).

use serde_json::json;
use time::Duration;

use crate::support::{Answer, Server, Setup, both};

/// Selects the profile `storyden` with 60 units per hour.
fn storyden(setup: Setup) -> Setup {
    setup
        .with("OAUTH_PROFILE", "storyden")
        .with("RATE_LIMIT", "60")
}

/// Returns the remaining units of a response.
fn remaining(answer: &Answer) -> u64 {
    answer.header("x-ratelimit-remaining").parse().unwrap()
}

async fn jwks(server: &Server) -> Answer {
    server.get("/api/oauth/jwks").await
}

both! {
    /// storyden-contract.md#headers-and-limits: every response has the rate limit headers; a request
    /// costs 1, a device consent 20.
    async fn every_response_has_rate_limit_headers(setup: Setup) {
        let server = storyden(setup).start().await;
        let answer = jwks(&server).await.expect(200);
        assert_eq!(answer.header("x-ratelimit-limit"), "60");
        assert_eq!(remaining(&answer), 59);
        assert_eq!(answer.header("x-ratelimit-reset"), "Thu, 01 Jan 2026 01:00:00 GMT");
        assert_eq!(remaining(&server.get("/nothing").await.expect(404)), 58);
        assert_eq!(remaining(&server.get("/api/oauth/device/consent").await.expect(401)), 38);
        let health = server.get("/healthz").await.expect(200);
        assert!(health.headers.get("x-ratelimit-limit").is_none());
    }

    /// storyden-contract.md#headers-and-limits: over the limit, every request but a CORS preflight gets
    /// 429 in plain text.
    async fn requests_over_the_limit_are_429(setup: Setup) {
        let server = storyden(setup).start().await;
        for _ in 0..60 {
            jwks(&server).await.expect(200);
        }
        for path in ["/api/oauth/jwks", "/.well-known/openid-configuration", "/nothing"] {
            let answer = server.get(path).await.expect(429);
            assert_eq!(answer.body, "Too Many Requests\n");
            assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
            assert_eq!(answer.header("retry-after"), "Thu, 01 Jan 2026 01:00:00 GMT");
            assert_eq!(remaining(&answer), 0);
        }
        server.get("/healthz").await.expect(200);
        let preflight = server
            .request("OPTIONS", "/api/oauth/token")
            .header("origin", "https://auth.example")
            .header("access-control-request-method", "POST");
        server.send(preflight).await.expect(204);
    }

    /// The window slides by the minute: units return after an hour.
    async fn units_return_after_an_hour(setup: Setup) {
        let server = storyden(setup).start().await;
        for _ in 0..30 {
            jwks(&server).await.expect(200);
        }
        server.clock.turn(Duration::minutes(30));
        for _ in 0..30 {
            jwks(&server).await.expect(200);
        }
        jwks(&server).await.expect(429);
        server.clock.turn(Duration::minutes(30));
        assert_eq!(remaining(&jwks(&server).await.expect(200)), 29);
    }

    /// an IPv6 /64 counts as a single address.
    async fn ipv6_network_counts_as_one_address(setup: Setup) {
        let server = storyden(setup).with("TRUSTED_PROXIES", "127.0.0.1").start().await;
        let from = async |address: &str| {
            let request = server.request("GET", "/api/oauth/jwks");
            server.send(request.header("x-forwarded-for", address)).await
        };
        assert_eq!(remaining(&from("2001:db8::1").await), 59);
        assert_eq!(remaining(&from("2001:db8::ffff:2").await), 58);
        assert_eq!(remaining(&from("2001:db8:0:1::1").await), 59);
        assert_eq!(remaining(&from("198.51.100.7").await), 59);
    }

    /// storyden-contract.md#headers-and-limits: `RATE_LIMIT_GUEST_COST` is the cost of a request
    /// without a session.
    async fn guest_cost_is_configurable(setup: Setup) {
        let server = storyden(setup).with("RATE_LIMIT_GUEST_COST", "5").start().await;
        let frigg = server.member("frigg", &[]).await;
        assert_eq!(remaining(&jwks(&server).await), 55);
        let mine = server.get_as(&frigg, "/api/oauth/jwks").await;
        assert_eq!(remaining(&mine), 54);
    }

    /// in the profile `standards` polls, discovery and keys are free, so that ten thousand
    /// devices behind an address can poll after the address has spent the limit.
    async fn polls_discovery_and_keys_are_free(setup: Setup) {
        let server = setup.with("RATE_LIMIT", "60").start().await;
        let app = server.public_client().await;
        let device = server.start_device(&app, "openid").await.expect(200).text("device_code");
        for _ in 0..70 {
            jwks(&server).await.expect(200);
            server.get("/.well-known/openid-configuration").await.expect(200);
        }
        let mut last = 200;
        while last != 429 {
            let answer = server.token(&[("grant_type", "authorization_code")]).await;
            last = answer.status;
            assert!([400, 429].contains(&last), "{answer:?}");
        }
        let refused = server.token(&[("grant_type", "refresh_token")]).await.expect(429);
        assert_eq!(refused.json()["error"], json!("temporarily_unavailable"));
        assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
        for _ in 0..70 {
            server.clock.turn(Duration::seconds(6));
            let poll = server.poll(&app, &device).await.expect(400);
            assert_eq!(poll.json()["error"], json!("authorization_pending"));
        }
    }

    /// In the profile `standards` other responses have rate limit headers, readable across origins
    /// (CORS).
    async fn rate_limit_headers_are_readable_across_origins(setup: Setup) {
        let server = setup.with("RATE_LIMIT", "60").start().await;
        let answer = server.get("/api/oauth/userinfo").await.expect(401);
        assert_eq!(remaining(&answer), 59);
        while server.get("/api/oauth/userinfo").await.status == 401 {}
        let request = server.request("GET", "/api/oauth/userinfo");
        let spent = server.send(request.header("origin", "https://evil.example")).await.expect(429);
        assert_eq!(spent.header("access-control-allow-origin"), "*");
        assert!(spent.header("access-control-expose-headers").contains("retry-after"));
        assert_eq!(spent.json()["error"], json!("temporarily_unavailable"));
        let own = server.get("/api/auth/sessions").await.expect(429).json();
        assert_eq!(own["type"], json!("urn:storyden:problem:too-many-requests"));
    }
}
