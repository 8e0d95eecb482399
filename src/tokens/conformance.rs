//! The conformance suite of token stores, ours and others'.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{
    Entry, Found, Inserted, Insertion, KnownToken, Lookup, Minted, Record, Replacement, RowTag, Space, TokenStore,
};
use crate::keys::{KeyVersionId, random};
use crate::{Error, ErrorKind, Result};

// A fixed time: the store has no clock, and must not use the system's.
const NOW: u64 = 2_000_000_000;

/// Tries `store`, in domains of its own with random names.
///
/// # Errors
///
/// [`ErrorKind::Bug`] that says which promise of [`TokenStore`] is broken, or the store's own error where it should
/// have succeeded.
pub async fn check(store: Arc<dyn TokenStore>) -> Result<()> {
    let store = &*store;
    keeps_its_domains(store).await?;
    finds_what_was_inserted(store).await?;
    keeps_tokens_and_lookups_unique(store).await?;
    limits_spaces(store).await?;
    empties(store).await?;
    expires(store).await?;
    scans_and_replaces(store).await?;
    reindexes(store).await?;
    keeps_domains_apart(store).await?;
    tells_concurrent_writers_apart(store).await
}

async fn keeps_its_domains(store: &dyn TokenStore) -> Result<()> {
    let (name, one, two) = (name()?, KeyVersionId::random()?, KeyVersionId::random()?);
    let state = store.domain(&name, one).await?;
    require(
        state.index_key == one && state.reindexing_to.is_none(),
        "domain: is made with the key given",
    )?;
    // A second process with a newer key must not make the hashes of the first one useless.
    require(store.domain(&name, two).await? == state, "domain: keeps its first key")?;
    // To read makes no domain.
    let unknown = format!("{name}-that-is-not-there");
    require(
        store.find(&unknown, vec![lookup()?], NOW).await? == [None],
        "find: nothing in a domain that is not there",
    )?;
    require(
        store.reveal(&unknown, vec!["t".into()], NOW).await? == [Found::Unknown],
        "reveal: nothing in a domain that is not there",
    )?;
    require(
        store.scan(&unknown, None, 9).await?.is_empty(),
        "scan: nothing in a domain that is not there",
    )
}

async fn finds_what_was_inserted(store: &dyn TokenStore) -> Result<()> {
    let domain = Domain::new(store).await?;
    let mut entries = entries(300)?;
    // Part of what a tag binds, so it has to come back as it was given.
    entries[5].expires = Some(NOW + 1);
    entries[6].expires = Some(i64::MAX.cast_unsigned());
    require(
        domain.insert(&entries).await? == vec![Minted::New; 300],
        "insert: new entries are new",
    )?;
    let mut lookups: Vec<Lookup> = entries.iter().map(|entry| entry.lookup).collect();
    // In another order than they were put in, with a stranger among them: answers must not be matched by
    // chance.
    lookups.reverse();
    lookups.insert(7, lookup()?);
    let mut tokens: Vec<Option<KnownToken>> = entries.iter().rev().map(|entry| Some(known(entry))).collect();
    tokens.insert(7, None);
    require(
        store.find(&domain.name, lookups, NOW).await? == tokens,
        "find: answers with token, end of life and tag in the order asked, with nothing for what is not there",
    )?;
    let mut asked: Vec<String> = entries.iter().rev().map(|entry| entry.token.clone()).collect();
    asked.insert(3, "not-a-token".into());
    let mut found: Vec<Found> = entries.iter().rev().map(value).collect();
    found.insert(3, Found::Unknown);
    require(
        store.reveal(&domain.name, asked, NOW).await? == found,
        "reveal: gives back what was inserted, in the order asked",
    )?;
    require(
        store.find(&domain.name, Vec::new(), NOW).await?.is_empty(),
        "find: nothing asked, nothing answered",
    )?;
    require(
        domain.insert(&[]).await?.is_empty(),
        "insert: nothing given, nothing done",
    )
}

