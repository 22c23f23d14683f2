//! Revocations and deletions that cover more rows than a single transaction updates: the effect is
//! immediate, and a job updates the rows later (`auth_revocations`).

use serde_json::{Value, json};
use storyden_auth::http::member::session;
use storyden_auth::store::apply_revocations;
use storyden_auth::store::client_changes::{self, Changes};
use storyden_auth::store::client_secrets::{self, Rotation};
use storyden_auth::store::clients;
use storyden_auth::store::leases;
use time::Duration;

use crate::support::race::{count, send_concurrently};
use crate::support::{
    Issued, Member, NewClient, PASSWORD, Server, assert_live, assert_revoked, both,
};

const USERINFO: &str = "/api/oauth/userinfo";
const REVOKE: &str = "/api/admin/oauth/revoke";

/// Copies of each row, more than two batches.
const COPIES: u64 = 450;

/// Copies a session of a member, so that more than a batch is left.
async fn copy_session(server: &Server, member: &Member) {
    let copy = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450) \
                INSERT INTO sessions (id, created_at, token_hash, expires_at, account_id) \
                SELECT x.id || '-' || i, x.created_at, x.token_hash || i, x.expires_at, x.account_id \
                FROM n, (SELECT * FROM sessions WHERE account_id = $1 LIMIT 1) x";
    assert_eq!(server.sql(copy, &[member.id.as_str()]).await, COPIES);
}

/// Copies every live row, so that more than a batch is left.
async fn copy(server: &Server) {
    let copied = [
        server.sql(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450) \
             INSERT INTO auth_grants (id, account_id, client_id, created_at, revocation_id) \
             SELECT g.id || '-' || i, g.account_id, g.client_id, g.created_at, g.revocation_id \
             FROM auth_grants g, n",
            &[],
        ),
        server.sql(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450) \
             INSERT INTO oauth_refresh_tokens \
             (id, created_at, token_hash, scope, expires_at, account_id, client_id) \
             SELECT t.id || '-' || i, t.created_at, t.token_hash || i, t.scope, t.expires_at, \
             t.account_id, t.client_id FROM oauth_refresh_tokens t, n WHERE t.revoked_at IS NULL",
            &[],
        ),
        server.sql(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450) \
             INSERT INTO auth_refresh_tokens (token_id, grant_id) \
             SELECT m.token_id || '-' || i, m.grant_id || '-' || i FROM auth_refresh_tokens m, n",
            &[],
        ),
        server.sql(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450) \
             INSERT INTO oauth_authorisation_codes (id, created_at, code_hash, redirect_uri, scope, \
             code_challenge, expires_at, account_id, client_id) \
             SELECT k.id || '-' || i, k.created_at, k.code_hash || i, k.redirect_uri, k.scope, \
             k.code_challenge, k.expires_at, k.account_id, k.client_id \
             FROM oauth_authorisation_codes k, n WHERE k.consumed_at IS NULL",
            &[],
        ),
        server.sql(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450) \
             INSERT INTO oauth_authorisation_requests (id, created_at, request_id_hash, redirect_uri, \
             scope, code_challenge, expires_at, account_id, client_id) \
             SELECT q.id || '-' || i, q.created_at, q.request_id_hash || i, q.redirect_uri, q.scope, \
             q.code_challenge, q.expires_at, q.account_id, q.client_id \
             FROM oauth_authorisation_requests q, n WHERE q.approved_at IS NULL",
            &[],
        ),
        server.sql(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450) \
             INSERT INTO oauth_device_authorisations (id, created_at, device_code_hash, user_code_hash, \
             user_code_display, scope, expires_at, approved_at, approved_by_account_id, client_id) \
             SELECT d.id || '-' || i, d.created_at, d.device_code_hash || i, d.user_code_hash || i, \
             d.user_code_display, d.scope, d.expires_at, d.approved_at, d.approved_by_account_id, \
             d.client_id FROM oauth_device_authorisations d, n WHERE d.consumed_at IS NULL",
            &[],
        ),
    ];
    for rows in copied {
        assert_eq!(rows.await, COPIES);
    }
}

