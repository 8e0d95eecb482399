//! Errors of a PostgreSQL server.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::error::Detail;
use crate::{Error, ErrorKind};

/// Another number of seconds for an answer.
pub(super) const TIMEOUT: &str = "CIPHERFORM_TOKENS_TIMEOUT";

pub(super) fn damaged() -> Error {
    Error::new(
        ErrorKind::Io,
        "the token tables hold something else than this program has put there",
    )
}

/// The error for a server that is there, and does not answer.
pub(super) fn silent(limit: Duration) -> Error {
    Error::new(
        ErrorKind::ProviderDown,
        format!("does not answer within {} s", limit.as_secs()),
    )
    .with_hint(format!(
        "nothing of this batch was stored; is it overloaded, or a lock held? {TIMEOUT} gives it more seconds"
    ))
}

/// The server's code alone: its texts may quote what it was given.
pub(super) fn failed(error: tokio_postgres::Error) -> Error {
    // Without a code of the server it is the connection that failed.
    let Some(code) = error.code() else {
        if let Some(tls) = tls_cause(&error) {
            // Told apart from a server that is away: a certificate that is not trusted may be somebody in
            // between.
            return Error::new(ErrorKind::ProviderDown, format!("its TLS is refused: {tls}")).with_hint(
                "the system, or the file that SSL_CERT_FILE names, must know the authority of its certificate, which \
                 must be for this host",
            );
        }
        return Error::new(ErrorKind::ProviderDown, "cannot be reached")
            .with_source(error)
            .with_hint("nothing of this batch was stored; is it running, and the URL right?");
    };
    let said = |kind, what: &str| Error::new(kind, format!("{what} (SQLSTATE {})", code.code()));
    match *code {
        SqlState::DISK_FULL => said(ErrorKind::Io, "its disk is full").with_hint("nothing of this batch was stored"),
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            said(ErrorKind::NotAllowed, "authentication failed").with_hint("set PGPASSWORD in the environment")
        }
        SqlState::INSUFFICIENT_PRIVILEGE => said(ErrorKind::NotAllowed, "this user may not do that")
            .with_hint("the user needs to make tables once, to read and change them, and temporary tables"),
        SqlState::INVALID_CATALOG_NAME => said(ErrorKind::BadInput, "there is no such database"),
        // The server has undone the whole transaction, so it may be run again as it is.
        SqlState::T_R_DEADLOCK_DETECTED | SqlState::T_R_SERIALIZATION_FAILURE => {
            said(ErrorKind::ProviderDown, "others were in the way")
                .with_detail(Detail::Conflict)
                .with_hint("try again")
        }
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::TOO_MANY_CONNECTIONS => said(ErrorKind::ProviderDown, "it takes no work now")
            .with_hint("nothing of this batch was stored; try again"),
        _ => said(ErrorKind::Io, "an operation failed").with_hint("the server's log says more"),
    }
}

/// The message of rustls, if that is behind `error`.
fn tls_cause(error: &tokio_postgres::Error) -> Option<&rustls::Error> {
    let error = std::error::Error::source(error)?.downcast_ref::<std::io::Error>()?;
    error.get_ref()?.downcast_ref()
}

pub(super) fn ran_into_another(error: &Error) -> bool {
    error.detail() == Some(Detail::Conflict)
}
