//! Signed authorization requests (RFC 9101): request objects by value, at the authorization endpoint and at the
//! pushed authorization request endpoint.

use serde_json::{Value, json};
use storyden_auth::oauth::signing_algorithm::SigningAlgorithm;
use time::Duration;

use crate::support::registration::{client_of, open, register};
use crate::support::simulated_internet::{Reply, SimulatedInternet};
use crate::support::{
    Answer, BrowserRequest, Client, ClientKey, Member, Server, assert_redirect_to_consent, both,
    refused, told,
};

const URI: &str = "https://app.example/cb";

/// Registers a public client with metadata.
async fn client_with(server: &Server, metadata: &Value) -> Client {
    let mut document = json!({ "redirect_uris": [URI], "token_endpoint_auth_method": "none" });
    for (name, value) in metadata.as_object().unwrap() {
        document[name] = value.clone();
    }
    client_of(&register(server, &document).await.expect(201), URI)
}

/// Sends a request object, with the client id alone.
async fn send(server: &Server, member: Option<&Member>, client: &Client, object: &str) -> Answer {
    let query = [
        ("client_id", client.client_id.as_str()),
        ("request", object),
    ];
    server.send(server.authorize_query(member, &query)).await
}

/// Approves the request of a redirect to the consent page, and returns the redirect to the client.
async fn approve(server: &Server, member: &Member, answer: Answer) -> Answer {
    let request_id = assert_redirect_to_consent(answer);
    server
        .decide(member, &request_id, "approve")
        .await
        .expect(200)
}

/// Pushes a request object, with the client id alone.
async fn push(server: &Server, client: &Client, object: &str) -> Answer {
    let form = [
        ("client_id", client.client_id.as_str()),
        ("request", object),
    ];
    server.post_form("/api/oauth/par", &form).await
}

