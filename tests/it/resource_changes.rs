//! Resources of the operator that were removed, added again or changed: grants from before, and remembered approvals
//! in the list of applications (RFC 8707).

use serde_json::{Value, json};
use storyden_auth::oauth::grant_type::GrantType;
use storyden_auth::store::accounts::MEMBER_ROLE;
use time::Duration;

use crate::operator_resources::{PATH, READ, TOOLS, add_tools, asking, client, role_of};
use crate::support::{Client, Member, NewClient, Server, assert_redirect_to_consent, both};

const APPLICATIONS: &str = "/api/auth/oauth/applications";
const SCOPE: &str = "openid offline_access tools:read";

async fn remove(server: &Server, odin: &Member, id: &str) {
    server.turn(Duration::seconds(1));
    let removed = server
        .call_as(odin, ("DELETE", &format!("{PATH}/{id}")), None)
        .await;
    removed.expect(204);
    server.turn(Duration::seconds(1));
}

/// Removes the resource, and adds another one under the same URL with the same scopes.
async fn replace(server: &Server, odin: &Member, id: &str) {
    remove(server, odin, id).await;
    add_tools(server, odin, MEMBER_ROLE).await.expect(200);
}

/// A client with a secret, which may introspect its tokens.
async fn service(server: &Server) -> Client {
    let odin = server.admin("odin").await;
    server
        .client(NewClient {
            client_id: "service",
            secret: Some("s3cret"),
            scope: "openid offline_access READ_PROFILE tools:read",
            grants: &[GrantType::AuthorizationCode, GrantType::RefreshToken],
            owner: Some(odin.id),
            ..NewClient::default()
        })
        .await
}

async fn introspected(server: &Server, client: &Client, token: &str) -> Value {
    let mut form = vec![("token", token)];
    form.extend(client.credentials());
    server
        .post_form("/api/oauth/introspect", &form)
        .await
        .expect(200)
        .json()["scope"]
        .clone()
}

async fn application(server: &Server, member: &Member) -> Value {
    let list = server.get_as(member, APPLICATIONS).await.expect(200).json();
    list["applications"][0].clone()
}

/// What the list says about the remembered approval: true if there is one, and true if one is outdated.
async fn remembered(server: &Server, member: &Member) -> (bool, bool) {
    let shown = application(server, member).await;
    (
        shown.get("remembered_until").is_some(),
        shown["remembered_outdated"] == true,
    )
}

