//! Registrations of clients that exist, and this server as a client, from public reports about other servers and clients.
//! Each test names the report.

use serde_json::json;

use crate::remote_connections::{CONNECTIONS, authorize, begin, parameter, remote};
use crate::support::both;
use crate::support::registration::{client_of, open, register};

const URI: &str = "https://app.example/cb";

both! {
    /// <https://github.com/better-auth/better-auth/pull/11175>: Claude registers with `jwt-bearer` beside the grants of a browser,
    /// and was refused. <https://github.com/InsForge/insforge-mcp/issues/104>: grants that the server does not have were told
    /// to be registered, and failed at the token endpoint. Here with a grant of assertions that this server has not.
    async fn unsupported_grants_are_left_out_and_not_told(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let document = json!({
            "client_name": "Claude", "redirect_uris": [URI], "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token", "password", "urn:ietf:params:oauth:grant-type:saml2-bearer"],
        });
        let answer = register(&server, &document).await.expect(201);
        let told = answer.json();
        assert_eq!(told["grant_types"], json!(["authorization_code", "refresh_token"]));
        assert!(told["warnings"].to_string().contains("password"), "{told}");
        let app = client_of(&answer, URI);
        let tokens = server.tokens(&frigg, &app, &[("scope", "openid offline_access")]).await;
        server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
    }

    /// <https://github.com/sigbit/mcp-auth-proxy/issues/173>: LM Studio validates the response by a schema, and the defaults of
    /// RFC 7591 §2 were `null` or empty. <https://github.com/PrefectHQ/fastmcp/issues/2460>: a client with the grant
    /// `authorization_code` alone was refused.
    async fn defaults_are_in_the_response(setup: Setup) {
        let server = open(setup).await;
        let document = json!({ "client_name": "test", "redirect_uris": ["http://localhost:1234/callback"] });
        let told = register(&server, &document).await.expect(201).json();
        assert_eq!(told["token_endpoint_auth_method"], "client_secret_basic");
        assert!(told["grant_types"].as_array().unwrap().contains(&json!("authorization_code")));
        assert_eq!(told["response_types"], json!(["code"]));
        let is_null = |(name, value): (&String, &serde_json::Value)| value.is_null().then(|| name.clone());
        assert_eq!(told.as_object().unwrap().iter().filter_map(is_null).collect::<Vec<_>>(), Vec::<String>::new());
        let alone = json!({ "redirect_uris": [URI], "grant_types": ["authorization_code"] });
        let told = register(&server, &alone).await.expect(201).json();
        assert_eq!(told["grant_types"], json!(["authorization_code"]));
    }

    /// <https://github.com/element-hq/matrix-authentication-service/issues/3649>: the scheme of a long top-level domain was
    /// refused. <https://github.com/element-hq/matrix-authentication-service/issues/2076>: a logo on the host of the client was
    /// taken for one of another host.
    async fn a_reversed_domain_is_a_scheme_whatever_its_length(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        for uri in ["business.braid.polycule:/", "business.braid.polycule:/oauth", "example.international.app://cb"] {
            let document = json!({
                "client_name": "Polycule", "client_uri": "https://polycule.braid.business/", "redirect_uris": [uri],
                "logo_uri": "https://polycule.braid.business/logo.svg", "application_type": "native",
                "grant_types": ["refresh_token", "authorization_code"], "token_endpoint_auth_method": "none",
            });
            let answer = register(&server, &document).await.expect(201);
            let told = answer.json();
            assert_eq!((&told["redirect_uris"], told.get("warnings")), (&json!([uri]), None), "{told}");
            assert_eq!(told["logo_uri"], "https://polycule.braid.business/logo.svg");
            let request_id = server.pending(&frigg, &client_of(&answer, uri), &[("scope", "openid")]).await;
            let page = server.consent(&frigg, &request_id).await.expect(200).json();
            assert_eq!(page["redirect_uri"], uri);
        }
    }

    /// <https://github.com/element-hq/matrix-authentication-service/issues/3036>: the error for a redirect URI told neither the URI
    /// nor the rule.
    async fn a_refused_redirect_uri_is_named_with_the_rule(setup: Setup) {
        let server = open(setup).await;
        for (uri, rule) in [
            ("http://app.example/cb", "must use https"),
            ("https://app.example/cb#top", "fragment"),
            ("javascript:alert(1)", "scheme that is not allowed"),
            ("/cb", "absolute"),
        ] {
            let document = json!({ "redirect_uris": [uri], "token_endpoint_auth_method": "none" });
            let refused = register(&server, &document).await.expect_error(400, "invalid_redirect_uri");
            let description = refused.text("error_description");
            assert!(description.contains(uri.split('#').next().unwrap()), "{description}");
            assert!(description.contains(rule), "{description}");
        }
    }

    /// <https://github.com/can1357/oh-my-pi/issues/10299>: an authorization endpoint whose query names the server itself as
    /// `resource` took the place of the resource. <https://github.com/modelcontextprotocol/typescript-sdk/pull/1958>: one with
    /// `prompt` made the parameter occur twice (RFC 6749 §3.1).
    async fn parameters_of_an_authorization_endpoint_are_replaced(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let own = "/authorize?resource=https%3A%2F%2Ftools0.example&prompt=select_account&tenant=a%20b&state=theirs";
        let known = json!(["tools", "offline_access"]);
        for (number, (scopes, prompt)) in [(known, "consent"), (json!(["tools"]), "select_account")].into_iter().enumerate() {
            let name = format!("tools{number}.example");
            let host = remote(&outside, &name, &json!({ "scopes_supported": scopes })).await;
            let changes = json!({ "scopes_supported": scopes, "authorization_endpoint": host.url(own) });
            crate::remote_connections::describe(&host, &changes);
            let body = json!({ "resource_url": host.url("/mcp"), "scope": "tools" });
            let id = server.post_as(&thor, CONNECTIONS, &body).await.expect(200).text("id");
            let url = authorize(&server, &thor, &id).await;
            assert_eq!(parameter(&url, "resource"), Some(host.url("/mcp")));
            assert_eq!(parameter(&url, "tenant").as_deref(), Some("a b"));
            assert_eq!(parameter(&url, "prompt").as_deref(), Some(prompt));
            let mut names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
            names.sort();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all, "{url}");
        }
    }
}
