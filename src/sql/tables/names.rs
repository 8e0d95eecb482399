//! Names of columns, and of the fields within them.

/// Before the names of stored columns in a view. A view's own columns have the names that people know; were these the
/// same, DataFusion would take one for the other where it pulls a condition out of a correlated subquery.
const STORED: &str = "stored ";

/// The name of a stored column below a view.
pub(super) fn stored_name(name: &str) -> String {
    format!("{STORED}{name}")
}

/// The name that people know a stored column by.
pub(in crate::sql) fn original_name(name: &str) -> &str {
    name.strip_prefix(STORED).unwrap_or(name)
}

/// Is this the path of the column, or of a field within it?
pub(super) fn is_within(path: &str, column: &str) -> bool {
    path.strip_prefix(column)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
