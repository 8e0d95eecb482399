//! `FROM 'people.parquet'`: a table named by its path.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{DynamicFileCatalog, TableProvider, UrlTableFactory};
use datafusion::prelude::SessionContext;

use super::open;
use crate::files::table_name;
use crate::sql::external;
use crate::transform::Engine;

/// Lets statements of a context name files in place of tables.
pub(in crate::sql) fn enable(ctx: &SessionContext, engine: Option<&Engine>) {
    let tables = Arc::new(FileTables(engine.cloned()));
    let known = Arc::clone(ctx.state().catalog_list());
    ctx.register_catalog_list(Arc::new(DynamicFileCatalog::new(known, tables)));
}

/// Opens tables by their paths, as the engine reveals them or as they are stored.
#[derive(Debug)]
struct FileTables(Option<Engine>);

#[async_trait]
impl UrlTableFactory for FileTables {
    async fn try_new(&self, url: &str) -> datafusion::common::Result<Option<Arc<dyn TableProvider>>> {
        let path = Path::new(url);
        if !path.exists() && !url.contains(['*', '?', '/']) && path.extension().is_none() {
            return Ok(None); // the name of a table that is not there
        }
        let table = open::open(self.0.as_ref(), &table_name(path), path).await;
        Ok(Some(table.map_err(external)?.provider))
    }
}
