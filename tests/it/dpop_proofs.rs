//! DPoP proofs (RFC 9449 §4.3): every check, at the token endpoint and at a resource.

use serde_json::{Value, json};

use crate::support::dpop::{NewProof, ProofKey, USERINFO};
use crate::support::forgery::with_mac;
use crate::support::{Answer, Client, Member, Server, both};

const TOKEN: &str = "/api/oauth/token";

/// Obtains a code and returns the response to the exchange with these values of the header `DPoP`.
async fn exchange(server: &Server, app: &Client, code: &str, proofs: &[&[u8]]) -> Answer {
    let mut request = server.token_request(&app.exchange_form(code));
    for proof in proofs {
        request = request.header("DPoP", *proof);
    }
    server.send(request).await
}

/// Obtains a bound access token.
async fn bound_token(server: &Server, member: &Member, app: &Client, key: &ProofKey) -> String {
    let code = server.code(member, app, &[]).await;
    let tokens = server.exchange_with_key(app, &code, key).await.expect(200);
    tokens.text("access_token")
}

/// Changes of the header of a proof that make it invalid.
fn invalid_headers(other: &ProofKey) -> Vec<Value> {
    vec![
        json!({ "typ": null }),
        json!({ "typ": "JWT" }),
        json!({ "typ": "at+jwt" }),
        json!({ "typ": 1 }),
        json!({ "alg": null }),
        json!({ "alg": "none" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "ES384" }),
        json!({ "alg": "RS256" }),
        json!({ "alg": "es256" }),
        json!({ "jwk": null }),
        json!({ "jwk": "x" }),
        json!({ "jwk": {} }),
        json!({ "jwk": other.jwk }),
        json!({ "jwk": { "kty": "oct", "k": "AAAA" } }),
        json!({ "crit": ["exp"] }),
    ]
}

/// Changes of the claims of a proof that make it invalid, also at a resource.
fn invalid_claims(server: &Server, path: &str) -> Vec<Value> {
    let now = server.clock.now().unix_seconds();
    let htu = |url: &str| json!({ "htu": format!("{url}{path}") });
    vec![
        json!({ "jti": null }),
        json!({ "jti": "" }),
        json!({ "jti": 1 }),
        json!({ "jti": "x".repeat(257) }),
        json!({ "htm": null }),
        json!({ "htm": "PUT" }),
        json!({ "htm": "post" }),
        json!({ "htu": null }),
        json!({ "htu": "" }),
        json!({ "htu": path }),
        json!({ "htu": "https://auth.example" }),
        htu("http://auth.example"),
        htu("https://auth.example:8443"),
        htu("https://evil.example"),
        htu("https://auth.example@evil.example"),
        htu("https://user@auth.example"),
        htu("https://auth.example.evil.example"),
        htu("https://auth.example/forum"),
        json!({ "htu": format!("https://auth.example{path}/") }),
        json!({ "htu": format!("https://auth.example{}", path.replace('/', "%2F")) }),
        json!({ "iat": null }),
        json!({ "iat": "now" }),
        json!({ "iat": now - 61 }),
        json!({ "iat": now + 61 }),
        json!({ "iat": i64::MAX }),
        json!({ "iat": i64::MIN }),
    ]
}

/// Returns the invalid proofs for a request, made from valid proofs.
fn invalid_proofs<'a>(
    server: &Server,
    key: &ProofKey,
    path: &str,
    valid: &dyn Fn() -> NewProof<'a>,
) -> Vec<String> {
    let other = ProofKey::new();
    let mut proofs: Vec<String> = invalid_headers(&other)
        .iter()
        .map(|changes| valid().with_header(changes).sign())
        .collect();
    let claims = invalid_claims(server, path);
    proofs.extend(claims.iter().map(|changes| valid().with(changes).sign()));
    for member in ["d", "p", "q", "dp", "dq", "qi", "k"] {
        let mut jwk = key.jwk.clone();
        jwk[member] = json!("AAAA");
        proofs.push(valid().with_header(&json!({ "jwk": jwk })).sign());
    }
    // the public key as the secret of an HMAC
    let mut confused = valid();
    confused.header["alg"] = json!("HS256");
    let secret = key.jwk.to_string();
    proofs.push(with_mac(
        &confused.header,
        &confused.claims,
        secret.as_bytes(),
    ));
    proofs.push(valid().sign_with(&[]));
    proofs.push(valid().sign_with(&[0; 64]));
    let mut whole = valid().sign();
    whole.pop();
    proofs.push(whole);
    proofs.push(format!("{}, {}", valid().sign(), valid().sign()));
    proofs.push(format!("{}.x", valid().sign()));
    proofs.extend(["x", "a.b.c", "..", "{}"].map(str::to_owned));
    let padding = json!({ "padding": "x".repeat(9_000) });
    proofs.push(valid().with(&padding).sign());
    proofs
}

