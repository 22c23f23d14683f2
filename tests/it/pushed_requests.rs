//! Pushed authorization requests (RFC 9126): the endpoint, the redemption, and the attacks of §7.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use storyden_auth::oauth::auth_method::AuthMethod;
use time::Duration;

use crate::support::race::{count, send_concurrently};
use crate::support::registration::{client_of, open, register};
use crate::support::{
    Answer, BrowserRequest, Client, ClientKey, ISSUER, Member, NewClient, Server,
    assert_redirect_to_consent, both, refused, told,
};

const PATH: &str = "/api/oauth/par";
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";
const URI: &str = "https://app.example/cb";

/// Counts the stored requests.
async fn stored(server: &Server) -> i64 {
    server
        .count("SELECT COUNT(*) AS n FROM auth_pushed_requests", &[])
        .await
}

/// Approves a pushed request, and returns the redirect to the client.
async fn approve(server: &Server, member: &Member, client: &Client, request_uri: &str) -> Answer {
    let answer = server.open_pushed(Some(member), client, request_uri).await;
    let request_id = assert_redirect_to_consent(answer);
    server
        .decide(member, &request_id, "approve")
        .await
        .expect(200)
}

/// Asserts that a `request_uri` is worth nothing, without a redirect.
async fn assert_worthless(server: &Server, client: &Client, request_uri: &str) {
    refused(
        server.open_pushed(None, client, request_uri).await,
        "invalid_request_uri",
    );
}

/// A second client.
async fn other_client(server: &Server) -> Client {
    server
        .client(NewClient {
            client_id: "other",
            ..NewClient::default()
        })
        .await
}

