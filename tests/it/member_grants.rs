//! A member's grants and sessions: refresh tokens, applications, sessions, the password, and revocation
//! of everything (storyden-contract.md#refresh-token-lists, A-60).

use serde_json::{Value, json};
use time::Duration;

use crate::support::{Answer, Client, Member, NewClient, PASSWORD, Server, both};

const TOKENS: &str = "/api/auth/oauth/tokens";
const APPLICATIONS: &str = "/api/auth/oauth/applications";
const SESSIONS: &str = "/api/auth/sessions";
const CHANGE: &str = "/api/auth/password";

async fn delete_as(server: &Server, member: &Member, path: &str) -> Answer {
    let request = server
        .request("DELETE", path)
        .header("cookie", member.cookie());
    server.send(request).await
}

/// One pending item of each kind.
struct PendingItems {
    request_id: String,
    code: String,
    device_code: String,
    refresh_token: String,
    access_token: String,
}

/// Starts a flow of each kind.
async fn open(server: &Server, member: &Member, app: &Client) -> PendingItems {
    let tokens = server.tokens(member, app, &[]).await;
    PendingItems {
        request_id: server.pending(member, app, &[]).await,
        code: server.code(member, app, &[]).await,
        device_code: server.approved_device(member, app, "openid").await,
        refresh_token: tokens.text("refresh_token"),
        access_token: tokens.text("access_token"),
    }
}

/// Fails unless every item is rejected; `member` has a live session.
async fn is_over(server: &Server, member: &Member, app: &Client, open: &PendingItems) {
    server
        .decide(member, &open.request_id, "approve")
        .await
        .expect_error(400, "invalid_request");
    server
        .exchange(app, &open.code)
        .await
        .expect_error(400, "invalid_grant");
    server.poll(app, &open.device_code).await.expect(400);
    server
        .refresh(app, &open.refresh_token)
        .await
        .expect_error(400, "invalid_grant");
    let userinfo = server
        .get_with_bearer("/api/oauth/userinfo", &open.access_token)
        .await;
    userinfo.expect(401);
}

async fn audited(server: &Server, event: &str) -> i64 {
    let sql = "SELECT COUNT(*) AS n FROM auth_audit WHERE event = $1";
    server.count(sql, &[event]).await
}

