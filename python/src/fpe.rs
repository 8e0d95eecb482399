//! Common parts of `FF1` and `FF3_1`: a cipher, and the writing of its values.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeStringArray, StringArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use cipherform::cipher::{AesKey, Cipher, CipherError, Direction, DomainFloor, Radix, Tweaks};
use cipherform::formats::Alphabet;
use cipherform::{Error, Result};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::data::{Data, Given};
use crate::detach::detached;
use crate::tweaks::{GivenTweaks, RowTweaks};
use crate::values::{Output, Value, decode, encode, in_row};

/// The alphabet of radices up to 36.
const DIGITS: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

/// Rows that go through the cipher together: enough to fill it, few enough to stay in the cache.
const CHUNK: usize = 8192;

pub(crate) struct Fpe {
    cipher: Cipher,
    /// None for a radix above 36 that was given none.
    alphabet: Option<Alphabet>,
}

impl Fpe {
    pub(crate) fn try_new(
        cipher: fn(&AesKey, Radix) -> Cipher,
        key: &[u8],
        radix: i64,
        alphabet: Option<&str>,
        min_domain: i64,
    ) -> Result<Self> {
        // A negative radix, or one beyond 32 bits, is refused here and not cut.
        let number = u32::try_from(radix).map_err(|_| Error::bad_input("a radix is 2 to 65,536"))?;
        let radix = Radix::try_new(number)?;
        // Only the standard's own floor needs no reason.
        let floor = match u64::try_from(min_domain).unwrap_or(0) {
            min if min == DomainFloor::REV1.value() => DomainFloor::REV1,
            min => DomainFloor::insecure(min, "the min_domain argument")?,
        };
        let alphabet = match alphabet {
            Some(symbols) => Some(parse(symbols, number)?),
            // Above 36 there is no usual alphabet: values are then lists of numbers.
            None => DIGITS.get(..number as usize).map(Alphabet::try_new).transpose()?,
        };
        let cipher = cipher(&AesKey::try_new(key)?, radix).with_floor(floor);
        Ok(Self { cipher, alphabet })
    }

    pub(crate) fn radix(&self) -> u32 {
        self.cipher.radix().value()
    }

    /// One value.
    pub(crate) fn one(
        &self,
        py: Python<'_>,
        direction: Direction,
        value: &Bound<'_, PyAny>,
        tweak: &[u8],
    ) -> PyResult<Output> {
        // Read while the interpreter is held, as the value belongs to it.
        let value = Value::from_python(value, self.radix(), None)?;
        detached(py, || {
            let mut numerals = Vec::new();
            self.encode(&value, &mut numerals)?;
            let length = numerals.len();
            self.cipher
                .apply(direction, Tweaks::Shared(tweak), &mut numerals, length)?;
            Ok(self.output(&value, &numerals))
        })
    }

    /// A list of values, or an Arrow array of strings.
    pub(crate) fn batch(
        &self,
        direction: Direction,
        values: &Bound<'_, PyAny>,
        tweaks: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let py = values.py();
        let tweaks = GivenTweaks::from_python(tweaks)?;
        // A list first: it is no Arrow data, and the usual case for few values.
        if values.is_instance_of::<PyList>() || values.is_instance_of::<PyTuple>() {
            tweaks.check(py, values.len()?)?;
            let answers = self.list(direction, values, &tweaks)?;
            return Ok(PyList::new(py, answers)?.into_any().unbind());
        }
        if !Given::is(values)? {
            return Err(PyTypeError::new_err(format!(
                "values are a list or an Arrow array, not {}",
                values.get_type().name()?
            )));
        }
        let given = Given::from_python(values)?;
        // Detached, since a stream may run code that needs the interpreter.
        let data = detached(py, || given.read())?;
        // Known only now: a stream has no length before it is read.
        tweaks.check(py, data.rows())?;
        let done = detached(py, || match data {
            Data::Array(array, field) => Ok(Data::Array(self.array(direction, &array, 0, &tweaks)?, field)),
            Data::Chunked(chunks, field) => {
                let mut base = 0;
                let mut done = Vec::with_capacity(chunks.len());
                for chunk in &chunks {
                    done.push(self.array(direction, chunk, base, &tweaks)?);
                    // Messages name the row of the whole column.
                    base += chunk.len();
                }
                Ok(Data::Chunked(done, field))
            }
            Data::Table(..) => Err(Error::bad_input("this takes one column, not a table")),
        })?;
        Ok(done.into_pyobject(py)?.unbind())
    }

    fn list(&self, direction: Direction, values: &Bound<'_, PyAny>, tweaks: &GivenTweaks) -> PyResult<Vec<Output>> {
        let mut rows = Vec::with_capacity(values.len()?);
        for (row, value) in values.try_iter()?.enumerate() {
            rows.push(Value::from_python(&value?, self.radix(), Some(row))?);
        }
        detached(values.py(), || {
            let mut answers = Vec::with_capacity(rows.len());
            self.check_shared(direction, tweaks)?;
            for (chunk, values) in rows.chunks(CHUNK).enumerate() {
                // Places in the whole batch, by which tweaks and messages go.
                let places: Vec<usize> = (chunk * CHUNK..).take(values.len()).collect();
                let encode = |row: usize, numerals: &mut Vec<u16>| self.encode(&values[row - places[0]], numerals);
                self.rows(direction, &places, tweaks, encode, |row, numerals| {
                    answers.push(self.output(&values[row - places[0]], numerals));
                })?;
            }
            Ok(answers)
        })
    }

