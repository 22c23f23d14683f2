//! Members in the administration API: search, details, suspension, sign-out and roles (issue 18).

use serde_json::{Value, json};

use crate::support::{Member, NewClient, Server, Setup, both};

const MEMBERS: &str = "/api/admin/oauth/members";

async fn list(server: &Server, odin: &Member, query: &[(&str, &str)]) -> Value {
    let request = server.request("GET", MEMBERS).query(query);
    let request = request.header("cookie", odin.cookie());
    server.send(request).await.expect(200).json()
}

/// The handles of a page, in order.
async fn handles(server: &Server, odin: &Member, query: &[(&str, &str)]) -> String {
    let found = list(server, odin, query).await;
    let rows = found["members"].as_array().unwrap().iter();
    let handles: Vec<_> = rows.map(|row| row["handle"].as_str().unwrap()).collect();
    handles.join(" ")
}

async fn rename(server: &Server, member: &Member, name: &str) {
    let sql = "UPDATE accounts SET name = $2 WHERE id = $1";
    assert_eq!(server.sql(sql, &[member.id.as_str(), name]).await, 1);
}

/// Events of the audit trail about a member with their actors, oldest first.
async fn events(server: &Server, odin: &Member, member: &Member) -> Vec<String> {
    let path = format!("/api/admin/audit?account_id=@{}", member.handle);
    let trail = server.get_as(odin, &path).await.expect(200).json();
    let entries = trail["entries"].as_array().unwrap().iter().rev();
    let by_odin = entries.filter(|entry| entry["actor_id"] == odin.id.as_str());
    by_odin
        .map(|entry| entry["event"].as_str().unwrap().to_owned())
        .collect()
}

/// A setup with a table that only Storyden creates.
async fn beside_storyden(setup: &Setup) -> Server {
    let _ = setup.add_storyden_tables().await;
    setup.start().await
}

