//! Module boundaries, read from the source text: the import graph has no cycle, and each kind of work
//! has one module.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// A module path below `crate`, as in `["store", "clients"]`.
type Module = Vec<String>;

/// A source file without its comments, strings and unit tests.
struct Source {
    path: PathBuf,
    module: Module,
    code: String,
}

/// The files of `src` by module, without `main.rs`, which only calls the library.
static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    read_folder(&root, &root, &mut sources);
    assert!(sources.len() > 150, "src was not found");
    sources
});

fn read_folder(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_folder(root, &path, sources);
            continue;
        }
        let relative = path.strip_prefix(root).unwrap().with_extension("");
        let mut module: Module = relative
            .iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .collect();
        if module == ["main"] {
            continue;
        }
        if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
            module.pop();
        }
        let code = without_unit_tests(&without_comments_and_strings(
            &std::fs::read_to_string(&path).unwrap(),
        ));
        sources.push(Source { path, module, code });
    }
}

/// Removes comments, and the content of string and character literals.
fn without_comments_and_strings(text: &str) -> String {
    static SKIPPED: LazyLock<Regex> = LazyLock::new(|| {
        let comment = r"//[^\n]*";
        let raw_string = r##"b?r#"(?s:.*?)"#|b?r"[^"]*""##;
        let string = r#"b?"(?s:\\.|[^"\\])*""#;
        let character = r"b?'(?:\\[^']+|[^'\\])'";
        Regex::new(&format!("{comment}|{raw_string}|{string}|{character}")).unwrap()
    });
    SKIPPED.replace_all(text, "\"\"").into_owned()
}

/// Removes inline `#[cfg(test)]` modules: they may import their parent.
fn without_unit_tests(code: &str) -> String {
    static START: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"#\[cfg\(test\)\]\s*mod \w+ \{").unwrap());
    let mut rest = code;
    let mut kept = String::new();
    while let Some(start) = START.find(rest) {
        kept.push_str(&rest[..start.start()]);
        rest = after_block(&rest[start.end()..]);
    }
    kept.push_str(rest);
    kept
}

/// The text after the brace that closes the current block.
fn after_block(text: &str) -> &str {
    let mut depth = 1;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[at + 1..];
        }
    }
    ""
}

