//! Clients identified by the URL of a metadata document (OAuth Client ID Metadata Document,
//! storyden-contract.md#client-ids-that-are-urls).

use serde_json::{Value, json};
use time::Duration;

use crate::cleanup::clean_up;
use crate::support::simulated_internet::{Host, Reply, SimulatedInternet};
use crate::support::{
    Answer, CHALLENGE, Client, Member, NewClient, Server, Setup, VERIFIER,
    assert_redirect_to_login, both, told,
};

/// Returns the client of a metadata document, for the code flow helpers.
fn client(host: &Host, id: &str) -> Client {
    Client {
        row_id: storyden_auth::ids::ClientRowId::new(""),
        client_id: id.to_owned(),
        secret: None,
        redirect_uri: host.url("/cb"),
    }
}

/// Starts a server with a signed-in member, and an external host.
async fn start_with_host(setup: Setup) -> (Server, Member, SimulatedInternet, Host) {
    let outside = SimulatedInternet::new();
    let server = outside.around(setup).start().await;
    let frigg = server.member("frigg", &["READ_PROFILE"]).await;
    let host = outside.host("app.example").await;
    (server, frigg, outside, host)
}

/// Asserts an `invalid_client` error without a redirect, with `part` in the description.
fn assert_invalid_client(answer: Answer, part: &str) {
    let answer = answer.expect(400);
    assert_eq!(answer.text("error"), "invalid_client");
    let description = answer.text("error_description");
    assert!(description.contains(part), "{description}");
}

async fn clients(server: &Server) -> i64 {
    server
        .count("SELECT COUNT(*) AS n FROM oauth_clients", &[])
        .await
}

