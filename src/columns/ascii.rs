//! Arrow arrays of ASCII text.
//!
//! Arrow checks that values are UTF-8 and that each offset is at the boundary of a character, which takes a fifth
//! of the time in which 16 digits are encrypted. In ASCII every place is a boundary.

#![allow(unsafe_code)] // arrays whose parts were checked here

use arrow::array::{GenericStringArray, OffsetSizeTrait, StringViewArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::ArrowNativeType;
use arrow::error::ArrowError;

use crate::simd::multiversion;

/// Bytes of texts, written part by part: so each is made ready, and looked at for what is not ASCII, while it is in
/// the cache.
pub(crate) struct AsciiOutput {
    bytes: Vec<u8>,
    /// All of them are.
    is_ascii: bool,
}

impl AsciiOutput {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            is_ascii: true,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives `write` so many bytes more to write, zeros; they are taken away again if it says `false` or fails.
    pub(crate) fn append<E>(
        &mut self,
        bytes: usize,
        write: impl FnOnce(&mut [u8]) -> Result<bool, E>,
    ) -> Result<bool, E> {
        // Zeros are ASCII: bytes that `write` leaves out are sound as well.
        let (start, was_ascii) = (self.bytes.len(), self.is_ascii);
        self.bytes.resize(start + bytes, 0);
        self.is_ascii = false; // should it panic
        let written = write(&mut self.bytes[start..]);
        // What a failed part has written is not among the results, so it must not count in the test below either.
        if !matches!(written, Ok(true)) {
            self.bytes.truncate(start);
        }
        // Tested here, while the part is in the cache. One part that is not ASCII sends the whole array the
        // checked way.
        self.is_ascii = was_ascii && multiversion::run(IsAscii(&self.bytes[start..]));
        written
    }
}

/// A task: true if all of these bytes are ASCII.
struct IsAscii<'a>(&'a [u8]);

impl multiversion::MultiversionTask for IsAscii<'_> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        // A byte of ASCII has no top bit, so OR over all and one comparison suffice; a loop that stops early is
        // not vectorised.
        self.0.iter().fold(0, |all, byte| all | byte) < 0x80
    }
}

/// The length of all texts between these offsets, if they have the same, and it is not 0.
pub(crate) fn common_length<O: OffsetSizeTrait>(offsets: &[O]) -> Option<usize> {
    // Two offsets at least: callers come with rows, and `OffsetBuffer` has one more.
    let n = offsets[1] - offsets[0];
    // Length 0 is no length for the cipher; such rows go the way of empty texts.
    (multiversion::run(AreApart { offsets, n }) && n.as_usize() > 0).then_some(n.as_usize())
}

/// A task: true if each offset is `n` after the one before it.
struct AreApart<'a, O> {
    offsets: &'a [O],
    n: O,
}

impl<O: OffsetSizeTrait> multiversion::MultiversionTask for AreApart<'_, O> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        // Without a branch a row, so that the compiler takes many at a time.
        let pairs = self.offsets.iter().zip(&self.offsets[1..]);
        !pairs.fold(false, |differ, (start, end)| differ | (*end - *start != self.n))
    }
}

/// The array of these parts.
///
/// # Errors
///
/// As [`GenericStringArray::try_new`], which takes what is not ASCII.
pub(crate) fn string_array<O: OffsetSizeTrait>(
    offsets: OffsetBuffer<O>,
    values: AsciiOutput,
    nulls: Option<NullBuffer>,
) -> Result<GenericStringArray<O>, ArrowError> {
    let rows = offsets.len() - 1;
    let AsciiOutput {
        bytes: values,
        is_ascii,
    } = values;
    // All that `new_unchecked` relies on, beside what `OffsetBuffer` promises: the end within the values, and one
    // flag a row.
    let sound =
        is_ascii && offsets[rows].as_usize() <= values.len() && nulls.as_ref().is_none_or(|nulls| nulls.len() == rows);
    let values = Buffer::from_vec(values);
    if !sound {
        return GenericStringArray::try_new(offsets, values, nulls);
    }
    // SAFETY: `OffsetBuffer` holds at least one offset, none below zero or below the one before it. So all of them
    // are places in `values`, which is ASCII, and any part of that is UTF-8.
    Ok(unsafe { GenericStringArray::new_unchecked(offsets, values, nulls) })
}

