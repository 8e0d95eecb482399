//! `email`: local part and domain are each protected or kept.
//!
//! Letters and digits of what is protected are encrypted together; dots, hyphens and the other marks of a dot-atom
//! (RFC 5321 and 5322) stay where they are, and so does the last label of a domain, so the result is a well-formed
//! address. What is kept, in ASCII lower case, is the tweak.

use std::sync::Arc;

use serde::Deserialize;

use super::alphanumeric::Case;
use crate::formats::alphabet::Alphabet;
use crate::formats::error::FormatError;
use crate::formats::format::Format;
use crate::formats::parameters::parse_parameters;
use crate::formats::side::Side;
use crate::formats::string::{Parts, StringFormat};
use crate::{Error, Result};

/// RFC 5321, section 4.5.3.1: octets in a local part, and in a whole address (errata 1690).
// Encryption keeps the length, so a result is within the limits exactly if its value is.
const LONGEST_LOCAL: usize = 64;
const LONGEST: usize = 254;

/// Characters of a dot-atom beside letters and digits (RFC 5322, section 3.2.3), and the dot.
// The dot is not part of `atext`, but is one of the marks that stay where they are.
const MARKS: &str = ".!#$%&'*+-/=?^_`{|}~";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmailParameters {
    /// `mixed` (default), or `lower` for systems that fold addresses to lower case.
    #[serde(default)]
    case: Case,
    #[serde(default = "protect")]
    local: PartTreatment,
    #[serde(default = "keep")]
    domain: PartTreatment,
}

/// The treatment of a part.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum PartTreatment {
    Keep,
    Protect,
}

fn keep() -> PartTreatment {
    PartTreatment::Keep
}

fn protect() -> PartTreatment {
    PartTreatment::Protect
}

#[derive(Debug)]
struct Email {
    case: Case,
    local: PartTreatment,
    domain: PartTreatment,
    alphabet: Alphabet,
}

pub(super) fn parse(table: toml::Table) -> Result<Format> {
    let EmailParameters { case, local, domain } = parse_parameters(table)?;
    // Everything kept would be the tweak, and the plaintext would be its own ciphertext.
    if local == PartTreatment::Keep && domain == PartTreatment::Keep {
        return Err(Error::bad_policy("nothing would be protected")
            .with_hint("leave out local = \"keep\", or add domain = \"protect\""));
    }
    // DNS compares without case (RFC 4343). A domain with mixed case would lose the difference on its way through
    // other systems, and could not be decrypted any more.
    if domain == PartTreatment::Protect && case == Case::Mixed {
        return Err(Error::bad_policy("upper and lower case are the same in a domain")
            .with_hint("add case = \"lower\": values with upper-case letters then do not fit"));
    }
    let alphabet = case.alphabet()?;
    Ok(Format::String(Arc::new(Email {
        case,
        local,
        domain,
        alphabet,
    })))
}

impl Email {
    /// The numerals of a part that is protected.
    fn numerals(&self, part: &str, before: usize, parts: &mut Parts) -> Result<(), FormatError> {
        for (i, symbol) in part.chars().enumerate() {
            match self.alphabet.numeral(symbol) {
                Some(numeral) => parts.numerals.push(numeral),
                // A mark stays in its place, so dots and hyphens in the result stand where the checks of `split`
                // allow them.
                None if MARKS.contains(symbol) => {}
                None => {
                    return Err(FormatError::Character {
                        // The character's number in the whole address, not in the part.
                        position: before + i + 1,
                    });
                }
            }
        }
        Ok(())
    }

    /// `part` with these numerals.
    fn spell<'a>(&self, part: &str, numerals: &mut impl Iterator<Item = &'a u16>, out: &mut String) {
        out.extend(part.chars().map(|symbol| match symbol {
            symbol if MARKS.contains(symbol) => symbol,
            symbol => numerals.next().map_or(symbol, |numeral| self.alphabet.symbol(*numeral)),
        }));
    }
}

/// A domain without its last label, and the label with its dot.
fn last_label(domain: &str) -> (&str, &str) {
    // Without a dot there is no host before the last label, so the whole domain is kept. The label goes with its
    // dot.
    domain.split_at(domain.rfind('.').unwrap_or_default())
}

impl StringFormat for Email {
    fn definition(&self) -> String {
        // Defaults are left out, so that a later option does not change the definitions that exist.
        let mut definition = format!("email/1 case={}", self.case.name());
        if self.local == PartTreatment::Keep {
            definition.push_str(" local=keep");
        }
        if self.domain == PartTreatment::Protect {
            definition.push_str(" domain=protect");
        }
        definition
    }

    fn radix(&self) -> u32 {
        self.alphabet.radix()
    }

