//! What the command line takes.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::keys::{KeyName, KeyRef, KeyUse, KmsKeyRef, Reason, Timestamp};
use crate::kms::{KmsAction, PassphraseKdf};
use crate::{Error, files};

const EXAMPLES: &str = "\
Examples:
  cipherform init                                  a policy, a keyring and the local KMS
  cipherform protect people.parquet safe.parquet   protect what policy.toml says
  cipherform query -c 'SELECT * FROM safe' safe.parquet
  cipherform reveal safe.parquet back.parquet

Exit codes: 0 done, 1 your input or policy, 2 usage, 3 a key or KMS refused, 4 our failure, 130 interrupted.";

/// Format-preserving encryption for data in use: Parquet files and SQL.
#[derive(Debug, Parser)]
#[command(name = "cipherform", version, after_help = EXAMPLES, max_term_width = 120)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) keys: KeyArgs,
}

/// Reads an argument of one of our types, with our hint if it is wrong.
fn ours<T: FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: Error| match error.hint() {
        Some(hint) => format!("{error}\nhint: {}", super::hints::words(hint)),
        None => error.to_string(),
    })
}

/// As [`ours`], for a reference that may hold a credential by mistake: clap would print it.
#[derive(Clone)]
struct Unprinted<T>(PhantomData<T>);

impl<T: FromStr<Err = Error> + Clone + Send + Sync + 'static> TypedValueParser for Unprinted<T> {
    type Value = T;

    fn parse_ref(&self, command: &clap::Command, _: Option<&clap::Arg>, value: &OsStr) -> Result<T, clap::Error> {
        let text = value.to_str().unwrap_or_default();
        ours::<T>(text).map_err(|message| command.clone().error(clap::error::ErrorKind::ValueValidation, message))
    }
}

fn kms_key() -> Unprinted<KmsKeyRef> {
    Unprinted(PhantomData)
}

fn any_key() -> Unprinted<AnyKey> {
    Unprinted(PhantomData)
}

/// A data key, or a KMS key: the latter has a colon in it.
#[derive(Clone, Debug)]
pub(super) enum AnyKey {
    Data(KeyName),
    Kms(KmsKeyRef),
}

impl FromStr for AnyKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.contains(':') {
            true => text.parse().map(Self::Kms),
            false => text.parse().map(Self::Data),
        }
    }
}

/// Where policy and keys are.
#[derive(Args, Debug)]
pub(super) struct KeyArgs {
    /// The policy
    #[arg(
        long,
        global = true,
        env = "CIPHERFORM_POLICY",
        default_value = "policy.toml",
        value_name = "FILE"
    )]
    pub(super) policy: PathBuf,
    /// The file of the local KMS [default: cipherform/kms.json in your configuration directory]
    #[arg(long, global = true, env = "CIPHERFORM_LOCAL_KMS", value_name = "FILE")]
    pub(super) local_kms: Option<PathBuf>,
    /// Unlock the local KMS with this key file [env: CIPHERFORM_KEY_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// Read the passphrase of the local KMS from the first line of this file; else CIPHERFORM_PASSPHRASE, else a prompt
    #[arg(
        long,
        global = true,
        env = "CIPHERFORM_PASSPHRASE_FILE",
        value_name = "FILE",
        conflicts_with = "key_file"
    )]
    pub(super) passphrase_file: Option<PathBuf>,
    /// Read the passphrase from the first line of this open file descriptor
    #[arg(long, global = true, value_name = "N", conflicts_with_all = ["key_file", "passphrase_file"])]
    pub(super) passphrase_fd: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a policy, a keyring and, if there is none, the local KMS
    Init(InitArgs),
    /// Look after keys: create, rotate, suspend, remove, back up, audit …
    Keys(KeysArgs),
    /// Look after the token stores of the policy
    Tokens(TokensArgs),
    /// Protect a Parquet file as the policy says
    Protect(ProtectArgs),
    /// Reveal a protected Parquet file
    Reveal(RevealArgs),
    /// Protect a protected Parquet file anew, with the current versions of the keys
    Reprotect(ReprotectArgs),
    /// Ask SQL of Parquet files, protected or not
    Query(QueryArgs),
    /// Show which columns of a Parquet file are protected, and how
    Inspect(InspectArgs),
    /// Check the ciphers on this machine against known answers
    Selftest(SelftestArgs),
}

