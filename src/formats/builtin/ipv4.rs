//! `ipv4`: addresses of Internet Protocol version 4 as four decimal numbers.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::Deserialize;

use crate::formats::bits::{BitString, Bits, lowest};
use crate::formats::error::FormatError;
use crate::formats::format::Format;
use crate::formats::parameters::parse_parameters;
use crate::{Error, Result};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ipv4 {
    /// Bits that are kept at the start.
    #[serde(default)]
    prefix: u32,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let ipv4: Ipv4 = parse_parameters(table)?;
    // At least one bit. Whether it is enough is for the domain floor to say, with or without an override.
    if ipv4.prefix > 31 {
        return Err(Error::bad_policy(format!(
            "prefix = {} leaves nothing of 32 bits to protect",
            ipv4.prefix
        )));
    }
    Ok(Format::Segmented(Arc::new(BitString::new(ipv4))))
}

impl Bits for Ipv4 {
    fn definition(&self) -> String {
        format!("ipv4/1 prefix={}", self.prefix)
    }

    fn free(&self) -> u128 {
        lowest(32 - self.prefix)
    }

    fn read(&self, value: &str) -> Result<u128, FormatError> {
        // The parser of `std` takes no leading zeros (RFC 6943, section 3.1.1: some readers take them for octal),
        // so each address has one text.
        let address: Ipv4Addr = value.parse().map_err(|_| {
            FormatError::Malformed("not four numbers from 0 to 255 with dots between, without leading zeros")
        })?;
        Ok(address.to_bits().into())
    }

    fn write(&self, bits: u128, _: &str, out: &mut String) {
        out.push_str(&Ipv4Addr::from_bits(bits as u32).to_string()); // 32 bits are ever set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::bits::tests::there_and_back;

    #[test]
    fn the_prefix_stays() {
        for (prefix, other) in [
            (0, "245.255.128.254"),
            (8, "10.255.128.254"),
            (12, "10.15.128.254"),
            (24, "10.0.127.254"),
        ] {
            let table = toml::Table::from_iter([("prefix".to_owned(), toml::Value::from(prefix))]);
            assert_eq!(there_and_back(&parse(table).expect("a prefix"), "10.0.127.1"), other);
        }
        assert!(parse(toml::toml! { prefix = 32 }).is_err());
    }

    #[test]
    fn misfits() {
        let all = Ipv4 { prefix: 0 };
        for value in [
            "",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "01.2.3.4",
            "1.2.3.4/8",
            " 1.2.3.4",
            "1.2.3.٤",
        ] {
            assert!(all.read(value).is_err(), "{value}");
        }
    }
}
