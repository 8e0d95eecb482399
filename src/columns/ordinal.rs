//! Integers, decimals, dates and times.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanBufferBuilder, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};

use super::task::{CHUNK, Task, Treated};
use super::tweak::TweakColumn;
use crate::cipher::Tweaks;
use crate::formats::{FormatError, OrdinalRange, Resolution, RowError, Unit};
use crate::transform::{OrdinalBatch, Outcome, Transform};
use crate::{Error, Result};

/// The hint for floating-point numbers.
pub(super) const FLOATS: &str = "a floating-point number has no format to keep. Whole numbers become such where a NULL \
                                 stands among them, and are no longer exact from 2^53 on: read them as integers that \
                                 may be NULL, or as decimals";

/// A type's native value as a wide number and back, and as its distance from another.
trait Wide: Copy + Default {
    fn widen(self) -> Option<i128>;
    fn narrow(ordinal: i128) -> Option<Self>;

    /// How far this is above `least`, and whether that takes more than 64 bits. What is below is further above than
    /// anything that is not.
    fn above(self, least: Self) -> (u64, bool);

    /// The value that is so far above, if the type has it.
    fn plus(self, distance: u64) -> Self;
}

macro_rules! wide {
    ($(($($native:ty),*): $distance:ty;)*) => {
        $($(impl Wide for $native {
            fn widen(self) -> Option<i128> {
                Some(self.into())
            }
            fn narrow(ordinal: i128) -> Option<Self> {
                ordinal.try_into().ok()
            }
            #[inline(always)]
            fn above(self, least: Self) -> (u64, bool) {
                // With the sign, if there is one; the difference is right modulo 2^64 or 2^128.
                let distance = (self as $distance).wrapping_sub(least as $distance);
                (distance as u64, distance > <$distance>::from(u64::MAX))
            }
            #[inline(always)]
            fn plus(self, distance: u64) -> Self {
                self.wrapping_add(distance as Self)
            }
        })*)*
    };
}

wide! {
    (i8, i16, i32, i64, u8, u16, u32, u64): u64;
    (i128): u128;
}

impl Wide for i256 {
    // Beyond 128 bits there is no rank: such a value does not fit any format.
    fn widen(self) -> Option<i128> {
        self.to_i128()
    }
    fn narrow(ordinal: i128) -> Option<Self> {
        Some(Self::from_i128(ordinal))
    }
    // Few columns have 256 bits, so this takes the simple way.
    fn above(self, least: Self) -> (u64, bool) {
        let distance = self
            .wrapping_sub(least)
            // A negative difference fails the conversion to u64, and so counts as far above.
            .to_i128()
            .and_then(|distance| u64::try_from(distance).ok());
        distance.map_or((0, true), |distance| (distance, false))
    }
    fn plus(self, distance: u64) -> Self {
        self.wrapping_add(Self::from_i128(distance.into()))
    }
}

