//! Attacks on remembered consent: each test names what an attacker gains if an approval counts again without a
//! page.

use serde_json::json;
use storyden_auth::oauth::auth_method::AuthMethod;
use time::Duration;

use crate::support::{
    Answer, BrowserRequest, Client, Member, NewClient, Server, VERIFIER,
    assert_redirect_to_consent, both, challenge_of, told,
};

/// Sends an authorization request that does not ask for the consent page.
async fn ask(server: &Server, member: &Member, app: &Client, scope: &str) -> Answer {
    server
        .authorize(Some(member), app, &[("scope", scope)])
        .await
}

/// Approves `openid` on the consent page, and checks that the approval is remembered.
async fn approve(server: &Server, member: &Member, app: &Client) {
    server.code(member, app, &[("scope", "openid")]).await;
    ask(server, member, app, "openid").await.code();
}

/// A request for `openid` with a different redirect URI.
async fn ask_at(
    server: &Server,
    member: &Member,
    app: &Client,
    redirect_uri: &str,
    prompt: &str,
) -> Answer {
    let changed = [
        ("scope", "openid"),
        ("redirect_uri", redirect_uri),
        ("prompt", prompt),
    ];
    server.authorize(Some(member), app, &changed).await
}

both! {
    /// Changed client: an attacker takes an approved client over, renames it, changes its redirect URIs, its
    /// owner, its keys or its authentication, and collects codes of the members who approved. Issue 15.
    async fn changed_client_is_shown_again(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let (thor, loki) = (server.member("thor", &[]).await, server.member("loki", &[]).await);
        let app = server.client(NewClient {
            secret: Some("s3cret"),
            owner: Some(thor.id.clone()),
            auth_method: Some(AuthMethod::Basic),
            ..NewClient::default()
        }).await;
        let (loki, thor) = (Some(loki.id.as_str()), Some(thor.id.as_str()));
        let owner = "UPDATE oauth_clients SET account_id = $1";
        let changes: [(&'static str, Option<&str>, &'static str, Option<&str>); 9] = [
            (
                "UPDATE oauth_clients SET name = 'Bank'", None,
                "UPDATE oauth_clients SET name = 'The app'", None,
            ),
            (
                "UPDATE oauth_clients SET redirect_uris = '[\"https://app.example/cb\",\"https://evil.example/\"]'", None,
                "UPDATE oauth_clients SET redirect_uris = '[\"https://app.example/cb\"]'", None,
            ),
            (owner, loki, owner, thor),
            ("UPDATE oauth_clients SET account_id = NULL", None, owner, thor),
            (
                "UPDATE oauth_clients SET type = 'public'", None,
                "UPDATE oauth_clients SET type = 'confidential'", None,
            ),
            (
                "UPDATE auth_clients SET jwks_uri = 'https://evil.example/keys'", None,
                "UPDATE auth_clients SET jwks_uri = NULL", None,
            ),
            (
                "UPDATE auth_clients SET jwks = '{\"keys\":[]}'", None,
                "UPDATE auth_clients SET jwks = NULL", None,
            ),
            (
                "UPDATE auth_clients SET auth_method = 'private_key_jwt'", None,
                "UPDATE auth_clients SET auth_method = 'client_secret_basic'", None,
            ),
            (
                "UPDATE auth_clients SET pkce_exempt = true", None,
                "UPDATE auth_clients SET pkce_exempt = false", None,
            ),
        ];
        approve(&server, &frigg, &app).await;
        for (change, by, restore, back) in changes {
            server.sql(change, by.as_slice()).await;
            assert_redirect_to_consent(ask(&server, &frigg, &app, "openid").await);
            let silent = [("scope", "openid"), ("prompt", "none")];
            told(server.authorize(Some(&frigg), &app, &silent).await, "consent_required");
            // A request that waits for a sign-in is shown too.
            let browser = BrowserRequest::begin(&server, &app, &[("scope", "openid")]).await;
            let page = browser.open(&server, &frigg).await.expect(200).json();
            assert_eq!(page.get("remembered"), None, "{change}");
            browser.decide(&server, &frigg, "repeat").await.expect_error(400, "consent_required");
            server.sql(restore, back.as_slice()).await;
            // The client that was approved is known again.
            ask(&server, &frigg, &app, "openid").await.code();
        }
    }

    /// Client changed between the page and the transaction of the approval: the decision `repeat` checks the
    /// client again. Issue 15.
    async fn client_changed_before_the_repeated_decision(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        approve(&server, &frigg, &app).await;
        let browser = BrowserRequest::begin(&server, &app, &[("scope", "openid")]).await;
        assert_eq!(browser.open(&server, &frigg).await.expect(200).json()["remembered"], true);
        server.sql("UPDATE oauth_clients SET name = 'Bank'", &[]).await;
        browser.decide(&server, &frigg, "repeat").await.expect_error(400, "consent_required");
    }

    /// Widened scopes: the owner of an approved client adds a permission to the client, and expects it without
    /// a page. Issue 15.
    async fn widened_allowed_scopes_are_shown(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let app = server.client(NewClient { scope: "openid READ_PROFILE", ..NewClient::default() }).await;
        let scope = "openid READ_PROFILE MANAGE_POSTS";
        server.code(&frigg, &app, &[("scope", scope)]).await;
        let code = ask(&server, &frigg, &app, scope).await.code();
        let tokens = server.exchange(&app, &code).await.expect(200);
        assert_eq!(tokens.scope(), ["READ_PROFILE", "openid"]);
        let widen = "UPDATE oauth_clients SET allowed_scopes = '[\"openid\",\"READ_PROFILE\",\"MANAGE_POSTS\"]'";
        server.sql(widen, &[]).await;
        assert_redirect_to_consent(ask(&server, &frigg, &app, scope).await);
        let inherit = "UPDATE oauth_clients SET scope_policy = 'inherit'";
        server.sql(inherit, &[]).await;
        assert_redirect_to_consent(ask(&server, &frigg, &app, "openid").await);
    }

    /// Gained permission: a member becomes a moderator, and an approved client gets the new permissions
    /// without a page. Issue 15, A-106.
    async fn gained_permission_is_shown(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let scope = "openid MANAGE_POSTS";
        server.code(&frigg, &app, &[("scope", scope)]).await;
        ask(&server, &frigg, &app, scope).await.code();
        let inherits = NewClient { client_id: "inherits", inherit: true, ..NewClient::default() };
        let inherits = server.client(inherits).await;
        // Every permission of the member includes USE_OAUTH_CLIENTS, which is privileged.
        server.code(&frigg, &inherits, &[("scope", "openid")]).await;
        assert_redirect_to_consent(ask(&server, &frigg, &inherits, "openid").await);
        let gain = "UPDATE roles SET permissions = '[\"USE_OAUTH_CLIENTS\",\"MANAGE_POSTS\"]' WHERE name = $1";
        assert_eq!(server.sql(gain, &["role of frigg"]).await, 1);
        assert_redirect_to_consent(ask(&server, &frigg, &app, scope).await);
        ask(&server, &frigg, &app, "openid").await.code();
    }

    /// Client impersonation: any program on the device can receive a loopback or private-use redirect URI and
    /// pass as the approved client (RFC 8252 §8.6). req_073, issue 15.
    async fn loopback_and_private_use_redirect_uris_are_shown(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let uris = &[
            "https://app.example/cb", "http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost/cb",
            "https://localhost/cb", "com.example.app:/cb",
        ];
        let app = server.client(NewClient { redirect_uris: uris, ..NewClient::default() }).await;
        // An approval at the web address does not count at the others, nor the other way round.
        approve(&server, &frigg, &app).await;
        for uri in [&uris[1..], &["http://127.0.0.1:51234/cb", "http://localhost:1/cb"]].concat() {
            let request_id = assert_redirect_to_consent(ask_at(&server, &frigg, &app, uri, "").await);
            let page = server.consent(&frigg, &request_id).await.expect(200).json();
            assert_eq!((page.get("remembered"), page.get("remembers")), (None, None), "{uri}");
            server.decide(&frigg, &request_id, "repeat").await.expect_error(400, "consent_required");
            server.decide(&frigg, &request_id, "approve").await.expect(200);
            assert_redirect_to_consent(ask_at(&server, &frigg, &app, uri, "").await);
            let silent = ask_at(&server, &frigg, &app, uri, "none").await.expect(302);
            assert_eq!(silent.sent("error").as_deref(), Some("consent_required"), "{uri}");
        }
        let native = NewClient { client_id: "native", redirect_uris: &["http://127.0.0.1/cb"], ..NewClient::default() };
        let native = server.client(native).await;
        server.code(&frigg, &native, &[("scope", "openid")]).await;
        let kept = "SELECT COUNT(*) AS n FROM auth_consents WHERE client_id = $1";
        assert_eq!(server.count(kept, &[native.row_id.as_str()]).await, 0);
        // A client with a secret proves its identity at the token endpoint.
        let service = NewClient {
            client_id: "service", secret: Some("s3cret"), redirect_uris: &["http://127.0.0.1/cb"], ..NewClient::default()
        };
        let service = server.client(service).await;
        server.code(&frigg, &service, &[("scope", "openid")]).await;
        let code = ask(&server, &frigg, &service, "openid").await.code();
        server.exchange(&service, &code).await.expect(200);
    }

    /// Privileged permission: an attacker with a code of an administrator's approved tool wants control of the
    /// community without a page. Privileged permissions are never remembered. Issue 15, A-37.
    async fn privileged_permissions_are_shown(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let app = server.client(NewClient { scope: "openid CREATE_POST ADMINISTRATOR", ..NewClient::default() }).await;
        for permission in ["ADMINISTRATOR", "MANAGE_SETTINGS", "USE_PERSONAL_ACCESS_KEYS"] {
            let scope = format!("openid CREATE_POST {permission}");
            server.code(&odin, &app, &[("scope", &scope)]).await;
            assert_redirect_to_consent(ask(&server, &odin, &app, &scope).await);
            let silent = [("scope", scope.as_str()), ("prompt", "none")];
            told(server.authorize(Some(&odin), &app, &silent).await, "consent_required");
            // the rest of the approval is remembered
            ask(&server, &odin, &app, "openid CREATE_POST").await.code();
        }
    }

    /// Code injection: a code that was issued without a page is bound to the client, the redirect URI and the
    /// PKCE challenge of its request, and works once., req_056.
    async fn code_injection_fails(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.client(NewClient {
            redirect_uris: &["https://app.example/cb", "https://app.example/other"], ..NewClient::default()
        }).await;
        let evil = server.client(NewClient { client_id: "evil", redirect_uris: &["https://evil.example/cb"], ..NewClient::default() }).await;
        approve(&server, &frigg, &app).await;
        let victims = challenge_of(&"v".repeat(43));
        let changed = [("scope", "openid"), ("code_challenge", victims.as_str())];
        let code = server.authorize(Some(&frigg), &app, &changed).await.code();
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant"); // the attacker's verifier
        let verifier = "v".repeat(43);
        let form = |client_id: &'static str, uri: &'static str| [
            ("grant_type", "authorization_code"), ("code", code.as_str()), ("client_id", client_id),
            ("redirect_uri", uri), ("code_verifier", verifier.as_str()),
        ];
        for (client_id, uri) in [("evil", "https://app.example/cb"), ("app", "https://app.example/other")] {
            server.token(&form(client_id, uri)).await.expect_error(400, "invalid_grant");
        }
        assert_eq!(evil.client_id, "evil");
        server.token(&form("app", "https://app.example/cb")).await.expect(200);
        server.token(&form("app", "https://app.example/cb")).await.expect_error(400, "invalid_grant");
        // A request without PKCE or with a wrong redirect URI is refused before any approval counts.
        let refused = [("scope", "openid"), ("code_challenge", "")];
        told(server.authorize(Some(&frigg), &app, &refused).await, "invalid_request");
        let refused = [("scope", "openid"), ("redirect_uri", "https://evil.example/cb")];
        server.authorize(Some(&frigg), &app, &refused).await.expect_error(400, "invalid_request");
        assert_eq!(VERIFIER.len(), 43);
    }

    /// Shared browser: the approval of one account does not count for a different account of the browser, and a
    /// client that wants to be sure asks for a sign-in or a choice. Issue 15, req_164, req_167.
    async fn shared_browser_uses_no_approval_of_another_account(setup: Setup) {
        let server = setup.start().await;
        let (frigg, thor) = (server.member("frigg", &[]).await, server.member("thor", &[]).await);
        let app = server.public_client().await;
        approve(&server, &frigg, &app).await;
        assert_redirect_to_consent(ask(&server, &thor, &app, "openid").await);
        server.turn(Duration::seconds(1));
        for demand in [("prompt", "login"), ("prompt", "select_account"), ("max_age", "0")] {
            let changed = [("scope", "openid"), demand];
            let browser = BrowserRequest::of(&server.authorize(Some(&frigg), &app, &changed).await.expect(302));
            browser.open(&server, &frigg).await.expect(401);
            browser.decide(&server, &frigg, "repeat").await.expect(401);
            browser.resume(&server, Some(&frigg)).await.expect(302);
            assert_eq!(browser.open(&server, &frigg).await.expect(401).body, "");
        }
        let hint = server.tokens(&thor, &app, &[("scope", "openid")]).await.text("id_token");
        let changed = [("scope", "openid"), ("id_token_hint", hint.as_str())];
        told(server.authorize(Some(&frigg), &app, &changed).await, "login_required");
    }

    /// Stolen access key: an access key neither uses a remembered approval nor leaves one behind, so a key
    /// gains nothing that outlives it. Issue 15.
    async fn access_keys_neither_use_nor_leave_an_approval(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["USE_PERSONAL_ACCESS_KEYS"]).await;
        let app = server.public_client().await;
        let key = server.access_key(&frigg, "sdpak").await;
        let by_key = async |prompt: &str| {
            let query = [
                ("response_type", "code"), ("client_id", "app"), ("scope", "openid"), ("state", "st"), ("prompt", prompt),
                ("code_challenge", crate::support::CHALLENGE), ("code_challenge_method", "S256"),
            ];
            let request = server.request("GET", "/api/oauth/authorize").query(&query);
            server.send(request.bearer_auth(&key)).await
        };
        let request_id = assert_redirect_to_consent(by_key("").await);
        let body = json!({ "request_id": request_id, "decision": "approve" });
        let decide = server.request("POST", "/api/oauth/authorize/consent").json(&body);
        server.send(decide.bearer_auth(&key)).await.expect(200);
        assert_redirect_to_consent(ask(&server, &frigg, &app, "openid").await);
        approve(&server, &frigg, &app).await;
        let request_id = assert_redirect_to_consent(by_key("").await);
        told(by_key("none").await, "consent_required");
        let body = json!({ "request_id": request_id, "decision": "repeat" });
        for bearer in [true, false] {
            let decide = server.request("POST", "/api/oauth/authorize/consent").json(&body);
            let decide = if bearer { decide.bearer_auth(&key) } else { decide.header("cookie", frigg.cookie()) };
            server.send(decide).await.expect_error(400, "consent_required");
        }
    }

    /// Device phishing: an approval of a device, which an attacker may have started, gives no code without a
    /// page, and the approval of a code gives no device (RFC 8628 §5.4). Issue 15, A-37.
    async fn device_approvals_are_not_remembered(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let device = server.approved_device(&frigg, &app, "openid").await;
        server.poll(&app, &device).await.expect(200);
        assert_redirect_to_consent(ask(&server, &frigg, &app, "openid").await);
        approve(&server, &frigg, &app).await;
        let started = server.start_device(&app, "openid").await.expect(200);
        server.poll(&app, &started.text("device_code")).await.expect_error(400, "authorization_pending");
        server.open_device(&frigg, &started.text("user_code")).await.expect(200);
        server.turn(Duration::seconds(10));
        server.poll(&app, &started.text("device_code")).await.expect_error(400, "authorization_pending");
        server.decide_device(&frigg, &started.text("user_code"), "repeat").await.expect(400);
    }

    /// Forged decision: `repeat` from a foreign origin, of a different account's request or without a remembered
    /// approval grants nothing..
    async fn forged_repeat_is_refused(setup: Setup) {
        let server = setup.start().await;
        let (frigg, loki) = (server.member("frigg", &[]).await, server.member("loki", &[]).await);
        let app = server.public_client().await;
        let request_id = assert_redirect_to_consent(ask(&server, &frigg, &app, "openid").await);
        server.decide(&frigg, &request_id, "repeat").await.expect_error(400, "consent_required");
        approve(&server, &frigg, &app).await;
        let body = json!({ "request_id": request_id, "decision": "repeat" });
        for origin in ["https://evil.example", "null", "https://sibling.auth.example"] {
            let request = server.request("POST", "/api/oauth/authorize/consent").json(&body);
            let request = request.header("cookie", frigg.cookie()).header("origin", origin);
            server.send(request).await.expect(403);
        }
        server.decide(&loki, &request_id, "repeat").await.expect_error(400, "invalid_request");
        server.decide(&frigg, &request_id, "repeat").await.expect(200);
        server.decide(&frigg, &request_id, "repeat").await.expect_error(400, "invalid_request");
    }

    /// Client id taken over: a client that is created again under the id of a deleted client starts without
    /// approvals. Issue 15, A-107.
    async fn a_deleted_client_leaves_no_approval(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        approve(&server, &frigg, &app).await;
        server.delete_client(&app).await;
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM auth_consents", &[]).await, 0);
        let again = server.public_client().await;
        assert_redirect_to_consent(ask(&server, &frigg, &again, "openid").await);
    }
}
