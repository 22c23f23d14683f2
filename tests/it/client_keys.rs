//! Keys of clients that members, administrators and commands made: `client_credentials` with `private_key_jwt`, as
//! MCP's client credentials extension describes (SEP-1046, RFC 7523 §2.2).

use serde_json::{Value, json};
use time::Duration;

use crate::support::race::{count, send_concurrently};
use crate::support::simulated_internet::{Reply, SimulatedInternet};
use crate::support::{Answer, ClientKey, ISSUER, Server, both};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const MINE: &str = "/api/auth/oauth/clients";
const EVERY: &str = "/api/admin/oauth/clients";

/// Returns a new assertion of a client.
fn assertion(server: &Server, key: &ClientKey, client_id: &str) -> String {
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let jti = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let exp = server.clock.now().unix_seconds() + 60;
    let claims = json!({ "iss": client_id, "sub": client_id, "aud": ISSUER, "exp": exp, "jti": jti.to_string() });
    key.sign_as(None, &claims)
}

/// Builds a request of the client credentials grant.
fn form(assertion: &str) -> [(&str, &str); 3] {
    [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion),
    ]
}

/// A request of the client credentials grant, authenticated by a key.
async fn ask(server: &Server, key: &ClientKey, client_id: &str) -> Answer {
    server
        .token(&form(&assertion(server, key, client_id)))
        .await
}

