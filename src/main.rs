//! The command `cipherform`.

use std::process::ExitCode;

fn main() -> ExitCode {
    cipherform::cli::main()
}
