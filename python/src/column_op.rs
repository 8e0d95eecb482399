//! Operations of an engine on Arrow data of any shape: an array, a chunked array, a table.

use cipherform::cipher::Direction;
use cipherform::{Engine, Error, Result};

use crate::column::{self, Column, GivenTweak};
use crate::data::Data;
use crate::table_ops;

/// The kinds of operation.
pub(crate) enum OpKind {
    Protect,
    Reveal,
    Crypt(Direction),
    Tokens(Direction),
    Mask,
}

/// One operation, and the caller's description of the data.
pub(crate) struct ColumnOp<'a> {
    pub(crate) kind: OpKind,
    /// Of a column.
    pub(crate) rule: Option<&'a str>,
    /// The name of a table in the policy.
    pub(crate) table: Option<&'a str>,
    /// Of a table whose metadata was lost.
    pub(crate) key_version: Option<u32>,
}

impl<'a> ColumnOp<'a> {
    pub(crate) fn new(kind: OpKind) -> Self {
        Self {
            kind,
            rule: None,
            table: None,
            key_version: None,
        }
    }

    pub(crate) fn for_rule(kind: OpKind, rule: &'a str) -> Self {
        Self {
            rule: Some(rule),
            ..Self::new(kind)
        }
    }

    /// The name of the operation in the audit log.
    pub(crate) fn context(&self) -> &'static str {
        match self.kind {
            OpKind::Protect => "Engine.protect",
            OpKind::Reveal => "Engine.reveal",
            OpKind::Crypt(Direction::Encrypt) => "Engine.encrypt",
            OpKind::Crypt(Direction::Decrypt) => "Engine.decrypt",
            OpKind::Tokens(Direction::Encrypt) => "Engine.tokenize",
            OpKind::Tokens(Direction::Decrypt) => "Engine.detokenize",
            OpKind::Mask => "Engine.mask",
        }
    }

    /// Runs the operation; the result has the shape of `data`.
    pub(crate) async fn run(
        self,
        engine: &Engine,
        data: Data,
        tweak: Option<GivenTweak>,
    ) -> Result<table_ops::Applied> {
        let (chunks, field, chunked) = match data {
            Data::Table(batches, schema) => {
                // Refused, not ignored: whoever names a rule for a table expects it to be used.
                refuse(
                    self.rule.is_some() || tweak.is_some(),
                    "a table goes by its columns' own rules and tweaks",
                )?;
                // The other kinds have a rule, and were refused above.
                return match self.kind {
                    OpKind::Protect => table_ops::protect(engine, self.table, &schema, &batches).await,
                    _ => table_ops::reveal(engine, self.table, self.key_version, &schema, &batches).await,
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
        // Warned of when the interpreter is there again.
        let kept_clear = vec![(done.field.name().clone(), done.kept_clear)];
        let (mut chunks, field) = (done.chunks, done.field.into());
        // An array comes back as an array, and a chunked one with as many chunks.
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
        match self.kind {
            OpKind::Protect => column.protect(engine, named()?).await,
            OpKind::Reveal => column.reveal(engine, self.rule).await,
            OpKind::Crypt(direction) => column.crypt(engine, named()?, direction).await,
            OpKind::Tokens(direction) => column.tokens(engine, named()?, direction).await,
            OpKind::Mask => column.mask(engine, named()?),
        }
    }
}

fn refuse(wrong: bool, message: &str) -> Result<()> {
    if wrong { Err(Error::bad_input(message)) } else { Ok(()) }
}
