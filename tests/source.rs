//! The source tree as the tests of its structure see it: files, their crates and modules, and what each imports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A Rust file below `src` or `python/src`.
pub(crate) struct SourceFile {
    /// The path from the project's root, with forward slashes: `src/keys/handle.rs`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) syntax: syn::File,
    /// The folder that holds the root file of its crate: `src`, `src/cipher`.
    pub(crate) crate_root: String,
    /// The module path within its crate: `["keys", "handle"]`; empty for the crate's root.
    pub(crate) module: Vec<String>,
}

impl SourceFile {
    /// Tests may import what they like.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The first folder below `src`, which is the layer; the file's stem for a file that stands in `src` itself.
    pub(crate) fn layer(&self) -> &str {
        let below = self.path.trim_start_matches("python/").trim_start_matches("src/");
        below.split('/').next().unwrap().trim_end_matches(".rs")
    }

    pub(crate) fn is_mod(&self) -> bool {
        self.path.ends_with("/mod.rs")
    }
}

/// The project's root.
pub(crate) fn root() -> &'static Path {
    // The manifest that runs this test stands two folders below the root.
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// All files below `src` and `python/src`.
pub(crate) fn source_files() -> Vec<SourceFile> {
    let root = root();
    let mut paths = rust_files(&root.join("src"));
    paths.extend(rust_files(&root.join("python/src")));
    paths.sort();
    let relative = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        // Parsed by syn and not searched by expression: words in strings and comments do not count.
        let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // The crate is that of the nearest manifest; the manifest of `src` and of `python/src` stands above these.
        let folders = path.ancestors().skip(1);
        let own = folders.take_while(|folder| folder.file_name().unwrap() != "src");
        let crate_root = own
            .filter(|folder| folder.join("Cargo.toml").exists())
            .map(&relative)
            .next();
        let path = relative(&path);
        let crate_root = crate_root.unwrap_or_else(|| {
            if path.starts_with("python") {
                "python/src".to_owned()
            } else {
                "src".to_owned()
            }
        });
        let below = path[crate_root.len() + 1..].trim_end_matches(".rs");
        let module = below.split('/').filter(|name| !["mod", "lib", "main"].contains(name));
        SourceFile {
            module: module.map(str::to_owned).collect(),
            path,
            text,
            syntax,
            crate_root,
        }
    };
    paths.into_iter().map(read).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Every path that `file` names outside its tests, with the names that `use` brings in spelled out.
pub(crate) fn paths(file: &SourceFile) -> BTreeSet<Vec<String>> {
    let mut found = Paths::default();
    found.visit_file(&file.syntax);
    found.all
}

#[derive(Default)]
struct Paths {
    all: BTreeSet<Vec<String>>,
}

impl Paths {
    fn use_tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let mut path = prefix.to_vec();
        match tree {
            syn::UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.use_tree(&path, &part.tree);
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(prefix, tree)),
            syn::UseTree::Name(name) => self.add(path, &name.ident),
            syn::UseTree::Rename(name) => self.add(path, &name.ident),
            syn::UseTree::Glob(_) => {
                self.all.insert(path);
            }
        }
    }

    fn add(&mut self, mut path: Vec<String>, name: &syn::Ident) {
        if name != "self" {
            path.push(name.to_string());
        }
        self.all.insert(path);
    }
}

impl<'a> Visit<'a> for Paths {
    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        // Tests may import what they like.
        if !is_test_item(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if !is_test_item(&item.attrs) {
            self.use_tree(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        if path.segments.len() > 1 {
            let names = path.segments.iter().map(|segment| segment.ident.to_string());
            self.all.insert(names.collect());
        }
        visit::visit_path(self, path);
    }

    /// What a macro is given is only tokens: runs of names with `::` between them are paths.
    fn visit_macro(&mut self, item: &'a syn::Macro) {
        visit::visit_macro(self, item);
        // Tokens are printed with blanks around `::`.
        let text = item.tokens.to_string().replace(" :: ", "::");
        for word in text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
            if word.starts_with("crate::") || word.starts_with("super::") {
                self.all.insert(word.split("::").map(str::to_owned).collect());
            }
        }
    }
}

/// Marked `#[cfg(test)]`.
pub(crate) fn is_test_item(attributes: &[syn::Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("cfg") && attribute.meta.require_list().is_ok_and(names_test))
}

fn names_test(list: &syn::MetaList) -> bool {
    list.tokens.to_string() == "test"
}

/// The modules of one crate: which file is which module, and where each re-exported name is defined.
pub(crate) struct Modules<'a> {
    by_module: BTreeMap<&'a [String], &'a SourceFile>,
}

impl<'a> Modules<'a> {
    pub(crate) fn new(files: &'a [SourceFile], crate_root: &str) -> Self {
        let own = files.iter().filter(|file| file.crate_root == crate_root);
        Self {
            by_module: own.map(|file| (file.module.as_slice(), file)).collect(),
        }
    }

    /// The path from the crate's root that `path`, named in `file`, means; `None` for a path of another crate.
    pub(crate) fn absolute(&self, file: &SourceFile, path: &[String]) -> Option<Vec<String>> {
        let mut module = match path[0].as_str() {
            "crate" => Vec::new(),
            "self" => file.module.clone(),
            // From the root there is no way up: then it is a path of another crate.
            "super" => file.module[..file.module.len().checked_sub(1)?].to_vec(),
            // A child module by its bare name.
            name => {
                let child: Vec<String> = file.module.iter().cloned().chain([name.to_owned()]).collect();
                self.by_module.contains_key(child.as_slice()).then_some(())?;
                child
            }
        };
        for name in &path[1..] {
            // `super::super` goes up one more.
            if name == "super" {
                module.pop();
            } else {
                module.push(name.clone());
            }
        }
        Some(module)
    }

