//! Utf8, LargeUtf8 and Utf8View.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, GenericStringArray, LargeStringArray, OffsetSizeTrait, StringArray, StringViewArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::ascii::{AsciiOutput, common_length, string_array, view_array};
use super::task::{CHUNK, Task, Treated};
use super::tweak::TweakColumn;
use crate::ascii::Span;
use crate::cipher::Tweaks;
use crate::transform::{AsciiRows, AsciiScratch, Outcome, TextBatch, Texts};
use crate::{Error, Result};

/// Bytes of rows that are looked at together.
// Spans hold places in 32 bits, so that twice as many fit into the cache.
const MOST_BYTES: usize = u32::MAX as usize;

/// Does a text array.
pub(super) fn apply(task: Task<'_>, array: &ArrayRef, tweaks: Option<&TweakColumn>) -> Result<Treated> {
    // Formats beyond ASCII, ranks and every other treatment.
    if !task.transform.has_ascii_rows() {
        return match array.data_type() {
            DataType::Utf8 => one_by_one(task, array, array.as_string::<i32>().iter(), tweaks),
            DataType::LargeUtf8 => one_by_one(task, array, array.as_string::<i64>().iter(), tweaks),
            _ => one_by_one(task, array, array.as_string_view().iter(), tweaks),
        };
    }
    match array.data_type() {
        DataType::Utf8 => strings::<i32>(task, array.as_string(), tweaks),
        DataType::LargeUtf8 => strings::<i64>(task, array.as_string(), tweaks),
        _ => views(task, array.as_string_view(), tweaks),
    }
}

/// Does each value by its format.
fn one_by_one<'a>(
    task: Task<'_>,
    array: &ArrayRef,
    values: impl Iterator<Item = Option<&'a str>>,
    tweaks: Option<&TweakColumn>,
) -> Result<Treated> {
    let rows: Vec<Option<&str>> = values.collect();
    // Most results are as long as their values: one allocation is enough.
    let bytes = rows.iter().flatten().map(|value| value.len()).sum();
    let mut texts = Texts::with_capacity(rows.len(), bytes);
    let mut outcome = Outcome::default();
    for (i, chunk) in rows.chunks(CHUNK).enumerate() {
        // Also the number that an error's row is counted from.
        let start = i * CHUNK;
        let tweaks = match tweaks {
            Some(column) => Some(column.bytes(&task, start, chunk.iter().map(Option::is_none))?),
            None => None,
        };
        let batch = TextBatch::new(task.direction, chunk).with_tweaks(tweaks.as_deref().map(Tweaks::PerRow));
        outcome += task
            .transform
            .texts(batch, &mut texts)
            .map_err(|error| task.locate(error, start))?;
    }
    let array: ArrayRef = match array.data_type() {
        DataType::Utf8 => {
            // Before the array is made: collecting would panic beyond 2 GiB.
            check_size::<i32>(&task, texts.bytes())?;
            Arc::new(texts.iter().collect::<StringArray>())
        }
        DataType::LargeUtf8 => Arc::new(texts.iter().collect::<LargeStringArray>()),
        _ => Arc::new(texts.iter().collect::<StringViewArray>()),
    };
    Ok(Treated { array, outcome })
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

/// Does an array of strings.
fn strings<O: OffsetSizeTrait>(
    task: Task<'_>,
    array: &GenericStringArray<O>,
    tweaks: Option<&TweakColumn>,
) -> Result<Treated> {
    // A slice keeps the whole buffer: only the bytes that its offsets span are read.
    let (first, last) = (array.value_offsets()[0], array.value_offsets()[array.len()]);
    let texts = Source {
        offsets: array.offsets(),
        bytes: &array.value_data()[first.as_usize()..last.as_usize()],
        nulls: array.nulls(),
    };
    let results = side_by_side(task, &texts, tweaks)?;
    let outcome = results.outcome;
    // The usual case: offsets and nulls are shared with the input, and only the bytes are new.
    let array: ArrayRef = if results.keep_places() {
        let offsets = match first.as_usize() {
            // Shared without a copy if the array is no slice.
            0 => texts.offsets.clone(),
            _ => OffsetBuffer::new(texts.offsets.iter().map(|offset| *offset - first).collect()),
        };
        let nulls = results.nulls(&texts);
        Arc::new(string_array::<O>(offsets, results.output, nulls).map_err(broken)?)
    } else {
        let results = results.texts(&texts);
        check_size::<O>(&task, results.iter().flatten().map(|result| result.len()).sum())?;
        Arc::new(results.into_iter().collect::<GenericStringArray<O>>())
    };
    Ok(Treated { array, outcome })
}

/// Does an array of views.
fn views(task: Task<'_>, array: &StringViewArray, tweaks: Option<&TweakColumn>) -> Result<Treated> {
    let (offsets, bytes) = gathered(array);
    let texts = Source {
        offsets: &offsets,
        bytes: &bytes,
        nulls: array.nulls(),
    };
    let results = side_by_side(task, &texts, tweaks)?;
    let outcome = results.outcome;
    // Views have places of 32 bits.
    let array: StringViewArray = if results.keep_places() && u32::try_from(results.output.bytes().len()).is_ok() {
        let nulls = results.nulls(&texts);
        view_array(&offsets, results.output, nulls).map_err(broken)?
    } else {
        results.texts(&texts).into_iter().collect()
    };
    Ok(Treated {
        array: Arc::new(array),
        outcome,
    })
}

fn broken(error: ArrowError) -> Error {
    Error::bug("results that are no text").with_source(error)
}

/// Texts one after the other.
struct Source<'a, O: OffsetSizeTrait> {
    offsets: &'a OffsetBuffer<O>,
    /// From the first offset on.
    bytes: &'a [u8],
    nulls: Option<&'a NullBuffer>,
}