async fn keeps_tokens_and_lookups_unique(store: &dyn TokenStore) -> Result<()> {
    let domain = Domain::new(store).await?;
    let first = entries(3)?;
    domain.insert(&first).await?;
    let mut second = entries(4)?;
    second[0].lookup = first[0].lookup; // the value is known
    second[1].token = first[1].token.clone(); // the token is taken
    second[2].lookup = first[2].lookup; // both
    second[2].token = first[2].token.clone();
    let minted = domain.insert(&second).await?;
    let expected = [
        Minted::Known(known(&first[0])),
        Minted::TokenTaken,
        Minted::Known(known(&first[2])),
        Minted::New,
    ];
    require(
        minted == expected,
        "insert: tells known values, with the tag of their row, and taken tokens",
    )?;
    let tokens = first.iter().map(|entry| entry.token.clone()).collect();
    let found: Vec<Found> = first.iter().map(value).collect();
    require(
        store.reveal(&domain.name, tokens, NOW).await? == found,
        "insert: leaves what was there as it was",
    )?;
    require(
        store.reveal(&domain.name, vec![second[0].token.clone()], NOW).await? == [Found::Unknown],
        "insert: a token for a known value is not put in",
    )
}

async fn limits_spaces(store: &dyn TokenStore) -> Result<()> {
    let domain = Domain::new(store).await?;
    let spaces = vec![
        Space {
            id: lookup()?,
            limit: 3,
        },
        Space {
            id: lookup()?,
            limit: 100,
        },
    ];
    let insert = |range: std::ops::Range<usize>, all: &[Entry]| {
        let mut entries = all[range].to_vec();
        for (at, entry) in entries.iter_mut().enumerate() {
            entry.space = Some(at % 2);
        }
        domain.insertion(entries, spaces.clone())
    };
    let all = entries(12)?;
    let done = store.insert(Arc::new(insert(0..4, &all))).await?;
    require(
        matches!(&done, Inserted::Done { used, .. } if *used == [2, 2]),
        "insert: counts its spaces",
    )?;
    // As after a crash between the commit and the answer: the batch comes again.
    let again = store.insert(Arc::new(insert(0..4, &all))).await?;
    require(
        matches!(&again, Inserted::Done { used, .. } if *used == [2, 2]),
        "insert: known values are not counted again",
    )?;
    // One space is full and the other is not: both must stay as they are.
    let full = store.insert(Arc::new(insert(4..8, &all))).await?;
    require(
        full == Inserted::Full { space: 0, used: 4 },
        "insert: refuses what would be too much for a space",
    )?;
    let tokens: Vec<String> = all[4..8].iter().map(|entry| entry.token.clone()).collect();
    require(
        store.reveal(&domain.name, tokens, NOW).await? == vec![Found::Unknown; 4],
        "insert: what is refused leaves nothing behind",
    )?;
    store
        .delete(
            &domain.name,
            all[0..4].iter().map(|entry| entry.token.clone()).collect(),
        )
        .await?;
    // An emptied token is never free again, so it goes on taking its place.
    let done = store.insert(Arc::new(insert(8..9, &all))).await?;
    require(
        matches!(&done, Inserted::Done { used, .. } if *used == [3, 2]),
        "delete: emptied tokens still count",
    )?;
    let stats = domain.stats().await?;
    require(
        stats.fullest_percent == Some(100.0),
        "stats: tell how full the fullest space is",
    )
}

async fn empties(store: &dyn TokenStore) -> Result<()> {
    let domain = Domain::new(store).await?;
    let entries = entries(3)?;
    domain.insert(&entries).await?;
    let gone = entries[0].token.clone();
    let asked = vec![gone.clone(), "not-a-token".to_owned()];
    require(
        store.delete(&domain.name, asked.clone()).await?.rows == 1,
        "delete: counts what it empties",
    )?;
    require(
        store.delete(&domain.name, asked).await?.rows == 0,
        "delete: empties once",
    )?;
    require(
        store.reveal(&domain.name, vec![gone.clone()], NOW).await? == [Found::Emptied],
        "delete: the token is known to be emptied",
    )?;
    require(
        store.find(&domain.name, vec![entries[0].lookup], NOW).await? == [None],
        "delete: the value is not found any more",
    )?;
    let mut reborn = entries[0].clone();
    require(
        // A copy of the old token may be anywhere; it must not come to mean another value.
        domain.insert(&[reborn.clone()]).await? == [Minted::TokenTaken],
        "delete: a token is never issued again",
    )?;
    reborn.token = token()?;
    require(
        domain.insert(&[reborn]).await? == [Minted::New],
        "delete: the value can be minted anew",
    )?;
    let stats = domain.stats().await?;
    require(
        (stats.tokens, stats.emptied, stats.expired) == (3, 1, 0),
        "stats: count tokens and emptied ones",
    )
}

