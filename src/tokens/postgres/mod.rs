//! Token stores in PostgreSQL databases.

mod errors;
mod store;

pub use store::PostgresTokens;
