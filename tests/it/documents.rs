//! References in the documentation and in comments: every named file and every cited anchor exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders whose files the documents may name.
const FOLDERS: [&str; 7] = [
    "src/",
    "tests/",
    "web/",
    "docs/",
    "config/",
    "bench/",
    "migrations/",
];

/// Folders that a test run creates.
const GENERATED: [&str; 1] = ["tests/pages/screenshots"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files below a folder, without installed packages and generated files.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_installed = ["node_modules", ".venv", "screenshots", ".written", ".bin"]
            .iter()
            .any(|name| path.ends_with(name));
        if path.is_dir() && !is_installed {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// The documents for readers of the repository.
fn documents() -> Vec<PathBuf> {
    let mut found = files(&root().join("docs"));
    found.extend(["README.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    found
}

/// Paths of the repository in a text.
fn named_paths(text: &str) -> BTreeSet<&str> {
    text.split(|character: char| !is_path_character(character))
        .map(|word| word.trim_end_matches(['.', '/']))
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
        .collect()
}

/// A document without the lines that start and end code blocks: these name files of the reader's project.
fn without_info_strings(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("```"));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_path_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "/._-*".contains(character)
}

/// True if a path exists; `*` matches any name of a folder.
fn exists(path: &str) -> bool {
    let Some((before, after)) = path.split_once('*') else {
        return root().join(path).exists();
    };
    let folder = root().join(before);
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let after = after.trim_start_matches('/');
        entry.path().join(after).exists()
    })
}

#[test]
fn files_named_in_documents_exist() {
    let mut missing = Vec::new();
    for document in documents() {
        let text = without_info_strings(&read(&document));
        let paths = named_paths(&text);
        let absent = paths
            .iter()
            .filter(|path| !GENERATED.contains(path) && !exists(path));
        missing.extend(absent.map(|path| format!("{}: {path}", document.display())));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn architecture_names_its_files() {
    let text = read(&root().join("docs/architecture.md"));
    let named = named_paths(&text);
    assert!(named.contains("src/http/endpoints/token/refresh_token.rs"));
    assert!(named.len() > 40, "{named:?}");
}

#[test]
fn links_between_documents_have_a_target() {
    for document in documents() {
        let folder = document.parent().unwrap();
        for target in read(&document).split("](").skip(1) {
            let target = target.split(')').next().unwrap();
            if target.starts_with("http") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() {
                document.clone()
            } else {
                folder.join(path)
            };
            assert!(path.exists(), "{}: {target}", document.display());
            let is_known = anchor.is_empty() || anchors(&read(&path)).contains(anchor);
            assert!(is_known, "{}: no heading {target}", document.display());
        }
    }
}

/// Anchors of the headings of a document, in the form of GitHub.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let title = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter_map(|character| match character {
                ' ' => Some('-'),
                '-' | '_' => Some(character),
                character if character.is_alphanumeric() => Some(character),
                _ => None,
            });
            kept.collect()
        })
        .collect()
}

#[test]
fn cited_sections_of_the_storyden_contract_exist() {
    const DOCUMENT: &str = "storyden-contract.md#";
    let known = anchors(&read(&root().join("docs/storyden-contract.md")));
    let mut cited = 0;
    for folder in ["src", "tests"] {
        for path in files(&root().join(folder)) {
            let Ok(text) = std::fs::read_to_string(&path) else {
                continue; // a binary fixture
            };
            for rest in text.split(DOCUMENT).skip(1) {
                let end = rest.find(|character: char| {
                    !character.is_ascii_lowercase()
                        && !character.is_ascii_digit()
                        && character != '-'
                });
                let anchor = &rest[..end.unwrap_or(rest.len())];
                if anchor.is_empty() {
                    continue; // the pattern above
                }
                cited += 1;
                let place = path.display();
                assert!(known.contains(anchor), "{place}: no heading {anchor}");
            }
        }
    }
    assert!(cited > 50, "only {cited} citations were found");
}