/// The number of units of a column of `data_type` that one ordinal of `range` is: a day is 86,400,000 of Date64.
///
/// # Errors
/// The reason why a column of this type is not suitable.
pub(super) fn factor(range: &OrdinalRange, data_type: &DataType) -> Result<i128, &'static str> {
    // The whole range of the format has to be in the type, since any value of it may be a result.
    let fits = |factor: i128, least: i128, greatest: i128| {
        let inside = |ordinal: i128| {
            ordinal
                .checked_mul(factor)
                .is_some_and(|value| (least..=greatest).contains(&value))
        };
        if inside(range.min) && inside(range.max) {
            Ok(factor)
        } else {
            Err("the format's range does not lie within that of the column's type")
        }
    };
    // A column finer than the format is fine if its values are whole units; the reverse could not hold the
    // results.
    let finer = |column: Resolution, format: Resolution, least, greatest| {
        if column >= format {
            fits(column.per_second() / format.per_second(), least, greatest)
        } else {
            Err("the format's resolution is finer than the column's unit")
        }
    };
    // Equal scales only: a scale is part of what a text looks like, and both must have one token.
    let digits = |precision: u8, scale: i8, expected: u8| {
        if i128::from(scale) != i128::from(expected) {
            return Err("the format's scale is not the column's");
        }
        // Arrow's decimals are bounded by precision, not by their native type. A precision of 76 exceeds 128 bits,
        // hence the fallback.
        let greatest = 10i128
            .checked_pow(precision.into())
            .map_or(i128::MAX, |power| power - 1);
        fits(1, -greatest, greatest)
    };
    use DataType as T;
    let (least, greatest) = (i128::from(i64::MIN), i128::from(i64::MAX));
    let (least32, greatest32) = (i128::from(i32::MIN), i128::from(i32::MAX));
    match (range.unit, data_type) {
        (Unit::Integer, T::Int8) => fits(1, i8::MIN.into(), i8::MAX.into()),
        (Unit::Integer, T::Int16) => fits(1, i16::MIN.into(), i16::MAX.into()),
        (Unit::Integer, T::Int32) => fits(1, least32, greatest32),
        (Unit::Integer, T::Int64) => fits(1, least, greatest),
        (Unit::Integer, T::UInt8) => fits(1, 0, u8::MAX.into()),
        (Unit::Integer, T::UInt16) => fits(1, 0, u16::MAX.into()),
        (Unit::Integer, T::UInt32) => fits(1, 0, u32::MAX.into()),
        (Unit::Integer, T::UInt64) => fits(1, 0, u64::MAX.into()),
        // Whole numbers of other systems: NUMBER(38, 0). Equal ones have one ciphertext, so that they join.
        (
            Unit::Integer,
            T::Decimal32(precision, 0)
            | T::Decimal64(precision, 0)
            | T::Decimal128(precision, 0)
            | T::Decimal256(precision, 0),
        ) => digits(*precision, 0, 0),
        (
            Unit::Decimal { scale },
            T::Decimal32(precision, column)
            | T::Decimal64(precision, column)
            | T::Decimal128(precision, column)
            | T::Decimal256(precision, column),
        ) => digits(*precision, *column, scale),
        // Date64 holds milliseconds, but means whole days.
        (Unit::Day, T::Date32) => fits(1, least32, greatest32),
        (Unit::Day, T::Date64) => fits(86_400_000, least, greatest),
        // Arrow pairs units with widths (32: s, ms; 64: µs, ns), and a day fits both.
        (Unit::TimeOfDay(resolution), T::Time32(unit) | T::Time64(unit)) => {
            finer(resolution_of(*unit), resolution, 0, greatest)
        }
        // The time zone is only a label: values are UTC in any case.
        (Unit::Instant(resolution), T::Timestamp(unit, _)) => finer(resolution_of(*unit), resolution, least, greatest),
        (Unit::Integer, other) if other.is_decimal() => Err("a column of decimals with a fraction takes `decimal`"),
        (_, other) if other.is_integer() => Err("a column of integers takes `integer`"),
        (_, T::Float16 | T::Float32 | T::Float64) => Err(FLOATS),
        _ => Err("the format is of another kind of values"),
    }
}

fn resolution_of(unit: TimeUnit) -> Resolution {
    match unit {
        TimeUnit::Second => Resolution::Second,
        TimeUnit::Millisecond => Resolution::Millisecond,
        TimeUnit::Microsecond => Resolution::Microsecond,
        TimeUnit::Nanosecond => Resolution::Nanosecond,
    }
}

/// `$work` for `$array`, typed as what it is; `None` if it holds no numbers, dates or times.
macro_rules! by_type {
    // One list of types for all users, so that none can be forgotten in one of them.
    ($array:expr, |$typed:ident| $work:expr) => {
        by_type!($array, |$typed| $work, {
            DataType::Int8 => Int8Type,
            DataType::Int16 => Int16Type,
            DataType::Int32 => Int32Type,
            DataType::Int64 => Int64Type,
            DataType::UInt8 => UInt8Type,
            DataType::UInt16 => UInt16Type,
            DataType::UInt32 => UInt32Type,
            DataType::UInt64 => UInt64Type,
            DataType::Decimal32(..) => Decimal32Type,
            DataType::Decimal64(..) => Decimal64Type,
            DataType::Decimal128(..) => Decimal128Type,
            DataType::Decimal256(..) => Decimal256Type,
            DataType::Date32 => Date32Type,
            DataType::Date64 => Date64Type,
            DataType::Time32(TimeUnit::Second) => Time32SecondType,
            DataType::Time32(TimeUnit::Millisecond) => Time32MillisecondType,
            DataType::Time64(TimeUnit::Microsecond) => Time64MicrosecondType,
            DataType::Time64(TimeUnit::Nanosecond) => Time64NanosecondType,
            DataType::Timestamp(TimeUnit::Second, _) => TimestampSecondType,
            DataType::Timestamp(TimeUnit::Millisecond, _) => TimestampMillisecondType,
            DataType::Timestamp(TimeUnit::Microsecond, _) => TimestampMicrosecondType,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => TimestampNanosecondType,
        })
    };
    ($array:expr, |$typed:ident| $work:expr, { $($pattern:pat => $type:ty,)* }) => {
        match $array.data_type() {
            $($pattern => {
                let $typed = $array.as_primitive::<$type>();
                Some($work)
            })*
            _ => None,
        }
    };
}

