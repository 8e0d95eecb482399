//! Whole record batches.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{Schema, SchemaRef};

use super::array::treat;
use super::nested::{self, Fate, Leaf, Shape, Step, Values};
use super::task::Task;
use crate::cipher::Direction;
use crate::transform::Transform;
use crate::{Error, Result};

/// The work on each column of a schema, checked as far as it can be without the rows.
#[derive(Debug)]
pub struct BatchPlan {
    direction: Direction,
    input: SchemaRef,
    output: SchemaRef,
    /// The source of each column of the output: the number of a column in the input, and its new shape.
    columns: Vec<(usize, Shape)>,
    works: Vec<Work>,
    /// The places in `works`, in an order in which every tweak comes before what it tweaks.
    order: Vec<usize>,
}

/// A transform of one leaf.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) leaf: Leaf,
    pub(super) transform: Arc<Transform>,
    pub(super) tweak: Option<TweakLeaf>,
    kept_clear: AtomicUsize,
    forgotten: AtomicUsize,
}

/// The source of a tweak: a leaf's column, and the steps to it.
#[derive(Debug)]
pub(super) struct TweakLeaf {
    pub(super) column: usize,
    pub(super) steps: Vec<Step>,
}

impl Work {
    pub(super) fn new(leaf: Leaf, transform: Arc<Transform>, tweak: Option<TweakLeaf>) -> Self {
        Self {
            leaf,
            transform,
            tweak,
            kept_clear: AtomicUsize::new(0),
            forgotten: AtomicUsize::new(0),
        }
    }

    /// Does its tweak come from what `other` works on?
    // By column and steps, not by name: two columns may have one name.
    fn waits_for(&self, other: &Self) -> bool {
        self.tweak
            .as_ref()
            .is_some_and(|tweak| (tweak.column, &tweak.steps) == (other.leaf.column, &other.leaf.steps))
    }
}

/// A plan's work on one column.
#[derive(Clone, Debug)]
pub struct ColumnSummary {
    /// The column.
    pub column: String,
    /// The rule.
    pub rule: String,
    /// The data key and version: `pii@2`.
    pub key: String,
    /// Values left in the clear so far, by `on_invalid = "insecure-keep"`.
    pub kept_clear: usize,
    /// Tokens so far whose value was deleted, or has expired.
    pub forgotten: usize,
}

impl BatchPlan {
    /// `fates` has, leaf by leaf, what becomes of each.
    pub(super) fn new(direction: Direction, input: &SchemaRef, fates: Vec<Fate>, works: Vec<Work>) -> Self {
        let mut fates = fates.into_iter();
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (at, field) in input.fields().iter().enumerate() {
            // A column whose leaves are all dropped is gone, with its field.
            if let Some((field, shape)) = nested::shaped(field, &mut fates) {
                fields.push(field);
                columns.push((at, shape));
            }
        }
        Self {
            direction,
            input: Arc::clone(input),
            // The schema's own metadata is copied; what a column says of itself stands in its field.
            output: Arc::new(Schema::new_with_metadata(fields, input.metadata().clone())),
            columns,
            order: tweaks_first(&works),
            works,
        }
    }

    /// Protect or reveal.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The schema of batches before [`BatchPlan::apply`].
    #[cfg(feature = "sql")]
    pub(crate) fn input(&self) -> &SchemaRef {
        &self.input
    }

    /// Narrows the plan to the first column and those that it takes tweaks from, and returns their names.
    #[cfg(feature = "sql")]
    pub(crate) fn narrowed(mut self) -> (Self, Vec<String>) {
        // Column 0 stays although no work may be left for it, as it is the one that is asked for.
        let mut needed = vec![0];
        for work in &self.works {
            needed.push(work.leaf.column);
            needed.extend(work.tweak.as_ref().map(|tweak| tweak.column));
        }
        needed.sort_unstable();
        needed.dedup();
        // `needed` is sorted, so a binary search gives the new place; every column of a work is in it.
        let place = |column: usize| needed.binary_search(&column).unwrap_or_default();
        for work in &mut self.works {
            work.leaf.column = place(work.leaf.column);
            if let Some(tweak) = &mut work.tweak {
                tweak.column = place(tweak.column);
            }
        }
        // The others are read for their tweaks alone, and are no results.
        self.columns.truncate(1);
        let fields: Vec<_> = needed.iter().map(|at| Arc::clone(&self.input.fields()[*at])).collect();
        let names = fields.iter().map(|field| field.name().clone()).collect();
        self.input = Arc::new(Schema::new(fields));
        self.output = Arc::new(Schema::new(vec![Arc::clone(&self.output.fields()[0])]));
        (self, names)
    }

    /// Tells whether the plan has to wait for a token store.
    #[cfg(feature = "sql")]
    pub(crate) fn asks_a_store(&self) -> bool {
        self.works.iter().any(|work| work.transform.tokenizer().is_some())
    }

    /// The schema of batches after [`BatchPlan::apply`].
    pub fn output(&self) -> &SchemaRef {
        &self.output
    }

    /// Summarizes the work, column by column, and field by field within nested columns.
    pub fn summary(&self) -> Vec<ColumnSummary> {
        let summary = |work: &Work| ColumnSummary {
            column: work.leaf.path().to_owned(),
            rule: work.transform.rule().name.clone(),
            key: format!("{}@{}", work.transform.key().name(), work.transform.key().version()),
            // Relaxed is enough: counters are read after the work, and order nothing else.
            kept_clear: work.kept_clear.load(Ordering::Relaxed),
            forgotten: work.forgotten.load(Ordering::Relaxed),
        };
        self.works.iter().map(summary).collect()
    }

