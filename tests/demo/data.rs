//! The demo's data: `demo-data write FOLDER` makes it, `demo-data equal A B` compares two Parquet files value by value.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a small program of its own

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use fake::Fake;
use fake::faker::name::en::{FirstName, LastName};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tpchgen::generators::{CustomerGenerator, OrderGenerator};
use tpchgen_arrow::{CustomerArrow, OrderArrow};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// TPC-H scale: 15,000 customers, 150,000 orders.
const SCALE: f64 = 0.1;
const PEOPLE: i64 = 10_000;
// Fixed, so that two runs of the demo show the same.
const SEED: u64 = 2026;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["write", folder] => write_all(Path::new(folder)),
        ["equal", a, b] => equal(Path::new(a), Path::new(b)),
        _ => Err("usage: demo-data write FOLDER | equal A B".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_all(folder: &Path) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(SEED);
    let customers = all(CustomerArrow::new(CustomerGenerator::new(SCALE, 1, 1)))?;
    write(&folder.join("customer.parquet"), &shuffled(&customers, &mut rng)?)?;
    write(
        &folder.join("orders.parquet"),
        &all(OrderArrow::new(OrderGenerator::new(SCALE, 1, 1)))?,
    )?;
    write(&folder.join("people.parquet"), &people(&mut rng)?)
}

fn all<E: Error + 'static>(batches: impl Iterator<Item = std::result::Result<RecordBatch, E>>) -> Result<RecordBatch> {
    let batches = batches.collect::<std::result::Result<Vec<_>, _>>()?;
    let schema = batches.first().ok_or("no batches")?.schema();
    Ok(concat_batches(&schema, &batches)?)
}

/// The rows in random order: customer keys count up, so in the order they come in a row's place would tell its key.
fn shuffled(batch: &RecordBatch, rng: &mut StdRng) -> Result<RecordBatch> {
    let mut order: Vec<u32> = (0..u32::try_from(batch.num_rows())?).collect();
    order.shuffle(rng);
    Ok(take_record_batch(batch, &UInt32Array::from(order))?)
}

/// People who do not exist, with what one would not want to lose about them. Some values are NULL.
fn people(rng: &mut StdRng) -> Result<RecordBatch> {
    let (mut names, mut ssns, mut cards, mut emails, mut births) = (vec![], vec![], vec![], vec![], vec![]);
    for id in 0..PEOPLE {
        let (first, last): (String, String) = (FirstName().fake_with_rng(rng), LastName().fake_with_rng(rng));
        emails.push((id % 50 != 7).then(|| {
            let host = ["example.com", "example.org", "mail.example.net"][rng.random_range(0..3)];
            // Names from the generator have apostrophes and accents, which an address here should not have.
            let ascii = |name: &str| name.to_lowercase().replace(|c: char| !c.is_ascii_lowercase(), "");
            format!("{}.{}{}@{host}", ascii(&first), ascii(&last), rng.random_range(10..99))
        }));
        names.push(format!("{first} {last}"));
        // Some are NULL: tables have gaps.
        ssns.push((id % 20 != 3).then(|| ssn(rng)));
        cards.push(card(rng));
        births.push(rng.random_range(-14_600..13_500)); // days since 1970: 1930 to 2006
    }
    Ok(RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from_iter_values(1..=PEOPLE)) as ArrayRef),
        ("name", Arc::new(StringArray::from(names))),
        ("ssn", Arc::new(StringArray::from(ssns))),
        ("card", Arc::new(StringArray::from(cards))),
        ("email", Arc::new(StringArray::from(emails))),
        ("birth_date", Arc::new(Date32Array::from(births))),
    ])?)
}

fn ssn(rng: &mut StdRng) -> String {
    let area = loop {
        let area = rng.random_range(1..900);
        if area != 666 {
            break area;
        }
    };
    format!(
        "{area:03}-{:02}-{:04}",
        rng.random_range(1..100),
        rng.random_range(1..10_000)
    )
}

/// A card number that passes Luhn, in groups of four.
fn card(rng: &mut StdRng) -> String {
    // 4 is Visa's first digit.
    let mut digits: Vec<u32> = vec![4];
    digits.extend((0..14).map(|_| rng.random_range(0..10)));
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| match (i % 2, *digit) {
            (0, digit) => 2 * digit - if digit > 4 { 9 } else { 0 },
            (_, digit) => digit,
        })
        .sum();
    digits.push((10 - sum % 10) % 10);
    let groups: Vec<String> = digits
        .chunks(4)
        .map(|group| group.iter().map(u32::to_string).collect())
        .collect();
    groups.join("-")
}

fn write(path: &Path, batch: &RecordBatch) -> Result<()> {
    let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), None)?;
    writer.write(batch)?;
    writer.close()?;
    println!(
        "{}: {} rows, {} columns",
        path.display(),
        batch.num_rows(),
        batch.num_columns()
    );
    Ok(())
}

fn equal(a: &Path, b: &Path) -> Result<()> {
    let ((schema_a, rows_a), (schema_b, rows_b)) = (read(a)?, read(b)?);
    if schema_a != schema_b {
        return Err(format!("{} and {} have different schemas", a.display(), b.display()).into());
    }
    if rows_a.num_rows() != rows_b.num_rows() {
        return Err(format!("{} rows and {} rows", rows_a.num_rows(), rows_b.num_rows()).into());
    }
    for (field, (left, right)) in schema_a
        // Column by column, so that a difference is named.
        .fields()
        .iter()
        .zip(rows_a.columns().iter().zip(rows_b.columns()))
    {
        if left != right {
            return Err(format!("column {} differs", field.name()).into());
        }
    }
    println!("equal: {} rows × {} columns", rows_a.num_rows(), rows_a.num_columns());
    Ok(())
}

fn read(path: &Path) -> Result<(SchemaRef, RecordBatch)> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let schema = Arc::clone(reader.schema());
    let batches = reader.build()?.collect::<std::result::Result<Vec<_>, _>>()?;
    Ok((Arc::clone(&schema), concat_batches(&schema, &batches)?))
}