/// Deletes all rows of a round.
async fn wipe(server: &Server) {
    for sql in [
        "DELETE FROM oauth_refresh_tokens",
        "DELETE FROM auth_refresh_tokens",
        "DELETE FROM auth_grants",
        "DELETE FROM oauth_authorisation_codes",
        "DELETE FROM oauth_authorisation_requests",
        "DELETE FROM auth_request_details",
        "DELETE FROM oauth_device_authorisations",
        "DELETE FROM auth_device_origins",
        "DELETE FROM auth_consents",
    ] {
        server.sql(sql, &[]).await;
    }
}

/// A lease of the test: less than twice the job's lease of ten minutes, beyond which a lease counts as free.
const LEASE: Duration = Duration::minutes(19);

/// Takes the job's lease, as a replica that crashed while holding the lease.
async fn block_the_job(server: &Server) {
    let (db, now) = (&server.context.db, server.clock.now());
    let until = now + LEASE;
    while !leases::take(db, "revocations", "a test", now, until)
        .await
        .unwrap()
    {
        tokio::task::yield_now().await;
    }
}

/// Maximum number of passes until no revocation is open.
const PASSES_MAX: u32 = 20;

/// Updates the rows of all open revocations, as the job does.
async fn apply(server: &Server) {
    let now = server.clock.now();
    let mut rows = 0;
    // A pass leaves a revocation open whose batch met a timeout on a busy machine.
    for _ in 0..PASSES_MAX {
        let applied = apply_revocations::apply(&server.context.db, now, || false).await;
        rows += applied.unwrap().rows;
        if !apply_revocations::any_open(&server.context.db)
            .await
            .unwrap()
        {
            break;
        }
    }
    assert!(
        !apply_revocations::any_open(&server.context.db)
            .await
            .unwrap()
    );
    assert!(rows > COPIES, "{rows}");
}

/// Fails unless the request can no longer be approved.
async fn assert_not_approvable(server: &Server, member: &Member, given: &Issued) {
    let decided = server.decide(member, &given.request_id, "approve").await;
    decided.expect_error(400, "invalid_request");
}

/// Fails if a list of the member or of an administrator has a live item.
async fn assert_nothing_listed(server: &Server, member: &Member, administrator: &Member) {
    let applications = server.get_as(member, "/api/auth/oauth/applications").await;
    assert_eq!(applications.expect(200).json()["applications"], json!([]));
    let tokens = server
        .get_as(member, "/api/auth/oauth/tokens")
        .await
        .expect(200)
        .json();
    let tokens = tokens["tokens"].as_array().unwrap().clone();
    assert!(!tokens.is_empty());
    for token in tokens {
        assert!(token["revoked_at"].is_string(), "{token}");
    }
    let path = "/api/admin/oauth/device-authorizations?state=approved&account_id=";
    let path = format!("{path}{}", member.id);
    let devices = server.get_as(administrator, &path).await.expect(200).json();
    assert_eq!(devices["device_authorisations"], json!([]));
}

const LIVE_TOKENS: &str = "SELECT COUNT(*) AS n FROM oauth_refresh_tokens WHERE revoked_at IS NULL";
const LIVE_GRANTS: &str = "SELECT COUNT(*) AS n FROM auth_grants WHERE revoked_at IS NULL";

