//! Whole record batches.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};

use super::array::treat;
use super::counts::ValueCounts;
use super::examine::{MisfitReasons, examine};
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
    /// The fate of each leaf of the input.
    fates: Vec<Fate>,
    /// The places in `works`, in an order in which every tweak comes before what it tweaks.
    order: Vec<usize>,
    /// Lines of the policy that name no column, and whether that looks like a mistake.
    idle: Vec<(String, bool)>,
}

/// A transform of one leaf.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) leaf: Leaf,
    pub(super) transform: Arc<Transform>,
    pub(super) tweak: Option<TweakLeaf>,
    found: Mutex<Found>,
}

/// The findings of a work so far.
#[derive(Clone, Debug, Default)]
struct Found {
    counts: ValueCounts,
    misfits: MisfitReasons,
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
            found: Mutex::default(),
        }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does its tweak come from what `other` works on?
    // By column and steps, not by name: two columns may have one name.
    fn waits_for(&self, other: &Self) -> bool {
        self.tweak
            .as_ref()
            .is_some_and(|tweak| (tweak.column, &tweak.steps) == (other.leaf.column, &other.leaf.steps))
    }
}

/// The fate of a leaf.
#[cfg(feature = "files")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LeafFate {
    /// It stays as it is.
    Kept,
    /// It is not in the output.
    Dropped,
    /// A transform makes it anew.
    Made,
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
    /// The counts of its values so far, by what became of them.
    pub counts: ValueCounts,
    /// Why values do not fit, as far as they were [examined](BatchPlan::examine).
    pub misfits: MisfitReasons,
}

impl BatchPlan {
    /// `fates` has, leaf by leaf, what becomes of each.
    pub(super) fn new(direction: Direction, input: &SchemaRef, fates: Vec<Fate>, works: Vec<Work>) -> Self {
        let mut each = fates.iter().cloned();
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (at, field) in input.fields().iter().enumerate() {
            // A column whose leaves are all dropped is gone, with its field.
            if let Some((field, shape)) = nested::shaped(field, &mut each) {
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
            fates,
            idle: Vec::new(),
        }
    }

    /// Adds lines of the policy that name no column, and whether that looks like a mistake.
    pub(super) fn with_idle_lines(self, idle: Vec<(String, bool)>) -> Self {
        Self { idle, ..self }
    }

    /// Notes for a person: lines of the policy that name no column.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.idle
            .iter()
            .filter(|(_, is_near)| !is_near)
            .map(|(text, _)| text.clone())
    }

    /// Protect or reveal.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The schema of batches before [`BatchPlan::apply`].
    #[cfg(feature = "files")]
    pub(crate) fn input(&self) -> &SchemaRef {
        &self.input
    }

    /// Tells what becomes of each leaf of the input.
    #[cfg(feature = "files")]
    pub(crate) fn leaf_fates(&self) -> Vec<LeafFate> {
        let fate = |fate: &Fate| match fate {
            None => LeafFate::Dropped,
            Some((_, None)) => LeafFate::Kept,
            Some((_, Some(_))) => LeafFate::Made,
        };
        self.fates.iter().map(fate).collect()
    }

    /// The types of the leaves of the input.
    #[cfg(feature = "files")]
    pub(crate) fn leaf_types(&self) -> Vec<DataType> {
        let leaves = nested::leaves(&self.input).into_iter();
        leaves.map(|leaf| leaf.field.data_type().clone()).collect()
    }

    /// The number of the column that each leaf of the input is in.
    #[cfg(feature = "files")]
    pub(crate) fn leaf_columns(&self) -> Vec<usize> {
        nested::leaves(&self.input).iter().map(|leaf| leaf.column).collect()
    }

    /// The fields that a transform makes anew, each in the place of its leaf of the input.
    #[cfg(feature = "files")]
    pub(crate) fn made(&self) -> Vec<Option<FieldRef>> {
        let made = |fate: &Fate| match fate {
            Some((field, Some(_))) => Some(Arc::clone(field)),
            _ => None,
        };
        self.fates.iter().map(made).collect()
    }

    /// The leaves that each work needs: its own, and that of its tweak.
    #[cfg(feature = "files")]
    pub(crate) fn needs(&self) -> Vec<Vec<usize>> {
        let leaves = nested::leaves(&self.input);
        let place = |column: usize, steps: &[Step]| {
            leaves
                .iter()
                .position(|leaf| leaf.column == column && leaf.steps == steps)
        };
        let needs = |work: &Work| {
            let tweak = work.tweak.as_ref().and_then(|tweak| place(tweak.column, &tweak.steps));
            place(work.leaf.column, &work.leaf.steps)
                .into_iter()
                .chain(tweak)
                .collect()
        };
        self.works.iter().map(needs).collect()
    }

