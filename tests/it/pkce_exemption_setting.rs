//! Exemptions from PKCE by the owner, by an administrator, and by the operator for registrations; and the
//! description of the cost.

use serde_json::{Value, json};
use storyden_auth::ids::ClientRowId;

use crate::support::race::without;
use crate::support::{Answer, Client, Member, Server, both, told};

const URI: &str = "https://app.example/cb";
const MEMBER: &str = "/api/auth/oauth/clients";
const ADMIN: &str = "/api/admin/oauth/clients";
const REGISTER: &str = "/api/oauth/register";
/// An initial access token of the operator.
const TOKEN: &str = "an-initial-access-token-of-the-operator";

/// Parameters that omit PKCE and a nonce.
const NO_CHALLENGE: [(&str, &str); 2] = [("code_challenge", ""), ("code_challenge_method", "")];

fn client(client_id: String, secret: Option<&Value>) -> Client {
    Client {
        row_id: ClientRowId::new(""),
        client_id,
        secret: secret.and_then(Value::as_str).map(str::to_owned),
        redirect_uri: URI.to_owned(),
    }
}

/// Asserts that a client needs PKCE, or gets tokens without PKCE and nonce.
async fn assert_needs_pkce(server: &Server, member: &Member, client: &Client, needed: bool) {
    if needed {
        let answer = server.authorize(Some(member), client, &NO_CHALLENGE).await;
        told(answer, "invalid_request");
    } else {
        let code = server.code(member, client, &NO_CHALLENGE).await;
        let form = client.exchange_form(&code);
        server
            .token(&without(&form, "code_verifier"))
            .await
            .expect(200);
    }
    // PKCE is always accepted, and then enforced.
    let code = server.code(member, client, &[]).await;
    let form = client.exchange_form(&code);
    server
        .token(&without(&form, "code_verifier"))
        .await
        .expect_error(400, "invalid_request");
    server.token(&form).await.expect(200);
}

/// The body of a new client of a member.
fn own(kind: &str, pkce_required: bool) -> Value {
    json!({
        "name": "App", "type": kind, "allowed_scopes": ["openid", "profile", "email", "offline_access"],
        "allowed_grants": ["authorization_code", "refresh_token"], "pkce_required": pkce_required,
        "redirect_uris": [URI],
    })
}

async fn patch(server: &Server, member: &Member, path: &str, body: &Value) -> Answer {
    let request = server
        .request("PATCH", path)
        .header("cookie", member.cookie());
    server.send(request.json(body)).await
}

async fn register(server: &Server, token: Option<&str>, changes: &Value) -> Answer {
    let mut document = json!({ "redirect_uris": [URI] });
    for (name, value) in changes.as_object().unwrap() {
        document[name] = value.clone();
    }
    let mut request = server.request("POST", REGISTER);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    server.send(request.json(&document)).await.expect(201)
}

fn registered(answer: &Answer) -> Client {
    client(answer.text("client_id"), answer.json().get("client_secret"))
}

