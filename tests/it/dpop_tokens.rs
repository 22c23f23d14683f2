//! Tokens that are bound to a key (RFC 9449 §5 to §7, §10): every grant, every resource, and the theft of a
//! token.

use serde_json::json;
use time::Duration;

use crate::support::dpop::{ProofKey, USERINFO};
use crate::support::{
    Answer, BrowserRequest, Client, Member, NewClient, Server, assert_revoked, both, told,
};

const INTROSPECT: &str = "/api/oauth/introspect";

/// Runs the code flow with a key, and returns the token response.
async fn bound_tokens(server: &Server, member: &Member, app: &Client, key: &ProofKey) -> Answer {
    let code = server.code(member, app, &[]).await;
    server.exchange_with_key(app, &code, key).await.expect(200)
}

/// Asserts that a token response is bound to a key, and that the access token opens userinfo.
async fn assert_bound(server: &Server, tokens: &Answer, key: &ProofKey) {
    assert_eq!(tokens.text("token_type"), "DPoP");
    let claims = tokens.claims("access_token");
    assert_eq!(claims["cnf"], json!({ "jkt": key.thumbprint() }));
    let token = tokens.text("access_token");
    if claims["scope"].as_str().unwrap().contains("openid") {
        server.userinfo_with_key(&token, key).await.expect(200);
    }
}

