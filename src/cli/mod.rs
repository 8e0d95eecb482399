//! The command `cipherform`: parses, calls, prints; no logic. Each subcommand is one file of `commands`.

mod args;
mod audited;
mod command_line;
mod commands;
mod confirm;
mod hints;
mod job;
mod printer;
mod report;
mod results;
mod run;
mod session;

pub use run::main;
