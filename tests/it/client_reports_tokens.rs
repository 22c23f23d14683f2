//! Token requests of clients that exist, from public reports about other servers. Each test names the report.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::Duration;
use url::form_urlencoded::byte_serialize;

use crate::support::race::with;
use crate::support::{Server, both};

const APP: &str = "https://app.example";

/// Sends a preflight of a page of the client.
async fn preflight(
    server: &Server,
    path: &str,
    method: &str,
    headers: &str,
) -> crate::support::Answer {
    let request = server.request("OPTIONS", path).header("origin", APP);
    let request = request.header("access-control-request-method", method);
    server
        .send(request.header("access-control-request-headers", headers))
        .await
}

both! {
    /// <https://github.com/keycloak/keycloak/issues/27878>: a refresh with a scope that lacks `offline_access` was refused.
    /// <https://github.com/keycloak/keycloak/issues/28463>: the new refresh token must keep the scope of the old one (RFC 6749
    /// §6), so that the next refresh without `scope` has all of it.
    async fn a_refresh_may_leave_out_offline_access(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["READ_PROFILE"]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[("scope", "openid offline_access READ_PROFILE")]).await;
        let token = tokens.text("refresh_token");
        let narrow = server.token(&with(&app.refresh_form(&token), "scope", "READ_PROFILE")).await.expect(200);
        assert_eq!(narrow.scope(), ["READ_PROFILE"]);
        let whole = server.refresh(&app, &narrow.text("refresh_token")).await.expect(200);
        assert_eq!(whole.scope(), ["READ_PROFILE", "offline_access", "openid"]);
    }

    /// <https://github.com/Abblix/Oidc.Server/issues/281>: the first poll, right after the start, was answered `slow_down`.
    /// <https://github.com/H2CK/oidc/pull/716>: a client that polls at a fixed pace, early once by the jitter of the network,
    /// never got out of `slow_down`. Here the interval of the answer is enough, and the approval arrives.
    async fn a_device_at_a_fixed_pace_gets_its_tokens(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let started = server.start_device(&app, "openid").await.expect(200);
        let code = started.text("device_code");
        let interval = started.json()["interval"].as_i64().unwrap();
        server.poll(&app, &code).await.expect_error(400, "authorization_pending");
        for jitter in [-400, 300, -200, 0, 400] {
            server.turn(Duration::seconds(interval) + Duration::milliseconds(jitter));
            server.poll(&app, &code).await.expect_error(400, "authorization_pending");
        }
        server.turn(Duration::seconds(1));
        server.poll(&app, &code).await.expect_error(400, "slow_down");
        let user_code = started.text("user_code");
        server.open_device(&frigg, &user_code).await.expect(200);
        server.decide_device(&frigg, &user_code, "approve").await.expect(200);
        let mut tries = 0;
        while server.poll(&app, &code).await.status != 200 {
            server.turn(Duration::seconds(interval + 5)); // RFC 8628 §3.5
            tries += 1;
            assert!(tries < 3);
        }
    }

    /// <https://github.com/openid/AppAuth-iOS/issues/233>, <https://github.com/panva/openid-client/issues/134>,
    /// <https://github.com/panva/node-oidc-provider/issues/302>,
    /// <https://github.com/DuendeArchive/IdentityServer4/issues/2086>: half of the libraries encode id and secret of a Basic header
    /// (RFC 6749 §2.3.1), half do not. Ids and secrets of this server are the same in both.
    async fn issued_credentials_are_the_same_encoded_or_not(setup: Setup) {
        let server = setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true").start().await;
        let odin = server.admin("odin").await;
        let created = serde_json::json!({
            "name": "Mine", "type": "confidential", "redirect_uris": ["https://app.example/cb"],
            "allowed_grants": ["authorization_code", "refresh_token"], "allowed_scopes": ["openid"],
        });
        let own = server.post_as(&odin, "/api/auth/oauth/clients", &created).await.expect(200).json();
        let registered = crate::support::registration::register(
            &server,
            &serde_json::json!({ "redirect_uris": ["https://app.example/cb"] }),
        );
        let registered = registered.await.expect(201).json();
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        for (id, secret) in [
            (&own["client"]["client_id"], &own["client_secret"]),
            (&registered["client_id"], &registered["client_secret"]),
        ] {
            let (id, secret) = (id.as_str().unwrap(), secret.as_str().unwrap());
            for pair in [format!("{id}:{secret}"), format!("{}:{}", encoded(id), encoded(secret))] {
                let header = format!("Basic {}", STANDARD.encode(pair));
                let request = server.request("POST", "/api/oauth/token").header("authorization", header);
                let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
                let answer = server.send(request.form(&form)).await.expect(400);
                assert_ne!(answer.text("error"), "invalid_client", "{id}");
            }
        }
    }

    /// <https://github.com/navikt/mock-oauth2-server/issues/964>: the browser hid the error of a revocation, because errors had
    /// no CORS headers. <https://github.com/IdentityServer/IdentityServer3/issues/1979>: the preflight of the revocation was
    /// 405, where those of other endpoints were not.
    async fn a_page_reads_errors_too(setup: Setup) {
        let server = setup.start().await;
        server.public_client().await;
        for (path, form) in [
            ("/api/oauth/revoke", [("token_type_hint", "x"), ("client_id", "nobody")]),
            ("/api/oauth/token", [("grant_type", "password"), ("client_id", "app")]),
            ("/api/oauth/device_authorization", [("client_id", "app"), ("scope", "nonsense")]),
            ("/api/oauth/par", [("client_id", "app"), ("response_type", "token")]),
        ] {
            let answer = preflight(&server, path, "POST", "content-type").await;
            assert!([200, 204].contains(&answer.status), "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
            let request = server.request("POST", path).header("origin", APP);
            let refused = server.send(request.form(&form)).await;
            assert!((400..500).contains(&refused.status), "{path}: {}", refused.body);
            assert_eq!(refused.header("access-control-allow-origin"), "*", "{path}");
        }
    }

    /// <https://github.com/open-metadata/OpenMetadata/issues/30673>,
    /// <https://github.com/modelcontextprotocol/typescript-sdk/issues/715>: MCP clients in a browser send headers of their own
    /// with discovery, and asked before; the list of allowed headers was fixed.
    async fn discovery_allows_headers_of_mcp(setup: Setup) {
        let server = setup.with("MCP_ENABLED", "true").start().await;
        let headers = "mcp-protocol-version,mcp-method,mcp-name,authorization";
        for path in [
            "/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration",
        ] {
            let answer = preflight(&server, path, "GET", headers).await;
            assert!([200, 204].contains(&answer.status), "{path}");
            let allowed = answer.header("access-control-allow-headers").to_ascii_lowercase();
            assert!(headers.split(',').all(|header| allowed.contains(header)), "{path}: {allowed}");
        }
    }

    /// <https://github.com/vercel/ai/pull/14001>, <https://github.com/PrefectHQ/fastmcp/issues/1431>: JavaScript's `URL` and
    /// Python's `AnyHttpUrl` add a slash to an address without a path, and the server compared `resource` exactly.
    async fn a_resource_without_a_path_may_have_a_slash(setup: Setup) {
        let server = setup.with("OAUTH_RESOURCES", "https://mcp.example.com").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for resource in ["https://mcp.example.com/", "https://mcp.example.com"] {
            let asked = [("resource", resource), ("scope", "openid offline_access")];
            let tokens = server.tokens(&frigg, &app, &asked).await;
            assert_eq!(tokens.claims("access_token")["aud"], "https://mcp.example.com");
            let token = tokens.text("refresh_token");
            let next = server.token(&with(&app.refresh_form(&token), "resource", resource)).await.expect(200);
            assert_eq!(next.claims("access_token")["aud"], "https://mcp.example.com");
        }
    }

    /// <https://github.com/anthropics/claude-code/issues/84614>, <https://github.com/supabase/mcp/issues/355>: after a
    /// registration was deleted, the browser showed raw JSON that told a person nothing.
    async fn a_person_reads_that_the_application_is_unknown(setup: Setup) {
        let server = setup.start().await;
        let query = "/api/oauth/authorize?response_type=code&client_id=deleted&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2Fcb";
        let page = server.send(server.request("GET", query).header("accept", "text/html,*/*;q=0.8")).await.expect(400);
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(page.body.contains("This application cannot sign you in"));
        server.get(query).await.expect_error(400, "invalid_client");
    }
}
