//! The files of a table: one, those that a pattern names, or those of a folder with its partitions.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use crate::files::Source;
use crate::{Error, ErrorKind, Result};

/// The value of a partition whose column is NULL, as Hive, Spark and DuckDB write it.
const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// A file of a table as it was when the table was opened.
#[derive(Debug)]
pub(super) struct TableFile {
    /// The absolute path, links followed.
    pub(super) path: PathBuf,
    /// The path as the person gave it, for messages.
    pub(super) shown: PathBuf,
    pub(super) stamp: Stamp,
    pub(super) source: Source,
    /// The column and value of each folder between the table's and the file: `country=fr`.
    pub(super) partitions: Vec<(String, Option<String>)>,
}

/// The identity of a file, which tells it from one that has taken its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    pub(super) length: u64,
    pub(super) modified: SystemTime,
    #[cfg(unix)]
    inode: (u64, u64),
}

impl Stamp {
    fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            length: metadata.len(),
            modified: metadata.modified()?,
            #[cfg(unix)]
            inode: {
                use std::os::unix::fs::MetadataExt;
                (metadata.dev(), metadata.ino())
            },
        })
    }
}

impl TableFile {
    fn open(shown: PathBuf, root: &Path) -> Result<Self> {
        let located = |error| Error::io(format!("cannot open `{}`", shown.display()), error);
        let path = shown.canonicalize().map_err(located)?;
        let before = Stamp::of(&path).map_err(located)?;
        let source = Source::open(&shown)?;
        let file = Self {
            partitions: partitions(&shown, root),
            path,
            shown,
            stamp: before,
            source,
        };
        // What the footer says is of the file that the stamp is of.
        file.check_unchanged()?;
        Ok(file)
    }

    /// Checks that the file is still the one whose metadata was read: another one, revealed by that, would give wrong
    /// values.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] when it has changed, or is gone.
    pub(super) fn check_unchanged(&self) -> Result<()> {
        match Stamp::of(&self.path) {
            Ok(now) if now == self.stamp => Ok(()),
            _ => Err(Error::bad_input(format!(
                "`{}` has changed since its table was opened",
                self.shown.display()
            ))
            .with_hint("open the table again")),
        }
    }
}

/// Opens the files that `location` names.
///
/// # Errors
/// A file that is missing or not Parquet; a folder without Parquet files, or that is a table of Delta or Iceberg.
pub(super) fn open(location: &Path) -> Result<Vec<TableFile>> {
    if location.is_dir() {
        refuse_lake_tables(location)?;
        let mut found = Vec::new();
        walk(location, &mut found)?;
        if found.is_empty() {
            return Err(Error::new(
                ErrorKind::FileNotFound,
                format!(
                    "the folder `{}` holds no file that ends in .parquet",
                    location.display()
                ),
            ));
        }
        return found.into_iter().map(|path| TableFile::open(path, location)).collect();
    }
    let pattern = location
        .to_str()
        .filter(|text| text.contains(['*', '?', '[']) && !location.exists());
    let Some(pattern) = pattern else {
        // A missing file is refused as such.
        return Ok(vec![TableFile::open(location.to_owned(), location)?]);
    };
    let paths = glob::glob(pattern)
        .map_err(|error| Error::bad_input(format!("`{pattern}` is not a pattern of files")).with_source(error))?;
    let mut found = Vec::new();
    for path in paths {
        let path = path.map_err(|error| Error::io(format!("cannot read the folders of `{pattern}`"), error.into()))?;
        if path.is_file() {
            found.push(path);
        }
    }
    if found.is_empty() {
        let message = format!("no file is named by `{pattern}`");
        return Err(Error::new(ErrorKind::FileNotFound, message));
    }
    let root = fixed_part(location);
    found.into_iter().map(|path| TableFile::open(path, &root)).collect()
}

/// The folders of a pattern before the first that has a wildcard.
fn fixed_part(pattern: &Path) -> PathBuf {
    let is_fixed = |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    pattern.components().take_while(is_fixed).collect()
}

/// The Parquet files below `folder`, in order; not those that are hidden, or that engines keep for themselves.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable = |error| Error::io(format!("cannot read the folder `{}`", folder.display()), error);
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?.path());
    }
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(['.', '_']) {
            continue;
        }
        if path.is_dir() {
            walk(&path, found)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
        {
            found.push(path);
        }
    }
    Ok(())
}

/// Refuses tables of which a log says which files count: reading all of them would give deleted rows, too.
fn refuse_lake_tables(folder: &Path) -> Result<()> {
    let kind = if folder.join("_delta_log").is_dir() {
        "Delta"
    } else if folder.join("metadata").is_dir() && folder.join("data").is_dir() {
        "Iceberg"
    } else {
        return Ok(());
    };
    Err(Error::bad_input(format!(
        "`{}` is a table of {kind}: its log, not its folder, says which files count",
        folder.display()
    ))
    .with_hint("write its rows to Parquet files of their own, and open these"))
}

/// The columns and values in the names of the folders between `root` and the file.
fn partitions(file: &Path, root: &Path) -> Vec<(String, Option<String>)> {
    let below = file.strip_prefix(root).unwrap_or(file);
    let folders = below.parent().map(Path::components).into_iter().flatten();
    folders
        .filter_map(|folder| {
            let name = folder.as_os_str().to_str()?;
            let (column, value) = name.split_once('=')?;
            let value = (value != NULL_PARTITION).then(|| unescaped(value));
            Some((unescaped(column), value))
        })
        .collect()
}

/// A name in a path with `%XX` for some of its bytes, as Hive and Spark write it.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = (*first == b'%')
            .then(|| after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_name_partitions() {
        let of = |file: &str| partitions(Path::new(file), Path::new("/lake/orders"));
        assert_eq!(
            of("/lake/orders/year=2024/country=c%C3%B4te%20d/part.parquet"),
            [
                ("year".to_owned(), Some("2024".to_owned())),
                ("country".to_owned(), Some("côte d".to_owned()))
            ]
        );
        assert_eq!(
            of("/lake/orders/day=__HIVE_DEFAULT_PARTITION__/a.parquet"),
            [("day".to_owned(), None)]
        );
        assert_eq!(of("/lake/orders/part.parquet"), []);
    }

    #[test]
    fn a_pattern_begins_where_its_wildcards_do() {
        assert_eq!(fixed_part(Path::new("/a/b/*/c.parquet")), Path::new("/a/b"));
        assert_eq!(fixed_part(Path::new("a/?.parquet")), Path::new("a"));
    }

    #[test]
    fn escapes_that_are_none_stay() {
        assert_eq!(unescaped("100%"), "100%");
        assert_eq!(unescaped("%zz%41"), "%zzA");
    }
}
