//! `cipherform.ChunkedArray`

use arrow::array::{Array as _, ArrayRef};
use arrow::datatypes::FieldRef;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{ArrayIterator, to_schema_pycapsule, to_stream_pycapsule};

/// A result: a column in chunks, handed to any Arrow library without copying.
///
/// It does nothing itself. Its field holds the metadata by which `Engine.reveal` knows the rule.
///
/// Example:
///     >>> import pyarrow as pa
///     >>> column = pa.chunked_array([["123456"], ["654321", None]])
///     >>> column = cipherform.FF1(bytes(32), 10).encrypt_batch(column)
///     >>> column
///     ChunkedArray(Utf8, 3 rows, 2 chunks)
///     >>> pa.chunked_array(column).null_count
///     1
#[pyclass(module = "cipherform", frozen)]
pub(crate) struct ChunkedArray {
    chunks: Vec<ArrayRef>,
    field: FieldRef,
}

impl ChunkedArray {
    pub(crate) fn new(chunks: Vec<ArrayRef>, field: FieldRef) -> Self {
        Self { chunks, field }
    }
}

#[pymethods]
impl ChunkedArray {
    /// The Arrow PyCapsule interface: type and metadata.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, self.field.as_ref())
    }

    /// The Arrow PyCapsule interface: the chunks.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        // Cloning an array counts a reference, and copies no values.
        let chunks: Vec<_> = self.chunks.iter().cloned().map(Ok).collect();
        let reader = ArrayIterator::new(chunks, self.field.clone());
        to_stream_pycapsule(py, Box::new(reader), requested_schema)
    }

    fn __len__(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len()).sum()
    }

    fn __repr__(&self) -> String {
        let (rows, chunks) = (self.__len__(), self.chunks.len());
        format!("ChunkedArray({}, {rows} rows, {chunks} chunks)", self.field.data_type())
    }
}
