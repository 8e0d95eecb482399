//! Parsing of KMS key references.

use std::collections::BTreeMap;

use crate::keys::KmsKeyRef;
use crate::{Error, Result};

/// Splits a reference into the part before `?` and the parameters behind it.
pub(in crate::kms) fn parameters(key: &KmsKeyRef) -> Result<(&str, BTreeMap<&str, String>)> {
    let Some((path, query)) = key.rest().split_once('?') else {
        return Ok((key.rest(), BTreeMap::new()));
    };
    let mut parameters = BTreeMap::new();
    for pair in query.split('&') {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| malformed(key, &format!("`{pair}` is not NAME=VALUE")))?;
        if parameters
            .insert(
                name,
                decode(value).ok_or_else(|| malformed(key, "a `%` is not followed by two hexadecimal digits"))?,
            )
            // The first or the last of two values would be a guess, and another program might guess
            // otherwise.
            .is_some()
        {
            return Err(malformed(key, &format!("`{name}` is given twice")));
        }
    }
    Ok((path, parameters))
}

/// Decodes percent-encoded text.
pub(in crate::kms) fn decode(text: &str) -> Option<String> {
    // Decoded bytes may be anything; text that is not UTF-8 is refused rather than replaced.
    String::from_utf8(decode_bytes(text)?).ok()
}

/// Decodes percent-encoded bytes.
pub(in crate::kms) fn decode_bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                // `+` stays a plus sign: these are URI references (RFC 3986), not HTML forms.
                let digits = [rest.next()?, rest.next()?];
                hex::decode(digits).ok()?[0]
            }
            byte => byte,
        });
    }
    Some(bytes)
}

/// Returns the error for a reference that the provider cannot parse.
pub(in crate::kms) fn malformed(key: &KmsKeyRef, why: &str) -> Error {
    Error::bad_input(format!(
        "the KMS key reference is not valid for `{}`: {why}",
        key.scheme()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_have_parameters() {
        let key = "x:path/a?one=1%2F2&two=".parse().unwrap();
        let (path, parameters) = parameters(&key).unwrap();
        assert_eq!(path, "path/a");
        assert_eq!(parameters["one"], "1/2");
        assert_eq!(parameters["two"], "");
        for bad in ["x:p?one", "x:p?one=1&one=2", "x:p?one=%2"] {
            assert!(super::parameters(&bad.parse().unwrap()).is_err(), "{bad}");
        }
    }
}
