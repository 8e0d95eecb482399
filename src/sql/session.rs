//! A DataFusion session that knows an engine.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::TableReference;
use datafusion::common::format::ExplainFormat;
use datafusion::dataframe::DataFrame;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{LogicalPlan, Statement as PlanStatement};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;

use super::answer::{Answer, Outcome, Record};
use super::explain::{self, ExplainOptions};
use super::grants::{Grants, GrantsFunction};
use super::guards::GuardsRule;
use super::limits::Limits;
use super::prepared::PreparedStatements;
use super::record;
use super::revealed_values::RevealedValues;
use super::roles::RolesRule;
use super::tables::OpenedTable;
use super::{from_datafusion, from_execution, functions, tables};
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
    grants: Grants,
    prepared: PreparedStatements,
    limits: Limits,
}

impl Session {
    /// A session with the functions of this module, bound to `engine` and its role. It writes nothing to disk: revealed
    /// values must not land in spill files. Every key that its statements may need is resolved here. Without a role,
    /// statements may name files, too: `FROM 'people.parquet'`.
    ///
    /// # Errors
    /// A KMS that does not answer, or does not open the keyring's keys. A rule whose key alone cannot be had is an
    /// error when used. [`crate::ErrorKind::BadInput`] when DataFusion cannot start.
    pub async fn new(engine: &Engine) -> Result<Self> {
        let limits = match engine.role() {
            Some(_) => Limits::FOR_ROLES,
            None => Limits::default(),
        };
        Self::with_limits(engine, limits).await
    }