    fn split(&self, value: &str, _: Side, parts: &mut Parts) -> Result<(), FormatError> {
        // The last @, as a domain has none. A quoted local part may have one, but is refused where it is
        // encrypted: quotes are no marks.
        let Some((local, domain)) = value.rsplit_once('@') else {
            return Err(FormatError::Malformed("has no @"));
        };
        // Octets, not characters: RFC 5321 limits what goes over the wire.
        if value.len() > LONGEST || local.len() > LONGEST_LOCAL {
            return Err(FormatError::Malformed(
                "longer than 254 octets, or 64 before the @ (RFC 5321)",
            ));
        }
        // Dots do not move, so a local part that is a dot-atom stays one.
        if local.is_empty() || local.starts_with('.') || local.ends_with('.') || local.contains("..") {
            return Err(FormatError::Malformed(
                "the part before the @ is not a dot-atom (RFC 5322)",
            ));
        }
        if !is_domain(domain) {
            return Err(FormatError::Malformed("the part after the @ is not a domain name"));
        }
        match self.local {
            PartTreatment::Protect => self.numerals(local, 0, parts)?,
            // The tweak is in lower case although a kept local part keeps its case: software that folds case still
            // finds the same permutation.
            PartTreatment::Keep => parts.keep(local.to_ascii_lowercase().as_bytes()),
        }
        let kept = match self.domain {
            PartTreatment::Keep => domain,
            PartTreatment::Protect => {
                let (hosts, last) = last_label(domain);
                // Letters beyond ASCII are not in the alphabet and are refused here: an encrypted host is ASCII
                // only.
                self.numerals(hosts, local.chars().count() + 1, parts)?;
                last
            }
        };
        // A kept domain is compared without case, so `Example.COM` and `example.com` must have one permutation.
        parts.keep(kept.to_ascii_lowercase().as_bytes());
        Ok(())
    }

    fn join(&self, value: &str, numerals: &[u16], _: Side, out: &mut String) {
        // The same split as in `split`: an @ is neither a symbol nor moved, so the last one stays the last.
        let (local, domain) = value.rsplit_once('@').unwrap_or((value, ""));
        let mut numerals = numerals.iter();
        match self.local {
            PartTreatment::Protect => self.spell(local, &mut numerals, out),
            // A kept part appears as it was written; only the tweak is folded.
            PartTreatment::Keep => out.push_str(local),
        }
        out.push('@');
        match self.domain {
            PartTreatment::Keep => out.push_str(domain),
            PartTreatment::Protect => {
                let (hosts, last) = last_label(domain);
                self.spell(hosts, &mut numerals, out);
                out.push_str(last);
            }
        }
    }
}

/// Labels of letters, digits and hyphens, not at their ends (RFC 1123), or beyond ASCII (RFC 6531).
fn is_domain(domain: &str) -> bool {
    !domain.is_empty()
        // Hyphens stay in place, and letters become letters or digits, so the result passes the same check.
        && domain.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                // `is_alphanumeric` takes what RFC 6531 allows beyond ASCII, in domains that are kept.
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email() -> Email {
        Email {
            case: Case::Mixed,
            local: PartTreatment::Protect,
            domain: PartTreatment::Keep,
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

    /// Each part by itself and both together; the last label always stays.
    #[test]
    fn parts_are_kept_or_protected() {
        let both = toml::toml! { case = "lower"  domain = "protect" };
        let domain = toml::toml! { case = "lower"  domain = "protect"  local = "keep" };
        for (parameters, numerals, joined) in [
            (both, "annleemailexample", "000.000@0000.0000000.co"),
            (domain, "mailexample", "ann.lee@0000.0000000.co"),
        ] {
            let Ok(Format::String(format)) = Format::parse("email", parameters) else {
                panic!("an email")
            };
            let mut parts = Parts::default();
            format
                .split("ann.lee@mail.example.co", Side::Plain, &mut parts)
                .expect("fits");
            let alphabet = Case::Lower.alphabet().expect("alphabet");
            let expected: Vec<u16> = numerals.chars().filter_map(|symbol| alphabet.numeral(symbol)).collect();
            assert_eq!(parts.numerals, expected);
            assert!(parts.kept.ends_with(b".co"));
            let mut out = String::new();
            format.join(
                "ann.lee@mail.example.co",
                &vec![0; numerals.len()],
                Side::Protected,
                &mut out,
            );
            assert_eq!(out, joined);
        }
        let nothing = toml::toml! { local = "keep" };
        let mixed = toml::toml! { domain = "protect" };
        assert!(Format::parse("email", nothing).is_err() && Format::parse("email", mixed).is_err());
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