/// Write a policy, a keyring and, if there is none, the local KMS.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cipherform init                         asks for a passphrase
  cipherform init --key-file ~/cf.key     no passphrase: writes a key file, and seals the local KMS under it
  cipherform init secrets --key payroll   into the folder `secrets`, with a first data key `payroll`
  cipherform init --kms vault:https://vault.example:8200/transit/main   no local KMS: the keyring is Vault's to open")]
pub(super) struct InitArgs {
    /// The folder for policy.toml and keyring.json
    #[arg(default_value = ".")]
    pub(super) folder: PathBuf,
    /// The name of the first data key
    #[arg(long, default_value = "pii", value_name = "NAME", value_parser = ours::<KeyName>)]
    pub(super) key: KeyName,
    /// The KMS key that wraps the keyring, in place of the local KMS
    #[arg(long, value_name = "URI", value_parser = kms_key())]
    pub(super) kms: Option<KmsKeyRef>,
    /// How the passphrase of a new local KMS is stretched: pbkdf2 for policies that say approved_only = true
    #[arg(long, value_enum, default_value_t)]
    pub(super) kdf: Kdf,
}

/// Look after keys: data keys, and KMS keys of the local KMS, whose names begin with `local:`.
#[derive(Args, Debug)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    pub(super) command: KeysCommand,
    /// How results are written
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(super) format: ListFormat,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a new data key; or, as local:NAME, a new KMS key in the local KMS
    #[command(after_help = "\
Examples:
  cipherform keys create payroll
  cipherform keys create local:cards --rotate-every 365   a KMS key: `keys create cards --kms local:cards` then uses it
  cipherform keys create local:ours --origin external     a KMS key whose material is imported: `get-parameters-for-import` comes next
  cipherform keys create local:partners --spec rsa-4096   a KMS key that opens what partners export: `keys public-key`, `keys import --for`
  cipherform keys create local:seal --usage sign-verify   a KMS key that signs what we export: `keys export --sign-with`
  cipherform keys create cards --kms aws-kms:alias/cards?region=eu-west-1   made and wrapped by AWS KMS
  cipherform keys create exchange --use direct-ff1-256   an FF1 key itself, to exchange data with other software")]
    Create {
        /// Its name: NAME, or local:NAME
        #[arg(value_parser = any_key())]
        name: AnyKey,
        /// What a data key may do, for ever: derive; direct-ff1-128, -192 or -256; direct-ff3-1-legacy-128, -192 or -256 [default: derive]
        #[arg(long = "use", value_name = "USE", value_parser = ours::<KeyUse>)]
        key_use: Option<KeyUse>,
        /// The KMS key that wraps a data key [default: the one that wraps the keyring's root]
        #[arg(long, value_name = "URI", value_parser = kms_key())]
        kms: Option<KmsKeyRef>,
        /// For a KMS key: give it new material after so many days (90 to 2560) [default: only on demand]
        #[arg(long, value_name = "DAYS", conflicts_with_all = ["key_use", "kms"])]
        rotate_every: Option<u32>,
        /// For a KMS key: what kind of key [default: symmetric-default, or ed25519 to sign]
        #[arg(long, value_enum, conflicts_with_all = ["key_use", "kms"])]
        spec: Option<Spec>,
        /// For a KMS key: its one use [default: what the spec is for]
        #[arg(long, value_enum, conflicts_with_all = ["key_use", "kms"])]
        usage: Option<Usage>,
        /// For a KMS key: where its material comes from [default: local]
        #[arg(long, value_enum, conflicts_with_all = ["key_use", "kms"])]
        origin: Option<Origin>,
    },
    /// List the data keys, and the KMS keys of the local KMS
    List,
    /// Show a data key, its versions, and what its KMS says about the KMS key; or show a KMS key
    Describe {
        /// NAME, or the URI of a KMS key
        #[arg(value_parser = any_key())]
        name: AnyKey,
    },
    /// Wrap the same data keys under another KMS key: no data is touched
    #[command(after_help = "\
Examples:
  cipherform keys rewrap --to vault:https://vault.example:8200/transit/main     everything, the keyring's root included
  cipherform keys rewrap --to aws-kms:alias/cards?region=eu-west-1 cards        only this data key

