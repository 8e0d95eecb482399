//! Symbols ⇄ numerals.

use std::collections::HashMap;
use std::fmt;

use crate::{Error, Result};

/// The largest alphabet: radix 2^16 (SP 800-38G, section 4.1 of the FF1 parameters).
const MOST: usize = 1 << 16;

/// Alphabets up to this size, in ASCII, are looked up in constant time.
const SMALL: usize = 64;

/// An alphabet: the code point at index i is numeral i.
///
/// ASCII alphabets of up to 64 symbols are searched whole, whatever the symbol, so that neither time nor memory
/// access tells which one it was. Larger ones use a hash table.
#[derive(Clone)]
pub struct Alphabet {
    symbols: Vec<char>,
    index: Index,
}

#[derive(Clone)]
enum Index {
    /// Padded with 0xFF, which no ASCII character equals.
    Small(Box<[u8; SMALL]>),
    Large(HashMap<char, u16>),
}

impl Alphabet {
    /// The alphabet of the code points of `symbols`, in order.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] for fewer than 2 or more than 65,536 symbols, or one that repeats.
    pub fn try_new(symbols: &str) -> Result<Self> {
        let symbols: Vec<char> = symbols.chars().collect();
        if symbols.len() < 2 || symbols.len() > MOST {
            return Err(Error::bad_policy(format!(
                "an alphabet has 2 to {MOST} symbols, this one has {}",
                symbols.len()
            )));
        }
        // A map even for alphabets that are searched whole: it finds a symbol that repeats in one pass.
        let mut index = HashMap::with_capacity(symbols.len());
        for (numeral, symbol) in (0..=u16::MAX).zip(&symbols) {
            if let Some(first) = index.insert(*symbol, numeral) {
                return Err(Error::bad_policy(format!(
                    "symbol {} of the alphabet repeats symbol {}",
                    usize::from(numeral) + 1,
                    usize::from(first) + 1
                )));
            }
        }
        // 64 bytes are a cache line or two, so searching all of them costs little, and leaves nothing in the cache
        // that tells symbols apart.
        let small = symbols.len() <= SMALL && symbols.iter().all(char::is_ascii);
        let index = if small {
            // Empty slots hold 0xFF. A look-up has refused everything beyond ASCII before, so they never match.
            let mut table = Box::new([0xFF; SMALL]);
            for (slot, symbol) in table.iter_mut().zip(&symbols) {
                *slot = *symbol as u8;
            }
            Index::Small(table)
        } else {
            Index::Large(index)
        };
        Ok(Self { symbols, index })
    }

    /// The number of symbols.
    pub fn radix(&self) -> u32 {
        self.symbols.len() as u32 // at most 2^16
    }

    /// The symbols in order.
    pub fn symbols(&self) -> &[char] {
        &self.symbols
    }

    /// The numeral of `symbol`.
    #[inline]
    pub fn numeral(&self, symbol: char) -> Option<u16> {
        match &self.index {
            Index::Small(table) => {
                // What is no ASCII is refused before the search. That tells only that the value does not fit,
                // which its error says anyway.
                let symbol = u8::try_from(u32::from(symbol)).ok().filter(u8::is_ascii)?;
                let mut found = 0u8; // index + 1
                // No early exit: the time and the addresses read are the same for every symbol. At most one slot
                // equals, so OR acts as a choice.
                for (i, slot) in (1u8..).zip(table.iter()) {
                    // 0 − 1 wraps to a mask of ones where the slot is equal, and 0 − 0 to a mask of zeros.
                    found |= i & 0u8.wrapping_sub(u8::from(*slot == symbol));
                }
                found.checked_sub(1).map(u16::from)
            }
            Index::Large(index) => index.get(&symbol).copied(),
        }
    }

    /// The symbol of `numeral`, which is below the radix.
    #[inline]
    pub fn symbol(&self, numeral: u16) -> char {
        match &self.index {
            Index::Small(table) => {
                let mut symbol = 0u8;
                // The whole table is read, as in `numeral`: an index that comes from plaintext would show in the
                // cache.
                for (i, slot) in (0u16..).zip(table.iter()) {
                    symbol |= slot & 0u8.wrapping_sub(u8::from(i == numeral));
                }
                char::from(symbol)
            }
            // Tables of larger alphabets span many cache lines, so this read depends on the value. The manual
            // names this as an exception.
            Index::Large(_) => self.symbols[usize::from(numeral)],
        }
    }
}

impl fmt::Debug for Alphabet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The count alone: an alphabet of 65,536 symbols would fill a log.
        write!(f, "Alphabet({} symbols)", self.symbols.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numerals_and_symbols_are_inverse() {
        let ascii64: String = (b'!'..=b'`').map(char::from).collect();
        let ascii65: String = (b'!'..=b'a').map(char::from).collect();
        for symbols in ["01", "0123456789", &ascii64, &ascii65, "αβγδ😀漢字"] {
            let alphabet = Alphabet::try_new(symbols).expect("alphabet");
            for (i, symbol) in symbols.chars().enumerate() {
                assert_eq!(alphabet.numeral(symbol), Some(i as u16));
                assert_eq!(alphabet.symbol(i as u16), symbol);
            }
            for stranger in ['\u{0}', '\u{7f}', 'ÿ', '\u{ff}', '\u{130}', '語', '~'] {
                assert_eq!(alphabet.numeral(stranger), None, "{symbols} {stranger:?}");
            }
        }
    }

    #[test]
    fn whole_range_of_the_largest_alphabet() {
        let symbols: String = ('\u{0}'..).take(MOST).collect();
        let alphabet = Alphabet::try_new(&symbols).expect("65,536 symbols");
        assert_eq!(alphabet.radix(), 65_536);
        let last = symbols.chars().last().expect("a last symbol");
        assert_eq!(alphabet.numeral(last), Some(u16::MAX));
        assert!(Alphabet::try_new(&('\u{0}'..).take(MOST + 1).collect::<String>()).is_err());
    }

    #[test]
    fn bad_alphabets_are_refused_by_position() {
        let error = Alphabet::try_new("0120").expect_err("repeat");
        assert_eq!(error.to_string(), "symbol 4 of the alphabet repeats symbol 1");
        assert!(Alphabet::try_new("a").is_err());
        assert!(Alphabet::try_new("").is_err());
    }
}
