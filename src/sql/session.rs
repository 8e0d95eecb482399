//! A DataFusion session that knows an engine.

use std::collections::VecDeque;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::dataframe::DataFrame;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParser, Statement};

use super::{from_datafusion, functions, tables};
use crate::Result;
use crate::transform::Engine;

/// A session that writes nothing to disk: revealed values must not land in spill files.
///
/// # Errors
/// [`crate::ErrorKind::BadInput`] when DataFusion cannot start.
pub fn context() -> Result<SessionContext> {
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

/// Plans `statement`, which may read but not write: `INSERT` and `COPY` are refused, and so is `SET`, which could
/// turn spill files on. Under a role (`engine` is bound to one) so is whatever makes or drops tables: it could look
/// past a view.
///
/// # Errors
/// A statement that does not parse, fit its tables, or read alone.
pub async fn query(ctx: &SessionContext, engine: Option<&Engine>, statement: &str) -> Result<DataFrame> {
    let planned = ctx.sql_with_options(statement, read_only(engine)).await;
    planned.map_err(from_datafusion)
}

/// The statements in `text`, to be planned one after the other by [`query_statement`].
///
/// # Errors
/// Text that does not parse.
pub fn statements(text: &str) -> Result<VecDeque<Statement>> {
    DFParser::parse_sql(text).map_err(from_datafusion)
}

/// As [`query`], for a statement that has been parsed.
///
/// # Errors
/// A statement that does not fit its tables, or does not read alone.
pub async fn query_statement(ctx: &SessionContext, engine: Option<&Engine>, statement: Statement) -> Result<DataFrame> {
    let plan = ctx
        .state()
        .statement_to_plan(statement)
        .await
        .map_err(from_datafusion)?;
    read_only(engine).verify_plan(&plan).map_err(from_datafusion)?;
    ctx.execute_logical_plan(plan).await.map_err(from_datafusion)
}

fn read_only(engine: Option<&Engine>) -> SQLOptions {
    SQLOptions::new()
        .with_allow_dml(false)
        .with_allow_statements(false)
        .with_allow_ddl(engine.is_none_or(|engine| engine.role().is_none()))
}

/// Gives `ctx` the functions of this module, bound to `engine` and its role, and resolves every key they may need.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use cipherform::keys::KmsRegistry;
/// use datafusion::prelude::SessionContext;
///
/// let registry = KmsRegistry::new(); // with the KMS clients you trust
/// let engine = cipherform::Engine::open("policy.toml".as_ref(), &registry).await?;
/// let ctx = SessionContext::new();
/// cipherform::sql::register(&ctx, &engine).await?;
/// ctx.sql("SELECT protect('4111111111111111', 'card')").await?.show().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A KMS that does not answer, or does not open the keyring's keys. A rule whose key alone cannot be had is an error
/// when used.
pub async fn register(ctx: &SessionContext, engine: &Engine) -> Result<()> {
    engine.resolve_all().await?;
    for function in functions::all(engine) {
        ctx.register_udf(function);
    }
    Ok(())
}

/// Registers the Parquet file at `path` as table `name`. With an engine, protected columns are revealed as its role
/// may see them; without, the file is what is stored.
///
/// # Errors
/// A file that is not Parquet; a key that cannot be had, or is not the one the file was protected with.
pub async fn register_file(ctx: &SessionContext, engine: Option<&Engine>, name: &str, path: &Path) -> Result<()> {
    tables::file::register(ctx, engine, name, path).await
}

/// Registers `batches`, all of `schema`, as table `name`. Columns that say they are protected are treated as those of
/// a file are by [`register_file`].
///
/// # Errors
/// As [`register_file`]; batches of another schema.
pub async fn register_batches(
    ctx: &SessionContext,
    engine: Option<&Engine>,
    name: &str,
    schema: &SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<()> {
    tables::batches::register(ctx, engine, name, schema, batches).await
}
