//! SQL over Arrow tables and Parquet files.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cipherform::sql::Session;
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
    let answer = session.run(query).await?;
    let schema = answer.schema();
    let batches = answer.collect().await?;
    Ok((batches, schema))
}
