//! The command line as a whole.

use clap::{Parser, Subcommand};

use super::args::KeyArgs;
use super::commands::check::CheckArgs;
use super::commands::init::InitArgs;
use super::commands::inspect::InspectArgs;
use super::commands::keys::KeysArgs;
use super::commands::kms::KmsArgs;
use super::commands::protect::ProtectArgs;
use super::commands::query::QueryArgs;
use super::commands::reprotect::ReprotectArgs;
use super::commands::reveal::RevealArgs;
use super::commands::selftest::SelftestArgs;
use super::commands::tokens::TokensArgs;

// The exit codes are part of the interface: scripts tell a refused key from a mistake in the input.
const EXAMPLES: &str = "\
Examples:
  cipherform init                                  a policy, a keyring and the local KMS
  cipherform check people.parquet                  what would become of each column
  cipherform protect people.parquet safe.parquet   protect what policy.toml says
  cipherform query -c 'SELECT * FROM safe' safe.parquet
  cipherform reveal safe.parquet back.parquet

Exit codes: 0 done, 1 your input or policy, 2 usage, 3 a key or KMS refused, 4 our failure, 130 interrupted.";

/// Format-preserving encryption for data in use: Parquet files and SQL.
#[derive(Debug, Parser)]
#[command(name = "cipherform", version, after_help = EXAMPLES, max_term_width = 120)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a policy, a keyring and, if there is none, the local KMS
    Init(InitArgs),
    /// Look after data keys: create, rotate, suspend, remove, back up, audit …
    Keys(KeysArgs),
    /// Look after the local KMS: its keys, their policies, what unlocks it
    Kms(KmsArgs),
    /// Look after the token stores of the policy
    Tokens(TokensArgs),
    /// Say what `protect` would do to each column, without writing anything
    Check(CheckArgs),
    /// Protect a Parquet file as the policy says
    Protect(ProtectArgs),
    /// Reveal a protected Parquet file
    Reveal(RevealArgs),
    /// Protect a protected Parquet file anew, with the current versions of the keys
    Reprotect(ReprotectArgs),
    /// Ask SQL of Parquet files, protected or not
    Query(QueryArgs),
    /// Show which columns of a Parquet file are protected, and how
    Inspect(InspectArgs),
    /// Check the ciphers on this machine against known answers
    Selftest(SelftestArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
