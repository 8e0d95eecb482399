//! What is left in the memory of a process whose jobs are done.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use cipherform::Engine;
use cipherform::cipher::Direction;
use cipherform::columns::RevealOptions;
use cipherform::files::Job;
use cipherform::keys::{
    DirectMode, Identity, KeyImport, KeyUse, Keyring, KmsClient, KmsKeyRef, KmsRegistry, Purpose, Recipient, Sender,
    WrapContext,
};
use cipherform::kms::{KmsKeySpec, LocalKms, MemoryKms, NewKmsKey, PassphraseKdf, Unlock};
use cipherform::{Result, Secret};

use crate::sandbox::{POLICY, Sandbox, people};

/// Changes every byte of what is looked for, so that the list of it is not found itself.
// Any mask that is not zero; the wanted list would otherwise be found in every run.
const MASK: u8 = 0x5A;

/// What must not be found, masked, and what it is.
#[derive(Default)]
pub(crate) struct Wanted(Vec<(String, Vec<u8>)>);

impl Wanted {
    pub(crate) fn add(&mut self, what: &str, secret: &[u8]) {
        // Sixteen bytes do not stand in memory by chance.
        assert!(secret.len() >= 16, "{what}: too short to be told from chance");
        self.add_masked(what, secret.iter().map(|byte| byte ^ MASK).collect());
    }

    fn add_masked(&mut self, what: &str, secret: Vec<u8>) {
        self.0.push((what.to_owned(), secret));
    }

    /// What of it is in the memory of this process.
    pub(crate) fn found(&self) -> Vec<String> {
        let memory = File::open("/proc/self/mem").unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let mut window = vec![0; 1 << 20];
        let mut found = Vec::new();
        for line in maps.lines() {
            let (range, rest) = line.split_once(' ').unwrap();
            // Only what this process may have written; pages that the kernel shares are left out.
            if !rest.starts_with("rw") || rest.contains("[vvar") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let bounds = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
            // Neighbouring windows share as much as the longest secret is long, or one across a boundary would be
            // missed.
            for at in (bounds[0]..bounds[1]).step_by(window.len() - 128) {
                let length = window.len().min((bounds[1] - at) as usize);
                // A mapping may go away between reading the list and reading it.
                let Ok(read) = memory.read_at(&mut window[..length], at) else {
                    break;
                };
                for (what, masked) in &self.0 {
                    // Compared by the first byte before all others: most places end there.
                    let first = masked[0] ^ MASK;
                    let candidates = window[..read].windows(masked.len()).filter(|bytes| bytes[0] == first);
                    let hits = candidates
                        .filter(|bytes| bytes.iter().zip(masked).all(|(byte, masked)| byte ^ MASK == *masked))
                        .count();
                    if hits > 0 {
                        found.push(format!("{what} in {line}"));
                    }
                }
                // The window itself is memory of this process, and is searched as well.
                window[..read].fill(0);
            }
        }
        found
    }
}

/// Protects and reveals a file, and adds to `wanted` every secret there was: data key, subkeys, a key for direct use.
pub(crate) async fn work(
    folder: &Path,
    registry: &KmsRegistry,
    kms: &dyn KmsClient,
    wanted: &mut Wanted,
) -> Result<()> {
    let path = folder.join("keyring.json");
    let mut keyring = Keyring::open(&path, registry).await?;
    keyring
        .create_key(&"exchange".parse()?, "direct-ff1-256".parse::<KeyUse>()?, None)
        .await?;
    let direct = keyring.handle(&"exchange".parse()?, Direction::Encrypt).await?;
    wanted.add("the key for direct use", direct.direct_key(DirectMode::Ff1)?.expose());
    let document: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let key = keyring.describe(&"pii".parse()?)?;
    let wrapped = document["content"]["keys"][0]["versions"][0]["wrapped"]
        .as_str()
        .unwrap();
    let context = WrapContext {
        keyring: keyring.id(),
        data_key: key.id,
        version: key.versions[0].id,
        key_use: "derive".to_owned(),
    };
    let wrapped = base64(wrapped);
    wanted.add(
        "the data key",
        kms.unwrap(&key.kms_key, &wrapped, &context).await?.expose(),
    );
    drop(keyring);

    let engine = Engine::open(&folder.join("policy.toml"), registry).await?;
    for rule in ["card", "ssn", "id"] {
        let transform = engine.resolve(&rule.parse()?, Direction::Encrypt).await?;
        let subkey = transform
            .key()
            .subkey(Purpose::Ff1, rule, &transform.fingerprint(), 32)?;
        wanted.add(&format!("the subkey of {rule}"), subkey.expose());
    }
    // A whole job, since secrets are copied where work is done: into caches, tasks and threads.
    let (source, safe, back) = (
        folder.join("people.parquet"),
        folder.join("safe.parquet"),
        folder.join("back.parquet"),
    );
    let never = AtomicBool::new(false);
    let protect = Job::protect(&engine, &source, None).await?;
    protect.run(&safe, false, &never, &mut |_| ()).await?;
    let reveal = Job::reveal(&engine, &safe, None, RevealOptions::default()).await?;
    reveal.run(&back, false, &never, &mut |_| ()).await?;
    Ok(())
}

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// On a thread of its own, whose stack goes with it.
pub(crate) fn run(job: impl Future<Output = Wanted> + Send + 'static) -> Wanted {
    // Stacks are not wiped; the thread's goes with it.
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(job)
    })
    .join()
    .unwrap()
}

