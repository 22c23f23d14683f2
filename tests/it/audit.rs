//! The audit trail: events, access, and retention.

use serde_json::{Value, json};
use storyden_auth::jobs;
use time::Duration;

use crate::support::{Client, Member, NewClient, PASSWORD, Server, both};

const PATH: &str = "/api/admin/audit";

/// Returns the newest audit entry of an event.
async fn newest(server: &Server, odin: &Member, event: &str) -> Value {
    let list = server
        .get_as(odin, &format!("{PATH}?event={event}"))
        .await
        .expect(200)
        .json();
    assert_ne!(list["results"], json!(0), "{event}");
    list["entries"][0].clone()
}

/// Counts the entries, without rejected attempts, which a job writes every minute.
async fn lines(server: &Server) -> i64 {
    let sql = "SELECT COUNT(*) AS n FROM auth_audit WHERE event NOT LIKE '%failed' \
               AND event NOT LIKE '%limited' AND event NOT LIKE '%refused'";
    server.count(sql, &[]).await
}

/// Asserts the actor, account and client of an entry, and the address.
#[track_caller]
fn assert_entry(
    line: &Value,
    actor: Option<&Member>,
    account: Option<&Member>,
    client: Option<&Client>,
) {
    let id =
        |member: Option<&Member>| member.map_or(Value::Null, |member| json!(member.id.as_str()));
    assert_eq!(line["actor_id"], id(actor), "{line}");
    assert_eq!(line["account_id"], id(account), "{line}");
    assert_eq!(
        line["client_id"],
        client.map_or(Value::Null, |client| json!(client.client_id)),
        "{line}"
    );
    assert_eq!(line["address"], json!("127.0.0.1"), "{line}");
    assert_eq!(line["trace_id"].as_str().unwrap().len(), 32, "{line}");
    assert_eq!(line["createdAt"], json!("2026-01-01T00:00:00Z"), "{line}");
}

