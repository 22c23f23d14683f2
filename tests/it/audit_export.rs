//! Export of the audit trail, and its filter by address (issue 18).

use serde_json::{Value, json};
use time::Duration;

use crate::support::{Member, Server, both};

const EXPORT: &str = "/api/admin/audit/export";

/// Inserts audit entries of an account with the same time.
async fn entries(server: &Server, of: &Member, count: u32) {
    let sql = "INSERT INTO auth_audit (id, created_at, event, account_id, address, trace_id) \
               WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < CAST($2 AS integer)) \
               SELECT 'line-' || (10000 + i), a.created_at, 'signed_in', a.id, '192.0.2.7', 'none' \
               FROM accounts a, n WHERE a.id = $1";
    let inserted = server.sql(sql, &[of.id.as_str(), &count.to_string()]).await;
    assert_eq!(inserted, u64::from(count));
}

async fn export(server: &Server, odin: &Member, query: &str) -> (String, String) {
    let answer = server
        .get_as(odin, &format!("{EXPORT}?{query}"))
        .await
        .expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let kind = answer.header("content-type").to_owned();
    (kind, answer.body)
}

both! {
    /// An export has every entry of the filter exactly once, newest first, beyond the batch that the server reads,
    /// also of entries with the same time; people have names.
    async fn export_has_every_entry_once(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        server.sql("DELETE FROM auth_audit", &[]).await;
        entries(&server, &frigg, 2_001).await;
        let (kind, body) = export(&server, &odin, "account_id=@frigg").await;
        assert_eq!(kind, "application/x-ndjson");
        let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ids: Vec<&str> = lines.iter().map(|line| line["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 2_001);
        assert!(ids.is_sorted_by(|one, next| one > next), "newest first, each once");
        assert_eq!(lines[0]["account"], "Frigg (@frigg)");
        assert_eq!(lines[0]["event"], "signed_in");
        let (_, nothing) = export(&server, &odin, "event=code_replayed").await;
        assert_eq!(nothing, "");
    }

    /// CSV (RFC 4180): a header, and no cell that a spreadsheet runs as a formula.
    async fn csv_is_quoted(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        let sql = "UPDATE accounts SET name = $2 WHERE id = $1";
        server.sql(sql, &[frigg.id.as_str(), "=cmd(\"x\"), y"]).await;
        server.sql("DELETE FROM auth_audit", &[]).await;
        entries(&server, &frigg, 1).await;
        let (kind, body) = export(&server, &odin, "format=csv").await;
        assert_eq!(kind, "text/csv; charset=utf-8; header=present");
        let lines: Vec<&str> = body.split("\r\n").collect();
        assert_eq!(lines.len(), 3, "{body}");
        assert!(lines[0].starts_with("createdAt,event,count,actor_id,actor,account_id,account,"));
        let row = format!("2026-01-01T00:00:00Z,signed_in,1,,,{},\"'=cmd(\"\"x\"\"), y (@frigg)\",,,192.0.2.7,none,line-10001", frigg.id);
        assert_eq!(lines[1], row);
        let (_, nothing) = export(&server, &odin, "format=csv&event=code_replayed").await;
        assert_eq!(nothing.lines().count(), 1, "only the header");
        let answer = server.get_as(&odin, &format!("{EXPORT}?format=xml")).await.expect(400);
        assert!(answer.text("detail").contains("jsonl, csv"));
    }

    /// The trail is filtered by address, alone and with other filters, and sorted in both directions.
    async fn trail_is_filtered_by_address(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        server.sql("DELETE FROM auth_audit", &[]).await;
        entries(&server, &frigg, 2).await;
        server.turn(Duration::seconds(1));
        server.call_as(&odin, ("POST", "/api/admin/oauth/members/frigg/suspend"), None).await.expect(204);
        let found = async |query: &str| {
            let list = server.get_as(&odin, &format!("/api/admin/audit?{query}")).await.expect(200).json();
            let rows = list["entries"].as_array().unwrap().clone();
            rows.iter().map(|row| row["event"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found("address=192.0.2.7").await, "signed_in signed_in");
        assert_eq!(found("address=192.0.2.7&event=signed_in&account_id=frigg").await, "signed_in signed_in");
        assert_eq!(found("address=192.0.2.7&event=account_suspended").await, "");
        assert_eq!(found("address=127.0.0.1").await, "account_suspended");
        assert_eq!(found("address=%25").await, "");
        assert_eq!(found("sort=created").await, "signed_in signed_in account_suspended");
        assert_eq!(found("sort=-created").await, "account_suspended signed_in signed_in");
        server.get_as(&odin, "/api/admin/audit?sort=event").await.expect(400);
    }

    /// `audit --export` prints every matching entry.
    async fn command_exports(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        entries(&server, &frigg, 60).await;
        let run = async |arguments: &[&str]| {
            let ended = setup.run(arguments, &[]).await;
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            ended.stdout
        };
        let lines = run(&["audit", "--export", "jsonl", "--address", "192.0.2.7"]).await;
        assert_eq!(lines.lines().count(), 60);
        let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        assert_eq!(first["account"], json!("Frigg (@frigg)"));
        let table = run(&["audit", "--export", "csv", "--address", "192.0.2.7"]).await;
        assert_eq!(table.lines().count(), 61);
    }
}