/// Does an array of numbers, dates or times; `None` if it is none.
pub(super) fn apply(task: Task<'_>, array: &ArrayRef, tweaks: Option<&TweakColumn>) -> Option<Result<Treated>> {
    by_type!(array, |typed| done(task, typed, tweaks))
}

/// Tokenizes or detokenizes an array of numbers, dates or times; `None` if it is none.
pub(super) async fn tokenized(task: Task<'_>, array: &ArrayRef) -> Option<Result<Treated>> {
    by_type!(array, |typed| with_tokens(task, typed).await)
}

/// The values of an array of numbers, dates or times that are no ordinals of the format, and why; `None` if it is none.
pub(super) fn misfits(task: Task<'_>, array: &ArrayRef) -> Option<Result<Vec<(usize, FormatError)>>> {
    by_type!(array, |typed| misfits_of(task, typed))
}

fn misfits_of<T>(task: Task<'_>, array: &PrimitiveArray<T>) -> Result<Vec<(usize, FormatError)>>
where
    T: ArrowPrimitiveType,
    T::Native: Wide,
{
    let factor = factor_of(&task, array)?;
    let range = task.transform.ordinal_range();
    let fits = |value: T::Native| {
        let ordinal = value
            .widen()
            .filter(|wide| wide % factor == 0)
            .map(|wide| wide / factor);
        ordinal
            .zip(range.as_ref())
            .is_some_and(|(ordinal, range)| (range.min..=range.max).contains(&ordinal))
    };
    let values = array.iter().enumerate();
    let values = values.filter_map(|(row, value)| Some((row, value.filter(|value| !fits(*value))?)));
    Ok(values.map(|(row, value)| (row, unfit(value, factor))).collect())
}

/// As [`factor`], once `check_type` has seen that the column is suitable.
fn factor_of<T: ArrowPrimitiveType>(task: &Task<'_>, array: &PrimitiveArray<T>) -> Result<i128> {
    let unchecked = |what: &str| {
        Error::bug(format!(
            "a column of {} that `check_type` let pass: {what}",
            array.data_type()
        ))
    };
    let range = task.transform.ordinal_range().ok_or_else(|| unchecked("no range"))?;
    factor(&range, array.data_type()).map_err(unchecked)
}

/// Rows of an array as ordinals of the format.
struct OrdinalRows<T: ArrowPrimitiveType> {
    factor: i128,
    ordinals: Vec<Option<i128>>,
    /// Values that are kept in the clear though they are no ordinals: finer than the format, or too wide.
    kept: Vec<(usize, T::Native)>,
    /// The number of those that are made NULL instead.
    nulled: usize,
}

impl<T> OrdinalRows<T>
where
    T: ArrowPrimitiveType,
    T::Native: Wide,
{
    /// Reads `rows`, one by one.
    fn read(
        factor: i128,
        rows: impl Iterator<Item = Option<T::Native>>,
        transform: &Transform,
    ) -> Result<Self, RowError> {
        let mut read = Self {
            factor,
            ordinals: Vec::with_capacity(rows.size_hint().0),
            kept: Vec::new(),
            nulled: 0,
        };
        for (row, value) in rows.enumerate() {
            let Some(value) = value else {
                read.ordinals.push(None);
                continue;
            };
            // Zero remainder also for negative values: Rust's % keeps the sign of the dividend.
            match value.widen().filter(|wide| factor == 1 || wide % factor == 0) {
                Some(wide) => read.ordinals.push(Some(wide / factor)),
                None => {
                    if transform.keeps_unfit(row, unfit(value, factor))? {
                        read.kept.push((row, value));
                    } else {
                        read.nulled += 1;
                    }
                    // As NULL, so that it passes by the cipher; `write` puts it back.
                    read.ordinals.push(None);
                }
            }
        }
        Ok(read)
    }

    /// Appends the treated ordinals, and the values kept in the clear, to `results`.
    fn write(self, done: Vec<Option<i128>>, results: &mut Vec<Option<T::Native>>) -> Result<()> {
        let mut kept = self.kept.into_iter().peekable();
        for (row, ordinal) in done.into_iter().enumerate() {
            results.push(match (kept.next_if(|(at, _)| *at == row), ordinal) {
                // A value kept in the clear goes back as it came, not through the factor, which it does not
                // divide.
                (Some((_, value)), _) => Some(value),
                (None, None) => None,
                (None, Some(ordinal)) => {
                    // `check_type` has compared the range with the type's.
                    let value = ordinal.checked_mul(self.factor).and_then(T::Native::narrow);
                    Some(value.ok_or_else(|| Error::bug("a result outside of its type"))?)
                }
            });
        }
        Ok(())
    }
}

/// `results`, of the type of `array`.
fn like<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, results: Vec<Option<T::Native>>) -> ArrayRef {
    let results: PrimitiveArray<T> = results.into_iter().collect();
    // Collecting gives the default of the type; precision, scale and time zone are those of the column.
    Arc::new(results.with_data_type(array.data_type().clone()))
}

