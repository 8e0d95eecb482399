//! Formats by the name that policies give them.

use super::builtin::BUILTIN;
use super::format::Format;
use crate::{Error, Result};

/// Lists the names of all formats, in alphabetical order.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}

impl Format {
    /// The format called `name` with `parameters` (a policy's table without its `type`).
    ///
    /// ```
    /// use cipherform::formats::Format;
    /// let format = Format::parse("pan", toml::toml! { keep = [6, 4]  check_digit = "off" })?;
    /// assert_eq!(format.definition(), "pan/1 keep=6,4 check_digit=off");
    /// # Ok::<(), cipherform::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] when there is no such format, or it has no such parameter.
    pub fn parse(name: &str, parameters: toml::Table) -> Result<Self> {
        // Linear: there are a few dozen names, looked up once for each rule.
        match BUILTIN.iter().find(|(known, _)| *known == name) {
            Some((_, parse)) => parse(parameters).map_err(|error| error.context(format_args!("format `{name}`"))),
            None => {
                let known: Vec<_> = BUILTIN.iter().map(|(name, _)| *name).collect();
                Err(Error::bad_policy(format!("no format is called `{name}`"))
                    .with_hint(format!("the formats are {}", known.join(", "))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_names_itself_and_refuses_unknown_parameters() {
        for (name, _) in BUILTIN {
            let mut parameters = toml::Table::new();
            if *name == "integer" {
                parameters.extend(toml::toml! { min = 0  max = 9_999_999 });
            }
            if *name == "template" {
                parameters.extend(toml::toml! { pattern = "AAA-9999" });
            }
            if *name == "postcode" {
                parameters.extend(toml::toml! { country = "GB" });
            }
            if *name == "decimal" {
                parameters.extend(toml::toml! { min = 0  max = 9_999_999  scale = 2 });
            }
            if *name == "alphabet" {
                parameters.extend(toml::toml! { symbols = "0123456789abcdef" });
            }
            let format = Format::parse(name, parameters.clone()).expect("defaults");
            assert!(format.version().starts_with(&format!("{name}/")), "{name}");

            parameters.insert("no_such_parameter".into(), true.into());
            let error = Format::parse(name, parameters).expect_err("unknown parameter");
            assert!(error.to_string().contains("no_such_parameter"), "{error}");
        }
    }

    #[test]
    fn unknown_format_lists_the_known() {
        let error = Format::parse("cards", toml::Table::new()).expect_err("unknown");
        assert!(error.hint().expect("hint").to_string().contains("pan"));
    }
}
