//! `ipv6`: addresses of Internet Protocol version 6, in the canonical text of RFC 5952 or written in full.

use std::net::Ipv6Addr;
use std::sync::Arc;

use serde::Deserialize;

use crate::formats::bits::{BitString, Bits, HexCase, lowest};
use crate::formats::error::FormatError;
use crate::formats::format::Format;
use crate::formats::parameters::parse_parameters;
use crate::{Error, Result};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ipv6 {
    /// Bits that are kept at the start.
    #[serde(default)]
    prefix: u32,
    #[serde(default)]
    form: Form,
}

/// How an address is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Form {
    /// RFC 5952: `2001:db8::1`.
    #[default]
    Canonical,
    /// Eight groups of four digits in lower case.
    Full,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let ipv6: Ipv6 = parse_parameters(table)?;
    if ipv6.prefix > 127 {
        return Err(Error::bad_policy(format!(
            "prefix = {} leaves nothing of 128 bits to protect",
            ipv6.prefix
        )));
    }
    Ok(Format::Segmented(Arc::new(BitString::new(ipv6))))
}

impl Bits for Ipv6 {
    fn definition(&self) -> String {
        let form = match self.form {
            Form::Canonical => "canonical",
            Form::Full => "full",
        };
        format!("ipv6/1 prefix={} form={form}", self.prefix)
    }

    fn free(&self) -> u128 {
        lowest(128 - self.prefix)
    }

    fn read(&self, value: &str) -> Result<u128, FormatError> {
        let address: Ipv6Addr = value
            .parse()
            .map_err(|_| FormatError::Malformed("not an IPv6 address"))?;
        // RFC 4291 allows many texts of one address. Only the one that `write` gives back can be taken, or reveal
        // would change the text.
        let mut text = String::with_capacity(value.len());
        self.write(address.to_bits(), value, &mut text);
        match (text == value, self.form) {
            (true, _) => Ok(address.to_bits()),
            (_, Form::Canonical) => Err(FormatError::Malformed("not in the canonical form of RFC 5952")),
            (_, Form::Full) => Err(FormatError::Malformed("not eight groups of four digits in lower case")),
        }
    }

    fn write(&self, bits: u128, _: &str, out: &mut String) {
        match self.form {
            Form::Canonical => out.push_str(&Ipv6Addr::from_bits(bits).to_string()),
            // A fixed layout with all eight groups: the digits are then replaced in place.
            Form::Full => HexCase::Lower.write(bits, 32, "0000:0000:0000:0000:0000:0000:0000:0000", out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::bits::tests::there_and_back;

    #[test]
    fn the_prefix_stays() {
        let format = parse(toml::toml! { prefix = 64 }).expect("a prefix");
        assert_eq!(there_and_back(&format, "2001:db8::1"), "2001:db8::ffff:ffff:ffff:fffe");
        let format = parse(toml::Table::new()).expect("defaults");
        for value in ["::", "::1", "::ffff:192.0.2.1", "fe80::1:0:0:1"] {
            there_and_back(&format, value);
        }
        let full = parse(toml::toml! { prefix = 120  form = "full" }).expect("full");
        assert_eq!(
            there_and_back(&full, "2001:0db8:0000:0000:0000:0000:0000:0001"),
            "2001:0db8:0000:0000:0000:0000:0000:00fe"
        );
        assert!(parse(toml::toml! { prefix = 128 }).is_err());
    }

    #[test]
    fn misfits() {
        let all: Ipv6 = parse_parameters(toml::Table::new()).expect("defaults");
        for value in [
            "",
            "2001:DB8::1",
            "2001:0db8::1",
            "2001:db8:0:0:0:0:0:1",
            "fe80::1%eth0",
            "::1/64",
            "1.2.3.4",
        ] {
            assert!(all.read(value).is_err(), "{value}");
        }
    }
}
