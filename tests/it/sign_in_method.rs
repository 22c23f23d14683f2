//! How a person signed in: `acr` (OpenID Connect Core §2), `acr_values` (§3.1.2.1) and an essential `acr`
//! (§5.5.1.1).

use serde_json::json;
use time::Duration;

use crate::support::{
    BrowserRequest, assert_redirect_to_consent, assert_redirect_to_login, both, told,
};

/// The class of a sign-in with a password.
const PASSWORD: &str = "urn:storyden:acr:password";

/// An essential `acr` with these values.
fn essential(values: &[&str]) -> String {
    json!({ "id_token": { "acr": { "essential": true, "values": values } } }).to_string()
}

both! {
    /// req_097, req_180: `acr` tells that the person signed in with the password, in both tokens, and stays
    /// through a refresh. A session of unknown origin, as of a Storyden, has none.
    async fn acr_is_how_the_person_signed_in(setup: Setup) {
        let server = setup.start().await;
        let unknown = server.member("frigg", &[]).await; // a session without a sign-in
        let frigg = server.sign_in_again(&unknown).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        let refreshed = server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
        for tokens in [tokens, refreshed] {
            assert_eq!(tokens.claims("id_token")["acr"], PASSWORD);
            assert_eq!(tokens.claims("access_token")["acr"], PASSWORD);
        }
        let tokens = server.tokens(&unknown, &app, &[]).await;
        assert_eq!(tokens.claims("id_token").get("acr"), None);
        assert_eq!(tokens.claims("access_token").get("acr"), None);
        let sql = "SELECT COUNT(*) AS n FROM auth_sessions WHERE method = 'password'";
        assert_eq!(server.count(sql, &[]).await, 1);
    }

    /// A sign-up chooses a password.
    async fn a_sign_up_is_a_sign_in_with_the_password(setup: Setup) {
        let server = setup.with("SIGNUP_ENABLED", "true").start().await;
        let body = json!({ "identifier": "frigg", "token": "correct horse battery" });
        let request = server.request("POST", "/api/auth/password/signup").json(&body);
        server.send(request).await.expect(200);
        let sql = "SELECT COUNT(*) AS n FROM auth_sessions WHERE method = 'password'";
        assert_eq!(server.count(sql, &[]).await, 1);
    }

    /// req_168: `acr_values` is voluntary: any value is accepted, and the ID token tells the class.
    async fn acr_values_are_voluntary(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let signed_in = server.sign_in_again(&frigg).await;
        let app = server.public_client().await;
        let voluntary = json!({ "id_token": { "acr": { "values": ["urn:x:high"] } } }).to_string();
        for changed in [("acr_values", PASSWORD), ("acr_values", "urn:x:high 1"), ("claims", voluntary.as_str())] {
            let tokens = server.tokens(&signed_in, &app, &[changed]).await;
            assert_eq!(tokens.claims("id_token")["acr"], PASSWORD);
            server.tokens(&frigg, &app, &[changed]).await;
        }
    }

    /// OpenID Connect Core §5.5.1.1: an essential `acr` that a sign-in here reaches asks for that sign-in; any
    /// other is an error, before and after sign-in.
    async fn an_essential_acr_is_met_or_refused(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let (reachable, unreachable) = (essential(&["urn:x:high", PASSWORD]), essential(&["urn:x:high"]));
        let (reachable, unreachable) = ([("claims", reachable.as_str())], [("claims", unreachable.as_str())]);
        // a session of unknown origin
        let detour = assert_redirect_to_login(server.authorize(Some(&frigg), &app, &reachable).await);
        let silent = [reachable[0], ("prompt", "none")];
        told(server.authorize(Some(&frigg), &app, &silent).await, "login_required");
        detour.open(&server, &frigg).await.expect(401);
        server.turn(Duration::seconds(1));
        let signed_in = server.sign_in_again(&frigg).await;
        detour.open(&server, &signed_in).await.expect(200);
        assert_redirect_to_consent(server.authorize(Some(&signed_in), &app, &reachable).await);
        let tokens = server.tokens(&signed_in, &app, &reachable).await;
        assert_eq!(tokens.claims("id_token")["acr"], PASSWORD);
        // A sign-in elsewhere after the request does not loop.
        let detour = BrowserRequest::begin(&server, &app, &reachable).await;
        server.turn(Duration::seconds(1));
        let elsewhere = server.sign_in_again(&frigg).await;
        server.sql("DELETE FROM auth_sessions", &[]).await;
        let answer = detour.open(&server, &elsewhere).await;
        let error = "unmet_authentication_requirements";
        assert_eq!(answer.expect_error(400, error).sent("error").as_deref(), Some(error));
        told(server.authorize(Some(&signed_in), &app, &unreachable).await, error);
        let detour = BrowserRequest::begin(&server, &app, &unreachable).await;
        detour.open(&server, &signed_in).await.expect_error(400, error);
    }
}
