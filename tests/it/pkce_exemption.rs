//! Confidential clients that an administrator exempted from PKCE (OAuth 2.1 §4.1.2.1, RFC 9700 §2.1.1),
//! and codes with and without a challenge.

use crate::support::race::{with, without};
use crate::support::{CHALLENGE, Client, NewClient, Server, VERIFIER, both, told};

/// Parameters that omit PKCE.
const NO_CHALLENGE: [(&str, &str); 2] = [("code_challenge", ""), ("code_challenge_method", "")];

/// A confidential client that is exempt from PKCE.
async fn exempt(server: &Server) -> Client {
    server
        .client(NewClient {
            client_id: "older",
            secret: Some("older-secret"),
            pkce_required: false,
            ..NewClient::default()
        })
        .await
}

/// Parameters that omit PKCE and set a nonce.
fn with_nonce(nonce: &str) -> [(&str, &str); 3] {
    [NO_CHALLENGE[0], NO_CHALLENGE[1], ("nonce", nonce)]
}

both! {
    /// req_129, req_163, A-19: an exempt client needs neither PKCE nor a nonce. With a nonce, the ID token
    /// has the nonce of the code's request, which reveals an injected code.
    async fn an_exempt_client_needs_neither_pkce_nor_nonce(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let older = exempt(&server).await;
        let code = server.code(&frigg, &older, &NO_CHALLENGE).await;
        let form = older.exchange_form(&code);
        let tokens = server.token(&without(&form, "code_verifier")).await.expect(200);
        assert_eq!(tokens.claims("id_token").get("nonce"), None);
        let code = server.code(&frigg, &older, &with_nonce("n-0S6")).await;
        let form = older.exchange_form(&code);
        let tokens = server.token(&without(&form, "code_verifier")).await.expect(200);
        assert_eq!(tokens.claims("id_token")["nonce"], "n-0S6");
        // A method without a challenge counts as no PKCE.
        let changed = [("code_challenge", ""), ("nonce", "n2")];
        server.code(&frigg, &older, &changed).await;
    }

    /// req_129, req_074, A-21, req_054: PKCE is required from public clients, and from clients that are
    /// not exempt. The error tells that libraries have a switch for PKCE.
    async fn pkce_is_required_without_an_exemption(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let older = exempt(&server).await;
        let service = server.confidential_client(&frigg.id).await;
        let public = server.client(NewClient { pkce_required: false, ..NewClient::default() }).await;
        for client in [&service, &public] {
            let answer = told(server.authorize(Some(&frigg), client, &NO_CHALLENGE).await, "invalid_request");
            let description = answer.sent("error_description").unwrap();
            assert!(description.contains("switch on PKCE with the method S256 in the library"), "{description}");
            let answer = server.authorize(Some(&frigg), client, &with_nonce("n1")).await;
            told(answer, "invalid_request");
        }
        // A challenge of an exempt client is still validated.
        for bad in [("code_challenge_method", "plain"), ("code_challenge", &CHALLENGE[1..])] {
            let answer = server.authorize(Some(&frigg), &older, &[bad, ("nonce", "n1")]).await;
            told(answer, "invalid_request");
        }
    }

    /// req_129, req_056: a code without a challenge still requires the client's secret.
    async fn a_code_without_a_challenge_requires_the_client_secret(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let older = exempt(&server).await;
        let code = server.code(&frigg, &older, &with_nonce("n1")).await;
        let form = older.exchange_form(&code);
        let form = without(&form, "code_verifier");
        server.token(&without(&form, "client_secret")).await.expect_error(400, "invalid_client");
        server.token(&with(&form, "client_secret", "guess")).await.expect_error(400, "invalid_client");
        server.token(&form).await.expect(200);
    }

    /// a verifier for a code without a challenge is rejected (PKCE downgrade), and the code is
    /// not consumed.
    async fn a_verifier_for_a_code_without_a_challenge_is_refused(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let older = exempt(&server).await;
        let code = server.code(&frigg, &older, &with_nonce("n1")).await;
        let form = older.exchange_form(&code);
        assert!(form.contains(&("code_verifier", VERIFIER)));
        server.token(&form).await.expect_error(400, "invalid_grant");
        server.token(&without(&form, "code_verifier")).await.expect(200);
    }

    /// A-22, req_056, req_129: a code with a challenge requires the verifier, from every client.
    async fn a_code_with_a_challenge_requires_the_verifier(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let public = server.public_client().await;
        let older = exempt(&server).await;
        for client in [&public, &older] {
            let code = server.code(&frigg, client, &[("nonce", "n1")]).await;
            let form = client.exchange_form(&code);
            let bare = without(&form, "code_verifier");
            let answer = server.token(&bare).await.expect_error(400, "invalid_request");
            assert_eq!(answer.text("error_description"), "Missing code_verifier");
            let empty = with(&form, "code_verifier", "");
            server.token(&empty).await.expect_error(400, "invalid_request");
            let other = "another-verifier-of-forty-three-characters-1";
            let wrong = with(&form, "code_verifier", other);
            server.token(&wrong).await.expect_error(400, "invalid_grant");
            server.token(&form).await.expect(200);
        }
    }
}
