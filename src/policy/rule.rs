//! A rule: a name for one way to protect.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::formats::Format;
use crate::keys::KeyRef;
use crate::tokens::StoreUrl;
use crate::{Error, Result};

/// One way to protect: treatment, format, key and tweak. Columns under the same rule join with each other.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The name in the policy.
    pub name: String,
    /// The treatment of a value.
    pub treatment: Treatment,
    /// The format of a value.
    pub format: Format,
    /// The data key.
    pub key: KeyRef,
    /// The domain that the subkey is bound to, fixed for ever; by default the rule's name.
    pub domain: String,
    /// The tweak, which goes into the cipher beside key and value.
    pub tweak: Tweak,
    /// The last character of a protected value names the version of the key that made it.
    pub version_character: bool,
    /// The view of whoever sees values masked.
    pub mask: Mask,
    /// The handling of a value that does not fit.
    pub on_invalid: OnInvalid,
    /// The first character of every protected value that did not fit its format, for `on_invalid = "siv"`. No
    /// protected value of the format begins with it.
    pub wrap_mark: char,
    /// The handling of an empty string.
    pub on_empty: OnEmpty,
    /// The handling of a value too short to hide among those of its shape. With a band, `format` has it.
    pub on_short: OnShort,
    /// Why fewer than 1,000,000 possible values are accepted.
    pub insecure_small_domain: Option<String>,
    /// Why values are protected with FF3-1, which NIST has withdrawn; without a reason that treatment only reveals.
    pub insecure_legacy: Option<String>,
    /// The minting of tokens, for the treatment that mints.
    pub tokens: Option<Tokens>,
    /// The bucket, for the treatment that makes values coarser.
    pub bucket: Option<Bucket>,
    /// The furthest that a date is moved, in days, for the treatment that does.
    pub days: u32,
    /// The length of a hash in bits, for the treatment that makes them.
    pub bits: u16,
}

impl Rule {
    /// The number of values that its usual value could be, after what the format keeps; `None` if that depends on the
    /// value.
    pub fn possible_values(&self) -> Option<u128> {
        match &self.format {
            Format::String(format) => {
                let length = format.usual_numerals()?;
                Some(u128::from(format.radix()).saturating_pow(u32::try_from(length).unwrap_or(u32::MAX)))
            }
            Format::Ranked(format) => Some(format.size()),
            Format::Segmented(format) => format.usual_size(),
        }
    }

    /// Tells whether each row brings its own tweak, which has to be as long as FF3-1 has it.
    pub(crate) fn takes_tweaks_of_56_bits(&self) -> bool {
        self.treatment == Treatment::EncryptLegacy && matches!(self.tweak, Tweak::Column(_))
    }
}

/// A way to make values coarser.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Bucket {
    /// The first so many characters of a text.
    Prefix(usize),
    /// The beginning of a range so many wide; one begins at 0.
    Width(u64),
    /// The greatest of these values, as the format writes them, that is not above.
    Edges(Vec<String>),
    /// The beginning of a period.
    To(Period),
}

impl Bucket {
    /// Spells the bucket as fingerprints have it: frozen, since metadata and check values of files hold a hash of it.
    pub(crate) fn definition(&self) -> String {
        match self {
            Self::Prefix(length) => format!("Prefix({length})"),
            Self::Width(width) => format!("Width({width})"),
            // The spelling of `Debug` for strings, quotes and escapes included, since the first files
            // were written so.
            Self::Edges(edges) => format!("Edges({edges:?})"),
            Self::To(period) => format!("To({})", period.definition()),
        }
    }
}

/// A period of the calendar.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "their names say it")]
pub enum Period {
    Hour,
    Day,
    Month,
    Quarter,
    Year,
    Decade,
}

impl Period {
    /// Spells the period as fingerprints have it.
    fn definition(self) -> &'static str {
        match self {
            Self::Hour => "Hour",
            Self::Day => "Day",
            Self::Month => "Month",
            Self::Quarter => "Quarter",
            Self::Year => "Year",
            Self::Decade => "Decade",
        }
    }
}

