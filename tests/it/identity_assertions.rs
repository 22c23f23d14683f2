//! The JWT bearer grant with identity assertions of trusted issuers (RFC 7523 §2.1, ID-JAG), as enterprise-managed
//! authorization of MCP uses it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use storyden_auth::oauth::grant_type::GrantType;
use time::Duration;

use crate::support::dpop::{ProofKey, USERINFO};
use crate::support::simulated_internet::{Host, Reply, SimulatedInternet};
use crate::support::{Answer, Client, ClientKey, ISSUER, Member, NewClient, Server, Setup, both};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TYPE: &str = "oauth-id-jag+jwt";
const ISSUERS: &str = "/api/admin/oauth/issuers";
const METADATA: &str = "/.well-known/openid-configuration";
const TOOLS: &str = "https://tools.example/mcp";

/// A community that trusts an issuer, and an agent of a member.
struct Community {
    server: Server,
    odin: Member,
    frigg: Member,
    agent: Client,
    issuer: Host,
    key: ClientKey,
    id: String,
}

impl Community {
    /// Starts the server, and adds the issuer with subjects mapped by the table alone.
    async fn start(setup: Setup) -> Self {
        Self::with_people(setup, ["odin", "frigg"]).await
    }

    async fn with_people(setup: Setup, [odin, frigg]: [&str; 2]) -> Self {
        let internet = SimulatedInternet::new();
        let issuer = internet.host("idp.example").await;
        let server = internet
            .around(setup)
            .with("OAUTH_JWT_BEARER", "true")
            .start()
            .await;
        let odin = server.admin(odin).await;
        let frigg = server.member(frigg, &["MANAGE_POSTS"]).await;
        let agent = NewClient {
            client_id: "agent",
            secret: Some("a secret of the agent's server"),
            scope: "openid profile READ_PROFILE MANAGE_POSTS tools:read",
            grants: &[GrantType::AuthorizationCode, GrantType::RefreshToken],
            ..NewClient::default()
        };
        let agent = server.client(agent).await;
        let key = ClientKey::es256();
        let metadata = json!({ "issuer": issuer.url(""), "jwks_uri": issuer.url("/keys") });
        issuer.reply(METADATA, Reply::json("200 OK", "", &metadata));
        issuer.reply("/keys", Reply::json("200 OK", "", &key.jwks()));
        let body = json!({ "url": issuer.url(""), "name": "Company" });
        let id = server
            .post_as(&odin, ISSUERS, &body)
            .await
            .expect(200)
            .text("id");
        let community = Self {
            server,
            odin,
            frigg,
            agent,
            issuer,
            key,
            id,
        };
        let handle = community.frigg.handle.clone();
        community.map("u1", Some(&handle)).await.expect(200);
        community
    }

    async fn map(&self, subject: &str, handle: Option<&str>) -> Answer {
        let mut body = json!({ "subject": subject });
        if let Some(handle) = handle {
            body["handle"] = json!(handle);
        }
        let path = format!("{ISSUERS}/{}/subjects", self.id);
        self.server.post_as(&self.odin, &path, &body).await
    }

    async fn change(&self, properties: &Value) {
        let path = format!("{ISSUERS}/{}", self.id);
        self.server
            .call_as(&self.odin, ("PUT", &path), Some(properties))
            .await
            .expect(200);
    }

    /// The claims of an assertion with its own `jti`, with changed claims; `null` removes a claim.
    fn claims(&self, changed: &Value) -> Value {
        let now = self.server.clock.now().unix_seconds();
        let jti: u64 = next_number();
        let mut claims = json!({
            "iss": self.issuer.url(""), "sub": "u1", "aud": ISSUER, "client_id": "agent",
            "jti": jti.to_string(), "exp": now + 300, "iat": now, "scope": "openid READ_PROFILE",
        });
        for (name, value) in changed.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        claims
    }

    fn assertion(&self, changed: &Value) -> String {
        self.key.sign_as(Some(TYPE), &self.claims(changed))
    }

    /// Sends an assertion, with further parameters.
    async fn send(&self, assertion: &str, further: &[(&str, &str)]) -> Answer {
        let mut form = vec![("grant_type", GRANT), ("assertion", assertion)];
        form.extend(self.agent.credentials());
        form.extend_from_slice(further);
        self.server.token(&form).await
    }
}

