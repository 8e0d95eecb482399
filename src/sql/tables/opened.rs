//! What opening a table gives.

use std::sync::Arc;

use datafusion::catalog::TableProvider;

use crate::sql::grants::ColumnGrant;

/// A table that was opened, with what the session's role sees of its protected columns.
pub(in crate::sql) struct OpenedTable {
    pub(in crate::sql) provider: Arc<dyn TableProvider>,
    pub(in crate::sql) grants: Vec<ColumnGrant>,
}
