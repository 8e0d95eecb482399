//! The rules of the house that a machine can see: words, lengths, comments. `make house` prints the counts.
//!
//! CONTRIBUTING.md has the rules and their reasons.

#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // in a test, a panic is the message

mod layers;
mod source;

use std::collections::BTreeMap;

use crate::source::{SourceFile, census, source_files};

/// First words of a doc comment that presuppose what it should explain: rustdoc prints the first sentence by itself.
const PRESUPPOSING: &[&str] = &[
    "What ",
    "Where ",
    "Whether ",
    "How many ",
    "How much ",
    "The same",
    "Its ",
    "Which ",
    "As many",
    "So many",
    "Such ",
];

/// Least shares of comments in percent, which only grow: 10 in the kernels and 4 in all are the aim.
const KERNEL_COMMENTS: f64 = 10.0;
const COMMENTS: f64 = 4.0;

/// One count, with the greatest it may be and the places that make it up.
struct Count {
    what: &'static str,
    most: usize,
    places: Vec<String>,
}

#[test]
fn the_rules_of_the_house() {
    let files = source_files();
    let counts = [
        presupposing_docs(&files),
        long_lines(&files),
        boolean_matches(&files),
        unexplained_unsafe(&files),
        long_functions(&files),
        many_parameters(&files),
        long_files(&files),
        repeated_type_names(&files),
    ];
    let (kernels, all) = comment_shares(&files);
    for count in &counts {
        println!("{:>4}  {} (at most {})", count.places.len(), count.what, count.most);
    }
    println!("{kernels:>4.1}  percent of the lines of kernels are comments that say why (at least {KERNEL_COMMENTS})");
    println!("{all:>4.1}  percent of all lines are (at least {COMMENTS})");
    let over = counts.iter().filter(|count| count.places.len() > count.most);
    let over: Vec<String> = over
        .map(|count| format!("{}: {:#?}", count.what, count.places))
        .collect();
    assert!(over.is_empty(), "{}", over.join("\n"));
    assert!(
        kernels >= KERNEL_COMMENTS && all >= COMMENTS,
        "too few comments say why"
    );
}

fn presupposing_docs(files: &[SourceFile]) -> Count {
    let mut places = Vec::new();
    for file in files {
        let mut inside = false;
        for (at, line) in file.text.lines().enumerate() {
            let line = line.trim_start();
            let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
            if let Some(doc) = doc
                && !inside
                && PRESUPPOSING.iter().any(|word| doc.trim_start().starts_with(word))
            {
                places.push(format!("{}:{}: {}", file.path, at + 1, doc.trim_start()));
            }
            inside = doc.is_some();
        }
    }
    Count {
        what: "doc comments begin with a word that presupposes what they should explain",
        most: 3,
        places,
    }
}

fn long_lines(files: &[SourceFile]) -> Count {
    let mut places = Vec::new();
    for file in files {
        for (at, line) in file.text.lines().enumerate() {
            let row = line.trim_start_matches(['/', '!', ' ']);
            let is_table = row.starts_with('|') || row.starts_with("KnownAnswer {");
            if line.chars().count() > 120 && !is_table && !line.contains("://") {
                places.push(format!("{}:{}", file.path, at + 1));
            }
        }
    }
    Count {
        what: "lines are longer than 120 columns, tables and addresses apart",
        most: 0,
        places,
    }
}

fn boolean_matches(files: &[SourceFile]) -> Count {
    let found = files.iter().flat_map(|file| {
        let lines = census(file).boolean_matches.into_iter();
        lines.map(|line| format!("{}:{line}", file.path))
    });
    Count {
        what: "matches on a flag stand where if and else would",
        most: 0,
        places: found.collect(),
    }
}

fn functions(files: &[SourceFile], wanted: impl Fn(&crate::source::Function) -> bool) -> Vec<String> {
    // A constructor of the Python module takes its arguments as Python gives them.
    let own = files
        .iter()
        .filter(|file| !file.is_test() && file.path.starts_with("src/"));
    let found = own.flat_map(|file| {
        let functions = census(file).functions.into_iter().filter(&wanted);
        functions
            .map(|function| format!("{}: {}", file.path, function.name))
            .collect::<Vec<_>>()
    });
    found.collect()
}

fn unexplained_unsafe(files: &[SourceFile]) -> Count {
    Count {
        what: "unsafe functions have no `# Safety` section",
        most: 0,
        places: functions(files, |function| function.is_unsafe && !function.has_safety_section),
    }
}

fn long_functions(files: &[SourceFile]) -> Count {
    Count {
        what: "functions have more than 100 lines of code",
        most: 0,
        places: functions(files, |function| function.lines > 100),
    }
}

fn many_parameters(files: &[SourceFile]) -> Count {
    Count {
        what: "functions have more than 6 parameters",
        most: 0,
        places: functions(files, |function| function.parameters > 6),
    }
}

fn long_files(files: &[SourceFile]) -> Count {
    let long = files.iter().filter(|file| file.text.lines().count() > 700);
    Count {
        what: "files have more than 700 lines",
        most: 0,
        places: long.map(|file| file.path.clone()).collect(),
    }
}

fn repeated_type_names(files: &[SourceFile]) -> Count {
    let mut homes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for file in files
        .iter()
        .filter(|file| !file.is_test() && file.path.starts_with("src/"))
    {
        for name in census(file).types {
            homes.entry(name).or_default().push(&file.path);
        }
    }
    let repeated = homes.into_iter().filter(|(_, homes)| homes.len() > 1);
    Count {
        what: "names are those of more than one type",
        most: 24,
        places: repeated
            .map(|(name, homes)| format!("{name}: {}", homes.join(" ")))
            .collect(),
    }
}

/// Lines that are plain comments, in percent of the lines that are not blank: in the kernels, and in all.
fn comment_shares(files: &[SourceFile]) -> (f64, f64) {
    let share = |wanted: &dyn Fn(&SourceFile) -> bool| {
        let (mut comments, mut all) = (0u32, 0u32);
        for file in files.iter().filter(|file| !file.is_test() && wanted(file)) {
            let code = file.text.split("#[cfg(test)]\nmod ").next().unwrap();
            for line in code.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
                let is_doc = line.starts_with("///") || line.starts_with("//!");
                comments += u32::from(line.contains("// ") && !is_doc && !line.contains("\"//"));
                all += u32::from(!is_doc);
            }
        }
        100.0 * f64::from(comments) / f64::from(all)
    };
    (
        share(&|file| file.path.contains("/kernels/") || file.path.contains("/arch/")),
        share(&|_| true),
    )
}
