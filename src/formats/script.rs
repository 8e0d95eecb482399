//! `text` and `name`: letters become other letters of the same script and case; everything that is no letter or digit
//! stays.
//!
//! The classes of letters are tables of this crate, not of the Unicode version that it was built with: `text/2` and
//! `name/2` are frozen. A letter in none of them does not fit, so that nothing is silently left in the clear. Texts
//! are taken by code point, as they are (Unicode Normalization Form C is usual): combining accents stay where they
//! are.

use std::sync::{Arc, LazyLock};

use super::band::{Band, SHORT_BAND};
use super::class::{CharClass, FLOOR, PatternUnion, Position, size};
use super::error::FormatError;
use super::format::Format;
use super::segmented::{SegmentedFormat, Segments};
use super::side::Side;
use crate::Result;

/// The letters of one script and case.
struct Letters {
    class: Arc<CharClass>,
    /// The class that follows a capital of this one in a word; itself for small letters and scripts without case.
    next: usize,
    /// The class of these letters with accents, if there is one.
    accented: Option<usize>,
}

/// Segments in [`LETTERS`].
// ASCII letters are found without a search, as most texts have hardly any others.
const LATIN_UPPER: usize = 0;
const LATIN_LOWER: usize = 1;

/// The number of the class of digits, after those of [`LETTERS`].
// Its number goes into the shape, so a class can only be added behind it, and only in a new version.
const DIGIT_CLASS: usize = 18;

/// Every class of letters. Both the order, which numbers the classes, and the ranges define the map.
// Each class is one script and case: a capital stays a capital, so initials and upper-case names keep their looks.
static LETTERS: LazyLock<Vec<Letters>> = LazyLock::new(|| {
    let letters = |ranges: &[(char, char, u32)], next, accented| Letters {
        class: Arc::new(CharClass::new(ranges)),
        next,
        accented,
    };
    vec![
        letters(&[('A', 'Z', 1)], LATIN_LOWER, Some(2)),
        letters(&[('a', 'z', 1)], LATIN_LOWER, Some(3)),
        // Latin-1 Supplement, Latin Extended-A, and of -B and Additional what Romanian and Vietnamese need.
        letters(
            &[
                ('À', 'Ö', 1),
                ('Ø', 'Þ', 1),
                // Upper and lower case alternate in Latin Extended-A, hence steps of 2; the ranges change parity
                // at ĸ and Ÿ.
                ('Ā', 'Ķ', 2),
                ('Ĺ', 'Ň', 2),
                ('Ŋ', 'Ŷ', 2),
                ('Ÿ', 'Ź', 1),
                ('Ż', 'Ž', 2),
                ('Ơ', 'Ơ', 1),
                ('Ư', 'Ư', 1),
                ('Ș', 'Ț', 2),
                ('Ḁ', 'Ẕ', 2),
                ('Ạ', 'Ỹ', 2),
            ],
            3,
            Some(2),
        ),
        letters(
            &[
                ('ß', 'ö', 1),
                ('ø', 'ÿ', 1),
                ('ā', 'ķ', 2),
                ('ĺ', 'ň', 2),
                ('ŋ', 'ŷ', 2),
                ('ź', 'ž', 2),
                ('ơ', 'ơ', 1),
                ('ư', 'ư', 1),
                ('ș', 'ț', 2),
                ('ḁ', 'ẕ', 2),
                ('ạ', 'ỹ', 2),
                ('ĸ', 'ĸ', 1),
            ],
            3,
            Some(3),
        ),
        letters(
            &[
                // U+03A2 is not assigned: the range has a gap there.
                ('Α', 'Ρ', 1),
                ('Σ', 'Ϋ', 1),
                ('Ά', 'Ά', 1),
                ('Έ', 'Ί', 1),
                ('Ό', 'Ό', 1),
                ('Ύ', 'Ώ', 1),
            ],
            5,
            None,
        ),
        letters(&[('ΐ', 'ΐ', 1), ('ά', 'ώ', 1)], 5, None),
        letters(&[('Ѐ', 'Я', 1), ('Ґ', 'Ґ', 1)], 7, None),
        letters(&[('а', 'џ', 1), ('ґ', 'ґ', 1)], 7, None),
        letters(&[('ա', 'և', 1)], 8, None),
        letters(&[('Ա', 'Ֆ', 1)], 8, None),
        // Scripts without case name themselves as what follows, so they have no band of capitalised words.
        letters(&[('א', 'ת', 1)], 10, None),
        letters(&[('ء', 'غ', 1), ('ف', 'ي', 1)], 11, None),
        letters(&[('ა', 'ჰ', 1)], 12, None),
        letters(&[('ぁ', 'ゖ', 1)], 13, None),
        letters(&[('ァ', 'ヺ', 1)], 14, None),
        // Precomposed syllables: texts in decomposed form (jamo) do not fit, and have to be normalised before.
        letters(&[('가', '힣', 1)], 15, None),
        // The ideographs of Unicode 1.1, the mark of repetition, and Extension A.
        letters(&[('一', '龥', 1), ('々', '々', 1), ('㐀', '䶵', 1)], 16, None),
        // The letters that flags are written with.
        letters(&[('\u{1f1e6}', '\u{1f1ff}', 1)], 17, None),
    ]
});

