//! Connections to remote servers (storyden-contract.md#remote-connections): discovery, registration,
//! authorization, and mix-up defense at the callback.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use time::Duration;

use crate::support::simulated_internet::{Host, Reply, SimulatedInternet};
use crate::support::{Answer, Member, Server, Setup, both};

pub(crate) const CONNECTIONS: &str = "/api/admin/oauth/remote/connections";
const CALLBACK: &str = "/api/oauth/remote/callback";
pub(crate) const PAGE: &str = "https://auth.example/oauth/remote/callback";

/// Starts a server with a simulated internet and a member who may manage connections.
pub(crate) async fn begin(setup: Setup) -> (Server, Member, SimulatedInternet) {
    let outside = SimulatedInternet::new();
    let setup = outside.around(setup);
    let setup = setup.with(
        "REMOTE_TOKEN_KEY",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    );
    let server = setup
        .with("REMOTE_TOKEN_ENDPOINT_ENABLED", "true")
        .start()
        .await;
    let thor = server.member("thor", &["MANAGE_ROBOTS"]).await;
    (server, thor, outside)
}

/// A host with a resource at `/mcp`, protected by an authorization server on the same host, with
/// changed members of the server metadata.
pub(crate) async fn remote(outside: &SimulatedInternet, name: &str, changes: &Value) -> Host {
    let host = outside.host(name).await;
    let resource = json!({ "resource": host.url("/mcp"), "authorization_servers": [host.url("")], "resource_name": "Tools" });
    host.reply(
        "/.well-known/oauth-protected-resource/mcp",
        Reply::json("200 OK", "", &resource),
    );
    describe(&host, changes);
    host.reply("/token", tokens(&json!({})));
    let registered = json!({ "client_id": "theirs", "redirect_uris": [PAGE] });
    host.reply("/register", Reply::json("201 Created", "", &registered));
    host
}

/// Publishes the metadata of the host's authorization server.
pub(crate) fn describe(host: &Host, changes: &Value) {
    let mut metadata = json!({
        "issuer": host.url(""), "authorization_endpoint": host.url("/authorize"),
        "token_endpoint": host.url("/token"), "registration_endpoint": host.url("/register"),
        "response_types_supported": ["code"], "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
    });
    for (name, value) in changes.as_object().unwrap() {
        metadata[name] = value.clone();
    }
    host.reply(
        "/.well-known/oauth-authorization-server",
        Reply::json("200 OK", "", &metadata),
    );
}

/// A token response with changed members.
pub(crate) fn tokens(changes: &Value) -> Reply {
    let mut answer = json!({
        "access_token": "at-1", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "rt-1", "scope": "tools",
    });
    for (name, value) in changes.as_object().unwrap() {
        answer[name] = value.clone();
    }
    Reply::json("200 OK", "", &answer)
}

pub(crate) async fn create(server: &Server, thor: &Member, host: &Host) -> Answer {
    server
        .post_as(
            thor,
            CONNECTIONS,
            &json!({ "resource_url": host.url("/mcp"), "scope": "tools" }),
        )
        .await
}

/// Starts the authorization of a connection; returns the authorization URL.
pub(crate) async fn authorize(server: &Server, person: &Member, id: &str) -> reqwest::Url {
    let path = format!("{CONNECTIONS}/{id}/authorize");
    let answer = server.post_as(person, &path, &json!({})).await.expect(200);
    answer.text("authorization_url").parse().unwrap()
}

pub(crate) fn parameter(url: &reqwest::Url, name: &str) -> Option<String> {
    url.query_pairs()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned())
}

/// Calls the callback with the parameters of an authorization response.
pub(crate) async fn callback(server: &Server, person: &Member, query: &[(&str, &str)]) -> Answer {
    let request = server.request("GET", CALLBACK).query(query);
    server.send(request.header("cookie", person.cookie())).await
}

/// Creates and authorizes a connection; returns the id.
pub(crate) async fn connected(server: &Server, thor: &Member, host: &Host) -> String {
    let id = create(server, thor, host).await.expect(200).text("id");
    let state = parameter(&authorize(server, thor, &id).await, "state").unwrap();
    callback(server, thor, &[("state", &state), ("code", "c")])
        .await
        .expect(200);
    id
}

pub(crate) fn refused_for(answer: &Answer, part: &str) {
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(
        answer.text("detail").contains(part),
        "{part}: {}",
        answer.body
    );
}