both! {
    /// req_102, req_103: a pushed request is answered 201 with a reference that is random and is not stored in
    /// the clear; the browser brings only the reference.
    async fn a_pushed_request_leads_to_tokens(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let answer = server.push(&app, &[("nonce", "n1"), ("state", "pushed")]).await.expect(201);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.json()["expires_in"], 60);
        let request_uri = answer.text("request_uri");
        let reference = request_uri.strip_prefix(PREFIX).unwrap();
        assert!(reference.len() >= 43, "{reference}"); // 256 bits
        let in_clear = "SELECT COUNT(*) AS n FROM auth_pushed_requests WHERE request_uri_hash LIKE '%' || $1 || '%'";
        assert_eq!(server.count(in_clear, &[reference]).await, 0);
        let again = server.pushed(&app, &[]).await;
        assert_ne!(again, request_uri);

        let back = approve(&server, &frigg, &app, &request_uri).await;
        assert_eq!(back.sent("state").as_deref(), Some("pushed"));
        assert_eq!(back.sent("iss").as_deref(), Some(ISSUER)); // RFC 9207: mix-up
        let tokens = server.exchange(&app, &back.sent("code").unwrap()).await.expect(200);
        assert_eq!(tokens.claims("id_token")["nonce"], "n1");
        assert_eq!(tokens.scope(), ["email", "offline_access", "openid", "profile"]);
    }

    /// RFC 9126 §4: other parameters of the browser's request are ignored, also repeated and malformed ones.
    async fn other_parameters_are_ignored(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_uri = server.pushed(&app, &[("scope", "openid")]).await;
        let query = [
            ("client_id", "app"), ("request_uri", &request_uri),
            ("redirect_uri", "https://evil.example/"), ("redirect_uri", "https://evil.example/"),
            ("scope", "openid profile MANAGE_POSTS"), ("state", "other"), ("response_type", "token"),
            ("response_mode", "form_post"), ("prompt", "none"), ("code_challenge", "x"), ("request_id", "x"),
        ];
        let answer = server.send(server.authorize_query(Some(&frigg), &query)).await;
        let request_id = assert_redirect_to_consent(answer);
        let back = server.decide(&frigg, &request_id, "approve").await.expect(200);
        assert!(back.location().as_str().starts_with(URI));
        assert_eq!(back.sent("state").as_deref(), Some("st"));
        let tokens = server.exchange(&app, &back.sent("code").unwrap()).await.expect(200);
        assert_eq!(tokens.scope(), ["openid"]);
        // without a client id there is no request (RFC 9126 §4)
        let request_uri = server.pushed(&app, &[]).await;
        let bare = server.send(server.authorize_query(Some(&frigg), &[("request_uri", &request_uri)])).await;
        refused(bare, "invalid_request");
        for repeated in ["client_id", "request_uri"] {
            let query = [("client_id", "app"), ("request_uri", &request_uri), (repeated, "x")];
            let answer = server.send(server.authorize_query(Some(&frigg), &query)).await;
            refused(answer, "invalid_request");
        }
        server.open_pushed(Some(&frigg), &app, &request_uri).await.expect(302);
    }

    /// The request waits for the sign-in like any other; its lifetime is for the redemption alone.
    async fn a_guest_signs_in_first(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_uri = server.pushed(&app, &[]).await;
        let form = [("client_id", "app"), ("request_uri", request_uri.as_str())];
        let posted = server.post_form("/api/oauth/authorize", &form).await.expect(303);
        for answer in [posted, server.open_pushed(None, &app, &server.pushed(&app, &[]).await).await.expect(302)] {
            let browser = BrowserRequest::of(&answer);
            server.turn(Duration::minutes(4));
            browser.open(&server, &frigg).await.expect(200);
            let back = browser.decide(&server, &frigg, "approve").await.expect(200);
            server.exchange(&app, &back.sent("code").unwrap()).await.expect(200);
        }
        assert_eq!(stored(&server).await, 0);
        let silent = server.pushed(&app, &[("prompt", "none")]).await;
        told(server.open_pushed(None, &app, &silent).await, "login_required");
    }

    /// req_102, RFC 9126 §2.1: the client is authenticated as at the token endpoint.
    async fn clients_authenticate_as_at_the_token_endpoint(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let service = server.confidential_client(&frigg.id).await;
        let secret = service.secret.clone().unwrap();
        server.push(&service, &[]).await.expect(201);
        let basic = |password: &str| {
            let form = service.authorization_request(&[]);
            let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = STANDARD.encode(format!("{}:{}", encode("service"), encode(password)));
            server.request("POST", PATH).header("authorization", format!("Basic {pair}")).form(&form)
        };
        server.send(basic(&secret)).await.expect(201);
        let wrong = server.send(basic("wrong")).await.expect_error(401, "invalid_client");
        assert_eq!(wrong.header("www-authenticate"), "Basic realm=\"auth.example\"");
        let form = service.authorization_request(&[]);
        server.post_form(PATH, &form).await.expect_error(400, "invalid_client");
        for changed in [("client_id", "nobody"), ("client_id", "")] {
            server.push(&service, &[changed]).await.expect_error(400, "invalid_client");
        }
        let chosen = NewClient { client_id: "chosen", secret: Some("s"), auth_method: Some(AuthMethod::Basic), ..NewClient::default() };
        let chosen = server.client(chosen).await;
        server.push(&chosen, &[]).await.expect_error(400, "invalid_client");

        let key = ClientKey::es256();
        let document = json!({
            "redirect_uris": [URI], "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks(),
        });
        let app = client_of(&register(&server, &document).await.expect(201), URI);
        server.push(&app, &[]).await.expect_error(400, "invalid_client");
        let now = server.clock.now().unix_seconds();
        // RFC 9126 §2: issuer, token endpoint and this endpoint are audiences
        for aud in [ISSUER.to_owned(), format!("{ISSUER}/api/oauth/token"), format!("{ISSUER}{PATH}")] {
            let assertion = key.sign_as(Some("JWT"), &json!({
                "iss": app.client_id, "sub": app.client_id, "aud": aud, "exp": now + 60, "jti": aud,
            }));
            let asserted = [
                ("client_assertion", assertion.as_str()),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ];
            server.push(&app, &asserted).await.expect(201);
            server.push(&app, &asserted).await.expect_error(400, "invalid_client"); // replayed
        }
        // credentials are never stored
        let kept = "SELECT COUNT(*) AS n FROM auth_pushed_requests WHERE CAST(parameters AS text) LIKE '%s3cret%' \
                    OR CAST(parameters AS text) LIKE '%assertion%'";
        assert_eq!((server.count(kept, &[]).await, stored(&server).await), (0, 5));
    }

    /// req_102: an invalid request is an error of the endpoint, with the error code of the authorization
    /// endpoint, and is not stored.
    async fn invalid_requests_are_refused_at_once(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        for (changed, error) in [
            (("redirect_uri", "https://evil.example/cb"), "invalid_request"),
            (("response_type", "token"), "unsupported_response_type"),
            (("response_type", ""), "invalid_request"),
            (("response_mode", "fragment"), "invalid_request"),
            (("scope", "nonsense"), "invalid_scope"),
            (("code_challenge", ""), "invalid_request"),
            (("code_challenge_method", "plain"), "invalid_request"),
            (("prompt", "none login"), "invalid_request"),
            (("max_age", "-1"), "invalid_request"),
            (("claims", "[]"), "invalid_request"),
            (("id_token_hint", "x"), "invalid_request"),
            (("resource", "https://elsewhere.example"), "invalid_target"),
            (("registration", "{}"), "registration_not_supported"),
            (("request_uri", "https://app.example/request"), "invalid_request"),
            (("request_uri", "urn:ietf:params:oauth:request_uri:x"), "invalid_request"),
            (("request", "x"), "invalid_request_object"),
        ] {
            let answer = server.push(&app, &[changed]).await.expect_error(400, error);
            assert_eq!(answer.find_header("location"), None, "{changed:?}");
        }
        let device = NewClient {
            client_id: "device", grants: &[storyden_auth::oauth::grant_type::GrantType::DeviceCode], ..NewClient::default()
        };
        let device = server.client(device).await;
        server.push(&device, &[]).await.expect_error(400, "unauthorized_client");
        let mut repeated = app.authorization_request(&[]);
        repeated.push(("scope", "openid"));
        server.post_form(PATH, &repeated).await.expect_error(400, "invalid_request");
        let long = "x".repeat(4_000);
        let long = [("state", long.as_str()), ("nonce", long.as_str()), ("login_hint", long.as_str())];
        server.push(&app, &long).await.expect_error(400, "invalid_request");
        server.send(server.request("POST", PATH).json(&json!({}))).await.expect_error(400, "invalid_request");
        assert_eq!(server.get(PATH).await.status, 405);
        assert_eq!(stored(&server).await, 0);
        server.push(&app, &[("scope", ""), ("redirect_uri", "")]).await.expect(201);
    }

    /// req_104, RFC 9126 §7.3: a reference works once, also at the same moment on several replicas.
    async fn a_reference_works_once(setup: Setup) {
        let servers = [setup.start().await, setup.start().await];
        let server = &servers[0];
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for _ in 0..10 {
            let request_uri = server.pushed(&app, &[("prompt", "consent")]).await;
            let requests = (0..8).map(|index: usize| servers[index % 2].pushed_request(Some(&frigg), &app, &request_uri));
            let answers = send_concurrently(requests.collect()).await;
            assert_eq!((count(&answers, 302), count(&answers, 400)), (1, 7));
            assert_worthless(server, &app, &request_uri).await;
        }
        assert_eq!(stored(server).await, 0);
    }

    /// RFC 9126 §4, FAPI 2.0 §5.3.2.2 note 3: a browser that waits for the sign-in may open the reference again, as by a
    /// reload, and goes on with the same request. Another browser and another client get nothing, and after the
    /// sign-in the reference is used.
    async fn a_reload_before_the_sign_in_goes_on(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let other = other_client(&server).await;
        let request_uri = server.pushed(&app, &[]).await;
        let first = server.open_pushed(None, &app, &request_uri).await.expect(302);
        let browser = BrowserRequest::of(&first);
        let open = |client: &Client| {
            let request = server.pushed_request(None, client, &request_uri);
            server.send(request.header("cookie", &browser.cookie))
        };
        server.turn(Duration::minutes(5));
        let again = open(&app).await.expect(302);
        assert_eq!(again.location(), first.location());
        refused(open(&other).await, "invalid_request_uri");
        assert_worthless(&server, &app, &request_uri).await;
        browser.open(&server, &frigg).await.expect(200);
        refused(open(&app).await, "invalid_request_uri");
        assert_worthless(&server, &app, &request_uri).await;
    }

    /// req_104: a reference expires after a minute.
    async fn a_reference_expires(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let (early, late) = (server.pushed(&app, &[]).await, server.pushed(&app, &[]).await);
        server.turn(Duration::seconds(59));
        server.open_pushed(None, &app, &early).await.expect(302);
        server.turn(Duration::seconds(1));
        assert_worthless(&server, &app, &late).await;
    }

    /// req_104, RFC 9126 §7.5: a reference belongs to the client that pushed the request; an attempt by a
    /// different client consumes nothing.
    async fn a_reference_belongs_to_its_client(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let (app, other) = (server.public_client().await, other_client(&server).await);
        let request_uri = server.pushed(&app, &[]).await;
        assert_worthless(&server, &other, &request_uri).await;
        let nobody = Client { client_id: "nobody".to_owned(), ..app.clone() };
        refused(server.open_pushed(None, &nobody, &request_uri).await, "invalid_client");
        approve(&server, &frigg, &app, &request_uri).await;
        // §7.5: a request of an attacker's browser, swapped into the flow of a victim, gives no usable code: the
        // client's verifier and state belong to its own request
        let challenge = crate::support::challenge_of(&"a".repeat(43));
        let swapped = server.pushed(&app, &[("code_challenge", &challenge), ("state", "attacker"), ("prompt", "consent")]).await;
        let back = approve(&server, &frigg, &app, &swapped).await;
        assert_eq!(back.sent("state").as_deref(), Some("attacker"));
        server.exchange(&app, &back.sent("code").unwrap()).await.expect_error(400, "invalid_grant");
    }

    /// RFC 9126 §7.1: guessed references are worth nothing.
    async fn references_cannot_be_guessed(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let request_uri = server.pushed(&app, &[]).await;
        let (kept, _) = request_uri.split_at(request_uri.len() - 1);
        let upper = request_uri.to_uppercase();
        for guess in [
            PREFIX, kept, &format!("{request_uri}x"), &format!("{PREFIX}{PREFIX}"), &format!("{PREFIX}%"),
            &format!("{PREFIX}' OR 1=1 --"), &format!("{PREFIX}{}", "A".repeat(43)),
        ] {
            assert_worthless(&server, &app, guess).await;
        }
        // of another form: a reference to a request object, which is never fetched (RFC 9101 §10.4)
        let frigg = server.member("frigg", &[]).await;
        for reference in [upper.as_str(), "https://app.example/request", "http://127.0.0.1:1/"] {
            let changed = [("request_uri", reference)];
            told(server.authorize(Some(&frigg), &app, &changed).await, "request_uri_not_supported");
        }
        server.open_pushed(None, &app, &request_uri).await.expect(302);
    }

    /// RFC 9126 §7.2, §7.4: the registration counts at the time of the redirect, so pushing before a change opens
    /// no redirector.
    async fn a_change_of_the_client_applies_to_pushed_requests(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let (moved, public) = (server.pushed(&app, &[]).await, server.pushed(&app, &[]).await);
        let uris = "UPDATE oauth_clients SET redirect_uris = '[\"https://new.example/cb\"]' WHERE client_id = 'app'";
        server.sql(uris, &[]).await;
        refused(server.open_pushed(Some(&frigg), &app, &moved).await, "invalid_request");
        server.sql("DELETE FROM oauth_clients WHERE client_id = 'app'", &[]).await;
        refused(server.open_pushed(Some(&frigg), &app, &public).await, "invalid_client");
    }

    /// A-65, P7: pushed requests are limited by network.
    async fn pushed_requests_are_limited(setup: Setup) {
        let server = setup.with("RATE_LIMIT", "10").start().await;
        let app = server.public_client().await;
        for _ in 0..4 {
            server.push(&app, &[]).await.expect(201);
        }
        let limited = server.push(&app, &[]).await.expect_error(429, "temporarily_unavailable");
        assert!(limited.header("retry-after").parse::<u64>().unwrap() > 0);
        let refusals = "SELECT COUNT(*) AS n FROM auth_audit WHERE event = 'client_authentication_failed'";
        assert_eq!((stored(&server).await, server.count(refusals, &[]).await), (4, 0));
    }

    /// A browser gets a page for a worthless reference, other programs JSON.
    async fn browsers_get_a_page(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let request = server.pushed_request(None, &app, &format!("{PREFIX}x"));
        let page = server.send(request.header("accept", "text/html")).await.expect(400);
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(page.body.contains("push the request again"), "{}", page.body);
    }
}
