//! Unit tests of `oauth::client_rules`.

use super::*;
use GrantType::{AuthorizationCode, ClientCredentials, DeviceCode, RefreshToken};

const STANDARDS: Rules = Rules {
    policy: MemberClientPolicy {
        long_names_accepted: false,
        standard_scopes_rejected: false,
        repeats_kept: false,
        scheme_without_dot_accepted: false,
        pkce_choice_ignored: false,
        auth_method_ignored: false,
        all_grant_combinations_accepted: false,
    },
    held: PermissionSet::of(&[Permission::ReadProfile]),
};

const STORYDEN: Rules = Rules {
    policy: MemberClientPolicy {
        long_names_accepted: true,
        standard_scopes_rejected: true,
        repeats_kept: true,
        scheme_without_dot_accepted: true,
        pkce_choice_ignored: true,
        auth_method_ignored: true,
        all_grant_combinations_accepted: true,
    },
    held: PermissionSet::of(&[Permission::Administrator]),
};

fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// length and visibility of a name.
#[test]
fn a_name_is_short_and_shown() {
    assert_eq!(STANDARDS.name("  Größe 日本 "), Ok("Größe 日本".to_owned()));
    assert!(STANDARDS.name(&"x".repeat(64)).is_ok());
    assert!(STANDARDS.name(&"x".repeat(65)).is_err());
    assert!(STORYDEN.name(&"x".repeat(10_000)).is_ok());
    for rules in [STANDARDS, STORYDEN] {
        assert!(rules.name("").is_err());
        for hidden in [
            '\0', '\n', '\u{85}', '\u{200b}', '\u{202e}', '\u{2066}', '\u{feff}',
        ] {
            assert!(rules.name(&format!("a{hidden}b")).is_err(), "{hidden:?}");
        }
    }
}

/// a member's application is not called as the community's own software is.
#[test]
fn a_reserved_name_is_for_administrators() {
    for name in ["Storyden", "St\u{43e}ryden CLI", " storyden-cli"] {
        assert!(STANDARDS.name(name).is_err(), "{name}");
        let named = STORYDEN.name(name.trim());
        assert_eq!(named.as_deref(), Ok(name.trim()));
    }
    assert!(STANDARDS.name("Notes for Storyden").is_ok());
}

#[test]
fn scopes_are_known_and_held() {
    let names = |rules: Rules, given: &[&str]| {
        let scopes = rules.scopes(&list(given));
        scopes.map(|scopes| scopes.to_string())
    };
    assert_eq!(
        names(STANDARDS, &["openid", "READ_PROFILE", "openid"]),
        Ok("openid READ_PROFILE".to_owned())
    );
    let lacking = ClientRuleError::NotHeld(Permission::ManageReports);
    assert_eq!(names(STANDARDS, &["MANAGE_REPORTS"]), Err(lacking));
    assert!(names(STANDARDS, &["NOPE"]).is_err());
    assert!(names(STORYDEN, &["openid"]).is_err());
    let twice = ["MANAGE_REPORTS", "MANAGE_REPORTS"];
    assert_eq!(names(STORYDEN, &twice), Ok(twice.join(" ")));
}

/// banned schemes are banned in both profiles; Storyden accepts a scheme without a dot, and so
/// does the operator's list, for clients without a secret.
#[test]
fn banned_redirects_are_banned_in_both() {
    let schemes = PrivateUseSchemes::of(&["cursor"]);
    let check = |rules: Rules, uri, kind| rules.redirect_uris(&list(&[uri]), kind, &schemes);
    let (public, confidential) = (ClientType::Public, ClientType::Confidential);
    for rules in [STANDARDS, STORYDEN] {
        for uri in [
            "javascript:alert(1)",
            "http://x.example",
            "not a url",
            " ",
            "https://x/#f",
        ] {
            assert!(check(rules, uri, public).is_err(), "{uri}");
        }
        assert!(check(rules, "https://x.example/cb", public).is_ok());
        assert!(check(rules, "cursor://cb", public).is_ok());
    }
    assert!(check(STORYDEN, "myapp://callback", public).is_ok());
    assert!(check(STORYDEN, "cursor://cb", confidential).is_ok());
    assert!(check(STANDARDS, "cursor://cb", confidential).is_err());
    let refused = check(STANDARDS, "myapp://callback", public);
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("myapp://callback") && text.contains("without a dot"),
        "{text}"
    );
}

#[test]
fn the_parts_go_together() {
    let fits = |rules: Rules, kind, grants: &[GrantType], has_redirect_uris, pkce_required| {
        let shape = Shape {
            kind,
            grants,
            has_redirect_uris,
            pkce_required,
        };
        rules.fit(shape).is_ok()
    };
    let (public, confidential) = (ClientType::Public, ClientType::Confidential);
    for rules in [STANDARDS, STORYDEN] {
        assert!(fits(rules, public, &[AuthorizationCode], true, true));
        assert!(!fits(rules, public, &[AuthorizationCode], true, false));
        assert!(!fits(rules, public, &[AuthorizationCode], false, true));
        assert!(!fits(rules, public, &[ClientCredentials], false, true));
        assert!(fits(
            rules,
            confidential,
            &[ClientCredentials],
            false,
            false
        ));
        assert!(!fits(
            rules,
            confidential,
            &[ClientCredentials],
            true,
            false
        ));
        assert!(fits(
            rules,
            confidential,
            &[ClientCredentials, AuthorizationCode],
            true,
            false
        ));
        assert!(fits(rules, public, &[DeviceCode], false, false));
    }
    assert!(fits(STORYDEN, public, &[RefreshToken], false, false));
    assert!(!fits(STANDARDS, public, &[RefreshToken], false, false));
    assert!(!fits(STANDARDS, confidential, &[DeviceCode], false, false));
}

#[test]
fn a_method_fits_its_type() {
    let method = |kind, given| STANDARDS.auth_method(kind, Some(given));
    let (public, confidential) = (ClientType::Public, ClientType::Confidential);
    assert_eq!(method(public, "none"), Ok(Some(AuthMethod::None)));
    assert_eq!(
        method(confidential, "client_secret_post"),
        Ok(Some(AuthMethod::Post))
    );
    assert!(method(public, "client_secret_post").is_err());
    assert!(method(confidential, "none").is_err());
    assert!(method(confidential, "private_key_jwt").is_err());
    assert_eq!(STORYDEN.auth_method(public, Some("nonsense")), Ok(None));
}
