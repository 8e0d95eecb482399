//! OAuth 2.0 access tokens, as Google and Microsoft issue them.

use std::time::Duration;

use http::{HeaderValue, Request};
use serde::Deserialize;
use zeroize::Zeroize;

use super::http::{Http, HttpRequest, HttpResponse, request, secret_header};
use super::retry::attempt;
use super::token_cache::CachedToken;
use crate::kms::settings::Timeouts;
use crate::{Error, ErrorKind, Result, Secret};

#[derive(Deserialize)]
struct GrantedToken {
    access_token: String,
    /// Seconds: a number, or, from Azure's instance metadata, a string of digits.
    expires_in: serde_json::Value,
}

/// Returns the token in a response, as the value of the `authorization` header.
pub(in crate::kms) fn access_token(response: &HttpResponse) -> Result<CachedToken> {
    let granted = GrantedToken::parse(response)?;
    let header = secret_header(&format!("Bearer {}", granted.access_token))?;
    Ok(CachedToken::with_lifetime(
        header,
        Duration::from_secs(granted.seconds()),
    ))
}

impl GrantedToken {
    fn parse(response: &HttpResponse) -> Result<Self> {
        #[derive(Default, Deserialize)]
        struct TokenRefusal {
            #[serde(default)]
            error: String,
            #[serde(default)]
            error_description: String,
        }
        if response.status == 200 {
            return response.json();
        }
        // RFC 6749, section 5.2, has these two fields: a code, and words for people.
        let refusal: TokenRefusal = serde_json::from_slice(response.body.expose()).unwrap_or_default();
        let why = format!("{} {}", refusal.error, refusal.error_description);
        let why: String = why.chars().take(200).collect();
        let message = format!("no access token was issued (HTTP {}): {}", response.status, why.trim());
        Err(Error::new(ErrorKind::NotAllowed, message).with_hint(
            "check the credentials: they may have expired, been deleted, or be of another project or tenant",
        ))
    }

    fn seconds(&self) -> u64 {
        let text = self.expires_in.as_str().and_then(|text| text.parse().ok());
        // A lifetime that cannot be read is taken for short: to ask again costs less than to use a token
        // that has expired.
        self.expires_in.as_u64().or(text).unwrap_or(60)
    }
}

impl Drop for GrantedToken {
    fn drop(&mut self) {
        // `serde` makes a plain string, which would stay in freed memory.
        self.access_token.zeroize();
    }
}

/// Makes a request for a token, with fields as an HTML form sends them.
pub(in crate::kms) fn form(uri: &str, fields: &[(&str, &str)]) -> Result<HttpRequest> {
    // The fields hold client secrets and assertions.
    let longest: usize = fields
        .iter()
        .map(|(name, value)| 2 + name.len() + 3 * value.len())
        .sum();
    // With room for all of it: a buffer that grows leaves copies of its content behind.
    let mut body = Secret::new(Vec::with_capacity(longest));
    for (name, value) in fields {
        let text = body.expose_mut();
        if !text.is_empty() {
            text.push(b'&');
        }
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        for byte in value.bytes() {
            match byte {
                // Only the unreserved characters of RFC 3986 as they are: a secret with `&` or `+` would
                // otherwise arrive as another.
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(byte),
                _ => text.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            }
        }
    }
    Request::post(uri)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .map_err(|error| Error::bad_input("the address for access tokens is not a URL").with_source(error))
}

/// Asks the metadata service of the cloud's own machines for a token: over plain HTTP, by a link that ends in the
/// machine.
pub(in crate::kms) fn machine_token(
    http: &Http,
    timeouts: Timeouts,
    uri: &str,
    header: (&'static str, &'static str),
    hint: &'static str,
) -> Result<HttpResponse> {
    let request = request("GET", uri, &[(header.0, HeaderValue::from_static(header.1))], None)?;
    let brief = Timeouts {
        // On a machine outside the cloud nobody answers there. A person waits for that, so it is tried
        // twice at most.
        attempts: timeouts.attempts.min(2),
        ..timeouts
    };
    // `once` and not `send`, which would refuse plain HTTP.
    attempt(brief, || http.once("machine token", &request)).map_err(|error| {
        Error::new(
            ErrorKind::NotAllowed,
            "no credentials found, and this is not a machine of the cloud that has its own",
        )
        .with_source(error)
        .with_hint(hint)
    })
}
