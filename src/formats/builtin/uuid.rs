//! `uuid`: universally unique identifiers (RFC 9562), with hyphens or without.
//!
//! The version and the variant stay, and are the tweak: a version 4 UUID stays one. That leaves 122 bits.

use std::sync::Arc;

use serde::Deserialize;

use crate::Result;
use crate::formats::bits::{BitString, Bits, HexCase};
use crate::formats::error::FormatError;
use crate::formats::format::Format;
use crate::formats::parameters::parse_parameters;

/// Version and variant: bits 48 to 51, and 64 and 65, from the left.
// RFC 9562, sections 4.1 and 4.2. The variant of the RFC is the two bits 10.
const MARKS: u128 = 0xf000 << 64 | 0b11 << 62;

const VARIANT: u128 = 0b10 << 62;

/// The places of the hyphens.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Uuid {
    #[serde(default)]
    case: HexCase,
    #[serde(default)]
    version: Version,
}

/// The treatment of version and variant.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Version {
    #[default]
    Keep,
    /// All 128 bits are encrypted; any identifier of the layout fits.
    Protect,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    Ok(Format::Segmented(Arc::new(BitString::new(parse_parameters::<Uuid>(
        table,
    )?))))
}

impl Bits for Uuid {
    fn definition(&self) -> String {
        let version = match self.version {
            Version::Keep => "keep",
            Version::Protect => "protect",
        };
        format!("uuid/1 case={} version={version}", self.case.name())
    }

    fn free(&self) -> u128 {
        match self.version {
            Version::Keep => !MARKS,
            Version::Protect => u128::MAX,
        }
    }

    fn read(&self, value: &str) -> Result<u128, FormatError> {
        let bits = match value.len() {
            // The closure takes hyphens only in their four places, but does not demand them; the check below does.
            36 => self.case.read(value, |i, byte| byte == b'-' && HYPHENS.contains(&i))?,
            32 => self.case.read(value, |_, _| false)?,
            _ => {
                return Err(FormatError::Malformed(
                    "not 32 digits, with hyphens as 8-4-4-4-12 or without",
                ));
            }
        };
        // 36 bytes may also be 33 to 36 digits with fewer hyphens, which would push bits out at the top.
        if value.len() == 36 && HYPHENS.iter().any(|place| value.as_bytes()[*place] != b'-') {
            return Err(FormatError::Malformed("the hyphens are not as in 8-4-4-4-12"));
        }
        let version = bits >> 76 & 15;
        // The nil and the max UUID (sections 5.9 and 5.10) have version 0 and 15: they mean something, and do not
        // fit.
        if self.version == Version::Keep && (bits & 0b11 << 62 != VARIANT || !(1..=8).contains(&version)) {
            return Err(FormatError::Malformed(
                "not of version 1 to 8 and the variant of RFC 9562",
            ));
        }
        Ok(bits)
    }

    fn write(&self, bits: u128, value: &str, out: &mut String) {
        self.case.write(bits, 32, value, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::bits::tests::there_and_back;

    #[test]
    fn version_and_variant_stay() {
        let format = parse(toml::Table::new()).expect("defaults");
        let other = there_and_back(&format, "f81d4fae-7dec-41d0-a765-00a0c91e6bf6");
        assert_eq!(other, "07e2b051-8213-4e2f-989a-ff5f36e19409");
        for version in 1..=8 {
            let value = format!("00000000-0000-{version}000-8000-000000000000");
            assert_eq!(
                there_and_back(&format, &value),
                format!("ffffffff-ffff-{version}fff-bfff-ffffffffffff")
            );
        }
    }

    #[test]
    fn layouts_stay() {
        let upper = parse(toml::toml! { case = "upper" }).expect("upper");
        assert_eq!(
            there_and_back(&upper, "F81D4FAE7DEC41D0A76500A0C91E6BF6"),
            "07E2B05182134E2F989AFF5F36E19409"
        );
        let any = parse(toml::toml! { version = "protect" }).expect("any");
        assert_eq!(there_and_back(&any, &"0".repeat(32)), "f".repeat(32));
    }

    #[test]
    fn misfits() {
        let uuid: Uuid = parse_parameters(toml::Table::new()).expect("defaults");
        for value in [
            "",
            "f81d4fae-7dec-41d0-a765-00a0c91e6bf",
            "f81d4fae-7dec-41d0-a765-00a0c91e6bf66",
            "F81D4FAE-7DEC-41D0-A765-00A0C91E6BF6",
            "f81d4fae07dec-41d0-a765-00a0c91e6bf6",
            "f81d4fae-7dec-41d0-a76500a0-c91e6bf6",
            "{81d4fae-7dec-41d0-a765-00a0c91e6bf6",
            "f81d4fae-7dec-01d0-a765-00a0c91e6bf6",
            "f81d4fae-7dec-91d0-a765-00a0c91e6bf6",
            "f81d4fae-7dec-41d0-c765-00a0c91e6bf6",
            "00000000-0000-0000-0000-000000000000",
            "é81d4fae-7dec-41d0-a765-00a0c91e6bf",
        ] {
            assert!(uuid.read(value).is_err(), "{value}");
        }
    }
}
