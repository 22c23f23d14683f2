//! The refresh token grant (RFC 6749 §6): rotation, the reuse window for lost answers, and replay
//! detection.

use time::Duration;

use crate::support::race::{with, without};
use crate::support::{Answer, Client, NewClient, Server, both};

const LIVE: &str = "SELECT COUNT(*) AS n FROM oauth_refresh_tokens WHERE revoked_at IS NULL";

/// Uses a refresh token; returns the successor.
async fn rotate(server: &Server, client: &Client, token: &str) -> String {
    let answer = server.refresh(client, token).await;
    answer.expect(200).text("refresh_token")
}

/// Uses a refresh token with a `scope` parameter.
async fn narrow(server: &Server, client: &Client, token: &str, scope: &str) -> Answer {
    let form = client.refresh_form(token);
    server.token(&with(&form, "scope", scope)).await
}

async fn refused(server: &Server, client: &Client, token: &str) {
    let answer = server.refresh(client, token).await;
    let answer = answer.expect_error(400, "invalid_grant");
    let text = "Refresh token is invalid, expired, or revoked; ";
    assert!(answer.text("error_description").starts_with(text));
}

both! {
    /// req_114, req_039, req_190: every use gives a new token of the same scope.
    async fn a_refresh_token_rotates(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await;
        let second = server.refresh(&app, &first.text("refresh_token")).await.expect(200);
        let third = server.refresh(&app, &second.text("refresh_token")).await.expect(200);
        let tokens = [&first, &second, &third].map(|answer| answer.text("refresh_token"));
        assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2] && tokens[0] != tokens[2]);
        assert_eq!(third.text("scope"), first.text("scope"));
        assert_eq!(server.count(LIVE, &[]).await, 1);
    }

    /// req_180: a refreshed ID token keeps the sign-in and the client, has a new `iat` and no nonce.
    async fn a_refreshed_id_token_keeps_its_subject_and_sign_in(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[("nonce", "n1")]).await;
        server.turn(Duration::minutes(5));
        let second = server.refresh(&app, &first.text("refresh_token")).await.expect(200);
        let second = server.refresh(&app, &second.text("refresh_token")).await.expect(200);
        let (before, after) = (first.claims("id_token"), second.claims("id_token"));
        for same in ["iss", "sub", "aud", "auth_time"] {
            assert_eq!(before[same], after[same]);
        }
        assert_eq!(after["iat"].as_i64().unwrap(), before["iat"].as_i64().unwrap() + 300);
        assert_eq!(after.get("nonce"), None);
        assert_eq!(after["auth_time"], before["iat"]); // the time of the sign-in
    }

    /// A-28, P3: a repeat within the reuse window, after a lost answer, gets the same successor again.
    async fn a_repeat_within_the_window_gets_the_same_successor(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let lost = server.refresh(&app, &first).await.expect(200);
        server.turn(Duration::seconds(10) - Duration::microseconds(1));
        let again = server.refresh(&app, &first).await.expect(200);
        assert_eq!(again.text("refresh_token"), lost.text("refresh_token"));
        assert_ne!(again.text("access_token"), lost.text("access_token"));
        assert_eq!(server.count(LIVE, &[]).await, 1);
        rotate(&server, &app, &again.text("refresh_token")).await;
    }

    /// a repeat does not extend the successor's lifetime.
    async fn a_repeat_keeps_the_first_expiry(setup: Setup) {
        let server = setup.with("OAUTH_REFRESH_TOKEN_TTL", "1h").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        rotate(&server, &app, &first).await;
        server.turn(Duration::seconds(9));
        let next = rotate(&server, &app, &first).await;
        server.turn(Duration::hours(1) - Duration::seconds(9));
        refused(&server, &app, &next).await;
    }

    /// A-24, req_123: a repeat after the window revokes all tokens of the family.
    async fn a_repeat_after_the_window_ends_the_family(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        let first = tokens.text("refresh_token");
        let second = rotate(&server, &app, &first).await;
        server.turn(Duration::seconds(10));
        refused(&server, &app, &first).await;
        refused(&server, &app, &second).await;
        assert_eq!(server.count(LIVE, &[]).await, 0);
        let access_token = tokens.text("access_token");
        let seen = server.get_with_bearer("/api/oauth/userinfo", &access_token).await;
        seen.expect_error(401, "invalid_token");
    }

    /// A-24, req_123: a repeat within the window revokes the family if the successor was already used.
    async fn a_repeat_after_the_successor_was_used_ends_the_family(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let second = rotate(&server, &app, &first).await;
        let third = rotate(&server, &app, &second).await;
        refused(&server, &app, &first).await;
        refused(&server, &app, &third).await;
        assert_eq!(server.count(LIVE, &[]).await, 0);
    }

    /// A-24, req_123: without a window every repeat is a replay.
    async fn without_a_window_every_repeat_ends_the_family(setup: Setup) {
        let server = setup.with("OAUTH_REFRESH_TOKEN_REUSE_WINDOW", "0s").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let second = rotate(&server, &app, &first).await;
        refused(&server, &app, &first).await;
        refused(&server, &app, &second).await;
    }

    /// the end of a family does not affect a second grant of the same account and client.
    async fn another_grant_lives_on_when_a_family_ends(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let bystander = server.tokens(&frigg, &app, &[]).await;
        rotate(&server, &app, &first).await;
        server.turn(Duration::minutes(1));
        refused(&server, &app, &first).await;
        let access_token = bystander.text("access_token");
        server.get_with_bearer("/api/oauth/userinfo", &access_token).await.expect(200);
        rotate(&server, &app, &bystander.text("refresh_token")).await;
    }

    /// the reuse of a rotated token is detected after the token's expiry too.
    async fn reuse_of_an_expired_parent_still_ends_the_family(setup: Setup) {
        let server = setup.with("OAUTH_REFRESH_TOKEN_TTL", "1h").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        server.turn(Duration::minutes(50));
        let second = rotate(&server, &app, &first).await;
        server.turn(Duration::minutes(50)); // the first has expired, the second has not
        refused(&server, &app, &first).await;
        refused(&server, &app, &second).await;
    }

    /// A-30, req_037: a token is valid for its own client only; use by another client revokes nothing.
    async fn a_token_of_another_client_is_refused_and_stays_live(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let service = server.confidential_client(&frigg.id).await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        refused(&server, &service, &first).await;
        let second = rotate(&server, &app, &first).await;
        server.turn(Duration::minutes(1));
        refused(&server, &service, &first).await; // not even a rotated token
        rotate(&server, &app, &second).await;
    }

    /// A-30, req_016, req_037: a confidential client must authenticate, and a failure revokes nothing.
    async fn a_confidential_client_authenticates_to_refresh(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let service = server.confidential_client(&frigg.id).await;
        let first = server.tokens(&frigg, &service, &[]).await.text("refresh_token");
        let form = service.refresh_form(&first);
        server.token(&without(&form, "client_secret")).await.expect_error(400, "invalid_client");
        server.token(&with(&form, "client_secret", "wrong")).await.expect_error(400, "invalid_client");
        rotate(&server, &service, &first).await;
    }

    /// A-31, req_038, req_017: a scope beyond the grant is `invalid_scope`, and the token is not
    /// consumed.
    async fn a_wider_scope_is_refused(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let app = server.client(NewClient { scope: "ADMINISTRATOR", ..NewClient::default() }).await;
        let first = server.tokens(&odin, &app, &[("scope", "openid offline_access")]).await.text("refresh_token");
        for scope in ["ADMINISTRATOR", "openid email", "NOBODY_KNOWS", "openid\toffline_access", "\"openid\""] {
            narrow(&server, &app, &first, scope).await.expect_error(400, "invalid_scope");
        }
        rotate(&server, &app, &first).await;
    }

    /// req_038, req_039, req_124: a refresh may narrow the scope of an access token; the refresh token
    /// keeps the full scope.
    async fn a_refresh_may_narrow_the_scope(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let less = narrow(&server, &app, &first, "profile").await.expect(200);
        assert_eq!(less.text("scope"), "profile");
        assert_eq!(less.claims("access_token")["scope"], "profile");
        assert!(less.json().get("id_token").is_none());
        let whole = server.refresh(&app, &less.text("refresh_token")).await.expect(200);
        assert_eq!(whole.scope(), ["email", "offline_access", "openid", "profile"]);
    }

    /// req_124: a permission that the account lost is missing in the next access token and
    /// returns with the permission, within the consented scope.
    async fn the_scope_follows_the_account_within_the_consent(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let app = server.public_client().await;
        let scope = "offline_access READ_PROFILE MANAGE_POSTS";
        let first = server.tokens(&frigg, &app, &[("scope", scope)]).await.text("refresh_token");
        server.remove_permissions_except_use_clients(&frigg).await;
        let fewer = server.refresh(&app, &first).await.expect(200);
        assert_eq!(fewer.scope(), ["READ_PROFILE", "offline_access"]);
        let promote = "UPDATE accounts SET admin = true WHERE id = $1";
        server.sql(promote, &[frigg.id.as_str()]).await;
        let back = server.refresh(&app, &fewer.text("refresh_token")).await.expect(200);
        assert_eq!(back.scope(), ["MANAGE_POSTS", "READ_PROFILE", "offline_access"]);
    }

    /// A-33, req_036: a client that lost the grant type gets `unauthorized_client`.
    async fn a_client_that_lost_the_grant_is_refused(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        server.sql("UPDATE oauth_clients SET allowed_grants = '[\"authorization_code\"]'", &[]).await;
        let answer = server.refresh(&app, &first).await.expect_error(400, "unauthorized_client");
        let text = "Client is not authorized for refresh_token grant; its grant types are authorization_code";
        assert!(answer.text("error_description").starts_with(text));
    }

    /// req_125: an unused token expires after the full lifetime; each use starts a new lifetime.
    async fn a_token_expires_when_it_is_not_used(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        server.turn(Duration::hours(720) - Duration::microseconds(1));
        let second = rotate(&server, &app, &first).await;
        server.turn(Duration::hours(720));
        refused(&server, &app, &second).await;
    }

    /// req_134: the use of a token that a member revoked is refused, and does not revoke the grant.
    async fn a_revoked_token_is_refused(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        server.sql("UPDATE oauth_refresh_tokens SET revoked_at = created_at", &[]).await;
        refused(&server, &app, &tokens.text("refresh_token")).await;
        let access_token = tokens.text("access_token");
        server.get_with_bearer("/api/oauth/userinfo", &access_token).await.expect(200);
    }

    /// P8, A-24: a token issued by Storyden, without companion rows, rotates here, and reuse is
    /// detected.
    async fn a_storydens_token_rotates_and_reuse_is_detected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let second = rotate(&server, &app, &first).await;
        server.sql("DELETE FROM auth_refresh_tokens", &[]).await;
        server.sql("DELETE FROM auth_grants", &[]).await;
        let third = rotate(&server, &app, &second).await;
        assert_eq!(rotate(&server, &app, &second).await, third); // within the reuse window
        refused(&server, &app, &first).await;
        refused(&server, &app, &third).await;
    }

    /// req_036: unknown tokens and tokens of other kinds are refused.
    async fn tokens_of_other_kinds_are_refused(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        for other in ["x", "' OR ''='", &tokens.text("access_token"), &tokens.text("id_token")] {
            refused(&server, &app, other).await;
        }
    }

    /// a grant has an absolute lifetime, regardless of refreshes.
    async fn a_grant_has_an_absolute_lifetime(setup: Setup) {
        let setup = setup.with("OAUTH_REFRESH_TOKEN_TTL", "240h").with("OAUTH_GRANT_TTL", "480h");
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let mut token = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        for _ in 0..2 {
            server.clock.turn(Duration::hours(239));
            token = rotate(&server, &app, &token).await;
        }
        server.clock.turn(Duration::hours(2));
        refused(&server, &app, &token).await;
    }

    /// the default of `OAUTH_GRANT_TTL` is 180 days in `standards`, and unlimited in `storyden`.
    async fn the_default_grant_lifetime_is_180_days(setup: Setup) {
        for (profile, handle, ends) in [("standards", "frigg", true), ("storyden", "odin", false)] {
            let server = setup.clone().with("OAUTH_PROFILE", profile).start().await;
            let person = server.member(handle, &[]).await;
            let app = server.client(NewClient { client_id: handle, ..NewClient::default() }).await;
            let mut token = server.tokens(&person, &app, &[]).await.text("refresh_token");
            for _ in 0..7 {
                server.clock.turn(Duration::days(25));
                token = rotate(&server, &app, &token).await;
            }
            server.clock.turn(Duration::days(6));
            if ends {
                refused(&server, &app, &token).await;
            } else {
                rotate(&server, &app, &token).await;
            }
        }
    }
}