    /// Warnings about the keys that it uses and the tokens that it has minted, each once.
    pub fn due(&self) -> Vec<String> {
        // A set, as several columns may be under one key.
        let due: BTreeSet<String> = self.works.iter().flat_map(|work| work.transform.warnings()).collect();
        due.into_iter().collect()
    }

    /// Does one batch; `base` rows came before it.
    ///
    /// # Errors
    /// As [`super::treat`].
    pub async fn apply(&self, batch: &RecordBatch, base: u64) -> Result<RecordBatch> {
        // A plan is made for a schema, and reads columns by number: another schema would treat the wrong ones.
        if batch.num_columns() != self.input.fields().len() {
            return Err(Error::bug("a batch with another schema than the plan's"));
        }
        // Results stay by number of work and not in order of treatment, since the shapes refer to them so.
        let mut results: Vec<Option<ArrayRef>> = vec![None; self.works.len()];
        for at in &self.order {
            let work = &self.works[*at];
            // For each batch: a lease may end while a large file is being read.
            work.transform.key().check_lease()?;
            // In lists there are more or fewer values than rows; `rows` says whose each one is.
            let Values { array, rows } = nested::values(batch.column(work.leaf.column), &work.leaf.steps)?;
            let tweaks = self.tweaks(work, batch, &results, rows.as_deref())?;
            let task = Task::new(&work.transform, self.direction, work.leaf.path()).after(base);
            let task = match &rows {
                Some(rows) => task.with_rows(rows),
                None => task,
            };
            let done = treat(task, &array, tweaks.as_ref()).await?;
            work.kept_clear.fetch_add(done.outcome.kept_clear, Ordering::Relaxed);
            work.forgotten.fetch_add(done.outcome.forgotten, Ordering::Relaxed);
            results[*at] = Some(done.array);
        }
        // `order` has every work once, so no result is missing and numbers stay right.
        let results: Vec<ArrayRef> = results.into_iter().flatten().collect();
        let columns = self.columns.iter().zip(self.output.fields());
        let columns = columns.map(|((at, shape), field)| nested::rebuilt(batch.column(*at), field, shape, &results));
        let columns = columns.collect::<Result<_>>()?;
        // A batch without columns still has rows: every column may have been dropped.
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.output), columns, &options)
            .map_err(|error| nullability(&self.output, error))
    }

    /// The tweaks of a work's values, in plaintext: on the way back a tweak column is revealed before what it tweaks.
    fn tweaks(
        &self,
        work: &Work,
        batch: &RecordBatch,
        results: &[Option<ArrayRef>],
        rows: Option<&[usize]>,
    ) -> Result<Option<ArrayRef>> {
        let Some(tweak) = &work.tweak else { return Ok(None) };
        // To protect, the plaintext is the batch itself. To reveal, it is what the other work has just made.
        let revealed = match self.direction {
            Direction::Encrypt => None,
            Direction::Decrypt => self
                .works
                .iter()
                .position(|other| work.waits_for(other))
                .and_then(|at| results[at].clone()),
        };
        let tweaks = match revealed {
            Some(revealed) => revealed,
            // A tweak column that is not protected stands in the clear in the batch.
            None => nested::values(batch.column(tweak.column), &tweak.steps)?.array,
        };
        match rows {
            None => Ok(Some(tweaks)),
            Some(rows) => {
                // One tweak for each value of a list: that of the row which the list belongs to.
                let rows: UInt64Array = rows.iter().map(|row| *row as u64).collect();
                let tweaks = take(&tweaks, &rows, None);
                Ok(Some(
                    tweaks.map_err(|error| Error::bug("a row of no tweak").with_source(error))?,
                ))
            }
        }
    }
}

/// An order in which every tweak comes before what it tweaks; there are no circles.
fn tweaks_first(works: &[Work]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(works.len());
    // Each pass takes all whose tweak is there, so it ends after as many passes as the longest chain.
    while order.len() < works.len() {
        let before = order.len();
        for (at, work) in works.iter().enumerate() {
            let waits = works
                .iter()
                // Waits for nothing if its tweak is no work of this plan.
                .position(|other| work.waits_for(other))
                .is_some_and(|other| !order.contains(&other));
            if !waits && !order.contains(&at) {
                order.push(at);
            }
        }
        if order.len() == before {
            // Circles are refused by `protect`, and in metadata. Only a policy that has one, with data that lost its
            // metadata, comes here; nothing of that can be compared, so any order is as good.
            order.extend((0..works.len()).filter(|at| !order.contains(at)).collect::<Vec<_>>());
        }
    }
    order
}

/// `on_invalid = "null"` in a column that may not hold NULL.
fn nullability(schema: &Schema, error: arrow::error::ArrowError) -> Error {
    // The cause names a column but not why it got NULLs; the columns that could be meant are few.
    let strict = schema.fields().iter().filter(|field| !field.is_nullable());
    let strict: Vec<&str> = strict.map(|field| field.name().as_str()).collect();
    Error::bad_input("a result does not fit its column: on_invalid = \"null\" needs one that may hold NULL")
        .with_source(error)
        .with_hint(format!("columns that may not: {}", strict.join(", ")))
}
