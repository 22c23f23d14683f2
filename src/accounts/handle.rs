//! Handles: the unique names of members.

/// Maximum length of a handle, in characters.
const LENGTH_MAX: usize = 30;

/// Parses the handle of a new account, in lower case.
///
/// # Errors
/// A description of valid handles.
pub fn parse(text: &str) -> Result<String, String> {
    let handle = text.to_lowercase();
    let fits = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    if handle.is_empty() || handle.len() > LENGTH_MAX || !handle.bytes().all(fits) {
        return Err(format!(
            "a handle has 1 to {LENGTH_MAX} letters (a-z), digits, hyphens and underscores"
        ));
    }
    Ok(handle)
}
