//! Grants of a session's role, as tables: `DESCRIBE`, and `cipherform_grants()`.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::DFSchema;
use datafusion::datasource::MemTable;

use crate::Result;
use crate::policy::Grant;
use crate::sql::from_datafusion;

/// The role's grant on a protected column, or on a field within one.
#[derive(Clone, Debug)]
pub(super) struct ColumnGrant {
    pub(super) table: String,
    /// The name, or path: `address.postcode`.
    pub(super) column: String,
    pub(super) rule: String,
    pub(super) grant: Grant,
}

/// The protected columns of a session's tables.
#[derive(Clone, Debug, Default)]
pub(super) struct Grants(Arc<Mutex<Vec<ColumnGrant>>>);

impl Grants {
    pub(super) fn add(&self, more: impl IntoIterator<Item = ColumnGrant>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(more);
    }

    /// All of them, by table and column.
    fn batch(&self) -> Result<RecordBatch> {
        let grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |of: fn(&ColumnGrant) -> String| -> ArrayRef {
            Arc::new(grants.iter().map(|grant| Some(of(grant))).collect::<StringArray>())
        };
        table([
            ("table_name", text(|grant| grant.table.clone())),
            ("column_name", text(|grant| grant.column.clone())),
            ("rule", text(|grant| grant.rule.clone())),
            ("grant", text(|grant| grant.grant.to_string())),
        ])
    }

    /// The columns of a table: names, types, and what the role sees of those that are protected.
    pub(super) fn describe(&self, table_name: &str, schema: &DFSchema) -> Result<RecordBatch> {
        let grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_column = |column: &str| {
            let within = |grant: &&ColumnGrant| {
                let rest = grant.column.strip_prefix(column);
                grant.table == table_name && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            let shown: Vec<String> = grants
                .iter()
                .filter(within)
                .map(|grant| {
                    let shown = format!("{} (rule {})", grant.grant, grant.rule);
                    if grant.column == column {
                        shown
                    } else {
                        format!("{}: {shown}", grant.column)
                    }
                })
                .collect();
            (!shown.is_empty()).then(|| shown.join(", "))
        };
        let fields = schema.fields().iter();
        let names: StringArray = fields.clone().map(|field| Some(field.name().as_str())).collect();
        let types: StringArray = fields
            .clone()
            .map(|field| Some(field.data_type().to_string()))
            .collect();
        let nullable = fields
            .clone()
            .map(|field| Some(if field.is_nullable() { "YES" } else { "NO" }));
        let nullable: StringArray = nullable.collect();
        let grants: StringArray = fields.map(|field| of_column(field.name())).collect();
        table([
            ("column_name", Arc::new(names) as ArrayRef),
            ("data_type", Arc::new(types)),
            ("is_nullable", Arc::new(nullable)),
            ("grant", Arc::new(grants)),
        ])
    }
}

fn table<const N: usize>(columns: [(&str, ArrayRef); N]) -> Result<RecordBatch> {
    RecordBatch::try_from_iter(columns)
        .map_err(|error| crate::Error::bug("columns of unlike lengths").with_source(error))
}

/// `cipherform_grants()`: the protected columns of all tables, with what the role sees of each.
#[derive(Debug)]
pub(super) struct GrantsFunction(pub(super) Grants);

impl TableFunctionImpl for GrantsFunction {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> datafusion::common::Result<Arc<dyn TableProvider>> {
        if !args.exprs().is_empty() {
            return datafusion::common::plan_err!("cipherform_grants() takes no arguments");
        }
        let batch = self.0.batch().map_err(crate::sql::external)?;
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(from_datafusion);
        Ok(Arc::new(table.map_err(crate::sql::external)?))
    }
}
