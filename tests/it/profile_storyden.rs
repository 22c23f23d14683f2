//! The profile `storyden`: Storyden's answers and formats, with the security checks of both profiles.

use serde_json::json;
use storyden_auth::compat::Policies;
use storyden_auth::config::Config;
use storyden_auth::http::router;
use storyden_auth::oauth::grant_type::GrantType;
use time::Duration;

use crate::support::{Client, NewClient, Setup, both};

fn storyden(setup: Setup) -> Setup {
    setup.with("OAUTH_PROFILE", "storyden")
}

#[test]
fn every_difference_is_documented() {
    let document = include_str!("../../docs/storyden.md");
    for (name, what) in Policies::DIFFERENCES {
        let row = format!("| `{name}` | {}", what.trim().trim_end_matches('.'));
        let folded: String = row.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            document.contains(&folded),
            "docs/storyden.md lacks: {folded}"
        );
    }
    let (_, table) = document
        .split_once("| difference | `storyden` | `standards` |\n|---|---|---|\n")
        .unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    assert_eq!(rows.count(), Policies::DIFFERENCES.len());
}

#[test]
fn every_additional_consent_member_is_documented() {
    let config = Config::from_lookup(&|_| None).unwrap();
    let api = serde_json::to_value(router::document(&config)).unwrap();
    let facts = &api["components"]["schemas"]["OAuthClientFacts"]["properties"];
    let members = facts.as_object().unwrap().keys().map(String::as_str);
    let document = include_str!("../../docs/storyden.md");
    let (_, listed) = document
        .split_once("Additional members of responses")
        .unwrap();
    for member in members.chain(["device", "location", "detail"]) {
        assert!(
            listed.contains(&format!("`{member}`")),
            "docs/storyden.md lacks {member}"
        );
    }
}

