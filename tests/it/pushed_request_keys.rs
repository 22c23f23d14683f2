//! DPoP proofs in pushed requests (RFC 9449 §10.1): the proof binds the authorization code to its key.

use serde_json::json;
use time::Duration;

use crate::support::dpop::ProofKey;
use crate::support::fapi::PAR;
use crate::support::race::{count, send_concurrently};
use crate::support::{Answer, Client, Member, Server, assert_redirect_to_consent, both};

/// Pushes a request of a client with a proof, and changed parameters.
async fn push(server: &Server, app: &Client, changed: &[(&str, &str)], proof: &str) -> Answer {
    let form = app.authorization_request(changed);
    let request = server.request("POST", PAR).header("DPoP", proof);
    server.send(request.form(&form)).await
}

/// Approves a pushed request, and returns the code.
async fn code(server: &Server, member: &Member, app: &Client, pushed: &Answer) -> String {
    let request_uri = pushed.text("request_uri");
    let opened = server.open_pushed(Some(member), app, &request_uri).await;
    let request_id = assert_redirect_to_consent(opened);
    let approved = server.decide(member, &request_id, "approve").await;
    approved.expect(200).sent("code").unwrap()
}

both! {
    /// RFC 9449 §10.1, §11.9: the code is bound to the key of the proof, with and without `dpop_jkt`. A code that is
    /// stolen cannot be exchanged with another key, nor without a proof; an attempt consumes nothing.
    async fn a_proof_binds_the_code(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let (key, thief) = (ProofKey::new(), ProofKey::new());
        let jkt = key.thumbprint();
        for changed in [&[][..], &[("dpop_jkt", jkt.as_str())]] {
            let proof = key.proof(&server, "POST", PAR).sign();
            let pushed = push(&server, &app, changed, &proof).await.expect(201);
            let code = code(&server, &frigg, &app, &pushed).await;
            server.exchange_with_key(&app, &code, &thief).await.expect_error(400, "invalid_grant");
            server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
            let tokens = server.exchange_with_key(&app, &code, &key).await.expect(200);
            assert_eq!(tokens.claims("access_token")["cnf"]["jkt"], jkt);
        }
        // without a proof the code is bound to no key, as before
        let pushed = server.push(&app, &[]).await.expect(201);
        let code = code(&server, &frigg, &app, &pushed).await;
        server.exchange(&app, &code).await.expect(200);
    }

    /// RFC 9449 §10.1: a `dpop_jkt` of another key is an error.
    async fn another_key_in_the_parameter_is_refused(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        let other = ProofKey::new().thumbprint();
        for wrong in [other.as_str(), "x"] {
            let proof = key.proof(&server, "POST", PAR).sign();
            let refused = push(&server, &app, &[("dpop_jkt", wrong)], &proof).await;
            let refused = refused.expect_error(400, "invalid_request");
            assert!(refused.text("error_description").contains("dpop_jkt"), "{}", refused.body);
        }
        let stored = "SELECT COUNT(*) AS n FROM auth_pushed_requests";
        assert_eq!(server.count(stored, &[]).await, 0);
    }

    /// RFC 9449 §4.3, §11.5, §11.7: the proof is for this endpoint, for this moment, and of its kind; there is one.
    async fn an_invalid_proof_is_refused(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        let now = server.clock.now().unix_seconds();
        let proof = || key.proof(&server, "POST", PAR);
        for proof in [
            key.token_proof(&server),
            key.proof(&server, "GET", PAR).sign(),
            proof().with(&json!({ "iat": now - 61 })).sign(),
            proof().with(&json!({ "iat": now + 61 })).sign(),
            proof().with(&json!({ "jti": null })).sign(),
            proof().with_header(&json!({ "typ": "JWT" })).sign(),
            proof().with_header(&json!({ "typ": "oauth-authz-req+jwt" })).sign(),
            proof().with_header(&json!({ "alg": "none" })).sign(),
            proof().sign_with(&[0; 64]),
            "x".to_owned(),
        ] {
            push(&server, &app, &[], &proof).await.expect_error(400, "invalid_dpop_proof");
        }
        let (one, two) = (proof().sign(), proof().sign());
        let request = server.request("POST", PAR).header("DPoP", one).header("DPoP", two);
        let twice = server.send(request.form(&app.authorization_request(&[]))).await;
        twice.expect_error(400, "invalid_dpop_proof");
        for iat in [now - 10, now + 10] {
            push(&server, &app, &[], &proof().with(&json!({ "iat": iat })).sign()).await.expect(201);
        }
    }

    /// RFC 9449 §11.1, T13: a proof works once, on every replica, also if it is sent to two at the same moment. An
    /// invalid request does not use the proof.
    async fn a_replay_is_refused(setup: Setup) {
        let server = setup.start().await;
        let replica = setup.start().await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        let proof = key.proof(&server, "POST", PAR).sign();
        push(&server, &app, &[("response_type", "token")], &proof).await.expect(400);
        push(&server, &app, &[], &proof).await.expect(201);
        for one in [&server, &replica] {
            push(one, &app, &[], &proof).await.expect_error(400, "invalid_dpop_proof");
        }
        let proof = key.proof(&server, "POST", PAR).sign();
        let form = app.authorization_request(&[]);
        let request = |server: &Server| server.request("POST", PAR).header("DPoP", &proof).form(&form);
        let answers = send_concurrently(vec![request(&server), request(&replica)]).await;
        assert_eq!(count(&answers, 201), 1);
        let stored = "SELECT COUNT(*) AS n FROM auth_pushed_requests";
        assert_eq!(server.count(stored, &[]).await, 2);
    }

    /// RFC 9449 §8, §11.3: with `OAUTH_DPOP_NONCE` the proof needs a nonce, which the error gives; a proof without is
    /// not accepted as weaker (nonce downgrade).
    async fn a_nonce_is_required_if_configured(setup: Setup) {
        let server = setup.with("OAUTH_DPOP_NONCE", "true").start().await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        let proof = || key.proof(&server, "POST", PAR);
        let refused = push(&server, &app, &[], &proof().sign()).await.expect_error(400, "use_dpop_nonce");
        let nonce = refused.header("dpop-nonce").to_owned();
        let with_nonce = || proof().with(&json!({ "nonce": nonce })).sign();
        let pushed = push(&server, &app, &[], &with_nonce()).await.expect(201);
        assert_eq!(pushed.header("dpop-nonce"), nonce);
        push(&server, &app, &[], &proof().sign()).await.expect_error(400, "use_dpop_nonce");
        server.turn(Duration::seconds(240));
        push(&server, &app, &[], &with_nonce()).await.expect_error(400, "use_dpop_nonce");
        // a request without a proof needs no nonce
        server.push(&app, &[]).await.expect(201);
    }

    /// RFC 9126 §2.1, RFC 9449 §10.1: the client is authenticated before the proof counts, so that an attacker without
    /// its secret uses up no proof.
    async fn the_client_comes_first(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let service = server.confidential_client(&frigg.id).await;
        let key = ProofKey::new();
        let proof = key.proof(&server, "POST", PAR).sign();
        push(&server, &service, &[], &proof).await.expect_error(400, "invalid_client");
        let mut form = service.authorization_request(&[]);
        form.extend(service.credentials().into_iter().filter(|(name, _)| *name != "client_id"));
        let request = server.request("POST", PAR).header("DPoP", &proof).form(&form);
        server.send(request).await.expect(201);
    }
}
