//! Token exchange (RFC 8693): the server of a resource calls on in the member's name.

use serde_json::{Value, json};
use storyden_auth::oauth::grant_type::GrantType;
use time::Duration;

use crate::cleanup::clean_up;
use crate::support::dpop::{ProofKey, USERINFO};
use crate::support::{Answer, Client, Member, NewClient, Server, Setup, both};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const RESOURCES: &str = "/api/admin/oauth/resources";
const TOOLS: &str = "https://tools.example/mcp";
const FILES: &str = "https://files.example";
const SCOPE: &str = "openid READ_PROFILE MANAGE_POSTS tools:read";

/// A member with an application, and the servers of two resources.
struct Community {
    server: Server,
    odin: Member,
    frigg: Member,
    app: Client,
    tools: Client,
    files: Client,
}

impl Community {
    async fn start(setup: Setup) -> Self {
        Self::with_people(setup, ["odin", "frigg"], "app").await
    }

    async fn with_people(setup: Setup, [odin, frigg]: [&str; 2], app: &'static str) -> Self {
        let server = setup.with("OAUTH_TOKEN_EXCHANGE", "true").start().await;
        let odin = server.admin(odin).await;
        let frigg = server.member(frigg, &["MANAGE_POSTS"]).await;
        let (tools, files) = (
            resource_server(&server, "tools", "openid READ_PROFILE tools:read").await,
            resource_server(&server, "files", "openid READ_PROFILE MANAGE_POSTS").await,
        );
        add(
            &server,
            &odin,
            json!({
                "url": TOOLS, "server_client_id": "tools", "scopes": [{ "name": "tools:read" }],
            }),
        )
        .await;
        add(
            &server,
            &odin,
            json!({ "url": FILES, "server_client_id": "files" }),
        )
        .await;
        let scope = "openid profile email offline_access READ_PROFILE MANAGE_POSTS tools:read";
        let app = server
            .client(NewClient {
                client_id: app,
                scope,
                ..NewClient::default()
            })
            .await;
        Self {
            server,
            odin,
            frigg,
            app,
            tools,
            files,
        }
    }

    /// The tokens of the application, for the tools.
    async fn tokens(&self) -> Answer {
        let scope = format!("{SCOPE} offline_access");
        let asked = [("scope", scope.as_str()), ("resource", TOOLS)];
        self.server.tokens(&self.frigg, &self.app, &asked).await
    }

    /// An access token of the application, for the tools.
    async fn subject(&self) -> String {
        self.tokens().await.text("access_token")
    }

    /// Exchanges a token, with changed parameters; `""` removes a parameter.
    async fn exchange(&self, client: &Client, token: &str, changed: &[(&str, &str)]) -> Answer {
        self.server.token(&form(client, token, changed)).await
    }

    async fn revoke(&self, client: &Client, token: &str) {
        let mut form = vec![("token", token)];
        form.extend(client.credentials());
        self.server
            .post_form("/api/oauth/revoke", &form)
            .await
            .expect(200);
    }

    async fn userinfo(&self, token: &str) -> Answer {
        self.server.get_with_bearer(USERINFO, token).await
    }
}

/// Every statement of an exchange, for the test of query plans.
pub(crate) async fn run_every_statement(setup: Setup) {
    let community = Community::with_people(setup, ["heimdall", "idun"], "assistant").await;
    let subject = community.subject().await;
    for _ in 0..2 {
        let token = community
            .exchange(&community.tools, &subject, &[("audience", FILES)])
            .await;
        let token = token.expect(200).text("access_token");
        let token = community.exchange(&community.files, &token, &[]).await;
        community
            .userinfo(&token.expect(200).text("access_token"))
            .await
            .expect(200);
    }
}

/// The parameters of an exchange for the community's own API.
fn form<'a>(
    client: &'a Client,
    token: &'a str,
    changed: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![
        ("grant_type", GRANT),
        ("subject_token", token),
        ("subject_token_type", ACCESS_TOKEN),
        ("audience", "https://auth.example/api"),
    ];
    form.extend(client.credentials());
    for (name, value) in changed {
        form.retain(|(known, _)| known != name);
        if !value.is_empty() {
            form.push((name, value));
        }
    }
    form
}

/// A confidential client without a grant of its own.
async fn resource_server(server: &Server, client_id: &'static str, scope: &'static str) -> Client {
    server
        .client(NewClient {
            client_id,
            secret: Some("a secret of the resource server"),
            scope,
            grants: &[GrantType::RefreshToken],
            ..NewClient::default()
        })
        .await
}

