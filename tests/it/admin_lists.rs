//! Lists of the administration API: filters and pages (storyden-contract.md#administration).

use serde_json::{Value, json};
use storyden_auth::store::Sql;

use crate::support::{Member, NewClient, Server, both};

const CLIENTS: &str = "/api/admin/oauth/clients";
const DEVICES: &str = "/api/admin/oauth/device-authorizations";
const TOKENS: &str = "/api/admin/oauth/refresh-tokens";

async fn get(server: &Server, odin: &Member, path: &str, query: &[(&str, &str)]) -> Value {
    let request = server
        .request("GET", path)
        .query(query)
        .header("cookie", odin.cookie());
    server.send(request).await.expect(200).json()
}

/// Returns the named member of every row of a list.
#[track_caller]
fn column<'a>(list: &'a Value, rows: &str, member: &str) -> Vec<&'a str> {
    let rows = list[rows].as_array().unwrap();
    rows.iter()
        .map(|row| row[member].as_str().unwrap())
        .collect()
}

/// Creates clients with these `client_id`s, a second apart.
async fn clients(server: &Server, ids: &[&'static str]) {
    for client_id in ids {
        server
            .client(NewClient {
                client_id,
                ..NewClient::default()
            })
            .await;
        server.turn(time::Duration::seconds(1));
    }
}

both! {
    /// Pages do not overlap, name the next page, and end.
    async fn list_is_paged(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        clients(&server, &["a", "b", "c", "d", "e"]).await;
        let first = get(&server, &odin, CLIENTS, &[("page_size", "2")]).await;
        assert_eq!(column(&first, "clients", "client_id"), ["a", "b"]);
        let told = |list: &Value| json!([list["current_page"], list["next_page"], list["page_size"], list["results"], list["total_pages"]]);
        assert_eq!(told(&first), json!([1, 2, 2, 2, 3]));
        let last = get(&server, &odin, CLIENTS, &[("page_size", "2"), ("page", "3")]).await;
        assert_eq!(column(&last, "clients", "client_id"), ["e"]);
        assert_eq!(told(&last), json!([3, null, 2, 1, 3]));
        let beyond = get(&server, &odin, CLIENTS, &[("page", "9223372036854775807"), ("page_size", "200")]).await;
        assert_eq!(told(&beyond), json!([9_223_372_036_854_775_807_i64, null, 200, 0, 1]));
        for odd in ["0", "-1", "abc", "99999999999999999999"] {
            let page = get(&server, &odin, CLIENTS, &[("page", odd)]).await;
            assert_eq!(told(&page), json!([1, null, 50, 5, 1]), "{odd}");
        }
    }

    /// The page size is limited, and a repeated parameter is rejected.
    async fn page_size_is_limited(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        for path in [CLIENTS, DEVICES, TOKENS, "/api/admin/audit"] {
            for query in ["page_size=0", "page_size=201", "page_size=-1", "page_size=all", "page=1&page=2", "page=%ff", "client_id=%00"] {
                let answer = server.get_as(&odin, &format!("{path}?{query}")).await.expect(400);
                assert_eq!(answer.header("content-type"), "application/problem+json");
            }
            server.get_as(&odin, &format!("{path}?page_size=200&unknown=1&unknown=2")).await.expect(200);
        }
    }

    /// Clients are found by owner, `client_id` and text; LIKE wildcards match literally.
    async fn clients_are_filtered(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        clients(&server, &["one", "two", "50%_off", "back\\slash"]).await;
        server.confidential_client(&odin.id).await;
        let found = async |query: &[(&str, &str)]| {
            let list = get(&server, &odin, CLIENTS, query).await;
            column(&list, "clients", "client_id").join(" ")
        };
        assert_eq!(found(&[("account_id", odin.id.as_str())]).await, "service");
        assert_eq!(found(&[("account_id", "nobody")]).await, "");
        assert_eq!(found(&[("client_id", "two")]).await, "two");
        assert_eq!(found(&[("client_id", "t%")]).await, "");
        assert_eq!(found(&[("q", "THE O")]).await, "one"); // the client name is "The one"
        assert_eq!(found(&[("q", "%")]).await, "50%_off");
        assert_eq!(found(&[("q", "_")]).await, "50%_off");
        assert_eq!(found(&[("q", "\\")]).await, "back\\slash");
        assert_eq!(found(&[("q", "' OR 1=1 --")]).await, "");
        assert_eq!(found(&[("q", "o"), ("client_id", "two")]).await, "two");
        assert_eq!(found(&[]).await, "one two 50%_off back\\slash service");
    }

    /// storyden-contract.md#administration: in the profile `storyden` lists are not paged unless the
    /// query has `page`.
    async fn storyden_lists_are_not_paged(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let odin = server.admin("odin").await;
        let app = server.public_client().await;
        for number in 0..51 {
            let sql = "INSERT INTO oauth_clients (id, updated_at, client_id, name, redirect_uris, allowed_scopes, \
                       allowed_grants) SELECT $1, updated_at, $1, name, redirect_uris, allowed_scopes, allowed_grants \
                       FROM oauth_clients WHERE client_id = 'app'";
            assert_eq!(server.sql(sql, &[&format!("another-{number}")]).await, 1);
        }
        server.start_device(&app, "openid").await.expect(200);
        let list = get(&server, &odin, CLIENTS, &[]).await;
        assert_eq!(list["clients"].as_array().unwrap().len(), 52);
        assert_eq!(list.as_object().unwrap().len(), 1, "nothing but the clients");
        let devices = get(&server, &odin, DEVICES, &[]).await;
        assert_eq!(devices.as_object().unwrap().len(), 1, "nothing but the devices");
        let page = get(&server, &odin, CLIENTS, &[("page", "2")]).await;
        assert_eq!((&page["results"], &page["total_pages"]), (&json!(2), &json!(2)));
    }

    /// Device authorizations are found by state, by client and by account.
    async fn device_authorizations_are_filtered(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.public_client().await;
        server.start_device(&app, "openid").await.expect(200);
        server.turn(time::Duration::minutes(11)); // the first code is expired
        let pending = server.start_device(&app, "openid").await.expect(200).text("user_code");
        server.turn(time::Duration::seconds(1));
        server.approved_device(&frigg, &app, "openid").await;
        let denied = server.start_device(&app, "openid").await.expect(200).text("user_code");
        server.open_device(&odin, &denied).await.expect(200);
        server.decide_device(&odin, &denied, "deny").await.expect(200);
        let device_code = server.approved_device(&frigg, &app, "openid").await;
        server.poll(&app, &device_code).await.expect(200);
        let found = async |query: &[(&str, &str)]| {
            let list = get(&server, &odin, DEVICES, query).await;
            list["device_authorisations"].as_array().unwrap().clone()
        };
        for (state, has, lacks) in [
            ("pending", "id", "approved_at"),
            ("approved", "approved_at", "consumed_at"),
            ("denied", "denied_at", "approved_at"),
            ("consumed", "consumed_at", "denied_at"),
            ("expired", "id", "approved_at"),
        ] {
            let rows = found(&[("state", state)]).await;
            assert_eq!(rows.len(), 1, "{state}");
            assert!(rows[0].get(has).is_some() && rows[0].get(lacks).is_none(), "{state}: {}", rows[0]);
        }
        assert_eq!(found(&[("state", "pending")]).await[0]["client_id"], app.row_id.as_str());
        assert_eq!(found(&[("account_id", frigg.id.as_str())]).await.len(), 2);
        assert_eq!(found(&[("account_id", odin.id.as_str())]).await.len(), 1, "who opened it");
        for client in [app.client_id.as_str(), app.row_id.as_str()] {
            assert_eq!(found(&[("client_id", client)]).await.len(), 5);
        }
        assert_eq!(found(&[("client_id", "another")]).await.len(), 0);
        let answer = server.get_as(&odin, &format!("{DEVICES}?state=done")).await.expect(400);
        assert!(answer.text("detail").contains("pending, approved, denied, consumed, expired"));
        // a listed code cannot be used for phishing, because pending user codes are hidden
        let listed = found(&[]).await;
        assert!(listed.iter().all(|row| row["user_code"] != json!(pending)));
        assert_eq!(listed.iter().filter(|row| row.get("user_code").is_none()).count(), 1, "the pending one's");
        let over = listed.iter().find(|row| row.get("denied_at").is_some()).unwrap();
        assert_eq!(over["user_code"], json!(denied));
    }

    /// storyden-contract.md#administration: the profile `storyden` lists every user code.
    async fn storyden_lists_user_codes(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let odin = server.admin("odin").await;
        let app = server.public_client().await;
        let code = server.start_device(&app, "openid").await.expect(200).text("user_code");
        let list = get(&server, &odin, DEVICES, &[]).await;
        assert_eq!(column(&list, "device_authorisations", "user_code"), [code]);
    }

    /// storyden-contract.md#administration: poll times are written to the rows before the list is read.
    async fn poll_times_are_written_before_the_list(setup: Setup) {
        for profile in ["standards", "storyden"] {
            let server = setup.clone().with("OAUTH_PROFILE", profile).start().await;
            let odin = server.admin(profile).await;
            let app = match profile {
                "standards" => server.public_client().await,
                _ => server.client(NewClient { client_id: "other", ..NewClient::default() }).await,
            };
            let device_code = server.start_device(&app, "openid").await.expect(200).text("device_code");
            server.turn(time::Duration::seconds(6));
            server.poll(&app, &device_code).await.expect_error(400, "authorization_pending");
            let list = get(&server, &odin, DEVICES, &[("client_id", &app.client_id)]).await;
            assert_eq!(column(&list, "device_authorisations", "last_polled_at").len(), 1);
            let sql = "SELECT COUNT(*) AS n FROM oauth_device_authorisations \
                       WHERE client_id = $1 AND last_polled_at IS NOT NULL";
            assert_eq!(server.count(sql, &[app.row_id.as_str()]).await, 1, "{profile}");
        }
    }

    /// storyden-contract.md#administration: an unpaged list is in the order of the table, like
    /// Storyden's query.
    async fn storyden_lists_are_in_table_order(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let odin = server.admin("odin").await;
        let app = server.public_client().await;
        for _ in 0..4 {
            server.start_device(&app, "openid").await.expect(200);
            server.turn(time::Duration::seconds(1));
        }
        // PostgreSQL moves an updated row.
        let update = "UPDATE oauth_device_authorisations SET poll_interval_seconds = 6 WHERE id = $1";
        let oldest = get(&server, &odin, DEVICES, &[("page", "1")]).await;
        for id in &column(&oldest, "device_authorisations", "id")[..2] {
            server.sql(update, &[id]).await;
        }
        let list = get(&server, &odin, DEVICES, &[]).await;
        let rows: Vec<String> =
            server.context.db.fetch_all("SELECT id FROM oauth_device_authorisations", &[]).await.unwrap();
        assert_eq!(column(&list, "device_authorisations", "id"), rows);
        assert_eq!(rows.len(), 4);
        let page = get(&server, &odin, DEVICES, &[("page", "1")]).await;
        let mut by_time = column(&page, "device_authorisations", "createdAt");
        assert!(by_time.is_sorted(), "{by_time:?}");
        by_time.dedup();
        assert_eq!(by_time.len(), 4);
    }

    /// pages are ordered by instant, although SQLite stores times as text with any offset that
    /// Storyden wrote.
    async fn pages_are_ordered_by_instant(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        clients(&server, &["later", "earlier"]).await;
        let set = "UPDATE oauth_clients SET created_at = $2 WHERE client_id = $1";
        let postgres = "UPDATE oauth_clients SET created_at = CAST($2 AS timestamptz) WHERE client_id = $1";
        let set = server.context.db.pick(Sql::new(set, postgres));
        server.sql(set, &["later", "2026-01-01 01:00:00-05:00"]).await; // 06:00 UTC
        server.sql(set, &["earlier", "2026-01-01 05:00:00+00:00"]).await;
        let list = get(&server, &odin, CLIENTS, &[]).await;
        assert_eq!(column(&list, "clients", "client_id"), ["earlier", "later"]);
    }

    /// storyden-contract.md#administration: refresh tokens of every account are found by account and
    /// client, and revoked by id.
    async fn refresh_tokens_are_filtered_and_revoked(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.public_client().await;
        let other = server.client(NewClient { client_id: "other", ..NewClient::default() }).await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        server.tokens(&frigg, &other, &[]).await;
        server.tokens(&odin, &app, &[]).await;
        let found = async |query: &[(&str, &str)]| {
            let list = get(&server, &odin, TOKENS, query).await;
            list["tokens"].as_array().unwrap().clone()
        };
        assert_eq!(found(&[]).await.len(), 3);
        assert_eq!(found(&[("account_id", frigg.id.as_str())]).await.len(), 2);
        for client in [app.client_id.as_str(), app.row_id.as_str()] {
            assert_eq!(found(&[("client_id", client)]).await.len(), 2);
        }
        let one = found(&[("client_id", "app"), ("account_id", frigg.id.as_str())]).await;
        assert_eq!((one.len(), &one[0]["client_name"]), (1, &json!("The app")));
        let path = format!("{TOKENS}/{}", one[0]["id"].as_str().unwrap());
        for _ in 0..2 {
            server.call_as(&odin, ("DELETE", &path), None).await.expect(204); // idempotent
        }
        server.refresh(&app, &tokens.text("refresh_token")).await.expect_error(400, "invalid_grant");
        let ended = found(&[("client_id", "app"), ("account_id", frigg.id.as_str())]).await;
        assert_eq!(ended[0]["revoked_at"], json!("2026-01-01T00:00:00Z"));
        for id in ["00000000000000000000", "x", "%00", "%ff"] {
            let path = format!("{TOKENS}/{id}");
            server.call_as(&odin, ("DELETE", &path), None).await.expect(404);
        }
    }

    /// storyden-contract.md#administration: the profile `storyden` answers 204 when an unknown refresh
    /// token is deleted.
    async fn storyden_deletes_unknown_refresh_tokens(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let odin = server.admin("odin").await;
        server.call_as(&odin, ("DELETE", &format!("{TOKENS}/x")), None).await.expect(204);
    }
}