both! {
    /// Decisions on codes and on devices are recorded.
    async fn decisions_are_recorded(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.public_client().await;
        server.code(&frigg, &app, &[]).await;
        assert_entry(&newest(&server, &odin, "grant_approved").await, Some(&frigg), Some(&frigg), Some(&app));
        let pending = server.pending(&frigg, &app, &[]).await;
        server.decide(&frigg, &pending, "deny").await.expect(200);
        assert_entry(&newest(&server, &odin, "grant_denied").await, Some(&frigg), Some(&frigg), Some(&app));
        server.approved_device(&odin, &app, "openid").await;
        assert_entry(&newest(&server, &odin, "grant_approved").await, Some(&odin), Some(&odin), Some(&app));
        let code = server.start_device(&app, "openid").await.text("user_code");
        server.open_device(&odin, &code).await.expect(200);
        server.decide_device(&odin, &code, "deny").await.expect(200);
        assert_entry(&newest(&server, &odin, "grant_denied").await, Some(&odin), Some(&odin), Some(&app));
        // Rejected requests are not recorded.
        let before = lines(&server).await;
        server.decide(&frigg, &pending, "approve").await.expect(400);
        server.decide_device(&odin, &code, "deny").await.expect(400);
        assert_eq!(lines(&server).await, before);
    }

    /// Sign-in and sign-out are recorded; a wrong password and a sign-out without a session are not.
    async fn sign_in_and_sign_out_are_recorded(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let before = lines(&server).await;
        let sign_in = async |password: &str| {
            let body = json!({ "identifier": "frigg", "token": password });
            server.send(server.request("POST", "/api/auth/password/signin").json(&body)).await
        };
        sign_in("wrong password").await.expect(401);
        server.send(server.request("POST", "/api/auth/logout")).await.expect(302);
        assert_eq!(lines(&server).await, before);
        let session = sign_in(PASSWORD).await.expect(200).cookie("storyden-session");
        let signed_in = newest(&server, &odin, "signed_in").await;
        assert_entry(&signed_in, Some(&frigg), Some(&frigg), None);
        let there = Member { session, ..frigg.clone() };
        for _ in 0..2 {
            let out = server.request("POST", "/api/auth/logout").header("cookie", there.cookie());
            server.send(out).await.expect(302);
        }
        let signed_out = newest(&server, &odin, "signed_out").await;
        assert_entry(&signed_out, Some(&frigg), Some(&frigg), None);
        assert_eq!(signed_out["subject_id"], signed_in["subject_id"], "the same session");
        assert_eq!(lines(&server).await, before + 2, "one of each");
    }

    /// req_023, req_123: token reuse and code replay are recorded once, as are repeats inside the
    /// repeat window.
    async fn token_reuse_and_repeats_are_recorded(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let first = server.exchange(&app, &code).await.expect(200).text("refresh_token");
        let before = lines(&server).await;
        server.refresh(&app, &first).await.expect(200);
        assert_eq!(lines(&server).await, before, "an ordinary refresh writes none");
        server.refresh(&app, &first).await.expect(200);
        assert_entry(&newest(&server, &odin, "refresh_repeated").await, None, Some(&frigg), Some(&app));
        server.turn(Duration::seconds(11));
        for _ in 0..2 {
            server.refresh(&app, &first).await.expect_error(400, "invalid_grant");
        }
        let reused = newest(&server, &odin, "refresh_token_reused").await;
        assert_eq!((&reused["account_id"], &reused["client_id"]), (&json!(frigg.id.as_str()), &json!("app")));
        assert_eq!(lines(&server).await, before + 2, "once, however often it is tried");

        let code = server.code(&frigg, &app, &[]).await;
        server.exchange(&app, &code).await.expect(200);
        let before = lines(&server).await;
        server.turn(Duration::seconds(11));
        for _ in 0..2 {
            server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        }
        let replayed = newest(&server, &odin, "code_replayed").await;
        assert_eq!((&replayed["account_id"], &replayed["client_id"]), (&json!(frigg.id.as_str()), &json!("app")));
        assert_eq!(lines(&server).await, before + 1);
    }

    /// Polls, exchanges, refreshes and reads are not recorded.
    async fn routine_requests_are_not_recorded(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let device = server.approved_device(&frigg, &app, "openid").await;
        let waiting = server.start_device(&app, "openid").await.text("device_code");
        let before = lines(&server).await;
        let tokens = server.exchange(&app, &code).await.expect(200);
        server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
        server.poll(&app, &device).await.expect(200);
        server.poll(&app, &waiting).await.expect_error(400, "authorization_pending");
        server.get_as(&odin, "/api/admin/oauth/clients").await.expect(200);
        server.get_as(&odin, PATH).await.expect(200);
        assert_eq!(lines(&server).await, before);
    }

    /// Administrators' actions are recorded with the owner of the client; rejected actions are not.
    async fn administrator_actions_are_recorded(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.confidential_client(&frigg.id).await;
        let path = format!("/api/admin/oauth/clients/{}", app.row_id);
        let hash = server.context.passwords.hash(&storyden_auth::secret::Secret::new("another")).await.unwrap();
        let change = json!({ "name": "Changed", "client_secret_hash": hash });
        server.call_as(&odin, ("PATCH", &path), Some(&change)).await.expect(200);
        for event in ["client_updated", "client_secret_rotated"] {
            let line = newest(&server, &odin, event).await;
            assert_entry(&line, Some(&odin), Some(&frigg), Some(&app));
            assert_eq!(line["subject_id"], json!(app.row_id.as_str()));
        }
        let body = json!({ "account_id": frigg.id.as_str(), "client_id": "made", "name": "Made", "type": "public",
            "redirect_uris": ["https://app.example/cb"], "allowed_scopes": [], "allowed_grants": ["authorization_code"] });
        server.post_as(&odin, "/api/admin/oauth/clients", &body).await.expect(200);
        assert_eq!(newest(&server, &odin, "client_created").await["client_id"], json!("made"));

        let public = server.public_client().await;
        server.tokens(&frigg, &public, &[]).await;
        let tokens = server.get_as(&odin, "/api/admin/oauth/refresh-tokens").await.json();
        let id = tokens["tokens"][0]["id"].as_str().unwrap();
        let token = format!("/api/admin/oauth/refresh-tokens/{id}");
        server.call_as(&odin, ("DELETE", &token), None).await.expect(204);
        let line = newest(&server, &odin, "refresh_token_revoked").await;
        assert_entry(&line, Some(&odin), Some(&frigg), Some(&public));
        assert_eq!(line["subject_id"], json!(id));
        let revoke = json!({ "client_id": "app" });
        server.post_as(&odin, "/api/admin/oauth/revoke", &revoke).await.expect(200);
        assert_entry(&newest(&server, &odin, "grants_revoked").await, Some(&odin), None, Some(&public));
        server.call_as(&odin, ("DELETE", &path), None).await.expect(204);
        assert_entry(&newest(&server, &odin, "client_deleted").await, Some(&odin), Some(&frigg), Some(&app));

        let before = lines(&server).await;
        server.call_as(&odin, ("DELETE", &path), None).await.expect(404);
        server.call_as(&odin, ("PATCH", &path), Some(&change)).await.expect(404);
        server.post_as(&odin, "/api/admin/oauth/clients", &body).await.expect(409);
        server.call_as(&odin, ("DELETE", "/api/admin/oauth/refresh-tokens/x"), None).await.expect(404);
        server.get_as(&frigg, PATH).await.expect(403);
        assert_eq!(lines(&server).await, before);
    }

    /// no code, token, password or hash is in the audit trail.
    async fn no_secret_is_recorded(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.client(NewClient { client_id: "service", secret: Some("a client's secret"), ..NewClient::default() }).await;
        let code = server.code(&frigg, &app, &[]).await;
        let tokens = server.exchange(&app, &code).await.expect(200);
        let refresh_token = tokens.text("refresh_token");
        for _ in 0..2 {
            server.refresh(&app, &refresh_token).await.expect(200);
        }
        server.turn(Duration::seconds(11));
        server.refresh(&app, &refresh_token).await.expect(400);
        server.exchange(&app, &code).await.expect(400);
        let body = json!({ "identifier": "frigg", "token": PASSWORD });
        let session = server.send(server.request("POST", "/api/auth/password/signin").json(&body)).await.cookie("storyden-session");
        let trail = server.get_as(&odin, &format!("{PATH}?page_size=200")).await.expect(200).body;
        assert!(trail.contains("refresh_token_reused"), "{trail}");
        for secret in [code, refresh_token, tokens.text("access_token"), session, PASSWORD.to_owned(), "a client's secret".to_owned()] {
            assert!(!trail.contains(&secret), "{trail}");
            let hash = storyden_auth::secret::Secret::new(secret).hash();
            assert!(!trail.contains(hash.as_str()), "{trail}");
        }
    }

    /// Entries are found by event, actor, account, client and time, newest first.
    async fn entries_are_filtered(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.confidential_client(&frigg.id).await;
        server.sql("DELETE FROM auth_audit", &[]).await;
        server.code(&frigg, &app, &[]).await; // at 00:00:00
        server.turn(Duration::milliseconds(1_500));
        server.code(&odin, &app, &[]).await; // at 00:00:01.5
        server.turn(Duration::milliseconds(500));
        let path = format!("/api/admin/oauth/clients/{}", app.row_id);
        server.call_as(&odin, ("PATCH", &path), Some(&json!({ "name": "New" }))).await.expect(200); // at 00:00:02
        let found = async |query: &[(&str, &str)]| {
            let request = server.request("GET", PATH).query(query).header("cookie", odin.cookie());
            let list = server.send(request).await.expect(200).json();
            let times = list["entries"].as_array().unwrap().iter().map(|line| line["createdAt"].as_str().unwrap()[17..].to_owned());
            times.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found(&[]).await, "02Z 01.5Z 00Z");
        assert_eq!(found(&[("event", "grant_approved")]).await, "01.5Z 00Z");
        assert_eq!(found(&[("actor", odin.id.as_str())]).await, "02Z 01.5Z");
        assert_eq!(found(&[("account_id", frigg.id.as_str())]).await, "02Z 00Z");
        for client in ["service", app.row_id.as_str()] {
            assert_eq!(found(&[("client_id", client)]).await, "02Z 01.5Z 00Z");
        }
        assert_eq!(found(&[("client_id", "other")]).await, "");
        assert_eq!(found(&[("since", "2026-01-01T00:00:01.5Z")]).await, "02Z 01.5Z");
        assert_eq!(found(&[("until", "2026-01-01T00:00:01.5Z")]).await, "00Z");
        assert_eq!(found(&[("since", "2026-01-01T01:00:01+01:00"), ("until", "2026-01-01T00:00:02Z")]).await, "01.5Z");
        assert_eq!(found(&[("page_size", "1"), ("page", "2")]).await, "01.5Z");
        for (query, words) in [("event=nothing", "signed_in, signed_out"), ("since=yesterday", "RFC 3339"), ("until=1", "RFC 3339")] {
            let answer = server.get_as(&odin, &format!("{PATH}?{query}")).await.expect(400);
            assert!(answer.text("detail").contains(words), "{}", answer.body);
        }
        // Events of a deleted client are still found.
        server.call_as(&odin, ("DELETE", &path), None).await.expect(204);
        assert_eq!(found(&[("client_id", "service")]).await, "02Z 02Z 01.5Z 00Z");
    }

    /// `AUDIT_RETENTION`: older events are deleted in batches; 0 keeps all.
    async fn entries_are_deleted_after_the_retention(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        server.sql("DELETE FROM auth_audit", &[]).await;
        let sql = "INSERT INTO auth_audit (id, created_at, event, trace_id) \
                   SELECT $1, created_at, 'signed_in', 'none' FROM accounts WHERE handle = 'frigg'";
        for number in 0..450 {
            server.sql(sql, &[&format!("line-{number}")]).await; // more than two batches
        }
        server.turn(Duration::days(90));
        jobs::clean_up(server.context.clone()).await;
        assert_eq!(lines(&server).await, 450, "to the day");
        server.turn(Duration::seconds(1));
        jobs::clean_up(server.context.clone()).await;
        assert_eq!(lines(&server).await, 0);
    }

    /// `AUDIT_RETENTION=0` keeps everything.
    async fn zero_retention_keeps_all_entries(setup: Setup) {
        let server = setup.with("AUDIT_RETENTION", "0").start().await;
        server.member("frigg", &[]).await;
        let before = lines(&server).await;
        server.turn(Duration::days(10_000));
        jobs::clean_up(server.context.clone()).await;
        assert_eq!((before, lines(&server).await), (1, 1));
    }

    /// Operators' actions are recorded without an actor; the command `audit` lists these.
    async fn operator_commands_are_recorded(setup: Setup) {
        let mut setup = setup;
        setup.use_machine_clock();
        let run = async |arguments: &[&str]| {
            let ended = setup.run(arguments, &[]).await;
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            ended.stdout
        };
        assert_eq!(run(&["audit", "--json"]).await, "");
        run(&["account", "create", "--handle", "odin", "--generate-password"]).await;
        run(&["account", "password", "odin", "--generate-password"]).await;
        run(&["account", "suspend", "odin"]).await;
        run(&["account", "reinstate", "odin"]).await;
        run(&["session", "create", "odin"]).await;
        let create = ["client", "create", "--name", "App", "--type", "confidential", "--client-id", "app", "--owner", "odin", "--redirect-uri", "https://app.example/cb"];
        run(&create).await;
        run(&["client", "rotate-secret", "app"]).await;
        run(&["client", "delete", "app", "--yes"]).await;
        let trail = run(&["audit", "--json", "--since", "1h"]).await;
        let mut lines: Vec<Value> = trail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.reverse();
        let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
        assert_eq!(events, ["account_created", "password_changed", "account_suspended", "account_reinstated", "signed_in", "client_created", "client_secret_rotated", "client_deleted"]);
        assert!(lines.iter().all(|line| line.get("actor_id").is_none() && line.get("address").is_none()));
        let table = run(&["audit", "--account", "odin", "--limit", "1"]).await;
        assert!(table.starts_with("TIME") && table.contains("client_created"), "{table}");
        assert_eq!(table.lines().count(), 2, "{table}");
        let unknown = setup.run(&["audit", "--event", "nothing"], &[]).await;
        assert!(unknown.code == Some(2) && unknown.stderr.contains("signed_in"), "{unknown:?}");
    }
}