async fn add(server: &Server, odin: &Member, resource: Value) {
    server.post_as(odin, RESOURCES, &resource).await.expect(200);
}

both! {
    /// Issue 16, RFC 8693 §2.2.1, §4.1: the server of a resource gets a token for another audience, with less scope,
    /// no longer life, and its own name in `act`.
    async fn a_resource_server_exchanges_a_token(setup: Setup) {
        let community = Community::start(setup).await;
        let subject = community.tokens().await;
        let expires_at = subject.claims("access_token")["exp"].as_i64().unwrap();
        let subject = subject.text("access_token");
        community.userinfo(&subject).await.expect_error(401, "invalid_token");
        community.server.turn(Duration::minutes(10));
        let answer = community.exchange(&community.tools, &subject, &[]).await.expect(200);
        assert_eq!(answer.text("issued_token_type"), ACCESS_TOKEN);
        assert_eq!(answer.text("token_type"), "Bearer");
        assert_eq!(answer.json()["expires_in"], 300);
        assert_eq!(answer.json().get("refresh_token"), None);
        assert_eq!(answer.json().get("id_token"), None);
        // The client may not have MANAGE_POSTS, and tools:read is of another resource.
        assert_eq!(answer.scope(), ["READ_PROFILE", "openid"]);
        let claims = answer.claims("access_token");
        assert_eq!(claims["aud"], json!(["https://auth.example/api", "storyden"]));
        assert_eq!(claims["sub"], community.frigg.id.as_str());
        assert_eq!(claims["client_id"], "tools");
        assert_eq!(claims["act"], json!({ "sub": "tools" }));
        assert_eq!(claims["exp"], expires_at);
        let token = answer.text("access_token");
        let person = community.userinfo(&token).await.expect(200);
        assert_eq!(person.text("sub"), community.frigg.id.as_str());

        let mut form = vec![("token", token.as_str())];
        form.extend(community.tools.credentials());
        let shown = community.server.post_form("/api/oauth/introspect", &form).await.expect(200).json();
        assert_eq!((&shown["active"], &shown["act"]), (&json!(true), &json!({ "sub": "tools" })));
        assert_eq!(shown["username"], "frigg");
        community.server.turn(Duration::minutes(5));
        community.userinfo(&token).await.expect_error(401, "invalid_token");
    }

    /// RFC 8693 §2.1: scope and audience of the request; without an audience, that of the exchanged token.
    async fn scope_and_audience_are_requested(setup: Setup) {
        let community = Community::start(setup).await;
        let subject = community.subject().await;
        let tools = &community.tools;
        let exchange = async |changed: &[(&str, &str)]| {
            community.exchange(tools, &subject, changed).await.expect(200)
        };
        let narrow = exchange(&[("scope", "READ_PROFILE")]).await;
        assert_eq!(narrow.scope(), ["READ_PROFILE"]);
        let same = exchange(&[("audience", ""), ("scope", "tools:read")]).await;
        assert_eq!((&same.claims("access_token")["aud"], same.scope()), (&json!(TOOLS), vec!["tools:read".to_owned()]));
        let files = exchange(&[("audience", ""), ("resource", FILES)]).await;
        assert_eq!(files.claims("access_token")["aud"], FILES);
        let two = exchange(&[("resource", FILES)]).await;
        assert_eq!(two.claims("access_token")["aud"].as_array().unwrap().len(), 3);
        let typed = [
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"), ("requested_token_type", ACCESS_TOKEN),
        ];
        exchange(&typed).await;
        // A permission that the member lost is in no further token.
        let Community { server, app, frigg, files, .. } = &community;
        let asked = [("scope", "MANAGE_POSTS READ_PROFILE"), ("resource", FILES)];
        let subject = server.tokens(frigg, app, &asked).await.text("access_token");
        let before = community.exchange(files, &subject, &[]).await.expect(200);
        assert_eq!(before.scope(), ["MANAGE_POSTS", "READ_PROFILE"]);
        server.remove_permissions_except_use_clients(frigg).await;
        let after = community.exchange(files, &subject, &[]).await.expect(200);
        assert_eq!(after.scope(), ["READ_PROFILE"]);
        let lost = community.exchange(files, &subject, &[("scope", "MANAGE_POSTS")]).await;
        lost.expect_error(400, "invalid_scope");
    }

    /// RFC 8693 §2.2.2: everything that is refused, with the error that tells the reason.
    async fn unacceptable_exchanges_are_refused(setup: Setup) {
        let community = Community::start(setup).await;
        let Community { server, tools, files, app, frigg, .. } = &community;
        let subject = community.subject().await;
        let refused = async |changed: &[(&str, &str)], code: &str| {
            community.exchange(tools, &subject, changed).await.expect_error(400, code)
        };
        for (changed, code) in [
            ([("subject_token", "")], "invalid_request"),
            ([("subject_token", "x.y.z")], "invalid_request"),
            ([("subject_token_type", "")], "invalid_request"),
            ([("subject_token_type", "urn:ietf:params:oauth:token-type:id_token")], "invalid_request"),
            ([("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")], "invalid_request"),
            ([("actor_token", subject.as_str())], "invalid_request"),
            ([("actor_token_type", ACCESS_TOKEN)], "invalid_request"),
            ([("audience", "https://unknown.example")], "invalid_target"),
            ([("resource", "https://unknown.example")], "invalid_target"),
            ([("scope", "READ_PROFILE ADMINISTRATOR")], "invalid_scope"),
            ([("scope", "MANAGE_POSTS")], "invalid_scope"),
            ([("scope", "tools:read")], "invalid_scope"),
            ([("client_secret", "wrong")], "invalid_client"),
        ] {
            refused(&changed, code).await;
        }
        // A token for another audience: of the community's own API, and of another resource.
        let own = server.tokens(frigg, app, &[]).await.text("access_token");
        let wrong = community.exchange(tools, &own, &[]).await.expect_error(400, "invalid_request");
        assert!(wrong.text("error_description").contains("another audience"));
        community.exchange(files, &subject, &[]).await.expect_error(400, "invalid_request");
        // Clients that are no server of a resource: confidential, and public.
        let service = server.confidential_client(&frigg.id).await;
        community.exchange(&service, &subject, &[]).await.expect_error(400, "unauthorized_client");
        community.exchange(app, &subject, &[]).await.expect_error(400, "unauthorized_client");
        let refresh_token = community.tokens().await.text("refresh_token");
        community.exchange(tools, &refresh_token, &[]).await.expect_error(400, "invalid_request");
        server.turn(Duration::minutes(16));
        let expired = community.exchange(tools, &subject, &[]).await.expect_error(400, "invalid_request");
        assert!(expired.text("error_description").contains("expired"));
    }

    /// Issue 16: a derived token ends with the grant of the exchanged token, with the member, and with the client.
    async fn a_derived_token_ends_with_its_origin(setup: Setup) {
        let community = Community::start(setup).await;
        let Community { server, tools, app, frigg, odin, .. } = &community;
        let derived = async |subject: &str| {
            community.exchange(tools, subject, &[]).await.expect(200).text("access_token")
        };
        let subject = community.tokens().await;
        let (access, refresh) = (subject.text("access_token"), subject.text("refresh_token"));
        let token = derived(&access).await;
        community.userinfo(&token).await.expect(200);
        community.revoke(app, &refresh).await;
        community.userinfo(&token).await.expect_error(401, "invalid_token");
        community.exchange(tools, &access, &[]).await.expect_error(400, "invalid_request");

        // The client ends its own token: the grant of the application stays.
        let subject = community.subject().await;
        let token = derived(&subject).await;
        community.revoke(tools, &token).await;
        community.userinfo(&token).await.expect_error(401, "invalid_token");
        let token = derived(&subject).await;
        community.userinfo(&token).await.expect(200);

        // Everything that the member approved, at once.
        let body = json!({ "account_id": frigg.id.as_str() });
        server.post_as(odin, "/api/admin/oauth/revoke", &body).await.expect(200);
        community.userinfo(&token).await.expect_error(401, "invalid_token");

        let subject = community.subject().await;
        let token = derived(&subject).await;
        server.sql("UPDATE accounts SET deleted_at = created_at WHERE id = $1", &[frigg.id.as_str()]).await;
        community.userinfo(&token).await.expect_error(401, "invalid_token");
        community.exchange(tools, &subject, &[]).await.expect_error(400, "invalid_request");
        server.sql("UPDATE accounts SET deleted_at = NULL WHERE id = $1", &[frigg.id.as_str()]).await;
        community.userinfo(&token).await.expect(200);
        let path = format!("/api/admin/oauth/clients/{}", tools.row_id);
        server.call_as(odin, ("DELETE", &path), None).await.expect(204);
        community.userinfo(&token).await.expect_error(401, "invalid_token");
    }

    /// RFC 8693 §4.1: a token that was exchanged before is exchanged again, at most four times in all; a revocation
    /// in the chain ends what comes after.
    async fn actors_form_a_chain(setup: Setup) {
        let community = Community::start(setup).await;
        let Community { tools, files, .. } = &community;
        let to = |resource| [("audience", resource), ("scope", "READ_PROFILE")];
        let mut token = community.subject().await;
        let mut chain = vec![];
        for (client, next) in [(tools, FILES), (files, TOOLS), (tools, FILES), (files, TOOLS)] {
            let answer = community.exchange(client, &token, &to(next)).await.expect(200);
            token = answer.text("access_token");
            chain.push((answer.claims("access_token")["act"].clone(), token.clone()));
        }
        let expected = json!({ "sub": "files", "act": { "sub": "tools", "act": { "sub": "files", "act": { "sub": "tools" } } } });
        assert_eq!(chain[3].0, expected);
        let refused = community.exchange(tools, &token, &to(FILES)).await.expect_error(400, "invalid_request");
        assert!(refused.text("error_description").contains("4 times"));

        let own = [("scope", "openid")];
        let subject = community.subject().await;
        let first = community.exchange(tools, &subject, &[("audience", FILES)]).await.expect(200).text("access_token");
        let second = community.exchange(files, &first, &own).await.expect(200).text("access_token");
        community.userinfo(&second).await.expect(200);
        community.revoke(tools, &first).await;
        community.userinfo(&second).await.expect_error(401, "invalid_token");
    }

    /// RFC 9449 §5: with a proof, the derived token is bound to the key of the resource server.
    async fn a_derived_token_is_bound_to_a_key(setup: Setup) {
        let community = Community::start(setup).await;
        let Community { server, tools, .. } = &community;
        let subject = community.subject().await;
        let key = ProofKey::new();
        let answer = server.token_with_key(&form(tools, &subject, &[]), &key).await.expect(200);
        assert_eq!(answer.text("token_type"), "DPoP");
        assert_eq!(answer.claims("access_token")["cnf"], json!({ "jkt": key.thumbprint() }));
        let token = answer.text("access_token");
        server.userinfo_with_key(&token, &key).await.expect(200);
        server.userinfo_with_key(&token, &ProofKey::new()).await.expect(401);
        community.userinfo(&token).await.expect_error(401, "invalid_token");
    }

    /// Exchanges of one grant share a derived grant for some hours, and the clean-up deletes what is over.
    async fn derived_grants_are_few_and_deleted(setup: Setup) {
        const DERIVED: &str = "SELECT COUNT(*) AS n FROM auth_derived_grants";
        let community = Community::start(setup).await;
        let Community { server, tools, app, .. } = &community;
        let mut refresh_token = community.tokens().await;
        for expected in [1, 1, 2] {
            refresh_token = server.refresh(app, &refresh_token.text("refresh_token")).await.expect(200);
            let subject = refresh_token.text("access_token");
            for _ in 0..2 {
                community.exchange(tools, &subject, &[]).await.expect(200);
            }
            assert_eq!(server.count(DERIVED, &[]).await, expected);
            server.turn(Duration::hours(7));
        }
        server.turn(Duration::days(4));
        clean_up(server).await;
        server.turn(Duration::days(2));
        clean_up(server).await;
        assert_eq!(server.count(DERIVED, &[]).await, 0);
    }

    /// Issue 16: off unless the operator turns it on, and named in the metadata then.
    async fn token_exchange_is_off_by_default(setup: Setup) {
        let server = setup.start().await;
        let service = server.confidential_client(&server.member("frigg", &[]).await.id).await;
        let answer = server.token(&form(&service, "x", &[])).await;
        answer.expect_error(400, "unsupported_grant_type");
        let grants = async |server: &Server| {
            let metadata = server.get("/.well-known/oauth-authorization-server").await.expect(200).json();
            metadata["grant_types_supported"].as_array().unwrap().contains(&json!(GRANT))
        };
        assert!(!grants(&server).await);
        let on = setup.with("OAUTH_TOKEN_EXCHANGE", "true").start().await;
        assert!(grants(&on).await);
    }

    /// The server of a resource is a confidential client that exists.
    async fn the_server_of_a_resource_can_authenticate(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        server.public_client().await;
        for client_id in ["app", "unknown"] {
            let body = json!({ "url": TOOLS, "server_client_id": client_id });
            let refused = server.post_as(&odin, RESOURCES, &body).await.expect(400);
            assert!(refused.text("detail").contains(client_id), "{}", refused.body);
        }
    }
}
