//! FF1 for one shape: the lengths of its halves and blocks, and everything before the first secret byte.
//!
//! The PRF is a CBC-MAC over P ‖ Q with Q = T ‖ 0… ‖ \[i\] ‖ NUM(B). All of it up to \[i\] is the same in every
//! round, so its chaining value, the *prefix*, is computed once: AES(P), then the whole blocks of T ‖ 0…, then the
//! rest of those bytes added (exclusive or) to the left of the next block. What a round adds is \[i\] ‖ NUM(B).

use aes::Block;

use crate::spec::key::Aes;
use crate::spec::radix::Radix;

/// Rounds of the Feistel network.
pub(crate) const ROUNDS: u8 = 10;

/// FF1 for messages of `n` numerals.
#[derive(Clone, Debug)]
pub(crate) struct Ff1Shape {
    radix: Radix,
    n: usize,
    /// Numerals of the left half.
    pub(crate) u: usize,
    /// Numerals of the right half.
    pub(crate) v: usize,
    /// Bytes of NUM(B).
    pub(crate) b: usize,
    /// Bytes of S.
    pub(crate) d: usize,
}

/// AES(P) for the tweak length that came last, so that a batch computes it once.
#[derive(Default)]
pub(crate) struct CachedAesP(Option<(usize, u128)>);

impl Ff1Shape {
    pub(crate) fn new(radix: Radix, n: usize) -> Self {
        // 1. Let u = ⌊n/2⌋; v = n – u.
        let u = n / 2;
        let v = n - u;
        // 3. Let b = ⌈⌈v·LOG(radix)⌉/8⌉.
        let b = radix.bits(v).div_ceil(8);
        // 4. Let d = 4·⌈b/4⌉ + 4.
        let d = 4 * b.div_ceil(4) + 4;
        Self { radix, n, u, v, b, d }
    }

    /// Bytes between \[i\] and the right end of its block.
    pub(crate) fn round_shift(&self) -> u32 {
        // [i] stands right before the b bytes of NUM(B). If these fill a block, [i] ends the block before.
        8 * (self.b % 16) as u32
    }

    /// The prefix of every tweak, most significant byte first.
    pub(crate) fn prefixes<'t>(
        &self,
        aes: &Aes,
        cached: &mut CachedAesP,
        tweaks: impl ExactSizeIterator<Item = &'t [u8]> + Clone,
        prefixes: &mut [u128],
    ) {
        for (tweak, prefix) in tweaks.clone().zip(&mut *prefixes) {
            // t is in P (step 5), so AES(P) differs by the length of the tweak. Tweaks of one length mostly come
            // together.
            *prefix = match cached.0 {
                Some((t, cipher_p)) if t == tweak.len() => cipher_p,
                _ => {
                    let cipher_p = self.chain(aes, tweak.len());
                    cached.0 = Some((tweak.len(), cipher_p));
                    cipher_p
                }
            };
        }
        // The k-th blocks of all tweaks that have one go through AES together.
        // CBC-MAC (algorithm 6) is serial within a row, but not across rows: one call fills the pipeline of AES.
        let most = tweaks.clone().map(|tweak| self.whole_blocks(tweak.len())).max();
        let mut blocks = Vec::new();
        for k in 0..most.unwrap_or_default() {
            let has_one = |tweak: &[u8]| k < self.whole_blocks(tweak.len());
            blocks.clear();
            for (tweak, prefix) in tweaks.clone().zip(&*prefixes).filter(|(tweak, _)| has_one(tweak)) {
                blocks.push(Block::from((prefix ^ block(tweak, k)).to_be_bytes()));
            }
            aes.encrypt_blocks(&mut blocks);
            let chained = tweaks.clone().zip(&mut *prefixes).filter(|(tweak, _)| has_one(tweak));
            for ((_, prefix), block) in chained.zip(&blocks) {
                *prefix = u128::from_be_bytes(block.0);
            }
        }
        for (tweak, prefix) in tweaks.zip(prefixes) {
            // The rest of T, before [i] ‖ NUM(B): what a round adds has zeros there, so that exclusive or puts all
            // together.
            *prefix ^= block(tweak, self.whole_blocks(tweak.len()));
        }
    }

    /// 5. Let P = \[1\] ‖ \[2\] ‖ \[1\] ‖ \[radix\]^3 ‖ \[10\] ‖ \[u mod 256\] ‖ \[n\]^4 ‖ \[t\]^4.
    fn p(&self, t: usize) -> u128 {
        let radix = u128::from(self.radix.value());
        // One integer, most significant byte first: [1] ‖ [2] ‖ [1] in bytes 0 to 2, the radix up to byte 5, then
        // one byte each of [10] and u, and twice four bytes.
        (0x01_02_01 << 104)
            | radix << 80
            | 10 << 72
            | ((self.u % 256) as u128) << 64
            | (self.n as u128) << 32
            | t as u128
    }

    /// The chaining value before the tweak, if that has `t` bytes.
    pub(crate) fn chain(&self, aes: &Aes, t: usize) -> u128 {
        aes.encrypt_be(self.p(t))
    }

    /// The number of whole blocks of T ‖ 0^((−t−b−1) mod 16).
    pub(crate) fn whole_blocks(&self, t: usize) -> usize {
        // Together with [i] and NUM(B) it fills blocks exactly.
        // T, the zeros and [i] ‖ NUM(B) are a multiple of 16 bytes; what is before [i] has this many, of which the
        // whole blocks are known before the rounds.
        let fixed = (t + self.b + 1).next_multiple_of(16) - self.b - 1;
        fixed / 16
    }
}