#[test]
fn the_search_finds_what_is_there() {
    let secret = Secret::new((0..32u8).map(|byte| byte.wrapping_mul(37) ^ 0xC3).collect::<Vec<u8>>());
    // Found while it is there, and gone when it is dropped: both halves of the search are tested.
    let mut wanted = Wanted::default();
    wanted.add("a secret", secret.expose());
    assert!(!wanted.found().is_empty());
    drop(secret);
    assert_eq!(wanted.found(), Vec::<String>::new());
}

#[test]
fn the_local_kms_leaves_nothing() {
    let wanted = run(async {
        let sandbox = Sandbox::empty();
        let mut wanted = Wanted::default();
        // Not in the program's text: its parts are.
        let passphrase = Secret::new(["correct horse", " battery ", "staple"].concat());
        wanted.add("the passphrase", passphrase.expose().as_bytes());
        let local = || LocalKms::open(sandbox.path("kms.json"), Unlock::Passphrase(passphrase.clone()));
        let main: KmsKeyRef = "local:main".parse().unwrap();
        LocalKms::create(
            &sandbox.path("kms.json"),
            &Unlock::Passphrase(passphrase.clone()),
            &"main".parse().unwrap(),
        )
        .unwrap();
        let registry = KmsRegistry::new().with("local", local());
        prepare(&sandbox, &main, &registry).await;
        work(sandbox.folder.path(), &registry, &local(), &mut wanted)
            .await
            .unwrap();
        // And what unlocks it from then on, stretched in the other way.
        let second = Secret::new(["staple", " horse ", "battery"].concat());
        wanted.add("the second passphrase", second.expose().as_bytes());
        local()
            .change_unlock(&Unlock::Passphrase(second.clone()), PassphraseKdf::Pbkdf2)
            .unwrap();
        let again = LocalKms::open(sandbox.path("kms.json"), Unlock::Passphrase(second));
        let registry = KmsRegistry::new().with("local", again);
        Keyring::open(sandbox.path("keyring.json"), &registry).await.unwrap();
        wanted
    });
    assert_eq!(wanted.found(), Vec::<String>::new());
}

#[test]
fn the_memory_kms_leaves_nothing() {
    let wanted = run(async {
        let sandbox = Sandbox::empty();
        let mut wanted = Wanted::default();
        let kms = MemoryKms::new().with_key("main");
        let registry = KmsRegistry::new().with("memory", kms.clone());
        prepare(&sandbox, &"memory:main".parse().unwrap(), &registry).await;
        work(sandbox.folder.path(), &registry, &kms, &mut wanted).await.unwrap();
        wanted
    });
    assert_eq!(wanted.found(), Vec::<String>::new());
}

