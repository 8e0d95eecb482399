//! Tools for tests of kernels: buffers between pages that cannot be touched, and reproducible numbers.

#![allow(unsafe_code)] // pages that cannot be touched
#![allow(missing_docs)] // for tests alone

const PAGE: usize = 4096;

/// Bytes between two pages that cannot be touched.
pub struct Guarded {
    pages: *mut u8,
    length: usize,
    start: usize,
    bytes: usize,
}

impl Guarded {
    /// A copy of `bytes` right after the first of the two, or right before the second.
    pub fn new(bytes: &[u8], at_start: bool) -> Self {
        let inner = bytes.len().next_multiple_of(PAGE);
        let length = inner + 2 * PAGE;
        // SAFETY: fresh pages of our own, of which the inner ones may be read and written.
        let pages = unsafe {
            let pages = libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(pages, libc::MAP_FAILED);
            if inner > 0 {
                let allowed = libc::mprotect(pages.add(PAGE), inner, libc::PROT_READ | libc::PROT_WRITE);
                assert_eq!(allowed, 0);
            }
            pages.cast()
        };
        let start = if at_start { PAGE } else { PAGE + inner - bytes.len() };
        let mut guarded = Self {
            pages,
            length,
            start,
            bytes: bytes.len(),
        };
        guarded.copy_from_slice(bytes);
        guarded
    }
}

impl std::ops::Deref for Guarded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: within the pages that may be read; zeros at first.
        unsafe { std::slice::from_raw_parts(self.pages.add(self.start), self.bytes) }
    }
}

impl std::ops::DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; they may be written, too.
        unsafe { std::slice::from_raw_parts_mut(self.pages.add(self.start), self.bytes) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: these pages, which nobody else has.
        unsafe { libc::munmap(self.pages.cast(), self.length) };
    }
}

/// SplitMix64, a generator of reproducible numbers: cases are equal in every run.
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    pub fn next_word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next_word() % limit as u64) as usize
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next_word() as u8).collect()
    }
}