both! {
    /// Issue 15, RFC 8707: a resource that is added again under the URL of a removed one is another resource. No grant from
    /// before has a token for it: not by a refresh, not by a code, and not by a grant of several resources.
    async fn a_resource_that_is_added_again_revives_no_grant(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        let id = add_tools(&server, &odin, MEMBER_ROLE).await.expect(200).text("id");
        let app = client(&server).await;
        let alone = server.tokens(&frigg, &app, &asking(SCOPE)).await;
        let two = format!("https://auth.example/api {TOOLS}");
        let both = [("scope", SCOPE), ("resource", two.as_str())];
        let several = server.tokens(&frigg, &app, &both).await;
        let code = server.code(&frigg, &app, &asking(SCOPE)).await;
        let code_for_both = server.code(&frigg, &app, &both).await;
        replace(&server, &odin, &id).await;
        let refused = server.refresh(&app, &alone.text("refresh_token")).await;
        refused.expect_error(400, "invalid_target");
        server.exchange(&app, &code).await.expect_error(400, "invalid_target");
        let left = server.refresh(&app, &several.text("refresh_token")).await.expect(200);
        let exchanged = server.exchange(&app, &code_for_both).await.expect(200);
        server.turn(Duration::seconds(1));
        let later = server.refresh(&app, &exchanged.text("refresh_token")).await.expect(200);
        for tokens in [left, exchanged, later] {
            assert_eq!(tokens.scope(), ["offline_access", "openid"]);
            assert_eq!(tokens.claims("access_token")["aud"], json!(["https://auth.example/api", "storyden"]));
        }
        // A new approval is for the new resource.
        let new = server.tokens(&frigg, &app, &asking(SCOPE)).await;
        let next = server.refresh(&app, &new.text("refresh_token")).await.expect(200);
        assert_eq!(next.scope(), ["offline_access", "openid", READ]);
    }

    /// req_065: introspection of tokens from before shows no scope of the resource that was added again.
    async fn introspection_shows_no_scope_of_a_later_resource(setup: Setup) {
        let server = setup.start().await;
        let app = service(&server).await;
        let thor = server.admin("thor").await;
        let frigg = server.member("frigg", &[]).await;
        let id = add_tools(&server, &thor, MEMBER_ROLE).await.expect(200).text("id");
        let tokens = server.tokens(&frigg, &app, &asking(SCOPE)).await;
        let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
        for token in [&access, &refresh] {
            assert_eq!(introspected(&server, &app, token).await, SCOPE);
        }
        replace(&server, &thor, &id).await;
        for token in [&access, &refresh] {
            assert_eq!(introspected(&server, &app, token).await, "openid offline_access");
        }
    }

    /// A resource of `OAUTH_RESOURCES` that gets a name and scopes keeps its grants, without the new scopes.
    async fn a_listed_resource_that_gets_scopes_keeps_its_grants(setup: Setup) {
        let server = setup.with("OAUTH_RESOURCES", TOOLS).start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        let app = client(&server).await;
        let tokens = server.tokens(&frigg, &app, &asking("openid offline_access")).await;
        server.turn(Duration::seconds(1));
        add_tools(&server, &odin, MEMBER_ROLE).await.expect(200);
        let next = server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
        assert_eq!(next.claims("access_token")["aud"], TOOLS);
        assert_eq!(next.scope(), ["offline_access", "openid"]);
    }

    /// Issue 15: the list of applications tells that a remembered approval is outdated, if a resource changed or is gone: the
    /// application asks again. Forgetting the approval ends the remark.
    async fn the_list_tells_an_outdated_approval(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        let id = add_tools(&server, &odin, MEMBER_ROLE).await.expect(200).text("id");
        let app = client(&server).await;
        server.tokens(&frigg, &app, &asking(SCOPE)).await;
        assert_eq!(remembered(&server, &frigg).await, (true, false));
        let renamed = json!({ "name": "Tools of all", "scopes": [{ "name": READ, "description": "Read your tools" }] });
        server.call_as(&odin, ("PUT", &format!("{PATH}/{id}")), Some(&renamed)).await.expect(200);
        assert_eq!(remembered(&server, &frigg).await, (false, true));
        assert_redirect_to_consent(server.authorize(Some(&frigg), &app, &asking(SCOPE)).await);
        // Approved again, for the resource as it is now, and for the community's own API.
        server.tokens(&frigg, &app, &asking(SCOPE)).await;
        server.tokens(&frigg, &app, &[("scope", "openid")]).await;
        assert_eq!(remembered(&server, &frigg).await, (true, true));
        let forget = format!("{APPLICATIONS}/{}/consent", app.row_id);
        server.call_as(&frigg, ("DELETE", &forget), None).await.expect(204);
        assert_eq!(remembered(&server, &frigg).await, (false, false));
        server.tokens(&frigg, &app, &asking(SCOPE)).await;
        remove(&server, &odin, &id).await;
        assert_eq!(remembered(&server, &frigg).await, (false, true));
    }

    /// Issue 15: the same for a client that changed since, such as its name. A revoked approval is not listed.
    async fn the_list_tells_a_changed_client(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        server.tokens(&frigg, &app, &[("scope", "openid offline_access")]).await;
        assert_eq!(remembered(&server, &frigg).await, (true, false));
        server.sql("UPDATE oauth_clients SET name = 'Another' WHERE client_id = 'app'", &[]).await;
        assert_eq!(remembered(&server, &frigg).await, (false, true));
        let revoked = "INSERT INTO auth_clients (client_id, consent_epoch) VALUES ($1, 1) \
                       ON CONFLICT (client_id) DO UPDATE SET consent_epoch = 1";
        server.sql(revoked, &[app.row_id.as_str()]).await;
        assert_eq!(remembered(&server, &frigg).await, (false, false));
    }

    /// P9: a consent of the previous binary has no list of resources, and is not called outdated.
    async fn a_consent_of_the_previous_binary_is_listed(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        add_tools(&server, &odin, MEMBER_ROLE).await.expect(200);
        let app = client(&server).await;
        server.tokens(&frigg, &app, &asking(SCOPE)).await;
        server.sql("UPDATE auth_consents SET resources = NULL", &[]).await;
        assert_eq!(remembered(&server, &frigg).await, (true, false));
        server.authorize(Some(&frigg), &app, &asking(SCOPE)).await.code();
    }

    /// Issue 15: the form of an application offers the scopes of resources that a role of the member gives, with their
    /// sentences. The profile `storyden` knows no scopes of resources.
    async fn a_member_sees_the_scopes_to_offer(setup: Setup) {
        const OFFERED: &str = "/api/auth/oauth/resources";
        let server = setup.clone().start().await;
        let odin = server.admin("odin").await;
        let (frigg, loki) = (server.member("frigg", &[]).await, server.member("loki", &[]).await);
        let none = json!({ "resources": [] });
        assert_eq!(server.get_as(&frigg, OFFERED).await.expect(200).json(), none);
        add_tools(&server, &odin, &role_of(&server, &frigg).await).await.expect(200);
        let read = json!({ "name": READ, "description": "Read your tools" });
        let write = json!({ "name": "tools:write", "description": "Change your tools" });
        for (member, scopes) in [(&frigg, json!([read, write])), (&loki, json!([read]))] {
            let offered = server.get_as(member, OFFERED).await.expect(200).json();
            assert_eq!(offered, json!({ "resources": [{ "url": TOOLS, "name": "Tools", "scopes": scopes }] }));
        }
        let body = json!({
            "name": "Mine", "type": "public", "redirect_uris": ["https://app.example/cb"],
            "allowed_grants": ["authorization_code"], "allowed_scopes": ["openid", READ],
        });
        server.post_as(&loki, "/api/auth/oauth/clients", &body).await.expect(200);
        let beside = setup.with("OAUTH_PROFILE", "storyden").start().await;
        assert_eq!(beside.get_as(&odin, OFFERED).await.expect(200).json(), none);
    }
}
