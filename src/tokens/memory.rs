//! A store in memory, for tests: it fails when told to.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{
    DomainState, DomainStats, Emptied, Found, Inserted, Insertion, KnownToken, Lookup, Minted, Record, Replacement,
    RowTag, SpaceId, TokenStore,
};
use crate::keys::{KeyVersionId, StoreId};
use crate::{Error, ErrorKind, Result};

/// A store whose tokens end with the process. Clones are the same store.
#[derive(Clone)]
pub struct MemoryTokens {
    id: StoreId,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    domains: BTreeMap<String, Domain>,
    failures: VecDeque<ErrorKind>,
}

#[derive(Clone)]
struct Domain {
    state: DomainState,
    rows: BTreeMap<String, Content>,
    lookups: HashMap<Lookup, String>,
    spaces: HashMap<SpaceId, (u64, u64)>,
}

#[derive(Clone)]
struct Content {
    value: Option<(Lookup, Vec<u8>)>,
    expires: Option<u64>,
    tag: Option<RowTag>,
}

impl Content {
    fn has_expired(&self, now: u64) -> bool {
        self.value.is_some() && self.expires.is_some_and(|expires| expires <= now)
    }
}

impl Domain {
    /// The row of a look-up hash, expired ones included.
    fn known(&self, lookup: &Lookup) -> Option<KnownToken> {
        let token = self.lookups.get(lookup)?;
        let content = &self.rows[token];
        Some(KnownToken {
            token: token.clone(),
            expires: content.expires,
            tag: content.tag,
        })
    }

    fn empty(&mut self, token: &str) -> bool {
        let emptied = self.rows.get_mut(token).and_then(|content| {
            content.expires = None;
            content.tag = None;
            content.value.take()
        });
        // The row stays, so that its token is never issued again; the hash goes, so that the value can be
        // minted anew.
        if let Some((lookup, _)) = &emptied {
            self.lookups.remove(lookup);
        }
        emptied.is_some()
    }
}

impl MemoryTokens {
    /// An empty store.
    ///
    /// # Errors
    /// A system without random bytes.
    pub fn new() -> Result<Self> {
        Ok(Self {
            id: StoreId::random()?,
            inner: Arc::default(),
        })
    }

    /// The next call fails so. Several are kept in order.
    pub fn fail_next(&self, kind: ErrorKind) {
        self.lock().failures.push_back(kind);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn called(&self) -> Result<MutexGuard<'_, Inner>> {
        let mut inner = self.lock();
        match inner.failures.pop_front() {
            Some(kind) => Err(Error::new(kind, "the memory store was told to fail")),
            None => Ok(inner),
        }
    }
}

impl Inner {
    fn domain(&mut self, name: &str) -> Result<&mut Domain> {
        self.domains
            .get_mut(name)
            .ok_or_else(|| Error::bug(format!("domain `{name}` was not made")))
    }
}

#[async_trait]
impl TokenStore for MemoryTokens {
    fn id(&self) -> StoreId {
        self.id
    }

    async fn domain(&self, name: &str, index_key: KeyVersionId) -> Result<DomainState> {
        let mut inner = self.called()?;
        let domain = inner.domains.entry(name.to_owned()).or_insert_with(|| Domain {
            state: DomainState {
                index_key,
                reindexing_to: None,
            },
            rows: BTreeMap::new(),
            lookups: HashMap::new(),
            spaces: HashMap::new(),
        });
        Ok(domain.state)
    }

    async fn find(&self, domain: &str, lookups: Vec<Lookup>, now: u64) -> Result<Vec<Option<KnownToken>>> {
        let mut inner = self.called()?;
        let Some(domain) = inner.domains.get_mut(domain) else {
            return Ok(vec![None; lookups.len()]);
        };
        let live = |lookup| {
            domain
                .known(lookup)
                .filter(|known| !domain.rows[&known.token].has_expired(now))
        };
        Ok(lookups.iter().map(live).collect())
    }

    async fn insert(&self, insertion: Arc<Insertion>) -> Result<Inserted> {
        let mut inner = self.called()?;
        let domain = inner.domain(&insertion.domain)?;
        if domain.state.index_key != insertion.index_key || domain.state.reindexing_to.is_some() {
            return Ok(Inserted::OtherIndex);
        }
        // All or nothing: worked out on a copy, which takes the place of the domain only at the end.
        let mut next = domain.clone();
        let mut minted = Vec::with_capacity(insertion.entries.len());
        let mut added = vec![0; insertion.spaces.len()];
        let mut wanted = added.clone();
        for entry in &insertion.entries {
            if let Some(known) = next.known(&entry.lookup) {
                if !next.rows[&known.token].has_expired(insertion.now) {
                    minted.push(Minted::Known(known));
                    continue;
                }
                next.empty(&known.token);
            }
            if let Some(space) = entry.space {
                wanted[space] += 1;
            }
            // Emptied rows count as well: a token that once stood for another value stays taken.
            if next.rows.contains_key(&entry.token) {
                minted.push(Minted::TokenTaken);
                continue;
            }
            let content = Content {
                value: Some((entry.lookup, entry.sealed.clone())),
                expires: entry.expires,
                tag: Some(entry.tag),
            };
            next.rows.insert(entry.token.clone(), content);
            next.lookups.insert(entry.lookup, entry.token.clone());
            if let Some(space) = entry.space {
                added[space] += 1;
            }
            minted.push(Minted::New);
        }
        let mut used = Vec::with_capacity(added.len());
        for (place, space) in insertion.spaces.iter().enumerate() {
            let counted = next.spaces.entry(space.id).or_insert((0, space.limit));
            let would_be = counted.0 + wanted[place];
            // Taken tokens count in `wanted`: they come back with another token, and the space must have
            // room for that.
            if wanted[place] > 0 && would_be > space.limit {
                return Ok(Inserted::Full {
                    space: place,
                    used: would_be,
                });
            }
            counted.0 += added[place];
            used.push(counted.0);
        }
        *domain = next;
        Ok(Inserted::Done { minted, used })
    }

