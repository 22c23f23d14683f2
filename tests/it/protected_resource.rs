//! Protected resource metadata (RFC 9728), this community's own client metadata
//! (storyden-contract.md#identity-as-a-client), and the challenges that point there.

use serde_json::{Value, json};

use crate::support::{Server, both};

const PATH: &str = "/.well-known/oauth-protected-resource";

async fn document(server: &Server, suffix: &str) -> Value {
    let answer = server.get(&format!("{PATH}{suffix}")).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "public, max-age=3600");
    let json = answer.json();
    assert_eq!(json["bearer_methods_supported"], json!(["header"]));
    json
}

/// The number of scopes in a document, if listed.
fn scopes(document: &Value) -> Option<usize> {
    document
        .get("scopes_supported")
        .map(|scopes| scopes.as_array().unwrap().len())
}

both! {
    /// req_145: documents exist for existing resources only.
    async fn documents_exist_for_existing_resources_only(setup: Setup) {
        let server = setup.clone().start().await;
        let there = [("", "https://auth.example", None), ("/api", "https://auth.example/api", Some(38))];
        for (suffix, resource, listed) in there {
            let document = document(&server, suffix).await;
            assert_eq!((&document["resource"], scopes(&document)), (&json!(resource), listed));
            assert_eq!(document["authorization_servers"], json!(["https://auth.example"]));
        }
        for suffix in ["//", "/other", "/api//", "/api/x", "/mcp", "/mcp/sse", "/API"] {
            server.get(&format!("{PATH}{suffix}")).await.expect(404);
        }
        let server = setup.with("MCP_ENABLED", "true").start().await;
        for (suffix, resource) in [("/mcp", "https://auth.example/mcp"), ("/mcp/sse", "https://auth.example/mcp/sse")] {
            let document = document(&server, suffix).await;
            assert_eq!((&document["resource"], scopes(&document)), (&json!(resource), Some(38)));
        }
        server.get(&format!("{PATH}/mcp/other")).await.expect(404);
    }

    /// req_145: behind an issuer with a path, the documents are also at the location of RFC 9728 §3.1.
    async fn an_issuer_with_a_path_has_its_documents(setup: Setup) {
        let server = setup.with("PUBLIC_API_ADDRESS", "https://auth.example/forum").start().await;
        for (suffix, resource) in [
            ("", "https://auth.example/forum"),
            ("/forum", "https://auth.example/forum"),
            ("/api", "https://auth.example/forum/api"),
            ("/forum/api", "https://auth.example/forum/api"),
        ] {
            assert_eq!(document(&server, suffix).await["resource"], resource, "{suffix}");
        }
        for suffix in ["/forumapi", "/forum//", "/forum/other", "/other/api"] {
            server.get(&format!("{PATH}{suffix}")).await.expect(404);
        }
        server.get(&format!("/forum{PATH}/api")).await.expect(200);
    }

    /// storyden-contract.md#metadata-documents: in the profile `storyden` every path is a resource;
    /// outer slashes are ignored.
    async fn in_the_storyden_profile_every_path_is_a_resource(setup: Setup) {
        for mcp in [false, true] {
            let setup = setup.clone().with("OAUTH_PROFILE", "storyden").with("MCP_ENABLED", &mcp.to_string());
            let server = setup.start().await;
            let with_mcp = mcp.then_some(38);
            for (suffix, resource, listed) in [
                ("", "https://auth.example", None),
                ("/", "https://auth.example", None),
                ("/api", "https://auth.example/api", Some(38)),
                ("/api/", "https://auth.example/api", Some(38)),
                ("/mcp", "https://auth.example/mcp", None),
                ("/mcp/sse", "https://auth.example/mcp/sse", with_mcp),
                ("/some/thing", "https://auth.example/some/thing", None),
            ] {
                let document = document(&server, suffix).await;
                assert_eq!((&document["resource"], scopes(&document)), (&json!(resource), listed), "{suffix}");
            }
        }
    }

    /// while OAuth is off the documents are absent, with the reason.
    async fn while_oauth_is_off_resource_metadata_is_not_found(setup: Setup) {
        for profile in ["standards", "storyden"] {
            let setup = setup.clone().with("OAUTH_PROFILE", profile).with("MCP_ENABLED", "true");
            let server = setup.with("OAUTH_ENABLED", "false").start().await;
            for suffix in ["", "/api", "/mcp"] {
                let answer = server.get(&format!("{PATH}{suffix}")).await.expect(404);
                assert_eq!(answer.json()["metadata"]["code"], "oauth_disabled", "{suffix}");
            }
        }
    }

    /// req_046, req_146: the 401 challenge for a missing or invalid bearer names the resource metadata.
    async fn a_challenge_names_the_resource_metadata(setup: Setup) {
        let server = setup.start().await;
        let metadata = "Bearer resource_metadata=\"https://auth.example/.well-known/oauth-protected-resource/api\"";
        let nobody = server.get("/api/oauth/userinfo").await.expect(401);
        assert_eq!(nobody.challenge(), metadata);
        let wrong = server.get_with_bearer("/api/oauth/userinfo", "x").await.expect(401);
        let expected = format!(
            "{metadata}, error=\"invalid_token\", error_description=\"The access token is malformed, expired or revoked\""
        );
        assert_eq!(wrong.challenge(), expected);
    }

    /// storyden-contract.md#identity-as-a-client: the client metadata of this community, also while
    /// OAuth is off.
    async fn the_client_metadata_document_describes_this_community(setup: Setup) {
        let setup = setup
            .with("PUBLIC_API_ADDRESS", "https://auth.example/forum")
            .with("PUBLIC_WEB_ADDRESS", "https://www.example/web/")
            .with("OAUTH_ENABLED", "false");
        let server = setup.start().await;
        let answer = server.get("/.well-known/oauth-client-metadata").await.expect(200);
        assert_eq!(answer.header("cache-control"), "public, max-age=3600");
        assert_eq!(answer.json(), json!({
            "client_id": "https://auth.example/.well-known/oauth-client-metadata",
            "client_name": "www.example",
            "client_uri": "https://www.example/web",
            "grant_types": ["authorization_code", "refresh_token"],
            "redirect_uris": ["https://www.example/oauth/remote/callback"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }));
    }
}
