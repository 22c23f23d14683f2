//! Malformed text, instants and bodies: every operation rejects bad input with a 4xx status and never
//! 500, on both engines.

use serde_json::{Map, Value, json};

use crate::support::simulated_internet::{Reply, SimulatedInternet};
use crate::support::{Answer, Client, Engine, Member, Server, Setup, both};

/// Text that breaks parsers or databases, tried in every parameter and every member.
const TEXTS: &[&str] = &[
    "a\0b",
    "\0",
    "9999-12-31T23:59:59-23:59",
    "0000-01-01T00:00:00+01:00",
    "10000-01-01T00:00:00Z",
    "-1",
    "99999999999999999999",
    "1e400",
    "https://x.example/\0",
    "https://[::1",
    "\u{ffff}\u{202e}\u{feff}\u{10ffff}",
    "%00%",
    "' OR 1=1 --",
];

/// Returns an incompressible text longer than the maximum of a PostgreSQL index row.
fn long() -> String {
    let mut state = 1_u64;
    let letters = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap())
    });
    letters.take(3_900).collect()
}

/// An operation of the OpenAPI document.
struct Operation {
    method: String,
    path: String,
    query: Vec<String>,
    /// Media type and members of the body.
    body: Option<(String, Vec<(String, Value)>)>,
}

/// Returns every operation of the OpenAPI document.
async fn operations(server: &Server) -> Vec<Operation> {
    let document = server.get("/api/openapi.json").await.expect(200).json();
    let resolve = |schema: &Value| match schema["$ref"].as_str() {
        Some(name) => document
            .pointer(name.trim_start_matches('#'))
            .unwrap()
            .clone(),
        None => schema.clone(),
    };
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let query = parameters.iter().filter(|one| one["in"] == "query");
            let body = operation["requestBody"]["content"]
                .as_object()
                .map(|content| {
                    let (kind, content) = content.iter().next().unwrap();
                    let schema = resolve(&content["schema"]);
                    let members = schema["properties"]
                        .as_object()
                        .cloned()
                        .unwrap_or_default();
                    let members = members
                        .into_iter()
                        .map(|(name, schema)| (name, resolve(&schema)));
                    (kind.clone(), members.collect())
                });
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                query: query
                    .map(|one| one["name"].as_str().unwrap().to_owned())
                    .collect(),
                body,
            });
        }
    }
    assert!(operations.len() > 50, "{}", operations.len());
    operations
}

/// Returns a valid value, so that validation reaches the parameter under test.
fn valid_value(name: &str, schema: &Value) -> Value {
    let known = match name {
        "redirect_uris" => json!(["https://app.example/cb"]),
        "allowed_scopes" | "requested_scopes" => json!(["READ_PROFILE"]),
        "allowed_grants" | "grant_types" => json!(["authorization_code"]),
        "type" => json!("public"),
        "response_type" => json!("code"),
        "code_challenge_method" => json!("S256"),
        "code_challenge" => json!(crate::support::CHALLENGE),
        "code_verifier" => json!(crate::support::VERIFIER),
        "client_id" => json!("app"),
        "redirect_uri" => json!("https://app.example/cb"),
        "resource_url" => json!("https://tools.example/mcp"),
        "mode" => json!("manual"),
        "scope" => json!("openid"),
        "decision" => json!("approve"),
        "token_endpoint_auth_method" => json!("none"),
        "manual" => json!({
            "client_id": "x", "authorization_endpoint": "https://tools.example/a",
            "token_endpoint": "https://tools.example/t",
        }),
        "jwks" => Value::Null,
        "handle" => json!("newcomer"),
        "password" | "token" => json!(crate::support::PASSWORD),
        "dry_run" => json!(true),
        _ => match schema["type"].as_str() {
            Some("boolean") => json!(true),
            Some("array") => json!(["x"]),
            Some("integer") => json!(1),
            Some("object") => json!({}),
            _ => json!("x"),
        },
    };
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    known
}

