//! SQL over Arrow tables and Parquet files.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cipherform::sql::{self, Session};
use cipherform::{Engine, Error, Result};
use pyo3::prelude::*;

use crate::data::{Data, Given};

/// The content of a table.
pub(crate) enum Source {
    File(PathBuf),
    Given(Given),
}

impl Source {
    pub(crate) fn from_python(table: &Bound<'_, PyAny>) -> PyResult<Self> {
        // A path first: str and `os.PathLike` are no Arrow data.
        match table.extract() {
            Ok(path) => Ok(Self::File(path)),
            Err(_) => Given::from_python(table).map(Self::Given),
        }
    }
}

/// The answer to `query` over these tables.
pub(crate) async fn run(
    engine: &Engine,
    query: &str,
    tables: Vec<(String, Source)>,
) -> Result<(Vec<RecordBatch>, SchemaRef)> {
    let session = Session::new(engine).await?;
    for (name, source) in tables {
        match source {
            Source::File(path) => session.register_file(&name, &path).await?,
            Source::Given(given) => {
                let Data::Table(batches, schema) = given.read()? else {
                    return Err(Error::bad_input(format!("`{name}` is one column, not a table")));
                };
                session.register_batches(&name, &schema, batches).await?;
            }
        }
    }
    let answer = session.query(query).await?;
    let schema: SchemaRef = answer.schema().as_arrow().clone().into();
    let batches = answer.collect().await.map_err(sql::from_execution)?;
    // The schema of what was computed, which may say more of what can be null than that of the plan.
    let schema = batches.first().map_or(schema, RecordBatch::schema);
    Ok((batches, schema))
}