    /// Like [`new`](Self::new), within these limits.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub async fn with_limits(engine: &Engine, limits: Limits) -> Result<Self> {
        let ctx = context(limits)?;
        if engine.role().is_none() {
            tables::by_path::enable(&ctx, Some(engine));
        }
        let session = Self::in_context(ctx, engine).await?;
        Ok(Self { limits, ..session })
    }

    /// A session without an engine: tables are what is stored.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadInput`] when DataFusion cannot start.
    pub fn stored(limits: Limits) -> Result<Self> {
        let ctx = context(limits)?;
        tables::by_path::enable(&ctx, None);
        let session = Self::assemble(ctx, None);
        Ok(Self { limits, ..session })
    }

    /// Like [`new`](Self::new), in a context of the host's: with its tables, its functions and its settings, spilling
    /// to disk included. One context has one engine, since a function is called by its name.
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
        let rules: [Arc<dyn AnalyzerRule + Send + Sync>; 2] = [Arc::new(RolesRule::new(engine)), Arc::new(GuardsRule)];
        for rule in rules {
            let state = ctx.state();
            let mut known = state.analyzer().rules.iter();
            if !known.any(|known| known.name() == rule.name()) {
                ctx.add_analyzer_rule(rule);
            }
        }
        Ok(Self::assemble(ctx, Some(engine)))
    }

    fn assemble(ctx: SessionContext, engine: Option<&Engine>) -> Self {
        let grants = Grants::default();
        ctx.register_udtf("cipherform_grants", Arc::new(GrantsFunction(grants.clone())));
        Self {
            ctx,
            engine: engine.cloned(),
            grants,
            prepared: PreparedStatements::default(),
            limits: Limits::default(),
        }
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
    /// those of a folder, whose partitions (`country=fr/`) become columns. Files are listed, and their metadata is
    /// read, once, here; a file that changes later is an error. With an engine, protected columns are revealed as its
    /// role may see them; without, the file is what is stored.
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

    fn register(&self, name: &str, table: OpenedTable) -> Result<()> {
        let registered = self.ctx.register_table(TableReference::bare(name), table.provider);
        registered.map_err(from_datafusion)?;
        self.grants.add(table.grants);
        Ok(())
    }

    /// Plans `statement`, which may read but not write: `INSERT` and `COPY` are refused, and so is `SET`, which could
    /// turn spill files on. Under a role so is whatever makes or drops tables: it could look past a view.
    ///
    /// # Errors
    /// A statement that does not parse, fit its tables, or read alone; more than one.
    pub async fn query(&self, statement: &str) -> Result<DataFrame> {
        let mut parsed = statements(statement)?;
        match (parsed.pop_front(), parsed.len()) {
            (Some(statement), 0) => self.query_statement(statement).await,
            (None, _) => Err(Error::bad_input("there is no statement")),
            (Some(_), more) => {
                Err(Error::bad_input(format!("there are {} statements", more + 1)).with_hint("ask them one by one"))
            }
        }
    }

    /// Like [`query`](Self::query), for a statement that has been parsed.
    ///
    /// # Errors
    /// A statement that does not fit its tables, or does not read alone.
    pub async fn query_statement(&self, statement: Statement) -> Result<DataFrame> {
        if let Statement::Explain(explained) = statement {
            if explained
                .options
                .format
                .is_some_and(|format| format != ExplainFormat::Indent)
            {
                return Err(Error::bad_input("EXPLAIN prints text alone: leave out FORMAT"));
            }
            let plan = self.plan(*explained.statement).await?;
            let options = ExplainOptions {
                analyze: explained.options.analyze,
                verbose: explained.options.verbose,
            };
            let shown = explain::explain(&self.ctx, self.engine(), plan, options).await?;
            return self.ctx.read_batch(shown).map_err(from_datafusion);
        }
        if let Statement::Statement(parsed) = &statement
            && let SqlStatement::ExplainTable { table_name, .. } = parsed.as_ref()
        {
            let table = object_name_to_table_reference(table_name.clone(), true).map_err(from_datafusion)?;
            let name = table.table().to_owned();
            let described = self.ctx.table(table).await.map_err(from_datafusion)?;
            let columns = self.grants.describe(&name, described.schema())?;
            return self.ctx.read_batch(columns).map_err(from_datafusion);
        }
        let plan = self.plan(statement).await?;
        if let LogicalPlan::Statement(statement) = plan {
            return self.prepared.run(&self.ctx, statement).await;
        }
        self.ctx.execute_logical_plan(plan).await.map_err(from_datafusion)
    }

    /// Runs `statement` within the session's limits, and writes it into the audit log.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn run(&self, statement: &str) -> Result<Answer> {
        let mut parsed = statements(statement)?;
        match (parsed.pop_front(), parsed.is_empty()) {
            (Some(statement), true) => self.run_statement(statement).await,
            _ => Err(Error::bad_input("one statement at a time")),
        }
    }

    /// Like [`run`](Self::run), for a statement that has been parsed.
    ///
    /// # Errors
    /// As [`query_statement`](Self::query_statement).
    pub async fn run_statement(&self, statement: Statement) -> Result<Answer> {
        let deadline = self.limits.time.map(|time| Instant::now() + time);
        let revealed = RevealedValues::default();
        let mut record = Record {
            engine: self.engine.clone(),
            statement: record::without_literals(&statement.to_string()),
            columns: Vec::new(),
            revealed: revealed.clone(),
            outcome: Outcome::Running,
        };
        let stream = async {
            let (mut state, plan) = self.query_statement(statement).await?.into_parts();
            state.config_mut().options_mut().extensions.insert(revealed);
            // Where functions find it.
            state.execution_props_mut().config_options = Some(Arc::clone(state.config().options()));
            if self.engine.is_some() {
                let optimized = state.optimize(&plan).map_err(from_datafusion)?;
                record.columns = record::protected_columns(&optimized);
            }
            let frame = DataFrame::new(state, plan);
            let task = Arc::new(frame.task_ctx());
            // What planning refuses says why; what rows fail on may hold a value.
            let physical = frame.create_physical_plan().await.map_err(from_datafusion)?;
            execute_stream(physical, task).map_err(from_execution)
        };
        match stream.await {
            Ok(stream) => Ok(Answer::new(stream, deadline, self.limits.rows, record)),
            Err(error) => {
                record.outcome = Outcome::Failed(error.kind());
                Err(error)
            }
        }
    }

    /// Plans a statement that the session allows.
    async fn plan(&self, statement: Statement) -> Result<LogicalPlan> {
        let plan = self.ctx.state().statement_to_plan(statement).await;
        let plan = plan.map_err(from_datafusion)?;
        let prepares = matches!(
            &plan,
            LogicalPlan::Statement(
                PlanStatement::Prepare(_) | PlanStatement::Execute(_) | PlanStatement::Deallocate(_)
            )
        );
        let allowed = self.allowed().with_allow_statements(prepares);
        allowed.verify_plan(&plan).map_err(from_datafusion)?;
        if let LogicalPlan::Statement(PlanStatement::Prepare(prepare)) = &plan {
            // Only a query: whatever else is prepared would run without the checks that it has by itself.
            let is_query = !matches!(
                prepare.input.as_ref(),
                LogicalPlan::Explain(_)
                    | LogicalPlan::Analyze(_)
                    | LogicalPlan::DescribeTable(_)
                    | LogicalPlan::Statement(_)
                    | LogicalPlan::Ddl(_)
                    | LogicalPlan::Dml(_)
                    | LogicalPlan::Copy(_)
            );
            if !is_query {
                return Err(Error::bad_input("PREPARE takes a query"));
            }
        }
        Ok(plan)
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

fn context(limits: Limits) -> Result<SessionContext> {
    let mut config = SessionConfig::new().with_information_schema(true);
    // As `files::Source` has it.
    config.options_mut().execution.parquet.coerce_int96 = Some("us".to_owned());
    Ok(SessionContext::new_with_config_rt(config, limits.runtime()?))
}
