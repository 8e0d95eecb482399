//! Utf8, LargeUtf8 and Utf8View.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, GenericStringArray, LargeStringArray, OffsetSizeTrait, StringArray, StringViewArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;

use super::{CHUNK, Done, Task, tweak};
use crate::cipher::{Place, string_array};
use crate::transform::{ColumnTweaks, RowError, Rows, Scratch, Texts};
use crate::{Error, Result};

/// Rows that are looked at for one length.
const UNIFORM: usize = 8 * CHUNK;

/// Bytes of rows that are looked at together.
const MOST_BYTES: usize = u32::MAX as usize;

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
            let done = side_by_side::<i64>(task, &gathered(array.as_string_view())?, tweaks)?;
            Ok(Done {
                array: Arc::new(StringViewArray::from(done.array.as_string::<i64>())),
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
pub(super) fn check_size<O: OffsetSizeTrait>(task: &Task<'_>, bytes: usize) -> Result<()> {
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
        scratch: None,
    };
    let whole = |rows: &Range<usize>| offsets[rows.start].as_usize() - first..offsets[rows.end].as_usize() - first;
    for rows in stretches(0..array.len(), UNIFORM) {
        let no_nulls = |nulls: &NullBuffer| nulls.slice(rows.start, rows.len()).null_count() == 0;
        if array.nulls().is_none_or(no_nulls)
            && let Some(n) = common_length(&offsets[rows.start..=rows.end])
            && job.uniform(rows.clone(), n, whole(&rows), tweaks)?
        {
            continue;
        }
        let size = if whole(&rows).len() > MOST_BYTES { 1 } else { CHUNK };
        for rows in stretches(rows, size) {
            if whole(&rows).len() > MOST_BYTES {
                let row = task.number(rows.start);
                return Err(Error::bad_input(format!(
                    "column `{}`, row {row}: a value of more than 4 GiB",
                    task.column
                )));
            }
            let start = offsets[rows.start].as_usize();
            let place = |row: usize| match array.is_null(row) {
                true => Place::NULL,
                false => Place {
                    start: (offsets[row].as_usize() - start) as u32,
                    length: (offsets[row + 1] - offsets[row]).as_usize() as u32,
                },
            };
            job.chunk(&rows, whole(&rows), place, tweaks)?;
            for row in rows.filter(|row| array.is_null(*row)) {
                job.output[whole(&(row..row + 1))].fill(0); // what stands behind a NULL is not for others
            }
        }
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
    scratch: Option<Scratch>,
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

    /// Rows of any lengths, which stand in `whole`.
    fn chunk(
        &mut self,
        rows: &Range<usize>,
        whole: Range<usize>,
        place: impl Fn(usize) -> Place,
        tweaks: Option<&tweak::Column>,
    ) -> Result<()> {
        let Task {
            transform, direction, ..
        } = self.task;
        let start = rows.start;
        let places: Vec<Place> = rows.clone().map(place).collect();
        let is_null = places.iter().map(|place| *place == Place::NULL);
        let tweaks = match tweaks {
            Some(column) => Some(column.bytes(&self.task, start, is_null)?),
            None => None,
        };
        let (input, output) = (&self.input[whole.clone()], &mut self.output[whole]);
        let locate = |error: RowError| error.locate(|row| self.task.number(start + row), self.task.column, transform);
        let rows = Rows {
            bytes: input,
            places: &places,
        };
        let column_tweaks = tweaks.as_deref().map_or(ColumnTweaks::None, ColumnTweaks::Slices);
        let scratch = match &mut self.scratch {
            Some(scratch) => scratch,
            none => none.insert(transform.scratch(direction)?),
        };
        let others = transform
            .plain_rows(direction, rows, column_tweaks, scratch, output)
            .map_err(locate)?;
        if others.is_empty() {
            return Ok(());
        }
        let range = |row: usize| {
            let Place { start, length } = places[row];
            start as usize..(start + length) as usize
        };
        let text = |row: &usize| std::str::from_utf8(&input[range(*row)]).ok();
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
            let place = range(*row);
            match result {
                Some(result) if result.len() == place.len() => {
                    output[place].copy_from_slice(result.as_bytes());
                }
                result => {
                    output[place].fill(0);
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
            Arc::new(string_array::<O>(offsets, self.output, nulls).map_err(broken)?)
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

/// `rows` in parts of `most`.
fn stretches(rows: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> {
    let end = rows.end;
    rows.step_by(most).map(move |start| start..end.min(start + most))
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
fn gathered(array: &StringViewArray) -> Result<LargeStringArray> {
    let length = |row: usize| {
        if array.is_null(row) {
            0
        } else {
            array.views()[row] as u32 as usize
        }
    };
    let offsets = OffsetBuffer::<i64>::from_lengths((0..array.len()).map(length));
    let mut values = Vec::with_capacity(offsets[array.len()] as usize);
    for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
        values.extend_from_slice(array.value(row).as_bytes());
    }
    string_array(offsets, values, array.nulls().cloned())
        .map_err(|error| Error::bug("views that are no text").with_source(error))
}
