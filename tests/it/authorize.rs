//! The authorization endpoint (RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 9207).

use storyden_auth::oauth::grant_type::GrantType;

use crate::support::{CHALLENGE, NewClient, both, refused, stored, told};

both! {
    /// req_005, req_040: a signed-in user is sent to the consent page with a request id of 256 bits.
    async fn valid_request_redirects_to_the_consent_page(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let answer = server.authorize(Some(&frigg), &app, &[]).await.expect(302);
        assert_eq!(answer.location().path(), "/oauth/authorize/consent");
        assert_eq!(answer.location().host_str(), Some("auth.example"));
        assert_eq!(answer.sent("request_id").unwrap().len(), 43);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.find_header("set-cookie"), None);
    }

    /// A-1, req_014: an unregistered redirect URI is an error page for browsers and JSON for programs,
    /// never a redirect (open redirector), and nothing is stored.
    async fn unregistered_redirect_uri_is_never_redirected_to(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let evil = [("redirect_uri", "https://evil.example/cb")];
        for person in [Some(&frigg), None] {
            refused(server.authorize(person, &app, &evil).await, "invalid_request");
        }
        let query = "client_id=app&redirect_uri=https://evil.example/%3Cscript%3E&state=s3cr3t";
        let request = server.request("GET", &format!("/api/oauth/authorize?{query}"));
        let request = request.header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        let page = server.send(request).await.expect(400);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(page.body.contains("redirect_uri differs from the registered redirect URI in the host"));
        assert_eq!(stored(&server).await, 0);
    }

    /// A-61, req_027: the error page contains no input, and the CSP allows no script (XSS).
    async fn error_page_contains_no_input(setup: Setup) {
        let server = setup.start().await;
        server.public_client().await;
        for query in [
            "client_id=%3Cscript%3Ealert(1)%3C/script%3E",
            "client_id=app&redirect_uri=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
            "client_id=app&client_id=%3Cscript%3Ealert(1)%3C/script%3E",
        ] {
            let request = server.request("GET", &format!("/api/oauth/authorize?{query}"));
            let page = server.send(request.header("accept", "text/html")).await.expect(400);
            assert!(!page.body.contains("script"), "{}", page.body);
            assert!(!page.body.contains("alert"), "{}", page.body);
            assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
        }
    }

    /// req_012, req_070, req_110: redirect URIs are compared byte by byte.
    async fn redirect_uris_are_compared_byte_by_byte(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for uri in [
            "https://app.example/cb/../evil",
            "https://app.example/cb%2f..",
            "https://app.example.evil.com/cb",
            "https://app.evil.com/cb",
            "https://app.example/cb?x=1",
            "https://app.example/cb/",
            "https://app.example/CB",
            "https://APP.example/cb",
            "https://app.example:443/cb",
            "https://app.example/cb#x",
            "https://app.example/cb%23x",
            "https://app.example@evil.example/cb",
            "https://app.example\\@evil.example/cb",
            "https://app.example#@evil.example/cb",
            " https://app.example/cb",
            "//app.example/cb",
            "/cb",
        ] {
            let answer = server.authorize(Some(&frigg), &app, &[("redirect_uri", uri)]).await;
            refused(answer, "invalid_request");
        }
        assert_eq!(stored(&server).await, 0);
    }

    /// req_067, req_068: the port may vary, only for loopback redirect URIs (RFC 8252 §7.3).
    async fn loopback_port_may_vary(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.client(NewClient {
            redirect_uris: &[
                "http://127.0.0.1/cb?keep=1",
                "http://[::1]/cb",
                "http://localhost/cb",
                "https://app.example/cb",
                "com.example.app:/callback",
            ],
            ..NewClient::default()
        }).await;
        for uri in [
            "http://127.0.0.1:51234/cb?keep=1",
            "http://[::1]:65535/cb",
            "http://localhost:9/cb",
            "com.example.app:/callback",
        ] {
            let request_id = server.pending(&frigg, &app, &[("redirect_uri", uri)]).await;
            let sent = server.decide(&frigg, &request_id, "approve").await.expect(200).text("location");
            assert!(sent.starts_with(uri), "{sent}");
        }
        for uri in [
            "http://127.0.0.1:51234/cb",
            "http://127.0.0.1:51234/other?keep=1",
            "http://127.0.0.2:51234/cb?keep=1",
            "http://127.0.0.1:0/cb?keep=1",
            "http://127.0.0.1:65536/cb?keep=1",
            "https://localhost:9/cb",
            "https://app.example:8443/cb",
        ] {
            let answer = server.authorize(Some(&frigg), &app, &[("redirect_uri", uri)]).await;
            refused(answer, "invalid_request");
        }
    }

    /// req_010, req_069, req_116: a different spelling of a registered loopback URI is
    /// rejected.
    async fn loopback_address_is_compared_literally(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.client(NewClient {
            redirect_uris: &["http://127.0.0.1/cb"],
            ..NewClient::default()
        }).await;
        for uri in [
            "http://127.0.0.1.evil.com/cb",
            "http://0x7f.1/cb",
            "http://2130706433/cb",
            "http://[::ffff:127.0.0.1]/cb",
            "http://app.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
        ] {
            let answer = server.authorize(Some(&frigg), &app, &[("redirect_uri", uri)]).await;
            refused(answer, "invalid_request");
        }
    }

    /// control characters do not split the response; in `state` these stay percent-encoded.
    async fn control_characters_do_not_split_the_response(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for uri in [
            "https://app.example/cb\r\nX-Evil: 1",
            "https://app.example/cb\n",
            "https://app.example/cb\t",
            "https://app.example/cb ",
            "https://app.example/cb\0",
        ] {
            let answer = server.authorize(Some(&frigg), &app, &[("redirect_uri", uri)]).await;
            refused(answer, "invalid_request");
        }
        let state = "a\r\nX-Evil: 1\tb";
        let changed = [("state", state), ("response_type", "token")];
        let answer = server.authorize(Some(&frigg), &app, &changed).await.expect(302);
        assert_eq!(answer.find_header("x-evil"), None);
        assert!(answer.header("location").contains("state=a%0D%0AX-Evil%3A%201%09b"));
    }

    /// A-13, req_011: the query of a registered redirect URI is kept byte for byte.
    async fn redirect_uri_query_is_kept_byte_for_byte(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.client(NewClient {
            redirect_uris: &["https://app.example/cb?a=2&b=x%20y&a=1"],
            ..NewClient::default()
        }).await;
        let answer = server.authorize(Some(&frigg), &app, &[("response_type", "token")]).await;
        let sent = answer.expect(302).header("location").to_owned();
        assert!(sent.starts_with("https://app.example/cb?a=2&b=x%20y&a=1&error="), "{sent}");
        let request_id = server.pending(&frigg, &app, &[]).await;
        let approved = server.decide(&frigg, &request_id, "approve").await.expect(200);
        let sent = approved.text("location");
        assert!(sent.starts_with("https://app.example/cb?a=2&b=x%20y&a=1&code="), "{sent}");
    }

    /// req_013: the redirect URI is optional with a single registered URI, and required with two.
    async fn single_redirect_uri_may_be_omitted(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let one = server.public_client().await;
        let two = server.client(NewClient {
            client_id: "two",
            redirect_uris: &["https://app.example/cb", "https://app.example/other"],
            ..NewClient::default()
        }).await;
        let none = server.client(NewClient {
            client_id: "none",
            redirect_uris: &[],
            ..NewClient::default()
        }).await;
        let left_out = [("redirect_uri", "")];
        let request_id = server.pending(&frigg, &one, &left_out).await;
        let approved = server.decide(&frigg, &request_id, "approve").await.expect(200);
        assert!(approved.text("location").starts_with("https://app.example/cb?code="));
        for client in [&two, &none] {
            refused(server.authorize(Some(&frigg), client, &left_out).await, "invalid_request");
        }
    }

    /// req_025, req_105: `state` and `iss` come back exactly, in success and error responses.
    async fn state_is_returned_exactly(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let printable: String = (0x20..0x7F_u8).map(char::from).collect();
        let longest = "x".repeat(4_096);
        for state in [printable.as_str(), "ünï🙂+%2B", longest.as_str()] {
            let bad = [("state", state), ("response_type", "token")];
            let answer = server.authorize(Some(&frigg), &app, &bad).await.expect(302);
            assert_eq!(answer.sent("state").as_deref(), Some(state));
            assert_eq!(answer.sent("iss").as_deref(), Some("https://auth.example"));
            for decision in ["approve", "deny"] {
                let request_id = server.pending(&frigg, &app, &[("state", state)]).await;
                let answer = server.decide(&frigg, &request_id, decision).await.expect(200);
                assert_eq!(answer.sent("state").as_deref(), Some(state));
                assert_eq!(answer.sent("iss").as_deref(), Some("https://auth.example"));
            }
        }
    }

    /// req_006: an empty parameter counts as absent.
    async fn empty_parameter_counts_as_absent(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.public_client().await;
        let query = format!(
            "response_type=code&client_id=app&redirect_uri=&scope=&state=&nonce=&response_mode=\
             &code_challenge={CHALLENGE}&code_challenge_method=S256"
        );
        let answer = server.get_as(&frigg, &format!("/api/oauth/authorize?{query}")).await;
        let request_id = answer.expect(302).sent("request_id").unwrap();
        let consent = server.consent(&frigg, &request_id).await.expect(200);
        assert_eq!(consent.json()["requested_scopes"], serde_json::json!([]));
        let denied = server.decide(&frigg, &request_id, "deny").await.expect(200);
        assert_eq!(denied.sent("state"), None);
        for missing in ["client_id=", "client_id=&client_id=", ""] {
            let path = format!("/api/oauth/authorize?{missing}");
            refused(server.get_as(&frigg, &path).await, "invalid_request");
        }
    }

    /// A-63, req_007: parameter names match exactly; unknown parameters are ignored, also if repeated.
    async fn unknown_parameters_are_ignored(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let extra = [("State", "x"), ("state[]", "x"), ("utm_source", "x"), ("audience", "x")];
        let answer = server.authorize(Some(&frigg), &app, &extra).await.expect(302);
        let request_id = answer.sent("request_id").unwrap();
        let denied = server.decide(&frigg, &request_id, "deny").await.expect(200);
        assert_eq!(denied.sent("state").as_deref(), Some("st"));
        let query = format!(
            "response_type=code&cli%65nt_id=app&x=1&x=2&code_challenge={CHALLENGE}\
             &code_challenge_method=S256&Client_id=other"
        );
        let answer = server.get_as(&frigg, &format!("/api/oauth/authorize?{query}")).await;
        assert!(answer.expect(302).sent("request_id").is_some());
    }

    /// A-62, req_008: a repeated parameter is an error by redirect; a repeated client_id or
    /// redirect_uri is never redirected.
    async fn repeated_parameter_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.public_client().await;
        let query = format!(
            "/api/oauth/authorize?response_type=code&client_id=app&state=st\
             &redirect_uri=https%3A%2F%2Fapp.example%2Fcb&code_challenge={CHALLENGE}\
             &code_challenge_method=S256&scope=openid"
        );
        for repeated in ["scope=openid", "nonce=a&nonce=b", "response_type=code", "st%61te=st"] {
            let answer = server.get_as(&frigg, &format!("{query}&{repeated}")).await;
            told(answer, "invalid_request");
        }
        for repeated in ["client_id=app", "redirect_uri=https%3A%2F%2Fapp.example%2Fcb"] {
            let answer = server.get_as(&frigg, &format!("{query}&{repeated}")).await;
            refused(answer, "invalid_request");
        }
        assert_eq!(stored(&server).await, 0);
    }

    /// A-62, req_008: other repeated parameters do not hide a repeated client_id or redirect_uri.
    async fn repeated_client_is_never_redirected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.public_client().await;
        let uri = "redirect_uri=https%3A%2F%2Fapp.example%2Fcb";
        for repeated in [
            format!("client_id=app&client_id=app&{uri}&scope=a&scope=b"),
            format!("scope=a&scope=b&client_id=app&client_id=app&{uri}"),
            format!("client_id=app&{uri}&{uri}&state=a&state=b"),
        ] {
            let path = format!("/api/oauth/authorize?{repeated}");
            refused(server.get_as(&frigg, &path).await, "invalid_request");
            refused(server.get(&path).await, "invalid_request");
        }
        assert_eq!(stored(&server).await, 0);
    }

    /// req_009, req_026, req_113: an unsupported request is an error by redirect.
    async fn unsupported_request_is_redirected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let loki = server.plain_member("loki").await;
        let app = server.public_client().await;
        for (changed, error) in [
            (("response_type", ""), "invalid_request"),
            (("response_type", "token"), "unsupported_response_type"),
            (("response_type", "id_token token"), "unsupported_response_type"),
            (("response_mode", "fragment"), "invalid_request"),
            (("scope", "nonsense"), "invalid_scope"),
            (("scope", "OPENID"), "invalid_scope"),
            (("scope", "openid\tprofile"), "invalid_scope"),
            (("scope", "openid \"profile\""), "invalid_scope"),
        ] {
            told(server.authorize(Some(&frigg), &app, &[changed]).await, error);
        }
        let denied = told(server.authorize(Some(&loki), &app, &[]).await, "access_denied");
        assert_eq!(
            denied.sent("error_description").as_deref(),
            Some("Account is not permitted to authorise OAuth clients")
        );
        let machine = server.client(NewClient {
            client_id: "machine",
            grants: &[GrantType::DeviceCode],
            ..NewClient::default()
        }).await;
        told(server.authorize(Some(&frigg), &machine, &[]).await, "unauthorized_client");
        assert_eq!(stored(&server).await, 0);
    }

    /// A-21, req_054, req_055, req_052, req_111, req_120: an S256 challenge is required from every
    /// client.
    async fn s256_challenge_is_required(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let service = server.confidential_client(&frigg.id).await;
        let short = &CHALLENGE[..42];
        let (long, padded) = (format!("{CHALLENGE}A"), format!("{CHALLENGE}="));
        let foreign = format!("{short}+");
        for client in [&app, &service] {
            for changed in [
                &[("code_challenge", ""), ("code_challenge_method", "")][..],
                &[("code_challenge", "")],
                &[("code_challenge_method", "")],
                &[("code_challenge_method", "plain")],
                &[("code_challenge_method", "s256")],
                &[("code_challenge_method", "S512")],
                &[("code_challenge", short)],
                &[("code_challenge", &long)],
                &[("code_challenge", &padded)],
                &[("code_challenge", &foreign)],
            ] {
                told(server.authorize(Some(&frigg), client, changed).await, "invalid_request");
            }
        }
        assert_eq!(stored(&server).await, 0);
    }

    /// req_005, req_121: before sign-in, the only redirect target is the login page (open redirector).
    async fn errors_are_not_redirected_before_sign_in(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        for changed in [("response_type", "token"), ("scope", "nonsense"), ("code_challenge", "")] {
            let answer = server.authorize(None, &app, &[changed]).await.expect(302);
            assert_eq!(answer.location().host_str(), Some("auth.example"));
            assert_eq!(answer.location().path(), "/login");
        }
    }

    /// req_014: an unknown client is rejected first, with and without a session.
    async fn unknown_client_is_rejected_first(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let mut nobody = server.public_client().await;
        "nobody".clone_into(&mut nobody.client_id);
        for person in [Some(&frigg), None] {
            let changed = [("response_type", "token"), ("redirect_uri", "https://evil.example/")];
            refused(server.authorize(person, &nobody, &changed).await, "invalid_client");
        }
    }

    /// a suspended account and an access token are rejected without a redirect.
    async fn access_token_and_suspended_account_are_forbidden(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let token = server.tokens(&frigg, &app, &[]).await.text("access_token");
        let path = "/api/oauth/authorize?response_type=code&client_id=app";
        server.get_with_bearer(path, &token).await.expect(403);
        // with both credentials, the bearer is used, never the cookie
        let both = server.request("GET", path).bearer_auth(&token).header("cookie", frigg.cookie());
        server.send(both).await.expect(403);
        server.suspend(&frigg).await;
        let answer = server.authorize(Some(&frigg), &app, &[]).await.expect(403);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.find_header("location"), None);
    }

    /// oversized and malformed input is rejected on both engines.
    async fn oversized_input_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.public_client().await;
        let long_state = format!("state={}", "x".repeat(4_097));
        let long_scope = format!("scope={}", "x".repeat(2_049));
        let many = "x=1&".repeat(65);
        for query in [
            long_state.as_str(),
            &long_scope,
            &many,
            "state=%ff%fe",
            "state=%00",
            "state=%c0%af",
            "state=%ed%a0%80",
            "state=%zz",
            "state=%",
        ] {
            let path = format!("/api/oauth/authorize?client_id=app&{query}");
            refused(server.get_as(&frigg, &path).await, "invalid_request");
        }
        let app = server.client(NewClient { client_id: "second", ..NewClient::default() }).await;
        let scope = ["openid"; 65].join(" ");
        told(server.authorize(Some(&frigg), &app, &[("scope", &scope)]).await, "invalid_scope");
    }
}
