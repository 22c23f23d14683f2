//! Revocation by account, by client, or by both: `POST /api/admin/oauth/revoke`, and `storyden-auth
//! grant revoke`.

use serde_json::{Value, json};

use crate::support::{NewClient, assert_live, assert_revoked, both};

const PATH: &str = "/api/admin/oauth/revoke";

fn counts(grants: u64, refresh_tokens: u64, codes: u64, devices: u64, dry_run: bool) -> Value {
    json!({ "codes": codes, "device_authorizations": devices, "dry_run": dry_run, "grants": grants, "refresh_tokens": refresh_tokens })
}

both! {
    /// P6: revocation by account ends everything that the account approved; a dry run returns the same
    /// counts.
    async fn revocation_by_account(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let (frigg, loki) = (server.member("frigg", &[]).await, server.member("loki", &[]).await);
        let app = server.public_client().await;
        let other = server.client(NewClient { client_id: "other", ..NewClient::default() }).await;
        let hers = [server.issue(&frigg, &app).await, server.issue(&frigg, &other).await];
        let his = server.issue(&loki, &app).await;
        let mut body = json!({ "account_id": frigg.id.as_str(), "dry_run": true });
        let counted = server.post_as(&odin, PATH, &body).await.expect(200).json();
        assert_eq!(counted, counts(2, 2, 2, 2, true));
        body["dry_run"] = json!(false);
        let ended = server.post_as(&odin, PATH, &body).await.expect(200).json();
        assert_eq!(ended, counts(2, 2, 2, 2, false));
        assert_revoked(&server, &app, &hers[0]).await;
        assert_revoked(&server, &other, &hers[1]).await;
        assert_live(&server, &app, &his).await;
        let again = server.post_as(&odin, PATH, &body).await.expect(200).json();
        assert_eq!(again, counts(0, 0, 0, 0, false));
        // A new approval works.
        assert_live(&server, &app, &server.issue(&frigg, &app).await).await;
    }

    /// P6: revocation by client ends everything issued to the client; with both filters, only the
    /// approvals of that account.
    async fn revocation_by_client(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let (frigg, loki) = (server.member("frigg", &[]).await, server.member("loki", &[]).await);
        let app = server.public_client().await;
        let other = server.client(NewClient { client_id: "other", ..NewClient::default() }).await;
        let (hers, his) = (server.issue(&frigg, &app).await, server.issue(&loki, &app).await);
        let elsewhere = server.issue(&frigg, &other).await;
        let both = json!({ "account_id": frigg.id.as_str(), "client_id": app.client_id });
        let ended = server.post_as(&odin, PATH, &both).await.expect(200).json();
        assert_eq!(ended, counts(1, 1, 1, 1, false));
        assert_revoked(&server, &app, &hers).await;
        let by_row = json!({ "client_id": app.row_id.as_str() });
        let ended = server.post_as(&odin, PATH, &by_row).await.expect(200).json();
        assert_eq!(ended, counts(1, 1, 1, 1, false));
        assert_revoked(&server, &app, &his).await;
        assert_live(&server, &other, &elsewhere).await;
    }

    /// A dry run revokes nothing.
    async fn dry_run_revokes_nothing(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.public_client().await;
        let given = server.issue(&frigg, &app).await;
        let body = json!({ "client_id": app.client_id, "dry_run": true });
        server.post_as(&odin, PATH, &body).await.expect(200);
        assert_live(&server, &app, &given).await;
        let audit = "SELECT COUNT(*) AS n FROM auth_audit WHERE event = 'grants_revoked'";
        assert_eq!(server.count(audit, &[]).await, 0);
    }

    /// Tokens issued by Storyden have no grant row and are revoked as well; expired items are not
    /// counted.
    async fn tokens_issued_by_storyden_are_revoked(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        for sql in ["DELETE FROM auth_refresh_tokens", "DELETE FROM auth_grants"] {
            assert_eq!(server.sql(sql, &[]).await, 1);
        }
        server.code(&frigg, &app, &[]).await;
        server.approved_device(&frigg, &app, "openid").await;
        server.turn(time::Duration::minutes(11)); // the code and the device are expired
        let body = json!({ "account_id": frigg.id.as_str() });
        let ended = server.post_as(&odin, PATH, &body).await.expect(200).json();
        assert_eq!(ended, counts(0, 1, 0, 0, false));
        server.refresh(&app, &tokens.text("refresh_token")).await.expect_error(400, "invalid_grant");
    }

    /// A request without a filter, with an unknown account or client, or with an unknown member revokes
    /// nothing and is an error.
    async fn missing_or_unknown_filter_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.public_client().await;
        let given = server.issue(&frigg, &app).await;
        for (body, status) in [
            (json!({}), 400),
            (json!({ "dry_run": true }), 400),
            (json!({ "account_id": null, "client_id": null }), 400),
            (json!({ "client_id": "app", "acount_id": odin.id.as_str() }), 400), // a misspelt filter would revoke too much
            (json!({ "client_id": 1 }), 400),
            (json!({ "client_id": "app", "dry_run": "yes" }), 400),
            (json!({ "client_id": "" }), 404),
            (json!({ "client_id": "nobody" }), 404),
            (json!({ "client_id": "a\u{0}" }), 404),
            (json!({ "client_id": "app", "account_id": "nobody" }), 404),
            (json!({ "client_id": "app", "account_id": "\u{0}" }), 404),
        ] {
            let answer = server.post_as(&odin, PATH, &body).await.expect(status);
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        assert_live(&server, &app, &given).await;
    }

    /// a rotation that races with the revocation of the grant leaves no live token.
    async fn concurrent_rotation_leaves_no_live_token(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.public_client().await;
        for round in 0..10 {
            let token = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
            if round % 2 == 0 {
                // like a token of Storyden: the grant row is created at the first use
                server.sql("DELETE FROM auth_refresh_tokens", &[]).await;
            }
            let body = json!({ "client_id": app.client_id });
            let (revoked, refreshed) = tokio::join!(server.post_as(&odin, PATH, &body), server.refresh(&app, &token));
            revoked.expect(200);
            let live = "SELECT COUNT(*) AS n FROM oauth_refresh_tokens WHERE revoked_at IS NULL";
            assert_eq!(server.count(live, &[]).await, 0);
            if refreshed.status == 200 {
                let next = refreshed.text("refresh_token");
                server.refresh(&app, &next).await.expect_error(400, "invalid_grant");
            }
        }
    }

    /// The command revokes like the API, asks for confirmation, and writes an audit event.
    async fn grant_revoke_command_revokes(setup: Setup) {
        let mut setup = setup;
        setup.use_machine_clock();
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let given = server.issue(&frigg, &app).await;
        let run = async |arguments: &[&str]| {
            let mut all = vec!["grant", "revoke"];
            all.extend(arguments);
            setup.run(&all, &[]).await
        };
        assert_eq!(run(&[]).await.code, Some(2), "whose grants?");
        let nobody = run(&["--account", "nobody", "--dry-run"]).await;
        assert!(nobody.code == Some(1) && nobody.stderr.contains("account list"), "{nobody:?}");
        let counted = run(&["--client", "app", "--dry-run"]).await;
        assert_eq!(counted.stdout, "would end: 1 grants, 1 refresh tokens, 1 codes, 1 approved devices\n");
        let asked = run(&["--client", "app"]).await;
        assert!(asked.code == Some(1) && asked.stderr.contains("--yes"), "{asked:?}");
        let ended = run(&["--account", "frigg", "--client", "app", "--yes", "--json"]).await;
        let ended: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(ended, counts(1, 1, 1, 1, false));
        assert_revoked(&server, &app, &given).await;
        let audit = setup.run(&["audit", "--event", "grants_revoked", "--account", "frigg", "--json"], &[]).await;
        let line: Value = serde_json::from_str(audit.stdout.trim()).unwrap();
        assert_eq!((&line["client_id"], line.get("actor_id")), (&json!("app"), None));
    }
}
