//! A file made of another: what a rule is for is decoded, transformed and encoded anew, on all cores; everything else
//! is copied as it stands.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::{DataType, FieldRef};
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;
use tokio::runtime::Handle;

use super::chunk::SharedFile;
use super::commit::{OutputFile, cannot_write};
use super::copy::CopySource;
use super::encode::{Component, Target, damaged, interrupted};
use super::footer::{self, Footer, Touched};
use super::pipeline::{Pipeline, Progress};
use super::schema::{self, NewLeaf};
use super::source::{Source, caught};
use super::{int96, table_name};
use crate::cipher::Direction;
use crate::columns::{BatchPlan, ColumnSummary, LeafFate, RevealOptions};
use crate::transform::Engine;
use crate::{Error, ErrorKind, Result};

/// A file to protect or reveal, checked, not yet begun.
#[derive(Debug)]
pub struct Job {
    engine: Engine,
    source: Arc<Source>,
    file: SharedFile,
    /// Plans that each batch goes through, one after the other.
    plans: Vec<BatchPlan>,
    /// The new form of each leaf of the source.
    leaves: Vec<NewLeaf>,
    /// The leaves of the source that are made anew.
    made: Vec<bool>,
    schema: SchemaDescriptor,
    footer: Footer,
    what: &'static str,
}

/// The report of a job.
#[derive(Clone, Debug)]
pub struct Report {
    /// Rows written.
    pub rows: u64,
    /// The columns that were not just copied.
    pub columns: Vec<ColumnSummary>,
    /// Warnings: lines of the policy that name no column, periods of keys that end soon, compromised versions.
    pub due: Vec<String>,
    /// Notes for a person: entries of the footer that were left out or copied, leftovers that were removed.
    pub notes: Vec<String>,
}

/// The wish for a file: one of the three jobs.
enum Wanted<'a> {
    Protect { table: String },
    Reveal { table: String, options: RevealOptions },
    Reprotect { rules: &'a [(String, String)] },
}

impl Wanted<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Protect { .. } => "protect",
            Self::Reveal { .. } => "reveal",
            Self::Reprotect { .. } => "reprotect",
        }
    }

    async fn plans(&self, engine: &Engine, source: &Source) -> Result<Vec<BatchPlan>> {
        let schema = source.schema();
        match self {
            Self::Protect { table } => Ok(vec![BatchPlan::protect(engine, table, schema).await?]),
            Self::Reveal { table, options } => Ok(vec![BatchPlan::reveal(engine, table, schema, *options).await?]),
            Self::Reprotect { rules } => Ok(Vec::from(BatchPlan::reprotect(engine, schema, rules).await?)),
        }
    }
}

impl Job {
    /// Plans to protect the file at `source`, as table `table` or else as its stem.
    ///
    /// # Errors
    /// As [`Source::open`] and [`BatchPlan::protect`].
    pub async fn protect(engine: &Engine, source: &Path, table: Option<&str>) -> Result<Self> {
        let table = table.map_or_else(|| table_name(source), str::to_owned);
        Self::planned(engine, source, Wanted::Protect { table }).await
    }

    /// Plans to reveal the file at `source`.
    ///
    /// # Errors
    /// As [`Source::open`] and [`BatchPlan::reveal`].
    pub async fn reveal(engine: &Engine, source: &Path, table: Option<&str>, options: RevealOptions) -> Result<Self> {
        let table = table.map_or_else(|| table_name(source), str::to_owned);
        Self::planned(engine, source, Wanted::Reveal { table, options }).await
    }

    /// Plans to protect the protected file at `source` anew: with the current versions of the keys, under the same
    /// rules or, column by column, `rules`. What is revealed in between stays in memory.
    ///
    /// # Errors
    /// As [`Source::open`] and [`BatchPlan::reprotect`].
    pub async fn reprotect(engine: &Engine, source: &Path, rules: &[(String, String)]) -> Result<Self> {
        Self::planned(engine, source, Wanted::Reprotect { rules }).await
    }

