//! Grants approved with an access key, and keys revoked during a request.

use serde_json::json;
use time::Duration;

use crate::support::{
    Answer, CHALLENGE, Client, Member, Server, assert_redirect_to_login, both, told,
};

const KEYS: &str = "/api/auth/access-keys";

/// An access key: id and bearer value.
struct Key {
    id: String,
    value: String,
}

async fn key(server: &Server, member: &Member, expires_at: Option<&str>) -> Key {
    let mut body = json!({ "name": "script" });
    if let Some(at) = expires_at {
        body["expires_at"] = at.into();
    }
    let made = server.post_as(member, KEYS, &body).await.expect(200);
    Key {
        id: made.text("id"),
        value: made.text("secret"),
    }
}

async fn holder(server: &Server, handle: &str) -> Member {
    server.member(handle, &["USE_PERSONAL_ACCESS_KEYS"]).await
}

async fn end(server: &Server, member: &Member, key: &Key) {
    let path = format!("{KEYS}/{}", key.id);
    server
        .call_as(member, ("DELETE", &path), None)
        .await
        .expect(204);
}

/// Sends an authorization request authenticated by an access key.
async fn authorize(server: &Server, key: &Key, app: &Client, more: &[(&str, &str)]) -> Answer {
    let mut query = vec![
        ("response_type", "code"),
        ("client_id", app.client_id.as_str()),
        ("redirect_uri", app.redirect_uri.as_str()),
        ("scope", "openid offline_access"),
        ("state", "st"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    query.extend_from_slice(more);
    let request = server.request("GET", "/api/oauth/authorize").query(&query);
    server.send(request.bearer_auth(&key.value)).await
}

/// Approves a pending request, authenticated by an access key.
async fn approve(server: &Server, key: &Key, request_id: &str) -> Answer {
    let body = json!({ "request_id": request_id, "decision": "approve" });
    let request = server.request("POST", "/api/oauth/authorize/consent");
    server
        .send(request.bearer_auth(&key.value).json(&body))
        .await
}

/// Returns a code approved with an access key.
async fn code(server: &Server, key: &Key, app: &Client) -> String {
    let begun = authorize(server, key, app, &[]).await.expect(302);
    let request_id = begun.sent("request_id").unwrap();
    let approved = approve(server, key, &request_id).await.expect(200);
    approved.sent("code").unwrap()
}

async fn introspect(server: &Server, admin: &Member, token: &str) -> bool {
    let key = server.access_key(admin, "sdpak").await;
    let request = server.request("POST", "/api/oauth/introspect");
    let request = request.bearer_auth(key).form(&[("token", token)]);
    server.send(request).await.expect(200).json()["active"] == true
}

/// Asserts that the access token, the refresh token and the code are all accepted, or all rejected.
async fn assert_all_accepted(
    server: &Server,
    app: &Client,
    admin: &Member,
    given: &KeyGrants,
    alive: bool,
) {
    let userinfo = server
        .get_with_bearer("/api/oauth/userinfo", &given.access_token)
        .await;
    userinfo.expect(if alive { 200 } else { 401 });
    for token in [&given.access_token, &given.refresh_token] {
        assert_eq!(introspect(server, admin, token).await, alive);
    }
    if alive {
        return;
    }
    for answer in [
        server.refresh(app, &given.refresh_token).await,
        server.exchange(app, &given.code).await,
    ] {
        answer.expect_error(400, "invalid_grant");
    }
}

/// Tokens and an unused code approved with an access key.
struct KeyGrants {
    access_token: String,
    refresh_token: String,
    code: String,
}

async fn given(server: &Server, key: &Key, app: &Client) -> KeyGrants {
    let first = code(server, key, app).await;
    let tokens = server.exchange(app, &first).await.expect(200);
    let tokens = server
        .refresh(app, &tokens.text("refresh_token"))
        .await
        .expect(200);
    KeyGrants {
        access_token: tokens.text("access_token"),
        refresh_token: tokens.text("refresh_token"),
        code: code(server, key, app).await,
    }
}

async fn applications(server: &Server, member: &Member) -> usize {
    let list = server
        .get_as(member, "/api/auth/oauth/applications")
        .await
        .expect(200);
    list.json()["applications"].as_array().unwrap().len()
}

both! {
    /// Issue 13: revocation, expiry, disabling and deletion of a key each end the grants approved with
    /// that key. Grants approved by a session stay.
    async fn ending_a_key_ends_the_grants_it_approved(setup: Setup) {
        let server = setup.start().await;
        let (frigg, odin) = (holder(&server, "frigg").await, server.admin("odin").await);
        let app = server.public_client().await;
        let by_session = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let mut by_session = server.refresh(&app, &by_session).await.expect(200).text("refresh_token");
        for how in [
            "ended",
            "ended by an administrator",
            "expired",
            "disabled by a Storyden",
            "deleted by a Storyden",
        ] {
            let expires_at = (server.clock.now() + Duration::minutes(5)).to_rfc3339();
            let key = key(&server, &frigg, Some(&expires_at)).await;
            let given = given(&server, &key, &app).await;
            assert_all_accepted(&server, &app, &odin, &given, true).await;
            match how {
                "ended" => end(&server, &frigg, &key).await,
                "ended by an administrator" => {
                    let path = format!("/api/admin/access-keys/{}", key.id);
                    server.call_as(&odin, ("DELETE", &path), None).await.expect(204);
                }
                "expired" => server.turn(Duration::minutes(5)),
                "disabled by a Storyden" => {
                    assert_eq!(server.sql("UPDATE authentications SET disabled = true WHERE id = $1", &[&key.id]).await, 1);
                }
                _ => assert_eq!(server.sql("DELETE FROM authentications WHERE id = $1", &[&key.id]).await, 1),
            }
            assert_all_accepted(&server, &app, &odin, &given, false).await;
            let refreshed = server.refresh(&app, &by_session).await.expect(200);
            by_session = refreshed.text("refresh_token");
        }
    }

    /// Issue 13: an application approved only with a key is not listed after the key expires.
    async fn application_of_an_expired_key_is_not_listed(setup: Setup) {
        let server = setup.start().await;
        let frigg = holder(&server, "frigg").await;
        let app = server.public_client().await;
        let expires_at = (server.clock.now() + Duration::minutes(5)).to_rfc3339();
        let key = key(&server, &frigg, Some(&expires_at)).await;
        given(&server, &key, &app).await;
        assert_eq!(applications(&server, &frigg).await, 1);
        server.turn(Duration::minutes(5));
        assert_eq!(applications(&server, &frigg).await, 0);
    }

    /// Issue 13: an authorization request stored by Storyden, without the extra rows of this server, is
    /// also bound to the key that approves the request.
    async fn request_stored_by_storyden_is_bound_to_the_key(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let (frigg, odin) = (holder(&server, "frigg").await, server.admin("odin").await);
        let app = server.public_client().await;
        let key = key(&server, &frigg, None).await;
        let request_id = authorize(&server, &key, &app, &[]).await.expect(302).sent("request_id").unwrap();
        server.sql("DELETE FROM auth_shown_consents", &[]).await;
        server.sql("DELETE FROM auth_request_details", &[]).await;
        let code = approve(&server, &key, &request_id).await.expect(200).sent("code").unwrap();
        let tokens = server.exchange(&app, &code).await.expect(200);
        end(&server, &frigg, &key).await;
        assert!(!introspect(&server, &odin, &tokens.text("access_token")).await);
        server.refresh(&app, &tokens.text("refresh_token")).await.expect_error(400, "invalid_grant");
    }

    /// Issue 13: a key disabled while the server verifies the secret is rejected.
    async fn key_disabled_during_verification_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let frigg = holder(&server, "frigg").await;
        let app = server.public_client().await;
        for _ in 0..3 {
            let made = server.access_key(&frigg, "sdpak").await;
            let id = made[6..18].to_owned();
            let key = Key { id: id.clone(), value: made };
            let hash = stored_hash(&server, &format!("sdpak_{id}")).await;
            // Verification of this key blocks here, after the row is read and before the hash is
            // computed.
            let turn = server.context.passwords.lock_hash(&hash).await.unwrap();
            let use_it = authorize(&server, &key, &app, &[]);
            let end_it = async {
                for _ in 0..50 {
                    server.get("/healthz").await.expect(200);
                }
                let disable = "UPDATE authentications SET disabled = true WHERE identifier = $1";
                assert_eq!(server.sql(disable, &[&format!("sdpak_{id}")]).await, 1);
                drop(turn);
            };
            let (answer, ()) = tokio::join!(use_it, end_it);
            assert_redirect_to_login(answer);
        }
    }

    /// Issue 13: a client secret replaced during the Argon2 verification is rejected.
    async fn client_secret_removed_during_verification_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let frigg = holder(&server, "frigg").await;
        let service = server.confidential_client(&frigg.id).await;
        let stored = storyden_auth::store::clients::find(&server.context.db, &service.client_id).await;
        let hash = stored.unwrap().unwrap().secret_hash.unwrap();
        let turn = server.context.passwords.lock_hash(&hash).await.unwrap();
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(service.credentials());
        let end_it = async {
            for _ in 0..50 {
                server.get("/healthz").await.expect(200);
            }
            server.sql("UPDATE oauth_clients SET client_secret_hash = NULL", &[]).await;
            drop(turn);
        };
        let (answer, ()) = tokio::join!(server.token(&form), end_it);
        answer.expect_error(400, "invalid_client");
    }

    /// Issue 13: without USE_PERSONAL_ACCESS_KEYS, the key and every grant approved with the key are
    /// rejected.
    async fn key_without_permission_is_rejected_at_each_use(setup: Setup) {
        let server = setup.start().await;
        let (frigg, odin) = (holder(&server, "frigg").await, server.admin("odin").await);
        let app = server.public_client().await;
        let key = key(&server, &frigg, None).await;
        let given = given(&server, &key, &app).await;
        let pending = authorize(&server, &key, &app, &[]).await.expect(302).sent("request_id").unwrap();
        let take = "UPDATE roles SET permissions = '[\"USE_OAUTH_CLIENTS\"]'";
        server.sql(take, &[]).await;
        authorize(&server, &key, &app, &[]).await.expect(403);
        approve(&server, &key, &pending).await.expect(403);
        for (method, path) in [("GET", KEYS), ("GET", "/api/admin/oauth/clients"), ("GET", "/api/auth/sessions")] {
            server.send(server.request(method, path).bearer_auth(&key.value)).await.expect(403);
        }
        let introspection = server.request("POST", "/api/oauth/introspect").bearer_auth(&key.value);
        let answer = server.send(introspection.form(&[("token", "x")])).await;
        answer.expect_error(403, "insufficient_scope");
        let userinfo = server.get_with_bearer("/api/oauth/userinfo", &given.access_token).await;
        userinfo.expect(401);
        assert!(!introspect(&server, &odin, &given.refresh_token).await);
        server.refresh(&app, &given.refresh_token).await.expect_error(400, "invalid_grant");
        let back = "UPDATE roles SET permissions = '[\"USE_OAUTH_CLIENTS\",\"USE_PERSONAL_ACCESS_KEYS\"]'";
        server.sql(back, &[]).await;
        server.refresh(&app, &given.refresh_token).await.expect(200);
        approve(&server, &key, &pending).await.expect(200);
    }

    /// Issue 13, req_164, req_166, req_167: a request with a key is no user authentication. The key
    /// satisfies neither `prompt=login` nor `max_age`, and the tokens have no `auth_time`.
    async fn key_is_no_user_authentication(setup: Setup) {
        let server = setup.start().await;
        let frigg = holder(&server, "frigg").await;
        let app = server.public_client().await;
        let key = key(&server, &frigg, None).await;
        for demand in [("prompt", "login"), ("prompt", "select_account"), ("max_age", "0"), ("max_age", "3600")] {
            let detour = assert_redirect_to_login(authorize(&server, &key, &app, &[demand]).await);
            let consent = server.request("POST", "/api/oauth/authorize/consent")
                .bearer_auth(&key.value)
                .header("cookie", &detour.cookie)
                .json(&json!({ "request_id": detour.request_id, "decision": "approve" }));
            server.send(consent).await.expect(401);
            server.turn(Duration::seconds(1));
            let signed_in = server.sign_in_again(&frigg).await;
            detour.open(&server, &signed_in).await.expect(200);
        }
        let silent = [("prompt", "none"), ("max_age", "3600")];
        told(authorize(&server, &key, &app, &silent).await, "login_required");
        let code = code(&server, &key, &app).await;
        let tokens = server.exchange(&app, &code).await.expect(200);
        assert_eq!(tokens.claims("id_token").get("auth_time"), None);
        assert_eq!(tokens.claims("access_token").get("auth_time"), None);
        let refreshed = server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
        assert_eq!(refreshed.claims("id_token").get("auth_time"), None);
    }
}

/// Returns the stored hash of a key.
async fn stored_hash(server: &Server, identifier: &str) -> String {
    let key = storyden_auth::store::access_keys::find(&server.context.db, identifier).await;
    key.unwrap().unwrap().secret_hash
}