both! {
    /// req_107, RFC 9449 §4.3: an invalid proof is `invalid_dpop_proof`, and consumes nothing.
    async fn an_invalid_proof_is_refused_at_the_token_endpoint(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        let code = server.code(&frigg, &app, &[]).await;
        let valid = || key.proof(&server, "POST", TOKEN);
        for proof in invalid_proofs(&server, &key, TOKEN, &valid) {
            let answer = exchange(&server, &app, &code, &[proof.as_bytes()]).await;
            assert_eq!(answer.status, 400, "{proof:.300}: {}", answer.body);
            let answer = answer.expect_error(400, "invalid_dpop_proof");
            assert!(answer.text("error_description").starts_with("The DPoP proof "), "{}", answer.body);
            assert_eq!(answer.header("cache-control"), "no-store");
        }
        // RFC 9449 §4.3, check 1: one header
        let (one, other) = (valid().sign(), valid().sign());
        for proofs in [[&one, &one], [&one, &other]] {
            let proofs = proofs.map(String::as_bytes);
            exchange(&server, &app, &code, &proofs).await.expect_error(400, "invalid_dpop_proof");
        }
        let not_ascii = [one.as_bytes(), &[0xC3, 0xA9]].concat();
        for proof in [&not_ascii[..], b""] {
            exchange(&server, &app, &code, &[proof]).await.expect_error(400, "invalid_dpop_proof");
        }
        exchange(&server, &app, &code, &[one.as_bytes()]).await.expect(200);
    }

    /// req_107, RFC 9449 §7.1: an invalid proof is a 401 with a challenge, at userinfo and at the API.
    async fn an_invalid_proof_is_refused_at_resources(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let app = server.client(crate::support::NewClient {
            scope: "openid ADMINISTRATOR",
            ..crate::support::NewClient::default()
        }).await;
        let key = ProofKey::new();
        let code = server.code(&odin, &app, &[("scope", "openid ADMINISTRATOR")]).await;
        let token = server.exchange_with_key(&app, &code, &key).await.expect(200).text("access_token");
        for path in [USERINFO, "/api/admin/oauth/clients"] {
            let valid = || key.proof(&server, "GET", path).for_token(&token);
            let mut proofs = invalid_proofs(&server, &key, path, &valid);
            // RFC 9449 §4.3, check 11: the hash of this access token
            for changes in [json!({ "ath": null }), json!({ "ath": "x" }), json!({ "ath": 1 })] {
                proofs.push(valid().with(&changes).sign());
            }
            proofs.push(key.proof(&server, "GET", path).for_token("other").sign());
            proofs.push(key.token_proof(&server));
            for proof in proofs {
                let answer = server.send(server.dpop_request(("GET", path), &token, &proof)).await;
                assert_eq!(answer.status, 401, "{proof:.300}: {}", answer.body);
                answer.expect_dpop_error("invalid_dpop_proof");
            }
            let proof = valid().sign();
            let twice = server.dpop_request(("GET", path), &token, &proof).header("DPoP", &proof);
            server.send(twice).await.expect_dpop_error("invalid_dpop_proof");
            let none = server.request("GET", path).header("authorization", format!("DPoP {token}"));
            server.send(none).await.expect_dpop_error("invalid_dpop_proof");
            server.send(server.dpop_request(("GET", path), &token, &proof)).await.expect(200);
        }
    }

    /// req_107: every algorithm that the metadata name is accepted, for each use of the key.
    async fn every_named_algorithm_is_accepted(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let metadata = server.get("/.well-known/openid-configuration").await.json();
        let named = metadata["dpop_signing_alg_values_supported"].clone();
        let known = ["ES256", "RS256", "PS256", "EdDSA", "Ed25519"];
        assert_eq!(named, json!(known));
        for alg in known {
            let key = ProofKey::of(alg);
            let code = server.code(&frigg, &app, &[("dpop_jkt", &key.thumbprint())]).await;
            let tokens = server.exchange_with_key(&app, &code, &key).await.expect(200);
            assert_eq!(tokens.claims("access_token")["cnf"], json!({ "jkt": key.thumbprint() }), "{alg}");
            server.userinfo_with_key(&tokens.text("access_token"), &key).await.expect(200);
            server.refresh_with_key(&app, &tokens.text("refresh_token"), &key).await.expect(200);
        }
        // A short RSA key proves little.
        let key = ProofKey::of("RS256");
        let short = json!({ "kty": "RSA", "e": "AQAB", "n": &key.jwk["n"].as_str().unwrap()[..171] });
        let proof = key.proof(&server, "POST", TOKEN).with_header(&json!({ "jwk": short })).sign();
        let code = server.code(&frigg, &app, &[]).await;
        exchange(&server, &app, &code, &[proof.as_bytes()]).await.expect_error(400, "invalid_dpop_proof");
    }

    /// req_107, RFC 9449 §4.3, check 9: forms of the same address are equal, and query and fragment do not
    /// count.
    async fn htu_is_normalized(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        let token = bound_token(&server, &frigg, &app, &key).await;
        for htu in [
            "https://auth.example/api/oauth/userinfo?x=1#y",
            "HTTPS://Auth.Example/api/oauth/userinfo",
            "https://auth.example:443/api/oauth/userinfo",
            "https://auth.example/api/./oauth/x/../userinfo",
            "https://auth.example/api/oauth/%75serinfo",
        ] {
            let proof = key.proof(&server, "GET", USERINFO).for_token(&token).with(&json!({ "htu": htu })).sign();
            let path = format!("{USERINFO}?a=b");
            server.send(server.dpop_request(("GET", &path), &token, &proof)).await.expect(200);
        }
    }

    /// req_107: with an issuer with a path, `htu` is the public address, whether a proxy strips the path or not.
    async fn htu_has_the_path_of_the_issuer(setup: Setup) {
        let setup = setup.with("PUBLIC_API_ADDRESS", "https://auth.example/forum");
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let key = ProofKey::new();
        for path in ["/api/oauth/token", "/forum/api/oauth/token"] {
            let code = server.code(&frigg, &app, &[]).await;
            let send = |htu: &str| {
                let htu = json!({ "htu": format!("https://auth.example{htu}") });
                let proof = key.proof(&server, "POST", "").with(&htu).sign();
                let request = server.request("POST", path).form(&app.exchange_form(&code));
                server.send(request.header("DPoP", proof))
            };
            send("/api/oauth/token").await.expect_error(400, "invalid_dpop_proof");
            let tokens = send("/forum/api/oauth/token").await.expect(200);
            let token = tokens.text("access_token");
            let userinfo = path.replace("token", "userinfo");
            let proof = key.proof(&server, "GET", "/forum/api/oauth/userinfo").for_token(&token).sign();
            server.send(server.dpop_request(("GET", &userinfo), &token, &proof)).await.expect(200);
        }
    }

    /// A proof of several megabytes ends the connection, and the server goes on.
    async fn a_huge_proof_is_refused(setup: Setup) {
        let server = setup.start().await;
        for length in [40_000, 3_000_000] {
            let request = server.token_request(&[("grant_type", "client_credentials"), ("client_id", "x")]);
            let sent = request.header("DPoP", "x".repeat(length)).send().await;
            // The connection may be closed before the request is sent.
            assert!(sent.is_err() || sent.is_ok_and(|answer| matches!(answer.status().as_u16(), 400 | 431)));
        }
        server.get("/.well-known/openid-configuration").await.expect(200);
    }
}