/// The minting of a rule's tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The store that they are kept in.
    pub store: StoreUrl,
    /// Each occurrence of a value gets a token of its own; by default equal values get one.
    pub per_occurrence: bool,
    /// How long a token can be revealed; by default for ever.
    pub ttl: Option<Duration>,
    /// No token is a valid value of these rules' formats.
    pub never_valid_as: Vec<Format>,
    /// The handling of a token whose value was deleted, or has expired.
    pub on_forgotten: OnForgotten,
}

/// The handling of a token whose value was deleted, or has expired.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum OnForgotten {
    /// NULL.
    #[default]
    Null,
    /// The token, as it is.
    Keep,
    /// The whole operation fails, naming row and column.
    Error,
}

/// The treatment of a value.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Treatment {
    /// FF1 (SP 800-38G): the result has the format of the value.
    #[default]
    Encrypt,
    /// A random token of the format, kept in a store.
    Tokenize,
    /// FF3-1, which NIST has withdrawn: to read and write what other software protects so.
    EncryptLegacy,
    /// AES-SIV (RFC 5297): deterministic authenticated encryption of any value; the result is longer.
    Siv,
    /// HMAC-SHA-256: a keyed one-way hash.
    Hash,
    /// Characters replaced, as for those who see values masked.
    Mask,
    /// Dates moved by a keyed number of days, the same for all dates of an entity.
    Shift,
    /// Values made coarser.
    Bucket,
    /// The column is left out.
    Drop,
}

impl Treatment {
    /// As a policy has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Encrypt => "encrypt",
            Self::Tokenize => "tokenize",
            Self::EncryptLegacy => "encrypt-legacy",
            Self::Siv => "siv",
            Self::Hash => "hash",
            Self::Mask => "mask",
            Self::Shift => "shift",
            Self::Bucket => "bucket",
            Self::Drop => "drop",
        }
    }

    /// Can nobody reveal what it makes?
    pub fn is_one_way(self) -> bool {
        matches!(self, Self::Hash | Self::Mask | Self::Bucket | Self::Drop)
    }

    /// Does it take values of any form?
    pub(super) fn takes_anything(self) -> bool {
        matches!(self, Self::Siv | Self::Hash | Self::Mask | Self::Bucket | Self::Drop)
    }
}

impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The tweak, which goes into the cipher beside key and value, so that equal values in different places differ.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub enum Tweak {
    /// The parts that the format keeps clear.
    #[default]
    Kept,
    /// Nothing.
    None,
    /// Fixed bytes for every row.
    Fixed(Vec<u8>),
    /// The plaintext of another column of the same row.
    Column(String),
}

impl fmt::Display for Tweak {
    /// The tweak's definition, as metadata and check values have it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("kept"),
            Self::None => f.write_str("none"),
            // A tweak is no secret: it stands in the metadata of files.
            Self::Fixed(bytes) => write!(f, "hex:{}", hex::encode(bytes)),
            Self::Column(name) => write!(f, "column:{name}"),
        }
    }
}

/// The masked view of a value: letters, digits and the format's other symbols are replaced, but for those
/// kept; the rest stays.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Mask {
    /// Letters and digits kept at the start.
    #[serde(default)]
    pub keep_first: usize,
    /// Letters and digits kept at the end.
    #[serde(default)]
    pub keep_last: usize,
    /// The character in place of the others.
    #[serde(default = "star")]
    pub with: char,
    /// The text in place of every value.
    pub fixed: Option<String>,
}

impl Mask {
    /// Spells the mask as fingerprints have it: frozen, since metadata and check values of files hold a hash of it.
    pub(crate) fn definition(&self) -> String {
        // Taken apart by name, so that a new field does not compile until it has its place here.
        let Self {
            keep_first,
            keep_last,
            with,
            fixed,
        } = self;
        format!("Mask {{ keep_first: {keep_first}, keep_last: {keep_last}, with: {with:?}, fixed: {fixed:?} }}")
    }
}

