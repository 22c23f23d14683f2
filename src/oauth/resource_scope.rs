//! Scopes of a resource beside this community's own API, such as `tools:read`.

use std::fmt;

use super::scope_token::is_scope_token;

/// The most bytes of a name.
pub const NAME_MAX: usize = 64;

/// The name of a scope of a resource. Has a colon, a dot or a slash, and so never equals a permission or
/// a standard scope. A name may be unknown: the resources decide. Stored inline, so that scope names
/// are `Copy`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResourceScope {
    length: u8,
    bytes: [u8; NAME_MAX],
}

impl ResourceScope {
    /// Parses a name by the grammar of RFC 6749 §3.3; `None` for a longer name, and for a name without
    /// one of the three characters.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if !name.contains([':', '.', '/']) || !is_scope_token(name) {
            return None;
        }
        let mut bytes = [0; NAME_MAX];
        bytes
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        let length = u8::try_from(name.len()).ok()?;
        Some(Self { length, bytes })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let name = self.bytes.get(..usize::from(self.length));
        name.and_then(|name| std::str::from_utf8(name).ok())
            .unwrap_or_default()
    }
}

impl fmt::Debug for ResourceScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_has_a_separator_and_the_grammar_of_a_scope() {
        let long = format!("a:{}", "b".repeat(NAME_MAX - 2));
        for name in [
            "tools:read",
            "files.read",
            "https://a.example/x",
            ":",
            &long,
        ] {
            assert_eq!(ResourceScope::parse(name).unwrap().as_str(), name);
        }
        for name in [
            "",
            "read",
            "READ_PROFILE",
            "a b:c",
            "a:\"",
            "a:\\",
            "a:é",
            &format!("{long}b"),
        ] {
            assert!(ResourceScope::parse(name).is_none(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_name_reads_back(name in ".{0,80}") {
            if let Some(scope) = ResourceScope::parse(&name) {
                prop_assert_eq!(scope.as_str(), name.as_str());
            }
        }
    }
}
