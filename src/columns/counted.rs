//! Integers, decimals, dates and times: whatever a format counts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};

use super::{CHUNK, Done, Task, tweak};
use crate::formats::{Counts, Misfit, Resolution, Unit};
use crate::transform::RowError;
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

/// Does an array of numbers, dates or times; `None` if it is none.
pub(super) fn apply(task: Task<'_>, array: &ArrayRef, tweaks: Option<&tweak::Column>) -> Option<Result<Done>> {
    macro_rules! by_type {
        ($($pattern:pat => $type:ty),* $(,)?) => {
            match array.data_type() {
                $($pattern => Some(done(task, array.as_primitive::<$type>(), tweaks)),)*
                _ => None,
            }
        };
    }
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    by_type! {
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
        DataType::Time32(Second) => Time32SecondType,
        DataType::Time32(Millisecond) => Time32MillisecondType,
        DataType::Time64(Microsecond) => Time64MicrosecondType,
        DataType::Time64(Nanosecond) => Time64NanosecondType,
        DataType::Timestamp(Second, _) => TimestampSecondType,
        DataType::Timestamp(Millisecond, _) => TimestampMillisecondType,
        DataType::Timestamp(Microsecond, _) => TimestampMicrosecondType,
        DataType::Timestamp(Nanosecond, _) => TimestampNanosecondType,
    }
}

fn done<T>(task: Task<'_>, array: &PrimitiveArray<T>, tweaks: Option<&tweak::Column>) -> Result<Done>
where
    T: ArrowPrimitiveType,
    T::Native: Wide,
{
    let unchecked = |what: &str| {
        Error::bug(format!(
            "a column of {} that `check_type` let pass: {what}",
            array.data_type()
        ))
    };
    let counts = task.transform.counts().ok_or_else(|| unchecked("no counts"))?;
    let factor = factor(&counts, array.data_type()).map_err(unchecked)?;
    let transform = task.transform;
    let mut results: Vec<Option<T::Native>> = Vec::with_capacity(array.len());
    let mut left_clear = 0;
    let mut rows: Vec<Option<i128>> = Vec::with_capacity(CHUNK.min(array.len()));
    for start in (0..array.len()).step_by(CHUNK) {
        let chunk = array.slice(start, CHUNK.min(array.len() - start));
        let locate = |error: RowError| error.locate(|row| task.number(start + row), task.column, transform);
        rows.clear();
        // What no count stands for is out of every range, and what is left in the clear has to be remembered.
        let mut strange: Vec<(usize, T::Native)> = Vec::new();
        for (row, value) in chunk.iter().enumerate() {
            let Some(value) = value else {
                rows.push(None);
                continue;
            };
            match value.widen().filter(|wide| factor == 1 || wide % factor == 0) {
                Some(wide) => rows.push(Some(wide / factor)),
                None => {
                    let misfit = match value.widen() {
                        Some(_) => Misfit::Malformed("finer than the resolution of the format"),
                        None => Misfit::OutOfRange,
                    };
                    if transform.on_misfit(row, misfit).map_err(locate)? {
                        strange.push((row, value));
                    }
                    rows.push(None);
                }
            }
        }
        let tweaks = match tweaks {
            Some(column) => Some(column.bytes(&task, start, rows.iter().map(Option::is_none))?),
            None => None,
        };
        let (done, left) = transform
            .counted(task.direction, &rows, tweaks.as_deref())
            .map_err(locate)?;
        left_clear += left + strange.len();
        let mut strange = strange.into_iter().peekable();
        for (row, count) in done.into_iter().enumerate() {
            results.push(match (strange.next_if(|(at, _)| *at == row), count) {
                (Some((_, value)), _) => Some(value),
                (None, None) => None,
                (None, Some(count)) => {
                    // `check_type` has compared the range with the type's.
                    let value = count.checked_mul(factor).and_then(T::Native::narrow);
                    Some(value.ok_or_else(|| Error::bug("a result outside of its type"))?)
                }
            });
        }
    }
    let array = results
        .into_iter()
        .collect::<PrimitiveArray<T>>()
        .with_data_type(array.data_type().clone());
    Ok(Done {
        array: Arc::new(array),
        left_clear,
    })
}
