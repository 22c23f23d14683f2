//! Unit tests of `oauth::client_metadata`.
#![expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]

use super::*;
use serde_json::json;

const STANDARDS: RegistrationPolicy = RegistrationPolicy {
    faults_rejected: false,
    null_rejected: false,
    basic_members_only: false,
    device_grant_rejected: false,
    web_redirects_only: false,
    application_type_unchecked: false,
    limited_to_scope: false,
    errors: RegistrationErrors::Detailed,
};

const STORYDEN: RegistrationPolicy = RegistrationPolicy {
    faults_rejected: true,
    null_rejected: true,
    basic_members_only: true,
    device_grant_rejected: true,
    web_redirects_only: true,
    application_type_unchecked: true,
    limited_to_scope: true,
    errors: RegistrationErrors::Storyden,
};

fn register(policy: RegistrationPolicy, document: &Value) -> Result<ClientMetadata, OAuthError> {
    let scope = Scope::stored("openid profile email offline_access READ_PROFILE");
    let bounds = Bounds {
        scope: &scope,
        resource_scopes: &Scope::stored("tools:read"),
        private_use_schemes: &PrivateUseSchemes::of(&["cursor"]),
        signing_algorithms: &[SigningAlgorithm::Rs256, SigningAlgorithm::Es256],
    };
    RequestedMetadata::read(policy, document)?.check(policy, bounds)
}

/// req_136, req_069, A-7, A-8: private-use schemes are accepted in the profile `standards` only.
#[test]
fn private_use_schemes_are_for_the_standards_alone() {
    for (uri, standards, storyden) in [
        ("https://a.example/cb", true, true),
        ("http://127.0.0.2/cb", true, true),
        ("http://localhost:3000/cb", true, true),
        ("http://LOCALHOST/cb", true, false),
        ("com.example.app:/cb", true, false),
        ("cursor://cb", true, false),
        ("myapp://cb", false, false),
        ("javascript:alert(1)", false, false),
        ("https://a.example/%zz", false, false),
        (" https://a.example/cb", false, true), // trimmed in the profile storyden
        ("https://u@a.example/cb", false, false),
        ("http://[::ffff:127.0.0.1]/cb", false, false),
        ("https:///nohost", false, false),
    ] {
        let document = json!({ "redirect_uris": [uri], "token_endpoint_auth_method": "none" });
        let accepted = |policy| register(policy, &document).is_ok();
        assert_eq!(accepted(STANDARDS), standards, "{uri}");
        assert_eq!(accepted(STORYDEN), storyden, "{uri}");
    }
    let with_secret = json!({ "redirect_uris": ["cursor://cb"] });
    assert!(register(STANDARDS, &with_secret).is_err());
}

/// req_137: grant types and response types correspond.
#[test]
fn grants_and_response_types_go_together() {
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    let uri = "https://a.example/cb";
    let register = |document| register(STANDARDS, &document);
    let public = register(json!({
        "grant_types": [device, "refresh_token"], "token_endpoint_auth_method": "none",
    }));
    assert_eq!(public.unwrap().response_types(), [""; 0]);
    for document in [
        json!({ "grant_types": [device] }),
        json!({ "grant_types": ["refresh_token"], "redirect_uris": [uri] }),
        json!({ "grant_types": ["client_credentials"] }),
        json!({ "grant_types": ["implicit"], "redirect_uris": [uri] }),
        json!({ "response_types": ["token"], "redirect_uris": [uri] }),
    ] {
        let error = register(document.clone()).unwrap_err();
        assert_eq!(error.code.as_str(), "invalid_client_metadata", "{document}");
    }
}

/// req_137, req_138: grants and response types that cannot be registered are left out, as long as
/// the client can get a token.
#[test]
fn what_remains_is_usable() {
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    let uri = "https://a.example/cb";
    for (document, grants, part) in [
        (
            json!({ "grant_types": ["authorization_code", "implicit"], "redirect_uris": [uri] }),
            "authorization_code",
            "grant_types: grant type 'implicit' cannot be registered",
        ),
        (
            json!({ "grant_types": ["authorization_code", device], "redirect_uris": [uri] }),
            "authorization_code",
            "the device grant is for public clients",
        ),
        (
            json!({
                "grant_types": ["authorization_code", device],
                "token_endpoint_auth_method": "none",
            }),
            device,
            "grant_types: At least one redirect_uri",
        ),
        (
            json!({
                "grant_types": [device], "token_endpoint_auth_method": "none",
                "response_types": ["code"],
            }),
            device,
            "response_types has code",
        ),
        (
            json!({ "response_types": ["code", "id_token"], "redirect_uris": [uri] }),
            "authorization_code refresh_token",
            "response type 'id_token' is not supported",
        ),
    ] {
        let metadata = register(STANDARDS, &document).unwrap();
        let names = metadata.grants.iter().map(|grant| grant.wire_name());
        assert_eq!(names.collect::<Vec<_>>().join(" "), grants, "{document}");
        let warnings = metadata.warnings.join("\n");
        assert!(warnings.contains(part), "{warnings}");
    }
}

