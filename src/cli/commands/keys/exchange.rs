//! `cipherform keys export | import`

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cipher::Direction;
use crate::cli::args::{ListFormat, kms_key, local_key, ours};
use crate::cli::printer::Printer;
use crate::cli::report::Report;
use crate::cli::session::in_local;
use crate::keys::{
    Authorities, ExchangePackage, Identity, KeyImport, KeyInfo, KeyName, KeyState, KeyUse, Keyring, KmsKeyRef, Reason,
    Recipient, Sender, Timestamp,
};
use crate::kms::LocalKms;
use crate::policy::{Policy, Rule, RuleRef, Treatment};
use crate::transform::Engine;
use crate::{Error, ErrorKind, Result, Secret, fs};

/// Wrap the key of one domain to a partner's public key: both can then join on columns protected with it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cipherform keys export --domain customer-key --for partner.pem --reason 'joint campaign' -o customer-key.json
  cipherform keys public-key                                   the partner needs it, by another way, for `keys \
      import --from`

The partner can protect and reveal everything under that domain and format, old files included, and nothing else. A \
    key of use
`direct-ff1-256` has no subkeys, so it leaves as a whole, and only if the policy uses it for that one rule. `--for` \
    takes an
RSA public key in PEM of 3072 bits or more; its owner made it with `kms create NAME --spec rsa-4096` and
`kms public-key NAME`, or so:
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out private.pem
  openssl rsa -in private.pem -pubout -out partner.pem")]
pub(in crate::cli) struct ExportArgs {
    /// The domain: the name of the rule, unless the rule says otherwise
    #[arg(long)]
    pub(super) domain: String,
    /// The partner's public key (RSA, PEM), or its certificate, then those between it and an authority
    #[arg(long = "for", value_name = "FILE")]
    pub(super) recipient: PathBuf,
    /// The certificates of the authorities that may vouch for the partner (PEM), with revocation lists if there are any
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Sign with this KMS key of the local KMS (Ed25519) [default: the keyring's own key, `keys public-key`]
    #[arg(long, value_name = "KMS KEY", value_parser = local_key())]
    pub(super) sign_with: Option<KmsKeyRef>,
    /// Why: it is recorded, and the partner reads it
    #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
    pub(super) reason: Reason,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

/// Take in a partner's key.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  cipherform keys import customer-key.json --name partner --identity private.pem --from \
      3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29 --reason 'joint campaign'

The rule that uses it needs the sender's domain, format and tweak; `keys describe` shows them. After the partner's \
    rotation import the package of the new
version under the same name: it becomes the active version, and the ones before still reveal.")]
pub(in crate::cli) struct ImportArgs {
    /// The file that the partner's `keys export` wrote
    pub(super) file: PathBuf,
    /// The name that it gets here
    #[arg(long, value_parser = ours::<KeyName>)]
    pub(super) name: KeyName,
    /// The private key whose public half the partner was given, in PEM
    #[arg(long, value_name = "FILE", required_unless_present = "recipient")]
    pub(super) identity: Option<PathBuf>,
    /// In place of that file: the KMS key of the local KMS (RSA) whose public half the partner was given
    #[arg(long = "for", value_name = "KMS KEY", value_parser = local_key(), conflicts_with = "identity")]
    pub(super) recipient: Option<KmsKeyRef>,
    /// The partner's public key, 64 hexadecimal digits: `keys public-key` of the partner
    #[arg(long, value_name = "HEX", required_unless_present = "certificate")]
    pub(super) from: Option<String>,
    /// In place of it: the partner's certificate (Ed25519, PEM), then those between it and an authority
    #[arg(
        long = "from-certificate",
        value_name = "FILE",
        conflicts_with = "from",
        requires = "ca"
    )]
    pub(super) certificate: Option<PathBuf>,
    /// The certificates of the authorities that may vouch for the partner (PEM), with revocation lists if there are any
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(super) ca: Option<PathBuf>,
    /// The KMS key that wraps it [default: the one that wraps the keyring's root]
    #[arg(long, value_name = "URI", value_parser = kms_key())]
    pub(super) kms: Option<KmsKeyRef>,
    /// Why: it is recorded
    #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
    pub(super) reason: Reason,
}

