//! Authorization requests by POST (OpenID Connect Core §3.1.2.1). A cross-site form arrives without the
//! `SameSite=Lax` session cookie, so the request is stored, and a redirect by `GET` brings the cookies.

use time::Duration;

use crate::support::{BrowserRequest, CHALLENGE, Client, Server, both, refused, told};

const PATH: &str = "/api/oauth/authorize";

/// Returns the form of a client's request with changed parameters; `""` removes a parameter.
fn form<'a>(client: &'a Client, changed: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![
        ("response_type", "code"),
        ("client_id", client.client_id.as_str()),
        ("redirect_uri", client.redirect_uri.as_str()),
        ("scope", "openid offline_access"),
        ("state", "st"),
        ("nonce", "n1"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changed {
        form.retain(|(known, _)| known != name);
        if !value.is_empty() {
            form.push((name, value));
        }
    }
    form
}

/// Posts a form, and returns the stored request that the redirect leads to.
async fn post(server: &Server, client: &Client, changed: &[(&str, &str)]) -> BrowserRequest {
    let answer = server.post_form(PATH, &form(client, changed)).await;
    BrowserRequest::of(&answer.expect(303))
}

both! {
    /// req_165, req_122, A-55: the POST is followed by a `GET` with no parameter but the request id,
    /// bound to the browser by a cookie.
    async fn form_redirects_to_a_get(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let answer = server.post_form(PATH, &form(&app, &[("state", "s3cr3t")])).await.expect(303);
        let (to, id) = answer.header("location").split_once("?request_id=").unwrap();
        assert_eq!((to, id.len()), ("https://auth.example/api/oauth/authorize", 43));
        assert_eq!(answer.header("cache-control"), "no-store");
        let (cookie, attributes) = answer.header("set-cookie").split_once("; ").unwrap();
        assert!(cookie.starts_with("__Host-storyden-auth-request-"));
        assert_eq!(attributes, "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600");
    }

    /// req_165, req_163: with a session, the browser continues to the consent page.
    async fn form_with_a_session_leads_to_the_consent_page(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let detour = post(&server, &app, &[]).await;
        let answer = detour.resume(&server, Some(&frigg)).await.expect(302);
        assert_eq!(answer.location().path(), "/oauth/authorize/consent");
        assert_eq!(answer.sent("request_id").as_deref(), Some(detour.request_id.as_str()));
        let name = detour.cookie.split('=').next().unwrap();
        let cleared = format!("{name}=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0");
        assert_eq!(answer.header("set-cookie"), cleared);
        // from here on an ordinary request of this account
        let consent = server.consent(&frigg, &detour.request_id).await.expect(200).json();
        assert_eq!(consent["redirect_uri"], "https://app.example/cb");
        let approved = server.decide(&frigg, &detour.request_id, "approve").await.expect(200);
        assert_eq!(approved.sent("state").as_deref(), Some("st"));
        let tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
        assert_eq!(tokens.claims("id_token")["nonce"], "n1");
        assert_eq!(tokens.scope(), ["offline_access", "openid"]);
    }

    /// req_165, req_170: without a session, the user signs in and returns to the same request.
    async fn form_without_a_session_leads_to_the_login_page(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let detour = post(&server, &app, &[("login_hint", "frigg")]).await;
        let answer = detour.resume(&server, None).await.expect(302);
        assert_eq!(answer.location().path(), "/login");
        let back = format!("/oauth/authorize/consent?request_id={}", detour.request_id);
        assert_eq!(answer.sent("return_url"), Some(back));
        assert_eq!(answer.sent("login_hint").as_deref(), Some("frigg"));
        assert_eq!(answer.find_header("set-cookie"), None); // the POST has set the cookie
        detour.open(&server, &frigg).await.expect(200);
        let approved = detour.decide(&server, &frigg, "approve").await.expect(200);
        let tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
        assert_eq!(tokens.claims("id_token")["nonce"], "n1");
    }

    /// req_165, req_121: a session cookie sent with the POST is ignored until the `GET`.
    async fn session_is_ignored_until_the_get(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request = server.request("POST", PATH).form(&form(&app, &[]));
        let answer = server.send(request.header("cookie", frigg.cookie())).await.expect(303);
        let decided = "SELECT COUNT(*) AS n FROM oauth_authorisation_requests";
        assert_eq!(server.count(decided, &[]).await, 0);
        BrowserRequest::of(&answer).resume(&server, Some(&frigg)).await.expect(302);
        assert_eq!(server.count(decided, &[]).await, 1);
    }

    /// req_165, A-49: a cross-site form is accepted, because the POST decides nothing (CSRF).
    async fn cross_site_form_is_accepted(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for origin in ["https://app.example", "null", "https://evil.example"] {
            let request = server.request("POST", PATH).form(&form(&app, &[]));
            let request = request.header("origin", origin).header("sec-fetch-site", "cross-site");
            let answer = server.send(request).await.expect(303);
            assert_eq!(answer.find_header("access-control-allow-origin"), None);
            let answer = BrowserRequest::of(&answer).resume(&server, Some(&frigg)).await.expect(302);
            assert_eq!(answer.location().path(), "/oauth/authorize/consent");
        }
    }

    /// req_165, req_166, req_167: `prompt` works in a form, and the request time is the time of the
    /// POST.
    async fn prompt_works_in_a_form(setup: Setup) {
        let server = setup.start().await;
        let old = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let silent = post(&server, &app, &[("prompt", "none")]).await;
        told(silent.resume(&server, None).await, "login_required");
        told(silent.resume(&server, Some(&old)).await, "consent_required");
        server.turn(Duration::seconds(1));
        let detour = post(&server, &app, &[("prompt", "login")]).await;
        let answer = detour.resume(&server, Some(&old)).await.expect(302);
        assert_eq!(answer.location().path(), "/login");
        detour.open(&server, &old).await.expect(401);
        server.turn(Duration::seconds(1));
        let new = server.sign_in_again(&old).await;
        // resumed by the stored request or opened on the consent page
        let answer = detour.resume(&server, Some(&new)).await.expect(302);
        assert_eq!(answer.location().path(), "/oauth/authorize/consent");
        detour.open(&server, &new).await.expect(200);
    }

    /// req_165, req_014, req_027: without a valid client and redirect URI, the response is an error
    /// page for browsers and JSON for programs, never a redirect.
    async fn form_errors_without_a_client_are_not_redirected(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        for (changed, error) in [
            (("client_id", ""), "invalid_request"),
            (("client_id", "nobody"), "invalid_client"),
            (("redirect_uri", "https://evil.example/cb"), "invalid_request"),
        ] {
            refused(server.post_form(PATH, &form(&app, &[changed])).await, error);
            let request = server.request("POST", PATH).form(&form(&app, &[changed]));
            let page = server.send(request.header("accept", "text/html")).await.expect(400);
            assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
            assert_eq!((page.find_header("location"), page.find_header("set-cookie")), (None, None));
        }
        for twice in [("client_id", "app"), ("redirect_uri", "https://app.example/cb")] {
            let mut form = form(&app, &[]);
            form.push(twice);
            refused(server.post_form(PATH, &form).await, "invalid_request");
        }
        let json = server.request("POST", PATH).json(&serde_json::json!({ "client_id": "app" }));
        refused(server.send(json).await, "invalid_request");
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM auth_pending_requests", &[]).await, 0);
    }

    /// req_165, A-62: query parameters of the POST are rejected.
    async fn query_parameters_of_a_form_are_rejected(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let query = "client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&response_type=code";
        for query in [query, "client_id=app", "state=st", "utm_source=x"] {
            for body in [&form(&app, &[])[..], &[]] {
                refused(server.post_form(&format!("{PATH}?{query}"), body).await, "invalid_request");
            }
        }
    }

    /// req_165, req_026: errors of an unsupported request are redirected after the `GET`.
    async fn unsupported_form_is_redirected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for (changed, error) in [
            (("response_type", "token"), "unsupported_response_type"),
            (("scope", "nonsense"), "invalid_scope"),
            (("code_challenge", ""), "invalid_request"),
            (("max_age", "x"), "invalid_request"),
            (("request", "x"), "invalid_request_object"),
            (("request_uri", "https://app.example/request"), "request_uri_not_supported"),
        ] {
            let detour = post(&server, &app, &[changed]).await;
            told(detour.resume(&server, Some(&frigg)).await, error);
        }
    }

    /// A-62, req_008, req_165: errors of a repeated parameter are redirected after the `GET`.
    async fn repeated_form_parameter_is_redirected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for repeated in [("scope", "openid"), ("nonce", "n2"), ("state", "st")] {
            let mut form = form(&app, &[]);
            form.push(repeated);
            let answer = server.post_form(PATH, &form).await.expect(303);
            let answer = BrowserRequest::of(&answer).resume(&server, Some(&frigg)).await;
            let answer = told(answer, "invalid_request");
            let description = format!("{} is given more than once", repeated.0);
            assert_eq!(answer.sent("error_description"), Some(description));
        }
    }

    /// req_165, A-51, A-53: the stored request is bound to the browser's cookie, expires after ten
    /// minutes, and is resumed once.
    async fn stored_form_is_bound_to_the_browser(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let detour = post(&server, &app, &[]).await;
        let other = post(&server, &app, &[]).await;
        let path = format!("{PATH}?request_id={}", detour.request_id);
        refused(server.get_as(&frigg, &path).await, "invalid_request");
        for cookie in [other.cookie.as_str(), ""] {
            let stolen = BrowserRequest { request_id: detour.request_id.clone(), cookie: cookie.to_owned() };
            refused(stolen.resume(&server, Some(&frigg)).await, "invalid_request");
        }
        server.turn(Duration::minutes(10) - Duration::microseconds(1));
        detour.resume(&server, Some(&frigg)).await.expect(302);
        // consumed and expired
        detour.resume(&server, Some(&frigg)).await.expect_error(400, "invalid_request");
        server.turn(Duration::microseconds(1));
        other.resume(&server, Some(&frigg)).await.expect_error(400, "invalid_request");
        // a form cannot name a stored request
        let form = [("request_id", other.request_id.as_str())];
        refused(server.post_form(PATH, &form).await, "invalid_request");
    }
}
