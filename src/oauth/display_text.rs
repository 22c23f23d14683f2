//! Texts of a client that members read: every script and every emoji, except characters that are not
//! shown or that change the direction of the text (spoofing, A-68).
//!
//! The data are Unicode's: general category and `Default_Ignorable_Code_Point` tell invisible characters
//! (UTS #39 §3.1), the context decides about the joiners that scripts need (UTS #39 §3.1.1), and the list of
//! emoji for general interchange decides about joiners, variation selectors and tags of emoji (UTS #51
//! §1.4.5).

use icu_properties::props::{
    BinaryProperty as _, DefaultIgnorableCodePoint, EnumeratedProperty as _, GeneralCategory,
    GeneralCategoryGroup, IndicSyllabicCategory, JoiningType, PrependedConcatenationMark, Script,
    UnifiedIdeograph, VariationSelector,
};
use unicode_normalization::char::canonical_combining_class;
use unicode_segmentation::UnicodeSegmentation as _;

/// Zero width non-joiner.
const ZWNJ: char = '\u{200c}';
/// Zero width joiner.
const ZWJ: char = '\u{200d}';
/// The variation selector of the text form of an emoji.
const TEXT_FORM: char = '\u{fe0e}';
/// The variation selector of the picture form of an emoji.
const PICTURE_FORM: &str = "\u{fe0f}";
/// A visible character by its category, and a blank cell on the screen.
const BLANK_PATTERN: char = '\u{2800}';
/// The canonical combining class of viramas, which suppress a vowel.
const VIRAMA: u8 = 9;
/// The most nonspacing marks on one character (UTS #39 §5.4).
const MARKS_MAX: usize = 4;

/// True if every character of a text is shown, or changes how its neighbours are shown.
#[must_use]
pub fn is_displayable(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    let mut start = 0;
    for cluster in text.graphemes(true) {
        let end = start + cluster.chars().count();
        if !is_emoji(cluster) && !(start..end).all(|index| is_shown(&characters, index)) {
            return false;
        }
        start = end;
    }
    has_few_marks(&characters)
}

/// True for an emoji of the list for general interchange, in any of its forms.
fn is_emoji(cluster: &str) -> bool {
    emojis::get(cluster).is_some()
        || cluster.ends_with(TEXT_FORM)
            && emojis::get(&cluster.replace(TEXT_FORM, PICTURE_FORM)).is_some()
}

/// True if the character at an index is shown, or has an effect on its neighbours that a script needs.
fn is_shown(characters: &[char], index: usize) -> bool {
    let character = characters[index];
    let before = &characters[..index];
    let after = &characters[index + 1..];
    match character {
        ZWNJ => breaks_cursive_join(before, after) || is_after_virama(before, after, ZWNJ),
        ZWJ => is_after_virama(before, after, ZWJ),
        BLANK_PATTERN => false,
        one if VariationSelector::for_char(one) => selects_variant(before.last()),
        one if PrependedConcatenationMark::for_char(one) => true,
        one => {
            // UTS #39 §3.1: neither controls, format characters and separators of lines, nor private and
            // unassigned characters
            let category = GeneralCategory::for_char(one);
            !DefaultIgnorableCodePoint::for_char(one)
                && !GeneralCategoryGroup::Other.contains(category)
                && !matches!(
                    category,
                    GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator
                )
        }
    }
}

/// True if a variation selector follows a character that has variants: an ideograph, as in Japanese
/// names, or a Mongolian letter.
fn selects_variant(base: Option<&char>) -> bool {
    base.is_some_and(|&base| {
        UnifiedIdeograph::for_char(base) || Script::for_char(base) == Script::Mongolian
    })
}

/// UTS #39 §3.1.1, A1: a ZWNJ between letters that would be joined, as in Persian.
fn breaks_cursive_join(before: &[char], after: &[char]) -> bool {
    let is_transparent = |one: &&char| JoiningType::for_char(**one) == JoiningType::Transparent;
    let left = before.iter().rev().find(|one| !is_transparent(one));
    let right = after.iter().find(|one| !is_transparent(one));
    let (Some(left), Some(right)) = (left, right) else {
        return false;
    };
    let joins_left = matches!(
        JoiningType::for_char(*left),
        JoiningType::LeftJoining | JoiningType::DualJoining
    );
    let joins_right = matches!(
        JoiningType::for_char(*right),
        JoiningType::RightJoining | JoiningType::DualJoining
    );
    joins_left && joins_right && Script::for_char(*left) == Script::for_char(*right)
}

