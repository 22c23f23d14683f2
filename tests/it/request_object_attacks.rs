//! Attacks on signed authorization requests (RFC 9101 §10, RFC 8725), and objects that are rejected.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::registration::{client_of, open, register};
use crate::support::{
    Answer, BrowserRequest, Client, ClientKey, ISSUER, Member, Server, both, forgery, refused, told,
};

const URI: &str = "https://app.example/cb";

/// A server with a member and a client that has a key.
struct Scene {
    server: Server,
    frigg: Member,
    key: ClientKey,
    app: Client,
}

impl Scene {
    async fn of(setup: crate::support::Setup, metadata: Value) -> Self {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let key = ClientKey::es256();
        let mut document = json!({ "redirect_uris": [URI], "token_endpoint_auth_method": "none", "jwks": key.jwks() });
        for (name, value) in metadata.as_object().unwrap() {
            document[name] = value.clone();
        }
        let app = client_of(&register(&server, &document).await.expect(201), URI);
        Self {
            server,
            frigg,
            key,
            app,
        }
    }

    /// The claims of a valid object with changes; `null` removes a claim.
    fn claims(&self, changes: &Value) -> Value {
        let mut claims = self.app.request_object(&self.server);
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        claims
    }

    /// Sends an object of a signed-in member, with the state of its claims beside it.
    async fn send(&self, object: &str) -> Answer {
        let query = [
            ("client_id", self.app.client_id.as_str()),
            ("request", object),
            ("state", "st"),
        ];
        self.server
            .send(self.server.authorize_query(Some(&self.frigg), &query))
            .await
    }

    async fn push(&self, object: &str) -> Answer {
        let form = [
            ("client_id", self.app.client_id.as_str()),
            ("request", object),
        ];
        self.server.post_form("/api/oauth/par", &form).await
    }

    /// Asserts that an object is rejected at both endpoints, with a part of the reason.
    async fn assert_rejected(&self, object: &str, part: &str) {
        let at_authorize = told(self.send(object).await, "invalid_request_object");
        assert!(at_authorize.location().as_str().starts_with(URI));
        let pushed = self
            .push(object)
            .await
            .expect_error(400, "invalid_request_object");
        let descriptions = [
            at_authorize.sent("error_description").unwrap(),
            pushed.text("error_description"),
        ];
        for description in descriptions {
            assert!(description.contains(part), "{part}: {description}");
        }
    }
}

/// Encodes a JWT without a valid signature.
fn unsigned(header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}.", encode(header), encode(claims))
}

