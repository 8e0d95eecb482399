//! Values as Python writes them: `str`, or lists of numerals.

use cipherform::formats::Alphabet;
use cipherform::{Error, Result};
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyList, PyString, PyTuple};

use crate::errors;

/// A value as it came in.
pub(crate) enum Value {
    Text(PyBackedStr),
    Numerals(Vec<u16>),
}

/// A result, written as its value was.
#[derive(IntoPyObject)]
pub(crate) enum Output {
    Text(String),
    Numerals(Vec<u16>),
}

impl Value {
    /// Takes a `str`, or a list of numerals below `radix`. `row` is its place in a batch, for messages.
    pub(crate) fn from_python(value: &Bound<'_, PyAny>, radix: u32, row: Option<usize>) -> PyResult<Self> {
        let py = value.py();
        // Before lists: a str is a sequence as well.
        if let Ok(text) = value.cast::<PyString>() {
            // What cannot be had as UTF-8 has half of a surrogate pair. Python's own error would carry the value.
            let text = text.extract();
            return text.map(Self::Text).map_err(|_: PyErr| {
                let error = Error::bad_input("the text has an unpaired surrogate, which is no character");
                errors::raise(py, &in_row(error, row))
            });
        }
        if value.is_none() {
            let error = Error::bad_input("there is no value, but None");
            let error = error.with_hint("leave it out, or pass an Arrow array, in which nulls stay null");
            return Err(errors::raise(py, &in_row(error, row)));
        }
        // Lists and tuples only: any iterable would also take a set, which has no order.
        if !value.is_instance_of::<PyList>() && !value.is_instance_of::<PyTuple>() {
            let error = format!("a value is a str or a list of int, not {}", value.get_type().name()?);
            return Err(PyTypeError::new_err(prefixed(error, row)));
        }
        let mut numerals = Vec::with_capacity(value.len()?);
        for (position, numeral) in value.try_iter()?.enumerate() {
            let numeral = numeral?;
            let number = match numeral.extract::<i64>() {
                Ok(number) => u16::try_from(number).ok(),
                // Too large for 64 bits is out of range, and no wrong type.
                Err(error) if error.is_instance_of::<PyOverflowError>(py) => None,
                Err(_) => {
                    let error = format!(
                        "the numeral at position {position} is not an int, but {}",
                        numeral.get_type().name()?
                    );
                    return Err(PyTypeError::new_err(prefixed(error, row)));
                }
            };
            let Some(number) = number.filter(|number| u32::from(*number) < radix) else {
                // Position and radix; the number itself is part of the value.
                let error = format!("the numeral at position {position} is not one of radix {radix}");
                return Err(errors::raise(py, &in_row(Error::bad_input(error), row)));
            };
            numerals.push(number);
        }
        Ok(Self::Numerals(numerals))
    }
}

/// Appends the numerals of `text`.
pub(crate) fn encode(alphabet: Option<&Alphabet>, text: &str, numerals: &mut Vec<u16>) -> Result<()> {
    let Some(alphabet) = alphabet else {
        return Err(Error::bad_input("text over a radix above 36 needs an alphabet")
            .with_hint("pass alphabet=…, or numerals as a list of int"));
    };
    // Errors name the position, and not the character.
    for (position, symbol) in text.chars().enumerate() {
        let numeral = alphabet.numeral(symbol);
        numerals.push(
            numeral.ok_or_else(|| {
                Error::bad_input(format!("the character at position {position} is not in the alphabet"))
            })?,
        );
    }
    Ok(())
}

/// The text of `numerals`.
pub(crate) fn decode(alphabet: &Alphabet, numerals: &[u16]) -> String {
    numerals.iter().map(|numeral| alphabet.symbol(*numeral)).collect()
}

/// Says which row of a batch `error` is about.
pub(crate) fn in_row(error: Error, row: Option<usize>) -> Error {
    match row {
        Some(row) => error.context(format_args!("row {row}")),
        None => error,
    }
}

fn prefixed(message: String, row: Option<usize>) -> String {
    match row {
        Some(row) => format!("row {row}: {message}"),
        None => message,
    }
}
