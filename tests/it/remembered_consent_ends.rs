//! The end of remembered consents: revocation, sign-out everywhere, suspension, denial, expiry, and the member's
//! list of applications.

use serde_json::{Value, json};
use storyden_auth::store::revocation::{self, Target};
use time::Duration;

use crate::cleanup::clean_up;
use crate::support::race::send_concurrently;
use crate::support::{
    Answer, Client, Member, NewClient, PASSWORD, Server, Setup, assert_redirect_to_consent, both,
    told,
};

const APPLICATIONS: &str = "/api/auth/oauth/applications";

/// Sends an authorization request for `openid` that does not ask for the consent page.
async fn ask(server: &Server, member: &Member, app: &Client) -> Answer {
    server
        .authorize(Some(member), app, &[("scope", "openid")])
        .await
}

/// Approves `openid` on the consent page, and checks that the approval is remembered.
async fn approve(server: &Server, member: &Member, app: &Client) {
    server.code(member, app, &[("scope", "openid")]).await;
    ask(server, member, app).await.code();
}

/// Counts the remembered consents.
async fn remembered(server: &Server) -> i64 {
    server
        .count("SELECT COUNT(*) AS n FROM auth_consents", &[])
        .await
}

/// The list of applications of a member.
async fn applications(server: &Server, member: &Member) -> Vec<Value> {
    let list = server.get_as(member, APPLICATIONS).await.expect(200).json();
    list["applications"].as_array().unwrap().clone()
}

/// Revokes with the command or the administrator's operation.
async fn revoke(server: &Server, account: Option<&Member>, client: Option<&Client>) {
    let target = Target {
        account: account.map(|account| account.id.clone()),
        client: client.map(|client| client.row_id.clone()),
    };
    let input = (target, server.clock.now());
    let revoke = server.context.db.write(input, |tx, (target, now)| {
        Box::pin(revocation::revoke(tx, target, "administrator", *now))
    });
    revoke.await.unwrap();
}

