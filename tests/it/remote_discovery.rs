//! Discovery of the servers that exist: challenges in many forms, metadata at the root of the host, and slashes.

use serde_json::json;

use crate::remote_connections::{
    CONNECTIONS, authorize, begin, create, describe, parameter, refused_for, remote,
};
use crate::support::both;
use crate::support::simulated_internet::{Host, Reply};

/// Removes the metadata at the well-known location, and serves a document at another path.
fn only_at(host: &Host, path: &str, resource: &str) {
    host.reply(
        "/.well-known/oauth-protected-resource/mcp",
        Reply::json("404 x", "", &json!({})),
    );
    let document = json!({
        "resource": resource, "authorization_servers": [host.url("")], "scopes_supported": ["tools"],
    });
    host.reply(path, Reply::json("200 OK", "", &document));
}

/// A challenge with the given parameters.
fn challenge(parameters: &str) -> Reply {
    let header = format!("WWW-Authenticate: {parameters}\r\n");
    Reply::json("401 Unauthorized", &header, &json!({}))
}

both! {
    /// RFC 9110 §11.6.1, RFC 9728 §5.1: parameters of a challenge are found in every form, among other schemes.
    /// <https://github.com/QwenLM/qwen-code/issues/5343>: blanks around `=` and single quotes.
    async fn a_challenge_is_read_in_every_form(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        for (number, form) in [
            "Bearer resource_metadata=\"LOCATION\"",
            "bearer realm=\"a, Basic b\", Resource_Metadata = \"LOCATION\"",
            "Basic realm=\"x\", Bearer error=\"invalid_token\", resource_metadata='LOCATION'",
            "Negotiate\r\nWWW-Authenticate: Bearer scope=\"a\",resource_metadata=LOCATION",
        ]
        .into_iter()
        .enumerate()
        {
            let host = remote(&outside, &format!("tools{number}.example"), &json!({})).await;
            only_at(&host, "/here", &host.url("/mcp"));
            host.reply("/mcp", challenge(&form.replace("LOCATION", &host.url("/here"))));
            create(&server, &thor, &host).await.expect(200);
            assert_eq!(host.asked_at("/here").len(), 1);
        }
    }

    /// <https://github.com/getsentry/sentry-mcp/issues/939>: a challenge with two locations, of which the first
    /// does not exist. <https://github.com/Serviceware/Dibix/issues/128>: a location that is the resource itself;
    /// the well-known location follows.
    async fn a_wrong_location_in_a_challenge_is_passed_over(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "sentry.example", &json!({})).await;
        only_at(&host, "/here", &host.url("/mcp"));
        let twice = format!(
            "Bearer resource_metadata=\"{}\", error=\"invalid_token\", resource_metadata=\"{}\"",
            host.url("/missing"), host.url("/here"),
        );
        host.reply("/mcp", challenge(&twice));
        create(&server, &thor, &host).await.expect(200);
        let host = remote(&outside, "dibix.example", &json!({})).await;
        host.reply("/mcp", challenge(&format!("Bearer resource_metadata=\"{}\"", host.url("/mcp"))));
        create(&server, &thor, &host).await.expect(200);
        let host = remote(&outside, "evil.example", &json!({})).await;
        let elsewhere = "Bearer resource_metadata=\"https://10.0.0.1/x\", resource_metadata=\"file:///etc/passwd\"";
        host.reply("/mcp", challenge(elsewhere));
        create(&server, &thor, &host).await.expect(200);
        assert!(!outside.dialled().iter().any(|address| address.to_string() == "10.0.0.1"));
    }

    /// <https://github.com/ganhammar/hass-mcp-server/pull/71>: a server that answers `GET` with 405 has the
    /// challenge in the answer to `POST`. A resource that answers is not sent a `POST`, and an endless event stream
    /// delays nothing.
    async fn the_challenge_of_a_post_is_found(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "posts.example", &json!({})).await;
        only_at(&host, "/here", &host.url("/mcp"));
        host.reply("/mcp", Reply::json("405 x", "Allow: POST\r\n", &json!({})));
        let form = format!("Bearer scope=\"tools\", resource_metadata=\"{}\"", host.url("/here"));
        host.reply("POST /mcp", challenge(&form));
        let made = create(&server, &thor, &host).await.expect(200);
        assert_eq!(made.text("status"), "pending");
        let asked = host.asked_at("/mcp");
        assert_eq!((asked.len(), asked[1].contains("\"method\":\"ping\"")), (2, true), "{asked:?}");
        let host = remote(&outside, "streams.example", &json!({})).await;
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n".to_vec();
        host.reply("/mcp", Reply::Drip(head));
        create(&server, &thor, &host).await.expect(200);
        assert_eq!(host.asked_at("/mcp").len(), 1);
    }

    /// RFC 9728 §3.1: the document at the root describes the host, so `resource` may be the origin there.
    /// <https://github.com/modelcontextprotocol/python-sdk/issues/1264>,
    /// <https://github.com/modelcontextprotocol/python-sdk/issues/1400>,
    /// <https://github.com/sigbit/mcp-auth-proxy/issues/177>: many servers publish only that document.
    async fn the_metadata_at_the_root_may_describe_the_host(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        for (name, path) in [("one.example", "/"), ("two.example", "")] {
            let host = remote(&outside, name, &json!({})).await;
            only_at(&host, "/.well-known/oauth-protected-resource", &host.url(path));
            let made = create(&server, &thor, &host).await.expect(200);
            assert_eq!((made.text("resource"), made.text("resource_url")), (host.url(path), host.url("/mcp")));
        }
        // A tenant of a shared host cannot name the host as its resource.
        let host = remote(&outside, "shared.example", &json!({})).await;
        only_at(&host, "/tenant/metadata", &host.url("/"));
        host.reply("/mcp", challenge(&format!("Bearer resource_metadata=\"{}\"", host.url("/tenant/metadata"))));
        refused_for(&create(&server, &thor, &host).await, "another resource");
    }

    /// <https://github.com/PrimeIntellect-ai/prime-agent/pull/1591>: a final slash that the server adds or removes is
    /// forgiven, and the server's form is the `resource` of all requests.
    async fn a_final_slash_of_the_resource_is_forgiven(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        only_at(&host, "/.well-known/oauth-protected-resource/mcp", &host.url("/mcp/"));
        assert_eq!(create(&server, &thor, &host).await.expect(200).text("resource"), host.url("/mcp/"));
        only_at(&host, "/.well-known/oauth-protected-resource/mcp", &host.url("/mcp"));
        let body = json!({ "resource_url": host.url("/mcp/") });
        assert_eq!(server.post_as(&thor, CONNECTIONS, &body).await.expect(200).text("resource"), host.url("/mcp"));
    }

    /// req_195: metadata of RFC 8414 that cannot be used are passed over for those of OpenID Connect Discovery.
    async fn the_next_document_is_read_if_the_first_cannot_be_used(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        describe(&host, &json!({ "code_challenge_methods_supported": null }));
        refused_for(&create(&server, &thor, &host).await, "PKCE");
        let openid = json!({
            "issuer": host.url(""), "authorization_endpoint": host.url("/a"), "token_endpoint": host.url("/t"),
            "registration_endpoint": host.url("/register"), "code_challenge_methods_supported": ["S256"],
        });
        host.reply("/.well-known/openid-configuration", Reply::json("200 OK", "", &openid));
        assert_eq!(create(&server, &thor, &host).await.expect(200).text("token_endpoint"), host.url("/t"));
    }

    /// <https://github.com/forcedotcom/mcp-hosted/issues/24>, MCP 2025-03-26: a resource that sends a `Bearer` challenge
    /// and publishes no metadata is protected by its own host; such servers do not know `resource`.
    async fn a_challenging_resource_without_metadata_is_its_own_server(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "old.example", &json!({})).await;
        host.reply("/.well-known/oauth-protected-resource/mcp", Reply::json("404 x", "", &json!({})));
        refused_for(&create(&server, &thor, &host).await, "404");
        host.reply("/mcp", challenge("Bearer error=\"invalid_token\""));
        let made = create(&server, &thor, &host).await.expect(200);
        assert_eq!(made.text("authorization_server"), host.url(""));
        assert_eq!(made.json().get("resource"), None);
        let url = authorize(&server, &thor, &made.text("id")).await;
        assert_eq!(parameter(&url, "resource"), None);
        // Metadata that cannot be used are an error, not an absence.
        let other = json!({ "resource": "https://evil.example/mcp", "authorization_servers": [host.url("")] });
        host.reply("/.well-known/oauth-protected-resource/mcp", Reply::json("200 OK", "", &other));
        refused_for(&create(&server, &thor, &host).await, "another resource");
    }
}
