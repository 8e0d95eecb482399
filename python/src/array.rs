//! `cipherform.Array`

use arrow::array::ArrayRef;
use arrow::datatypes::FieldRef;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{to_array_pycapsules, to_schema_pycapsule};

/// A result: an Arrow array, handed to any Arrow library without copying.
///
/// It does nothing itself. Its field holds the metadata by which `Engine.reveal` knows the rule.
///
/// Example:
///     >>> import pyarrow as pa
///     >>> array = cipherform.FF1(bytes(32), 10).encrypt_batch(pa.array(["123456", None]))
///     >>> array
///     Array(Utf8, 2 rows)
///     >>> pa.array(array).null_count
///     1
#[pyclass(module = "cipherform", frozen)]
pub(crate) struct Array {
    array: ArrayRef,
    field: FieldRef,
}

impl Array {
    pub(crate) fn new(array: ArrayRef, field: FieldRef) -> Self {
        Self { array, field }
    }
}

#[pymethods]
impl Array {
    /// The Arrow PyCapsule interface: type and metadata.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyArrowResult<Bound<'py, PyCapsule>> {
        // With the field's metadata, which a bare type would lose.
        to_schema_pycapsule(py, self.field.as_ref())
    }

    /// The Arrow PyCapsule interface: the array.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyTuple>> {
        // Buffers are shared with the receiver: nothing is copied.
        to_array_pycapsules(py, self.field.clone(), &self.array, requested_schema)
    }

    fn __len__(&self) -> usize {
        self.array.len()
    }

    fn __repr__(&self) -> String {
        format!("Array({}, {} rows)", self.field.data_type(), self.array.len())
    }
}
