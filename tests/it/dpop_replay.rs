//! Replays of DPoP proofs (RFC 9449 §11.1), and the nonces of the server (§8, §9, §11.2).

use serde_json::json;
use time::Duration;

use crate::cleanup::clean_up;
use crate::support::dpop::{NewProof, ProofKey, USERINFO};
use crate::support::race::{count, send_concurrently};
use crate::support::{Answer, Client, Member, Server, both};

const TOKEN: &str = "/api/oauth/token";
const PROOFS: &str = "SELECT COUNT(*) AS n FROM auth_dpop_proofs";

async fn bound_tokens(server: &Server, member: &Member, app: &Client, key: &ProofKey) -> Answer {
    let code = server.code(member, app, &[]).await;
    server.exchange_with_key(app, &code, key).await.expect(200)
}

/// Sends a proof to userinfo.
async fn userinfo(server: &Server, token: &str, proof: &NewProof<'_>) -> Answer {
    let request = server.dpop_request(("GET", USERINFO), token, &proof.sign());
    server.send(request).await
}

/// Returns the nonce of a response.
#[track_caller]
fn nonce(answer: &Answer) -> String {
    answer.header("dpop-nonce").to_owned()
}

both! {
    /// req_107, RFC 9449 §11.1: a replayed proof is refused at the token endpoint, on every replica and for every
    /// grant, and consumes nothing.
    async fn a_replay_is_refused_at_the_token_endpoint(setup: Setup) {
        let server = setup.start().await;
        let replica = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let service = server.confidential_client(&frigg.id).await;
        let key = ProofKey::new();
        let proof = key.token_proof(&server);
        let code = server.code(&frigg, &app, &[]).await;
        server.token_with_proof(&app.exchange_form(&code), &proof).await.expect(200);
        let next = server.code(&frigg, &app, &[]).await;
        let device = server.approved_device(&frigg, &app, "openid").await;
        let first = bound_tokens(&server, &frigg, &app, &key).await.text("refresh_token");
        let mut own = vec![("grant_type", "client_credentials")];
        own.extend(service.credentials());
        for form in [app.exchange_form(&next), app.poll_form(&device), app.refresh_form(&first), own] {
            for server in [&server, &replica] {
                let refused = server.token_with_proof(&form, &proof).await;
                let refused = refused.expect_error(400, "invalid_dpop_proof");
                assert!(refused.text("error_description").contains("used before"), "{}", refused.body);
            }
            // Nothing was consumed. The next proof is used, and then refused for the same grant.
            let fresh = key.token_proof(&server);
            replica.token_with_proof(&form, &fresh).await.expect(200);
            if form[0].1 == "client_credentials" {
                server.token_with_proof(&form, &fresh).await.expect_error(400, "invalid_dpop_proof");
            }
        }
        // A repeat after a lost response is a new request, with a new proof.
        let proof = key.token_proof(&server);
        let form = app.refresh_form(&first);
        server.token_with_proof(&form, &proof).await.expect(200);
        server.token_with_proof(&form, &proof).await.expect_error(400, "invalid_dpop_proof");
        // The same jti of another key is another proof.
        let jti = json!({ "jti": "the same" });
        for key in [&key, &ProofKey::new()] {
            let code = server.code(&frigg, &app, &[]).await;
            let proof = key.proof(&server, "POST", TOKEN).with(&jti).sign();
            server.token_with_proof(&app.exchange_form(&code), &proof).await.expect(200);
        }
    }

    /// T13, RFC 9449 §11.1: of concurrent requests with the same proof at two replicas, one succeeds.
    async fn concurrent_replays_have_one_winner(setup: Setup) {
        let server = setup.start().await;
        let replica = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        let proof = key.token_proof(&server);
        let mut requests = Vec::new();
        for _ in 0..4 {
            for server in [&server, &replica] {
                let code = server.code(&frigg, &app, &[]).await;
                requests.push(server.token_request(&app.exchange_form(&code)).header("DPoP", &proof));
            }
        }
        let answers = send_concurrently(requests).await;
        assert_eq!(count(&answers, 200), 1);
        let refused = answers.into_iter().filter(|answer| answer.status != 200);
        refused.for_each(|answer| drop(answer.expect_error(400, "invalid_dpop_proof")));
    }

    /// RFC 9449 §11.1: a replayed proof is refused at resources, without a row. The proof is recorded only for the
    /// holder of a valid token and the key.
    async fn a_replay_is_refused_at_resources(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        let token = bound_tokens(&server, &frigg, &app, &key).await.text("access_token");
        let rows = server.count(PROOFS, &[]).await;
        let proof = key.proof(&server, "GET", USERINFO).for_token(&token);
        userinfo(&server, "x", &proof).await.expect_dpop_error("invalid_token");
        userinfo(&server, &token, &proof).await.expect(200);
        for _ in 0..2 {
            userinfo(&server, &token, &proof).await.expect_dpop_error("invalid_dpop_proof");
        }
        server.turn(Duration::seconds(62));
        userinfo(&server, &token, &proof).await.expect_dpop_error("invalid_dpop_proof");
        server.userinfo_with_key(&token, &key).await.expect(200);
        assert_eq!(server.count(PROOFS, &[]).await, rows);
        let proof = key.proof(&server, "GET", USERINFO).for_token(&token).sign();
        let requests = (0..8).map(|_| server.dpop_request(("GET", USERINFO), &token, &proof));
        let answers = send_concurrently(requests.collect()).await;
        assert_eq!((count(&answers, 200), count(&answers, 401)), (1, 7));
    }

    /// P7: used proofs are deleted after their expiry.
    async fn used_proofs_are_deleted(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        bound_tokens(&server, &frigg, &app, &ProofKey::new()).await;
        assert_eq!(server.count(PROOFS, &[]).await, 1);
        server.turn(Duration::seconds(60));
        clean_up(&server).await;
        assert_eq!(server.count(PROOFS, &[]).await, 1);
        server.turn(Duration::seconds(2));
        clean_up(&server).await;
        assert_eq!(server.count(PROOFS, &[]).await, 0);
    }

    /// RFC 9449 §8, §9: with `OAUTH_DPOP_NONCE` a proof needs a nonce of the server: 400 at the token endpoint, 401
    /// at resources, with the nonce for the next proof. A nonce is valid at every replica.
    async fn a_nonce_is_required_if_configured(setup: Setup) {
        let setup = setup.with("OAUTH_DPOP_NONCE", "true");
        let server = setup.start().await;
        let replica = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        let code = server.code(&frigg, &app, &[]).await;
        let form = app.exchange_form(&code);
        let refused = server.token_with_key(&form, &key).await.expect_error(400, "use_dpop_nonce");
        let given = nonce(&refused);
        assert_eq!(refused.header("cache-control"), "no-store");
        let with = |nonce: &str| json!({ "nonce": nonce });
        for wrong in ["", "x", &given[1..]] {
            let proof = key.proof(&server, "POST", TOKEN).with(&with(wrong)).sign();
            let refused = server.token_with_proof(&form, &proof).await.expect_error(400, "use_dpop_nonce");
            assert_eq!(nonce(&refused), given);
        }
        let proof = key.proof(&server, "POST", TOKEN).with(&with(&given)).sign();
        let tokens = replica.token_with_proof(&form, &proof).await.expect(200);
        assert_eq!(nonce(&tokens), given);
        let token = tokens.text("access_token");
        let refused = server.userinfo_with_key(&token, &key).await.expect_dpop_error("use_dpop_nonce");
        assert_eq!(nonce(&refused), given);
        let proof = || key.proof(&server, "GET", USERINFO).for_token(&token);
        let answer = userinfo(&server, &token, &proof().with(&with(&given))).await.expect(200);
        assert_eq!(nonce(&answer), given);
        // §8.2: the next nonce comes with an answer, and the last nonce is still accepted.
        server.turn(Duration::seconds(120));
        let answer = userinfo(&server, &token, &proof().with(&with(&given))).await.expect(200);
        let next = nonce(&answer);
        assert_ne!(next, given);
        server.turn(Duration::seconds(120));
        userinfo(&server, &token, &proof().with(&with(&given))).await.expect_dpop_error("use_dpop_nonce");
        userinfo(&replica, &token, &proof().with(&with(&next))).await.expect(200);
        // Requests without a proof work as before, and get no nonce.
        let plain = server.tokens(&frigg, &app, &[]).await;
        assert_eq!(plain.find_header("dpop-nonce"), None);
    }

    /// RFC 9449 §11.2: an attacker who used the key for a moment cannot make proofs for later. With a nonce, the
    /// clock of the client does not count.
    async fn a_nonce_ends_the_use_of_proofs_made_before(setup: Setup) {
        let server = setup.clone().with("OAUTH_DPOP_NONCE", "true").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        let code = server.code(&frigg, &app, &[]).await;
        let form = app.exchange_form(&code);
        let given = nonce(&server.token_with_key(&form, &key).await.expect_error(400, "use_dpop_nonce"));
        let wrong_clock = json!({ "nonce": given, "iat": 1 });
        let proof = key.proof(&server, "POST", TOKEN).with(&wrong_clock).sign();
        let token = server.token_with_proof(&form, &proof).await.expect(200).text("access_token");
        let later = server.clock.now().unix_seconds() + 600;
        let made_before = json!({ "nonce": given, "iat": later });
        let made_before = key.proof(&server, "GET", USERINFO).for_token(&token).with(&made_before);
        server.turn(Duration::minutes(10));
        userinfo(&server, &token, &made_before).await.expect_dpop_error("use_dpop_nonce");
        // Without nonces, the proof works at the time that it was made for: the reason for the setting.
        let without = setup.start().await;
        userinfo(&without, &token, &made_before).await.expect(200);
        let answer = without.userinfo_with_key(&token, &key).await.expect(200);
        assert_eq!(answer.find_header("dpop-nonce"), None);
    }

    /// A page of any origin can send proofs and read nonces and challenges (Fetch Standard §3.2).
    async fn pages_may_use_dpop(setup: Setup) {
        let server = setup.with("OAUTH_DPOP_NONCE", "true").start().await;
        let preflight = server.request("OPTIONS", TOKEN)
            .header("origin", "https://page.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "dpop");
        let preflight = server.send(preflight).await;
        assert!(preflight.header("access-control-allow-headers").contains("dpop"));
        let request = server.request("GET", USERINFO).header("origin", "https://page.example");
        let answer = server.send(request.header("authorization", "DPoP x").header("DPoP", "x")).await.expect(401);
        let exposed = answer.header("access-control-expose-headers").to_ascii_lowercase();
        assert!(exposed.contains("dpop-nonce") && exposed.contains("www-authenticate"), "{exposed}");
        nonce(&answer);
    }
}