async fn expires(store: &dyn TokenStore) -> Result<()> {
    let domain = Domain::new(store).await?;
    let mut entries = entries(4)?;
    // One second before, at, and after the end of life: `expires` is the first moment without the value.
    entries[0].expires = Some(NOW - 1);
    entries[1].expires = Some(NOW);
    entries[2].expires = Some(NOW + 1);
    let mut insertion = domain.insertion(entries.clone(), Vec::new());
    insertion.now = NOW - 10;
    store.insert(Arc::new(insertion)).await?;
    let tokens = || entries.iter().map(|entry| entry.token.clone()).collect();
    let expected = [Found::Emptied, Found::Emptied, value(&entries[2]), value(&entries[3])];
    require(
        store.reveal(&domain.name, tokens(), NOW).await? == expected,
        "reveal: what has expired counts as emptied",
    )?;
    let lookups = entries.iter().map(|entry| entry.lookup).collect();
    let found = store.find(&domain.name, lookups, NOW).await?;
    require(
        found.iter().map(Option::is_some).collect::<Vec<_>>() == [false, false, true, true],
        "find: what has expired is not found",
    )?;
    require(domain.stats().await?.expired == 2, "stats: count what has expired")?;
    let mut renewed = entries[0].clone();
    renewed.token = token()?;
    renewed.expires = None;
    require(
        // Though nobody has called `expire` yet.
        domain.insert(&[renewed.clone()]).await? == [Minted::New],
        "insert: an expired value is minted anew",
    )?;
    require(
        store.expire(Some(&domain.name), NOW).await?.rows == 1,
        "expire: counts what it empties",
    )?;
    require(
        store.expire(Some(&domain.name), NOW).await?.rows == 0,
        "expire: empties once",
    )?;
    require(
        store.reveal(&domain.name, tokens(), NOW).await? == expected,
        "expire: changes nothing that can be seen",
    )?;
    let stats = domain.stats().await?;
    require(
        (stats.tokens, stats.emptied, stats.expired) == (3, 2, 0),
        "stats: count what expire has emptied",
    )
}

async fn scans_and_replaces(store: &dyn TokenStore) -> Result<()> {
    let domain = Domain::new(store).await?;
    let mut entries = entries(25)?;
    domain.insert(&entries).await?;
    // By bytes: a database that sorts by a language would skip rows, or give them twice, from page to
    // page.
    entries.sort_by(|one, other| one.token.as_bytes().cmp(other.token.as_bytes()));
    store.delete(&domain.name, vec![entries[4].token.clone()]).await?;
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = store.scan(&domain.name, after, 10).await?;
        require(page.len() <= 10, "scan: no more than the limit")?;
        let Some(last) = page.last() else { break };
        after = Some(last.token.clone());
        rows.extend(page);
    }
    let same = rows.len() == entries.len()
        && rows.iter().zip(&entries).enumerate().all(|(at, (row, entry))| {
            let is_full = at != 4;
            *row == Record {
                token: entry.token.clone(),
                value: is_full.then(|| (entry.lookup, entry.sealed.clone())),
                expires: None,
                tag: is_full.then_some(entry.tag),
            }
        });
    require(same, "scan: gives every row once, in the order of the tokens' bytes")?;

    let (other, retagged) = (lookup()?, tag()?);
    let replacement = |at: usize, old: &[u8], lookup| Replacement {
        token: entries[at].token.clone(),
        old: old.to_vec(),
        lookup,
        tag: Some(retagged),
        sealed: b"resealed".to_vec(),
    };
    let replacements = vec![
        replacement(0, &entries[0].sealed, other),
        // A row that somebody changed since it was read.
        replacement(1, b"something else", lookup()?),
        // A row that was emptied: it must not come back to life.
        replacement(4, &entries[4].sealed, lookup()?),
    ];
    require(
        store.replace(&domain.name, replacements).await? == 1,
        "replace: only a row that is as it was read",
    )?;
    let found = store
        .find(&domain.name, vec![entries[0].lookup, other, entries[1].lookup], NOW)
        .await?;
    let replaced = KnownToken {
        tag: Some(retagged),
        ..known(&entries[0])
    };
    let expected = [None, Some(replaced), Some(known(&entries[1]))];
    require(
        found == expected,
        "replace: puts the new look-up hash and tag in the place of the old",
    )?;
    let revealed = store.reveal(&domain.name, vec![entries[0].token.clone()], NOW).await?;
    require(
        matches!(&revealed[..], [Found::Value { sealed, .. }] if sealed == b"resealed"),
        "replace: puts the new sealed value in the place of the old",
    )
}

