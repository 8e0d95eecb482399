//! A tokenizer over the memory store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{MemoryTokens, Record, Replacement, Revealed, RowTag, TokenRule, TokenStore, Tokenizer};
use crate::ErrorKind;
use crate::cipher::Direction;
use crate::formats::Format;
use crate::formats::RowError;
use crate::keys::{KeyHandle, KeyUse, Keyring, KmsRegistry, Timestamp};
use crate::kms::MemoryKms;

/// A key for deriving, of a keyring that is gone.
pub(super) async fn handle() -> KeyHandle {
    handles(1).await.remove(0)
}

/// Makes as many versions of one key.
async fn handles(count: u32) -> Vec<KeyHandle> {
    let folder = tempfile::tempdir().unwrap();
    let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
    let path = folder.path().join("keyring.json");
    let mut keyring = Keyring::create(path, &"memory:main".parse().unwrap(), &registry)
        .await
        .unwrap();
    let name = "pii".parse().unwrap();
    keyring.create_key(&name, KeyUse::Derive, None).await.unwrap();
    let mut handles = Vec::new();
    for version in 1..=count {
        if version > 1 {
            keyring.rotate(&name, None).await.unwrap();
        }
        handles.push(
            keyring
                .handle(&"pii".parse().unwrap(), Direction::Encrypt)
                .await
                .unwrap(),
        );
    }
    handles
}

pub(super) fn rule(format: &str, parameters: toml::Table) -> TokenRule {
    TokenRule {
        domain: format.to_owned(),
        format: Format::parse(format, parameters).unwrap(),
        per_occurrence: false,
        ttl: None,
        never_valid_as: Vec::new(),
        // Small spaces fill up fast, which is what tests are about.
        floor: 0,
    }
}

