//! Clients that always use DPoP (`dpop_bound_access_tokens`, RFC 9449 §5.2), and the profile `storyden`, which has
//! no DPoP.

use serde_json::{Value, json};

use crate::support::dpop::{ProofKey, USERINFO};
use crate::support::simulated_internet::SimulatedInternet;
use crate::support::{Answer, Client, Server, both};

fn client(client_id: String) -> Client {
    Client {
        row_id: storyden_auth::ids::ClientRowId::new(""),
        client_id,
        secret: None,
        redirect_uri: "https://app.example/cb".to_owned(),
    }
}

async fn register(server: &Server, changes: &Value) -> Answer {
    let mut document = json!({
        "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none",
    });
    for (name, value) in changes.as_object().unwrap() {
        document[name] = value.clone();
    }
    let request = server
        .request("POST", "/api/oauth/register")
        .json(&document);
    server.send(request).await.expect(201)
}

/// Asserts that each token request of a client needs a proof.
async fn assert_needs_proof(server: &Server, app: &Client) {
    let frigg = server.member("frigg", &[]).await;
    let key = ProofKey::new();
    let code = server.code(&frigg, app, &[]).await;
    server
        .exchange(app, &code)
        .await
        .expect_error(400, "invalid_dpop_proof");
    let tokens = server.exchange_with_key(app, &code, &key).await.expect(200);
    assert_eq!(tokens.text("token_type"), "DPoP");
    let token = tokens.text("refresh_token");
    server
        .refresh(app, &token)
        .await
        .expect_error(400, "invalid_dpop_proof");
    server.refresh_with_key(app, &token, &key).await.expect(200);
}

