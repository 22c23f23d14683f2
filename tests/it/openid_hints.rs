//! The expected person (OpenID Connect Core §3.1.2.1): `id_token_hint` and `login_hint`.

use serde_json::{Value, json};
use time::Duration;

use crate::support::forgery::{signed, signed_by_another, unsigned};
use crate::support::{assert_redirect_to_consent, assert_redirect_to_login, both, told};

both! {
    /// req_169: the user named by the hint continues, regardless of the hint's age.
    async fn an_id_token_hint_of_the_same_person_passes(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let id_token = server.tokens(&frigg, &app, &[]).await.text("id_token");
        for _ in 0..2 {
            let hint = ("id_token_hint", id_token.as_str());
            let page = [("prompt", "consent"), hint];
            assert_redirect_to_consent(server.authorize(Some(&frigg), &app, &page).await);
            let silent = [("prompt", "none"), hint];
            server.authorize(Some(&frigg), &app, &silent).await.code(); // approved before
            told(server.authorize(None, &app, &silent).await, "login_required");
            let detour = assert_redirect_to_login(server.authorize(None, &app, &[hint]).await);
            detour.open(&server, &frigg).await.expect(200);
            server.turn(Duration::days(30)); // long expired
        }
    }

    /// req_169: for any other user than the hint's the error is `login_required`, before and after
    /// sign-in.
    async fn an_id_token_hint_of_another_user_is_login_required(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let odin = server.admin("odin").await;
        let app = server.public_client().await;
        let id_token = server.tokens(&odin, &app, &[]).await.text("id_token");
        let hint = ("id_token_hint", id_token.as_str());
        told(server.authorize(Some(&frigg), &app, &[hint]).await, "login_required");
        told(server.authorize(Some(&frigg), &app, &[hint, ("prompt", "none")]).await, "login_required");
        let detour = assert_redirect_to_login(server.authorize(None, &app, &[hint]).await);
        let answer = detour.open(&server, &frigg).await.expect_error(400, "login_required");
        assert!(answer.text("location").starts_with("https://app.example/cb?error=login_required&"));
        detour.open(&server, &odin).await.expect(200); // after a change of accounts
    }

    /// req_169, req_181: only an ID token of this server is a hint.
    async fn an_id_token_hint_must_be_an_id_token_of_this_server(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        let (header, claims) = (tokens.jwt_header("id_token"), tokens.claims("id_token"));
        let mut foreign = claims.clone();
        foreign["iss"] = json!("https://other.example");
        let mut nobody = claims.clone();
        nobody["sub"] = Value::Null;
        let id_token = tokens.text("id_token");
        for hint in [
            "garbage",
            "a.b.c",
            &id_token[..id_token.len() - 1],
            &tokens.text("access_token"),
            &tokens.text("refresh_token"),
            &signed(&header, &foreign),
            &signed(&header, &nobody),
            &signed_by_another(&header, &claims),
            &unsigned(&json!({ "alg": "none", "typ": "JWT" }), &claims),
        ] {
            let answer = server.authorize(Some(&frigg), &app, &[("id_token_hint", hint)]).await;
            told(answer, "invalid_request");
        }
    }

    /// req_168, A-70: the login page receives the login hint as a query parameter, without further
    /// effect.
    async fn a_login_hint_is_passed_on_to_the_login_page(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for hint in ["frigg@example.com", "a b+c", "x&return_url=https://evil.example/#", "Frïgg"] {
            let answer = server.authorize(None, &app, &[("login_hint", hint)]).await.expect(302);
            assert_eq!(answer.location().path(), "/login");
            assert_eq!(answer.sent("login_hint").as_deref(), Some(hint));
            let back = answer.sent("return_url").unwrap();
            assert!(back.starts_with("/oauth/authorize/consent?request_id="), "{back}");
            assert_eq!(answer.location().query_pairs().count(), 2);
            // Any user may sign in, regardless of the hint.
            assert_redirect_to_consent(server.authorize(Some(&frigg), &app, &[("login_hint", hint)]).await);
        }
        let again = [("login_hint", "frigg"), ("prompt", "login")];
        let answer = server.authorize(Some(&frigg), &app, &again).await.expect(302);
        assert_eq!(answer.sent("login_hint").as_deref(), Some("frigg"));
    }
}
