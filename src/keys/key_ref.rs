//! Names of keys, as policies and command lines write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The name of a key: 1 to 64 of `a`–`z`, `0`–`9`, `_`, `-`, with a letter first.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

impl KeyName {
    const LONGEST: usize = 64;

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let problem = if text.is_empty() {
            "is empty".to_string()
        } else if text.len() > Self::LONGEST {
            format!(
                "has {} characters; the limit is {}",
                text.chars().count(),
                Self::LONGEST
            )
        } else if let Some(position) = text
            .chars()
            // The position is told and not the character: it may be one that changes how a terminal shows
            // the line.
            .position(|c| !matches!(c, 'a'..='z' | '0'..='9' | '_' | '-'))
        {
            format!("has a character at position {} that may not stand there", position + 1)
        } else if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            "does not start with a letter".to_string()
        } else {
            return Ok(Self(text.to_string()));
        };
        Err(Error::bad_input(format!("the key name {problem}")).with_hint(
            "a key name is a lower-case letter, then letters, digits, `_` and `-`, as in `pii` or `card_2026`",
        ))
    }
}

/// A key of the keyring, and which version if not the current one: `pii`, `pii@3`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyRef {
    /// Name of the key.
    pub name: KeyName,
    /// Number of the version; none means the current one.
    pub version: Option<u32>,
}

impl From<KeyName> for KeyRef {
    fn from(name: KeyName) -> Self {
        Self { name, version: None }
    }
}

impl FromStr for KeyRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((name, version)) = text.split_once('@') else {
            return Ok(Self::from(KeyName::from_str(text)?));
        };
        let number = Some(version)
            // One spelling for each version: `+3` and `03` would parse as numbers, and be other texts in
            // a policy.
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0'))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| {
                Error::bad_input("the version after `@` is not a number from 1 on")
                    .with_hint("write `pii` for the current version or `pii@3` for the third")
            })?;
        Ok(Self {
            name: name.parse()?,
            version: Some(number),
        })
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            None => write!(f, "{}", self.name),
            Some(version) => write!(f, "{}@{version}", self.name),
        }
    }
}

/// A key of a KMS: a scheme that names the kind of KMS, a colon, and what that kind needs to find the key.
///
/// `local:main`, `local:/path/kms.json#main`, `memory:main`, `aws-kms:alias/main?region=eu-west-1`, …
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct KmsKeyRef {
    text: String,
    scheme_length: usize,
}

impl KmsKeyRef {
    const LONGEST: usize = 2048;

    /// Makes the reference `local:NAME`: a key of the local KMS.
    pub fn local(name: &KeyName) -> Self {
        Self::in_local_kms(name.as_str())
    }

    /// Makes the reference `local:alias/NAME`: an alias of the local KMS.
    pub fn local_alias(alias: &KeyName) -> Self {
        Self::in_local_kms(&format!("alias/{alias}"))
    }

    fn in_local_kms(rest: &str) -> Self {
        const SCHEME: &str = "local";
        Self {
            text: format!("{SCHEME}:{rest}"),
            scheme_length: SCHEME.len(),
        }
    }

    /// Returns the scheme, which stands before the first colon: the kind of KMS.
    pub fn scheme(&self) -> &str {
        &self.text[..self.scheme_length]
    }

    /// Returns the rest after the first colon, which the provider parses.
    pub fn rest(&self) -> &str {
        &self.text[self.scheme_length + 1..]
    }

    /// Returns the whole reference.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for KmsKeyRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // A reference comes from files that are not authenticated yet, and goes into messages: its length
        // is bounded, and control characters are refused before anything is printed.
        let problem = if text.len() > Self::LONGEST {
            format!("has {} bytes; the limit is {}", text.len(), Self::LONGEST)
        } else if text.chars().any(char::is_control) || text.trim() != text {
            "has control characters, or space around it".to_string()
        } else if has_credentials(text) {
            // References stand in keyrings and messages.
            return Err(
                Error::bad_input("the KMS key reference has no place for names, passwords and PINs").with_hint(
                    "a KMS's credentials come from the environment, as its own tools have them; an HSM's PIN \
                     from CIPHERFORM_PKCS11_PIN or \
                     `pin-source=/path`",
                ),
            );
        } else {
            match text.split_once(':') {
                None => "has no scheme".to_string(),
                Some((_, "")) => "has nothing after the scheme".to_string(),
                // The scheme chooses the client, by its exact text; `Local` must not look like a scheme
                // that is merely absent.
                Some((scheme, _)) if !is_scheme(scheme) => {
                    "has a scheme that is not letters, digits and `-`".to_string()
                }
                Some((scheme, _)) => {
                    return Ok(Self {
                        text: text.to_string(),
                        scheme_length: scheme.len(),
                    });
                }
            }
        };
        Err(Error::bad_input(format!("the KMS key reference {problem}")).with_hint(
            "write `local:NAME`, or the scheme of another KMS, a colon and the key: \
             `vault:https://host/transit/NAME`; a data key has no scheme, \
             and is suspended and resumed rather than disabled and enabled",
        ))
    }
}