    /// Narrows the work to batches that have these leaves alone.
    #[cfg(feature = "files")]
    pub(crate) fn narrowed_to(&self, kept: &[bool]) -> Self {
        let all = nested::leaves(&self.input);
        let mut keep = |at: usize, field: &FieldRef| kept[at].then(|| Arc::clone(field));
        let input = Arc::new(nested::with_leaves(&self.input, &mut keep));
        let mut new = nested::leaves(&input).into_iter();
        let narrowed: Vec<Option<Leaf>> = kept.iter().map(|kept| kept.then(|| new.next()).flatten()).collect();
        let place = |column: usize, steps: &[Step]| {
            let at = all
                .iter()
                .position(|leaf| leaf.column == column && leaf.steps == steps)?;
            narrowed[at].clone()
        };
        // Works lose numbers with the leaves that are gone, and fates name works by number.
        let mut numbers = vec![None; self.works.len()];
        let mut works = Vec::new();
        for (at, work) in self.works.iter().enumerate() {
            let Some(leaf) = place(work.leaf.column, &work.leaf.steps) else {
                continue;
            };
            let tweak = work.tweak.as_ref().and_then(|tweak| place(tweak.column, &tweak.steps));
            let tweak = tweak.map(|leaf| TweakLeaf {
                column: leaf.column,
                steps: leaf.steps,
            });
            numbers[at] = Some(works.len());
            works.push(Work::new(leaf, Arc::clone(&work.transform), tweak));
        }
        let fates = self.fates.iter().zip(kept).filter(|(_, kept)| **kept);
        let fates = fates.map(|(fate, _)| {
            let (field, work) = fate.as_ref()?;
            Some((Arc::clone(field), work.and_then(|work| numbers[work])))
        });
        Self::new(self.direction, &input, fates.collect(), works)
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
        let summary = |work: &Work| {
            let Found { counts, misfits } = work.found().clone();
            ColumnSummary {
                column: work.leaf.path().to_owned(),
                rule: work.transform.rule().name.clone(),
                key: format!("{}@{}", work.transform.key().name(), work.transform.key().version()),
                counts,
                misfits,
            }
        };
        self.works.iter().map(summary).collect()
    }

    /// Warnings about lines of the policy that name no column and look like a mistake, the keys that it uses and the
    /// tokens that it has minted, each once.
    pub fn due(&self) -> Vec<String> {
        // A set, as several columns may be under one key.
        let due: BTreeSet<String> = self.works.iter().flat_map(|work| work.transform.warnings()).collect();
        let near = self.idle.iter().filter(|(_, is_near)| *is_near);
        near.map(|(text, _)| text.clone()).chain(due).collect()
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
        let batch = &self.described(batch)?;
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
            let counts = ValueCounts::of(&array, work.transform.rule(), done.outcome)?;
            work.found().counts += counts;
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

    /// Counts what would become of the values of one batch, and why some do not fit; `base` rows came before it.
    /// Nothing is made of them, and no token is minted.
    ///
    /// # Errors
    /// As [`BatchPlan::apply`], but for values that do not fit.
    pub fn examine(&self, batch: &RecordBatch, base: u64) -> Result<()> {
        let batch = &self.described(batch)?;
        for work in &self.works {
            work.transform.key().check_lease()?;
            let Values { array, rows } = nested::values(batch.column(work.leaf.column), &work.leaf.steps)?;
            let tweaks = self.tweaks(work, batch, &[], rows.as_deref())?;
            let task = Task::new(&work.transform, self.direction, work.leaf.path()).after(base);
            let task = match &rows {
                Some(rows) => task.with_rows(rows),
                None => task,
            };
            let (counts, misfits) = examine(task, &array, tweaks.as_ref())?;
            let mut found = work.found();
            found.counts += counts;
            found.misfits.merge(misfits);
        }
        Ok(())
    }

    /// A copy of the plan that has found nothing so far.
    #[cfg(feature = "files")]
    pub(crate) fn afresh(&self) -> Self {
        self.narrowed_to(&vec![true; self.fates.len()])
    }

    /// Adds what `other`, which is this plan [afresh](Self::afresh), has found.
    #[cfg(feature = "files")]
    pub(crate) fn add(&self, other: &Self) {
        for (work, other) in self.works.iter().zip(&other.works) {
            let Found { counts, misfits } = other.found().clone();
            let mut found = work.found();
            found.counts += counts;
            found.misfits.merge(misfits);
        }
    }

    /// The batch with the fields of the plan's input, which may say more of themselves than those it was read with.
    fn described(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let fields = self.input.fields();
        let columns = batch.columns().iter().zip(fields);
        if columns
            .clone()
            .all(|(column, field)| column.data_type() == field.data_type())
        {
            return Ok(batch.clone());
        }
        let columns = columns.map(|(column, field)| cast(column, field.data_type()));
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        columns
            .collect::<Result<_, _>>()
            .and_then(|columns| RecordBatch::try_new_with_options(Arc::clone(&self.input), columns, &options))
            .map_err(|error| Error::bug("a batch with other types than the plan's").with_source(error))
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
