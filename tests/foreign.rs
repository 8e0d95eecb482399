//! Bytes from elsewhere: what a file, a partner or a database hands over is read or refused, without a panic and within
//! bounded memory.
//!
//! `tests/corpus` holds one good text of each kind, made by the command in a folder of its own, with keys that protect
//! nothing. Each is bent in many ways (bits, ends, pieces of the others, numbers beyond all bounds) and given to the
//! function that reads it. All of this is done in a process that may not take more memory than [`MEMORY_KIB`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use cipherform::columns::{METADATA_KEY, ProtectedColumn, protected_columns};
use cipherform::formats::Format;
use cipherform::keys::{
    Authorities, Backup, Checkpoint, ExchangePackage, Identity, Keyring, KmsRegistry, Recipient, Timestamp,
};
use cipherform::kms::{KeyPolicy, LocalKms, Unlock};
use cipherform::policy::Policy;
use cipherform::tokens::{MemoryTokens, Replacement, TokenRule, TokenStore, Tokenizer};
use cipherform::{Result, Secret};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::sandbox::text;

/// Set in the process that does the work.
const INSIDE: &str = "CIPHERFORM_TEST_FOREIGN";

/// Address space of that process: the program itself, and far less than what a length in a bent file could ask for.
const MEMORY_KIB: u32 = 4 << 20;

/// Bent texts of each kind.
const CASES: u32 = 400;

/// The bytes of a sealed value without its ciphertext: version, key version, salt, counter; and the tag.
const HEAD_AND_TAG: usize = 1 + 16 + 16 + 4 + 16;

/// The files of the corpus, in the order in which they are read.
const CORPUS: [(&str, Reader); 12] = [
    ("policy.toml", read_policy),
    ("keyring.json", read_keyring),
    ("kms.json", read_local_kms),
    ("backup.json", read_backup),
    ("audit.jsonl", read_audit_log),
    ("checkpoint.json", read_checkpoint),
    ("column.json", read_column),
    ("package.json", read_package),
    ("public.pem", read_pem),
    ("certificate.pem", read_pem),
    ("private.pem", read_pem),
    ("key-policy.json", read_key_policy),
];

/// Reads a bent text; what it gives back is for the test that the good one is read.
type Reader = fn(&Place, &[u8]) -> Result<()>;

/// A folder with the good keyring and local KMS, in which a bent file takes the place of one of them.
struct Place {
    folder: TempDir,
    runtime: Runtime,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        };
        for name in ["keyring.json", "kms.json", "unlock.key", "audit.jsonl"] {
            place.put(name, &corpus(name));
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// For its owner alone, as what holds keys has to be.
    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn kms(&self, name: &str) -> LocalKms {
        LocalKms::open(self.path(name), Unlock::KeyFile(self.path("unlock.key")))
    }

    fn keyring(&self, name: &str, kms: &str) -> Result<Keyring> {
        let registry = KmsRegistry::new().with("local", self.kms(kms));
        self.runtime.block_on(Keyring::open(self.path(name), &registry))
    }
}

fn corpus(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name)).unwrap()
}

fn read_policy(_: &Place, bytes: &[u8]) -> Result<()> {
    Policy::parse(&text(bytes), Path::new("policy.toml")).map(drop)
}

fn read_keyring(place: &Place, bytes: &[u8]) -> Result<()> {
    place.put("bent.json", bytes);
    place.keyring("bent.json", "kms.json").map(drop)
}

fn read_local_kms(place: &Place, bytes: &[u8]) -> Result<()> {
    place.put("bent.json", bytes);
    place.keyring("keyring.json", "bent.json").map(drop)
}

fn read_audit_log(place: &Place, bytes: &[u8]) -> Result<()> {
    let path = place.put("bent.jsonl", bytes);
    let keyring = place.keyring("keyring.json", "kms.json")?.with_audit_log(path)?;
    keyring.audit_log().unwrap().verify().map(drop)
}

fn read_backup(_: &Place, bytes: &[u8]) -> Result<()> {
    Backup::parse(bytes).map(drop)
}

