//! The tweaks of a batch as Python gives them.

use cipherform::cipher::{CipherError, Tweaks};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyList, PyTuple};

use crate::errors;

/// One tweak for all rows, or one a row.
pub(crate) enum GivenTweaks {
    Shared(PyBackedBytes),
    PerRow(Vec<PyBackedBytes>),
    None,
}

impl GivenTweaks {
    pub(crate) fn from_python(tweaks: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(tweaks) = tweaks else { return Ok(Self::None) };
        // Bytes are a sequence of numbers to Python, so they are tried before lists.
        if let Ok(shared) = tweaks.extract() {
            return Ok(Self::Shared(shared));
        }
        if !tweaks.is_instance_of::<PyList>() && !tweaks.is_instance_of::<PyTuple>() {
            return Err(PyTypeError::new_err(format!(
                "tweaks are None, bytes for all rows, or a list of bytes, not {}",
                tweaks.get_type().name()?
            )));
        }
        let mut rows = Vec::with_capacity(tweaks.len()?);
        for (row, tweak) in tweaks.try_iter()?.enumerate() {
            let tweak = tweak?;
            let bytes = tweak.extract();
            let name = tweak.get_type().name()?;
            // The type only: a tweak may be somebody's data.
            rows.push(bytes.map_err(|_| PyTypeError::new_err(format!("row {row}: a tweak is bytes, not {name}")))?);
        }
        Ok(Self::PerRow(rows))
    }

    /// Refuses a list that has not one for each of `rows` rows.
    pub(crate) fn check(&self, py: Python<'_>, rows: usize) -> PyResult<()> {
        match self {
            Self::PerRow(tweaks) if tweaks.len() != rows => {
                let tweaks = tweaks.len();
                Err(errors::raise(py, &CipherError::TweakCount { tweaks, rows }.into()))
            }
            _ => Ok(()),
        }
    }

    /// The tweaks of these rows.
    pub(crate) fn of<'a>(&'a self, rows: &[usize]) -> RowTweaks<'a> {
        match self {
            Self::None => RowTweaks::Shared(&[]),
            Self::Shared(tweak) => RowTweaks::Shared(tweak),
            Self::PerRow(tweaks) => RowTweaks::PerRow(rows.iter().map(|row| &*tweaks[*row]).collect()),
        }
    }
}

/// The tweaks of the rows that go through the cipher.
pub(crate) enum RowTweaks<'a> {
    Shared(&'a [u8]),
    PerRow(Vec<&'a [u8]>),
}

impl RowTweaks<'_> {
    pub(crate) fn as_tweaks(&self) -> Tweaks<'_> {
        match self {
            Self::Shared(tweak) => Tweaks::Shared(tweak),
            Self::PerRow(tweaks) => Tweaks::PerRow(tweaks),
        }
    }
}
