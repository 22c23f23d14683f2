//! A message catalogue: the texts of the pages in one language.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::Value;

use super::merge::merged;

/// The built-in catalogues, English first: the language and the file.
const FILES: &[(&str, &str)] = &[
    ("en", include_str!("../../web/messages/en.json")),
    ("ar", include_str!("../../web/messages/ar.json")),
    ("de", include_str!("../../web/messages/de.json")),
    ("es", include_str!("../../web/messages/es.json")),
    ("fr", include_str!("../../web/messages/fr.json")),
    ("ja", include_str!("../../web/messages/ja.json")),
    ("pt-BR", include_str!("../../web/messages/pt-BR.json")),
    ("zh-Hans", include_str!("../../web/messages/zh-Hans.json")),
];

/// The built-in catalogues, parsed once per process. A message that is not translated yet is English.
static BUILT_IN: LazyLock<Vec<Catalogue>> = LazyLock::new(|| {
    let parse = |text: &str| -> Value {
        serde_json::from_str(text).expect("the built-in catalogues are valid JSON")
    };
    let english = parse(FILES[0].1);
    let catalogue = |(language, text): &(&str, &str)| {
        let messages = merged(&english, parse(text));
        Catalogue::new(language, messages)
    };
    FILES.iter().map(catalogue).collect()
});

/// Languages that are written from right to left, by primary subtag.
const RIGHT_TO_LEFT: &[&str] = &[
    "ar", "arc", "ckb", "dv", "fa", "he", "ks", "nqo", "ps", "sd", "syr", "ug", "ur", "yi",
];

/// Maximum number of language ranges that are read from `Accept-Language`.
const RANGES_MAX: usize = 20;

/// The direction of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Left to right.
    LeftToRight,
    /// Right to left.
    RightToLeft,
}

impl Direction {
    fn of(language: &str) -> Self {
        let mut subtags = language.split('-');
        let primary = subtags.next().unwrap_or_default();
        // A script subtag wins over the usual script of the language (RFC 5646 §2.2.3).
        let script = subtags.find(|subtag| subtag.len() == 4);
        let is_right_to_left = match script {
            Some(script) => ["arab", "hebr", "nkoo", "syrc", "thaa"]
                .iter()
                .any(|one| script.eq_ignore_ascii_case(one)),
            None => RIGHT_TO_LEFT
                .iter()
                .any(|one| primary.eq_ignore_ascii_case(one)),
        };
        if is_right_to_left {
            Self::RightToLeft
        } else {
            Self::LeftToRight
        }
    }

    /// Returns the value of the HTML attribute `dir`.
    #[must_use]
    pub fn attribute(self) -> &'static str {
        match self {
            Self::LeftToRight => "ltr",
            Self::RightToLeft => "rtl",
        }
    }
}

/// The texts of the pages in one language.
#[derive(Clone, Debug)]
pub struct Catalogue {
    language: String,
    direction: Direction,
    messages: Value,
    json: Bytes,
}

impl Catalogue {
    pub(super) fn new(language: &str, messages: Value) -> Self {
        Self {
            direction: Direction::of(language),
            language: language.to_owned(),
            json: Bytes::from(messages.to_string()),
            messages,
        }
    }

    pub(super) fn built_in() -> Vec<Self> {
        BUILT_IN.clone()
    }

    /// Returns the language tag (RFC 5646).
    #[must_use]
    pub fn language(&self) -> &str {
        &self.language
    }

    /// Returns the direction of the script.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Returns the name of the language in the language itself.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("common.languageName")
    }

    /// Returns the file that pages load.
    #[must_use]
    pub fn json(&self) -> Bytes {
        self.json.clone()
    }

    /// Returns the message at a path such as `login.heading`; empty if there is none.
    #[must_use]
    pub fn text(&self, path: &str) -> &str {
        let found = path
            .split('.')
            .try_fold(&self.messages, |place, key| place.get(key));
        found.and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn messages(&self) -> &Value {
        &self.messages
    }
}

/// Finds the catalogue for `Accept-Language` (RFC 9110 §12.5.4), by lookup (RFC 4647 §3.4): the range itself, shorter
/// ranges, then any catalogue of the same primary language.
pub(super) fn negotiate<'a>(
    catalogues: &'a [Catalogue],
    accept_language: &str,
) -> Option<&'a Catalogue> {
    let mut ranges: Vec<(f32, &str)> = accept_language
        .split(',')
        .take(RANGES_MAX)
        .map(weighted)
        .filter(|(weight, range)| *weight > 0.0 && !range.is_empty())
        .collect();
    ranges.sort_by(|(one, _), (other, _)| other.total_cmp(one)); // stable: equal weights keep their order
    ranges.iter().find_map(|(_, range)| best(catalogues, range))
}

fn weighted(entry: &str) -> (f32, &str) {
    let mut parts = entry.split(';');
    let range = parts.next().unwrap_or_default().trim();
    let weight = parts.find_map(|part| part.trim().strip_prefix("q="));
    let weight = weight.map_or(Some(1.0), |weight| weight.trim().parse::<f32>().ok());
    (weight.unwrap_or(0.0), range)
}

fn best<'a>(catalogues: &'a [Catalogue], range: &str) -> Option<&'a Catalogue> {
    if range == "*" {
        return catalogues.first();
    }
    let named = |name: &str| {
        let mut all = catalogues.iter();
        all.find(|one| one.language.eq_ignore_ascii_case(name))
    };
    let mut shorter = Some(range);
    while let Some(name) = shorter {
        if let Some(found) = named(name) {
            return Some(found);
        }
        shorter = name.rsplit_once('-').map(|(start, _)| start);
    }
    let primary = |tag: &str| {
        tag.split('-')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let wanted = primary(range);
    catalogues
        .iter()
        .find(|one| primary(&one.language) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept_language: &str) -> Option<String> {
        let all = Catalogue::built_in();
        negotiate(&all, accept_language).map(|one| one.language.clone())
    }

    #[test]
    fn the_heaviest_known_language_wins() {
        for (header, language) in [
            ("de-CH, fr;q=0.9", Some("de")),
            ("fr;q=0.5, es;q=0.8", Some("es")),
            ("xx, ja;q=0.1", Some("ja")),
            ("zh-CN", Some("zh-Hans")),
            ("zh-TW, zh;q=0.9, en;q=0.8", Some("zh-Hans")),
            ("pt-PT", Some("pt-BR")),
            ("PT-br", Some("pt-BR")),
            ("de;q=0, *;q=0.1", Some("en")),
            ("xx", None),
            ("", None),
            ("de;q=x", None),
            (";;;,,,q=1", None),
        ] {
            assert_eq!(chosen(header).as_deref(), language, "{header}");
        }
    }

    #[test]
    fn a_script_decides_the_direction() {
        for (language, direction) in [
            ("ar", "rtl"),
            ("he-IL", "rtl"),
            ("az-Arab", "rtl"),
            ("ku-Latn", "ltr"),
            ("ar-Latn", "ltr"),
            ("en", "ltr"),
            ("zh-Hans", "ltr"),
        ] {
            assert_eq!(Direction::of(language).attribute(), direction, "{language}");
        }
    }
}
