//! Authorization code grant, from authorize to tokens (RFC 6749 §4.1, RFC 7636).

use insta::{allow_duplicates, assert_json_snapshot};
use storyden_auth::oauth::grant_type::GrantType;
use time::Duration;

use crate::support::race::{with, without};
use crate::support::{NewClient, both, challenge_of};

const OTHER_VERIFIER: &str = "another-verifier-of-forty-three-characters-1";

both! {
    /// req_022, req_033: a code is exchanged for tokens, once.
    async fn code_is_exchanged_once(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let tokens = server.exchange(&app, &code).await.expect(200);
        assert_eq!(tokens.scope(), ["email", "offline_access", "openid", "profile"]);
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
    }

    /// A-14, req_023, req_119, req_130: reuse of a code revokes the tokens that the code was exchanged
    /// for.
    async fn code_reuse_revokes_tokens(setup: Setup) {
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

    /// A-14, req_023: reuse of a code revokes also after the code has expired and the tokens were
    /// refreshed.
    async fn code_reuse_after_expiry_revokes_tokens(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let first = server.exchange(&app, &code).await.expect(200);
        let second = server.refresh(&app, &first.text("refresh_token")).await.expect(200);
        server.turn(Duration::hours(2));
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        let leaf = second.text("refresh_token");
        server.refresh(&app, &leaf).await.expect_error(400, "invalid_grant");
    }

    /// A-17, req_131: a replay with invalid parameters revokes nothing, so that an attacker with only
    /// the code cannot end grants.
    async fn invalid_replay_revokes_nothing(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let other = server.client(NewClient { client_id: "other", ..NewClient::default() }).await;
        let code = server.code(&frigg, &app, &[]).await;
        let tokens = server.exchange(&app, &code).await.expect(200);
        server.turn(Duration::seconds(30));
        let form = app.exchange_form(&code);
        for wrong in [
            with(&form, "code_verifier", OTHER_VERIFIER),
            with(&form, "redirect_uri", "https://app.example/other"),
            other.exchange_form(&code),
        ] {
            server.token(&wrong).await.expect_error(400, "invalid_grant");
        }
        let access_token = tokens.text("access_token");
        server.get_with_bearer("/api/oauth/userinfo", &access_token).await.expect(200);
        server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
    }

    /// req_032, req_033, req_172: the response has the members of RFC 6749 §5.1 and `no-store`.
    async fn token_response_is_standard_and_not_cached(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        assert_eq!(tokens.header("content-type"), "application/json");
        assert_eq!(tokens.header("cache-control"), "no-store");
        assert_eq!(tokens.header("pragma"), "no-cache");
        assert_eq!(tokens.text("refresh_token").len(), 43);
        let mut body = tokens.json();
        for token in ["access_token", "id_token", "refresh_token"] {
            body[token] = format!("[{token}]").into();
        }
        allow_duplicates! { assert_json_snapshot!(body, @r#"
        {
          "access_token": "[access_token]",
          "expires_in": 900,
          "id_token": "[id_token]",
          "refresh_token": "[refresh_token]",
          "scope": "openid profile email offline_access",
          "token_type": "Bearer"
        }
        "#) }
    }

    /// A-16, req_024, req_029: a code issued to a public client is rejected for a second client, and is
    /// not consumed.
    async fn code_is_bound_to_the_public_client(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let other = server.client(NewClient { client_id: "other", ..NewClient::default() }).await;
        let code = server.code(&frigg, &app, &[]).await;
        server.exchange(&other, &code).await.expect_error(400, "invalid_grant");
        server.exchange(&app, &code).await.expect(200);
    }

    /// A-16, req_029: a code issued to a confidential client is rejected for a second client with a
    /// valid secret.
    async fn code_is_bound_to_the_confidential_client(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let service = server.confidential_client(&frigg.id).await;
        let other = server
            .client(NewClient { client_id: "other", secret: Some("other-secret"), ..NewClient::default() })
            .await;
        let code = server.code(&frigg, &service, &[]).await;
        server.exchange(&other, &code).await.expect_error(400, "invalid_grant");
        server.exchange(&service, &code).await.expect(200);
    }

    /// A-12, req_024, req_028: a different redirect URI is rejected, and the code is not consumed.
    async fn different_redirect_uri_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        for wrong in ["https://app.example/cb/", "https://APP.example/cb", "https://app.example/cb?x=1"] {
            let form = app.exchange_form(&code);
            server.token(&with(&form, "redirect_uri", wrong)).await.expect_error(400, "invalid_grant");
        }
        server.exchange(&app, &code).await.expect(200);
    }

    /// A-12, req_028: a redirect URI sent to authorize is required at the exchange.
    async fn missing_redirect_uri_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let form = without(&app.exchange_form(&code), "redirect_uri");
        let refused = server.token(&form).await.expect_error(400, "invalid_request");
        assert_eq!(refused.text("error_description"), "Missing redirect_uri");
        server.exchange(&app, &code).await.expect(200);
    }

    /// req_013, req_132: a redirect URI left out at authorize is optional at the exchange, and a wrong
    /// value is rejected.
    async fn omitted_redirect_uri_is_optional_at_the_exchange(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[("redirect_uri", "")]).await;
        let form = app.exchange_form(&code);
        let wrong = with(&form, "redirect_uri", "https://app.example/other");
        server.token(&wrong).await.expect_error(400, "invalid_grant");
        server.token(&without(&form, "redirect_uri")).await.expect(200);
    }

    /// req_013, req_132: a redirect URI left out at authorize may be sent at the exchange.
    async fn omitted_redirect_uri_may_be_sent_at_the_exchange(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[("redirect_uri", "")]).await;
        let form = app.exchange_form(&code);
        for wrong in ["https://app.example/cb/", "https://app.example/CB", "https://evil.example/cb"] {
            server.token(&with(&form, "redirect_uri", wrong)).await.expect_error(400, "invalid_grant");
        }
        server.token(&form).await.expect(200);
    }

    /// req_056, req_120: a wrong verifier is rejected.
    async fn wrong_verifier_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let form = app.exchange_form(&code);
        let refused = server.token(&with(&form, "code_verifier", OTHER_VERIFIER)).await;
        let refused = refused.expect_error(400, "invalid_grant");
        assert_eq!(refused.text("error_description"), "Code verifier does not match the code challenge");
        // With the method `plain` the challenge would be accepted as the verifier.
        let challenge = challenge_of(crate::support::VERIFIER);
        server.token(&with(&form, "code_verifier", &challenge)).await.expect_error(400, "invalid_grant");
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM oauth_refresh_tokens", &[]).await, 0);
    }

    /// A-19: a code injected into a different browser is rejected, because the client there sends the
    /// verifier of a different request.
    async fn injected_code_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let loki = server.member("loki", &[]).await;
        let app = server.public_client().await;
        let theirs = challenge_of(OTHER_VERIFIER);
        let code = server.code(&loki, &app, &[("code_challenge", &theirs)]).await;
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
    }

    /// A-18: wrong verifiers are rejected and rate limited, and the right verifier still works.
    async fn wrong_verifiers_do_not_consume_a_code(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let wrong = with(&app.exchange_form(&code), "code_verifier", OTHER_VERIFIER);
        let mut slowed = 0;
        for _ in 0..50 {
            let refused = server.token(&wrong).await;
            assert_eq!(refused.text("error"), "invalid_grant");
            slowed += usize::from(refused.status == 429);
        }
        assert!(slowed > 0);
        server.exchange(&app, &code).await.expect(200);
    }

    /// req_051: a verifier is 43 to 128 unreserved characters.
    async fn verifier_format_is_checked(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let (short, long) = ("a".repeat(42), "a".repeat(129));
        for wrong in [short.as_str(), &long, &format!("{}=", "a".repeat(43)), &"ä".repeat(43), &" ".repeat(43)] {
            let form = app.exchange_form(&code);
            let refused = server.token(&with(&form, "code_verifier", wrong)).await;
            let refused = refused.expect_error(400, "invalid_request");
            assert_eq!(refused.text("error_description"), "Invalid code_verifier format");
        }
        let longest = "~".repeat(128);
        let challenge = challenge_of(&longest);
        let code = server.code(&frigg, &app, &[("code_challenge", &challenge)]).await;
        let form = app.exchange_form(&code);
        server.token(&with(&form, "code_verifier", &longest)).await.expect(200);
    }

    /// A-20, req_021: a code expires after exactly 60 seconds.
    async fn code_expires_after_sixty_seconds(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let (in_time, late) = (server.code(&frigg, &app, &[]).await, server.code(&frigg, &app, &[]).await);
        server.turn(Duration::seconds(60) - Duration::microseconds(1));
        server.exchange(&app, &in_time).await.expect(200);
        server.turn(Duration::microseconds(1));
        server.exchange(&app, &late).await.expect_error(400, "invalid_grant");
        server.turn(Duration::hours(-1)); // a clock set back does not extend the lifetime
        server.exchange(&app, &in_time).await.expect_error(400, "invalid_grant");
    }

    /// req_021: the lifetime of codes is configurable.
    async fn code_lifetime_is_configurable(setup: Setup) {
        let server = setup.with("OAUTH_AUTHORISATION_CODE_TTL", "10m").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        server.turn(Duration::minutes(9));
        server.exchange(&app, &code).await.expect(200);
    }

    /// req_018, req_020: the granted scope is limited by client and account, and is in the response.
    async fn response_has_the_granted_scope(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.client(NewClient { scope: "openid CREATE_POST MANAGE_POSTS", ..NewClient::default() }).await;
        let asked = "openid email CREATE_POST MANAGE_POSTS MANAGE_REPORTS";
        let tokens = server.tokens(&frigg, &app, &[("scope", asked)]).await;
        assert_eq!(tokens.text("scope"), "openid CREATE_POST");
        assert_eq!(tokens.claims("access_token")["scope"], "openid CREATE_POST");
    }

    /// req_019, req_033: without a requested scope, the granted scope is empty, with neither ID token
    /// nor refresh token.
    async fn omitted_scope_grants_no_scope(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let body = server.tokens(&frigg, &app, &[("scope", "")]).await.json();
        assert_eq!(body["scope"], "");
        assert_eq!((body.get("id_token"), body.get("refresh_token")), (None, None));
    }

    /// req_179: a refresh token is issued only for `offline_access` and to a client with the
    /// refresh_token grant.
    async fn refresh_token_requires_offline_access_and_the_grant(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let online = server.tokens(&frigg, &app, &[("scope", "openid profile")]).await;
        assert!(online.json().get("refresh_token").is_none());
        let no_refresh = server
            .client(NewClient {
                client_id: "once",
                grants: &[GrantType::AuthorizationCode],
                ..NewClient::default()
            })
            .await;
        let tokens = server.tokens(&frigg, &no_refresh, &[]).await;
        assert!(tokens.json().get("refresh_token").is_none());
    }

    /// req_036: a client without the grant is rejected before the code is looked up.
    async fn client_without_the_grant_is_unauthorized(setup: Setup) {
        let server = setup.start().await;
        let app = server.client(NewClient { grants: &[GrantType::DeviceCode], ..NewClient::default() }).await;
        let refused = server.exchange(&app, "bogus").await.expect_error(400, "unauthorized_client");
        assert_eq!(
            refused.text("error_description"),
            "Client is not authorized for authorization_code grant; its grant types are \
             urn:ietf:params:oauth:grant-type:device_code"
        );
    }

    /// req_163, req_162: the ID token has the nonce of the request, and no nonce without.
    async fn id_token_has_the_nonce(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let nonce = "n-0S6_WzA2Mj \"ü";
        let tokens = server.tokens(&frigg, &app, &[("nonce", nonce)]).await;
        assert_eq!(tokens.claims("id_token")["nonce"], nonce);
        let tokens = server.tokens(&frigg, &app, &[]).await;
        assert_eq!(tokens.claims("id_token").get("nonce"), None);
    }

    /// req_036, A-66: an unknown code of any form is rejected.
    async fn unknown_code_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        let long = "a".repeat(4_096);
        for unknown in ["x", "a code", "' OR 1=1 --", "💥", &long] {
            let refused = server.exchange(&app, unknown).await.expect_error(400, "invalid_grant");
            assert_eq!(
                refused.text("error_description"),
                "Authorization code is invalid, expired, or already used; no such code was issued to this \
                 client; codes live 60 seconds"
            );
        }
    }
}
