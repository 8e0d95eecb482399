//! Arrow arrays of ASCII text. Here and not with the other columns, since all `unsafe` of this crate is in one folder.
//!
//! Arrow checks that values are UTF-8 and that each offset is at the boundary of a character, which takes a fifth of the time in
//! which 16 digits are encrypted. In ASCII every place is a boundary.

#![allow(unsafe_code)] // arrays whose parts were checked here

use arrow::array::{GenericStringArray, OffsetSizeTrait};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::error::ArrowError;

/// The array of these parts.
///
/// # Errors
///
/// As [`GenericStringArray::try_new`], which takes what is not ASCII.
pub(crate) fn string_array<O: OffsetSizeTrait>(
    offsets: OffsetBuffer<O>,
    values: Vec<u8>,
    nulls: Option<NullBuffer>,
) -> Result<GenericStringArray<O>, ArrowError> {
    let rows = offsets.len() - 1;
    let sound = values.is_ascii()
        && offsets[rows].as_usize() <= values.len()
        && nulls.as_ref().is_none_or(|nulls| nulls.len() == rows);
    let values = Buffer::from_vec(values);
    if !sound {
        return GenericStringArray::try_new(offsets, values, nulls);
    }
    // SAFETY: `OffsetBuffer` holds at least one offset, none below zero or below the one before it. So all of them are places in
    // `values`, which is ASCII, and any part of that is UTF-8.
    Ok(unsafe { GenericStringArray::new_unchecked(offsets, values, nulls) })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, StringArray};

    use super::*;

    #[test]
    fn as_arrow_would_make_it() {
        let offsets = |offsets: &[i32]| OffsetBuffer::new(offsets.to_vec().into());
        let nulls = || Some(NullBuffer::from(vec![true, false]));
        for (at, values) in [
            (offsets(&[0, 3, 3]), "abc"),
            (offsets(&[1, 2, 3]), "abc"),
            (offsets(&[0, 3, 5]), "abcäx"),
            (offsets(&[0, 2, 3]), "äx"),
        ] {
            let made = string_array(at.clone(), values.into(), nulls()).unwrap();
            let expected = StringArray::try_new(at, Buffer::from(values.as_bytes()), nulls()).unwrap();
            assert_eq!(made, expected);
            made.to_data().validate_full().unwrap();
        }
        for (at, values) in [
            (offsets(&[0, 3, 4]), &b"abc"[..]),
            (offsets(&[0, 1, 2]), "ä".as_bytes()),
            (offsets(&[0, 1, 2]), &[0x80, b'a']),
        ] {
            string_array(at, values.to_vec(), nulls()).unwrap_err();
        }
        string_array(offsets(&[0, 1]), b"a".to_vec(), nulls()).unwrap_err();
    }
}
