//! Unit tests of `oauth::client_document`.
#![expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]

use super::super::private_use_scheme::PrivateUseSchemes;
use super::*;
use serde_json::json;

const ID: &str = "https://app.example/client.json?x=1";

const STANDARDS: DocumentPolicy = DocumentPolicy {
    id_comparison: IdComparison::Exact,
    faults_rejected: false,
    zero_secret_expiry_accepted: false,
    keys_rejected: false,
    device_grant_rejected: false,
    limited_to_scope: false,
    name_unchecked: false,
};

const STORYDEN: DocumentPolicy = DocumentPolicy {
    id_comparison: IdComparison::Trimmed,
    faults_rejected: true,
    zero_secret_expiry_accepted: true,
    keys_rejected: true,
    device_grant_rejected: true,
    limited_to_scope: true,
    name_unchecked: true,
};

fn read(policy: DocumentPolicy, changes: &Value) -> Result<ClientDocument, DocumentError> {
    let mut document = json!({ "client_id": ID, "redirect_uris": ["https://app.example/cb"] });
    for (name, value) in changes.as_object().unwrap() {
        document[name] = value.clone();
    }
    let scope = Scope::stored("openid profile email offline_access READ_PROFILE");
    let bounds = Bounds {
        scope: &scope,
        resource_scopes: &Scope::default(),
        private_use_schemes: &PrivateUseSchemes::of(&["cursor"]),
        signing_algorithms: &[super::super::signing_algorithm::SigningAlgorithm::Rs256],
    };
    check(policy, ID, &document, bounds)
}

/// req_152, req_153, A-99: the document names its own URL and contains no secret.
#[test]
fn a_document_is_of_its_url_and_has_no_secret() {
    for bad in [
        json!({ "client_id": "https://APP.example/client.json?x=1" }),
        json!({ "client_id": "https://app.example/client.json" }),
        json!({ "client_id": "https://app.example/client.json?x=1/" }),
        json!({ "client_id": "https://app.example:443/client.json?x=1" }),
        json!({ "client_id": format!(" {ID}") }),
        json!({ "client_id": null }),
        json!({ "client_id": 7 }),
        json!({ "client_secret": "s" }),
        json!({ "client_secret": null }),
        json!({ "client_secret_expires_at": 1 }),
        json!({ "token_endpoint_auth_method": "client_secret_basic" }),
        json!({ "token_endpoint_auth_method": "client_secret_post" }),
        json!({ "token_endpoint_auth_method": "client_secret_jwt" }),
        json!({ "token_endpoint_auth_method": "private_key_jwt" }),
        json!({ "token_endpoint_auth_methods_supported": ["client_secret_basic"] }),
        json!({ "redirect_uris": [] }),
        json!({ "redirect_uris": "https://app.example/cb" }),
        json!({ "redirect_uris": ["http://app.example/cb"] }),
        json!({ "redirect_uris": ["https://app.example/*"] }),
        json!({ "redirect_uris": ["javascript:alert(1)"] }),
        json!({ "redirect_uris": [7] }),
        json!({ "jwks": { "keys": [] } }),
        json!({ "jwks": { "keys": [{ "kty": "oct", "k": "x" }] } }),
        json!({ "jwks": { "keys": [{ "kty": "EC", "d": "x" }] } }),
        json!({ "jwks": { "keys": [{ "kty": "EC" }] }, "jwks_uri": "https://app.example/k" }),
    ] {
        assert!(read(STANDARDS, &bad).is_err(), "{bad}");
    }
    assert!(read(STORYDEN, &json!({ "client_name": 7 })).is_err());
    let zero = json!({ "client_secret_expires_at": 0 });
    assert!(read(STORYDEN, &zero).is_ok()); // storyden-contract.md#rules-for-a-document
    assert!(read(STANDARDS, &zero).is_err());
}