/// UTS #39 §3.1.1, A2 and B: a joiner after a letter with a virama, as in Sinhala and Malayalam. A ZWNJ
/// precedes a letter, a ZWJ no dependent vowel.
fn is_after_virama(before: &[char], after: &[char], joiner: char) -> bool {
    let class = |one: &char| canonical_combining_class(*one);
    let is_nonspacing =
        |one: &char| GeneralCategory::for_char(*one) == GeneralCategory::NonspacingMark;
    let is_reordered = |one: &char| is_nonspacing(one) && class(one) != 0;
    let mut reversed = before.iter().rev();
    let last = reversed.find(|one| !is_reordered(one) || class(one) == VIRAMA);
    if last.is_none_or(|one| class(one) != VIRAMA) {
        return false;
    }
    let Some(base) = reversed.find(|one| !is_nonspacing(one)) else {
        return false;
    };
    let next = after.iter().find(|one| !is_reordered(one));
    let is_letter =
        |one: char| GeneralCategoryGroup::Letter.contains(GeneralCategory::for_char(one));
    let fits = match next {
        Some(next) if joiner == ZWNJ => {
            is_letter(*next) && Script::for_char(*next) == Script::for_char(*base)
        }
        Some(next) => {
            IndicSyllabicCategory::for_char(*next) != IndicSyllabicCategory::VowelDependent
        }
        None => joiner == ZWJ,
    };
    is_letter(*base) && fits
}

/// UTS #39 §5.4: long sequences of marks cover other lines.
fn has_few_marks(characters: &[char]) -> bool {
    let is_mark = |one: &char| {
        matches!(
            GeneralCategory::for_char(*one),
            GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark
        ) && !VariationSelector::for_char(*one)
    };
    characters
        .split(|one| !is_mark(one))
        .all(|marks| marks.len() <= MARKS_MAX)
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// req_140: texts of many scripts, with the joiners that these need, and emoji.
    #[test]
    fn every_script_and_emoji_is_displayable() {
        for text in [
            "Größe & co. №5 — “C++”",
            "日本語　株式会社",
            "葛\u{e0100}飾区", // an ideograph in a variant
            "می\u{200c}خواهم", // Persian, with ZWNJ
            "كتاب الطبخ",
            "\u{0dc1}\u{0dca}\u{200d}\u{0dbb}\u{0dd3}", // Sinhala "Sri", with ZWJ
            "ക്\u{200d}ഷ",                               // Malayalam, with ZWJ
            "अवन्\u{200d}",                              // Devanagari half form at the end
            "क्\u{200c}ष",                               // Devanagari, with ZWNJ
            "ᠮᠣᠩᠭᠣᠯ\u{180b}",                           // Mongolian, with a variation selector
            "שָׁלוֹם",
            "ไทย ລາວ မြန်မာ ខ្មែរ བོད",
            "👩\u{200d}💻 Notes",
            "👨\u{200d}👩\u{200d}👧\u{200d}👦",
            "🏳\u{fe0f}\u{200d}🌈 ❤\u{fe0f} ❤ ❤\u{fe0e}",
            "👍🏽 🇩🇪 #\u{fe0f}\u{20e3} 🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "\u{0600}١٢", // Arabic number sign, visible
            "",
        ] {
            assert!(is_displayable(text), "{text:?}");
        }
    }

    /// invisible and direction-changing characters, and joiners without effect.
    #[test]
    fn what_is_not_shown_is_refused() {
        for character in [
            '\0',
            '\t',
            '\n',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{202e}',
            '\u{2028}',
            '\u{2060}',
            '\u{2066}',
            '\u{2800}',
            '\u{3164}',
            '\u{feff}',
            '\u{fe0f}',
            '\u{fff9}',
            '\u{e000}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{10fffd}',
            '\u{378}',
        ] {
            let text = format!("Cal{character}endar");
            assert!(!is_displayable(&text), "{text:?}");
        }
        for text in [
            "\u{200d}",
            "a\u{200c}",
            "کتاب\u{200c}",      // nothing after the joiner
            "ب\u{200d}ب",        // a ZWJ without effect
            "क\u{200d}",         // no virama
            "क्\u{200c}a",        // another script
            "क्\u{200d}\u{093f}", // before a dependent vowel
            "👩\u{200d}",
            "👩\u{200d}a",
            "🍎\u{200d}🍏",                  // no emoji of the list
            "🏴\u{e0073}\u{e0074}\u{e007f}", // tags of no flag
            "a\u{e0067}\u{e007f}",
            "H\u{300}\u{301}\u{302}\u{303}\u{304}",
        ] {
            assert!(!is_displayable(text), "{text:?}");
        }
    }

    proptest! {
        /// T18, A-68: no text causes a panic, and a displayable text has no control or direction
        /// character.
        #[test]
        fn any_text_is_checked(text in any::<String>()) {
            if is_displayable(&text) {
                let bad = |one: char| one.is_control() || ('\u{202a}'..='\u{202e}').contains(&one)
                    || ('\u{2066}'..='\u{2069}').contains(&one);
                prop_assert!(!text.chars().any(bad));
            }
        }
    }
}
