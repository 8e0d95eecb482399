//! One column, in one or more chunks, under one rule.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use cipherform::cipher::Direction;
use cipherform::columns::{self, BatchPlan, METADATA_KEY, ProtectedColumn, RevealOptions, Task};
use cipherform::policy::RuleRef;
use cipherform::transform::{Transform, mask};
use cipherform::{Engine, Error, Result};

use crate::data::{Data, Given};

/// The name that messages use for a column without a name.
const NAMELESS: &str = "values";

/// A column, and with it the tweak of each row, if there are any.
pub(crate) struct Column {
    chunks: Vec<ArrayRef>,
    field: FieldRef,
    /// The name that messages use.
    name: String,
    tweaks: Option<Vec<ArrayRef>>,
}

/// A column done.
pub(crate) struct Done {
    pub(crate) chunks: Vec<ArrayRef>,
    pub(crate) field: Field,
    /// Values left in the clear, as the rule says.
    pub(crate) kept_clear: usize,
}

/// Tweaks as they were given: one a row, or one for all.
pub(crate) enum GivenTweak {
    Array(Given),
    Text(String),
}

impl GivenTweak {
    fn read(self, rows: usize) -> Result<ArrayRef> {
        let given = match self {
            // One row each, so that one tweak and a column of tweaks go the same way.
            Self::Text(text) => return Ok(Arc::new(std::iter::repeat_n(Some(text), rows).collect::<StringArray>())),
            Self::Array(given) => given,
        };
        let array = match given.read()? {
            Data::Array(array, _) => array,
            // `concat` refuses an empty list, and an empty column is no mistake.
            Data::Chunked(chunks, field) if chunks.is_empty() => arrow::array::new_empty_array(field.data_type()),
            Data::Chunked(chunks, _) => {
                let chunks: Vec<&dyn Array> = chunks.iter().map(AsRef::as_ref).collect();
                concat(&chunks).map_err(|error| Error::bad_input("the tweaks cannot be read").with_source(error))?
            }
            Data::Table(..) => return Err(Error::bad_input("the tweak is one column, not a table")),
        };
        // A tweak too few or too many would shift all that follow: never cut, never filled up.
        if array.len() == rows {
            Ok(array)
        } else {
            Err(Error::bad_input(format!("{} tweaks for {rows} rows", array.len())))
        }
    }
}

impl Column {
    pub(crate) fn try_new(chunks: Vec<ArrayRef>, field: FieldRef, tweak: Option<GivenTweak>) -> Result<Self> {
        let tweaks = match tweak {
            None => None,
            Some(tweak) => {
                let tweaks = tweak.read(chunks.iter().map(|chunk| chunk.len()).sum())?;
                let mut start = 0;
                // Tweaks may come in other chunks than values; here each chunk gets its own slice.
                let slices = chunks.iter().map(|chunk| {
                    start += chunk.len();
                    tweaks.slice(start - chunk.len(), chunk.len())
                });
                Some(slices.collect())
            }
        };
        // A bare array has no name, and a message needs one.
        let name = match field.name().as_str() {
            "" => NAMELESS.to_owned(),
            name => name.to_owned(),
        };
        Ok(Self {
            chunks,
            field,
            name,
            tweaks,
        })
    }

    /// Protects it; the field of the result says how.
    pub(crate) async fn protect(&self, engine: &Engine, rule: &str) -> Result<Done> {
        // As for tables: metadata has room for one rule.
        if ProtectedColumn::read(&self.field)?.is_some() {
            return Err(Error::bad_input(format!("column `{}` is protected already", self.name))
                .with_hint("reveal it first; protecting twice would make it unreadable by its own metadata"));
        }
        let transform = engine.resolve(&rule.parse()?, Direction::Encrypt).await?;
        // Before anything is treated: a tweak that the rule does not take would be ignored silently.
        self.check_tweak(&transform)?;
        let mut done = self.apply(&transform, Direction::Encrypt).await?;
        let described = serde_json::to_string(&ProtectedColumn::of(&transform))
            .map_err(|error| Error::bug("metadata cannot be written").with_source(error))?;
        let mut metadata = done.field.metadata().clone();
        // The result describes itself, so that it can be revealed without being told how.
        metadata.insert(METADATA_KEY.to_owned(), described);
        done.field.set_metadata(metadata);
        Ok(done)
    }