both! {
    async fn a_guest_is_sent_to_the_login_page_without_parameters(setup: Setup) {
        let server = storyden(setup).start().await;
        let app = server.public_client().await;
        let answer = server.authorize(None, &app, &[]).await.expect(302);
        assert_eq!(answer.header("location"), "https://auth.example/login");
        let unknown = server.authorize(None, &app, &[("client_id", "nobody")]).await.expect(302);
        assert_eq!(unknown.header("location"), "https://auth.example/login");
        let kept = server.count("SELECT COUNT(*) AS n FROM auth_pending_requests", &[]).await;
        assert_eq!(kept, 0);
    }

    async fn a_malformed_request_is_refused_before_sign_in_without_a_redirect(setup: Setup) {
        let server = storyden(setup).start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for changed in [
            ("response_type", "token"),
            ("response_type", ""),
            ("code_challenge_method", "plain"),
            ("code_challenge", ""),
        ] {
            for member in [None, Some(&frigg)] {
                let answer = server.authorize(member, &app, &[changed]).await.expect(400);
                assert_eq!(answer.header("content-type"), "application/problem+json", "{changed:?}");
                assert_eq!(answer.find_header("location"), None);
            }
        }
    }

    async fn a_redirect_has_its_query_sorted_and_no_issuer(setup: Setup) {
        let server = storyden(setup).start().await;
        let frigg = server.member("frigg", &[]).await;
        let loki = server.plain_member("loki").await;
        let app = server
            .client(NewClient {
                redirect_uris: &["https://app.example/cb?x=1&state=old&b=a%20b&a=2"],
                ..NewClient::default()
            })
            .await;
        let denied = server.authorize(Some(&loki), &app, &[("state", "ne w")]).await.expect(302);
        assert_eq!(
            denied.header("location"),
            "https://app.example/cb?a=2&b=a+b&error=access_denied&error_description=Account+is+not\
             +permitted+to+authorise+OAuth+clients&state=ne+w&x=1"
        );
        let request_id = server.pending(&frigg, &app, &[("state", "")]).await;
        let approved = server.decide(&frigg, &request_id, "approve").await.expect(200);
        assert_eq!(approved.sent("state").unwrap(), "old");
        assert_eq!(approved.sent("iss"), None);
    }

    async fn a_loopback_redirect_uri_matches_on_its_own_port(setup: Setup) {
        let server = storyden(setup).start().await;
        let frigg = server.member("frigg", &[]).await;
        let uris = &["http://127.0.0.1:7000/cb"];
        let app = server.client(NewClient { redirect_uris: uris, ..NewClient::default() }).await;
        server.authorize(Some(&frigg), &app, &[]).await.expect(302);
        let other = [("redirect_uri", "http://127.0.0.1:7001/cb")];
        server.authorize(Some(&frigg), &app, &other).await.expect_error(400, "invalid_request");
    }

    /// A-8: banned redirect URI schemes are rejected in both profiles.
    async fn a_banned_redirect_scheme_is_refused(setup: Setup) {
        let server = storyden(setup).start().await;
        let frigg = server.member("frigg", &[]).await;
        let uris = &["javascript:alert(1)"];
        let app = server.client(NewClient { redirect_uris: uris, ..NewClient::default() }).await;
        let answer = server.authorize(Some(&frigg), &app, &[]).await;
        answer.expect_error(400, "invalid_request");
    }

    async fn a_repeated_refresh_ends_the_family_at_once(setup: Setup) {
        let server = storyden(setup.with("OAUTH_REFRESH_TOKEN_REUSE_WINDOW", "1m")).start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let second = server.refresh(&app, &first).await.expect(200).text("refresh_token");
        server.refresh(&app, &first).await.expect_error(400, "invalid_grant");
        server.refresh(&app, &second).await.expect_error(400, "invalid_grant");
    }

    async fn a_code_lives_ten_minutes_and_its_replay_ends_nothing(setup: Setup) {
        let server = storyden(setup).start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        server.turn(Duration::minutes(10) - Duration::seconds(1));
        let tokens = server.exchange(&app, &code).await.expect(200);
        server.turn(Duration::seconds(30));
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
    }

    async fn the_token_endpoint_reads_forms_as_storyden_does(setup: Setup) {
        let server = storyden(setup).start().await;
        let app = server.public_client().await;
        let text = |answer: crate::support::Answer| answer.text("error_description");
        // Query parameters count after those of the body, the first of repeated parameters counts, and
        // missing parameters come before the client.
        let request = server
            .request("POST", "/api/oauth/token?grant_type=password&client_id=app")
            .form(&[("grant_type", "authorization_code"), ("grant_type", "password")]);
        assert_eq!(text(server.send(request).await.expect(400)), "Missing authorization code");
        // An empty value counts as present.
        let empty = [
            ("grant_type", "authorization_code"),
            ("client_id", app.client_id.as_str()),
            ("code", "x"),
            ("redirect_uri", "https://app.example/cb"),
            ("code_verifier", ""),
        ];
        assert_eq!(text(server.token(&empty).await.expect(400)), "Invalid code_verifier format");
    }

    async fn two_client_authentication_methods_are_an_invalid_client(setup: Setup) {
        let server = storyden(setup).start().await;
        let odin = server.admin("odin").await;
        let service = server.confidential_client(&odin.id).await;
        let request = server
            .request("POST", "/api/oauth/token")
            .basic_auth(&service.client_id, service.secret.as_deref())
            .form(&[("grant_type", "client_credentials"), ("client_id", &service.client_id)]);
        let answer = server.send(request).await.expect_error(400, "invalid_client");
        let description = answer.text("error_description");
        assert_eq!(description, "multiple client authentication methods used");
    }

    /// storyden-contract.md#client-authentication: double authentication is refused before the grant,
    /// the parameters and the client are checked.
    async fn doubled_client_authentication_is_refused_first(setup: Setup) {
        let setup = storyden(setup);
        let server = setup.start().await;
        let off = setup.with("OAUTH_ENABLED", "false").start().await;
        let doubled = [("client_secret", "y")];
        for server in [&server, &off] {
            for grant in [&[][..], &[("grant_type", "")], &[("grant_type", "unknown")], &[("grant_type", "authorization_code")]] {
                for twice in [&doubled[..], &[("client_id", "x")], &[("client_secret", "")]] {
                    let form: Vec<_> = grant.iter().chain(twice).collect();
                    let request = server.request("POST", "/api/oauth/token").basic_auth("nobody", Some("x"));
                    let answer = server.send(request.form(&form)).await.expect_error(400, "invalid_client");
                    assert_eq!(answer.text("error_description"), "multiple client authentication methods used");
                }
            }
        }
        // A malformed header and an empty client id do not count as authentication.
        for header in ["Basic !!", "Basic YQ==", "Bearer x"] {
            let request = server.request("POST", "/api/oauth/token").header("authorization", header);
            server.send(request.form(&doubled)).await.expect_error(400, "invalid_request");
        }
        let request = server.request("POST", "/api/oauth/token").basic_auth("nobody", Some("x"));
        server.send(request.form(&[("client_id", "")])).await.expect_error(400, "invalid_request");
    }

    /// storyden-contract.md#metadata-documents: the documents have exactly the members of Storyden's
    /// documents.
    async fn metadata_documents_have_storydens_members(setup: Setup) {
        let server = storyden(setup).with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true").start().await;
        let of_both = [
            "authorization_endpoint", "client_id_metadata_document_supported", "code_challenge_methods_supported",
            "device_authorization_endpoint", "grant_types_supported", "issuer", "jwks_uri", "registration_endpoint",
            "response_types_supported", "scopes_supported", "token_endpoint", "token_endpoint_auth_methods_supported",
        ];
        let of_openid = ["id_token_signing_alg_values_supported", "subject_types_supported", "userinfo_endpoint"];
        for (name, more) in [("openid-configuration", &of_openid[..]), ("oauth-authorization-server", &[])] {
            let document = server.get(&format!("/.well-known/{name}")).await.expect(200).json();
            let mut expected: Vec<&str> = of_both.iter().chain(more).copied().collect();
            expected.sort_unstable();
            let members: Vec<&String> = document.as_object().unwrap().keys().collect();
            assert_eq!(members, expected, "{name}");
        }
    }

    async fn access_tokens_are_plain_jwts_and_userinfo_wants_no_openid(setup: Setup) {
        let server = storyden(setup).start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[("scope", "profile")]).await;
        assert_eq!(tokens.jwt_header("access_token")["typ"], "JWT");
        let access_token = tokens.text("access_token");
        let info = server.get_with_bearer("/api/oauth/userinfo", &access_token).await.expect(200);
        assert_eq!(info.json()["preferred_username"], "frigg");
        let refused = server.get_with_bearer("/api/oauth/userinfo", "ey.x.y").await.expect(401);
        assert_eq!(refused.header("content-type"), "application/problem+json");
    }

    /// storyden-contract.md#token-formats, storyden-contract.md#userinfo: OpenID Connect beyond a Storyden has
    /// no effect: claims, response modes, `acr`, signed userinfo, a token in a form.
    async fn claims_are_storydens(setup: Setup) {
        let server = storyden(setup).with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true").start().await;
        let frigg = server.member("frigg", &[]).await;
        let frigg = server.sign_in_again(&frigg).await;
        server.sql("CREATE TABLE posts (id integer)", &[]).await;
        let document = json!({
            "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none",
            "userinfo_signed_response_alg": "RS256",
        });
        let registered = server.send(server.request("POST", "/api/oauth/register").json(&document)).await.expect(201);
        assert_eq!(registered.json().get("userinfo_signed_response_alg"), None);
        let app = Client {
            row_id: storyden_auth::ids::ClientRowId::new(""),
            client_id: registered.text("client_id"),
            secret: None,
            redirect_uri: "https://app.example/cb".to_owned(),
        };
        let claims = r#"{"id_token":{"picture":null,"acr":{"essential":true,"value":"x"},"sub":{"value":"x"}}}"#;
        let changed = [("claims", claims), ("response_mode", "form_post"), ("acr_values", "x")];
        let request_id = server.pending(&frigg, &app, &changed).await;
        let page = server.consent(&frigg, &request_id).await.expect(200).json();
        assert_eq!(page.get("requested_claims"), None);
        let approved = server.decide(&frigg, &request_id, "approve").await.expect(200);
        let tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
        let id_token = tokens.claims("id_token");
        let mut names: Vec<&str> = id_token.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        let expected = ["at_hash", "aud", "auth_time", "email", "email_verified", "exp", "iat", "iss", "name", "sub"];
        assert_eq!(names, expected);
        assert_eq!(tokens.claims("access_token").get("acr"), None);
        let access_token = tokens.text("access_token");
        let info = server.get_with_bearer("/api/oauth/userinfo", &access_token).await.expect(200).json();
        let names: Vec<&String> = info.as_object().unwrap().keys().collect();
        assert_eq!(names, ["email", "email_verified", "name", "preferred_username", "sub"]);
        server.post_form("/api/oauth/userinfo", &[("access_token", &access_token)]).await.expect(405);
    }

    async fn the_session_cookie_is_secure_and_names_its_domain(setup: Setup) {
        let setup = storyden(setup).with("PUBLIC_API_ADDRESS", "http://localhost:8000");
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        let body = json!({ "identifier": "frigg", "token": "correct horse battery" });
        let request = server.request("POST", "/api/auth/password/signin").json(&body);
        let cookie = server.send(request).await.expect(200).header("set-cookie").to_owned();
        assert!(cookie.contains("; Domain=localhost") && cookie.contains("; Secure"), "{cookie}");
    }

    async fn sign_in_tells_unknown_handles_from_wrong_passwords(setup: Setup) {
        let server = storyden(setup).start().await;
        server.member("frigg", &[]).await;
        for (identifier, status) in [("frigg", 401), ("nobody", 404), ("frigg@example.com", 404)] {
            let body = json!({ "identifier": identifier, "token": "wrong password" });
            let request = server.request("POST", "/api/auth/password/signin").json(&body);
            server.send(request).await.expect(status);
        }
    }

    /// A-105: a suspension is effective in both profiles.
    async fn a_suspended_account_is_refused_in_the_storyden_profile(setup: Setup) {
        let server = storyden(setup).start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        let code = server.code(&frigg, &app, &[]).await;
        server.suspend(&frigg).await;
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        server.refresh(&app, &tokens.text("refresh_token")).await.expect_error(400, "invalid_grant");
        let access_token = tokens.text("access_token");
        server.get_with_bearer("/api/oauth/userinfo", &access_token).await.expect(401);
        server.authorize(Some(&frigg), &app, &[]).await.expect(403);
    }

    async fn a_device_start_requires_allowed_scopes(setup: Setup) {
        let server = storyden(setup).start().await;
        let app = server
            .client(NewClient {
                scope: "READ_PROFILE",
                grants: &[GrantType::DeviceCode],
                ..NewClient::default()
            })
            .await;
        server.start_device(&app, "openid").await.expect_error(400, "invalid_scope");
        server.start_device(&app, "READ_PROFILE").await.expect(200);
    }
}