fn done<T>(task: Task<'_>, array: &PrimitiveArray<T>, tweaks: Option<&TweakColumn>) -> Result<Treated>
where
    T: ArrowPrimitiveType,
    T::Native: Wide,
{
    let factor = factor_of(&task, array)?;
    // The fast way for what most columns are; tweaks of wrong kinds, masks and wide ranges go one by one.
    match Scale::new(&task, factor) {
        Some(scale) => ranked(task, array, tweaks, scale),
        None => row_by_row(task, array, tweaks, factor),
    }
}

/// How values stand for ranks that fit 64 bits.
struct Scale<N> {
    /// The value of rank 0.
    least: N,
    /// From one rank's value to the next one's.
    factor: u64,
    /// From the least to the greatest value.
    span: u64,
}

impl<N: Wide> Scale<N> {
    /// `None` if ranks are wider, or are not all there is to a value's way.
    fn new(task: &Task<'_>, factor: i128) -> Option<Self> {
        let last = task.transform.last_rank()?;
        // Checked, as the product of a far bound and a fine unit may leave 128 bits.
        let least = task.transform.ordinal_range()?.min.checked_mul(factor)?;
        let factor = u64::try_from(factor).ok()?;
        Some(Self {
            least: N::narrow(least)?,
            factor,
            // Checked as well: where the span takes more than 64 bits, distances would wrap.
            span: last.checked_mul(factor)?,
        })
    }

    /// How far a value is above the least.
    fn distance(&self, value: N) -> Result<u64, FormatError> {
        match value.above(self.least) {
            (distance, false)
                // Below the least, the distance wraps to more than any span, so one comparison tests both ends.
                if distance <= self.span && (self.factor == 1 || distance.is_multiple_of(self.factor)) =>
            {
                Ok(distance)
            }
            _ => Err(unfit(value, self.factor.into())),
        }
    }

    /// Appends how far each value is above the least; whether all are in the range.
    fn distances(&self, values: impl Iterator<Item = N>, distances: &mut Vec<u64>) -> bool {
        // Nothing here asks about a value, so that the compiler can do several at once.
        let mut outside = false;
        distances.extend(values.map(|value| {
            let (distance, beyond) = value.above(self.least);
            // Bitwise OR, not ||: no branch for the compiler to keep.
            outside |= beyond | (distance > self.span);
            distance
        }));
        !outside
    }

    /// Divides distances by the factor, and tells whether nothing is left over. The compiler turns each division by a
    /// number that it knows into a multiplication.
    fn divide(&self, distances: &mut [u64]) -> bool {
        #[inline(always)]
        fn by(factor: u64, distances: &mut [u64]) -> bool {
            let mut rest = 0;
            for distance in distances {
                // OR of all remainders is zero exactly if each is.
                rest |= *distance % factor;
                *distance /= factor;
            }
            rest == 0
        }
        // The factors of Arrow's units as constants: a division takes tens of cycles, a multiplication a few.
        match self.factor {
            1 => true,
            1_000 => by(1_000, distances),
            1_000_000 => by(1_000_000, distances),
            1_000_000_000 => by(1_000_000_000, distances),
            86_400_000 => by(86_400_000, distances),
            other => by(other, distances),
        }
    }

    /// Ranks those values of `rows` that fit, and returns their rows; the others go to `handle_unfit`.
    fn fitting_ranks(
        &self,
        values: &[N],
        rows: Vec<usize>,
        ranks: &mut Vec<u64>,
        mut handle_unfit: impl FnMut(usize, FormatError) -> Result<(), RowError>,
    ) -> Result<Vec<usize>, RowError> {
        // They may have been divided in part already, so everything is made anew.
        ranks.clear();
        let mut fitting = Vec::with_capacity(rows.len());
        for row in rows {
            match self.distance(values[row]) {
                Ok(distance) => {
                    fitting.push(row);
                    ranks.push(distance);
                }
                Err(cause) => handle_unfit(row, cause)?,
            }
        }
        // Nothing is left over: `distance` has tested each.
        self.divide(ranks);
        Ok(fitting)
    }

    /// The value of a rank.
    #[inline(always)]
    fn value(&self, rank: u64) -> N {
        self.least.plus(rank * self.factor) // within the span
    }
}

/// The reason why a value is no ordinal of the format, or none in its range.
fn unfit<N: Wide>(value: N, factor: i128) -> FormatError {
    match value.widen() {
        Some(wide) if wide % factor != 0 => FormatError::Malformed("finer than the resolution of the format"),
        _ => FormatError::OutOfRange,
    }
}

/// Does values that are ranks and nothing else, straight from one buffer to another.
fn ranked<T>(
    task: Task<'_>,
    array: &PrimitiveArray<T>,
    tweaks: Option<&TweakColumn>,
    scale: Scale<T::Native>,
) -> Result<Treated>
where
    T: ArrowPrimitiveType,
    T::Native: Wide,
{
    let transform = task.transform;
    let mut results: Vec<T::Native> = Vec::with_capacity(array.len());
    let (mut outcome, mut made_null) = (Outcome::default(), Vec::new());
    let mut ranks = Vec::with_capacity(CHUNK.min(array.len()));
    for start in (0..array.len()).step_by(CHUNK) {
        let end = array.len().min(start + CHUNK);
        // `values()` respects the offset of a slice; the null buffer is cut alike.
        let values = &array.values()[start..end];
        let nulls = array.nulls().map(|nulls| nulls.slice(start, end - start));
        let locate = |error: RowError| task.locate(error, start);
        // The rows that go through the cipher, if not all do.
        // Under a NULL there may be anything, also a value out of range. Those rows are not even looked at.
        let mut live: Option<Vec<usize>> = nulls
            .filter(|nulls| nulls.null_count() > 0)
            .map(|nulls| nulls.valid_indices().collect());
        ranks.clear();
        let inside = match &live {
            None => scale.distances(values.iter().copied(), &mut ranks),
            Some(live) => scale.distances(live.iter().map(|row| values[*row]), &mut ranks),
        };
        let mut kept = Vec::new();
        // The exact and slower way, for the chunk that has a value which does not fit.
        if !(inside && scale.divide(&mut ranks)) {
            let rows = live.unwrap_or_else(|| (0..values.len()).collect());
            let fitting = scale.fitting_ranks(values, rows, &mut ranks, |row, cause| {
                if transform.keeps_unfit(row, cause)? {
                    kept.push(row);
                } else {
                    made_null.push(start + row);
                }
                Ok(())
            });
            live = Some(fitting.map_err(locate)?);
        }

        let slices;
        let tweaks = match tweaks {
            None => None,
            // Packed tweaks go with rows that are all encrypted; else they are picked row by row.
            Some(column) => match column.packed(start..end).filter(|_| live.is_none()) {
                packed @ Some(_) => packed,
                None => {
                    let is_null = (0..values.len()).map(|row| array.is_null(start + row));
                    let all = column.bytes(&task, start, is_null)?;
                    slices = match &live {
                        Some(live) => live.iter().map(|row| all[*row]).collect(),
                        None => all,
                    };
                    Some(Tweaks::PerRow(&slices))
                }
            },
        };
        transform
            .ranks(task.direction, &mut ranks, tweaks)
            .map_err(|error| locate(error.into()))?;

        match live {
            None => results.extend(ranks.iter().map(|rank| scale.value(*rank))),
            Some(live) => {
                // NULL rows get zeros: the value that stood under a NULL does not reach the output.
                results.resize(end, T::Native::default());
                let results = &mut results[start..];
                for (row, rank) in live.into_iter().zip(&ranks) {
                    results[row] = scale.value(*rank);
                }
                outcome.kept_clear += kept.len();
                for row in kept {
                    results[row] = values[row];
                }
            }
        }
    }
    outcome.nulled += made_null.len();
    // The input's buffer is shared unless a row became NULL.
    let nulls = if made_null.is_empty() {
        array.nulls().cloned()
    } else {
        let mut valid = BooleanBufferBuilder::new(array.len());
        match array.nulls() {
            Some(nulls) => valid.append_buffer(nulls.inner()),
            None => valid.append_n(array.len(), true),
        }
        made_null.into_iter().for_each(|row| valid.set_bit(row, false));
        Some(NullBuffer::new(valid.finish()))
    };
    let results = PrimitiveArray::<T>::new(results.into(), nulls);
    Ok(Treated {
        array: Arc::new(results.with_data_type(array.data_type().clone())),
        outcome,
    })
}

/// Does each value by itself.
fn row_by_row<T>(
    task: Task<'_>,
    array: &PrimitiveArray<T>,
    tweaks: Option<&TweakColumn>,
    factor: i128,
) -> Result<Treated>
where
    T: ArrowPrimitiveType,
    T::Native: Wide,
{
    let transform = task.transform;
    let mut results: Vec<Option<T::Native>> = Vec::with_capacity(array.len());
    let mut outcome = Outcome::default();
    // In chunks: ordinals of 128 bits take several times the memory of the column.
    for start in (0..array.len()).step_by(CHUNK) {
        // A slice shares buffers, and `iter` respects its offset.
        let chunk = array.slice(start, CHUNK.min(array.len() - start));
        let locate = |error: RowError| task.locate(error, start);
        // Errors number rows within the chunk, which `locate` adds to the start.
        let rows = OrdinalRows::<T>::read(factor, chunk.iter(), transform).map_err(locate)?;
        let tweaks = match tweaks {
            Some(column) => Some(column.bytes(&task, start, rows.ordinals.iter().map(Option::is_none))?),
            None => None,
        };
        let batch =
            OrdinalBatch::new(task.direction, &rows.ordinals).with_tweaks(tweaks.as_deref().map(Tweaks::PerRow));
        let (done, chunk_outcome) = transform.ordinals(batch).map_err(locate)?;
        outcome += chunk_outcome;
        // Values that are no ordinals at all are counted here; those out of range by the treatment.
        outcome.kept_clear += rows.kept.len();
        outcome.nulled += rows.nulled;
        rows.write(done, &mut results)?;
    }
    Ok(Treated {
        array: like(array, results),
        outcome,
    })
}

/// All rows at once: they are checked before the first token is minted.
async fn with_tokens<T>(task: Task<'_>, array: &PrimitiveArray<T>) -> Result<Treated>
where
    T: ArrowPrimitiveType,
    T::Native: Wide,
{
    let factor = factor_of(&task, array)?;
    let locate = |error: RowError| task.locate(error, 0);
    let rows = OrdinalRows::<T>::read(factor, array.iter(), task.transform).map_err(locate)?;
    let done = task.transform.token_ordinals(task.direction, &rows.ordinals).await;
    let (done, mut outcome) = done.map_err(locate)?;
    outcome.kept_clear += rows.kept.len();
    outcome.nulled += rows.nulled;
    let mut results = Vec::with_capacity(array.len());
    rows.write(done, &mut results)?;
    Ok(Treated {
        array: like(array, results),
        outcome,
    })
}
