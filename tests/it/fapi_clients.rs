//! The ways to hold a client to the FAPI 2.0 Security Profile, with its keys, and what contradicts the profile: the
//! administrators' and the owner's API, registrations, metadata documents, commands, declared applications, `doctor`.

use serde_json::{Value, json};

use crate::support::dpop::ProofKey;
use crate::support::fapi::{FapiClient, URI, with_algorithms};
use crate::support::registration::{client_of, register};
use crate::support::simulated_internet::SimulatedInternet;
use crate::support::{Client, ClientKey, Member, Server, Setup, both, free_port, refused};

const CLIENTS: &str = "/api/admin/oauth/clients";
const OWN: &str = "/api/auth/oauth/clients";

/// The body of a new confidential client.
fn body(owner: &Member, changes: &Value) -> Value {
    let mut body = json!({
        "account_id": owner.id.as_str(), "client_id": "bank", "name": "Bank", "type": "confidential",
        "redirect_uris": [URI], "allowed_grants": ["authorization_code", "refresh_token"],
        "allowed_scopes": ["openid", "profile", "email", "offline_access"], "pkce_required": true,
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// Asserts that a client is held to the profile: it gets bound tokens, by a pushed request alone.
async fn assert_held(server: &Server, member: &Member, app: &FapiClient) {
    refused(
        server.authorize(Some(member), &app.client, &[]).await,
        "invalid_request",
    );
    let code = app.code(server, member).await;
    let tokens = app
        .exchange(server, &code, &ProofKey::new())
        .await
        .expect(200);
    assert_eq!(tokens.text("token_type"), "DPoP");
    let token = tokens.text("refresh_token");
    let refreshed = app
        .refresh(server, &token, &ProofKey::new())
        .await
        .expect(200);
    assert_eq!(refreshed.text("refresh_token"), token);
}

/// The client of an id, with a key.
fn held(client_id: &str, key: ClientKey) -> FapiClient {
    FapiClient {
        client: Client {
            row_id: storyden_auth::ids::ClientRowId::new(""),
            client_id: client_id.to_owned(),
            secret: None,
            redirect_uri: URI.to_owned(),
        },
        key,
    }
}

/// Runs a command, and returns the JSON that it prints.
async fn printed(setup: &Setup, arguments: &[&str]) -> Value {
    let ended = setup.run(arguments, &[]).await;
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Writes a file into the folder of the setup, and returns the path.
fn written(setup: &Setup, name: &str, text: &str) -> String {
    let path = setup.folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

both! {
    /// An administrator holds a client to the profile, replaces its keys, and lets it go again: the settings that the
    /// profile implied end with it.
    async fn an_administrator_holds_a_client_to_the_profile(setup: Setup) {
        let server = with_algorithms(setup).start().await;
        let odin = server.admin("odin").await;
        let key = ClientKey::es256();
        let created = server.post_as(&odin, CLIENTS, &body(&odin, &json!({}))).await.expect(200);
        let secret = created.text("client_secret");
        let path = format!("{CLIENTS}/{}", created.text("id"));
        let patch = async |changes: Value| server.call_as(&odin, ("PATCH", &path), Some(&changes)).await;
        for (changes, part) in [
            (json!({ "fapi": true }), "needs jwks or jwks_uri"),
            (json!({ "fapi": "yes", "jwks": key.jwks() }), "fapi must be true or false"),
            (json!({ "fapi": true, "jwks": { "keys": [] } }), "jwks"),
            (json!({ "fapi": true, "jwks": key.jwks(), "jwks_uri": "https://app.example/jwks" }), "not both"),
            (json!({ "fapi": true, "jwks_uri": "http://app.example/jwks" }), "HTTPS"),
            (json!({ "fapi": true, "jwks": key.jwks(), "id_token_signed_response_alg": "RS256" }), "not RS256"),
        ] {
            let answer = patch(changes).await.expect(400);
            assert!(answer.body.contains(part), "{part}: {}", answer.body);
        }
        let changed = patch(json!({ "fapi": true, "jwks": key.jwks() })).await.expect(200).json();
        let expected = json!([true, true, true, true, "private_key_jwt", key.jwks()]);
        let members = [
            "fapi", "dpop_bound_access_tokens", "pkce_required", "require_pushed_authorization_requests",
            "token_endpoint_auth_method", "jwks",
        ];
        let shown: Vec<&Value> = members.iter().map(|name| &changed[*name]).collect();
        assert_eq!(json!(shown), expected);
        assert_eq!(changed.get("fapi_contradictions"), None);
        assert_held(&server, &odin, &held("bank", key)).await;
        patch(json!({ "pkce_required": false })).await.expect(200);
        patch(json!({ "jwks": null })).await.expect(400);

        let next = ClientKey::es256();
        patch(json!({ "jwks": next.jwks() })).await.expect(200);
        let app = held("bank", next);
        app.push(&server, &[("code_challenge", "")], None).await.expect_error(400, "invalid_request");
        assert_held(&server, &odin, &app).await;

        let changed = patch(json!({ "fapi": false, "pkce_required": true })).await.expect(200).json();
        assert_eq!(changed.get("fapi"), None);
        assert_eq!(changed["require_pushed_authorization_requests"], false);
        let code = server.code(&odin, &app.client, &[]).await;
        let form = crate::support::fapi::exchange_form(&code);
        let tokens = app.token(&server, &form, None).await.expect(200);
        assert_eq!(tokens.text("token_type"), "Bearer");
        let with_secret = Client { secret: Some(secret), ..app.client };
        let code = server.code(&odin, &with_secret, &[]).await;
        server.exchange(&with_secret, &code).await.expect_error(400, "invalid_client");
    }

    /// A client that contradicts the profile is not created.
    async fn contradictions_are_refused(setup: Setup) {
        let server = with_algorithms(setup.clone()).start().await;
        let odin = server.admin("odin").await;
        let key = ClientKey::es256();
        let rs256 = json!({ "keys": [{ "kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": "RS256" }] });
        for (changes, part) in [
            (json!({}), "needs jwks or jwks_uri"),
            (json!({ "jwks": rs256 }), "needs a key for PS256"),
            (json!({ "jwks": key.jwks(), "type": "public" }), "is for confidential clients"),
            (json!({ "jwks": key.jwks(), "access_token_signed_response_alg": "RS256" }), "not RS256"),
        ] {
            let mut new = body(&odin, &changes);
            new["fapi"] = json!(true);
            let answer = server.post_as(&odin, CLIENTS, &new).await.expect(400);
            assert!(answer.body.contains(part), "{part}: {}", answer.body);
        }
        let keyless = body(&odin, &json!({ "token_endpoint_auth_method": "private_key_jwt" }));
        server.post_as(&odin, CLIENTS, &keyless).await.expect(400);
        let new = body(&odin, &json!({ "fapi": true, "jwks": key.jwks() }));
        for (name, value, part) in [
            ("OAUTH_SIGNING_ALGORITHMS", "RS256", "OAUTH_SIGNING_ALGORITHMS"),
            ("OAUTH_PAR_ENABLED", "false", "OAUTH_PAR_ENABLED"),
        ] {
            let server = with_algorithms(setup.clone()).with(name, value).start().await;
            let answer = server.post_as(&odin, CLIENTS, &new).await.expect(400);
            assert!(answer.body.contains(part), "{part}: {}", answer.body);
        }
        server.post_as(&odin, CLIENTS, &new).await.expect(200);
    }

    /// A member holds an own application to the profile, and sees what contradicts it; the profile `storyden` knows
    /// neither keys nor FAPI 2.0.
    async fn an_owner_holds_an_application_to_the_profile(setup: Setup) {
        let server = with_algorithms(setup.clone()).start().await;
        let frigg = server.member("frigg", &[]).await;
        let key = ClientKey::es256();
        let new = body(&frigg, &json!({ "fapi": true, "jwks": key.jwks() }));
        let issued = server.post_as(&frigg, OWN, &new).await.expect(200).json();
        assert_eq!(issued.get("client_secret"), None);
        let app = held(issued["client"]["client_id"].as_str().unwrap(), key);
        assert_held(&server, &frigg, &app).await;
        let path = format!("{OWN}/{}", issued["client"]["id"].as_str().unwrap());
        let patch = async |changes: Value| server.call_as(&frigg, ("PATCH", &path), Some(&changes)).await;
        patch(json!({ "name": "Another name" })).await.expect(200);
        patch(json!({ "id_token_signed_response_alg": "PS256" })).await.expect(200);
        patch(json!({ "id_token_signed_response_alg": "RS256" })).await.expect(400);
        let shown = server.call_as(&frigg, ("GET", &path), None).await.expect(200).json();
        assert_eq!((&shown["fapi"], &shown["id_token_signed_response_alg"]), (&json!(true), &json!("PS256")));

        let weak = with_algorithms(setup.clone()).with("OAUTH_SIGNING_ALGORITHMS", "RS256").start().await;
        let shown = weak.call_as(&frigg, ("GET", &path), None).await.expect(200).json();
        assert!(shown["fapi_contradictions"].to_string().contains("OAUTH_SIGNING_ALGORITHMS"), "{shown}");

        let storyden = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let odin = storyden.admin("odin").await;
        let shown = storyden.call_as(&odin, ("GET", CLIENTS), None).await.expect(200).json();
        assert!(!shown.to_string().contains("fapi"), "{shown}");
        let changes = json!({ "fapi": "x", "jwks": 1, "dpop_bound_access_tokens": "x" });
        let ignored = storyden.post_as(&odin, CLIENTS, &body(&odin, &changes)).await.expect(200).json();
        assert_eq!((ignored.get("fapi"), ignored.get("jwks")), (None, None));
    }

    /// A registration holds its client to the profile, or is refused: it never gets a weaker client. A replacement may
    /// leave the profile (RFC 7592 §2.2).
    async fn a_registration_holds_its_client_to_the_profile(setup: Setup) {
        let setup = with_algorithms(setup).with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true");
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let key = ClientKey::es256();
        let mut document = json!({
            "redirect_uris": [URI], "token_endpoint_auth_method": "private_key_jwt", "fapi": true, "jwks": key.jwks(),
        });
        for (name, value, part) in [
            ("token_endpoint_auth_method", json!("client_secret_basic"), "private_key_jwt"),
            ("redirect_uris", json!(["com.example.app:/cb"]), "redirect"),
            ("id_token_signed_response_alg", json!("RS256"), "not RS256"),
        ] {
            let mut document = document.clone();
            document[name] = value;
            let answer = register(&server, &document).await.expect(400);
            assert!(answer.body.contains(part), "{part}: {}", answer.body);
        }
        let answer = register(&server, &document).await.expect(201);
        let registered = answer.json();
        assert_eq!((&registered["fapi"], &registered["dpop_bound_access_tokens"]), (&json!(true), &json!(true)));
        assert_eq!(registered["require_pushed_authorization_requests"], true);
        let app = held(&client_of(&answer, URI).client_id, key);
        assert_held(&server, &frigg, &app).await;

        let path = format!("/api/oauth/register/{}", app.client.client_id);
        let token = answer.text("registration_access_token");
        let shown = server.get_with_bearer(&path, &token).await.expect(200).json();
        assert_eq!(shown["fapi"], true);
        document["client_id"] = json!(app.client.client_id);
        document["fapi"] = json!(false);
        let replaced = server.request("PUT", &path).bearer_auth(&token).json(&document);
        let replaced = server.send(replaced).await.expect(200).json();
        assert_eq!((replaced.get("fapi"), replaced.get("dpop_bound_access_tokens")), (None, None));
        server.code(&frigg, &app.client, &[]).await;
    }

    /// A metadata document holds its client to the profile.
    async fn a_metadata_document_holds_its_client_to_the_profile(setup: Setup) {
        let outside = SimulatedInternet::new();
        let server = outside.around(with_algorithms(setup)).start().await;
        let frigg = server.member("frigg", &[]).await;
        let host = outside.host("app.example").await;
        let key = ClientKey::es256();
        let document = json!({
            "redirect_uris": [URI], "token_endpoint_auth_method": "private_key_jwt", "fapi": true, "jwks": key.jwks(),
        });
        let id = host.publish("/c", &document);
        assert_held(&server, &frigg, &held(&id, key)).await;
    }

    /// `client create --fapi --jwks`, `client show`, and `client update` for each setting.
    async fn the_command_line_creates_and_changes_clients(setup: Setup) {
        let setup = with_algorithms(setup);
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let key = ClientKey::es256();
        let file = written(&setup, "jwks.json", &key.jwks().to_string());
        let mut create = vec![
            "client", "create", "--name", "Bank", "--type", "confidential", "--client-id", "bank",
            "--redirect-uri", URI, "--json", "--fapi",
        ];
        let ended = setup.run(&create, &[]).await;
        assert_eq!(ended.code, Some(1), "{}", ended.stdout);
        assert!(ended.stderr.contains("needs jwks or jwks_uri"), "{}", ended.stderr);
        create.push("--jwks");
        create.push(&file);
        let created = printed(&setup, &create).await;
        assert_eq!((created.get("client_secret"), &created["fapi"]), (None, &json!(true)));
        let app = held("bank", key);
        assert_held(&server, &odin, &app).await;
        let shown = setup.run(&["client", "show", "bank"], &[]).await.stdout;
        for part in ["FAPI 2.0", "private_key_jwt", app.key.kid.as_str()] {
            assert!(shown.contains(part), "{shown}");
        }

        let update = async |flags: &[&str]| {
            let command = ["client", "update", "bank", "--json"];
            setup.run(&[&command[..], flags].concat(), &[]).await
        };
        let uris = ["--redirect-uri", "https://new.example/cb", "--redirect-uri", URI];
        let others = [
            "--name", "Vault", "--scope", "openid offline_access", "--id-token-alg", "PS256",
            "--access-token-alg", "EdDSA", "--signed-userinfo", "ES256",
        ];
        let changed = update(&[&uris[..], &others].concat()).await;
        assert_eq!(changed.code, Some(0), "{}", changed.stderr);
        let changed: Value = serde_json::from_str(&changed.stdout).unwrap();
        let members = [
            "name", "redirect_uris", "allowed_scopes", "id_token_signed_response_alg",
            "access_token_signed_response_alg", "userinfo_signed_response_alg",
        ];
        let shown: Vec<&Value> = members.iter().map(|name| &changed[*name]).collect();
        let expected = json!([
            "Vault", ["https://new.example/cb", URI], ["openid", "offline_access"], "PS256", "EdDSA", "ES256",
        ]);
        assert_eq!(json!(shown), expected);
        for (flags, part) in [
            (&["--id-token-alg", "RS256"][..], "not RS256"),
            (&["--id-token-alg", "HS256"], "HS256"),
            (&["--redirect-uri", "http://app.example/cb"], "https"),
            (&["--scope", "nothing"], "nothing"),
            (&[], "nothing to change"),
        ] {
            let ended = update(flags).await;
            assert_ne!(ended.code, Some(0), "{flags:?}: {}", ended.stdout);
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
        let ended = setup.run(&["client", "update", "unknown", "--name", "x"], &[]).await;
        assert_eq!(ended.code, Some(1));
        let flags = ["--fapi", "false", "--id-token-alg", "none", "--dpop", "true", "--require-pushed-requests", "true"];
        let changed = update(&flags).await;
        let changed: Value = serde_json::from_str(&changed.stdout).unwrap();
        assert_eq!((&changed["fapi"], changed.get("id_token_signed_response_alg")), (&json!(false), None));
        assert_eq!((&changed["dpop_bound_access_tokens"], &changed["require_pushed_authorization_requests"]), (&json!(true), &json!(true)));
    }

    /// `plan`, `apply` and `export` know FAPI 2.0 and keys; a second plan has nothing to do.
    async fn declared_applications_are_held_to_the_profile(setup: Setup) {
        let setup = with_algorithms(setup);
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let key = ClientKey::es256();
        let jwk = &key.jwk;
        let text = |name: &str| jwk[name].as_str().unwrap().to_owned();
        let keys = format!(
            "jwks = {{ keys = [{{ kty = \"EC\", crv = \"P-256\", kid = \"{}\", x = \"{}\", y = \"{}\" }}] }}",
            text("kid"), text("x"), text("y"),
        );
        let client = format!(
            "[[client]]\nid = \"bank\"\nname = \"Bank\"\ntype = \"confidential\"\nredirect_uris = [\"{URI}\"]\nfapi = true\n",
        );
        let without_keys = written(&setup, "without.toml", &client);
        let refused = setup.run(&["plan", &without_keys], &[]).await;
        assert!(refused.stderr.contains("needs jwks or jwks_uri"), "{}", refused.stderr);
        let file = written(&setup, "community.toml", &format!("{client}{keys}\n"));
        let applied = printed(&setup, &["apply", &file, "--json", "--yes"]).await;
        assert!(applied.to_string().contains("fapi: false -> true"), "{applied}");
        assert_held(&server, &odin, &held("bank", key)).await;
        let again = printed(&setup, &["plan", &file, "--json"]).await;
        assert_eq!(again["changes"], json!([]));
        let exported = setup.run(&["export"], &[]).await.stdout;
        assert!(exported.contains("fapi = true") && !exported.contains("dpop = true"), "{exported}");
        let exported = written(&setup, "exported.toml", &exported);
        let again = printed(&setup, &["plan", &exported, "--json"]).await;
        assert_eq!(again["changes"], json!([]));
    }

    /// `doctor` and `client show` say what contradicts the profile.
    async fn doctor_names_contradictions(setup: Setup) {
        let setup = with_algorithms(setup);
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let findings = async |settings: &[(&str, &str)]| {
            let address = format!("127.0.0.1:{}", free_port());
            let settings = [&[("LISTEN_ADDR", address.as_str())][..], settings].concat();
            let ended = setup.run(&["doctor", "--json"], &settings).await;
            let found: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
            let of_check = found.into_iter().filter(|one| one["check"] == "fapi");
            of_check.map(|one| format!("{}: {}", one["status"], one["finding"])).collect::<Vec<_>>()
        };
        assert_eq!(findings(&[]).await, Vec::<String>::new());
        FapiClient::create(&server, &odin, "bank").await;
        let found = findings(&[]).await;
        assert!(found.len() == 1 && found[0].starts_with("\"ok\""), "{found:?}");
        // as a Storyden may change the row
        server.sql("UPDATE auth_clients SET jwks = NULL", &[]).await;
        let found = findings(&[("OAUTH_SIGNING_ALGORITHMS", "RS256")]).await;
        assert!(found.len() == 2 && found.iter().all(|one| one.starts_with("\"warn\"")), "{found:?}");
        assert!(found[0].contains("bank") && found[0].contains("jwks"), "{found:?}");
        let shown = setup.run(&["client", "show", "bank"], &[]).await.stdout;
        assert!(shown.contains("needs jwks or jwks_uri"), "{shown}");
        let path = format!("{CLIENTS}?client_id=bank&page=1");
        let listed = server.call_as(&odin, ("GET", &path), None).await.expect(200).json();
        let path = format!("{CLIENTS}/{}", listed["clients"][0]["id"].as_str().unwrap());
        let shown = server.call_as(&odin, ("GET", &path), None).await.expect(200).json();
        assert!(shown["fapi_contradictions"].to_string().contains("jwks"), "{shown}");
    }
}