both! {
    /// req_108, RFC 9449 §5: with a proof, the access token of every grant is bound to the key; without a proof,
    /// it is a bearer token as before.
    async fn every_grant_binds_its_access_token(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let service = server.confidential_client(&frigg.id).await;
        let key = ProofKey::new();
        let code = bound_tokens(&server, &frigg, &app, &key).await;
        assert_bound(&server, &code, &key).await;
        let refreshed = server.refresh_with_key(&app, &code.text("refresh_token"), &key).await.expect(200);
        assert_bound(&server, &refreshed, &key).await;
        let device = server.approved_device(&frigg, &app, "openid offline_access").await;
        let device = server.token_with_key(&app.poll_form(&device), &key).await.expect(200);
        assert_bound(&server, &device, &key).await;
        let mut form = vec![("grant_type", "client_credentials"), ("scope", "READ_PROFILE")];
        form.extend(service.credentials());
        let own = server.token_with_key(&form, &key).await.expect(200);
        assert_bound(&server, &own, &key).await;
        let confidential = server.code(&frigg, &service, &[]).await;
        let confidential = server.exchange_with_key(&service, &confidential, &key).await.expect(200);
        assert_bound(&server, &confidential, &key).await;

        let plain = server.tokens(&frigg, &app, &[]).await;
        assert_eq!(plain.text("token_type"), "Bearer");
        assert_eq!(plain.claims("access_token").get("cnf"), None);
        server.get_with_bearer(USERINFO, &plain.text("access_token")).await.expect(200);
    }

    /// RFC 9449 §7: an administrator's bound token opens the API, also by `POST`, and introspection.
    async fn a_bound_token_opens_the_api(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let admins = NewClient { client_id: "admins", scope: "openid ADMINISTRATOR", ..NewClient::default() };
        let app = server.client(admins).await;
        let key = ProofKey::new();
        let code = server.code(&odin, &app, &[("scope", "openid ADMINISTRATOR")]).await;
        let token = server.exchange_with_key(&app, &code, &key).await.expect(200).text("access_token");
        let get = ("GET", "/api/admin/oauth/clients?page=1");
        server.call_with_key(get, &token, &key).await.expect(200);
        let path = format!("/api/admin/oauth/clients/{}", app.row_id);
        server.call_with_key(("GET", &path), &token, &key).await.expect(200);
        let proof = key.proof(&server, "POST", INTROSPECT).for_token(&token).sign();
        let asked = server.dpop_request(("POST", INTROSPECT), &token, &proof).form(&[("token", &token)]);
        let shown = server.send(asked).await.expect(200);
        assert_eq!(shown.text("token_type"), "DPoP");
        assert_eq!(shown.json()["cnf"], json!({ "jkt": key.thumbprint() }));
        let asked = server.request("POST", INTROSPECT).bearer_auth(&token).form(&[("token", &token)]);
        server.send(asked).await.expect_error(401, "invalid_token");
        // A member's token lacks the permission: the challenge has the scheme of the token.
        let frigg = server.member("frigg", &[]).await;
        let weak = bound_tokens(&server, &frigg, &app, &key).await.text("access_token");
        let refused = server.call_with_key(get, &weak, &key).await.expect(403);
        assert!(refused.challenge().starts_with("DPoP ") && refused.challenge().contains("insufficient_scope"));
    }

    /// RFC 9449 §6.2: introspection shows the key of an access token and of a bound refresh token. The client
    /// of the token needs no proof to introspect.
    async fn introspection_shows_the_key(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let frigg = server.member("frigg", &[]).await;
        let service = server.confidential_client(&frigg.id).await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        let cnf = json!({ "jkt": key.thumbprint() });
        let code = server.code(&frigg, &service, &[]).await;
        let tokens = server.exchange_with_key(&service, &code, &key).await.expect(200);
        let introspect = async |token: &str| {
            let mut form = vec![("token", token)];
            form.extend(service.credentials());
            server.post_form(INTROSPECT, &form).await.expect(200).json()
        };
        let access = introspect(&tokens.text("access_token")).await;
        assert_eq!((&access["cnf"], &access["token_type"]), (&cnf, &json!("DPoP")));
        // The refresh token of a confidential client is bound to the client.
        assert_eq!(introspect(&tokens.text("refresh_token")).await.get("cnf"), None);
        let public = bound_tokens(&server, &frigg, &app, &key).await.text("refresh_token");
        let admin = server.access_key(&odin, "sdpak").await;
        let asked = server.request("POST", INTROSPECT).bearer_auth(&admin).form(&[("token", &public)]);
        assert_eq!(server.send(asked).await.expect(200).json()["cnf"], cnf);
        let bearer = server.tokens(&frigg, &service, &[]).await.text("access_token");
        let bearer = introspect(&bearer).await;
        assert_eq!((bearer.get("cnf"), &bearer["token_type"]), (None, &json!("Bearer")));
    }

    /// RFC 9449 §7.2, §11.3: a stolen token is useless as a bearer token, in the header and in the form, and with a
    /// proof of another key.
    async fn a_stolen_token_is_useless_without_the_key(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let (key, thief) = (ProofKey::new(), ProofKey::new());
        let token = bound_tokens(&server, &frigg, &app, &key).await.text("access_token");
        let bearer = server.get_with_bearer(USERINFO, &token).await.expect_error(401, "invalid_token");
        let challenges = bearer.challenges();
        assert!(challenges[0].starts_with("Bearer ") && challenges[0].contains("error=\"invalid_token\""));
        assert_eq!(challenges[1], "DPoP algs=\"ES256 RS256 PS256 EdDSA Ed25519\"");
        let form = [("access_token", token.as_str())];
        server.post_form(USERINFO, &form).await.expect_error(401, "invalid_token");
        let proof = key.proof(&server, "GET", USERINFO).for_token(&token).sign();
        let both = server.request("GET", USERINFO).bearer_auth(&token).header("DPoP", &proof);
        server.send(both).await.expect_error(401, "invalid_token");
        server.userinfo_with_key(&token, &thief).await.expect_dpop_error("invalid_token");
        server.userinfo_with_key(&token, &key).await.expect(200);
    }

    /// RFC 9449 §7.1: a bearer token, an access key and an unknown token are refused in the scheme DPoP.
    async fn only_bound_tokens_have_the_scheme_dpop(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        let bearer = server.tokens(&odin, &app, &[]).await.text("access_token");
        let access_key = server.access_key(&odin, "sdpak").await;
        for token in [bearer.as_str(), &access_key, "x", "a.b.c"] {
            server.userinfo_with_key(token, &key).await.expect_dpop_error("invalid_token");
            let api = ("GET", "/api/admin/oauth/clients");
            server.call_with_key(api, token, &key).await.expect_dpop_error("invalid_token");
        }
        // A guest learns both schemes.
        for path in [USERINFO, "/api/admin/oauth/clients"] {
            let guest = server.get(path).await.expect(401);
            let challenges = guest.challenges();
            assert!(challenges[0].starts_with("Bearer resource_metadata="), "{challenges:?}");
            assert_eq!(challenges[1..], ["DPoP algs=\"ES256 RS256 PS256 EdDSA Ed25519\""]);
        }
        // Operations of a session accept no token in any scheme.
        let tokens = bound_tokens(&server, &odin, &app, &key).await.text("access_token");
        server.call_with_key(("GET", "/api/auth/sessions"), &tokens, &key).await.expect(403);
        let request = server.request("GET", "/api/oauth/authorize/consent?request_id=x");
        server.send(request.header("authorization", format!("DPoP {tokens}"))).await.expect(403);
    }

    /// req_108, RFC 9449 §5, A-30: the refresh token of a public client works only with a proof of its key. Other
    /// attempts consume nothing and revoke nothing.
    async fn the_refresh_token_of_a_public_client_is_bound(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let (key, thief) = (ProofKey::new(), ProofKey::of("EdDSA"));
        let first = bound_tokens(&server, &frigg, &app, &key).await.text("refresh_token");
        for _ in 0..2 {
            server.refresh(&app, &first).await.expect_error(400, "invalid_grant");
            server.refresh_with_key(&app, &first, &thief).await.expect_error(400, "invalid_grant");
        }
        let second = server.refresh_with_key(&app, &first, &key).await.expect(200);
        assert_bound(&server, &second, &key).await;
        let second = second.text("refresh_token");
        server.refresh(&app, &second).await.expect_error(400, "invalid_grant");
        server.refresh_with_key(&app, &second, &key).await.expect(200);
        // The device flow, too.
        let device = server.approved_device(&frigg, &app, "openid offline_access").await;
        let device = server.token_with_key(&app.poll_form(&device), &key).await.expect(200).text("refresh_token");
        server.refresh_with_key(&app, &device, &thief).await.expect_error(400, "invalid_grant");
        server.refresh_with_key(&app, &device, &key).await.expect(200);
    }

    /// A-28, P3: a repeat after a lost response gets the same successor, with a new proof of the same key. A
    /// repeat without the key counts as theft.
    async fn a_repeat_needs_the_key(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let (key, thief) = (ProofKey::new(), ProofKey::new());
        let first = bound_tokens(&server, &frigg, &app, &key).await.text("refresh_token");
        let lost = server.refresh_with_key(&app, &first, &key).await.expect(200);
        let again = server.refresh_with_key(&app, &first, &key).await.expect(200);
        assert_eq!(again.text("refresh_token"), lost.text("refresh_token"));
        assert_bound(&server, &again, &key).await;
        server.refresh_with_key(&app, &first, &thief).await.expect_error(400, "invalid_grant");
        let successor = again.text("refresh_token");
        server.refresh_with_key(&app, &successor, &key).await.expect_error(400, "invalid_grant");
        server.userinfo_with_key(&again.text("access_token"), &key).await.expect_dpop_error("invalid_token");
    }

    /// later reuse of a bound refresh token revokes the family, whatever the proof.
    async fn reuse_is_detected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        for with_key in [true, false] {
            let first = bound_tokens(&server, &frigg, &app, &key).await.text("refresh_token");
            let second = server.refresh_with_key(&app, &first, &key).await.expect(200).text("refresh_token");
            server.turn(Duration::minutes(1));
            let reused = if with_key {
                server.refresh_with_key(&app, &first, &key).await
            } else {
                server.refresh(&app, &first).await
            };
            reused.expect_error(400, "invalid_grant");
            server.refresh_with_key(&app, &second, &key).await.expect_error(400, "invalid_grant");
        }
    }

    /// RFC 9449 §5: a refresh token that is not bound yet is bound by the first refresh with a proof.
    async fn a_first_proof_binds_the_refresh_token(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let second = server.refresh_with_key(&app, &first, &key).await.expect(200);
        assert_bound(&server, &second, &key).await;
        let second = second.text("refresh_token");
        server.refresh(&app, &second).await.expect_error(400, "invalid_grant");
        server.refresh_with_key(&app, &second, &ProofKey::new()).await.expect_error(400, "invalid_grant");
        server.refresh_with_key(&app, &second, &key).await.expect(200);
    }

    /// RFC 9449 §5: the refresh token of a confidential client is bound to the client, which may change keys.
    async fn the_refresh_token_of_a_confidential_client_is_not_bound(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let service = server.confidential_client(&frigg.id).await;
        let (key, other) = (ProofKey::new(), ProofKey::new());
        let first = bound_tokens(&server, &frigg, &service, &key).await.text("refresh_token");
        let second = server.refresh_with_key(&service, &first, &other).await.expect(200);
        assert_bound(&server, &second, &other).await;
        let third = server.refresh(&service, &second.text("refresh_token")).await.expect(200);
        assert_eq!(third.text("token_type"), "Bearer");
    }

    /// RFC 9449 §10, §11.9: a code that was requested with `dpop_jkt` cannot be injected into the session of an
    /// attacker with another key. An attempt does not consume the code.
    async fn dpop_jkt_binds_the_code(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let service = server.confidential_client(&frigg.id).await;
        let (key, thief) = (ProofKey::new(), ProofKey::new());
        let jkt = key.thumbprint();
        for client in [&app, &service] {
            let code = server.code(&frigg, client, &[("dpop_jkt", &jkt)]).await;
            server.exchange(client, &code).await.expect_error(400, "invalid_grant");
            server.exchange_with_key(client, &code, &thief).await.expect_error(400, "invalid_grant");
            let tokens = server.exchange_with_key(client, &code, &key).await.expect(200);
            assert_bound(&server, &tokens, &key).await;
        }
        // The key is kept while the member signs in, and with a remembered consent.
        let browser = BrowserRequest::begin(&server, &app, &[("dpop_jkt", &jkt)]).await;
        browser.open(&server, &frigg).await.expect(200);
        let code = browser.decide(&server, &frigg, "approve").await.expect(200).sent("code").unwrap();
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        server.exchange_with_key(&app, &code, &key).await.expect(200);
        let remembered = server.authorize(Some(&frigg), &app, &[("dpop_jkt", &jkt)]).await;
        if let Some(code) = remembered.sent("code") {
            server.exchange_with_key(&app, &code, &thief).await.expect_error(400, "invalid_grant");
            server.exchange_with_key(&app, &code, &key).await.expect(200);
        }
        for wrong in ["x", &jkt[1..], &format!("{jkt}="), &format!("{jkt} {jkt}")] {
            let answer = server.authorize(Some(&frigg), &app, &[("dpop_jkt", wrong)]).await;
            told(answer, "invalid_request");
        }
    }

    /// Codes and device codes work once with proofs too, and a replayed code revokes the bound tokens.
    async fn a_replayed_code_revokes_bound_tokens(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        let code = server.code(&frigg, &app, &[]).await;
        let tokens = server.exchange_with_key(&app, &code, &key).await.expect(200);
        server.turn(Duration::seconds(30));
        server.exchange_with_key(&app, &code, &key).await.expect_error(400, "invalid_grant");
        server.userinfo_with_key(&tokens.text("access_token"), &key).await.expect_dpop_error("invalid_token");
        let token = tokens.text("refresh_token");
        server.refresh_with_key(&app, &token, &key).await.expect_error(400, "invalid_grant");
    }

    /// Bound tokens are revoked like others: by the client, by the member, and with a suspension.
    async fn bound_tokens_are_revoked(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        for kind in ["access_token", "refresh_token"] {
            let tokens = bound_tokens(&server, &frigg, &app, &key).await;
            let form = [("token", tokens.text(kind)), ("client_id", "app".to_owned())];
            let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
            server.post_form("/api/oauth/revoke", &form).await.expect(200);
            server.userinfo_with_key(&tokens.text("access_token"), &key).await.expect_dpop_error("invalid_token");
            let token = tokens.text("refresh_token");
            server.refresh_with_key(&app, &token, &key).await.expect_error(400, "invalid_grant");
        }
        let issued = server.issue(&frigg, &app).await;
        let tokens = bound_tokens(&server, &frigg, &app, &key).await;
        // The list includes the two revoked tokens.
        let listed = server.get_as(&frigg, "/api/auth/oauth/tokens").await.expect(200).json();
        assert_eq!(listed["tokens"].as_array().unwrap().len(), 4);
        let path = format!("/api/auth/oauth/applications/{}", app.row_id);
        let ended = server.call_as(&frigg, ("DELETE", &path), None).await;
        assert!(matches!(ended.status, 200 | 204), "{ended:?}");
        assert_revoked(&server, &app, &issued).await;
        server.userinfo_with_key(&tokens.text("access_token"), &key).await.expect_dpop_error("invalid_token");
    }
}
