//! Client authentication by key: `private_key_jwt` (RFC 7523, OpenID Connect Core §9), with keys in the
//! registration, in the metadata document, or served by the client.

use serde_json::{Value, json};
use time::Duration;

use crate::support::simulated_internet::{Reply, SimulatedInternet};
use crate::support::{Answer, Client, Server, Setup, both};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const ISSUER: &str = "https://auth.example";

/// Signing key of a client.
struct Key {
    pem: String,
    kid: &'static str,
    jwk: Value,
}

impl Key {
    fn new(kid: &'static str) -> Self {
        use base64::Engine as _;
        let pair = rcgen::KeyPair::generate().unwrap(); // P-256
        let point = pair.public_key_raw();
        let text = |bytes| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256",
            "x": text(&point[1..33]), "y": text(&point[33..]),
        });
        Self {
            pem: pair.serialize_pem(),
            kid,
            jwk,
        }
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
        header.kid = Some(self.kid.to_owned());
        let key = jsonwebtoken::EncodingKey::from_ec_pem(self.pem.as_bytes()).unwrap();
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }
}

/// Returns the claims of a valid assertion.
fn claims(server: &Server, client_id: &str, jti: &str) -> Value {
    let now = server.clock.now().unix_seconds();
    json!({ "iss": client_id, "sub": client_id, "aud": ISSUER, "exp": now + 60, "iat": now, "jti": jti })
}

/// Refreshes with an assertion.
async fn refresh(server: &Server, token: &str, assertion: &str) -> Answer {
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion),
    ];
    server.token(&form).await
}

fn assert_invalid_client(answer: &Answer, part: &str) {
    assert_eq!(
        (answer.status, answer.text("error").as_str()),
        (400, "invalid_client"),
        "{}",
        answer.body
    );
    assert!(
        answer.text("error_description").contains(part),
        "{}",
        answer.body
    );
}

/// Registers a client with `jwks` or `jwks_uri`.
async fn register(server: &Server, keys: &Value) -> String {
    let mut document = json!({
        "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "private_key_jwt",
    });
    for (name, value) in keys.as_object().unwrap() {
        document[name] = value.clone();
    }
    let request = server
        .request("POST", "/api/oauth/register")
        .json(&document);
    let answer = server.send(request).await.expect(201);
    assert!(answer.json().get("client_secret").is_none());
    answer.text("client_id")
}

/// Obtains a code, exchanges the code with an assertion, and returns the refresh token.
async fn first_token(server: &Server, client_id: &str, key: &Key) -> String {
    let frigg = server.member("frigg", &[]).await;
    let client = Client {
        row_id: storyden_auth::ids::ClientRowId::new(""),
        client_id: client_id.to_owned(),
        secret: None,
        redirect_uri: "https://app.example/cb".to_owned(),
    };
    let offline = [("scope", "openid offline_access")];
    let code = server.code(&frigg, &client, &offline).await;
    let assertion = key.sign(&claims(server, client_id, "first"));
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", "https://app.example/cb"),
        ("code_verifier", crate::support::VERIFIER),
        ("client_assertion_type", TYPE),
        ("client_assertion", &assertion),
    ];
    server.token(&form).await.expect(200).text("refresh_token")
}

async fn start_with_registration(setup: Setup) -> Server {
    setup
        .with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true")
        .start()
        .await
}

