//! `cipherform keys export | import`

use std::io::Write as _;
use std::path::Path;

use super::Told;
use crate::cli::args::ListFormat;
use crate::cli::printer::Printer;
use crate::keys::{
    Authorities, ExchangePackage, ExchangeSigner, Identity, KeyImport, KeyInfo, KeyName, KeyUse, Keyring, KmsKeyRef,
    Operation, Reason, Recipient, Sender, Timestamp,
};
use crate::policy::{Policy, Rule, RuleRef, Treatment};
use crate::transform::Engine;
use crate::{Error, ErrorKind, Result, Secret, fs};

/// Whose key goes to whom.
pub(super) struct Parcel<'a> {
    pub(super) domain: &'a str,
    pub(super) recipient: &'a Path,
    pub(super) authorities: Option<&'a Path>,
    pub(super) signer: Option<&'a ExchangeSigner>,
    pub(super) reason: &'a Reason,
}

pub(super) async fn export(
    policy: Policy,
    keyring: Keyring,
    Parcel {
        domain,
        recipient,
        authorities,
        signer,
        reason,
    }: Parcel<'_>,
    output: Option<&Path>,
    told: &Told<'_>,
) -> Result<()> {
    let recipient = match authorities {
        Some(path) => certified(recipient, path, Recipient::from_certificates, told.printer)?,
        None => parsed(recipient, |pem| Recipient::from_pem(pem.expose()))?,
    };
    let exchanged = rule_of(&policy, domain)?;
    // A key that is used directly is the same for every rule.
    let whole = matches!(keyring.describe(&exchanged.key.name)?.key_use, KeyUse::Direct { .. });
    if whole {
        expect_one_map(&policy, exchanged)?;
    }
    let rule = RuleRef {
        rule: exchanged.name.clone(),
        version: None,
    };
    let engine = Engine::new(policy, keyring);
    let transform = engine.resolve(&rule, Operation::Protect).await?;
    let package = engine
        .keyring()
        .export(transform.key(), transform.exchanged_map()?, &recipient, signer, reason)?
        .to_bytes();
    match output {
        Some(path) => fs::create_atomic(path, &package, fs::PRIVATE)?,
        None => {
            (told.printer.stdout().write_all(&package)).map_err(|error| Error::io("cannot write to stdout", error))?
        }
    }
    if let Some(subject) = recipient.subject() {
        told.printer.say(format_args!("The recipient is {subject}."));
    }
    let key = format!("{}@{}", transform.key().name(), transform.key().version());
    told.printer.say(match whole {
        true => format!(
            "Whoever has the private key has the whole key `{key}` now, which has no subkeys: all that was ever protected with it, under any rule."
        ),
        false => format!(
            "Whoever has the private key can now protect and reveal what is under domain `{domain}`, key `{key}`: old files included, and nothing else."
        ),
    });
    match (told.format, output) {
        (ListFormat::Json, Some(path)) => told.json(&serde_json::json!({
            "package": path, "domain": domain, "recipient": recipient.fingerprint(), "subject": recipient.subject(),
        })),
        _ => Ok(()),
    }
}

/// The rule of a domain. Several may share it only if they are the same map.
fn rule_of<'a>(policy: &'a Policy, domain: &str) -> Result<&'a Rule> {
    let rules: Vec<&Rule> = policy
        .rules()
        .filter(|rule| rule.domain == domain && rule.treatment == Treatment::Encrypt)
        .collect();
    match rules.as_slice() {
        [] => Err(
            Error::bad_policy(format!("no rule that encrypts has the domain `{domain}`"))
                .with_hint("the domain of a rule is its name, unless a line `domain = …` says otherwise"),
        ),
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

/// Passes if no other rule has the key of `exchanged`, so that its partner gets no more than that one.
fn expect_one_map(policy: &Policy, exchanged: &Rule) -> Result<()> {
    let others = (policy.rules()).filter(|rule| rule.key.name == exchanged.key.name && !same_map(rule, exchanged));
    let others: Vec<String> = others.map(|rule| format!("`{}`", rule.name)).collect();
    match others.as_slice() {
        [] => Ok(()),
        others => Err(Error::new(
            ErrorKind::KeyNotUsable,
            format!(
                "key `{}` is used directly, without subkeys, and protects under {}, too: the partner would reveal those as well",
                exchanged.key.name,
                others.join(", ")
            ),
        )
        .with_hint("give this rule a key of its own, best one of use `derive`: `cipherform keys create NAME`")),
    }
}

pub(super) async fn import(
    keyring: &mut Keyring,
    file: &Path,
    name: &KeyName,
    (identity, sender): (&Identity, &Sender),
    kms_key: Option<&KmsKeyRef>,
    reason: &Reason,
) -> Result<KeyInfo> {
    let package = ExchangePackage::parse(&fs::read(file)?)
        .map_err(|error| error.context(format_args!("`{}`", file.display())))?;
    let import = KeyImport {
        package: &package,
        name,
        identity,
        sender,
        kms_key,
        reason,
    };
    keyring.import(import).await
}

/// A key that signs packages, as JSON.
pub(super) fn public_key(key: &Sender) -> Result<serde_json::Value> {
    Ok(serde_json::json!({ "public_key": hex::encode(key.public_key()), "pem": key.to_pem()? }))
}

/// Who is to have signed it.
pub(super) fn sender(
    hex: Option<&str>,
    certificate: Option<&Path>,
    authorities: Option<&Path>,
    printer: &Printer,
) -> Result<Sender> {
    match (hex, certificate, authorities) {
        (Some(hex), ..) => Sender::from_hex(hex),
        (None, Some(certificate), Some(authorities)) => {
            certified(certificate, authorities, Sender::from_certificates, printer)
        }
        _ => Err(Error::bad_input(
            "who signed it? Pass --from, or --from-certificate and --ca",
        )),
    }
}

/// The private key in a file.
pub(super) fn identity(path: &Path) -> Result<Identity> {
    parsed(path, Identity::from_pem)
}

/// What the certificates in one file say, if an authority in another vouches for them now.
fn certified<T>(
    certificates: &Path,
    authorities: &Path,
    read: impl FnOnce(&str, &Authorities, Timestamp) -> Result<T>,
    printer: &Printer,
) -> Result<T> {
    let path = authorities;
    let authorities = parsed(path, |pem| Authorities::from_pem(pem.expose()))?;
    let certified = parsed(certificates, |pem| read(pem.expose(), &authorities, Timestamp::now()))?;
    if !authorities.has_revocation_lists() {
        printer.say(format_args!(
            "`{}` holds no revocation list: whether a certificate was revoked, was not checked.",
            path.display()
        ));
    }
    Ok(certified)
}

/// What stands in a text file. It may be a secret.
fn parsed<T>(path: &Path, parse: impl FnOnce(&Secret<String>) -> Result<T>) -> Result<T> {
    let text = std::fs::read_to_string(path).map(Secret::new);
    let text = text.map_err(|error| Error::io(format!("cannot read `{}`", path.display()), error))?;
    parse(&text).map_err(|error| error.context(format_args!("`{}`", path.display())))
}
