//! The server that a URL names, and how it is spoken to.

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::{Error, Result};

/// In the query of a URL: another machine may be spoken to in the clear.
const INSECURE: &str = "insecure=plaintext";

/// The configuration of a connection to the server of `url`.
///
/// # Errors
/// A URL that is none, or that leads to another machine in the clear and does not say so.
pub(super) fn config(url: &str) -> Result<Config> {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let settings: Vec<&str> = query.split('&').filter(|setting| *setting != INSECURE).collect();
    let is_insecure = query.split('&').any(|setting| setting == INSECURE);
    let url = match settings.join("&") {
        none if none.is_empty() => place.to_owned(),
        settings => format!("{place}?{settings}"),
    };
    let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
        Error::bad_policy("the URL of the token store is wrong").with_source(error)
    })?;
    // Policies are shared and kept under version control, and addresses end up in messages.
    if config.get_password().is_some() {
        return Err(
            Error::bad_policy("the URL of a token store is no place for its password")
                .with_hint("leave it out of the URL, and set PGPASSWORD in the environment"),
        );
    }
    if !is_insecure {
        require_tls(&mut config)?;
    }
    Ok(config)
}

/// Asks for a verified certificate of every host that is not this machine. The driver's default is to go on in the
/// clear where a server, or somebody on the way, says that it has no TLS.
fn require_tls(config: &mut Config) -> Result<()> {
    let is_here = |host: &Host| match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    let remote =
        !config.get_hosts().iter().all(is_here) || config.get_hostaddrs().iter().any(|address| !address.is_loopback());
    if !remote {
        return Ok(());
    }
    match config.get_ssl_mode() {
        SslMode::Disable => Err(Error::bad_policy(
            "sslmode=disable would send tokens and sealed values in the clear to another machine",
        )
        .with_hint(
            "leave sslmode out: a verified certificate is asked for then; or say insecure=plaintext in the URL",
        )),
        _ => {
            config.ssl_mode(SslMode::Require);
            Ok(())
        }
    }
}

/// The name of a store in messages: no user, and no password.
pub(super) fn place(config: &Config) -> String {
    let hosts = config.get_hosts().iter().enumerate().map(|(at, host)| {
        let ports = config.get_ports();
        let port = ports.get(at).or(ports.first()).unwrap_or(&5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            #[cfg(unix)]
            Host::Unix(path) => format!("{}:{port}", path.display()),
        }
    });
    let hosts: Vec<String> = hosts.collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("PostgreSQL token store `{}/{database}`", hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_refused_however_it_is_written() {
        for url in [
            "postgres://app:pw@localhost/tokens",
            "postgres://localhost/tokens?password=pw",
            "postgres://localhost/tokens?%70assword=pw",
        ] {
            let error = config(url).unwrap_err();
            assert!(error.hint().unwrap().to_string().contains("PGPASSWORD"), "{url}");
            assert!(!error.to_string().contains("pw"), "{error}");
        }
    }

    #[test]
    fn another_machine_is_spoken_to_by_tls() {
        let mode = |url: &str| config(url).map(|config| config.get_ssl_mode());
        for here in [
            "postgres://app@localhost/tokens",
            "postgres://app@127.0.0.1/tokens?sslmode=disable",
            "postgres:///tokens?host=/run/postgresql",
        ] {
            assert_ne!(mode(here).unwrap(), SslMode::Require, "{here}");
        }
        for there in [
            "postgres://app@db.example/tokens",
            "postgres://app@db.example/tokens?sslmode=prefer",
            "postgres://app@10.0.0.1/tokens?connect_timeout=3",
            "postgres://app@localhost,db.example/tokens",
        ] {
            assert_eq!(mode(there).unwrap(), SslMode::Require, "{there}");
        }
        assert!(mode("postgres://app@db.example/tokens?sslmode=disable").is_err());
        let insecure = mode("postgres://app@db.example/tokens?sslmode=disable&insecure=plaintext");
        assert_eq!(insecure.unwrap(), SslMode::Disable);
    }
}
