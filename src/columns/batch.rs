//! Whole record batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};

use super::{Task, treat};
use crate::cipher::Direction;
use crate::tokens::Tokenizer;
use crate::transform::Transform;
use crate::{Error, Result};

/// What is done to each column of a schema, checked as far as it can be without the rows.
#[derive(Debug)]
pub struct BatchPlan {
    direction: Direction,
    input: SchemaRef,
    output: SchemaRef,
    columns: Vec<Column>,
    /// The places in `columns`, in an order in which every tweak comes before what it tweaks.
    order: Vec<usize>,
    left_clear: Vec<AtomicUsize>,
    forgotten: Vec<AtomicUsize>,
}

/// One column of the output.
#[derive(Debug)]
pub(super) struct Column {
    /// Its place in the input.
    pub(super) input: usize,
    /// What it is in the output.
    pub(super) field: FieldRef,
    pub(super) action: Action,
}

#[derive(Debug)]
pub(super) enum Action {
    Copy,
    Transform {
        transform: Arc<Transform>,
        /// The tweak column's place in the input.
        tweak: Option<usize>,
    },
}

impl Action {
    pub(super) fn transform(&self) -> Result<&Transform> {
        match self {
            Self::Transform { transform, .. } => Ok(transform),
            Self::Copy => Err(Error::bug("a copied column has no transform")),
        }
    }
}

/// What a plan does, or did, to one column.
#[derive(Clone, Debug)]
pub struct ColumnSummary {
    /// The column.
    pub column: String,
    /// The rule.
    pub rule: String,
    /// The data key and version: `pii@2`.
    pub key: String,
    /// Values left in the clear so far, by `on_invalid = "insecure-keep"`.
    pub left_clear: usize,
    /// Tokens so far whose value was deleted, or has expired.
    pub forgotten: usize,
    /// For minted tokens: to what part of what it may hold the fullest space is filled that was minted in, in percent.
    pub fullest_percent: f64,
}

impl BatchPlan {
    pub(super) fn new(direction: Direction, input: &SchemaRef, columns: Vec<Column>) -> Self {
        let fields: Vec<FieldRef> = columns.iter().map(|column| Arc::clone(&column.field)).collect();
        let output = Arc::new(Schema::new_with_metadata(fields, input.metadata().clone()));
        let left_clear = columns.iter().map(|_| AtomicUsize::new(0)).collect();
        let forgotten = columns.iter().map(|_| AtomicUsize::new(0)).collect();
        let order = tweaks_first(&columns);
        Self {
            direction,
            input: Arc::clone(input),
            output,
            columns,
            order,
            left_clear,
            forgotten,
        }
    }

    /// Protect or reveal.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// What batches look like after [`BatchPlan::apply`].
    pub fn output(&self) -> &SchemaRef {
        &self.output
    }

    /// The columns that are not just copied, in their order.
    pub fn summary(&self) -> Vec<ColumnSummary> {
        let counts = self.left_clear.iter().zip(&self.forgotten);
        let columns = self.columns.iter().zip(counts);
        columns
            .filter_map(|(column, (left_clear, forgotten))| match &column.action {
                Action::Copy => None,
                Action::Transform { transform, .. } => Some(ColumnSummary {
                    column: column.field.name().clone(),
                    rule: transform.rule().name.clone(),
                    key: format!("{}@{}", transform.key().name(), transform.key().version()),
                    left_clear: left_clear.load(Ordering::Relaxed),
                    forgotten: forgotten.load(Ordering::Relaxed),
                    fullest_percent: transform.tokenizer().map_or(0.0, Tokenizer::fullest_percent),
                }),
            })
            .collect()
    }

    /// Does one batch; `base` rows came before it.
    ///
    /// # Errors
    /// As [`super::treat`].
    pub async fn apply(&self, batch: &RecordBatch, base: u64) -> Result<RecordBatch> {
        if batch.num_columns() != self.input.fields().len() {
            return Err(Error::bug("a batch with another schema than the plan's"));
        }
        // Plaintexts by input place: on the way back a tweak column is revealed before what it tweaks.
        let mut plain: Vec<ArrayRef> = batch.columns().to_vec();
        let mut results: Vec<ArrayRef> = self
            .columns
            .iter()
            .map(|column| batch.column(column.input).clone())
            .collect();
        for at in &self.order {
            let column = &self.columns[*at];
            let Action::Transform { transform, tweak } = &column.action else {
                continue;
            };
            transform.key().check_hold()?;
            let task = Task::new(transform, self.direction, column.field.name()).after(base);
            let tweaks = tweak.map(|place| plain[place].clone());
            let array = batch.column(column.input);
            let done = treat(task, array, tweaks.as_ref()).await?;
            self.left_clear[*at].fetch_add(done.left.clear, Ordering::Relaxed);
            self.forgotten[*at].fetch_add(done.left.forgotten, Ordering::Relaxed);
            if self.direction == Direction::Decrypt {
                plain[column.input] = done.array.clone();
            }
            results[*at] = done.array;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.output), results, &options)
            .map_err(|error| nullability(&self.columns, error))
    }
}

/// An order of the columns in which every tweak comes before what it tweaks; there are no circles.
fn tweaks_first(columns: &[Column]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(columns.len());
    while order.len() < columns.len() {
        let before = order.len();
        for (at, column) in columns.iter().enumerate() {
            let waits = match &column.action {
                Action::Transform { tweak: Some(tweak), .. } => columns
                    .iter()
                    .position(|other| other.input == *tweak)
                    .is_some_and(|other| !order.contains(&other)),
                _ => false,
            };
            if !waits && !order.contains(&at) {
                order.push(at);
            }
        }
        if order.len() == before {
            // Circles are refused by `protect`, and in metadata. Only a policy that has one, with data that lost its metadata,
            // comes here; nothing of that can be compared, so any order is as good.
            order.extend((0..columns.len()).filter(|at| !order.contains(at)).collect::<Vec<_>>());
        }
    }
    order
}

/// `on_invalid = "null"` in a column that may not hold NULL.
fn nullability(columns: &[Column], error: arrow::error::ArrowError) -> Error {
    let strict: Vec<&str> = columns
        .iter()
        .filter(|column| !column.field.is_nullable())
        .map(|column| column.field.name().as_str())
        .collect();
    Error::bad_input("a result does not fit its column: on_invalid = \"null\" needs one that may hold NULL")
        .with_source(error)
        .with_hint(format!("columns that may not: {}", strict.join(", ")))
}
