//! Dynamic client registration (RFC 7591, storyden-contract.md#dynamic-registration): accepted
//! metadata, granted scopes, limits and expiry.

use serde_json::json;
use time::Duration;

use crate::cleanup::clean_up;
use crate::support::registration::{self, open, register};
use crate::support::{Answer, Client, Member, Server, Setup, both};

const PATH: &str = "/api/oauth/register";
const URI: &str = "https://app.example/cb";

/// Starts a server with open registration in the profile `storyden`.
async fn open_storyden(setup: Setup) -> Server {
    open(setup.with("OAUTH_PROFILE", "storyden")).await
}

/// Sends a body of any media type.
async fn send(server: &Server, media_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = server
        .request("POST", PATH)
        .header("content-type", media_type);
    server.send(request.body(body)).await
}

/// The client described by a registration response.
fn client_of(answer: &Answer) -> Client {
    let redirect_uri = &answer.json()["redirect_uris"][0];
    registration::client_of(answer, redirect_uri.as_str().unwrap_or_default())
}

/// The scope granted to a registered client that requests this scope.
async fn granted(server: &Server, odin: &Member, client: &Client, scope: &str) -> String {
    let answer = server.tokens(odin, client, &[("scope", scope)]).await;
    answer.text("scope")
}

both! {
    /// req_135, req_138: the response repeats the registered metadata, is `no-store`, and has
    /// `client_secret_expires_at`; unknown members are ignored.
    async fn the_response_has_all_registered_metadata(setup: Setup) {
        let server = open(setup).await;
        let document = json!({
            "application_type": "web",
            "client_name": "  Calendar ",
            "client_uri": "https://app.example",
            "contacts": ["ops@app.example"],
            "grant_types": ["authorization_code", "refresh_token"],
            "jwks": { "keys": [] },
            "logo_uri": "https://app.example/logo.png",
            "policy_uri": "https://app.example/policy",
            "post_logout_redirect_uris": ["https://app.example/out"],
            "redirect_uris": [URI, "https://app.example/other?a=%20b"],
            "response_types": ["code"],
            "scope": "openid READ_PROFILE",
            "software_id": "calendar",
            "software_version": "1.0",
            "token_endpoint_auth_method": "client_secret_post",
            "tos_uri": "https://app.example/terms",
            "x_unknown": { "a": [1] },
        });
        let answer = register(&server, &document).await.expect(201);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("content-type"), "application/json");
        let mut told = answer.json();
        assert!(told["client_id"].take().as_str().unwrap().starts_with("sdoak_"));
        assert!(told["client_secret"].take().as_str().unwrap().starts_with("sdoas_"));
        assert_eq!(told["registration_access_token"].take().as_str().unwrap().len(), 43);
        let uri = format!("https://auth.example{PATH}/{}", answer.text("client_id"));
        assert_eq!(told["registration_client_uri"].take(), json!(uri));
        insta::allow_duplicates! {
            insta::assert_json_snapshot!(told, @r#"
            {
              "application_type": "web",
              "client_id": null,
              "client_id_issued_at": 1767225600,
              "client_name": "Calendar",
              "client_secret": null,
              "client_secret_expires_at": 0,
              "client_uri": "https://app.example",
              "contacts": [
                "ops@app.example"
              ],
              "grant_types": [
                "authorization_code",
                "refresh_token"
              ],
              "logo_uri": "https://app.example/logo.png",
              "policy_uri": "https://app.example/policy",
              "post_logout_redirect_uris": [
                "https://app.example/out"
              ],
              "redirect_uris": [
                "https://app.example/cb",
                "https://app.example/other?a=%20b"
              ],
              "registration_access_token": null,
              "registration_client_uri": null,
              "response_types": [
                "code"
              ],
              "scope": "openid READ_PROFILE",
              "software_id": "calendar",
              "software_version": "1.0",
              "token_endpoint_auth_method": "client_secret_post",
              "tos_uri": "https://app.example/terms"
            }
            "#);
        }
    }

    /// req_138, req_136: omitted metadata have the defaults of RFC 7591; a public client has no secret
    /// and no `client_secret_expires_at`.
    async fn omitted_metadata_have_defaults(setup: Setup) {
        let server = open(setup).await;
        let told = register(&server, &json!({ "redirect_uris": [URI], "logo_uri": null })).await.expect(201).json();
        assert_eq!(told["token_endpoint_auth_method"], "client_secret_basic");
        assert_eq!(told["grant_types"], json!(["authorization_code", "refresh_token"]));
        assert_eq!(told["response_types"], json!(["code"]));
        assert_eq!(told["scope"], "openid profile email offline_access");
        assert_eq!(told["client_name"], told["client_id"]);
        assert_eq!(told.get("logo_uri"), None);
        let public = json!({ "redirect_uris": [URI], "token_endpoint_auth_method": "none" });
        let told = register(&server, &public).await.expect(201).json();
        assert_eq!((told.get("client_secret"), told.get("client_secret_expires_at")), (None, None));
    }

    /// req_136, req_138, T25: a registered client completes sign-in, only with the registered
    /// authentication method.
    async fn a_registered_client_signs_people_in(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        for (method, by_header) in [("client_secret_basic", true), ("client_secret_post", false)] {
            let document = json!({ "redirect_uris": [URI], "token_endpoint_auth_method": method });
            let client = client_of(&register(&server, &document).await.expect(201));
            let code = server.code(&frigg, &client, &[]).await;
            let secret = client.secret.clone().unwrap();
            let form = [
                ("grant_type", "authorization_code"),
                ("code", &*code),
                ("redirect_uri", URI),
                ("code_verifier", crate::support::VERIFIER),
            ];
            let basic = server.request("POST", "/api/oauth/token")
                .basic_auth(&client.client_id, Some(&secret)).form(&form);
            let mut all = form.to_vec();
            all.extend(client.credentials());
            let post = server.request("POST", "/api/oauth/token").form(&all);
            let (right, wrong) = if by_header { (basic, post) } else { (post, basic) };
            let wrong = server.send(wrong).await;
            assert!(matches!(wrong.status, 400 | 401), "{wrong:?}");
            assert_eq!(wrong.text("error"), "invalid_client");
            server.send(right).await.expect(200);
        }
        // Without a registered method both methods are accepted.
        let client = client_of(&register(&server, &json!({ "redirect_uris": [URI] })).await.expect(201));
        let token = server.tokens(&frigg, &client, &[]).await.text("refresh_token"); // secret in the body
        let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        let basic = server.request("POST", "/api/oauth/token").basic_auth(&client.client_id, client.secret.as_ref());
        server.send(basic.form(&form)).await.expect(200);
        let public = json!({ "redirect_uris": [URI], "token_endpoint_auth_method": "none" });
        let client = client_of(&register(&server, &public).await.expect(201));
        server.tokens(&frigg, &client, &[]).await;
    }

    /// req_137, req_067: a device registers with the device grant and no redirect URI, and a native
    /// application with a private-use URI scheme.
    async fn devices_and_installed_applications_register(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let device = json!({
            "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"],
            "token_endpoint_auth_method": "none",
            "scope": "openid profile",
        });
        let answer = register(&server, &device).await.expect(201);
        assert_eq!((answer.json()["response_types"].clone(), answer.json()["redirect_uris"].clone()), (json!([]), json!([])));
        let client = client_of(&answer);
        // Without `scope` the device start requests the registered scope.
        let started = server.start_device(&client, "").await.expect(200);
        let code = started.text("user_code");
        server.get_as(&frigg, &format!("/api/oauth/device/consent?user_code={code}")).await.expect(200);
        let body = json!({ "user_code": code, "decision": "approve" });
        server.post_as(&frigg, "/api/oauth/device/consent", &body).await.expect(200);
        let tokens = server.poll(&client, &started.text("device_code")).await.expect(200);
        assert_eq!(tokens.text("scope"), "openid profile");

        let installed = json!({
            "application_type": "native",
            "redirect_uris": ["com.example.app:/cb", "http://127.0.0.1/cb"],
            "token_endpoint_auth_method": "none",
        });
        let client = client_of(&register(&server, &installed).await.expect(201));
        server.tokens(&frigg, &client, &[]).await;
    }

    /// req_141: the consent names registered pages on other hosts than the application's. The logo is an address
    /// of this server.
    async fn the_consent_marks_registered_pages_on_other_hosts(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let pages = "https://elsewhere.example/x";
        let document = json!({
            "redirect_uris": [URI], "token_endpoint_auth_method": "none", "client_uri": pages, "logo_uri": pages,
            "policy_uri": pages, "tos_uri": pages,
        });
        let client = client_of(&register(&server, &document).await.expect(201));
        let request_id = server.pending(&frigg, &client, &[]).await;
        let shown = server.consent(&frigg, &request_id).await.expect(200);
        let marked = json!(["client_uri", "logo_uri", "policy_uri", "tos_uri"]);
        assert_eq!(shown.json()["foreign_pages"], marked);
        assert!(shown.text("logo_uri").starts_with("https://auth.example/"), "{}", shown.body);
    }

    /// req_139, A-67: every error has the format of RFC 7591 §3.2.2, also for an unreadable document.
    async fn every_error_has_the_rfc_7591_format(setup: Setup) {
        let server = open(setup).await;
        let json = "application/json";
        let deep = format!("{{\"x\":{}1{}}}", "[".repeat(8), "]".repeat(8));
        let bodies = [
            (json, String::new()),
            (json, "{".to_owned()),
            (json, "[]".to_owned()),
            (json, "{\"redirect_uris\": \"https://a.example\"}".to_owned()),
            (json, "{\"redirect_uris\": [1]}".to_owned()),
            (json, "{\"a\": 1, \"a\": 1}".to_owned()),
            (json, "{} {}".to_owned()),
            (json, "{\"a\": 1e999}".to_owned()),
            (json, "{\"client_name\": \"\\ud800\"}".to_owned()),
            (json, deep),
            (json, format!("{{\"a\": \"{}\"}}", "x".repeat(40_000))),
            ("application/x-www-form-urlencoded", "redirect_uris=x".to_owned()),
            ("text/plain", format!("{{\"redirect_uris\": [\"{URI}\"]}}")),
        ];
        for (media_type, body) in bodies {
            let answer = send(&server, media_type, body).await.expect_error(400, "invalid_client_metadata");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        send(&server, json, vec![b'"', 0xff, b'"']).await.expect_error(400, "invalid_client_metadata");
        for (member, value) in [
            ("token_endpoint_auth_method", json!("private_key_jwt")),
            ("grant_types", json!(["client_credentials"])),
            ("grant_types", json!(["implicit"])),
            ("grant_types", json!(["refresh_token"])),
            ("response_types", json!(["token"])),
            ("token_endpoint_auth_method", json!("client_secret_jwt")),
            ("client_name", json!("a\u{0}b")),
        ] {
            let mut document = json!({ "redirect_uris": [URI] });
            document[member] = value;
            register(&server, &document).await.expect_error(400, "invalid_client_metadata");
        }
        for uris in [json!([]), json!(["/relative"]), json!(["javascript:alert(1)"]), json!(["myapp://cb"]),
            json!(["http://app.example/cb"]), json!(["https://app.example/cb#f"]), json!([""]),
            json!(["https://*.app.example/"]), json!([" https://app.example/"])] {
            let document = json!({ "redirect_uris": uris });
            register(&server, &document).await.expect_error(400, "invalid_redirect_uri");
        }
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM oauth_clients", &[]).await, 0);
    }

    /// req_140, A-68: a client name must be displayable and not reserved, in both profiles.
    async fn deceptive_and_reserved_names_are_refused(setup: Setup) {
        for profile in ["standards", "storyden"] {
            let server = open(setup.clone().with("OAUTH_PROFILE", profile)).await;
            for name in [
                "Storyden", "storyden-cli", "St\u{43e}ryden", "Stor\u{200b}yden", "Cal\u{202e}endar", "a\nb",
                &"x".repeat(65), &"x".repeat(10_000),
            ] {
                let document = json!({ "redirect_uris": [URI], "client_name": name });
                register(&server, &document).await.expect_error(400, "invalid_client_metadata");
            }
            let document = json!({ "redirect_uris": [URI], "client_name": "Cafe\u{301} for Storyden" });
            assert_eq!(register(&server, &document).await.expect(201).text("client_name"), "Café for Storyden");
        }
    }

    /// req_133, A-8: the operator's settings bound the scopes of a registration. A later request may
    /// exceed the registered scope within the operator's bound; privileged permissions are excluded
    /// unless the setting names the permission.
    async fn settings_bound_the_scopes_of_a_registration(setup: Setup) {
        let server = open(setup.clone()).await;
        let odin = server.admin("odin").await;
        let all = "openid READ_PROFILE CREATE_POST MANAGE_ROBOTS ADMINISTRATOR";
        let document = json!({ "redirect_uris": [URI], "token_endpoint_auth_method": "none", "scope": all });
        let answer = register(&server, &document).await.expect(201);
        assert_eq!(answer.text("scope"), "openid READ_PROFILE");
        let client = client_of(&answer);
        assert_eq!(granted(&server, &odin, &client, "").await, "openid READ_PROFILE");
        assert_eq!(granted(&server, &odin, &client, "email LIST_PROFILES CREATE_POST ADMINISTRATOR").await, "email LIST_PROFILES");

        let named = "CREATE_POST, MANAGE_ROBOTS openid";
        let server = open(setup.with("OAUTH_DYNAMIC_REGISTRATION_ALLOWED_SCOPES", named)).await;
        let answer = register(&server, &document).await.expect(201);
        assert_eq!(answer.text("scope"), "openid CREATE_POST MANAGE_ROBOTS");
        assert_eq!(granted(&server, &odin, &client_of(&answer), all).await, "openid CREATE_POST MANAGE_ROBOTS");
        // A changed list applies to new registrations only.
        assert_eq!(granted(&server, &odin, &client, "READ_PROFILE CREATE_POST").await, "READ_PROFILE");
    }

    /// storyden-contract.md#dynamic-registration: in the profile `storyden` a client may use the
    /// registered scopes except privileged permissions, and a request without `scope` grants nothing.
    async fn in_the_storyden_profile_registered_scopes_are_the_bound(setup: Setup) {
        let server = open_storyden(setup).await;
        let odin = server.admin("odin").await;
        let document = json!({
            "redirect_uris": [format!(" {URI} "), "", URI], "token_endpoint_auth_method": " none ",
            "scope": "openid\tCREATE_POST  ADMINISTRATOR openid", "contacts": ["a"], "application_type": "anything",
        });
        let answer = register(&server, &document).await.expect(201);
        let told = answer.json();
        assert_eq!((&told["scope"], &told["redirect_uris"]), (&json!("openid CREATE_POST"), &json!([URI])));
        assert_eq!((&told["client_secret_expires_at"], told.get("contacts")), (&json!(0), None));
        assert_eq!(told["application_type"], "anything");
        let client = client_of(&answer);
        assert_eq!(granted(&server, &odin, &client, "openid CREATE_POST READ_PROFILE ADMINISTRATOR").await, "openid CREATE_POST");
        assert_eq!(granted(&server, &odin, &client, "").await, "");
    }

    /// storyden-contract.md#error-bodies: in the profile `storyden` an unreadable document is a
    /// problem.
    async fn in_the_storyden_profile_a_malformed_document_is_a_problem(setup: Setup) {
        let server = open_storyden(setup).await;
        for body in ["", "{", "[]", "{\"redirect_uris\": \"x\"}", "{\"client_name\": null}"] {
            let answer = send(&server, "application/json", body).await.expect(400);
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert_eq!(answer.json()["type"], "urn:storyden:problem:invalid-argument");
        }
        let answer = send(&server, "application/x-www-form-urlencoded", "x=y").await;
        assert_eq!(answer.expect(415).header("content-type"), "application/problem+json");
        let document = json!({ "redirect_uris": ["com.example.app:/cb"] });
        register(&server, &document).await.expect_error(400, "invalid_redirect_uri");
    }

    /// req_079, A-108, storyden-contract.md#while-oauth-is-off: while registration is off the endpoint
    /// answers an error, and the metadata omit the endpoint.
    async fn disabled_registration_is_refused_and_not_in_metadata(setup: Setup) {
        for (profile, name, value) in [
            ("standards", "OAUTH_DYNAMIC_REGISTRATION_ENABLED", "false"),
            ("storyden", "OAUTH_DYNAMIC_REGISTRATION_ENABLED", "false"),
            ("standards", "OAUTH_ENABLED", "false"),
            ("storyden", "OAUTH_ENABLED", "false"),
        ] {
            let setup = setup.clone().with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true");
            let server = setup.with("OAUTH_PROFILE", profile).with(name, value).start().await;
            let document = json!({ "redirect_uris": [URI] });
            let answer = register(&server, &document).await.expect_error(400, "temporarily_unavailable");
            assert_eq!(answer.text("error_description"), "Dynamic client registration is not enabled");
            if name != "OAUTH_ENABLED" {
                let openid = server.get("/.well-known/openid-configuration").await.expect(200).json();
                assert_eq!(openid.get("registration_endpoint"), None);
            }
        }
        let server = open(setup).await;
        for document in ["openid-configuration", "oauth-authorization-server"] {
            let document = server.get(&format!("/.well-known/{document}")).await.expect(200).json();
            assert_eq!(document["registration_endpoint"], "https://auth.example/api/oauth/register");
        }
    }

    /// req_142, T11: registrations are rate limited per address; other addresses continue.
    async fn registrations_are_limited_per_address(setup: Setup) {
        let server = open(setup.with("RATE_LIMIT", "100")).await; // 5000 allows 100; 100 allows 2
        let document = json!({ "redirect_uris": [URI], "token_endpoint_auth_method": "none" });
        let from = |address: &'static str| {
            let request = server.request("POST", PATH).header("x-forwarded-for", address);
            server.send(request.json(&document))
        };
        for _ in 0..2 {
            from("2001:db8::1").await.expect(201);
        }
        let refused = from("2001:db8::ffff").await.expect_error(429, "temporarily_unavailable");
        assert_eq!(refused.header("retry-after"), "3601");
        from("2001:db8:0:1::1").await.expect(201);
        server.turn(Duration::hours(1));
        from("2001:db8::1").await.expect(201);
    }

    /// req_142, P7: the total number of registered clients is bounded; expired registrations make room.
    async fn registrations_are_limited_in_total(setup: Setup) {
        let server = open(setup.with("OAUTH_DYNAMIC_REGISTRATION_MAX", "2")).await;
        server.public_client().await; // not registered dynamically, so not counted
        let document = json!({ "redirect_uris": [URI], "token_endpoint_auth_method": "none" });
        let from = |address: &'static str| {
            let request = server.request("POST", PATH).header("x-forwarded-for", address);
            server.send(request.json(&document))
        };
        for address in ["192.0.2.1", "198.51.100.1"] {
            from(address).await.expect(201);
        }
        let full = from("203.0.113.1").await.expect_error(503, "temporarily_unavailable");
        assert_eq!(full.header("retry-after"), "3600");
        server.turn(Duration::hours(24) + Duration::seconds(1));
        clean_up(&server).await;
        from("203.0.113.1").await.expect(201);
    }

    /// req_142: a network may hold at most a quarter of all registrations, across replicas and
    /// restarts, so that a single network cannot exhaust the total.
    async fn registrations_are_limited_per_network(setup: Setup) {
        let setup = setup.with("OAUTH_DYNAMIC_REGISTRATION_MAX", "8");
        let (server, replica) = (open(setup.clone()).await, open(setup).await);
        let document = json!({ "redirect_uris": [URI], "token_endpoint_auth_method": "none" });
        let from = |server: &Server, address: &'static str| {
            let request = server.request("POST", PATH).header("x-forwarded-for", address);
            let request = request.json(&document);
            async move { Answer::of(request.send().await.unwrap()).await }
        };
        let (first, second) = ("2001:db8:1::1", "2001:db8:1:ff00::1");
        from(&server, first).await.expect(201);
        let kept = from(&replica, second).await.expect(201);
        for server in [&server, &replica] {
            for address in [first, second, "2001:db8:1:1::1"] {
                let refused = from(server, address).await.expect_error(429, "temporarily_unavailable");
                assert_eq!(refused.header("retry-after"), "3600");
            }
        }
        for address in ["2001:db8:2::1", "192.0.2.1", "192.0.2.200", "198.51.100.1"] {
            from(&server, address).await.expect(201);
        }
        from(&server, "192.0.2.3").await.expect(429);
        // A deleted registration makes room in the same network.
        let path = format!("{PATH}/{}", kept.text("client_id"));
        let delete = server.request("DELETE", &path).bearer_auth(kept.text("registration_access_token"));
        server.send(delete).await.expect(204);
        from(&server, first).await.expect(201);
        from(&server, first).await.expect(429);
        server.turn(Duration::hours(24) + Duration::seconds(1));
        clean_up(&server).await;
        from(&server, first).await.expect(201);
    }

    /// req_142: an unused registration is deleted after a day, with the dependent rows. A registration
    /// that was ever used stays, even after the grants are gone.
    async fn an_unused_registration_is_deleted_after_a_day(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let device = json!({
            "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
            "redirect_uris": [URI], "token_endpoint_auth_method": "none", "scope": "openid",
        });
        let unused = client_of(&register(&server, &device).await.expect(201));
        let signed_in = client_of(&register(&server, &device).await.expect(201));
        let by_device = client_of(&register(&server, &device).await.expect(201));
        server.tokens(&frigg, &signed_in, &[("scope", "openid")]).await;
        let code = server.approved_device(&frigg, &by_device, "openid").await;
        server.poll(&by_device, &code).await.expect(200); // without a refresh token
        server.turn(Duration::hours(24) - Duration::minutes(5));
        server.pending(&frigg, &unused, &[]).await;
        server.start_device(&unused, "openid").await.expect(200);
        clean_up(&server).await;
        let clients = "SELECT COUNT(*) AS n FROM oauth_clients";
        assert_eq!(server.count(clients, &[]).await, 3);
        server.turn(Duration::minutes(6));
        clean_up(&server).await;
        assert_eq!(server.count(clients, &[]).await, 2);
        for _ in 0..3 {
            server.turn(Duration::days(30));
            clean_up(&server).await;
        }
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM auth_grants", &[]).await, 0);
        assert_eq!(server.count(clients, &[]).await, 2);
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM auth_clients", &[]).await, 2);
    }

    /// Identical registrations get different client ids, each with an audit entry.
    async fn no_id_is_shared_between_two_registrations(setup: Setup) {
        let server = open(setup).await;
        let document = json!({ "redirect_uris": [URI], "client_name": "Same", "software_id": "same" });
        let mut ids: Vec<String> = Vec::new();
        for _ in 0..3 {
            ids.push(register(&server, &document).await.expect(201).text("client_id"));
        }
        ids.dedup();
        assert_eq!(ids.len(), 3);
        for id in ids {
            let sql = "SELECT COUNT(*) AS n FROM auth_audit a JOIN oauth_clients c ON c.id = a.subject_id \
                WHERE a.event = 'client_registered' AND a.client_id = $1 AND c.client_id = $1 \
                AND a.address = '127.0.0.1'";
            assert_eq!(server.count(sql, &[&id]).await, 1);
        }
    }

    /// req_135, req_015: registration is a POST, open to every origin (CORS), and ignores credentials.
    async fn registration_is_open_to_every_origin(setup: Setup) {
        let server = open(setup).await;
        server.get(PATH).await.expect(405);
        let document = json!({ "redirect_uris": [URI] });
        let request = server.request("POST", PATH).bearer_auth("eyJx").header("origin", "https://evil.example");
        let answer = server.send(request.json(&document)).await.expect(201);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        server.context.db.close().await;
        let away = register(&server, &document).await.expect_error(503, "temporarily_unavailable");
        assert_eq!(away.header("retry-after"), "2");
    }
}