/// Every statement about issuers and their assertions, for the test of query plans.
pub(crate) async fn run_every_statement(setup: Setup) {
    let community = Community::with_people(setup, ["mimir", "nanna"]).await;
    community.change(&json!({ "by_email": true })).await;
    community
        .send(&community.assertion(&json!({})), &[])
        .await
        .expect(200);
    let by_email = json!({ "sub": "u2", "email": "nanna@example.com", "email_verified": true });
    community
        .send(&community.assertion(&by_email), &[])
        .await
        .expect(200);
    community.map("u2", Some("nanna")).await.expect(200);
    community.map("u2", None).await.expect(200);
}

/// A number that no other call returns.
fn next_number() -> u64 {
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// A JWT with a header, and a signature that is none.
fn forged(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.{}",
        part(header),
        part(claims),
        URL_SAFE_NO_PAD.encode([7; 32])
    )
}

both! {
    /// Issue 16, RFC 7523 §2.1: an assertion of a trusted issuer gets an access token for the mapped member, without
    /// a refresh token and an ID token, and is used once.
    async fn an_assertion_gets_an_access_token(setup: Setup) {
        let community = Community::start(setup).await;
        let assertion = community.assertion(&json!({}));
        let answer = community.send(&assertion, &[]).await.expect(200);
        assert_eq!((answer.text("token_type"), answer.scope()), ("Bearer".to_owned(), vec!["READ_PROFILE".to_owned(), "openid".to_owned()]));
        for absent in ["refresh_token", "id_token", "issued_token_type"] {
            assert_eq!(answer.json().get(absent), None, "{absent}");
        }
        let claims = answer.claims("access_token");
        assert_eq!((&claims["sub"], &claims["client_id"]), (&json!(community.frigg.id.as_str()), &json!("agent")));
        assert_eq!((&claims["aud"], claims.get("act")), (&json!("storyden"), None));
        let server = &community.server;
        let token = answer.text("access_token");
        let person = server.get_with_bearer(USERINFO, &token).await.expect(200);
        assert_eq!(person.text("sub"), community.frigg.id.as_str());
        let replayed = community.send(&assertion, &[]).await.expect_error(400, "invalid_grant");
        assert!(replayed.text("error_description").contains("used before"));
        // The keys were fetched once, by the issuer's metadata.
        community.send(&community.assertion(&json!({})), &[]).await.expect(200);
        assert_eq!(community.issuer.asked_at("/keys").len(), 1);
        let body = json!({ "account_id": community.frigg.id.as_str() });
        server.post_as(&community.odin, "/api/admin/oauth/revoke", &body).await.expect(200);
        server.get_with_bearer(USERINFO, &token).await.expect_error(401, "invalid_token");
    }

    /// RFC 7523 §3, draft §4.4: everything about an assertion that is refused.
    async fn unacceptable_assertions_are_refused(setup: Setup) {
        let community = Community::start(setup).await;
        let now = community.server.clock.now().unix_seconds();
        for (changed, part) in [
            (json!({ "iss": "https://other.example" }), "https://other.example"),
            (json!({ "iss": format!("{}/", community.issuer.url("")) }), "not trusted"),
            (json!({ "aud": "https://other.example" }), "aud"),
            (json!({ "aud": [ISSUER, "https://other.example"] }), "aud"),
            (json!({ "aud": "https://auth.example/api/oauth/token" }), "aud"),
            (json!({ "client_id": "service" }), "client_id"),
            (json!({ "client_id": null }), "client_id"),
            (json!({ "exp": now - 61 }), "expired"),
            (json!({ "exp": now + 7_200 }), "an hour"),
            (json!({ "iat": now + 120 }), "not valid yet"),
            (json!({ "jti": null }), "jti"),
            (json!({ "sub": "u2" }), "not mapped"),
            (json!({ "sub": "u2", "email": "frigg@example.com", "email_verified": true }), "not mapped"),
        ] {
            let answer = community.send(&community.assertion(&changed), &[]).await;
            let answer = answer.expect_error(400, "invalid_grant");
            let description = answer.text("error_description");
            assert!(description.contains(part), "{changed}: {description}");
        }
        let claims = community.claims(&json!({}));
        let foreign = ClientKey::es256();
        let hmac = json!({ "alg": "HS256", "typ": TYPE, "kid": community.key.kid });
        for (assertion, part) in [
            (foreign.sign_as(Some(TYPE), &claims), "none of the issuer's keys"),
            (community.key.sign_as(None, &claims), "typ"),
            (community.key.sign_as(Some("JWT"), &claims), "typ"),
            (community.key.sign_as(Some("at+jwt"), &claims), "typ"),
            (forged(&json!({ "alg": "none", "typ": TYPE }), &claims), "alg"),
            (forged(&hmac, &claims), "alg"),
            ("x.y.z".to_owned(), "no JWT"),
        ] {
            let answer = community.send(&assertion, &[]).await.expect_error(400, "invalid_grant");
            let description = answer.text("error_description");
            assert!(description.contains(part), "{description}");
        }
        // An identity assertion authenticates no client.
        let assertion = community.assertion(&json!({ "iss": "agent", "sub": "agent" }));
        let as_client = [
            ("grant_type", "client_credentials"), ("client_assertion", assertion.as_str()),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ];
        community.server.token(&as_client).await.expect_error(400, "invalid_client");
        let form = [("grant_type", GRANT), ("client_id", "agent"), ("client_secret", "wrong"), ("assertion", "x")];
        community.server.token(&form).await.expect_error(400, "invalid_client");
        community.server.public_client().await;
        let form = [("grant_type", GRANT), ("client_id", "app"), ("assertion", "x")];
        community.server.token(&form).await.expect_error(400, "unauthorized_client");
        let form = [("grant_type", GRANT), ("client_id", "agent"), ("client_secret", "a secret of the agent's server")];
        community.server.token(&form).await.expect_error(400, "invalid_request");
        community.send(&community.assertion(&json!({})), &[]).await.expect(200);
    }

    /// Issue 16: scope and resources are within the assertion, the client and the member's current permissions.
    async fn scope_is_within_assertion_client_and_member(setup: Setup) {
        let community = Community::start(setup).await;
        let Community { server, odin, frigg, .. } = &community;
        let resource = json!({ "url": TOOLS, "scopes": [{ "name": "tools:read" }] });
        server.post_as(odin, "/api/admin/oauth/resources", &resource).await.expect(200);
        let send = async |changed: Value, further: &[(&str, &str)]| {
            community.send(&community.assertion(&changed), further).await
        };
        let all = json!({ "scope": "openid READ_PROFILE MANAGE_POSTS MANAGE_ROLES" });
        assert_eq!(send(all.clone(), &[]).await.expect(200).scope(), ["MANAGE_POSTS", "READ_PROFILE", "openid"]);
        assert_eq!(send(all.clone(), &[("scope", "openid")]).await.expect(200).scope(), ["openid"]);
        send(json!({}), &[("scope", "MANAGE_POSTS")]).await.expect_error(400, "invalid_scope");
        send(json!({ "scope": "MANAGE_ROLES" }), &[]).await.expect_error(400, "invalid_scope");
        let without = send(json!({ "scope": null }), &[]).await.expect(200);
        assert_eq!(without.scope(), ["MANAGE_POSTS", "READ_PROFILE", "openid", "profile"]);

        let tools = json!({ "resource": TOOLS, "scope": "tools:read" });
        let answer = send(tools.clone(), &[]).await.expect(200);
        assert_eq!((&answer.claims("access_token")["aud"], answer.scope()), (&json!(TOOLS), vec!["tools:read".to_owned()]));
        send(tools.clone(), &[("resource", TOOLS)]).await.expect(200);
        send(tools, &[("resource", "https://auth.example/api")]).await.expect_error(400, "invalid_target");
        send(json!({ "resource": "https://unknown.example" }), &[]).await.expect_error(400, "invalid_target");
        let two = json!({ "resource": [TOOLS, "https://auth.example/api"], "scope": "READ_PROFILE tools:read" });
        let narrowed = send(two, &[("resource", "https://auth.example/api")]).await.expect(200);
        assert_eq!(narrowed.scope(), ["READ_PROFILE"]);

        server.remove_permissions_except_use_clients(frigg).await;
        assert_eq!(send(all, &[]).await.expect(200).scope(), ["READ_PROFILE", "openid"]);
        server.sql("UPDATE accounts SET deleted_at = created_at WHERE id = $1", &[frigg.id.as_str()]).await;
        let suspended = send(json!({}), &[]).await.expect_error(400, "invalid_grant");
        assert!(suspended.text("error_description").contains("suspended"));
    }

    /// Issue 16: a verified address counts only if the issuer may name addresses, and only for a verified address of
    /// the account; the table comes first.
    async fn subjects_are_mapped_by_table_or_verified_address(setup: Setup) {
        let community = Community::start(setup).await;
        let Community { server, .. } = &community;
        let loki = server.member("loki", &[]).await;
        let send = async |changed: Value| community.send(&community.assertion(&changed), &[]).await;
        let by_email = |verified: bool| json!({ "sub": "u2", "email": "LOKI@example.com", "email_verified": verified });
        send(by_email(true)).await.expect_error(400, "invalid_grant");
        community.change(&json!({ "by_email": true })).await;
        let answer = send(by_email(true)).await.expect(200);
        assert_eq!(answer.claims("access_token")["sub"], loki.id.as_str());
        send(by_email(false)).await.expect_error(400, "invalid_grant");
        send(json!({ "sub": "u2", "email": "loki@example.com" })).await.expect_error(400, "invalid_grant");
        community.map("u2", Some("frigg")).await.expect(200);
        let mapped = send(by_email(true)).await.expect(200);
        assert_eq!(mapped.claims("access_token")["sub"], community.frigg.id.as_str());
        let shown = community.map("u2", None).await.expect(200).json();
        assert_eq!(shown["subjects"].as_array().unwrap().len(), 1);
        community.map("u2", None).await.expect(404);
        community.map("u2", Some("nobody")).await.expect(404);
        community.map("", Some("frigg")).await.expect(400);
        server.sql("UPDATE emails SET verified = false WHERE account_id = $1", &[loki.id.as_str()]).await;
        send(by_email(true)).await.expect_error(400, "invalid_grant");
    }

    /// Issue 16: keys are fetched by the guard and cached; a rotated key is found, an issuer that is away is a
    /// temporary error.
    async fn keys_of_an_issuer_are_fetched(setup: Setup) {
        let community = Community::start(setup).await;
        let Community { server, issuer, .. } = &community;
        community.send(&community.assertion(&json!({})), &[]).await.expect(200);
        let next = ClientKey::es256();
        issuer.reply("/keys", Reply::json("200 OK", "", &next.jwks()));
        let signed = || next.sign_as(Some(TYPE), &community.claims(&json!({})));
        community.send(&signed(), &[]).await.expect_error(400, "invalid_grant");
        server.turn(Duration::seconds(31));
        community.send(&signed(), &[]).await.expect(200);
        assert_eq!(issuer.asked_at("/keys").len(), 2);
        issuer.reply("/keys", Reply::body("503 Service Unavailable", "", ""));
        server.turn(Duration::minutes(11));
        let away = community.send(&signed(), &[]).await;
        assert_eq!((away.status, away.text("error")), (503, "temporarily_unavailable".to_owned()));
        // Metadata of another issuer are not believed (RFC 8414 §3.3).
        issuer.reply("/keys", Reply::json("200 OK", "", &next.jwks()));
        issuer.reply(METADATA, Reply::json("200 OK", "", &json!({ "issuer": "https://other.example", "jwks_uri": issuer.url("/keys") })));
        community.send(&signed(), &[]).await.expect(503);
        community.change(&json!({ "by_email": false, "jwks_uri": issuer.url("/keys") })).await;
        community.send(&signed(), &[]).await.expect(200);
        let path = format!("{ISSUERS}/{}", community.id);
        server.call_as(&community.odin, ("DELETE", &path), None).await.expect(204);
        community.send(&signed(), &[]).await.expect_error(400, "invalid_grant");
        server.call_as(&community.odin, ("DELETE", &path), None).await.expect(404);
    }

    /// RFC 9449 §5: with a proof, the token is bound to the key.
    async fn a_token_of_an_assertion_is_bound_to_a_key(setup: Setup) {
        let community = Community::start(setup).await;
        let key = ProofKey::new();
        let assertion = community.assertion(&json!({}));
        let mut form = vec![("grant_type", GRANT), ("assertion", assertion.as_str())];
        form.extend(community.agent.credentials());
        let answer = community.server.token_with_key(&form, &key).await.expect(200);
        assert_eq!(answer.claims("access_token")["cnf"], json!({ "jkt": key.thumbprint() }));
        let token = answer.text("access_token");
        community.server.userinfo_with_key(&token, &key).await.expect(200);
        community.server.userinfo_with_key(&token, &ProofKey::new()).await.expect(401);
    }

    /// Issue 16: off unless the operator turns it on, and named in the metadata then. Issuers are checked.
    async fn assertions_are_off_by_default(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let service = server.confidential_client(&odin.id).await;
        let mut form = vec![("grant_type", GRANT), ("assertion", "x")];
        form.extend(service.credentials());
        server.token(&form).await.expect_error(400, "unsupported_grant_type");
        let metadata = async |server: &Server| server.get(METADATA).await.expect(200).json();
        assert_eq!(metadata(&server).await.get("authorization_grant_profiles_supported"), None);
        for (url, part) in [
            ("http://idp.example", "https"),
            ("idp.example", "must be a URL"),
            ("https://user@idp.example", "user name"),
            ("https://idp.example?x", "query"),
            ("https://auth.example", "this server itself"),
        ] {
            let refused = server.post_as(&odin, ISSUERS, &json!({ "url": url })).await.expect(400);
            assert!(refused.text("detail").contains(part), "{}", refused.body);
        }
        let good = json!({ "url": "https://idp.example" });
        server.post_as(&odin, ISSUERS, &good).await.expect(200);
        server.post_as(&odin, ISSUERS, &good).await.expect(409);
        let listed = server.call_as(&odin, ("GET", ISSUERS), None).await.expect(200).json();
        assert_eq!((&listed["enabled"], &listed["issuers"][0]["url"]), (&json!(false), &good["url"]));
        let on = setup.with("OAUTH_JWT_BEARER", "true").start().await;
        let shown = metadata(&on).await;
        assert_eq!(shown["authorization_grant_profiles_supported"], json!(["urn:ietf:params:oauth:grant-profile:id-jag"]));
        assert!(shown["grant_types_supported"].as_array().unwrap().contains(&json!(GRANT)));
    }

    /// Issue 16: at the maximum of mapped subjects, a known subject can still be mapped to another account.
    async fn mapped_subjects_have_a_maximum(setup: Setup) {
        let community = Community::start(setup).await;
        let fill = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) \
                    INSERT INTO auth_issuer_subjects (issuer_id, subject, account_id, created_at) \
                    SELECT s.issuer_id, 'filler-' || i, s.account_id, s.created_at FROM auth_issuer_subjects s, n \
                    WHERE s.subject = 'u1'";
        assert_eq!(community.server.sql(fill, &[]).await, 9_999);
        let refused = community.map("u2", Some("frigg")).await.expect(400);
        assert!(refused.text("detail").contains("10000 mapped subjects"), "{}", refused.body);
        community.map("u1", Some("odin")).await.expect(200);
        community.map("filler-1", None).await.expect(200);
        community.map("u2", Some("frigg")).await.expect(200);
    }

    /// Issue 16: the commands for issuers.
    async fn an_operator_manages_issuers(setup: Setup) {
        const URL: &str = "https://idp.invalid";
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        let run = async |arguments: &[&str]| {
            let ended = setup.run(arguments, &[]).await;
            assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
            ended
        };
        let added = run(&["issuer", "add", URL, "--name", "Company", "--json"]).await;
        assert!(added.stderr.contains("cannot be read") && added.stderr.contains("OAUTH_JWT_BEARER"), "{}", added.stderr);
        run(&["issuer", "map", URL, "u1", "--account", "frigg"]).await;
        let set = run(&["issuer", "set", URL, "--by-email", "true", "--jwks-uri", "https://idp.invalid/keys", "--json"]).await;
        let shown: Value = serde_json::from_str(&set.stdout).unwrap();
        assert_eq!((&shown["by_email"], &shown["name"]), (&json!(true), &json!("Company")));
        assert_eq!(shown["subjects"][0]["handle"], "frigg");
        assert!(run(&["issuer", "list"]).await.stdout.contains(URL));
        assert!(run(&["issuer", "show", URL]).await.stdout.contains("u1 is @frigg"));
        let findings = setup.run(&["doctor", "--json"], &[]).await.stdout;
        assert!(findings.contains("every assertion is refused") && findings.contains("the keys of the issuer https://idp.invalid cannot be read"), "{findings}");
        let exported = run(&["export"]).await.stdout;
        assert!(exported.contains("[[issuer]]") && exported.contains("by_email = true"), "{exported}");
        run(&["issuer", "unmap", URL, "u1"]).await;
        assert_eq!(setup.run(&["issuer", "unmap", URL, "u1"], &[]).await.code, Some(1));
        assert_eq!(setup.run(&["issuer", "remove", URL], &[]).await.code, Some(1));
        run(&["issuer", "remove", URL, "--yes"]).await;
        assert_eq!(setup.run(&["issuer", "show", URL], &[]).await.code, Some(1));
    }
}