async fn reindexes(store: &dyn TokenStore) -> Result<()> {
    let domain = Domain::new(store).await?;
    let first = entries(1)?;
    domain.insert(&first).await?;
    let (to, another) = (KeyVersionId::random()?, KeyVersionId::random()?);
    store.begin_reindex(&domain.name, to).await?;
    // Twice, as after an interruption.
    store.begin_reindex(&domain.name, to).await?;
    let refused = store.begin_reindex(&domain.name, another).await;
    require(
        refused.is_err_and(|error| error.kind() == ErrorKind::BadInput),
        "begin_reindex: to one key at a time",
    )?;
    let state = store.domain(&domain.name, another).await?;
    require(
        state.reindexing_to == Some(to),
        "domain: tells that it is being re-indexed",
    )?;
    let insertion = domain.insertion(entries(1)?, Vec::new());
    require(
        store.insert(Arc::new(insertion.clone())).await? == Inserted::OtherIndex,
        "insert: refused while a domain is being re-indexed",
    )?;
    require(
        store.find(&domain.name, vec![first[0].lookup], NOW).await? == [Some(known(&first[0]))],
        "find: goes on while a domain is being re-indexed",
    )?;
    let refused = store.end_reindex(&domain.name, another).await;
    require(
        refused.is_err_and(|error| error.kind() == ErrorKind::BadInput),
        "end_reindex: of the key that was begun",
    )?;
    store.end_reindex(&domain.name, to).await?;
    // Twice: two processes may have finished it together.
    store.end_reindex(&domain.name, to).await?;
    let state = store.domain(&domain.name, another).await?;
    require(
        state.index_key == to && state.reindexing_to.is_none(),
        "end_reindex: the domain has its new key",
    )?;
    require(
        store.insert(Arc::new(insertion.clone())).await? == Inserted::OtherIndex,
        "insert: refused with the look-up hashes of another key",
    )?;
    let insertion = Insertion {
        index_key: to,
        ..insertion
    };
    require(
        matches!(store.insert(Arc::new(insertion)).await?, Inserted::Done { .. }),
        "insert: goes on with the new key",
    )
}

async fn keeps_domains_apart(store: &dyn TokenStore) -> Result<()> {
    let (one, two) = (Domain::new(store).await?, Domain::new(store).await?);
    let entries = entries(2)?;
    require(
        one.insert(&entries).await? == vec![Minted::New; 2],
        "insert: into one domain",
    )?;
    require(
        // Uniqueness is within a domain; another rule has tokens of its own.
        two.insert(&entries).await? == vec![Minted::New; 2],
        "insert: the same tokens and look-up hashes into another domain",
    )?;
    one.store.delete(&one.name, vec![entries[0].token.clone()]).await?;
    require(
        store.reveal(&two.name, vec![entries[0].token.clone()], NOW).await? == [value(&entries[0])],
        "delete: of one domain only",
    )
}