impl<O: OffsetSizeTrait> Source<'_, O> {
    fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The place of these rows in the bytes.
    fn whole(&self, rows: &Range<usize>) -> Range<usize> {
        let place = |row: usize| (self.offsets[row] - self.offsets[0]).as_usize();
        place(rows.start)..place(rows.end)
    }

    /// Iterates over those of these rows that are NULL.
    fn nulls(&self, rows: &Range<usize>) -> impl Iterator<Item = usize> {
        // Sliced to these rows; a buffer without NULLs costs nothing more.
        let nulls = self.nulls.map(|nulls| nulls.slice(rows.start, rows.len()));
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        nulls.into_iter().flat_map(|nulls| {
            let rows = 0..nulls.len();
            rows.filter(move |row| nulls.is_null(*row))
        })
    }
}

/// Does whole chunks at once, from buffer to buffer; results stand where their values stood. Values that do not go
/// that way are done by their format.
fn side_by_side<O: OffsetSizeTrait>(
    task: Task<'_>,
    texts: &Source<'_, O>,
    tweaks: Option<&TweakColumn>,
) -> Result<Results> {
    let mut job = Job {
        task,
        tweaks,
        results: Results {
            output: AsciiOutput::with_capacity(texts.bytes.len()),
            changed: Vec::new(),
            outcome: Outcome::default(),
        },
        scratch: None,
    };
    // Chunks of rows: an array may be far larger than the cache.
    for rows in stretches(0..texts.rows(), CHUNK) {
        // Rows of one length without NULLs need no places at all: the chunk is one rectangle of symbols.
        if texts.nulls(&rows).next().is_none()
            && let Some(n) = common_length(&texts.offsets[rows.start..=rows.end])
            && job.uniform(texts, rows.clone(), n)?
        {
            continue;
        }
        // Places are relative to the chunk. If it has more than 4 GiB, row by row still works.
        let size = if texts.whole(&rows).len() > MOST_BYTES {
            1
        } else {
            CHUNK
        };
        for rows in stretches(rows, size) {
            if texts.whole(&rows).len() > MOST_BYTES {
                let row = task.number(rows.start);
                return Err(Error::bad_input(format!(
                    "column `{}`, row {row}: a value of more than 4 GiB",
                    task.column
                )));
            }
            job.chunk(texts, rows)?;
        }
    }
    Ok(job.results)
}

/// One array on its way.
struct Job<'a> {
    task: Task<'a>,
    tweaks: Option<&'a TweakColumn>,
    results: Results,
    scratch: Option<AsciiScratch>,
}

