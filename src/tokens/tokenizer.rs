//! One rule over one store.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _};

use super::distinct::{DistinctValues, Spaces};
use super::lookup_index::LookupIndex;
use super::mint::{self, Minter, Shape};
use super::seal::{Opener, Row, Sealer};
use super::{Emptied, Entry, Found, Inserted, Insertion, KnownToken, Lookup, Minted, Remains, Space, TokenStore};
use crate::formats::{Format, FormatError, RowError};
use crate::keys::{KeyHandle, KeyVersionId, Purpose, Timestamp};
use crate::{Error, ErrorKind, Hint, Remedy, Result};

/// Values that are looked up, minted and stored together: one transaction.
const BATCH: usize = 8192;

/// As many are looked up first, where the batch before held nothing known. If none of them is known, the rest is
/// taken for new, which saves looking it up.
const SAMPLE: usize = 64;

/// The number of values that are looked up in one go, where values are known.
const PART: usize = 2048;

/// How often the tokens of a batch that turn out to be taken are drawn anew. At half-full spaces each round halves
/// them.
const ROUNDS: usize = 64;

/// The part of its limit that a space is filled to before a warning, in percent.
const TOLD_FROM: f64 = 75.0;

/// The tokens of a rule, and their time to live.
#[derive(Clone, Debug)]
pub struct TokenRule {
    /// The domain of its tokens in the store, which its subkeys are bound to.
    pub domain: String,
    /// The format of values and tokens.
    pub format: Format,
    /// Each occurrence of a value gets a token of its own.
    pub per_occurrence: bool,
    /// How long a token can be revealed.
    pub ttl: Option<Duration>,
    /// No token is a valid value of any of these.
    pub never_valid_as: Vec<Format>,
    /// The least number of tokens that a value may have to be given one: of two, one is the value and the other tells
    /// it.
    pub floor: u64,
}

/// A rule over a store, its keys at hand: tokens for values, values for tokens.
pub struct Tokenizer {
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) rule: TokenRule,
    /// Seals new values, and is what look-up hashes move to.
    active: Option<KeyHandle>,
    /// All versions that open sealed values.
    pub(super) keys: HashMap<KeyVersionId, KeyHandle>,
    index: RwLock<Option<Arc<LookupIndex>>>,
    /// To what part of its limit the fullest space is filled that was minted in, in thousandths.
    fullest: AtomicU64,
    /// The last batch held values that were known.
    met_known: AtomicBool,
}

/// The tokens of some values.
#[derive(Debug, Default)]
pub struct Tokenized {
    distinct: Vec<Result<String, FormatError>>,
    rows: Vec<u32>,
}

impl Tokenized {
    /// For each value its token, or why it has none.
    pub fn iter(&self) -> impl Iterator<Item = Result<&str, &FormatError>> {
        self.rows.iter().map(|at| self.distinct[*at as usize].as_deref())
    }
}

/// The value of a token.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Revealed {
    /// This value.
    Value(String),
    /// Nothing any more: it was deleted, or has expired.
    Emptied,
    /// Nothing: it was never issued.
    Unknown,
}

/// How far a walk over the store is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// Tokens seen.
    pub seen: u64,
    /// Of these, tokens changed.
    pub changed: u64,
}

impl Tokenizer {
    /// The rule over `store`. `active` seals new values: without it there is no minting. `keys` are the versions that
    /// open what is sealed.
    ///
    /// # Errors
    /// What the store says; [`ErrorKind::KeyNotUsable`] for a key that is not for deriving.
    pub async fn open(
        rule: TokenRule,
        store: Arc<dyn TokenStore>,
        active: Option<KeyHandle>,
        keys: Vec<KeyHandle>,
    ) -> Result<Self> {
        let keys = keys.into_iter().chain(active.clone());
        let tokenizer = Self {
            store,
            rule,
            active,
            keys: keys.map(|key| (key.version_id(), key)).collect(),
            index: RwLock::new(None),
            fullest: AtomicU64::new(0),
            met_known: AtomicBool::new(false),
        };
        // The index serves to mint; who only reveals goes by tokens.
        if tokenizer.active.is_some() {
            match tokenizer.refresh_index().await {
                // Whoever mints is told; a re-index does without the old key, and mends it.
                Err(error) if error.kind() == ErrorKind::KeyNotFound => {}
                known => drop(known?),
            }
        }
        Ok(tokenizer)
    }

    /// The rule.
    pub fn rule(&self) -> &TokenRule {
        &self.rule
    }

    /// The store.
    pub fn store(&self) -> &dyn TokenStore {
        &*self.store
    }

