//! Key bytes that wipe themselves and cannot be printed.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret: wiped on drop; `Debug` prints `****`; no `Display`, no `Serialize`.
///
/// ```
/// let secret = cipherform::Secret::new(vec![0x42u8; 32]);
/// assert_eq!(format!("{secret:?}"), "****");
/// assert_eq!(secret.expose().len(), 32);
/// ```
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes charge of `value`. Copies made before are the caller's to wipe.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The bytes, for the one call that needs them.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// The bytes, to be filled in place.
    pub fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// Bytes of the stack that [`wipe_stack`] wipes: deeper than the calls that make keys ready go, in any build.
const STACK: usize = 64 << 10;

/// Wipes what calls before this one have left on the stack, keys and round keys among it.
///
/// Whoever moves a large value from there to the heap copies the bytes between its parts as well, and nobody wipes
/// these.
#[inline(never)]
pub(crate) fn wipe_stack() {
    let mut area = [0_u8; STACK];
    area.zeroize();
    // Else there would be nothing to wipe in the compiler's eyes.
    std::hint::black_box(&area);
}

impl<T: Zeroize + Clone> Clone for Secret<T> {
    fn clone(&self) -> Self {
        // A copy with a wipe of its own; it is asked for by name, never made by the way.
        Self(self.0.clone())
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        // With volatile writes, which the compiler may not leave out although nobody reads the memory
        // again.
        self.0.zeroize();
    }
}

impl<T: Zeroize> ZeroizeOnDrop for Secret<T> {}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One width for every content: even a length helps whoever guesses a passphrase.
        f.write_str("****")
    }
}