fn read_checkpoint(_: &Place, bytes: &[u8]) -> Result<()> {
    Checkpoint::parse(bytes).map(drop)
}

fn read_column(_: &Place, bytes: &[u8]) -> Result<()> {
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), text(bytes))]);
    let field = Field::new("c", DataType::Utf8, true).with_metadata(metadata);
    let read = ProtectedColumn::read(&field).map(|column| assert!(column.is_some()));
    assert_eq!(protected_columns(&Schema::new(vec![field])).is_ok(), read.is_ok());
    read
}

fn read_package(_: &Place, bytes: &[u8]) -> Result<()> {
    ExchangePackage::parse(bytes).map(drop)
}

/// By every function that takes PEM: a person may name the wrong file.
fn read_pem(_: &Place, bytes: &[u8]) -> Result<()> {
    let pem = text(bytes);
    let recipient = Recipient::from_pem(&pem).map(drop);
    let identity = Identity::from_pem(&Secret::new(pem.clone())).map(drop);
    let authorities = Authorities::from_pem(&pem);
    let good = Authorities::from_pem(&text(&corpus("certificate.pem"))).unwrap();
    let certified = Recipient::from_certificates(&pem, &good, Timestamp::now()).map(drop);
    recipient.or(identity).or(authorities.map(drop)).or(certified)
}

fn read_key_policy(_: &Place, bytes: &[u8]) -> Result<()> {
    let of_identity = KeyPolicy::parse_for_identity(bytes).map(drop);
    KeyPolicy::parse_for_key(bytes).map(drop).or(of_identity)
}

/// A way to bend a text.
#[derive(Clone, Debug)]
enum Bend {
    /// One bit is the other way round.
    Flip(Index, u8),
    /// It ends here.
    Cut(Index),
    /// A piece is gone.
    Remove(Index, Index),
    /// A piece of another file of the corpus stands in it.
    Splice {
        at: Index,
        file: Index,
        from: Index,
        length: u16,
    },
    /// A piece comes many times.
    Repeat { at: Index, length: u8, times: u16 },
    /// A number is one that nobody expects.
    Number(Index, &'static str),
}

const NUMBERS: [&str; 6] = [
    "-1",
    "0",
    "4294967296",
    "18446744073709551615",
    "1e308",
    "99999999999999999999999999",
];

fn bend() -> impl Strategy<Value = Bend> {
    let index = any::<Index>;
    prop_oneof![
        (index(), 0..8u8).prop_map(|(at, bit)| Bend::Flip(at, bit)),
        index().prop_map(Bend::Cut),
        (index(), index()).prop_map(|(from, to)| Bend::Remove(from, to)),
        (index(), index(), index(), any::<u16>()).prop_map(|(at, file, from, length)| Bend::Splice {
            at,
            file,
            from,
            length
        }),
        (index(), any::<u8>(), 1..2_000u16).prop_map(|(at, length, times)| Bend::Repeat { at, length, times }),
        (index(), prop::sample::select(&NUMBERS[..])).prop_map(|(at, number)| Bend::Number(at, number)),
    ]
}

impl Bend {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let at = |index: &Index| index.index(bytes.len());
        match self {
            Self::Flip(place, bit) => {
                let place = at(place);
                bytes[place] ^= 1 << bit;
            }
            Self::Cut(place) => bytes.truncate(at(place)),
            Self::Remove(from, to) => {
                let (from, to) = (at(from), at(to));
                bytes.drain(from.min(to)..from.max(to));
            }
            Self::Splice {
                at: place,
                file,
                from,
                length,
            } => {
                let other = corpus(CORPUS[file.index(CORPUS.len())].0);
                let from = from.index(other.len());
                let to = (from + usize::from(*length)).min(other.len());
                let place = at(place);
                bytes.splice(place..place, other[from..to].iter().copied());
            }
            Self::Repeat {
                at: place,
                length,
                times,
            } => {
                let place = at(place);
                let piece = bytes[place..(place + usize::from(*length)).min(bytes.len())].to_vec();
                bytes.splice(place..place, piece.repeat(usize::from(*times)));
            }
            Self::Number(place, number) => {
                let digit = |at: &usize| bytes[*at].is_ascii_digit();
                let Some(from) = (at(place)..bytes.len()).find(digit) else {
                    return;
                };
                let to = (from..bytes.len()).find(|at| !digit(at)).unwrap_or(bytes.len());
                bytes.splice(from..to, number.bytes());
            }
        }
    }
}

