//! Unit tests of `oauth::known_resources`.
#![expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]

use super::super::resource::DescribedScope;
use super::*;
use crate::ids::ResourceId;

/// req_099, req_144: known resources, and the audience of their tokens.
#[test]
fn a_resource_is_known_and_names_the_audience() {
    let known = KnownResources::new("https://a.example", &["https://files.example/v1".into()]);
    let audience = |asked: &str| {
        let resources = known.read(asked).map_err(|error| error.code.as_str())?;
        Ok::<_, &str>(serde_json::to_value(known.audience(Some(&resources))).unwrap())
    };
    for (asked, expected) in [
        (
            "https://a.example",
            serde_json::json!(["https://a.example", "storyden"]),
        ),
        (
            "https://a.example/",
            serde_json::json!(["https://a.example", "storyden"]),
        ),
        (
            "https://A.example:443/mcp",
            serde_json::json!(["https://a.example/mcp", "storyden"]),
        ),
        (
            "https://files.example/v1",
            serde_json::json!("https://files.example/v1"),
        ),
        (
            "https://files.example/v1 https://a.example/api",
            serde_json::json!([
                "https://files.example/v1",
                "https://a.example/api",
                "storyden"
            ]),
        ),
    ] {
        assert_eq!(audience(asked), Ok(expected), "{asked}");
    }
    for unknown in [
        "https://b.example",
        "https://a.example/other",
        "https://a.example/mcp#f",
        "/mcp",
        "storyden",
        "https://files.example/v1//",
        "https://a.example//",
        "https://a.example/mcp//",
        "https://files.example/v1/?",
        "https://files.example/",
        "https://files.example/V1",
        "http://files.example/v1",
        "https://files.example:8443/v1",
        "https://files.example/v1%2F",
        "https://user@files.example/v1",
    ] {
        assert_eq!(audience(unknown), Err("invalid_target"), "{unknown}");
    }
}

/// req_144: a final slash is forgiven in both directions, unless both forms are known: then each is a
/// resource of its own.
#[test]
fn a_final_slash_is_forgiven_unless_both_forms_are_known() {
    let listed = ["https://a.example/with/", "https://b.example/without?x=/"];
    let mut listed = listed.map(str::to_owned).to_vec();
    let known = KnownResources::new("https://c.example/forum", &listed);
    for (asked, form) in [
        ("https://a.example/with", "https://a.example/with/"),
        (
            "https://b.example/without/?x=/",
            "https://b.example/without?x=/",
        ),
        ("https://c.example/forum/", "https://c.example/forum"),
        (
            "https://c.example/forum/mcp/",
            "https://c.example/forum/mcp",
        ),
    ] {
        assert_eq!(known.read(asked).unwrap(), [form]);
    }
    assert!(known.read("https://b.example/without?x=").is_err());
    listed.push("https://a.example/with".to_owned());
    let known = KnownResources::new("https://c.example/forum", &listed);
    for form in ["https://a.example/with", "https://a.example/with/"] {
        assert_eq!(known.read(form).unwrap(), [form]);
        let granted = [form.to_owned()];
        let other = known.within(Some(&granted), Some("https://A.example/with"));
        assert_eq!(other.is_ok(), form == "https://a.example/with");
    }
}

fn files() -> Resource {
    let scope = |name: &str| DescribedScope {
        name: ScopeName::from_name(name).unwrap(),
        description: format!("May {name}"),
    };
    Resource {
        url: "https://files.example".to_owned(),
        name: Some("Files".to_owned()),
        scopes: vec![scope("files:read"), scope("files:write")],
        id: Some(ResourceId::new("files")),
    }
}

/// req_115: a token has the scopes of its own resources only.
#[test]
fn a_scope_belongs_to_its_resource() {
    let known = KnownResources::new("https://a.example", &["https://b.example".into()]);
    let known = known.with(vec![files()]);
    let scope = Scope::parse("openid files:read READ_PROFILE tools:read").unwrap();
    let limited = |resources: &[&str]| {
        let resources: Vec<String> = resources.iter().map(|one| (*one).to_owned()).collect();
        known.limit(&scope, Some(&resources)).to_string()
    };
    assert_eq!(
        limited(&["https://files.example"]),
        "openid files:read READ_PROFILE"
    );
    for resources in [&["https://b.example"][..], &["https://a.example/api"], &[]] {
        assert_eq!(limited(resources), "openid READ_PROFILE");
    }
    assert_eq!(known.limit(&scope, None).to_string(), "openid READ_PROFILE");
    assert_eq!(
        known.defined(&scope).to_string(),
        "openid files:read READ_PROFILE"
    );
}

/// A request that names this community's own API needs no resource of the database.
#[test]
fn a_name_of_the_own_api_is_settled() {
    let known = KnownResources::new("https://a.example", &["https://b.example".into()]);
    for settled in [
        "https://a.example/mcp",
        "https://a.example/mcp/",
        "https://b.example",
    ] {
        assert!(known.is_settled(settled), "{settled}");
    }
    for open in ["https://b.example/", "https://files.example", ""] {
        assert!(!known.is_settled(open), "{open}");
    }
    let known = known.with(vec![files()]);
    let read = ScopeName::from_name("files:read").unwrap();
    assert_eq!(known.with_scope(read).unwrap().url, "https://files.example");
    let urls = [
        "https://a.example".to_owned(),
        "https://files.example".to_owned(),
    ];
    let identities = known.consent_identities(&urls);
    assert_eq!(identities, [urls[0].clone(), files().consent_identity()]);
}

/// A resource that was removed is in no new token.
#[test]
fn a_removed_resource_is_left_out_of_a_grant() {
    let known = KnownResources::new("https://a.example", &[]);
    let granted = [
        "https://files.example".to_owned(),
        "https://a.example/api".to_owned(),
    ];
    assert_eq!(
        known.within(Some(&granted), None).unwrap().unwrap(),
        ["https://a.example/api"]
    );
    assert!(known.within(Some(&granted[..1]), None).is_err());
    assert!(
        known
            .within(Some(&granted), Some("https://files.example"))
            .is_err()
    );
    let known = known.with(vec![files()]);
    assert_eq!(
        known.within(Some(&granted), None).unwrap().unwrap(),
        granted
    );
}

/// req_144, req_124: a token request stays within the grant.
#[test]
fn a_token_is_for_no_more_than_was_granted() {
    let known = KnownResources::new("https://a.example", &["https://files.example/".into()]);
    let files = vec!["https://files.example/".to_owned()];
    let own = Some("https://a.example/mcp");
    assert!(known.within(Some(&files), own).is_err());
    assert!(known.within(None, Some("https://files.example/")).is_err());
    assert!(known.within(None, own).is_ok());
    assert_eq!(known.within(Some(&files), None).unwrap(), Some(files));
}