async fn open(rule: TokenRule, store: &MemoryTokens, keys: &[KeyHandle]) -> Tokenizer {
    let (active, store) = (keys.last().cloned(), Arc::new(store.clone()));
    Tokenizer::open(rule, store, active, keys.to_vec()).await.unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

async fn tokens(tokenizer: &Tokenizer, values: &[&str]) -> Vec<String> {
    let done = tokenizer.tokenize(values, false, at(0)).await.unwrap();
    done.iter().map(|token| token.unwrap().to_owned()).collect()
}

async fn revealed(tokenizer: &Tokenizer, tokens: &[String], now: u64) -> Vec<Revealed> {
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    tokenizer.reveal(&tokens, at(now)).await.unwrap()
}

#[tokio::test]
async fn one_value_has_one_token_and_comes_back() {
    let (store, keys) = (MemoryTokens::new().unwrap(), handles(1).await);
    // More than two batches, with repeats within a batch and across two.
    let values: Vec<String> = (0..20_000).map(|n| format!("{:09}", n % 9_000)).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let tokenizer = open(rule("digits", toml::Table::new()), &store, &keys).await;
    let first = tokens(&tokenizer, &values).await;
    let distinct: HashSet<&String> = first.iter().collect();
    assert_eq!(distinct.len(), 9_000);
    assert!(first.iter().zip(&values).all(|(token, value)| token != value));
    assert_eq!(first[..9_000], first[9_000..18_000]);
    // Another engine, later.
    let tokenizer = open(rule("digits", toml::Table::new()), &store, &keys).await;
    assert_eq!(tokens(&tokenizer, &values).await, first);
    let back = revealed(&tokenizer, &first, 0).await;
    assert!(
        back.iter()
            .zip(&values)
            .all(|(back, value)| *back == Revealed::Value((*value).to_owned()))
    );
    assert_eq!(revealed(&tokenizer, &["unknown".into()], 0).await, [Revealed::Unknown]);
}

#[tokio::test]
async fn per_occurrence_equal_values_differ() {
    let (store, keys) = (MemoryTokens::new().unwrap(), handles(1).await);
    let rule = TokenRule {
        per_occurrence: true,
        ..rule("opaque", toml::Table::new())
    };
    let tokenizer = open(rule, &store, &keys).await;
    let made = tokens(&tokenizer, &["same", "same"]).await;
    assert_ne!(made[0], made[1]);
    assert_eq!(
        revealed(&tokenizer, &made, 0).await,
        vec![Revealed::Value("same".into()); 2]
    );
    assert!(tokenizer.find(&["same"], at(0)).await.is_err());
}

#[tokio::test]
async fn half_of_a_space_is_the_most() {
    let (store, keys) = (MemoryTokens::new().unwrap(), handles(1).await);
    let tokenizer = open(rule("digits", toml::Table::new()), &store, &keys).await;
    // Three digits: 1,000 tokens, of which 500 may be used.
    let values: Vec<String> = (0..501).map(|n| format!("{n:03}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    tokens(&tokenizer, &values[..450]).await;
    assert_eq!(tokenizer.fullest_percent(), 90.0);
    let error = match tokenizer.tokenize(&values, false, at(0)).await {
        Err(RowError::Batch(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error.kind(), ErrorKind::BadInput);
    assert!(error.message().contains("501 of 1000"), "{error}");
    assert_eq!(store.stats(0).await.unwrap()[0].tokens, 450);
    assert_eq!(
        tokens(&tokenizer, &values[..500])
            .await
            .iter()
            .collect::<HashSet<_>>()
            .len(),
        500
    );
    assert_eq!(tokenizer.fullest_percent(), 100.0);
}

#[tokio::test]
async fn misfits_are_told_before_anything_is_stored() {
    let (store, keys) = (MemoryTokens::new().unwrap(), handles(1).await);
    let tokenizer = open(rule("digits", toml::Table::new()), &store, &keys).await;
    let mut values = vec!["1234567"; 9_000];
    // In the second transaction: the first must not be committed before it is found.
    values[8_500] = "12x";
    match tokenizer.tokenize(&values, false, at(0)).await {
        Err(RowError::Row { row: 8_500, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(store.stats(0).await.unwrap()[0].tokens, 0);
    let done = tokenizer.tokenize(&values, true, at(0)).await.unwrap();
    assert_eq!(done.iter().position(|token| token.is_err()), Some(8_500));
}

#[tokio::test]
async fn what_is_forgotten_stays_forgotten() {
    let (store, keys) = (MemoryTokens::new().unwrap(), handles(1).await);
    let rule = TokenRule {
        ttl: Some(Duration::from_secs(60)),
        ..rule("us-ssn", toml::Table::new())
    };
    let tokenizer = open(rule, &store, &keys).await;
    let made = tokens(&tokenizer, &["123-45-6789", "123-45-6780"]).await;
    let found = tokenizer.find(&["123-45-6789", "123-45-0001"], at(1)).await.unwrap();
    assert_eq!(found, [Some(made[0].clone()), None]);
    assert_eq!(tokenizer.delete(vec![made[0].clone()]).await.unwrap().rows, 1);
    let expected = [Revealed::Emptied, Revealed::Value("123-45-6780".into())];
    assert_eq!(revealed(&tokenizer, &made, 59).await, expected);
    assert_eq!(revealed(&tokenizer, &made, 60).await, vec![Revealed::Emptied; 2]);
    assert_eq!(tokenizer.expire(at(60)).await.unwrap().rows, 1);
    // A new token: the old one stays emptied for ever, wherever copies of it are.
    assert_ne!(tokens(&tokenizer, &["123-45-6789", "123-45-6780"]).await, made);
}

#[tokio::test]
async fn rotation_reseals_and_reindexes_without_changing_tokens() {
    let (store, keys) = (MemoryTokens::new().unwrap(), handles(2).await);
    let values: Vec<String> = (0..5_000).map(|n| format!("{n:09}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let digits = || rule("digits", toml::Table::new());
    let old = open(digits(), &store, &keys[..1]).await;
    let made = tokens(&old, &values).await;
    assert_eq!(old.delete(made[..1].to_vec()).await.unwrap().rows, 1);
    let both = open(digits(), &store, &keys).await;
    assert_eq!(tokens(&both, &values[1..]).await, made[1..], "found by the first key");
    let mut told = 0;
    let walked = both.reseal(&mut |progress| told = progress.seen).await.unwrap();
    assert_eq!((walked.seen, walked.changed, told), (5_000, 4_999, 5_000));
    assert_eq!(both.reseal(&mut |_| {}).await.unwrap().changed, 0);
    assert_eq!(both.reindex(&mut |_| {}).await.unwrap().changed, 4_999);
    assert_eq!(both.reindex(&mut |_| {}).await.unwrap().changed, 0);
    // The first version is not needed any more.
    let new = open(digits(), &store, &keys[1..]).await;
    assert_eq!(tokens(&new, &values[1..]).await, made[1..]);
    assert_eq!(
        revealed(&new, &made[1..2], 0).await,
        [Revealed::Value(values[1].to_owned())]
    );
    // One who has slept through it finds the new key, or says that it is missing.
    assert!(matches!(
        old.tokenize(&["000000000"], false, at(0)).await,
        Err(RowError::Batch(error)) if error.kind() == ErrorKind::KeyNotFound
    ));
}

#[tokio::test]
async fn a_reindex_that_was_interrupted_hides_no_value_and_ends_after_a_rotation() {
    let (store, keys) = (MemoryTokens::new().unwrap(), handles(3).await);
    let values: Vec<String> = (0..5_000).map(|n| format!("{n:09}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let digits = || rule("digits", toml::Table::new());
    let made = tokens(&open(digits(), &store, &keys[..1]).await, &values).await;
    let second = Arc::new(open(digits(), &store, &keys[..2]).await);
    let interrupted = tokio::spawn({
        let second = Arc::clone(&second);
        async move {
            second
                // Some rows have the new hash by then, and the others the old one.
                .reindex(&mut |_| panic!("killed after the first page"))
                .await
                .map(drop)
        }
    });
    assert!(interrupted.await.is_err());
    let found = second.find(&values, at(0)).await.unwrap();
    assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), made);

    // The key was rotated before the re-index was taken up again: both changes of key must come to their
    // end.
    let third = open(digits(), &store, &keys).await;
    assert_eq!(third.reindex(&mut |_| {}).await.unwrap().changed, 5_000);
    assert_eq!(tokens(&third, &values).await, made);
    assert_ne!(tokens(&third, &["987654321"]).await, made[..1]);
}

#[tokio::test]
async fn an_engine_that_slept_through_a_reindex_goes_on() {
    let (store, keys) = (MemoryTokens::new().unwrap(), handles(2).await);
    let digits = || rule("digits", toml::Table::new());
    let first = open(digits(), &store, &keys[..1]).await;
    let made = tokens(&first, &["123456789"]).await;
    let (sleeper, other) = (open(digits(), &store, &keys).await, open(digits(), &store, &keys).await);
    other.reindex(&mut |_| {}).await.unwrap();
    assert_eq!(tokens(&sleeper, &["123456789"]).await, made);
    // A re-index that never ends: whoever tokenizes is told, and does not wait for ever.
    store.begin_reindex("digits", keys[0].version_id()).await.unwrap();
    match sleeper.tokenize(&["987654321"], false, at(0)).await {
        Err(RowError::Batch(error)) => assert_eq!(error.kind(), ErrorKind::ProviderDown),
        other => panic!("{other:?}"),
    }
}

/// Puts another look-up hash and tag into a row, as whoever can write to the store may.
async fn change_row(store: &dyn TokenStore, row: &Record, lookup: [u8; 16], tag: Option<RowTag>) {
    let (_, sealed) = row.value.clone().unwrap();
    let replacement = Replacement {
        token: row.token.clone(),
        old: sealed.clone(),
        lookup,
        tag,
        sealed,
    };
    assert_eq!(store.replace("digits", vec![replacement]).await.unwrap(), 1);
}

/// Exchanges the look-up hashes of two people, in a store of 300: what may be looked up, minted and deleted afterwards.
pub(super) async fn refuse_exchanged_rows(store: Arc<dyn TokenStore>) {
    let keys = handles(1).await;
    let values: Vec<String> = (0..300).map(|n| format!("{n:09}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let digits = || rule("digits", toml::Table::new());
    let open = async || {
        Tokenizer::open(digits(), Arc::clone(&store), keys.last().cloned(), keys.clone())
            .await
            .unwrap()
    };
    let made = tokens(&open().await, &values).await;
    let rows: HashMap<String, Record> = store
        .scan("digits", None, 1_000)
        .await
        .unwrap()
        .into_iter()
        .map(|row| (row.token.clone(), row))
        .collect();
    // Behind those that are looked up before the rest is taken for new: the insertion finds them known.
    let (ann, bob) = (&rows[&made[200]], &rows[&made[250]]);
    let lookup = |row: &Record| row.value.as_ref().unwrap().0;
    let exchange = async |ann_tag, bob_tag| {
        change_row(&*store, ann, [0; 16], None).await;
        change_row(&*store, bob, lookup(ann), bob_tag).await;
        change_row(&*store, ann, lookup(bob), ann_tag).await;
    };
    // Each keeps its tag, tags go with the look-up hashes, or none is left, as in a store of old.
    for (ann_tag, bob_tag) in [(ann.tag, bob.tag), (bob.tag, ann.tag), (None, None)] {
        exchange(ann_tag, bob_tag).await;
        let refused = |done| matches!(done, Err(RowError::Batch(error)) if error.kind() == ErrorKind::WrongKey);
        // Looked up; and found known by an insertion, since the first 64 are new.
        assert!(refused(open().await.tokenize(&values[200..201], false, at(0)).await));
        let unknown: Vec<String> = (0..64).map(|n| format!("9{n:08}")).collect();
        let batch: Vec<&str> = unknown
            .iter()
            .map(String::as_str)
            .chain(values.iter().copied())
            .collect();
        assert!(refused(open().await.tokenize(&batch, false, at(0)).await));
        let found = open().await.find(&values[250..251], at(0)).await;
        assert_eq!(found.unwrap_err().kind(), ErrorKind::WrongKey);
        // Nor can a re-index be made to give such a row a tag.
        let reindexed = open().await.reindex(&mut |_| {}).await;
        assert_eq!(reindexed.unwrap_err().kind(), ErrorKind::WrongKey);
        change_row(&*store, ann, [0; 16], None).await;
        change_row(&*store, bob, lookup(bob), bob.tag).await;
        change_row(&*store, ann, lookup(ann), ann.tag).await;
        store.end_reindex("digits", keys[0].version_id()).await.unwrap();
        let emptied = store
            .scan("digits", None, 1_000)
            .await
            .unwrap()
            .into_iter()
            .filter(|row| !rows.contains_key(&row.token))
            .map(|row| row.token);
        store.delete("digits", emptied.collect()).await.unwrap();
    }
    assert_eq!(tokens(&open().await, &values).await, made);
}

#[tokio::test]
async fn rows_whose_look_up_hashes_were_exchanged_are_refused() {
    refuse_exchanged_rows(Arc::new(MemoryTokens::new().unwrap())).await;
}

#[cfg(feature = "tokens-sqlite")]
#[tokio::test]
async fn rows_of_a_file_whose_look_up_hashes_were_exchanged_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = super::SqliteTokens::open(&folder.path().join("tokens.db"))
        .await
        .unwrap();
    refuse_exchanged_rows(Arc::new(store)).await;
}

#[tokio::test]
async fn rows_without_tags_are_found_and_get_them_by_a_reindex() {
    let (store, keys) = (MemoryTokens::new().unwrap(), handles(1).await);
    let values: Vec<String> = (0..300).map(|n| format!("{n:09}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let tokenizer = open(rule("digits", toml::Table::new()), &store, &keys).await;
    let made = tokens(&tokenizer, &values).await;
    // As a store of the version before has them.
    for row in store.scan("digits", None, 1_000).await.unwrap() {
        change_row(&store, &row, row.value.as_ref().unwrap().0, None).await;
    }
    assert_eq!(tokens(&tokenizer, &values).await, made);
    let found = tokenizer.find(&values[..2], at(0)).await.unwrap();
    assert_eq!(found, [Some(made[0].clone()), Some(made[1].clone())]);
    assert_eq!(tokenizer.reindex(&mut |_| {}).await.unwrap().changed, 300);
    let rows = store.scan("digits", None, 1_000).await.unwrap();
    assert!(rows.iter().all(|row| row.tag.is_some()));
    assert_eq!(tokens(&tokenizer, &values).await, made);
}

/// Each store in a task of its own, some given up in the middle: what they tell is one bijection, and so is what is
/// stored.
pub(super) async fn end_with_a_bijection(stores: Vec<Arc<dyn TokenStore>>) {
    let keys = handles(1).await;
    let values: Arc<Vec<String>> = Arc::new((0..4_000).map(|n| format!("{n:04}")).collect());
    let mut tasks = Vec::new();
    for (at, store) in stores.iter().cloned().enumerate() {
        let (keys, values) = (keys.clone(), Arc::clone(&values));
        tasks.push(tokio::spawn(async move {
            let tokenizer =
                Tokenizer::open(rule("digits", toml::Table::new()), store, keys.last().cloned(), keys).await;
            let tokenizer = tokenizer.unwrap();
            let mut told = Vec::new();
            for round in 0..6 {
                // Overlapping values, in another order each time, and few enough tokens that many collide.
                let mine: Vec<&str> = (0..700)
                    .map(|n| &*values[(n * (2 * at + 3) + round * 500) % 4_000])
                    .collect();
                let mint = tokenizer.tokenize(&mine, false, at_zero());
                if round % 3 == 1 {
                    // Given up in the middle, at another place each time.
                    let patience = Duration::from_millis(3 * (at as u64 + 1));
                    let _ = tokio::time::timeout(patience, mint).await;
                    continue;
                }
                let tokens = mint.await.unwrap();
                let tokens = tokens.iter().map(|token| token.unwrap().to_owned());
                told.extend(mine.iter().map(|value| (*value).to_owned()).zip(tokens));
            }
            told
        }));
    }
    let (mut token_of, mut value_of) = (HashMap::new(), HashMap::new());
    for task in tasks {
        for (value, token) in task.await.unwrap() {
            // Whoever asked, and whenever: one token for a value, one value for a token.
            assert_eq!(token_of.entry(value.clone()).or_insert_with(|| token.clone()), &token);
            assert_eq!(value_of.entry(token).or_insert_with(|| value.clone()), &value);
        }
    }
    let tokenizer = Tokenizer::open(rule("digits", toml::Table::new()), Arc::clone(&stores[0]), None, keys)
        .await
        .unwrap();
    let rows = stores[0].scan("digits", None, 10_000).await.unwrap();
    let stored: Vec<&str> = rows.iter().map(|row| row.token.as_str()).collect();
    let values: HashSet<Revealed> = tokenizer.reveal(&stored, at(0)).await.unwrap().into_iter().collect();
    // Calls that were given up must have left a whole row or none.
    assert_eq!(values.len(), stored.len(), "every stored token has a value of its own");
    let used = stores[0].stats(0).await.unwrap()[0].fullest_percent.unwrap();
    assert!(
        (used - stored.len() as f64 / 50.0).abs() < 1e-9,
        "spaces count what is stored"
    );
}

fn at_zero() -> Timestamp {
    at(0)
}

#[tokio::test]
async fn writers_in_memory_end_with_a_bijection() {
    let store = MemoryTokens::new().unwrap();
    end_with_a_bijection((0..8).map(|_| Arc::new(store.clone()) as Arc<dyn TokenStore>).collect()).await;
}

#[cfg(feature = "tokens-sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn writers_of_one_file_end_with_a_bijection() {
    let folder = tempfile::tempdir().unwrap();
    let mut stores: Vec<Arc<dyn TokenStore>> = Vec::new();
    for _ in 0..8 {
        stores.push(Arc::new(
            super::SqliteTokens::open(&folder.path().join("tokens.db"))
                .await
                .unwrap(),
        ));
    }
    end_with_a_bijection(stores).await;
}

#[tokio::test]
async fn a_store_that_fails_fails_the_call() {
    let (store, keys) = (MemoryTokens::new().unwrap(), handles(1).await);
    let tokenizer = open(rule("digits", toml::Table::new()), &store, &keys).await;
    for kind in [ErrorKind::ProviderDown, ErrorKind::Io] {
        store.fail_next(kind);
        match tokenizer.tokenize(&["123456789"], false, at(0)).await {
            Err(RowError::Batch(error)) => assert_eq!(error.kind(), kind),
            other => panic!("{other:?}"),
        }
    }
}
