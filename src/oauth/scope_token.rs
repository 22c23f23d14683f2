//! The grammar of a scope name (RFC 6749 §3.3).

/// True for a `scope-token` (RFC 6749 §3.3), known or not.
#[must_use]
pub fn is_scope_token(name: &str) -> bool {
    !name.is_empty() && illegal_character(name).is_none()
}

/// The first character of a name outside `%x21 / %x23-5B / %x5D-7E` (RFC 6749 §3.3).
#[must_use]
pub fn illegal_character(name: &str) -> Option<char> {
    let is_nqchar = |character| matches!(character, '\x21' | '\x23'..='\x5B' | '\x5D'..='\x7E');
    name.chars().find(|character| !is_nqchar(*character))
}
