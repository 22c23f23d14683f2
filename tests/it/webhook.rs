//! The webhook: signed reports of thefts, lockouts, revoked keys and suspensions (issue 18).

use serde_json::Value;
use storyden_auth::jobs;
use storyden_auth::secret::Secret;
use storyden_auth::webhook;
use time::Duration;

use crate::support::simulated_internet::{Host, Reply, SimulatedInternet};
use crate::support::{Member, Server, Setup, both};

const SECRET: &str = "a secret of the receiver, 32 bytes";

/// A server with a webhook, an administrator, and the receiver.
async fn start(setup: &Setup) -> (Server, Member, Host) {
    let outside = SimulatedInternet::new();
    let setup = outside
        .around(setup.clone())
        .with("WEBHOOK_URL", "https://ops.example/hook")
        .with("WEBHOOK_SECRET", SECRET);
    let host = outside.host("ops.example").await;
    let server = setup.start().await;
    let odin = server.admin("odin").await;
    (server, odin, host)
}

async fn suspend(server: &Server, odin: &Member, handle: &str) {
    server.member(handle, &[]).await;
    let path = format!("/api/admin/oauth/members/{handle}/suspend");
    server
        .call_as(odin, ("POST", &path), None)
        .await
        .expect(204);
}

async fn pass(server: &Server) {
    jobs::send_webhooks(server.context.clone()).await;
}

/// A header of a received request.
fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let mut lines = request.lines();
    let found = lines.find_map(|line| line.strip_prefix(&format!("{name}: ")));
    found.unwrap_or_else(|| panic!("no {name}: {request}"))
}

fn body(request: &str) -> &str {
    request.split("\r\n\r\n").nth(1).unwrap()
}

both! {
    /// A report is sent once, with the signature of Standard Webhooks, and other events are not sent.
    async fn report_is_signed_and_sent_once(setup: Setup) {
        let (server, odin, host) = start(&setup).await;
        host.reply("/hook", Reply::body("204 No Content", "", ""));
        suspend(&server, &odin, "loki").await;
        pass(&server).await;
        pass(&server).await;
        let asked = host.asked_at("/hook");
        assert_eq!(asked.len(), 1, "a sign-in and a session are not reported");
        let report: Value = serde_json::from_str(body(&asked[0])).unwrap();
        assert_eq!(report["type"], "account_suspended");
        assert_eq!(report["timestamp"], "2026-01-01T00:00:00Z");
        assert_eq!(report["data"]["account"], "Loki (@loki)");
        assert_eq!(report["data"]["actor"], "Odin (@odin)");
        let (id, at) = (header(&asked[0], "webhook-id"), header(&asked[0], "webhook-timestamp"));
        assert_eq!(report["data"]["id"], id);
        let expected = webhook::sign(&Secret::new(SECRET), id, at, body(&asked[0]));
        assert_eq!(header(&asked[0], "webhook-signature"), expected);
        assert!(!asked[0].contains(SECRET));
    }

    /// A refused report is sent again with growing delays, and later reports wait; after a day it is dropped.
    async fn refused_report_is_sent_again(setup: Setup) {
        let (server, odin, host) = start(&setup).await;
        host.reply("/hook", Reply::body("500 Internal Server Error", "", ""));
        suspend(&server, &odin, "loki").await;
        let asked = || host.asked_at("/hook").len();
        pass(&server).await;
        pass(&server).await;
        assert_eq!(asked(), 1, "not before the delay");
        server.turn(Duration::seconds(30));
        pass(&server).await;
        assert_eq!(asked(), 2);
        server.turn(Duration::seconds(30));
        pass(&server).await;
        assert_eq!(asked(), 2, "the delay doubles");
        server.turn(Duration::seconds(30));
        host.reply("/hook", Reply::body("200 OK", "", ""));
        pass(&server).await;
        pass(&server).await;
        assert_eq!(asked(), 3);
        host.reply("/hook", Reply::body("302 Found", "Location: https://ops.example/other\r\n", ""));
        suspend(&server, &odin, "hela").await;
        pass(&server).await;
        assert_eq!((asked(), host.asked_at("/other").len()), (4, 0), "no redirect");
        server.turn(Duration::hours(25));
        pass(&server).await;
        assert_eq!(asked(), 4);
        server.turn(Duration::hours(48));
        jobs::clean_up(server.context.clone()).await;
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM auth_webhook_deliveries", &[]).await, 0);
    }

    /// Thefts are reported: a replayed code.
    async fn replayed_code_is_reported(setup: Setup) {
        let (server, _, host) = start(&setup).await;
        host.reply("/hook", Reply::body("200 OK", "", ""));
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        server.exchange(&app, &code).await.expect(200);
        server.turn(Duration::seconds(11)); // sooner, the client may have lost the response
        server.exchange(&app, &code).await.expect(400);
        pass(&server).await;
        let asked = host.asked_at("/hook");
        let report: Value = serde_json::from_str(body(&asked[0])).unwrap();
        assert_eq!(report["type"], "code_replayed");
        assert_eq!(report["data"]["client_id"], "app");
        assert!(!asked[0].contains(&code));
    }

    /// A private address is not dialled (SSRF), and two replicas send a report once.
    async fn webhook_passes_the_guard(setup: Setup) {
        let outside = SimulatedInternet::new();
        let setup = outside
            .around(setup)
            .with("WEBHOOK_URL", "https://ops.example/hook")
            .with("WEBHOOK_SECRET", SECRET);
        outside.name("ops.example", &[&["10.0.0.7"]]);
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        suspend(&server, &odin, "loki").await;
        pass(&server).await;
        assert!(outside.dialled().is_empty());
        let host = outside.host("ops.example").await;
        host.reply("/hook", Reply::body("200 OK", "", ""));
        server.turn(Duration::minutes(1));
        let replica = setup.start().await;
        tokio::join!(pass(&server), pass(&replica));
        assert_eq!(host.asked_at("/hook").len(), 1);
    }
}

/// The settings need https, a secret, and a long secret.
#[test]
fn settings_are_checked() {
    use storyden_auth::config::Config;
    let faults = |url: &str, secret: &str| {
        let get = |name: &str| match name {
            "WEBHOOK_URL" => Some(url.to_owned()),
            "WEBHOOK_SECRET" => Some(secret.to_owned()),
            _ => None,
        };
        match Config::from_lookup(&get) {
            Ok(_) => String::new(),
            Err(faults) => faults
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; "),
        }
    };
    assert_eq!(faults("https://ops.example/hook", SECRET), "");
    assert!(faults("https://ops.example/hook", "").contains("together with WEBHOOK_URL"));
    assert!(faults("https://ops.example/hook", "short").contains("at least 24"));
    assert!(faults("http://ops.example/hook", SECRET).contains("https://"));
}