/// Checks for user information (RFC 3986, section 3.2.1) or a PIN (RFC 7512), percent-encoded or not.
fn has_credentials(text: &str) -> bool {
    // Case is folded, since `%2F` and `%2f` are one character, and hosts have no case.
    let mut text = text.to_ascii_lowercase();
    // Twice, since a part may be encoded in itself.
    for _ in 0..2 {
        for (encoded, plain) in [
            ("%25", "%"),
            ("%3a", ":"),
            ("%2f", "/"),
            ("%40", "@"),
            ("%2d", "-"),
            ("%3d", "="),
        ] {
            text = text.replace(encoded, plain);
        }
    }
    // RFC 7512 has `pin-value` for the PIN itself and `pin-source` for a file that holds it; only the
    // latter is taken.
    if text.contains("pin-value") {
        return true;
    }
    // Only the authority may hold user information; an `@` behind the first `/` belongs to a path, and
    // key names may have one.
    let authority = |rest: &str| {
        rest.split(['/', '?', '#', '&'])
            .next()
            .unwrap_or_default()
            .contains('@')
    };
    // Every `://`, not the first alone: an option such as `endpoint=` holds another address.
    text.split("://").skip(1).any(authority)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for KmsKeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

macro_rules! text_in_files {
    ($($name:ident)*) => {$(
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }
    )*};
}
text_in_files!(KeyName KeyRef KmsKeyRef);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kms_key_reference_has_no_credentials() {
        for text in [
            "vault:https://ann:secret@vault/transit/main",
            "kmip://ann@host/1",
            "aws-kms:alias/main?endpoint=http://ann:secret@host:1",
            "aws-kms:alias/main?endpoint=http%3A%2F%2Fann%3asecret%40host:1",
            // Encoded twice: a check that decodes once would not see the password.
            "aws-kms:alias/main?endpoint=http%253A%252F%252Fann%253asecret%2540host:1",
            "pkcs11:token=a;object=b?pin-value=1234&module-path=/m.so",
            "pkcs11:token=a;object=b?pin%2Dvalue=1234",
        ] {
            let error = text.parse::<KmsKeyRef>().unwrap_err().to_string();
            assert!(
                error.contains("no place for names, passwords and PINs")
                    && !error.contains("ann")
                    && !error.contains("1234"),
                "{error}"
            );
        }
        // An `@` outside the authority is no user information.
        for text in [
            "vault:https://vault/transit/a@b",
            "local:/home/a@b/kms.json#main",
            "kmip://host/a?x=b@c",
        ] {
            assert!(text.parse::<KmsKeyRef>().is_ok(), "{text}");
        }
    }

    #[test]
    fn names() {
        for good in ["p", "pii", "card_2026", "a-b", &"a".repeat(64)] {
            assert_eq!(good.parse::<KeyName>().unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", "is empty"),
            ("1st", "does not start"),
            ("Pii", "position 1"),
            ("pii ", "position 4"),
            ("pü", "position 2"),
            (&"a".repeat(65), "has 65"),
        ] {
            let error = bad.parse::<KeyName>().unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
    }

    #[test]
    fn versions() {
        assert_eq!("pii".parse::<KeyRef>().unwrap().version, None);
        assert_eq!("pii@3".parse::<KeyRef>().unwrap().version, Some(3));
        assert_eq!("pii@3".parse::<KeyRef>().unwrap().to_string(), "pii@3");
        for bad in [
            "pii@",
            "pii@0",
            "pii@03",
            "pii@+3",
            "pii@-1",
            "pii@x",
            // 2^32, one more than a version number holds.
            "pii@4294967296",
            "@3",
            "pii@3@3",
        ] {
            assert!(bad.parse::<KeyRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn kms_keys() {
        for (text, scheme, rest) in [
            ("local:main", "local", "main"),
            ("local:/a b/kms.json#main", "local", "/a b/kms.json#main"),
            (
                "aws-kms:arn:aws:kms:eu-west-1:1:key/2",
                "aws-kms",
                "arn:aws:kms:eu-west-1:1:key/2",
            ),
            ("kmip://host:5696/12", "kmip", "//host:5696/12"),
        ] {
            let key: KmsKeyRef = text.parse().unwrap();
            assert_eq!(
                (key.scheme(), key.rest(), key.to_string().as_str()),
                (scheme, rest, text)
            );
        }
        for bad in [
            "",
            "main",
            ":main",
            "local:",
            "Local:main",
            "lo cal:main",
            "local:ma\nin",
            " local:main",
        ] {
            assert!(bad.parse::<KmsKeyRef>().is_err(), "{bad}");
        }
    }
}