/// Runs itself once more, in a process whose memory is bounded.
#[test]
fn foreign_bytes_are_read_or_refused() {
    if std::env::var_os(INSIDE).is_some() {
        return read_bent_files();
    }
    let output = Command::new("/bin/sh")
        .args(["-c", &format!("ulimit -v {MEMORY_KIB} && exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "foreign::foreign_bytes_are_read_or_refused", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[allow(
    clippy::print_stderr,
    reason = "a process that dies of memory leaves only what it printed"
)]
fn read_bent_files() {
    let place = Place::new();
    for (name, read) in CORPUS {
        let good = corpus(name);
        // Else all that is refused is refused for another reason.
        read(&place, &good).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Named before, since a process that runs out of memory says nothing of where it was.
        eprintln!("bending {name}");
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            ..Config::default()
        };
        let bends = prop::collection::vec(bend(), 1..5);
        let run = TestRunner::new(config).run(&bends, |bends| {
            let mut bytes = good.clone();
            bends.iter().for_each(|bend| bend.apply(&mut bytes));
            // Read or refused: either is an answer.
            let _ = read(&place, &bytes);
            Ok(())
        });
        run.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    place.runtime.block_on(reveal_bent_rows(&place));
}

/// Rows as a token store may hand them over: an export has the same bytes.
#[allow(clippy::print_stderr, reason = "as above")]
async fn reveal_bent_rows(place: &Place) {
    eprintln!("bending rows of a token store");
    let registry = KmsRegistry::new().with("local", place.kms("kms.json"));
    let keyring = Keyring::open(place.path("keyring.json"), &registry).await.unwrap();
    let pii = "pii".parse().unwrap();
    let key = keyring
        .handle(&pii, cipherform::cipher::Direction::Encrypt)
        .await
        .unwrap();
    let store = Arc::new(MemoryTokens::new().unwrap());
    let rule = TokenRule {
        domain: "account".to_owned(),
        format: Format::parse("opaque", toml::Table::new()).unwrap(),
        per_occurrence: false,
        ttl: None,
        never_valid_as: Vec::new(),
        floor: 0,
    };
    let tokenizer = Tokenizer::open(rule, store.clone(), Some(key), Vec::new())
        .await
        .unwrap();
    tokenizer.tokenize(&["ann"], false, Timestamp::now()).await.unwrap();
    let row = store.scan("account", None, 1).await.unwrap().remove(0);
    let (lookup, good) = row.value.unwrap();
    let mut runner = TestRunner::new(Config::default());
    let mut stored = good.clone();
    for _ in 0..CASES {
        let bends = prop::collection::vec(bend(), 1..5)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut sealed = good.clone();
        bends.iter().for_each(|bend| bend.apply(&mut sealed));
        let bent = Replacement {
            token: row.token.clone(),
            old: std::mem::replace(&mut stored, sealed.clone()),
            lookup,
            tag: None,
            sealed: sealed.clone(),
        };
        assert_eq!(store.replace("account", vec![bent]).await.unwrap(), 1);
        // Only what was sealed opens.
        let revealed = tokenizer.reveal(&[&row.token], Timestamp::now()).await;
        assert_eq!(revealed.is_ok(), sealed == good);
        let found = tokenizer.find(&["ann"], Timestamp::now()).await;
        assert_eq!(found.is_ok(), sealed == good);
        // Neither opened nor sealed anew, if it names the version that seals today.
        let is_current = sealed.len() >= HEAD_AND_TAG && sealed[..17] == good[..17];
        assert_eq!(tokenizer.reseal(&mut |_| {}).await.is_ok(), is_current);
    }
}
