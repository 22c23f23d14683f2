//! The overview of administrators: counts of events, alerts, backlog and keys (issue 18).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use storyden_auth::jobs;
use storyden_auth::statistics::CLIENTS_MAX;
use time::Duration;

use crate::cleanup::wait_for_first_pass;
use crate::support::{Client, Member, PASSWORD, Server, both, free_port};

const PATH: &str = "/api/admin/oauth/overview";

/// Writes the counts in memory to the database.
async fn flush(server: &Server) {
    jobs::write_statistics(server.context.clone()).await;
}

/// Writes the counts, and reads the overview.
async fn overview(server: &Server, odin: &Member) -> Value {
    flush(server).await;
    server.get_as(odin, PATH).await.expect(200).json()
}

/// Sum of a series.
fn total(counts: &Value) -> i64 {
    let counts = counts.as_array().unwrap().iter();
    counts.map(|count| count.as_i64().unwrap()).sum()
}

/// Sums of every series of the last day, by name; of tokens by grant type.
fn totals(overview: &Value) -> Value {
    let day = &overview["statistics"]["last_day"];
    let tokens = day["tokens"].as_array().unwrap().iter();
    let tokens = tokens.map(|one| (one["grant_type"].as_str().unwrap(), total(&one["counts"])));
    json!({
        "sign_ins": total(&day["sign_ins"]),
        "approvals": total(&day["approvals"]),
        "repeated_approvals": total(&day["repeated_approvals"]),
        "tokens": tokens.collect::<BTreeMap<_, _>>(),
        "client_errors": total(&day["client_errors"]),
        "thefts": total(&day["thefts"]),
        "lockouts": total(&day["lockouts"]),
    })
}

/// Sends a refresh token that does not exist.
async fn fail(server: &Server, client_id: &str) {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", client_id),
        ("refresh_token", "x"),
    ];
    server.token(&form).await.expect(400);
}

/// A request at the token endpoint, as the application itself.
async fn client_credentials(server: &Server, service: &Client) {
    let mut form = service.credentials();
    form.push(("grant_type", "client_credentials"));
    server.token(&form).await.expect(200);
}

/// Number of rows of a kind in the table.
async fn rows(server: &Server, kind: &str) -> i64 {
    let sql = "SELECT COUNT(*) AS n FROM auth_statistics WHERE kind = $1";
    server.count(sql, &[kind]).await
}