pub(super) async fn export(
    policy: Policy,
    keyring: Keyring,
    local: Option<&LocalKms>,
    args: &ExportArgs,
    report: &Report<'_>,
) -> Result<()> {
    let domain = &args.domain;
    // Before anything is unwrapped: a signer that is not there ends it here.
    let signer = args.sign_with.as_ref();
    let signer = signer.map(|key| in_local(local, key)?.signer(key)).transpose()?;
    // With an authority, the certificate has to be valid now; without one, the person has compared the key by
    // other means.
    let recipient = match &args.ca {
        Some(path) => certified(&args.recipient, path, Recipient::from_certificates, report.printer)?,
        None => parsed(&args.recipient, |pem| Recipient::from_pem(pem.expose()))?,
    };
    let exchanged = rule_of(&policy, domain)?;
    // A key that is used directly is one key for all rules.
    // Such a key cannot be split by domain: what leaves is all of it.
    let whole = matches!(keyring.describe(&exchanged.key.name)?.key_use, KeyUse::Direct { .. });
    if whole {
        expect_one_map(&policy, exchanged)?;
    }
    let rule = RuleRef {
        rule: exchanged.name.clone(),
        version: None,
    };
    let engine = Engine::new(policy, keyring);
    // Resolved to protect, so only an active version can be exchanged.
    let transform = engine.resolve(&rule, Direction::Encrypt).await?;
    let map = transform.exchanged_map()?;
    let package = engine
        .keyring()
        .export(transform.key(), map, &recipient, signer.as_ref(), &args.reason)?
        .to_bytes();
    match &args.output {
        // Private although it is encrypted: it names domain and partner.
        Some(path) => fs::create_atomic(path, &package, fs::PRIVATE)?,
        None => {
            let written = report.printer.stdout().write_all(&package);
            written.map_err(|error| Error::io("cannot write to stdout", error))?;
        }
    }
    if let Some(subject) = recipient.subject() {
        report.printer.say(format_args!("The recipient is {subject}."));
    }
    // Said in plain words, since an export cannot be taken back.
    let key = format!("{}@{}", transform.key().name(), transform.key().version());
    report.printer.say(if whole {
        format!(
            "Whoever has the private key has the whole key `{key}` now, which has no subkeys: all that was ever \
             protected with it, under any rule."
        )
    } else {
        format!(
            "Whoever has the private key can now protect and reveal what is under domain `{domain}`, key `{key}`: old \
             files included, and nothing else."
        )
    });
    match (report.format, &args.output) {
        // Without --output, stdout has the package, and nothing else may go there.
        (ListFormat::Json, Some(path)) => report.json(&serde_json::json!({
            "package": path, "domain": domain, "recipient": recipient.fingerprint(), "subject": recipient.subject(),
        })),
        _ => Ok(()),
    }
}

/// Finds the rule of a domain. Several may share it only if they are one map.
fn rule_of<'a>(policy: &'a Policy, domain: &str) -> Result<&'a Rule> {
    let rules: Vec<&Rule> = policy
        .rules()
        // Other treatments have no map that two parties could share.
        .filter(|rule| rule.domain == domain && rule.treatment == Treatment::Encrypt)
        .collect();
    match rules.as_slice() {
        [] => Err(
            Error::bad_policy(format!("no rule that encrypts has the domain `{domain}`"))
                .with_hint("the domain of a rule is its name, unless a line `domain = …` says otherwise"),
        ),
        // Several rules of one map differ in their masks or in what becomes of misfits, not in ciphertext.
        [rule, others @ ..] if others.iter().all(|other| same_map(other, rule)) => Ok(rule),
        _ => {
            let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
            Err(Error::bad_policy(format!(
                "the rules {} share the domain `{domain}`, and differ in format, tweak or key",
                names.join(", ")
            ))
            .with_hint("give the one that is to be exchanged a domain of its own"))
        }
    }
}

// What both sides have to agree on, and the key.
fn same_map(one: &Rule, other: &Rule) -> bool {
    let map = |rule: &Rule| {
        (
            rule.domain.clone(),
            rule.format.definition(),
            rule.tweak.to_string(),
            rule.key.clone(),
        )
    };
    map(one) == map(other)
}

/// Checks that no other rule has the key of `exchanged`, so that its partner gets no more than that one.
fn expect_one_map(policy: &Policy, exchanged: &Rule) -> Result<()> {
    // By key name and not version: the versions of a key serve the same rules.
    let others = (policy.rules()).filter(|rule| rule.key.name == exchanged.key.name && !same_map(rule, exchanged));
    let others: Vec<String> = others.map(|rule| format!("`{}`", rule.name)).collect();
    match others.as_slice() {
        [] => Ok(()),
        others => Err(Error::new(
            ErrorKind::KeyNotUsable,
            format!(
                "key `{}` is used directly, without subkeys, and protects under {}, too: the partner would reveal \
                 those as well",
                exchanged.key.name,
                others.join(", ")
            ),
        )
        .with_hint("give this rule a key of its own, best one of use `derive`: `cipherform keys create NAME`")),
    }
}