impl Job<'_> {
    /// Rows of `n` bytes each, without NULLs; `false` if they must be done otherwise.
    fn uniform<O: OffsetSizeTrait>(&mut self, texts: &Source<'_, O>, rows: Range<usize>, n: usize) -> Result<bool> {
        let Task {
            transform, direction, ..
        } = self.task;
        let slices;
        // The rows lie side by side, so the buffer is the batch.
        let input = &texts.bytes[texts.whole(&rows)];
        let tweaks = match self.tweaks {
            None => None,
            Some(column) => match column.packed(rows.clone()) {
                packed @ Some(_) => packed,
                None => {
                    slices = column.bytes(&self.task, rows.start, rows.map(|_| false))?;
                    Some(Tweaks::PerRow(&slices))
                }
            },
        };
        let write = |output: &mut [u8]| transform.uniform_rows(direction, (input, n), tweaks, output);
        // If it says no, nothing was appended and the chunk goes the other way.
        self.results.output.append(input.len(), write)
    }

    /// Rows of any lengths.
    fn chunk<O: OffsetSizeTrait>(&mut self, texts: &Source<'_, O>, rows: Range<usize>) -> Result<()> {
        let Task {
            transform, direction, ..
        } = self.task;
        let (start, whole) = (rows.start, texts.whole(&rows));
        let first = texts.offsets[start];
        let span = |pair: &[O]| Span {
            // Relative to the chunk, which has at most 4 GiB.
            start: (pair[0] - first).as_usize() as u32,
            length: (pair[1] - pair[0]).as_usize() as u32,
        };
        let mut spans: Vec<Span> = texts.offsets[start..=rows.end].windows(2).map(span).collect();
        // Before the split: bytes under a NULL may be anything.
        for row in texts.nulls(&rows) {
            spans[row] = Span::NULL;
        }
        let slices;
        let tweaks = match self.tweaks {
            None => None,
            Some(column) => match column.packed(rows.clone()) {
                packed @ Some(_) => packed,
                None => {
                    let is_null = spans.iter().map(|span| *span == Span::NULL);
                    slices = column.bytes(&self.task, start, is_null)?;
                    Some(Tweaks::PerRow(&slices))
                }
            },
        };
        let input = &texts.bytes[whole.clone()];
        let task = self.task;
        // Made at the first chunk that needs it, and then kept: columns of one length never do.
        let scratch = match &mut self.scratch {
            Some(scratch) => scratch,
            none => none.insert(transform.ascii_scratch(direction)?),
        };
        let Results {
            output,
            changed,
            outcome,
        } = &mut self.results;
        output
            .append(input.len(), |output| {
                let chunk = AsciiRows {
                    bytes: input,
                    spans: &spans,
                };
                let others = transform
                    .ascii_rows(direction, (chunk, tweaks), scratch, output)
                    .map_err(|error| task.locate(error, start))?;
                if !others.is_empty() {
                    let range = |row: usize| {
                        let Span { start, length } = spans[row];
                        start as usize..start as usize + length as usize
                    };
                    // UTF-8, as these are whole values of a string array; NULLs are not among the others.
                    let text = |row: &usize| std::str::from_utf8(&input[range(*row)]).ok();
                    let values: Vec<Option<&str>> = others.iter().map(text).collect();
                    let tweaks: Option<Vec<&[u8]>> =
                        tweaks.map(|tweaks| others.iter().map(|row| tweaks.get(*row)).collect());
                    let batch = TextBatch::new(direction, &values).with_tweaks(tweaks.as_deref().map(Tweaks::PerRow));
                    let mut done = Texts::default();
                    *outcome += transform
                        .texts(batch, &mut done)
                        .map_err(|error| task.locate(error.renumber(|row| others[row]), start))?;
                    for (row, result) in others.iter().zip(done.iter()) {
                        let place = range(*row);
                        // Equal length: it fits where the value stood, and offsets stay.
                        match result {
                            Some(result) if result.len() == place.len() => {
                                output[place].copy_from_slice(result.as_bytes());
                            }
                            result => {
                                // Zeros in place of the plaintext, which was copied with the chunk or half done.
                                output[place].fill(0);
                                changed.push((start + row, result.map(str::to_owned)));
                            }
                        }
                    }
                }
                for row in texts.nulls(&rows) {
                    let null = texts.whole(&(start + row..start + row + 1));
                    // Bytes behind a NULL may be a value that was deleted.
                    output[null.start - whole.start..null.end - whole.start].fill(0);
                }
                Ok(true)
            })
            .map(|_| ())
    }
}

/// The results of an array of texts.
struct Results {
    /// The results, at the places of their values.
    output: AsciiOutput,
    /// Rows whose result is NULL or has another length, in order.
    changed: Vec<(usize, Option<String>)>,
    outcome: Outcome,
}

impl Results {
    /// Does every result stand where its value stood?
    fn keep_places(&self) -> bool {
        // A NULL needs no place; only another length moves what follows.
        self.changed.iter().all(|(_, result)| result.is_none())
    }

    /// The rows that are NULL, if no result has another length.
    fn nulls<O: OffsetSizeTrait>(&self, texts: &Source<'_, O>) -> Option<NullBuffer> {
        if self.changed.is_empty() {
            return texts.nulls.cloned();
        }
        let mut valid: Vec<bool> = match texts.nulls {
            Some(nulls) => nulls.iter().collect(),
            None => vec![true; texts.rows()],
        };
        for (row, _) in &self.changed {
            valid[*row] = false;
        }
        Some(NullBuffer::from(valid))
    }