It does not remedy a KMS key that somebody else has had: rotate the data keys, and protect the data anew.")]
    Rewrap {
        /// The KMS key that wraps from now on
        #[arg(long, value_name = "URI", value_parser = kms_key())]
        to: KmsKeyRef,
        /// The data keys [default: all of them, and the keyring's root]
        #[arg(value_name = "NAME", value_parser = ours::<KeyName>)]
        names: Vec<KeyName>,
    },
    /// Reach each KMS, unwrap each wrapped key, tell what is due
    Doctor,
    /// Make a new version of a data key: it protects from now on, the others still reveal; or give local:NAME new material
    #[command(after_help = "\
Examples:
  cipherform keys rotate pii
  cipherform keys rotate local:main                new material wraps from now on; what the old one wrapped still unwraps
  cipherform keys rotate local:main --every 365    by itself, from now on: with the first change of a key after it is due")]
    Rotate {
        /// NAME, or local:NAME
        #[arg(value_parser = any_key())]
        name: AnyKey,
        /// Of a data key: only make it; `activate` brings it into use
        #[arg(long)]
        prepare: bool,
        /// Of a KMS key: by itself, after so many days (90 to 2560)
        #[arg(long, value_name = "DAYS", conflicts_with_all = ["prepare", "on_demand"])]
        every: Option<u32>,
        /// Of a KMS key: not by itself any more
        #[arg(long, conflicts_with = "prepare")]
        on_demand: bool,
        /// Why: it is recorded (with --prepare, `activate` takes the reason)
        #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>, conflicts_with = "prepare")]
        reason: Option<Reason>,
    },
    /// Switch on a KMS key of the local KMS that is switched off
    Enable(KmsKeyArgs),
    /// Switch off a KMS key of the local KMS: it wraps and unwraps nothing until it is enabled again
    Disable(KmsKeyArgs),
    /// Delete a KMS key of the local KMS after a waiting period, in which it wraps and unwraps nothing
    #[command(after_help = "\
What it wraps is lost with it. After the waiting period the material is erased by the first `cipherform keys …` that changes a key; until then
`cancel-deletion` brings the key back, disabled. Backups of the file still have it, sealed.")]
    ScheduleDeletion {
        #[command(flatten)]
        args: KmsKeyArgs,
        /// How many days to wait, 7 to 30
        #[arg(long, value_name = "DAYS", default_value_t = 30)]
        days: u32,
    },
    /// Take a scheduled deletion back: the KMS key is disabled then
    CancelDeletion(KmsKeyArgs),
    /// Make a public key, and a token that goes with it, to wrap material for a KMS key with origin external
    #[command(after_help = "\
Both are good once, for 24 hours. Example, with material of 32 random bytes:
  cipherform keys get-parameters-for-import local:ours --public-key wrapping.pem --token import.token
  openssl pkeyutl -encrypt -pubin -inkey wrapping.pem -in material.bin -out wrapped.bin \\
    -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256
  cipherform keys import-material local:ours --material wrapped.bin --token import.token --reason 'ceremony of 3 May'")]
    GetParametersForImport {
        /// The KMS key: local:NAME
        #[arg(value_name = "KMS KEY", value_parser = kms_key())]
        key: KmsKeyRef,
        /// Write the public key to this file (RSA, PEM)
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
        /// Write the token to this file
        #[arg(long, value_name = "FILE")]
        token: PathBuf,
    },
    /// Import material into a KMS key with origin external; once it has had some, only the same again
    ImportMaterial {
        /// The KMS key: local:NAME
        #[arg(value_name = "KMS KEY", value_parser = kms_key())]
        key: KmsKeyRef,
        /// The material, wrapped by RSA-OAEP with SHA-256
        #[arg(long, value_name = "FILE")]
        material: PathBuf,
        /// The token that came with the public key
        #[arg(long, value_name = "FILE")]
        token: PathBuf,
        /// Erase it at this time, such as 2027-01-01T00:00:00Z [default: never]
        #[arg(long, value_name = "TIME", value_parser = ours::<Timestamp>)]
        valid_to: Option<Timestamp>,
        /// Why: it is recorded
        #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
        reason: Reason,
    },
    /// Erase imported material at once: the KMS key waits for the same material then
    DeleteMaterial(KmsKeyArgs),
    /// Write keyring, local KMS and policy into one file, sealed as they are
    #[command(after_help = "\
