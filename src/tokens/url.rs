//! Addresses of token stores.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::TokenStore;
use crate::{Error, Result};

/// The address of a token store in a policy: `sqlite:tokens.db`, `postgres://user@host/database`, `memory:NAME`.
///
/// It holds no password: that of a server comes from the environment.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StoreUrl {
    /// An SQLite file, made when it is first used.
    Sqlite(PathBuf),
    /// A PostgreSQL database: the whole URL.
    Postgres(String),
    /// A store that the program has given to its engine under this name.
    Memory(String),
}

impl StoreUrl {
    /// Reads `text`; a relative path starts from `folder`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] when it is no such URL, or holds a password.
    pub fn parse(text: &str, folder: &Path) -> Result<Self> {
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        match scheme {
            // Relative to the policy and not to where a process runs: another folder would get another,
            // empty store, and equal values other tokens.
            "sqlite" if !rest.is_empty() => Ok(Self::Sqlite(folder.join(rest))),
            "memory" if !rest.is_empty() => Ok(Self::Memory(rest.to_owned())),
            "postgres" | "postgresql" if rest.starts_with("//") => {
                let authority = rest[2..].split(['/', '?']).next().unwrap_or_default();
                // The last `@`: a password may hold one.
                let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
                // Policies are shared and kept under version control. libpq takes the password as a
                // parameter, too.
                if user.contains(':') || rest.contains("password=") {
                    return Err(
                        Error::bad_policy("a policy is no place for the password of a token store")
                            .with_hint("leave it out of the URL, and set PGPASSWORD in the environment"),
                    );
                }
                Ok(Self::Postgres(text.to_owned()))
            }
            _ => Err(Error::bad_policy("this is no URL of a token store")
                .with_hint("write sqlite:FILE, or postgres://user@host/database?sslmode=require")),
        }
    }

    /// Tells whether it is a file that does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Sqlite(path) if !path.exists())
    }

    /// Opens a store that was made before: an empty file in the place of one that is missing would say that no token
    /// was ever issued.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadInput`] when there is no such file; as [`open`](Self::open).
    pub async fn open_existing(&self) -> Result<Arc<dyn TokenStore>> {
        match self {
            Self::Sqlite(path) if self.is_missing() => {
                Err(
                    Error::bad_input(format!("there is no token store `{}`", path.display())).with_hint(
                        "the first value that is tokenized makes it; if there was one, put it back, or correct \
                         `tokens` in the policy",
                    ),
                )
            }
            _ => self.open().await,
        }
    }

    /// Opens the store, making it if it is not there.
    ///
    /// # Errors
    /// [`crate::ErrorKind::ProviderDown`] when it cannot be reached, [`crate::ErrorKind::BadInput`] when it is
    /// something else or needs a feature that this build lacks, [`crate::ErrorKind::Io`] when the system refuses.
    pub async fn open(&self) -> Result<Arc<dyn TokenStore>> {
        match self {
            #[cfg(feature = "tokens-sqlite")]
            Self::Sqlite(path) => Ok(Arc::new(super::SqliteTokens::open(path).await?)),
            #[cfg(not(feature = "tokens-sqlite"))]
            Self::Sqlite(_) => Err(not_enabled("tokens-sqlite")),
            #[cfg(feature = "tokens-postgres")]
            Self::Postgres(url) => Ok(Arc::new(super::PostgresTokens::open(url).await?)),
            #[cfg(not(feature = "tokens-postgres"))]
            Self::Postgres(_) => Err(not_enabled("tokens-postgres")),
            Self::Memory(name) => Err(Error::bad_policy(format!("there is no store `memory:{name}` here"))
                .with_hint("a store in memory is given to an engine by its program: `Engine::with_token_store`")),
        }
    }
}

#[cfg(not(all(feature = "tokens-sqlite", feature = "tokens-postgres")))]
fn not_enabled(feature: &str) -> Error {
    Error::bad_input(format!("feature `{feature}` is not enabled in this build"))
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(url),
            Self::Memory(name) => write!(f, "memory:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let folder = Path::new("/etc/cf");
        let parse = |text| StoreUrl::parse(text, folder);
        assert_eq!(
            parse("sqlite:tokens.db").unwrap(),
            StoreUrl::Sqlite("/etc/cf/tokens.db".into())
        );
        assert_eq!(parse("sqlite:/var/t.db").unwrap().to_string(), "sqlite:/var/t.db");
        assert!(parse("postgres://app@db/tokens?sslmode=require").is_ok());
        for bad in ["", "sqlite:", "tokens.db", "mysql://x", "postgres:x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for password in ["postgres://app:pw@db/tokens", "postgresql://db/tokens?password=pw"] {
            let error = parse(password).unwrap_err();
            assert!(error.hint().unwrap().to_string().contains("PGPASSWORD") && !error.to_string().contains("pw"));
        }
    }
}
