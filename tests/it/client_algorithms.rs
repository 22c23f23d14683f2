//! Signature algorithms that a client chooses (OpenID Connect Registration §2): of ID tokens, access tokens and
//! userinfo responses.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};
use storyden_auth::ids::ClientRowId;

use crate::signing_keys::{SECRET, rotating};
use crate::support::registration::{client_of, register};
use crate::support::simulated_internet::SimulatedInternet;
use crate::support::{Answer, Client, Member, Server, Setup, both};

const URI: &str = "https://app.example/cb";

/// Settings with a key of each algorithm.
fn every_algorithm(setup: Setup) -> Setup {
    rotating(setup)
        .with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true")
        .with(
            "OAUTH_SIGNING_ALGORITHMS",
            "RS256,PS256,ES256,EdDSA,Ed25519",
        )
}

/// Metadata with the algorithms of ID tokens, access tokens and userinfo.
fn metadata([id_token, access_token, userinfo]: [&str; 3]) -> Value {
    json!({
        "redirect_uris": [URI],
        "token_endpoint_auth_method": "none",
        "id_token_signed_response_alg": id_token,
        "access_token_signed_response_alg": access_token,
        "userinfo_signed_response_alg": userinfo,
    })
}

/// The registered algorithms of ID tokens, access tokens and userinfo.
fn registered(answer: &Value) -> [&str; 3] {
    let name = |member: &str| answer[member].as_str().unwrap_or_default();
    [
        name("id_token_signed_response_alg"),
        name("access_token_signed_response_alg"),
        name("userinfo_signed_response_alg"),
    ]
}

