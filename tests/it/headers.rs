//! Response headers: caching, framing (clickjacking), CORS and trace ids; and the answers for unknown
//! paths and methods.

use serde_json::json;

use crate::support::{Answer, Server, both};

/// An origin of an attacker.
const EVIL: &str = "https://evil.example";
/// The origin of the built-in pages.
const OURS: &str = "https://auth.example";

/// Routes for callers on any origin, without a cookie.
const PUBLIC: &[(&str, &str)] = &[
    ("GET", "/.well-known/openid-configuration"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/.well-known/oauth-protected-resource"),
    ("GET", "/api/oauth/jwks"),
    ("POST", "/api/oauth/token"),
    ("GET", "/.well-known/oauth-client-metadata"),
    ("POST", "/api/oauth/device_authorization"),
    ("POST", "/api/oauth/register"),
    ("POST", "/api/oauth/revoke"),
    ("POST", "/api/oauth/introspect"),
    ("GET", "/api/oauth/userinfo"),
    ("POST", "/api/oauth/userinfo"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/oauth/register/c0000000000000000000"),
    ("PUT", "/api/oauth/register/c0000000000000000000"),
    ("DELETE", "/api/oauth/register/c0000000000000000000"),
];

/// Routes that authenticate by the session cookie.
const BROWSER: &[(&str, &str)] = &[
    ("GET", "/api/oauth/authorize/consent"),
    ("POST", "/api/oauth/authorize/consent"),
    ("GET", "/api/oauth/device/consent"),
    ("POST", "/api/oauth/device/consent"),
    ("POST", "/api/auth/password/signin"),
    ("POST", "/api/auth/logout"),
];

/// Sends a request with an `Origin` header.
async fn from(server: &Server, origin: &str, (method, path): (&str, &str)) -> Answer {
    let request = server.request(method, path).header("origin", origin);
    server.send(request.json(&json!({}))).await
}

/// Request headers of a preflight, as an MCP client in a browser names them.
const ASKED_HEADERS: &str = "authorization,content-type,mcp-protocol-version,x-anything";

/// Sends a CORS preflight.
async fn preflight(server: &Server, origin: &str, (method, path): (&str, &str)) -> Answer {
    let request = server
        .request("OPTIONS", path)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", ASKED_HEADERS);
    server.send(request).await
}

/// True if the answer has `Vary: Origin`.
fn varies_by_origin(answer: &Answer) -> bool {
    let vary = answer.headers.get_all("vary").iter();
    vary.filter_map(|value| value.to_str().ok())
        .any(|value| value.to_ascii_lowercase().contains("origin"))
}

both! {
    /// A-85, req_032: answers with a token, a code, a secret or personal data are `no-store`.
    async fn answers_with_private_data_are_not_cached(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        let approved = server.decide(&frigg, &request_id, "approve").await.expect(200);
        let tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
        let access_token = tokens.text("access_token");
        for answer in [
            approved,
            tokens,
            server.token(&[]).await.expect(400),
            server.start_device(&app, "openid").await.expect(200),
            server.get_with_bearer("/api/oauth/userinfo", &access_token).await.expect(200),
            server.get("/api/oauth/userinfo").await.expect(401),
            server.authorize(Some(&frigg), &app, &[]).await.expect(302),
            server.authorize(None, &app, &[]).await.expect(302),
            server.consent(&frigg, &request_id).await.expect(400),
            server.sign_in_from("127.0.0.1", "frigg", "wrong password").await.expect(401),
        ] {
            assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
            assert_eq!(answer.find_header("etag"), None);
        }
        for path in ["/api/oauth/token", "/api/oauth/device_authorization", "/api/oauth/userinfo"] {
            let answer = server.send(server.request("POST", path).json(&json!({}))).await;
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.header("pragma"), "no-cache");
        }
    }

    /// req_118, req_127: every answer forbids framing, MIME sniffing and the `Referer`
    /// header.
    async fn no_answer_allows_framing_sniffing_or_referrers(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let paths = ["/", "/login", "/oauth/consent", "/nothing", "/healthz", "/api/oauth/authorize"];
        let mut answers = vec![server.authorize(None, &app, &[]).await.expect(302)];
        for path in paths {
            answers.push(server.get(path).await);
        }
        for (method, path) in [PUBLIC, BROWSER].concat() {
            answers.push(from(&server, OURS, (method, path)).await);
        }
        let request = server.request("GET", "/api/oauth/authorize?client_id=nobody");
        answers.push(server.send(request.header("accept", "text/html")).await.expect(400));
        for answer in answers {
            assert_eq!(answer.header("x-frame-options"), "DENY", "{answer:?}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("referrer-policy"), "no-referrer");
            if answer.find_header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
                let policy = answer.header("content-security-policy");
                assert!(policy.starts_with("default-src 'none'"), "{policy}");
                assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            }
        }
    }

    /// CORS lets any origin read the public routes, never with credentials.
    async fn public_answers_can_be_read_from_anywhere(setup: Setup) {
        let server = setup.start().await;
        for route in PUBLIC {
            for origin in [EVIL, OURS, "null"] {
                let answer = from(&server, origin, *route).await;
                assert_eq!(answer.header("access-control-allow-origin"), "*", "{route:?}");
                assert_eq!(answer.find_header("access-control-allow-credentials"), None);
                let answer = preflight(&server, origin, *route).await;
                assert!([200, 204].contains(&answer.status));
                assert_eq!(answer.header("access-control-allow-origin"), "*");
                assert!(answer.header("access-control-allow-methods").contains(route.0));
                assert_eq!(answer.header("access-control-allow-headers"), ASKED_HEADERS);
                assert_eq!(answer.find_header("access-control-allow-credentials"), None);
            }
        }
    }

    /// CORS lets only the pages' origin and the configured origins read session routes. Answers
    /// have `Vary: Origin`.
    async fn session_answers_are_readable_by_allowed_origins_only(setup: Setup) {
        let server = setup
            .with("PUBLIC_WEB_ADDRESS", "https://www.example")
            .with("CORS_ALLOWED_ORIGINS", "https://admin.example:8443, https://more.example")
            .start().await;
        for route in BROWSER {
            for origin in [OURS, "https://www.example", "https://admin.example:8443", "https://more.example"] {
                for answer in [from(&server, origin, *route).await, preflight(&server, origin, *route).await] {
                    assert_eq!(answer.header("access-control-allow-origin"), origin, "{route:?}");
                    assert_eq!(answer.header("access-control-allow-credentials"), "true");
                    assert!(varies_by_origin(&answer), "{answer:?}");
                }
            }
            for origin in [EVIL, "null", "http://auth.example", "https://admin.example", "https://auth.example.evil.example"] {
                for answer in [from(&server, origin, *route).await, preflight(&server, origin, *route).await] {
                    assert_eq!(answer.find_header("access-control-allow-origin"), None, "{route:?}");
                    assert!(varies_by_origin(&answer), "{answer:?}");
                }
            }
            let plain = server.send(server.request(route.0, route.1)).await;
            assert!(varies_by_origin(&plain), "{plain:?}");
        }
    }

    /// a preflight of each operation allows its method and every header that the page names, except
    /// of the operations that a browser navigates to.
    async fn a_preflight_allows_what_the_operation_needs(setup: Setup) {
        let server = setup.start().await;
        let document = server.get("/api/openapi.json").await.expect(200).json();
        let mut seen = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                let answer = preflight(&server, OURS, (&method.to_uppercase(), path)).await;
                let is_navigation = matches!(
                    path.as_str(),
                    "/api/oauth/authorize" | "/api/oauth/authorize/response" | "/api/oauth/end_session"
                );
                assert_eq!(answer.find_header("access-control-allow-methods").is_none(), is_navigation, "{path}");
                if !is_navigation {
                    assert!(answer.header("access-control-allow-methods").contains(&method.to_uppercase()));
                    assert_eq!(answer.header("access-control-allow-headers"), ASKED_HEADERS);
                    seen += 1;
                }
            }
        }
        assert!(seen > 50);
    }

    /// A-86, req_117: authorize is a navigation: CORS lets no page read the answer, not even the
    /// built-in pages.
    async fn cors_denies_the_authorization_endpoint(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let path = format!("/api/oauth/authorize?client_id={}", app.client_id);
        for origin in [EVIL, OURS] {
            let route = ("GET", path.as_str());
            for answer in [from(&server, origin, route).await, preflight(&server, origin, route).await] {
                let cors = answer.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
                assert_eq!(cors, None);
            }
        }
    }

    /// storyden-contract.md#error-bodies: an unknown path or method is a problem with a trace id.
    async fn unknown_paths_and_methods_are_problems_with_a_trace_id(setup: Setup) {
        let server = setup.start().await;
        let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let traceparent = format!("00-{trace_id}-00f067aa0ba902b7-01");
        for (method, path, status) in [
            ("GET", "/nothing", 404),
            ("GET", "/api/oauth/nothing", 404),
            ("GET", "/api/oauth/token/", 404),
            ("POST", "/api/oauth/authorize/", 404),
            ("GET", "/api/oauth/token", 405),
            ("PUT", "/api/oauth/token", 405),
            ("DELETE", "/api/oauth/authorize/consent", 405),
            ("GET", "/api/auth/password/signin", 405),
            ("POST", "/.well-known/openid-configuration", 405),
            ("POST", "/login", 405),
            ("DELETE", "/healthz", 405),
        ] {
            let request = server.request(method, path).header("traceparent", &traceparent);
            let answer = server.send(request).await.expect(status);
            assert_eq!(answer.header("content-type"), "application/problem+json", "{method} {path}");
            assert_ne!(answer.text("trace_id"), trace_id);
            assert!(!answer.text("title").is_empty());
            if status == 405 {
                assert_eq!(answer.text("type"), "urn:storyden:problem:internal");
            }
        }
    }

    /// storyden-contract.md#error-bodies: every answer has a new trace id, regardless of the caller's
    /// `traceparent`.
    async fn each_answer_has_a_trace_id_of_its_own(setup: Setup) {
        let server = setup.start().await;
        let mut seen = vec!["4bf92f3577b34da6a3ce929d0e0e4736".to_owned()];
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for traceparent in ["", "nonsense", "00-XYZ-1-01", good, good] {
            let request = server.request("GET", "/nothing").header("traceparent", traceparent);
            let trace_id = server.send(request).await.expect(404).text("trace_id");
            assert_eq!(trace_id.len(), 32);
            assert!(trace_id.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(!seen.contains(&trace_id));
            seen.push(trace_id);
        }
    }

    /// an override header or parameter does not change the method.
    async fn a_header_does_not_change_the_method(setup: Setup) {
        let server = setup.start().await;
        for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
            let request = server.request("GET", "/api/oauth/token").header(name, "POST");
            server.send(request).await.expect(405);
        }
        server.get("/api/oauth/token?_method=POST").await.expect(405);
    }

    /// P5: `/healthz` and `/readyz` need no credentials; a draining server is not ready.
    async fn health_and_readiness_are_reported(setup: Setup) {
        let server = setup.start().await;
        server.get("/healthz").await.expect(200);
        assert_eq!(server.get("/readyz").await.expect(200).body, "ready\n");
        server.context.readiness.drain();
        server.get("/healthz").await.expect(200);
        server.get("/readyz").await.expect(503);
    }
}
