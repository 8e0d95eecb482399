//! Binary, LargeBinary, BinaryView and FixedSizeBinary, for treatments that keep no format.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, FixedSizeBinaryArray, GenericBinaryArray, LargeBinaryArray,
    OffsetSizeTrait,
};
use arrow::datatypes::DataType;

use super::task::{CHUNK, Task, Treated};
use super::text::check_size;
use super::tweak::TweakColumn;
use crate::cipher::Tweaks;
use crate::policy::OnInvalid;
use crate::transform::{Batch, Outcome, Texts};
use crate::{Error, Result};

/// Does an array of bytes.
pub(super) fn apply(task: Task<'_>, array: &ArrayRef, tweaks: Option<&TweakColumn>) -> Result<Treated> {
    if task.transform.takes_uuids() {
        return uuids(task, array.as_fixed_size_binary(), tweaks);
    }
    // Borrowed: the values are not copied before they are treated.
    let rows: Vec<Option<&[u8]>> = match array.data_type() {
        DataType::Binary => rows(array.as_binary::<i32>()),
        DataType::LargeBinary => rows(array.as_binary::<i64>()),
        DataType::BinaryView => array.as_binary_view().iter().collect(),
        // Types were checked before: this is FixedSizeBinary.
        _ => array.as_fixed_size_binary().iter().collect(),
    };
    let (mut results, mut outcome) = (Vec::with_capacity(rows.len()), Outcome::default());
    // In chunks, so that the slices of tweaks do not grow with the array.
    for (i, chunk) in rows.chunks(CHUNK).enumerate() {
        let start = i * CHUNK;
        let tweaks = match tweaks {
            Some(column) => Some(column.bytes(&task, start, chunk.iter().map(Option::is_none))?),
            None => None,
        };
        let batch = Batch::new(task.direction, chunk).with_tweaks(tweaks.as_deref().map(Tweaks::PerRow));
        let (done, chunk_outcome) = task.transform.bytes(batch).map_err(|error| task.locate(error, start))?;
        results.extend(done);
        outcome += chunk_outcome;
    }
    let array: ArrayRef = match array.data_type() {
        DataType::Binary => {
            // Offsets of 32 bits end at 2 GiB, and arrow would panic there.
            let bytes = results.iter().flatten().map(Vec::len).sum();
            check_size::<i32>(&task, bytes)?;
            Arc::new(BinaryArray::from_iter(results))
        }
        // Offsets of 64 bits hold every result that fits in memory; views put long ones into several buffers.
        DataType::LargeBinary => Arc::new(LargeBinaryArray::from_iter(results)),
        DataType::BinaryView => Arc::new(BinaryViewArray::from_iter(results)),
        DataType::FixedSizeBinary(n) => {
            // The size is given, as an array of nothing but NULLs does not tell it.
            let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(results.into_iter(), *n);
            Arc::new(array.map_err(|error| Error::bug("a result of another length").with_source(error))?)
        }
        other => return Err(Error::bug(format!("{other} is not bytes"))),
    };
    Ok(Treated { array, outcome })
}

fn rows<O: OffsetSizeTrait>(array: &GenericBinaryArray<O>) -> Vec<Option<&[u8]>> {
    array.iter().collect()
}

/// Does an array of UUIDs in 16 bytes, by their texts: so they join with UUIDs that are texts.
fn uuids(task: Task<'_>, array: &FixedSizeBinaryArray, tweaks: Option<&TweakColumn>) -> Result<Treated> {
    // A text in the place of 16 bytes is none: what does not fit has no other place here.
    let strict = match task.transform.rule().on_invalid {
        OnInvalid::Siv => task.transform.handling_misfits(OnInvalid::Error),
        _ => task.transform.clone(),
    };
    let task = task.with_transform(&strict);
    let texts: Vec<Option<String>> = array.iter().map(|bytes| bytes.map(hex::encode)).collect();
    let mut results: Vec<Option<[u8; 16]>> = Vec::with_capacity(texts.len());
    let mut outcome = Outcome::default();
    for (i, chunk) in texts.chunks(CHUNK).enumerate() {
        let start = i * CHUNK;
        let tweaks = match tweaks {
            Some(column) => Some(column.bytes(&task, start, chunk.iter().map(Option::is_none))?),
            None => None,
        };
        let rows: Vec<Option<&str>> = chunk.iter().map(Option::as_deref).collect();
        let batch = Batch::new(task.direction, &rows[..]).with_tweaks(tweaks.as_deref().map(Tweaks::PerRow));
        let mut done = Texts::default();
        outcome += strict
            .texts(batch, &mut done)
            .map_err(|error| task.locate(error, start))?;
        results.extend(done.iter().map(|text| {
            let mut bytes = [0; 16];
            // What a role sees masked is no UUID, and so NULL.
            hex::decode_to_slice(text?, &mut bytes).ok().map(|()| bytes)
        }));
    }
    let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(results.into_iter(), 16);
    let array = array.map_err(|error| Error::bug("a result of another length").with_source(error))?;
    Ok(Treated {
        array: Arc::new(array),
        outcome,
    })
}
