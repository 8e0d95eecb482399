//! Integers, decimals, dates and times: whatever a format counts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};

use super::{CHUNK, Done, Task, Treated, tweak};
use crate::formats::{Counts, Misfit, Resolution, Unit};
use crate::transform::{RowError, Transform};
use crate::{Error, Result};

/// A type's native value as a wide number and back.
trait Wide: Copy {
    fn widen(self) -> Option<i128>;
    fn narrow(count: i128) -> Option<Self>;
}

macro_rules! wide {
    ($($native:ty),*) => {
        $(impl Wide for $native {
            fn widen(self) -> Option<i128> {
                Some(self.into())
            }
            fn narrow(count: i128) -> Option<Self> {
                count.try_into().ok()
            }
        })*
    };
}

wide!(i8, i16, i32, i64, i128, u8, u16, u32, u64);

impl Wide for i256 {
    fn widen(self) -> Option<i128> {
        self.to_i128()
    }
    fn narrow(count: i128) -> Option<Self> {
        Some(Self::from_i128(count))
    }
}

/// How many units of a column of `data_type` one count of `counts` is.
///
/// # Errors
/// In words, why such a column does not do.
pub(super) fn factor(counts: &Counts, data_type: &DataType) -> Result<i128, &'static str> {
    let fits = |factor: i128, least: i128, greatest: i128| {
        let inside = |count: i128| {
            count
                .checked_mul(factor)
                .is_some_and(|value| (least..=greatest).contains(&value))
        };
        match inside(counts.min) && inside(counts.max) {
            true => Ok(factor),
            false => Err("the format's range does not lie within that of the column's type"),
        }
    };
    let finer = |column: Resolution, format: Resolution, least, greatest| match column >= format {
        true => fits(column.per_second() / format.per_second(), least, greatest),
        false => Err("the format's resolution is finer than the column's unit"),
    };
    let digits = |precision: u8, scale: i8, expected: u8| match i128::from(scale) == i128::from(expected) {
        true => {
            let greatest = 10i128
                .checked_pow(precision.into())
                .map_or(i128::MAX, |power| power - 1);
            fits(1, -greatest, greatest)
        }
        false => Err("the format's scale is not the column's"),
    };
    use DataType as T;
    let (least, greatest) = (i128::from(i64::MIN), i128::from(i64::MAX));
    let (least32, greatest32) = (i128::from(i32::MIN), i128::from(i32::MAX));
    match (counts.unit, data_type) {
        (Unit::Integer, T::Int8) => fits(1, i8::MIN.into(), i8::MAX.into()),
        (Unit::Integer, T::Int16) => fits(1, i16::MIN.into(), i16::MAX.into()),
        (Unit::Integer, T::Int32) => fits(1, least32, greatest32),
        (Unit::Integer, T::Int64) => fits(1, least, greatest),
        (Unit::Integer, T::UInt8) => fits(1, 0, u8::MAX.into()),
        (Unit::Integer, T::UInt16) => fits(1, 0, u16::MAX.into()),
        (Unit::Integer, T::UInt32) => fits(1, 0, u32::MAX.into()),
        (Unit::Integer, T::UInt64) => fits(1, 0, u64::MAX.into()),
        (
            Unit::Decimal { scale },
            T::Decimal32(precision, column)
            | T::Decimal64(precision, column)
            | T::Decimal128(precision, column)
            | T::Decimal256(precision, column),
        ) => digits(*precision, *column, scale),
        (Unit::Day, T::Date32) => fits(1, least32, greatest32),
        (Unit::Day, T::Date64) => fits(86_400_000, least, greatest),
        (Unit::TimeOfDay(resolution), T::Time32(unit) | T::Time64(unit)) => {
            finer(resolution_of(*unit), resolution, 0, greatest)
        }
        (Unit::Instant(resolution), T::Timestamp(unit, _)) => finer(resolution_of(*unit), resolution, least, greatest),
        (Unit::Integer, other) if other.is_decimal() => Err("a column of decimals takes `decimal`"),
        (_, other) if other.is_integer() => Err("a column of integers takes `integer`"),
        (_, T::Float16 | T::Float32 | T::Float64) => {
            Err("a floating-point number has no format to keep; make it a decimal")
        }
        _ => Err("the format counts something else"),
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
pub(super) fn apply(task: Task<'_>, array: &ArrayRef, tweaks: Option<&tweak::Column>) -> Option<Result<Done>> {
    by_type!(array, |typed| done(task, typed, tweaks))
}

/// The same, for a rule that tokenizes.
pub(super) async fn tokenized(task: Task<'_>, array: &ArrayRef) -> Option<Result<Treated>> {
    by_type!(array, |typed| with_tokens(task, typed).await)
}

/// How many units of the column one count is; `check_type` has seen that it can be.
fn factor_of<T: ArrowPrimitiveType>(task: &Task<'_>, array: &PrimitiveArray<T>) -> Result<i128> {
    let unchecked = |what: &str| {
        Error::bug(format!(
            "a column of {} that `check_type` let pass: {what}",
            array.data_type()
        ))
    };
    let counts = task.transform.counts().ok_or_else(|| unchecked("no counts"))?;
    factor(&counts, array.data_type()).map_err(unchecked)
}

/// What the rows of an array count.
struct Rows<T: ArrowPrimitiveType> {
    factor: i128,
    counts: Vec<Option<i128>>,
    /// What no count stands for is out of every range, and what is left in the clear has to be remembered.
    strange: Vec<(usize, T::Native)>,
}

impl<T> Rows<T>
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
            counts: Vec::with_capacity(rows.size_hint().0),
            strange: Vec::new(),
        };
        for (row, value) in rows.enumerate() {
            let Some(value) = value else {
                read.counts.push(None);
                continue;
            };
            match value.widen().filter(|wide| factor == 1 || wide % factor == 0) {
                Some(wide) => read.counts.push(Some(wide / factor)),
                None => {
                    let misfit = match value.widen() {
                        Some(_) => Misfit::Malformed("finer than the resolution of the format"),
                        None => Misfit::OutOfRange,
                    };
                    if transform.on_misfit(row, misfit)? {
                        read.strange.push((row, value));
                    }
                    read.counts.push(None);
                }
            }
        }
        Ok(read)
    }

    /// Appends what came of the counts, and what is left in the clear, to `results`.
    fn write(self, done: Vec<Option<i128>>, results: &mut Vec<Option<T::Native>>) -> Result<()> {
        let mut strange = self.strange.into_iter().peekable();
        for (row, count) in done.into_iter().enumerate() {
            results.push(match (strange.next_if(|(at, _)| *at == row), count) {
                (Some((_, value)), _) => Some(value),
                (None, None) => None,
                (None, Some(count)) => {
                    // `check_type` has compared the range with the type's.
                    let value = count.checked_mul(self.factor).and_then(T::Native::narrow);
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
    Arc::new(results.with_data_type(array.data_type().clone()))
}

fn done<T>(task: Task<'_>, array: &PrimitiveArray<T>, tweaks: Option<&tweak::Column>) -> Result<Done>
where
    T: ArrowPrimitiveType,
    T::Native: Wide,
{
    let factor = factor_of(&task, array)?;
    let transform = task.transform;
    let mut results: Vec<Option<T::Native>> = Vec::with_capacity(array.len());
    let mut left_clear = 0;
    for start in (0..array.len()).step_by(CHUNK) {
        let chunk = array.slice(start, CHUNK.min(array.len() - start));
        let locate = |error: RowError| error.locate(|row| task.number(start + row), task.column, transform);
        let rows = Rows::<T>::read(factor, chunk.iter(), transform).map_err(locate)?;
        let tweaks = match tweaks {
            Some(column) => Some(column.bytes(&task, start, rows.counts.iter().map(Option::is_none))?),
            None => None,
        };
        let (done, left) = transform
            .counted(task.direction, &rows.counts, tweaks.as_deref())
            .map_err(locate)?;
        left_clear += left + rows.strange.len();
        rows.write(done, &mut results)?;
    }
    Ok(Done {
        array: like(array, results),
        left_clear,
    })
}

/// All rows at once: they are checked before the first token is minted.
async fn with_tokens<T>(task: Task<'_>, array: &PrimitiveArray<T>) -> Result<Treated>
where
    T: ArrowPrimitiveType,
    T::Native: Wide,
{
    let factor = factor_of(&task, array)?;
    let locate = |error: RowError| error.locate(|row| task.number(row), task.column, task.transform);
    let rows = Rows::<T>::read(factor, array.iter(), task.transform).map_err(locate)?;
    let done = task.transform.token_counts(task.direction, &rows.counts).await;
    let (done, mut left) = done.map_err(locate)?;
    left.clear += rows.strange.len();
    let mut results = Vec::with_capacity(array.len());
    rows.write(done, &mut results)?;
    Ok(Treated {
        array: like(array, results),
        left,
    })
}