    /// Reveals it: as its metadata says, else under `rule`.
    pub(crate) async fn reveal(&self, engine: &Engine, rule: Option<&str>) -> Result<Done> {
        let rule: Option<RuleRef> = rule.map(str::parse).transpose()?;
        // Metadata goes before the argument: it cannot be mistaken, a person can.
        match (ProtectedColumn::read(&self.field)?, rule) {
            (Some(described), rule) => {
                // Named as well, the two must agree.
                check_rule(&self.name, &described, rule.as_ref())?;
                self.reveal_described(engine, &described).await
            }
            (None, Some(rule)) => {
                let transform = engine.resolve(&rule, Direction::Decrypt).await?;
                self.check_tweak(&transform)?;
                self.apply(&transform, Direction::Decrypt).await
            }
            (None, None) => Err(Error::bad_input("the array does not say how it was protected")
                .with_hint("name the rule: reveal(array, \"card\"), or \"card@2\" for version 2 of its key")),
        }
    }

    /// The FPE underneath a rule, with the tweak given in place of the rule's.
    pub(crate) async fn crypt(&self, engine: &Engine, rule: &str, direction: Direction) -> Result<Done> {
        let transform = engine.resolve(&rule.parse()?, direction).await?;
        // The exact tools are for encryption; tokens have tools of their own.
        if transform.tokenizer().is_some() {
            return Err(
                Error::bad_policy(format!("rule `{rule}` tokenizes, which is not encryption"))
                    .with_hint("use tokenize and detokenize, or protect and reveal"),
            );
        }
        // A tweak of the caller's takes the place of the rule's, for data of other FF1 software.
        match self.tweaks {
            Some(_) => self.apply(&transform.with_tweak_argument()?, direction).await,
            None => self.apply(&transform, direction).await,
        }
    }

    /// The tokens of a rule that tokenizes.
    pub(crate) async fn tokens(&self, engine: &Engine, rule: &str, direction: Direction) -> Result<Done> {
        let transform = engine.resolve(&rule.parse()?, direction).await?;
        if transform.tokenizer().is_none() {
            return Err(Error::bad_policy(format!("rule `{rule}` does not tokenize"))
                .with_hint("use protect and reveal, or encrypt and decrypt"));
        }
        self.apply(&transform, direction).await
    }

    /// Replaces letters and digits, as the rule's mask says.
    pub(crate) fn mask(&self, engine: &Engine, rule: &str) -> Result<Done> {
        let rule: RuleRef = rule.parse()?;
        let rule = engine.policy().rule(&rule.rule)?;
        let data_type = self.field.data_type();
        let text = match data_type {
            DataType::Dictionary(_, values) => values.is_string(),
            other => other.is_string(),
        };
        if !text {
            return Err(Error::bad_input(format!("text can be masked, not {data_type}")));
        }
        let unfit = |error| Error::bad_input("the column cannot be masked").with_source(error);
        let masked = self.chunks.iter().map(|chunk| {
            // One code for all kinds of text; 64-bit offsets cannot overflow.
            let text = cast(chunk, &DataType::LargeUtf8).map_err(unfit)?;
            let values = text.as_string::<i64>().iter();
            let masked: arrow::array::LargeStringArray =
                values.map(|value| value.map(|value| mask(value, rule))).collect();
            cast(&masked, data_type).map_err(unfit)
        });
        let chunks = masked.collect::<Result<_>>()?;
        // A mask is no protection that could be revealed, so there is no metadata.
        Ok(self.done(chunks, 0))
    }

