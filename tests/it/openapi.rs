//! The OpenAPI document, and access control of every operation in the document.
//!
//! The table lists the callers of each operation. The router serves only documented operations, and
//! these tests fail for a documented operation that is not in the table.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use storyden_auth::http::router;

use crate::support::{Answer, Member, Server, both};

/// The path of the document.
const PATH: &str = "/api/openapi.json";

/// The callers that an operation admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Callers {
    /// Every caller: guests, and clients that authenticate within the request.
    Anybody,
    /// A bearer of an access token.
    Token,
    /// A bearer of a registration access token (RFC 7592).
    Registration,
    /// A member with a session or a personal access key.
    SessionOrKey,
    /// A member with a session only.
    Person,
    /// A holder of the operation's permission, such as `ADMINISTRATOR`, with any credential.
    Administrator,
}

use Callers::{Administrator, Anybody, Person, Registration, SessionOrKey, Token};

const OPERATIONS: &[(&str, Callers)] = &[
    ("AccessKeyCreate", Person),
    ("AccessKeyDelete", SessionOrKey),
    ("AccessKeyList", SessionOrKey),
    ("AdminAccessKeyDelete", Administrator),
    ("AdminAccessKeyList", Administrator),
    ("AdminAuditExport", Administrator),
    ("AdminAuditList", Administrator),
    ("AdminMemberGet", Administrator),
    ("AdminMemberList", Administrator),
    ("AdminMemberReinstate", Administrator),
    ("AdminMemberRoleGive", Administrator),
    ("AdminMemberRoleTake", Administrator),
    ("AdminMemberSessionDelete", Administrator),
    ("AdminMemberSignOut", Administrator),
    ("AdminMemberSuspend", Administrator),
    ("AdminOAuthBlockedClientCreate", Administrator),
    ("AdminOAuthBlockedClientDelete", Administrator),
    ("AdminOAuthBlockedClientList", Administrator),
    ("AdminOAuthClientCreate", Administrator),
    ("AdminOAuthClientDelete", Administrator),
    ("AdminOAuthClientErrorList", Administrator),
    ("AdminOAuthClientGet", Administrator),
    ("AdminOAuthClientList", Administrator),
    ("AdminOAuthClientUpdate", Administrator),
    ("AdminOAuthDeviceAuthorisationList", Administrator),
    ("AdminOAuthIssuerCreate", Administrator),
    ("AdminOAuthIssuerDelete", Administrator),
    ("AdminOAuthIssuerList", Administrator),
    ("AdminOAuthIssuerMap", Administrator),
    ("AdminOAuthIssuerReplace", Administrator),
    ("AdminOAuthKeyList", Administrator),
    ("AdminOAuthKeyRevoke", Administrator),
    ("AdminOAuthKeyRotate", Administrator),
    ("AdminOAuthRefreshTokenDelete", Administrator),
    ("AdminOAuthRefreshTokenList", Administrator),
    ("AdminOAuthRefreshTokenRevokeMany", Administrator),
    ("AdminOAuthResourceCreate", Administrator),
    ("AdminOAuthResourceDelete", Administrator),
    ("AdminOAuthResourceList", Administrator),
    ("AdminOAuthResourceReplace", Administrator),
    ("AdminOAuthRevoke", Administrator),
    ("AdminOverview", Administrator),
    ("AdminRoleList", Administrator),
    ("AuthBrowserAccountList", Anybody),
    ("AuthPasswordChange", Person),
    ("AuthPasswordSignin", Anybody),
    ("AuthPasswordSignup", Anybody),
    ("AuthProviderLogout", Anybody),
    ("AuthSessionDelete", Person),
    ("AuthSessionDeleteAll", Person),
    ("AuthSessionList", Person),
    ("OAuthApplicationConsentForget", Person),
    ("OAuthApplicationList", Person),
    ("OAuthApplicationRevoke", Person),
    ("OAuthApplicationRevokeAll", Person),
    ("OAuthAuthorise", Anybody),
    ("OAuthAuthoriseAccount", Anybody),
    ("OAuthAuthoriseByPost", Anybody),
    ("OAuthAuthoriseConsent", SessionOrKey),
    ("OAuthAuthoriseConsentSubmit", SessionOrKey),
    ("OAuthAuthoriseResponse", Anybody),
    ("OAuthAuthorisePendingRequest", Anybody),
    ("OAuthAuthorizationServerMetadata", Anybody),
    ("OAuthAuthorizationServerMetadataOf", Anybody),
    ("OAuthClientCreate", Person),
    ("OAuthClientDelete", Person),
    ("OAuthClientErrorList", Person),
    ("OAuthClientGet", Person),
    ("OAuthClientList", Person),
    ("OAuthClientLogo", Person),
    ("OAuthClientSecretRotate", Person),
    ("OAuthClientUpdate", Person),
    ("OAuthClientMetadata", Anybody),
    ("OAuthClientRegister", Anybody),
    ("OAuthClientRegistrationDelete", Registration),
    ("OAuthClientRegistrationGet", Registration),
    ("OAuthClientRegistrationReplace", Registration),
    ("OAuthDeviceAuthorisation", Anybody),
    ("OAuthDeviceConsent", Person),
    ("OAuthDeviceConsentSubmit", Person),
    ("OAuthEndSession", Anybody),
    ("OAuthEndSessionByForm", Anybody),
    ("OAuthGrantableResourceList", Person),
    ("OAuthIntrospect", Anybody),
    ("OAuthJWKS", Anybody),
    ("OAuthProtectedResourceMetadata", Anybody),
    ("OAuthPushedRequest", Anybody),
    ("OAuthRefreshTokenDelete", Person),
    ("OAuthRefreshTokenList", Person),
    ("OAuthProtectedResourceMetadataOf", Anybody),
    ("OAuthRemoteCallback", Person),
    ("OAuthRemoteConnectionAuthorize", Administrator),
    ("OAuthRemoteConnectionCreate", Administrator),
    ("OAuthRemoteConnectionDelete", Administrator),
    ("OAuthRemoteConnectionGet", Administrator),
    ("OAuthRemoteConnectionList", Administrator),
    ("OAuthRemoteConnectionToken", Administrator),
    ("OAuthRemoteConnectionUpdate", Administrator),
    ("OAuthRemoteDiscover", Administrator),
    ("OAuthRevoke", Anybody),
    ("OAuthToken", Anybody),
    ("OAuthUserInfo", Token),
    ("OAuthUserInfoByPost", Token),
    ("OpenAPI", Anybody),
    ("OpenIDConfiguration", Anybody),
    ("OpenIDConfigurationOf", Anybody),
];

