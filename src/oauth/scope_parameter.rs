//! The `scope` of a request (RFC 6749 §3.3), and of client metadata (RFC 7591 §2).
//!
//! Spaces around and between names have no meaning, and names that this server does not know are
//! passed over (OpenID Connect Core §3.1.2.1). An unknown name grants nothing: a request with only
//! unknown names is an error, not a request without `scope`, which would get the default scope.

use super::error::OAuthError;
use super::error_value::named;
use super::mistake::MistakeKind;
use super::scope::{NAMES_MAX, Scope, ScopeName, ScopeSyntax};
use super::scope_token::illegal_character;

/// The names of a text, by whether this server knows the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeNames {
    /// The known names, each once, in the given order. A name in the form of a resource's scope counts as
    /// known; the resources decide later.
    pub known: Scope,
    /// The other names.
    pub unknown: Vec<String>,
}

/// True if a parameter is absent, empty or has only spaces: the request names no scope.
#[must_use]
pub fn is_blank(parameter: Option<&str>) -> bool {
    parameter.is_none_or(|text| text.bytes().all(|byte| byte == b' '))
}

/// Reads the names of a `scope` parameter.
///
/// # Errors
/// `invalid_scope` for a character outside RFC 6749 §3.3, and for too many names.
pub fn read(text: &str) -> Result<ScopeNames, OAuthError> {
    let mut names = ScopeNames::default();
    let given = text.split(' ').filter(|name| !name.is_empty());
    for (index, name) in given.enumerate() {
        if index >= NAMES_MAX {
            let description = format!("scope has more than {NAMES_MAX} names");
            return Err(OAuthError::invalid_scope(description));
        }
        if let Some(character) = illegal_character(name) {
            let error = OAuthError::invalid_scope(illegal(name, character));
            return Err(error.mistake(MistakeKind::Scope, Some(name)));
        }
        match ScopeName::from_name(name) {
            Some(known) => names.known.push(known),
            None => names.unknown.push(name.to_owned()),
        }
    }
    Ok(names)
}

/// Describes a name with an illegal character, which the description itself must not have (RFC 6749
/// §5.2).
pub(super) fn illegal(name: &str, character: char) -> String {
    let legal = |one: char| if one.is_ascii_graphic() { one } else { '_' };
    let shown: String = name
        .chars()
        .map(legal)
        .map(|one| if one == '"' || one == '\\' { '_' } else { one })
        .collect();
    format!(
        "{} has the character U+{:04X}; a scope name is printable ASCII without quotes and \
         backslashes, and spaces separate the names",
        named("scope name", &shown),
        u32::from(character)
    )
}

/// Reads the `scope` parameter of a request; an absent or blank parameter requests nothing.
/// `storydens_refusal` is the error description with [`ScopeSyntax::WhiteSpace`].
///
/// # Errors
/// `invalid_scope` for an illegal character, for too many names, and if no name is known.
pub fn scope_of(
    syntax: ScopeSyntax,
    parameter: Option<&str>,
    storydens_refusal: &'static str,
) -> Result<Scope, OAuthError> {
    let text = parameter.unwrap_or_default();
    if syntax == ScopeSyntax::WhiteSpace {
        let scope = Scope::parse_leniently(text);
        return scope.map_err(|_| {
            let error = OAuthError::invalid_scope(storydens_refusal);
            error.mistake(MistakeKind::Scope, Some(text))
        });
    }
    let names = read(text)?;
    match names.unknown.first() {
        Some(unknown) if names.known.is_empty() => Err(none_known(unknown)),
        _ => Ok(names.known),
    }
}

/// Returns the error for a request that has only unknown scopes, as `unknown`.
#[must_use]
pub fn none_known(unknown: &str) -> OAuthError {
    let error = OAuthError::invalid_scope(format!(
        "{} is unknown, and the request has no known scope; scopes_supported in the metadata \
         lists the known scopes",
        named("scope", unknown)
    ));
    error.mistake(MistakeKind::Scope, Some(unknown))
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(text: &str) -> Result<String, String> {
        let scope = scope_of(ScopeSyntax::Spaces, Some(text), "");
        scope
            .map(|scope| scope.to_string())
            .map_err(|error| error.description.into_owned())
    }

    /// req_017: spaces and unknown names are passed over, repeated names are kept once.
    #[test]
    fn spaces_and_unknown_names_are_passed_over() {
        for (text, scope) in [
            ("", ""),
            ("   ", ""),
            (" openid", "openid"),
            ("openid  profile ", "openid profile"),
            ("openid openid", "openid"),
            ("mcp_tools openid OPENID", "openid"),
            ("mcp:tools openid OPENID", "mcp:tools openid"),
            ("read_profile READ_PROFILE", "READ_PROFILE"),
        ] {
            assert_eq!(request(text).as_deref(), Ok(scope), "{text:?}");
        }
        assert!(is_blank(None) && is_blank(Some("")) && is_blank(Some("  ")));
        assert!(!is_blank(Some("\t")) && !is_blank(Some("x")));
    }

    /// req_017, req_027: an error names the value and the character.
    #[test]
    fn errors_name_the_value() {
        for (text, part) in [
            ("mcp_tools other", "scope mcp_tools is unknown"),
            (
                "openid\tprofile",
                "scope name openid_profile has the character U+0009",
            ),
            (
                "openid \"profile\"",
                "scope name _profile_ has the character U+0022",
            ),
            ("openid é", "scope name _ has the character U+00E9"),
            ("a\\b", "scope name a_b has the character U+005C"),
            ("\u{a0}openid", "U+00A0"),
        ] {
            let error = request(text).unwrap_err();
            assert!(error.starts_with(part) || error.contains(part), "{error}");
        }
        let most = ["openid"; NAMES_MAX].join(" ");
        assert!(request(&most).is_ok());
        assert_eq!(
            request(&format!("{most} x")).unwrap_err(),
            "scope has more than 64 names"
        );
    }

    proptest! {
        /// T18, req_027: no text causes a panic, and every description stays within RFC 6749 §5.2.
        #[test]
        fn any_text_is_a_scope_or_is_refused(text in ".{0,200}") {
            if let Err(description) = request(&text) {
                let legal = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
                prop_assert!(description.bytes().all(legal));
            }
        }

        /// T18, req_020: unknown names add nothing to a scope.
        #[test]
        fn unknown_names_add_nothing(name in "[a-z_]{1,20}") {
            prop_assume!(ScopeName::from_name(&name).is_none());
            prop_assert_eq!(request(&format!("openid {name}")), Ok("openid".to_owned()));
            prop_assert!(request(&name).is_err());
        }
    }
}