    /// An array of strings; `base` rows came before it.
    fn array(&self, direction: Direction, array: &ArrayRef, base: usize, tweaks: &GivenTweaks) -> Result<ArrayRef> {
        let texts: Vec<Option<&str>> = match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().iter().collect(),
            DataType::LargeUtf8 => array.as_string::<i64>().iter().collect(),
            DataType::Utf8View => array.as_string_view().iter().collect(),
            DataType::Dictionary(_, values) if values.is_string() => {
                let broken = |error| Error::bad_input("the dictionary cannot hold the results").with_source(error);
                // Unpacked: with tweaks by row equal values may have unequal results.
                let plain = cast(array, values).map_err(broken)?;
                return cast(&self.array(direction, &plain, base, tweaks)?, array.data_type()).map_err(broken);
            }
            other => {
                return Err(Error::bad_input(format!(
                    "an Arrow array here is of strings, not {other}"
                )));
            }
        };
        self.check_shared(direction, tweaks)?;
        let mut done: Vec<Option<String>> = vec![None; texts.len()];
        // NULLs pass by the cipher, and stay NULL.
        let live: Vec<usize> = (0..texts.len()).filter(|at| texts[*at].is_some()).collect();
        for live in live.chunks(CHUNK) {
            let places: Vec<usize> = live.iter().map(|at| base + at).collect();
            let encode = |row: usize, numerals: &mut Vec<u16>| {
                encode(self.alphabet.as_ref(), texts[row - base].unwrap_or_default(), numerals)
            };
            self.rows(direction, &places, tweaks, encode, |row, numerals| {
                done[row - base] = self.alphabet.as_ref().map(|alphabet| decode(alphabet, numerals));
            })?;
        }
        let bytes: usize = done.iter().flatten().map(String::len).sum();
        match array.data_type() {
            // Offsets of 32 bits; collecting more would panic.
            DataType::Utf8 if bytes > i32::MAX as usize => {
                Err(Error::bad_input("the results exceed the 2 GiB of one Utf8 array")
                    .with_hint("use smaller arrays, or large strings"))
            }
            DataType::Utf8 => Ok(Arc::new(done.into_iter().collect::<StringArray>())),
            DataType::LargeUtf8 => Ok(Arc::new(done.into_iter().collect::<LargeStringArray>())),
            _ => Ok(Arc::new(done.into_iter().collect::<StringViewArray>())),
        }
    }

    /// Rows at these places of the whole batch, in one call of the cipher.
    fn rows(
        &self,
        direction: Direction,
        places: &[usize],
        tweaks: &GivenTweaks,
        encode: impl Fn(usize, &mut Vec<u16>) -> Result<()>,
        mut answer: impl FnMut(usize, &[u16]),
    ) -> Result<()> {
        let mut numerals = Vec::new();
        let mut ranges = Vec::with_capacity(places.len());
        for place in places {
            let start = numerals.len();
            // The row is added here, where it is known.
            encode(*place, &mut numerals).map_err(|error| in_row(error, Some(*place)))?;
            ranges.push(start..numerals.len());
        }
        let tweaks: RowTweaks<'_> = tweaks.of(places);
        self.cipher
            .apply_rows(direction, tweaks.as_tweaks(), &mut numerals, &ranges)
            .map_err(|error| self.locate(error, direction, places, &ranges))?;
        for (place, range) in places.iter().zip(ranges) {
            answer(*place, &numerals[range]);
        }
        Ok(())
    }

    /// Refuses a tweak for all rows that does not suit the mode, even if there are no rows.
    fn check_shared(&self, direction: Direction, tweaks: &GivenTweaks) -> Result<()> {
        match tweaks.of(&[]) {
            RowTweaks::Shared(tweak) => {
                let shortest = *self.cipher.lengths().start();
                // No rows, so nothing is encrypted; the cipher checks the tweak all the same.
                Ok(self.cipher.apply(direction, Tweaks::Shared(tweak), &mut [], shortest)?)
            }
            RowTweaks::PerRow(_) => Ok(()),
        }
    }

    /// `error` with the row of the whole batch in place of the row that the cipher saw.
    fn locate(&self, error: CipherError, direction: Direction, places: &[usize], ranges: &[Range<usize>]) -> Error {
        if let CipherError::TweakLength {
            row: Some(row),
            bytes,
            takes,
        } = error
        {
            let row = Some(places[row]);
            return CipherError::TweakLength { row, bytes, takes }.into();
        }
        // Numerals are below the radix, so what is left is a length.
        // The cipher names no row for a length, so it is looked for.
        let lengths = self.cipher.lengths();
        let Some(row) = ranges.iter().position(|range| !lengths.contains(&range.len())) else {
            return error.into();
        };
        let length = ranges[row].len();
        match self.cipher.apply(direction, Tweaks::Shared(b""), &mut [], length) {
            Err(refused) => in_row(refused.into(), Some(places[row])),
            Ok(()) => error.into(),
        }
    }

    fn encode(&self, value: &Value, numerals: &mut Vec<u16>) -> Result<()> {
        match value {
            Value::Text(text) => encode(self.alphabet.as_ref(), text, numerals)?,
            Value::Numerals(given) => numerals.extend_from_slice(given),
        }
        Ok(())
    }

    fn output(&self, value: &Value, numerals: &[u16]) -> Output {
        match (value, &self.alphabet) {
            (Value::Text(_), Some(alphabet)) => Output::Text(decode(alphabet, numerals)),
            _ => Output::Numerals(numerals.to_vec()),
        }
    }
}

/// An alphabet of exactly `radix` symbols.
fn parse(symbols: &str, radix: u32) -> Result<Alphabet> {
    let found = symbols.chars().count();
    if found != radix as usize {
        return Err(Error::bad_input(format!(
            "the alphabet has {found} symbols, and the radix is {radix}"
        )));
    }
    Alphabet::try_new(symbols).map_err(|error| Error::bad_input(error.to_string()))
}