    /// All of them.
    fn texts<O: OffsetSizeTrait>(&self, texts: &Source<'_, O>) -> Vec<Option<Cow<'_, str>>> {
        let mut changed = self.changed.iter().peekable();
        let result = |row: usize| match changed.next_if(|(at, _)| *at == row) {
            Some((_, result)) => result.as_deref().map(Cow::Borrowed),
            None if texts.nulls.is_some_and(|nulls| nulls.is_null(row)) => None,
            // Never lossy in fact: places outside of `changed` hold whole results.
            None => Some(String::from_utf8_lossy(
                &self.output.bytes()[texts.whole(&(row..row + 1))],
            )),
        };
        (0..texts.rows()).map(result).collect()
    }
}

/// `rows` in parts of `most`.
fn stretches(rows: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> {
    let end = rows.end;
    rows.step_by(most).map(move |start| start..end.min(start + most))
}

/// The texts of a view array, one after the other.
fn gathered(array: &StringViewArray) -> (OffsetBuffer<i64>, Cow<'_, [u8]>) {
    // The parts of a view: length, then the text itself or how it begins, number of a buffer and place there.
    let length = |view: u128| i64::from(view as u32);
    let place = |view: u128| (view >> 96) as u32 as usize;
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    // What an array of strings becomes stands one after the other already, and many columns have texts of one length.
    // Under a NULL a view may be anything, so the short cuts are for columns without. Views of up to 12 bytes are
    // inline and not in the buffer.
    let only = match (nulls, &array.views()[..], array.data_buffers()) {
        (None, [first, ..], [buffer]) if length(*first) > 12 => Some((*first, buffer)),
        _ => None,
    };
    if let Some((first, buffer)) = only {
        let (n, start) = (length(first) as usize, place(first));
        // Without a branch a row, so that the compiler takes many at a time.
        let differs = |(row, view): (usize, &u128)| {
            let expected = (start as u64).wrapping_add((row * n) as u64) << 32;
            u64::from(*view as u32 ^ n as u32) | ((view >> 64) as u64 ^ expected)
        };
        let differ = array
            .views()
            .iter()
            .enumerate()
            .map(differs)
            .fold(0, |all, differ| all | differ);
        // Wrapping arithmetic above may match by chance for huge places; this and `get` are the exact tests.
        let end = start + n * array.len();
        if differ == 0
            && u32::try_from(end).is_ok() // else spans began anew
            && let Some(bytes) = buffer.get(start..end)
        {
            return (OffsetBuffer::from_repeated_length(n, array.len()), Cow::Borrowed(bytes));
        }
    }
    let mut offsets = Vec::with_capacity(array.len() + 1);
    let mut end = 0;
    offsets.push(end);
    match nulls {
        // Two loops, so that the usual one has no branch.
        None => offsets.extend(array.views().iter().map(|view| {
            end += length(*view);
            end
        })),
        Some(nulls) => offsets.extend(array.views().iter().zip(nulls).map(|(view, is_valid)| {
            // A NULL has length 0, whatever its view says.
            end += if is_valid { length(*view) } else { 0 };
            end
        })),
    }
    let offsets = OffsetBuffer::new(offsets.into());
    if let Some((first, buffer)) = only {
        let start = place(first);
        let follows =
            // Bitwise AND: no branch a row.
            |(view, offset): (&u128, &i64)| (length(*view) > 12) & (place(*view) as i64 == start as i64 + offset);
        let views = array.views().iter().zip(&offsets[..]);
        if views.fold(true, |all, pair| all & follows(pair))
            && let Some(bytes) = buffer.get(start..start + end as usize)
        {
            return (offsets, Cow::Borrowed(bytes));
        }
    }
    // Copies of a whole register, as far as there is room, take less time than those of as many bytes as a text has.
    const REGISTER: usize = 32;
    // Room behind the last text for a whole register, cut off below.
    let mut bytes = vec![0; end as usize + REGISTER];
    for (row, view) in array.views().iter().enumerate() {
        let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
        let n = to - from;
        let inline = view.to_le_bytes();
        let source = match n {
            ..=12 => &inline[4..],
            _ => &array.data_buffers()[(view >> 64) as u32 as usize][place(*view)..],
        };
        // The copy may write beyond the text; the next one, or `truncate`, overwrites that.
        match (source.first_chunk::<REGISTER>(), &mut bytes[from..]) {
            (Some(source), to) if n <= REGISTER => to[..REGISTER].copy_from_slice(source),
            (_, to) => to[..n].copy_from_slice(&source[..n]),
        }
    }
    bytes.truncate(end as usize);
    (offsets, Cow::Owned(bytes))
}
