//! The userinfo endpoint (OpenID Connect Core §5.3, RFC 6750).

use serde_json::{Value, json};
use time::Duration;

use crate::support::simulated_internet::SimulatedInternet;
use crate::support::{Answer, Client, Member, Server, both, told};

/// The path of userinfo.
const PATH: &str = "/api/oauth/userinfo";
/// Prefix of every challenge.
const CHALLENGE: &str =
    r#"Bearer resource_metadata="https://auth.example/.well-known/oauth-protected-resource/api""#;

/// An access token with a scope.
async fn token(server: &Server, member: &Member, scope: &str) -> String {
    let app = server.public_client().await;
    server
        .tokens(member, &app, &[("scope", scope)])
        .await
        .text("access_token")
}

/// Expects a status and a challenge with this code.
#[track_caller]
fn challenged(answer: Answer, status: u16, code: &str) {
    let answer = answer.expect_error(status, code);
    let challenge = answer.challenge();
    let expected = format!(r#"{CHALLENGE}, error="{code}", error_description=""#);
    assert!(challenge.starts_with(&expected), "{challenge}");
    assert_eq!(answer.header("cache-control"), "no-store");
}

/// Fetches the claims with a token.
async fn claims(server: &Server, token: &str) -> Value {
    let answer = server.get_with_bearer(PATH, token).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    answer.json()
}

both! {
    /// req_173, req_174, req_032: GET and POST return the same claims, with `no-store`.
    async fn get_and_post_give_the_same_claims(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let token = token(&server, &frigg, "openid profile email").await;
        let get = server.get_with_bearer(PATH, &token).await.expect(200);
        let mut claims = get.json();
        assert_eq!(claims["sub"].take(), json!(frigg.id.as_str()));
        insta::allow_duplicates! {
            insta::assert_json_snapshot!(claims, @r#"
            {
              "email": "frigg@example.com",
              "email_verified": true,
              "name": "Frigg",
              "preferred_username": "frigg",
              "sub": null,
              "updated_at": 1767225600
            }
            "#);
        }
        let bare = server.request("POST", PATH).bearer_auth(&token);
        let form = server.request("POST", PATH).bearer_auth(&token).form(&[("x", "1")]);
        for request in [bare, form] {
            let post = server.send(request).await.expect(200);
            assert_eq!(post.json(), get.json());
            assert_eq!(post.header("cache-control"), "no-store");
            assert_eq!(post.header("pragma"), "no-cache");
        }
    }

    /// req_174: the subject equals the ID token's.
    async fn the_subject_is_the_one_of_the_id_token(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        let claims = claims(&server, &tokens.text("access_token")).await;
        assert_eq!(claims["sub"], tokens.claims("id_token")["sub"]);
    }

    /// req_175: `profile` and `email` release exactly the claims of that scope.
    async fn scopes_release_exactly_their_claims(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for (scope, names) in [
            ("openid", &["sub"][..]),
            ("openid profile", &["name", "preferred_username", "sub", "updated_at"]),
            ("openid email", &["email", "email_verified", "sub"]),
            ("openid READ_PROFILE offline_access", &["sub"]),
        ] {
            let tokens = server.tokens(&frigg, &app, &[("scope", scope)]).await;
            let claims = claims(&server, &tokens.text("access_token")).await;
            let members: Vec<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(members, names, "{scope}");
        }
    }

    /// req_174: a claim without a value is left out.
    async fn a_claim_without_a_value_is_left_out(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let token = token(&server, &frigg, "openid email").await;
        server.sql("DELETE FROM emails", &[]).await;
        assert_eq!(claims(&server, &token).await, json!({ "sub": frigg.id.as_str() }));
    }

    /// req_175: a verified address is preferred, and an unverified address is marked.
    async fn an_unverified_address_is_marked(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let token = token(&server, &frigg, "openid email").await;
        assert_eq!(claims(&server, &token).await["email_verified"], true);
        server.sql("UPDATE emails SET verified = FALSE", &[]).await;
        let claims = claims(&server, &token).await;
        assert_eq!(claims["email_verified"], false);
        assert_eq!(claims["email"], "frigg@example.com");
    }

    /// req_046, req_049, req_146: without a token the challenge has no error code.
    async fn without_a_token_the_challenge_has_no_code(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        for request in [
            server.request("GET", PATH),
            server.request("POST", PATH),
            server.request("POST", PATH).form(&[("x", "1")]),
            server.request("GET", PATH).header("authorization", "Basic YTpi"),
            // A session cookie does not count as a token.
            server.request("GET", PATH).header("cookie", frigg.cookie()),
        ] {
            let answer = server.send(request).await.expect(401);
            assert_eq!(answer.challenge(), CHALLENGE);
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }

    /// req_043: the authentication scheme is case-insensitive.
    async fn the_scheme_is_case_insensitive(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let token = token(&server, &frigg, "openid").await;
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let request = server.request("GET", PATH).header("authorization", format!("{scheme} {token}"));
            server.send(request).await.expect(200);
        }
    }

    /// req_173: the token may be in the form of a POST (RFC 6750 §2.2).
    async fn a_token_may_be_in_the_form(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let token = token(&server, &frigg, "openid profile email").await;
        let in_header = claims(&server, &token).await;
        let form = [("access_token", token.as_str()), ("x", "1")];
        let in_form = server.post_form(PATH, &form).await.expect(200);
        assert_eq!(in_form.json(), in_header);
        assert_eq!(in_form.header("cache-control"), "no-store");
        challenged(server.post_form(PATH, &[("access_token", "x")]).await, 401, "invalid_token");
        let answer = server.post_form(PATH, &[("access_token", "")]).await.expect(401);
        assert_eq!(answer.challenge(), CHALLENGE);
        // Only a form has a token (RFC 6750 §2.2); a body of another type is ignored.
        let json = server.request("POST", PATH).json(&json!({ "access_token": token }));
        server.send(json).await.expect(401);
        let json = server.request("POST", PATH).bearer_auth(&token).json(&json!({}));
        server.send(json).await.expect(200);
    }

    /// req_044, A-62: a token is accepted by one method, and once.
    async fn a_token_comes_by_one_method(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let token = token(&server, &frigg, "openid").await;
        let bearer = format!("Bearer {token}");
        let two = server.request("GET", PATH).bearer_auth(&token).header("authorization", &bearer);
        challenged(server.send(two).await, 400, "invalid_request");
        let form = [("access_token", token.as_str())];
        let both = server.request("POST", PATH).bearer_auth(&token).form(&form);
        challenged(server.send(both).await, 400, "invalid_request");
        let twice = server.post_form(PATH, &[form[0], form[0]]).await;
        challenged(twice, 400, "invalid_request");
    }

    /// OpenID Connect Core §5.1: beside a Storyden, `profile` releases the profile page and the avatar too.
    async fn the_pages_of_a_storyden_are_claims(setup: Setup) {
        let setup = setup.with("PUBLIC_WEB_ADDRESS", "https://community.example/forum");
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let token = token(&server, &frigg, "openid profile").await;
        let alone = claims(&server, &token).await;
        assert_eq!((alone.get("profile"), alone.get("picture")), (None, None));
        server.sql("CREATE TABLE posts (id integer)", &[]).await;
        let beside = claims(&server, &token).await;
        assert_eq!(beside["profile"], "https://community.example/forum/m/frigg");
        assert_eq!(beside["picture"], "https://auth.example/api/accounts/frigg/avatar");
        server.turn(Duration::seconds(10));
        server.suspend(&frigg).await;
        server.reinstate(&frigg).await;
        assert_eq!(claims(&server, &token).await["updated_at"], 1_767_225_610);
    }

    /// OpenID Connect Core §5.3.2: the response to a client with `userinfo_signed_response_alg` is a JWT
    /// with issuer and audience, by each way to register a client.
    async fn the_response_is_signed_for_a_client_that_registered_so(setup: Setup) {
        let outside = SimulatedInternet::new();
        let server = outside.around(setup).with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true").start().await;
        let frigg = server.member("frigg", &[]).await;
        let uri = "https://app.example/cb";
        let register = |alg: &str| {
            let document = json!({
                "redirect_uris": [uri], "token_endpoint_auth_method": "none", "userinfo_signed_response_alg": alg,
            });
            server.send(server.request("POST", "/api/oauth/register").json(&document))
        };
        let registered = register("RS256").await.expect(201);
        assert_eq!(registered.text("userinfo_signed_response_alg"), "RS256");
        let host = outside.host("app.example").await;
        let document = host.publish("/c", &json!({ "userinfo_signed_response_alg": "RS256" }));
        for client_id in [registered.text("client_id"), document] {
            let client = Client {
                row_id: storyden_auth::ids::ClientRowId::new(""),
                client_id,
                secret: None,
                redirect_uri: uri.to_owned(),
            };
            let tokens = server.tokens(&frigg, &client, &[]).await;
            let token = tokens.text("access_token");
            let answer = server.get_with_bearer(PATH, &token).await.expect(200);
            assert_eq!(answer.header("content-type"), "application/jwt");
            assert_eq!(answer.header("cache-control"), "no-store");
            let keys = server.context.keys.as_ref().unwrap();
            let claims: Value = keys.verify("JWT", &answer.body).await.unwrap().unwrap().claims;
            assert_eq!(claims["iss"], "https://auth.example");
            assert_eq!(claims["aud"], client.client_id);
            assert_eq!(claims["sub"], frigg.id.as_str());
            assert_eq!(claims["email"], "frigg@example.com");
            assert_eq!(claims["exp"], tokens.claims("access_token")["exp"]);
            // A-76: no ID token and no access token
            let hint = ("id_token_hint", answer.body.as_str());
            told(server.authorize(Some(&frigg), &client, &[hint]).await, "invalid_request");
            challenged(server.get_with_bearer(PATH, &answer.body).await, 401, "invalid_token");
        }
        // RFC 7591 §3.2.1: other algorithms are not registered.
        for alg in ["ES256", "none"] {
            let registered = register(alg).await.expect(201).json();
            assert_eq!(registered.get("userinfo_signed_response_alg"), None);
        }
    }

    /// req_045, A-84: a token in the URL is ignored.
    async fn a_token_in_the_url_is_ignored(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let token = token(&server, &frigg, "openid").await;
        let answer = server.get(&format!("{PATH}?access_token={token}")).await.expect(401);
        assert_eq!(answer.challenge(), CHALLENGE);
        server.get_with_bearer(&format!("{PATH}?access_token=other"), &token).await.expect(200);
    }

    /// req_047, A-76, A-78: everything except a valid access token of this server is rejected.
    async fn everything_but_an_access_token_is_refused(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        let good = tokens.text("access_token");
        let (unsigned, _) = good.rsplit_once('.').unwrap();
        for bad in [
            "x".to_owned(),
            "ey.ey.ey".to_owned(),
            format!("{unsigned}."),
            format!("{good}="),
            good[..good.len() - 2].to_owned(),
            tokens.text("refresh_token"),
            tokens.text("id_token"),
            "x".repeat(20_000),
        ] {
            challenged(server.get_with_bearer(PATH, &bad).await, 401, "invalid_token");
        }
        // An invalid bearer is an error even beside a valid session, and never falls back to a guest.
        let request = server.request("GET", PATH).bearer_auth("x").header("cookie", frigg.cookie());
        challenged(server.send(request).await, 401, "invalid_token");
        server.get_with_bearer(PATH, &good).await.expect(200);
    }

    /// req_047, req_050: a token lives for 15 minutes.
    async fn a_token_lives_for_15_minutes(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let token = token(&server, &frigg, "openid").await;
        server.turn(Duration::minutes(15) - Duration::seconds(1));
        server.get_with_bearer(PATH, &token).await.expect(200);
        // 31 s after the expiry, beyond the tolerance for clock skew of `iat` and `nbf`.
        server.turn(Duration::seconds(32));
        challenged(server.get_with_bearer(PATH, &token).await, 401, "invalid_token");
    }

    /// req_048: a token without `openid` is `insufficient_scope`.
    async fn a_token_without_openid_has_insufficient_scope(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["READ_PROFILE"]).await;
        let token = token(&server, &frigg, "profile READ_PROFILE").await;
        challenged(server.get_with_bearer(PATH, &token).await, 403, "insufficient_scope");
    }

    /// A-105, req_047: access tokens of a suspended account are refused at once.
    async fn a_suspended_accounts_tokens_are_refused(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let token = token(&server, &frigg, "openid").await;
        server.suspend(&frigg).await;
        challenged(server.get_with_bearer(PATH, &token).await, 401, "invalid_token");
        server.reinstate(&frigg).await;
        server.get_with_bearer(PATH, &token).await.expect(200);
    }
}
