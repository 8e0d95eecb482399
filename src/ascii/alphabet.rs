//! Alphabets of ASCII characters, a byte each, and the numerals they stand for.

use cipherform_simd::multiversion;

/// An alphabet of 2 to 64 ASCII characters: the character at index i is numeral i.
///
/// Neither reading nor writing looks anything up at an address that depends on a value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Symbols {
    /// The alphabet, then zeros.
    bytes: [u8; 64],
    radix: usize,
    /// Stretches of consecutive characters.
    ranges: Vec<CharRange>,
}

/// Characters `first`, `first` + 1, … that are numerals `base`, `base` + 1, …
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct CharRange {
    pub(crate) first: u8,
    pub(crate) length: u8,
    pub(crate) base: u8,
}

impl Symbols {
    /// The alphabet of `symbols`, in order; `None` if there are not 2 to 64, one is not ASCII or one repeats.
    pub fn new(symbols: &[char]) -> Option<Self> {
        let mut bytes = [0; 64];
        if !(2..=64).contains(&symbols.len()) {
            return None;
        }
        let mut ranges: Vec<CharRange> = Vec::new();
        for (numeral, symbol) in symbols.iter().enumerate() {
            let byte = u8::try_from(*symbol).ok().filter(u8::is_ascii)?;
            if bytes[..numeral].contains(&byte) {
                return None;
            }
            bytes[numeral] = byte;
            // Alphabets are a few ranges nearly always (0-9, A-Z, a-z): a loop over ranges, each by comparison and
            // subtraction, serves any processor, where a table of 256 entries would be read at secret addresses.
            match ranges.last_mut() {
                Some(range) if range.first + range.length == byte => range.length += 1,
                _ => ranges.push(CharRange {
                    first: byte,
                    length: 1,
                    base: numeral as u8,
                }),
            }
        }
        Some(Self {
            bytes,
            radix: symbols.len(),
            ranges,
        })
    }

    /// The decimal digits.
    pub fn digits() -> Self {
        let digits: Vec<char> = ('0'..='9').collect();
        Self::new(&digits).expect("ten ASCII characters")
    }

    /// The number of symbols.
    pub fn radix(&self) -> usize {
        self.radix
    }

    /// The alphabet, then zeros.
    pub fn bytes(&self) -> &[u8; 64] {
        &self.bytes
    }

    /// The alphabet as stretches of consecutive characters.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn ranges(&self) -> &[CharRange] {
        &self.ranges
    }

    /// Writes to `numerals` the numeral of each byte of `text`, which is as long; 0xFF for a byte that is no
    /// symbol. `false` if there is one.
    pub fn read(&self, text: &[u8], numerals: &mut [u8]) -> bool {
        multiversion::run(Read {
            symbols: self,
            text,
            numerals,
        })
    }

    /// True if all bytes of `text` are symbols.
    pub fn are_all(&self, text: &[u8]) -> bool {
        multiversion::run(AreAll { symbols: self, text })
    }

    /// Replaces each numeral by its symbol.
    pub fn write(&self, numerals: &mut [u8]) {
        multiversion::run(Write {
            symbols: self,
            numerals,
        });
    }

    /// The place of the first byte of `text` that is no symbol.
    pub fn first_other(&self, text: &[u8]) -> Option<usize> {
        let mut numerals = vec![0; text.len()];
        if self.read(text, &mut numerals) {
            return None;
        }
        numerals.iter().position(|numeral| *numeral == 0xFF)
    }
}

/// [`Symbols::read`].
struct Read<'a> {
    symbols: &'a Symbols,
    text: &'a [u8],
    numerals: &'a mut [u8],
}

impl multiversion::MultiversionTask for Read<'_> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let Self {
            symbols,
            text,
            numerals,
        } = self;
        // `and` of all ranges: each gives ones for bytes outside of it, and the one that has the byte gives the
        // numeral.
        numerals.fill(0xFF);
        for range in &symbols.ranges {
            let CharRange { first, length, base } = *range;
            for (numeral, byte) in numerals.iter_mut().zip(text) {
                let at = byte.wrapping_sub(first);
                // All ones outside of the range, which changes nothing.
                *numeral &= at.wrapping_add(base) | 0u8.wrapping_sub(u8::from(at >= length));
            }
        }
        // Numerals are below 64.
        numerals.iter().fold(0, |all, numeral| all | numeral) & 0x80 == 0
    }
}

