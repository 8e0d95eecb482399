//! The hosts that a cloud's credentials are sent to.

use http::Uri;

use crate::kms::settings::Settings;
use crate::{Error, ErrorKind, Result};

/// The variable that names further hosts.
const FURTHER: &str = "CIPHERFORM_KMS_HOSTS";

/// Checks that `server` is a host of the service, whose hosts end in one of `suffixes`, or one that the environment
/// names. Returns the suffix; none for a host of the environment.
pub(in crate::kms) fn check_host(
    settings: &Settings,
    service: &str,
    server: &str,
    suffixes: &[&'static str],
) -> Result<Option<&'static str>> {
    let uri: Uri = server
        .parse()
        .map_err(|error| Error::bad_input("the KMS key reference does not make a URL").with_source(error))?;
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_ascii_lowercase();
    // References come from files, and a token for a cloud's KMS is good for all keys that we may use there.
    if let Some(suffix) = suffixes.iter().find(|suffix| is_below(&host, suffix)) {
        return Ok(Some(suffix));
    }
    let mut further = settings.get(FURTHER).unwrap_or_default().split(',');
    if further.any(|name| is_below(&host, &name.trim().trim_matches(['[', ']']).to_ascii_lowercase())) {
        return Ok(None);
    }
    let message = format!("`{host}` is no host of {service}, and gets no credentials for it");
    Err(Error::new(ErrorKind::NotAllowed, message).with_hint(format!(
        "find out who wrote the reference; a private endpoint or an emulator is named in {FURTHER}: hosts, or the ends \
         of their names, between commas"
    )))
}

/// Tells whether `host` is `suffix`, or a name below it.
fn is_below(host: &str, suffix: &str) -> bool {
    let suffix = suffix.trim_start_matches('.');
    !suffix.is_empty()
        && host
            .strip_suffix(suffix)
            .is_some_and(|name| name.is_empty() || name.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_to_their_service_alone() {
        let check = |settings: &Settings, server: &str| check_host(settings, "a service", server, &["vault.azure.net"]);
        let none = Settings::empty();
        for good in ["https://ours.vault.azure.net", "https://OURS.vault.azure.net:443"] {
            assert_eq!(check(&none, good).unwrap(), Some("vault.azure.net"), "{good}");
        }
        let bad = [
            "https://evil.example",
            "https://vault.azure.net.evil.example",
            "https://evilvault.azure.net",
            "https://evil.example:443",
            "http://127.0.0.1:8080",
            "http://localhost",
            "https://[::1]",
        ];
        for bad in bad {
            assert_eq!(check(&none, bad).unwrap_err().kind(), ErrorKind::NotAllowed, "{bad}");
        }
        let further = Settings::empty().with(FURTHER, "kms.example, 127.0.0.1,::1,");
        for good in [
            "https://kms.example",
            "https://eu.kms.example:8443",
            "http://127.0.0.1:80",
            "http://[::1]:80",
        ] {
            assert_eq!(check(&further, good).unwrap(), None, "{good}");
        }
        for bad in [
            "https://evilkms.example",
            "https://10.127.0.0.1.example",
            "http://localhost",
        ] {
            assert!(check(&further, bad).is_err(), "{bad}");
        }
    }
}
