//! Scopes of the operator's resources at the consent page, in remembered consents, in registrations, at
//! introspection and in lists of applications (RFC 8707).

use serde_json::{Value, json};
use storyden_auth::ids::ClientRowId;
use storyden_auth::oauth::grant_type::GrantType;
use storyden_auth::store::accounts::MEMBER_ROLE;

use crate::operator_resources::{PATH, READ, TOOLS, add_tools, asking, client, role_of};
use crate::support::race::with;
use crate::support::simulated_internet::SimulatedInternet;
use crate::support::statements::{Flow, recorded};
use crate::support::{
    Answer, Client, Member, NewClient, Server, Setup, assert_redirect_to_consent, both, told,
};

const REDIRECT_URI: &str = "https://app.example/cb";

/// A server with the resource, an administrator, a member, and a client that may request the scopes.
async fn begin(setup: Setup) -> (Server, Member, Member, Client, String) {
    let server = setup.start().await;
    let odin = server.admin("odin").await;
    let frigg = server.member("frigg", &[]).await;
    let added = add_tools(&server, &odin, MEMBER_ROLE).await.expect(200);
    let app = client(&server).await;
    (server, odin, frigg, app, added.text("id"))
}

/// Sends a request for the resource that does not ask for the consent page.
async fn ask(server: &Server, member: &Member, app: &Client, scope: &str) -> Answer {
    server.authorize(Some(member), app, &asking(scope)).await
}

/// Approves a request for the resource on the consent page, and asserts that the approval is remembered.
async fn approve(server: &Server, member: &Member, app: &Client, scope: &str) {
    server.code(member, app, &asking(scope)).await;
    ask(server, member, app, scope).await.code();
}

/// A client that registered itself.
fn registered(client_id: &str) -> Client {
    Client {
        row_id: ClientRowId::new(""),
        client_id: client_id.to_owned(),
        secret: None,
        redirect_uri: REDIRECT_URI.to_owned(),
    }
}

async fn introspect(server: &Server, service: &Client, token: &str) -> Value {
    let mut form = vec![("token", token)];
    form.extend(service.credentials());
    let answer = server.post_form("/api/oauth/introspect", &form).await;
    answer.expect(200).json()["scope"].clone()
}

/// Asserts that an error names a part.
#[track_caller]
fn assert_description(answer: &Answer, part: &str) {
    let description = match answer.find_header("location") {
        Some(_) => answer.sent("error_description").unwrap(),
        None => answer.text("error_description"),
    };
    assert!(description.contains(part), "{description}");
}

