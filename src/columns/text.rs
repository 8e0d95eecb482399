//! Utf8, LargeUtf8 and Utf8View.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, GenericStringArray, LargeStringArray, OffsetSizeTrait, StringArray, StringViewArray,
    StringViewBuilder,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;

use super::{CHUNK, Done, Task, tweak};
use crate::transform::{ColumnTweaks, RowError, Rows, Texts};
use crate::{Error, Result};

/// Does a text array.
pub(super) fn apply(task: Task<'_>, array: &ArrayRef, tweaks: Option<&tweak::Column>) -> Result<Done> {
    if !task.transform.is_plain(task.direction) {
        return match array.data_type() {
            DataType::Utf8 => one_by_one(task, array, array.as_string::<i32>().iter(), tweaks),
            DataType::LargeUtf8 => one_by_one(task, array, array.as_string::<i64>().iter(), tweaks),
            _ => one_by_one(task, array, array.as_string_view().iter(), tweaks),
        };
    }
    match array.data_type() {
        DataType::Utf8 => side_by_side::<i32>(task, array.as_string(), tweaks),
        DataType::LargeUtf8 => side_by_side::<i64>(task, array.as_string(), tweaks),
        _ => {
            let done = side_by_side::<i64>(task, &gathered(array.as_string_view()), tweaks)?;
            Ok(Done {
                array: Arc::new(viewed(done.array.as_string::<i64>())),
                ..done
            })
        }
    }
}

/// Does each value by its format.
fn one_by_one<'a>(
    task: Task<'_>,
    array: &ArrayRef,
    values: impl Iterator<Item = Option<&'a str>>,
    tweaks: Option<&tweak::Column>,
) -> Result<Done> {
    let rows: Vec<Option<&str>> = values.collect();
    let bytes = rows.iter().flatten().map(|value| value.len()).sum();
    let mut texts = Texts::with_capacity(rows.len(), bytes);
    let mut left_clear = 0;
    for (i, chunk) in rows.chunks(CHUNK).enumerate() {
        let start = i * CHUNK;
        let tweaks = match tweaks {
            Some(column) => Some(column.bytes(&task, start, chunk.iter().map(Option::is_none))?),
            None => None,
        };
        left_clear += task
            .transform
            .texts(task.direction, chunk, tweaks.as_deref(), &mut texts)
            .map_err(|error| error.locate(|row| task.number(start + row), task.column, task.transform))?;
    }
    let array: ArrayRef = match array.data_type() {
        DataType::Utf8 => {
            check_size::<i32>(&task, texts.bytes())?;
            Arc::new(texts.iter().collect::<StringArray>())
        }
        DataType::LargeUtf8 => Arc::new(texts.iter().collect::<LargeStringArray>()),
        _ => Arc::new(texts.iter().collect::<StringViewArray>()),
    };
    Ok(Done { array, left_clear })
}

/// A result may be longer than its value, so that a full array of 2 GiB would not hold it any more.
fn check_size<O: OffsetSizeTrait>(task: &Task<'_>, bytes: usize) -> Result<()> {
    if O::from_usize(bytes).is_some() {
        return Ok(());
    }
    Err(Error::bad_input(format!(
        "column `{}`: the results exceed the 2 GiB of one Utf8 array",
        task.column
    ))
    .with_hint("use smaller batches, or LargeUtf8"))
}

/// Does whole chunks at once, from buffer to buffer; results stand where their values stood. Values that do not go that way
/// are done by their format.
fn side_by_side<O: OffsetSizeTrait>(
    task: Task<'_>,
    array: &GenericStringArray<O>,
    tweaks: Option<&tweak::Column>,
) -> Result<Done> {
    let offsets = array.value_offsets();
    let (first, last) = (offsets[0].as_usize(), offsets[array.len()].as_usize());
    let input = &array.value_data()[first..last];
    let mut job = Job {
        task,
        input,
        output: vec![0; input.len()],
        changed: Vec::new(),
        left_clear: 0,
    };
    for start in (0..array.len()).step_by(CHUNK) {
        let rows = start..array.len().min(start + CHUNK);
        let place = |row: usize| offsets[row].as_usize() - first..offsets[row + 1].as_usize() - first;
        let whole = offsets[rows.start].as_usize() - first..offsets[rows.end].as_usize() - first;
        let nulls = array.nulls().map(|nulls| nulls.slice(rows.start, rows.len()));
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        if nulls.is_none()
            && let Some(n) = common_length(&offsets[rows.start..=rows.end])
            && job.uniform(rows.clone(), n, whole.clone(), tweaks)?
        {
            continue;
        }
        let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row - rows.start));
        let places: Vec<_> = rows.clone().map(|row| (!is_null(row)).then(|| place(row))).collect();
        job.output[whole.clone()].copy_from_slice(&input[whole]);
        for row in rows.clone().filter(|row| is_null(*row)) {
            job.output[place(row)].fill(0); // what stands behind a NULL is not for others
        }
        job.chunk(rows.start, &places, tweaks)?;
    }
    job.finish(array)
}

/// One array on its way.
struct Job<'a> {
    task: Task<'a>,
    input: &'a [u8],
    output: Vec<u8>,
    /// Rows whose result is NULL or has another length, in order.
    changed: Vec<(usize, Option<String>)>,
    left_clear: usize,
}