/// The `k`-th 16 bytes of `tweak`, zeros after its end.
fn block(tweak: &[u8], k: usize) -> u128 {
    let rest = tweak.get(16 * k..).unwrap_or_default();
    let mut block = [0; 16];
    let length = rest.len().min(16);
    block[..length].copy_from_slice(&rest[..length]);
    u128::from_be_bytes(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::key::AesKey;

    #[test]
    fn lengths_of_a_known_shape() {
        // NIST FF1 sample 1: b = 3 (5 decimal digits are 17 bits), d = 8.
        let shape = Ff1Shape::new(Radix::try_new(10).unwrap(), 10);
        assert_eq!((shape.u, shape.v, shape.b, shape.d), (5, 5, 3, 8));
        assert_eq!(shape.p(0), 0x0102_0100_000a_0a05_0000_000a_0000_0000);
    }

    #[test]
    fn heads_of_a_batch_are_those_of_each_row() {
        let aes = Aes::new(&AesKey::try_new(&[7; 16]).unwrap());
        let bytes: Vec<u8> = (0..100).collect();
        for n in [10, 38, 76, 120] {
            let shape = Ff1Shape::new(Radix::try_new(10).unwrap(), n);
            let tweaks: Vec<&[u8]> = (0..100).map(|t| &bytes[..(t * 37) % 99]).collect();
            let mut prefixes = vec![0; tweaks.len()];
            shape.prefixes(&aes, &mut CachedAesP::default(), tweaks.iter().copied(), &mut prefixes);
            for (tweak, prefix) in tweaks.iter().zip(prefixes) {
                let mut chain = aes.encrypt_be(shape.p(tweak.len()));
                let pad = (16 - (tweak.len() + shape.b + 1) % 16) % 16;
                let fixed = [*tweak, &vec![0; pad]].concat();
                let whole = fixed.chunks_exact(16);
                let mut rest = whole.remainder().to_vec();
                for chunk in whole {
                    chain = aes.encrypt_be(chain ^ u128::from_be_bytes(chunk.try_into().unwrap()));
                }
                rest.resize(16, 0);
                assert_eq!(prefix, chain ^ u128::from_be_bytes(rest.try_into().unwrap()));
            }
        }
    }
}
