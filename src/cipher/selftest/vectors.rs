//! Published answers, however they were read.

use crate::cipher::Cipher;
use crate::kernels::kernel::Kernel;
use crate::selftest::report::PartReport;
use crate::spec::error::{CipherError, Result};
use crate::spec::key::AesKey;
use crate::spec::radix::{DomainFloor, Radix};
use crate::spec::tweaks::Tweaks;
use crate::spec::types::{Direction, Mode};

/// A file of vectors for one mode.
#[derive(Clone, Debug)]
pub struct VectorFile {
    /// The name of the file.
    pub name: String,
    /// The mode of all vectors.
    pub mode: Mode,
    /// The vectors.
    pub vectors: Vec<Vector>,
}

/// A published case.
#[derive(Clone, Debug)]
pub struct Vector {
    /// A name to report.
    pub id: String,
    /// The AES key.
    pub key: Vec<u8>,
    /// The tweak.
    pub tweak: Vec<u8>,
    /// The radix.
    pub radix: u32,
    /// radix^length is at least 100, but below 1,000,000.
    pub small_domain: bool,
    /// The plaintext's numerals, or why the text has none.
    pub plain: Result<Vec<u16>>,
    /// The result that the cipher must give.
    pub expected: Expected,
}

/// The result that is expected of a plaintext.
#[derive(Clone, Debug)]
pub enum Expected {
    /// The ciphertext's numerals.
    Answer(Vec<u16>),
    /// A error of this [`CipherError::name`].
    Refused {
        /// The name.
        reason: String,
    },
}

/// Compares all kernels with the vectors of one file.
pub(crate) fn vector_file(file: &VectorFile) -> PartReport {
    let mut line = PartReport {
        name: file.name.clone(),
        ..PartReport::default()
    };
    for vector in &file.vectors {
        let right = match &vector.expected {
            Expected::Answer(encrypted) => is_right(file.mode, vector, encrypted).unwrap_or(false),
            Expected::Refused { reason } => is_refused(file.mode, vector, reason),
        };
        match vector.expected {
            _ if !right => line.failed.push(vector.id.clone()),
            Expected::Answer(_) => line.passed += 1,
            Expected::Refused { .. } => line.refused += 1,
        }
    }
    line
}

/// A valid vector, on every kernel, in both directions; a small domain is refused first.
fn is_right(mode: Mode, vector: &Vector, encrypted: &[u16]) -> Result<bool> {
    let (plain, tweak) = (vector.plain.clone()?, &vector.tweak);
    for kernel in Kernel::available() {
        let mut cipher = cipher_for(mode, vector)?.with_kernel(kernel);
        if vector.small_domain {
            for direction in [Direction::Encrypt, Direction::Decrypt] {
                let error = apply(&cipher, direction, tweak, &plain).err();
                if !matches!(error, Some(CipherError::DomainBelowFloor { .. })) {
                    return Ok(false);
                }
            }
            cipher = cipher.with_floor(DomainFloor::insecure(100, "published answers of SP 800-38G (2016)")?);
        }
        if apply(&cipher, Direction::Encrypt, tweak, &plain)? != encrypted
            || apply(&cipher, Direction::Decrypt, tweak, encrypted)? != plain
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// An invalid vector, on every kernel: refused for its stated reason.
fn is_refused(mode: Mode, vector: &Vector, reason: &str) -> bool {
    Kernel::available().into_iter().all(|kernel| {
        let attempt = || {
            let cipher = cipher_for(mode, vector)?.with_kernel(kernel);
            apply(
                &cipher,
                Direction::Encrypt,
                &vector.tweak,
                vector.plain.as_ref().map_err(Clone::clone)?,
            )
        };
        attempt().is_err_and(|error| error.name() == reason)
    })
}

fn cipher_for(mode: Mode, vector: &Vector) -> Result<Cipher> {
    let (key, radix) = (AesKey::try_new(&vector.key)?, Radix::try_new(vector.radix)?);
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
