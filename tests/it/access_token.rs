//! Access tokens (RFC 9068) and ID tokens: claims, and acceptance at userinfo.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use insta::{allow_duplicates, assert_json_snapshot};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::Duration;

use crate::support::forgery::{
    signed, signed_by_another, signed_es256, signed_rs512, signed_text, unsigned, with_mac,
};
use crate::support::{Answer, NewClient, Server, both};

/// Calls userinfo with a token.
async fn show(server: &Server, token: &str) -> Answer {
    server.get_with_bearer("/api/oauth/userinfo", token).await
}

/// Expects a rejection as in RFC 6750 §3.1.
async fn refused(server: &Server, token: &str) {
    let answer = show(server, token).await;
    let answer = answer.expect_error(401, "invalid_token");
    let challenge = answer.challenge();
    assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""));
}

/// Header and claims of a valid token, as a basis for forgeries.
async fn valid_token_parts(server: &Server) -> (Value, Value) {
    let frigg = server.member("frigg", &[]).await;
    let app = server.public_client().await;
    let tokens = server.tokens(&frigg, &app, &[]).await;
    (
        tokens.jwt_header("access_token"),
        tokens.claims("access_token"),
    )
}

/// Returns a copy of `json` with changed members; `null` removes a member.
fn changed(json: &Value, changes: &Value) -> Value {
    let mut json = json.clone();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(json.as_object_mut().unwrap().remove(name)),
            value => json[name] = value.clone(),
        }
    }
    json
}

