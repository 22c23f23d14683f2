//! The operator's catalogues, from `MESSAGES_DIR`: files `LANGUAGE.json` with some of the messages. A missing message is
//! taken from the built-in catalogue of the language, or from English.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::catalogue::Catalogue;
use super::merge::{CATEGORIES, is_plural, merged};

/// Maximum size of a file in bytes.
const FILE_MAX: u64 = 1_000_000;

/// Maximum number of problems that are reported for a file.
const PROBLEMS_MAX: usize = 20;

/// The message that an English fallback would be wrong for.
const LANGUAGE_NAME: &str = "languageName";

/// Reads the folder. Returns the built-in catalogues with the operator's messages, and the operator's languages.
///
/// # Errors
/// All problems, each with the variable, the file and the message.
pub(super) fn read(folder: &Path, built_in: &[Catalogue]) -> Result<Vec<Catalogue>, Vec<String>> {
    let paths = files_of(folder).map_err(|problem| vec![problem])?;
    let mut catalogues = built_in.to_vec();
    let mut problems = Vec::new();
    for path in paths {
        match read_file(&path, built_in) {
            Ok(read) => {
                let place = catalogues
                    .iter()
                    .position(|one| one.language() == read.language());
                match place {
                    Some(place) => catalogues[place] = read,
                    None => catalogues.push(read),
                }
            }
            Err(found) => {
                let file = path.display();
                let told = found.iter().take(PROBLEMS_MAX);
                problems.extend(told.map(|problem| format!("MESSAGES_DIR {file}: {problem}")));
            }
        }
    }
    if problems.is_empty() {
        Ok(catalogues)
    } else {
        Err(problems)
    }
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let shown = folder.display();
    let unreadable = |error| format!("MESSAGES_DIR {shown}: the folder cannot be read: {error}");
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension() == Some(OsStr::new("json")) {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(format!(
            "MESSAGES_DIR {shown}: no file LANGUAGE.json, such as it.json, is in this folder"
        ));
    }
    Ok(paths)
}

