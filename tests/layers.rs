//! Data flows down, never up: a module imports only what stands below it, and names only the libraries of its layer.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Modules, SourceFile, is_test_item, paths, source_files};

/// A layer: a module of `src`, the modules it may import beside `Error` and `Secret`, and the libraries it may name.
struct Layer {
    name: &'static str,
    below: &'static [&'static str],
    libraries: &'static [&'static str],
}

const fn layer(name: &'static str, below: &'static [&'static str], libraries: &'static [&'static str]) -> Layer {
    Layer { name, below, libraries }
}

#[rustfmt::skip]
const LAYERS: &[Layer] = &[
    layer("simd", &[], &[]),
    layer("ascii", &["simd"], &[]),
    layer("cipher", &["ascii", "simd"], &["num_bigint", "num_traits", "zeroize"]),
    layer("error", &["cipher"], &[]),
    layer("secret", &[], &["zeroize"]),
    layer("manual", &[], &[]),
    layer("vectors", &["cipher"], &["hex", "serde", "serde_json"]),
    layer("fs", &[], &["rustix", "tempfile"]),
    layer("formats", &["ascii", "cipher"], &["chrono", "num_bigint", "num_traits", "serde", "toml"]),
    layer("keys", &["cipher", "fs"], &["base64", "ed25519_dalek", "futures_util", "getrandom", "hex", "hmac", "humantime", "rsa", "rustls_pki_types", "serde", "serde_json", "sha2", "subtle", "tempfile", "webpki", "x509_cert", "zeroize"]),
    layer("kms", &["fs", "keys"], &["aes_gcm", "argon2", "aws_config", "aws_sdk_kms", "aws_smithy_runtime_api", "aws_smithy_types", "backon", "base64", "cryptoki", "dirs", "getrandom", "hex", "http", "keyring", "pbkdf2", "ring", "rsa", "rustls", "rustls_platform_verifier", "serde", "serde_json", "sha2", "subtle", "tokio", "tracing", "ureq", "whoami", "zeroize"]),
    layer("tokens", &["ascii", "formats", "fs", "keys"], &["aes_gcm", "futures_util", "hex", "hmac", "rusqlite", "rustls", "rustls_platform_verifier", "serde", "sha2", "tokio", "tokio_postgres", "tokio_postgres_rustls"]),
    layer("policy", &["cipher", "formats", "keys", "tokens"], &["hex", "humantime", "serde", "sha2", "toml"]),
    layer("transform", &["ascii", "cipher", "formats", "keys", "policy", "tokens"], &["aes_siv", "base64", "chrono", "data_encoding", "hex", "hmac", "num_bigint", "sha2"]),
    layer("columns", &["ascii", "cipher", "simd", "formats", "keys", "policy", "tokens", "transform"], &["arrow", "hex", "serde", "serde_json"]),
    layer("files", &["cipher", "columns", "formats", "fs", "keys", "policy", "transform"], &["arrow", "base64", "bytes", "crc32fast", "parquet", "serde_json", "tempfile", "tokio"]),
    layer("sql", &["cipher", "columns", "files", "formats", "keys", "policy", "transform"], &["aes_gcm", "arrow", "bytes", "datafusion", "datafusion_datasource_parquet", "futures_util", "object_store", "parquet", "serde", "serde_json", "tokio"]),
    layer("cli", &["cipher", "columns", "files", "formats", "fs", "keys", "kms", "policy", "sql", "tokens", "transform", "vectors"], &["arrow", "clap", "datafusion", "hex", "indicatif", "parquet", "rlimit", "rpassword", "rsa", "rustix", "rustyline", "serde", "serde_json", "signal_hook", "tokio"]),
];

/// Folders in which `unsafe` may stand: kernels and what hands Arrow the bytes they have checked.
const UNSAFE: &[&str] = &[
    "src/cipher/kernels/",
    "src/ascii/kernels/",
    "src/simd/",
    "src/columns/ascii",
];

#[test]
fn no_module_imports_one_above_it() {
    let files = source_files();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for file in files
        .iter()
        .filter(|file| file.path.starts_with("src/") && !file.is_test())
    {
        // The crate's root and the command name every layer: that is their work.
        if ["src/lib.rs", "src/main.rs"].contains(&file.path.as_str()) {
            continue;
        }
        let layer = find(file.layer());
        seen.insert(layer.name);
        let named = paths(file);
        // In a crate of its own, `crate::` means that layer.
        let own = if file.crate_root == "src" { "" } else { file.layer() };
        for name in named.iter().filter_map(|path| imported(path, own)) {
            if name != layer.name && !layer.below.contains(&name) {
                wrong.push(format!("{} imports {name}", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // A layer without a file is a line that nobody has taken out.
    assert_eq!(seen.len(), LAYERS.len(), "every layer is there: {seen:?}");
}

#[test]
// A checker that finds nothing proves nothing, so it is tested on what it must find.
fn an_import_upwards_is_found() {
    let path = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(imported(&path("crate::policy::Rule"), ""), Some("policy"));
    assert_eq!(imported(&path("crate::Engine"), ""), Some("transform"));
    assert_eq!(imported(&path("crate::Error"), ""), None);
    assert_eq!(imported(&path("super::Rule"), ""), None);
    assert_eq!(imported(&path("cipherform_ascii::Splitter"), "cipher"), Some("ascii"));
    assert_eq!(
        imported(&path("crate::keys::Key"), "cipher"),
        None,
        "its own module keys"
    );
}

fn find(name: &str) -> &'static Layer {
    let found = LAYERS.iter().find(|layer| layer.name == name);
    found.unwrap_or_else(|| panic!("src/{name} has no layer"))
}

/// The layer that `path` names, from the crate of the layer `own`, or from the crate of all others if that is empty.
fn imported(path: &[String], own: &str) -> Option<&'static str> {
    let layers = || LAYERS.iter().map(|layer| layer.name);
    if let Some(name) = path[0].strip_prefix("cipherform_") {
        // Layers that are crates have names with the prefix.
        return layers().find(|layer| *layer == name);
    }
    let second = path.get(1).filter(|_| path[0] == "crate" && own.is_empty())?;
    match second.as_str() {
        "Engine" => Some("transform"),
        "error" | "secret" => None,
        second => layers().find(|layer| *layer == second),
    }
}

#[test]
fn a_layer_names_only_its_libraries() {
    let manifest: toml::Table = std::fs::read_to_string(crate::source::root().join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let known: BTreeSet<String> = manifest["dependencies"].as_table().unwrap().keys().cloned().collect();
    let known: BTreeSet<String> = known.iter().map(|name| name.replace('-', "_")).collect();
    let mut wrong = BTreeSet::new();
    let mut used: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for file in source_files()
        .iter()
        .filter(|file| file.path.starts_with("src/") && !file.is_test())
    {
        if ["src/lib.rs", "src/main.rs"].contains(&file.path.as_str()) {
            continue;
        }
        let layer = find(file.layer());
        let inside = local_names(file);
        for path in paths(file) {
            let library = &path[0];
            // A module may have the name of a library, and then means itself.
            if known.contains(library) && !inside.contains(library) && !library.starts_with("cipherform_") {
                used.entry(layer.name).or_default().insert(library.clone());
                if !layer.libraries.contains(&library.as_str()) {
                    wrong.insert(format!("{} names {library}", file.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for layer in LAYERS {
        let used = used.remove(layer.name).unwrap_or_default();
        let listed: BTreeSet<String> = layer.libraries.iter().map(|name| (*name).to_owned()).collect();
        // Both ways: a library that is no longer named must leave the list.
        assert_eq!(used, listed, "the libraries that {} names", layer.name);
    }
}

/// Modules that `file` declares, and names that it imports: these hide libraries of the same name.
fn local_names(file: &SourceFile) -> BTreeSet<String> {
    let modules = file.syntax.items.iter().filter_map(|item| match item {
        syn::Item::Mod(item) => Some(item.ident.to_string()),
        _ => None,
    });
    let imported = paths(file).into_iter().filter(|path| path.len() > 1);
    let imported = imported.filter_map(|mut path| path.pop());
    modules
        .chain(imported.filter(|name| name.starts_with(char::is_lowercase)))
        .collect()
}

#[test]
fn unsafe_stands_in_kernels_only() {
    let mut wrong = Vec::new();
    for file in source_files().iter().filter(|file| file.path.starts_with("src/")) {
        let is_listed = UNSAFE.iter().any(|folder| file.path.starts_with(folder));
        // Comments may say the word.
        let mentions = file.text.lines().map(|line| line.split("//").next().unwrap());
        let mut mentions = mentions.filter(|line| {
            ["unsafe {", "unsafe fn ", "unsafe impl "]
                .iter()
                .any(|word| line.contains(word))
        });
        if !is_listed && let Some(line) = mentions.next() {
            wrong.push(format!("{}: {}", file.path, line.trim()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_files_import_each_other() {
    let files = source_files();
    let circles = circles(&files);
    assert!(circles.is_empty(), "{} circles: {circles:#?}", circles.len());
}

/// Groups of files of which each is reached from each by imports.
fn circles(files: &[SourceFile]) -> Vec<Vec<&str>> {
    let roots: BTreeSet<&str> = files.iter().map(|file| file.crate_root.as_str()).collect();
    let mut circles = Vec::new();
    for root in roots {
        let modules = Modules::new(files, root);
        let own: Vec<&SourceFile> = files
            .iter()
            .filter(|file| file.crate_root == root && !file.is_test())
            .collect();
        let place: BTreeMap<&str, usize> = own
            .iter()
            .enumerate()
            .map(|(at, file)| (file.path.as_str(), at))
            .collect();
        let edges: Vec<Vec<usize>> = own.iter().map(|file| imports(&modules, file, &place)).collect();
        // Every pair is looked at: the tree is small, and a cleverer algorithm would need a test of its own.
        let reached: Vec<BTreeSet<usize>> = (0..own.len()).map(|from| reachable(&edges, from)).collect();
        let mut told = BTreeSet::new();
        for from in 0..own.len() {
            let circle: Vec<usize> = reached[from]
                .iter()
                .copied()
                // Reached both ways: the two are in one circle.
                .filter(|to| reached[*to].contains(&from))
                .collect();
            if circle.len() > 1 && told.insert(circle.clone()) {
                circles.push(circle.into_iter().map(|at| own[at].path.as_str()).collect());
            }
        }
    }
    circles
}

/// The files whose items `file` names. A `mod.rs` or root file lists its children: that is no import.
// A `mod.rs` names its children by declaring them, which is no use of them.
fn imports(modules: &Modules<'_>, file: &SourceFile, place: &BTreeMap<&str, usize>) -> Vec<usize> {
    let mut found = BTreeSet::new();
    for path in paths(file) {
        let defined = modules.absolute(file, &path).and_then(|path| modules.file_of(&path));
        if let Some(defined) = defined
            && defined.path != file.path
            && !(is_list(file) && defined.module.starts_with(&file.module))
        {
            found.extend(place.get(defined.path.as_str()));
        }
    }
    found.into_iter().collect()
}

fn is_list(file: &SourceFile) -> bool {
    file.is_mod() || file.path.ends_with("/lib.rs") || file.path.ends_with("/main.rs")
}

fn reachable(edges: &[Vec<usize>], from: usize) -> BTreeSet<usize> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(at) = open.pop() {
        for to in &edges[at] {
            if reached.insert(*to) {
                open.push(*to);
            }
        }
    }
    reached
}

#[test]
fn a_mod_file_only_lists() {
    let mut wrong = Vec::new();
    for file in source_files().iter().filter(|file| file.is_mod() && !file.is_test()) {
        for item in &file.syntax.items {
            let lists = match item {
                syn::Item::Mod(item) => item.content.is_none() || is_test_item(&item.attrs),
                // A macro may write the list.
                syn::Item::Use(_) | syn::Item::Macro(_) | syn::Item::ExternCrate(_) => true,
                _ => false,
            };
            if !lists {
                wrong.push(file.path.as_str().to_owned());
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{} files: {wrong:#?}", wrong.len());
}
