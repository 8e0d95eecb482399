//! The trait of token stores.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;

use crate::Result;
use crate::keys::{KeyVersionId, StoreId};

/// The keyed hash by which a value is found: 128 bits, so that among 10^12 values two share one with a probability of
/// about 10^-15.
pub type Lookup = [u8; 16];

/// Proves that a row's look-up hash, token and end of life belong together: a MAC under a key that the store never has.
pub type RowTag = [u8; 16];

/// Names the tokens that compete for the same places: those of one shape and one kept part, within a domain.
pub type SpaceId = [u8; 16];

/// A store of tokens. It holds only sealed and random bytes; keys never come near it.
///
/// Tokens stand in *domains*, one for a rule (or for several that share its `domain`). Within a domain
///
/// * a token stands once, for ever: its row is emptied ([`delete`](Self::delete), [`expire`](Self::expire)), never
///   removed;
/// * a look-up hash stands once among the rows that are not emptied.
///
/// Both must be kept by the store itself, whoever else writes to it at that moment: a unique constraint, not a look
/// before the leap.
///
/// Whoever implements one:
///
/// * **All or nothing.** Each call that changes something is one transaction. After an error, or the end of the
///   process in the middle, nothing of the call is there; after `Ok`, all of it is, even if the machine loses its
///   power.
/// * **Lists** are asked for in any order, without repeats, up to a few ten thousand at a time, and answered in the
///   order asked, one answer each.
/// * **Time** is given (seconds since 1970): the store has no clock. A row whose `expires` is not after `now` counts
///   as emptied, although it is only emptied by [`expire`](Self::expire), or when its value is minted anew.
/// * **Errors**: [`ProviderDown`](crate::ErrorKind::ProviderDown) when it cannot be reached, or somebody else holds
///   it for too long;
///   [`Io`](crate::ErrorKind::Io) when it is full or damaged; no text of a token or a value in a message.
/// * Clones and processes may share it. No call may hold a lock after it returned.
///
/// [`conformance::check`](super::conformance::check) tries all of this.
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync {
    /// The store's identity: random, made with the store, fixed for ever. Values are sealed for it.
    fn id(&self) -> StoreId;

    /// The state of the domain called `name`. One that is not there is made, with `index_key` as the key of its
    /// look-up hashes; of two who make it at the same time, one does, and both are told the same.
    async fn domain(&self, name: &str, index_key: KeyVersionId) -> Result<DomainState>;

    /// The rows of `lookups`, those emptied or expired left out.
    async fn find(&self, domain: &str, lookups: Vec<Lookup>, now: u64) -> Result<Vec<Option<KnownToken>>>;

    /// Puts in each entry whose look-up hash and token are both new, and counts it in its space.
    ///
    /// Refused as a whole, as [`Inserted`] says, when a space would get more tokens than its limit (entries whose
    /// token is taken included: they will be back with another), or the look-up hashes were made with another key
    /// than the domain's.
    async fn insert(&self, insertion: Arc<Insertion>) -> Result<Inserted>;

    /// Looks up the rows of `tokens`.
    async fn reveal(&self, domain: &str, tokens: Vec<String>, now: u64) -> Result<Vec<Found>>;

    /// Empties the rows of `tokens`: sealed value, look-up hash and tag are overwritten, as far as the store can.
    /// Tokens that are not there, or were emptied before, do not count.
    async fn delete(&self, domain: &str, tokens: Vec<String>) -> Result<Emptied>;

    /// Empties the rows that have expired by `now`, of one domain or of all.
    async fn expire(&self, domain: Option<&str>, now: u64) -> Result<Emptied>;

    /// Every domain, by name.
    async fn stats(&self, now: u64) -> Result<Vec<DomainStats>>;

    /// The rows of a domain, emptied ones too, in the order of their tokens' bytes: the first `limit` behind the
    /// token `after`.
    async fn scan(&self, domain: &str, after: Option<String>, limit: usize) -> Result<Vec<Record>>;

    /// Puts new look-up hashes, tags and sealed values in the place of old ones, each only if its row still holds the
    /// old sealed value. Returns how many.
    async fn replace(&self, domain: &str, replacements: Vec<Replacement>) -> Result<u64>;

    /// From now on until [`end_reindex`](Self::end_reindex), [`insert`](Self::insert) is refused for `domain`, and
    /// `to` is the key that its look-up hashes are being changed to. May be called again, with the same `to`, to take
    /// up what was interrupted.
    ///
    /// # Errors
    /// [`BadInput`](crate::ErrorKind::BadInput) when it is being changed to another key.
    async fn begin_reindex(&self, domain: &str, to: KeyVersionId) -> Result<()>;

    /// `to` is now the key of the look-up hashes of `domain`; also if somebody else has said so already.
    ///
    /// # Errors
    /// [`BadInput`](crate::ErrorKind::BadInput) when they were not being changed to `to`.
    async fn end_reindex(&self, domain: &str, to: KeyVersionId) -> Result<()>;
}