fn read_file(path: &Path, built_in: &[Catalogue]) -> Result<Catalogue, Vec<String>> {
    let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    if !is_language_tag(stem) {
        let problem = "the name must be a language tag, as in it.json or pt-PT.json";
        return Err(vec![problem.to_owned()]);
    }
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if size > FILE_MAX {
        return Err(vec![format!(
            "the file has {size} bytes; at most {FILE_MAX}"
        )]);
    }
    let text = std::fs::read_to_string(path).map_err(|error| vec![error.to_string()])?;
    let given: Value =
        serde_json::from_str(&text).map_err(|error| vec![format!("invalid JSON: {error}")])?;
    let english = &built_in[0];
    let mut problems = Vec::new();
    compare(english.messages(), &given, &mut Vec::new(), &mut problems);
    let base = built_in
        .iter()
        .find(|one| one.language().eq_ignore_ascii_case(stem));
    let has_name = given
        .get("common")
        .is_some_and(|common| common.get(LANGUAGE_NAME).is_some());
    if base.is_none() && !has_name {
        problems.push(
            "common.languageName is missing: the name of the language, in the language itself"
                .to_owned(),
        );
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let language = base.map_or(stem, Catalogue::language);
    let messages = merged(base.unwrap_or(english).messages(), given);
    Ok(Catalogue::new(language, messages))
}

/// Checks the shape of a language tag (RFC 5646 §2.1), which `Intl` of browsers requires.
fn is_language_tag(text: &str) -> bool {
    let mut subtags = text.split('-');
    let primary = subtags.next().unwrap_or_default();
    (2..=3).contains(&primary.len())
        && primary.bytes().all(|byte| byte.is_ascii_alphabetic())
        && subtags.all(|subtag| {
            (2..=8).contains(&subtag.len())
                && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

/// Compares the operator's messages with the English ones: keys, kinds and placeholders.
fn compare(english: &Value, given: &Value, path: &mut Vec<String>, problems: &mut Vec<String>) {
    let name = path.join(".");
    match (english, given) {
        (Value::String(english), Value::String(given)) => {
            let known = placeholders(english);
            for unknown in placeholders(given).difference(&known) {
                let accepted: Vec<_> = known.iter().map(|one| format!("{{{one}}}")).collect();
                let accepted = match accepted.as_slice() {
                    [] => "the message has none".to_owned(),
                    accepted => format!("use {}", accepted.join(" ")),
                };
                problems.push(format!(
                    "{name} has the unknown placeholder {{{unknown}}}; {accepted}"
                ));
            }
        }
        (Value::Object(english), Value::Object(given)) if is_plural(english) => {
            compare_plural(english, given, path, problems);
        }
        (Value::Object(english), Value::Object(given)) => {
            for (key, value) in given {
                path.push(key.clone());
                match english.get(key) {
                    Some(english) => compare(english, value, path, problems),
                    None => problems.push(format!("{} is an unknown key", path.join("."))),
                }
                path.pop();
            }
        }
        (Value::String(_), _) => problems.push(format!("{name} must be a text")),
        _ if path.is_empty() => problems.push("the file must have an object".to_owned()),
        _ => problems.push(format!("{name} must be an object")),
    }
}

/// Compares the forms of a plural message: any category, and always `other`.
fn compare_plural(
    english: &Map<String, Value>,
    given: &Map<String, Value>,
    path: &mut Vec<String>,
    problems: &mut Vec<String>,
) {
    let name = path.join(".");
    if !given.contains_key("other") {
        problems.push(format!(
            "{name}.other is missing: the plural form of every language"
        ));
    }
    for (category, form) in given {
        if !CATEGORIES.contains(&category.as_str()) {
            let known = CATEGORIES.join(", ");
            problems.push(format!(
                "{name}.{category} is no plural category; use {known}"
            ));
            continue;
        }
        path.push(category.clone());
        compare(&english["other"], form, path, problems);
        path.pop();
    }
}

/// Returns the placeholders of a message, as in `{time}`.
fn placeholders(message: &str) -> BTreeSet<&str> {
    let parts = message.split('{').skip(1);
    parts
        .filter_map(|part| part.split_once('}'))
        .map(|(name, _)| name)
        .filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(given: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let english = &Catalogue::built_in()[0];
        compare(english.messages(), given, &mut Vec::new(), &mut found);
        found
    }

    #[test]
    fn each_fault_of_a_catalogue_is_named() {
        let given = json!({
            "common": { "save": 1, "svae": "Salva" },
            "login": "Entra",
            "consent": { "expires": "Scade {tempo}.", "allow": "{client}" },
            "lists": { "scopes": { "one": "{count}", "few": "{n}", "several": "x" } },
        });
        let mut found = problems(&given);
        found.sort();
        assert_eq!(
            found,
            [
                "common.save must be a text",
                "common.svae is an unknown key",
                "consent.allow has the unknown placeholder {client}; the message has none",
                "consent.expires has the unknown placeholder {tempo}; use {time}",
                "lists.scopes.few has the unknown placeholder {n}; use {count}",
                "lists.scopes.other is missing: the plural form of every language",
                "lists.scopes.several is no plural category; use zero, one, two, few, many, other",
                "login must be an object",
            ]
        );
        assert_eq!(problems(&json!([])), ["the file must have an object"]);
    }

    #[test]
    fn a_file_is_named_after_a_language() {
        for (name, valid) in [
            ("it", true),
            ("pt-PT", true),
            ("zh-Hant-TW", true),
            ("gsw", true),
            ("", false),
            ("english", false),
            ("pt_PT", false),
            ("x-klingon", false),
            ("it-", false),
        ] {
            assert_eq!(is_language_tag(name), valid, "{name}");
        }
    }
}
