//! Client names (RFC 7591 §5, A-68). Members read the name on the consent page, so a name must not
//! imitate another.

use unicode_normalization::UnicodeNormalization as _;
use unicode_security::confusable_detection::skeleton;

use super::display_text::is_displayable;

/// The longest name, in characters.
pub const LENGTH_MAX: usize = 64;

/// Reserved prefix: names of the community's own software, such as its command-line tool.
const RESERVED: &str = "storyden";

/// The reason why a name is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientNameError {
    /// Longer than `LENGTH_MAX`.
    #[error("client_name has more than 64 characters")]
    TooLong,
    /// Invisible characters, or characters that change the text direction.
    #[error(
        "client_name has characters that are not shown: control, direction or zero-width characters; \
         emoji and scripts with joiners are accepted"
    )]
    Invisible,
    /// A name of the community's own software, or a look-alike.
    #[error("client_name is, or looks like, a name of Storyden itself; choose another")]
    Reserved,
}

/// Normalises a name to its stored form: NFC, trimmed. `None` if nothing is left.
///
/// # Errors
/// The reason for the rejection.
pub fn clean(given: &str) -> Result<Option<String>, ClientNameError> {
    // Checked before the normalisation, which costs time.
    if given.len() > 16 * LENGTH_MAX {
        return Err(ClientNameError::TooLong);
    }
    let name: String = given.trim().nfc().collect();
    if name.chars().count() > LENGTH_MAX {
        return Err(ClientNameError::TooLong);
    }
    if !is_displayable(&name) {
        return Err(ClientNameError::Invisible);
    }
    if looks_reserved(&name) {
        return Err(ClientNameError::Reserved);
    }
    Ok(Some(name).filter(|name| !name.is_empty()))
}

/// True if a name starts with a reserved word as a person reads it: ignoring case, separators between
/// letters, and look-alike letters of other alphabets (UTS #39).
pub(super) fn looks_reserved(name: &str) -> bool {
    let folded: String = name.nfkc().collect::<String>().to_lowercase();
    let read: String = skeleton(&folded).filter(|c| c.is_alphanumeric()).collect();
    let wanted: String = skeleton(RESERVED).collect();
    read.to_lowercase().starts_with(&wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in [
            "Calendar",
            "Notes for Storyden",
            "Größe",
            "日本語",
            "عربي",
            "Ἀθῆναι",
            "C++ & co.",
            "👩\u{200d}💻 Notes",
            "می\u{200c}خواهم",
            "\u{0dc1}\u{0dca}\u{200d}\u{0dbb}\u{0dd3}",
        ] {
            assert_eq!(clean(name).unwrap().as_deref(), Some(name));
        }
        assert_eq!(clean("  Spaced \n").unwrap().as_deref(), Some("Spaced"));
        assert_eq!(clean("Cafe\u{301}").unwrap().as_deref(), Some("Café"));
        assert_eq!(clean(" ").unwrap(), None);
        assert_eq!(clean(&"é".repeat(64)).unwrap(), Some("é".repeat(64)));
    }

    /// names that people would read as the community's own.
    #[test]
    fn look_alikes_of_reserved_names_are_refused() {
        for name in [
            "Storyden",
            "STORYDEN",
            "storyden-cli",
            "Storyden CLI",
            "S t o r y d e n",
            "St\u{43e}ryden",       // a Cyrillic о
            "\u{405}toryd\u{435}n", // Cyrillic Ѕ and е
            "Ｓｔｏｒｙｄｅｎ",
            "𝐒𝐭𝐨𝐫𝐲𝐝𝐞𝐧",
            "St0ryden",
            "“Storyden”",
            "Storyden Account Security",
            "💬 Storyden",
            "Sto👩\u{200d}💻ryden",
            "S\u{301}to\u{323}ryden",
        ] {
            assert_eq!(clean(name), Err(ClientNameError::Reserved), "{name}");
        }
    }

    /// invisible and direction-changing characters, and long names.
    #[test]
    fn characters_that_are_not_shown_are_refused() {
        for name in [
            "Cal\u{200b}endar",
            "Cal\u{202e}endar",
            "Cal\u{200d}endar",
            "\u{e000}",
        ] {
            assert_eq!(clean(name), Err(ClientNameError::Invisible), "{name:?}");
        }
        assert_eq!(clean(&"x".repeat(65)), Err(ClientNameError::TooLong));
        assert_eq!(clean(&"x".repeat(100_000)), Err(ClientNameError::TooLong));
    }
}