impl Job<'_> {
    /// Rows of `n` bytes each, without NULLs; `false` if they must be done otherwise.
    fn uniform(
        &mut self,
        rows: Range<usize>,
        n: usize,
        whole: Range<usize>,
        tweaks: Option<&tweak::Column>,
    ) -> Result<bool> {
        let slices;
        let tweaks = match tweaks {
            None => ColumnTweaks::None,
            Some(column) => match column.packed(rows.clone()) {
                Some(packed) => packed,
                None => {
                    slices = column.bytes(&self.task, rows.start, rows.map(|_| false))?;
                    ColumnTweaks::Slices(&slices)
                }
            },
        };
        let (input, output) = (&self.input[whole.clone()], &mut self.output[whole]);
        self.task
            .transform
            .uniform_rows(self.task.direction, input, n, tweaks, output)
    }

    /// Rows of any lengths.
    fn chunk(&mut self, start: usize, places: &[Option<Range<usize>>], tweaks: Option<&tweak::Column>) -> Result<()> {
        let Task {
            transform, direction, ..
        } = self.task;
        let tweaks = match tweaks {
            Some(column) => Some(column.bytes(&self.task, start, places.iter().map(Option::is_none))?),
            None => None,
        };
        let locate = |error: RowError| error.locate(|row| self.task.number(start + row), self.task.column, transform);
        let rows = Rows {
            bytes: self.input,
            places,
        };
        let column_tweaks = tweaks.as_deref().map_or(ColumnTweaks::None, ColumnTweaks::Slices);
        let others = transform
            .plain_rows(direction, rows, column_tweaks, &mut self.output)
            .map_err(locate)?;
        if others.is_empty() {
            return Ok(());
        }
        let text = |row: &usize| {
            let place = places[*row].clone()?;
            std::str::from_utf8(&self.input[place]).ok()
        };
        let values: Vec<Option<&str>> = others.iter().map(text).collect();
        let tweaks: Option<Vec<&[u8]>> = tweaks.map(|tweaks| others.iter().map(|row| tweaks[*row]).collect());
        let mut results = Texts::default();
        self.left_clear += transform
            .texts(direction, &values, tweaks.as_deref(), &mut results)
            .map_err(|error| match error {
                RowError::Misfit { row, misfit } => RowError::Misfit {
                    row: others[row],
                    misfit,
                },
                other => other,
            })
            .map_err(locate)?;
        for (row, result) in others.iter().zip(results.iter()) {
            let place = places[*row].clone().unwrap_or_default();
            match result {
                Some(result) if result.len() == place.len() => {
                    self.output[place].copy_from_slice(result.as_bytes());
                }
                result => {
                    self.output[place].fill(0);
                    self.changed.push((start + row, result.map(str::to_owned)));
                }
            }
        }
        Ok(())
    }

    fn finish<O: OffsetSizeTrait>(self, array: &GenericStringArray<O>) -> Result<Done> {
        let broken = |error| Error::bug("results that are no text").with_source(error);
        let left_clear = self.left_clear;
        let array: ArrayRef = if self.changed.iter().all(|(_, result)| result.is_none()) {
            let first = array.value_offsets()[0];
            let offsets = match first.as_usize() {
                0 => array.offsets().clone(),
                _ => OffsetBuffer::new(array.value_offsets().iter().map(|offset| *offset - first).collect()),
            };
            let nulls = match self.changed.is_empty() {
                true => array.nulls().cloned(),
                false => {
                    let mut valid: Vec<bool> = (0..array.len()).map(|row| array.is_valid(row)).collect();
                    for (row, _) in &self.changed {
                        valid[*row] = false;
                    }
                    Some(NullBuffer::from(valid))
                }
            };
            let values = Buffer::from_vec(self.output);
            Arc::new(GenericStringArray::<O>::try_new(offsets, values, nulls).map_err(broken)?)
        } else {
            let first = array.value_offsets()[0].as_usize();
            let mut changed = self.changed.iter().peekable();
            let mut results: Vec<Option<Cow<'_, str>>> = Vec::with_capacity(array.len());
            for row in 0..array.len() {
                let place =
                    array.value_offsets()[row].as_usize() - first..array.value_offsets()[row + 1].as_usize() - first;
                results.push(match changed.next_if(|(at, _)| *at == row) {
                    Some((_, result)) => result.as_deref().map(Cow::Borrowed),
                    None if array.is_null(row) => None,
                    None => Some(String::from_utf8_lossy(&self.output[place])),
                });
            }
            check_size::<O>(&self.task, results.iter().flatten().map(|result| result.len()).sum())?;
            Arc::new(results.into_iter().collect::<GenericStringArray<O>>())
        };
        Ok(Done { array, left_clear })
    }
}

/// The length of all texts, if they have the same.
pub(super) fn common_length<O: OffsetSizeTrait>(offsets: &[O]) -> Option<usize> {
    let n = offsets[1] - offsets[0];
    // Without a branch a row, so that the compiler takes many at a time.
    let differ = offsets
        .windows(2)
        .fold(false, |differ, pair| differ | (pair[1] - pair[0] != n));
    (!differ && n.as_usize() > 0).then_some(n.as_usize())
}

/// The texts of a view array, one after the other.
fn gathered(array: &StringViewArray) -> LargeStringArray {
    array.iter().collect()
}

/// A view array of these texts.
fn viewed(array: &LargeStringArray) -> StringViewArray {
    let mut views = StringViewBuilder::with_capacity(array.len());
    for text in array {
        views.append_option(text);
    }
    views.finish()
}