What unlocks the local KMS, its passphrase or key file, is not in it: keep that elsewhere. `keys restore FILE --check` tries a backup out.")]
    Backup {
        /// The file to write; it must not be there yet
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Put keyring and local KMS back from a backup, and the policy if there is none
    #[command(after_help = "\
Files that are newer than the backup, or are of another keyring, are not overwritten. What was protected with key versions that were made since the backup
cannot be revealed with what is restored.")]
    Restore {
        /// What `keys backup` wrote
        file: PathBuf,
        /// Only verify that the backup can be opened and is whole; write nothing
        #[arg(long)]
        check: bool,
    },
    /// Look after who may do what with KMS keys of the local KMS: guardrails, while users open the file themselves
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Change what unlocks the local KMS: another passphrase, a key file, a key of another KMS, the OS's keyring
    #[command(after_help = "\
Examples:
  cipherform keys passphrase                                   asks for a new passphrase
  cipherform keys passphrase --kdf pbkdf2                      the same, stretched as NIST has approved (approved_only = true)
  cipherform keys passphrase --new-key-file ~/cf.key           no passphrase any more; the file is made if it is not there
  cipherform keys passphrase --kms 'pkcs11:token=hsm;object=kek?module-path=/usr/lib/softhsm/libsofthsm2.so'

Everything is sealed anew. Copies of the file are still opened by what opened it before: destroy them.")]
    Passphrase {
        /// Read the new passphrase from the first line of this file
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
        /// This key file from now on
        #[arg(long, value_name = "FILE", conflicts_with = "new_passphrase_file")]
        new_key_file: Option<PathBuf>,
        /// A key of another KMS: it wraps a random unlock key, and is asked whenever the local KMS is opened
        #[arg(long, value_name = "URI", value_parser = kms_key(), conflicts_with_all = ["new_passphrase_file", "new_key_file"])]
        kms: Option<KmsKeyRef>,
        /// The keyring of the operating system keeps a random unlock key (Secret Service, Keychain, Credential Manager)
        #[arg(long, conflicts_with_all = ["new_passphrase_file", "new_key_file", "kms"])]
        os_keyring: bool,
        /// How a passphrase is stretched [default: argon2id, or pbkdf2 where the policy says approved_only = true]
        #[arg(long, value_enum, conflicts_with_all = ["new_key_file", "kms", "os_keyring"])]
        kdf: Option<Kdf>,
        /// Why: it is recorded
        #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
        reason: Option<Reason>,
    },
    /// Look after other names for KMS keys of the local KMS: local:alias/NAME
    Alias {
        #[command(subcommand)]
        command: AliasCommand,
    },
    /// Bring a prepared version into use, in place of the active one: the newest, unless the key names one
    Activate(LifeArgs),
    /// Pause the active version: it still reveals, but protects nothing
    Suspend(LifeArgs),
    /// Bring a suspended version back into use
    Resume(LifeArgs),
    /// Retire a version: it still reveals, but will never protect again
    Deactivate(LifeArgs),
    /// Record that others know a version, or may: it never protects again, and revealing warns
    Compromise(LifeArgs),
    /// Take a version's key out of the keyring: what it protected cannot be revealed any more
    #[command(after_help = "\
The version is `removed` then: a backup of the keyring and its KMS key together still have it. Run it again when that KMS key is
deleted, and the version is `destroyed`.")]
    #[command(mut_arg("key", |key| key.value_name("KEY@VERSION").help("The key and its version: NAME@VERSION")))]
    Remove(LifeArgs),
    /// Show or set how long versions of a key may be used (SP 800-57 Part 1, section 5.3)
    Periods {
        /// Its name
        #[arg(value_parser = ours::<KeyName>)]
        name: KeyName,
        /// For how many days a version protects, from its activation on: the originator-usage period
        #[arg(long, value_name = "DAYS", requires = "reason")]
        protect: Option<u32>,
        /// For how many days it reveals: the recipient-usage period
        #[arg(long, value_name = "DAYS", requires = "reason")]
        reveal: Option<u32>,
        /// Why
        #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
        reason: Option<Reason>,
    },
    /// Show or set how many values may be protected with one version of a key; the audit log counts them
    Limit {
        /// Its name
        #[arg(value_parser = ours::<KeyName>)]
        name: KeyName,
        /// So many values
        #[arg(long, requires = "reason", conflicts_with = "none")]
        values: Option<u64>,
        /// No limit
        #[arg(long, requires = "reason")]
        none: bool,
        /// Why
        #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
        reason: Option<Reason>,
    },
    /// Wrap the key of one domain to a partner's public key: both can then join on columns protected with it
    #[command(after_help = "\
Examples:
  cipherform keys export --domain customer-key --for partner.pem --reason 'joint campaign' -o customer-key.json
  cipherform keys public-key                                   the partner needs it, by another way, for `keys import --from`

The partner can protect and reveal everything under that domain and format, old files included, and nothing else. A key of use
`direct-ff1-256` has no subkeys, so it leaves as a whole, and only if the policy uses it for that one rule. `--for` takes an RSA public key in PEM of 3072 bits or more; its owner made it with `keys create local:NAME --spec rsa-4096` and `keys public-key local:NAME`, or so:
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out private.pem
  openssl rsa -in private.pem -pubout -out partner.pem")]
    Export {
        /// The domain: the name of the rule, unless the rule says otherwise
        #[arg(long)]
        domain: String,
        /// The partner's public key (RSA, PEM), or its certificate, then those between it and an authority
        #[arg(long = "for", value_name = "FILE")]
        recipient: PathBuf,
        /// The certificates of the authorities that may vouch for the partner (PEM), with revocation lists if there are any
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        /// Sign with this KMS key of the local KMS (Ed25519) [default: the keyring's own key, `keys public-key`]
        #[arg(long, value_name = "KMS KEY", value_parser = kms_key())]
        sign_with: Option<KmsKeyRef>,
        /// Why: it is recorded, and the partner reads it
        #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
        reason: Reason,
        /// Write to this file instead of stdout
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Take in a partner's key
    #[command(after_help = "\
Example:
  cipherform keys import customer-key.json --name partner --identity private.pem --from 3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29 --reason 'joint campaign'

The rule that uses it needs the sender's domain, format and tweak; `keys describe` shows them. After the partner's rotation import the package of the new
version under the same name: it becomes the active version, and the ones before still reveal.")]
    Import {
        /// What the partner's `keys export` wrote
        file: PathBuf,
        /// What to call it here
        #[arg(long, value_parser = ours::<KeyName>)]
        name: KeyName,
        /// The private key whose public half the partner was given, in PEM
        #[arg(long, value_name = "FILE", required_unless_present = "recipient")]
        identity: Option<PathBuf>,
        /// In place of that file: the KMS key of the local KMS (RSA) whose public half the partner was given
        #[arg(long = "for", value_name = "KMS KEY", value_parser = kms_key(), conflicts_with = "identity")]
        recipient: Option<KmsKeyRef>,
        /// The partner's public key, 64 hexadecimal digits: `keys public-key` of the partner
        #[arg(long, value_name = "HEX", required_unless_present = "certificate")]
        from: Option<String>,
        /// In place of it: the partner's certificate (Ed25519, PEM), then those between it and an authority
        #[arg(
            long = "from-certificate",
            value_name = "FILE",
            conflicts_with = "from",
            requires = "ca"
        )]
        certificate: Option<PathBuf>,
        /// The certificates of the authorities that may vouch for the partner (PEM), with revocation lists if there are any
        #[arg(long, value_name = "FILE", requires = "certificate")]
        ca: Option<PathBuf>,
        /// The KMS key that wraps it [default: the one that wraps the keyring's root]
        #[arg(long, value_name = "URI", value_parser = kms_key())]
        kms: Option<KmsKeyRef>,
        /// Why: it is recorded
        #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
        reason: Reason,
    },
    /// Show the public key that keys for partners are signed with (Ed25519), or that of an asymmetric KMS key of the local KMS
    PublicKey {
        /// The KMS key: local:NAME. RSA is shown in PEM, Ed25519 as 64 hexadecimal digits
        #[arg(value_name = "KMS KEY", value_parser = kms_key())]
        key: Option<KmsKeyRef>,
        /// Show Ed25519 in PEM, too: what a certificate authority takes
        #[arg(long)]
        pem: bool,
    },
    /// Show and verify who used which key: needs a line like audit = "audit.jsonl" in the policy
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
}

