//! Access tokens, each fetched once and again before it expires.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderValue;

use crate::Result;

/// A token as the value of a header.
#[derive(Clone)]
pub(in crate::kms) struct CachedToken {
    pub(in crate::kms) header: HeaderValue,
    /// When to fetch another one; none for a token that was given rather than fetched.
    pub(in crate::kms) expires: Option<Instant>,
}

impl CachedToken {
    /// Makes a token of `lifetime`, which is fetched again once nine tenths of it are over.
    pub(in crate::kms) fn with_lifetime(header: HeaderValue, lifetime: Duration) -> Self {
        Self {
            header,
            // Early, so that a token does not expire between this check and its arrival at the server.
            expires: Some(Instant::now() + lifetime * 9 / 10),
        }
    }
}

/// The tokens of one client, by what they are for. While one is fetched, others wait.
pub(in crate::kms) struct TokenCache<K>(Mutex<HashMap<K, CachedToken>>);

impl<K> Default for TokenCache<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> TokenCache<K> {
    /// Returns the token for `key`: the cached one, unless it has expired or is the one that was `rejected`.
    pub(in crate::kms) fn get(
        &self,
        key: K,
        rejected: Option<&CachedToken>,
        fetch: impl FnOnce() -> Result<CachedToken>,
    ) -> Result<CachedToken> {
        // Held while a token is fetched: fifty tasks that start together make one login, and not fifty,
        // the number of which some services limit.
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = tokens.get(&key)
            && token.expires.is_none_or(|expires| Instant::now() < expires)
            // Only the very token that the server refused is given up. Another task may have fetched a
            // new one meanwhile.
            && rejected.is_none_or(|rejected| rejected.header != token.header)
        {
            return Ok(token.clone());
        }
        // A failure is not cached: the next caller tries again.
        let token = fetch()?;
        tokens.insert(key, token.clone());
        Ok(token)
    }
}