both! {
    /// req_149, req_156, A-95: an unknown client is resolved by fetching the document, once. The
    /// default scope and the consent page come from the document.
    async fn unknown_client_is_fetched_once(setup: Setup) {
        let (server, frigg, outside, host) = start_with_host(setup).await;
        let id = host.publish("/client.json", &json!({ "scope": "openid READ_PROFILE nonsense" }));
        let app = client(&host, &id);
        let tokens = server.tokens(&frigg, &app, &[("scope", "")]).await;
        assert_eq!(tokens.text("scope"), "openid READ_PROFILE");
        let more = [("scope", "openid offline_access")];
        let tokens = server.tokens(&frigg, &app, &more).await;
        server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
        assert_eq!((host.asked().len(), outside.resolved()), (1, 1));
        let head = host.asked()[0].to_ascii_lowercase();
        assert!(head.starts_with("get /client.json http/1.1\r\n"), "{head}");
        assert!(head.contains("\r\naccept: application/json\r\n"), "{head}");
        assert!(head.contains("\r\naccept-encoding: identity\r\n"), "{head}");
        let metadata = server.get("/.well-known/openid-configuration").await.expect(200).json();
        assert_eq!(metadata["client_id_metadata_document_supported"], json!(true));
        let methods = metadata["token_endpoint_auth_methods_supported"].as_array().unwrap();
        assert!(methods.contains(&json!("none")));
    }

    /// A-95: no document is fetched before sign-in (SSRF, amplification). Authorize redirects to the
    /// login page, and the token endpoint uses only stored snapshots.
    async fn nothing_is_fetched_before_sign_in(setup: Setup) {
        let (server, frigg, outside, host) = start_with_host(setup).await;
        let id = host.publish("/client.json", &json!({}));
        let app = client(&host, &id);
        let code = [
            ("grant_type", "authorization_code"), ("client_id", id.as_str()), ("code", "x"),
            ("code_verifier", VERIFIER), ("redirect_uri", "https://app.example/cb"),
        ];
        for _ in 0..3 {
            server.token(&code).await.expect(400);
            let refresh = [("grant_type", "refresh_token"), ("client_id", &id), ("refresh_token", "x")];
            server.token(&refresh).await.expect(400);
        }
        let answer = server.authorize(None, &app, &[]).await.expect(302);
        assert_eq!((outside.resolved(), clients(&server).await), (0, 0));
        // after sign-in, the document is fetched and the request continues
        let page = assert_redirect_to_login(answer).open(&server, &frigg).await.expect(200);
        assert_eq!(page.text("client_name"), "An Editor");
        assert_eq!(host.asked().len(), 1);
    }

    /// A-97: 100 concurrent requests for a new URL cause a single fetch (single flight).
    async fn concurrent_requests_cause_a_single_fetch(setup: Setup) {
        let (server, frigg, _, host) = start_with_host(setup).await;
        let id = host.publish("/client.json", &json!({}));
        let app = client(&host, &id);
        let server = std::sync::Arc::new(server);
        let frigg = std::sync::Arc::new(frigg);
        let asked = (0..100).map(|_| {
            let (server, frigg) = (std::sync::Arc::clone(&server), std::sync::Arc::clone(&frigg));
            let app = app.clone();
            tokio::spawn(async move { server.authorize(Some(&frigg), &app, &[]).await.status })
        });
        for asked in asked.collect::<Vec<_>>() {
            assert_eq!(asked.await.unwrap(), 302);
        }
        assert_eq!((host.asked().len(), clients(&server).await), (1, 1));
    }

    /// req_155: a document is fresh for `max-age`, at most an hour; for five minutes without `max-age`;
    /// not at all with `no-store` or `no-cache`.
    async fn stale_document_is_fetched_again(setup: Setup) {
        let (server, frigg, _, host) = start_with_host(setup).await;
        for (number, (headers, fresh)) in [
            ("", 300),
            ("Cache-Control: public, max-age=60\r\n", 60),
            ("Cache-Control: max-age=86400\r\n", 3_600),
            ("Cache-Control: max-age=-1\r\n", 0),
            ("Cache-Control: no-store\r\n", 0),
            ("Cache-Control: no-cache, max-age=60\r\n", 0),
        ]
        .into_iter()
        .enumerate()
        {
            let path = format!("/{number}");
            let id = host.publish_with(&path, headers, &json!({}));
            let app = client(&host, &id);
            let asked = || host.asked().iter().filter(|head| head.contains(&format!("GET {path} "))).count();
            let authorize = async || server.authorize(Some(&frigg), &app, &[]).await.expect(302);
            authorize().await;
            authorize().await;
            assert_eq!(asked(), if fresh == 0 { 2 } else { 1 }, "{headers}");
            if fresh > 0 {
                server.turn(Duration::seconds(fresh - 1));
                authorize().await;
                assert_eq!(asked(), 1, "{headers}");
                server.turn(Duration::seconds(1));
                authorize().await;
                assert_eq!(asked(), 2, "{headers}");
            }
        }
    }

    /// req_154, req_155: during an outage of the host, a stored document is used for a day at
    /// authorize, and longer for refreshes. Any other failure is an error, and is not cached.
    async fn stored_document_survives_a_day_of_outage(setup: Setup) {
        let (server, frigg, _, host) = start_with_host(setup).await;
        let id = host.publish("/client.json", &json!({}));
        let app = client(&host, &id);
        let offline = [("scope", "openid offline_access")];
        let token = server.tokens(&frigg, &app, &offline).await.text("refresh_token");
        host.reply("/client.json", Reply::json("503 Service Unavailable", "", &json!({})));
        server.turn(Duration::hours(2));
        server.authorize(Some(&frigg), &app, &[]).await.expect(302);
        let token = server.refresh(&app, &token).await.expect(200).text("refresh_token");
        host.reply("/client.json", Reply::json("410 Gone", "", &json!({})));
        assert_invalid_client(server.authorize(Some(&frigg), &app, &[]).await, "status 410");
        host.reply("/client.json", Reply::json("503 Service Unavailable", "", &json!({})));
        server.turn(Duration::hours(22));
        assert_invalid_client(server.authorize(Some(&frigg), &app, &[]).await, "status 503");
        server.refresh(&app, &token).await.expect(200);
        // the document is valid again as soon as the host is back
        host.publish("/client.json", &json!({}));
        server.authorize(Some(&frigg), &app, &[]).await.expect(302);
    }

    /// A-100, req_159: a changed redirect URI, name or key in the document revokes the grants, and
    /// pending requests are validated again. A changed scope or logo revokes nothing.
    async fn changed_document_revokes_grants(setup: Setup) {
        let (server, frigg, _, host) = start_with_host(setup).await;
        let offline = [("scope", "openid offline_access")];
        for (number, (change, ends)) in [
            (json!({ "scope": "openid", "logo_uri": "https://cdn.example/x.png" }), false),
            (json!({ "redirect_uris": ["https://app.example/cb", "https://evil.example/cb"] }), true),
            (json!({ "client_name": "Another Editor" }), true),
            (
                json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.example/k" }),
                true,
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let path = format!("/{number}");
            let id = host.publish(&path, &json!({}));
            let app = client(&host, &id);
            let tokens = server.tokens(&frigg, &app, &offline).await;
            let waiting = server.pending(&frigg, &app, &[]).await;
            host.publish(&path, &change);
            server.turn(Duration::minutes(6));
            server.authorize(Some(&frigg), &app, &[]).await.expect(302);
            let userinfo = server.get_with_bearer("/api/oauth/userinfo", &tokens.text("access_token")).await;
            assert_eq!(userinfo.status, if ends { 401 } else { 200 }, "{change}");
            let decided = server.decide(&frigg, &waiting, "approve").await;
            // the consent page showed a different name or different redirect URIs
            if change.get("client_name").or(change.get("redirect_uris")).is_some() {
                decided.expect_error(400, "consent_required");
            } else {
                decided.expect(200);
            }
        }
        let id = host.publish("/moved", &json!({}));
        let app = client(&host, &id);
        let waiting = server.pending(&frigg, &app, &[]).await;
        host.publish("/moved", &json!({ "redirect_uris": ["https://app.example/elsewhere"] }));
        server.turn(Duration::minutes(6));
        let elsewhere = [("redirect_uri", "https://app.example/elsewhere")];
        server.authorize(Some(&frigg), &app, &elsewhere).await.expect(302);
        server.decide(&frigg, &waiting, "approve").await.expect(400);
    }

    /// A-101, req_161: a registered client with a URL as client_id, an owner or a secret is never
    /// replaced by a document.
    async fn registered_client_is_never_overwritten(setup: Setup) {
        let (server, frigg, _, host) = start_with_host(setup).await;
        let owners = [
            ("https://app.example/a", Some(frigg.id.clone()), None),
            ("https://app.example/b", None, Some("s3cret")),
        ];
        for (id, owner, secret) in owners {
            host.publish(id.strip_prefix("https://app.example").unwrap(), &json!({ "client_name": "Evil" }));
            let registered = NewClient {
                client_id: id,
                redirect_uris: &["https://app.example/cb"],
                owner,
                secret,
                ..NewClient::default()
            };
            let app = server.client(registered).await;
            server.authorize(Some(&frigg), &app, &[]).await.expect(302);
            assert_eq!(host.asked().len(), 0);
        }
    }

    /// req_152, req_153, A-99: an invalid document is rejected with the reason.
    async fn invalid_document_is_rejected(setup: Setup) {
        let (server, frigg, _, host) = start_with_host(setup).await;
        for (number, (change, part)) in [
            (json!({ "client_id": "https://app.example/other" }), "a client_id that differs from its URL"),
            (json!({ "client_id": "https://APP.example/1" }), "a client_id that differs from its URL"),
            (json!({ "client_id": "https://app.example:443/2" }), "a client_id that differs from its URL"),
            (json!({ "redirect_uris": [] }), "no redirect_uris"),
            (json!({ "redirect_uris": ["http://app.example/cb"] }), "redirect URI"),
            (json!({ "redirect_uris": ["javascript:alert(1)"] }), "redirect URI"),
            (json!({ "client_secret": "x" }), "client_secret"),
            (json!({ "token_endpoint_auth_method": "client_secret_post" }), "token_endpoint_auth_method"),
            (json!({ "token_endpoint_auth_method": "private_key_jwt" }), "neither jwks nor jwks_uri"),
            (json!({ "redirect_uris": "x" }), "wrong type"),
        ]
        .into_iter()
        .enumerate()
        {
            let id = host.publish(&format!("/{number}"), &change);
            assert_invalid_client(server.authorize(Some(&frigg), &client(&host, &id), &[]).await, part);
        }
        let twice = r#"{"client_id":"https://app.example/t","client_id":"https://app.example/t"}"#;
        host.reply("/t", Reply::body("200 OK", "Content-Type: application/json\r\n", twice));
        assert_invalid_client(server.authorize(Some(&frigg), &client(&host, &host.url("/t")), &[]).await, "JSON");
        assert_eq!(clients(&server).await, 0);
    }

    /// req_149: an invalid URL is rejected before DNS resolution.
    async fn invalid_url_is_rejected_before_dns(setup: Setup) {
        let (server, frigg, outside, host) = start_with_host(setup).await;
        for (id, part) in [
            ("http://app.example/c", "must use https"),
            ("https://app.example", "must contain a path"),
            ("https://app.example/", "must contain a path"),
            ("https://app.example/a/../b", "dot segments"),
            ("https://app.example/a/%2e%2e/b", "dot segments"),
            ("https://u:p@app.example/c", "user info"),
            ("https://app.example/c#f", "fragment"),
            ("https://app.example/c#", "fragment"),
        ] {
            for person in [Some(&frigg), None] {
                assert_invalid_client(server.authorize(person, &client(&host, id), &[]).await, part);
            }
        }
        assert_eq!(outside.resolved(), 0);
    }

    /// storyden-contract.md#client-ids-that-are-urls: with `OAUTH_CIMD_ENABLED=false` no document is
    /// fetched, and only stored clients are found.
    async fn nothing_is_fetched_while_disabled(setup: Setup) {
        let outside = SimulatedInternet::new();
        let server = outside.around(setup).with("OAUTH_CIMD_ENABLED", "false").start().await;
        let frigg = server.member("frigg", &[]).await;
        let host = outside.host("app.example").await;
        let id = host.publish("/client.json", &json!({}));
        assert_invalid_client(server.authorize(Some(&frigg), &client(&host, &id), &[]).await, "not found");
        let metadata = server.get("/.well-known/openid-configuration").await.expect(200).json();
        assert_eq!(metadata["client_id_metadata_document_supported"], json!(false));
        assert_eq!(outside.resolved(), 0);
    }

    /// RFC 8628 §3.1: a client with a metadata document may start a device flow if `grant_types` has
    /// the device grant.
    async fn document_client_may_start_a_device_flow(setup: Setup) {
        let (server, _, _, host) = start_with_host(setup).await;
        let device = "urn:ietf:params:oauth:grant-type:device_code";
        let id = host.publish("/tv.json", &json!({ "grant_types": ["authorization_code", device] }));
        let started = server.post_form("/api/oauth/device_authorization", &[("client_id", &id)]).await;
        started.expect(200);
        let other = host.publish("/web.json", &json!({}));
        let refused = server.post_form("/api/oauth/device_authorization", &[("client_id", &other)]).await;
        assert_eq!(refused.expect(400).text("error"), "unauthorized_client");
    }

    /// Fetches are rate limited per account, with a Retry-After.
    async fn fetches_are_rate_limited_per_account(setup: Setup) {
        let (server, frigg, _, host) = start_with_host(setup).await;
        for number in 0..60 {
            let id = host.url(&format!("/missing/{number}"));
            server.authorize(Some(&frigg), &client(&host, &id), &[]).await.expect(400);
        }
        let id = host.url("/missing/60");
        let answer = server.authorize(Some(&frigg), &client(&host, &id), &[]).await.expect(429);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
        assert_eq!(host.asked().len(), 60);
    }

    /// An unused client of a document is deleted after a week; a client with a live token stays.
    async fn unused_document_client_is_deleted(setup: Setup) {
        let (server, frigg, _, host) = start_with_host(setup).await;
        let used = client(&host, &host.publish("/used", &json!({})));
        let unused = client(&host, &host.publish("/unused", &json!({})));
        let offline = [("scope", "openid offline_access")];
        let token = server.tokens(&frigg, &used, &offline).await.text("refresh_token");
        server.authorize(Some(&frigg), &unused, &[]).await.expect(302);
        server.turn(Duration::days(8));
        clean_up(&server).await;
        assert_eq!(clients(&server).await, 1);
        server.refresh(&used, &token).await.expect(200);
    }

    /// req_166, req_014: errors of `prompt=none` are redirected only if the client is already known.
    async fn silent_request_of_an_unknown_client_is_not_redirected(setup: Setup) {
        let (server, frigg, _, host) = start_with_host(setup).await;
        let app = client(&host, &host.publish("/client.json", &json!({})));
        let silent = [("prompt", "none")];
        assert_invalid_client(server.authorize(None, &app, &silent).await, "There is no session");
        server.authorize(Some(&frigg), &app, &[]).await.expect(302);
        told(server.authorize(None, &app, &silent).await, "login_required");
    }

    /// req_165: a form POST of an unknown client is stored, and the document is fetched at the
    /// following `GET`.
    async fn form_of_an_unknown_client_is_stored(setup: Setup) {
        let (server, frigg, _, host) = start_with_host(setup).await;
        let id = host.publish("/client.json", &json!({}));
        let form = [
            ("response_type", "code"), ("client_id", &id), ("redirect_uri", "https://app.example/cb"),
            ("code_challenge", CHALLENGE), ("code_challenge_method", "S256"), ("scope", "openid"),
        ];
        let kept = server.post_form("/api/oauth/authorize", &form).await.expect(303);
        assert_eq!(host.asked().len(), 0);
        let cookie = kept.header("set-cookie").split(';').next().unwrap().to_owned();
        let back = kept.location();
        let path = format!("{}?{}", back.path(), back.query().unwrap());
        let cookies = format!("{}; {cookie}", frigg.cookie());
        let request = server.request("GET", &path).header("cookie", cookies);
        let on = server.send(request).await.expect(302);
        assert_eq!(on.location().path(), "/oauth/authorize/consent");
        assert_eq!(host.asked().len(), 1);
    }

    /// storyden-contract.md#rules-for-a-document, storyden-contract.md#mapping-a-document: the profile
    /// `storyden` grants the scopes of the document, and has Storyden's error texts.
    async fn storyden_profile_limits_document_scopes(setup: Setup) {
        let outside = SimulatedInternet::new();
        let setup = outside.around(setup).with("OAUTH_PROFILE", "storyden");
        let server = setup.with("OAUTH_CIMD_ENABLED", "true").start().await;
        let odin = server.admin("odin").await;
        let host = outside.host("app.example").await;
        let bad = host.publish("/bad", &json!({ "client_secret": "x" }));
        let sentence = "Invalid CIMD client metadata";
        assert_invalid_client(server.authorize(Some(&odin), &client(&host, &bad), &[]).await, sentence);
        let id = host.publish("/client.json", &json!({ "scope": "openid READ_PROFILE MANAGE_POSTS" }));
        let app = client(&host, &id);
        let scope = [("scope", "openid READ_PROFILE LIST_PROFILES MANAGE_POSTS")];
        let tokens = server.tokens(&odin, &app, &scope).await;
        assert_eq!(tokens.text("scope"), "openid READ_PROFILE");
        host.reply("/client.json", Reply::json("503 Service Unavailable", "", &Value::Null));
        server.turn(Duration::minutes(6));
        assert_invalid_client(server.authorize(Some(&odin), &app, &[]).await, "Failed to fetch");
    }
}
