//! Jobs of an engine over Arrow data of any shape.

use cipherform::cipher::Direction;
use cipherform::{Engine, Error, Result};

use crate::column::{self, Column, GivenTweak};
use crate::data::Data;
use crate::whole;

/// The operation.
pub(crate) enum Act {
    Protect,
    Reveal,
    Crypt(Direction),
    Tokens(Direction),
    Mask,
}

/// The operation, and the caller's description of the data.
pub(crate) struct Job<'a> {
    pub(crate) act: Act,
    /// Of a column.
    pub(crate) rule: Option<&'a str>,
    /// The name of a table in the policy.
    pub(crate) table: Option<&'a str>,
    /// Of a table whose metadata was lost.
    pub(crate) key_version: Option<u32>,
}

impl<'a> Job<'a> {
    pub(crate) fn new(act: Act) -> Self {
        Self {
            act,
            rule: None,
            table: None,
            key_version: None,
        }
    }

    pub(crate) fn of(act: Act, rule: &'a str) -> Self {
        Self {
            rule: Some(rule),
            ..Self::new(act)
        }
    }

    /// The name of the job in the audit log.
    pub(crate) fn context(&self) -> &'static str {
        match self.act {
            Act::Protect => "Engine.protect",
            Act::Reveal => "Engine.reveal",
            Act::Crypt(Direction::Encrypt) => "Engine.encrypt",
            Act::Crypt(Direction::Decrypt) => "Engine.decrypt",
            Act::Tokens(Direction::Encrypt) => "Engine.tokenize",
            Act::Tokens(Direction::Decrypt) => "Engine.detokenize",
            Act::Mask => "Engine.mask",
        }
    }

    /// Does it: the result has the shape of `data`.
    pub(crate) async fn run(self, engine: &Engine, data: Data, tweak: Option<GivenTweak>) -> Result<whole::Done> {
        let (chunks, field, chunked) = match data {
            Data::Table(batches, schema) => {
                refuse(
                    self.rule.is_some() || tweak.is_some(),
                    "a table goes by its columns' own rules and tweaks",
                )?;
                return match self.act {
                    Act::Protect => whole::protect(engine, self.table, &schema, &batches).await,
                    _ => whole::reveal(engine, self.table, self.key_version, &schema, &batches).await,
                };
            }
            Data::Array(array, field) => (vec![array], field, false),
            Data::Chunked(chunks, field) => (chunks, field, true),
        };
        refuse(self.table.is_some(), "table= is for tables, and this is one column")?;
        refuse(
            self.key_version.is_some(),
            "a column takes its key version with its rule: \"card@2\"",
        )?;
        let done = self.column(engine, &Column::try_new(chunks, field, tweak)?).await?;
        let kept_clear = vec![(done.field.name().clone(), done.kept_clear)];
        let (mut chunks, field) = (done.chunks, done.field.into());
        match (chunked, chunks.pop()) {
            (false, Some(array)) => Ok((Data::Array(array, field), kept_clear)),
            (_, last) => {
                chunks.extend(last);
                Ok((Data::Chunked(chunks, field), kept_clear))
            }
        }
    }

    async fn column(&self, engine: &Engine, column: &Column) -> Result<column::Done> {
        let named = || {
            let error = Error::bad_input("a column needs its rule");
            self.rule
                .ok_or_else(|| error.with_hint("name it: protect(array, \"card\")"))
        };
        match self.act {
            Act::Protect => column.protect(engine, named()?).await,
            Act::Reveal => column.reveal(engine, self.rule).await,
            Act::Crypt(direction) => column.crypt(engine, named()?, direction).await,
            Act::Tokens(direction) => column.tokens(engine, named()?, direction).await,
            Act::Mask => column.mask(engine, named()?),
        }
    }
}

fn refuse(wrong: bool, message: &str) -> Result<()> {
    if wrong { Err(Error::bad_input(message)) } else { Ok(()) }
}
