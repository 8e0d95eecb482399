//! Proof on this machine: known answers, every kernel against the naive twin and the crate `fpe`, and files of vectors.
//!
//! Nothing is printed here: results go to the caller line by line.

use std::fmt;
use std::path::Path;

use super::answers::{ANSWERS, Answer};
use super::lanes::RowTweaks;
use super::vectors::{self, Alphabet, Domain, Outcome, Vector, VectorFile};
use super::{AesKey, Cipher, Direction, DomainFloor, Kernel, Mode, Radix, Refusal, Tweaks, crosscheck, refusal};
use crate::Result;

/// What one part found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Line {
    /// What was tried: the name of a file, or a few words.
    pub name: String,
    /// Answers that were right.
    pub passed: usize,
    /// Invalid inputs that were refused for the right reason.
    pub refused: usize,
    /// What went wrong: names of cases.
    pub failed: Vec<String>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            passed,
            refused,
            failed,
        } = self;
        write!(f, "{name}: {passed} passed, {refused} refused, {} failed", failed.len())?;
        for case in failed.iter().take(10) {
            write!(f, "\n  failed: {case}")?;
        }
        match failed.len().saturating_sub(10) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// The sum of all lines, and of those that came from vector files.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Of the built-in parts.
    pub built_in: Totals,
    /// Of the vector files.
    pub vectors: Totals,
    /// Vector files read.
    pub files: usize,
}

impl Summary {
    /// Whether nothing failed.
    pub fn ok(&self) -> bool {
        self.built_in.failed + self.vectors.failed == 0
    }
}

/// Counts of cases.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Answers that were right.
    pub passed: usize,
    /// Invalid inputs that were refused for the right reason.
    pub refused: usize,
    /// What went wrong.
    pub failed: usize,
}

impl Totals {
    fn add(&mut self, line: &Line) {
        self.passed += line.passed;
        self.refused += line.refused;
        self.failed += line.failed.len();
    }
}

/// Runs the built-in parts, and with `directory` every vector of its files, in both directions on every kernel.
///
/// Each part is passed to `report` as soon as it is done.
///
/// # Errors
///
/// I/O or bad input if `directory` cannot be read, holds no vectors, or a file is garbled. Wrong answers are no error
/// here: they are in the lines and in the summary.
pub fn run(directory: Option<&Path>, report: &mut dyn FnMut(&Line)) -> Result<Summary> {
    let mut summary = Summary::default();
    for kernel in Kernel::available() {
        let line = known_answers(kernel);
        summary.built_in.add(&line);
        report(&line);
    }
    for kernel in Kernel::available() {
        let line = crosscheck::against_naive_and_fpe(kernel)?;
        summary.built_in.add(&line);
        report(&line);
    }
    for file in directory.map_or_else(|| Ok(Vec::new()), vectors::read_directory)? {
        let line = vector_file(&file);
        summary.vectors.add(&line);
        summary.files += 1;
        report(&line);
    }
    Ok(summary)
}

/// Whether `kernel` gives every built-in answer: asked before a process uses it.
pub(super) fn gives_known_answers(kernel: Kernel) -> bool {
    known_answers(kernel).failed.is_empty()
}

fn known_answers(kernel: Kernel) -> Line {
    let mut line = Line {
        name: format!("known answers, kernel {kernel}"),
        ..Line::default()
    };
    for answer in ANSWERS {
        match gives_answer(kernel, answer) {
            Ok(true) => line.passed += 1,
            _ => line.failed.push(answer.name.to_owned()),
        }
    }
    line
}

fn gives_answer(kernel: Kernel, answer: &Answer) -> Result<bool> {
    const CHARACTERS: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
    let hex = |text| hex::decode(text).map_err(|_| crate::Error::bug("a built-in answer is not hexadecimal"));
    let alphabet = Alphabet::try_new(&CHARACTERS[..answer.radix as usize], answer.radix)?;
    let (plain, encrypted) = (alphabet.numerals(answer.plain)?, alphabet.numerals(answer.cipher)?);
    let (key, radix) = (AesKey::try_new(&hex(answer.key)?)?, Radix::try_new(answer.radix)?);
    let cipher = match answer.algorithm {
        "FF1" => Cipher::ff1(&key, radix),
        "FF3-1" => Cipher::ff3_1_legacy(&key, radix),
        _ => Cipher::ff3_legacy(&key, radix),
    };
    let cipher = cipher.with_kernel(kernel);
    let tweak = hex(answer.tweak)?;
    // Not `apply`: that waits for the kernel to be proven, which is what happens here.
    let run = |direction, numerals: &[u16]| {
        let mut numerals = numerals.to_vec();
        let n = numerals.len();
        cipher.apply_checked(direction, RowTweaks::Shared(&tweak), &mut numerals, n);
        numerals
    };
    Ok(run(Direction::Encrypt, &plain) == encrypted && run(Direction::Decrypt, &encrypted) == plain)
}