both! {
    /// Issue 15: the member sees a remembered approval in the list of applications, also without a live grant,
    /// and ends it; the access of the application stays.
    async fn the_member_sees_and_ends_an_approval(setup: Setup) {
        let server = setup.start().await;
        let (frigg, loki) = (server.member("frigg", &[]).await, server.member("loki", &[]).await);
        let app = server.public_client().await;
        server.code(&frigg, &app, &[("scope", "openid offline_access")]).await;
        let listed = applications(&server, &frigg).await;
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0]["client_id"], "app");
        assert_eq!(listed[0]["remembered_until"], "2026-06-30T00:00:00Z");
        assert_eq!(listed[0]["scopes"], json!(["openid", "offline_access"]));
        assert_eq!(applications(&server, &loki).await.len(), 0);
        server.turn(Duration::hours(1));
        let scope = [("scope", "openid offline_access")];
        let code = server.authorize(Some(&frigg), &app, &scope).await.code();
        let token = server.exchange(&app, &code).await.expect(200).text("refresh_token");
        let listed = applications(&server, &frigg).await;
        assert_eq!(listed[0]["first_granted_at"], "2026-01-01T00:00:00Z");
        assert_eq!(listed[0]["last_used_at"], "2026-01-01T01:00:00Z");
        assert_eq!(listed[0]["remembered_until"], "2026-06-30T00:00:00Z");

        let path = format!("{APPLICATIONS}/{}/consent", app.row_id);
        server.call_as(&loki, ("DELETE", &path), None).await.expect(404);
        server.call_as(&frigg, ("DELETE", &path), None).await.expect(204);
        server.call_as(&frigg, ("DELETE", &path), None).await.expect(404);
        let unknown = format!("{APPLICATIONS}/c0000000000000000000/consent");
        server.call_as(&frigg, ("DELETE", &unknown), None).await.expect(404);
        let request = server.request("DELETE", &path).header("cookie", frigg.cookie());
        server.send(request.header("origin", "https://evil.example")).await.expect(403);
        assert_redirect_to_consent(ask(&server, &frigg, &app).await);
        server.refresh(&app, &token).await.expect(200);
        let listed = applications(&server, &frigg).await;
        assert_eq!((listed.len(), listed[0].get("remembered_until")), (1, None));
        let audited = "SELECT COUNT(*) AS n FROM auth_audit WHERE event = 'consent_forgotten'";
        assert_eq!(server.count(audited, &[]).await, 1);
    }

    /// Issue 15, req_134: a revoked application asks again.
    async fn a_revoked_application_asks_again(setup: Setup) {
        let server = setup.start().await;
        let (frigg, thor) = (server.member("frigg", &[]).await, server.member("thor", &[]).await);
        let (app, other) = (server.public_client().await, NewClient { client_id: "other", ..NewClient::default() });
        let other = server.client(other).await;
        for (member, client) in [(&frigg, &app), (&frigg, &other), (&thor, &app)] {
            approve(&server, member, client).await;
        }
        let path = format!("{APPLICATIONS}/{}", app.row_id);
        server.call_as(&frigg, ("DELETE", &path), None).await.expect(204);
        assert_redirect_to_consent(ask(&server, &frigg, &app).await);
        ask(&server, &frigg, &other).await.code();
        ask(&server, &thor, &app).await.code();
        assert_eq!(applications(&server, &frigg).await.len(), 1);
        approve(&server, &frigg, &app).await; // remembered anew
    }

    /// Issue 15: revocation by an administrator or a command, of an account, of a client or of both, and the
    /// end of a changed client.
    async fn a_revocation_by_an_administrator_ends_approvals(setup: Setup) {
        let server = setup.start().await;
        let (frigg, thor) = (server.member("frigg", &[]).await, server.member("thor", &[]).await);
        let (app, other) = (server.public_client().await, NewClient { client_id: "other", ..NewClient::default() });
        let other = server.client(other).await;
        for (account, client) in [(Some(&frigg), None), (None, Some(&app)), (Some(&frigg), Some(&app))] {
            for (member, client) in [(&frigg, &app), (&frigg, &other), (&thor, &app)] {
                approve(&server, member, client).await;
            }
            revoke(&server, account, client).await;
            assert_redirect_to_consent(ask(&server, &frigg, &app).await);
            let silent = [("scope", "openid"), ("prompt", "none")];
            told(server.authorize(Some(&frigg), &app, &silent).await, "consent_required");
            for (member, of, ended) in [
                (&frigg, &other, client.is_none()),
                (&thor, &app, account.is_none()),
            ] {
                let answer = ask(&server, member, of).await.expect(302);
                assert_eq!(answer.sent("code").is_none(), ended, "{} {}", member.handle, of.client_id);
            }
            let names = applications(&server, &frigg).await;
            let names: Vec<_> = names.iter().map(|one| one["client_id"].as_str().unwrap()).collect();
            assert!(!names.contains(&"app"), "{names:?}");
            assert_eq!(names.contains(&"other"), client.is_some(), "{names:?}");
        }
    }

    /// Issue 15, A-60: sign-out everywhere and a changed password forget the approvals; the end of a single
    /// session does not.
    async fn sign_out_everywhere_forgets_approvals(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        approve(&server, &frigg, &app).await;
        let logout = server.request("POST", "/api/auth/logout").header("cookie", frigg.cookie());
        server.send(logout).await.expect(302);
        let frigg = server.sign_in_again(&frigg).await;
        ask(&server, &frigg, &app).await.code();
        server.call_as(&frigg, ("DELETE", "/api/auth/sessions"), None).await.expect(200);
        assert_eq!(remembered(&server).await, 0);
        let frigg = server.sign_in_again(&frigg).await;
        assert_redirect_to_consent(ask(&server, &frigg, &app).await);
        approve(&server, &frigg, &app).await;
        let change = json!({ "current": PASSWORD, "new": "another password" });
        server.post_as(&frigg, "/api/auth/password", &change).await.expect(200);
        assert_redirect_to_consent(ask(&server, &frigg, &app).await);
    }

    /// Issue 15, A-105: no code for a suspended account; `account suspend` forgets the approvals.
    async fn a_suspended_account_gets_no_code(setup: Setup) {
        let server = setup.clone().start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        approve(&server, &frigg, &app).await;
        // suspended by a Storyden, which changes the account alone
        server.suspend(&frigg).await;
        for prompt in ["", "none"] {
            let changed = [("scope", "openid"), ("prompt", prompt)];
            server.authorize(Some(&frigg), &app, &changed).await.expect(403);
        }
        server.reinstate(&frigg).await;
        ask(&server, &frigg, &app).await.code();
        let ended = setup.run(&["account", "suspend", "frigg"], &[]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(remembered(&server).await, 0);
        server.reinstate(&frigg).await;
        let frigg = server.sign_in_again(&frigg).await;
        assert_redirect_to_consent(ask(&server, &frigg, &app).await);
    }

    /// Issue 15, A-106: an account without `USE_OAUTH_CLIENTS` gets no code.
    async fn a_demoted_account_gets_no_code(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let app = server.public_client().await;
        let scope = [("scope", "openid MANAGE_POSTS")];
        server.code(&frigg, &app, &scope).await;
        server.remove_permissions_except_use_clients(&frigg).await;
        let code = server.authorize(Some(&frigg), &app, &scope).await.code();
        assert_eq!(server.exchange(&app, &code).await.expect(200).scope(), ["openid"]);
        // nothing is left of the request: the page says so
        assert_redirect_to_consent(server.authorize(Some(&frigg), &app, &[("scope", "MANAGE_POSTS")]).await);
        server.demote(&frigg).await;
        told(ask(&server, &frigg, &app).await, "access_denied");
    }

    /// Issue 15: a denial forgets the approval of the application.
    async fn a_denial_forgets_the_approval(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        approve(&server, &frigg, &app).await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        server.decide(&frigg, &request_id, "deny").await.expect(200);
        assert_redirect_to_consent(ask(&server, &frigg, &app).await);
    }

    /// Issue 15: a code that a remembered approval gave ends with a revocation, exchanged or not.
    async fn a_revocation_ends_codes_of_repeated_approvals(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        approve(&server, &frigg, &app).await;
        let code = ask(&server, &frigg, &app).await.code();
        let exchanged = ask(&server, &frigg, &app).await.code();
        let token = server.exchange(&app, &exchanged).await.expect(200).text("access_token");
        let path = format!("{APPLICATIONS}/{}", app.row_id);
        server.call_as(&frigg, ("DELETE", &path), None).await.expect(204);
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        server.get_with_bearer("/api/oauth/userinfo", &token).await.expect(401);
    }

    /// Issue 15, T13: an approval from before a revocation is never used after it: of a concurrent revocation
    /// and authorization, either the code is dead, or the page is shown. Two replicas.
    async fn a_revocation_wins_every_race(setup: Setup) {
        let (one, two) = (setup.clone().start().await, setup.start().await);
        let frigg = one.member("frigg", &[]).await;
        let app = one.public_client().await;
        for round in 0..20 {
            approve(&one, &frigg, &app).await;
            let mut requests: Vec<_> = (0..4)
                .map(|at| {
                    let server = if at % 2 == 0 { &one } else { &two };
                    let query = [
                        ("response_type", "code"), ("client_id", "app"), ("scope", "openid"),
                        ("redirect_uri", "https://app.example/cb"),
                        ("code_challenge", crate::support::CHALLENGE), ("code_challenge_method", "S256"),
                    ];
                    server.request("GET", "/api/oauth/authorize").query(&query).header("cookie", frigg.cookie())
                })
                .collect();
            let server = if round % 2 == 0 { &one } else { &two };
            let path = format!("{APPLICATIONS}/{}", app.row_id);
            requests.insert(round % 5, server.request("DELETE", &path).header("cookie", frigg.cookie()));
            let answers = send_concurrently(requests).await;
            assert_eq!(answers.iter().filter(|answer| answer.status == 204).count(), 1);
            for answer in answers.iter().filter(|answer| answer.status != 204) {
                let answer = answer.clone().expect(302);
                if let Some(code) = answer.sent("code") {
                    one.exchange(&app, &code).await.expect_error(400, "invalid_grant");
                }
            }
            assert_redirect_to_consent(ask(&two, &frigg, &app).await);
        }
    }

    /// Issue 15, A-34: an approval is remembered for `OAUTH_GRANT_TTL`, and the use does not extend it. The
    /// clean-up deletes expired rows, and rows of deleted clients and accounts.
    async fn approvals_expire(setup: Setup) {
        let server = setup.with("OAUTH_GRANT_TTL", "48h").start().await;
        let (frigg, thor) = (server.member("frigg", &[]).await, server.member("thor", &[]).await);
        let app = server.public_client().await;
        approve(&server, &frigg, &app).await;
        server.turn(Duration::hours(24));
        // Scopes of an earlier approval do not live longer by a later one.
        server.code(&frigg, &app, &[("scope", "profile")]).await;
        approve(&server, &thor, &app).await;
        server.turn(Duration::hours(24) - Duration::microseconds(1));
        for scope in ["openid", "openid profile"] {
            server.authorize(Some(&frigg), &app, &[("scope", scope)]).await.code();
        }
        server.turn(Duration::microseconds(1));
        assert_redirect_to_consent(ask(&server, &frigg, &app).await);
        assert_eq!(applications(&server, &frigg).await.len(), 0);
        assert_eq!(remembered(&server).await, 2);
        server.turn(Duration::seconds(1));
        clean_up(&server).await;
        assert_eq!(remembered(&server).await, 1);
        ask(&server, &thor, &app).await.code();
        server.sql("UPDATE auth_consents SET account_id = 'c0000000000000000000'", &[]).await;
        server.turn(Duration::hours(25));
        server.sql("UPDATE auth_jobs SET completed_at = NULL", &[]).await;
        clean_up(&server).await;
        assert_eq!(remembered(&server).await, 0);
    }

    /// P7: an account has at most 200 remembered approvals; the least recently used are forgotten.
    async fn an_account_has_a_limited_number(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        approve(&server, &frigg, &app).await;
        server.turn(Duration::seconds(1));
        let other = server.client(NewClient { client_id: "other", ..NewClient::default() }).await;
        let copy = "INSERT INTO auth_consents (id, account_id, client_id, resources_hash, scope, client_fingerprint, \
                    client_epoch, approved_at, used_at, expires_at) \
                    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 199) \
                    SELECT 'copy' || i, account_id, client_id, 'copy' || i, scope, client_fingerprint, \
                    client_epoch, approved_at, used_at, expires_at FROM auth_consents, n";
        assert_eq!(server.sql(copy, &[]).await, 199);
        ask(&server, &frigg, &app).await.code(); // now the most recently used
        server.turn(Duration::seconds(1));
        approve(&server, &frigg, &other).await;
        assert_eq!(remembered(&server).await, 200);
        ask(&server, &frigg, &app).await.code();
        server.call_as(&frigg, ("DELETE", "/api/auth/sessions"), None).await.expect(200);
        assert_eq!(remembered(&server).await, 0);
    }

    /// Issue 15: a client of a metadata document stays known while an approval is remembered.
    async fn an_approved_document_client_stays(setup: Setup) {
        approved_document_client(setup).await;
    }

    /// P9: the previous binary writes requests, clients and pending requests without the new columns; such a
    /// request is shown on the page.
    async fn rows_of_the_previous_binary_are_shown(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = assert_redirect_to_consent(ask(&server, &frigg, &app).await);
        let id = "SELECT id FROM oauth_authorisation_requests";
        let id: String = server.context.db.fetch_one(id, &[]).await.unwrap();
        approve(&server, &frigg, &app).await;
        server.sql("DELETE FROM auth_request_details WHERE request_id = $1", &[&id]).await;
        let details = "INSERT INTO auth_request_details (request_id, auth_time, auth_time_unknown, redirect_uri_given, \
                       revocation_id) SELECT $1, created_at, false, true, 0 FROM accounts";
        assert_eq!(server.sql(details, &[&id]).await, 1);
        let client = "INSERT INTO auth_clients (client_id, used) VALUES ($1, true)";
        assert_eq!(server.sql(client, &[app.row_id.as_str()]).await, 1);
        let page = server.consent(&frigg, &request_id).await.expect(200).json();
        assert_eq!(page.get("remembered"), None);
        server.decide(&frigg, &request_id, "repeat").await.expect_error(400, "consent_required");
        ask(&server, &frigg, &app).await.code();
        server.authorize(None, &app, &[("prompt", "select_account")]).await.expect(302);
        let pending = "INSERT INTO auth_pending_requests (request_id_hash, browser_hash, client_id, parameters, \
                       created_at, expires_at) SELECT 'x', browser_hash, client_id, parameters, created_at, \
                       expires_at FROM auth_pending_requests";
        assert_eq!(server.sql(pending, &[]).await, 1);
    }
}

/// Approves a client of a metadata document, and cleans up after the week in which unused clients stay.
async fn approved_document_client(setup: Setup) {
    use crate::support::simulated_internet::SimulatedInternet;
    let outside = SimulatedInternet::new();
    let server = outside.around(setup).start().await;
    let frigg = server.member("frigg", &[]).await;
    let host = outside.host("editor.example").await;
    let app = Client {
        row_id: storyden_auth::ids::ClientRowId::new(""),
        client_id: host.publish("/c", &json!({ "redirect_uris": [host.url("/cb")] })),
        secret: None,
        redirect_uri: host.url("/cb"),
    };
    server.code(&frigg, &app, &[("scope", "openid")]).await;
    let clients = "SELECT COUNT(*) AS n FROM oauth_clients WHERE client_id LIKE 'https://editor%'";
    for days in [9, 30] {
        server.turn(Duration::days(days));
        clean_up(&server).await;
        assert_eq!(server.count(clients, &[]).await, 1);
    }
    let frigg = server.sign_in_again(&frigg).await;
    ask(&server, &frigg, &app).await.code();
}