/// Many insertions at once, over few values and few tokens: what all of them were told must be one and the same
/// bijection.
async fn tells_concurrent_writers_apart(store: &dyn TokenStore) -> Result<()> {
    let domain = Domain::new(store).await?;
    // 40 values and 8 writers with 20 of them each: every value is minted by several at once.
    let lookups: Vec<Lookup> = (0..40).map(|_| lookup()).collect::<Result<_>>()?;
    let writer = |writer: usize| {
        let (domain, lookups) = (&domain, &lookups);
        async move {
            let mut told: Vec<(Lookup, String)> = Vec::new();
            let mut pending: Vec<Lookup> = (0..20).map(|at| lookups[(at * 2 + writer * 5) % 40]).collect();
            // An insertion has no repeats, as the trait asks.
            pending.sort_unstable();
            pending.dedup();
            for round in 0.. {
                let entries: Vec<Entry> = pending
                    .iter()
                    .enumerate()
                    .map(|(at, lookup)| Entry {
                        // The same few tokens from all writers, until each finds its own.
                        token: format!("token-{}", at * 3 + writer * 7 * round),
                        lookup: *lookup,
                        sealed: format!("sealed by {writer}").into_bytes(),
                        expires: None,
                        tag: *lookup,
                        space: None,
                    })
                    .collect();
                let minted = domain.insert(&entries).await?;
                pending.clear();
                for (entry, minted) in entries.into_iter().zip(minted) {
                    match minted {
                        Minted::New => told.push((entry.lookup, entry.token)),
                        Minted::Known(known) => told.push((entry.lookup, known.token)),
                        Minted::TokenTaken => pending.push(entry.lookup),
                    }
                }
                if pending.is_empty() {
                    break;
                }
                require(round < 1000, "insert: a token that is free is not taken")?;
            }
            Ok::<_, Error>(told)
        }
    };
    let told = futures_util::future::try_join_all((1..=8).map(writer)).await?;
    let mut tokens: HashMap<Lookup, String> = HashMap::new();
    for (lookup, token) in told.into_iter().flatten() {
        let first = tokens.entry(lookup).or_insert_with(|| token.clone());
        require(*first == token, "insert: one value gets one token, whoever asks")?;
    }
    let distinct: HashSet<&String> = tokens.values().collect();
    require(
        distinct.len() == tokens.len(),
        "insert: no two values get the same token",
    )?;
    let rows = store.scan(&domain.name, None, 1000).await?;
    let stored: HashMap<Lookup, String> = rows
        .into_iter()
        .filter_map(|row| Some((row.value?.0, row.token)))
        .collect();
    require(stored == tokens, "insert: what was told is what is stored")
}

struct Domain<'a> {
    store: &'a dyn TokenStore,
    name: String,
    key: KeyVersionId,
}

impl<'a> Domain<'a> {
    async fn new(store: &'a dyn TokenStore) -> Result<Self> {
        let (name, key) = (name()?, KeyVersionId::random()?);
        store.domain(&name, key).await?;
        Ok(Self { store, name, key })
    }

    fn insertion(&self, entries: Vec<Entry>, spaces: Vec<Space>) -> Insertion {
        Insertion {
            domain: self.name.clone(),
            index_key: self.key,
            entries,
            spaces,
            now: NOW,
        }
    }

    async fn insert(&self, entries: &[Entry]) -> Result<Vec<Minted>> {
        match self
            .store
            .insert(Arc::new(self.insertion(entries.to_vec(), Vec::new())))
            .await?
        {
            Inserted::Done { minted, .. } if minted.len() == entries.len() => Ok(minted),
            _ => Err(broken("insert: does what can be done, and says so of each entry")),
        }
    }

    async fn stats(&self) -> Result<super::DomainStats> {
        let stats = self.store.stats(NOW).await?.into_iter();
        let mut found = stats.filter(|stats| stats.domain == self.name);
        found.next().ok_or_else(|| broken("stats: name every domain"))
    }
}

fn entries(count: usize) -> Result<Vec<Entry>> {
    let entry = |at| {
        Ok(Entry {
            token: token()?,
            lookup: lookup()?,
            sealed: format!("sealed {at}").into_bytes(),
            expires: None,
            tag: tag()?,
            space: None,
        })
    };
    (0..count).map(entry).collect()
}

fn value(entry: &Entry) -> Found {
    Found::Value {
        lookup: entry.lookup,
        sealed: entry.sealed.clone(),
        expires: entry.expires,
    }
}

fn known(entry: &Entry) -> KnownToken {
    KnownToken {
        token: entry.token.clone(),
        expires: entry.expires,
        tag: Some(entry.tag),
    }
}

fn name() -> Result<String> {
    Ok(format!("conformance-{}", token()?))
}

fn token() -> Result<String> {
    random::array::<12>().map(hex::encode)
}

fn lookup() -> Result<Lookup> {
    random::array()
}

fn tag() -> Result<RowTag> {
    random::array()
}

fn require(kept: bool, promise: &str) -> Result<()> {
    if kept { Ok(()) } else { Err(broken(promise)) }
}

fn broken(promise: &str) -> Error {
    Error::bug(format!("the token store breaks a promise: {promise}"))
}
