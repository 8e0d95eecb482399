//! The reference implementation: the standard's steps in the standard's order and letters, one value at a time, on
//! big integers.
//!
//! It is here to be plainly right, and the fast paths are compared with it. Nothing of theirs is used but AES and
//! the radix.

use num_bigint::BigUint;
use num_traits::ToPrimitive;

use crate::spec::key::Aes;
use crate::spec::radix::Radix;
use crate::spec::types::{Direction, Mode};

/// Encrypts or decrypts `x`, whose length, numerals and tweak have been checked.
pub(crate) fn apply(mode: Mode, aes: &Aes, radix: Radix, direction: Direction, tweak: &[u8], x: &[u16]) -> Vec<u16> {
    match mode {
        Mode::Ff1 => ff1(aes, radix.value(), direction, tweak, x),
        Mode::Ff3 => ff3(aes, radix.value(), direction, tweak, x),
        Mode::Ff3_1 => ff3(aes, radix.value(), direction, &ff3_1_tweak(tweak), x),
    }
}

/// Algorithms 7 and 8: FF1.Encrypt and FF1.Decrypt.
fn ff1(aes: &Aes, radix: u32, direction: Direction, tweak: &[u8], x: &[u16]) -> Vec<u16> {
    let (n, t) = (x.len(), tweak.len());
    // 1. Let u = ⌊n/2⌋; v = n – u.
    let u = n / 2;
    let v = n - u;
    // 2. Let A = X[1..u]; B = X[u + 1..n].
    let (mut a, mut b_) = (x[..u].to_vec(), x[u..].to_vec());
    // 3. Let b = ⌈⌈v·LOG(radix)⌉/8⌉: the bytes that the highest number needs.
    let highest = BigUint::from(radix).pow(v as u32) - 1u8;
    let b = highest.to_bytes_be().len();
    // 4. Let d = 4·⌈b/4⌉ + 4.
    let d = 4 * b.div_ceil(4) + 4;
    // 5. Let P = [1] ‖ [2] ‖ [1] ‖ [radix]^3 ‖ [10] ‖ [u mod 256] ‖ [n]^4 ‖ [t]^4.
    let mut p = vec![1, 2, 1];
    p.extend(&radix.to_be_bytes()[1..]);
    p.extend([10, (u % 256) as u8]);
    p.extend((n as u32).to_be_bytes());
    p.extend((t as u32).to_be_bytes());
    // 6. For i from 0 to 9 (decryption: from 9 to 0):
    // Both directions in one loop: decryption takes the rounds in reverse, keeps A and changes B, and subtracts.
    for step in 0..10u8 {
        let i = match direction {
            Direction::Encrypt => step,
            Direction::Decrypt => 9 - step,
        };
        let (kept, changed) = match direction {
            Direction::Encrypt => (&b_, &a),
            Direction::Decrypt => (&a, &b_),
        };
        // i. Let Q = T ‖ [0]^((−t−b−1) mod 16) ‖ [i] ‖ [NUM(B)]^b (decryption: NUM(A)).
        let mut q = tweak.to_vec();
        q.extend(vec![0; (-(t as i64) - b as i64 - 1).rem_euclid(16) as usize]);
        q.push(i);
        q.extend(bytes_be(&num(radix, kept), b));
        // ii. Let R = PRF(P ‖ Q).
        let r = prf(aes, &[p.clone(), q].concat());
        // iii. Let S be the first d bytes of R ‖ CIPH(R ⊕ [1]^16) ‖ CIPH(R ⊕ [2]^16) …
        let mut s = r.to_vec();
        for j in 1..d.div_ceil(16) as u128 {
            s.extend(aes.encrypt((u128::from_be_bytes(r) ^ j).to_be_bytes()));
        }
        // iv. Let y = NUM(S).
        let y = BigUint::from_bytes_be(&s[..d]);
        // v. If i is even, let m = u; else, let m = v.
        let m = if i % 2 == 0 { u } else { v };
        // vi. Let c = (NUM(A) + y) mod radix^m (decryption: NUM(B) − y).
        // vii. Let C = STR(c).
        let c = str(radix, m, combine(direction, num(radix, changed), y, radix, m));
        // viii. Let A = B. ix. Let B = C (decryption: B = A, A = C).
        match direction {
            Direction::Encrypt => (a, b_) = (b_, c),
            Direction::Decrypt => (a, b_) = (c, a),
        }
    }
    // 7. Return A ‖ B.
    [a, b_].concat()
}