fn header(token: &str) -> Value {
    let header = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

/// Left half of the hash of the access token (OpenID Connect Core §3.1.3.6).
fn at_hash(algorithm: &str, access_token: &str) -> String {
    let half = match algorithm {
        "EdDSA" | "Ed25519" => Sha512::digest(access_token)[..32].to_vec(),
        _ => Sha256::digest(access_token)[..16].to_vec(),
    };
    URL_SAFE_NO_PAD.encode(half)
}

/// Asserts the algorithms of tokens, that the key set has each key, and that the server accepts the tokens.
async fn assert_signed_with(server: &Server, tokens: &Answer, algorithms: [&str; 3]) {
    let [id_token, access_token, userinfo] = algorithms;
    let access = tokens.text("access_token");
    assert_eq!(tokens.jwt_header("id_token")["alg"], id_token);
    assert_eq!(tokens.jwt_header("access_token")["alg"], access_token);
    let claims = tokens.claims("id_token");
    assert_eq!(claims["at_hash"], at_hash(id_token, &access));
    let answer = server.get_with_bearer("/api/oauth/userinfo", &access).await;
    let answer = answer.expect(200);
    assert_eq!(header(&answer.body)["alg"], userinfo);
    let jwks = server.get("/api/oauth/jwks").await.expect(200).json();
    for header in [
        tokens.jwt_header("id_token"),
        tokens.jwt_header("access_token"),
        header(&answer.body),
    ] {
        let keys = jwks["keys"].as_array().unwrap().iter();
        let named: Vec<&Value> = keys.filter(|key| key["kid"] == header["kid"]).collect();
        assert_eq!((named.len(), &named[0]["alg"]), (1, &header["alg"]));
    }
}

/// A client that has only an id.
fn client(client_id: String) -> Client {
    Client {
        row_id: ClientRowId::new(""),
        client_id,
        secret: None,
        redirect_uri: URI.to_owned(),
    }
}

async fn create(server: &Server, odin: &Member, changes: &Value) -> Answer {
    let mut body = json!({
        "account_id": odin.id.as_str(), "client_id": "calendar", "name": "Calendar", "type": "public",
        "redirect_uris": [URI], "allowed_scopes": ["openid", "profile", "email", "offline_access"],
        "allowed_grants": ["authorization_code", "refresh_token"],
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    server
        .post_as(odin, "/api/admin/oauth/clients", &body)
        .await
}

both! {
    /// Each token has the algorithm of the client, by each way to register a client: registration, metadata
    /// document, administrator, command. `at_hash` has the hash of the algorithm of the ID token.
    async fn tokens_have_the_algorithms_of_the_client(setup: Setup) {
        let outside = SimulatedInternet::new();
        let setup = every_algorithm(outside.around(setup));
        let server = setup.start().await;
        let (frigg, odin) = (server.member("frigg", &[]).await, server.admin("odin").await);

        let chosen = ["ES256", "Ed25519", "PS256"];
        let answer = register(&server, &metadata(chosen)).await.expect(201);
        assert_eq!(registered(&answer.json()), chosen);
        assert_eq!(answer.json().get("warnings"), None);
        let tokens = server.tokens(&frigg, &client_of(&answer, URI), &[]).await;
        assert_signed_with(&server, &tokens, chosen).await;
        let again = server.refresh(&client_of(&answer, URI), &tokens.text("refresh_token")).await.expect(200);
        assert_signed_with(&server, &again, chosen).await;

        let chosen = ["EdDSA", "RS256", "ES256"];
        let host = outside.host("app.example").await;
        let document = client(host.publish("/c", &metadata(chosen)));
        let tokens = server.tokens(&frigg, &document, &[]).await;
        assert_signed_with(&server, &tokens, chosen).await;

        let chosen = ["PS256", "ES256", "Ed25519"];
        let made = create(&server, &odin, &metadata(chosen)).await.expect(200).json();
        assert_eq!(registered(&made), chosen);
        let tokens = server.tokens(&frigg, &client("calendar".to_owned()), &[]).await;
        assert_signed_with(&server, &tokens, chosen).await;

        let settings = [
            ("OAUTH_SIGNING_KEY_BASE64", ""), ("OAUTH_KEYS_SECRET", SECRET),
            ("OAUTH_SIGNING_ALGORITHMS", "RS256,PS256,ES256,EdDSA,Ed25519"),
        ];
        let arguments = [
            "client", "create", "--name", "Script", "--type", "public", "--redirect-uri", URI, "--client-id", "script",
            "--id-token-alg", "Ed25519", "--access-token-alg", "EdDSA", "--signed-userinfo=PS256", "--json",
        ];
        let ended = setup.run(&arguments, &settings).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let chosen = ["Ed25519", "EdDSA", "PS256"];
        assert_eq!(registered(&serde_json::from_str(&ended.stdout).unwrap()), chosen);
        let tokens = server.tokens(&frigg, &client("script".to_owned()), &[]).await;
        assert_signed_with(&server, &tokens, chosen).await;
        let shown = setup.run(&["client", "show", "script"], &settings).await.stdout;
        assert!(shown.contains("ID token algorithm") && shown.contains("EdDSA"), "{shown}");
    }

    /// RFC 7591 §3.2.1: an algorithm that the server has no key for is left out, with a warning that names the
    /// algorithms; the other algorithms are registered. The metadata lists what there is.
    async fn an_algorithm_without_a_key_is_left_out(setup: Setup) {
        let setup = rotating(setup).with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true");
        let setup = setup.with("OAUTH_SIGNING_ALGORITHMS", "RS256,ES256");
        let server = setup.start().await;
        let found = server.get("/.well-known/openid-configuration").await.json();
        for list in ["id_token_signing_alg_values_supported", "userinfo_signing_alg_values_supported"] {
            assert_eq!(found[list], json!(["RS256", "ES256"]));
        }
        for missing in ["EdDSA", "HS256", "none", "es256", "PS256"] {
            let answer = register(&server, &metadata([missing, "ES256", missing])).await.expect(201);
            assert_eq!(registered(&answer.json()), ["", "ES256", ""]);
            let warnings = answer.json()["warnings"].as_array().unwrap().clone();
            let warning = format!("id_token_signed_response_alg: this server does not sign with '{missing}'; use RS256, ES256");
            assert_eq!((warnings.len(), &warnings[0]), (2, &json!(warning)));
        }
        let frigg = server.member("frigg", &[]).await;
        let answer = register(&server, &metadata(["EdDSA", "ES256", ""])).await.expect(201);
        let tokens = server.tokens(&frigg, &client_of(&answer, URI), &[]).await;
        assert_eq!(tokens.jwt_header("id_token")["alg"], "RS256");
        assert_eq!(tokens.jwt_header("access_token")["alg"], "ES256");

        // The configured key has one algorithm.
        let odin = server.admin("odin").await;
        let refused = create(&server, &odin, &json!({ "id_token_signed_response_alg": "PS256" })).await.expect(400);
        assert!(refused.text("detail").contains("RS256, ES256"), "{}", refused.body);
        let arguments = ["client", "create", "--name", "X", "--type", "public", "--redirect-uri", URI, "--id-token-alg", "ES256"];
        let ended = setup.run(&arguments, &[]).await;
        assert!(ended.code == Some(1) && ended.stderr.contains("OAUTH_SIGNING_ALGORITHMS has RS256"), "{}", ended.stderr);
    }

    /// RFC 7592 §2: the algorithms are shown and replaced. An administrator changes and clears them.
    async fn algorithms_are_shown_and_changed(setup: Setup) {
        let server = every_algorithm(setup).start().await;
        let answer = register(&server, &metadata(["ES256", "PS256", "EdDSA"])).await.expect(201);
        let path = answer.text("registration_client_uri").replace("https://auth.example", "");
        let token = answer.text("registration_access_token");
        let read = server.send(server.request("GET", &path).bearer_auth(&token)).await.expect(200).json();
        assert_eq!(registered(&read), ["ES256", "PS256", "EdDSA"]);
        let body = json!({ "client_id": answer.text("client_id"), "redirect_uris": [URI],
            "token_endpoint_auth_method": "none", "id_token_signed_response_alg": "Ed25519" });
        let replaced = server.request("PUT", &path).bearer_auth(&token).json(&body);
        let replaced = server.send(replaced).await.expect(200).json();
        assert_eq!(registered(&replaced), ["Ed25519", "", ""]);

        let odin = server.admin("odin").await;
        let clients = "/api/admin/oauth/clients";
        let list = server.get_as(&odin, &format!("{clients}?client_id={}", answer.text("client_id"))).await.json();
        let id = list["clients"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(registered(&list["clients"][0]), ["Ed25519", "", ""]);
        let path = format!("{clients}/{id}");
        let update = async |body: Value| server.call_as(&odin, ("PATCH", &path), Some(&body)).await;
        let changed = update(json!({ "access_token_signed_response_alg": "ES256" })).await.expect(200).json();
        assert_eq!(registered(&changed), ["Ed25519", "ES256", ""]);
        let cleared = update(json!({ "id_token_signed_response_alg": null })).await.expect(200).json();
        assert_eq!(registered(&cleared), ["", "ES256", ""]);
        for wrong in [json!(7), json!("none"), json!(["ES256"])] {
            update(json!({ "id_token_signed_response_alg": wrong })).await.expect(400);
        }
        let same = update(json!({ "name": "Other" })).await.expect(200).json();
        assert_eq!(registered(&same), ["", "ES256", ""]);
    }

    /// Tokens of a client whose algorithm was removed from the settings have the default algorithm, and
    /// tokens from before are accepted. A default other than RS256 is told to a client that did not choose.
    async fn a_removed_algorithm_is_replaced_by_the_default(setup: Setup) {
        let before = every_algorithm(setup.clone()).start().await;
        let frigg = before.member("frigg", &[]).await;
        let answer = register(&before, &metadata(["ES256", "ES256", "ES256"])).await.expect(201);
        let app = client_of(&answer, URI);
        let tokens = before.tokens(&frigg, &app, &[]).await;
        let setup = rotating(setup).with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true");
        let after = setup.with("OAUTH_SIGNING_ALGORITHMS", "PS256,RS256").start().await;
        let access = tokens.text("access_token");
        after.get_with_bearer("/api/oauth/userinfo", &access).await.expect(200);
        let new = after.tokens(&frigg, &app, &[]).await;
        assert_signed_with(&after, &new, ["PS256", "PS256", "PS256"]).await;
        let undecided = json!({ "redirect_uris": [URI], "token_endpoint_auth_method": "none" });
        let told = register(&after, &undecided).await.expect(201).json();
        assert_eq!(registered(&told), ["PS256", "", ""]);
        let told = register(&before, &undecided).await.expect(201).json();
        assert_eq!(registered(&told), ["", "", ""]);
    }

    /// In the profile storyden the members are unknown: ignored in registrations and by administrators, and
    /// one RS256 key signs.
    async fn the_profile_storyden_knows_no_algorithms(setup: Setup) {
        let setup = setup.with("OAUTH_PROFILE", "storyden").with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true");
        let server = setup.start().await;
        let answer = register(&server, &metadata(["ES256", "nonsense", "RS256"])).await.expect(201);
        assert_eq!(registered(&answer.json()), ["", "", ""]);
        assert_eq!(answer.json().get("warnings"), None);
        let odin = server.admin("odin").await;
        let made = create(&server, &odin, &metadata(["ES256", "nonsense", "RS256"])).await.expect(200).json();
        assert_eq!(registered(&made), ["", "", ""]);
        let chosen = "SELECT COUNT(*) AS n FROM auth_clients WHERE id_token_signed_response_alg IS NOT NULL \
                      OR access_token_signed_response_alg IS NOT NULL OR userinfo_signed_response_alg IS NOT NULL";
        assert_eq!(server.count(chosen, &[]).await, 0);
    }
}
