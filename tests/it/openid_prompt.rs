//! Control of sign-in and consent by the client (OpenID Connect Core §3.1.2.1): `prompt` and `max_age`.

use time::Duration;

use crate::support::{
    assert_redirect_to_consent, assert_redirect_to_login, both, redirected_errors, stored, told,
};

both! {
    /// req_166: `prompt=none` without a session is `login_required`, and no page is shown.
    async fn prompt_none_without_a_session_is_login_required(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let answer = told(server.authorize(None, &app, &[("prompt", "none")]).await, "login_required");
        assert!(answer.header("location").starts_with("https://app.example/cb?error="));
        assert_eq!(answer.find_header("set-cookie"), None);
        assert_eq!(stored(&server).await, 0);
    }

    /// req_166, req_073: with a session, but without an earlier approval, the answer is `consent_required`.
    async fn prompt_none_without_an_approval_is_consent_required(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        server.tokens(&frigg, &app, &[("scope", "openid")]).await; // less than requested below
        let before = stored(&server).await;
        for _ in 0..2 {
            let answer = server.authorize(Some(&frigg), &app, &[("prompt", "none")]).await;
            told(answer, "consent_required");
        }
        assert_eq!(stored(&server).await, before);
    }

    /// req_166: `prompt=none` redirects with other errors too.
    async fn prompt_none_redirects_with_other_errors(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        for (person, changed, error) in redirected_errors(&server).await {
            let changed = [("prompt", "none"), changed];
            told(server.authorize(Some(&person), &app, &changed).await, error);
        }
    }

    /// req_167, req_166: `none` with a further value is contradictory.
    async fn prompt_none_with_another_value_is_invalid(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for prompt in ["none login", "login none", "none consent", "select_account none"] {
            let answer = server.authorize(Some(&frigg), &app, &[("prompt", prompt)]).await;
            told(answer, "invalid_request");
        }
        assert_eq!(stored(&server).await, 0);
    }

    /// req_166: a contradictory or invalid request with `none` redirects with an error and shows no
    /// page.
    async fn no_page_is_shown_to_a_contradictory_prompt_none(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        for changed in [
            &[("prompt", "none login")][..],
            &[("prompt", "consent none")],
            &[("prompt", "none"), ("max_age", "-1")],
            &[("prompt", "none"), ("max_age", "soon")],
        ] {
            told(server.authorize(None, &app, changed).await, "invalid_request");
        }
        let changed = [("prompt", "none"), ("response_type", "token")];
        told(server.authorize(None, &app, &changed).await, "login_required");
        assert_eq!(stored(&server).await, 0);
    }

    /// req_167, req_170: `login` and `select_account` require a session that is newer than the request, or a
    /// choice; then the same request continues.
    async fn prompt_login_requires_a_new_sign_in(setup: Setup) {
        let server = setup.start().await;
        let old = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for prompt in ["login", "select_account", "login consent", "select_account login"] {
            server.turn(Duration::seconds(1));
            let changed = [("prompt", prompt), ("state", "a b"), ("nonce", prompt)];
            let detour = assert_redirect_to_login(server.authorize(Some(&old), &app, &changed).await);
            // The old session is not accepted, even in the same browser.
            for answer in [
                detour.open(&server, &old).await,
                detour.decide(&server, &old, "approve").await,
                detour.decide(&server, &old, "deny").await,
            ] {
                assert_eq!(answer.expect(401).body, "");
            }
            server.turn(Duration::seconds(1));
            let new = server.sign_in_again(&old).await;
            let consent = detour.open(&server, &new).await.expect(200).json();
            assert_eq!(consent["request_id"], detour.request_id);
            let approved = detour.decide(&server, &new, "approve").await.expect(200);
            assert_eq!(approved.sent("state").as_deref(), Some("a b"));
            let code = approved.sent("code").unwrap();
            let claims = server.exchange(&app, &code).await.expect(200).claims("id_token");
            assert_eq!(claims["nonce"], prompt);
            assert_eq!(claims["auth_time"], claims["iat"]);
        }
    }

    /// req_167: each such request requires a new sign-in; an ordinary request accepts the present
    /// session.
    async fn each_prompt_login_requires_a_new_sign_in(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = assert_redirect_to_login(server.authorize(Some(&frigg), &app, &[("prompt", "login")]).await);
        server.turn(Duration::seconds(1));
        let again = server.sign_in_again(&frigg).await;
        first.open(&server, &again).await.expect(200);
        server.turn(Duration::microseconds(1));
        let second = assert_redirect_to_login(server.authorize(Some(&again), &app, &[("prompt", "login")]).await);
        second.open(&server, &again).await.expect(401);
        assert_redirect_to_consent(server.authorize(Some(&frigg), &app, &[]).await);
    }

    /// req_167: a session from the same moment as the request is not newer.
    async fn prompt_login_is_exact_to_the_microsecond(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let detour = assert_redirect_to_login(server.authorize(Some(&frigg), &app, &[("prompt", "login")]).await);
        let same_moment = server.sign_in_again(&frigg).await;
        detour.open(&server, &same_moment).await.expect(401);
        server.turn(Duration::microseconds(1));
        let younger = server.sign_in_again(&frigg).await;
        detour.open(&server, &younger).await.expect(200);
    }

    /// req_167: without a session a single sign-in is enough.
    async fn prompt_login_of_a_guest_is_one_sign_in(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let detour = assert_redirect_to_login(server.authorize(None, &app, &[("prompt", "login")]).await);
        server.turn(Duration::seconds(1));
        let frigg = server.sign_in_again(&frigg).await;
        detour.open(&server, &frigg).await.expect(200);
    }

    /// req_167: `consent` shows the consent page, and needs no new sign-in.
    async fn prompt_consent_shows_the_consent_page(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        server.turn(Duration::hours(1));
        let request_id = assert_redirect_to_consent(server.authorize(Some(&frigg), &app, &[("prompt", "consent")]).await);
        let approved = server.decide(&frigg, &request_id, "approve").await.expect(200);
        server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
        assert_redirect_to_login(server.authorize(None, &app, &[("prompt", "consent")]).await);
    }

    /// req_164, req_170: a session older than `max_age` must sign in again; then the same request
    /// continues, and `auth_time` is the time of the new sign-in.
    async fn a_session_older_than_max_age_signs_in_again(setup: Setup) {
        let server = setup.start().await;
        let old = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let changed = [("max_age", "600"), ("nonce", "n1")];
        server.turn(Duration::seconds(600));
        assert_redirect_to_consent(server.authorize(Some(&old), &app, &changed).await);
        server.turn(Duration::microseconds(1));
        let detour = assert_redirect_to_login(server.authorize(Some(&old), &app, &changed).await);
        assert_eq!(detour.open(&server, &old).await.expect(401).body, "");
        server.turn(Duration::seconds(60));
        let new = server.sign_in_again(&old).await;
        server.turn(Duration::seconds(60));
        detour.open(&server, &new).await.expect(200);
        let approved = detour.decide(&server, &new, "approve").await.expect(200);
        let tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
        let claims = tokens.claims("id_token");
        assert_eq!(claims["nonce"], "n1");
        assert_eq!(claims["auth_time"].as_i64().unwrap(), claims["iat"].as_i64().unwrap() - 60);
    }

    /// req_164: `max_age=0` requires a sign-in after the request, however long the sign-in takes.
    async fn max_age_zero_requires_a_new_sign_in(setup: Setup) {
        let server = setup.start().await;
        let old = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        server.turn(Duration::microseconds(1));
        let detour = assert_redirect_to_login(server.authorize(Some(&old), &app, &[("max_age", "0")]).await);
        detour.open(&server, &old).await.expect(401);
        server.turn(Duration::seconds(1));
        let new = server.sign_in_again(&old).await;
        server.turn(Duration::minutes(5));
        detour.open(&server, &new).await.expect(200);
        let approved = detour.decide(&server, &new, "approve").await.expect(200);
        assert!(approved.sent("code").is_some());
    }

    /// req_164, req_166: with `prompt=none` a session that is too old is `login_required`.
    async fn prompt_none_with_an_old_session_is_login_required(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        server.turn(Duration::seconds(11));
        for (max_age, error) in [("10", "login_required"), ("0", "login_required"), ("11", "consent_required")] {
            let changed = [("prompt", "none"), ("max_age", max_age)];
            told(server.authorize(Some(&frigg), &app, &changed).await, error);
        }
    }

    /// req_164: a malformed `max_age` is rejected, before and after sign-in.
    async fn a_malformed_max_age_is_invalid(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for max_age in ["-1", "x", "1.5", "1e3", "0x10", " 5", "5 ", "5,0", "٣"] {
            let changed = [("max_age", max_age)];
            told(server.authorize(Some(&frigg), &app, &changed).await, "invalid_request");
            let detour = assert_redirect_to_login(server.authorize(None, &app, &changed).await);
            let answer = detour.open(&server, &frigg).await.expect_error(400, "invalid_request");
            assert!(answer.text("location").starts_with("https://app.example/cb?error=invalid_request&"));
        }
    }

    /// req_164: `max_age` has digits only, and any magnitude.
    async fn a_max_age_may_be_any_number(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        server.turn(Duration::days(30));
        for max_age in ["2592000", "0002592000", "4294967295", "4294967296", "99999999999999999999999"] {
            assert_redirect_to_consent(server.authorize(Some(&frigg), &app, &[("max_age", max_age)]).await);
        }
        told(server.authorize(Some(&frigg), &app, &[("max_age", "+5")]).await, "invalid_request");
    }
}