fn new_client(changed: &Value) -> Value {
    let mut body = json!({
        "name": "Agent", "type": "confidential", "allowed_scopes": ["READ_PROFILE"],
        "allowed_grants": ["client_credentials"], "pkce_required": true,
    });
    for (name, value) in changed.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

both! {
    /// Issue 16: a member's application with keys has no secret, gets tokens for its owner, and changes its keys.
    async fn an_application_of_a_member_has_keys(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let (key, next) = (ClientKey::es256(), ClientKey::es256());
        let created = server.post_as(&frigg, MINE, &new_client(&json!({ "jwks": key.jwks() }))).await.expect(200).json();
        assert_eq!(created.get("client_secret"), None);
        assert_eq!(created["client"]["token_endpoint_auth_method"], "private_key_jwt");
        let (id, client_id) = (created["client"]["id"].as_str().unwrap(), created["client"]["client_id"].as_str().unwrap());
        let answer = ask(&server, &key, client_id).await.expect(200);
        let token = answer.text("access_token");
        assert_eq!(answer.claims("access_token")["sub"], frigg.id.as_str());
        ask(&server, &next, client_id).await.expect_error(400, "invalid_client");
        let form = [("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", "x")];
        server.token(&form).await.expect_error(400, "invalid_client");

        let path = format!("{MINE}/{id}");
        server.call_as(&frigg, ("PATCH", &path), Some(&json!({ "jwks": next.jwks() }))).await.expect(200);
        ask(&server, &key, client_id).await.expect_error(400, "invalid_client");
        ask(&server, &next, client_id).await.expect(200);
        let mut introspection = vec![("token", token.as_str())];
        let odin = server.admin("odin").await;
        let bearer = server.access_key(&odin, "sdpak").await;
        let asked = server.request("POST", "/api/oauth/introspect").bearer_auth(bearer);
        introspection.push(("token_type_hint", "access_token"));
        let shown = server.send(asked.form(&introspection)).await.expect(200).json();
        assert_eq!(shown["active"], false, "the tokens of the keys before end");

        let none = json!({ "jwks": null, "jwks_uri": null });
        server.call_as(&frigg, ("PATCH", &path), Some(&none)).await.expect(400);
        ask(&server, &next, client_id).await.expect(200);
    }

    /// Issue 16: an application with a secret gets keys, and the secret is not accepted any more; with a chosen
    /// method, the keys of a new application are for signed requests.
    async fn keys_take_the_place_of_a_secret(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let key = ClientKey::es256();
        let chosen = json!({ "jwks": key.jwks(), "token_endpoint_auth_method": "client_secret_post" });
        let created = server.post_as(&frigg, MINE, &new_client(&chosen)).await.expect(200).json();
        assert_eq!(created["client"]["token_endpoint_auth_method"], "client_secret_post");
        let (id, client_id) = (created["client"]["id"].as_str().unwrap(), created["client"]["client_id"].as_str().unwrap());
        let secret = created["client_secret"].as_str().unwrap();
        let form = [("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", secret)];
        server.token(&form).await.expect(200);
        ask(&server, &key, client_id).await.expect_error(400, "invalid_client");

        let keys = json!({ "jwks": key.jwks() });
        let path = format!("{MINE}/{id}");
        let changed = server.call_as(&frigg, ("PATCH", &path), Some(&keys)).await.expect(200).json();
        assert_eq!(changed["token_endpoint_auth_method"], "private_key_jwt");
        ask(&server, &key, client_id).await.expect(200);
        server.token(&form).await.expect_error(400, "invalid_client");
    }

    /// Issue 16: an administrator's client with the address of its keys, which are fetched by the guard.
    async fn keys_are_fetched_from_their_address(setup: Setup) {
        let internet = SimulatedInternet::new();
        let host = internet.host("agent.example").await;
        let server = internet.around(setup).start().await;
        let odin = server.admin("odin").await;
        let key = ClientKey::es256();
        host.reply("/keys", Reply::json("200 OK", "", &key.jwks()));
        let body = new_client(&json!({
            "client_id": "agent", "account_id": odin.id.as_str(), "redirect_uris": [], "jwks_uri": host.url("/keys"),
        }));
        let created = server.post_as(&odin, EVERY, &body).await.expect(200).json();
        assert_eq!((created.get("client_secret"), &created["token_endpoint_auth_method"]), (None, &json!("private_key_jwt")));
        ask(&server, &key, "agent").await.expect(200);
        let next = ClientKey::es256();
        host.reply("/keys", Reply::json("200 OK", "", &next.jwks()));
        server.turn(Duration::minutes(1));
        ask(&server, &next, "agent").await.expect(200);
        let path = format!("{EVERY}/{}", created["id"].as_str().unwrap());
        server.call_as(&odin, ("PATCH", &path), Some(&json!({ "jwks": key.jwks() }))).await.expect(200);
        ask(&server, &key, "agent").await.expect(200);
    }

    /// of tokens requested while the keys are replaced, every token by an earlier key is invalid on both
    /// replicas.
    async fn concurrent_key_replacement_leaves_no_token(setup: Setup) {
        let (server, replica) = (setup.start().await, setup.start().await);
        let frigg = server.member("frigg", &[]).await;
        let mut key = ClientKey::es256();
        let new = new_client(&json!({ "jwks": key.jwks() }));
        let created = server.post_as(&frigg, MINE, &new).await.expect(200).json();
        let (id, client_id) = (created["client"]["id"].as_str().unwrap(), created["client"]["client_id"].as_str().unwrap());
        let path = format!("{MINE}/{id}");
        for _ in 0..6 {
            server.turn(Duration::seconds(1));
            let assertions: Vec<String> = (0..8).map(|_| assertion(&server, &key, client_id)).collect();
            let requests = assertions.iter().enumerate();
            let requests = requests.map(|(at, one)| [&server, &replica][at % 2].token_request(&form(one)));
            let next = ClientKey::es256();
            let body = json!({ "jwks": next.jwks() });
            let (answers, changed) = tokio::join!(
                send_concurrently(requests.collect()),
                server.call_as(&frigg, ("PATCH", &path), Some(&body))
            );
            changed.expect(200);
            count(&answers, 200);
            for answer in &answers {
                if answer.status == 200 {
                    let userinfo = replica.get_with_bearer("/api/oauth/userinfo", &answer.text("access_token")).await;
                    userinfo.expect_error(401, "invalid_token");
                }
            }
            key = next;
            ask(&replica, &key, client_id).await.expect(200);
        }
    }

    /// Issue 13: the keys of applications that act for a member end where secrets end.
    async fn signing_out_everywhere_removes_keys_where_asked(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let key = ClientKey::es256();
        let new = new_client(&json!({ "jwks": key.jwks() }));
        let created = server.post_as(&frigg, MINE, &new).await.expect(200).json();
        let (id, client_id) = (created["client"]["id"].as_str().unwrap(), created["client"]["client_id"].as_str().unwrap());
        let token = ask(&server, &key, client_id).await.expect(200).text("access_token");
        let sessions = "/api/auth/sessions";
        let told = server.get_as(&frigg, sessions).await.expect(200).json();
        assert_eq!(told["lasting"]["client_secrets"], 1);
        let everything = format!("{sessions}?end_client_secrets=true");
        let ended = server.call_as(&frigg, ("DELETE", &everything), None).await.expect(200).json();
        assert_eq!((&ended["ended"]["client_secrets"], &ended["left"]["client_secrets"]), (&json!(1), &json!(0)));
        ask(&server, &key, client_id).await.expect_error(400, "invalid_client");
        server.get_with_bearer("/api/oauth/userinfo", &token).await.expect_error(401, "invalid_token");
        let frigg = server.sign_in_again(&frigg).await;
        let next = ClientKey::es256();
        let body = json!({ "jwks": next.jwks() });
        server.call_as(&frigg, ("PATCH", &format!("{MINE}/{id}")), Some(&body)).await.expect(200);
        ask(&server, &next, client_id).await.expect(200);
    }

    /// RFC 7517 §9.2: keys that cannot be used are refused with the reason.
    async fn unusable_keys_are_refused(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let key = ClientKey::es256();
        let mut private = key.jwks();
        private["keys"][0]["d"] = json!("x");
        for (changed, part) in [
            (json!({ "jwks": { "keys": [] } }), "without keys"),
            (json!({ "jwks": "keys" }), "no key set"),
            (json!({ "jwks": private }), "not public"),
            (json!({ "jwks": key.jwks(), "jwks_uri": "https://agent.example/keys" }), "not both"),
            (json!({ "jwks_uri": "http://agent.example/keys" }), "HTTPS"),
            (json!({ "jwks_uri": 1 }), "must be a URL"),
            (json!({ "token_endpoint_auth_method": "private_key_jwt" }), "needs jwks or jwks_uri"),
        ] {
            let refused = server.post_as(&frigg, MINE, &new_client(&changed)).await.expect(400);
            assert!(refused.body.contains(part), "{changed}: {}", refused.body);
        }
    }

    /// Issue 16: the commands for keys.
    async fn an_operator_sets_keys(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        let (key, next) = (ClientKey::es256(), ClientKey::es256());
        let file = |name: &str, key: &ClientKey| {
            let path = setup.folder.join(name);
            std::fs::write(&path, key.jwks().to_string()).unwrap();
            path.display().to_string()
        };
        let (first, second) = (file("first.json", &key), file("second.json", &next));
        let ended = setup.run(&[
            "client", "create", "--name", "Agent", "--type", "confidential", "--client-id", "agent", "--owner", "frigg",
            "--grant", "client_credentials", "--scope", "READ_PROFILE", "--jwks", &first, "--json",
        ], &[]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let shown: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((shown.get("client_secret"), &shown["token_endpoint_auth_method"]), (None, &json!("private_key_jwt")));
        ask(&server, &key, "agent").await.expect(200);
        let run = async |arguments: &[&str], code: i32| {
            let ended = setup.run(arguments, &[]).await;
            assert_eq!(ended.code, Some(code), "{}", ended.stderr);
            ended.stderr
        };
        run(&["client", "update", "agent", "--jwks", &second], 0).await;
        ask(&server, &key, "agent").await.expect_error(400, "invalid_client");
        ask(&server, &next, "agent").await.expect(200);
        assert!(run(&["client", "update", "agent", "--jwks", "absent.json"], 1).await.contains("absent.json"));
        ask(&server, &next, "agent").await.expect(200);
    }

    /// Issue 16: a client that registered itself has no owner to act for.
    async fn a_registered_client_has_no_owner(setup: Setup) {
        let server = setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true").start().await;
        let key = ClientKey::es256();
        let metadata = json!({
            "client_name": "Agent", "redirect_uris": ["https://agent.example/cb"], "token_endpoint_auth_method": "private_key_jwt",
            "jwks": key.jwks(), "grant_types": ["authorization_code", "client_credentials"],
        });
        let registered = server.send(server.request("POST", "/api/oauth/register").json(&metadata)).await.expect(201);
        let refused = ask(&server, &key, &registered.text("client_id")).await.expect_error(400, "unauthorized_client");
        assert!(refused.text("error_description").contains("no owner"), "{}", refused.body);
    }
}