both! {
    /// issue 18: sign-ins, approvals, tokens by grant, errors by client, thefts and lockouts are counted.
    async fn every_event_is_counted(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.public_client().await;
        let service = server.confidential_client(&odin.id).await;
        let before = totals(&overview(&server, &odin).await);
        assert_eq!(before, json!({
            "sign_ins": 2, "approvals": 0, "repeated_approvals": 0, "tokens": {}, "client_errors": 0, "thefts": 0, "lockouts": 0,
        }));
        server.sign_in_from("192.0.2.1", "frigg", PASSWORD).await.expect(200);
        let code = server.code(&frigg, &app, &[]).await;
        let first = server.exchange(&app, &code).await.expect(200).text("refresh_token");
        server.refresh(&app, &first).await.expect(200);
        server.refresh(&app, &first).await.expect(200); // repeated within the window
        let device = server.approved_device(&frigg, &app, "openid").await;
        server.poll(&app, &device).await.expect(200);
        client_credentials(&server, &service).await;
        let after = totals(&overview(&server, &odin).await);
        assert_eq!(after, json!({
            "sign_ins": 3, "approvals": 2, "repeated_approvals": 0, "client_errors": 0, "thefts": 0, "lockouts": 0,
            "tokens": { "authorization_code": 1, "client_credentials": 1, "device_code": 1, "refresh_token": 2 },
        }));
        server.turn(Duration::minutes(1));
        server.refresh(&app, &first).await.expect(400); // reused: theft, and an error of the client
        server.exchange(&app, &code).await.expect(400); // used, and the grant is revoked already
        for _ in 0..12 {
            server.sign_in_from("192.0.2.1", "frigg", "wrong password").await;
        }
        let after = totals(&overview(&server, &odin).await);
        assert_eq!(after["thefts"], 1);
        assert_eq!(after["client_errors"], 2);
        assert_eq!(after["lockouts"], 2);
        assert_eq!(after["sign_ins"], 3);
    }

    /// issue 18: a replayed code is a theft; an approval by a remembered consent has a count of its own.
    async fn replays_and_remembered_approvals_are_counted(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let service = server.confidential_client(&odin.id).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        server.exchange(&app, &code).await.expect(200);
        server.turn(Duration::minutes(1)); // later than a response that was lost
        server.exchange(&app, &code).await.expect(400);
        let found = totals(&overview(&server, &odin).await);
        assert_eq!((&found["thefts"], &found["approvals"]), (&json!(1), &json!(1)));
        server.tokens(&frigg, &service, &[]).await;
        server.authorize(Some(&frigg), &service, &[]).await.expect(302).code();
        let found = totals(&overview(&server, &odin).await);
        assert_eq!((&found["approvals"], &found["repeated_approvals"]), (&json!(2), &json!(1)));
    }

    /// issue 18: errors are counted by client, at the token endpoint and at the authorization endpoint. Answers of a
    /// working flow are no errors (RFC 8628 §3.5).
    async fn errors_are_counted_by_client(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.public_client().await;
        let service = server.confidential_client(&odin.id).await;
        let started = server.start_device(&app, "openid").await.expect(200);
        server.poll(&app, &started.text("device_code")).await.expect_error(400, "authorization_pending");
        let silent = server.authorize(None, &app, &[("prompt", "none")]).await;
        assert!(silent.header("location").contains("login_required"), "{}", silent.body);
        assert_eq!(totals(&overview(&server, &odin).await)["client_errors"], 0);
        for _ in 0..3 {
            fail(&server, "app").await;
        }
        let wrong = server.authorize(Some(&frigg), &app, &[("redirect_uri", "https://evil.example/cb")]).await;
        assert_eq!(wrong.status, 400);
        server.authorize(Some(&frigg), &app, &[("code_challenge_method", "plain")]).await;
        fail(&server, "nobody").await; // no such client
        let form = [("grant_type", "client_credentials")];
        let request = server.token_request(&form).basic_auth("service", Some("wrong"));
        server.send(request).await.expect(401);
        let found = overview(&server, &odin).await;
        for period in ["last_day", "last_month"] {
            let of_period = &found["statistics"][period];
            assert_eq!(total(&of_period["client_errors"]), 7, "{period}");
            let by_client = of_period["errors_by_client"].as_array().unwrap();
            assert_eq!(by_client.len(), 3, "{by_client:?}");
            assert_eq!((&by_client[0]["client_id"], &by_client[0]["errors"]), (&json!("app"), &json!(5)));
            assert_eq!(by_client[0]["id"], app.row_id.as_str());
            let unknown = by_client.iter().find(|one| one["kind"] == "unknown").unwrap();
            assert_eq!(*unknown, json!({ "kind": "unknown", "errors": 1 }));
            let of_service = by_client.iter().find(|one| one["client_id"] == "service").unwrap();
            assert_eq!((&of_service["errors"], &of_service["id"]), (&json!(1), &json!(service.row_id.as_str())));
        }
        // A deleted client has no name.
        server.delete_client(&app).await;
        let found = overview(&server, &odin).await;
        let first = &found["statistics"]["last_day"]["errors_by_client"][0];
        assert_eq!(*first, json!({ "kind": "client", "id": app.row_id.as_str(), "errors": 5 }));
    }

    /// issue 18: counts move from the last hour into the day and the month, and are sums of all replicas.
    async fn replicas_sum_and_time_passes(setup: Setup) {
        let (one, other) = (setup.start().await, setup.start().await);
        let odin = one.admin("odin").await;
        for server in [&one, &other, &other] {
            server.sign_in_from("192.0.2.1", "odin", PASSWORD).await.expect(200);
        }
        flush(&one).await;
        let figures = |overview: &Value, period: &str| overview["statistics"][period]["sign_ins"].as_array().unwrap().clone();
        let found = overview(&other, &odin).await;
        let (day, month) = (figures(&found, "last_day"), figures(&found, "last_month"));
        assert_eq!((day.len(), month.len()), (24, 30));
        assert_eq!((&day[23], &month[29]), (&json!(4), &json!(4)));
        assert_eq!(found["statistics"]["last_day"]["starts_at"], "2025-12-31T01:00:00Z");
        assert_eq!(found["statistics"]["last_month"]["starts_at"], "2025-12-03T00:00:00Z");
        one.turn(Duration::hours(1));
        other.sign_in_from("192.0.2.1", "odin", PASSWORD).await.expect(200);
        let found = overview(&other, &odin).await;
        let day = figures(&found, "last_day");
        assert_eq!((&day[22], &day[23]), (&json!(4), &json!(1)));
        one.turn(Duration::hours(23));
        let found = overview(&one, &odin).await;
        let (day, month) = (figures(&found, "last_day"), figures(&found, "last_month"));
        assert_eq!((&day[0], total(&json!(day))), (&json!(1), 1));
        assert_eq!((&month[28], &month[29]), (&json!(5), &json!(0)));
    }

    /// issue 18: the overview needs ADMINISTRATOR.
    async fn members_cannot_read_the_overview(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_SETTINGS"]).await;
        server.get_as(&frigg, PATH).await.expect(403);
        server.get(PATH).await.expect(401);
    }

    /// P7: a process has rows for the first 100 clients with errors in an hour; the rest share a row.
    async fn clients_beyond_the_bound_share_a_row(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        server.public_client().await;
        let more = i64::try_from(CLIENTS_MAX).unwrap() + 3;
        for number in 0..more {
            let name = format!("copy{number}");
            server.sql(
                "INSERT INTO oauth_clients (id, created_at, updated_at, client_id, name, redirect_uris, allowed_scopes, allowed_grants) \
                 SELECT $1, c.created_at, c.updated_at, $1, c.name, c.redirect_uris, c.allowed_scopes, c.allowed_grants \
                 FROM oauth_clients c WHERE c.client_id = 'app'",
                &[&name],
            )
            .await;
            fail(&server, &name).await;
        }
        fail(&server, "copy0").await;
        let found = overview(&server, &odin).await;
        let by_client = found["statistics"]["last_day"]["errors_by_client"].as_array().unwrap().clone();
        assert_eq!(by_client.len(), 10);
        assert_eq!(by_client[0], json!({ "kind": "other", "errors": 3 }));
        assert_eq!((&by_client[1]["client_id"], &by_client[1]["errors"]), (&json!("copy0"), &json!(2)));
        assert_eq!(total(&found["statistics"]["last_day"]["client_errors"]), more + 1);
        assert_eq!(rows(&server, "client_error").await, i64::try_from(CLIENTS_MAX).unwrap() + 1);
        // The next hour begins anew.
        server.turn(Duration::hours(1));
        fail(&server, "copy102").await;
        let found = overview(&server, &odin).await;
        let by_client = found["statistics"]["last_day"]["errors_by_client"].as_array().unwrap().clone();
        assert!(by_client.iter().any(|one| one["client_id"] == "copy102"), "{by_client:?}");
    }

    /// `STATISTICS_RETENTION`: the clean-up deletes older hours.
    async fn counts_are_deleted_after_the_retention(setup: Setup) {
        let server = setup.with("STATISTICS_RETENTION", "48h").start().await;
        let odin = server.admin("odin").await;
        server.public_client().await;
        for _ in 0..60 {
            server.sign_in_from("192.0.2.1", "odin", PASSWORD).await.expect(200);
            fail(&server, "app").await;
            flush(&server).await;
            server.turn(Duration::hours(1));
        }
        jobs::clean_up(server.context.clone()).await;
        assert_eq!((rows(&server, "sign_in").await, rows(&server, "client_error").await), (48, 48));
        let found = overview(&server, &odin).await;
        assert_eq!(found["statistics"]["retention_seconds"], 48 * 3_600);
    }

    /// `STATISTICS_RETENTION=0` counts nothing, and deletes what was counted before.
    async fn zero_retention_counts_nothing(setup: Setup) {
        let server = setup.start().await;
        server.admin("thor").await;
        flush(&server).await;
        assert_eq!(rows(&server, "sign_in").await, 1);
        server.turn(Duration::hours(1));
        let server = setup.with("STATISTICS_RETENTION", "0").start().await;
        let odin = server.admin("odin").await;
        server.public_client().await;
        fail(&server, "app").await;
        server.turn(Duration::hours(1));
        while rows(&server, "sign_in").await > 0 {
            jobs::clean_up(server.context.clone()).await; // again while the pass at start-up has the lease
        }
        let found = overview(&server, &odin).await;
        assert_eq!(found.get("statistics"), None);
        assert!(found["version"].is_string() && found["alerts"].is_array(), "{found}");
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM auth_statistics", &[]).await, 0);
    }

    /// Counts that cannot be written are kept for the next pass.
    async fn counts_survive_an_unwritable_table(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        server.sql("ALTER TABLE auth_statistics RENAME TO auth_statistics_away", &[]).await;
        flush(&server).await;
        server.sign_in_from("192.0.2.1", "odin", PASSWORD).await.expect(200);
        server.sql("ALTER TABLE auth_statistics_away RENAME TO auth_statistics", &[]).await;
        assert_eq!(totals(&overview(&server, &odin).await)["sign_ins"], 2);
    }

    /// The counts of the last requests are written at shutdown.
    async fn counts_are_written_at_shutdown(setup: Setup) {
        let mut server = setup.start().await;
        server.admin("odin").await;
        flush(&server).await;
        server.sql("DELETE FROM auth_statistics", &[]).await;
        let program = setup.spawn(free_port()).await;
        server.address = program.address.clone();
        for _ in 0..3 {
            server.sign_in_from("192.0.2.1", "odin", PASSWORD).await.expect(200);
        }
        program.terminate().await;
        program.wait().await;
        // The program uses the machine's clock, so the test's session has expired; hence SQL.
        let sum = "SELECT CAST(SUM(count) AS bigint) AS n FROM auth_statistics WHERE kind = $1";
        assert_eq!(server.count(sum, &["sign_in"]).await, 3);
    }

    /// issue 18: alerts of `doctor`, backlog of the jobs, keys and version.
    async fn the_state_of_the_server_is_shown(setup: Setup) {
        let server = setup.with("OAUTH_TOKEN_EXCHANGE", "true").start().await;
        wait_for_first_pass(&server).await;
        let odin = server.admin("odin").await;
        let found = overview(&server, &odin).await;
        assert_eq!(found["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(found["backlog"]["revocation_in_progress"], false);
        let [key] = found["signing_keys"].as_array().unwrap().as_slice() else { panic!("{found}") };
        assert_eq!(key["algorithm"], "RS256");
        assert_eq!((key.get("signs_from"), key.get("rotates_at")), (None, None), "a key of the settings");
        server.start_device(&server.public_client().await, "openid").await.expect(200);
        server.turn(Duration::hours(3));
        let found = overview(&server, &odin).await;
        let alert = found["alerts"].as_array().unwrap().iter().find(|alert| alert["check"] == "exchange").unwrap();
        assert_eq!(alert["status"], "warn");
        assert!(alert["advice"].as_str().unwrap().contains("resource set"), "{alert}");
        let steps = found["backlog"]["steps"].as_array().unwrap();
        let devices = steps.iter().find(|step| step["name"] == "device authorizations").unwrap();
        assert_eq!((&devices["due_rows"], &devices["more"]), (&json!(1), &json!(false)));
        assert!(found["backlog"]["due_rows"].as_i64().unwrap() >= 1);
    }

    /// The overview tells how long a generated key signs, and when the next one does.
    async fn generated_keys_have_ages(setup: Setup) {
        let server = crate::signing_keys::rotating(setup).start().await;
        let odin = server.admin("odin").await;
        let found = overview(&server, &odin).await;
        let key = &found["signing_keys"][0];
        assert!(key["signs_from"].as_str().unwrap().starts_with("2026-01-01T00:"), "{key}");
        assert!(key["rotates_at"].as_str().unwrap().starts_with("2026-0"), "{key}");
    }
}