/// Expands a `use` tree into its paths.
fn expand(tree: &str, prefix: &[String], paths: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let segments = |text: &str| -> Vec<String> {
        let names = text
            .split("::")
            .map(str::trim)
            .filter(|name| !name.is_empty());
        names
            .map(|name| name.split(" as ").next().unwrap().trim().to_owned())
            .collect()
    };
    let Some(brace) = tree.find('{') else {
        paths.push([prefix, &segments(tree)].concat());
        return;
    };
    let prefix = [prefix, &segments(&tree[..brace])].concat();
    let list = &tree[brace + 1..tree.rfind('}').unwrap()];
    let mut depth = 0;
    let mut start = 0;
    for (at, character) in list.char_indices().chain([(list.len(), ',')]) {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !list[start..at].trim().is_empty() {
                    expand(&list[start..at], &prefix, paths);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The paths in `use` lines and in the code of a file.
fn paths_of(source: &Source) -> Vec<Vec<String>> {
    static USE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\buse\s+([^;]+);").unwrap());
    static PATH: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b[a-z_]\w*(?:::\w+)+").unwrap());
    let mut paths = Vec::new();
    for tree in USE.captures_iter(&source.code) {
        expand(&tree[1], &[], &mut paths);
    }
    for path in PATH.find_iter(&USE.replace_all(&source.code, "")) {
        expand(path.as_str(), &[], &mut paths);
    }
    paths
}

/// The module that a path in a file leads to; `None` for other crates.
fn resolve(path: &[String], here: &Module, modules: &BTreeSet<Module>) -> Option<Module> {
    let (mut module, mut rest) = match path.first()?.as_str() {
        "crate" => (Module::new(), &path[1..]),
        "self" => (here.clone(), &path[1..]),
        "super" => (here.clone(), path),
        child => {
            let child = [here.as_slice(), &[child.to_owned()]].concat();
            modules.contains(&child).then_some((child, &path[1..]))?
        }
    };
    while rest.first().is_some_and(|name| name == "super") {
        module.pop();
        rest = &rest[1..];
    }
    for name in rest {
        module.push(name.clone());
        if !modules.contains(&module) {
            module.pop();
            break;
        }
    }
    Some(module)
}

/// Sibling modules, and the imports among these: from, to, and the files with the import.
type Siblings = BTreeMap<String, BTreeMap<String, BTreeSet<PathBuf>>>;

/// The imports at each level of the module tree. An import of a file below `a` from a file below `b`
/// counts at the level where the paths part; imports between parent and child do not count.
fn imports() -> BTreeMap<Module, Siblings> {
    let modules: BTreeSet<Module> = SOURCES.iter().map(|source| source.module.clone()).collect();
    let mut levels: BTreeMap<Module, Siblings> = BTreeMap::new();
    for source in SOURCES.iter() {
        for path in paths_of(source) {
            let Some(target) = resolve(&path, &source.module, &modules) else {
                continue;
            };
            let common = source.module.iter().zip(&target);
            let common = common.take_while(|(here, there)| here == there).count();
            if let (Some(from), Some(to)) = (source.module.get(common), target.get(common)) {
                let level = levels.entry(target[..common].to_vec()).or_default();
                let from = level.entry(from.clone()).or_default();
                let files = from.entry(to.clone()).or_default();
                files.insert(source.path.clone());
            }
        }
    }
    levels
}

/// A cycle among siblings: each module imports the next, and the last imports the first.
fn find_cycle(siblings: &Siblings) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    for start in siblings.keys() {
        let cycle = walk(start, siblings, &mut Vec::new(), &mut done);
        if cycle.is_some() {
            return cycle;
        }
    }
    None
}

fn walk(
    module: &str,
    siblings: &Siblings,
    trail: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(at) = trail.iter().position(|seen| seen == module) {
        return Some(trail[at..].to_vec());
    }
    if done.contains(module) {
        return None;
    }
    trail.push(module.to_owned());
    let imported = siblings.get(module).into_iter().flatten();
    for (next, _) in imported {
        let cycle = walk(next, siblings, trail, done);
        if cycle.is_some() {
            return cycle;
        }
    }
    trail.pop();
    done.insert(module.to_owned());
    None
}

#[test]
fn imports_have_no_cycle() {
    for (level, siblings) in imports() {
        if let Some(cycle) = find_cycle(&siblings) {
            let mut report = format!("imports in crate::{} form a cycle:\n", level.join("::"));
            for (at, from) in cycle.iter().enumerate() {
                let to = &cycle[(at + 1) % cycle.len()];
                let files = &siblings[from][to];
                writeln!(report, "  {from} imports {to}, in {files:?}").unwrap();
            }
            panic!("{report}");
        }
    }
}

#[test]
fn a_cycle_is_found() {
    let edge = |to: &str| BTreeMap::from([(to.to_owned(), BTreeSet::new())]);
    let mut siblings = Siblings::from([("a".to_owned(), edge("b")), ("b".to_owned(), edge("c"))]);
    assert_eq!(find_cycle(&siblings), None);
    siblings.insert("c".to_owned(), edge("b"));
    assert_eq!(find_cycle(&siblings).unwrap(), ["b", "c"]);
}

/// A top-level module imports only modules of its own group or of a group below, in `src/lib.rs`.
#[test]
fn imports_go_down_the_groups_of_lib_rs() {
    let text = include_str!("../../src/lib.rs");
    let group_of = |module: &str| {
        let declaration = format!("pub mod {module};");
        let mut groups = text.split("\n\n");
        groups.position(|group| group.lines().any(|line| line == declaration))
    };
    for (from, imported) in &imports()[&Module::new()] {
        for (to, files) in imported {
            let (from_group, to_group) = (group_of(from).unwrap(), group_of(to).unwrap());
            assert!(
                from_group <= to_group,
                "{from} imports {to}, which is above: {files:?}"
            );
        }
    }
}

/// Fails for every file outside of `modules` whose code matches.
#[track_caller]
fn assert_only_in(modules: &[&str], pattern: &str) {
    let pattern = Regex::new(pattern).unwrap();
    for source in SOURCES.iter() {
        let module = source.module.join("::");
        if modules.iter().any(|allowed| module.starts_with(allowed)) {
            continue;
        }
        let found = pattern.find(&source.code).map(|found| found.as_str());
        assert_eq!(found, None, "{}", source.path.display());
    }
}

/// Fails for every file of `modules` whose code matches.
#[track_caller]
fn assert_not_in(modules: &[&str], pattern: &str) {
    let pattern = Regex::new(pattern).unwrap();
    for source in SOURCES.iter() {
        let top = source.module.first().map_or("", String::as_str);
        if modules.contains(&top) {
            let found = pattern.find(&source.code).map(|found| found.as_str());
            assert_eq!(found, None, "{}", source.path.display());
        }
    }
}

#[test]
fn protocol_does_no_io() {
    assert_not_in(
        &["oauth"],
        r"\b(axum|sqlx|rusqlite|tokio|reqwest|std::fs|std::net::Tcp\w+)\b",
    );
    assert_not_in(&["oauth"], r"crate::(store|context|config|compat|http)\b");
}

#[test]
fn domain_modules_know_no_http_types() {
    let modules = [
        "accounts", "clients", "remote", "jobs", "store", "oauth", "context",
    ];
    assert_not_in(&modules, r"\b(axum|hyper|tower|ApiError)\b");
}

/// A-49: an extractor of axum reads a body of any length and for any time; `http/extract/body.rs` bounds both.
#[test]
fn only_the_extractors_read_bodies() {
    let reads =
        Regex::new(r"\b(RawForm|Multipart|to_bytes)\b|\b(Json|Form)\(\w+\): |: Bytes,\n\) ->")
            .unwrap();
    for source in SOURCES.iter() {
        let [top, below, ..] = source.module.as_slice() else {
            continue;
        };
        if top == "http" && below != "extract" {
            let found = reads.find(&source.code).map(|found| found.as_str());
            assert_eq!(found, None, "{}", source.path.display());
        }
    }
}

#[test]
fn only_the_store_holds_sql() {
    // ids.rs derives how an id is bound, and has no statement
    assert_only_in(&["store", "ids"], r"\bsqlx\b");
    assert_only_in(&["store"], r"\brusqlite\b");
    assert_only_in(&["store"], r"\bFromRow\b");
    let statement = Regex::new("\"(SELECT|INSERT INTO|UPDATE|DELETE FROM) ").unwrap();
    for source in SOURCES.iter() {
        if source.module.first().is_none_or(|top| top != "store") {
            let text = std::fs::read_to_string(&source.path).unwrap();
            assert!(!statement.is_match(&text), "{}", source.path.display());
        }
    }
}

#[test]
fn only_keys_handles_jwts() {
    assert_only_in(&["keys"], r"\bjsonwebtoken\b");
}

#[test]
fn only_egress_makes_an_http_client() {
    assert_only_in(&["egress"], r"\bClient::(builder|new)\(\)");
}

#[test]
fn a_statement_names_its_columns() {
    for source in SOURCES
        .iter()
        .filter(|source| source.module.first().is_some_and(|top| top == "store"))
    {
        let text = std::fs::read_to_string(&source.path).unwrap();
        assert!(!text.contains("SELECT *"), "{}", source.path.display());
    }
}
