//! `cipherform.Engine`

use std::path::PathBuf;

use cipherform::Secret;
use cipherform::cipher::Direction;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::column::GivenTweak;
use crate::column_op::{ColumnOp, OpKind};
use crate::data::Given;
use crate::detach::detached;
use crate::runtime::Runtime;
use crate::table::Table;
use crate::unlock::KeyArguments;
use crate::{errors, query};

/// A policy and its keys: protects and reveals Arrow data, and asks SQL of it.
///
/// Results equal those of the command `cipherform` and of its SQL. Other Python threads run during the work.
///
/// Args:
///     policy_path: The policy, such as `policy.toml`.
///     passphrase: Unlocks the local KMS.
///     passphrase_file: A file whose first line does.
///     key_file: A file that does, as `cipherform init --key-file` writes it. Without any of the three, the environment
///         says: CIPHERFORM_KEY_FILE, else CIPHERFORM_PASSPHRASE_FILE, else CIPHERFORM_PASSPHRASE.
///     local_kms: The file of the local KMS. Else CIPHERFORM_LOCAL_KMS, else `cipherform/kms.json` in the user's
///         configuration directory.
///     role: See what this role of the policy may see.
///
/// Raises:
///     PolicyError: The policy is wrong.
///     IoError: A file cannot be read.
///     WrongKeyError: The passphrase or key file is another one.
///     KeyNotUsableError: There is nothing to unlock with.
///     NotAllowedError: The policy has no such role.
///
/// Example:
///     >>> engine = cipherform.Engine(policy, key_file=key_file, local_kms=local_kms)
///     >>> engine.policy_path == policy
///     True
#[pyclass(module = "cipherform", frozen)]
pub(crate) struct Engine {
    engine: cipherform::Engine,
    runtime: Runtime,
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (
        policy_path, *, passphrase=None, passphrase_file=None, key_file=None, local_kms=None, role=None, trust=None
    ))]
    // Python's callers name all but the first.
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        policy_path: PathBuf,
        passphrase: Option<String>,
        passphrase_file: Option<PathBuf>,
        key_file: Option<PathBuf>,
        local_kms: Option<PathBuf>,
        role: Option<&str>,
        trust: Option<String>,
    ) -> PyResult<Self> {
        let keys = KeyArguments {
            trust,
            passphrase: passphrase.map(Secret::new),
            passphrase_file,
            key_file,
            local_kms,
        };
        detached(py, || {
            // A policy that is wrong is said before keys are looked for.
            let policy = cipherform::policy::Policy::load(&policy_path)?;
            let runtime = Runtime::default();
            // One runtime for opening and for all later work.
            let registry = runtime.block_on(keys.registry(&policy))?;
            let engine = runtime.block_on(cipherform::Engine::open(&policy_path, &registry))?;
            let engine = match role {
                Some(role) => engine.with_role(role)?,
                None => engine,
            };
            Ok(Self { engine, runtime })
        })
    }

    /// The policy's file.
    #[getter]
    fn policy_path(&self) -> PathBuf {
        self.engine.policy().path.clone()
    }

    /// The role this engine is bound to, if it is.
    #[getter]
    fn role(&self) -> Option<&str> {
        self.engine.role()
    }

    /// Protects a column under a rule, or a table as the policy's `[columns]` say.
    ///
    /// Args:
    ///     data: An Arrow array, chunked array, table, record batch or stream.
    ///     rule: The rule for a column, such as "card".
    ///     table: The name that a table has in the policy.
    ///     tweak: The values of the rule's tweak column, if it has one: an Arrow array, or a str for all rows.
    ///
    /// Returns:
    ///     What was given, of the same type, protected. Its metadata says how.
    ///
    /// Raises:
    ///     BadInputError: A value does not fit its format; the message names its row, from 1, never the value.
    ///     PolicyError: No such rule, or one for another type.
    ///     NotAllowedError: The role may not.
    ///
    /// Example:
    ///     >>> import pyarrow as pa
    ///     >>> cards = pa.array(["4111111111111111", None])
    ///     >>> protected = engine.protect(cards, "card")
    ///     >>> pa.array(protected)[0].as_py()[-4:]
    ///     '1111'
    ///     >>> pa.array(engine.reveal(protected)) == cards
    ///     True
    #[pyo3(signature = (data, rule=None, *, table=None, tweak=None))]
    fn protect(
        &self,
        data: &Bound<'_, PyAny>,
        rule: Option<&str>,
        table: Option<&str>,
        tweak: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let op = ColumnOp {
            rule,
            table,
            ..ColumnOp::new(OpKind::Protect)
        };
        self.run(op, data, tweak)
    }

    /// Reveals what was protected.
    ///
    /// Args:
    ///     data: An Arrow array, chunked array, table, record batch or stream.
    ///     rule: The rule of a column whose metadata was lost, such as "card", or "card@2" for version 2 of its key.
    ///     table: The name that a table has in the policy; for a table whose metadata was lost.
    ///     key_version: The version of the keys of a table whose metadata was lost.
    ///     tweak: The values of the rule's tweak column, if it has one: an Arrow array, or a str for all rows.
    ///
    /// Returns:
    ///     What was given, of the same type, revealed as the role may see it.
    ///
    /// Raises:
    ///     BadInputError: Nothing says how it was protected, or a value does not fit its format.
    ///     WrongKeyError: It was protected with another key or rule.
    ///     NotAllowedError: The role may not.
    ///
    /// Example:
    ///     >>> import pyarrow as pa
    ///     >>> protected = pa.array(engine.protect(pa.array(["4111111111111111"]), "card"))
    ///     >>> pa.array(engine.reveal(protected, "card@1")).to_pylist()
    ///     ['4111111111111111']
    #[pyo3(signature = (data, rule=None, *, table=None, key_version=None, tweak=None))]
    fn reveal(
        &self,
        data: &Bound<'_, PyAny>,
        rule: Option<&str>,
        table: Option<&str>,
        key_version: Option<u32>,
        tweak: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let op = ColumnOp {
            rule,
            table,
            key_version,
            ..ColumnOp::new(OpKind::Reveal)
        };
        self.run(op, data, tweak)
    }

    /// Encrypts a column with the key and format of a rule; the result carries no metadata.
    ///
    /// Args:
    ///     array: An Arrow array or chunked array.
    ///     rule: The rule.
    ///     tweak: Takes the place of the rule's tweak: an Arrow array of text or integers, or a str for all rows.
    ///
    /// Raises:
    ///     BadInputError: A value does not fit its format; the message names its row, from 1, never the value.
    ///     PolicyError: No such rule, or one for another type.
    ///     NotAllowedError: The role may not.
    ///
    /// Example:
    ///     >>> import pyarrow as pa
    ///     >>> cards = pa.array(["4111111111111111"])
    ///     >>> encrypted = engine.encrypt(cards, "card", tweak="shop 7")
    ///     >>> pa.array(engine.decrypt(encrypted, "card", tweak="shop 7")) == cards
    ///     True
    #[pyo3(signature = (array, rule, tweak=None))]
    fn encrypt(&self, array: &Bound<'_, PyAny>, rule: &str, tweak: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        self.run(
            ColumnOp::for_rule(OpKind::Crypt(Direction::Encrypt), rule),
            array,
            tweak,
        )
    }

    /// Decrypts what `encrypt` encrypted with the same rule and tweak.
    ///
    /// Args:
    ///     array: An Arrow array or chunked array.
    ///     rule: The rule, or "rule@2" for version 2 of its key.
    ///     tweak: The tweak that was given to encrypt.
    ///
    /// Raises:
    ///     BadInputError: A value does not fit its format; the message names its row, from 1, never the value.
    ///     PolicyError: No such rule, or one for another type.
    ///     NotAllowedError: The role may not.
    ///
    /// Example:
    ///     >>> import pyarrow as pa
    ///     >>> encrypted = engine.encrypt(pa.array(["4111111111111111"]), "card")
    ///     >>> pa.array(engine.decrypt(encrypted, "card")).to_pylist()
    ///     ['4111111111111111']
    #[pyo3(signature = (array, rule, tweak=None))]
    fn decrypt(&self, array: &Bound<'_, PyAny>, rule: &str, tweak: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        self.run(
            ColumnOp::for_rule(OpKind::Crypt(Direction::Decrypt), rule),
            array,
            tweak,
        )
    }

    /// The token of each value of a column, minted for those that have none; the result carries no metadata.
    ///
    /// Args:
    ///     array: An Arrow array or chunked array.
    ///     rule: A rule of the policy with treatment = "tokenize".
    ///
    /// Raises:
    ///     BadInputError: A value does not fit its format, or the tokens of its shape are half used up.
    ///     PolicyError: No such rule, or one that does not tokenize.
    ///     NotAllowedError: The role may not.
    ///     ProviderDownError: The token store does not answer.
    ///     IoError: The token store is full, or cannot be written.
    ///
    /// Example:
    ///     >>> import pyarrow as pa
    ///     >>> accounts = pa.array(["ann", "bob", "ann"])
    ///     >>> tokens = pa.array(engine.tokenize(accounts, "account"))
    ///     >>> tokens[0] == tokens[2]
    ///     True
    ///     >>> pa.array(engine.detokenize(tokens, "account")) == accounts
    ///     True
    #[pyo3(signature = (array, rule))]
    fn tokenize(&self, array: &Bound<'_, PyAny>, rule: &str) -> PyResult<Py<PyAny>> {
        self.run(
            ColumnOp::for_rule(OpKind::Tokens(Direction::Encrypt), rule),
            array,
            None,
        )
    }

    /// The value of each token of a column.
    ///
    /// Args:
    ///     array: An Arrow array or chunked array.
    ///     rule: A rule of the policy with treatment = "tokenize".
    ///
    /// Raises:
    ///     BadInputError: A token was never issued; or its value was deleted or has expired, and the rule says that
    ///     this
    ///         is an error.
    ///     PolicyError: No such rule, or one that does not tokenize.
    ///     NotAllowedError: The role may not.
    ///     ProviderDownError: The token store does not answer.
    ///
    /// Example:
    ///     >>> import pyarrow as pa
    ///     >>> tokens = engine.tokenize(pa.array(["ann", None]), "account")
    ///     >>> pa.array(engine.detokenize(tokens, "account")).to_pylist()
    ///     ['ann', None]
    #[pyo3(signature = (array, rule))]
    fn detokenize(&self, array: &Bound<'_, PyAny>, rule: &str) -> PyResult<Py<PyAny>> {
        self.run(
            ColumnOp::for_rule(OpKind::Tokens(Direction::Decrypt), rule),
            array,
            None,
        )
    }

    /// Replaces letters and digits of a column in the clear, as the rule's `mask` says. There is no way back.
    ///
    /// Args:
    ///     array: An Arrow array or chunked array of text.
    ///     rule: The rule.
    ///
    /// Raises:
    ///     BadInputError: The column is not text.
    ///     PolicyError: No such rule.
    ///
    /// Example:
    ///     >>> import pyarrow as pa
    ///     >>> pa.array(engine.mask(pa.array(["4111-1111-1111-1234"]), "card")).to_pylist()
    ///     ['****-****-****-1234']
    #[pyo3(signature = (array, rule))]
    fn mask(&self, array: &Bound<'_, PyAny>, rule: &str) -> PyResult<Py<PyAny>> {
        self.run(ColumnOp::for_rule(OpKind::Mask, rule), array, None)
    }

    /// Asks SQL. Protected tables open revealed, as the role may see them; nothing is spilled to disk.
    ///
    /// Args:
    ///     query: One statement, which may read but not write. It has the functions protect, reveal, fpe_encrypt,
    ///         fpe_decrypt, tokenize, detokenize and mask.
    ///     tables: Each an Arrow table, or the path of a Parquet file.
    ///
    /// Raises:
    ///     BadInputError: The query is wrong, or writes; or a table cannot be read.
    ///     NotAllowedError: The role may not see a column that the query needs.
    ///     WrongKeyError: A table was protected with another key or rule.
    ///
    /// Example:
    ///     >>> import pyarrow as pa
    ///     >>> people = pa.table({"card": ["4111111111111111", "5500005555555559"]})
    ///     >>> answer = engine.sql("SELECT count(*) AS people FROM t WHERE protect(card, 'card') <> card", t=people)
    ///     >>> pa.table(answer)["people"].to_pylist()
    ///     [2]
    #[pyo3(signature = (query, /, **tables))]
    fn sql(&self, py: Python<'_>, query: &str, tables: Option<&Bound<'_, PyDict>>) -> PyResult<Table> {
        let mut given = Vec::new();
        for (name, table) in tables.into_iter().flatten() {
            let name: String = name.extract()?;
            // Read later, detached: a stream may need the interpreter.
            given.push((name, query::Source::from_python(&table)?));
        }
        let table = detached(py, || {
            // Usage is written to the log before an error is returned: values may have been revealed before it.
            let done = self.runtime.block_on(query::run(&self.engine, query, given));
            self.engine.audit_usage("Engine.sql")?;
            let (batches, schema) = done?;
            Ok(Table::new(batches, schema))
        })?;
        errors::warn_filling_up(py, &self.engine)?;
        Ok(table)
    }

    fn __repr__(&self) -> String {
        let path = self.engine.policy().path.display();
        match self.engine.role() {
            Some(role) => format!("Engine({path}, role={role})"),
            None => format!("Engine({path})"),
        }
    }
}

impl Engine {
    fn run(&self, op: ColumnOp<'_>, data: &Bound<'_, PyAny>, tweak: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let py = data.py();
        let given = Given::from_python(data)?;
        let tweak = match tweak {
            None => None,
            // A str is one tweak for all rows; everything else has to be Arrow.
            Some(text) if text.is_instance_of::<PyString>() => Some(GivenTweak::Text(text.extract()?)),
            Some(array) => Some(GivenTweak::Array(Given::from_python(array)?)),
        };
        // Detached from here on: other threads of Python run while we encrypt.
        let (done, kept_clear) = detached(py, || {
            let data = given.read()?;
            let context = op.context();
            let done = self.runtime.block_on(op.run(&self.engine, data, tweak));
            self.engine.audit_usage(context)?;
            done
        })?;
        // After the work, as a warning may be turned into an exception.
        errors::warn_kept_clear(py, &kept_clear)?;
        errors::warn_filling_up(py, &self.engine)?;
        Ok(done.into_pyobject(py)?.unbind())
    }
}
