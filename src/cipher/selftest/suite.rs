//! All parts of the self-test, one after the other.

use crate::kernels::kernel::Kernel;
use crate::selftest::report::{PartReport, Summary};
use crate::selftest::vectors::{VectorFile, vector_file};
use crate::selftest::{crosscheck, known_answers};
use crate::spec::error::Result;

/// Runs the built-in parts, and every vector of `files` in both directions on every kernel.
///
/// Each part is passed to `report` as soon as it is done. Wrong answers are in the lines and in the summary.
///
/// # Errors
///
/// A [`CipherError`](crate::CipherError) if a case of our own is not one that the cipher takes.
pub fn run(files: &[VectorFile], report: &mut dyn FnMut(&PartReport)) -> Result<Summary> {
    let mut summary = Summary::default();
    for kernel in Kernel::available() {
        let line = known_answers::known_answers(kernel);
        summary.built_in.add(&line);
        report(&line);
    }
    for kernel in Kernel::available() {
        let line = crosscheck::against_naive_and_fpe(kernel)?;
        summary.built_in.add(&line);
        report(&line);
    }
    for file in files {
        let line = vector_file(file);
        summary.vectors.add(&line);
        summary.files += 1;
        report(&line);
    }
    Ok(summary)
}