/// Marks, which stay: white space, punctuation, symbols, combining accents. Everything else that is no letter or
/// digit does not fit; nor do letters and digits within circles, squares and the like, and letters that stand above
/// others.
// A list of what may stay, not of what may not: a character that nobody thought of is refused and not left in the
// clear.
static MARKS: LazyLock<CharClass> = LazyLock::new(|| {
    CharClass::new(&[
        ('\t', '\n', 1),
        // Control characters other than tab and line ends do not fit.
        ('\r', '\r', 1),
        (' ', '/', 1),
        (':', '@', 1),
        ('[', '`', 1),
        ('{', '~', 1),
        ('\u{a0}', '©', 1),
        ('«', '±', 1),
        ('´', '´', 1),
        ('¶', '¸', 1),
        ('»', '»', 1),
        ('¿', '¿', 1),
        ('×', '×', 1),
        ('÷', '÷', 1),
        ('ʹ', 'ʿ', 1),
        ('\u{300}', '\u{362}', 1),
        ('\u{2000}', '\u{206f}', 1),
        ('₠', '⃀', 1),
        ('←', '⏿', 1),
        ('─', '❵', 1),
        ('➔', '⯿', 1),
        ('\u{3000}', '〄', 1),
        ('〈', '〠', 1),
        ('・', 'ー', 1),
        ('！', '／', 1),
        ('：', '＠', 1),
        ('\u{1f000}', '\u{1f0ff}', 1),
        ('\u{1f300}', '\u{1faff}', 1),
    ])
});

static DIGITS: LazyLock<Arc<CharClass>> = LazyLock::new(|| Arc::new(CharClass::new(&[('0', '9', 1)])));

#[derive(Debug)]
pub(super) struct Script {
    name: &'static str,
    digits: bool,
    bands: Option<Arc<Bands>>,
}

/// The kind of a character.
enum SymbolKind {
    Letter(usize),
    Digit,
    Mark,
}

impl Script {
    /// The format called `name`, which encrypts digits as well as letters if `digits` says so.
    pub(super) fn format(name: &'static str, digits: bool) -> Format {
        Format::Segmented(Arc::new(Self {
            name,
            digits,
            bands: None,
        }))
    }

    fn kind(&self, symbol: char) -> Option<SymbolKind> {
        // The short way for most text; the tables below give the same answer.
        if symbol.is_ascii() {
            return match symbol {
                'A'..='Z' => Some(SymbolKind::Letter(LATIN_UPPER)),
                'a'..='z' => Some(SymbolKind::Letter(LATIN_LOWER)),
                // None, not a mark, where digits are not encrypted: `name` would otherwise leave them in the
                // clear.
                '0'..='9' => self.digits.then_some(SymbolKind::Digit),
                _ => MARKS.index(symbol).map(|_| SymbolKind::Mark),
            };
        }
        // Linear over 18 classes of a few ranges each: no table over all code points is needed.
        let letter = LETTERS.iter().position(|letters| letters.class.index(symbol).is_some());
        letter
            .map(SymbolKind::Letter)
            .or_else(|| MARKS.index(symbol).map(|_| SymbolKind::Mark))
    }