fn vector_file(file: &VectorFile) -> Line {
    let mut line = Line {
        name: file.name.clone(),
        ..Line::default()
    };
    for vector in &file.vectors {
        let right = match vector.result {
            Outcome::Valid => is_right(file.mode, vector).unwrap_or(false),
            Outcome::Invalid => is_refused(file.mode, vector),
        };
        match vector.result {
            _ if !right => line.failed.push(vector.id.clone()),
            Outcome::Valid => line.passed += 1,
            Outcome::Invalid => line.refused += 1,
        }
    }
    line
}

/// A valid vector, on every kernel, in both directions; a small domain is refused first.
fn is_right(mode: Mode, vector: &Vector) -> Result<bool> {
    let (plain, encrypted) = (vector.plain()?, vector.cipher()?);
    let tweak = vector.tweak()?;
    for kernel in Kernel::available() {
        let mut cipher = cipher_for(mode, vector)?.with_kernel(kernel);
        if vector.domain == Domain::Orig {
            for direction in [Direction::Encrypt, Direction::Decrypt] {
                let error = apply(&cipher, direction, &tweak, &plain).err();
                let reason = error.as_ref().and_then(refusal::reason);
                if !matches!(reason, Some(Refusal::DomainBelowFloor { .. })) {
                    return Ok(false);
                }
            }
            cipher = cipher.with_floor(DomainFloor::insecure(100, "published answers of SP 800-38G (2016)")?);
        }
        if apply(&cipher, Direction::Encrypt, &tweak, &plain)? != encrypted
            || apply(&cipher, Direction::Decrypt, &tweak, &encrypted)? != plain
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// An invalid vector, on every kernel: refused for its stated reason.
fn is_refused(mode: Mode, vector: &Vector) -> bool {
    Kernel::available().into_iter().all(|kernel| {
        let attempt = || {
            let cipher = cipher_for(mode, vector)?.with_kernel(kernel);
            apply(&cipher, Direction::Encrypt, &vector.tweak()?, &vector.plain()?)
        };
        let error = attempt().err();
        let reason = error.as_ref().and_then(refusal::reason).map(Refusal::name);
        reason.is_some() && reason == vector.reason.as_deref()
    })
}

fn cipher_for(mode: Mode, vector: &Vector) -> Result<Cipher> {
    let (key, radix) = (AesKey::try_new(&vector.key()?)?, Radix::try_new(vector.radix)?);
    Ok(match mode {
        Mode::Ff1 => Cipher::ff1(&key, radix),
        Mode::Ff3_1 => Cipher::ff3_1_legacy(&key, radix),
        Mode::Ff3 => Cipher::ff3_legacy(&key, radix),
    })
}

fn apply(cipher: &Cipher, direction: Direction, tweak: &[u8], numerals: &[u16]) -> Result<Vec<u16>> {
    let mut numerals = numerals.to_vec();
    let n = numerals.len();
    cipher.apply(direction, Tweaks::Shared(tweak), &mut numerals, n)?;
    Ok(numerals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vector_in_the_tree_is_right() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
        let mut failed = Vec::new();
        let summary = run(Some(&directory), &mut |line| failed.extend(line.failed.clone())).unwrap();
        assert_eq!(failed, [""; 0]);
        assert!(summary.ok());
        let expected = Totals {
            passed: 13_292,
            refused: 1_772,
            failed: 0,
        };
        assert_eq!((summary.vectors, summary.files), (expected, 20));
        assert!(summary.built_in.passed > 100);
    }

    #[test]
    fn a_directory_without_vectors_is_an_error() {
        let empty = tempfile::tempdir().unwrap();
        std::fs::write(empty.path().join("README.md"), "no vectors").unwrap();
        assert_eq!(
            run(Some(empty.path()), &mut |_| ()).unwrap_err().kind(),
            crate::ErrorKind::BadInput
        );
        let missing = empty.path().join("missing");
        assert_eq!(
            run(Some(&missing), &mut |_| ()).unwrap_err().kind(),
            crate::ErrorKind::Io
        );
        std::fs::write(empty.path().join("a.json"), "{\"schema\":").unwrap();
        assert_eq!(
            run(Some(empty.path()), &mut |_| ()).unwrap_err().kind(),
            crate::ErrorKind::BadInput
        );
    }

    #[test]
    fn a_wrong_answer_is_reported() {
        let wrong = Answer {
            name: "wrong",
            cipher: "2433477485",
            ..ANSWERS[0]
        };
        assert!(!gives_answer(Kernel::Portable, &wrong).unwrap());
        assert!(gives_answer(Kernel::Portable, &ANSWERS[0]).unwrap());
    }
}