/// FF3.Encrypt and FF3.Decrypt of SP 800-38G (2016), with a tweak of 64 bits. AES has the reversed key.
fn ff3(aes: &Aes, radix: u32, direction: Direction, tweak: &[u8], x: &[u16]) -> Vec<u16> {
    let n = x.len();
    // 1. Let u = ⌈n/2⌉; v = n – u.
    let u = n.div_ceil(2);
    let v = n - u;
    // 2. Let A = X[1..u]; B = X[u + 1..n].
    let (mut a, mut b) = (x[..u].to_vec(), x[u..].to_vec());
    // 3. Let T_L = T[0..31] and T_R = T[32..63].
    let (t_l, t_r) = tweak.split_at(4);
    // 4. For i from 0 to 7 (decryption: from 7 to 0):
    for step in 0..8u8 {
        let i = match direction {
            Direction::Encrypt => step,
            Direction::Decrypt => 7 - step,
        };
        let (kept, changed) = match direction {
            Direction::Encrypt => (&b, &a),
            Direction::Decrypt => (&a, &b),
        };
        // i. If i is even, let m = u and W = T_R, else let m = v and W = T_L.
        let (m, w) = if i % 2 == 0 { (u, t_r) } else { (v, t_l) };
        // ii. Let P = W ⊕ [i]^4 ‖ [NUM(REV(B))]^12 (decryption: REV(A)).
        let mut p = w.to_vec();
        p[3] ^= i;
        p.extend(bytes_be(&num(radix, &reversed(kept)), 12));
        // iii. Let S = REVB(CIPH_REVB(K)(REVB(P))).
        let mut s = aes.encrypt(reversed(&p).try_into().expect("P is 16 bytes"));
        s.reverse();
        // iv. Let y = NUM(S).
        let y = BigUint::from_bytes_be(&s);
        // v. Let c = (NUM(REV(A)) + y) mod radix^m (decryption: NUM(REV(B)) − y).
        let c = combine(direction, num(radix, &reversed(changed)), y, radix, m);
        // vi. Let C = REV(STR(c)).
        let c = reversed(&str(radix, m, c));
        // vii. Let A = B. viii. Let B = C (decryption: B = A, A = C).
        match direction {
            Direction::Encrypt => (a, b) = (b, c),
            Direction::Decrypt => (a, b) = (c, a),
        }
    }
    // 5. Return A ‖ B.
    [a, b].concat()
}

/// FF3-1's tweak of 56 bits as FF3's of 64: T_L = T[0..27] ‖ 0^4, T_R = T[32..55] ‖ T[28..31] ‖ 0^4.
fn ff3_1_tweak(tweak: &[u8]) -> Vec<u8> {
    let mut bits = 0u64;
    for byte in tweak {
        bits = bits << 8 | u64::from(*byte);
    }
    let part = |from: u32, to: u32| bits >> (55 - to) & ((1 << (to - from + 1)) - 1);
    let t_l = part(0, 27) << 4;
    let t_r = part(32, 55) << 8 | part(28, 31) << 4;
    (t_l << 32 | t_r).to_be_bytes().to_vec()
}

/// Algorithm 6: PRF, a CBC-MAC from a zero block.
fn prf(aes: &Aes, x: &[u8]) -> [u8; 16] {
    let mut y = [0; 16];
    for block in x.chunks_exact(16) {
        for (y, x) in y.iter_mut().zip(block) {
            *y ^= x;
        }
        y = aes.encrypt(y);
    }
    y
}

/// (number ± y) mod radix^m.
fn combine(direction: Direction, number: BigUint, y: BigUint, radix: u32, m: usize) -> BigUint {
    let modulus = BigUint::from(radix).pow(m as u32);
    match direction {
        Direction::Encrypt => (number + y) % modulus,
        Direction::Decrypt => (number + &modulus - y % &modulus) % modulus,
    }
}

/// Algorithm 1: NUM_radix(X).
fn num(radix: u32, x: &[u16]) -> BigUint {
    let mut number = BigUint::ZERO;
    for numeral in x {
        number = number * radix + *numeral;
    }
    number
}

/// Algorithm 3: STR^m_radix(x).
fn str(radix: u32, m: usize, mut x: BigUint) -> Vec<u16> {
    let mut numerals = vec![0; m];
    for i in 1..=m {
        numerals[m - i] = (&x % radix).to_u16().expect("a numeral is below 65,536");
        x /= radix;
    }
    numerals
}

/// [x]^length: a number as bytes, most significant first.
fn bytes_be(x: &BigUint, length: usize) -> Vec<u8> {
    let mut bytes = x.to_bytes_le();
    bytes.resize(length, 0);
    bytes.reverse();
    bytes
}

/// REV and REVB.
fn reversed<T: Copy>(x: &[T]) -> Vec<T> {
    x.iter().rev().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_tweak_becomes_a_long_one() {
        assert_eq!(
            ff3_1_tweak(&[0x11, 0x22, 0x33, 0x45, 0x66, 0x77, 0x88]),
            [0x11, 0x22, 0x33, 0x40, 0x66, 0x77, 0x88, 0x50]
        );
    }
}
