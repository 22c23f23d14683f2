//! Claims of ID tokens (OpenID Connect Core §2, §3.1.2.6, §5.4, §12.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use time::Duration;

use crate::support::{Answer, BrowserRequest, both, told};

/// Start time of every test, in seconds since 1970.
const BEGIN: i64 = 1_767_225_600;

/// The hash of the access token issued with an ID token (OpenID Connect Core §3.1.3.6).
fn at_hash(tokens: &Answer) -> String {
    let digest = Sha256::digest(tokens.text("access_token"));
    URL_SAFE_NO_PAD.encode(&digest[..16])
}

/// The names of the claims of an ID token, sorted.
fn names(tokens: &Answer) -> Vec<String> {
    let claims: Value = tokens.claims("id_token");
    let mut names: Vec<String> = claims.as_object().unwrap().keys().cloned().collect();
    names.sort();
    names
}

both! {
    /// req_164, req_172: `auth_time` is the time of the sign-in, not of the approval or the request;
    /// the response has `no-store`.
    async fn auth_time_is_when_the_person_signed_in(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        server.turn(Duration::seconds(100));
        let request_id = server.pending(&frigg, &app, &[("max_age", "3600")]).await;
        server.turn(Duration::seconds(10));
        let approved = server.decide(&frigg, &request_id, "approve").await.expect(200);
        server.turn(Duration::seconds(1));
        let tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
        let claims = tokens.claims("id_token");
        assert_eq!((&claims["auth_time"], &claims["iat"]), (&BEGIN.into(), &(BEGIN + 111).into()));
        assert_eq!(tokens.header("cache-control"), "no-store");
        // A second session has a later `auth_time`.
        let again = server.sign_in_again(&frigg).await;
        let tokens = server.tokens(&again, &app, &[]).await;
        assert_eq!(tokens.claims("id_token")["auth_time"], BEGIN + 111);
        let tokens = server.tokens(&frigg, &app, &[]).await;
        assert_eq!(tokens.claims("id_token")["auth_time"], BEGIN);
    }

    /// req_180, req_163, req_162: a refreshed ID token has the first `auth_time`, a new `iat`, the hash
    /// of the new access token, no nonce, and only the claims of the narrower scope.
    async fn a_refreshed_id_token_keeps_the_first_auth_time(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[("nonce", "n1")]).await;
        server.turn(Duration::minutes(10));
        server.sign_in_again(&frigg).await; // a later sign-in does not affect the grant
        let second = server.refresh(&app, &first.text("refresh_token")).await.expect(200);
        let (before, after) = (first.claims("id_token"), second.claims("id_token"));
        for same in ["iss", "sub", "aud", "auth_time"] {
            assert_eq!(before[same], after[same], "{same}");
        }
        assert_eq!((&after["iat"], &after["exp"]), (&(BEGIN + 600).into(), &(BEGIN + 1_500).into()));
        assert_eq!((&before["nonce"], after.get("nonce")), (&"n1".into(), None));
        for tokens in [&first, &second] {
            assert_eq!(tokens.claims("id_token")["at_hash"], at_hash(tokens));
        }
        assert_ne!(before["at_hash"], after["at_hash"]);
        let mut narrower = app.refresh_form("");
        let refresh_token = second.text("refresh_token");
        narrower.retain(|(name, _)| *name != "refresh_token");
        narrower.extend([("refresh_token", refresh_token.as_str()), ("scope", "openid")]);
        let third = server.token(&narrower).await.expect(200);
        assert_eq!(names(&third), ["at_hash", "aud", "auth_time", "exp", "iat", "iss", "sub"]);
    }

    /// req_175, req_162: with an access token, the e-mail address is in userinfo, not in the ID token
    /// (OpenID Connect Core §5.4).
    async fn an_id_token_has_the_claims_of_its_scopes(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for (scope, released) in [
            ("openid", &[][..]),
            ("openid offline_access READ_PROFILE", &[]),
            ("openid profile", &["name"]),
            ("openid email", &[]),
            ("email openid profile", &["name"]),
        ] {
            let tokens = server.tokens(&frigg, &app, &[("scope", scope)]).await;
            let mut expected = vec!["at_hash", "aud", "auth_time", "exp", "iat", "iss", "sub"];
            expected.extend(released);
            expected.sort_unstable();
            assert_eq!(names(&tokens), expected, "{scope}");
        }
        let tokens = server.tokens(&frigg, &app, &[("scope", "profile email")]).await;
        assert_eq!(tokens.json().get("id_token"), None);
    }

    /// req_168: optional parameters are accepted and have no effect on the claims.
    async fn optional_parameters_are_accepted(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let scope = ("scope", "openid");
        let plain = names(&server.tokens(&frigg, &app, &[scope]).await);
        let voluntary = r#"{"id_token":{"acr":{"values":["urn:x:high"]},"nickname":null},"more":1}"#;
        for changed in [
            ("acr_values", "urn:mace:incommon:iap:silver 1"),
            ("display", "popup"),
            ("display", "hologram"),
            ("ui_locales", "is-IS en"),
            ("ui_locales", "!"),
            ("claims_locales", "fr-CA"),
            ("login_hint", "loki"),
            ("claims", voluntary),
            ("response_mode", "query"),
        ] {
            let tokens = server.tokens(&frigg, &app, &[scope, changed]).await;
            assert_eq!(names(&tokens), plain, "{changed:?}");
            let answer = server.authorize(None, &app, &[scope, changed]).await.expect(302);
            assert_eq!(answer.location().path(), "/login");
        }
    }

    /// req_171: invalid request objects, request objects by reference and self-issued registration are rejected
    /// with specific errors, at once or after sign-in.
    async fn request_objects_are_refused_by_their_own_errors(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for (name, value, error) in [
            ("request", "eyJhbGciOiJub25lIn0.e30.", "invalid_request_object"),
            ("request_uri", "https://app.example/request.jwt", "request_uri_not_supported"),
            ("registration", "{}", "registration_not_supported"),
        ] {
            told(server.authorize(Some(&frigg), &app, &[(name, value)]).await, error);
            let with_more = [(name, value), ("response_type", ""), ("code_challenge", "")];
            told(server.authorize(Some(&frigg), &app, &with_more).await, error);
            let silent = [(name, value), ("prompt", "none")];
            told(server.authorize(Some(&frigg), &app, &silent).await, error);
            let detour = BrowserRequest::begin(&server, &app, &[(name, value)]).await;
            let answer = detour.open(&server, &frigg).await.expect_error(400, error);
            assert_eq!(answer.sent("error").as_deref(), Some(error));
            assert_eq!(answer.sent("state").as_deref(), Some("st"));
        }
    }

    /// req_009, req_113: implicit and hybrid flows and the matching response modes are not supported.
    async fn only_the_code_flow_exists(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for response_type in ["id_token", "id_token token", "code id_token", "code token", "none", "CODE", "code code"] {
            let changed = [("response_type", response_type), ("nonce", "n1")];
            told(server.authorize(Some(&frigg), &app, &changed).await, "unsupported_response_type");
        }
        for response_mode in ["fragment", "form_post.jwt", "query.jwt", "QUERY"] {
            let changed = [("response_mode", response_mode)];
            told(server.authorize(Some(&frigg), &app, &changed).await, "invalid_request");
        }
    }
}