/// The array of these parts, as views.
///
/// # Errors
///
/// As [`StringViewArray::try_new`], which takes what is not ASCII, and refuses values of more than 4 GiB.
pub(crate) fn view_array(
    offsets: &OffsetBuffer<i64>,
    values: AsciiOutput,
    nulls: Option<NullBuffer>,
) -> Result<StringViewArray, ArrowError> {
    let rows = offsets.len() - 1;
    let AsciiOutput {
        bytes: values,
        is_ascii,
    } = values;
    let sound = is_ascii
        && offsets[rows].as_usize() <= values.len()
        && u32::try_from(values.len()).is_ok()
        && nulls.as_ref().is_none_or(|nulls| nulls.len() == rows);
    let view = |pair: &[i64]| {
        // Below 2^32, as `sound` compares the whole buffer with that.
        let length = (pair[1] - pair[0]) as u32;
        let value = values.get(pair[0].as_usize()..pair[1].as_usize()).unwrap_or_default();
        // Arrow's layout of views: up to 12 bytes stand in the view itself, right behind the length.
        if let Some(prefix) = value.first_chunk().filter(|_| length > 12) {
            // A long one shows how it begins, and where it is: in the first buffer.
            return u128::from(length) | u128::from(u32::from_le_bytes(*prefix)) << 32 | (pair[0] as u128) << 96;
        }
        // What is behind a short text must be zero: Arrow compares views as whole numbers.
        let mut view = [0; 16];
        view[..4].copy_from_slice(&length.to_le_bytes());
        view[4..][..value.len()].copy_from_slice(value);
        u128::from_le_bytes(view)
    };
    // A NULL row is empty here, or zeros where a value became NULL; validity is in the null buffer.
    let views: ScalarBuffer<u128> = offsets.windows(2).map(view).collect::<Vec<u128>>().into();
    let values = vec![Buffer::from_vec(values)];
    if !sound {
        return StringViewArray::try_new(views, values, nulls);
    }
    // SAFETY: `OffsetBuffer` holds none below zero or below the one before it, so each view holds or points to a
    // part of `values`, which is ASCII, and any part of that is UTF-8; its length and its first bytes are that
    // part's.
    Ok(unsafe { StringViewArray::new_unchecked(views, values, nulls) })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, LargeStringArray, StringArray};

    use super::*;

    fn output(values: &[u8]) -> AsciiOutput {
        let mut output = AsciiOutput::with_capacity(0);
        for part in values.chunks(3) {
            let write = |to: &mut [u8]| {
                to.copy_from_slice(part);
                Ok::<_, ()>(true)
            };
            assert_eq!(output.append(part.len(), write), Ok(true));
        }
        output
    }

    #[test]
    fn what_is_not_written_is_not_there() {
        let mut output = output(b"abcd");
        let strange = |to: &mut [u8]| to.fill(0xFF);
        let refused = |to: &mut [u8]| {
            strange(to);
            Ok::<_, ()>(false)
        };
        assert_eq!(output.append(5, refused), Ok(false));
        let failed = |to: &mut [u8]| {
            strange(to);
            Err(())
        };
        assert_eq!(output.append(5, failed), Err(()));
        assert_eq!((output.bytes(), output.is_ascii), (&b"abcd"[..], true));
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            output.append(5, |to| -> Result<bool, ()> {
                strange(to);
                panic!("a fault")
            })
        }));
        assert!(caught.is_err() && !output.is_ascii);
    }

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
            let made = string_array(at.clone(), output(values.as_bytes()), nulls()).unwrap();
            let expected = StringArray::try_new(at, Buffer::from(values.as_bytes()), nulls()).unwrap();
            assert_eq!(made, expected);
            made.to_data().validate_full().unwrap();
        }
        for (at, values) in [
            (offsets(&[0, 3, 4]), &b"abc"[..]),
            (offsets(&[0, 1, 2]), "ä".as_bytes()),
            (offsets(&[0, 1, 2]), &[0x80, b'a']),
        ] {
            string_array(at, output(values), nulls()).unwrap_err();
        }
        string_array(offsets(&[0, 1]), output(b"a"), nulls()).unwrap_err();
    }

    #[test]
    fn views_as_arrow_would_make_them() {
        let offsets = OffsetBuffer::<i64>::new(vec![1, 1, 5, 17, 30, 63].into());
        let values: Vec<u8> = (b'!'..b'a').collect();
        for nulls in [None, Some(NullBuffer::from(vec![true, true, false, true, true]))] {
            let made = view_array(&offsets, output(&values), nulls.clone()).unwrap();
            let expected = LargeStringArray::try_new(offsets.clone(), Buffer::from_vec(values.clone()), nulls).unwrap();
            assert_eq!(made, StringViewArray::from(&expected));
            made.to_data().validate_full().unwrap();
        }
        let nulls = Some(NullBuffer::from(vec![true, false]));
        view_array(&offsets, output(&values), nulls).unwrap_err();
        view_array(&offsets, output(&values[2..]), None).unwrap_err();
        let strange = OffsetBuffer::<i64>::new(vec![0, 2, 18].into());
        let made = view_array(&strange, output("äöüÄÖÜß€ ".as_bytes()), None);
        assert_eq!(made.unwrap().value(1), "öüÄÖÜß€ ");
        view_array(&strange, output(&[0xFF; 18]), None).unwrap_err();
    }
}
