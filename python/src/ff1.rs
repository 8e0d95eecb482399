//! `cipherform.FF1`

use cipherform::cipher::{Cipher, Direction};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::detach::detached;
use crate::fpe::Fpe;
use crate::values::Output;

/// FF1 of NIST SP 800-38G: the result has the length and the alphabet of the value.
///
/// Args:
///     key: 16, 24 or 32 bytes: an AES key.
///     radix: How many symbols there are, 2 to 65,536.
///     alphabet: The symbols in order, exactly `radix` code points. Without one, text up to radix 36 is of digits, then
///         lower-case letters; above that, values are lists of int.
///     min_domain: The least number of possible values, radix to the power of the length, that a value may come from.
///         Below 1,000,000, down to 100, is insecure: so few values can all be tried.
///
/// Raises:
///     BadInputError: A key, radix, alphabet or floor that does not fit.
///
/// Example:
///     >>> cipher = cipherform.FF1(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"), 10)
///     >>> cipher.encrypt("0123456789")
///     '2433477484'
///     >>> cipher.decrypt("2433477484")
///     '0123456789'
#[pyclass(module = "cipherform", name = "FF1", frozen)]
pub(crate) struct FF1 {
    fpe: Fpe,
}

#[pymethods]
impl FF1 {
    #[new]
    #[pyo3(signature = (key, radix, alphabet=None, *, min_domain=1_000_000))]
    fn new(py: Python<'_>, key: PyBackedBytes, radix: i64, alphabet: Option<&str>, min_domain: i64) -> PyResult<Self> {
        // Detached as well: a key schedule is short, but a panic must become an exception.
        detached(py, || {
            let fpe = Fpe::try_new(Cipher::ff1, &key, radix, alphabet, min_domain)?;
            Ok(Self { fpe })
        })
    }

    /// Encrypts one value.
    ///
    /// Args:
    ///     value: A str over the alphabet, or a list of int below the radix, most significant first.
    ///     tweak: Any bytes, not secret; the same to encrypt and to decrypt.
    ///
    /// Returns:
    ///     A str for a str, a list for a list.
    ///
    /// Raises:
    ///     BadInputError: The value is too short or too long, or has a symbol that is not in the alphabet; or the
    ///         tweak does not fit.
    ///     TypeError: The value is neither str nor list of int.
    ///
    /// Example:
    ///     >>> cipher = cipherform.FF1(bytes(32), 10)
    ///     >>> cipher.encrypt(cipher.decrypt("4111111111"))
    ///     '4111111111'
    #[pyo3(signature = (value, tweak=&b""[..]), text_signature = "($self, value, tweak=b'')")]
    fn encrypt(&self, py: Python<'_>, value: &Bound<'_, PyAny>, tweak: &[u8]) -> PyResult<Output> {
        self.fpe.one(py, Direction::Encrypt, value, tweak)
    }

    /// Decrypts one value.
    ///
    /// Args:
    ///     value: A str over the alphabet, or a list of int below the radix, most significant first.
    ///     tweak: Any bytes, not secret; the same to encrypt and to decrypt.
    ///
    /// Returns:
    ///     A str for a str, a list for a list.
    ///
    /// Raises:
    ///     BadInputError: The value is too short or too long, or has a symbol that is not in the alphabet; or the
    ///         tweak does not fit.
    ///     TypeError: The value is neither str nor list of int.
    ///
    /// Example:
    ///     >>> cipher = cipherform.FF1(bytes(32), 10)
    ///     >>> cipher.decrypt(cipher.encrypt("4111111111"))
    ///     '4111111111'
    #[pyo3(signature = (value, tweak=&b""[..]), text_signature = "($self, value, tweak=b'')")]
    fn decrypt(&self, py: Python<'_>, value: &Bound<'_, PyAny>, tweak: &[u8]) -> PyResult<Output> {
        self.fpe.one(py, Direction::Decrypt, value, tweak)
    }

    /// Encrypts many values, other Python threads running meanwhile.
    ///
    /// Args:
    ///     values: A list of str or of lists of int; or an Arrow array of strings, in which nulls stay null.
    ///     tweaks: Any bytes, not secret; the same to encrypt and to decrypt. One for all values, or a list with one
    ///     for each.
    ///
    /// Returns:
    ///     A list for a list, an Arrow array for an Arrow array.
    ///
    /// Raises:
    ///     BadInputError: A value or tweak does not fit; the message names its row, from 0.
    ///     TypeError: Something is neither str nor list of int.
    ///
    /// Example:
    ///     >>> cipher = cipherform.FF1(bytes(32), 10)
    ///     >>> cipher.decrypt_batch(cipher.encrypt_batch(["123456", [1, 2, 3, 4, 5, 6]]))
    ///     ['123456', [1, 2, 3, 4, 5, 6]]
    #[pyo3(signature = (values, tweaks=None))]
    fn encrypt_batch(&self, values: &Bound<'_, PyAny>, tweaks: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        self.fpe.batch(Direction::Encrypt, values, tweaks)
    }

    /// Decrypts many values, other Python threads running meanwhile.
    ///
    /// Args:
    ///     values: A list of str or of lists of int; or an Arrow array of strings, in which nulls stay null.
    ///     tweaks: Any bytes, not secret; the same to encrypt and to decrypt. One for all values, or a list with one
    ///     for each.
    ///
    /// Returns:
    ///     A list for a list, an Arrow array for an Arrow array.
    ///
    /// Raises:
    ///     BadInputError: A value or tweak does not fit; the message names its row, from 0.
    ///     TypeError: Something is neither str nor list of int.
    ///
    /// Example:
    ///     >>> cipher = cipherform.FF1(bytes(32), 10)
    ///     >>> cipher.decrypt_batch(cipher.encrypt_batch(["123456", [1, 2, 3, 4, 5, 6]]))
    ///     ['123456', [1, 2, 3, 4, 5, 6]]
    #[pyo3(signature = (values, tweaks=None))]
    fn decrypt_batch(&self, values: &Bound<'_, PyAny>, tweaks: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        self.fpe.batch(Direction::Decrypt, values, tweaks)
    }

    fn __repr__(&self) -> String {
        format!("FF1(radix={})", self.fpe.radix())
    }
}