    /// Reveals it as part of a table of itself and its tweak, so that its metadata is compared with the policy as ever.
    async fn reveal_described(&self, engine: &Engine, described: &ProtectedColumn) -> Result<Done> {
        let tweak = described.tweak.strip_prefix("column:");
        let named = |name: &str| Arc::new(self.field.as_ref().clone().with_name(name));
        let mut fields = vec![named(&self.name)];
        match (&self.tweaks, tweak) {
            (Some(tweaks), Some(name)) => {
                let data_type = tweaks
                    .first()
                    .map_or(DataType::Utf8, |tweaks| tweaks.data_type().clone());
                // Two columns of one name: the first would be found as its own tweak.
                if self.name == name {
                    fields[0] = named(NAMELESS); // the tweak is found by its name
                }
                fields.push(Arc::new(Field::new(name, data_type, true)));
            }
            (Some(_), None) => return Err(takes_no_tweak(&described.rule)),
            (None, Some(_)) => return Err(needs_tweak(&described.rule)),
            (None, None) => {}
        }
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        // The plan of tables compares metadata, policy and key; a second way might forget one.
        let plan = BatchPlan::reveal(engine, "", &schema, RevealOptions::default()).await?;
        let mut chunks = Vec::with_capacity(self.chunks.len());
        let mut base = 0;
        for (at, chunk) in self.chunks.iter().enumerate() {
            let mut columns = vec![chunk.clone()];
            columns.extend(self.tweaks.as_ref().map(|tweaks| tweaks[at].clone()));
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns)
                .map_err(|error| Error::bad_input("the array does not fit its field").with_source(error))?;
            chunks.push(plan.apply(&batch, base).await?.column(0).clone());
            base += chunk.len() as u64;
        }
        // Summed over the plan's one column.
        let kept_clear = plan
            .summary()
            .iter()
            .map(|column| column.counts.outcome.kept_clear)
            .sum();
        Ok(self.done(chunks, kept_clear))
    }

    async fn apply(&self, transform: &Transform, direction: Direction) -> Result<Done> {
        let column = &self.name;
        columns::check_type(transform, column, self.field.data_type())?;
        let mut chunks = Vec::with_capacity(self.chunks.len());
        let (mut base, mut kept_clear) = (0, 0);
        for (at, chunk) in self.chunks.iter().enumerate() {
            // Rows count through all chunks, so that a message names the row of the whole.
            let task = Task::new(transform, direction, column).after(base);
            let done = columns::treat(task, chunk, self.tweaks.as_ref().map(|tweaks| &tweaks[at])).await?;
            base += chunk.len() as u64;
            kept_clear += done.outcome.kept_clear;
            chunks.push(done.array);
        }
        Ok(self.done(chunks, kept_clear))
    }

    /// The result, with the field as it was but for what cannot be true any more.
    fn done(&self, chunks: Vec<ArrayRef>, kept_clear: usize) -> Done {
        let mut metadata: HashMap<String, String> = self.field.metadata().clone();
        // What was true of the input is not true of the result.
        metadata.remove(METADATA_KEY);
        let nulls = chunks.iter().any(|chunk| chunk.is_nullable());
        let field = self.field.as_ref().clone().with_metadata(metadata);
        // A misfit may have become NULL in a column that had none.
        let nullable = field.is_nullable() || nulls;
        Done {
            chunks,
            field: field.with_dict_is_ordered(false).with_nullable(nullable),
            kept_clear,
        }
    }

    fn check_tweak(&self, transform: &Transform) -> Result<()> {
        let rule = &transform.rule().name;
        match (&self.tweaks, transform.tweak_column()) {
            (Some(_), None) => Err(takes_no_tweak(rule)),
            (None, Some(_)) => Err(needs_tweak(rule)),
            _ => Ok(()),
        }
    }
}

fn check_rule(column: &str, described: &ProtectedColumn, rule: Option<&RuleRef>) -> Result<()> {
    let Some(rule) = rule else { return Ok(()) };
    // The version is compared only where the caller names one.
    if rule.rule == described.rule && rule.version.is_none_or(|version| version == described.key_version) {
        return Ok(());
    }
    Err(Error::bad_input(format!(
        "column `{column}` says it was protected under `{}@{}`, not `{rule}`",
        described.rule, described.key_version
    ))
    .with_hint("leave the rule out"))
}

fn takes_no_tweak(rule: &str) -> Error {
    Error::bad_input(format!("rule `{rule}` takes no tweak from a column"))
        .with_hint("leave the tweak out; encrypt and decrypt take one of their own")
}

fn needs_tweak(rule: &str) -> Error {
    Error::bad_input(format!("rule `{rule}` takes its tweak from another column"))
        .with_hint("pass that column as tweak=, or give the whole table")
}
