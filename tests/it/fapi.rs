//! Clients that are held to the FAPI 2.0 Security Profile (final): each demand of §5.3.2 and §5.4, in the order of the
//! modules of the OpenID Foundation's test plan.

use serde_json::{Value, json};
use storyden_auth::oauth::signing_algorithm::SigningAlgorithm;
use time::Duration;

use crate::support::dpop::{ProofKey, USERINFO};
use crate::support::fapi::{FapiClient, PAR, exchange_form, with_algorithms};
use crate::support::{ClientKey, both, refused};

/// The algorithms that the profile permits.
const PERMITTED: [&str; 4] = ["PS256", "ES256", "EdDSA", "Ed25519"];

both! {
    /// FAPI 2.0 §5.3.2: the flow of such a client: a pushed request, `iss` in the response, tokens that are bound to
    /// a key and signed with a permitted algorithm, and access with a proof.
    async fn a_client_gets_bound_tokens(setup: Setup) {
        let server = with_algorithms(setup).start().await;
        let odin = server.admin("odin").await;
        let app = FapiClient::create(&server, &odin, "bank").await;
        let key = ProofKey::new();
        let nonce = "n".repeat(64);
        let approved = app.approved(&server, &odin, &[("nonce", &nonce)], None).await;
        assert_eq!(approved.sent("iss").as_deref(), Some("https://auth.example"));
        assert_eq!(approved.sent("state").as_deref(), Some("st"));
        let tokens = app.exchange(&server, &approved.sent("code").unwrap(), &key).await.expect(200);
        assert_eq!(tokens.text("token_type"), "DPoP");
        assert_eq!(tokens.claims("access_token")["cnf"]["jkt"], key.thumbprint());
        assert_eq!(tokens.claims("id_token")["nonce"], nonce);
        // §5.4.1: the first permitted algorithm, although RS256 is the server's first
        assert_eq!(tokens.jwt_header("id_token")["alg"], "ES256");
        assert_eq!(tokens.jwt_header("access_token")["alg"], "ES256");
        server.userinfo_with_key(&tokens.text("access_token"), &key).await.expect(200);
        let own = [("grant_type", "client_credentials"), ("scope", "READ_PROFILE")];
        let own = app.token(&server, &own, Some(&key.token_proof(&server))).await.expect(200);
        assert_eq!(own.jwt_header("access_token")["alg"], "ES256");
    }

    /// FAPI 2.0 §5.3.2.2: requests are pushed, have `redirect_uri`, `response_type=code` and PKCE with S256, without
    /// exception.
    async fn authorization_requests_are_pushed_and_complete(setup: Setup) {
        let server = with_algorithms(setup).start().await;
        let odin = server.admin("odin").await;
        let app = FapiClient::create(&server, &odin, "bank").await;
        refused(server.authorize(Some(&odin), &app.client, &[]).await, "invalid_request");
        for (changed, error) in [
            (&[("redirect_uri", "")][..], "invalid_request"),
            (&[("redirect_uri", "https://other.example/cb")], "invalid_request"),
            (&[("code_challenge", ""), ("code_challenge_method", "")], "invalid_request"),
            (&[("code_challenge_method", "plain")], "invalid_request"),
            (&[("code_challenge_method", "")], "invalid_request"),
            (&[("response_type", "token")], "unsupported_response_type"),
            (&[("response_type", "code id_token")], "unsupported_response_type"),
            (&[("request_uri", "urn:example:bad")], "invalid_request"),
        ] {
            app.push(&server, changed, None).await.expect_error(400, error);
        }
        server.send(server.request("PUT", PAR)).await.expect(405);
        let pushed = app.push(&server, &[], None).await.expect(201);
        assert!(pushed.json()["expires_in"].as_i64().unwrap() < 600);
    }

    /// FAPI 2.0 §5.3.2.1 item 8: the audience of a client assertion is the issuer as a string, at both endpoints.
    /// Another audience could be used at another server.
    async fn assertions_are_for_the_issuer_alone(setup: Setup) {
        let server = with_algorithms(setup).start().await;
        let odin = server.admin("odin").await;
        let app = FapiClient::create(&server, &odin, "bank").await;
        let request = app.client.authorization_request(&[]);
        let own = [("grant_type", "client_credentials")];
        let key = ProofKey::new();
        for aud in [
            json!("https://auth.example/"),
            json!("https://auth.example/api/oauth/token"),
            json!("https://auth.example/api/oauth/par"),
            json!(["https://auth.example"]),
            json!(["https://auth.example", "https://other.example"]),
            json!("https://other.example"),
        ] {
            for (path, form) in [(PAR, &request[..]), ("/api/oauth/token", &own[..])] {
                let mut claims = app.claims(&server);
                claims["aud"] = aud.clone();
                let assertion = app.key.sign_as(Some("JWT"), &claims);
                let form = app.with_assertion(form, &assertion);
                let sent = server.request("POST", path).header("DPoP", key.token_proof(&server));
                let answer = server.send(sent.form(&form)).await.expect_error(400, "invalid_client");
                assert!(answer.text("error_description").contains("issuer"), "{}", answer.body);
            }
        }
        app.push(&server, &[], None).await.expect(201);
    }

    /// FAPI 2.0 §5.3.2.1 item 13, §5.3.2.1 item 6: times within ten seconds of the future are accepted, more than a
    /// minute are not; `sub` is needed; a secret does not authenticate.
    async fn clients_authenticate_by_assertion(setup: Setup) {
        let server = with_algorithms(setup).start().await;
        let odin = server.admin("odin").await;
        let app = FapiClient::create(&server, &odin, "bank").await;
        let now = server.clock.now().unix_seconds();
        let request = app.client.authorization_request(&[]);
        for (changes, accepted) in [
            (json!({ "iat": now + 8, "nbf": now + 8, "exp": now + 68 }), true),
            (json!({ "iat": now + 61, "nbf": now + 61, "exp": now + 121 }), false),
            (json!({ "exp": now - 300 }), false),
            (json!({ "sub": null }), false),
        ] {
            let mut claims = app.claims(&server);
            for (name, value) in changes.as_object().unwrap() {
                claims[name] = value.clone();
            }
            let form = app.with_assertion(&request, &app.key.sign_as(Some("JWT"), &claims));
            let answer = server.send(server.request("POST", PAR).form(&form)).await;
            if accepted {
                answer.expect(201);
            } else {
                answer.expect_error(400, "invalid_client");
            }
        }
        let mut form = request.clone();
        form.push(("client_secret", "x"));
        server.post_form(PAR, &form).await.expect_error(400, "invalid_client");
        server.post_form(PAR, &request).await.expect_error(400, "invalid_client");
    }

    /// FAPI 2.0 §5.4.1: an RSA key signs assertions, request objects and proofs with PS256, not with RS256.
    async fn rs256_is_refused(setup: Setup) {
        let server = with_algorithms(setup).start().await;
        let odin = server.admin("odin").await;
        let mut app = FapiClient::create(&server, &odin, "bank").await;
        let code = app.code(&server, &odin).await;
        let weak = ClientKey::new(SigningAlgorithm::Rs256);
        // the same client with a key whose alg is not named, so that only the header tells
        let path = format!("/api/admin/oauth/clients/{}", app.client.row_id);
        let bare = |key: &ClientKey| {
            let mut jwk = key.jwk.clone();
            jwk.as_object_mut().unwrap().remove("alg");
            jwk
        };
        let jwks = json!({ "jwks": { "keys": [bare(&app.key), bare(&weak)] } });
        server.call_as(&odin, ("PATCH", &path), Some(&jwks)).await.expect(200);
        let strong = std::mem::replace(&mut app.key, weak);
        let answer = app.push(&server, &[], None).await.expect_error(400, "invalid_client");
        assert!(answer.text("error_description").contains("PS256"), "{}", answer.body);
        let mut claims = app.client.request_object(&server);
        claims["nbf"] = json!(server.clock.now().unix_seconds());
        let object = app.key.sign(&claims);
        app.key = strong;
        let form = app.authenticated(&server, &[("request", &object)]);
        let sent = server.send(server.request("POST", PAR).form(&form)).await;
        sent.expect_error(400, "invalid_request_object");
        let object = app.key.sign(&claims);
        let form = app.authenticated(&server, &[("request", &object)]);
        server.send(server.request("POST", PAR).form(&form)).await.expect(201);

        let rsa = ProofKey::of("RS256");
        let proof = rsa.proof(&server, "POST", PAR).sign();
        app.push(&server, &[], Some(&proof)).await.expect_error(400, "invalid_dpop_proof");
        app.exchange(&server, &code, &rsa).await.expect_error(400, "invalid_dpop_proof");
        let tokens = app.exchange(&server, &code, &ProofKey::of("PS256")).await.expect(200);
        assert_eq!(tokens.text("token_type"), "DPoP");
        for algorithm in PERMITTED {
            let key = ProofKey::of(algorithm);
            app.refresh(&server, &tokens.text("refresh_token"), &key).await.expect(200);
        }
    }

    /// FAPI 2.0 §5.4.1: at a resource too, an RSA key that signed a proof with PS256 cannot go on with RS256.
    async fn rs256_is_refused_at_resources(setup: Setup) {
        let server = with_algorithms(setup).start().await;
        let odin = server.admin("odin").await;
        let app = FapiClient::create(&server, &odin, "bank").await;
        let plain = server.public_client().await;
        let key = ProofKey::of("PS256");
        let code = app.code(&server, &odin).await;
        let token = app.exchange(&server, &code, &key).await.expect(200).text("access_token");
        let weak = key.with_alg("RS256");
        server.userinfo_with_key(&token, &weak).await.expect_dpop_error("invalid_dpop_proof");
        let api = ("GET", "/api/admin/oauth/clients");
        server.call_with_key(api, &token, &weak).await.expect_dpop_error("invalid_dpop_proof");
        server.userinfo_with_key(&token, &key).await.expect(200);
        // other clients may use RS256
        let code = server.code(&odin, &plain, &[]).await;
        let token = server.exchange_with_key(&plain, &code, &weak).await.expect(200).text("access_token");
        server.userinfo_with_key(&token, &weak).await.expect(200);
    }

    /// FAPI 2.0 §5.3.2.1 item 5: no token without a proof, for every grant; the code and the refresh token are not
    /// consumed.
    async fn every_token_request_needs_a_proof(setup: Setup) {
        let server = with_algorithms(setup).start().await;
        let odin = server.admin("odin").await;
        let app = FapiClient::create(&server, &odin, "bank").await;
        let key = ProofKey::new();
        let code = app.code(&server, &odin).await;
        app.token(&server, &exchange_form(&code), None).await.expect_error(400, "invalid_dpop_proof");
        let tokens = app.exchange(&server, &code, &key).await.expect(200);
        let own = [("grant_type", "client_credentials")];
        app.token(&server, &own, None).await.expect_error(400, "invalid_dpop_proof");
        let token = tokens.text("refresh_token");
        let form = [("grant_type", "refresh_token"), ("refresh_token", &token)];
        app.token(&server, &form, None).await.expect_error(400, "invalid_dpop_proof");
        server.token(&form).await.expect(400);
        app.refresh(&server, &token, &key).await.expect(200);
        server.get_with_bearer(USERINFO, &tokens.text("access_token")).await.expect(401);
    }

    /// FAPI 2.0 §5.3.2.1 item 9: the refresh token stays the same, also with another key of the client, and its
    /// expiry moves on. It belongs to its client, and ends with the grant.
    async fn refresh_tokens_are_not_rotated(setup: Setup) {
        let setup = with_algorithms(setup).with("OAUTH_REFRESH_TOKEN_TTL", "240h");
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let app = FapiClient::create(&server, &odin, "bank").await;
        let other = FapiClient::create(&server, &odin, "other").await;
        let code = app.code(&server, &odin).await;
        let token = app.exchange(&server, &code, &ProofKey::new()).await.expect(200).text("refresh_token");
        for _ in 0..3 {
            server.turn(Duration::days(9));
            let refreshed = app.refresh(&server, &token, &ProofKey::new()).await.expect(200);
            assert_eq!(refreshed.text("refresh_token"), token);
        }
        other.refresh(&server, &token, &ProofKey::new()).await.expect_error(400, "invalid_grant");
        let key = ProofKey::new();
        let proof = key.token_proof(&server);
        let form = [("grant_type", "refresh_token"), ("refresh_token", &token)];
        app.token(&server, &form, Some(&proof)).await.expect(200);
        app.token(&server, &form, Some(&proof)).await.expect_error(400, "invalid_dpop_proof");
        let stored = "SELECT COUNT(*) AS n FROM oauth_refresh_tokens";
        assert_eq!(server.count(stored, &[]).await, 1);
        let revoked = app.authenticated(&server, &[("token", &token)]);
        server.send(server.request("POST", "/api/oauth/revoke").form(&revoked)).await.expect(200);
        app.refresh(&server, &token, &key).await.expect_error(400, "invalid_grant");
        server.turn(Duration::days(10));
        app.refresh(&server, &token, &key).await.expect_error(400, "invalid_grant");
    }

    /// FAPI 2.0 §5.3.2.1 item 11, §5.3.2.2 item 9: a code lives for a minute, whatever the setting, and belongs to its
    /// client. A second use is refused and revokes the tokens at once: a copy of a request has a used proof.
    async fn a_code_lives_for_a_minute_and_works_once(setup: Setup) {
        let server = with_algorithms(setup).with("OAUTH_AUTHORISATION_CODE_TTL", "5m").start().await;
        let odin = server.admin("odin").await;
        let app = FapiClient::create(&server, &odin, "bank").await;
        let other = FapiClient::create(&server, &odin, "other").await;
        let key = ProofKey::new();
        let code = app.code(&server, &odin).await;
        other.exchange(&server, &code, &key).await.expect_error(400, "invalid_grant");
        // A missing code verifier is `invalid_grant` for the suite of FAPI 2.0.
        let without_verifier = &exchange_form(&code)[..3];
        let answer = app.token(&server, without_verifier, Some(&key.token_proof(&server))).await;
        answer.expect_error(400, "invalid_grant");
        server.turn(Duration::seconds(61));
        app.exchange(&server, &code, &key).await.expect_error(400, "invalid_grant");
        let code = app.code(&server, &odin).await;
        server.turn(Duration::seconds(59));
        let token = app.exchange(&server, &code, &key).await.expect(200).text("access_token");
        server.turn(Duration::seconds(1));
        app.exchange(&server, &code, &key).await.expect_error(400, "invalid_grant");
        server.userinfo_with_key(&token, &key).await.expect_dpop_error("invalid_token");
        // codes of other clients live as set
        let plain = server.public_client().await;
        let code = server.code(&odin, &plain, &[]).await;
        server.turn(Duration::seconds(200));
        server.exchange(&plain, &code).await.expect(200);
    }

    /// FAPI 2.0 Message Signing §5.3.1: a request object has `nbf`, lives for an hour at most, and may have several
    /// audiences.
    async fn request_objects_live_for_an_hour(setup: Setup) {
        let server = with_algorithms(setup).start().await;
        let odin = server.admin("odin").await;
        let app = FapiClient::create(&server, &odin, "bank").await;
        let now = server.clock.now().unix_seconds();
        for (changes, accepted) in [
            (json!({ "nbf": now, "exp": now + 300 }), true),
            (json!({ "nbf": now + 8, "exp": now + 300 }), true),
            (json!({ "nbf": now, "aud": ["https://auth.example", "https://other.example"] }), true),
            (json!({ "nbf": now, "aud": "https://other.example" }), false),
            (json!({}), false),
            (json!({ "nbf": now, "exp": null }), false),
            (json!({ "nbf": now - 4_200 }), false),
            (json!({ "nbf": now, "exp": now + 4_200 }), false),
            (json!({ "nbf": now, "redirect_uri": "" }), false),
        ] {
            let mut claims = app.client.request_object(&server);
            for (name, value) in changes.as_object().unwrap() {
                claims[name] = value.clone();
                if value.is_null() {
                    claims.as_object_mut().unwrap().remove(name);
                }
            }
            let object = app.key.sign(&claims);
            let form = app.authenticated(&server, &[("request", &object)]);
            let answer = server.send(server.request("POST", PAR).form(&form)).await;
            assert_eq!(answer.status, if accepted { 201 } else { 400 }, "{changes}: {}", answer.body);
        }
    }

    /// FAPI 2.0 §5.2.2, §5.4.1: the metadata name what such a client needs.
    async fn the_metadata_fit_the_profile(setup: Setup) {
        let server = with_algorithms(setup).start().await;
        let metadata = server.get("/.well-known/openid-configuration").await.expect(200).json();
        let has = |member: &str, value: &str| {
            let values = metadata[member].as_array().unwrap();
            assert!(values.contains(&Value::from(value)), "{member}: {values:?}");
        };
        for member in [
            "dpop_signing_alg_values_supported", "id_token_signing_alg_values_supported",
            "token_endpoint_auth_signing_alg_values_supported", "userinfo_signing_alg_values_supported",
            "request_object_signing_alg_values_supported",
        ] {
            has(member, "PS256");
            has(member, "ES256");
        }
        has("token_endpoint_auth_methods_supported", "private_key_jwt");
        has("code_challenge_methods_supported", "S256");
        has("response_types_supported", "code");
        assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
        assert_eq!(metadata["pushed_authorization_request_endpoint"], "https://auth.example/api/oauth/par");
        assert_eq!(metadata["require_pushed_authorization_requests"], false);
    }

    /// FAPI 2.0 §5.4.1: if the operator takes away every permitted signing key, such a client gets no token with a
    /// weaker one. Other clients go on.
    async fn no_token_has_a_weak_signature(setup: Setup) {
        let before = with_algorithms(setup.clone()).start().await;
        let odin = before.admin("odin").await;
        let app = FapiClient::create(&before, &odin, "bank").await;
        let server = with_algorithms(setup).with("OAUTH_SIGNING_ALGORITHMS", "RS256").start().await;
        let code = app.code(&server, &odin).await;
        app.exchange(&server, &code, &ProofKey::new()).await.expect_error(500, "server_error");
        let plain = server.public_client().await;
        server.tokens(&odin, &plain, &[]).await;
        app.exchange(&before, &code, &ProofKey::new()).await.expect(200);
    }
}