    /// The file that defines what `path` (from the crate's root) names: `mod.rs` only passes names on.
    pub(crate) fn file_of(&self, path: &[String]) -> Option<&'a SourceFile> {
        self.defined_in(path, 0)
    }

    fn defined_in(&self, path: &[String], depth: usize) -> Option<&'a SourceFile> {
        // The longest module that begins the path; what follows is a name in it.
        let at = (0..=path.len())
            .rev()
            .find(|at| self.by_module.contains_key(&path[..*at]))?;
        let file = self.by_module[&path[..at]];
        // A limit of depth, so that re-exports in a circle end.
        let Some(name) = path.get(at).filter(|_| depth < 8) else {
            return Some(file);
        };
        // Only what is public passes a name on.
        let mut uses = Paths::default();
        for item in &file.syntax.items {
            if let syn::Item::Use(item) = item
                && !matches!(item.vis, syn::Visibility::Inherited)
            {
                uses.use_tree(&[], &item.tree);
            }
        }
        let passed_on = uses.all.iter().find(|path| path.last() == Some(name));
        match passed_on.and_then(|path| self.absolute(file, path)) {
            Some(path) => self.defined_in(&path, depth + 1),
            None => Some(file),
        }
    }
}

/// A function as the language rules see it.
pub(crate) struct Function {
    pub(crate) name: String,
    /// Lines without those that are only a comment.
    pub(crate) lines: usize,
    pub(crate) parameters: usize,
    pub(crate) is_unsafe: bool,
    pub(crate) has_safety_section: bool,
}

/// What the language rules count in one file, outside its tests.
#[derive(Default)]
pub(crate) struct Census {
    pub(crate) functions: Vec<Function>,
    /// Names of structures, enumerations, traits, unions and type aliases.
    pub(crate) types: Vec<String>,
    /// Lines of `match flag { true => …, false => … }`.
    pub(crate) boolean_matches: Vec<usize>,
    /// Is the line of this number only a comment? Numbers begin with 1.
    comments: Vec<bool>,
}

pub(crate) fn census(file: &SourceFile) -> Census {
    let is_comment = |line: &str| line.trim_start().starts_with("//");
    let mut census = Census {
        comments: [false].into_iter().chain(file.text.lines().map(is_comment)).collect(),
        ..Census::default()
    };
    census.visit_file(&file.syntax);
    census
}

impl Census {
    fn function(&mut self, signature: &syn::Signature, attributes: &[syn::Attribute], body: Option<&syn::Block>) {
        let (first, last) = body.map_or((0, 0), |body| (signature.span().start().line, body.span().end().line));
        let docs = attributes.iter().filter(|attribute| attribute.path().is_ident("doc"));
        let mut docs = docs.filter_map(|attribute| attribute.meta.require_name_value().ok());
        let is_safety = |doc: &syn::MetaNameValue| match &doc.value {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) => text.value().contains("# Safety"),
            _ => false,
        };
        self.functions.push(Function {
            name: signature.ident.to_string(),
            lines: (first..=last).filter(|line| !self.comments[*line]).count(),
            parameters: signature
                .inputs
                .iter()
                .filter(|input| matches!(input, syn::FnArg::Typed(_)))
                .count(),
            is_unsafe: signature.unsafety.is_some(),
            has_safety_section: docs.any(is_safety),
        });
    }
}

impl<'a> Visit<'a> for Census {
    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        if !is_test_item(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.function(&item.sig, &item.attrs, Some(&item.block));
        visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
        let first = self.functions.len();
        visit::visit_item_impl(self, item);
        // A trait says itself what the callers of its functions must keep.
        if item.trait_.is_some() {
            let functions = self.functions[first..].iter_mut();
            functions.for_each(|function| function.has_safety_section = true);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.function(&item.sig, &item.attrs, Some(&item.block));
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        self.function(&item.sig, &item.attrs, item.default.as_ref());
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_struct(&mut self, item: &'a syn::ItemStruct) {
        self.types.push(item.ident.to_string());
    }

    fn visit_item_enum(&mut self, item: &'a syn::ItemEnum) {
        self.types.push(item.ident.to_string());
    }

    fn visit_item_union(&mut self, item: &'a syn::ItemUnion) {
        self.types.push(item.ident.to_string());
    }

    fn visit_item_type(&mut self, item: &'a syn::ItemType) {
        self.types.push(item.ident.to_string());
    }

    fn visit_item_trait(&mut self, item: &'a syn::ItemTrait) {
        self.types.push(item.ident.to_string());
        visit::visit_item_trait(self, item);
    }

    fn visit_expr_match(&mut self, item: &'a syn::ExprMatch) {
        let is_flag = |arm: &syn::Arm| {
            matches!(
                &arm.pat,
                syn::Pat::Lit(syn::ExprLit {
                    lit: syn::Lit::Bool(_),
                    ..
                })
            ) && arm.guard.is_none()
        };
        // Only the first arm is looked at: a match on a flag begins with `true` or `false`.
        if item.arms.first().is_some_and(is_flag) {
            self.boolean_matches.push(item.span().start().line);
        }
        visit::visit_expr_match(self, item);
    }
}