/// An operation of the document.
struct Operation {
    method: String,
    path: String,
    documented: Value,
}

impl Operation {
    fn id(&self) -> &str {
        self.documented["operationId"].as_str().unwrap()
    }

    /// The callers according to the table.
    fn listed_callers(&self) -> Callers {
        let known = OPERATIONS.iter().find(|(id, _)| *id == self.id());
        known
            .unwrap_or_else(|| panic!("{} is not in the table", self.id()))
            .1
    }

    /// The callers according to the document's security schemes.
    fn documented_callers(&self, document: &Value) -> Option<Callers> {
        let schemes = self
            .documented
            .get("security")
            .unwrap_or(&document["security"]);
        let mut names: Vec<&str> = Vec::new();
        for requirement in schemes.as_array().unwrap() {
            let Some(name) = requirement.as_object().unwrap().keys().next() else {
                return Some(Anybody); // `{}`: no credential required
            };
            names.push(name);
        }
        match names.as_slice() {
            ["browser"] => Some(Person),
            ["browser", "access_key"] => Some(SessionOrKey),
            ["oauth_token"] => Some(Token),
            ["registration_token"] => Some(Registration),
            ["browser", "access_key", "oauth_token"] => Some(Administrator),
            _ => None,
        }
    }

    fn takes_json(&self) -> bool {
        self.documented["requestBody"]["content"]["application/json"].is_object()
    }

    /// Calls the operation with an unknown id and an empty body.
    async fn call(&self, server: &Server, credential: Option<(&str, &str)>) -> Answer {
        let path: Vec<&str> = self
            .path
            .split('/')
            .map(|part| {
                if part.starts_with('{') {
                    "c0000000000000000000"
                } else {
                    part
                }
            })
            .collect();
        let mut request = server.request(&self.method, &path.join("/"));
        if let Some((name, value)) = credential {
            request = request.header(name, value);
        }
        if self.takes_json() {
            request = request.json(&json!({}));
        }
        server.send(request).await
    }

    /// Fails unless the call is refused with this documented status.
    async fn refuses(&self, server: &Server, credential: Option<(&str, &str)>, status: u16) {
        let answer = self.call(server, credential).await;
        let (id, got) = (self.id(), answer.status);
        assert_eq!(got, status, "{id}: {}", answer.body);
        let documented = &self.documented["responses"][status.to_string()];
        assert!(documented.is_object(), "{id} does not document {status}");
    }
}