both! {
    /// RFC 9101 §4, §6.3, §10.4, mix-up: claims about the object are checked; the error goes to the registered
    /// redirect URI of the object.
    async fn claims_about_the_object_are_checked(setup: Setup) {
        let scene = Scene::of(setup, json!({})).await;
        let now = scene.server.clock.now().unix_seconds();
        for (changes, part) in [
            (json!({ "client_id": "other" }), "as client_id"),
            (json!({ "client_id": null }), "as client_id"),
            (json!({ "iss": "other" }), "as iss"),
            (json!({ "iss": null }), "as iss"),
            (json!({ "aud": "https://other.example" }), "as aud"),
            (json!({ "aud": format!("{ISSUER}/api/oauth/par") }), "as aud"),
            (json!({ "aud": null }), "as aud"),
            (json!({ "exp": now - 61 }), "expired"),
            (json!({ "exp": null }), "exp"),
            (json!({ "exp": "soon" }), "exp"),
            (json!({ "nbf": now + 61 }), "not valid yet"),
            (json!({ "sub": scene.app.client_id }), "client assertion"),
            (json!({ "request": "x" }), "contain request"),
            (json!({ "request_uri": "https://app.example/r" }), "contain request_uri"),
            (json!({ "scope": ["openid"] }), "scope of the wrong type"),
            (json!({ "nonce": "a\u{0}b" }), "signed JWT"),
            (json!({ "nonce": "x".repeat(4_097) }), "more than 4096"),
        ] {
            scene.assert_rejected(&scene.key.sign(&scene.claims(&changes)), part).await;
        }
        for changes in [
            json!({ "aud": [ISSUER, "x"] }), json!({ "aud": format!("{ISSUER}/") }), json!({ "exp": now - 59 }),
            json!({ "nbf": now + 59 }), serde_json::from_str(&format!("{{\"exp\":{now}.5}}")).unwrap(), json!({ "sub": "somebody" }),
        ] {
            scene.push(&scene.key.sign(&scene.claims(&changes))).await.expect(201);
        }
        // faults of the parameters themselves are those of every request
        for (changes, error) in [
            (json!({ "response_type": "token" }), "unsupported_response_type"),
            (json!({ "code_challenge": null }), "invalid_request"),
            (json!({ "scope": "nonsense" }), "invalid_scope"),
        ] {
            let object = scene.key.sign(&scene.claims(&changes));
            told(scene.send(&object).await, error);
            scene.push(&object).await.expect_error(400, error);
        }
    }

    /// A-75, RFC 8725 §2.1: only the client's registered keys sign: no key, an unknown key, a MAC with a public
    /// key, an algorithm that is not accepted, an encrypted object.
    async fn only_the_keys_of_the_client_sign(setup: Setup) {
        let scene = Scene::of(setup, json!({})).await;
        let claims = scene.claims(&json!({}));
        let none = json!({ "alg": "none", "typ": "oauth-authz-req+jwt" });
        let hs256 = json!({ "alg": "HS256", "kid": scene.key.kid });
        let public = scene.key.jwk["x"].as_str().unwrap();
        let good = scene.key.sign(&claims);
        let (signed, _) = good.rsplit_once('.').unwrap();
        let other = scene.claims(&json!({ "redirect_uri": "https://app.example/cb", "state": "st", "nonce": "x" }));
        let other = scene.key.sign(&other);
        let (_, other) = other.rsplit_once('.').unwrap();
        for (object, part) in [
            (ClientKey::es256().sign(&claims), "none of the client's keys"),
            (forgery::signed_es256(&json!({ "alg": "ES256" }), &claims), "none of the client's keys"),
            (format!("{signed}.{other}"), "none of the client's keys"),
            (format!("{signed}."), "none of the client's keys"),
            (unsigned(&none, &claims), "with the algorithm"),
            (forgery::with_mac(&hs256, &claims, public.as_bytes()), "with the algorithm"),
            (forgery::signed_rs512(&json!({ "alg": "RS512" }), &claims), "with the algorithm"),
            (forgery::signed(&json!({ "alg": "RS256" }), &claims), "none of the client's keys"),
            (format!("{good}.x.y"), "signed JWT"),
            ("x".to_owned(), "signed JWT"),
            ("e30.e30.e30".to_owned(), "client_id"),
        ] {
            scene.assert_rejected(&object, part).await;
        }
        // keys in the header are ignored (`jwk`, `jku`); extensions are refused
        let stranger = ClientKey::es256();
        let header = json!({ "alg": "ES256", "jwk": stranger.jwk, "jku": "https://evil.example/keys" });
        scene.assert_rejected(&forgery::signed_es256(&header, &claims), "none of the client's keys").await;
        // a client without keys signs nothing
        let plain = Client { redirect_uri: URI.to_owned(), ..scene.server.public_client().await };
        let object = scene.key.sign(&plain.request_object(&scene.server));
        let changed = [("request", object.as_str())];
        told(scene.server.authorize(Some(&scene.frigg), &plain, &changed).await, "invalid_request_object");
    }

    /// RFC 9101 §10.8, RFC 8725 §3.11: a JWT of another kind is no request object, and a request object is no
    /// JWT of another kind (cross-JWT confusion).
    async fn other_jwts_are_no_request_objects(setup: Setup) {
        let key = ClientKey::es256();
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let document = json!({
            "redirect_uris": [URI], "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks(),
        });
        let app = client_of(&register(&server, &document).await.expect(201), URI);
        let now = server.clock.now().unix_seconds();
        let assertion = |typ, jti: &str| key.sign_as(typ, &json!({
            "iss": app.client_id, "sub": app.client_id, "aud": ISSUER, "exp": now + 60, "jti": jti,
        }));
        let asserted = async |assertion: &str, request: &str| {
            let form = [
                ("client_assertion", assertion), ("request", request),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ];
            server.post_form("/api/oauth/par", &form).await
        };
        let object = app.request_object(&server);
        asserted(&assertion(Some("JWT"), "1"), &key.sign(&object)).await.expect(201);

        // an assertion as an object, also with everything that an object needs
        let mut both = object.clone();
        both["sub"] = json!(app.client_id);
        both["jti"] = json!("2");
        for jwt in [assertion(Some("JWT"), "3"), key.sign_as(Some("JWT"), &both)] {
            asserted(&assertion(Some("JWT"), "4"), &jwt).await.expect_error(400, "invalid_request_object");
            server.clock.turn(time::Duration::ZERO);
            let query = [("client_id", app.client_id.as_str()), ("request", &jwt)];
            let answer = server.send(server.authorize_query(Some(&frigg), &query)).await.expect(302);
            assert_eq!(answer.sent("error").as_deref(), Some("invalid_request_object"));
            let spent = "DELETE FROM auth_assertions";
            server.sql(spent, &[]).await;
        }
        // an object as an assertion: the type, or the missing `sub` and `jti`
        let typed = key.sign(&both);
        let untyped = key.sign_as(None, &object);
        for jwt in [typed, untyped] {
            let form = [
                ("client_id", app.client_id.as_str()), ("client_assertion", jwt.as_str()),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("grant_type", "refresh_token"), ("refresh_token", "x"),
            ];
            server.token(&form).await.expect_error(400, "invalid_client");
        }
        // tokens of this server, and types of other JWTs signed by the client
        let public = server.public_client().await;
        let tokens = server.tokens(&frigg, &public, &[]).await;
        let foreign = ["at+jwt", "application/at+jwt", "dpop+jwt", "logout+jwt", "token-introspection+jwt"];
        let foreign = foreign.map(|typ| key.sign_as(Some(typ), &object));
        for jwt in foreign.into_iter().chain([tokens.text("access_token"), tokens.text("id_token")]) {
            let query = [("client_id", app.client_id.as_str()), ("request", &jwt)];
            let answer = server.send(server.authorize_query(Some(&frigg), &query)).await.expect(302);
            assert_eq!(answer.sent("error").as_deref(), Some("invalid_request_object"));
        }
        // an object is no access token and no hint
        let signed = key.sign(&object);
        server.get_with_bearer("/api/oauth/userinfo", &signed).await.expect(401);
        let hinted = server.authorize(Some(&frigg), &public, &[("id_token_hint", &signed)]).await;
        told(hinted, "invalid_request");
    }

    /// RFC 9126 §7.2, A-2: the error for a rejected object is redirected only to a registered redirect URI, in a
    /// mode that the object asks for, and only after the sign-in.
    async fn a_rejected_object_opens_no_redirector(setup: Setup) {
        let scene = Scene::of(setup, json!({})).await;
        let stranger = ClientKey::es256();
        let evil = scene.claims(&json!({ "redirect_uri": "https://evil.example/cb" }));
        for key in [&stranger, &scene.key] {
            refused(scene.send(&key.sign(&evil)).await, "invalid_request");
            let pushed = scene.push(&key.sign(&evil)).await.expect(400);
            assert_eq!(pushed.find_header("location"), None);
        }
        // beside an object without a redirect URI, an unregistered one is not used either
        let without = stranger.sign(&scene.claims(&json!({ "redirect_uri": null })));
        let query = [
            ("client_id", scene.app.client_id.as_str()), ("request", &without), ("redirect_uri", "https://evil.example/cb"),
        ];
        let server = &scene.server;
        refused(server.send(server.authorize_query(Some(&scene.frigg), &query)).await, "invalid_request");
        // a guest is sent to the login page first, and the error keeps the mode
        let form = stranger.sign(&scene.claims(&json!({ "response_mode": "form_post" })));
        let query = [("client_id", scene.app.client_id.as_str()), ("request", &form)];
        let answer = server.send(server.authorize_query(None, &query)).await.expect(302);
        assert_eq!(answer.location().path(), "/login");
        let told = BrowserRequest::of(&answer).open(server, &scene.frigg).await;
        let told = told.expect_error(400, "invalid_request_object");
        assert_eq!(told.location().path(), "/api/oauth/authorize/response");
        let posted = server.send(server.authorize_query(Some(&scene.frigg), &query)).await.expect(200);
        assert!(posted.body.contains("invalid_request_object") && posted.body.contains(URI), "{}", posted.body);
    }

    /// RFC 9101 §5: an object and a reference exclude each other, an object is given once, and its length is
    /// bounded.
    async fn an_object_is_given_once_and_is_short(setup: Setup) {
        let scene = Scene::of(setup, json!({})).await;
        let server = &scene.server;
        let object = scene.key.sign(&scene.claims(&json!({})));
        let id = scene.app.client_id.as_str();
        let request_uri = scene.push(&object).await.expect(201).text("request_uri");
        for second in [("request_uri", request_uri.as_str()), ("request", object.as_str())] {
            let query = [("client_id", id), ("request", &object), second];
            refused(server.send(server.authorize_query(Some(&scene.frigg), &query)).await, "invalid_request");
        }
        let query = [("client_id", id), ("request", &object), ("request_uri", "https://app.example/r"), ("state", "st")];
        told(server.send(server.authorize_query(Some(&scene.frigg), &query)).await, "invalid_request_object");
        let long = scene.key.sign(&scene.claims(&json!({ "padding": "x".repeat(9_000) })));
        refused(scene.send(&long).await, "invalid_request");
        scene.push(&long).await.expect_error(400, "invalid_request");
        let wide = scene.key.sign(&scene.claims(&json!({ "state": "x".repeat(3_000), "nonce": "n".repeat(1_000) })));
        scene.push(&wide).await.expect(201);
        server.open_pushed(Some(&scene.frigg), &scene.app, &request_uri).await.expect(302);
    }

    /// RFC 9101 §10.5: a client that signs its requests gets no unsigned request (downgrade), in the browser and
    /// pushed.
    async fn signatures_cannot_be_left_out(setup: Setup) {
        let scene = Scene::of(setup, json!({ "require_signed_request_object": true })).await;
        let server = &scene.server;
        for member in [Some(&scene.frigg), None] {
            refused(server.authorize(member, &scene.app, &[]).await, "invalid_request");
        }
        let form = scene.app.authorization_request(&[]);
        server.post_form("/api/oauth/authorize", &form).await.expect_error(400, "invalid_request");
        server.push(&scene.app, &[]).await.expect_error(400, "invalid_request");
        let object = scene.key.sign(&scene.claims(&json!({})));
        assert!(scene.send(&object).await.expect(302).sent("request_id").is_some());
        let request_uri = scene.push(&object).await.expect(201).text("request_uri");
        server.open_pushed(Some(&scene.frigg), &scene.app, &request_uri).await.expect(302);
        scene.assert_rejected(&ClientKey::es256().sign(&scene.claims(&json!({}))), "none of the client's keys").await;
        // a client without keys cannot demand signatures
        let document = json!({ "redirect_uris": [URI], "require_signed_request_object": true });
        let answer = register(server, &document).await.expect(201).json();
        assert_eq!(answer.get("require_signed_request_object"), None);
        assert!(answer["warnings"][0].as_str().unwrap().starts_with("require_signed_request_object"));
    }

    /// An object of one client is worth nothing in the name of another, also of one with the same keys.
    async fn an_object_belongs_to_its_client(setup: Setup) {
        let scene = Scene::of(setup, json!({})).await;
        let document = json!({ "redirect_uris": [URI], "token_endpoint_auth_method": "none", "jwks": scene.key.jwks() });
        let twin = client_of(&register(&scene.server, &document).await.expect(201), URI);
        let object = scene.key.sign(&scene.claims(&json!({})));
        let query = [("client_id", twin.client_id.as_str()), ("request", &object), ("state", "st")];
        let answer = scene.server.send(scene.server.authorize_query(Some(&scene.frigg), &query)).await;
        told(answer, "invalid_request_object");
        scene.server.post_form("/api/oauth/par", &query).await.expect_error(400, "invalid_request_object");
    }
}