both! {
    /// Issue 13, A-27: a large revocation updates a bounded number of rows. After the commit no covered
    /// item is accepted, listed or counted. Approvals after the commit are valid, even at the same
    /// clock time, and the job leaves those rows alone.
    async fn a_large_revocation_is_effective_at_once(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let loki = server.member("loki", &[]).await;
        block_the_job(&server).await;
        for (client_id, body) in [
            ("one", json!({ "account_id": frigg.id.as_str() })),
            ("two", json!({ "account_id": frigg.id.as_str(), "client_id": "two" })),
            ("three", json!({ "client_id": "three" })),
        ] {
            let app = server.client(NewClient { client_id, ..NewClient::default() }).await;
            let first = server.issue(&frigg, &app).await;
            copy(&server).await;
            let second = server.issue(&frigg, &app).await;
            let of_another = if body["account_id"].is_string() { Some(server.issue(&loki, &app).await) } else { None };
            let mut dry = body.clone();
            dry["dry_run"] = json!(true);
            let counted = server.post_as(&odin, REVOKE, &dry).await.expect(200).json();
            let ended = server.post_as(&odin, REVOKE, &body).await.expect(200).json();
            for what in ["codes", "device_authorizations", "grants", "refresh_tokens"] {
                assert_eq!((&ended[what], &counted[what]), (&json!(COPIES + 2), &json!(COPIES + 2)), "{what}");
            }
            let others = i64::from(of_another.is_some());
            assert_eq!(server.count(LIVE_TOKENS, &[]).await, 252 + others);
            assert_eq!(server.count(LIVE_GRANTS, &[]).await, 252 + others);
            let again = server.post_as(&odin, REVOKE, &dry).await.expect(200).json();
            for what in ["codes", "device_authorizations", "grants", "refresh_tokens"] {
                assert_eq!(again[what], 0, "{what}");
            }
            assert_nothing_listed(&server, &frigg, &odin).await;
            for given in [&first, &second] {
                assert_revoked(&server, &app, given).await;
            }
            let anew = [server.issue(&frigg, &app).await, server.issue(&frigg, &app).await];
            assert_live(&server, &app, &anew[0]).await;
            apply(&server).await;
            assert_live(&server, &app, &anew[1]).await;
            if let Some(given) = &of_another {
                assert_live(&server, &app, given).await;
            }
            for given in [&first, &second] {
                assert_revoked(&server, &app, given).await;
            }
            // Only the new items are live: the refresh and the exchange made a token each.
            assert_eq!(server.count(LIVE_TOKENS, &[]).await, 2 * (2 + others));
            wipe(&server).await;
        }
    }

    /// Issue 13, A-60: the same for revocations by a member: of an application, of all sessions, by a
    /// password change. Pending requests end too.
    async fn a_members_revocation_is_effective_at_once(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let app = server.public_client().await;
        block_the_job(&server).await;
        for (handle, way) in [("frigg", "application"), ("loki", "sessions"), ("thor", "password")] {
            let mut member = server.member(handle, &[]).await;
            let first = server.issue(&member, &app).await;
            copy(&server).await;
            let second = server.issue(&member, &app).await;
            let cookie = member.cookie();
            match way {
                "application" => {
                    let path = format!("/api/auth/oauth/applications/{}", app.row_id);
                    server.send(server.request("DELETE", &path).header("cookie", cookie)).await.expect(204);
                }
                "sessions" => {
                    let request = server.request("DELETE", "/api/auth/sessions");
                    server.send(request.header("cookie", cookie)).await.expect(200);
                    member = server.sign_in_again(&member).await;
                }
                _ => {
                    let body = json!({ "current": PASSWORD, "new": "another long password" });
                    server.post_as(&member, "/api/auth/password", &body).await.expect(200);
                }
            }
            for given in [&first, &second] {
                assert_revoked(&server, &app, given).await;
                assert_not_approvable(&server, &member, given).await;
            }
            assert_nothing_listed(&server, &member, &odin).await;
            let anew = server.issue(&member, &app).await;
            apply(&server).await;
            assert_live(&server, &app, &anew).await;
            for given in [&first, &second] {
                assert_revoked(&server, &app, given).await;
                assert_not_approvable(&server, &member, given).await;
            }
            wipe(&server).await;
        }
    }

    /// Issue 13: rows that a Storyden wrote have no companion row, so a large revocation covers those
    /// rows by creation time.
    async fn a_revocation_covers_rows_of_a_storyden_at_once(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.public_client().await;
        block_the_job(&server).await;
        server.issue(&frigg, &app).await;
        copy(&server).await;
        let given = server.issue(&frigg, &app).await;
        for sql in [
            "DELETE FROM auth_refresh_tokens", "DELETE FROM auth_grants", "DELETE FROM auth_request_details",
            "DELETE FROM auth_device_origins",
        ] {
            server.sql(sql, &[]).await;
        }
        let body = json!({ "client_id": "app" });
        let ended = server.post_as(&odin, REVOKE, &body).await.expect(200).json();
        assert_eq!(ended["refresh_tokens"], COPIES + 2);
        let refreshed = server.refresh(&app, &given.tokens.text("refresh_token")).await;
        refreshed.expect_error(400, "invalid_grant");
        server.exchange(&app, &given.code).await.expect_error(400, "invalid_grant");
        server.poll(&app, &given.device_code).await.expect_error(400, "access_denied");
        // A Storyden's clock may be some seconds ahead. Later rows are not covered.
        server.turn(Duration::seconds(6));
        let later = server.issue(&frigg, &app).await;
        for sql in ["DELETE FROM auth_refresh_tokens", "DELETE FROM auth_request_details", "DELETE FROM auth_device_origins"] {
            server.sql(sql, &[]).await;
        }
        apply(&server).await;
        assert_eq!(server.count(LIVE_TOKENS, &[]).await, 1);
        assert_live(&server, &app, &later).await;
    }

    /// Issue 13, A-27: rotations, exchanges and polls concurrent with the commit of a large revocation
    /// leave no live token, on two replicas.
    async fn grants_in_flight_do_not_survive_a_large_revocation(setup: Setup) {
        let (server, replica) = (setup.start().await, setup.start().await);
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.public_client().await;
        block_the_job(&server).await;
        for round in 0..6 {
            server.issue(&frigg, &app).await;
            copy(&server).await;
            let mut requests = Vec::new();
            for at in 0..4 {
                let given = server.issue(&frigg, &app).await;
                let on = [&server, &replica][at % 2];
                requests.push(on.token_request(&app.refresh_form(&given.tokens.text("refresh_token"))));
                requests.push(on.token_request(&app.exchange_form(&given.code)));
                requests.push(on.token_request(&app.poll_form(&given.device_code)));
            }
            let account = frigg.id.as_str();
            let body = [json!({ "client_id": "app" }), json!({ "account_id": account })][round % 2].clone();
            let (answers, revoked) = tokio::join!(send_concurrently(requests), server.post_as(&odin, REVOKE, &body));
            revoked.expect(200);
            count(&answers, 200);
            for answer in answers.iter().filter(|answer| answer.status == 200) {
                let userinfo = replica.get_with_bearer(USERINFO, &answer.text("access_token")).await;
                userinfo.expect_error(401, "invalid_token");
                if let Value::String(token) = &answer.json()["refresh_token"] {
                    replica.refresh(&app, token).await.expect_error(400, "invalid_grant");
                }
            }
            apply(&server).await;
            assert_eq!(server.count(LIVE_TOKENS, &[]).await + server.count(LIVE_GRANTS, &[]).await, 0);
            wipe(&server).await;
        }
    }

    /// Issue 13, A-107: the deletion of a client with many rows is effective at once: no token is
    /// accepted or listed, and the client id is free. The job deletes the old rows and keeps the rows
    /// of a new client with the same id.
    async fn deleting_a_client_with_many_rows_is_effective_at_once(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let new = NewClient { owner: Some(frigg.id.clone()), ..NewClient::default() };
        let app = server.client(new.clone()).await;
        let key = server.access_key(&odin, "sdpak").await;
        block_the_job(&server).await;
        for path in ["/api/auth/oauth/clients", "/api/admin/oauth/clients"] {
            let by = if path.contains("admin") { &odin } else { &frigg };
            let app = if path.contains("admin") { server.client(new.clone()).await } else { app.clone() };
            let first = server.issue(&frigg, &app).await;
            copy(&server).await;
            let second = server.issue(&frigg, &app).await;
            let one = format!("{path}/{}", app.row_id);
            let delete = || server.request("DELETE", &one).header("cookie", by.cookie());
            server.send(delete()).await.expect(204);
            let rows = "SELECT COUNT(*) AS n FROM oauth_refresh_tokens WHERE client_id = $1";
            assert!(server.count(rows, &[app.row_id.as_str()]).await > 200);
            for given in [&first, &second] {
                let access_token = given.tokens.text("access_token");
                server.get_with_bearer(USERINFO, &access_token).await.expect_error(401, "invalid_token");
                server.exchange(&app, &given.code).await.expect_error(400, "invalid_client");
                server.poll(&app, &given.device_code).await.expect_error(400, "invalid_client");
                let token = given.tokens.text("refresh_token");
                server.refresh(&app, &token).await.expect_error(400, "invalid_client");
                assert_not_approvable(&server, &frigg, given).await;
                for token in [&access_token, &token] {
                    let asked = server.request("POST", "/api/oauth/introspect").bearer_auth(&key);
                    let asked = server.send(asked.form(&[("token", token)])).await.expect(200);
                    assert_eq!(asked.json(), json!({ "active": false }));
                }
            }
            server.send(delete()).await.expect(if path.contains("admin") { 404 } else { 400 });
            server.get_as(by, &one).await.expect(404);
            for (who, list, what) in [
                (&frigg, "/api/auth/oauth/clients", "clients"),
                (&odin, "/api/admin/oauth/clients", "clients"),
                (&frigg, "/api/auth/oauth/applications", "applications"),
                (&frigg, "/api/auth/oauth/tokens", "tokens"),
                (&odin, "/api/admin/oauth/refresh-tokens", "tokens"),
            ] {
                let listed = server.get_as(who, list).await.expect(200).json();
                assert_eq!(listed[what], json!([]), "{list}: {listed}");
            }
            let anew = server.client(new.clone()).await;
            let given = server.issue(&frigg, &anew).await;
            apply(&server).await;
            assert_eq!(server.count(rows, &[app.row_id.as_str()]).await, 0);
            let old = "SELECT COUNT(*) AS n FROM oauth_clients WHERE id = $1";
            assert_eq!(server.count(old, &[app.row_id.as_str()]).await, 0);
            assert_live(&server, &anew, &given).await;
            let access_token = first.tokens.text("access_token");
            server.get_with_bearer(USERINFO, &access_token).await.expect_error(401, "invalid_token");
            server.delete_client(&anew).await;
            server.sql("DELETE FROM auth_grants", &[]).await;
        }
    }

    /// Issue 13: no concurrent update, replacement or secret rotation changes a client once its deletion is
    /// in progress.
    async fn a_client_in_deletion_is_not_changed(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        block_the_job(&server).await;
        server.issue(&frigg, &app).await;
        copy(&server).await;
        let client = clients::find(&server.context.db, "app").await.unwrap().unwrap();
        server.delete_client(&app).await;
        let (db, now) = (&server.context.db, server.clock.now());
        let changes = Changes {
            name: Some("Another".to_owned()),
            redirect_uris: Some(vec![app.redirect_uri.clone()]),
            secret_hash: Some("x".to_owned()),
            ..Changes::default()
        };
        let input = (app.row_id.clone(), changes, now);
        let updated = db.write(input, |tx, (id, changes, now)| Box::pin(client_changes::update(tx, id, changes, *now)));
        assert!(!updated.await.unwrap());
        for old_until in [None, Some(now + Duration::hours(1))] {
            let rotation = Rotation { client: app.row_id.clone(), hash: "x".to_owned(), old_until, now };
            let rotated = db.write(rotation, |tx, rotation| Box::pin(client_secrets::rotate_secret(tx, rotation)));
            assert!(!rotated.await.unwrap());
        }
        let replaced = db.write(client, |tx, client| Box::pin(client_changes::replace(tx, client))).await;
        assert!(matches!(replaced, Err(storyden_auth::store::Error::Gone)), "{replaced:?}");
        let untouched = "SELECT COUNT(*) AS n FROM oauth_clients WHERE id = $1 AND name = 'The app' \
                         AND client_secret_hash IS NULL AND client_id = 'deleted:' || id";
        assert_eq!(server.count(untouched, &[app.row_id.as_str()]).await, 1);
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM auth_clients", &[]).await, 0);
        apply(&server).await;
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM oauth_clients", &[]).await, 0);
    }

    /// Issue 13, A-60: if an account has more sessions than a transaction updates, all except the current
    /// session are rejected and not listed at once. A later session is valid. The job updates the rows.
    async fn many_sessions_end_at_once(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let sif = server.member("sif", &[]).await;
        block_the_job(&server).await;
        let oldest = server.sign_in_again(&frigg).await;
        server.turn(Duration::minutes(1));
        copy_session(&server, &frigg).await;
        server.turn(Duration::minutes(1));
        let newest = server.sign_in_again(&frigg).await;
        let present = server.sign_in_again(&frigg).await;
        let body = json!({ "current": PASSWORD, "new": "another password" });
        let changed = server.post_as(&present, "/api/auth/password", &body).await.expect(200).json();
        assert_eq!(changed["ended"]["sessions"], COPIES + 3, "{changed}");
        let live = "SELECT COUNT(*) AS n FROM sessions WHERE account_id = $1 AND revoked_at IS NULL";
        assert!(server.count(live, &[frigg.id.as_str()]).await > 200, "the job updates the others");
        for over in [&frigg, &oldest, &newest] {
            server.get_as(over, "/api/auth/sessions").await.expect(401);
        }
        let listed = server.get_as(&present, "/api/auth/sessions").await.expect(200).json();
        assert_eq!(listed["sessions"].as_array().unwrap().len(), 1, "{listed}");
        server.get_as(&sif, "/api/auth/sessions").await.expect(200);
        server.turn(Duration::seconds(1));
        let later = session::begin(&server.context, &frigg.id).await.unwrap().0;
        let later = Member { session: later.reveal().to_owned(), ..frigg.clone() };
        let now = server.clock.now();
        let applied = apply_revocations::apply(&server.context.db, now, || false).await.unwrap();
        assert_eq!((applied.rows, applied.closed), (COPIES + 3 - 200, 1), "{applied:?}");
        assert_eq!(server.count(live, &[frigg.id.as_str()]).await, 2);
        for good in [&present, &later, &sif] {
            server.get_as(good, "/api/auth/sessions").await.expect(200);
        }
        server.get_as(&oldest, "/api/auth/sessions").await.expect(401);
    }

    /// Issue 13, A-60: a sign-out also ends or rejects concurrent writes of an old session without an updated row,
    /// on two replicas.
    async fn writes_in_flight_do_not_survive_their_session(setup: Setup) {
        let (server, replica) = (setup.start().await, setup.start().await);
        block_the_job(&server).await;
        for round in 0..6 {
            let handle = format!("member-{round}");
            let frigg = server.member(&handle, &["USE_PERSONAL_ACCESS_KEYS"]).await;
            server.turn(Duration::minutes(1));
            copy_session(&server, &frigg).await;
            let create = (0..8).map(|at| {
                let on = [&server, &replica][at % 2];
                let request = on.request("POST", "/api/auth/access-keys").header("cookie", frigg.cookie());
                request.json(&json!({ "name": "key" }))
            });
            let end = server.request("DELETE", "/api/auth/sessions?end_access_keys=true");
            let end = end.header("cookie", frigg.cookie());
            let (answers, ended) = tokio::join!(send_concurrently(create.collect()), server.send(end));
            ended.expect(200);
            count(&answers, 200);
            let live = "SELECT COUNT(*) AS n FROM authentications WHERE service = 'access_key' \
                        AND NOT disabled AND account_authentication = $1";
            assert_eq!(server.count(live, &[frigg.id.as_str()]).await, 0);
        }
    }
}
