//! One Parquet file.

use std::path::Path;

use datafusion::prelude::{ParquetReadOptions, SessionContext};

use super::view;
use crate::files::Source;
use crate::sql::from_datafusion;
use crate::transform::Engine;
use crate::{Error, Result};

pub(in crate::sql) async fn register(
    ctx: &SessionContext,
    engine: Option<&Engine>,
    name: &str,
    path: &Path,
) -> Result<()> {
    view::check_name(ctx, name)?;
    let source = Source::open(path)?;
    let location = path
        .to_str()
        .ok_or_else(|| Error::bad_input("the file's name is not UTF-8"))?;
    let options = ParquetReadOptions::default().file_extension("");
    let stored = ctx.read_parquet(location, options).await.map_err(from_datafusion)?;
    view::register(ctx, engine, name, source.schema(), stored)
        .await
        .map_err(|error| error.context(format_args!("`{}`", path.display())))
}
