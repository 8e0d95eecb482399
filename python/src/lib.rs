//! The Python module `cipherform._cipherform`: parses, calls, hands back; no logic.

mod array;
mod chunked_array;
mod column;
mod column_op;
mod data;
mod detach;
mod engine;
mod errors;
mod ff1;
mod ff3_1;
mod fpe;
mod query;
mod runtime;
mod table;
mod table_ops;
mod tweaks;
mod unlock;
mod values;

use pyo3::prelude::*;

#[pymodule]
fn _cipherform(module: &Bound<'_, PyModule>) -> PyResult<()> {
    detach::quiet_panics();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<array::Array>()?;
    module.add_class::<chunked_array::ChunkedArray>()?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<ff1::FF1>()?;
    module.add_class::<ff3_1::FF3_1>()?;
    module.add_class::<table::Table>()
}
