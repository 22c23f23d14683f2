//! Client names (RFC 7591 §5, A-68). Members read the name on the consent page, so a name must not
//! imitate another.

use unicode_normalization::UnicodeNormalization as _;
use unicode_security::confusable_detection::skeleton;

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
        "client_name has characters that are not shown: control, direction or zero-width characters"
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
    if !name.chars().all(is_shown) {
        return Err(ClientNameError::Invisible);
    }
    if looks_reserved(&name) {
        return Err(ClientNameError::Reserved);
    }
    Ok(Some(name).filter(|name| !name.is_empty()))
}

/// True if a character is visible: not a control, format (zero-width, tag, bidirectional), line
/// separator or private-use character.
pub(super) fn is_shown(character: char) -> bool {
    const FILLERS: [char; 5] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}', '\u{2800}'];
    let is_variation = matches!(character, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}');
    let is_unseen = matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e000}'..='\u{f8ff}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{10ffff}'
    );
    !character.is_control() && !is_variation && !is_unseen && !FILLERS.contains(&character)
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
        ] {
            assert_eq!(clean(name), Err(ClientNameError::Reserved), "{name}");
        }
    }

    /// invisible and direction-changing characters.
    #[test]
    fn characters_that_are_not_shown_are_refused() {
        for character in [
            '\0',
            '\n',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{202e}',
            '\u{2028}',
            '\u{2066}',
            '\u{feff}',
            '\u{e0041}',
            '\u{fe0f}',
            '\u{3164}',
            '\u{e000}',
        ] {
            let name = format!("Cal{character}endar");
            assert_eq!(clean(&name), Err(ClientNameError::Invisible), "{name:?}");
        }
        assert_eq!(clean(&"x".repeat(65)), Err(ClientNameError::TooLong));
        assert_eq!(clean(&"x".repeat(100_000)), Err(ClientNameError::TooLong));
    }
}
