//! A DataFusion session that knows an engine.

use std::path::Path;

use datafusion::prelude::SessionContext;

use super::{functions, tables};
use crate::Result;
use crate::transform::Engine;

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
/// A KMS that does not answer, or does not open the keyring's keys. A rule whose key alone cannot be had is an error when used.
pub async fn register(ctx: &SessionContext, engine: &Engine) -> Result<()> {
    engine.resolve_all().await?;
    for function in functions::all(engine) {
        ctx.register_udf(function);
    }
    Ok(())
}

/// Registers the Parquet file at `path` as table `name`. With an engine, protected columns are revealed as its role may see
/// them; without, the file is what is stored.
///
/// # Errors
/// A file that is not Parquet; a key that cannot be had, or is not the one the file was protected with.
pub async fn register_file(ctx: &SessionContext, engine: Option<&Engine>, name: &str, path: &Path) -> Result<()> {
    tables::file::register(ctx, engine, name, path).await
}
