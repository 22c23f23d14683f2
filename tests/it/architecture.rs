//! Module boundaries, checked in the source text: interface modules do not import each other, `oauth`
//! does no I/O, only `store` has SQL, only `keys` handles JWTs, only `fetch` makes HTTP requests.

use std::path::{Path, PathBuf};

/// Every Rust file below a folder, with the text except comment lines.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let code: Vec<&str> = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            found.push((path, code.join("\n")));
        }
    }
    found
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The top-level module of a file.
fn module(path: &Path) -> String {
    let relative = path.strip_prefix(source()).unwrap();
    let first = relative
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_str()
        .unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// Fails if a file contains a forbidden word and `is_outside` holds for the file's module.
#[track_caller]
fn assert_absent(words: &[&str], is_outside: impl Fn(&str) -> bool) {
    for (path, code) in sources(&source()) {
        if is_outside(&module(&path)) {
            for word in words {
                assert!(!code.contains(word), "{} says {word}", path.display());
            }
        }
    }
}

#[test]
fn the_protocol_does_no_io() {
    let words = [
        "axum::",
        "sqlx::",
        "tokio::",
        "reqwest::",
        "crate::store",
        "crate::context",
    ];
    assert_absent(&words, |module| module == "oauth");
}

#[test]
fn only_the_store_holds_sql() {
    assert_absent(
        &["sqlx::query", "SELECT ", "INSERT INTO", "DELETE FROM"],
        |module| module != "store",
    );
    assert_absent(&["sqlx"], |module| module != "store");
}

#[test]
fn only_keys_makes_or_checks_a_jwt() {
    assert_absent(&["jsonwebtoken"], |module| module != "keys");
}

#[test]
fn only_fetch_makes_an_http_client() {
    assert_absent(&["Client::builder", "Client::new()"], |module| {
        module != "fetch"
    });
}

#[test]
fn interface_modules_do_not_import_each_other() {
    // `member` and `endpoints` share the request extractors. Commands start the whole server, so `cli`
    // is not in the list.
    let interfaces = ["endpoints", "member", "admin", "pages", "jobs"];
    let shared = [
        "crate::http::extract",
        "crate::http::pages::error_page",
        "crate::http::pages;",
    ];
    for (path, code) in sources(&source()) {
        let here = module(&path);
        if !interfaces.contains(&here.as_str()) {
            continue;
        }
        for line in code
            .lines()
            .filter(|line| line.trim_start().starts_with("use crate::"))
        {
            let forbidden = interfaces.iter().any(|interface| {
                *interface != here && line.contains(&format!("crate::{interface}"))
            });
            let allowed = shared.iter().any(|shared| line.contains(shared));
            assert!(!forbidden || allowed, "{}: {line}", path.display());
        }
    }
}

#[test]
fn a_statement_names_its_columns() {
    for (path, code) in sources(&source().join("store")) {
        assert!(!code.contains("SELECT *"), "{}", path.display());
    }
}
