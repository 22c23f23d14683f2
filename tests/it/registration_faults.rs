//! Registrations and metadata documents with parts that cannot be accepted: the parts are left out, and
//! the response tells so (RFC 7591 §3.2.1).

use serde_json::{Value, json};
use storyden_auth::ids::ClientRowId;

use crate::support::registration::{client_of, open, register};
use crate::support::simulated_internet::SimulatedInternet;
use crate::support::{Answer, Client, both};

const PATH: &str = "/api/oauth/register";
const URI: &str = "https://app.example/cb";
/// The redirect URI of a widely used editor, with a private-use scheme without a dot.
const EDITOR: &str = "cursor://anysphere.cursor-mcp/oauth/callback";

fn warnings(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let warnings = json["warnings"].as_array();
    let texts = warnings.into_iter().flatten();
    texts
        .map(|warning| warning.as_str().unwrap().to_owned())
        .collect()
}

/// Parts that cannot be accepted, and a part of each warning.
fn faults() -> Vec<(&'static str, Value, &'static str)> {
    let many: Vec<String> = (0..25)
        .map(|n| format!("https://app.example/{n}"))
        .collect();
    vec![
        (
            "grant_types",
            json!(["authorization_code", "implicit"]),
            "'implicit'",
        ),
        (
            "grant_types",
            json!(["authorization_code", "client_credentials"]),
            "'client_credentials'",
        ),
        ("grant_types", json!("authorization_code"), "wrong type"),
        (
            "redirect_uris",
            json!([URI, "http://app.example/cb"]),
            "'http://app.example/cb' must use https",
        ),
        (
            "redirect_uris",
            json!([URI, "javascript:alert(1)"]),
            "'javascript:alert(1)'",
        ),
        (
            "redirect_uris",
            json!([URI, "https://*.app.example/"]),
            "must not have a wildcard",
        ),
        ("redirect_uris", json!([URI, "myapp://cb"]), "without a dot"),
        ("redirect_uris", json!([URI, 7]), "wrong type"),
        (
            "redirect_uris",
            json!([&[URI.to_owned()][..], &many[..]].concat()),
            "more than 20 entries",
        ),
        (
            "post_logout_redirect_uris",
            json!(["/relative"]),
            "'/relative'",
        ),
        (
            "contacts",
            json!(["ops@app.example", "a\u{202e}b"]),
            "contact 'a?b'",
        ),
        ("contacts", json!("ops@app.example"), "wrong type"),
        (
            "logo_uri",
            json!("http://app.example/l.png"),
            "logo_uri must be a valid HTTPS URL",
        ),
        (
            "client_uri",
            json!("/x"),
            "client_uri must be a valid HTTPS URL",
        ),
        ("policy_uri", json!(7), "wrong type"),
        (
            "tos_uri",
            json!("javascript:alert(1)"),
            "tos_uri must be a valid HTTPS URL",
        ),
        ("scope", json!("openid mcp:tools"), "'mcp:tools' is unknown"),
        (
            "scope",
            json!("openid ADMINISTRATOR"),
            "'ADMINISTRATOR' is not allowed",
        ),
        ("scope", json!("openid \"x"), "U+0022"),
        ("scope", json!(["openid"]), "wrong type"),
        ("software_id", json!("x".repeat(300)), "software_id"),
        (
            "application_type",
            json!("desktop"),
            "must be web or native",
        ),
    ]
}