/// Fetches the document; returns the document and the operations in order.
async fn document(server: &Server) -> (Value, Vec<Operation>) {
    let document = server.get(PATH).await.expect(200).json();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, documented) in item.as_object().unwrap() {
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                documented: documented.clone(),
            });
        }
    }
    (document, operations)
}

/// Collects every `$ref` below a value.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(to) if name == "$ref" => found.push(to),
                    member => references(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

both! {
    /// T19: the document is public, and `storyden-auth openapi` prints the same document.
    async fn the_document_is_served_and_printed(setup: Setup) {
        let server = setup.start().await;
        let answer = server.get(PATH).await.expect(200);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "public, max-age=3600");
        let document = answer.json();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["servers"], json!([{ "url": "https://auth.example" }]));
        let again = serde_json::to_string(&router::document(&server.context.config)).unwrap();
        assert_eq!(answer.body, again);

        let settings = [("PUBLIC_API_ADDRESS", "https://auth.example")];
        let printed = setup.run(&["openapi"], &settings).await;
        assert_eq!(printed.code, Some(0), "{}", printed.stderr);
        assert_eq!(serde_json::from_str::<Value>(&printed.stdout).unwrap(), document);
    }

    /// T19: the path of the issuer is part of the server URL.
    async fn an_issuer_with_a_path_is_the_base(setup: Setup) {
        let server = setup.with("PUBLIC_API_ADDRESS", "https://example.com/forum").start().await;
        let with = server.get(&format!("/forum{PATH}")).await.expect(200).json();
        assert_eq!(with, server.get(PATH).await.expect(200).json());
        assert_eq!(with["servers"], json!([{ "url": "https://example.com/forum" }]));
    }

    /// T19: the table has every operation exactly once, and agrees with the document.
    async fn the_table_has_every_operation(setup: Setup) {
        let server = setup.start().await;
        let (document, operations) = document(&server).await;
        for operation in &operations {
            let documented_callers = operation.documented_callers(&document);
            assert_eq!(documented_callers, Some(operation.listed_callers()), "{}", operation.id());
        }
        let mut documented: Vec<&str> = operations.iter().map(Operation::id).collect();
        documented.sort_unstable();
        let mut table: Vec<&str> = OPERATIONS.iter().map(|(id, _)| *id).collect();
        table.sort_unstable();
        assert_eq!(documented, table);
    }

    /// T19: every `$ref` resolves, and every operation documents the errors common to operations of
    /// this kind.
    async fn every_operation_documents_its_errors(setup: Setup) {
        let server = setup.start().await;
        let (document, operations) = document(&server).await;
        let mut found = Vec::new();
        references(&document, &mut found);
        for to in found {
            let there = document.pointer(to.trim_start_matches('#'));
            assert!(there.is_some(), "{to} is nowhere");
        }
        for operation in &operations {
            let mut expected = vec!["500", "503"];
            match operation.listed_callers() {
                Anybody => {}
                Registration => expected.push("401"),
                Token | SessionOrKey | Person | Administrator => expected.extend(["401", "403"]),
            }
            if operation.takes_json() && operation.listed_callers() != Registration {
                expected.extend(["400", "413", "415"]);
            }
            let responses = operation.documented["responses"].as_object().unwrap();
            for status in expected {
                assert!(responses.contains_key(status), "{} lacks {status}", operation.id());
            }
            let parameters = operation.documented["parameters"].as_array();
            let named = parameters.into_iter().flatten().filter(|p| p["in"] == "path");
            let written = operation.path.matches('{').count();
            assert_eq!(named.count(), written, "{}: path parameters", operation.id());
        }
    }

    /// T19: every operation refuses guests, suspended accounts and wrong credentials.
    async fn every_operation_refuses_unauthorized_callers(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let loki = server.member("loki", &[]).await;
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[("scope", "READ_PROFILE")]).await;
        let bearer = format!("Bearer {}", tokens.text("access_token"));
        server.suspend(&loki).await;
        let (session, frigg_session) = (loki.cookie(), frigg.cookie());
        let suspended = Some(("cookie", session.as_str()));
        let token = Some(("authorization", bearer.as_str()));
        let forged = Some(("cookie", "storyden-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));

        let (_, operations) = document(&server).await;
        let mut tried: BTreeMap<&str, Callers> = BTreeMap::new();
        for operation in &operations {
            match operation.listed_callers() {
                Anybody => continue,
                Registration => {
                    for credential in [None, forged, token, Some(("cookie", frigg_session.as_str()))] {
                        operation.refuses(&server, credential, 401).await;
                    }
                }
                Token => {
                    operation.refuses(&server, None, 401).await;
                    operation.refuses(&server, Some(("cookie", &frigg.cookie())), 401).await;
                    operation.refuses(&server, token, 403).await; // without the scope `openid`
                }
                SessionOrKey | Person | Administrator => {
                    operation.refuses(&server, None, 401).await;
                    operation.refuses(&server, forged, 401).await;
                    operation.refuses(&server, Some(("authorization", "Bearer nonsense")), 401).await;
                    operation.refuses(&server, suspended, 403).await;
                    operation.refuses(&server, token, 403).await;
                }
            }
            if operation.listed_callers() == Administrator {
                operation.refuses(&server, Some(("cookie", &frigg.cookie())), 403).await;
            }
            tried.insert(operation.id(), operation.listed_callers());
        }
        let guarded = OPERATIONS.iter().filter(|(_, who)| *who != Anybody).count();
        assert_eq!(tried.len(), guarded);
    }

    /// T19: every member operation with an id in the path refuses an id of another account, and changes
    /// nothing.
    async fn every_operation_refuses_ids_of_other_accounts(setup: Setup) {
        let server = setup.start().await;
        let permissions = ["USE_PERSONAL_ACCESS_KEYS"];
        let loki = server.member("loki", &permissions).await;
        let thor = server.member("thor", &permissions).await;
        let theirs = resources_of(&server, &thor).await;
        let (_, operations) = document(&server).await;
        for operation in &operations {
            let named = operation.path.split('/').find(|part| part.starts_with('{'));
            let (SessionOrKey | Person, Some(named)) = (operation.listed_callers(), named) else { continue };
            if operation.id() == "OAuthApplicationRevoke" {
                continue; // ends the caller's own grants of any application
            }
            let named = named.trim_matches(['{', '}']);
            let id = theirs.get(named).unwrap_or_else(|| panic!("{named}: nothing of this kind"));
            let path = operation.path.replace(&format!("{{{named}}}"), id);
            let mut request = server.request(&operation.method, &path).header("cookie", loki.cookie());
            if operation.takes_json() {
                request = request.json(&json!({}));
            }
            let answer = server.send(request).await;
            let (id, status) = (operation.id(), answer.status);
            assert!([400, 403, 404].contains(&status), "{id}: {status} {}", answer.body);
            let documented = &operation.documented["responses"][status.to_string()];
            assert!(documented.is_object(), "{id} does not document {status}");
        }
        assert_eq!(unchanged(&server, &thor).await, 4);
    }
}