both! {
    /// Members are found by the beginning of handle, name, last name and e-mail address, in any case, and by id;
    /// characters with a meaning in patterns match literally.
    async fn members_are_found_by_handle_name_and_address(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.plain_member("frigg").await;
        let loki = server.plain_member("loki").await;
        rename(&server, &frigg, "Allmother Fjorgynsdottir").await;
        rename(&server, &loki, "50%_Loptr").await;
        for (text, found) in [
            ("FRI", "frigg"),
            ("@frigg", "frigg"),
            ("allm", "frigg"),
            ("fjorg", "frigg"),
            ("Frigg@Example", "frigg"),
            ("50%", "loki"),
            ("%", ""),
            ("_", ""),
            ("' OR 1=1 --", ""),
            ("igg", ""),
            ("o", "odin"),
            (frigg.id.as_str(), "frigg"),
        ] {
            assert_eq!(handles(&server, &odin, &[("q", text)]).await, found, "{text}");
        }
        assert_eq!(handles(&server, &odin, &[("q", "  ")]).await, "frigg loki odin");
        server.get_as(&odin, &format!("{MEMBERS}?q=%00")).await.expect(400);
        let ids = format!("{},{},none", loki.id, frigg.id);
        assert_eq!(handles(&server, &odin, &[("ids", &ids)]).await, "frigg loki");
        let many = vec!["x"; 151].join(",");
        let answer = server.get_as(&odin, &format!("{MEMBERS}?ids={many}")).await.expect(400);
        assert!(answer.text("detail").contains("151"), "{}", answer.body);
    }

    /// Lists are filtered by role and state, sorted by each column in both directions, and paged.
    async fn members_are_filtered_sorted_and_paged(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        server.turn(time::Duration::seconds(1));
        let frigg = server.member("frigg", &["READ_PROFILE"]).await;
        server.turn(time::Duration::seconds(1));
        let loki = server.plain_member("loki").await;
        rename(&server, &frigg, "zorn").await;
        server.suspend(&loki).await;
        for (sort, order) in [
            ("handle", "frigg loki odin"),
            ("-handle", "odin loki frigg"),
            ("name", "loki odin frigg"),
            ("-name", "frigg odin loki"),
            ("joined", "odin frigg loki"),
            ("-joined", "loki frigg odin"),
        ] {
            assert_eq!(handles(&server, &odin, &[("sort", sort)]).await, order);
            // The candidates of a search have the same order: all have an address at example.com.
            let sql = "UPDATE emails SET email_address = 'x' || email_address WHERE email_address NOT LIKE 'x%'";
            server.sql(sql, &[]).await;
            assert_eq!(handles(&server, &odin, &[("sort", sort), ("q", "x")]).await, order);
        }
        for (query, found) in [
            (("state", "active"), "frigg odin"),
            (("state", "suspended"), "loki"),
            (("role", "role of frigg"), "frigg"),
            (("role", "admin"), "odin"),
        ] {
            assert_eq!(handles(&server, &odin, &[query]).await, found, "{query:?}");
        }
        assert_eq!(handles(&server, &odin, &[("role", "Admin"), ("state", "suspended")]).await, "");
        assert_eq!(handles(&server, &odin, &[("q", "x"), ("role", "Admin")]).await, "odin");
        let page = list(&server, &odin, &[("page", "2"), ("page_size", "2")]).await;
        assert_eq!(page["members"][0]["handle"], "odin");
        assert_eq!([&page["total_pages"], &page["results"]], [&json!(2), &json!(1)]);
        for (query, named) in [("role=nobles", "nobles"), ("state=gone", "suspended"), ("sort=age", "-joined")] {
            let answer = server.get_as(&odin, &format!("{MEMBERS}?{query}")).await.expect(400);
            assert!(answer.text("detail").contains(named), "{}", answer.body);
        }
    }

    /// The details name roles, addresses, permissions, sessions, applications and keys; the path takes an id or
    /// a handle.
    async fn details_show_what_a_member_holds(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &["USE_PERSONAL_ACCESS_KEYS"]).await;
        let app = server.public_client().await;
        server.tokens(&frigg, &app, &[]).await;
        server.access_key(&frigg, "sdpak").await;
        for name in ["frigg", "@Frigg", frigg.id.as_str()] {
            let found = server.get_as(&odin, &format!("{MEMBERS}/{name}")).await.expect(200).json();
            assert_eq!(found["member"]["id"], frigg.id.as_str());
            assert_eq!(found["member"]["roles"][0]["name"], "role of frigg");
            assert_eq!(found["member"]["email"], "frigg@example.com");
            assert_eq!(found["emails"], json!([{ "address": "frigg@example.com", "verified": true }]));
            assert_eq!(found["applications"][0]["client_id"], "app");
            assert_eq!(found["access_keys"][0]["name"], "key");
            assert_eq!(found["sessions"].as_array().unwrap().len(), 1);
            let counts = &found["counts"];
            assert_eq!([&counts["sessions"], &counts["grants"], &counts["access_keys"]], [1, 1, 1]);
            assert_eq!(found["kept_by_storyden"], false);
            let permissions = found["permissions"].as_array().unwrap();
            assert!(permissions.contains(&json!("USE_PERSONAL_ACCESS_KEYS")), "{permissions:?}");
            assert!(found["member"].get("suspended_at").is_none());
        }
        assert_eq!(server.get_as(&odin, &format!("{MEMBERS}/odin")).await.json()["member"]["administrator"], true);
        for unknown in ["sif", "%40sif", "%00", "%ff", "c0000000000000000000"] {
            server.get_as(&odin, &format!("{MEMBERS}/{unknown}")).await.expect(404);
        }
    }

    /// a suspension by an administrator ends sessions and tokens at once; the trail names actor and member.
    async fn suspended_member_is_signed_out_and_reinstated(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        let call = async |action: &str| {
            server.call_as(&odin, ("POST", &format!("{MEMBERS}/frigg/{action}")), None).await.expect(204);
        };
        call("suspend").await;
        call("suspend").await; // no second entry
        server.refresh(&app, &tokens.text("refresh_token")).await.expect_error(400, "invalid_grant");
        assert_eq!(server.get_as(&frigg, "/api/auth/sessions").await.status, 401);
        let found = server.get_as(&odin, &format!("{MEMBERS}/frigg")).await.json();
        assert_eq!(found["member"]["suspended_at"], "2026-01-01T00:00:00Z");
        call("reinstate").await;
        call("reinstate").await;
        server.sign_in_again(&frigg).await;
        assert_eq!(events(&server, &odin, &frigg).await, ["account_suspended", "account_reinstated"]);
    }

    /// A sign-out ends every session and pending request, and keeps approvals; a single session ends by id.
    async fn signed_out_member_keeps_approvals(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        let phone = server.sign_in_again(&frigg).await;
        let of_frigg = format!("{MEMBERS}/frigg");
        let found = server.get_as(&odin, &of_frigg).await.json();
        let newest = found["sessions"][0]["id"].as_str().unwrap().to_owned();
        let one = format!("{of_frigg}/sessions/{newest}");
        let of_odin = format!("{MEMBERS}/odin/sessions/{newest}");
        server.call_as(&odin, ("DELETE", &of_odin), None).await.expect(404);
        server.call_as(&odin, ("DELETE", &one), None).await.expect(204);
        server.call_as(&odin, ("DELETE", &one), None).await.expect(404);
        let left = [&frigg, &phone];
        let mut live = 0;
        for session in left {
            live += i32::from(server.get_as(session, "/api/auth/sessions").await.status == 200);
        }
        assert_eq!(live, 1);
        let request_id = if server.get_as(&frigg, "/api/auth/sessions").await.status == 200 {
            server.pending(&frigg, &app, &[]).await
        } else {
            server.pending(&phone, &app, &[]).await
        };
        let all = format!("{of_frigg}/sessions");
        let ended = server.call_as(&odin, ("DELETE", &all), None).await.expect(200).json();
        assert_eq!(ended["sessions"], 1);
        for session in left {
            assert_eq!(server.get_as(session, "/api/auth/sessions").await.status, 401);
        }
        let again = server.sign_in_again(&frigg).await;
        assert_ne!(server.decide(&again, &request_id, "approve").await.status, 200);
        server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
        assert_eq!(events(&server, &odin, &frigg).await, ["signed_out", "sessions_ended"]);
    }

    /// Roles are given and taken by name or id, take effect at the next request, and are in the trail.
    async fn roles_are_given_and_taken(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let loki = server.plain_member("loki").await;
        server.member("frigg", &[]).await; // has a role to give
        let roles = server.get_as(&odin, "/api/admin/oauth/roles").await.expect(200).json();
        let named = |name: &str| {
            let roles = roles["roles"].as_array().unwrap().iter();
            roles.clone().find(|role| role["name"] == name).unwrap().clone()
        };
        assert_eq!(named("Member")["assignable"], false);
        assert_eq!(named("Admin")["permissions"], json!(["ADMINISTRATOR"]));
        let id = named("role of frigg")["id"].as_str().unwrap().to_owned();
        let change = async |method: &str, role: &str| {
            server.call_as(&odin, (method, &format!("{MEMBERS}/@loki/roles/{role}")), None).await.status
        };
        assert_eq!(change("PUT", &id).await, 204);
        assert_eq!(change("PUT", "Role%20of%20Frigg").await, 204);
        assert_eq!(change("PUT", "admin").await, 204);
        server.get_as(&loki, MEMBERS).await.expect(200);
        assert_eq!(change("DELETE", "Admin").await, 204);
        server.get_as(&loki, MEMBERS).await.expect(403);
        assert_eq!(change("DELETE", &id).await, 204);
        assert_eq!(change("DELETE", &id).await, 404);
        assert_eq!(change("DELETE", "Admin").await, 404);
        for role in ["member", "guest", "none", "%00"] {
            assert_eq!(change("PUT", role).await, 400, "{role}");
        }
        let expected = ["role_given", "role_given", "role_taken", "role_taken"];
        assert_eq!(events(&server, &odin, &loki).await, expected);
    }

    /// No administrator suspends or demotes the own account, and the last account with ADMINISTRATOR keeps it:
    /// a role with the permission counts, a suspended account does not.
    async fn last_administrator_stays(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let refused = async |by: &str, call: (&str, &str), text: &str| {
            let request = server.request(call.0, &format!("{MEMBERS}/{}", call.1)).bearer_auth(by);
            let answer = server.send(request).await.expect(403);
            assert!(answer.text("detail").contains(text), "{}", answer.body);
        };
        let done = async |by: &str, call: (&str, &str)| {
            let request = server.request(call.0, &format!("{MEMBERS}/{}", call.1)).bearer_auth(by);
            server.send(request).await.expect(204);
        };
        let key = server.access_key(&odin, "sdbak").await;
        refused(&key, ("POST", "odin/suspend"), "your own account").await;
        refused(&key, ("DELETE", "odin/roles/admin"), "your own account").await;
        let frigg = server.member("frigg", &["ADMINISTRATOR"]).await;
        let friggs = server.access_key(&frigg, "sdbak").await;
        done(&friggs, ("DELETE", "odin/roles/admin")).await;
        done(&friggs, ("PUT", "odin/roles/admin")).await;
        refused(&friggs, ("DELETE", "frigg/roles/role%20of%20frigg"), "your own account").await;
        done(&key, ("POST", "frigg/suspend")).await;
        // Only odin is left, and acts through nobody else: a race of two administrators ends with one.
        done(&key, ("POST", "frigg/reinstate")).await;
        let keys = [(&key, "frigg/suspend"), (&friggs, "odin/suspend")];
        let race = keys.map(|(by, path)| {
            let request = server.request("POST", &format!("{MEMBERS}/{path}")).bearer_auth(by);
            server.send(request)
        });
        let [one, other] = race;
        let (one, other) = tokio::join!(one, other);
        let successes = [one.status, other.status].iter().filter(|status| **status == 204).count();
        assert_eq!(successes, 1, "{} {}", one.body, other.body);
        let active = "SELECT COUNT(*) AS n FROM accounts WHERE deleted_at IS NULL";
        assert_eq!(server.count(active, &[]).await, 1);
    }

    /// Beside a Storyden, and in the profile `storyden`, members are shown, and changes that a Storyden would not
    /// see are refused with the place to make them; approvals can be ended.
    async fn storyden_keeps_its_members(setup: Setup) {
        for server in [
            beside_storyden(&setup).await,
            setup.clone().with("OAUTH_PROFILE", "storyden").start().await,
        ] {
            let admin = server.admin(if server.context.config.policies.differences().is_empty() { "odin" } else { "thor" }).await;
            let name = format!("{}-friend", admin.handle);
            server.member(&name, &[]).await;
            let found = server.get_as(&admin, &format!("{MEMBERS}/{name}")).await.expect(200).json();
            assert_eq!(found["kept_by_storyden"], true);
            for (method, path) in [
                ("POST", format!("{name}/suspend")),
                ("POST", format!("{name}/reinstate")),
                ("DELETE", format!("{name}/sessions")),
                ("DELETE", format!("{name}/sessions/none")),
                ("PUT", format!("{name}/roles/Admin")),
                ("DELETE", format!("{name}/roles/Admin")),
            ] {
                let answer = server.call_as(&admin, (method, &format!("{MEMBERS}/{path}")), None).await.expect(403);
                assert!(answer.text("detail").contains("Storyden's administration"), "{}", answer.body);
            }
            let target = json!({ "account_id": name });
            server.post_as(&admin, "/api/admin/oauth/revoke", &target).await.expect(200);
        }
    }

    /// Handles are accepted wherever the API of administrators takes account ids.
    async fn handles_are_accepted_as_account_ids(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &["USE_PERSONAL_ACCESS_KEYS"]).await;
        let app = server.client(NewClient::default()).await;
        server.tokens(&frigg, &app, &[]).await;
        server.approved_device(&frigg, &app, "openid").await;
        server.access_key(&frigg, "sdpak").await;
        let new = json!({
            "name": "Hers", "type": "public", "client_id": "hers", "allowed_scopes": ["openid"],
            "allowed_grants": ["authorization_code"], "redirect_uris": ["https://her.example/cb"],
            "account_id": "@frigg",
        });
        let made = server.post_as(&odin, "/api/admin/oauth/clients", &new).await.expect(200).json();
        assert_eq!(made["account_id"], frigg.id.as_str());
        for (path, rows, name) in [
            ("/api/admin/oauth/clients", "clients", "account_id"),
            ("/api/admin/oauth/refresh-tokens", "tokens", "account_id"),
            ("/api/admin/oauth/device-authorizations", "device_authorisations", "account_id"),
            ("/api/admin/access-keys", "keys", "account_id"),
            ("/api/admin/audit", "entries", "account_id"),
            ("/api/admin/audit", "entries", "actor"),
        ] {
            let by_id = server.get_as(&odin, &format!("{path}?{name}={}", frigg.id)).await.expect(200).json();
            assert!(!by_id[rows].as_array().unwrap().is_empty(), "{path}");
            for handle in ["frigg", "@FRIGG"] {
                let by_handle = server.get_as(&odin, &format!("{path}?{name}={handle}")).await.expect(200).json();
                assert_eq!(by_handle, by_id, "{path} {handle}");
            }
        }
        let target = json!({ "account_id": "@frigg" });
        let ended = server.post_as(&odin, "/api/admin/oauth/revoke", &target).await.expect(200).json();
        assert_eq!(ended["grants"], 1);
    }

    /// The commands search, show and sign out accounts, by handle or id, and name people in the audit trail.
    async fn commands_name_people(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.admin("odin").await;
        let run = async |arguments: &[&str]| {
            let ended = setup.run(arguments, &[]).await;
            assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
            ended
        };
        let found = run(&["account", "list", "--search", "fri", "--json"]).await;
        let found: Value = serde_json::from_str(&found.stdout).unwrap();
        assert_eq!(found.as_array().unwrap().len(), 1);
        assert_eq!(found[0]["id"], frigg.id.as_str());
        let sorted = run(&["account", "list", "--sort", "-handle", "--role", "admin"]).await;
        assert!(sorted.stdout.contains("odin") && !sorted.stdout.contains("frigg"), "{}", sorted.stdout);
        let shown = run(&["account", "show", frigg.id.as_str()]).await.stdout;
        assert!(shown.contains("Frigg (@frigg)") && shown.contains("role of frigg"), "{shown}");
        let out = run(&["account", "sign-out", "@frigg", "--yes"]).await;
        assert!(out.stderr.contains("Frigg (@frigg) is signed out; ended: 1 sessions"), "{}", out.stderr);
        assert_eq!(server.get_as(&frigg, "/api/auth/sessions").await.status, 401);
        let trail = run(&["audit", "--account", "frigg", "--event", "sessions_ended"]).await.stdout;
        assert!(trail.contains(&format!("Frigg (@frigg) {}", frigg.id)), "{trail}");
        let unknown = setup.run(&["account", "show", "sif"], &[]).await;
        assert!(unknown.code == Some(1) && unknown.stderr.contains("account list"), "{unknown:?}");
    }
}