#[test]
fn the_registered_scope_is_within_the_cap() {
    let uri = "https://a.example/cb";
    let document = json!({ "redirect_uris": [uri], "scope": "openid READ_PROFILE ADMINISTRATOR" });
    let ours = register(STANDARDS, &document).unwrap();
    assert_eq!(ours.scope.to_string(), "openid READ_PROFILE");
    assert_eq!(ours.allowed.len(), 5);
    let theirs = register(STORYDEN, &document).unwrap();
    assert_eq!(theirs.allowed.to_string(), "openid READ_PROFILE");
    let nothing = json!({ "redirect_uris": [uri], "scope": "ADMINISTRATOR" });
    let usual = register(STANDARDS, &nothing).unwrap();
    assert_eq!(
        usual.scope.to_string(),
        "openid profile email offline_access"
    );
    assert!(register(STORYDEN, &nothing).is_err());
}

/// req_140: display metadata is bounded, and URLs are web addresses. A part beyond the bounds is left
/// out, with a warning that names the member.
#[test]
fn what_is_kept_is_bounded() {
    let uri = "https://a.example/cb";
    for (member, value) in [
        ("logo_uri", json!("https://u:p@a.example/")),
        ("logo_uri", json!("https:x")),
        ("client_uri", json!("https://a.example/\"><script>")),
        ("tos_uri", json!("javascript:alert(1)")),
        (
            "policy_uri",
            json!(format!("https://a.example/{}", "x".repeat(2_048))),
        ),
        ("contacts", json!(["a\u{202e}b"])),
        ("contacts", json!(vec!["a"; 21])),
        ("contacts", json!("a")),
        ("software_id", json!("x".repeat(256))),
        ("application_type", json!("desktop")),
        ("post_logout_redirect_uris", json!(["/relative"])),
        ("client_name", json!(1)),
        ("grant_types", json!("authorization_code")),
        ("scope", json!(["openid"])),
        ("jwks_uri", json!(7)),
        ("pkce_required", json!("no")),
        ("dpop_bound_access_tokens", json!("yes")),
    ] {
        let document = json!({ "redirect_uris": [uri], member: value });
        let metadata = register(STANDARDS, &document).unwrap();
        let [warning] = &metadata.warnings[..] else {
            panic!("{member}: {:?}", metadata.warnings);
        };
        assert!(warning.starts_with(member), "{warning}");
    }
    let reserved = json!({ "redirect_uris": [uri], "client_name": "Storyden" });
    assert!(register(STANDARDS, &reserved).is_err());
    let many: Vec<String> = (0..200).map(|n| format!("http://a.example/{n}")).collect();
    let document = json!({ "redirect_uris": [uri], "contacts": many, "grant_types": many });
    assert!(register(STANDARDS, &document).is_err());
    let document = json!({ "redirect_uris": [uri], "scope": many.join(" ") });
    let warnings = register(STANDARDS, &document).unwrap().warnings;
    assert_eq!(warnings.len(), 21);
    assert!(warnings.last().unwrap().ends_with(" more"));
}

/// The redirect URIs tell an application type that is absent or does not fit.
#[test]
fn redirect_uris_tell_the_application_type() {
    for (given, uris, told) in [
        (json!(null), json!(["https://a.example/cb"]), "web"),
        (json!(null), json!(["http://localhost/cb"]), "native"),
        (json!(null), json!(["com.example:/cb"]), "native"),
        (
            json!(null),
            json!(["https://a.example/cb", "http://127.0.0.1/cb"]),
            "native",
        ),
        (json!("web"), json!(["http://localhost/cb"]), "web"),
        (
            json!("web"),
            json!(["https://a.example/cb", "cursor://cb"]),
            "native",
        ),
        (json!("native"), json!(["https://a.example/cb"]), "native"),
        (json!("desktop"), json!(["https://a.example/cb"]), "web"),
    ] {
        let document = json!({
            "application_type": given, "redirect_uris": uris,
            "token_endpoint_auth_method": "none",
        });
        let metadata = register(STANDARDS, &document).unwrap();
        assert_eq!(metadata.about.application_type.as_deref(), Some(told));
        let count = uris.as_array().unwrap().len();
        assert_eq!(metadata.redirect_uris.len(), count, "{document}");
    }
}