both! {
    /// Issue 15, req_166: a remembered consent covers the scopes of the resource that were approved, for the
    /// approved resources alone.
    async fn a_remembered_consent_is_for_approved_scopes(setup: Setup) {
        let (server, _, frigg, app, _) = begin(setup).await;
        assert_redirect_to_consent(ask(&server, &frigg, &app, "openid tools:read").await);
        approve(&server, &frigg, &app, "openid tools:read").await;
        let code = ask(&server, &frigg, &app, READ).await.code();
        let tokens = server.exchange(&app, &code).await.expect(200);
        assert_eq!(tokens.scope(), [READ]);
        assert_eq!(tokens.claims("access_token")["aud"], TOOLS);
        assert_redirect_to_consent(ask(&server, &frigg, &app, "openid tools:read tools:write").await);
        let silent = [("scope", "tools:write"), ("resource", TOOLS), ("prompt", "none")];
        told(server.authorize(Some(&frigg), &app, &silent).await, "consent_required");
        // the approval is not for the community's own API, nor for both
        assert_redirect_to_consent(server.authorize(Some(&frigg), &app, &[("scope", "openid")]).await);
        let two = format!("https://auth.example/api {TOOLS}");
        let both = [("scope", "openid tools:read"), ("resource", two.as_str())];
        assert_redirect_to_consent(server.authorize(Some(&frigg), &app, &both).await);
        // a second approval adds to the first
        approve(&server, &frigg, &app, "tools:write").await;
        ask(&server, &frigg, &app, "openid tools:read tools:write").await.code();
    }

    /// Issue 15: a resource that is not what the page showed needs the page again: another name, another
    /// sentence, another scope. Other roles change nothing on the page.
    async fn a_changed_resource_is_asked_again(setup: Setup) {
        let (server, odin, frigg, app, id) = begin(setup).await;
        let scope = "openid tools:read";
        let path = format!("{PATH}/{id}");
        let read = json!({ "name": READ, "description": "Read your tools" });
        let write = json!({ "name": "tools:write", "description": "Change your tools" });
        for (name, scopes) in [
            ("Tools of all", json!([read, write])),
            ("Tools of all", json!([{ "name": READ, "description": "Read all tools" }, write])),
            ("Tools of all", json!([read])),
        ] {
            approve(&server, &frigg, &app, scope).await;
            let changed = json!({ "name": name, "scopes": scopes });
            server.call_as(&odin, ("PUT", &path), Some(&changed)).await.expect(200);
            assert_redirect_to_consent(ask(&server, &frigg, &app, scope).await);
        }
        approve(&server, &frigg, &app, scope).await;
        let role = role_of(&server, &frigg).await;
        let mut moved = read.clone();
        moved["role_ids"] = json!([role]);
        let changed = json!({ "name": "Tools of all", "scopes": [moved] });
        server.call_as(&odin, ("PUT", &path), Some(&changed)).await.expect(200);
        ask(&server, &frigg, &app, scope).await.code();
    }

    /// Issue 15: a removed resource ends the remembered consents, also if a resource with the same URL and the
    /// same scopes is added later. A code from before the removal gets no token.
    async fn a_removed_resource_is_asked_again(setup: Setup) {
        let (server, odin, frigg, app, id) = begin(setup).await;
        let scope = "openid tools:read";
        approve(&server, &frigg, &app, scope).await;
        let code = ask(&server, &frigg, &app, scope).await.code();
        let request_id = server.pending(&frigg, &app, &asking(scope)).await;
        server.call_as(&odin, ("DELETE", &format!("{PATH}/{id}")), None).await.expect(204);
        told(ask(&server, &frigg, &app, scope).await, "invalid_target");
        server.exchange(&app, &code).await.expect_error(400, "invalid_target");
        // A request from before the removal shows and grants no scope of the resource.
        let page = server.consent(&frigg, &request_id).await.expect(200).json();
        assert_eq!(page["granted_scopes"], json!(["openid"]));
        let decided = server.decide(&frigg, &request_id, "approve").await.expect(200);
        let refused = server.exchange(&app, &decided.sent("code").unwrap()).await;
        refused.expect_error(400, "invalid_target");
        add_tools(&server, &odin, MEMBER_ROLE).await.expect(200);
        assert_redirect_to_consent(ask(&server, &frigg, &app, scope).await);
    }

    /// Issue 15: a member leaves out scopes of a resource; neither a refresh nor a remembered consent gives these
    /// later.
    async fn a_scope_of_a_resource_can_be_left_out(setup: Setup) {
        let (server, _, frigg, app, _) = begin(setup).await;
        let scope = "openid offline_access tools:read tools:write";
        let request_id = server.pending(&frigg, &app, &asking(scope)).await;
        server.consent(&frigg, &request_id).await.expect(200);
        let body = json!({
            "request_id": request_id, "decision": "approve", "scopes": ["openid", "offline_access", READ, "other:read"],
        });
        let approved = server.post_as(&frigg, "/api/oauth/authorize/consent", &body).await.expect(200);
        let tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
        assert_eq!(tokens.scope(), ["offline_access", "openid", READ]);
        let next = server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
        assert_eq!(next.scope(), ["offline_access", "openid", READ]);
        let token = next.text("refresh_token");
        let form = with(&app.refresh_form(&token), "scope", "openid tools:write");
        server.token(&form).await.expect_error(400, "invalid_scope");
        ask(&server, &frigg, &app, "openid tools:read").await.code();
        assert_redirect_to_consent(ask(&server, &frigg, &app, scope).await);
        let list = server.get_as(&frigg, "/api/auth/oauth/applications").await.expect(200).json();
        let scopes = list["applications"][0]["scopes"].as_array().unwrap().clone();
        assert!(scopes.contains(&json!(READ)) && !scopes.contains(&json!("tools:write")), "{scopes:?}");
    }

    /// req_020, req_027: a request that names the scopes of a resource alone, and not the resource, is an error
    /// that names the resource, in every flow. Beside other scopes, these scopes are passed over.
    async fn scopes_of_a_resource_alone_need_the_resource(setup: Setup) {
        let (server, odin, frigg, app, _) = begin(setup).await;
        for (scope, part) in [("tools:write", TOOLS), ("mcp:tools tools:read", TOOLS), ("mcp:tools", "mcp:tools is unknown")] {
            for resource in ["", "https://auth.example/mcp"] {
                let asked = [("scope", scope), ("resource", resource)];
                let error = told(server.authorize(Some(&frigg), &app, &asked).await, "invalid_scope");
                assert_description(&error, part);
            }
            let error = server.start_device(&app, scope).await.expect_error(400, "invalid_scope");
            assert_description(&error, part);
        }
        let code = server.approved_device(&frigg, &app, "openid tools:read").await;
        assert_eq!(server.poll(&app, &code).await.expect(200).scope(), ["openid"]);
        let service = server.client(NewClient {
            client_id: "service",
            secret: Some("s3cret"),
            scope: "READ_PROFILE tools:read",
            grants: &[GrantType::ClientCredentials],
            owner: Some(odin.id.clone()),
            ..NewClient::default()
        }).await;
        let mut form = vec![("grant_type", "client_credentials"), ("scope", "READ_PROFILE tools:write"), ("resource", TOOLS)];
        form.extend(service.credentials());
        server.token(&form).await.expect_error(400, "invalid_scope");
        let unknown = with(&form, "scope", "mcp:tools");
        assert_description(&server.token(&unknown).await.expect_error(400, "invalid_scope"), "mcp:tools is unknown");
        let mixed = with(&form, "scope", "READ_PROFILE mcp:tools tools:read");
        assert_eq!(server.token(&mixed).await.expect(200).scope(), ["READ_PROFILE", READ]);
    }

    /// req_069, RFC 7591 §3.2.1: a registration and a metadata document list scopes of resources, which are then
    /// the default scope. A scope that no resource has is left out with a warning.
    async fn a_registration_lists_scopes_of_resources(setup: Setup) {
        let outside = SimulatedInternet::new();
        let setup = outside.around(setup).with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true");
        let (server, _, frigg, _, _) = begin(setup).await;
        let scope = "openid tools:read tools:unknown";
        let body = json!({
            "redirect_uris": [REDIRECT_URI], "token_endpoint_auth_method": "none", "scope": scope,
        });
        let answer = server.send(server.request("POST", "/api/oauth/register").json(&body)).await.expect(201);
        assert_eq!(answer.text("scope"), "openid tools:read");
        assert_eq!(answer.json()["warnings"], json!(["scope: scope 'tools:unknown' is unknown to this server"]));
        let path = format!("/api/oauth/register/{}", answer.text("client_id"));
        let token = answer.text("registration_access_token");
        let read = server.send(server.request("GET", &path).bearer_auth(&token)).await.expect(200);
        assert_eq!(read.text("scope"), "openid tools:read");
        let mut changed = body.clone();
        changed["client_id"] = json!(answer.text("client_id"));
        changed["scope"] = json!("tools:write");
        let put = server.request("PUT", &path).bearer_auth(&token).json(&changed);
        assert_eq!(server.send(put).await.expect(200).text("scope"), "tools:write");
        let app = registered(&answer.text("client_id"));
        let tokens = server.tokens(&frigg, &app, &asking("")).await;
        assert_eq!(tokens.scope(), ["tools:write"]);
        let error = told(server.authorize(Some(&frigg), &app, &[("scope", "")]).await, "invalid_scope");
        assert_description(&error, TOOLS);
        let host = outside.host("app.example").await;
        let document = registered(&host.publish("/client.json", &json!({ "scope": scope })));
        let tokens = server.tokens(&frigg, &document, &asking("")).await;
        assert_eq!(tokens.scope(), ["openid", READ]);
    }

    /// req_065, A-105: introspection shows the scopes of the resource that a role gives now, and for an access
    /// token the scopes that are of its own resource now. Userinfo accepts a token for both resources.
    async fn introspection_shows_scopes_that_are_left(setup: Setup) {
        let (server, odin, frigg, _, id) = begin(setup).await;
        let service = server.client(NewClient {
            client_id: "service",
            secret: Some("s3cret"),
            scope: "openid offline_access tools:read tools:write",
            owner: Some(odin.id.clone()),
            ..NewClient::default()
        }).await;
        let two = format!("https://auth.example/api {TOOLS}");
        let asked = [("scope", "openid offline_access tools:read tools:write"), ("resource", two.as_str())];
        let tokens = server.tokens(&frigg, &service, &asked).await;
        let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
        for token in [&access, &refresh] {
            assert_eq!(introspect(&server, &service, token).await, "openid offline_access tools:read tools:write");
        }
        let userinfo = server.get_with_bearer("/api/oauth/userinfo", &access).await.expect(200);
        assert_eq!(userinfo.text("sub"), frigg.id.as_str());
        let path = format!("{PATH}/{id}");
        let admins = json!({ "scopes": [{ "name": READ }, { "name": "tools:write", "role_ids": ["00000000000000000a00"] }] });
        server.call_as(&odin, ("PUT", &path), Some(&admins)).await.expect(200);
        for token in [&access, &refresh] {
            assert_eq!(introspect(&server, &service, token).await, "openid offline_access tools:read");
        }
        server.call_as(&odin, ("DELETE", &path), None).await.expect(204);
        assert_eq!(introspect(&server, &service, &refresh).await, "openid offline_access");
        let other = json!({ "url": "https://other.example", "scopes": [{ "name": READ }] });
        server.post_as(&odin, PATH, &other).await.expect(200);
        assert_eq!(introspect(&server, &service, &access).await, "openid offline_access");
    }

    /// A client that lists a scope of a removed resource can be changed, with the same list too.
    async fn a_client_keeps_a_listed_scope_of_a_removed_resource(setup: Setup) {
        let (server, odin, frigg, _, id) = begin(setup).await;
        let new = json!({
            "name": "App", "type": "public", "pkce_required": true, "redirect_uris": [REDIRECT_URI],
            "allowed_grants": ["authorization_code"], "allowed_scopes": ["openid", READ],
        });
        let created = server.post_as(&frigg, "/api/auth/oauth/clients", &new).await.expect(200).json();
        let app = created["client"]["id"].as_str().unwrap();
        server.call_as(&odin, ("DELETE", &format!("{PATH}/{id}")), None).await.expect(204);
        for (member, base) in [(&frigg, "/api/auth/oauth/clients"), (&odin, "/api/admin/oauth/clients")] {
            let path = format!("{base}/{app}");
            let same = json!({ "name": "Renamed", "allowed_scopes": ["openid", READ] });
            server.call_as(member, ("PATCH", &path), Some(&same)).await.expect(200);
            let more = json!({ "allowed_scopes": ["openid", READ, "tools:write"] });
            server.call_as(member, ("PATCH", &path), Some(&more)).await.expect(400);
        }
    }

    /// P2: requests for the community's own API, by name or not, read no table of resources.
    async fn requests_for_the_own_api_read_no_resources(setup: Setup) {
        let flow: Flow = |setup| Box::pin(async move {
            let server = setup.start().await;
            let frigg = server.member("frigg", &[]).await;
            let app = server.public_client().await;
            let service = server.confidential_client(&frigg.id).await;
            for resource in ["", "https://auth.example/mcp", "https://auth.example/mcp/"] {
                let asked = [("scope", "openid offline_access READ_PROFILE"), ("resource", resource)];
                let tokens = server.tokens(&frigg, &app, &asked).await;
                server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
                let tokens = server.tokens(&frigg, &service, &asked).await;
                introspect(&server, &service, &tokens.text("refresh_token")).await;
                introspect(&server, &service, &tokens.text("access_token")).await;
            }
            let mcp = [("scope", "openid READ_PROFILE"), ("resource", "https://auth.example/mcp")];
            server.authorize(Some(&frigg), &app, &mcp).await.code(); // remembered
            let code = server.approved_device(&frigg, &app, "openid").await;
            server.poll(&app, &code).await.expect(200);
            let mut form = vec![("grant_type", "client_credentials"), ("resource", "https://auth.example/api")];
            form.extend(service.credentials());
            server.token(&form).await.expect(200);
        });
        let is_of_resources = |sql: &str| ["auth_resource", "auth_role_scopes"].iter().any(|table| sql.contains(table));
        let read: Vec<String> = recorded(setup, flow).await
            .into_iter()
            .map(|statement| statement.sql)
            .filter(|sql| is_of_resources(sql) && (sql.starts_with("SELECT") || sql.starts_with("WITH")))
            .collect();
        assert!(read.is_empty(), "{read:?}");
    }
}