    fn class(&self, symbol: char) -> Option<Arc<CharClass>> {
        match self.kind(symbol)? {
            SymbolKind::Letter(at) => Some(Arc::clone(&LETTERS[at].class)),
            SymbolKind::Digit => Some(Arc::clone(&DIGITS)),
            SymbolKind::Mark => None,
        }
    }
}

impl SegmentedFormat for Script {
    fn definition(&self) -> String {
        match self.bands {
            Some(_) => format!("{}{SHORT_BAND}", self.name),
            None => self.name.to_owned(),
        }
    }

    fn split(&self, value: &str, _: Side, places: &mut Segments) -> Result<(), FormatError> {
        let mut bits = 0;
        for (i, symbol) in value.chars().enumerate() {
            let (number, class): (usize, &CharClass) = match self.kind(symbol) {
                Some(SymbolKind::Letter(at)) => (at, &LETTERS[at].class),
                Some(SymbolKind::Digit) => (DIGIT_CLASS, &DIGITS),
                // Stays and takes no place, so it is neither in the number nor in the shape: punctuation does not
                // change a ciphertext.
                Some(SymbolKind::Mark) => continue,
                None => return Err(FormatError::Character { position: i + 1 }),
            };
            // Texts may be of any length, so the width is checked as they grow.
            places.push_of_many(class.index(symbol).unwrap_or_default(), class.size(), &mut bits)?;
            // Two texts of one bit length may differ in their classes (A–Z and a–z both have 26), so the classes
            // go into the tweak.
            places.shape.extend_from_slice(&(number as u16).to_be_bytes()); // at most `DIGIT_CLASS`
        }
        Ok(())
    }

    fn join(&self, value: &str, digits: &[u64], _: Side, out: &mut String) {
        let mut digits = digits.iter();
        for symbol in value.chars() {
            // The class of the value's own symbol, which is that of the result as well: layout and result agree.
            out.push(match self.class(symbol) {
                None => symbol,
                Some(class) => digits.next().map_or(symbol, |digit| class.symbol(*digit)),
            });
        }
    }

    fn is_symbol(&self, symbol: char) -> bool {
        // Letters of flags are no letters to Unicode.
        symbol.is_alphanumeric() || self.class(symbol).is_some()
    }

    fn band(&self, value: &str, _: Side) -> Option<Band<'_>> {
        let bands = self.bands.as_ref()?;
        // Cheap, and before the unions: long texts, which are most, are never compared with hundreds of patterns.
        if value.chars().nth(bands.longest).is_some() {
            return None;
        }
        // The unions are disjoint, so their order only numbers them.
        let number = bands.unions.iter().position(|union| union.takes(value))?;
        Some(Band {
            domain: &bands.unions[number],
            number: number as u16, // a few for each class of letters
        })
    }

    fn banded(&self) -> Result<Arc<dyn SegmentedFormat>> {
        Ok(Arc::new(Self {
            name: self.name,
            digits: self.digits,
            bands: Some(Arc::new(Bands::new(self.digits))),
        }))
    }
}

/// The ranked domain of short words: words of at most so many letters, all of one script; their letters all small
/// or all capitals, or one capital and then small ones. In Latin, words that have a letter with an accent are apart
/// from those that have none.
#[derive(Debug)]
struct Bands {
    unions: Vec<PatternUnion>,
    /// Characters of the longest word in any.
    longest: usize,
}

impl Bands {
    fn new(digits: bool) -> Self {
        let mut bands = Self {
            unions: Vec::new(),
            longest: 0,
        };
        for (at, letters) in LETTERS.iter().enumerate() {
            let is_accented_twin = letters.accented == Some(at);
            // Words with an accent are added with the class without, as patterns of their own.
            if is_accented_twin {
                continue; // words with accents come with those without
            }
            // A class that is followed by itself has no capitals of its own.
            let capitalised = (letters.next != at).then_some(letters.next);
            for rest in [Some(at), capitalised].into_iter().flatten() {
                bands.add(at, rest);
            }
        }
        if digits {
            // Numbers of few digits form a band of their own: a digit never becomes a letter.
            let place = Position::Class(Arc::clone(&DIGITS));
            bands.push(|length| vec![vec![place.clone(); length]], 1);
        }
        bands
    }

