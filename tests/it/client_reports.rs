//! Requests of clients that exist, from public reports about other servers. Each test names the report.

use serde_json::{Value, json};

use crate::support::registration::{client_of, register};
use crate::support::{Answer, CHALLENGE, Client, Member, Server, both};

/// Signs a member in with the code flow; returns the token response.
async fn sign_in(server: &Server, member: &Member, client: &Client, scope: &str) -> Answer {
    server.tokens(member, client, &[("scope", scope)]).await
}

/// Every value of a document, with its path.
fn nulls(path: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Null => vec![path.to_owned()],
        Value::Array(items) => items.iter().flat_map(|item| nulls(path, item)).collect(),
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| nulls(&format!("{path}/{name}"), value))
            .collect(),
        _ => Vec::new(),
    }
}

both! {
    /// <https://github.com/appstrate/appstrate/issues/1267>: Claude Code registers without `scope` and then requests the
    /// scopes of the resource's metadata. <https://github.com/formbricks/formbricks/pull/8406>,
    /// <https://github.com/ChronoAIProject/NyxID/issues/1217>: a client registers with the scopes of the resource and
    /// requests `offline_access` besides.
    async fn a_registered_client_may_request_more_than_it_registered(setup: Setup) {
        let server = setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true").start().await;
        let frigg = server.member("frigg", &["READ_PROFILE"]).await;
        for scope in [json!(null), json!("READ_PROFILE")] {
            let mut document = json!({
                "client_name": "Claude Code (tools)", "redirect_uris": ["http://localhost:51234/callback"],
                "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
                "token_endpoint_auth_method": "none",
            });
            if !scope.is_null() {
                document["scope"] = scope;
            }
            let answer = register(&server, &document).await.expect(201);
            let client = client_of(&answer, "http://localhost:51234/callback");
            let tokens = sign_in(&server, &frigg, &client, "READ_PROFILE offline_access").await;
            assert_eq!(tokens.text("scope"), "READ_PROFILE offline_access");
            assert!(!tokens.text("refresh_token").is_empty());
        }
    }

    /// <https://github.com/cloudflare/workers-oauth-provider/issues/154>: a client on this computer listens on another port
    /// than it registered (RFC 8252 §7.3).
    async fn a_loopback_client_returns_to_another_port(setup: Setup) {
        let server = setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true").start().await;
        let frigg = server.member("frigg", &[]).await;
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            let document = json!({
                "client_name": "A tool", "token_endpoint_auth_method": "none",
                "redirect_uris": [format!("http://{host}:49152/callback")],
            });
            let answer = register(&server, &document).await.expect(201);
            let client = client_of(&answer, &format!("http://{host}:60000/callback"));
            sign_in(&server, &frigg, &client, "openid").await;
        }
    }

    /// <https://github.com/obot-platform/mcp-oauth-proxy/issues/52>: VS Code registers without an authentication method.
    /// <https://github.com/anthropics/claude-ai-mcp/issues/1043>: Claude registers with `client_secret_post`.
    /// <https://github.com/turnstonelabs/turnstone/issues/1082>: a registration with members that no standard defines.
    /// <https://github.com/element-hq/matrix-authentication-service/issues/5871>: a native client whose home page is
    /// `https://localhost`.
    async fn registrations_of_existing_clients_are_accepted(setup: Setup) {
        let server = setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true").start().await;
        let frigg = server.member("frigg", &[]).await;
        for (document, redirect_uri) in [
            (
                json!({
                    "client_name": "Visual Studio Code", "client_uri": "https://code.visualstudio.com",
                    "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
                    "response_types": ["code"], "application_type": "native", "token_endpoint_auth_method": "none",
                    "redirect_uris": ["https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect",
                        "http://127.0.0.1/", "http://127.0.0.1:33418/"],
                }),
                "http://127.0.0.1:33418/",
            ),
            (json!({ "client_name": "test", "redirect_uris": ["http://127.0.0.1:33418"] }), "http://127.0.0.1:33418"),
            (
                json!({
                    "client_name": "Claude", "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
                    "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
                    "token_endpoint_auth_method": "client_secret_post", "scope": "openid profile",
                }),
                "https://claude.ai/api/mcp/auth_callback",
            ),
            (
                json!({
                    "client_name": "turnstone", "redirect_uris": ["https://app.example/cb"],
                    "resource": "https://tools.example/mcp", "x_unknown": { "a": [1] },
                }),
                "https://app.example/cb",
            ),
            (
                json!({
                    "client_name": "matrixclient", "client_uri": "https://localhost", "redirect_uris": ["http://localhost"],
                    "token_endpoint_auth_method": "none", "application_type": "native",
                }),
                "http://localhost",
            ),
        ] {
            let answer = register(&server, &document).await.expect(201);
            let client = client_of(&answer, redirect_uri);
            sign_in(&server, &frigg, &client, "openid").await;
        }
    }

    /// <https://github.com/onyx-dot-app/onyx/issues/12874>: a public client names itself in the body only, and is not taken
    /// for a client with two authentication methods; an empty secret counts as absent.
    async fn a_public_client_needs_no_secret(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let form = [
            ("grant_type", "authorization_code"), ("code", &code), ("client_id", "app"),
            ("redirect_uri", &app.redirect_uri), ("code_verifier", crate::support::VERIFIER),
        ];
        server.token(&form).await.expect(200);
    }

    /// <https://github.com/labsai/EDDI/pull/805>: Claude Code fails at a metadata document with `null` members.
    /// <https://github.com/ory/polis/issues/2074>: a server that announces `iss` sends `iss` in each response.
    async fn metadata_are_whole_and_kept(setup: Setup) {
        let server = setup.with("MCP_ENABLED", "true").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for path in [
            "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-client-metadata",
        ] {
            let document = server.get(path).await.expect(200).json();
            assert_eq!(nulls("", &document), Vec::<String>::new(), "{path}");
        }
        let metadata = server.get("/.well-known/openid-configuration").await.json();
        assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
        let request_id = server.pending(&frigg, &app, &[]).await;
        let denied = server.decide(&frigg, &request_id, "deny").await.expect(200);
        assert_eq!(denied.sent("iss"), metadata["issuer"].as_str().map(str::to_owned));
        let early = server.authorize(Some(&frigg), &app, &[("response_type", "token"), ("code_challenge", CHALLENGE)]).await;
        assert_eq!(early.sent("iss"), metadata["issuer"].as_str().map(str::to_owned));
    }

    /// <https://github.com/PrefectHQ/fastmcp/issues/1762>: a token request of a client that no longer exists has the code
    /// `invalid_client`, which the MCP SDKs take as the sign to register again; with a Basic header also the status 401
    /// (RFC 6749 §5.2).
    async fn an_unknown_client_is_told_to_register_again(setup: Setup) {
        let server = setup.start().await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", "deleted")];
        server.token(&form).await.expect_error(400, "invalid_client");
        let request = server.request("POST", "/api/oauth/token").basic_auth("deleted", Some("x"));
        server.send(request.form(&form[..2])).await.expect_error(401, "invalid_client");
    }
}