both! {
    /// req_177, RFC 7523 §3: an invalid assertion is rejected with the reason and consumes nothing; a
    /// valid assertion works once.
    async fn assertion_claims_are_checked_and_used_once(setup: Setup) {
        let server = start_with_registration(setup).await;
        let key = Key::new("a");
        let id = register(&server, &json!({ "jwks": { "keys": [key.jwk] } })).await;
        let token = first_token(&server, &id, &key).await;
        let now = server.clock.now().unix_seconds();
        for (number, (change, part)) in [
            (json!({ "iss": "somebody" }), "iss"),
            (json!({ "sub": "somebody", "iss": id }), "Client not found"),
            (json!({ "aud": "https://other.example" }), "aud"),
            (json!({ "aud": ["https://other.example"] }), "aud"),
            (json!({ "exp": now - 61 }), "expired"),
            (json!({ "exp": now + 7_200 }), "within an hour"),
            (json!({ "nbf": now + 300 }), "not valid yet"),
            (json!({ "iat": now + 300 }), "not valid yet"),
            (json!({ "jti": null }), "jti"),
            (json!({ "jti": "" }), "jti"),
            (json!({ "exp": null }), "is no JWT"),
        ]
        .into_iter()
        .enumerate()
        {
            let mut claims = claims(&server, &id, &format!("bad-{number}"));
            for (name, value) in change.as_object().unwrap() {
                claims[name] = value.clone();
            }
            let assertion = key.sign(&claims);
            let mut form = vec![
                ("grant_type", "refresh_token"), ("refresh_token", token.as_str()),
                ("client_assertion_type", TYPE), ("client_assertion", &assertion),
            ];
            if part != "Client not found" {
                form.push(("client_id", &id));
            }
            assert_invalid_client(&server.token(&form).await, part);
        }
        let good = key.sign(&claims(&server, &id, "good"));
        let next = refresh(&server, &token, &good).await.expect(200).text("refresh_token");
        assert_invalid_client(&refresh(&server, &next, &good).await, "used before");
        let mut endpoint = claims(&server, &id, "endpoint");
        endpoint["aud"] = json!([format!("{ISSUER}/api/oauth/token"), "x"]);
        let next = refresh(&server, &next, &key.sign(&endpoint)).await.expect(200).text("refresh_token");
        let mut with_slash = claims(&server, &id, "slash");
        with_slash["aud"] = json!(format!("{ISSUER}/"));
        refresh(&server, &next, &key.sign(&with_slash)).await.expect(200);
    }

    /// A-75, RFC 8725: signatures by a different key, with a MAC, or with `none` are rejected
    /// (algorithm confusion).
    async fn only_the_registered_key_authenticates(setup: Setup) {
        let server = start_with_registration(setup).await;
        let key = Key::new("a");
        let id = register(&server, &json!({ "jwks": { "keys": [key.jwk] } })).await;
        let token = first_token(&server, &id, &key).await;
        let good = claims(&server, &id, "x");
        let none = {
            use base64::Engine as _;
            let text = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
            format!("{}.{}.", text(&json!({ "alg": "none" })), text(&good))
        };
        let shared = jsonwebtoken::encode(
            &jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256),
            &good,
            &jsonwebtoken::EncodingKey::from_secret(key.jwk["x"].as_str().unwrap().as_bytes()),
        )
        .unwrap();
        for (assertion, part) in [
            (Key::new("a").sign(&good), "none of the client's keys"),
            (Key::new("b").sign(&good), "none of the client's keys"),
            (none, "asymmetric"),
            (shared, "asymmetric"),
        ] {
            let form = [
                ("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("client_id", &id),
                ("client_assertion_type", TYPE), ("client_assertion", &assertion),
            ];
            assert_invalid_client(&server.token(&form).await, part);
        }
        // the client id alone, or a secret, does not authenticate
        let bare = [("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("client_id", &id)];
        assert_invalid_client(&server.token(&bare).await, "client_assertion is needed");
        let both = [
            ("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("client_id", &id),
            ("client_secret", "x"), ("client_assertion_type", TYPE), ("client_assertion", "a.b.c"),
        ];
        assert_eq!(server.token(&both).await.expect(400).text("error"), "invalid_request");
        refresh(&server, &token, &key.sign(&good)).await.expect(200);
    }

    /// Keys at `jwks_uri` are fetched at first use and again for a signature by an unknown key; the
    /// number of fetches caused by invalid signatures is limited.
    async fn jwks_uri_is_fetched_after_rotation_and_rate_limited(setup: Setup) {
        let outside = SimulatedInternet::new();
        let server = start_with_registration(outside.around(setup)).await;
        let host = outside.host("app.example").await;
        let (old, new) = (Key::new("old"), Key::new("new"));
        let serve = |key: &Key| host.reply("/keys", Reply::json("200 OK", "", &json!({ "keys": [key.jwk] })));
        serve(&old);
        let id = register(&server, &json!({ "jwks_uri": host.url("/keys") })).await;
        let token = first_token(&server, &id, &old).await;
        let token = refresh(&server, &token, &old.sign(&claims(&server, &id, "1"))).await.expect(200);
        let token = token.text("refresh_token");
        assert_eq!(host.asked().len(), 1);
        let stranger = Key::new("old");
        for number in 0..40 {
            let assertion = stranger.sign(&claims(&server, &id, &format!("s{number}")));
            assert_invalid_client(&refresh(&server, &token, &assertion).await, "none of the client's keys");
        }
        assert_eq!(host.asked().len(), 1);
        serve(&new);
        server.turn(Duration::seconds(31));
        let rotated = new.sign(&claims(&server, &id, "2"));
        let token = refresh(&server, &token, &rotated).await.expect(200).text("refresh_token");
        assert_eq!(host.asked().len(), 2);
        // without keys, the answer is a 503 with Retry-After, not invalid_client
        host.reply("/keys", Reply::json("503 x", "", &json!({})));
        server.turn(Duration::minutes(11));
        let later = refresh(&server, &token, &new.sign(&claims(&server, &id, "3"))).await.expect(503);
        assert!(later.header("retry-after").parse::<u64>().unwrap() > 0);
        serve(&new);
        refresh(&server, &token, &new.sign(&claims(&server, &id, "4"))).await.expect(200);
    }

    /// A client with a metadata document authenticates by the key in the document (Client ID Metadata
    /// Document §8.2).
    async fn metadata_document_may_have_the_keys(setup: Setup) {
        let outside = SimulatedInternet::new();
        let server = start_with_registration(outside.around(setup)).await;
        let host = outside.host("app.example").await;
        let key = Key::new("a");
        let id = host.publish("/c", &json!({
            "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [key.jwk] },
        }));
        let token = first_token(&server, &id, &key).await;
        refresh(&server, &token, &key.sign(&claims(&server, &id, "n"))).await.expect(200);
        assert_eq!(host.asked().len(), 1);
    }

    /// An invalid key set is not registered (RFC 7591 §2).
    async fn invalid_key_set_is_not_registered(setup: Setup) {
        let server = start_with_registration(setup).await;
        let mut private = Key::new("a").jwk;
        private["d"] = json!("x");
        for keys in [
            json!({}),
            json!({ "jwks": { "keys": [] } }),
            json!({ "jwks": { "keys": [private] } }),
            json!({ "jwks": { "keys": [{ "kty": "oct", "k": "x" }] } }),
            json!({ "jwks": "x" }),
            json!({ "jwks_uri": "http://app.example/keys" }),
            json!({ "jwks_uri": "https://u:p@app.example/keys" }),
            json!({ "jwks_uri": "https://app.example/k", "jwks": { "keys": [Key::new("a").jwk] } }),
        ] {
            let mut document = keys.clone();
            document["redirect_uris"] = json!(["https://app.example/cb"]);
            document["token_endpoint_auth_method"] = json!("private_key_jwt");
            let request = server.request("POST", "/api/oauth/register").json(&document);
            let answer = server.send(request).await.expect(400);
            assert_eq!(answer.text("error"), "invalid_client_metadata", "{keys}");
        }
    }

    /// An assertion for a client without a key is rejected, not ignored.
    async fn assertion_of_a_client_without_a_key_is_rejected(setup: Setup) {
        let server = start_with_registration(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let offline = [("scope", "openid offline_access")];
        let token = server.tokens(&frigg, &app, &offline).await.text("refresh_token");
        let assertion = Key::new("a").sign(&claims(&server, "app", "x"));
        assert_invalid_client(&refresh(&server, &token, &assertion).await, "no registered key");
    }
}
