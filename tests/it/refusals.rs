//! Refused attempts in the audit trail, the log and the metrics.

use serde_json::{Value, json};
use storyden_auth::jobs;
use time::Duration;

use crate::support::{Answer, Member, NewClient, Server, Setup, both, free_port};

const WRONG: &str = "wrong password";

/// Advances the clock by a minute, and writes the minute's refusals to the audit trail.
async fn next_minute(server: &Server) {
    server.turn(Duration::minutes(1));
    jobs::write_refusals(server.context.clone()).await;
}

/// The audit entries of an event, newest first.
async fn lines(server: &Server, odin: &Member, event: &str) -> Vec<Value> {
    let path = format!("/api/admin/audit?page_size=200&event={event}");
    let list = server.get_as(odin, &path).await.expect(200).json();
    list["entries"].as_array().unwrap().clone()
}

/// A server with registration and sign-up enabled.
async fn open(setup: Setup) -> Server {
    let setup = setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true");
    setup.with("SIGNUP_ENABLED", "true").start().await
}

/// Tries to use an access key.
async fn use_key(server: &Server, key: &str) -> Answer {
    let request = server.request("GET", "/api/auth/access-keys");
    server.send(request.bearer_auth(key)).await
}

both! {
    /// failed sign-ins of an account are aggregated to an entry per minute and network, with a
    /// count.
    async fn failed_sign_ins_are_aggregated_per_minute(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        for address in ["203.0.113.1", "203.0.113.2", "203.0.113.1", "2001:db8::1", "2001:db8::1"] {
            server.sign_in_from(address, "frigg", WRONG).await.expect(401);
        }
        server.sign_in_from("203.0.113.1", "a secret typed in the wrong field", WRONG).await.expect(401);
        jobs::write_refusals(server.context.clone()).await;
        assert!(lines(&server, &odin, "sign_in_failed").await.is_empty(), "the minute is not over");
        next_minute(&server).await;
        let mut found = lines(&server, &odin, "sign_in_failed").await;
        found.sort_by_key(|line| line["count"].as_i64());
        let told: Vec<_> = found.iter().map(|line| json!([line["account_id"], line["address"], line["count"]])).collect();
        assert_eq!(told, [
            json!([null, "203.0.113.1", null]),
            json!([frigg.id.as_str(), "2001:db8::1", 2]),
            json!([frigg.id.as_str(), "203.0.113.0/24", 3]),
        ]);
        for line in &found {
            assert_eq!(line["createdAt"], "2026-01-01T00:00:00Z");
            assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);
            assert_eq!(line.get("actor_id"), None);
            assert!(!line.to_string().contains("wrong field"), "{line}");
        }
        // Another minute starts a new entry; a success adds no entry.
        server.sign_in_from("203.0.113.1", "frigg", WRONG).await.expect(401);
        server.sign_in_from("203.0.113.1", "frigg", crate::support::PASSWORD).await.expect(200);
        next_minute(&server).await;
        assert_eq!(lines(&server, &odin, "sign_in_failed").await.len(), 4);
    }

    /// Every kind of failed attempt has an event.
    async fn every_failed_attempt_has_its_event(setup: Setup) {
        let server = open(setup).await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &["USE_PERSONAL_ACCESS_KEYS"]).await);
        server.client(NewClient { client_id: "service", secret: Some("right"), ..NewClient::default() }).await;
        let form = [("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", "wrong")];
        server.token(&form).await.expect(400);
        let made = server.post_as(&frigg, "/api/auth/access-keys", &json!({ "name": "key" })).await.expect(200);
        let key = made.text("secret");
        let wrong = format!("{}{}", &key[..key.len() - 32], "x".repeat(32));
        use_key(&server, &wrong).await.expect(401);
        use_key(&server, &format!("sdpak_{}", "x".repeat(44))).await.expect(401);
        let change = json!({ "current": WRONG, "new": "another password" });
        server.post_as(&frigg, "/api/auth/password", &change).await.expect(403);
        server.get_as(&frigg, "/api/oauth/device/consent?user_code=BCDF-GHJK").await.expect(400);
        let document = json!({ "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none" });
        let register = |document: &Value| server.send(server.request("POST", "/api/oauth/register").json(document));
        let client = register(&document).await.expect(201).text("client_id");
        register(&json!({ "redirect_uris": ["not a URI"] })).await.expect(400);
        let registration = server.request("GET", &format!("/api/oauth/register/{client}"));
        server.send(registration.bearer_auth("wrong")).await.expect(401);
        let taken = json!({ "identifier": "frigg", "token": "some password" });
        server.send(server.request("POST", "/api/auth/password/signup").json(&taken)).await.expect(409);
        server.post_form("/api/oauth/device_authorization", &[("client_id", "nobody")]).await.expect(400);
        next_minute(&server).await;
        for (event, account, client) in [
            ("client_authentication_failed", None, Some("service")),
            ("access_key_failed", Some(&frigg), None),
            ("access_key_failed", None, None),
            ("password_change_failed", Some(&frigg), None),
            ("user_code_failed", Some(&frigg), None),
            ("registration_refused", None, None),
            ("registration_token_failed", None, Some(client.as_str())),
            ("sign_up_refused", None, None),
            ("device_start_refused", None, None),
        ] {
            let found = lines(&server, &odin, event).await;
            let account = account.map_or(Value::Null, |member: &Member| json!(member.id.as_str()));
            let fits = |line: &&Value| line["account_id"] == account && line["client_id"] == json!(client);
            let line = found.iter().find(fits);
            let line = line.unwrap_or_else(|| panic!("{event}: {found:?}"));
            assert_eq!(line["address"], "127.0.0.1", "{line}");
            assert_eq!(line.get("count"), None, "{line}");
        }
        let subject = lines(&server, &odin, "access_key_failed").await;
        let key_id = made.json()["id"].clone();
        assert!(subject.iter().any(|line| line["subject_id"] == key_id), "{subject:?}");
    }

    /// Every limit on attempts has an event.
    async fn every_limit_has_its_event(setup: Setup) {
        let server = open(setup.with("RATE_LIMIT", "1000")).await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &["USE_PERSONAL_ACCESS_KEYS"]).await);
        server.client(NewClient { client_id: "service", secret: Some("right"), ..NewClient::default() }).await;
        let made = server.post_as(&frigg, "/api/auth/access-keys", &json!({ "name": "key" })).await.expect(200);
        let key = made.text("secret");
        let wrong = format!("{}{}", &key[..key.len() - 32], "x".repeat(32));
        let secret = [("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", "wrong")];
        let change = json!({ "current": WRONG, "new": "another password" });
        for _ in 0..3 {
            server.sign_in_from("192.0.2.1", "frigg", WRONG).await;
            server.post_as(&odin, "/api/auth/password", &change).await;
            server.get_as(&frigg, "/api/oauth/device/consent?user_code=BCDF-GHJK").await;
            let up = json!({ "identifier": "frigg", "token": "some password" });
            server.send(server.request("POST", "/api/auth/password/signup").json(&up)).await;
        }
        for _ in 0..7 {
            server.token(&secret).await;
            use_key(&server, &wrong).await;
        }
        next_minute(&server).await;
        for (event, account) in [
            ("sign_in_limited", Some(&frigg)),
            ("password_change_limited", Some(&odin)),
            ("user_code_limited", Some(&frigg)),
            ("sign_up_limited", None),
            ("client_authentication_limited", None),
            ("access_key_limited", Some(&frigg)),
        ] {
            let found = lines(&server, &odin, event).await;
            assert_eq!(found.len(), 1, "{event}: {found:?}");
            let account = account.map_or(Value::Null, |member: &Member| json!(member.id.as_str()));
            assert_eq!(found[0]["account_id"], account, "{event}");
        }
    }

    /// Limits on stored rows and on requests have events.
    async fn limits_on_rows_have_their_events(setup: Setup) {
        let server = open(setup.with("RATE_LIMIT", "50")).await;
        let odin = server.admin("odin").await;
        server.public_client().await;
        let document = json!({ "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none" });
        for _ in 0..2 {
            server.send(server.request("POST", "/api/oauth/register").json(&document)).await;
        }
        for _ in 0..4 {
            server.get("/api/oauth/authorize?client_id=app").await;
        }
        for _ in 0..40 {
            let form = [("client_id", "app"), ("scope", "openid")];
            let request = server.request("POST", "/api/oauth/device_authorization").form(&form);
            server.send(request.header("x-forwarded-for", "192.0.2.1")).await;
        }
        while server.post_form("/api/oauth/token", &[("grant_type", "x")]).await.status != 429 {}
        next_minute(&server).await;
        let read = server.request("GET", "/api/admin/audit?page_size=200");
        let read = read.header("cookie", odin.cookie()).header("x-forwarded-for", "198.51.100.1");
        let trail = server.send(read).await.expect(200).body;
        for event in ["registration_limited", "authorization_request_limited", "device_start_limited", "request_limited"] {
            assert!(trail.contains(event), "{event}: {trail}");
        }
    }

    /// P7: an attacker with many networks fills neither the trail nor the memory: beyond a hundred
    /// entries per minute, the rest is a single entry with a count.
    async fn audit_entries_per_minute_are_bounded(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        for network in 0..130 {
            let address = format!("203.{network}.113.1");
            server.sign_in_from(&address, &format!("n{network}"), WRONG).await.expect(401);
        }
        next_minute(&server).await;
        let found = lines(&server, &odin, "sign_in_failed").await;
        assert_eq!(found.len(), 101);
        let rest: Vec<_> = found.iter().filter(|line| line.get("address").is_none()).collect();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0]["count"], 30);
    }

    /// Refusals that cannot be written are kept for the next minute.
    async fn refusals_survive_an_unwritable_trail(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        server.sign_in_from("192.0.2.1", "odin", WRONG).await.expect(401);
        server.sql("ALTER TABLE auth_audit RENAME TO auth_audit_away", &[]).await;
        next_minute(&server).await;
        server.sign_in_from("192.0.2.1", "odin", WRONG).await.expect(401);
        server.sql("ALTER TABLE auth_audit_away RENAME TO auth_audit", &[]).await;
        next_minute(&server).await;
        let found = lines(&server, &odin, "sign_in_failed").await;
        let count: i64 = found.iter().map(|line| line["count"].as_i64().unwrap_or(1)).sum();
        assert_eq!(count, 2, "{found:?}");
    }

    /// Refused attempts are logged, counted in documented metrics, and written to the audit trail at
    /// shutdown.
    async fn the_program_logs_and_counts_refusals(setup: Setup) {
        let mut server = setup.start().await;
        server.admin("odin").await;
        let metrics = format!("127.0.0.1:{}", free_port());
        let settings = [("METRICS_ADDR", metrics.as_str()), ("LOG_FORMAT", "json")];
        let mut program = setup.spawn_with(free_port(), &settings).await;
        program.says("serving metrics").await;
        server.address = program.address.clone();
        for _ in 0..11 {
            server.sign_in_from("192.0.2.1", "odin", WRONG).await;
        }
        program.says("sign_in_failed").await;
        program.says("sign_in_limited").await;
        let shown = server.http.get(format!("http://{metrics}/metrics")).send().await.unwrap().text().await.unwrap();
        for line in [
            "# HELP storyden_auth_refusals_total ",
            "# HELP storyden_auth_limited_total ",
            "storyden_auth_refusals_total{event=\"sign_in_failed\"} 10",
            "storyden_auth_refusals_total{event=\"sign_in_limited\"} 1",
            "storyden_auth_limited_total{limit=\"sign-in-pair\"} 1",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
        program.terminate().await;
        program.wait().await;
        // The program uses the machine's clock, so the test's session has expired; hence SQL.
        let count = "SELECT CAST(SUM(occurrences) AS bigint) AS n FROM auth_audit WHERE event = $1";
        assert_eq!(server.count(count, &["sign_in_failed"]).await, 10);
        assert_eq!(server.count(count, &["sign_in_limited"]).await, 1);
    }
}
