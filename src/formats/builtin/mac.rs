//! `mac`: addresses of network devices (IEEE 802, EUI-48).
//!
//! The two bits that say "group" and "locally administered" stay, so that the address of a device stays one.

use std::sync::Arc;

use serde::Deserialize;

use crate::Result;
use crate::formats::bits::{BitString, Bits, HexCase, lowest};
use crate::formats::error::FormatError;
use crate::formats::format::Format;
use crate::formats::parameters::parse_parameters;

/// The two lowest bits of the first octet (IEEE 802-2014, section 8.2).
const MARKS: u128 = 0b11 << 40;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mac {
    #[serde(default)]
    case: HexCase,
    #[serde(default)]
    vendor: Vendor,
}

/// The treatment of the first three octets (OUI), which name the vendor.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Vendor {
    #[default]
    Protect,
    Keep,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    Ok(Format::Segmented(Arc::new(BitString::new(parse_parameters::<Mac>(
        table,
    )?))))
}

impl Bits for Mac {
    fn definition(&self) -> String {
        let vendor = match self.vendor {
            Vendor::Protect => "protect",
            Vendor::Keep => "keep",
        };
        format!("mac/1 case={} vendor={vendor}", self.case.name())
    }

    fn free(&self) -> u128 {
        match self.vendor {
            // The two marks are bits of the first octet, so they leave the vendor's part with 22 bits, and 46 in
            // all.
            Vendor::Protect => lowest(48) & !MARKS,
            // 24 bits are 16.8 million values, over the floor.
            Vendor::Keep => lowest(24),
        }
    }

    fn read(&self, value: &str) -> Result<u128, FormatError> {
        let bytes = value.as_bytes();
        // How many digits stand between two separators, and which separator it is.
        // The length and one separator decide on the layout; all the others are compared with it below.
        let (group, separator) = match (bytes.len(), bytes.get(2), bytes.get(4)) {
            (17, Some(separator @ (b':' | b'-')), _) => (2, *separator),
            (14, _, Some(b'.')) => (4, b'.'),
            (12, ..) => return self.case.read(value, |_, _| false),
            _ => {
                return Err(FormatError::Malformed(
                    "not 12 digits, as 00:00:00:00:00:00, 00-00-00-00-00-00, 0000.0000.0000 or without separators",
                ));
            }
        };
        // As many separators as there are, each in its place: what is left are 12 digits.
        // Lengths are in bytes. A character beyond ASCII is refused by `read`, which takes none.
        if (group..bytes.len())
            .step_by(group + 1)
            .any(|place| bytes[place] != separator)
        {
            return Err(FormatError::Malformed(
                "the separators are not all the same and in their places",
            ));
        }
        self.case
            .read(value, |i, byte| byte == separator && i % (group + 1) == group)
    }

    fn write(&self, bits: u128, value: &str, out: &mut String) {
        self.case.write(bits, 12, value, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::bits::tests::there_and_back;

    #[test]
    fn layouts_and_marks_stay() {
        let format = parse(toml::Table::new()).expect("defaults");
        for (value, other) in [
            ("00:1b:44:11:3a:b7", "fc:e4:bb:ee:c5:48"),
            ("00-1b-44-11-3a-b7", "fc-e4-bb-ee-c5-48"),
            ("001b.4411.3ab7", "fce4.bbee.c548"),
            ("031b44113ab7", "ffe4bbeec548"),
        ] {
            assert_eq!(there_and_back(&format, value), other);
        }
        let vendor = parse(toml::toml! { vendor = "keep"  case = "upper" }).expect("vendor");
        assert_eq!(there_and_back(&vendor, "00:1B:44:11:3A:B7"), "00:1B:44:EE:C5:48");
    }

    #[test]
    fn misfits() {
        let mac: Mac = parse_parameters(toml::Table::new()).expect("defaults");
        for value in [
            "",
            "00:1b:44:11:3a",
            "00:1b:44:11:3a:b",
            "00:1b:44-11:3a:b7",
            "00:1B:44:11:3A:B7",
            "001b:4411:3ab7",
            "001b.44113.ab7",
            "00:1b:44:11:3a:g7",
            "0é:1b:44:11:3a:7",
        ] {
            assert!(mac.read(value).is_err(), "{value}");
        }
    }
}
