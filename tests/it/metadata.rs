//! Server metadata (RFC 8414, OpenID Connect Discovery), resource metadata (RFC 9728) and the key set
//! (RFC 7517), also while OAuth is off (storyden-contract.md#while-oauth-is-off).

use serde_json::{Value, json};

use crate::support::{Answer, Server, both};

/// The OpenID Connect discovery document.
const OPENID: &str = "/.well-known/openid-configuration";
/// The RFC 8414 metadata document.
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// Fetches a document that is cacheable for an hour; the key set, for five minutes.
async fn document(server: &Server, path: &str) -> Value {
    let answer = server.get(path).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    let seconds = if path.ends_with("/jwks") { 300 } else { 3_600 };
    let cached = format!("public, max-age={seconds}");
    assert_eq!(answer.header("cache-control"), cached);
    answer.json()
}

/// Expects the error that OAuth is off.
#[track_caller]
fn is_off(answer: Answer) {
    let answer = answer.expect(404);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!(problem["type"], "urn:storyden:problem:not-found");
    assert_eq!(
        problem["title"],
        "OAuth and OpenID Connect are not enabled on this Storyden instance."
    );
    assert_eq!(problem["metadata"]["code"], "oauth_disabled");
    assert_eq!(
        problem["metadata"]["suggested"],
        "Ask the instance administrator to configure OAuth before using OAuth clients."
    );
}