/// Returns the text as each JSON type that the member may have.
fn shapes(name: &str, text: &str) -> Vec<Value> {
    let mut shapes = vec![json!(text), json!([text])];
    if name == "jwks" {
        shapes.push(json!({ "keys": [{ "kty": "EC", "kid": text, "x": text }] }));
        shapes.push(json!({ "keys": [{ "kty": "EC", text: "x" }] }));
    }
    if name == "manual" {
        let mut manual = valid_value("manual", &Value::Null);
        for member in ["client_id", "client_secret", "scope"] {
            manual[member] = json!(text);
        }
        shapes.push(manual);
    }
    shapes
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

/// Creates a session per request, because sign-out and revocation end sessions.
async fn session(server: &Server, member: &Member) -> String {
    let begun = storyden_auth::http::member::session::begin(&server.context, &member.id);
    begun.await.unwrap().0.reveal().to_owned()
}

/// Sends a request with a session, and asserts that the status is no 5xx except 503.
async fn assert_no_server_error(
    server: &Server,
    admin: &Member,
    request: reqwest::RequestBuilder,
    what: &str,
) {
    let cookie = format!("storyden-session={}", session(server, admin).await);
    let answer = server.send(request.header("cookie", cookie)).await;
    // The profile `storyden` answers 500 if a remote server cannot be reached.
    let of_another = answer.body.contains("the name of the host has no address");
    let failed = answer.status >= 500 && answer.status != 503 && !of_another;
    assert!(!failed, "{what}: {} {}", answer.status, answer.body);
}

/// Tries every text in every place of every operation, and returns the number of requests.
#[expect(clippy::too_many_lines, reason = "a list of requests")]
async fn try_all_texts(server: &Server, admin: &Member) -> usize {
    let long = [long(), format!("https://tools.example/{}", long())];
    let texts: Vec<&str> = TEXTS
        .iter()
        .copied()
        .chain(long.iter().map(String::as_str))
        .collect();
    let mut tried = 0;
    for operation in &operations(server).await {
        let Operation {
            method,
            path,
            query,
            body,
        } = operation;
        let at = |id: &str| {
            let mut parts = path.split('/').map(|part| {
                if part.starts_with('{') {
                    id.to_owned()
                } else {
                    part.to_owned()
                }
            });
            let first = parts.next().unwrap_or_default();
            parts.fold(first, |path, part| path + "/" + &part)
        };
        let known = "0000000000000000000g";
        let none = Value::Null;
        for text in &texts {
            if path.contains('{') {
                let request = server.request(method, &at(&encoded(text)));
                assert_no_server_error(
                    server,
                    admin,
                    request.json(&json!({})),
                    &format!("{method} {path} {text:?}"),
                )
                .await;
                tried += 1;
            }
            for name in query {
                let others = query.iter().filter(|other| *other != name);
                let mut pairs: Vec<(String, String)> = others
                    .map(|other| {
                        (
                            other.clone(),
                            valid_value(other, &none).as_str().unwrap_or("1").to_owned(),
                        )
                    })
                    .collect();
                pairs.push((name.clone(), (*text).to_owned()));
                for pairs in [&pairs[..], &pairs[pairs.len() - 1..]] {
                    let request = server.request(method, &at(known)).query(pairs);
                    let request = if method == "GET" {
                        request
                    } else {
                        request.json(&json!({}))
                    };
                    assert_no_server_error(
                        server,
                        admin,
                        request,
                        &format!("{method} {path}?{name}={text:?}"),
                    )
                    .await;
                    tried += 1;
                }
            }
            let Some((kind, members)) = body else {
                continue;
            };
            for (name, _) in members {
                let others = members.iter().filter(|(other, _)| other != name);
                let base: Map<String, Value> = others
                    .map(|(other, schema)| (other.clone(), valid_value(other, schema)))
                    .filter(|(_, value)| !value.is_null())
                    .collect();
                let what = format!("{method} {path} {name}={text:?}");
                if kind == "application/json" {
                    for shape in shapes(name, text) {
                        let mut body = base.clone();
                        body.insert(name.clone(), shape);
                        let request = server.request(method, &at(known)).json(&body);
                        assert_no_server_error(server, admin, request, &what).await;
                        tried += 1;
                    }
                } else {
                    for grant in [
                        "authorization_code",
                        "refresh_token",
                        "client_credentials",
                        "password",
                    ] {
                        let mut form: Vec<(String, String)> = base
                            .iter()
                            .map(|(other, value)| {
                                (other.clone(), value.as_str().unwrap_or("x").to_owned())
                            })
                            .filter(|(other, _)| {
                                !matches!(&**other, "grant_type" | "client_secret")
                                    && !other.starts_with("client_assertion")
                            })
                            .collect();
                        form.push(("grant_type".to_owned(), grant.to_owned()));
                        form.push((name.clone(), (*text).to_owned()));
                        let request = server.request(method, &at(known)).form(&form);
                        assert_no_server_error(server, admin, request, &what).await;
                        tried += 1;
                        if !path.ends_with("/token") {
                            break;
                        }
                    }
                }
            }
        }
        // Bodies with invalid UTF-8, invalid JSON, or values too deep or too large.
        let Some((kind, members)) = body else {
            continue;
        };
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for (name, _) in members {
            let bodies: Vec<Vec<u8>> = if kind == "application/json" {
                vec![
                    format!(r#"{{"{name}": "\ud800"}}"#).into_bytes(),
                    format!(r#"{{"{name}": "\udc00x"}}"#).into_bytes(),
                    format!(r#"{{"{name}": {deep}}}"#).into_bytes(),
                    format!(r#"{{"{name}": 1e999}}"#).into_bytes(),
                    format!(r#"{{"{name}": -99999999999999999999}}"#).into_bytes(),
                    [format!(r#"{{"{name}": ""#).as_bytes(), b"\xff\xfe\"}"].concat(),
                ]
            } else {
                vec![
                    [name.as_bytes(), b"=\xff\xfe"].concat(),
                    format!("{name}=%ff%fe").into_bytes(),
                    format!("{name}=%zz").into_bytes(),
                    format!("{name}=%00").into_bytes(),
                ]
            };
            for body in bodies {
                let what = format!(
                    "{method} {path} {}",
                    String::from_utf8_lossy(&body[..body.len().min(60)])
                );
                let request = server
                    .request(method, &at(known))
                    .header("content-type", kind)
                    .body(body);
                assert_no_server_error(server, admin, request, &what).await;
                tried += 1;
            }
        }
    }
    tried
}

/// Starts a server with every feature enabled and high limits.
async fn start_with_all_features(
    setup: Setup,
    profile: &str,
) -> (Server, Member, SimulatedInternet) {
    let outside = SimulatedInternet::new();
    let setup = outside
        .around(setup)
        .with("OAUTH_PROFILE", profile)
        .with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true")
        .with("OAUTH_DYNAMIC_REGISTRATION_MAX", "1000000")
        .with("OAUTH_CIMD_ENABLED", "true")
        .with("SIGNUP_ENABLED", "true")
        .with(
            "REMOTE_TOKEN_KEY",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        )
        .with("REMOTE_TOKEN_ENDPOINT_ENABLED", "true")
        .with("RATE_LIMIT", "1000000000");
    let server = setup.start().await;
    let admin = server.admin("odin").await;
    server.public_client().await;
    (server, admin, outside)
}

/// Returns an unsigned client assertion.
fn assertion(server: &Server, client_id: &str) -> String {
    use base64::Engine as _;
    let part =
        |value: Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let exp = server.clock.now().unix_seconds() + 60;
    let claims = json!({
        "iss": client_id, "sub": client_id, "aud": "https://auth.example", "exp": exp, "jti": "x\0",
    });
    format!("{}.{}.AAAA", part(json!({ "alg": "ES256" })), part(claims))
}

fn client(id: &str) -> Client {
    Client {
        row_id: storyden_auth::ids::ClientRowId::new(""),
        client_id: id.to_owned(),
        secret: None,
        redirect_uri: "https://app.example/cb".to_owned(),
    }
}

#[track_caller]
fn refused(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 400, "{what}: {}", answer.body);
}

both! {
    /// A-66: no text in any parameter or member causes a 5xx.
    async fn no_text_causes_a_server_error(setup: Setup) {
        let (server, admin, _) = start_with_all_features(setup, "standards").await;
        let tried = try_all_texts(&server, &admin).await;
        assert!(tried > 2_000, "{tried}");
    }

    /// A-66: the same in the profile `storyden`.
    async fn no_text_causes_a_server_error_in_storyden(setup: Setup) {
        let (server, admin, _) = start_with_all_features(setup, "storyden").await;
        let tried = try_all_texts(&server, &admin).await;
        assert!(tried > 1_500, "{tried}");
    }

    /// A-66: U+0000 is rejected with 400 or the OAuth error in every text from outside.
    async fn nul_character_is_rejected_everywhere(setup: Setup) {
        let (server, admin, outside) = start_with_all_features(setup, "standards").await;
        for grant in ["refresh_token", "authorization_code", "client_credentials"] {
            let assertion = assertion(&server, "app\0");
            let form = [
                ("grant_type", grant), ("refresh_token", "x"), ("code", "x"), ("code_verifier", crate::support::VERIFIER),
                ("redirect_uri", "https://app.example/cb"),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion.as_str()),
            ];
            refused(&server.token(&form).await, grant);
        }
        for (member, value) in [
            ("jwks", json!({ "keys": [{ "kty": "EC", "kid": "a\0b" }] })),
            ("jwks", json!({ "keys": [{ "kty": "EC", "a\0b": 1 }] })),
            ("client_name", json!("a\0b")),
            ("contacts", json!(["a\0b"])),
        ] {
            let mut document = json!({ "redirect_uris": ["https://app.example/cb"] });
            document[member] = value;
            let request = server.request("POST", "/api/oauth/register").json(&document);
            server.send(request).await.expect_error(400, "invalid_client_metadata");
        }
        let sign_in = json!({ "identifier": "od\0in", "token": crate::support::PASSWORD });
        let request = server.request("POST", "/api/auth/password/signin").json(&sign_in);
        refused(&server.send(request).await, "sign-in");
        for member in ["client_id", "client_secret", "scope"] {
            let mut manual = valid_value("manual", &Value::Null);
            manual[member] = json!("a\0b");
            let body = json!({ "resource_url": "https://tools.example/mcp", "mode": "manual", "manual": manual });
            let made = server.post_as(&admin, "/api/admin/oauth/remote/connections", &body).await;
            assert!(made.status == 400 || member == "client_secret" && made.status == 200, "{}", made.body);
        }
        // Client metadata documents, and metadata of remote servers.
        let host = outside.host("app.example").await;
        let id = host.publish("/c", &json!({ "x": "a\0b" }));
        let answer = server.authorize(Some(&admin), &client(&id), &[]).await;
        answer.clone().expect_error(400, "invalid_client");
        host.reply("/.well-known/oauth-protected-resource/mcp", Reply::json("200 OK", "", &json!({
            "resource": "https://app.example/mcp", "authorization_servers": ["https://app.example"], "resource_name": "a\0b",
        })));
        let body = json!({ "resource_url": "https://app.example/mcp" });
        refused(&server.post_as(&admin, "/api/admin/oauth/remote/discover", &body).await, "discovery");
    }

    /// T18: an instant outside the range of the type is rejected with the range; both ends of the range
    /// are accepted.
    async fn instants_out_of_range_are_rejected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["USE_PERSONAL_ACCESS_KEYS"]).await;
        let odin = server.admin("odin").await;
        let create = async |at: &str| {
            let body = json!({ "name": "key", "expires_at": at });
            server.post_as(&frigg, "/api/auth/access-keys", &body).await
        };
        for at in ["9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+01:00", "10000-01-01T00:00:00Z"] {
            let answer = create(at).await;
            refused(&answer, at);
            assert!(answer.text("detail").contains("from 0000-01-01T00:00:00Z to 9999-12-31T23:59:59Z"), "{}", answer.body);
            for name in ["since", "until"] {
                let request = server.request("GET", "/api/admin/audit").query(&[(name, at)]);
                let answer = server.send(request.header("cookie", odin.cookie())).await;
                refused(&answer, at);
                assert!(answer.text("detail").contains(name), "{}", answer.body);
            }
        }
        create("9999-12-31T23:59:59.999999Z").await.expect(200);
        let listed = server.get_as(&frigg, "/api/auth/access-keys").await.expect(200).json();
        let shown = listed["keys"][0]["expires_at"].as_str().unwrap().to_owned();
        assert!(shown.starts_with("9999-12-31T23:59:59.999999"), "{shown}");
        for name in ["since", "until"] {
            for at in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"] {
                let request = server.request("GET", "/api/admin/audit").query(&[(name, at)]);
                server.send(request.header("cookie", odin.cookie())).await.expect(200);
            }
        }
    }

    /// T18: a stored instant out of range, as Storyden may write, is clamped to the range.
    async fn stored_instants_out_of_range_are_clamped(setup: Setup) {
        let engine = setup.engine;
        let server = setup.start().await;
        let (frigg, odin) = (server.member("frigg", &[]).await, server.admin("odin").await);
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await;
        let (late, early): (&[&'static str], &[&'static str]) = match engine {
            Engine::Sqlite => (
                &[
                    "UPDATE oauth_refresh_tokens SET expires_at = '9999-12-31 23:59:59-23:59'",
                    "UPDATE oauth_refresh_tokens SET expires_at = '10000-01-01 00:00:00+00:00'",
                    "UPDATE oauth_refresh_tokens SET expires_at = 9223372036854775807",
                ],
                &[
                    "UPDATE oauth_refresh_tokens SET created_at = '0000-01-01 00:00:00+01:00'",
                    "UPDATE oauth_refresh_tokens SET created_at = '-0001-12-31 00:00:00+00:00'",
                ],
            ),
            Engine::Postgres => (
                &[
                    "UPDATE oauth_refresh_tokens SET expires_at = 'infinity'",
                    "UPDATE oauth_refresh_tokens SET expires_at = '294276-01-01 00:00:00+00'",
                ],
                &[
                    "UPDATE oauth_refresh_tokens SET created_at = '-infinity'",
                    "UPDATE oauth_refresh_tokens SET created_at = '4713-01-01 00:00:00+00 BC'",
                ],
            ),
        };
        for sql in late {
            server.sql(sql, &[]).await;
            let listed = server.get_as(&odin, "/api/admin/oauth/refresh-tokens").await.expect(200).json();
            let shown = listed["tokens"][0]["expires_at"].as_str().unwrap();
            assert!(shown.starts_with("9999-12-31T23:59:59"), "{sql}: {shown}");
        }
        for sql in early {
            server.sql(sql, &[]).await;
            let listed = server.get_as(&odin, "/api/admin/oauth/refresh-tokens").await.expect(200).json();
            let shown = listed["tokens"][0]["createdAt"].as_str().unwrap();
            assert!(shown.starts_with("0000-01-01T00:00:00"), "{sql}: {shown}");
        }
        let answer = server.refresh(&app, &first.text("refresh_token")).await;
        assert!(answer.status < 500, "{}", answer.body);
    }
}
