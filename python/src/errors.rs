//! Our errors as Python's.

use cipherform::{Error, ErrorKind};
use pyo3::prelude::*;

/// `error` as an instance of its class in `cipherform.errors`.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    // By kind: programs catch classes, and messages may change.
    let class = match error.kind() {
        ErrorKind::BadInput | ErrorKind::FileNotFound => "BadInputError",
        ErrorKind::BadPolicy => "PolicyError",
        ErrorKind::NotAllowed => "NotAllowedError",
        ErrorKind::KeyNotFound => "KeyNotFoundError",
        ErrorKind::KeyNotUsable => "KeyNotUsableError",
        ErrorKind::WrongKey => "WrongKeyError",
        ErrorKind::ProviderDown => "ProviderDownError",
        ErrorKind::Io => "IoError",
        ErrorKind::Bug => "InternalError",
        // A kind that is added later is still one of ours.
        _ => "CipherformError",
    };
    // The classes are written in Python, where they are documented; importing can fail, and then that is the
    // error.
    let raised = py
        .import("cipherform.errors")
        .and_then(|errors| errors.getattr(class))
        .and_then(|class| class.call1((error.to_string(), error.hint().map(ToString::to_string))));
    match raised {
        Ok(raised) => PyErr::from_value(raised),
        Err(error) => error,
    }
}

/// Warns of values that were left in the clear, as the rule says.
pub(crate) fn warn_kept_clear(py: Python<'_>, kept_clear: &[(String, usize)]) -> PyResult<()> {
    for (column, values) in kept_clear.iter().filter(|(_, values)| *values > 0) {
        let text = format!("column `{column}`: {values} values do not fit and were left in the clear (insecure-keep)");
        warn(py, "LeftClearWarning", &text)?;
    }
    Ok(())
}

/// Warns of tokens that run out.
pub(crate) fn warn_filling_up(py: Python<'_>, engine: &cipherform::Engine) -> PyResult<()> {
    let warnings = engine.filling_up();
    warnings.iter().try_for_each(|text| warn(py, "FillingUpWarning", text))
}

fn warn(py: Python<'_>, class: &str, text: &str) -> PyResult<()> {
    // C strings end at a NUL.
    let text = std::ffi::CString::new(text.replace('\0', ""))?;
    let class = py.import("cipherform.errors")?.getattr(class)?;
    PyErr::warn(py, &class, &text, 1)
}
