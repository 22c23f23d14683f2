//! Blocking of clients that are known by a URL, and revocation of several tokens and applications at once
//! (issue 18).

use serde_json::json;
use storyden_auth::ids::ClientRowId;

use crate::support::simulated_internet::{Host, SimulatedInternet};
use crate::support::{Client, NewClient, both};

const BLOCKED: &str = "/api/admin/oauth/blocked-clients";

fn client(host: &Host, id: &str) -> Client {
    Client {
        row_id: ClientRowId::new(""),
        client_id: id.to_owned(),
        secret: None,
        redirect_uri: host.url("/cb"),
    }
}

both! {
    /// A blocked client loses all access at once, its document is not fetched, and the end of the block lets members
    /// be asked again.
    async fn blocked_client_has_no_access_and_is_not_fetched(setup: Setup) {
        let outside = SimulatedInternet::new();
        let server = outside.around(setup).start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        let host = outside.host("app.example").await;
        let id = host.publish("/client.json", &json!({}));
        let app = client(&host, &id);
        let tokens = server.tokens(&frigg, &app, &[("scope", "openid offline_access")]).await;
        let block = json!({ "client_id": id });
        let made = server.post_as(&odin, BLOCKED, &block).await.expect(200);
        server.post_as(&odin, BLOCKED, &block).await.expect(409);
        server.refresh(&app, &tokens.text("refresh_token")).await.expect(400);
        server.get_with_bearer("/api/oauth/userinfo", &tokens.text("access_token")).await.expect(401);
        let asked = host.asked().len();
        let answer = server.authorize(Some(&frigg), &app, &[]).await.expect(400);
        assert!(answer.text("error_description").contains("blocked"), "{}", answer.body);
        assert_eq!(host.asked().len(), asked, "not fetched");
        let list = server.get_as(&odin, BLOCKED).await.expect(200).json();
        assert_eq!(list["blocked_clients"][0]["client_id"], id.as_str());
        assert_eq!(list["blocked_clients"][0]["blocked_by"], odin.id.as_str());
        let one = format!("{BLOCKED}/{}", made.text("id"));
        server.call_as(&odin, ("DELETE", &one), None).await.expect(204);
        server.call_as(&odin, ("DELETE", &one), None).await.expect(404);
        server.tokens(&frigg, &app, &[("scope", "openid offline_access")]).await;
        let trail = server.get_as(&odin, &format!("/api/admin/audit?actor=odin&client_id={id}")).await.expect(200).json();
        let entries = trail["entries"].as_array().unwrap().iter().rev();
        let events: Vec<_> = entries.map(|entry| entry["event"].as_str().unwrap()).collect();
        assert_eq!(events, ["client_deleted", "client_blocked", "client_unblocked"]);
    }

    /// Only a URL can be blocked: other clients are deleted.
    async fn other_ids_cannot_be_blocked(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        for id in ["app", "", "ftp://app.example"] {
            let answer = server.post_as(&odin, BLOCKED, &json!({ "client_id": id })).await.expect(400);
            assert!(answer.text("detail").contains("URL"), "{}", answer.body);
        }
        let run = async |arguments: &[&str]| setup.run(arguments, &[]).await;
        let url = "https://app.example/client.json";
        assert_eq!(run(&["client", "block", url, "--yes"]).await.code, Some(0));
        assert_eq!(run(&["client", "block", url, "--yes"]).await.code, Some(1));
        assert!(run(&["client", "blocked"]).await.stdout.contains(url));
        assert_eq!(run(&["client", "unblock", url]).await.code, Some(0));
        assert_eq!(run(&["client", "unblock", url]).await.code, Some(1));
        assert_eq!(run(&["client", "block", "app"]).await.code, Some(1));
    }

    /// Several tokens are revoked by one request, with an entry each; unknown ids do not count.
    async fn several_tokens_are_revoked_at_once(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let path = "/api/admin/oauth/refresh-tokens";
        let mut values = Vec::new();
        for _ in 0..3 {
            values.push(server.tokens(&frigg, &app, &[]).await.text("refresh_token"));
            server.turn(time::Duration::seconds(1));
        }
        let list = server.get_as(&odin, &format!("{path}?sort=created")).await.expect(200).json();
        let ids: Vec<&str> = list["tokens"].as_array().unwrap().iter().map(|token| token["id"].as_str().unwrap()).collect();
        let newest = server.get_as(&odin, path).await.expect(200).json();
        assert_eq!(newest["tokens"][0]["id"], ids[2]);
        let body = json!({ "ids": [ids[0], ids[1], "none"] });
        let revoked = server.post_as(&odin, &format!("{path}/revoke"), &body).await.expect(200);
        assert_eq!(revoked.json(), json!({ "revoked": 2 }));
        for value in &values[..2] {
            server.refresh(&app, value).await.expect_error(400, "invalid_grant");
        }
        server.refresh(&app, &values[2]).await.expect(200);
        let trail = server.get_as(&odin, "/api/admin/audit?event=refresh_token_revoked&account_id=frigg").await.expect(200).json();
        assert_eq!(trail["entries"].as_array().unwrap().len(), 2);
        for body in [json!({ "ids": [] }), json!({ "ids": vec!["x"; 201] })] {
            server.post_as(&odin, &format!("{path}/revoke"), &body).await.expect(400);
        }
    }

    /// A member revokes all applications by one request; sessions and own applications stay.
    async fn member_revokes_all_applications_at_once(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let other = server.client(NewClient { client_id: "other", ..NewClient::default() }).await;
        let service = server.confidential_client(&frigg.id).await;
        let mut values = Vec::new();
        for app in [&app, &other] {
            values.push(server.tokens(&frigg, app, &[]).await.text("refresh_token"));
        }
        let secret = service.secret.as_deref().unwrap();
        let authentication = [("client_id", "service"), ("client_secret", secret)];
        let form = [authentication.as_slice(), &[("grant_type", "client_credentials")]].concat();
        let own = server.token(&form).await.expect(200).text("access_token");
        let path = "/api/auth/oauth/applications";
        let ended = server.call_as(&frigg, ("DELETE", path), None).await.expect(200).json();
        assert_eq!((&ended["grants"], &ended["refresh_tokens"]), (&json!(2), &json!(2)));
        for (app, value) in [&app, &other].into_iter().zip(&values) {
            server.refresh(app, value).await.expect_error(400, "invalid_grant");
        }
        let list = server.get_as(&frigg, path).await.expect(200).json();
        assert_eq!(list["applications"], json!([]));
        let form = [authentication.as_slice(), &[("token", own.as_str())]].concat();
        let introspected = server.request("POST", "/api/oauth/introspect").form(&form);
        let introspected = server.send(introspected).await.expect(200).json();
        assert_eq!(introspected["active"], true);
    }

    /// Clients and device authorizations are sorted in both directions.
    async fn lists_are_sorted_in_both_directions(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        for client_id in ["one", "two"] {
            let app = server.client(NewClient { client_id, ..NewClient::default() }).await;
            server.start_device(&app, "openid").await.expect(200);
            server.turn(time::Duration::seconds(1));
        }
        for (path, rows) in [("/api/admin/oauth/clients", "clients"), ("/api/admin/oauth/device-authorizations", "device_authorisations")] {
            let times = async |sort: &str| {
                let list = server.get_as(&odin, &format!("{path}?sort={sort}")).await.expect(200).json();
                let rows = list[rows].as_array().unwrap().iter();
                rows.map(|row| row["createdAt"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            let oldest = times("created").await;
            let mut newest = times("-created").await;
            assert!(oldest[0] < oldest[1], "{path}");
            newest.reverse();
            assert_eq!(newest, oldest, "{path}");
            server.get_as(&odin, &format!("{path}?sort=name")).await.expect(400);
        }
    }
}