fn star() -> char {
    '*'
}

impl Default for Mask {
    fn default() -> Self {
        Self {
            keep_first: 0,
            keep_last: 0,
            with: star(),
            fixed: None,
        }
    }
}

/// The handling of a value that does not fit its format.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum OnInvalid {
    /// The whole operation fails, naming row and column.
    #[default]
    Error,
    /// It is encrypted as a whole with AES-SIV (RFC 5297), and stands behind a mark. Nothing of its format is left.
    Siv,
    /// It becomes NULL.
    Null,
    /// It stays in the clear, counted and reported.
    InsecureKeep,
}

/// The handling of an empty string.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum OnEmpty {
    /// It stays empty.
    #[default]
    Keep,
    /// It is a value that does not fit.
    Invalid,
}

/// The handling of a value with too few others of its shape to hide among.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum OnShort {
    /// It does not fit.
    #[default]
    Invalid,
    /// Short values are encrypted among each other, whatever their length: the result may be longer or shorter.
    Band,
}

/// Bytes of FF3-1's tweak (SP 800-38G Rev 1 draft of 2019, section 5.2).
pub(crate) const FF3_1_TWEAK: usize = 7;

/// A rule as SQL and Python name it: `card`, or `card@2` for version 2 of its key.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct RuleRef {
    /// The rule's name.
    pub rule: String,
    /// The version of its key; else the one the policy pins, or the active one.
    pub version: Option<u32>,
}

impl FromStr for RuleRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (rule, version) = match text.split_once('@') {
            None => (text, None),
            Some((rule, version)) => {
                // Versions count from 1; 0 would mean none.
                let number = version.parse().ok().filter(|number| *number > 0);
                let number = number.ok_or_else(|| {
                    Error::bad_input("a rule is written `name` or `name@version`, the version a number from 1")
                })?;
                (rule, Some(number))
            }
        };
        Ok(Self {
            rule: rule.to_owned(),
            version,
        })
    }
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            None => f.write_str(&self.rule),
            Some(version) => write!(f, "{}@{version}", self.rule),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_references() {
        let card: RuleRef = "card@12".parse().expect("reference");
        assert_eq!((card.rule.as_str(), card.version), ("card", Some(12)));
        assert_eq!(card.to_string(), "card@12");
        assert!("card@0".parse::<RuleRef>().is_err());
        assert!("card@x".parse::<RuleRef>().is_err());
    }

    #[test]
    fn definitions_of_masks_and_buckets_are_frozen() {
        let mask = Mask {
            keep_first: 1,
            keep_last: 2,
            with: '\'',
            fixed: Some("a \"•\"".to_owned()),
        };
        let definition = r#"Mask { keep_first: 1, keep_last: 2, with: '\'', fixed: Some("a \"•\"") }"#;
        assert_eq!(mask.definition(), definition);
        assert_eq!(
            Mask::default().definition(),
            "Mask { keep_first: 0, keep_last: 0, with: '*', fixed: None }"
        );
        for (bucket, definition) in [
            (Bucket::Prefix(3), "Prefix(3)"),
            (Bucket::Width(50), "Width(50)"),
            (
                Bucket::Edges(vec!["0".into(), "1\"8".into()]),
                r#"Edges(["0", "1\"8"])"#,
            ),
            (Bucket::To(Period::Hour), "To(Hour)"),
            (Bucket::To(Period::Day), "To(Day)"),
            (Bucket::To(Period::Month), "To(Month)"),
            (Bucket::To(Period::Quarter), "To(Quarter)"),
            (Bucket::To(Period::Year), "To(Year)"),
            (Bucket::To(Period::Decade), "To(Decade)"),
        ] {
            assert_eq!(bucket.definition(), definition);
            // As it was spelled when the first files were written.
            assert_eq!(format!("{bucket:?}"), definition);
        }
        assert_eq!(format!("{mask:?}"), mask.definition());
    }
}