    /// The words whose first letter is of class `first` and whose others are of class `rest`.
    fn add(&mut self, first: usize, rest: usize) {
        let plain = |at: usize| Position::Class(Arc::clone(&LETTERS[at].class));
        // A single letter is a word all of whose letters are of its class.
        // A single capital fits both "all capitals" and "one capital, then small ones"; it belongs to the first,
        // or it would have two ranks.
        let shortest = if first == rest { 1 } else { 2 };
        let word = |first: Position, rest: Position, length: usize| -> Vec<Position> {
            std::iter::once(first)
                .chain(std::iter::repeat_n(rest, length - 1))
                .collect()
        };
        self.push(|length| vec![word(plain(first), plain(rest), length)], shortest);
        // Scripts without accented letters have no second band.
        let (Some(first_accented), Some(rest_accented)) = (LETTERS[first].accented, LETTERS[rest].accented) else {
            return;
        };
        let either =
            |at: usize, accented: usize| Position::Class(Arc::new(LETTERS[at].class.with(&LETTERS[accented].class)));
        let (any, accent) = (either(rest, rest_accented), plain(rest_accented));
        // One pattern for each place that the first accent may have: plain letters before it, anything behind it.
        // So the patterns are disjoint, and a word with accents has exactly one rank.
        let with_accent = |length: usize| {
            let first_at = |at: usize| {
                (0..length)
                    .map(|place| match (place.cmp(&at), place) {
                        (std::cmp::Ordering::Less, 0) => plain(first),
                        (std::cmp::Ordering::Less, _) => plain(rest),
                        (std::cmp::Ordering::Equal, 0) => plain(first_accented),
                        (std::cmp::Ordering::Equal, _) => accent.clone(),
                        (std::cmp::Ordering::Greater, _) => any.clone(),
                    })
                    .collect()
            };
            (0..length).map(first_at).collect()
        };
        // A band apart from words without accents, as those would otherwise gain an accent.
        self.push(with_accent, shortest);
    }

    /// A band of all lengths from `shortest` on, up to the first with which the floor is passed.
    fn push(&mut self, patterns: impl Fn(usize) -> Vec<Vec<Position>>, shortest: usize) {
        let (mut all, mut together) = (Vec::new(), 0u128);
        for length in shortest.. {
            let more = patterns(length);
            together = more.iter().fold(together, |sum, pattern| {
                sum.saturating_add(size(pattern).unwrap_or(u128::MAX))
            });
            all.extend(more);
            // Ends, since each class has at least ten characters and every length multiplies.
            if together >= FLOOR {
                self.longest = self.longest.max(length);
                break;
            }
        }
        self.unions.extend(PatternUnion::new(all));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::bits::tests::there_and_back;

    fn words(format: Result<Format>) -> Arc<dyn SegmentedFormat> {
        match format {
            Ok(Format::Segmented(format)) => format,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn classes_are_disjoint_letters() {
        let all: Vec<&CharClass> = LETTERS
            .iter()
            .map(|letters| letters.class.as_ref())
            .chain([&*MARKS, &**DIGITS])
            .collect();
        for (i, one) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|other| one.is_disjoint(other)), "class {i}");
        }
        for letters in LETTERS.iter() {
            for index in 0..letters.class.size() {
                let symbol = letters.class.symbol(index);
                let is_of_flags = ('\u{1f1e6}'..='\u{1f1ff}').contains(&symbol);
                assert!(symbol.is_alphabetic() || is_of_flags, "{symbol:?}");
            }
        }
        for (upper, at) in [
            (true, 0),
            (false, 1),
            (true, 2),
            (false, 3),
            (true, 4),
            (false, 5),
            (true, 6),
            (false, 7),
            (true, 9),
        ] {
            let class = &LETTERS[at].class;
            for index in 0..class.size() {
                let symbol = class.symbol(index);
                assert_eq!(
                    (symbol.is_uppercase(), symbol.is_lowercase()),
                    (upper, !upper),
                    "{symbol:?}"
                );
            }
        }
        // Sizes are part of the frozen map.
        let sizes: Vec<u64> = LETTERS.iter().map(|letters| letters.class.size()).collect();
        assert_eq!(sizes[..2], [26, 26]);
        assert_eq!(sizes[15..], [11_172, 20_902 + 1 + 6_582, 26]);
        // Marks stay, so none is a letter or number, but for those that are written like apostrophes and lengthen a
        // vowel.
        for index in 0..MARKS.size() {
            let symbol = MARKS.symbol(index);
            let is_sign = matches!(symbol, 'ʹ'..='ʿ' | 'ー' | '\u{345}');
            assert!(is_sign || !symbol.is_alphanumeric(), "{:04x}", u32::from(symbol));
        }
    }

