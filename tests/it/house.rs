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
fn room(path: &Path) -> String {
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
fn nobody_else_says(words: &[&str], is_outside: impl Fn(&str) -> bool) {
    for (path, code) in sources(&source()) {
        if is_outside(&room(&path)) {
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
    nobody_else_says(&words, |room| room == "oauth");
}

#[test]
fn only_the_store_holds_sql() {
    // `ids.rs` derives the binding of ids, and has no statements.
    nobody_else_says(
        &[
            "sqlx::query",
            "FromRow",
            "SELECT ",
            "INSERT INTO",
            "DELETE FROM",
        ],
        |room| room != "store",
    );
    nobody_else_says(&["sqlx"], |room| room != "store" && room != "ids");
}

#[test]
fn only_keys_makes_or_checks_a_jwt() {
    nobody_else_says(&["jsonwebtoken"], |room| room != "keys");
}

#[test]
fn only_fetch_makes_an_http_client() {
    nobody_else_says(&["Client::builder", "Client::new()"], |room| {
        room != "fetch"
    });
}

#[test]
fn doors_do_not_import_doors() {
    // `member` and `endpoints` share the request extractors. Commands start the whole server, so `cli`
    // is not in the list.
    let doors = ["endpoints", "member", "admin", "pages", "jobs"];
    let shared = [
        "crate::http::extract",
        "crate::http::pages::error_page",
        "crate::http::pages;",
    ];
    for (path, code) in sources(&source()) {
        let here = room(&path);
        if !doors.contains(&here.as_str()) {
            continue;
        }
        for line in code
            .lines()
            .filter(|line| line.trim_start().starts_with("use crate::"))
        {
            let forbidden = doors
                .iter()
                .any(|door| *door != here && line.contains(&format!("crate::{door}")));
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