    /// A warning once a space that was minted in is more than three quarters full of what it may hold.
    pub fn due(&self) -> Option<String> {
        let fullest = self.fullest_percent();
        (fullest > TOLD_FROM).then(|| {
            format!(
                "domain `{}`: of the tokens that values of one shape may get, {fullest:.0} % are used up; at 100 % \
                 (half of all there are) no more are minted",
                self.rule.domain,
            )
        })
    }

    /// To what part of what it may hold the fullest space is filled that this tokenizer has minted in, in percent.
    pub(super) fn fullest_percent(&self) -> f64 {
        self.fullest.load(Ordering::Relaxed) as f64 / 10.0
    }

    /// The numbers of those of `values` for which no token could be minted, and why. Nothing is stored.
    pub fn misfits(&self, values: &[&str]) -> Vec<(usize, FormatError)> {
        let mut minter = Minter::new(&self.rule.format, &self.rule.never_valid_as, self.rule.floor);
        let values = values.iter().enumerate();
        values
            .filter_map(|(at, value)| Some((at, minter.shape(value).err()?)))
            .collect()
    }

    /// The token of each value: the one it has, or else a new one. A value that does not fit is an error before
    /// anything is stored; with `report_unfit` it only has no token.
    ///
    /// # Errors
    /// A misfit; a space that would be more than half full ([`ErrorKind::BadInput`]); what the store says. What was
    /// minted before stays in the store, and is found again.
    pub async fn tokenize(&self, values: &[&str], report_unfit: bool, now: Timestamp) -> Result<Tokenized, RowError> {
        let mut done = Tokenized::default();
        let mut minter = Minter::new(&self.rule.format, &self.rule.never_valid_as, self.rule.floor);
        if !report_unfit {
            // Before the first of several transactions.
            // Values of the first batch are checked when it is minted, before it is stored.
            for (row, value) in values.iter().enumerate().skip(BATCH) {
                if let Err(cause) = minter.shape(value) {
                    return Err(RowError::Row { row, cause });
                }
            }
        }
        for (at, batch) in values.chunks(BATCH).enumerate() {
            let base = at * BATCH;
            self.tokenize_batch(batch, report_unfit, seconds(now), &mut minter, &mut done)
                .await
                .map_err(|error| match error {
                    RowError::Row { row, cause } => RowError::Row { row: base + row, cause },
                    other => other,
                })?;
        }
        Ok(done)
    }

    async fn tokenize_batch(
        &self,
        values: &[&str],
        report_unfit: bool,
        now: u64,
        minter: &mut Minter<'_>,
        done: &mut Tokenized,
    ) -> Result<(), RowError> {
        // Once more if somebody has re-indexed the domain in between, since this engine was opened.
        for _ in 0..2 {
            // Cached. That it is still the domain's is checked by the store, within the transaction that
            // inserts.
            let index = self.index().await?;
            let (batch, mut tokens) = self.look_up(values, &index, now).await?;
            let mut pending = Vec::new();
            for (at, token) in tokens.iter_mut().enumerate() {
                if token.is_none() {
                    match minter.shape(values[batch.first[at]]) {
                        Ok(shape) => pending.push((at, shape)),
                        Err(cause) if report_unfit => *token = Some(Err(cause)),
                        Err(cause) => {
                            return Err(RowError::Row {
                                row: batch.first[at],
                                cause,
                            });
                        }
                    }
                }
            }
            if !self
                .mint(values, &batch, (&index, now), pending, minter, &mut tokens)
                .await?
            {
                self.refresh_index().await?;
                continue;
            }
            let base = done.distinct.len() as u32; // fewer than 2^32 rows in an array
            done.distinct.extend(tokens.into_iter().flatten());
            done.rows.extend(batch.rows.iter().map(|at| base + at));
            return Ok(());
        }
        Err(RowError::Batch(
            Error::new(
                ErrorKind::ProviderDown,
                format!(
                    "the look-up hashes of `{}` are being changed to another key",
                    self.rule.domain
                ),
            )
            .with_hint(Hint::from("wait until that is done; if it was interrupted, ").then(Remedy::ReindexTokens)),
        ))
    }