/// Documents that real clients publish work as they are.
#[test]
fn documents_of_real_clients_are_read() {
    let document = read(
        STANDARDS,
        &json!({
            "client_name": "An Editor",
            "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
            "grant_types": ["authorization_code", "refresh_token", "urn:x:unknown"],
            "response_types": ["code"],
            "logo_uri": "https://cdn.example/logo.png",
            "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
            "scope": "openid mcp:tools READ_PROFILE ADMINISTRATOR",
        }),
    );
    let document = document.unwrap();
    assert_eq!(document.auth_method, AuthMethod::None);
    assert_eq!(
        document.grants,
        [GrantType::AuthorizationCode, GrantType::RefreshToken]
    );
    assert_eq!(
        document.default_scope.unwrap().to_string(),
        "openid READ_PROFILE"
    );
    assert!(document.about.logo_uri.is_some());
    let keyed = json!({
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "jwks_uri": "https://app.example/keys",
    });
    let keyed = read(STANDARDS, &keyed).unwrap();
    assert_eq!(keyed.auth_method, AuthMethod::PrivateKeyJwt);
    let bare = read(STANDARDS, &json!({})).unwrap();
    assert_eq!(bare.name, ID);
    for unfit in ["Storyden", "a\u{202e}b", "   "] {
        let named = read(STANDARDS, &json!({ "client_name": unfit })).unwrap();
        assert_eq!(named.name, ID, "{unfit}");
    }
    assert_eq!(bare.allowed.len(), 5);
}

/// A part that cannot be accepted is left out, as in a registration. A document without `scope`, or
/// with unknown scopes only, has the standard scopes as the default.
#[test]
fn one_bad_part_does_not_spoil_a_document() {
    let document = read(
        STANDARDS,
        &json!({
            "client_name": 7,
            "redirect_uris": [
                "grokbot://cb", "https://app.example/cb", "cursor://cb", 7, "http://app.example/",
            ],
            "grant_types": ["implicit", "refresh_token"],
            "scope": "mcp:tools",
            "logo_uri": "http://app.example/logo.png",
            "contacts": "a@app.example",
            "post_logout_redirect_uris": ["https://app.example/out", "/out"],
            "application_type": "web",
        }),
    );
    let document = document.unwrap();
    assert_eq!(document.name, ID);
    assert_eq!(
        document.redirect_uris,
        ["https://app.example/cb", "cursor://cb"]
    );
    assert_eq!(
        document.post_logout_redirect_uris,
        ["https://app.example/out"]
    );
    assert_eq!(
        document.grants,
        [GrantType::AuthorizationCode, GrantType::RefreshToken]
    );
    let usual = "openid profile email offline_access";
    assert_eq!(document.default_scope.unwrap().to_string(), usual);
    assert_eq!(document.about.application_type.as_deref(), Some("native"));
    assert!(document.about.logo_uri.is_none());
    for member in [
        "client_name",
        "redirect_uris",
        "grant_types",
        "scope",
        "logo_uri",
        "contacts",
        "post_logout_redirect_uris",
        "application_type",
    ] {
        let warned = document.warnings.iter().any(|one| one.starts_with(member));
        assert!(warned, "{member}: {:?}", document.warnings);
    }
    let bare = read(STANDARDS, &json!({})).unwrap();
    assert_eq!(bare.default_scope.unwrap().to_string(), usual);
    assert!(bare.warnings.is_empty(), "{:?}", bare.warnings);
    let mixed = json!({ "redirect_uris": ["https://app.example/cb", "http://app.example/"] });
    assert!(read(STORYDEN, &mixed).is_err());
    let pages = json!({ "logo_uri": "http://app.example/", "contacts": 7, "scope": "mcp:tools" });
    let theirs = read(STORYDEN, &pages).unwrap();
    assert!(theirs.allowed.is_empty() && theirs.default_scope.is_none());
}

/// storyden-contract.md#mapping-a-document: the document's scope within the allowed scope.
#[test]
fn storydens_scope_is_what_the_document_lists() {
    let scope = json!({ "scope": "openid READ_PROFILE MANAGE_POSTS NOPE" });
    let document = read(STORYDEN, &scope).unwrap();
    assert_eq!(document.allowed.to_string(), "openid READ_PROFILE");
    assert_eq!(document.grants, [GrantType::AuthorizationCode]);
    assert!(document.default_scope.is_none());
}