/// Material from elsewhere, and a key on its way to a partner: neither the private exponent is left, nor what it
/// opened.
#[test]
fn import_and_exchange_leave_nothing() {
    let wanted = run(async {
        let sandbox = Sandbox::empty();
        let mut wanted = Wanted::default();
        LocalKms::create_key_file(&sandbox.path("unlock.key")).unwrap();
        let unlock = || Unlock::KeyFile(sandbox.path("unlock.key"));
        LocalKms::create(&sandbox.path("kms.json"), &unlock(), &"main".parse().unwrap()).unwrap();
        let local = LocalKms::open(sandbox.path("kms.json"), unlock());
        let reason = "a test".parse().unwrap();

        // The material is made and wrapped by other processes, and read masked.
        let ours: KmsKeyRef = "local:ours".parse().unwrap();
        local
            .create_kms_key(&ours, NewKmsKey::new(KmsKeySpec::SymmetricDefault).external())
            .unwrap();
        let parameters = local.parameters_for_import(&ours).unwrap();
        fs::write(sandbox.path("wrapping.der"), parameters.public_key).unwrap();
        sandbox.openssl("rand -out material.bin 32");
        sandbox.openssl(
            "pkeyutl -encrypt -pubin -keyform DER -inkey wrapping.der -in material.bin -out wrapped.bin -pkeyopt rsa_padding_mode:oaep \
             -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256",
        );
        wanted.add_masked("the imported material", masked(&sandbox.path("material.bin")));
        let wrapped = fs::read(sandbox.path("wrapped.bin")).unwrap();
        local
            .import_material(&ours, &wrapped, &parameters.token, None, &reason)
            .unwrap();
        // And a partner whose private key is a file.
        // The key is made elsewhere, so that this process reads it only as a file.
        sandbox.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out private.pem");
        sandbox.openssl("rsa -in private.pem -pubout -out public.pem");
        sandbox.openssl("rsa -in private.pem -traditional -outform DER -out private.der");
        let private = masked(&sandbox.path("private.der"));
        // RFC 8017, appendix A.1.2: three integers, then d, behind four or five bytes of tag, length and, before a
        // top bit, zero.
        let (modulus, exponent) = (4 + 3 + 4 + 385, 5);
        let d = modulus + exponent;
        // A zero byte before the number says that it is positive, where the top bit is set.
        let d = d + 4 + usize::from(private[d + 3] == 0x81 ^ MASK);
        // As in DER, and as limbs lie in memory. The middle: a limb at either end may be shared with what is public.
        // Of the primes, the library leaves copies.
        let bytes = &private[d + 32..d + 384 - 32];
        wanted.add_masked("a partner's private exponent", bytes.to_vec());
        wanted.add_masked("its limbs", bytes.iter().rev().copied().collect());
        let registry = KmsRegistry::new().with("local", local);
        prepare(&sandbox, &ours, &registry).await;
        let engine = sandbox.engine().await;
        let transform = engine
            .resolve(&"ssn".parse().unwrap(), Direction::Encrypt)
            .await
            .unwrap();
        let subkey = transform
            .key()
            .subkey(Purpose::Ff1, "ssn", &transform.fingerprint(), 32)
            .unwrap();
        wanted.add("the exchanged subkey", subkey.expose());
        let recipient = fs::read_to_string(sandbox.path("public.pem")).unwrap();
        let recipient = Recipient::from_pem(&recipient).unwrap();
        let package = engine
            .keyring()
            .export(
                transform.key(),
                transform.exchanged_map().unwrap(),
                &recipient,
                None,
                &reason,
            )
            .unwrap();
        let sender = Sender::from(engine.keyring().exchange_public_key().unwrap());
        let pem = Secret::new(fs::read_to_string(sandbox.path("private.pem")).unwrap());
        let identity = Identity::from_pem(&pem).unwrap();
        let mut theirs = Keyring::create(sandbox.path("theirs.json"), &ours, &registry)
            .await
            .unwrap();
        let name = "partner".parse().unwrap();
        theirs
            .import(KeyImport {
                package: &package,
                name: &name,
                identity: &identity,
                sender: &sender,
                kms_key: None,
                reason: &reason,
            })
            .await
            .unwrap();
        theirs.handle(&name.into(), Direction::Encrypt).await.unwrap();
        wanted
    });
    assert_eq!(wanted.found(), Vec::<String>::new());
}

/// The bytes of a file, masked where they were read to.
fn masked(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= MASK);
    bytes
}

pub(crate) async fn prepare(sandbox: &Sandbox, kms_key: &KmsKeyRef, registry: &KmsRegistry) {
    let mut keyring = Keyring::create(sandbox.path("keyring.json"), kms_key, registry)
        .await
        .unwrap();
    keyring
        .create_key(&"pii".parse().unwrap(), KeyUse::Derive, None)
        .await
        .unwrap();
    sandbox.policy(POLICY);
    sandbox.write("people.parquet", &people());
}
