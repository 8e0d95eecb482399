//! Arrow data in and out: any object with the PyCapsule interface comes in, our own classes go out.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use cipherform::{Error, Result};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3_arrow::ffi::ArrayReader;
use pyo3_arrow::input::AnyArray;

use crate::array::Array;
use crate::chunked_array::ChunkedArray;
use crate::table::Table;

/// An Arrow object that was given, not read yet.
pub(crate) enum Given {
    /// One array: a column, or a record batch as an array of structs.
    Array(ArrayRef, FieldRef),
    /// A stream: a chunked column, or a table.
    Stream(Box<dyn ArrayReader + Send>),
}

/// Arrow data by its shape, which is also the shape of the result.
pub(crate) enum Data {
    Array(ArrayRef, FieldRef),
    Chunked(Vec<ArrayRef>, FieldRef),
    Table(Vec<RecordBatch>, SchemaRef),
}

impl Given {
    /// Does `object` have the Arrow PyCapsule interface?
    pub(crate) fn is(object: &Bound<'_, PyAny>) -> PyResult<bool> {
        // The PyCapsule interface and no class: any Arrow library will do.
        Ok(object.hasattr("__arrow_c_array__")? || object.hasattr("__arrow_c_stream__")?)
    }

    pub(crate) fn from_python(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if !Self::is(object)? {
            return Err(PyTypeError::new_err(format!(
                "expected an Arrow array or table (of pyarrow, pandas, polars, …), not {}",
                object.get_type().name()?
            )));
        }
        match object.extract::<AnyArray>()? {
            AnyArray::Array(array) => {
                let (array, field) = array.into_inner();
                Ok(Self::Array(array, field))
            }
            AnyArray::Stream(stream) => Ok(Self::Stream(stream.into_reader()?)),
        }
    }

    /// Reads it. A stream may run code of others, that may need the interpreter: to be called detached.
    pub(crate) fn read(self) -> Result<Data> {
        match self {
            Self::Array(array, field) => match field.data_type() {
                // A record batch goes over the interface as an array of structs.
                DataType::Struct(_) => {
                    let schema = schema(&field);
                    Ok(Data::Table(vec![batch(&array, &schema)?], schema))
                }
                _ => Ok(Data::Array(array, field)),
            },
            Self::Stream(reader) => {
                let field = reader.field();
                // Here the code of others runs, batch by batch.
                let arrays: Vec<ArrayRef> = reader.collect::<Result<_, ArrowError>>().map_err(unreadable)?;
                match field.data_type() {
                    DataType::Struct(_) => {
                        let schema = schema(&field);
                        let batches = arrays.iter().map(|array| batch(array, &schema));
                        Ok(Data::Table(batches.collect::<Result<_>>()?, schema))
                    }
                    _ => Ok(Data::Chunked(arrays, field)),
                }
            }
        }
    }
}

impl Data {
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Array(array, _) => array.len(),
            Self::Chunked(chunks, _) => chunks.iter().map(|chunk| chunk.len()).sum(),
            Self::Table(batches, _) => batches.iter().map(RecordBatch::num_rows).sum(),
        }
    }
}

impl<'py> IntoPyObject<'py> for Data {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        Ok(match self {
            Self::Array(array, field) => Bound::new(py, Array::new(array, field))?.into_any(),
            Self::Chunked(chunks, field) => Bound::new(py, ChunkedArray::new(chunks, field))?.into_any(),
            Self::Table(batches, schema) => Bound::new(py, Table::new(batches, schema))?.into_any(),
        })
    }
}

fn schema(field: &FieldRef) -> SchemaRef {
    let DataType::Struct(fields) = field.data_type() else {
        return Arc::new(Schema::empty());
    };
    // The metadata of the struct's field is that of the schema.
    Arc::new(Schema::new_with_metadata(fields.clone(), field.metadata().clone()))
}

fn batch(array: &ArrayRef, schema: &SchemaRef) -> Result<RecordBatch> {
    let rows = array
        .as_struct_opt()
        .ok_or_else(|| Error::bad_input("a chunk of a table is no struct"))?;
    // A NULL struct in Arrow is a row that is not there; a table has no such rows.
    if rows.null_count() > 0 {
        return Err(Error::bad_input("the rows of a table cannot be null")
            .with_hint("a column of structs cannot be protected; its fields can, each by itself"));
    }
    // A table without columns still has rows.
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), rows.columns().to_vec(), &options).map_err(unreadable)
}

fn unreadable(error: ArrowError) -> Error {
    Error::bad_input("the Arrow data cannot be read").with_source(error)
}