    /// The distinct values, and the tokens that are there for them.
    ///
    /// Where values are known, as the batch before says, a part is looked up in the store while the hashes of the
    /// next one are made.
    async fn look_up(
        &self,
        values: &[&str],
        index: &LookupIndex,
        now: u64,
    ) -> Result<(DistinctValues, Vec<Option<Result<String, FormatError>>>)> {
        let mut batch = DistinctValues::with_capacity(values.len());
        // Nothing can be known: each occurrence is new.
        if self.rule.per_occurrence {
            batch.add_each(values.len())?;
            let tokens = vec![None; values.len()];
            return Ok((batch, tokens));
        }
        let domain = self.domain();
        let mut found: Vec<Option<KnownToken>> = Vec::with_capacity(values.len());
        if self.met_known.load(Ordering::Relaxed) || values.len() <= 4 * SAMPLE {
            let mut under_way: Option<Pin<Box<dyn Future<Output = _> + Send + '_>>> = None;
            for part in values.chunks(PART) {
                let from = batch.lookups.len();
                batch.add(part, index);
                if let Some(earlier) = under_way.take() {
                    found.extend(earlier.await?);
                }
                let mut next = self.store.find(&domain, batch.lookups[from..].to_vec(), now);
                // Begun now, awaited later. What is done at once is kept.
                under_way = match poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await {
                    Poll::Ready(done) => {
                        found.extend(done?);
                        None
                    }
                    Poll::Pending => Some(next),
                };
            }
            if let Some(last) = under_way {
                found.extend(last.await?);
            }
        } else {
            batch.add(values, index);
            let sampled = SAMPLE.min(batch.lookups.len());
            found = self.store.find(&domain, batch.lookups[..sampled].to_vec(), now).await?;
            if found.iter().any(Option::is_some) {
                found.extend(self.store.find(&domain, batch.lookups[sampled..].to_vec(), now).await?);
            }
        }
        // A guess for the next batch only. A wrong one costs a look-up too many or too few; the store's
        // constraints decide.
        self.met_known
            .store(found.iter().any(Option::is_some), Ordering::Relaxed);
        // What was not looked up counts as new. If it is known after all, the insertion answers with its
        // token.
        found.resize(batch.lookups.len(), None);
        let tokens = self.check_rows(index, &batch.lookups, found, now).await?;
        Ok((batch, tokens.into_iter().map(|token| token.map(Ok)).collect()))
    }