both! {
    /// req_075, req_078, req_079, req_092, req_106, req_182, req_183, req_184, req_189, req_191,
    /// req_176: the OpenID Connect document has exactly these members and values.
    #[expect(clippy::too_many_lines, reason = "one document")]
    async fn the_openid_document_has_every_member(setup: Setup) {
        let server = setup.start().await;
        let mut openid = document(&server, OPENID).await;
        let scopes = openid["scopes_supported"].take();
        assert_eq!(scopes.as_array().unwrap().len(), 38);
        assert_eq!(scopes[0], "openid");
        assert_eq!(scopes[37], "ADMINISTRATOR");
        insta::allow_duplicates! {
            insta::assert_json_snapshot!(openid, @r#"
            {
              "acr_values_supported": [
                "urn:storyden:acr:password"
              ],
              "authorization_endpoint": "https://auth.example/api/oauth/authorize",
              "authorization_response_iss_parameter_supported": true,
              "claims_parameter_supported": true,
              "claims_supported": [
                "iss",
                "sub",
                "aud",
                "exp",
                "iat",
                "auth_time",
                "acr",
                "at_hash",
                "nonce",
                "name",
                "preferred_username",
                "profile",
                "picture",
                "updated_at",
                "email",
                "email_verified"
              ],
              "client_id_metadata_document_supported": true,
              "code_challenge_methods_supported": [
                "S256"
              ],
              "device_authorization_endpoint": "https://auth.example/api/oauth/device_authorization",
              "dpop_signing_alg_values_supported": [
                "ES256",
                "RS256",
                "PS256",
                "EdDSA",
                "Ed25519"
              ],
              "end_session_endpoint": "https://auth.example/api/oauth/end_session",
              "grant_types_supported": [
                "authorization_code",
                "refresh_token",
                "client_credentials",
                "urn:ietf:params:oauth:grant-type:device_code"
              ],
              "id_token_signing_alg_values_supported": [
                "RS256"
              ],
              "introspection_endpoint": "https://auth.example/api/oauth/introspect",
              "introspection_endpoint_auth_methods_supported": [
                "client_secret_basic",
                "client_secret_post",
                "private_key_jwt"
              ],
              "issuer": "https://auth.example",
              "jwks_uri": "https://auth.example/api/oauth/jwks",
              "pushed_authorization_request_endpoint": "https://auth.example/api/oauth/par",
              "request_object_signing_alg_values_supported": [
                "RS256",
                "PS256",
                "ES256",
                "EdDSA"
              ],
              "request_parameter_supported": true,
              "request_uri_parameter_supported": false,
              "require_pushed_authorization_requests": false,
              "response_modes_supported": [
                "query",
                "form_post"
              ],
              "response_types_supported": [
                "code"
              ],
              "revocation_endpoint": "https://auth.example/api/oauth/revoke",
              "revocation_endpoint_auth_methods_supported": [
                "none",
                "client_secret_basic",
                "client_secret_post",
                "private_key_jwt"
              ],
              "scopes_supported": null,
              "subject_types_supported": [
                "public"
              ],
              "token_endpoint": "https://auth.example/api/oauth/token",
              "token_endpoint_auth_methods_supported": [
                "none",
                "client_secret_basic",
                "client_secret_post",
                "private_key_jwt"
              ],
              "token_endpoint_auth_signing_alg_values_supported": [
                "RS256",
                "RS384",
                "RS512",
                "PS256",
                "PS384",
                "PS512",
                "ES256",
                "ES384",
                "EdDSA"
              ],
              "userinfo_endpoint": "https://auth.example/api/oauth/userinfo",
              "userinfo_signing_alg_values_supported": [
                "RS256"
              ]
            }
            "#);
        }
    }

    /// req_075, req_077, req_092, req_106, req_111, req_188: the OAuth document equals the OpenID
    /// document without the members specific to OpenID Connect.
    async fn the_oauth_document_is_the_same_without_openid(setup: Setup) {
        let server = setup.start().await;
        let mut openid = document(&server, OPENID).await;
        let oauth = document(&server, OAUTH).await;
        for member in [
            "userinfo_endpoint",
            "end_session_endpoint",
            "subject_types_supported",
            "id_token_signing_alg_values_supported",
            "userinfo_signing_alg_values_supported",
            "acr_values_supported",
            "claims_supported",
        ] {
            assert!(openid.as_object_mut().unwrap().remove(member).is_some(), "{member}");
        }
        assert_eq!(oauth, openid);
        let empty = oauth.as_object().unwrap().values().any(|value| *value == json!([]));
        assert!(!empty, "{oauth}");
    }

    /// req_079, storyden-contract.md#metadata-documents: in the profile `storyden` the documents name
    /// Storyden's endpoints only; further endpoints are served all the same.
    async fn the_storyden_profile_lists_storydens_endpoints_only(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        for path in [OPENID, OAUTH] {
            let document = document(&server, path).await;
            let members = document.as_object().unwrap().keys();
            let ours = ["revocation", "introspection", "end_session", "registration"];
            assert_eq!(members.filter(|name| ours.iter().any(|one| name.starts_with(one))).count(), 0);
            // RFC 9207 §3: without `iss` in responses, the metadata must not promise `iss`.
            assert_eq!(document.get("authorization_response_iss_parameter_supported"), None);
        }
        for path in ["/api/oauth/revoke", "/api/oauth/introspect", "/api/oauth/end_session"] {
            let answer = server.post_form(path, &[("token", "x"), ("client_id", "nobody")]).await;
            assert!(matches!(answer.status, 303 | 400 | 401), "{path}: {answer:?}");
        }
    }

    /// req_079: every endpoint in the document exists.
    async fn every_endpoint_of_the_document_exists(setup: Setup) {
        let setup = setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true");
        let server = setup.start_with_own_issuer().await;
        let openid = document(&server, OPENID).await;
        assert_eq!(openid["issuer"], server.address);
        let endpoints = openid.as_object().unwrap().iter();
        let endpoints = endpoints.filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri");
        for (name, url) in endpoints {
            let path = url.as_str().unwrap().strip_prefix(&server.address).unwrap();
            let answer = server.send(server.request("GET", path)).await;
            assert_ne!(answer.status, 404, "{name} {url}");
        }
    }

    /// req_078: the issuer has no trailing slash and equals `iss` byte for byte.
    async fn the_issuer_equals_the_iss_of_tokens(setup: Setup) {
        for address in ["https://auth.example", "https://auth.example/"] {
            let server = setup.clone().with("PUBLIC_API_ADDRESS", address).start().await;
            assert_eq!(document(&server, OPENID).await["issuer"], "https://auth.example");
            assert_eq!(document(&server, OAUTH).await["issuer"], "https://auth.example");
        }
        let server = setup.with("PUBLIC_API_ADDRESS", "https://auth.example/").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        assert_eq!(tokens.claims("access_token")["iss"], "https://auth.example");
        assert_eq!(tokens.claims("id_token")["iss"], "https://auth.example");
    }

    /// req_076, req_183, req_193: with a path in the issuer, the documents are at every location of the
    /// specifications, and name existing endpoints.
    async fn an_issuer_with_a_path_has_its_documents_everywhere(setup: Setup) {
        for (address, issuer) in [
            ("https://auth.example/forum", "https://auth.example/forum"),
            ("https://auth.example/a/b/", "https://auth.example/a/b"),
        ] {
            let server = setup.clone().with("PUBLIC_API_ADDRESS", address).start().await;
            let path = issuer.strip_prefix("https://auth.example").unwrap();
            for place in [OPENID.to_owned(), format!("{OPENID}{path}"), format!("{path}{OPENID}")] {
                let openid = document(&server, &place).await;
                assert_eq!(openid["issuer"], issuer, "{place}");
                assert_eq!(openid["jwks_uri"], format!("{issuer}/api/oauth/jwks"));
            }
            for place in [OAUTH.to_owned(), format!("{OAUTH}{path}")] {
                assert_eq!(document(&server, &place).await["issuer"], issuer, "{place}");
            }
            document(&server, &format!("{path}/api/oauth/jwks")).await;
            server.post_form(&format!("{path}/api/oauth/token"), &[]).await.expect(400);
            for place in [format!("{OAUTH}/other"), format!("{OPENID}{path}/x")] {
                server.get(&place).await.expect(404);
            }
            let app = server.send(server.request("GET", &format!("{path}/api/oauth/userinfo"))).await;
            let expected = format!(
                "Bearer resource_metadata=\"{issuer}/.well-known/oauth-protected-resource/api\""
            );
            assert_eq!(app.expect(401).challenge(), expected);
        }
    }

    /// req_076: documents of other issuers are 404.
    async fn documents_of_other_issuers_are_not_found(setup: Setup) {
        let server = setup.start().await;
        for path in [format!("{OPENID}/forum"), format!("{OAUTH}/forum"), format!("{OAUTH}//"), format!("{OPENID}//")] {
            server.get(&path).await.expect(404);
        }
    }

    /// req_178, A-85: the key set has only public members, with the `kid` of tokens, and is cacheable.
    async fn the_key_set_has_only_public_members(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let keys = document(&server, "/api/oauth/jwks").await;
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
        let key = &keys["keys"][0];
        let members: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
        assert_eq!((&key["alg"], &key["kty"], &key["use"]), (&json!("RS256"), &json!("RSA"), &json!("sig")));
        assert_eq!(key["e"], "AQAB");
        assert!(key["n"].as_str().unwrap().len() >= 342, "2048 bit");
        let tokens = server.tokens(&frigg, &app, &[]).await;
        for token in ["access_token", "id_token"] {
            assert_eq!(tokens.jwt_header(token)["kid"], key["kid"]);
        }
    }

    /// req_145: a resource document names the resource and the authorization server.
    async fn the_resource_documents_name_their_resource(setup: Setup) {
        let server = setup.start().await;
        let whole = document(&server, "/.well-known/oauth-protected-resource").await;
        assert_eq!(whole, json!({
            "resource": "https://auth.example",
            "authorization_servers": ["https://auth.example"],
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": ["ES256", "RS256", "PS256", "EdDSA", "Ed25519"],
        }));
        let mut api = document(&server, "/.well-known/oauth-protected-resource/api").await;
        assert_eq!(api["scopes_supported"].take().as_array().unwrap().len(), 38);
        assert_eq!(api["resource"], "https://auth.example/api");
        assert_eq!(api["authorization_servers"], json!(["https://auth.example"]));
        server.get("/.well-known/oauth-protected-resource/other").await.expect(404);
    }

    /// A-70: `Host` and forwarding headers do not change a document.
    async fn the_request_does_not_change_the_documents(setup: Setup) {
        let server = setup.start().await;
        for path in [OPENID, OAUTH] {
            let plain = server.get(path).await.expect(200);
            let request = server.request("GET", path)
                .header("host", "evil.example")
                .header("x-forwarded-host", "evil.example")
                .header("x-forwarded-proto", "http")
                .header("forwarded", "host=evil.example;proto=http");
            assert_eq!(server.send(request).await.expect(200).body, plain.body);
        }
    }

    /// A-108: while OAuth is off the documents are 404 with the code `oauth_disabled` and advice, not
    /// cacheable.
    async fn while_oauth_is_off_documents_are_not_found(setup: Setup) {
        let server = setup.with("OAUTH_ENABLED", "false").start().await;
        for path in [
            OPENID,
            OAUTH,
            "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-protected-resource/api",
            "/api/oauth/jwks",
        ] {
            let answer = server.get(path).await;
            assert_eq!(answer.find_header("cache-control"), None, "{path}");
            is_off(answer);
        }
    }

    /// A-85: a client that has a document already gets no second copy (RFC 9110 §13.1.2). The profile of a
    /// Storyden has no entity tags.
    async fn a_known_document_is_not_sent_again(setup: Setup) {
        let server = setup.clone().start().await;
        for path in [OPENID, OAUTH, "/.well-known/oauth-protected-resource", "/api/openapi.json", "/api/oauth/jwks"] {
            let first = server.get(path).await.expect(200);
            let tag = first.header("etag").to_owned();
            let known = format!("\"other\", {tag}");
            let again = server.request("GET", path).header("if-none-match", &known);
            let again = server.send(again).await.expect(304);
            assert_eq!((again.body.as_str(), again.header("etag")), ("", tag.as_str()), "{path}");
            assert_eq!(again.header("cache-control"), first.header("cache-control"));
            assert_eq!(again.header("access-control-allow-origin"), "*");
            assert_eq!(again.find_header("content-type"), None);
            let other = server.request("GET", path).header("if-none-match", "\"other\"");
            assert_eq!(server.send(other).await.expect(200).body, first.body);
        }
        let private = server.request("GET", "/api/oauth/userinfo").header("if-none-match", "*");
        server.send(private).await.expect(401);
        let storyden = setup.with("OAUTH_PROFILE", "storyden").start().await;
        for path in [OPENID, "/.well-known/oauth-protected-resource"] {
            assert_eq!(storyden.get(path).await.expect(200).find_header("etag"), None, "{path}");
        }
    }

    /// A-108: while OAuth is off no flow starts, no decision counts, no token is issued, and no answer
    /// redirects to the client.
    async fn while_oauth_is_off_nothing_is_issued(setup: Setup) {
        let on = setup.start().await;
        let frigg = on.member("frigg", &[]).await;
        let app = on.public_client().await;
        let request_id = on.pending(&frigg, &app, &[]).await;
        let tokens = on.tokens(&frigg, &app, &[]).await;
        let server = setup.clone().with("OAUTH_ENABLED", "false").start().await;
        let off = "temporarily_unavailable";
        for person in [Some(&frigg), None] {
            let answer = server.authorize(person, &app, &[]).await.expect_error(400, off);
            assert_eq!(answer.find_header("location"), None);
            assert_eq!(answer.text("error_description"), "OAuth is not enabled on this instance");
        }
        server.start_device(&app, "openid").await.expect_error(400, off);
        server.consent(&frigg, &request_id).await.expect_error(400, off);
        for decision in ["approve", "deny"] {
            server.decide(&frigg, &request_id, decision).await.expect_error(400, off);
            let body = json!({ "user_code": "ABCD-EFGH", "decision": decision });
            server.post_as(&frigg, "/api/oauth/device/consent", &body).await.expect_error(400, off);
        }
        let path = "/api/oauth/device/consent?user_code=ABCD-EFGH";
        server.get_as(&frigg, path).await.expect_error(400, off);
        // storyden-contract.md#while-oauth-is-off: only the token endpoint answers `invalid_request`.
        let refused = server.refresh(&app, &tokens.text("refresh_token")).await;
        refused.expect_error(400, "invalid_request");
        let access_token = tokens.text("access_token");
        server.get_with_bearer("/api/oauth/userinfo", &access_token).await.expect(401);
        server.get("/api/oauth/userinfo").await.expect(401);
        // After OAuth is on again, pending requests and refresh tokens continue.
        on.decide(&frigg, &request_id, "approve").await.expect(200);
        on.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
    }
}