both! {
    /// req_129: the owner exempts a client with a secret, and ends the exemption; not a public client.
    async fn the_owner_exempts_a_client_with_a_secret(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let made = server.post_as(&frigg, MEMBER, &own("confidential", false)).await.expect(200).json();
        assert_eq!(made["client"]["pkce_required"], false);
        let app = client(made["client"]["client_id"].as_str().unwrap().to_owned(), made.get("client_secret"));
        assert_needs_pkce(&server, &frigg, &app, false).await;
        let path = format!("{MEMBER}/{}", made["client"]["id"].as_str().unwrap());
        for required in [true, false] {
            let body = json!({ "pkce_required": required });
            let changed = patch(&server, &frigg, &path, &body).await.expect(200);
            assert_eq!(changed.json()["pkce_required"], required);
            assert_eq!(server.get_as(&frigg, &path).await.expect(200).json()["pkce_required"], required);
            assert_needs_pkce(&server, &frigg, &app, required).await;
        }
        // Another change keeps the exemption.
        patch(&server, &frigg, &path, &json!({ "name": "Diary" })).await.expect(200);
        assert_needs_pkce(&server, &frigg, &app, false).await;
        for (body, part) in [(json!({ "pkce_required": "no" }), "true or false"), (json!({ "pkce_required": null }), "true or false")] {
            let refused = patch(&server, &frigg, &path, &body).await.expect(400);
            assert!(refused.text("detail").contains(part), "{}", refused.body);
        }
        // A public client always needs PKCE (req_074).
        server.post_as(&frigg, MEMBER, &own("public", false)).await.expect(400);
        let public = server.post_as(&frigg, MEMBER, &own("public", true)).await.expect(200).json();
        assert_eq!(public["client"]["pkce_required"], true);
        let path = format!("{MEMBER}/{}", public["client"]["id"].as_str().unwrap());
        let refused = patch(&server, &frigg, &path, &json!({ "pkce_required": false })).await.expect(400);
        assert!(refused.text("detail").contains("public"), "{}", refused.body);
    }

    /// req_129: an administrator exempts a client with a secret, at creation and later.
    async fn an_administrator_exempts_a_client_with_a_secret(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let body = |id: &str, kind: &str, changes: &Value| {
            let mut body = own(kind, true);
            body.as_object_mut().unwrap().remove("pkce_required");
            body["account_id"] = json!(odin.id.as_str());
            body["client_id"] = json!(id);
            for (name, value) in changes.as_object().unwrap() {
                body[name] = value.clone();
            }
            body
        };
        let usual = server.post_as(&odin, ADMIN, &body("usual", "confidential", &json!({}))).await.expect(200);
        assert_eq!(usual.json()["pkce_required"], true);
        let exempt = json!({ "pkce_required": false });
        let made = server.post_as(&odin, ADMIN, &body("older", "confidential", &exempt)).await.expect(200).json();
        assert_eq!(made["pkce_required"], false);
        let older = client("older".to_owned(), made.get("client_secret"));
        assert_needs_pkce(&server, &frigg, &older, false).await;
        let path = format!("{ADMIN}/{}", made["id"].as_str().unwrap());
        patch(&server, &odin, &path, &json!({ "pkce_required": true })).await.expect(200);
        assert_needs_pkce(&server, &frigg, &older, true).await;
        for bad in [json!("no"), Value::Null] {
            patch(&server, &odin, &path, &json!({ "pkce_required": bad })).await.expect(400);
        }
        server.post_as(&odin, ADMIN, &body("public", "public", &exempt)).await.expect(400);
        let public = server.post_as(&odin, ADMIN, &body("public", "public", &json!({}))).await.expect(200).json();
        let path = format!("{ADMIN}/{}", public["id"].as_str().unwrap());
        patch(&server, &odin, &path, &exempt).await.expect(400);
    }

    /// req_129: `OAUTH_DYNAMIC_REGISTRATION_PKCE=optional` exempts registrations with a secret, unless the
    /// client asks for PKCE; the default exempts none.
    async fn the_operator_exempts_registrations(setup: Setup) {
        let setup = setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true");
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let asked = register(&server, None, &json!({ "pkce_required": false })).await;
        assert!(asked.json()["warnings"][0].as_str().unwrap().starts_with("pkce_required"), "{}", asked.body);
        assert_eq!(asked.json().get("pkce_required"), None);
        assert_needs_pkce(&server, &frigg, &registered(&asked), true).await;

        let server = setup.with("OAUTH_DYNAMIC_REGISTRATION_PKCE", "optional").start().await;
        for (changes, needed) in [
            (json!({}), false),
            (json!({ "token_endpoint_auth_method": "client_secret_post", "pkce_required": false }), false),
            (json!({ "pkce_required": true }), true),
            (json!({ "token_endpoint_auth_method": "none" }), true),
        ] {
            let answer = register(&server, None, &changes).await;
            let told = if needed { None } else { Some(json!(false)) };
            assert_eq!(answer.json().get("pkce_required"), told.as_ref(), "{changes}");
            assert_needs_pkce(&server, &frigg, &registered(&answer), needed).await;
        }
    }

    /// req_129: the initial access token of the operator exempts a registration with a secret. Another
    /// token changes nothing, and a replacement keeps the exemption only for a client with a secret.
    async fn an_initial_access_token_exempts_a_registration(setup: Setup) {
        let setup = setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true");
        let server = setup.with("OAUTH_DYNAMIC_REGISTRATION_TOKEN", TOKEN).start().await;
        let frigg = server.member("frigg", &[]).await;
        let exempt = register(&server, Some(TOKEN), &json!({})).await;
        assert_eq!(exempt.json()["pkce_required"], false);
        assert_needs_pkce(&server, &frigg, &registered(&exempt), false).await;
        for (token, changes) in [
            (None, json!({})),
            (Some("another-initial-access-token-of-somebody"), json!({})),
            (Some(""), json!({})),
            (Some(TOKEN), json!({ "pkce_required": true })),
            (Some(TOKEN), json!({ "token_endpoint_auth_method": "none" })),
        ] {
            let answer = register(&server, token, &changes).await;
            assert_eq!(answer.json().get("pkce_required"), None, "{token:?}");
            assert_needs_pkce(&server, &frigg, &registered(&answer), true).await;
        }
        let path = format!("{REGISTER}/{}", exempt.text("client_id"));
        let management = exempt.text("registration_access_token");
        let put = async |method: &str| {
            let document = json!({
                "client_id": exempt.text("client_id"), "redirect_uris": [URI], "token_endpoint_auth_method": method,
            });
            server.send(server.request("PUT", &path).bearer_auth(&management).json(&document)).await.expect(200)
        };
        assert_eq!(put("client_secret_post").await.json()["pkce_required"], false);
        let read = server.send(server.request("GET", &path).bearer_auth(&management)).await.expect(200);
        assert_eq!(read.json()["pkce_required"], false);
        assert_eq!(put("none").await.json().get("pkce_required"), None);
        assert_eq!(put("client_secret_post").await.json().get("pkce_required"), None);
    }

    /// The cost of an exemption is told by `doctor`, by `client create` and by `client show`.
    async fn commands_tell_the_cost_of_an_exemption(setup: Setup) {
        setup.start().await;
        let doctor = async |settings: &[(&str, &str)]| {
            let ended = setup.run(&["doctor", "--json"], settings).await;
            let found: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
            found.into_iter().filter(|one| one["check"] == "pkce").collect::<Vec<_>>()
        };
        let found = doctor(&[]).await;
        assert_eq!((found.len(), &found[0]["status"]), (1, &json!("ok")), "{found:?}");
        let create = [
            "client", "create", "--name", "Older", "--client-id", "older", "--type", "confidential",
            "--redirect-uri", URI, "--without-pkce",
        ];
        let made = setup.run(&create, &[]).await;
        assert_eq!(made.code, Some(0));
        assert!(made.stderr.contains("without PKCE, a code that is stolen"), "{}", made.stderr);
        let shown = setup.run(&["client", "show", "older"], &[]).await;
        assert!(shown.stdout.contains("not required: without PKCE"), "{}", shown.stdout);
        let shown = setup.run(&["client", "show", "older", "--json"], &[]).await;
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
        assert_eq!(shown["pkce_required"], false);
        let found = doctor(&[]).await;
        assert_eq!(found[0]["status"], "warn");
        let text = found[0]["finding"].as_str().unwrap();
        assert!(text.contains("older") && text.contains("injected"), "{text}");
        assert!(found[0]["advice"].is_string());
        let settings = [("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true"), ("OAUTH_DYNAMIC_REGISTRATION_PKCE", "optional")];
        let found = doctor(&settings).await;
        let named = |one: &&Value| one["finding"].as_str().unwrap().contains("OAUTH_DYNAMIC_REGISTRATION_PKCE=optional");
        assert_eq!(found.iter().filter(named).count(), 1, "{found:?}");
        let bad = setup.run(&["doctor", "--json"], &[("OAUTH_DYNAMIC_REGISTRATION_TOKEN", "short")]).await;
        assert!(bad.stdout.contains("at least 32 characters"), "{}", bad.stdout);
        let bad = setup.run(&["doctor", "--json"], &[("OAUTH_DYNAMIC_REGISTRATION_PKCE", "never")]).await;
        assert!(bad.stdout.contains("use required or optional"), "{}", bad.stdout);
        let bad = setup.run(&["doctor", "--json"], &[("OAUTH_PRIVATE_USE_SCHEMES", "cursor://")]).await;
        assert!(bad.stdout.contains("without ://"), "{}", bad.stdout);
    }

    /// storyden-contract.md#authorization-code-grant: in the profile `storyden` every client needs PKCE,
    /// and the API has no such member.
    async fn the_storyden_profile_exempts_no_client(setup: Setup) {
        let setup = setup.with("OAUTH_PROFILE", "storyden");
        let server = setup.with("OAUTH_DYNAMIC_REGISTRATION_PKCE", "optional")
            .with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true").start().await;
        let odin = server.admin("odin").await;
        let mut body = own("confidential", false);
        body["allowed_scopes"] = json!([]);
        let made = server.post_as(&odin, MEMBER, &body).await.expect(200).json();
        assert_eq!(made["client"].get("pkce_required"), None);
        let app = client(made["client"]["client_id"].as_str().unwrap().to_owned(), made.get("client_secret"));
        let path = format!("{MEMBER}/{}", made["client"]["id"].as_str().unwrap());
        // an unknown member of any type is ignored
        for ignored in [json!(false), json!("no"), Value::Null] {
            patch(&server, &odin, &path, &json!({ "pkce_required": ignored })).await.expect(200);
        }
        let path = format!("{ADMIN}/{}", made["client"]["id"].as_str().unwrap());
        let changed = patch(&server, &odin, &path, &json!({ "pkce_required": false })).await.expect(200);
        assert_eq!(changed.json().get("pkce_required"), None);
        let registration = register(&server, None, &json!({})).await;
        assert_eq!(registration.json().get("pkce_required"), None);
        for app in [&app, &registered(&registration)] {
            let answer = server.authorize(Some(&odin), app, &NO_CHALLENGE).await.expect(400);
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        let exempt = "SELECT COUNT(*) AS n FROM auth_clients WHERE pkce_exempt";
        assert_eq!(server.count(exempt, &[]).await, 0);
    }
}
