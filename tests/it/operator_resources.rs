//! Resources of the operator: their scopes, the roles that give the scopes, and the metadata document
//! for their servers (RFC 8707, RFC 9728).

use serde_json::{Value, json};
use storyden_auth::ids::RoleId;
use storyden_auth::oauth::grant_type::GrantType;
use storyden_auth::oauth::permission::PermissionSet;
use storyden_auth::store::accounts::{GUEST_ROLE, MEMBER_ROLE};
use storyden_auth::store::roles::{self, Role};

use crate::support::race::with;
use crate::support::{Answer, Client, Member, NewClient, Server, both, told};

pub(crate) const PATH: &str = "/api/admin/oauth/resources";
pub(crate) const TOOLS: &str = "https://tools.example/mcp";
pub(crate) const READ: &str = "tools:read";

/// Adds a resource with the scopes `tools:read` for every member and `tools:write` for a role.
pub(crate) async fn add_tools(server: &Server, odin: &Member, role: &str) -> Answer {
    let body = json!({
        "url": TOOLS, "name": "Tools",
        "scopes": [
            { "name": READ, "description": "Read your tools" },
            { "name": "tools:write", "description": "Change your tools", "role_ids": [role] },
        ],
    });
    server.post_as(odin, PATH, &body).await
}

/// The id of the role that [`Server::member`] makes for a member.
pub(crate) async fn role_of(server: &Server, member: &Member) -> String {
    let sql = "SELECT id FROM roles WHERE name = $1";
    let name = format!("role of {}", member.handle);
    server
        .context
        .db
        .fetch_one(sql, &[name.into()])
        .await
        .unwrap()
}

/// Saves a role that permits the use of clients, and assigns the role to a member.
pub(crate) async fn save_role(server: &Server, id: &RoleId, name: &str, member: Option<&Member>) {
    let role = Role {
        id: id.clone(),
        name: name.to_owned(),
        permissions: PermissionSet::from_names(["USE_OAUTH_CLIENTS"]),
    };
    let input = (
        role,
        member.map(|member| member.id.clone()),
        server.clock.now(),
    );
    let saved = server.context.db.write(input, |tx, (role, account, now)| {
        Box::pin(async move {
            roles::save(tx, role, *now).await?;
            if let Some(account) = account {
                roles::assign(tx, account, &role.id, *now).await?;
            }
            Ok(())
        })
    });
    saved.await.unwrap();
}

/// A client that may request the scopes of the resource.
pub(crate) async fn client(server: &Server) -> Client {
    let scope = "openid profile email offline_access READ_PROFILE tools:read tools:write";
    server
        .client(NewClient {
            scope,
            ..NewClient::default()
        })
        .await
}

/// The parameters of a request for the resource.
pub(crate) fn asking(scope: &str) -> [(&str, &str); 2] {
    [("scope", scope), ("resource", TOOLS)]
}

fn sorted(list: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect();
    names.sort_unstable();
    names
}