/// The state of a domain in a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DomainState {
    /// The key version that its look-up hashes are made with.
    pub index_key: KeyVersionId,
    /// The one they are being changed to, while they are.
    pub reindexing_to: Option<KeyVersionId>,
}

/// A token to put in.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The token.
    pub token: String,
    /// The look-up hash of its value.
    pub lookup: Lookup,
    /// The value, sealed.
    pub sealed: Vec<u8>,
    /// When it expires, in seconds since 1970.
    pub expires: Option<u64>,
    /// The tag of the row.
    pub tag: RowTag,
    /// The token's space, as an index into [`Insertion::spaces`]; `None` for one too large to be counted.
    pub space: Option<usize>,
}

/// A space that tokens are counted in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Space {
    /// Which.
    pub id: SpaceId,
    /// The most tokens it may ever hold, emptied ones included.
    pub limit: u64,
}

/// Tokens to put in together. Neither tokens nor look-up hashes repeat.
#[derive(Clone, Debug)]
pub struct Insertion {
    /// The domain, which [`TokenStore::domain`] has made.
    pub domain: String,
    /// The key version that the look-up hashes were made with.
    pub index_key: KeyVersionId,
    /// The tokens.
    pub entries: Vec<Entry>,
    /// The spaces they are counted in.
    pub spaces: Vec<Space>,
    /// The time, in seconds since 1970.
    pub now: u64,
}

/// The result of an [`Insertion`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Inserted {
    /// Done.
    Done {
        /// The result of each entry.
        minted: Vec<Minted>,
        /// The number of tokens that each space holds now.
        used: Vec<u64>,
    },
    /// Nothing was put in: this space, a place in [`Insertion::spaces`], would get more tokens than its limit.
    Full {
        /// Which.
        space: usize,
        /// The number of tokens that it would have got.
        used: u64,
    },
    /// Nothing was put in: the domain's look-up hashes are made with another key by now, or are being changed.
    OtherIndex,
}

/// The result of an entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Minted {
    /// It was put in.
    New,
    /// The look-up hash has this token already.
    Known(KnownToken),
    /// The token was issued before, for another value: draw another one.
    TokenTaken,
}

/// The row that a look-up hash leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownToken {
    /// The token.
    pub token: String,
    /// When it expires, in seconds since 1970.
    pub expires: Option<u64>,
    /// The tag of the row; `None` in a row of a store that had no tags then.
    pub tag: Option<RowTag>,
}

/// The row of a token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found {
    /// A sealed value.
    Value {
        /// The look-up hash.
        lookup: Lookup,
        /// The value, sealed.
        sealed: Vec<u8>,
        /// When it expires.
        expires: Option<u64>,
    },
    /// Nothing any more.
    Emptied,
    /// It was never issued.
    Unknown,
}

/// The rows that a call has emptied.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Emptied {
    /// Number of rows that were not empty before.
    pub rows: u64,
    /// Copies of emptied rows that the store's own files still hold.
    pub remains: Option<Remains>,
}

/// Copies of emptied rows in the files of a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Remains {
    /// In a write-ahead log that could not be cut off, since somebody reads the store: the next
    /// [`expire`](TokenStore::expire) tries again.
    Log,
    /// In the server's tables, until they are vacuumed.
    DeadRows,
}

/// A row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The token.
    pub token: String,
    /// The look-up hash and the sealed value; `None` if it was emptied.
    pub value: Option<(Lookup, Vec<u8>)>,
    /// When it expires; `None` for one that was emptied.
    pub expires: Option<u64>,
    /// The tag of the row; `None` if it was emptied, or is of a store that had no tags then.
    pub tag: Option<RowTag>,
}

/// New content of a row.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// The row.
    pub token: String,
    /// The sealed value that must still stand there.
    pub old: Vec<u8>,
    /// The look-up hash from now on.
    pub lookup: Lookup,
    /// The tag from now on.
    pub tag: Option<RowTag>,
    /// The sealed value from now on.
    pub sealed: Vec<u8>,
}

/// The statistics of a domain.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DomainStats {
    /// The domain.
    pub domain: String,
    /// Tokens that can be revealed.
    pub tokens: u64,
    /// Tokens that were emptied.
    pub emptied: u64,
    /// Tokens that have expired, and were not emptied yet.
    pub expired: u64,
    /// The key version that its look-up hashes are made with.
    pub index_key: KeyVersionId,
    /// The one they are being changed to, while they are.
    pub reindexing_to: Option<KeyVersionId>,
    /// The part, in percent of what it may hold, to which the fullest of its spaces is filled.
    pub fullest_percent: Option<f64>,
}

/// The error of a [`TokenStore::begin_reindex`] to a second key, or of a [`TokenStore::end_reindex`] of another.
pub(super) fn reindexing_elsewhere(domain: &str) -> crate::Error {
    crate::Error::bad_input(format!(
        "the look-up hashes of `{domain}` are being changed to another key version"
    ))
    .with_hint(
        crate::Hint::from("to finish that first, with the keyring as it was then, ").then(crate::Remedy::ReindexTokens),
    )
}