both! {
    /// req_108, RFC 9449 §5.2: a registration with `dpop_bound_access_tokens` gets no token without a proof, until it
    /// is replaced.
    async fn a_registration_may_require_proofs(setup: Setup) {
        let server = setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true").start().await;
        let plain = register(&server, &json!({ "dpop_bound_access_tokens": false })).await.json();
        assert_eq!(plain.get("dpop_bound_access_tokens"), None);
        let registered = register(&server, &json!({ "dpop_bound_access_tokens": true })).await;
        assert_eq!(registered.json()["dpop_bound_access_tokens"], true);
        let app = client(registered.text("client_id"));
        assert_needs_proof(&server, &app).await;
        let path = format!("/api/oauth/register/{}", app.client_id);
        let token = registered.text("registration_access_token");
        let shown = server.get_with_bearer(&path, &token).await.expect(200);
        assert_eq!(shown.json()["dpop_bound_access_tokens"], true);
        let document = json!({
            "client_id": app.client_id, "redirect_uris": [app.redirect_uri], "token_endpoint_auth_method": "none",
        });
        let replaced = server.request("PUT", &path).bearer_auth(&token).json(&document);
        let replaced = server.send(replaced).await.expect(200);
        assert_eq!(replaced.json().get("dpop_bound_access_tokens"), None);
        let thor = server.member("thor", &[]).await;
        let tokens = server.tokens(&thor, &app, &[]).await;
        assert_eq!(tokens.text("token_type"), "Bearer");
    }

    /// RFC 9449 §5.2: the metadata document of a client may require proofs.
    async fn a_metadata_document_may_require_proofs(setup: Setup) {
        let outside = SimulatedInternet::new();
        let server = outside.around(setup).start().await;
        let host = outside.host("app.example").await;
        let id = host.publish("/c", &json!({ "dpop_bound_access_tokens": true }));
        let app = Client { redirect_uri: host.url("/cb"), ..client(id) };
        assert_needs_proof(&server, &app).await;
    }

    /// RFC 9449 §5.2: an administrator may require proofs, and take that back.
    async fn an_administrator_may_require_proofs(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let mut body = json!({
            "account_id": odin.id.as_str(), "client_id": "calendar", "name": "Calendar", "type": "public",
            "redirect_uris": ["https://app.example/cb"], "allowed_grants": ["authorization_code", "refresh_token"],
            "allowed_scopes": ["openid", "profile", "email", "offline_access"], "dpop_bound_access_tokens": "yes",
        });
        server.post_as(&odin, "/api/admin/oauth/clients", &body).await.expect(400);
        body["dpop_bound_access_tokens"] = json!(true);
        let created = server.post_as(&odin, "/api/admin/oauth/clients", &body).await.expect(200);
        assert_eq!(created.json()["dpop_bound_access_tokens"], true);
        let app = client("calendar".to_owned());
        assert_needs_proof(&server, &app).await;
        let path = format!("/api/admin/oauth/clients/{}", created.text("id"));
        let change = json!({ "dpop_bound_access_tokens": false });
        let changed = server.call_as(&odin, ("PATCH", &path), Some(&change)).await.expect(200);
        assert_eq!(changed.json().get("dpop_bound_access_tokens"), None);
        let tokens = server.tokens(&odin, &app, &[]).await;
        assert_eq!(tokens.text("token_type"), "Bearer");
    }

    /// `client create --dpop` requires proofs, and `client show` tells so.
    async fn an_operator_may_require_proofs(setup: Setup) {
        let server = setup.start().await;
        let arguments = [
            "client", "create", "--name", "Page", "--type", "public", "--client-id", "page", "--dpop",
            "--redirect-uri", "https://app.example/cb", "--json",
        ];
        let created = setup.run(&arguments, &[]).await;
        assert_eq!(created.code, Some(0), "{}", created.stderr);
        let created: Value = serde_json::from_str(&created.stdout).unwrap();
        assert_eq!(created["dpop_bound_access_tokens"], true);
        let shown = setup.run(&["client", "show", "page"], &[]).await;
        assert!(shown.stdout.contains("DPoP") && shown.stdout.contains("required"), "{}", shown.stdout);
        assert_needs_proof(&server, &client("page".to_owned())).await;
    }

    /// The profile `storyden` ignores proofs and does not know the scheme, as a Storyden does. Tokens and clients that
    /// are bound are not let off.
    async fn the_profile_storyden_has_no_dpop(setup: Setup) {
        let standards = setup.start().await;
        let frigg = standards.member("frigg", &[]).await;
        let app = standards.public_client().await;
        let key = ProofKey::new();
        let code = standards.code(&frigg, &app, &[]).await;
        let bound = standards.exchange_with_key(&app, &code, &key).await.expect(200);
        let bound_code = standards.code(&frigg, &app, &[("dpop_jkt", &key.thumbprint())]).await;

        let server = setup.with("OAUTH_PROFILE", "storyden").with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true");
        let server = server.start().await;
        let metadata = server.get("/.well-known/openid-configuration").await.json();
        assert_eq!(metadata.get("dpop_signing_alg_values_supported"), None);
        let resource = server.get("/.well-known/oauth-protected-resource/api").await.json();
        assert_eq!(resource.get("dpop_signing_alg_values_supported"), None);
        let registered = register(&server, &json!({ "dpop_bound_access_tokens": true })).await.json();
        assert_eq!(registered.get("dpop_bound_access_tokens"), None);
        for proof in ["x", &key.token_proof(&server)] {
            let code = server.code(&frigg, &app, &[("dpop_jkt", "x")]).await;
            let tokens = server.token_with_proof(&app.exchange_form(&code), proof).await.expect(200);
            assert_eq!(tokens.text("token_type"), "Bearer");
            assert_eq!(tokens.claims("access_token").get("cnf"), None);
            let token = tokens.text("access_token");
            server.get_with_bearer(USERINFO, &token).await.expect(200);
            let unknown = server.userinfo_with_key(&token, &key).await.expect(401);
            assert_eq!(unknown.challenges().len(), 1);
            assert!(unknown.challenge().starts_with("Bearer "), "{}", unknown.challenge());
            server.token_with_proof(&app.refresh_form(&tokens.text("refresh_token")), proof).await.expect(200);
        }
        server.get_with_bearer(USERINFO, &bound.text("access_token")).await.expect(401);
        let token = bound.text("refresh_token");
        server.refresh_with_key(&app, &token, &key).await.expect_error(400, "invalid_grant");
        server.exchange_with_key(&app, &bound_code, &key).await.expect_error(400, "invalid_grant");
        standards.refresh_with_key(&app, &token, &key).await.expect(200);
    }
}