    async fn planned(engine: &Engine, path: &Path, wanted: Wanted<'_>) -> Result<Self> {
        let in_file = |error: Error| error.context(format_args!("`{}`", path.display()));
        let mut source = Source::open(path)?;
        // Rules and keys are resolved here, before anything is written: a key that is missing costs no half-written
        // file.
        let mut planned = wanted.plans(engine, &source).await.map_err(in_file)?;
        let file = source.handle().and_then(|file| {
            SharedFile::new(file).map_err(|error| Error::io(format!("cannot read `{}`", path.display()), error))
        })?;
        // Which unit a column of INT96 needs is known once all its values were seen; only those of a rule are.
        let (leaves, _) = new_leaves(&source, &planned)?;
        let mut units = HashMap::new();
        for leaf in int96_leaves(&source, &leaves) {
            units.insert(leaf, int96::unit(&source, &file, source.parquet(), leaf)?);
        }
        if !units.is_empty() {
            source = Source::open_with(path, &|leaf| {
                Some(
                    units
                        .get(&leaf)
                        .cloned()
                        .unwrap_or((arrow::datatypes::TimeUnit::Microsecond, None)),
                )
            })?;
            planned = wanted.plans(engine, &source).await.map_err(in_file)?;
        }
        Self::new(engine, source, file, planned, wanted.name()).map_err(in_file)
    }

    fn new(
        engine: &Engine,
        source: Source,
        file: SharedFile,
        plans: Vec<BatchPlan>,
        what: &'static str,
    ) -> Result<Self> {
        let (leaves, made) = new_leaves(&source, &plans)?;
        let parquet = source.parquet();
        let schema = schema::with_leaves(parquet.file_metadata().schema_descr(), leaves.clone())
            .map_err(|error| Error::bug("a schema that cannot be written").with_source(error))?;
        let first = plans.first().ok_or_else(no_plan)?;
        let last = plans.last().ok_or_else(no_plan)?;
        let paths = crate::columns::leaf_paths(source.schema());
        let fields = made_fields(&plans);
        let dropped: Vec<bool> = first
            .leaf_fates()
            .iter()
            .map(|fate| *fate == LeafFate::Dropped)
            .collect();
        let touched = touched(&source, first, &fields, &dropped);
        let touches_times = fields
            .iter()
            .zip(first.leaf_types())
            .any(|(field, before)| field.is_some() && is_time(&before));
        let widths: Vec<usize> = first.leaf_types().iter().map(schema::parquet_leaves).collect();
        // Dictionaries are of one leaf, so the first of those that an Arrow leaf has is the only one.
        let distinct = |at: usize| source.most_distinct(&file, widths[..at].iter().sum());
        let footer = footer::footer(
            parquet,
            last.output(),
            &|schema| footer::with_made(schema, &paths, &fields, &dropped, &distinct),
            &touched,
            touches_times,
        )?;
        Ok(Self {
            engine: engine.clone(),
            source: Arc::new(source),
            file,
            plans,
            leaves,
            made,
            schema,
            footer,
            what,
        })
    }

    fn last(&self) -> Result<&BatchPlan> {
        self.plans.last().ok_or_else(no_plan)
    }