both! {
    /// req_194, storyden-contract.md#remote-discovery, storyden-contract.md#remote-authorization: a
    /// resource is discovered, registered with, authorized with PKCE and a resource indicator, and
    /// connected. No secret or token is shown.
    async fn a_resource_is_discovered_registered_and_connected(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        let asked = json!({ "resource_url": host.url("/mcp") });
        let found = server.post_as(&thor, "/api/admin/oauth/remote/discover", &asked);
        let found = found.await.expect(200).json();
        assert_eq!((&found["mode"], &found["authorization_server"]), (&json!("dcr"), &json!("https://tools.example")));
        let made = create(&server, &thor, &host).await.expect(200);
        assert_eq!((made.text("status"), made.text("client_id"), made.text("mode")), ("pending".into(), "theirs".into(), "dcr".into()));
        let registration = &host.asked_at("/register")[0];
        for part in ["\"redirect_uris\":[\"https://auth.example/oauth/remote/callback\"]", "\"application_type\":\"web\"", "\"scope\":\"tools\""] {
            assert!(registration.contains(part), "{registration}");
        }
        let url = authorize(&server, &thor, &made.text("id")).await;
        assert!(url.as_str().starts_with("https://tools.example/authorize?"));
        assert_eq!(parameter(&url, "resource").unwrap(), host.url("/mcp"));
        assert_eq!(parameter(&url, "code_challenge_method").unwrap(), "S256");
        let state = parameter(&url, "state").unwrap();
        let done = callback(&server, &thor, &[("state", &state), ("code", "c/1"), ("iss", "https://tools.example")]).await;
        let connection = done.expect(200).json()["connection"].clone();
        assert_eq!((&connection["status"], &connection["has_refresh_token"]), (&json!("connected"), &json!(true)));
        assert!(!connection.to_string().contains("at-1"), "{connection}");
        let exchange = &host.asked_at("/token")[0];
        for part in ["grant_type=authorization_code", "code=c%2F1", "client_id=theirs", "resource=https%3A%2F%2Ftools.example%2Fmcp", "code_verifier="] {
            assert!(exchange.contains(part), "{exchange}");
        }
        assert!(!exchange.to_ascii_lowercase().contains("authorization:"));
        refused_for(&callback(&server, &thor, &[("state", &state), ("code", "c/1")]).await, "over");
        assert_eq!(host.asked_at("/token").len(), 1);
    }

    /// req_195, req_147: metadata are fetched from the locations of RFC 9728, RFC 8414 and OpenID
    /// Connect Discovery, in order.
    async fn metadata_are_found_at_every_specified_location(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let discover = async |host: &Host| {
            let body = json!({ "resource_url": host.url("/mcp") });
            server.post_as(&thor, "/api/admin/oauth/remote/discover", &body).await
        };
        let metadata = |issuer: String, host: &Host| json!({
            "issuer": issuer, "authorization_endpoint": host.url("/a"), "token_endpoint": host.url("/t"),
            "code_challenge_methods_supported": ["S256"],
        });
        let resource = |host: &Host, server: String| json!({ "resource": host.url("/mcp"), "authorization_servers": [server] });
        // At the root, for an issuer with a path whose OpenID Connect metadata are below that path.
        let root = outside.host("root.example").await;
        let issuer = root.url("/tenant");
        root.reply("/.well-known/oauth-protected-resource", Reply::json("200 OK", "", &resource(&root, issuer.clone())));
        root.reply("/tenant/.well-known/openid-configuration", Reply::json("200 OK", "", &metadata(issuer, &root)));
        discover(&root).await.expect(200);
        let order: Vec<String> = root.asked().iter().map(|r| r.split(' ').nth(1).unwrap().to_owned()).collect();
        assert_eq!(order, [
            "/mcp", "/mcp", "/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-authorization-server/tenant", "/.well-known/openid-configuration/tenant",
            "/tenant/.well-known/openid-configuration",
        ]);
        // At the URL in the resource's 401 challenge.
        let pointed = outside.host("pointed.example").await;
        let challenge = format!("WWW-Authenticate: Bearer resource_metadata=\"{}\"\r\n", pointed.url("/here"));
        pointed.reply("/mcp", Reply::json("401 Unauthorized", &challenge, &json!({})));
        pointed.reply("/here", Reply::json("200 OK", "", &resource(&pointed, pointed.url(""))));
        let documents = metadata(pointed.url(""), &pointed);
        pointed.reply("/.well-known/openid-configuration", Reply::json("200 OK", "", &documents));
        assert_eq!(discover(&pointed).await.expect(200).text("mode"), "manual");
        // The first authorization server with usable metadata, or the chosen server.
        let several = outside.host("several.example").await;
        let servers = json!({ "resource": several.url("/mcp"), "authorization_servers": [several.url("/dead"), pointed.url("")] });
        several.reply("/.well-known/oauth-protected-resource/mcp", Reply::json("200 OK", "", &servers));
        assert_eq!(discover(&several).await.expect(200).text("authorization_server"), "https://pointed.example");
        let body = json!({ "resource_url": several.url("/mcp"), "authorization_server": "https://evil.example" });
        refused_for(&server.post_as(&thor, "/api/admin/oauth/remote/discover", &body).await, "none that the resource lists");
    }

    /// A-102, req_147, req_195, req_196: metadata with a wrong issuer or resource, without PKCE, or
    /// with unsafe endpoints are rejected with the reason.
    async fn mismatched_or_unsafe_metadata_are_refused(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        for (change, part) in [
            (json!({ "issuer": "https://evil.example" }), "calls itself"),
            (json!({ "issuer": "https://TOOLS.example" }), "calls itself"),
            (json!({ "issuer": "https://tools.example/x" }), "calls itself"),
            (json!({ "issuer": null }), "no issuer"),
            (json!({ "code_challenge_methods_supported": null }), "PKCE"),
            (json!({ "code_challenge_methods_supported": ["plain"] }), "PKCE"),
            (json!({ "authorization_endpoint": null }), "authorization_endpoint"),
            (json!({ "authorization_endpoint": "http://tools.example/a" }), "https://"),
            (json!({ "authorization_endpoint": "javascript:alert(1)" }), "https://"),
            (json!({ "token_endpoint": "http://tools.example/t" }), "https://"),
            (json!({ "token_endpoint": "https://u:p@tools.example/t" }), "user name"),
            (json!({ "token_endpoint": "https://tools.example/t#f" }), "fragment"),
            (json!({ "registration_endpoint": "http://10.0.0.5/r" }), "https://"),
            (json!({ "response_types_supported": ["token"] }), "lacks code"),
            (json!({ "grant_types_supported": ["implicit"] }), "lacks authorization_code"),
        ] {
            describe(&host, &change);
            refused_for(&create(&server, &thor, &host).await, part);
        }
        describe(&host, &json!({}));
        let servers: Vec<String> = (0..50).map(|number| format!("https://as{number}.example")).collect();
        for (resource, part) in [
            (json!({ "resource": host.url("/other"), "authorization_servers": [host.url("")] }), "another resource"),
            (json!({ "resource": host.url("/mcp//"), "authorization_servers": [host.url("")] }), "another resource"),
            (json!({ "resource": host.url("/"), "authorization_servers": [host.url("")] }), "another resource"),
            (json!({ "resource": "https://evil.example/mcp", "authorization_servers": [host.url("")] }), "another resource"),
            (json!({ "authorization_servers": [host.url("")] }), "no resource"),
            (json!({ "resource": host.url("/mcp") }), "no authorization server"),
            (json!({ "resource": host.url("/mcp"), "authorization_servers": [] }), "no authorization server"),
            (json!({ "resource": host.url("/mcp"), "authorization_servers": servers }), "more than 16"),
            (json!({ "resource": host.url("/mcp"), "authorization_servers": ["http://tools.example"] }), "https://"),
        ] {
            host.reply("/.well-known/oauth-protected-resource/mcp", Reply::json("200 OK", "", &resource));
            refused_for(&create(&server, &thor, &host).await, part);
        }
        assert_eq!((host.asked_at("/register").len(), host.asked_at("/token").len()), (0, 0));
    }

    /// A-103, req_197: a callback must match the account, the state and the issuer (mix-up, RFC 9207)
    /// before the code is sent to the token endpoint, also for errors. A state works only once.
    async fn a_callback_must_match_account_state_and_issuer(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let loki = server.member("loki", &["MANAGE_ROBOTS"]).await;
        let host = remote(&outside, "tools.example", &json!({ "authorization_response_iss_parameter_supported": true })).await;
        let id = create(&server, &thor, &host).await.expect(200).text("id");
        let state = async || parameter(&authorize(&server, &thor, &id).await, "state").unwrap();
        let right = ("iss", "https://tools.example");
        let long = "c".repeat(10_000);
        let new = state().await;
        for (person, query, status) in [
            (&loki, vec![("state", new.as_str()), ("code", "c"), right], 400),
            (&thor, vec![("state", "unknown"), ("code", "c"), right], 404),
            (&thor, vec![("code", "c"), right], 400),
            (&thor, vec![("state", new.as_str()), right], 400),
            (&thor, vec![("state", new.as_str()), ("code", long.as_str()), right], 400),
            (&thor, vec![("state", new.as_str()), ("state", "x"), ("code", "c"), right], 400),
        ] {
            callback(&server, person, &query).await.expect(status);
        }
        // A malformed or foreign callback does not consume the state.
        callback(&server, &thor, &[("state", &new), ("code", "c"), right]).await.expect(200);
        for (query, part) in [
            (vec![("code", "c"), ("iss", "https://evil.example")], "The response is from another authorization server"),
            (vec![("code", "c"), ("iss", "https://tools.example/")], "The response is from another authorization server"),
            (vec![("code", "c")], "lacks iss"),
            (vec![("error", "access_denied")], "lacks iss"),
            (vec![("error", "access_denied"), ("error_description", "<b>no</b>"), right], "access_denied <b>no</b>"),
        ] {
            let state = state().await;
            let mut query = query;
            query.push(("state", &state));
            refused_for(&callback(&server, &thor, &query).await, part);
            refused_for(&callback(&server, &thor, &query).await, "over");
        }
        let late = state().await;
        server.turn(Duration::minutes(10));
        refused_for(&callback(&server, &thor, &[("state", &late), ("code", "c"), right]).await, "over");
        assert_eq!(host.asked_at("/token").len(), 1);
        let shown = server.get_as(&thor, &format!("{CONNECTIONS}/{id}")).await.expect(200);
        assert_eq!(shown.text("status"), "connected"); // the tokens of the first callback
        assert!(shown.text("last_error").contains("access_denied"));
    }

    /// req_002, storyden-contract.md#remote-connections: a confidential registration authenticates by
    /// the registered method.
    async fn a_confidential_registration_uses_the_registered_method(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        for (number, (registered, header, body)) in [
            (json!({ "client_secret": "s+1" }), "authorization: basic dghlaxjzojjzjtjcmq==", None),
            (json!({ "client_secret": "s+1", "token_endpoint_auth_method": "client_secret_post" }), "", Some("client_secret=s%2B1")),
            (json!({ "token_endpoint_auth_method": "none" }), "", Some("client_id=theirs")),
        ]
        .into_iter()
        .enumerate()
        {
            let host = remote(&outside, &format!("tools{number}.example"), &json!({})).await;
            let mut answer = json!({ "client_id": "theirs", "redirect_uris": [PAGE] });
            for (name, value) in registered.as_object().unwrap() {
                answer[name] = value.clone();
            }
            host.reply("/register", Reply::json("201 Created", "", &answer));
            connected(&server, &thor, &host).await;
            let request = host.asked_at("/token")[0].to_ascii_lowercase();
            let has_header = request.contains("authorization: basic ");
            assert_eq!(has_header, !header.is_empty(), "{request}");
            assert_eq!(request.contains("client_secret="), body.is_some_and(|part| part.starts_with("client_secret")));
            if let Some(part) = body {
                assert!(request.contains(&part.to_ascii_lowercase()), "{request}");
            }
        }
        // RFC 6749 §2.3.1 is form encoding: `-`, `.`, `_` and `*` stay, a space is `+`.
        let host = remote(&outside, "encoded.example", &json!({})).await;
        let registered = json!({
            "client_id": "basic-client_1.2*", "client_secret": "s-e.c_r*e t:+/%é~", "redirect_uris": [PAGE],
        });
        host.reply("/register", Reply::json("201 Created", "", &registered));
        connected(&server, &thor, &host).await;
        let request = &host.asked_at("/token")[0];
        let header = request.lines().find_map(|line| line.split_once("Basic ")).unwrap().1;
        assert_eq!(
            String::from_utf8(STANDARD.decode(header.trim()).unwrap()).unwrap(),
            "basic-client_1.2*:s-e.c_r*e+t%3A%2B%2F%25%C3%A9%7E"
        );
        for (answer, part) in [
            (json!({}), "no client_id"),
            (json!({ "client_id": "x", "token_endpoint_auth_method": "private_key_jwt" }), "unsupported token_endpoint_auth_method"),
            (json!({ "client_id": "x", "token_endpoint_auth_method": "client_secret_basic" }), "requires a client secret and returned none"),
            (json!({ "client_id": "x", "redirect_uris": ["https://evil.example/cb"] }), "redirect_uri"),
        ] {
            let host = remote(&outside, "bad.example", &json!({})).await;
            host.reply("/register", Reply::json("201 Created", "", &answer));
            refused_for(&create(&server, &thor, &host).await, part);
        }
        let host = remote(&outside, "no.example", &json!({})).await;
        let no = json!({ "error": "access_denied", "error_description": "not you" });
        host.reply("/register", Reply::json("403 Forbidden", "", &no));
        refused_for(&create(&server, &thor, &host).await, "access_denied: not you");
    }

    /// req_156: this server identifies as a client by the URL of the client metadata document, if the
    /// remote server supports such documents.
    async fn a_server_with_document_support_gets_our_metadata_document(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let documents = json!({ "client_id_metadata_document_supported": true });
        let host = remote(&outside, "tools.example", &documents).await;
        let made = create(&server, &thor, &host).await.expect(200);
        assert_eq!(made.text("mode"), "cimd");
        assert_eq!(made.text("client_id"), "https://auth.example/.well-known/oauth-client-metadata");
        let again = create(&server, &thor, &host).await.expect(200);
        assert_ne!(again.text("id"), made.text("id"), "one that was never connected is replaced");
        let state = parameter(&authorize(&server, &thor, &again.text("id")).await, "state").unwrap();
        callback(&server, &thor, &[("state", &state), ("code", "c")]).await.expect(200);
        create(&server, &thor, &host).await.expect(409);
        let only_secrets = json!({
            "client_id_metadata_document_supported": true, "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        });
        let other = remote(&outside, "other.example", &only_secrets).await;
        let body = json!({ "resource_url": other.url("/mcp"), "mode": "cimd" });
        refused_for(&server.post_as(&thor, CONNECTIONS, &body).await, "public clients");
    }

    /// A manual connection makes no request, and is shown, updated and deleted by members with the
    /// permission.
    async fn a_manual_connection_is_shown_changed_and_deleted(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = outside.host("api.example").await;
        let body = json!({
            "resource_url": host.url("/api"), "mode": "manual",
            "manual": {
                "client_id": "mine", "client_secret": "s3cret-of-theirs", "scope": "read",
                "authorization_endpoint": host.url("/a"), "token_endpoint": host.url("/token"),
            },
        });
        let id = server.post_as(&thor, CONNECTIONS, &body).await.expect(200).text("id");
        assert_eq!(outside.resolved(), 0);
        let path = format!("{CONNECTIONS}/{id}");
        let shown = server.get_as(&thor, &path).await.expect(200);
        assert_eq!((shown.text("scope"), shown.text("token_endpoint_auth_method")), ("read".into(), "client_secret_basic".into()));
        assert!(!shown.body.contains("s3cret"));
        let changed = server.call_as(&thor, ("PATCH", &path), Some(&json!({ "scope": "read write" }))).await;
        assert_eq!(changed.expect(200).text("scope"), "read write");
        let kept = server.count(
            "SELECT COUNT(*) AS n FROM oauth_remote_connections WHERE client_secret LIKE 'sealed:v1:%'", &[],
        );
        assert_eq!(kept.await, 1);
        server.call_as(&thor, ("DELETE", &path), None).await.expect(204);
        server.get_as(&thor, &path).await.expect(404);
    }

    /// storyden-contract.md#while-oauth-is-off: remote connections work while the authorization server
    /// is off.
    async fn connections_work_while_oauth_is_off(setup: Setup) {
        let (server, thor, outside) = begin(setup.with("OAUTH_ENABLED", "false")).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        connected(&server, &thor, &host).await;
    }

    /// The profile `storyden` stores plain tokens, as Storyden reads plain tokens, and sends no
    /// `resource`.
    async fn the_storyden_profile_stores_plain_tokens(setup: Setup) {
        let (server, thor, outside) = begin(setup.with("OAUTH_PROFILE", "storyden")).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        connected(&server, &thor, &host).await;
        let kept = "SELECT COUNT(*) AS n FROM oauth_remote_connections WHERE access_token = 'at-1' AND refresh_token = 'rt-1'";
        assert_eq!(server.count(kept, &[]).await, 1);
        assert!(!host.asked_at("/token")[0].contains("resource="));
    }
}
