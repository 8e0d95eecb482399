//! One run of the command.

use std::process::ExitCode;

use clap::Parser;

use super::command_line::{Cli, Command};
use super::commands::{check, init, inspect, keys, kms, protect, query, reprotect, reveal, selftest, tokens};
use super::printer::Printer;
use crate::{Error, ErrorKind, Result};

/// Runs the command line that this process was started with.
pub fn main() -> ExitCode {
    // First of all, before any secret is read.
    no_core_dumps();
    not_dumpable();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout, mistakes to stderr; clap prints both. A closed pipe is nobody's failure.
            let _ = error.print();
            // 2 is for usage in most commands, and ours are 1, 3 and 4.
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let printer = Printer::new();
    match run(cli, &printer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            printer.error(&error);
            ExitCode::from(exit_code(error.kind()))
        }
    }
}

fn run(cli: Cli, printer: &Printer) -> Result<()> {
    // With threads: key management waits for networks while files are read.
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Error::io("cannot start threads", error))?;
    runtime.block_on(async {
        match cli.command {
            Command::Init(args) => init::run(args, &cli.keys, printer).await,
            Command::Keys(args) => keys::run(args, &cli.keys, printer).await,
            Command::Kms(args) => kms::run(args, &cli.keys, printer).await,
            Command::Tokens(args) => tokens::run(args, &cli.keys, printer).await,
            Command::Check(args) => check::run(args, &cli.keys, printer).await,
            Command::Protect(args) => protect::run(args, &cli.keys, printer).await,
            Command::Reveal(args) => reveal::run(args, &cli.keys, printer).await,
            Command::Reprotect(args) => reprotect::run(args, &cli.keys, printer).await,
            Command::Query(args) => query::run(args, &cli.keys, printer).await,
            Command::Inspect(args) => inspect::run(&args, printer),
            Command::Selftest(args) => selftest::run(&args, printer),
        }
    })
}

/// 1 your input or policy, 3 a key or KMS refused, 4 our failure, 130 as shells have it for Ctrl-C; 2, usage, is for
/// clap.
fn exit_code(kind: ErrorKind) -> u8 {
    // Without a default, so that a new kind has to choose its code.
    match kind {
        ErrorKind::BadInput | ErrorKind::BadPolicy | ErrorKind::FileNotFound | ErrorKind::Io => 1,
        ErrorKind::NotAllowed
        | ErrorKind::KeyNotFound
        | ErrorKind::KeyNotUsable
        | ErrorKind::WrongKey
        | ErrorKind::ProviderDown => 3,
        ErrorKind::Bug => 4,
        ErrorKind::Interrupted => 130,
    }
}

/// Other processes of the same user, that are no debugger with the system's leave, cannot read the memory of this one.
fn not_dumpable() {
    // It goes for /proc/PID/mem, for ptrace, and for core dumps that a program is started for. As above, a system that
    // refuses has its reasons.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Keys in memory must not reach a disk by way of a crash.
fn no_core_dumps() {
    // Where the system refuses, it has a policy of its own; the work goes on.
    #[cfg(unix)]
    let _ = rlimit::setrlimit(rlimit::Resource::CORE, 0, 0);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    #[test]
    fn the_process_is_not_dumpable() {
        super::not_dumpable();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