both! {
    /// req_144, req_115, req_124: a token has the scopes of its resource that were requested, approved,
    /// and given by a role, through every refresh.
    async fn a_token_has_the_scopes_of_its_resource(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        let loki = server.member("loki", &[]).await;
        add_tools(&server, &odin, &role_of(&server, &frigg).await).await.expect(200);
        let app = client(&server).await;
        let scope = "openid offline_access tools:read tools:write tools:unknown";
        for (member, granted) in [
            (&frigg, vec!["offline_access", "openid", "tools:read", "tools:write"]),
            (&loki, vec!["offline_access", "openid", "tools:read"]),
        ] {
            let request_id = server.pending(member, &app, &asking(scope)).await;
            let page = server.consent(member, &request_id).await.expect(200).json();
            assert_eq!(sorted(&page["granted_scopes"]), granted);
            // Unknown names are passed over (OpenID Connect Core §3.1.2.1).
            assert_eq!(sorted(&page["requested_scopes"]), ["offline_access", "openid", "tools:read", "tools:write"]);
            let shown = &page["resources"][0];
            assert_eq!((&shown["url"], &shown["name"]), (&json!(TOOLS), &json!("Tools")));
            assert_eq!(shown["scopes"][0], json!({ "name": READ, "description": "Read your tools" }));
            assert_eq!(shown["scopes"].as_array().unwrap().len(), granted.len() - 2);
            let approved = server.decide(member, &request_id, "approve").await.expect(200);
            let mut tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
            for _ in 0..2 {
                assert_eq!(tokens.scope(), granted);
                let claims = tokens.claims("access_token");
                assert_eq!(claims["aud"], TOOLS);
                assert_eq!(claims["scope"], tokens.text("scope"));
                tokens = server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
            }
            // The token is for that resource alone.
            server.get_with_bearer("/api/oauth/userinfo", &tokens.text("access_token")).await.expect(401);
        }
    }

    /// req_115: without `resource`, or for another resource, no token has the scopes.
    async fn a_scope_needs_its_resource(setup: Setup) {
        let server = setup.with("OAUTH_RESOURCES", "https://files.example").start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        add_tools(&server, &odin, MEMBER_ROLE).await.expect(200);
        let app = client(&server).await;
        for resource in ["", "https://files.example", "https://auth.example/mcp"] {
            let asked = [("scope", "openid tools:read READ_PROFILE"), ("resource", resource)];
            let tokens = server.tokens(&frigg, &app, &asked).await;
            assert_eq!(tokens.scope(), ["READ_PROFILE", "openid"]);
        }
        // A token request that narrows the resources narrows the scopes.
        let two = format!("https://auth.example/api {TOOLS}");
        let asked = [("scope", "openid offline_access tools:read"), ("resource", two.as_str())];
        let tokens = server.tokens(&frigg, &app, &asked).await;
        assert_eq!(tokens.scope(), ["offline_access", "openid", READ]);
        let token = tokens.text("refresh_token");
        let mut form = app.refresh_form(&token);
        form.push(("resource", "https://auth.example/api"));
        let own = server.token(&form).await.expect(200);
        assert_eq!(own.scope(), ["offline_access", "openid"]);
        let token = own.text("refresh_token");
        let tools = server.refresh(&app, &token).await.expect(200);
        assert_eq!(tools.scope(), ["offline_access", "openid", READ]);
        // RFC 6749 §6: a refresh never adds a scope.
        let token = tools.text("refresh_token");
        let form = with(&app.refresh_form(&token), "scope", "openid tools:write");
        server.token(&form).await.expect_error(400, "invalid_scope");
        let form = with(&app.refresh_form(&token), "scope", "openid tools:unknown");
        assert_eq!(server.token(&form).await.expect(200).scope(), ["openid"]);
    }

    /// req_020: a client gets the scopes that its registration lists. A client that registered itself may
    /// request every scope of a resource.
    async fn a_client_gets_listed_scopes(setup: Setup) {
        let server = setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true").start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        add_tools(&server, &odin, MEMBER_ROLE).await.expect(200);
        for (client_id, scope, granted) in [
            ("none", "openid READ_PROFILE", vec!["openid"]),
            ("all", "openid ADMINISTRATOR", vec!["openid"]),
            ("one", "openid tools:read", vec!["openid", READ]),
        ] {
            let app = server.client(NewClient { client_id, scope, ..NewClient::default() }).await;
            let tokens = server.tokens(&frigg, &app, &asking("openid tools:read tools:write")).await;
            assert_eq!(tokens.scope(), granted, "{client_id}");
        }
        let inherits = server.client(NewClient { client_id: "inherits", inherit: true, ..NewClient::default() }).await;
        let tokens = server.tokens(&frigg, &inherits, &asking("openid tools:read")).await;
        assert!(!tokens.scope().contains(&READ.to_owned()));
        let body = json!({ "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none" });
        let registered = server.send(server.request("POST", "/api/oauth/register").json(&body)).await.expect(201);
        let client_id = registered.text("client_id");
        let app = Client { client_id, secret: None, ..client(&server).await };
        let tokens = server.tokens(&frigg, &app, &asking("openid tools:read tools:write")).await;
        assert_eq!(tokens.scope(), ["openid", READ, "tools:write"]);
    }

    /// a scope that a role no longer gives is in no further token, on every replica.
    async fn a_lost_scope_is_not_granted_again(setup: Setup) {
        let server = setup.clone().start().await;
        let replica = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        let role = role_of(&server, &frigg).await;
        let id = add_tools(&server, &odin, &role).await.expect(200).text("id");
        let app = client(&server).await;
        let scope = "openid offline_access tools:read tools:write";
        let code = server.code(&frigg, &app, &asking(scope)).await;
        let first = server.tokens(&frigg, &app, &asking(scope)).await;
        assert!(first.scope().contains(&"tools:write".to_owned()));
        server.demote(&frigg).await;
        let another = RoleId::generate(server.clock.now());
        save_role(&server, &another, "another", Some(&frigg)).await;
        let second = replica.refresh(&app, &first.text("refresh_token")).await.expect(200);
        assert_eq!(second.scope(), ["offline_access", "openid", READ]);
        let exchanged = replica.exchange(&app, &code).await.expect(200);
        assert_eq!(exchanged.scope(), ["offline_access", "openid", READ]);
        // The consent included the scope, which is back with the role.
        server.sql("UPDATE account_roles SET role_id = $1", &[&role]).await;
        let third = replica.refresh(&app, &second.text("refresh_token")).await.expect(200);
        assert_eq!(third.scope(), ["offline_access", "openid", READ, "tools:write"]);
        // A resource without the scope
        let body = json!({ "scopes": [{ "name": READ }] });
        server.call_as(&odin, ("PUT", &format!("{PATH}/{id}")), Some(&body)).await.expect(200);
        let fourth = replica.refresh(&app, &third.text("refresh_token")).await.expect(200);
        assert_eq!(fourth.scope(), ["offline_access", "openid", READ]);
    }

    /// A removed resource is in no further token, also if a resource with the same scope is added later.
    async fn a_removed_resource_gets_no_tokens(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        let id = add_tools(&server, &odin, MEMBER_ROLE).await.expect(200).text("id");
        let app = client(&server).await;
        let first = server.tokens(&frigg, &app, &asking("openid offline_access tools:read")).await;
        let both = format!("https://auth.example/api {TOOLS}");
        let asked = [("scope", "openid offline_access tools:read"), ("resource", both.as_str())];
        let second = server.tokens(&frigg, &app, &asked).await;
        server.call_as(&odin, ("DELETE", &format!("{PATH}/{id}")), None).await.expect(204);
        server.call_as(&odin, ("DELETE", &format!("{PATH}/{id}")), None).await.expect(404);
        let gone = server.refresh(&app, &first.text("refresh_token")).await;
        gone.expect_error(400, "invalid_target");
        told(server.authorize(Some(&frigg), &app, &asking("openid")).await, "invalid_target");
        let other = json!({ "url": "https://other.example", "scopes": [{ "name": READ }] });
        server.post_as(&odin, PATH, &other).await.expect(200);
        let left = server.refresh(&app, &second.text("refresh_token")).await.expect(200);
        assert_eq!(left.scope(), ["offline_access", "openid"]);
        let audience = &left.claims("access_token")["aud"];
        assert_eq!(audience, &json!(["https://auth.example/api", "storyden"]));
    }

    /// RFC 6749 §4.4: a client acts at a resource within its list and its owner's roles.
    async fn a_client_for_itself_gets_scopes_of_a_resource(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        add_tools(&server, &odin, "00000000000000000a00").await.expect(200);
        for (owner, granted) in [(&frigg, "tools:read"), (&odin, "tools:read tools:write")] {
            let client_id = if owner.id == odin.id { "odins" } else { "friggs" };
            let service = server.client(NewClient {
                client_id,
                secret: Some("s3cret"),
                scope: "openid tools:read tools:write",
                grants: &[GrantType::ClientCredentials],
                owner: Some(owner.id.clone()),
                ..NewClient::default()
            }).await;
            let mut form = vec![("grant_type", "client_credentials"), ("scope", "tools:read tools:write"), ("resource", TOOLS)];
            form.extend(service.credentials());
            assert_eq!(server.token(&form).await.expect(200).text("scope"), granted);
            form.remove(1);
            let all = server.token(&form).await.expect(200);
            assert_eq!(all.text("scope"), granted);
            assert_eq!(all.claims("access_token")["aud"], TOOLS);
            form.remove(1);
            assert_eq!(server.token(&form).await.expect(200).text("scope"), "");
        }
    }

    /// In e-mail mode, an account without a verified address has the scopes of guests alone.
    async fn an_unverified_account_holds_no_scopes_of_members(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        add_tools(&server, &odin, GUEST_ROLE).await.expect(200);
        let app = client(&server).await;
        let tokens = server.tokens(&frigg, &app, &asking("openid offline_access tools:read tools:write")).await;
        assert_eq!(tokens.scope(), ["offline_access", "openid", READ]);
        let mode = "INSERT INTO settings (id, value, updated_at) VALUES ('storyden_system', $1, '2026-01-01T00:00:00Z')";
        server.sql(mode, &["{\"AuthenticationMode\":\"email\"}"]).await;
        server.sql("UPDATE emails SET verified = false", &[]).await;
        save_role(&server, &RoleId::new(GUEST_ROLE), "Guest", None).await;
        let left = server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
        assert_eq!(left.scope(), ["offline_access", "openid"]);
        let tokens = server.tokens(&frigg, &app, &asking("openid tools:read tools:write")).await;
        assert_eq!(tokens.scope(), ["openid", "tools:write"]);
    }

    /// The administrators' API: values that are not accepted, and conflicts.
    async fn a_resource_is_checked(setup: Setup) {
        let server = setup.with("OAUTH_RESOURCES", "https://files.example/v1 https://both.example").start().await;
        let odin = server.admin("odin").await;
        let tools = add_tools(&server, &odin, MEMBER_ROLE).await.expect(200);
        let scope = |name: &str| json!({ "name": name });
        for (status, url, scopes) in [
            (400, "/mcp", json!([])),
            (400, "https://a.example#x", json!([])),
            (400, "https://u:p@a.example", json!([])),
            (400, "https://a.example/a b", json!([])),
            (400, "https://a.example", json!([scope("read")])),
            (400, "https://a.example", json!([scope("READ_PROFILE")])),
            (400, "https://a.example", json!([scope("a:\"")])),
            (400, "https://a.example", json!([scope(&format!("a:{}", "x".repeat(63)))])),
            (400, "https://a.example", json!([scope("a:b"), scope("a:b")])),
            (400, "https://a.example", json!([{ "name": "a:b", "description": "x".repeat(201) }])),
            (400, "https://a.example", json!([{ "name": "a:b", "description": "line\nbreak" }])),
            (400, "https://a.example", json!([{ "name": "a:b", "role_ids": ["c0000000000000000000"] }])),
            (400, "https://a.example", json!((0..33).map(|n| scope(&format!("a:{n}"))).collect::<Vec<_>>())),
            (409, TOOLS, json!([])),
            (409, "https://tools.example/mcp/", json!([])),
            (409, "https://TOOLS.example:443/mcp", json!([])),
            (409, "https://files.example/v1/", json!([])),
            (409, "https://auth.example", json!([])),
            (409, "https://auth.example/mcp/", json!([])),
            (409, "https://a.example", json!([scope(READ)])),
        ] {
            let body = json!({ "url": url, "scopes": scopes });
            let refused = server.post_as(&odin, PATH, &body).await;
            assert_eq!(refused.status, status, "{url} {scopes} {}", refused.body);
        }
        let other = json!({ "url": "https://both.example", "name": " Both ", "scopes": [scope("files:read")] });
        let other = server.post_as(&odin, PATH, &other).await.expect(200);
        assert_eq!(other.text("name"), "Both");
        let path = format!("{PATH}/{}", other.text("id"));
        let taken = json!({ "scopes": [scope(READ)] });
        server.call_as(&odin, ("PUT", &path), Some(&taken)).await.expect(409);
        let list = server.get_as(&odin, PATH).await.expect(200).json();
        let urls: Vec<&Value> = list["resources"].as_array().unwrap().iter().map(|one| &one["url"]).collect();
        assert_eq!(urls, ["https://both.example", TOOLS, "https://files.example/v1"]);
        assert_eq!(list["resources"][1], tools.json());
        assert_eq!(list["resources"][0]["scopes"][0]["name"], "files:read");
        assert_eq!(list["roles"][1], json!({ "id": MEMBER_ROLE, "name": "Member" }));
        let events = "SELECT COUNT(*) AS n FROM auth_audit WHERE event LIKE 'resource_%'";
        assert_eq!(server.count(events, &[]).await, 2);
    }

    /// A client lists a scope of a resource only if there is such a scope, and a member only if a role
    /// gives the scope.
    async fn a_listed_scope_exists(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        add_tools(&server, &odin, "00000000000000000a00").await.expect(200);
        let new = |scope: &str| json!({
            "name": "App", "type": "public", "pkce_required": true, "redirect_uris": ["https://app.example/cb"],
            "allowed_grants": ["authorization_code"], "allowed_scopes": ["openid", scope],
        });
        for (scope, admin, member) in [(READ, 200, 200), ("tools:write", 200, 400), ("tools:unknown", 400, 400)] {
            let mut body = new(scope);
            server.post_as(&frigg, "/api/auth/oauth/clients", &body).await.expect(member);
            body["account_id"] = json!(odin.id.as_str());
            body["client_id"] = json!(format!("listing-{scope}"));
            let created = server.post_as(&odin, "/api/admin/oauth/clients", &body).await.expect(admin);
            if admin == 200 {
                assert_eq!(created.json()["allowed_scopes"], json!(["openid", scope]));
                let path = format!("/api/admin/oauth/clients/{}", created.text("id"));
                let unknown = json!({ "allowed_scopes": ["tools:unknown"] });
                server.call_as(&odin, ("PATCH", &path), Some(&unknown)).await.expect(400);
                let known = json!({ "allowed_scopes": ["tools:write"] });
                server.call_as(&odin, ("PATCH", &path), Some(&known)).await.expect(200);
            }
        }
    }

    /// req_145: the metadata document of a resource, which this server serves for a resource on the same
    /// origin.
    async fn a_resource_has_a_metadata_document(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let tools = add_tools(&server, &odin, MEMBER_ROLE).await.expect(200).json();
        assert_eq!(tools["metadata_url"], "https://tools.example/.well-known/oauth-protected-resource/mcp");
        let expected = json!({
            "authorization_servers": ["https://auth.example"],
            "bearer_methods_supported": ["header"],
            "resource": TOOLS,
            "resource_name": "Tools",
            "scopes_supported": ["tools:read", "tools:write"],
        });
        assert_eq!(tools["metadata"], expected);
        let here = json!({ "url": "https://auth.example/files/v1", "scopes": [{ "name": "files:read" }] });
        server.post_as(&odin, PATH, &here).await.expect(200);
        for suffix in ["/files/v1", "/files/v1/"] {
            let path = format!("/.well-known/oauth-protected-resource{suffix}");
            let document = server.get(&path).await.expect(200).json();
            assert_eq!(document["resource"], "https://auth.example/files/v1");
            assert_eq!(document["scopes_supported"], json!(["files:read"]));
        }
        server.get("/.well-known/oauth-protected-resource/files").await.expect(404);
        server.get("/.well-known/oauth-protected-resource/mcp").await.expect(404);
    }

    /// storyden-contract.md#granting-scopes: in the profile `storyden` a scope of a resource is unknown.
    async fn in_the_storyden_profile_scopes_of_resources_are_unknown(setup: Setup) {
        let here = setup.clone().start().await;
        let odin = here.admin("odin").await;
        add_tools(&here, &odin, MEMBER_ROLE).await.expect(200);
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = client(&server).await;
        let refused = server.authorize(Some(&frigg), &app, &asking("openid tools:read")).await.expect(302);
        assert_eq!(refused.sent("error").unwrap(), "invalid_scope");
        server.start_device(&app, "openid tools:read").await.expect_error(400, "invalid_scope");
        let tokens = server.tokens(&frigg, &app, &asking("openid")).await;
        assert_eq!(tokens.claims("access_token")["aud"], "storyden");
        let body = json!({
            "name": "App", "type": "public", "account_id": odin.id.as_str(), "client_id": "x", "redirect_uris": [],
            "allowed_grants": ["authorization_code"], "allowed_scopes": [READ], "scope_policy": "explicit",
        });
        server.post_as(&odin, "/api/admin/oauth/clients", &body).await.expect(403);
    }

    /// The commands: `add` and `metadata` print the document of the resource's server.
    async fn commands_manage_resources(setup: Setup) {
        let run = async |arguments: &[&str]| setup.run(arguments, &[("PUBLIC_API_ADDRESS", "https://auth.example")]).await;
        let added = run(&[
            "resource", "add", TOOLS, "--name", "Tools", "--scope", "tools:read=Read your tools", "--scope", "tools:list",
        ]).await;
        assert_eq!(added.code, Some(0), "{added:?}");
        assert!(added.stderr.contains("https://tools.example/.well-known/oauth-protected-resource/mcp"));
        let document: Value = serde_json::from_str(&added.stdout).unwrap();
        assert_eq!(document["scopes_supported"], json!(["tools:read", "tools:list"]));
        let role = run(&["role", "create", "Developers", "--permission", "USE_OAUTH_CLIENTS"]).await;
        assert_eq!(role.code, Some(0), "{role:?}");
        let set = run(&[
            "resource", "set", TOOLS, "--scope", "tools:write=Change your tools", "--role", "developers",
            "--remove-scope", "tools:list", "--json",
        ]).await;
        assert_eq!(set.code, Some(0), "{set:?}");
        let shown: Value = serde_json::from_str(&set.stdout).unwrap();
        assert_eq!(shown["scopes"][0]["role_ids"], json!([MEMBER_ROLE]));
        assert_eq!(shown["scopes"][1]["name"], "tools:write");
        assert_ne!(shown["scopes"][1]["role_ids"], json!([MEMBER_ROLE]));
        let again = run(&["resource", "metadata", TOOLS]).await;
        let document: Value = serde_json::from_str(&again.stdout).unwrap();
        assert_eq!(document, shown["metadata"]);
        let client = run(&["client", "create", "--name", "App", "--type", "public", "--redirect-uri", "https://app.example/cb",
            "--scope", "openid tools:read"]).await;
        assert_eq!(client.code, Some(0), "{client:?}");
        for (arguments, text) in [
            (&["resource", "add", "https://tools.example/mcp/"][..], "another spelling"),
            (&["resource", "add", "https://a.example", "--scope", "read"], "colon"),
            (&["resource", "add", "https://a.example", "--scope", "a:b", "--role", "nobody"], "role list"),
            (&["resource", "metadata", "https://a.example"], "resource list"),
            (&["client", "create", "--name", "B", "--type", "public", "--redirect-uri", "https://b.example/cb", "--scope", "a:b"], "a:b"),
        ] {
            let refused = run(arguments).await;
            assert_eq!(refused.code, Some(1), "{refused:?}");
            assert!(refused.stderr.contains(text), "{refused:?}");
        }
        let listed = run(&["resource", "list"]).await;
        assert!(listed.stdout.contains(TOOLS) && listed.stdout.contains("tools:write"), "{listed:?}");
        assert_eq!(run(&["resource", "remove", TOOLS]).await.code, Some(1));
        assert_eq!(run(&["resource", "remove", TOOLS, "--yes"]).await.code, Some(0));
        assert_eq!(run(&["resource", "list", "--json"]).await.stdout.trim(), "[]");
    }
}