    #[test]
    fn case_script_and_marks_stay() {
        let text = Format::parse("text", toml::Table::new()).expect("text");
        assert_eq!(there_and_back(&text, "Ann O'Neil-42"), "Zmm L'Mvro-57");
        for value in [
            "Žofie Dvořáková",
            "Αλέξανδρος",
            "Дмитрий Ёлкин",
            "山田 太郎々",
            "김철수",
            "たなか アキラ",
            "Nguyễn Ơn",
            "שלום",
            "مريم",
            "🙂 ok…",
            "🇩🇪🇫🇷 ciao",
        ] {
            let other = there_and_back(&text, value);
            assert_eq!(other.chars().count(), value.chars().count());
        }
        let (text, name) = (
            words(Format::parse("text", toml::Table::new())),
            words(Format::parse("name", toml::Table::new())),
        );
        for value in [
            "ไทย",
            "हिन्दी",
            "x\u{0}",
            "½",
            "１",
            "ª",
            "ᴬ",
            "𐐀",
            "🄰",
            "🅰",
            "🆗",
            "🄁",
            "❶",
            "ꙶ",
            "a\u{363}",
        ] {
            assert!(
                text.split(value, Side::Plain, &mut Segments::default()).is_err(),
                "{value}"
            );
        }
        assert!(name.split("Ann 2nd", Side::Plain, &mut Segments::default()).is_err());
        name.split("Marie-Chloé d’Été", Side::Plain, &mut Segments::default())
            .expect("a name");
    }

    #[test]
    fn what_is_too_wide_is_refused_before_its_places_are_listed() {
        let base64url = words(Format::parse("base64url", toml::Table::new()));
        let formats = [
            words(Format::parse("text", toml::Table::new())),
            words(Format::parse("name", toml::Table::new())),
            base64url,
        ];
        for format in formats {
            for value in ["a", "ab", "abcd"].map(|part| part.repeat(400_000)) {
                let mut places = Segments::default();
                let found = format.split(&value, Side::Plain, &mut places);
                assert_eq!(found, Err(FormatError::TooWide { most: 4_096 }));
                assert!(places.digits.len() <= 4_096 && places.choices.len() <= 4_096);
            }
        }
        // What stays in the clear is no part of the number.
        let mut places = Segments::default();
        let spaced = format!("{}abcdefgh", " ".repeat(400_000));
        assert_eq!(
            words(Format::parse("text", toml::Table::new())).split(&spaced, Side::Plain, &mut places),
            Ok(())
        );
        assert_eq!(places.digits.len(), 8);
    }

    #[test]
    fn short_words_share_bands_that_know_their_own() {
        let banded = words(Format::parse("name", toml::Table::new()))
            .banded()
            .expect("bands");
        for value in [
            "Li", "Ann", "JO", "x", "Éva", "Zoé", "ĀĒ", "Ö", "Ян", "李", "Bo", "あい",
        ] {
            let band = banded.band(value, Side::Plain).expect(value).domain;
            assert!(band.size() >= FLOOR, "{value}");
            // Every result belongs to the same band.
            for rank in (0..band.size())
                .step_by((band.size() / 997) as usize)
                .chain([band.size() - 1])
            {
                let mut text = String::new();
                band.unrank(rank, value, &mut text);
                let again = banded.band(&text, Side::Protected).expect("a band").domain;
                assert_eq!((again.size(), again.rank(&text)), (band.size(), Ok(rank)), "{text}");
            }
        }
        for value in ["Anneliese", "O'Shea", "aB", "", "山田太郎"] {
            assert!(banded.band(value, Side::Plain).is_none(), "{value}");
        }
    }
}