both! {
    /// RFC 9101 §5, §6: an object of each algorithm is accepted by GET, by POST and pushed.
    async fn objects_of_each_algorithm_are_accepted(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        for algorithm in [
            SigningAlgorithm::Rs256, SigningAlgorithm::Ps256, SigningAlgorithm::Es256, SigningAlgorithm::EdDsa,
        ] {
            let key = ClientKey::new(algorithm);
            let app = client_with(&server, &json!({ "jwks": key.jwks() })).await;
            let claims = app.request_object(&server);
            let by_get = send(&server, Some(&frigg), &app, &key.sign(&claims)).await;
            let back = approve(&server, &frigg, by_get).await;
            assert_eq!(back.sent("state").as_deref(), Some("st"));
            let tokens = server.exchange(&app, &back.sent("code").unwrap()).await.expect(200);
            assert_eq!(tokens.scope(), ["offline_access", "openid", "profile"]);
            for typ in [None, Some("JWT"), Some("application/oauth-authz-req+jwt")] {
                let mut claims = claims.clone();
                claims["prompt"] = json!("consent");
                let object = key.sign_as(typ, &claims);
                let form = [("client_id", app.client_id.as_str()), ("request", &object)];
                let posted = server.post_form("/api/oauth/authorize", &form).await.expect(303);
                BrowserRequest::of(&posted).open(&server, &frigg).await.expect(200);
                let request_uri = push(&server, &app, &object).await.expect(201).text("request_uri");
                approve(&server, &frigg, server.open_pushed(Some(&frigg), &app, &request_uri).await).await;
            }
        }
    }

    /// RFC 9101 §6.3: parameters beside the object are ignored, also those that the object lacks, repeated ones,
    /// and those that differ.
    async fn only_the_parameters_of_the_object_count(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let key = ClientKey::es256();
        let app = client_with(&server, &json!({ "jwks": key.jwks() })).await;
        let mut claims = app.request_object(&server);
        claims["scope"] = json!("openid");
        claims["max_age"] = json!(600);
        claims["claims"] = json!({ "id_token": { "auth_time": { "essential": true } } });
        claims["unknown"] = json!([1, 2]);
        claims["request_id"] = json!("x");
        claims.as_object_mut().unwrap().remove("state");
        let object = key.sign(&claims);
        let beside = [
            ("client_id", app.client_id.as_str()), ("request", &object),
            ("redirect_uri", "https://evil.example/"), ("redirect_uri", "https://evil.example/"),
            ("scope", "openid profile offline_access"), ("state", "beside"), ("nonce", "beside"),
            ("response_mode", "form_post"), ("prompt", "none"), ("code_challenge", "x"), ("response_type", "token"),
        ];
        // repeated `redirect_uri` is refused before anything is read, so send the parameter once
        let once: Vec<_> = beside.iter().enumerate().filter(|(index, _)| *index != 3).map(|(_, pair)| *pair).collect();
        let answer = server.send(server.authorize_query(Some(&frigg), &once)).await;
        let back = approve(&server, &frigg, answer).await;
        assert_eq!((back.sent("state"), back.location().host_str()), (None, Some("app.example")));
        let tokens = server.exchange(&app, &back.sent("code").unwrap()).await.expect(200);
        assert_eq!(tokens.scope(), ["openid"]);
        let id_token = tokens.claims("id_token");
        assert_eq!((id_token.get("nonce"), id_token["auth_time"].is_i64()), (None, true));
        let pushed = server.post_form("/api/oauth/par", &once).await.expect(201).text("request_uri");
        let answer = server.open_pushed(Some(&frigg), &app, &pushed).await.expect(302);
        assert_eq!((answer.sent("state"), answer.sent("code").is_some()), (None, true)); // remembered
    }

    /// An object is checked when it arrives: the sign-in may take longer than its lifetime.
    async fn an_object_may_expire_during_the_sign_in(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let key = ClientKey::es256();
        let app = client_with(&server, &json!({ "jwks": key.jwks() })).await;
        let object = key.sign(&app.request_object(&server));
        let browser = BrowserRequest::of(&send(&server, None, &app, &object).await.expect(302));
        server.turn(Duration::minutes(5));
        browser.open(&server, &frigg).await.expect(200);
        let back = browser.decide(&server, &frigg, "approve").await.expect(200);
        server.exchange(&app, &back.sent("code").unwrap()).await.expect(200);
        told(send(&server, Some(&frigg), &app, &object).await, "invalid_request_object");
    }

    /// A guest's request with the client id of an unknown document waits with its object; the keys are those of
    /// the document, also without `private_key_jwt`.
    async fn keys_may_be_in_the_metadata_document(setup: Setup) {
        let outside = SimulatedInternet::new();
        let server = outside.around(setup).start().await;
        let host = outside.host("app.example").await;
        let frigg = server.member("frigg", &[]).await;
        let key = ClientKey::es256();
        let id = host.publish("/c", &json!({ "jwks": key.jwks(), "require_signed_request_object": true }));
        let app = Client {
            client_id: id, redirect_uri: host.url("/cb"), ..server.public_client().await
        };
        let object = key.sign(&app.request_object(&server));
        let browser = BrowserRequest::of(&send(&server, None, &app, &object).await.expect(302));
        let forged = ClientKey::es256().sign(&app.request_object(&server));
        let forged = BrowserRequest::of(&send(&server, None, &app, &forged).await.expect(302));
        assert_eq!(host.asked().len(), 0); // a guest causes no request (SSRF)
        server.turn(Duration::minutes(5));
        browser.open(&server, &frigg).await.expect(200);
        let back = browser.decide(&server, &frigg, "approve").await.expect(200);
        server.exchange(&app, &back.sent("code").unwrap()).await.expect(200);
        let answer = forged.open(&server, &frigg).await.expect_error(400, "invalid_request_object");
        assert_eq!(answer.sent("error").as_deref(), Some("invalid_request_object"));
        refused(server.authorize(Some(&frigg), &app, &[]).await, "invalid_request");
        // the endpoint for pushed requests reads the document, as a device start does
        let other = host.publish("/d", &json!({ "jwks": key.jwks() }));
        let other = Client { client_id: other, ..app };
        push(&server, &other, &key.sign(&other.request_object(&server))).await.expect(201);
    }

    /// Keys at `jwks_uri` are fetched, again after a rotation; without keys the answer is temporary. An object
    /// with invalid claims causes no fetch.
    async fn keys_may_be_at_jwks_uri(setup: Setup) {
        let outside = SimulatedInternet::new();
        let server = open(outside.around(setup)).await;
        let host = outside.host("app.example").await;
        let frigg = server.member("frigg", &[]).await;
        let (old, new) = (ClientKey::es256(), ClientKey::es256());
        let serve = |key: &ClientKey| host.reply("/keys", Reply::json("200 OK", "", &key.jwks()));
        serve(&old);
        let app = client_with(&server, &json!({ "jwks_uri": host.url("/keys") })).await;
        let mut wrong = app.request_object(&server);
        wrong["aud"] = json!("https://other.example");
        told(send(&server, Some(&frigg), &app, &old.sign(&wrong)).await, "invalid_request_object");
        assert_eq!(host.asked().len(), 0);
        let object = |key: &ClientKey| key.sign(&app.request_object(&server));
        send(&server, Some(&frigg), &app, &object(&old)).await.expect(302).sent("request_id").unwrap();
        assert_eq!(host.asked().len(), 1);
        serve(&new);
        server.turn(Duration::seconds(31));
        send(&server, Some(&frigg), &app, &object(&new)).await.expect(302).sent("request_id").unwrap();
        assert_eq!(host.asked().len(), 2);
        host.reply("/keys", Reply::json("503 x", "", &json!({})));
        server.turn(Duration::minutes(11));
        for answer in [send(&server, Some(&frigg), &app, &object(&new)).await, push(&server, &app, &object(&new)).await] {
            let answer = answer.expect_error(503, "temporarily_unavailable");
            assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
        }
    }

    /// OpenID Connect Registration §2: the registered algorithm is the only one. Other algorithms are not
    /// registered.
    async fn the_registered_algorithm_is_enforced(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let (rsa, curve) = (ClientKey::new(SigningAlgorithm::Rs256), ClientKey::es256());
        let keys = json!({ "keys": [rsa.jwk, curve.jwk] });
        let app = client_with(&server, &json!({ "jwks": keys, "request_object_signing_alg": "ES256" })).await;
        let claims = app.request_object(&server);
        let answer = told(send(&server, Some(&frigg), &app, &rsa.sign(&claims)).await, "invalid_request_object");
        assert!(answer.sent("error_description").unwrap().contains("ES256"));
        send(&server, Some(&frigg), &app, &curve.sign(&claims)).await.expect(302).sent("request_id").unwrap();
        for algorithm in ["none", "HS256", "RS512", "Ed25519", "x"] {
            let document = json!({
                "redirect_uris": [URI], "jwks": keys, "request_object_signing_alg": algorithm,
            });
            let answer = register(&server, &document).await.expect(201).json();
            assert_eq!(answer.get("request_object_signing_alg"), None);
            assert!(answer["warnings"][0].as_str().unwrap().starts_with("request_object_signing_alg"), "{answer}");
        }
        // the registration tells the algorithm, also later
        let document = json!({ "redirect_uris": [URI], "jwks": keys, "request_object_signing_alg": "PS256" });
        let answer = register(&server, &document).await.expect(201);
        let path = format!("/api/oauth/register/{}", answer.text("client_id"));
        let shown = server.get_with_bearer(&path, &answer.text("registration_access_token")).await.expect(200);
        for answer in [answer.json(), shown.json()] {
            assert_eq!(answer["request_object_signing_alg"], "PS256");
            assert_eq!(answer["jwks"], keys);
        }
    }

    /// RFC 7591 §2: keys are registered with every authentication method; invalid keys are left out, unless the
    /// client authenticates by key.
    async fn keys_are_registered_with_every_method(setup: Setup) {
        let server = open(setup).await;
        let key = ClientKey::es256();
        for method in ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"] {
            let mut document = json!({
                "redirect_uris": [URI], "token_endpoint_auth_method": method, "jwks": key.jwks(),
            });
            let answer = register(&server, &document).await.expect(201);
            assert_eq!(answer.json()["jwks"], key.jwks());
            document["jwks"] = json!({ "keys": [{ "kty": "oct", "k": "x" }] });
            let answer = register(&server, &document).await;
            if method == "private_key_jwt" {
                answer.expect_error(400, "invalid_client_metadata");
            } else {
                let answer = answer.expect(201).json();
                assert_eq!(answer.get("jwks"), None);
                assert!(answer["warnings"][0].as_str().unwrap().starts_with("jwks"), "{answer}");
            }
        }
    }
}
