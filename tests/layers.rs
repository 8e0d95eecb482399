//! Data flows down, never up: a module imports only what stands below it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each module, and what it may import beside `Error` and `Secret`.
const LAYERS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("secret", &[]),
    ("manual", &[]),
    ("cipher", &[]),
    ("formats", &["cipher"]),
    ("keys", &[]),
    ("kms", &["keys"]),
    ("tokens", &["formats", "keys"]),
    ("policy", &["formats", "keys", "tokens"]),
    ("transform", &["cipher", "formats", "keys", "policy", "tokens"]),
    (
        "columns",
        &["cipher", "formats", "keys", "policy", "tokens", "transform"],
    ),
    (
        "files",
        &["cipher", "formats", "keys", "policy", "transform", "columns"],
    ),
    (
        "sql",
        &["cipher", "formats", "keys", "policy", "transform", "columns", "files"],
    ),
    (
        "cli",
        &[
            "cipher",
            "formats",
            "keys",
            "kms",
            "policy",
            "tokens",
            "transform",
            "columns",
            "files",
            "sql",
        ],
    ),
];

#[test]
fn no_module_imports_one_above_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for path in rust_files(&source) {
        let relative = path.strip_prefix(&source).unwrap();
        let module = relative
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        let is_test = path.ends_with("tests.rs") || relative.iter().any(|folder| folder == "tests");
        if is_test || ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let code = std::fs::read_to_string(&path).unwrap();
        for import in upward(&module, &code) {
            wrong.push(format!("{} imports crate::{import}", relative.display()));
        }
        seen.insert(module);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(seen.len(), LAYERS.len(), "every module has its layer: {seen:?}");
}

#[test]
fn an_import_upwards_is_found() {
    assert_eq!(upward("cipher", "use crate::policy::Rule;\n"), ["policy"]);
    assert_eq!(upward("keys", "use crate::{Error, kms::LocalKms};\n"), ["kms"]);
    assert_eq!(
        upward("formats", "use crate::{\n    Error,\n    sql::register,\n};\n"),
        ["sql"]
    );
    assert_eq!(
        upward("keys", "let x = crate::transform::Engine::open();"),
        ["transform"]
    );
    assert!(
        upward(
            "transform",
            "use crate::{Error, cipher::Cipher};\nuse crate::keys::KeyRef;"
        )
        .is_empty()
    );
    assert!(
        upward(
            "keys",
            "//! see [`crate::kms`]\n#[cfg(test)]\nmod tests {\n use crate::kms::MemoryKms;\n}"
        )
        .is_empty()
    );
}

/// The modules that `code` of `module` imports and may not.
fn upward(module: &str, code: &str) -> Vec<String> {
    let (_, allowed) = LAYERS
        .iter()
        .find(|(name, _)| *name == module)
        .unwrap_or_else(|| panic!("src/{module} has no layer"));
    // Tests, at the end of a file, may use what they like; comments import nothing.
    let code = code.split("#[cfg(test)]\nmod ").next().unwrap();
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => names.push(first_name(rest)),
            // The parts of a group, at its own depth.
            Some(group) => {
                let (mut depth, mut start) = (0, true);
                for (i, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            names.push(first_name(&group[i..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    let modules = LAYERS.iter().map(|(name, _)| *name);
    let known: BTreeSet<&str> = modules.filter(|name| !["error", "secret"].contains(name)).collect();
    names.retain(|name| name != module && known.contains(name.as_str()) && !allowed.contains(&name.as_str()));
    names
}

fn first_name(text: &str) -> String {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    match name.as_str() {
        "Engine" => "transform".to_owned(),
        _ => name,
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
