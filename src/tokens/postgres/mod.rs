//! Token stores in PostgreSQL databases.

mod errors;
mod server;
mod store;
mod tables;

pub use store::PostgresTokens;