    async fn reveal(&self, domain: &str, tokens: Vec<String>, now: u64) -> Result<Vec<Found>> {
        let mut inner = self.called()?;
        let Some(domain) = inner.domains.get_mut(domain) else {
            return Ok(vec![Found::Unknown; tokens.len()]);
        };
        let found = |token| match domain.rows.get(token) {
            None => Found::Unknown,
            Some(content) if content.has_expired(now) => Found::Emptied,
            Some(Content { value: None, .. }) => Found::Emptied,
            Some(Content {
                value: Some((lookup, sealed)),
                expires,
                ..
            }) => Found::Value {
                lookup: *lookup,
                sealed: sealed.clone(),
                expires: *expires,
            },
        };
        Ok(tokens.iter().map(found).collect())
    }

    async fn delete(&self, domain: &str, tokens: Vec<String>) -> Result<Emptied> {
        let mut inner = self.called()?;
        let Some(domain) = inner.domains.get_mut(domain) else {
            return Ok(Emptied::default());
        };
        Ok(Emptied {
            rows: tokens.iter().filter(|token| domain.empty(token)).count() as u64,
            remains: None,
        })
    }

    async fn expire(&self, domain: Option<&str>, now: u64) -> Result<Emptied> {
        let mut inner = self.called()?;
        let mut emptied = Emptied::default();
        for (name, held) in &mut inner.domains {
            if domain.is_none_or(|domain| domain == name) {
                let expired = held.rows.iter().filter(|(_, content)| content.has_expired(now));
                let expired: Vec<String> = expired.map(|(token, _)| token.clone()).collect();
                emptied.rows += expired.iter().filter(|token| held.empty(token)).count() as u64;
            }
        }
        Ok(emptied)
    }

    async fn stats(&self, now: u64) -> Result<Vec<DomainStats>> {
        let inner = self.called()?;
        let stats = inner.domains.iter().map(|(name, domain)| {
            let emptied = domain.rows.values().filter(|content| content.value.is_none()).count() as u64;
            let expired = domain.rows.values().filter(|content| content.has_expired(now)).count() as u64;
            DomainStats {
                domain: name.clone(),
                tokens: domain.rows.len() as u64 - emptied - expired,
                emptied,
                expired,
                index_key: domain.state.index_key,
                reindexing_to: domain.state.reindexing_to,
                fullest_percent: domain
                    .spaces
                    .values()
                    .map(|(used, limit)| *used as f64 / (*limit).max(1) as f64 * 100.0)
                    .reduce(f64::max),
            }
        });
        Ok(stats.collect())
    }

    async fn scan(&self, domain: &str, after: Option<String>, limit: usize) -> Result<Vec<Record>> {
        let mut inner = self.called()?;
        let Some(domain) = inner.domains.get_mut(domain) else {
            return Ok(Vec::new());
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = domain.rows.range((from, Bound::Unbounded)).take(limit);
        Ok(rows
            .map(|(token, content)| Record {
                token: token.clone(),
                value: content.value.clone(),
                expires: content.expires,
                tag: content.tag,
            })
            .collect())
    }

    async fn replace(&self, domain: &str, replacements: Vec<Replacement>) -> Result<u64> {
        let mut inner = self.called()?;
        let domain = inner.domain(domain)?;
        let mut replaced = 0;
        for Replacement {
            token,
            old,
            lookup,
            tag,
            sealed,
        } in replacements
        {
            let Some(content) = domain.rows.get_mut(&token) else {
                continue;
            };
            let Some(value) = &mut content.value else { continue };
            // Compare and swap, as the trait asks for.
            if value.1 == old {
                domain.lookups.remove(&value.0);
                domain.lookups.insert(lookup, token);
                *value = (lookup, sealed);
                content.tag = tag;
                replaced += 1;
            }
        }
        Ok(replaced)
    }

    async fn begin_reindex(&self, domain: &str, to: KeyVersionId) -> Result<()> {
        let mut inner = self.called()?;
        let state = &mut inner.domain(domain)?.state;
        if state.reindexing_to.is_some_and(|other| other != to) {
            return Err(super::store::reindexing_elsewhere(domain));
        }
        state.reindexing_to = Some(to);
        Ok(())
    }

    async fn end_reindex(&self, domain: &str, to: KeyVersionId) -> Result<()> {
        let mut inner = self.called()?;
        let state = &mut inner.domain(domain)?.state;
        // Who was as far a moment before has done it.
        if state.reindexing_to.unwrap_or(state.index_key) != to {
            return Err(super::store::reindexing_elsewhere(domain));
        }
        *state = DomainState {
            index_key: to,
            reindexing_to: None,
        };
        Ok(())
    }
}

impl fmt::Debug for MemoryTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTokens")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::conformance;

    #[tokio::test]
    async fn conforms() {
        conformance::check(Arc::new(MemoryTokens::new().unwrap()))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn fails_once_when_told() {
        let store = MemoryTokens::new().unwrap();
        store.fail_next(ErrorKind::Io);
        assert_eq!(store.stats(0).await.unwrap_err().kind(), ErrorKind::Io);
        assert!(store.stats(0).await.is_ok());
    }
}