both! {
    /// req_094, req_095, req_096, req_097, req_098, req_050, req_115: an access token has issuer,
    /// subject, audience, scope and expiry.
    async fn access_token_has_the_claims_of_rfc9068(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[("scope", "openid READ_PROFILE")]).await;
        let (mut header, mut claims) = (tokens.jwt_header("access_token"), tokens.claims("access_token"));
        let jwks = server.get("/api/oauth/jwks").await.json();
        assert_eq!(header["kid"], jwks["keys"][0]["kid"]);
        assert_eq!(claims["sub"], frigg.id.as_str());
        assert_eq!(claims["jti"].as_str().unwrap().len(), 16);
        assert_eq!(claims["gid"].as_str().unwrap().len(), 20);
        (header["kid"], claims["sub"]) = (json!("[kid]"), json!("[sub]"));
        (claims["jti"], claims["gid"]) = (json!("[jti]"), json!("[gid]"));
        allow_duplicates! { assert_json_snapshot!([header, claims], @r#"
        [
          {
            "alg": "RS256",
            "kid": "[kid]",
            "typ": "at+jwt"
          },
          {
            "aud": "storyden",
            "auth_time": 1767225600,
            "client_id": "app",
            "exp": 1767226500,
            "gid": "[gid]",
            "iat": 1767225600,
            "iss": "https://auth.example",
            "jti": "[jti]",
            "scope": "openid READ_PROFILE",
            "sub": "[sub]"
          }
        ]
        "#) }
        let again = server.tokens(&frigg, &app, &[]).await.claims("access_token");
        assert_ne!(again["jti"], tokens.claims("access_token")["jti"]);
        assert_ne!(again["gid"], tokens.claims("access_token")["gid"]);
    }

    /// req_162, req_174, req_175: the ID token has the account as `sub` and the client as `aud`, and
    /// agrees with userinfo.
    async fn id_token_agrees_with_userinfo(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        let mut claims = tokens.claims("id_token");
        let info = show(&server, &tokens.text("access_token")).await.expect(200).json();
        assert_eq!((&claims["sub"], &info["sub"]), (&json!(frigg.id.as_str()), &json!(frigg.id.as_str())));
        assert_eq!(claims["name"], info["name"]);
        // OpenID Connect Core §3.1.3.6: the left half of the access token's hash
        let half = &Sha256::digest(tokens.text("access_token"))[..16];
        assert_eq!(claims["at_hash"], URL_SAFE_NO_PAD.encode(half));
        (claims["sub"], claims["at_hash"]) = (json!("[sub]"), json!("[at_hash]"));
        allow_duplicates! { assert_json_snapshot!(claims, @r#"
        {
          "at_hash": "[at_hash]",
          "aud": "app",
          "auth_time": 1767225600,
          "exp": 1767226500,
          "iat": 1767225600,
          "iss": "https://auth.example",
          "name": "Frigg",
          "sub": "[sub]"
        }
        "#) }
        let bare = server.tokens(&frigg, &app, &[("scope", "openid")]).await.claims("id_token");
        assert_eq!((bare.get("name"), bare.get("email")), (None, None));
    }

    /// req_047, req_050: an access token expires after exactly fifteen minutes.
    async fn access_token_expires_after_fifteen_minutes(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let token = server.tokens(&frigg, &app, &[]).await.text("access_token");
        server.turn(Duration::minutes(15) - Duration::seconds(1));
        show(&server, &token).await.expect(200);
        server.turn(Duration::seconds(1));
        refused(&server, &token).await;
    }

    /// A-77: a negative lifetime issues tokens that are already expired.
    async fn negative_lifetime_issues_expired_tokens(setup: Setup) {
        let server = setup.with("OAUTH_ACCESS_TOKEN_TTL", "-1h").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let token = server.tokens(&frigg, &app, &[]).await.text("access_token");
        refused(&server, &token).await;
    }

    /// A-74, req_095, req_100, req_181: only RS256 signatures by the server's key are accepted
    /// (algorithm confusion).
    async fn only_rs256_is_accepted(setup: Setup) {
        let server = setup.start().await;
        let (header, claims) = valid_token_parts(&server).await;
        show(&server, &signed(&header, &claims)).await.expect(200); // the token is valid except for the changes below
        for alg in ["none", "NONE", "None", "nOnE", "", "RS256"] {
            refused(&server, &unsigned(&changed(&header, &json!({ "alg": alg })), &claims)).await;
        }
        let jwk = server.get("/api/oauth/jwks").await.json()["keys"][0].clone();
        for key in [jwk["n"].as_str().unwrap(), &jwk.to_string()] {
            for alg in ["HS256", "RS256"] {
                let header = changed(&header, &json!({ "alg": alg }));
                refused(&server, &with_mac(&header, &claims, key.as_bytes())).await;
            }
        }
        refused(&server, &signed_rs512(&changed(&header, &json!({ "alg": "RS512" })), &claims)).await;
        refused(&server, &signed_rs512(&header, &claims)).await;
        refused(&server, &signed_es256(&changed(&header, &json!({ "alg": "ES256" })), &claims)).await;
        refused(&server, &signed(&changed(&header, &json!({ "alg": "RS512" })), &claims)).await;
        refused(&server, &signed(&changed(&header, &json!({ "alg": null })), &claims)).await;
        refused(&server, &signed_by_another(&header, &claims)).await;
    }

    /// A-75, req_181: `kid`, `jku`, `x5u` and `jwk` in a token header select no other key, and no key
    /// is fetched (SSRF).
    async fn header_cannot_select_a_key(setup: Setup) {
        let server = setup.start().await;
        let (header, claims) = valid_token_parts(&server).await;
        let trap = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        trap.set_nonblocking(true).unwrap();
        let url = format!("http://{}/jwks", trap.local_addr().unwrap());
        for kid in ["../../../../dev/null", "' OR 1=1 --", "another", "", &"k".repeat(4_000)] {
            refused(&server, &signed(&changed(&header, &json!({ "kid": kid })), &claims)).await;
        }
        let jwk = server.get("/api/oauth/jwks").await.json()["keys"][0].clone();
        for extra in [json!({ "jku": url }), json!({ "x5u": url }), json!({ "jwk": jwk }), json!({ "jku": url, "kid": "x" })] {
            refused(&server, &signed_by_another(&changed(&header, &extra), &claims)).await;
        }
        let twice = header.to_string().replacen('{', "{\"kid\":\"x\",", 1);
        let twice = show(&server, &signed_text(&twice, &claims.to_string())).await;
        assert!(matches!(twice.status, 200 | 401)); // a valid and an invalid header: either answer is allowed
        let critical = changed(&header, &json!({ "crit": ["exp"] }));
        refused(&server, &signed(&critical, &claims)).await;
        assert!(trap.accept().is_err(), "a key was fetched");
    }

    /// A-76, req_100: ID tokens, refresh tokens and JWTs with a wrong `typ` are rejected (token
    /// confusion).
    async fn tokens_of_another_type_are_rejected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        // The ID tokens of this client have the audience of access tokens.
        let app = server.client(NewClient { client_id: "storyden", ..NewClient::default() }).await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        refused(&server, &tokens.text("id_token")).await;
        refused(&server, &tokens.text("refresh_token")).await;
        let (header, claims) = (tokens.jwt_header("access_token"), tokens.claims("access_token"));
        for typ in [json!("JWT"), json!("logout+jwt"), json!(""), Value::Null] {
            refused(&server, &signed(&changed(&header, &json!({ "typ": typ })), &claims)).await;
        }
        for typ in ["AT+JWT", "application/at+jwt"] {
            show(&server, &signed(&changed(&header, &json!({ "typ": typ })), &claims)).await.expect(200);
        }
    }

    /// A-76, req_100: a wrong issuer, audience or subject is rejected.
    async fn wrong_issuer_audience_or_subject_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let (header, claims) = valid_token_parts(&server).await;
        for change in [
            json!({ "iss": "https://evil.example" }),
            json!({ "iss": "https://auth.example/" }),
            json!({ "iss": null }),
            json!({ "aud": "another" }),
            json!({ "aud": [] }),
            json!({ "aud": ["another"] }),
            json!({ "aud": null }),
            json!({ "aud": "Storyden" }),
            json!({ "sub": "nobody" }),
            json!({ "sub": "" }),
            json!({ "sub": null }),
            json!({ "sub": 1 }),
            json!({ "scope": ["openid"] }),
            json!({ "scope": "openid NOBODY_KNOWS" }),
        ] {
            refused(&server, &signed(&header, &changed(&claims, &change))).await;
        }
        let several = changed(&claims, &json!({ "aud": ["https://auth.example/api", "storyden"] }));
        show(&server, &signed(&header, &several)).await.expect(200);
    }

    /// A-77: a missing, malformed or future time is rejected; 30 s of clock skew are accepted.
    async fn invalid_times_are_rejected(setup: Setup) {
        let server = setup.start().await;
        let (header, claims) = valid_token_parts(&server).await;
        let now = claims["iat"].as_i64().unwrap();
        for change in [
            json!({ "exp": null }),
            json!({ "exp": (now + 900).to_string() }),
            json!({ "exp": 1.5e10 }),
            json!({ "exp": -1 }),
            json!({ "exp": now }),
            json!({ "exp": true }),
            json!({ "nbf": now + 31 }),
            json!({ "nbf": "soon" }),
            json!({ "iat": now + 31 }),
            json!({ "iat": now + 600 }),
        ] {
            refused(&server, &signed(&header, &changed(&claims, &change))).await;
        }
        let text = claims.to_string().replace(&format!("\"exp\":{}", now + 900), "\"exp\":1e400");
        assert!(text.contains("1e400"));
        refused(&server, &signed_text(&header.to_string(), &text)).await;
        let skewed = changed(&claims, &json!({ "iat": now + 30, "nbf": now + 30 }));
        show(&server, &signed(&header, &skewed)).await.expect(200);
    }

    /// A-78: a truncated, padded or oversized token is rejected.
    async fn malformed_token_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let (header, claims) = valid_token_parts(&server).await;
        let token = signed(&header, &claims);
        let (unsigned, signature) = token.rsplit_once('.').unwrap();
        for mangled in [
            unsigned.to_owned(),
            format!("{unsigned}."),
            token[..token.len() - 1].to_owned(),
            token[1..].to_owned(),
            format!("{token}=="),
            format!("{token}."),
            format!("{token}.{signature}"),
            format!("{unsigned}. {signature}"),
            format!("{unsigned}.{}", signature.replace('_', "/")) + "/",
            "ey".to_owned(),
            "..".to_owned(),
            "x".to_owned(),
            format!("{token}{}", "A".repeat(8_192)),
        ] {
            refused(&server, &mangled).await;
        }
        refused(&server, &signed(&header, &changed(&claims, &json!({ "x": "y".repeat(8_192) })))).await;
        refused(&server, &signed_text("{}", "{}")).await;
        refused(&server, &signed_text("not json", "[]")).await;
        show(&server, &token).await.expect(200);
    }

    /// A-105: the access token of a suspended or deleted account is rejected.
    async fn token_of_a_suspended_account_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let token = server.tokens(&frigg, &app, &[]).await.text("access_token");
        server.suspend(&frigg).await;
        refused(&server, &token).await;
        server.reinstate(&frigg).await;
        show(&server, &token).await.expect(200);
        server.sql("DELETE FROM accounts WHERE id = $1", &[frigg.id.as_str()]).await;
        refused(&server, &token).await;
    }

    /// A-14, A-24, P6: revocation of a grant invalidates the access tokens of that grant alone, on
    /// every replica.
    async fn grant_revocation_invalidates_access_tokens(setup: Setup) {
        let (one, two) = (setup.start().await, setup.start().await);
        let frigg = one.member("frigg", &[]).await;
        let app = one.public_client().await;
        let bystander = one.tokens(&frigg, &app, &[]).await.text("access_token");
        let first = one.tokens(&frigg, &app, &[]).await;
        let second = one.refresh(&app, &first.text("refresh_token")).await.expect(200);
        one.turn(Duration::seconds(10));
        one.refresh(&app, &first.text("refresh_token")).await.expect_error(400, "invalid_grant");
        for server in [&one, &two] {
            refused(server, &first.text("access_token")).await;
            refused(server, &second.text("access_token")).await;
            show(server, &bystander).await.expect(200);
        }
    }
}