both! {
    /// storyden-contract.md#refresh-token-lists: a member sees the account's own refresh tokens, newest
    /// first, with client names; revoking a token leaves the others.
    async fn a_member_lists_and_revokes_their_tokens(setup: Setup) {
        let server = setup.start().await;
        let (frigg, thor) = (server.member("frigg", &[]).await, server.member("thor", &[]).await);
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        server.turn(Duration::seconds(1));
        let second = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let theirs = server.tokens(&thor, &app, &[]).await.text("refresh_token");
        let list = server.get_as(&frigg, TOKENS).await.expect(200).json();
        assert_eq!((&list["results"], &list["total_pages"], &list["page_size"]), (&json!(2), &json!(1), &json!(50)));
        let newest = &list["tokens"][0];
        assert_eq!((&newest["client_id"], &newest["client_name"]), (&json!("app"), &json!("The app")));
        assert_eq!(newest["account_id"], frigg.id.as_str());
        let empty = server.get_as(&frigg, "/api/auth/oauth/tokens?page=2").await.expect(200).json();
        assert_eq!((&empty["tokens"], &empty["current_page"]), (&json!([]), &json!(2)));
        server.get_as(&frigg, "/api/auth/oauth/tokens?page=1&page=2").await.expect(400);
        server.get_as(&frigg, "/api/auth/oauth/tokens?page=abc").await.expect(200);
        let path = format!("{TOKENS}/{}", newest["id"].as_str().unwrap());
        let refused = delete_as(&server, &thor, &path).await.expect_error(400, "invalid_request");
        let text = "Refresh token not found or does not belong to account";
        assert_eq!(refused.text("error_description"), text);
        delete_as(&server, &frigg, &format!("{TOKENS}/nonsense")).await.expect_error(400, "invalid_request");
        delete_as(&server, &frigg, &path).await.expect(204);
        delete_as(&server, &frigg, &path).await.expect(204);
        server.refresh(&app, &second).await.expect_error(400, "invalid_grant");
        server.refresh(&app, &first).await.expect(200);
        server.refresh(&app, &theirs).await.expect(200);
        assert!(audited(&server, "refresh_token_revoked").await >= 1);
    }

    /// storyden-contract.md#callers-of-each-operation: in the profile `storyden` only administrators
    /// see their tokens.
    async fn in_storyden_administrators_alone_see_their_tokens(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        server.get_as(&frigg, TOKENS).await.expect(403);
        delete_as(&server, &frigg, &format!("{TOKENS}/x")).await.expect(403);
        server.get_as(&odin, TOKENS).await.expect(200);
    }

    /// Issue 5: guests, suspended accounts, access tokens and cross-site requests (CSRF) are refused.
    async fn other_callers_see_and_end_nothing(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let access = server.tokens(&frigg, &server.public_client().await, &[]).await.text("access_token");
        let one = |path: &str| format!("{path}/c000000000000000000g");
        let all = [
            ("GET", TOKENS.to_owned()), ("DELETE", one(TOKENS)), ("GET", APPLICATIONS.to_owned()),
            ("DELETE", one(APPLICATIONS)), ("GET", SESSIONS.to_owned()), ("DELETE", one(SESSIONS)),
            ("DELETE", SESSIONS.to_owned()), ("POST", CHANGE.to_owned()),
        ];
        for (method, path) in &all {
            let request = || server.request(method, path).json(&json!({}));
            server.send(request()).await.expect(401);
            server.send(request().bearer_auth(&access)).await.expect(403);
            if *method != "GET" {
                let evil = request().header("cookie", frigg.cookie()).header("origin", "https://evil.example");
                server.send(evil).await.expect(403);
            }
        }
        server.suspend(&frigg).await;
        for (method, path) in &all {
            let request = server.request(method, path).json(&json!({}));
            server.send(request.header("cookie", frigg.cookie())).await.expect(403);
        }
        server.reinstate(&frigg).await;
        server.get_as(&frigg, SESSIONS).await.expect(200);
    }

    /// Issue 5: a member lists authorized applications and revokes all grants of an application. The
    /// access tokens are refused at once; other applications and members are not affected.
    async fn an_application_is_listed_and_ended(setup: Setup) {
        let server = setup.start().await;
        let (frigg, thor) = (server.member("frigg", &[]).await, server.member("thor", &[]).await);
        let app = server.public_client().await;
        let other = server.client(NewClient { client_id: "other", ..NewClient::default() }).await;
        assert_eq!(server.get_as(&frigg, APPLICATIONS).await.expect(200).json()["applications"], json!([]));
        let mine = open(&server, &frigg, &app).await;
        let theirs = server.tokens(&thor, &app, &[]).await.text("refresh_token");
        let kept = server.tokens(&frigg, &other, &[("scope", "openid offline_access")]).await;
        server.turn(Duration::minutes(1));
        let kept = server.refresh(&other, &kept.text("refresh_token")).await.expect(200);
        let list = server.get_as(&frigg, APPLICATIONS).await.expect(200).json();
        assert_eq!((&list["results"], &list["total_pages"]), (&json!(2), &json!(1)));
        let listed = list["applications"].as_array().unwrap();
        let names: Vec<&Value> = listed.iter().map(|listed| &listed["client_id"]).collect();
        assert_eq!(names, [&json!("app"), &json!("other")]);
        assert_eq!(listed[0]["client_name"], "The app");
        assert_eq!(listed[0]["id"], app.row_id.as_str());
        assert_eq!(listed[1]["scopes"], json!(["openid", "offline_access"]));
        assert_eq!(listed[1]["first_granted_at"], "2026-01-01T00:00:00Z");
        assert_eq!(listed[1]["last_used_at"], "2026-01-01T00:01:00Z");
        let path = format!("{APPLICATIONS}/{}", app.row_id);
        delete_as(&server, &frigg, &path).await.expect(204);
        is_over(&server, &frigg, &app, &mine).await;
        let list = server.get_as(&frigg, APPLICATIONS).await.expect(200).json();
        assert_eq!(list["applications"].as_array().unwrap().len(), 1, "{list}");
        server.refresh(&app, &theirs).await.expect(200);
        server.refresh(&other, &kept.text("refresh_token")).await.expect(200);
        delete_as(&server, &frigg, &path).await.expect(204);
        delete_as(&server, &frigg, &format!("{APPLICATIONS}/nonsense")).await.expect(404);
        assert!(audited(&server, "grant_revoked").await >= 1);
    }

    /// Issue 5: an application without a refresh token is listed while an access token may be live.
    async fn an_application_without_a_refresh_token_is_listed_until_expiry(setup: Setup) {
        let server = setup.with("OAUTH_REMEMBER_CONSENT", "false").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[("scope", "openid")]).await;
        let listed = async || {
            let list = server.get_as(&frigg, APPLICATIONS).await.expect(200).json();
            list["applications"].clone()
        };
        assert_eq!(listed().await[0]["scopes"], json!(["openid"]));
        server.turn(Duration::minutes(16));
        server.get_with_bearer("/api/oauth/userinfo", &tokens.text("access_token")).await.expect(401);
        assert_eq!(listed().await, json!([]));
    }

    /// a member lists the sessions of the account and ends a session remotely.
    async fn sessions_are_listed_and_ended_one_by_one(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.turn(Duration::minutes(1));
        let phone = server.sign_in_again(&frigg).await;
        let list = server.get_as(&frigg, SESSIONS).await.expect(200).json();
        let listed = list["sessions"].as_array().unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!((&listed[0]["current"], &listed[1]["current"]), (&json!(false), &json!(true)));
        assert_eq!(listed[0]["createdAt"], "2026-01-01T00:01:00Z");
        let account = &list["account"];
        assert_eq!((&account["handle"], &account["name"]), (&json!("frigg"), &json!("Frigg")));
        assert_eq!(account["id"], frigg.id.as_str());
        let held = account["permissions"].as_array().unwrap();
        assert!(held.contains(&json!("USE_OAUTH_CLIENTS")) && held.contains(&json!("CREATE_POST")), "{held:?}");
        assert!(!held.contains(&json!("ADMINISTRATOR")), "{held:?}");
        assert!(!list.to_string().contains(&frigg.session));
        let thor = server.member("thor", &[]).await;
        let path = format!("{SESSIONS}/{}", listed[0]["id"].as_str().unwrap());
        delete_as(&server, &thor, &path).await.expect(404);
        server.get_as(&phone, SESSIONS).await.expect(200);
        delete_as(&server, &frigg, &path).await.expect(204);
        server.get_as(&phone, SESSIONS).await.expect(401);
        delete_as(&server, &frigg, &path).await.expect(404);
        server.get_as(&frigg, SESSIONS).await.expect(200);
    }

    /// A-60, req_125: signing out everywhere ends every session, request, code, approval and grant.
    async fn signing_out_everywhere_ends_everything(setup: Setup) {
        let server = setup.start().await;
        let (frigg, thor) = (server.member("frigg", &[]).await, server.member("thor", &[]).await);
        let app = server.public_client().await;
        let phone = server.sign_in_again(&frigg).await;
        let mine = open(&server, &frigg, &app).await;
        let theirs = server.tokens(&thor, &app, &[]).await.text("refresh_token");
        let out = delete_as(&server, &phone, SESSIONS).await.expect(200);
        assert_eq!(out.cookie("storyden-session"), "");
        for session in [&frigg, &phone] {
            server.get_as(session, SESSIONS).await.expect(401);
        }
        let again = server.sign_in_again(&frigg).await;
        is_over(&server, &again, &app, &mine).await;
        server.get_as(&thor, SESSIONS).await.expect(200);
        server.refresh(&app, &theirs).await.expect(200);
        assert_eq!(audited(&server, "sessions_ended").await, 1);
    }

    /// A-60, req_125: a password change ends everything except the session that made the request.
    async fn a_changed_password_ends_everything_else(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let phone = server.sign_in_again(&frigg).await;
        let mine = open(&server, &frigg, &app).await;
        let change = |current: &str, new: &str| json!({ "current": current, "new": new });
        server.post_as(&frigg, CHANGE, &change(PASSWORD, "short")).await.expect(400);
        server.post_as(&frigg, CHANGE, &change(PASSWORD, &"x".repeat(1_025))).await.expect(400);
        server.post_as(&frigg, CHANGE, &json!({ "new": "another password" })).await.expect(400);
        server.post_as(&frigg, CHANGE, &change("wrong password", "another password")).await.expect(403);
        server.get_as(&phone, SESSIONS).await.expect(200);
        server.post_as(&frigg, CHANGE, &change(PASSWORD, "another password")).await.expect(200);
        server.get_as(&phone, SESSIONS).await.expect(401);
        server.get_as(&frigg, SESSIONS).await.expect(200);
        is_over(&server, &frigg, &app, &mine).await;
        server.sign_in_from("127.0.0.1", "frigg", PASSWORD).await.expect(401);
        server.sign_in_from("127.0.0.1", "frigg", "another password").await.expect(200);
        assert_eq!(audited(&server, "password_changed").await, 1);
    }

    /// wrong current passwords count against the sign-in limit.
    async fn wrong_passwords_are_limited_as_at_sign_in(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let wrong = json!({ "current": "wrong password", "new": "another password" });
        for _ in 0..10 {
            server.post_as(&frigg, CHANGE, &wrong).await.expect(403);
        }
        let right = json!({ "current": PASSWORD, "new": "another password" });
        server.post_as(&frigg, CHANGE, &right).await.expect(429).header("retry-after");
        server.sign_in_from("127.0.0.1", "frigg", PASSWORD).await.expect(429);
        server.turn(Duration::minutes(15));
        server.post_as(&frigg, CHANGE, &right).await.expect(200);
    }

    /// a refresh concurrent with the end of all sessions leaves no live token.
    async fn a_concurrent_refresh_does_not_survive_sign_out(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for _ in 0..5 {
            let phone = server.sign_in_again(&frigg).await;
            let token = server.tokens(&phone, &app, &[]).await.text("refresh_token");
            let refresh = server.refresh(&app, &token);
            let (refreshed, out) = tokio::join!(refresh, delete_as(&server, &phone, SESSIONS));
            out.expect(200);
            if refreshed.status == 200 {
                let next = refreshed.text("refresh_token");
                server.refresh(&app, &next).await.expect_error(400, "invalid_grant");
            }
            let alive = "SELECT COUNT(*) AS n FROM oauth_refresh_tokens WHERE revoked_at IS NULL";
            assert_eq!(server.count(alive, &[]).await, 0);
        }
    }

    /// a sign-in with the old password, concurrent with the password change, leaves no session.
    async fn a_concurrent_sign_in_does_not_survive_a_password_change(setup: Setup) {
        let server = setup.with("RATE_LIMIT", "100000").start().await;
        let frigg = server.member("frigg", &[]).await;
        for round in 0..5 {
            let old = if round == 0 { PASSWORD.to_owned() } else { format!("new password {round}") };
            let new = format!("new password {}", round + 1);
            let body = json!({ "current": old, "new": new });
            let sign_in = || server.sign_in_from("127.0.0.1", "frigg", &old);
            let (changed, a, b, c, d) = tokio::join!(
                server.post_as(&frigg, CHANGE, &body),
                sign_in(),
                sign_in(),
                sign_in(),
                sign_in(),
            );
            changed.expect(200);
            for answer in [a, b, c, d] {
                assert!([200, 401].contains(&answer.status), "{answer:?}");
            }
            let list = server.get_as(&frigg, SESSIONS).await.expect(200).json();
            assert_eq!(list["sessions"].as_array().unwrap().len(), 1, "round {round}");
        }
    }

    /// Issue 13, A-60: of two concurrent changes with the same old password exactly one succeeds; the
    /// other fails with a wrong password.
    async fn of_two_password_changes_at_once_one_succeeds(setup: Setup) {
        let servers = [setup.start().await, setup.start().await];
        let frigg = servers[0].member("frigg", &[]).await;
        let mut old = PASSWORD.to_owned();
        for round in 0..6 {
            let phone = servers[0].sign_in_with(&frigg, &old).await;
            let laptop = servers[0].sign_in_with(&frigg, &old).await;
            let new = [format!("phone password {round}"), format!("laptop password {round}")];
            let bodies = new.clone().map(|new| json!({ "current": old, "new": new }));
            let (one, two) = tokio::join!(
                servers[0].post_as(&phone, CHANGE, &bodies[0]),
                servers[1].post_as(&laptop, CHANGE, &bodies[1]),
            );
            let won = match (one.status, two.status) {
                (200, 403 | 401) => 0,
                (403 | 401, 200) => 1,
                _ => panic!("{one:?} {two:?}"),
            };
            for (at, new) in new.iter().enumerate() {
                let status = if at == won { 200 } else { 401 };
                servers[0].sign_in_from("127.0.0.1", "frigg", new).await.expect(status);
            }
            servers[0].turn(Duration::minutes(15)); // reset the sign-in limit
            old.clone_from(&new[won]);
        }
    }

    /// Issue 13: a key, client or secret created concurrently with the end of all sessions is ended
    /// too.
    async fn credentials_made_concurrently_do_not_survive(setup: Setup) {
        let server = setup.start().await;
        let owner = server.member("frigg", &["USE_PERSONAL_ACCESS_KEYS"]).await;
        let service = server.confidential_client(&owner.id).await;
        let application = json!({
            "name": "Robot", "type": "confidential", "pkce_required": true, "redirect_uris": [],
            "allowed_scopes": ["READ_PROFILE"], "allowed_grants": ["client_credentials"],
        });
        for round in 0..5 {
            let phone = server.sign_in_again(&owner).await;
            let rotate = format!("/api/auth/oauth/clients/{}/secret", service.row_id);
            let (name, overlap) = (json!({ "name": "thief" }), json!({ "overlap_seconds": 0 }));
            let everything = format!("{SESSIONS}?end_access_keys=true&end_client_secrets=true");
            let (key, made, secret, out) = tokio::join!(
                server.post_as(&phone, "/api/auth/access-keys", &name),
                server.post_as(&phone, "/api/auth/oauth/clients", &application),
                server.post_as(&phone, &rotate, &overlap),
                delete_as(&server, &phone, &everything),
            );
            out.expect(200);
            for answer in [key, made, secret] {
                assert!([200, 401].contains(&answer.status), "{answer:?}");
            }
            let again = server.sign_in_again(&owner).await;
            let told = server.get_as(&again, SESSIONS).await.expect(200).json();
            let nothing = json!({ "access_keys": 0, "client_secrets": 0 });
            assert_eq!(told["lasting"], nothing, "round {round}");
        }
    }

    /// Issue 13: credentials that work without a session are counted beforehand and ended on request.
    /// The answer counts the ended and the remaining credentials.
    async fn keys_and_client_secrets_are_ended_where_asked(setup: Setup) {
        let server = setup.start().await;
        let ways = [
            ("sessions", ""),
            ("sessions", "?end_access_keys=true&end_client_secrets=true"),
            ("sessions", "?end_access_keys=true&end_client_secrets=false"),
            ("password", "both"),
            ("password", "neither"),
        ];
        for (number, (way, query)) in ways.into_iter().enumerate() {
            let frigg = server.member(&format!("frigg{number}"), &["USE_PERSONAL_ACCESS_KEYS"]).await;
            let lasting = SessionlessCredentials::of(&server, &frigg).await;
            let tokens = server.tokens(&frigg, &lasting.service, &[]).await;
            let told = server.get_as(&frigg, SESSIONS).await.expect(200).json();
            assert_eq!(told["lasting"], json!({ "access_keys": 2, "client_secrets": 1 }));
            lasting.works(&server, true, true).await;
            let answer = if way == "sessions" {
                delete_as(&server, &frigg, &format!("{SESSIONS}{query}")).await
            } else {
                let mut body = json!({ "current": PASSWORD, "new": "another password" });
                if query == "neither" {
                    body["end_access_keys"] = false.into();
                    body["end_client_secrets"] = false.into();
                }
                server.post_as(&frigg, CHANGE, &body).await
            };
            let keys_end = !matches!(query, "" | "neither");
            let secrets_end = keys_end && !query.ends_with("false");
            let answer = answer.expect(200).json();
            let counts = |ended: bool, of: i32| if ended { of } else { 0 };
            let (keys, secrets) = (counts(keys_end, 2), counts(secrets_end, 1));
            assert_eq!(answer["left"], json!({ "access_keys": 2 - keys, "client_secrets": 1 - secrets }), "{query}");
            let sessions = i32::from(way == "sessions");
            assert_eq!(answer["ended"], json!({
                "access_keys": keys, "client_secrets": secrets, "sessions": sessions, "grants": 1,
                "refresh_tokens": 1, "codes": 0, "device_authorizations": 0,
            }), "{query}");
            lasting.works(&server, !keys_end, !secrets_end).await;
            let refresh = tokens.text("refresh_token");
            let refreshed = server.refresh(&lasting.service, &refresh).await;
            assert!(refreshed.status >= 400, "{refreshed:?}");
            let audited = "SELECT COUNT(*) AS n FROM auth_audit WHERE account_id = $1 AND event = $2";
            let lines = async |event| server.count(audited, &[frigg.id.as_str(), event]).await;
            assert_eq!(lines("access_key_deleted").await, i64::from(keys));
            assert_eq!(lines("client_secret_ended").await, i64::from(secrets));
            let rename = "UPDATE oauth_clients SET client_id = client_id || '-' || id";
            server.sql(rename, &[]).await;
        }
        let frigg = server.member("thor", &[]).await;
        for bad in ["?end_access_keys=1", "?end_client_secrets=yes", "?end_access_keys=true&end_access_keys=true"] {
            delete_as(&server, &frigg, &format!("{SESSIONS}{bad}")).await.expect(400);
        }
        server.get_as(&frigg, SESSIONS).await.expect(200);
    }

    /// Issue 13: the owner rotates the secret of a client whose secrets were ended; the overlap secret
    /// stays ended too.
    async fn an_ended_secret_is_replaced_by_its_owner(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["USE_PERSONAL_ACCESS_KEYS"]).await;
        let service = server.confidential_client(&frigg.id).await;
        let rotate = format!("/api/auth/oauth/clients/{}/secret", service.row_id);
        let overlap = json!({ "overlap_seconds": 3600 });
        let second = server.post_as(&frigg, &rotate, &overlap).await.expect(200).text("client_secret");
        let both = "?end_access_keys=true&end_client_secrets=true";
        delete_as(&server, &frigg, &format!("{SESSIONS}{both}")).await.expect(200);
        let ask = async |secret: &str| {
            let form = [("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", secret)];
            server.token(&form).await
        };
        for secret in [service.secret.as_deref().unwrap(), &second] {
            ask(secret).await.expect_error(400, "invalid_client");
        }
        let again = server.sign_in_again(&frigg).await;
        let third = server.post_as(&again, &rotate, &overlap).await.expect(200).text("client_secret");
        ask(&third).await.expect(200);
        ask(&second).await.expect_error(400, "invalid_client");
    }
}

