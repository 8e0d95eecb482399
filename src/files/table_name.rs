//! Names of tables.

use std::ffi::OsStr;
use std::path::Path;

/// The name of the table that a file holds: the file's name without its extension, or, of a file among Hive partitions
/// (`people/year=2024/part-0.parquet`), that of the folder around them.
pub fn table_name(path: &Path) -> String {
    let is_partition = |folder: &&Path| {
        folder
            .file_name()
            .is_some_and(|name| name.to_string_lossy().contains('='))
    };
    // The folders around the file, from the inside; partitions come first, one in the other.
    let mut folders = path.ancestors().skip(1).peekable();
    let is_partitioned = folders.peek().is_some_and(is_partition);
    let table = folders.find(|folder| !is_partition(folder)).filter(|_| is_partitioned);
    let name = table.and_then(Path::file_name).or_else(|| path.file_stem());
    name.unwrap_or(OsStr::new("")).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_partitions_are_parts_of_a_table() {
        for (path, table) in [
            ("people.parquet", "people"),
            ("data/people.parquet", "people"),
            ("data/people/year=2024/month=1/part-0.parquet", "people"),
            ("year=2024/part-0.parquet", "part-0"),
            ("people/part=1.parquet", "part=1"),
        ] {
            assert_eq!(table_name(Path::new(path)), table, "{path}");
        }
    }
}
