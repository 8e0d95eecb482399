//! Query results, written as they come.

use std::io::{BufWriter, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use clap::ValueEnum;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::{Error, Result};

/// The form of query results.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum ResultFormat {
    /// A table for people
    Table,
    /// With a header
    Csv,
    /// One object a line
    Json,
    /// A Parquet file
    Parquet,
}

/// The writer of one result's batches.
pub(super) enum Results<W: Write + Send> {
    /// A table is aligned over all of its rows, so they are gathered first.
    // The only form that needs the whole result in memory.
    Table(SchemaRef, Vec<RecordBatch>, W),
    Csv(Box<arrow::csv::Writer<BufWriter<W>>>),
    Json(arrow::json::LineDelimitedWriter<BufWriter<W>>),
    Parquet(Box<ArrowWriter<BufWriter<W>>>),
}

impl<W: Write + Send> Results<W> {
    pub(super) fn begin(schema: SchemaRef, format: ResultFormat, out: W) -> Result<Self> {
        Ok(match format {
            ResultFormat::Table => Self::Table(schema, Vec::new(), out),
            ResultFormat::Csv => {
                // Buffered: arrow writes each cell by itself.
                let mut writer = arrow::csv::Writer::new(BufWriter::new(out));
                // The header, even if no row comes.
                writer.write(&RecordBatch::new_empty(schema)).map_err(failed)?;
                Self::Csv(Box::new(writer))
            }
            ResultFormat::Json => {
                // A reader should not have to guess which columns there are.
                let writer = WriterBuilder::new()
                    .with_explicit_nulls(true)
                    .build(BufWriter::new(out));
                Self::Json(writer)
            }
            ResultFormat::Parquet => {
                // Arrow's dates in milliseconds are dates for readers that do not know Arrow, too.
                let properties = WriterProperties::builder().set_coerce_types(true).build();
                let writer = ArrowWriter::try_new(BufWriter::new(out), schema, Some(properties));
                Self::Parquet(Box::new(writer.map_err(parquet_failed)?))
            }
        })
    }

    pub(super) fn write(&mut self, batch: RecordBatch) -> Result<()> {
        match self {
            Self::Table(_, batches, _) => {
                batches.push(batch);
                Ok(())
            }
            Self::Csv(writer) => writer.write(&batch).map_err(failed),
            Self::Json(writer) => writer.write(&batch).map_err(failed),
            Self::Parquet(writer) => writer.write(&batch).map_err(parquet_failed),
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        let flushed = match self {
            // A statement without a result, such as CREATE VIEW.
            Self::Table(schema, ..) if schema.fields().is_empty() => Ok(()),
            Self::Table(schema, batches, mut out) => {
                let table = arrow::util::pretty::pretty_format_batches_with_schema(schema, &batches).map_err(failed)?;
                // Flushed here: an error when the buffer is dropped would be lost.
                writeln!(out, "{table}").and_then(|()| out.flush())
            }
            Self::Csv(writer) => writer.into_inner().flush(),
            Self::Json(mut writer) => {
                writer.finish().map_err(failed)?;
                writer.into_inner().flush()
            }
            Self::Parquet(writer) => writer.into_inner().map_err(parquet_failed)?.flush(),
        };
        flushed.map_err(|error| Error::io("cannot write the result", error))
    }
}

fn failed(error: ArrowError) -> Error {
    // A full disk is no fault of the result.
    if let ArrowError::IoError(_, error) = error {
        return Error::io("cannot write the result", error);
    }
    Error::bad_input("the result cannot be written in this format").with_source(error)
}

fn parquet_failed(error: ParquetError) -> Error {
    Error::bad_input("the result cannot be written as Parquet").with_source(error)
}
