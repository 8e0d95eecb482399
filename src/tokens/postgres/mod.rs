//! Token stores in PostgreSQL databases.

mod errors;
mod server;
mod store;

pub use store::PostgresTokens;