    /// Does the job: writes `target`, replacing one that is there only if `replace` says so. `progress` is told after
    /// each batch; when `cancel` turns true the job ends, and leaves nothing behind. Needs a Tokio runtime, on whose
    /// threads for blocking work it computes.
    ///
    /// # Errors
    /// A row that does not fit, a damaged page, a full or read-only target; `target` is then as it was.
    pub async fn run(
        &self,
        target: &Path,
        replace: bool,
        cancel: &AtomicBool,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Report> {
        self.check_target(target)?;
        let done = self.rewrite(target, replace, cancel, progress).await;
        // What was worked on counts, whether it came to an end or not. The file is there only once that is written
        // down.
        let ended = if done.is_ok() { "" } else { ", which failed" };
        let audited = self
            .engine
            .audit_usage(&format!("{} {}{ended}", self.what, self.source.path.display()));
        // The reason of a failure comes first.
        let (aside, report) = done?;
        audited?;
        // A protected file may be read by whoever might read the plain one; a revealed one by its owner alone.
        aside.commit(match self.last()?.direction() {
            Direction::Encrypt => {
                let metadata = self.source.file.metadata();
                Some(metadata.map_err(|error| cannot_write(target, error))?.permissions())
            }
            Direction::Decrypt => None,
        })?;
        Ok(report)
    }

    /// Reads everything and writes nothing: says what would become of the values of each column, and why some do not
    /// fit. `progress` is told after each batch; when `cancel` turns true the work ends. Needs a Tokio runtime, as
    /// [`run`](Self::run) does.
    ///
    /// # Errors
    /// A damaged page. Values that do not fit are counted, whatever their rule says; no use of a key is.
    pub async fn examine(&self, cancel: &AtomicBool, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<Report> {
        let components = self.components(Path::new(""), &Arc::new(self.properties()))?;
        let mut work = Pipeline::new(
            components,
            &self.source,
            |component, row_group, base, stop, progress| component.examine(row_group, base, stop, progress),
        );
        for number in 0..self.source.row_groups() {
            work.row_group(number, cancel, progress).await?;
        }
        Ok(Report {
            rows: self.source.rows(),
            columns: self.summary(&work.components),
            due: self.plans.iter().flat_map(BatchPlan::due).collect(),
            notes: self.notes().collect(),
        })
    }

    /// Refuses to write over the source: what is read would be gone before it was written.
    fn check_target(&self, target: &Path) -> Result<()> {
        let same = |one: &Path, two: &Path| Some(one.canonicalize().ok()? == two.canonicalize().ok()?);
        if same(&self.source.path, target) == Some(true) {
            return Err(Error::bad_input(format!("`{}` is source and target", target.display()))
                .with_hint("write another file, and put it in the place of the source once it is there"));
        }
        Ok(())
    }

    async fn rewrite(
        &self,
        target: &Path,
        replace: bool,
        cancel: &AtomicBool,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(OutputFile, Report)> {
        let aside = OutputFile::create(target, replace)?;
        let failed = |error: ParquetError| write_error(target, error);
        let properties = Arc::new(self.properties());
        let components = self.components(target, &properties)?;
        let mut work = Pipeline::new(
            components,
            &self.source,
            |component, row_group, base, stop, progress| {
                component.encode(row_group, base, &Handle::current(), stop, progress)
            },
        );
        let buffered = BufWriter::with_capacity(1 << 20, aside.file());
        let mut writer =
            SerializedFileWriter::new(buffered, self.schema.root_schema_ptr(), properties).map_err(failed)?;
        let leaves =
            (0..self.leaves.len()).filter(|at| !self.made[*at] && !matches!(self.leaves[*at], NewLeaf::Dropped));
        let copied = CopySource::new(self.file.clone(), self.source.parquet(), &leaves.collect::<Vec<_>>());
        let mut rows = 0;
        for number in 0..self.source.row_groups() {
            let made = work.row_group(number, cancel, progress).await?;
            let mut made: BTreeMap<_, _> = made.into_iter().flatten().collect();
            let mut group = writer.next_row_group().map_err(failed)?;
            for (leaf, new) in self.leaves.iter().enumerate() {
                if cancel.load(Ordering::Relaxed) {
                    return Err(interrupted());
                }
                match (new, made.remove(&leaf)) {
                    (NewLeaf::Dropped, _) => {}
                    (_, Some(mut chunk)) => {
                        if !copied.is_indexed() {
                            let close = chunk.close_mut();
                            (close.column_index, close.offset_index) = (None, None);
                        }
                        chunk.append_to_row_group(&mut group).map_err(failed)?;
                    }
                    (_, None) if self.made[leaf] => return Err(Error::bug("a column that nobody made")),
                    (_, None) => caught(|| copied.copy(number, leaf, &mut group)).map_err(|error| {
                        if is_of_target(&error) {
                            failed(error)
                        } else {
                            damaged(&self.source, number, &[leaf], error)
                        }
                    })?,
                }
            }
            let written = group.close().map_err(failed)?.num_rows();
            rows += u64::try_from(written).unwrap_or_default();
        }
        // Writes the footer. An error here, such as a full disk, must not be lost in a drop.
        let buffered = writer.into_inner().map_err(failed)?;
        buffered
            .into_inner()
            .map_err(|error| cannot_write(target, error.into_error()))?;
        if rows != self.source.rows() {
            return Err(Error::bug("a file with other rows than its source"));
        }
        let swept = aside.swept().iter();
        let swept = swept.map(|name| format!("removed `{name}`, which a run that was killed had left"));
        let report = Report {
            rows,
            columns: self.summary(&work.components),
            due: self.plans.iter().flat_map(BatchPlan::due).collect(),
            notes: self.notes().chain(swept).collect(),
        };
        Ok((aside, report))
    }

    /// The parts of the work that know nothing of each other.
    fn components(&self, target: &Path, properties: &Arc<WriterProperties>) -> Result<Vec<Component>> {
        let first = self.plans.first().ok_or_else(no_plan)?;
        let count = first.leaf_types().len();
        let mut parts: Vec<BTreeSet<usize>> = Vec::new();
        for needs in self.plans.iter().flat_map(BatchPlan::needs) {
            let mut part: BTreeSet<usize> = needs.into_iter().collect();
            // Whatever shares a leaf is one part.
            parts.retain(|other| {
                let shares = !other.is_disjoint(&part);
                if shares {
                    part.extend(other);
                }
                !shares
            });
            parts.push(part);
        }
        let folder = target.parent().filter(|folder| *folder != Path::new(""));
        let target = Target {
            leaves: &self.leaves,
            properties,
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
        };
        parts
            .iter()
            .map(|part| {
                let kept: Vec<bool> = (0..count).map(|leaf| part.contains(&leaf)).collect();
                Component::new(&self.source, &self.file, &self.plans, &kept, target.clone())
            })
            .collect()
    }

    fn notes(&self) -> impl Iterator<Item = String> {
        let of_plans = self.plans.iter().flat_map(BatchPlan::notes);
        of_plans.chain(self.footer.notes.iter().cloned())
    }

    /// Summarizes the work, in the order of the columns.
    fn summary(&self, components: &[Arc<Component>]) -> Vec<ColumnSummary> {
        let order: Vec<String> = match self.plans.last() {
            Some(last) => last.summary().into_iter().map(|column| column.column).collect(),
            None => Vec::new(),
        };
        let done = components.iter().filter_map(|component| component.plans().last());
        let mut columns: Vec<ColumnSummary> = done.flat_map(BatchPlan::summary).collect();
        columns.sort_by_key(|column| order.iter().position(|name| *name == column.column));
        columns
    }

    /// The source's compression, bloom filters and metadata.
    fn properties(&self) -> WriterProperties {
        let parquet = self.source.parquet();
        let entries = self.footer.entries.iter();
        let entries = entries
            .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
            .collect();
        // Readers know the faults of programs by their names, and columns that are copied still have them.
        let writer = parquet.file_metadata().created_by().filter(|name| !name.is_empty());
        let writer = writer.unwrap_or(concat!("cipherform ", env!("CARGO_PKG_VERSION")));
        let mut properties = WriterProperties::builder()
            .set_created_by(writer.to_owned())
            // The writer must not cut by itself: groups of the source would come out in other sizes.
            .set_max_row_group_row_count(None)
            .set_sorting_columns(footer::sorting_columns(parquet, &self.leaves, &self.made))
            .set_key_value_metadata(Some(entries));
        let protects = self.last().is_ok_and(|plan| plan.direction() == Direction::Encrypt);
        for (leaf, made) in self.made.iter().enumerate().filter(|(_, made)| **made) {
            let Some(column) = parquet.row_groups().first().map(|group| group.column(leaf)) else {
                break;
            };
            debug_assert!(made);
            let path = column.column_path().clone();
            properties = properties.set_column_compression(path.clone(), column.compression());
            // Filled anew, from what is written: the source's would tell which plain values there were. Protected
            // columns have one in any case, since whoever looks for a value looks for a ciphertext, of which no order
            // helps.
            let wanted = protects || column.bloom_filter_offset().is_some();
            let can = column.column_descr().physical_type() != PhysicalType::BOOLEAN;
            properties = properties.set_column_bloom_filter_enabled(path, wanted && can);
        }
        properties.build()
    }
}

fn no_plan() -> Error {
    Error::bug("a job without a plan")
}

/// The fields that are made anew, by leaf: those of the last plan that makes one.
fn made_fields(plans: &[BatchPlan]) -> Vec<Option<FieldRef>> {
    let mut fields: Vec<Option<FieldRef>> = plans.first().map(BatchPlan::made).unwrap_or_default();
    for plan in plans.iter().skip(1) {
        for (field, made) in fields.iter_mut().zip(plan.made()) {
            *field = made.or(field.take());
        }
    }
    fields
}

/// The new form of each Parquet leaf, and whether it is made anew.
fn new_leaves(source: &Source, plans: &[BatchPlan]) -> Result<(Vec<NewLeaf>, Vec<bool>)> {
    let first = plans.first().ok_or_else(no_plan)?;
    let schema = source.parquet().file_metadata().schema_descr();
    let fields = made_fields(plans);
    let (mut leaves, mut made) = (Vec::new(), Vec::new());
    for ((fate, before), field) in first.leaf_fates().into_iter().zip(first.leaf_types()).zip(&fields) {
        for _ in 0..schema::parquet_leaves(&before) {
            leaves.push(match (fate, field) {
                (LeafFate::Dropped, _) => NewLeaf::Dropped,
                (_, Some(field)) => schema::new_leaf(&schema.column(leaves.len()), &before, field.data_type())
                    .map_err(|error| {
                        Error::bad_input(format!("Parquet has no type for column `{}`", field.name()))
                            .with_source(error)
                    })?,
                (_, None) => NewLeaf::Same,
            });
            made.push(field.is_some());
        }
    }
    if leaves.len() != schema.num_columns() {
        return Err(Error::bug("a schema with other columns than its file"));
    }
    Ok((leaves, made))
}

/// The leaves of INT96 that are made anew.
fn int96_leaves(source: &Source, leaves: &[NewLeaf]) -> Vec<usize> {
    let schema = source.parquet().file_metadata().schema_descr();
    let is_int96 = |at: &usize| schema.column(*at).physical_type() == PhysicalType::INT96;
    let made = (0..leaves.len()).filter(|at| matches!(leaves[*at], NewLeaf::Typed(_)));
    made.filter(is_int96).collect()
}

fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

/// The whole columns that are touched.
fn touched(source: &Source, plan: &BatchPlan, fields: &[Option<FieldRef>], dropped: &[bool]) -> Touched {
    let mut touched = Touched {
        made: BTreeSet::new(),
        dropped: BTreeSet::new(),
    };
    let schema = source.schema();
    for (leaf, column) in plan.leaf_columns().into_iter().enumerate() {
        let name = schema.field(column).name().clone();
        if fields[leaf].is_some() {
            touched.made.insert(name);
        } else if dropped[leaf] {
            touched.dropped.insert(name);
        }
    }
    touched
}

/// Is it a full disk or the like, rather than a page that cannot be read?
fn is_of_target(error: &ParquetError) -> bool {
    let ParquetError::External(cause) = error else {
        return false;
    };
    let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    kind.is_some_and(|kind| !matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof))
}

/// A full disk comes wrapped in the Parquet writer's error.
fn write_error(target: &Path, error: ParquetError) -> Error {
    let error = match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => return cannot_write(target, *error),
            Err(cause) => ParquetError::External(cause),
        },
        error => error,
    };
    Error::new(ErrorKind::Io, format!("cannot write `{}`", target.display())).with_source(error)
}
