//! Timestamps of the old type INT96, as Spark, Hive and Impala write them: a Julian day, and nanoseconds of the day.
//!
//! Arrow has one unit for a column. Nanoseconds of 64 bits end in 2262, and year 9999 often stands for "never"; so a
//! column is read in nanoseconds where each of its values fits, and else in microseconds, if that loses nothing.

use std::sync::Arc;

use arrow::datatypes::TimeUnit;
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{Int96, Int96Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use super::chunk::SharedFile;
use super::encode::damaged;
use super::source::{Source, caught};
use crate::{Error, Result};

/// Values read at a time.
const VALUES: usize = 8192;

/// The Julian day of 1970-01-01.
const EPOCH: i128 = 2_440_588;

const NANOSECONDS_A_DAY: i128 = 86_400_000_000_000;

/// The unit that a column of INT96 is read in, and its zone: such values are instants.
pub(super) type Int96Unit = (TimeUnit, Option<Arc<str>>);

/// The unit in which nothing of leaf `leaf` is lost.
///
/// # Errors
/// A column with values that only nanoseconds hold, and values that they do not reach; a damaged page.
pub(super) fn unit(source: &Source, file: &SharedFile, metadata: &ParquetMetaData, leaf: usize) -> Result<Int96Unit> {
    let reader = caught(|| SerializedFileReader::new(file.clone()));
    let reader = reader.map_err(|error| damaged(source, 0, &[leaf], error))?;
    let (mut beyond, mut finer) = (false, false);
    for number in 0..metadata.num_row_groups() {
        let scanned = caught(|| {
            let pages = reader.get_row_group(number)?.get_column_reader(leaf)?;
            let mut column = get_typed_column_reader::<Int96Type>(pages);
            let descriptor = metadata.file_metadata().schema_descr().column(leaf);
            let (mut values, mut definition, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
            loop {
                values.clear();
                definition.clear();
                repetition.clear();
                let definition = (descriptor.max_def_level() > 0).then_some(&mut definition);
                let repetition = (descriptor.max_rep_level() > 0).then_some(&mut repetition);
                let (records, _, _) = column.read_records(VALUES, definition, repetition, &mut values)?;
                for value in &values {
                    let nanoseconds = nanoseconds(value);
                    beyond |= i64::try_from(nanoseconds).is_err();
                    finer |= nanoseconds % 1000 != 0;
                }
                if records == 0 {
                    return Ok::<_, ParquetError>(());
                }
            }
        });
        scanned.map_err(|error| damaged(source, number, &[leaf], error))?;
    }
    let utc: Arc<str> = "UTC".into();
    match (beyond, finer) {
        (true, true) => {
            let name = metadata.file_metadata().schema_descr().column(leaf).path().string();
            Err(Error::bad_input(format!(
                "column `{name}` of `{}` has nanoseconds, and times beyond those that nanoseconds reach (1677 to 2262)",
                source.path.display()
            ))
            .with_hint("write it anew in microseconds, or leave it out of [columns]"))
        }
        (true, false) => Ok((TimeUnit::Microsecond, Some(utc))),
        (false, _) => Ok((TimeUnit::Nanosecond, Some(utc))),
    }
}

/// Nanoseconds since 1970.
fn nanoseconds(value: &Int96) -> i128 {
    let [low, high, day] = [0, 1, 2].map(|at| i128::from(value.data()[at]));
    // The day is signed in some writers.
    let day = i128::from((day as u32).cast_signed());
    (day - EPOCH) * NANOSECONDS_A_DAY + (high << 32 | low)
}
