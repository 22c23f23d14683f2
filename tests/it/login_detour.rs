//! Pending authorization requests: a guest's request is kept during sign-in (OpenID Connect Core
//! §3.1.2.3), for ten minutes, bound to the browser and then to a single account.

use serde_json::json;
use time::Duration;

use crate::support::{Answer, BrowserRequest, Member, NewClient, Server, both, redirected_errors};

/// Prefix of the cookie of a pending request; eight hexadecimal digits follow.
const COOKIE: &str = "__Host-storyden-auth-request-";

/// Opens the consent page of a request with the session cookie and an optional request cookie.
async fn open(server: &Server, member: &Member, request_id: &str, browser: Option<&str>) -> Answer {
    let path = format!("/api/oauth/authorize/consent?request_id={request_id}");
    let mut cookies = member.cookie();
    if let Some(browser) = browser {
        cookies = format!("{cookies}; {browser}");
    }
    server
        .send(server.request("GET", &path).header("cookie", cookies))
        .await
}

both! {
    /// A-58, req_042, req_170: a guest is redirected to the login page, with a same-origin path as
    /// `return_url`.
    async fn a_guest_is_sent_to_the_login_page(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let answer = server.authorize(None, &app, &[]).await.expect(302);
        let login = answer.location();
        assert_eq!(login.as_str().split('?').next(), Some("https://auth.example/login"));
        let back = answer.sent("return_url").unwrap();
        assert!(back.starts_with("/oauth/authorize/consent?request_id="), "{back}");
        assert_eq!(back.len(), "/oauth/authorize/consent?request_id=".len() + 43);
        assert_eq!(login.query_pairs().count(), 1);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
    }

    /// the cookie that binds a pending request is `HttpOnly` and `SameSite=Lax`; on https also
    /// `Secure`, with the `__Host-` prefix.
    async fn the_request_is_bound_to_the_browser_by_a_cookie(setup: Setup) {
        let server = setup.clone().start().await;
        let app = server.public_client().await;
        let answer = server.authorize(None, &app, &[]).await;
        let (cookie, attributes) = answer.header("set-cookie").split_once("; ").unwrap();
        assert!(cookie.starts_with(COOKIE));
        // The secret, a dot and the expiry, by which a browser with many requests drops the oldest.
        assert_eq!(cookie.len(), COOKIE.len() + 8 + 1 + 43 + ".1767225600000".len());
        assert_eq!(attributes, "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600");
        let server = setup.with("PUBLIC_API_ADDRESS", "http://localhost:8000/forum").start().await;
        let app = NewClient { client_id: "local", ..NewClient::default() };
        let app = server.client(app).await;
        let answer = server.authorize(None, &app, &[]).await;
        let (cookie, attributes) = answer.header("set-cookie").split_once("; ").unwrap();
        assert!(cookie.starts_with("storyden-auth-request-"), "{cookie}");
        assert_eq!(attributes, "HttpOnly; SameSite=Lax; Path=/forum/api/oauth; Max-Age=600");
    }

    /// A-59, req_170: after sign-in the same request continues with all parameters.
    async fn after_sign_in_the_same_request_goes_on(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let changed = [("state", "a b&c"), ("nonce", "n/1"), ("scope", "openid offline_access")];
        let detour = BrowserRequest::begin(&server, &app, &changed).await;
        let consent = detour.open(&server, &frigg).await.expect(200).json();
        assert_eq!(consent["client_id"], "app");
        assert_eq!(consent["redirect_uri"], "https://app.example/cb");
        assert_eq!(consent["requested_scopes"], json!(["openid", "offline_access"]));
        // From here on an ordinary request of this account.
        let approved = server.decide(&frigg, &detour.request_id, "approve").await.expect(200);
        assert_eq!(approved.sent("state").as_deref(), Some("a b&c"));
        let tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
        assert_eq!(tokens.claims("id_token")["nonce"], "n/1");
        assert_eq!(tokens.scope(), ["offline_access", "openid"]);
    }

    /// a decision works without a previous `GET` of the consent.
    async fn a_pending_request_can_be_decided_without_being_opened(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let detour = BrowserRequest::begin(&server, &app, &[]).await;
        let approved = detour.decide(&server, &frigg, "approve").await.expect(200);
        server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
    }

    /// without the browser's cookie the request is not found, even by request id.
    async fn a_pending_request_is_bound_to_its_browser(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let detour = BrowserRequest::begin(&server, &app, &[]).await;
        let other = BrowserRequest::begin(&server, &app, &[]).await;
        for browser in [None, Some(other.cookie.as_str()), Some(""), Some("x"), Some("%00")] {
            let answer = open(&server, &frigg, &detour.request_id, browser).await;
            let answer = answer.expect_error(400, "invalid_request");
            assert_eq!(
                answer.text("error_description"),
                "Request is invalid, expired, or already processed"
            );
        }
        detour.open(&server, &frigg).await.expect(200);
    }

    /// the first account that opens a pending request claims the request; other accounts in the
    /// same browser are refused.
    async fn a_pending_request_is_claimed_by_one_account(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let odin = server.admin("odin").await;
        let app = server.public_client().await;
        let detour = BrowserRequest::begin(&server, &app, &[]).await;
        detour.open(&server, &frigg).await.expect(200);
        detour.open(&server, &frigg).await.expect(200);
        detour.open(&server, &odin).await.expect_error(400, "invalid_request");
        server.decide(&odin, &detour.request_id, "approve").await.expect_error(400, "invalid_request");
        server.decide(&frigg, &detour.request_id, "approve").await.expect(200);
    }

    /// two tabs that open a pending request concurrently see the same request.
    async fn two_tabs_can_open_a_pending_request_concurrently(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let detour = BrowserRequest::begin(&server, &app, &[]).await;
        let (one, two) = tokio::join!(detour.open(&server, &frigg), detour.open(&server, &frigg));
        assert_eq!(one.expect(200).json(), two.expect(200).json());
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM auth_pending_requests", &[]).await, 0);
    }

    /// a browser has a cookie per request, so several requests can be pending.
    async fn a_browser_can_have_several_pending_requests(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = BrowserRequest::begin(&server, &app, &[]).await;
        let path = "/api/oauth/authorize?response_type=code&client_id=app&scope=openid\
            &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
        let request = server.request("GET", path).header("cookie", first.cookie.as_str());
        let second = BrowserRequest::of(&server.send(request).await.expect(302));
        assert_ne!(first.cookie, second.cookie);
        first.open(&server, &frigg).await.expect(200);
        second.open(&server, &frigg).await.expect(200);
    }

    /// a pending request expires after exactly ten minutes.
    async fn a_pending_request_expires_after_ten_minutes(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let late = BrowserRequest::begin(&server, &app, &[]).await;
        let in_time = BrowserRequest::begin(&server, &app, &[]).await;
        server.turn(Duration::minutes(10) - Duration::microseconds(1));
        in_time.open(&server, &frigg).await.expect(200);
        server.turn(Duration::microseconds(1));
        late.open(&server, &frigg).await.expect_error(400, "invalid_request");
    }

    /// req_026, req_105, req_121: errors of a pending request are shown after sign-in, with the
    /// redirect that informs the client.
    async fn errors_are_shown_after_sign_in_with_a_redirect(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        for (person, changed, error) in redirected_errors(&server).await {
            let detour = BrowserRequest::begin(&server, &app, &[changed]).await;
            let answer = detour.open(&server, &person).await.expect_error(400, error);
            assert!(answer.text("location").starts_with("https://app.example/cb?error="));
            assert_eq!(answer.sent("error").as_deref(), Some(error));
            assert_eq!(answer.sent("state").as_deref(), Some("st"));
            assert_eq!(answer.sent("iss").as_deref(), Some("https://auth.example"));
            assert_eq!(answer.sent("error_description"), Some(answer.text("error_description")));
        }
    }

    /// A-62, req_008: a repeated parameter is still an error after sign-in.
    async fn a_repeated_parameter_is_an_error_after_sign_in(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.public_client().await;
        let path = "/api/oauth/authorize?response_type=code&client_id=app&scope=openid&scope=email\
            &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
        let detour = BrowserRequest::of(&server.get(path).await.expect(302));
        let answer = detour.open(&server, &frigg).await.expect_error(400, "invalid_request");
        assert_eq!(answer.text("error_description"), "scope is given more than once");
        assert!(answer.text("location").starts_with("https://app.example/cb?error="));
    }

    /// a redirect URI that the client lost during sign-in is not redirected to.
    async fn a_redirect_uri_removed_during_sign_in_is_not_used(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for changed in [("scope", "openid"), ("response_type", "token")] {
            let detour = BrowserRequest::begin(&server, &app, &[changed]).await;
            server.sql(
                "UPDATE oauth_clients SET redirect_uris = '[\"https://app.example/new\"]' \
                 WHERE client_id = $1",
                &["app"],
            ).await;
            let answer = detour.open(&server, &frigg).await.expect_error(400, "invalid_request");
            assert_eq!(answer.json().get("location"), None);
            server.sql(
                "UPDATE oauth_clients SET redirect_uris = '[\"https://app.example/cb\"]' \
                 WHERE client_id = $1",
                &["app"],
            ).await;
        }
    }

    /// an account that is suspended during sign-in cannot claim the request.
    async fn a_suspended_account_claims_no_request(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let detour = BrowserRequest::begin(&server, &app, &[]).await;
        server.suspend(&frigg).await;
        detour.open(&server, &frigg).await.expect(403);
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM auth_pending_requests", &[]).await, 1);
    }

    /// the pages' addresses come from the settings only; a query in the configured address is
    /// kept.
    async fn login_and_consent_pages_can_be_elsewhere(setup: Setup) {
        let server = setup
            .with("OAUTH_AUTHORISATION_LOGIN_URL", "https://www.example/in?theme=dark")
            .with("OAUTH_AUTHORISATION_CODE_CONSENT_URL", "https://www.example/allow?lang=is")
            .start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let answer = server.authorize(None, &app, &[]).await.expect(302);
        assert!(answer.header("location").starts_with("https://www.example/in?theme=dark&return_url="));
        let back = answer.sent("return_url").unwrap();
        assert!(back.starts_with("/allow?lang=is&request_id="), "{back}");
        let answer = server.authorize(Some(&frigg), &app, &[]).await.expect(302);
        let page = answer.header("location");
        assert!(page.starts_with("https://www.example/allow?lang=is&request_id="), "{page}");
    }

    /// the pages are below the path of `PUBLIC_WEB_ADDRESS`.
    async fn the_pages_are_below_the_web_address(setup: Setup) {
        let server = setup.with("PUBLIC_WEB_ADDRESS", "https://www.example/forum/").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let answer = server.authorize(None, &app, &[]).await.expect(302);
        assert!(answer.header("location").starts_with("https://www.example/forum/login?return_url="));
        let back = answer.sent("return_url").unwrap();
        assert!(back.starts_with("/forum/oauth/authorize/consent?request_id="), "{back}");
        let page = server.authorize(Some(&frigg), &app, &[]).await.expect(302).location();
        assert_eq!(page.path(), "/forum/oauth/authorize/consent");
    }

    /// pending requests per address are rate limited.
    async fn pending_requests_are_limited_per_address(setup: Setup) {
        // The default of 5000 allows 300 in ten minutes; 50 allows 3.
        let server = setup.with("RATE_LIMIT", "50").start().await;
        let app = server.public_client().await;
        for _ in 0..3 {
            server.authorize(None, &app, &[]).await.expect(302);
        }
        let answer = server.authorize(None, &app, &[]).await.expect_error(429, "temporarily_unavailable");
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((600..=601).contains(&wait), "{wait}");
        assert_eq!(answer.find_header("location"), None);
        // Other addresses and signed-in members are not limited.
        let path = "/api/oauth/authorize?client_id=app";
        let other = server.request("GET", path).header("x-forwarded-for", "203.0.113.9");
        server.send(other).await.expect(302);
        let frigg = server.member("frigg", &[]).await;
        server.authorize(Some(&frigg), &app, &[]).await.expect(302);
        server.turn(Duration::minutes(10));
        server.authorize(None, &app, &[]).await.expect(302);
    }
}