/// Creates a resource of each kind; returns the ids by the name of the path parameter.
async fn resources_of(server: &Server, person: &Member) -> BTreeMap<&'static str, String> {
    let client = json!({
        "name": "Mine", "type": "public", "pkce_required": true, "allowed_scopes": ["openid"],
        "allowed_grants": ["authorization_code"], "redirect_uris": ["https://mine.example/cb"],
    });
    let clients = "/api/auth/oauth/clients";
    let client = server.post_as(person, clients, &client).await.expect(200);
    let keys = "/api/auth/access-keys";
    let key = server
        .post_as(person, keys, &json!({ "name": "mine" }))
        .await
        .expect(200);
    let app = server.public_client().await;
    server.tokens(person, &app, &[]).await;
    let first = async |path: &str, list: &str| {
        let answer = server.get_as(person, path).await.expect(200).json();
        answer[list][0]["id"].as_str().unwrap().to_owned()
    };
    BTreeMap::from([
        (
            "oauth_client_id",
            client.json()["client"]["id"].as_str().unwrap().to_owned(),
        ),
        ("access_key_id", key.text("id")),
        (
            "oauth_refresh_token_id",
            first("/api/auth/oauth/tokens", "tokens").await,
        ),
        ("session_id", first("/api/auth/sessions", "sessions").await),
    ])
}

/// The number of these resources that are unchanged.
async fn unchanged(server: &Server, person: &Member) -> usize {
    let whole = [
        ("/api/auth/oauth/clients", "/clients/0/name", json!("Mine")),
        ("/api/auth/access-keys", "/keys/0/enabled", json!(true)),
        (
            "/api/auth/oauth/tokens",
            "/tokens/0/revoked_at",
            Value::Null,
        ),
        ("/api/auth/sessions", "/sessions/0/current", json!(true)),
    ];
    let mut alive = 0;
    for (path, pointer, value) in whole {
        let list = server.get_as(person, path).await.expect(200).json();
        alive += usize::from(*list.pointer(pointer).unwrap_or(&Value::Null) == value);
    }
    alive
}