/// [`Symbols::are_all`].
struct AreAll<'a> {
    symbols: &'a Symbols,
    text: &'a [u8],
}

impl multiversion::MultiversionTask for AreAll<'_> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let ranges = &self.symbols.ranges;
        if let [only] = ranges[..] {
            let place = |byte: &u8| byte.wrapping_sub(only.first);
            // The highest place of all tells: no branch for a byte, and the loop becomes maxima of whole registers.
            // Bytes below the range wrap to high places.
            return self.text.iter().map(place).fold(0, u8::max) < only.length;
        }
        // By 64 bytes, so that what was found stays in registers from range to range.
        let mut all = [0xFF; 64];
        for text in self.text.chunks(64) {
            let mut inside = [0; 64];
            for CharRange { first, length, .. } in ranges {
                for (inside, byte) in inside.iter_mut().zip(text) {
                    *inside |= 0u8.wrapping_sub(u8::from(byte.wrapping_sub(*first) < *length));
                }
            }
            for (all, inside) in all.iter_mut().zip(&inside[..text.len()]) {
                *all &= inside;
            }
        }
        all == [0xFF; 64]
    }
}

/// [`Symbols::write`].
struct Write<'a> {
    symbols: &'a Symbols,
    numerals: &'a mut [u8],
}

impl multiversion::MultiversionTask for Write<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let ranges = &self.symbols.ranges;
        if let [only] = ranges[..] {
            for numeral in self.numerals {
                *numeral = numeral.wrapping_add(only.first);
            }
            return;
        }
        // Few at a time, all ranges one after the other.
        for numerals in self.numerals.chunks_mut(64) {
            let mut bytes = [0; 64];
            for range in ranges {
                let CharRange { first, length, base } = *range;
                for (byte, numeral) in bytes.iter_mut().zip(&*numerals) {
                    let at = numeral.wrapping_sub(base);
                    *byte |= at.wrapping_add(first) & 0u8.wrapping_sub(u8::from(at < length));
                }
            }
            numerals.copy_from_slice(&bytes[..numerals.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_every_byte() {
        for text in [
            "01",
            "0123456789",
            "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            "zyxba",
            "qwertyuiop",
        ] {
            let chars: Vec<char> = text.chars().collect();
            let symbols = Symbols::new(&chars).unwrap();
            let all: Vec<u8> = (0..=255).collect();
            for byte in &all {
                let own = chars.iter().any(|symbol| *symbol == char::from(*byte));
                for place in [0, 63, 64, 100, 199] {
                    let mut row: Vec<u8> = text.bytes().cycle().take(200).collect();
                    assert!(symbols.are_all(&row[..place]));
                    row[place] = *byte;
                    assert_eq!(symbols.are_all(&row), own, "{text} {byte}");
                }
            }
            let mut numerals = vec![0; 256];
            assert!(!symbols.read(&all, &mut numerals));
            for byte in all {
                let expected = chars
                    .iter()
                    .position(|symbol| *symbol == char::from(byte) && byte < 128);
                assert_eq!(
                    numerals[usize::from(byte)],
                    expected.map_or(0xFF, |at| at as u8),
                    "{text} {byte}"
                );
            }
            let mut spelled: Vec<u8> = (0..chars.len() as u8).collect();
            symbols.write(&mut spelled);
            assert_eq!(spelled, text.as_bytes());
        }
    }

    #[test]
    fn only_small_ascii_alphabets() {
        for text in ["", "a", "aa", "aä", "漢字"] {
            assert!(Symbols::new(&text.chars().collect::<Vec<_>>()).is_none(), "{text}");
        }
        let ascii: Vec<char> = (33..98u8).map(char::from).collect();
        assert!(Symbols::new(&ascii).is_none());
        assert!(Symbols::new(&ascii[..64]).is_some());
    }
}