both! {
    /// req_138: each part that cannot be accepted is left out, with a warning, and the client works.
    async fn one_bad_member_does_not_refuse_a_registration(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        for (member, value, part) in faults() {
            let mut document = json!({ "redirect_uris": [URI], "token_endpoint_auth_method": "none" });
            document[member] = value;
            let answer = register(&server, &document).await.expect(201);
            let warned = warnings(&answer);
            assert!(warned.iter().any(|one| one.starts_with(member) && one.contains(part)), "{member}: {warned:?}");
            assert_eq!(answer.json()["redirect_uris"][0], URI);
            server.tokens(&frigg, &client_of(&answer, URI), &[("scope", "")]).await;
        }
        // What is registered is told: 20 of 25 URIs, the known scopes, the good contact.
        let mut document = json!({ "redirect_uris": [URI], "grant_types": ["implicit", "authorization_code"] });
        for (member, value, _) in faults() {
            if !matches!(member, "grant_types" | "application_type") && !document[member].is_array() {
                document[member] = value;
            }
        }
        document["scope"] = json!("openid mcp:tools READ_PROFILE ADMINISTRATOR");
        document["contacts"] = json!(["ops@app.example", "a\u{202e}b"]);
        let answer = register(&server, &document).await.expect(201);
        let told = answer.json();
        assert_eq!(told["grant_types"], json!(["authorization_code"]));
        assert_eq!(told["contacts"], json!(["ops@app.example"]));
        assert_eq!(told["scope"], "openid READ_PROFILE");
        for absent in ["logo_uri", "client_uri", "policy_uri", "tos_uri", "software_id"] {
            assert_eq!(told.get(absent), None, "{absent}");
        }
        // A registration without a fault has no warnings.
        let good = register(&server, &json!({ "redirect_uris": [URI] })).await.expect(201);
        assert_eq!(good.json().get("warnings"), None);
    }

    /// req_136, req_137, req_139: if nothing usable is left, the error is the first fault.
    async fn a_registration_of_which_nothing_is_usable_is_refused(setup: Setup) {
        let server = open(setup).await;
        let device = "urn:ietf:params:oauth:grant-type:device_code";
        for (document, error, part) in [
            (json!({}), "invalid_redirect_uri", "At least one redirect_uri"),
            (json!({ "redirect_uris": ["http://app.example/cb", "x"] }), "invalid_redirect_uri", "'http://app.example/cb'"),
            (json!({ "redirect_uris": [URI], "grant_types": ["implicit", "refresh_token"] }), "invalid_client_metadata", "'implicit'"),
            (json!({ "redirect_uris": [URI], "response_types": ["token", "id_token"] }), "invalid_client_metadata", "'token'"),
            (json!({ "grant_types": [device] }), "invalid_client_metadata", "token_endpoint_auth_method none"),
            (json!({ "redirect_uris": [EDITOR] }), "invalid_redirect_uri", "a client with a secret must not have"),
            (json!({ "redirect_uris": [URI], "token_endpoint_auth_method": "tls_client_auth" }), "invalid_client_metadata", "private_key_jwt"),
        ] {
            let answer = register(&server, &document).await.expect_error(400, error);
            let description = answer.text("error_description");
            assert!(description.contains(part), "{description}");
            let legal = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E);
            assert!(description.bytes().all(legal), "{description}");
        }
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM oauth_clients", &[]).await, 0);
        // The device grant is usable without a redirect URI.
        let both_grants = json!({
            "grant_types": ["authorization_code", device], "redirect_uris": ["http://app.example/cb"],
            "token_endpoint_auth_method": "none",
        });
        let answer = register(&server, &both_grants).await.expect(201);
        assert_eq!((&answer.json()["grant_types"], &answer.json()["response_types"]), (&json!([device]), &json!([])));
    }

    /// req_067, req_069, A-8: the registration of a widely used editor works as the editor sends it: a
    /// listed private-use scheme without a dot, an unlisted scheme, and a wrong application type.
    /// <https://github.com/jentic/jentic-one/issues/1245>, <https://github.com/laravel/mcp/pull/174>.
    async fn the_registration_of_an_editor_works(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let document = json!({
            "application_type": "web",
            "client_name": "Cursor",
            "grant_types": ["authorization_code", "refresh_token"],
            "redirect_uris": [
                EDITOR, "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback",
                "grokbot://mcp/oauth/callback",
            ],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        let answer = register(&server, &document).await.expect(201);
        let told = answer.json();
        assert_eq!(told["application_type"], "native");
        assert_eq!(told["redirect_uris"].as_array().unwrap().len(), 3);
        let warned = warnings(&answer);
        assert_eq!(warned.len(), 2, "{warned:?}");
        assert!(warned[0].contains("'grokbot://mcp/oauth/callback'"), "{warned:?}");
        assert!(warned[1].starts_with("application_type"), "{warned:?}");
        // The member is asked each time, and PKCE is required.
        for _ in 0..2 {
            let app = client_of(&answer, EDITOR);
            let request_id = server.pending(&frigg, &app, &[]).await;
            let page = server.consent(&frigg, &request_id).await.expect(200);
            assert_eq!(page.text("redirect_uri"), EDITOR);
            let decided = server.decide(&frigg, &request_id, "approve").await.expect(200);
            assert!(decided.text("location").starts_with("cursor://anysphere.cursor-mcp/oauth/callback?code="));
            server.exchange(&app, &decided.sent("code").unwrap()).await.expect(200);
        }
        let other = client_of(&answer, "cursor://elsewhere/oauth/callback");
        server.authorize(Some(&frigg), &other, &[]).await.expect_error(400, "invalid_request");
    }

    /// Registrations of public reports against other servers work here as the clients send them.
    async fn registrations_of_public_reports_work(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        for (report, changes, redirect_uri, grants) in [
            ("better-auth/better-auth#11175", json!({ "grant_types": ["authorization_code", "refresh_token", bearer] }),
                "https://claude.ai/api/mcp/auth_callback", "authorization_code refresh_token"),
            ("better-auth/better-auth#10946", json!({ "application_type": "web" }), EDITOR, "authorization_code refresh_token"),
            ("laravel/mcp#173", json!({ "client_name": "Cursor" }), EDITOR, "authorization_code refresh_token"),
            ("anthropics/claude-code#93671", json!({}), "claude://claude.ai/mcp-auth-callback/sdk", "authorization_code refresh_token"),
            ("garrytan/gbrain#3819", json!({ "scope": "openid offline_access tools" }), "warp://mcp/oauth2callback",
                "authorization_code refresh_token"),
            ("giantswarm/muster#1086", json!({ "scope": "groups profile offline_access" }), URI, "authorization_code refresh_token"),
            ("archestra-ai/archestra#7311", json!({ "scope": "read write" }), URI, "authorization_code refresh_token"),
            ("appstrate/appstrate#1267", json!({ "response_types": ["code"] }), "http://localhost:1/callback",
                "authorization_code refresh_token"),
            ("turnstonelabs/turnstone#1082", json!({ "resource": "https://mcp.example/" }), URI, "authorization_code refresh_token"),
            ("PrefectHQ/fastmcp#2460", json!({ "grant_types": ["authorization_code"] }), URI, "authorization_code"),
            ("TykTechnologies/tyk#3561", json!({
                "grant_types": ["authorization_code", "refresh_token", "implicit"],
                "response_types": ["code", "id_token"],
            }), URI, "authorization_code refresh_token"),
        ] {
            let mut document = json!({ "redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none" });
            for (name, value) in changes.as_object().unwrap() {
                document[name] = value.clone();
            }
            let answer = register(&server, &document).await;
            assert_eq!(answer.status, 201, "{report}: {}", answer.body);
            let told = answer.json();
            let told: Vec<&str> = told["grant_types"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!(told.join(" "), grants, "{report}");
            // The client asks for known and unknown scopes, or for none.
            for scope in ["openid offline_access mcp:tools ", ""] {
                let app = client_of(&answer, redirect_uri);
                let tokens = server.tokens(&frigg, &app, &[("scope", scope)]).await;
                assert!(!tokens.text("scope").is_empty(), "{report}");
            }
        }
    }

    /// the operator's list decides about private-use schemes without a dot, and a client with a
    /// secret never has one.
    async fn the_operator_lists_the_private_use_schemes(setup: Setup) {
        let public = |uri: &str| json!({ "redirect_uris": [uri], "token_endpoint_auth_method": "none" });
        let server = open(setup.clone()).await;
        for scheme in ["claude", "cursor", "vscode", "vscode-insiders", "warp", "windsurf"] {
            register(&server, &public(&format!("{scheme}://cb"))).await.expect(201);
        }
        register(&server, &public("myapp://cb")).await.expect_error(400, "invalid_redirect_uri");
        for method in ["client_secret_basic", "client_secret_post"] {
            let document = json!({ "redirect_uris": [EDITOR, URI], "token_endpoint_auth_method": method });
            let answer = register(&server, &document).await.expect(201);
            assert_eq!(answer.json()["redirect_uris"], json!([URI]));
            assert!(warnings(&answer)[0].contains("a client with a secret"), "{:?}", warnings(&answer));
        }
        let server = open(setup.clone().with("OAUTH_PRIVATE_USE_SCHEMES", "MyApp, zed")).await;
        register(&server, &public("myapp://cb")).await.expect(201);
        register(&server, &public(EDITOR)).await.expect_error(400, "invalid_redirect_uri");
        let server = open(setup.with("OAUTH_PRIVATE_USE_SCHEMES", "none")).await;
        register(&server, &public(EDITOR)).await.expect_error(400, "invalid_redirect_uri");
        register(&server, &public("com.example.app:/cb")).await.expect(201);
    }

    /// the same list applies to clients of members, of administrators and of the command.
    async fn the_list_applies_to_every_way_of_registration(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let member = |kind: &str, uri: &str| json!({
            "name": "App", "type": kind, "allowed_scopes": [], "allowed_grants": ["authorization_code"],
            "pkce_required": true, "redirect_uris": [uri],
        });
        let path = "/api/auth/oauth/clients";
        server.post_as(&odin, path, &member("public", EDITOR)).await.expect(200);
        for (kind, uri) in [("public", "myapp://cb"), ("confidential", EDITOR)] {
            let refused = server.post_as(&odin, path, &member(kind, uri)).await.expect(400);
            assert!(refused.text("detail").contains("without a dot"), "{}", refused.body);
        }
        let administrator = |id: &str, kind: &str, uri: &str| {
            let mut body = member(kind, uri);
            body["account_id"] = json!(odin.id.as_str());
            body["client_id"] = json!(id);
            body
        };
        let path = "/api/admin/oauth/clients";
        server.post_as(&odin, path, &administrator("a", "public", EDITOR)).await.expect(200);
        for (kind, uri) in [("public", "myapp://cb"), ("confidential", EDITOR)] {
            server.post_as(&odin, path, &administrator("b", kind, uri)).await.expect(400);
        }
        for (kind, uri, code) in [("public", EDITOR, 0), ("confidential", EDITOR, 1), ("public", "myapp://cb", 1)] {
            let create = ["client", "create", "--name", "App", "--type", kind, "--redirect-uri", uri];
            let made = setup.run(&create, &[]).await;
            assert_eq!(made.code, Some(code), "{kind} {uri}: {}", made.stderr);
        }
    }

    /// Model Context Protocol, SEP-837: without `application_type`, the redirect URIs tell the type.
    async fn redirect_uris_tell_the_application_type(setup: Setup) {
        let server = open(setup).await;
        for (given, uris, told) in [
            (json!(null), json!([URI]), json!("web")),
            (json!(null), json!(["http://127.0.0.1/cb"]), json!("native")),
            (json!(null), json!(["http://localhost:3000/cb", URI]), json!("native")),
            (json!(null), json!(["com.example.app:/cb"]), json!("native")),
            (json!("web"), json!(["http://localhost:3000/cb"]), json!("web")),
            (json!("native"), json!([URI]), json!("native")),
            (json!("web"), json!(["com.example.app:/cb"]), json!("native")),
        ] {
            let document = json!({ "redirect_uris": uris, "application_type": given });
            let answer = register(&server, &document).await.expect(201);
            assert_eq!(answer.json()["application_type"], told, "{document}");
            assert_eq!(answer.json()["redirect_uris"], uris);
        }
        let device = json!({
            "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"], "token_endpoint_auth_method": "none",
        });
        let answer = register(&server, &device).await.expect(201);
        assert_eq!(answer.json().get("application_type"), None);
    }

    /// Metadata documents follow the same rules: a bad part is left out, and the client works.
    async fn one_bad_member_does_not_spoil_a_document(setup: Setup) {
        let outside = SimulatedInternet::new();
        let server = outside.around(setup).start().await;
        let frigg = server.member("frigg", &[]).await;
        let host = outside.host("app.example").await;
        for (number, (member, value, _)) in faults().into_iter().enumerate() {
            let id = host.publish(&format!("/{number}"), &json!({ member: value }));
            let app = Client {
                row_id: ClientRowId::new(""),
                client_id: id,
                secret: None,
                redirect_uri: URI.to_owned(),
            };
            server.tokens(&frigg, &app, &[("scope", "")]).await;
        }
        // The document of a widely used client lists a grant that this server lacks (a public report:
        // better-auth/better-auth#10900).
        let bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        let grants = json!({ "grant_types": ["authorization_code", "refresh_token", bearer] });
        let listed = Client {
            row_id: ClientRowId::new(""),
            client_id: host.publish("/grants.json", &grants),
            secret: None,
            redirect_uri: URI.to_owned(),
        };
        let tokens = server.tokens(&frigg, &listed, &[]).await;
        server.refresh(&listed, &tokens.text("refresh_token")).await.expect(200);
        let id = host.publish("/editor.json", &json!({
            "application_type": "web", "client_name": "Cursor",
            "redirect_uris": ["grokbot://cb", EDITOR, "http://localhost:8787/callback"],
        }));
        let app = |redirect_uri: &str| Client {
            row_id: ClientRowId::new(""),
            client_id: id.clone(),
            secret: None,
            redirect_uri: redirect_uri.to_owned(),
        };
        server.tokens(&frigg, &app(EDITOR), &[]).await;
        server.authorize(Some(&frigg), &app("grokbot://cb"), &[]).await.expect_error(400, "invalid_request");
        // A client that authenticates with a key has no such scheme.
        let keyed = host.publish("/keyed.json", &json!({
            "redirect_uris": [EDITOR, URI], "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uri": "https://app.example/keys",
        }));
        let keyed = Client { client_id: keyed, ..app(EDITOR) };
        server.authorize(Some(&frigg), &keyed, &[]).await.expect_error(400, "invalid_request");
    }

    /// req_143: a replacement follows the same rules, and its response has the warnings; a later read has
    /// the registered metadata alone.
    async fn a_replacement_leaves_bad_parts_out_too(setup: Setup) {
        let server = open(setup).await;
        let registered = register(&server, &json!({ "redirect_uris": [URI] })).await.expect(201);
        let (id, token) = (registered.text("client_id"), registered.text("registration_access_token"));
        let path = format!("{PATH}/{id}");
        let document = json!({
            "client_id": id, "redirect_uris": [URI, "http://app.example/"], "scope": "openid mcp:tools",
        });
        let put = server.request("PUT", &path).bearer_auth(&token).json(&document);
        let answer = server.send(put).await.expect(200);
        assert_eq!((&answer.json()["redirect_uris"], &answer.json()["scope"]), (&json!([URI]), &json!("openid")));
        assert_eq!(warnings(&answer).len(), 2);
        let read = server.send(server.request("GET", &path).bearer_auth(&token)).await.expect(200);
        assert_eq!(read.json().get("warnings"), None);
        let nothing = json!({ "client_id": id, "redirect_uris": ["http://app.example/"] });
        let put = server.request("PUT", &path).bearer_auth(&token).json(&nothing);
        server.send(put).await.expect_error(400, "invalid_redirect_uri");
    }

    /// storyden-contract.md#dynamic-registration: in the profile `storyden` one bad part rejects the
    /// registration, with Storyden's texts, and private-use schemes are never accepted.
    async fn the_storyden_profile_rejects_every_fault(setup: Setup) {
        let server = open(setup.with("OAUTH_PROFILE", "storyden")).await;
        for (member, value, error, text) in [
            ("grant_types", json!(["authorization_code", "implicit"]), "invalid_client_metadata",
                "Unsupported grant type; only authorization_code and refresh_token are allowed"),
            ("redirect_uris", json!([URI, "http://app.example/"]), "invalid_redirect_uri",
                "Invalid redirect_uri: must be an absolute HTTPS URI (or HTTP for loopback)"),
            ("redirect_uris", json!([URI, EDITOR]), "invalid_redirect_uri",
                "Invalid redirect_uri: must be an absolute HTTPS URI (or HTTP for loopback)"),
            ("logo_uri", json!("http://app.example/l.png"), "invalid_client_metadata",
                "logo_uri must be a valid HTTPS URL"),
            ("scope", json!("openid nonsense"), "invalid_client_metadata",
                "Scope is not permitted for dynamic client registration"),
            ("response_types", json!(["code", "token"]), "invalid_client_metadata",
                "Only 'code' response type is supported"),
        ] {
            let mut document = json!({ "redirect_uris": [URI], "token_endpoint_auth_method": "none" });
            document[member] = value;
            let answer = register(&server, &document).await.expect_error(400, error);
            assert_eq!(answer.text("error_description"), text);
        }
        let good = json!({ "redirect_uris": [URI], "token_endpoint_auth_method": "none", "pkce_required": 7 });
        let told = register(&server, &good).await.expect(201).json();
        for absent in ["warnings", "application_type", "pkce_required"] {
            assert_eq!(told.get(absent), None, "{absent}");
        }
    }
}