/// Credentials of an account that work without a session.
struct SessionlessCredentials {
    keys: [String; 2],
    service: Client,
}

impl SessionlessCredentials {
    /// Creates two keys and a client with client credentials. Also creates credentials that are not
    /// counted: a disabled key, a client without a secret, and a client without the grant.
    async fn of(server: &Server, member: &Member) -> Self {
        let keys = [
            server.access_key(member, "sdpak").await,
            server.access_key(member, "sdpak").await,
        ];
        server.access_key(member, "sdpak").await;
        let ended = "UPDATE authentications SET disabled = true WHERE service = 'access_key' \
                     AND account_authentication = $1 AND identifier NOT IN ($2, $3)";
        let names = [&keys[0][..18], &keys[1][..18]];
        assert_eq!(
            server
                .sql(ended, &[member.id.as_str(), names[0], names[1]])
                .await,
            1
        );
        let owner = Some(member.id.clone());
        server
            .client(NewClient {
                owner: owner.clone(),
                ..NewClient::default()
            })
            .await;
        let web = NewClient {
            client_id: "web",
            secret: Some("web secret"),
            owner,
            ..NewClient::default()
        };
        server.client(web).await;
        let service = server.confidential_client(&member.id).await;
        Self { keys, service }
    }

    /// Fails unless the keys and the client are accepted or rejected as expected.
    async fn works(&self, server: &Server, keys: bool, service: bool) {
        for key in &self.keys {
            let answer = server.get_with_bearer("/api/auth/access-keys", key).await;
            answer.expect(if keys { 200 } else { 401 });
        }
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.service.credentials());
        let answer = server.token(&form).await;
        if service {
            answer.expect(200);
        } else {
            answer.expect_error(400, "invalid_client");
        }
    }
}
