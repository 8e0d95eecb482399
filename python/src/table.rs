//! `cipherform.Table`

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StructArray};
use arrow::datatypes::{Field, SchemaRef};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{ArrayIterator, to_schema_pycapsule, to_stream_pycapsule};

/// A result: a table, handed to any Arrow library without copying.
///
/// It does nothing itself. Its fields hold the metadata by which `Engine.reveal` knows the rules.
///
/// Example:
///     >>> import pyarrow as pa
///     >>> table = engine.sql("SELECT 1 AS one")
///     >>> table
///     Table(1 rows, columns: one)
///     >>> pa.table(table).column_names
///     ['one']
#[pyclass(module = "cipherform", frozen)]
pub(crate) struct Table {
    batches: Vec<RecordBatch>,
    schema: SchemaRef,
}

impl Table {
    pub(crate) fn new(batches: Vec<RecordBatch>, schema: SchemaRef) -> Self {
        Self { batches, schema }
    }
}

#[pymethods]
impl Table {
    /// The Arrow PyCapsule interface: types and metadata.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.schema.as_ref())
    }

    /// The Arrow PyCapsule interface: the record batches.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        // The interface knows no tables: a stream of structs stands for one.
        let rows =
            Field::new_struct("", self.schema.fields().clone(), false).with_metadata(self.schema.metadata().clone());
        let batches = self.batches.iter().cloned();
        let structs: Vec<_> = batches
            .map(|batch| Ok(Arc::new(StructArray::from(batch)) as ArrayRef))
            .collect();
        to_stream_pycapsule(
            py,
            Box::new(ArrayIterator::new(structs, Arc::new(rows))),
            requested_schema,
        )
    }

    fn __len__(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    fn __repr__(&self) -> String {
        let names: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        format!("Table({} rows, columns: {})", self.__len__(), names.join(", "))
    }
}
