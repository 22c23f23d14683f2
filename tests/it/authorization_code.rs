//! The code flow from authorize to tokens (RFC 6749 §4.1, RFC 7636).

use time::Duration;

use crate::support::both;

both! {
    /// req_022, req_033: a code is exchanged for tokens, once.
    async fn a_code_is_exchanged_once(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let tokens = server.exchange(&app, &code).await.expect(200);
        assert_eq!(tokens.scope(), ["email", "offline_access", "openid", "profile"]);
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
    }

    /// A-14, req_023: a code that is used again later ends what the first use gave.
    async fn a_code_used_twice_revokes_its_tokens(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let tokens = server.exchange(&app, &code).await.expect(200);
        server.turn(Duration::seconds(10));
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        server.refresh(&app, &tokens.text("refresh_token")).await.expect_error(400, "invalid_grant");
        let access_token = tokens.text("access_token");
        server.get_with_bearer("/api/oauth/userinfo", &access_token).await.expect(401);
    }
}