pub(super) async fn import(
    keyring: &mut Keyring,
    local: Option<&LocalKms>,
    args: &ImportArgs,
    report: &Report<'_>,
) -> Result<()> {
    // Who must have signed it is decided before the package is read.
    let sender = sender(args, report.printer)?;
    // A private key of the local KMS needs no file of its own.
    let identity = match (&args.identity, &args.recipient) {
        (Some(path), _) => parsed(path, Identity::from_pem)?,
        (None, Some(key)) => in_local(local, key)?.identity(key)?,
        (None, None) => return Err(Error::bad_input("which private key opens it? Pass --for or --identity")),
    };
    let package = ExchangePackage::parse(&fs::read(&args.file)?)
        .map_err(|error| error.context(format_args!("`{}`", args.file.display())))?;
    let import = KeyImport {
        package: &package,
        name: &args.name,
        identity: &identity,
        sender: &sender,
        kms_key: args.kms.as_ref(),
        reason: &args.reason,
    };
    let key = keyring.import(import).await?;
    if let Some(subject) = sender.subject() {
        report.printer.say(format_args!("The sender is {subject}."));
    }
    report.changed(&key, keyring, imported(&key))
}

/// Words the result of an import, which made the last version.
fn imported(key: &KeyInfo) -> String {
    let (name, kms_key) = (&key.name, &key.kms_key);
    let last = key.versions.last().map_or(0, |version| version.number);
    let active = (key.versions.iter()).find(|version| version.state == KeyState::Active);
    // An older package than what is there brings a version that only reveals, or a replay would make old keys
    // active.
    match active {
        _ if last == 1 => format!("Key `{name}` came in, wrapped by `{kms_key}`."),
        Some(active) if active.number == last => {
            format!("Key `{name}` has version {last}: it protects from now on; older versions still reveal.")
        }
        _ => format!(
            "Key `{name}` has version {last}, which is older than what it had: it reveals, and does not protect."
        ),
    }
}

/// Shows the key that signs packages.
pub(super) fn public_key(keyring: &Keyring, pem: bool, report: &Report<'_>) -> Result<()> {
    let key = Sender::from(keyring.exchange_public_key()?);
    match report.format {
        ListFormat::Json => {
            let public_key = hex::encode(key.public_key());
            report.json(&serde_json::json!({ "public_key": public_key, "pem": key.to_pem()? }))
        }
        ListFormat::Table if pem => report.printer.line(key.to_pem()?.trim_end()),
        ListFormat::Table => report.printer.line(hex::encode(key.public_key())),
    }
}

/// The sender that must have signed a package.
fn sender(args: &ImportArgs, printer: &Printer) -> Result<Sender> {
    match (&args.from, &args.certificate, &args.ca) {
        (Some(hex), ..) => Sender::from_hex(hex),
        (None, Some(certificate), Some(authorities)) => {
            certified(certificate, authorities, Sender::from_certificates, printer)
        }
        _ => Err(Error::bad_input(
            "who signed it? Pass --from, or --from-certificate and --ca",
        )),
    }
}

/// Reads the subject of the certificates in one file, if an authority in another vouches for them now.
fn certified<T>(
    certificates: &Path,
    authorities: &Path,
    read: impl FnOnce(&str, &Authorities, Timestamp) -> Result<T>,
    printer: &Printer,
) -> Result<T> {
    let path = authorities;
    let authorities = parsed(path, |pem| Authorities::from_pem(pem.expose()))?;
    // Checked at the present time: a package may be older than its certificate.
    let certified = parsed(certificates, |pem| read(pem.expose(), &authorities, Timestamp::now()))?;
    // Silence would look like a check that was passed.
    if !authorities.has_revocation_lists() {
        printer.say(format_args!(
            "`{}` holds no revocation list: whether a certificate was revoked, was not checked.",
            path.display()
        ));
    }
    Ok(certified)
}

/// Reads and parses a text file, which may be a secret.
fn parsed<T>(path: &Path, parse: impl FnOnce(&Secret<String>) -> Result<T>) -> Result<T> {
    // Wiped when dropped, as it may be a private key. The content is in no message, only the path.
    let text = std::fs::read_to_string(path).map(Secret::new);
    let text = text.map_err(|error| Error::io(format!("cannot read `{}`", path.display()), error))?;
    parse(&text).map_err(|error| error.context(format_args!("`{}`", path.display())))
}