    /// Mints tokens for `pending`; false if the domain is indexed with another key by now.
    #[allow(clippy::too_many_arguments, reason = "the parts of one step, each used once")]
    async fn mint(
        &self,
        values: &[&str],
        batch: &DistinctValues,
        (index, now): (&LookupIndex, u64),
        mut pending: Vec<(usize, Shape)>,
        minter: &mut Minter<'_>,
        tokens: &mut [Option<Result<String, FormatError>>],
    ) -> Result<bool> {
        if pending.is_empty() {
            return Ok(true);
        }
        let active = self
            .active
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::KeyNotUsable, "no key version may seal new values"))?;
        let domain = self.domain();
        // One for all rounds: values that are drawn anew are sealed under further counters of one key.
        let mut sealer = Sealer::new(active, &self.rule.domain)?;
        let expires = self.rule.ttl.map(|ttl| now.saturating_add(ttl.as_secs()));
        for _ in 0..ROUNDS {
            let mut drawn = HashSet::with_capacity(pending.len());
            let mut entries = Vec::with_capacity(pending.len());
            let mut spaces = Spaces::default();
            for (at, shape) in &pending {
                let value = values[batch.first[*at]];
                // Drawn without asking the store whether it is free: an answer would be old by the time
                // of the insertion. The unique constraint answers there, and what was taken is drawn
                // again.
                let token = minter.draw(value, shape, &drawn)?;
                let lookup = batch.lookups[*at];
                let row = Row {
                    store: self.store.id(),
                    domain: &self.rule.domain,
                    token: &token,
                    lookup: &lookup,
                    expires,
                };
                // Sealed for this very token, so a token that is drawn anew needs the value sealed anew.
                let sealed = sealer.seal(row, value)?;
                drawn.insert(token.clone());
                entries.push(Entry {
                    tag: index.tag(&lookup, &token, expires),
                    token,
                    lookup,
                    sealed,
                    expires,
                    space: shape.space.map(|space| spaces.place(space)),
                });
            }
            let insertion = Arc::new(Insertion {
                domain: domain.clone(),
                index_key: index.key,
                entries,
                spaces: spaces.list,
                now,
            });
            let minted = match self.store.insert(Arc::clone(&insertion)).await? {
                // Nothing was stored. Tokens for hashes of the old key would be found by nobody after the
                // re-index.
                Inserted::OtherIndex => return Ok(false),
                Inserted::Full { space, used } => return Err(self.full(insertion.spaces[space], used)),
                Inserted::Done { minted, used } => {
                    for (space, used) in insertion.spaces.iter().zip(used) {
                        self.fullest
                            .fetch_max(used.saturating_mul(1000) / space.limit.max(1), Ordering::Relaxed);
                    }
                    minted
                }
            };
            let entries = Arc::unwrap_or_clone(insertion).entries;
            let (mut again, mut known) = (Vec::new(), Vec::new());
            for ((place, entry), minted) in pending.into_iter().zip(entries).zip(minted) {
                match minted {
                    Minted::New => tokens[place.0] = Some(Ok(entry.token)),
                    // Another process minted for the value between our look-up and this insertion: its
                    // token counts, and ours was not stored.
                    Minted::Known(row) => known.push((place, entry.lookup, row)),
                    Minted::TokenTaken => again.push(place),
                }
            }
            again.extend(self.take_known(index, known, now, tokens).await?);
            if again.is_empty() {
                return Ok(true);
            }
            pending = again;
        }
        Err(mint::exhausted())
    }

    /// Gives values the tokens that others minted for them. Returns those whose row was emptied since.
    async fn take_known(
        &self,
        index: &LookupIndex,
        known: Vec<((usize, Shape), Lookup, KnownToken)>,
        now: u64,
        tokens: &mut [Option<Result<String, FormatError>>],
    ) -> Result<Vec<(usize, Shape)>> {
        let lookups: Vec<Lookup> = known.iter().map(|(_, lookup, _)| *lookup).collect();
        let (places, rows): (Vec<_>, Vec<_>) = known.into_iter().map(|(place, _, row)| (place, Some(row))).unzip();
        let mut again = Vec::new();
        for (place, token) in places
            .into_iter()
            .zip(self.check_rows(index, &lookups, rows, now).await?)
        {
            match token {
                Some(token) => tokens[place.0] = Some(Ok(token)),
                None => again.push(place),
            }
        }
        Ok(again)
    }

    fn full(&self, space: Space, used: u64) -> Error {
        Error::bad_input(format!(
            "the tokens of one shape would be {used} of {} in domain `{}`: no more than half are used, so that a \
             token cannot be guessed",
            2 * space.limit,
            self.rule.domain
        ))
        .with_hint(
            "nothing of this batch was minted; keep less of the value in clear, allow longer values, or use \
            format = \"opaque\"",
        )
    }

    /// Reveals the value of each token.
    ///
    /// # Errors
    /// A row that does not authenticate ([`ErrorKind::WrongKey`]); a key version that is not there; what the store
    /// says.
    pub async fn reveal(&self, tokens: &[&str], now: Timestamp) -> Result<Vec<Revealed>> {
        let mut revealed = Vec::with_capacity(tokens.len());
        let mut opener = Opener::new(&self.keys, &self.rule.domain);
        for batch in tokens.chunks(BATCH) {
            // Each token once: the store asks for lists without repeats, and a value is opened once.
            let mut places: HashMap<&str, usize> = HashMap::with_capacity(batch.len());
            let mut distinct: Vec<String> = Vec::with_capacity(batch.len());
            for token in batch {
                places.entry(token).or_insert_with(|| {
                    distinct.push((*token).to_owned());
                    distinct.len() - 1
                });
            }
            let found = self
                .store
                .reveal(&self.domain(), distinct.clone(), seconds(now))
                .await?;
            let mut values = Vec::with_capacity(found.len());
            for (token, found) in distinct.iter().zip(found) {
                values.push(match found {
                    Found::Unknown => Revealed::Unknown,
                    Found::Emptied => Revealed::Emptied,
                    Found::Value {
                        lookup,
                        sealed,
                        expires,
                    } => Revealed::Value(self.unseal(&mut opener, token, &lookup, expires, &sealed)?),
                });
            }
            revealed.extend(batch.iter().map(|token| values[places[token]].clone()));
        }
        Ok(revealed)
    }

    /// The tokens that `values` have, to delete them by: none for a rule per occurrence.
    ///
    /// # Errors
    /// [`ErrorKind::BadInput`] for a rule per occurrence, whose values cannot be found; [`ErrorKind::WrongKey`] for a
    /// row that somebody changed; what the store says.
    pub async fn find(&self, values: &[&str], now: Timestamp) -> Result<Vec<Option<String>>> {
        if self.rule.per_occurrence {
            return Err(
                Error::bad_input("a rule that mints per occurrence cannot find the tokens of a value")
                    .with_hint("name the tokens"),
            );
        }
        // While a re-index is under way, or was interrupted, a value may be found by either key.
        // Asked of the store, not of the cache: an erasure must find a value even if the domain was
        // re-indexed since.
        let state = self.store.domain(&self.domain(), self.active()?.version_id()).await?;
        let keys = [Some(state.index_key), state.reindexing_to];
        let mut found = vec![None; values.len()];
        for key in keys.into_iter().flatten() {
            let index = self.make_index(key)?;
            for (batch, found) in values.chunks(BATCH).zip(found.chunks_mut(BATCH)) {
                let mut distinct = DistinctValues::with_capacity(batch.len());
                distinct.add(batch, &index);
                let lookups = distinct.lookups;
                let tokens = self.store.find(&self.domain(), lookups.clone(), seconds(now)).await?;
                let tokens = self.check_rows(&index, &lookups, tokens, seconds(now)).await?;
                for (found, at) in found.iter_mut().zip(distinct.rows) {
                    if found.is_none() {
                        found.clone_from(&tokens[at as usize]);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Makes `tokens` unrevealable for ever. Counts those that were not so before.
    ///
    /// # Errors
    /// What the store says.
    pub async fn delete(&self, tokens: Vec<String>) -> Result<Emptied> {
        let mut deleted = Emptied::default();
        for batch in tokens.chunks(BATCH) {
            let distinct: HashSet<String> = batch.iter().cloned().collect();
            let tokens = distinct.into_iter().collect();
            let Emptied { rows, remains } = self.store.delete(&self.domain(), tokens).await?;
            deleted.rows += rows;
            // What the last one left behind: a log is cut off with all that was before.
            deleted.remains = remains.or(deleted.remains.filter(|before| *before != Remains::Log));
        }
        Ok(deleted)
    }

    /// Empties what has expired.
    ///
    /// # Errors
    /// What the store says.
    pub async fn expire(&self, now: Timestamp) -> Result<Emptied> {
        self.store.expire(Some(&self.domain()), seconds(now)).await
    }

    pub(super) fn unseal(
        &self,
        opener: &mut Opener<'_>,
        token: &str,
        lookup: &Lookup,
        expires: Option<u64>,
        sealed: &[u8],
    ) -> Result<String> {
        let row = Row {
            store: self.store.id(),
            domain: &self.rule.domain,
            token,
            lookup,
            expires,
        };
        opener.open(row, sealed)
    }

    /// The name of the domain in the store. Tokens per occurrence have random look-up hashes, so they stand apart.
    pub fn domain(&self) -> String {
        if self.rule.per_occurrence {
            // A name of its own, since the two kinds of hashes cannot share an index.
            format!("{} (per occurrence)", self.rule.domain)
        } else {
            self.rule.domain.clone()
        }
    }

    pub(super) fn active(&self) -> Result<&KeyHandle> {
        self.active
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::KeyNotUsable, "no key version may seal values"))
    }

    async fn index(&self) -> Result<Arc<LookupIndex>> {
        let known = self.index.read().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(index) => Ok(index),
            None => self.refresh_index().await,
        }
    }

    pub(super) async fn refresh_index(&self) -> Result<Arc<LookupIndex>> {
        let state = self.store.domain(&self.domain(), self.active()?.version_id()).await?;
        let index = Arc::new(self.make_index(state.index_key)?);
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&index));
        Ok(index)
    }

    pub(super) fn make_index(&self, key: KeyVersionId) -> Result<LookupIndex> {
        let handle = self.keys.get(&key).ok_or_else(|| {
            Error::new(
                ErrorKind::KeyNotFound,
                format!(
                    "values of `{}` are found by key version {key}, which cannot be used here",
                    self.rule.domain
                ),
            )
            .with_hint(
                Hint::from(
                    "use the keyring that made the store; after a re-index, open the policy again; if that version \
                     was removed, ",
                )
                .then(Remedy::ReindexTokens),
            )
        })?;
        // Bound to the store: equal values of two stores have other hashes, so copies of both tell nobody
        // which values they share.
        let mac = |purpose| {
            let subkey = handle.subkey(purpose, &self.rule.domain, self.store.id().as_bytes(), 32)?;
            Ok::<_, Error>(Hmac::new_from_slice(subkey.expose()).expect("HMAC takes a key of any length"))
        };
        Ok(LookupIndex {
            key,
            domain: self.domain(),
            lookups: mac(Purpose::TokenIndex)?,
            tags: mac(Purpose::TokenRow)?,
        })
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("domain", &self.rule.domain)
            // Neither keys nor the index, whose HMAC state is as good as its key.
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

fn seconds(time: Timestamp) -> u64 {
    let since = time.as_system_time().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
