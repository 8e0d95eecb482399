//! A DataFusion session that knows an engine.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::dataframe::DataFrame;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::optimizer::AnalyzerRule;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParser, Statement};

use super::roles::RolesRule;
use super::{from_datafusion, functions, tables};
use crate::transform::Engine;
use crate::{Error, Result};

/// A SQL session: the tables, the engine that reveals them, and its role, which says what a statement may do.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use cipherform::keys::KmsRegistry;
/// use cipherform::sql::Session;
///
/// let registry = KmsRegistry::new(); // with the KMS clients you trust
/// let engine = cipherform::Engine::open("policy.toml".as_ref(), &registry).await?;
/// let session = Session::new(&engine).await?;
/// session.register_file("people", "safe.parquet".as_ref()).await?;
/// session.query("SELECT id, card FROM people").await?.show().await?;
/// # Ok(())
/// # }
/// ```
pub struct Session {
    ctx: SessionContext,
    engine: Option<Engine>,
}

impl Session {
    /// A session with the functions of this module, bound to `engine` and its role. It writes nothing to disk: revealed
    /// values must not land in spill files. Every key that its statements may need is resolved here.
    ///
    /// # Errors
    /// A KMS that does not answer, or does not open the keyring's keys. A rule whose key alone cannot be had is an
    /// error when used. [`crate::ErrorKind::BadInput`] when DataFusion cannot start.
    pub async fn new(engine: &Engine) -> Result<Self> {
        Self::in_context(context()?, engine).await
    }

    /// A session without an engine: tables are what is stored.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadInput`] when DataFusion cannot start.
    pub fn stored() -> Result<Self> {
        Ok(Self {
            ctx: context()?,
            engine: None,
        })
    }

    /// Like [`new`](Self::new), in a context of the host's: with its tables, its functions and its settings, spilling to
    /// disk included. One context has one engine, since a function is called by its name.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`crate::ErrorKind::BadInput`] for a context that has another engine.
    pub async fn in_context(ctx: SessionContext, engine: &Engine) -> Result<Self> {
        let taken = ctx.state().scalar_functions().get("reveal").cloned();
        if taken.is_some_and(|taken| *taken != functions::reveal_udf(engine)) {
            return Err(Error::bad_input("this context has the functions of another engine")
                .with_hint("make a `SessionContext` for each engine, and for each role"));
        }
        engine.resolve_all().await?;
        for function in functions::all(engine) {
            ctx.register_udf(function);
        }
        let rule = RolesRule::new(engine);
        let knows = ctx
            .state()
            .analyzer()
            .rules
            .iter()
            .any(|known| known.name() == rule.name());
        if !knows {
            ctx.add_analyzer_rule(Arc::new(rule));
        }
        Ok(Self {
            ctx,
            engine: Some(engine.clone()),
        })
    }

    /// The DataFusion context. What is planned by it directly is not held to the engine's role: see
    /// [`query`](Self::query).
    pub fn context(&self) -> &SessionContext {
        &self.ctx
    }

    /// The engine, unless tables are what is stored.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// Registers what is at `path` as table `name`: a Parquet file, the files that a pattern with `*` or `?` names, or
    /// those of a folder, whose partitions (`country=fr/`) become columns. Files are listed, and their metadata is read,
    /// once, here; a file that changes later is an error. With an engine, protected columns are revealed as its role
    /// may see them; without, the file is what is stored.
    ///
    /// # Errors
    /// A file that is not Parquet; a key that cannot be had, or is not the one the file was protected with.
    pub async fn register_file(&self, name: &str, path: &Path) -> Result<()> {
        self.check_name(name)?;
        let table = tables::open::open(self.engine(), name, path).await?;
        self.register(name, table)
    }

    /// Registers `batches`, all of `schema`, as table `name`. Columns that say they are protected are treated as those
    /// of a file are by [`register_file`](Self::register_file).
    ///
    /// # Errors
    /// As [`register_file`](Self::register_file); batches of another schema.
    pub async fn register_batches(&self, name: &str, schema: &SchemaRef, batches: Vec<RecordBatch>) -> Result<()> {
        self.check_name(name)?;
        let table = tables::batches::open(self.engine(), name, schema, batches).await?;
        self.register(name, table)
    }

    /// Refuses a name that is taken.
    fn check_name(&self, name: &str) -> Result<()> {
        let exists = self.ctx.table_exist(TableReference::bare(name));
        if exists.map_err(from_datafusion)? {
            return Err(
                Error::bad_input(format!("two of them would both be table `{name}`")).with_hint("rename one of them")
            );
        }
        Ok(())
    }

    fn register(&self, name: &str, table: Arc<dyn TableProvider>) -> Result<()> {
        let registered = self.ctx.register_table(TableReference::bare(name), table);
        registered.map_err(from_datafusion)?;
        Ok(())
    }

    /// Plans `statement`, which may read but not write: `INSERT` and `COPY` are refused, and so is `SET`, which could
    /// turn spill files on. Under a role so is whatever makes or drops tables: it could look past a view.
    ///
    /// # Errors
    /// A statement that does not parse, fit its tables, or read alone.
    pub async fn query(&self, statement: &str) -> Result<DataFrame> {
        let planned = self.ctx.sql_with_options(statement, self.allowed()).await;
        planned.map_err(from_datafusion)
    }

    /// Like [`query`](Self::query), for a statement that has been parsed.
    ///
    /// # Errors
    /// A statement that does not fit its tables, or does not read alone.
    pub async fn query_statement(&self, statement: Statement) -> Result<DataFrame> {
        let plan = self.ctx.state().statement_to_plan(statement).await;
        let plan = plan.map_err(from_datafusion)?;
        self.allowed().verify_plan(&plan).map_err(from_datafusion)?;
        self.ctx.execute_logical_plan(plan).await.map_err(from_datafusion)
    }

    fn allowed(&self) -> SQLOptions {
        let has_role = self.engine().is_some_and(|engine| engine.role().is_some());
        SQLOptions::new()
            .with_allow_dml(false)
            .with_allow_statements(false)
            .with_allow_ddl(!has_role)
    }
}

/// The statements in `text`, to be planned one after the other by [`Session::query_statement`].
///
/// # Errors
/// Text that does not parse.
pub fn statements(text: &str) -> Result<VecDeque<Statement>> {
    DFParser::parse_sql(text).map_err(from_datafusion)
}

fn context() -> Result<SessionContext> {
    let no_disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new().with_disk_manager_builder(no_disk).build_arc();
    let mut config = SessionConfig::new().with_information_schema(true);
    // As `files::Source` has it.
    config.options_mut().execution.parquet.coerce_int96 = Some("us".to_owned());
    Ok(SessionContext::new_with_config_rt(
        config,
        runtime.map_err(from_datafusion)?,
    ))
}
