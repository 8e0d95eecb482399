//! The integers that hold a half of a message, and how each is reduced.

use aes::Block;

use crate::arith::barrett::{Barrett, Barrett32, Barrett62, Barrett160, BarrettTall};
use crate::arith::numeral_batch::{RowCodec, RowCodec64, RowCodec128};

/// An integer that holds a half of a message.
pub(crate) trait Half: Copy + Default {
    /// The reduction modulo radix^m.
    type Modulus: Copy;
    /// The codec of rows of numerals.
    type Codec: RowCodec<Self>;

    fn modulus(highest: u128, order: ByteOrder) -> Self::Modulus;
    fn wide(self) -> u128;
}

/// Reduces modulo radix^m ≤ 2^64; each knows the widest y it gets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Modulus64 {
    /// A power of two, as its mask.
    Mask(u64),
    /// y of 64 bits.
    Short(Barrett32),
    /// y of 96 bits and radix^m < 2^32: first the upper 64 bits, then their remainder and the lower 32.
    Twice(Barrett32),
    /// y of 128 bits and radix^m < 2^32: likewise, in three steps.
    Thrice(Barrett32),
    /// y of 96 bits and radix^m < 2^62.
    Medium(Barrett62),
    /// y of 96 bits.
    Tall(BarrettTall),
    /// y of up to 128 bits.
    Any(Barrett),
}

impl Half for u64 {
    type Modulus = Modulus64;
    type Codec = RowCodec64;

    fn modulus(highest: u128, order: ByteOrder) -> Modulus64 {
        let m = highest + 1;
        match u64::try_from(m) {
            // Up to 2^64, which does not fit the type, but its mask does.
            _ if m.is_power_of_two() => Modulus64::Mask(highest as u64),
            Ok(m) if order == (ByteOrder::BigEndian { d: 8 }) => Modulus64::Short(Barrett32::new(m)),
            Ok(m) if order == (ByteOrder::BigEndian { d: 12 }) && m < 1 << 32 => Modulus64::Twice(Barrett32::new(m)),
            Ok(m) if order == (ByteOrder::BigEndian { d: 12 }) && m > 1 << 32 && m < 1 << 62 => {
                Modulus64::Medium(Barrett62::new(m))
            }
            Ok(m) if order == ByteOrder::LittleEndian && m < 1 << 32 => Modulus64::Thrice(Barrett32::new(m)),
            _ if order == (ByteOrder::BigEndian { d: 12 }) => {
                BarrettTall::new(m, 96).map_or_else(|| Modulus64::Any(Barrett::new(m)), Modulus64::Tall)
            }
            _ => Modulus64::Any(Barrett::new(m)),
        }
    }

    #[inline(always)]
    fn wide(self) -> u128 {
        self.into()
    }
}

/// Reduces modulo radix^m ≤ 2^128.
#[derive(Clone, Copy)]
pub(crate) enum Modulus128 {
    /// A power of two, as its mask.
    Mask(u128),
    /// y of 128 or 160 bits whose quotient fits 64.
    Tall(BarrettTall),
    /// y of up to 128 bits.
    Any(Barrett),
    /// y of 160 bits.
    Long(Barrett160),
}

impl Half for u128 {
    type Modulus = Modulus128;
    type Codec = RowCodec128;

    fn modulus(highest: u128, order: ByteOrder) -> Modulus128 {
        // 2^128 does not fit, and is a power of two: the mask serves.
        let Some(m) = highest.checked_add(1).filter(|m| !m.is_power_of_two()) else {
            return Modulus128::Mask(highest);
        };
        match order {
            ByteOrder::BigEndian { d: 20 } => {
                BarrettTall::new(m, 160).map_or_else(|| Modulus128::Long(Barrett160::new(m)), Modulus128::Tall)
            }
            ByteOrder::BigEndian { d: 16 } | ByteOrder::LittleEndian => {
                BarrettTall::new(m, 128).map_or_else(|| Modulus128::Any(Barrett::new(m)), Modulus128::Tall)
            }
            ByteOrder::BigEndian { .. } => Modulus128::Any(Barrett::new(m)),
        }
    }

    #[inline(always)]
    fn wide(self) -> u128 {
        self
    }
}

/// Byte order of y = NUM(S): FF1 reads the first d bytes of S big-endian, FF3-1 the whole block little-endian.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ByteOrder {
    /// FF1: the first d bytes of S, most significant first.
    BigEndian { d: usize },
    /// FF3: the whole block, least significant first.
    LittleEndian,
}

impl ByteOrder {
    /// The order of FF1, whatever d is.
    pub(crate) const BIG_ENDIAN: Self = Self::BigEndian { d: 0 };

    /// Writes the integer `x` to `block` in this order.
    #[inline(always)]
    pub(crate) fn write(self, x: u128, block: &mut Block) {
        // Word by word: of these there are vectors, of 128 bits there are none.
        let (high, low) = ((x >> 64) as u64, x as u64);
        let (first, last) = match self {
            Self::BigEndian { .. } => (high.to_be_bytes(), low.to_be_bytes()),
            Self::LittleEndian => (low.to_le_bytes(), high.to_le_bytes()),
        };
        let (to_first, to_last) = block.0.split_at_mut(8);
        to_first.copy_from_slice(&first);
        to_last.copy_from_slice(&last);
    }

    /// y, or its first 128 bits.
    #[inline(always)]
    pub(crate) fn y(self, block: &Block) -> u128 {
        match self {
            // What follows the first d bytes is shifted out: S is R cut to d bytes (FF1 step 6.iii).
            Self::BigEndian { d } => u128::from_be_bytes(block.0) >> (128 - 8 * d.min(16)),
            Self::LittleEndian => u128::from_le_bytes(block.0),
        }
    }
}