/// A change in the life of a key version.
#[derive(Args, Debug)]
pub(super) struct LifeArgs {
    /// The key, and which version if not the current one: NAME or NAME@VERSION
    #[arg(value_name = "KEY", value_parser = ours::<KeyRef>)]
    pub(super) key: KeyRef,
    #[command(flatten)]
    pub(super) meant: Meant,
}

/// How a passphrase is stretched.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(super) enum Kdf {
    /// Argon2id (RFC 9106)
    #[default]
    Argon2id,
    /// PBKDF2 with HMAC-SHA-256 (SP 800-132)
    Pbkdf2,
}

impl From<Kdf> for PassphraseKdf {
    fn from(kdf: Kdf) -> Self {
        match kdf {
            Kdf::Argon2id => Self::Argon2id,
            Kdf::Pbkdf2 => Self::Pbkdf2,
        }
    }
}

/// The kinds of KMS keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Spec {
    /// AES-256-GCM: wraps data keys
    SymmetricDefault,
    /// RSA-OAEP: opens keys from partners
    #[value(name = "rsa-3072")]
    Rsa3072,
    /// The same, longer
    #[value(name = "rsa-4096")]
    Rsa4096,
    /// Signs keys for partners
    Ed25519,
}

/// What KMS keys are for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Usage {
    EncryptDecrypt,
    SignVerify,
}

