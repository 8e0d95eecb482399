//! `email`: the local part is protected, the domain kept.
//!
//! Letters and digits of the local part (RFC 5321 and 5322 dot-atoms) are encrypted together; dots, hyphens and the other
//! marks stay where they are, so the result is a well-formed address at the same domain. The domain, in ASCII lower case, is
//! the tweak.

use std::sync::Arc;

use serde::Deserialize;

use super::alphanumeric::Case;
use super::{Alphabet, Format, Misfit, Parts, Side, StringFormat, parameters};
use crate::Result;

/// RFC 5321, section 4.5.3.1: octets in a local part, and in a whole address (errata 1690).
const LONGEST_LOCAL: usize = 64;
const LONGEST: usize = 254;

/// What a dot-atom has beside letters and digits (RFC 5322, section 3.2.3), and the dot.
const MARKS: &str = ".!#$%&'*+-/=?^_`{|}~";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// `mixed` (default), or `lower` for systems that fold addresses to lower case.
    #[serde(default)]
    case: Case,
}

#[derive(Debug)]
struct Email {
    case: Case,
    alphabet: Alphabet,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let Parameters { case } = parameters(table)?;
    let alphabet = case.alphabet()?;
    Ok(Format::String(Arc::new(Email { case, alphabet })))
}

impl StringFormat for Email {
    fn definition(&self) -> String {
        format!("email/1 case={}", self.case.name())
    }

    fn radix(&self) -> u32 {
        self.alphabet.radix()
    }

    fn split(&self, value: &str, _: Side, parts: &mut Parts) -> Result<(), Misfit> {
        let Some((local, domain)) = value.rsplit_once('@') else {
            return Err(Misfit::Malformed("has no @"));
        };
        if value.len() > LONGEST || local.len() > LONGEST_LOCAL {
            return Err(Misfit::Malformed(
                "longer than 254 octets, or 64 before the @ (RFC 5321)",
            ));
        }
        if local.is_empty() || local.starts_with('.') || local.ends_with('.') || local.contains("..") {
            return Err(Misfit::Malformed("the part before the @ is not a dot-atom (RFC 5322)"));
        }
        if !is_domain(domain) {
            return Err(Misfit::Malformed("the part after the @ is not a domain name"));
        }
        for (i, symbol) in local.chars().enumerate() {
            match self.alphabet.numeral(symbol) {
                Some(numeral) => parts.numerals.push(numeral),
                None if MARKS.contains(symbol) => {}
                None => return Err(Misfit::Character { position: i + 1 }),
            }
        }
        parts.keep(domain.to_ascii_lowercase().as_bytes());
        Ok(())
    }

    fn join(&self, value: &str, numerals: &[u16], _: Side, out: &mut String) {
        let (local, domain) = value.rsplit_once('@').unwrap_or((value, ""));
        let mut numerals = numerals.iter();
        out.extend(local.chars().map(|symbol| match symbol {
            symbol if MARKS.contains(symbol) => symbol,
            symbol => numerals.next().map_or(symbol, |numeral| self.alphabet.symbol(*numeral)),
        }));
        out.push('@');
        out.push_str(domain);
    }
}

/// Labels of letters, digits and hyphens, not at their ends (RFC 1123), or beyond ASCII (RFC 6531).
fn is_domain(domain: &str) -> bool {
    !domain.is_empty()
        && domain.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email() -> Email {
        Email {
            case: Case::Mixed,
            alphabet: Case::Mixed.alphabet().expect("alphabet"),
        }
    }

    #[test]
    fn marks_stay_and_the_domain_is_the_tweak() {
        let mut parts = Parts::default();
        email()
            .split("Ann.o'Neil+x@Example.COM", Side::Plain, &mut parts)
            .expect("fits");
        assert_eq!(parts.numerals.len(), 9);
        assert_eq!(&parts.kept[4..], b"example.com");
        let mut out = String::new();
        email().join("Ann.o'Neil+x@Example.COM", &[0; 9], Side::Protected, &mut out);
        assert_eq!(out, "000.0'0000+0@Example.COM");
    }

    #[test]
    fn malformed_addresses() {
        for value in [
            "",
            "ann",
            "@x.com",
            "ann@",
            "a..b@x.com",
            ".ann@x.com",
            "ann@x..com",
            "ann@-x.com",
            "a n@x.com",
        ] {
            assert!(
                email().split(value, Side::Plain, &mut Parts::default()).is_err(),
                "{value}"
            );
        }
        let long = format!("{}@x.com", "a".repeat(65));
        assert!(email().split(&long, Side::Plain, &mut Parts::default()).is_err());
    }
}
