//! OAuth 2.0 access tokens, as Google and Microsoft give them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderValue, Request};
use serde::Deserialize;
use zeroize::Zeroize;

use super::http::{Answer, Http, secret_header};
use super::retry::attempt;
use crate::kms::settings::Patience;
use crate::{Error, ErrorKind, Result, Secret};

/// The token of one client, fetched again a little before it ends; others wait while one fetches.
#[derive(Default)]
pub(in crate::kms) struct AccessToken(Mutex<Option<(HeaderValue, Instant)>>);

impl AccessToken {
    /// The header that shows the token.
    pub(in crate::kms) fn header(&self, fetch: impl FnOnce() -> Result<Answer>) -> Result<HeaderValue> {
        let mut token = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((header, until)) = &*token
            && Instant::now() < *until
        {
            return Ok(header.clone());
        }
        let granted = Granted::parse(&fetch()?)?;
        let header = secret_header(&format!("Bearer {}", granted.access_token))?;
        let lasts = Duration::from_secs(granted.seconds()) * 9 / 10;
        *token = Some((header.clone(), Instant::now() + lasts));
        Ok(header)
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds: a number, or, of Azure's instance metadata, a string of digits.
    expires_in: serde_json::Value,
}

impl Granted {
    fn parse(answer: &Answer) -> Result<Self> {
        #[derive(Default, Deserialize)]
        struct Refused {
            #[serde(default)]
            error: String,
            #[serde(default)]
            error_description: String,
        }
        match answer.status {
            200 => answer.json(),
            status => {
                let refused: Refused = serde_json::from_slice(answer.body.expose()).unwrap_or_default();
                let why: String = format!("{} {}", refused.error, refused.error_description)
                    .chars()
                    .take(200)
                    .collect();
                let message = format!("no access token is given (HTTP {status}): {}", why.trim());
                Err(Error::new(ErrorKind::NotAllowed, message).with_hint(
                    "check the credentials: they may have ended, been deleted, or be of another project or tenant",
                ))
            }
        }
    }

    fn seconds(&self) -> u64 {
        let text = self.expires_in.as_str().and_then(|text| text.parse().ok());
        self.expires_in.as_u64().or(text).unwrap_or(60)
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        self.access_token.zeroize();
    }
}

/// A request for a token: fields as an HTML form sends them.
pub(in crate::kms) fn form(uri: &str, fields: &[(&str, &str)]) -> Result<Request<Vec<u8>>> {
    let mut body = Secret::new(String::new());
    for (name, value) in fields {
        let text = body.expose_mut();
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
                _ => text.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    Request::post(uri)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.expose().clone().into_bytes())
        .map_err(|error| Error::bad_input("the address for access tokens is no URL").with_source(error))
}

/// Asks the metadata service of the cloud's own machines: over plain HTTP, by a link that ends in the machine.
pub(in crate::kms) fn machine(
    http: &Http,
    patience: Patience,
    uri: &str,
    header: (&'static str, &'static str),
    hint: &str,
) -> Result<Answer> {
    let request = super::http::request("GET", uri, &[(header.0, HeaderValue::from_static(header.1))], None)?;
    let brief = Patience {
        attempts: patience.attempts.min(2),
        ..patience
    };
    attempt(brief, || http.once("machine token", request.clone())).map_err(|error| {
        Error::new(
            ErrorKind::NotAllowed,
            "nothing says who we are, and this is no machine of the cloud that could",
        )
        .with_source(error)
        .with_hint(hint.to_owned())
    })
}