/// Where the material of KMS keys comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Origin {
    /// It is made here
    Local,
    /// It is imported
    External,
}

/// A change of a KMS key of the local KMS.
#[derive(Args, Debug)]
pub(super) struct KmsKeyArgs {
    /// The KMS key: local:NAME, local:alias/NAME, local:/path/kms.json#NAME
    #[arg(value_name = "KMS KEY", value_parser = kms_key())]
    pub(super) key: KmsKeyRef,
    #[command(flatten)]
    pub(super) meant: Meant,
}

/// That something is meant, and why.
#[derive(Args, Debug)]
pub(super) struct Meant {
    /// Why: it is recorded [default: a prompt]
    #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
    pub(super) reason: Option<Reason>,
    /// Do not ask whether that is meant
    #[arg(long, short)]
    pub(super) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Show the policy of a KMS key, or that of an identity
    Get {
        #[command(flatten)]
        target: PolicyTarget,
    },
    /// Put another policy in its place
    #[command(after_help = "\
Examples:
  cipherform keys policy put local:main --file main.json --reason 'only the jobs reveal'
  cipherform keys policy put --identity ann@laptop --file ann.json --reason 'on leave'

main.json:
  { \"Version\": \"2012-10-17\", \"Statement\": [
    { \"Sid\": \"admin\", \"Effect\": \"Allow\", \"Principal\": { \"User\": \"ann@laptop\" }, \"Action\": \"kms:*\", \"Resource\": \"*\" },
    { \"Sid\": \"jobs\", \"Effect\": \"Allow\", \"Principal\": { \"User\": \"etl@*\" }, \"Action\": \"kms:Decrypt\", \"Resource\": \"*\" } ] }

Principals are \"*\", { \"User\": … }, and \"identity-policies\", which leaves the decision to the policy of the identity. The policy of an identity
names no principal; one without statements takes it away.")]
    Put {
        #[command(flatten)]
        target: PolicyTarget,
        /// The policy, JSON
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// Put it even if it does not allow you to put another one
        #[arg(long, conflicts_with = "identity")]
        bypass_lockout_check: bool,
        /// Why: it is recorded
        #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
        reason: Reason,
    },
    /// Show whether the policies would allow a request; nothing is done
    #[command(after_help = "\
Example:
  cipherform keys policy simulate local:main --principal etl@batch-7 --action kms:Decrypt --context use=derive")]
    Simulate {
        /// The KMS key: local:NAME
        #[arg(value_name = "KMS KEY", value_parser = kms_key())]
        key: KmsKeyRef,
        /// Who, user@host [default: you]
        #[arg(long, value_name = "WHO")]
        principal: Option<String>,
        /// What, as kms:Decrypt
        #[arg(long, value_parser = ours::<KmsAction>)]
        action: KmsAction,
        /// What the wrapped bytes are bound to: keyring, data-key, version (ids), or use
        #[arg(long, value_name = "FIELD=VALUE", value_parser = context_field)]
        context: Vec<(String, String)>,
    },
}

/// Whose policy.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct PolicyTarget {
    /// The KMS key: local:NAME
    #[arg(value_name = "KMS KEY", value_parser = kms_key())]
    pub(super) key: Option<KmsKeyRef>,
    /// The identity, user@host
    #[arg(long, value_name = "WHO")]
    pub(super) identity: Option<String>,
}

fn context_field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, value)) if ["keyring", "data-key", "version", "use"].contains(&field) => {
            Ok((field.to_owned(), value.to_owned()))
        }
        _ => Err("write FIELD=VALUE, where FIELD is keyring, data-key, version or use".to_owned()),
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum AliasCommand {
    /// List them
    List,
    /// Make a new one
    Create {
        /// Its name: `local:alias/NAME` means the key from then on
        #[arg(value_parser = ours::<KeyName>)]
        name: KeyName,
        /// The KMS key
        #[arg(long, value_name = "KMS KEY", value_parser = kms_key())]
        to: KmsKeyRef,
    },
    /// Move one to another key: that wraps from now on; what the former one wrapped still unwraps
    Update {
        /// Its name
        #[arg(value_parser = ours::<KeyName>)]
        name: KeyName,
        /// The KMS key
        #[arg(long, value_name = "KMS KEY", value_parser = kms_key())]
        to: KmsKeyRef,
    },
    /// Take one away: what stands under it in a keyring is not found any more
    Delete {
        /// Its name
        #[arg(value_parser = ours::<KeyName>)]
        name: KeyName,
        #[command(flatten)]
        meant: Meant,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Show the entries, after verifying them
    Show {
        /// Only the last so many
        #[arg(long, value_name = "N")]
        last: Option<usize>,
    },
    /// Verify that no entry was changed, taken out or put in
    #[command(after_help = "\
Examples:
  cipherform keys audit verify
  cipherform keys audit verify --checkpoint checkpoint.json    also that the end was not cut off since, and the keyring is no older copy")]
    Verify {
        /// What `checkpoint` wrote then
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
    },
    /// Write out how far the log is, signed: keep it where the users of the keyring cannot write
    Checkpoint,
}

/// Look after the token stores of the policy.
#[derive(Args, Debug)]
pub(super) struct TokensArgs {
    #[command(subcommand)]
    pub(super) command: TokensCommand,
    /// How results are written
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(super) format: ListFormat,
}

/// How lists are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(super) enum ListFormat {
    /// For people
    #[default]
    Table,
    /// One object a line
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokensCommand {
    /// Count the tokens of each rule: those in use, forgotten and expired, and how full the fullest token space is
    Stats,
    /// Write out the rows of a rule, sealed as they are: no value is revealed
    Export {
        /// The rule
        rule: String,
    },
    /// Forget what has expired, of one rule or of all
    Expire {
        /// The rule
        rule: Option<String>,
    },
    /// Forget values for ever: their tokens stay taken, and can never be revealed again
    #[command(after_help = "\
Examples:
  cipherform tokens delete account tok_3kTMd1Rz0QKvN5LxwY8CbA
  cipherform tokens delete ssn --values forget.txt     one value a line; `-` reads stdin, so that no value is in a shell's history")]
    Delete {
        /// The rule
        rule: String,
        /// The tokens
        #[arg(required_unless_present = "values")]
        tokens: Vec<String>,
        /// Forget the values in this file, one a line, instead
        #[arg(long, value_name = "FILE", conflicts_with = "tokens")]
        values: Option<PathBuf>,
    },
    /// Find values by the active key version from now on; nothing is minted meanwhile
    Reindex {
        /// The rule
        rule: String,
    },
    /// Seal with the active key version what an older one has sealed; tokens stay, and others may go on working
    Reseal {
        /// The rule; else all
        rule: Option<String>,
    },
}

/// Protect a Parquet file as the policy says.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cipherform protect customer.parquet out/customer.parquet
  cipherform protect part-0001.parquet safe.parquet --table customer")]
pub(super) struct ProtectArgs {
    #[command(flatten)]
    pub(super) job: JobArgs,
    #[command(flatten)]
    pub(super) table: TableArgs,
}

/// Reveal a protected Parquet file.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cipherform reveal out/customer.parquet customer.parquet
  cipherform reveal stripped.parquet plain.parquet --table customer --key-version 1")]
pub(super) struct RevealArgs {
    #[command(flatten)]
    pub(super) job: JobArgs,
    #[command(flatten)]
    pub(super) table: TableArgs,
    /// For files whose metadata was lost: take the rules from the policy's [columns], and this version of their keys
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) key_version: Option<u32>,
}

/// Protect a protected Parquet file anew, with the current versions of the keys.
///
/// Each batch is revealed and protected again in memory; no plaintext is written.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cipherform keys rotate pii && cipherform reprotect safe.parquet safe-2.parquet
  cipherform reprotect safe.parquet safe-2.parquet --rule card=card-2026    to another rule, for one column

Columns of the old and the new file do not join as they are stored. Hashes, masks and tokens stay as they are; tokens have
`cipherform tokens reseal`.")]
pub(super) struct ReprotectArgs {
    #[command(flatten)]
    pub(super) job: JobArgs,
    /// Protect this column under another rule
    #[arg(long = "rule", value_name = "COLUMN=RULE", value_parser = column_rule)]
    pub(super) rules: Vec<(String, String)>,
}

fn column_rule(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((column, rule)) if !column.is_empty() && !rule.is_empty() => Ok((column.to_owned(), rule.to_owned())),
        _ => Err("write COLUMN=RULE".to_owned()),
    }
}

/// The table of a job that goes by the policy's `[columns]`.
#[derive(Args, Debug)]
pub(super) struct TableArgs {
    /// The table that the policy's `table.column` lines mean [default: the name of the source file]
    #[arg(long, value_name = "NAME")]
    pub(super) table: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct JobArgs {
    /// The Parquet file to read
    pub(super) source: PathBuf,
    /// The Parquet file to write
    pub(super) target: PathBuf,
    /// Replace the target if it is there
    #[arg(long)]
    pub(super) force: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// Ask SQL of Parquet files, protected or not.
#[derive(Args, Debug)]
#[command(after_help = "\
Each file is a table named by its stem; SQL wants a name with capitals in double quotes. A protected file opens revealed, with
the key version its footer names.

Examples:
  cipherform query -c 'SELECT count(*) FROM people' people.parquet
  cipherform query people.parquet                                  a prompt
  cipherform query --stored -c 'SELECT * FROM safe LIMIT 5' safe.parquet
  cipherform query -c 'SELECT * FROM safe' --format csv safe.parquet > plain.csv
  cipherform query -c 'SELECT * FROM safe' -o plain.parquet safe.parquet        written as its name says")]
pub(super) struct QueryArgs {
    /// The Parquet files, each a table named by its stem; NAME=FILE gives it another name
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<TableFile>,
    /// The query; without it, statements are read from a prompt or from stdin
    #[arg(short = 'c', long, value_name = "SQL")]
    pub(super) command: Option<String>,
    /// How results are written: as the ending of --output says, or else as a table
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write the results to this file instead of stdout
    #[arg(short, long, value_name = "FILE", requires = "command")]
    pub(super) output: Option<PathBuf>,
    /// Replace that file if it is there
    #[arg(long, requires = "output")]
    pub(super) force: bool,
    /// Look at protected columns as they are stored; needs no policy and no key
    #[arg(long)]
    pub(super) stored: bool,
    /// See what this role of the policy may see
    #[arg(long, value_name = "NAME", conflicts_with = "stored")]
    pub(super) role: Option<String>,
}

impl QueryArgs {
    pub(super) fn format(&self) -> Format {
        let ending = || self.output.as_ref()?.extension()?.to_str();
        self.format
            .or_else(|| Format::from_str(ending()?, true).ok())
            .unwrap_or(Format::Table)
    }
}

/// A file and the table it is.
#[derive(Clone, Debug)]
pub(super) struct TableFile {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

impl FromStr for TableFile {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !Path::new(text).exists() => Self {
                name: name.to_owned(),
                path: path.into(),
            },
            _ => Self {
                name: files::table_name(Path::new(text)),
                path: text.into(),
            },
        })
    }
}

/// How results are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Format {
    /// A table for people
    Table,
    /// With a header
    Csv,
    /// One object a line
    Json,
    /// A Parquet file
    Parquet,
}

/// Show which columns of a Parquet file are protected, and how.
#[derive(Args, Debug)]
pub(super) struct InspectArgs {
    /// The Parquet file
    pub(super) file: PathBuf,
}

/// Check the ciphers on this machine against known answers.
#[derive(Args, Debug)]
pub(super) struct SelftestArgs {
    /// A folder of vector files of schema fpe-vectors/1, to be checked too
    pub(super) folder: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
