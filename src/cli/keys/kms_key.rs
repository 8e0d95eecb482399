//! `cipherform keys create | describe | rotate | enable | disable | schedule-deletion | cancel-deletion | get-parameters-for-import | import-material |
//! delete-material | public-key | alias`, of KMS keys.

use std::path::PathBuf;

use rsa::pkcs8::LineEnding;
use rsa::pkcs8::der::pem;
use serde_json::json;

use super::ledger::{Due, Ledger, entry};
use super::life::ask;
use super::{Told, show};
use crate::cli::args::{
    AliasCommand, AnyKey, KeyArgs, KeysCommand, KmsKeyArgs, ListFormat, Meant, Origin, Spec, Usage,
};
use crate::cli::session;
use crate::keys::{AuditEntry, AuditEvent, KeyName, Keyring, KmsKeyRef, Reason, Sender, Timestamp};
use crate::kms::{KmsKeyOrigin, KmsKeySpec, KmsKeyUsage, LocalKeyInfo, LocalKms, NewKmsKey};
use crate::policy::Policy;
use crate::{Error, Result, fs};

/// What is to be done with a KMS key.
pub(super) enum Verb {
    Create(KmsKeyRef, Result<NewKmsKey>),
    Describe(KmsKeyRef),
    Rotate(KmsKeyRef, Option<Reason>),
    RotateEvery(KmsKeyRef, Option<u32>, Option<Reason>),
    Enable(KmsKeyArgs),
    Disable(KmsKeyArgs),
    ScheduleDeletion(KmsKeyArgs, u32),
    CancelDeletion(KmsKeyArgs),
    ParametersForImport(KmsKeyRef, PathBuf, PathBuf),
    ImportMaterial(KmsKeyRef, Import),
    DeleteMaterial(KmsKeyArgs),
    PublicKey(KmsKeyRef, bool),
    ListAliases,
    CreateAlias(KeyName, KmsKeyRef),
    UpdateAlias(KeyName, KmsKeyRef),
    DeleteAlias(KeyName, Meant),
}

/// Material on its way in.
pub(super) struct Import {
    material: PathBuf,
    token: PathBuf,
    valid_to: Option<Timestamp>,
    reason: Reason,
}

impl Verb {
    /// The command, if it is about a KMS key; else the command comes back.
    pub(super) fn of(command: KeysCommand) -> Result<Self, Box<KeysCommand>> {
        Ok(match command {
            KeysCommand::Create {
                name: AnyKey::Kms(key),
                key_use: None,
                kms: None,
                rotate_every,
                spec,
                usage,
                origin,
            } => Self::Create(key, new_key(spec, usage, origin, rotate_every)),
            KeysCommand::Describe { name: AnyKey::Kms(key) } => Self::Describe(key),
            KeysCommand::Rotate {
                name: AnyKey::Kms(key),
                prepare: false,
                every: None,
                on_demand: false,
                reason,
            } => Self::Rotate(key, reason),
            KeysCommand::Rotate {
                name: AnyKey::Kms(key),
                prepare: false,
                every,
                reason,
                ..
            } => Self::RotateEvery(key, every, reason),
            KeysCommand::Enable(args) => Self::Enable(args),
            KeysCommand::Disable(args) => Self::Disable(args),
            KeysCommand::ScheduleDeletion { args, days } => Self::ScheduleDeletion(args, days),
            KeysCommand::CancelDeletion(args) => Self::CancelDeletion(args),
            KeysCommand::GetParametersForImport { key, public_key, token } => {
                Self::ParametersForImport(key, public_key, token)
            }
            KeysCommand::ImportMaterial {
                key,
                material,
                token,
                valid_to,
                reason,
            } => Self::ImportMaterial(
                key,
                Import {
                    material,
                    token,
                    valid_to,
                    reason,
                },
            ),
            KeysCommand::DeleteMaterial(args) => Self::DeleteMaterial(args),
            KeysCommand::PublicKey { key: Some(key), pem } => Self::PublicKey(key, pem),
            KeysCommand::Alias { command } => match command {
                AliasCommand::List => Self::ListAliases,
                AliasCommand::Create { name, to } => Self::CreateAlias(name, to),
                AliasCommand::Update { name, to } => Self::UpdateAlias(name, to),
                AliasCommand::Delete { name, meant } => Self::DeleteAlias(name, meant),
            },
            other => return Err(Box::new(other)),
        })
    }

    /// The KMS key.
    fn key(&self) -> Option<&KmsKeyRef> {
        match self {
            Self::Create(key, _)
            | Self::Describe(key)
            | Self::Rotate(key, _)
            | Self::RotateEvery(key, ..)
            | Self::ParametersForImport(key, ..)
            | Self::ImportMaterial(key, _)
            | Self::PublicKey(key, _)
            | Self::CreateAlias(_, key)
            | Self::UpdateAlias(_, key) => Some(key),
            Self::Enable(args)
            | Self::Disable(args)
            | Self::ScheduleDeletion(args, _)
            | Self::CancelDeletion(args)
            | Self::DeleteMaterial(args) => Some(&args.key),
            Self::ListAliases | Self::DeleteAlias(..) => None,
        }
    }
}

pub(super) async fn run(verb: Verb, keys: &KeyArgs, policy: &Policy, told: &Told<'_>) -> Result<()> {
    if let Some(key) = verb.key().filter(|key| key.scheme() != "local") {
        return match verb {
            Verb::Describe(_) => describe_remote(key, keys, policy, told).await,
            _ => Err(in_its_own_tool(key)),
        };
    }
    let clients = session::clients(keys, policy.approved_only, true).await?;
    let Some(local) = clients.local.as_deref() else {
        return Err(Error::bug("the local KMS was wanted, and is not there"));
    };
    match &verb {
        Verb::Describe(key) => return describe(key, &local.key(key)?, told),
        Verb::ListAliases => return list_aliases(local, told),
        Verb::PublicKey(key, pem) => return public_key(key, *pem, local, told),
        _ => {}
    }
    let due = match verb {
        Verb::CancelDeletion(_) | Verb::Enable(_) => Due::Waits,
        _ => Due::IsDone,
    };
    let ledger = Ledger::open(policy, &clients, due, told.printer).await?;
    let (key, what) = match verb {
        Verb::Create(key, new) => {
            let new = new?;
            let made = ledger
                .around(entry(AuditEvent::Create, &key, None), async || {
                    local.create_kms_key(&key, new)
                })
                .await?;
            let what = match new.origin {
                KmsKeyOrigin::External => format!(
                    "Made KMS key `{key}`, without material: `cipherform keys get-parameters-for-import {key}` comes next."
                ),
                _ => format!("Made KMS key `{key}`."),
            };
            (made, what)
        }
        Verb::ParametersForImport(key, public_key, token) => {
            // Before those that were given out last are good no more.
            for path in [&public_key, &token] {
                if path.symlink_metadata().is_ok() {
                    return Err(Error::bad_input(format!("`{}` exists already", path.display()))
                        .with_hint("name another file, or take that one away"));
                }
            }
            let entry = entry(AuditEvent::ImportMaterial, &key, Some("get parameters".to_owned()));
            let parameters = ledger.around(entry, async || local.parameters_for_import(&key)).await?;
            fs::create_atomic(&public_key, pem(&parameters.public_key)?.as_bytes(), fs::PRIVATE)?;
            fs::create_atomic(&token, format!("{}\n", parameters.token).as_bytes(), fs::PRIVATE)?;
            let what = format!(
                "Wrote `{}` and `{}`: wrap 32 bytes with the one, and give both to `cipherform keys import-material` by {}.",
                public_key.display(),
                token.display(),
                parameters.valid_to
            );
            (local.key(&key)?, what)
        }
        Verb::ImportMaterial(key, import) => {
            let (wrapped, token) = (fs::read(&import.material)?, fs::read(&import.token)?);
            let token = String::from_utf8_lossy(&token).into_owned();
            let entry = AuditEntry {
                reason: Some(import.reason.clone()),
                ..entry(AuditEvent::ImportMaterial, &key, None)
            };
            let with = format!("`{}` with `{}`", import.material.display(), import.token.display());
            let act = async || {
                let imported = local.import_material(&key, &wrapped, &token, import.valid_to, &import.reason);
                imported.map_err(|error| error.context(&with))
            };
            let what = format!("KMS key `{key}` has its material.");
            (ledger.around(entry, act).await?, what)
        }
        Verb::DeleteMaterial(args) => {
            let consequence = "It wraps and unwraps nothing until the same material is imported again.";
            let reason = ask(&args.key, &args.meant, Some(consequence), told.printer)?;
            let entry = AuditEntry {
                reason: Some(reason.clone()),
                ..entry(AuditEvent::DeleteMaterial, &args.key, None)
            };
            let act = async || local.delete_imported_material(&args.key, &reason);
            let what = format!("The material of KMS key `{}` is erased.", args.key);
            (ledger.around(entry, act).await?, what)
        }
        Verb::Rotate(key, reason) => {
            let entry = AuditEntry {
                reason: reason.clone(),
                ..entry(AuditEvent::Rotate, &key, None)
            };
            let rotated = ledger
                .around(entry, async || local.rotate(&key, reason.as_ref()))
                .await?;
            let number = rotated.material.last().map_or(0, |newest| newest.number);
            let what = format!(
                "KMS key `{key}` has material {number}: it wraps from now on; what the older material wrapped still unwraps. `keys rewrap --to {key}` wraps \
                 it anew."
            );
            (rotated, what)
        }
        Verb::RotateEvery(key, days, reason) => {
            let said = days.map_or("on demand only".to_owned(), |days| format!("every {days} days"));
            let entry = AuditEntry {
                reason: reason.clone(),
                ..entry(AuditEvent::Rotate, &key, Some(said.clone()))
            };
            let set = ledger
                .around(entry, async || local.set_rotation(&key, days, reason.as_ref()))
                .await?;
            (set, format!("KMS key `{key}` gets new material {said}."))
        }
        Verb::Enable(args) => {
            let what = "it wraps and unwraps.".to_owned();
            state(&ledger, &args, "enabled", None, what, told, |reason| {
                local.enable(&args.key, reason)
            })
            .await?
        }
        Verb::Disable(args) => {
            let what = "it wraps and unwraps nothing.".to_owned();
            state(&ledger, &args, "disabled", None, what, told, |reason| {
                local.disable(&args.key, reason)
            })
            .await?
        }
        Verb::ScheduleDeletion(args, days) => {
            let keyring = policy.keyring.display();
            let (before, after) = match guards(&args.key, local, policy)? {
                true => (
                    format!(" `{keyring}` needs it: `cipherform keys rewrap --to` another KMS key first."),
                    format!(
                        " `{keyring}` needs it: take it back, enable it, and `cipherform keys rewrap --to` another KMS key, or its keys are lost as well."
                    ),
                ),
                false => Default::default(),
            };
            let consequence = format!("In {days} days its material is erased, and what it wraps is lost.{before}");
            let what = format!("its material is erased in {days} days; `cancel-deletion` takes that back.{after}");
            let act = |reason: &Reason| local.schedule_deletion(&args.key, days, reason);
            state(&ledger, &args, "pending-deletion", Some(&consequence), what, told, act).await?
        }
        Verb::CancelDeletion(args) => {
            let what = format!(
                "it is not deleted. `cipherform keys enable {}` brings it back into use.",
                args.key
            );
            let act = |reason: &Reason| local.cancel_deletion(&args.key, reason);
            state(&ledger, &args, "disabled", None, what, told, act).await?
        }
        Verb::CreateAlias(name, key) => (
            ledger
                .around(alias_entry(&name, &key), async || local.create_alias(&name, &key, None))
                .await?,
            format!("`local:alias/{name}` is KMS key `{key}`."),
        ),
        Verb::UpdateAlias(name, key) => (
            ledger
                .around(alias_entry(&name, &key), async || local.update_alias(&name, &key, None))
                .await?,
            format!("`local:alias/{name}` is KMS key `{key}` from now on."),
        ),
        Verb::DeleteAlias(name, meant) => {
            let key = KmsKeyRef::local_alias(&name);
            let consequence = "What stands under this name in a keyring is not found any more.";
            let reason = ask(&key, &meant, Some(consequence), told.printer)?;
            let entry = AuditEntry {
                reason: Some(reason.clone()),
                ..entry(AuditEvent::Alias, &key, Some("gone".to_owned()))
            };
            let was = ledger
                .around(entry, async || local.delete_alias(&name, Some(&reason)))
                .await?;
            (was, format!("There is no `{key}` any more."))
        }
        Verb::Describe(_) | Verb::ListAliases | Verb::PublicKey(..) => {
            return Err(Error::bug("what only shows was to change something"));
        }
    };
    told.printer.say(what);
    if told.format == ListFormat::Json {
        json(&key, told)?;
    }
    told.printer
        .say(format_args!("Back up `{}`: it has changed.", local.path().display()));
    Ok(())
}

/// What a new KMS key is to be. A key has one use, so spec and usage must fit.
fn new_key(
    spec: Option<Spec>,
    usage: Option<Usage>,
    origin: Option<Origin>,
    rotate_every: Option<u32>,
) -> Result<NewKmsKey> {
    let spec = match (spec, usage) {
        (None, Some(Usage::SignVerify)) | (Some(Spec::Ed25519), _) => KmsKeySpec::Ed25519,
        (None | Some(Spec::SymmetricDefault), _) => KmsKeySpec::SymmetricDefault,
        (Some(Spec::Rsa3072), _) => KmsKeySpec::Rsa3072,
        (Some(Spec::Rsa4096), _) => KmsKeySpec::Rsa4096,
    };
    let asked = usage.map(|usage| match usage {
        Usage::EncryptDecrypt => KmsKeyUsage::EncryptDecrypt,
        Usage::SignVerify => KmsKeyUsage::SignVerify,
    });
    if let Some(asked) = asked.filter(|asked| *asked != spec.usage()) {
        return Err(
            Error::bad_input(format!("a key of the kind {spec} is for {}, not {asked}", spec.usage()))
                .with_hint("ed25519 signs; the others encrypt and decrypt"),
        );
    }
    let new = NewKmsKey::new(spec).with_rotation(rotate_every);
    Ok(match origin {
        Some(Origin::External) => new.external(),
        Some(Origin::Local) | None => new,
    })
}

fn public_key(key: &KmsKeyRef, as_pem: bool, local: &LocalKms, told: &Told<'_>) -> Result<()> {
    let (info, bytes) = (local.key(key)?, local.public_key(key)?);
    let signer = <[u8; 32]>::try_from(bytes.as_slice()).ok();
    let (text, pem) = match signer.filter(|_| info.spec == KmsKeySpec::Ed25519) {
        Some(signer) => (Some(hex::encode(signer)), Sender::from(signer).to_pem()?),
        None => (None, pem(&bytes)?),
    };
    let text = text.filter(|_| !as_pem || told.format == ListFormat::Json);
    let text = text.as_deref().unwrap_or(&pem);
    match told.format {
        ListFormat::Json => told
            .json(&json!({ "kms_key": key, "spec": info.spec, "usage": info.usage, "public_key": text, "pem": pem })),
        ListFormat::Table => told.printer.line(text.trim_end()),
    }
}

fn pem(der: &[u8]) -> Result<String> {
    pem::encode_string("PUBLIC KEY", LineEnding::LF, der)
        .map_err(|error| Error::bug("a public key that PEM cannot hold").with_source(error))
}

/// A change of state.
async fn state(
    ledger: &Ledger<'_>,
    args: &KmsKeyArgs,
    to: &str,
    consequence: Option<&str>,
    what: String,
    told: &Told<'_>,
    act: impl FnOnce(&Reason) -> Result<LocalKeyInfo>,
) -> Result<(LocalKeyInfo, String)> {
    let reason = ask(&args.key, &args.meant, consequence, told.printer)?;
    let entry = AuditEntry {
        reason: Some(reason.clone()),
        ..entry(AuditEvent::State, &args.key, Some(format!("to {to}")))
    };
    let key = ledger.around(entry, async || act(&reason)).await?;
    Ok((key, format!("KMS key `{}` is {to} now: {what}", args.key)))
}

fn alias_entry(alias: &KeyName, key: &KmsKeyRef) -> AuditEntry {
    entry(AuditEvent::Alias, key, Some(format!("alias {alias}")))
}

/// Whether the policy's keyring needs the key, under its name or another.
fn guards(key: &KmsKeyRef, local: &LocalKms, policy: &Policy) -> Result<bool> {
    let Ok(key) = local.key(key) else {
        // Who may not see it is told so by what is asked for.
        return Ok(false);
    };
    let needed = Keyring::kms_keys(&policy.keyring)?;
    let mut local_keys = needed.iter().filter(|key| key.scheme() == "local");
    // What is not there cannot be this one.
    Ok(local_keys.any(|needed| local.key(needed).is_ok_and(|needed| needed.id == key.id)))
}

fn list_aliases(local: &LocalKms, told: &Told<'_>) -> Result<()> {
    let keys = local.list()?;
    let aliases = keys
        .iter()
        .flat_map(|key| key.aliases.iter().map(move |alias| (alias, key)));
    if told.format == ListFormat::Json {
        let line = |(alias, key): (&KeyName, &LocalKeyInfo)| json!({ "alias": KmsKeyRef::local_alias(alias), "kms_key": KmsKeyRef::local(&key.name) });
        return aliases.map(line).try_for_each(|line| told.json(&line));
    }
    let mut rows = vec![["ALIAS", "KMS KEY"].map(String::from)];
    rows.extend(aliases.map(|(alias, key)| {
        [
            KmsKeyRef::local_alias(alias).to_string(),
            KmsKeyRef::local(&key.name).to_string(),
        ]
    }));
    told.printer.table(&rows)
}

/// KMS keys as a table.
pub(super) fn table(keys: &[LocalKeyInfo], told: &Told<'_>) -> Result<()> {
    let mut rows = vec![
        [
            "KMS KEY", "STATE", "USAGE", "ORIGIN", "MATERIAL", "ROTATION", "CREATED", "ALIASES",
        ]
        .map(String::from),
    ];
    rows.extend(keys.iter().map(|key| {
        let aliases: Vec<_> = key.aliases.iter().map(KeyName::as_str).collect();
        [
            KmsKeyRef::local(&key.name).to_string(),
            key.state.to_string(),
            key.usage.to_string(),
            key.origin.to_string(),
            key.material.len().to_string(),
            rotation(key),
            key.created.to_string(),
            aliases.join(", "),
        ]
    }));
    told.printer.table(&rows)
}

fn rotation(key: &LocalKeyInfo) -> String {
    key.rotation().unwrap_or("-".to_owned())
}

fn describe(key: &KmsKeyRef, info: &LocalKeyInfo, told: &Told<'_>) -> Result<()> {
    if told.format == ListFormat::Json {
        return json(info, told);
    }
    let printer = told.printer;
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let aliases: Vec<_> = info.aliases.iter().map(KeyName::as_str).collect();
    for (what, said) in [
        ("kms key", Some(key.to_string())),
        ("id", Some(info.id.clone())),
        ("manager", Some("local".to_owned())),
        ("aliases", (!aliases.is_empty()).then(|| aliases.join(", "))),
        ("state", Some(info.state.to_string())),
        ("deletion", time(info.deletion)),
        ("spec", Some(info.spec.to_string())),
        ("usage", Some(info.usage.to_string())),
        ("origin", Some(info.origin.to_string())),
        ("rotation", Some(rotation(info))),
        ("next rotation", time(info.next_rotation)),
        ("created", Some(info.created.to_string())),
    ] {
        if let Some(said) = said {
            printer.line(format_args!("{what:<16} {said}"))?;
        }
    }
    printer.line("")?;
    let mut rows = vec![["MATERIAL", "CREATED", "THERE", "ID"].map(String::from)];
    rows.extend(info.material.iter().map(|material| {
        [
            material.number.to_string(),
            material.created.to_string(),
            match (material.present, material.valid_to) {
                (true, Some(end)) => format!("until {end}"),
                (true, None) => "yes".to_owned(),
                (false, _) => "erased".to_owned(),
            },
            material.id.clone(),
        ]
    }));
    printer.table(&rows)?;
    let mut rows = vec![["WHEN", "WHAT", "WHO", "WHY"].map(String::from)];
    rows.extend(info.history.iter().map(|change| {
        [
            change.time.to_string(),
            change.what.clone(),
            change.who.clone(),
            change.reason.as_ref().map_or("-".to_owned(), ToString::to_string),
        ]
    }));
    printer.line("")?;
    printer.table(&rows)
}

/// A KMS key as a line of JSON.
pub(super) fn json(key: &LocalKeyInfo, told: &Told<'_>) -> Result<()> {
    told.json(&json!({ "kms_key": KmsKeyRef::local(&key.name), "kms": key }))
}

async fn describe_remote(key: &KmsKeyRef, keys: &KeyArgs, policy: &Policy, told: &Told<'_>) -> Result<()> {
    let clients = session::clients(keys, policy.approved_only, false).await?;
    let info = clients.registry.client(key)?.describe(key).await;
    let info = info.map_err(|error| error.context(format!("KMS key `{key}`")))?;
    if told.format == ListFormat::Json {
        return told.json(&json!({ "kms_key": key, "kms": info }));
    }
    told.printer.line(format_args!("kms key          {key}"))?;
    show::of_kms(info, told)
}

/// KMS keys of other KMSs are looked after there.
fn in_its_own_tool(key: &KmsKeyRef) -> Error {
    let tool = match key.scheme() {
        "aws-kms" => {
            "`aws kms create-key`, `enable-key`, `disable-key`, `rotate-key-on-demand`, `enable-key-rotation`, `schedule-key-deletion`, `cancel-key-deletion`, \
             `create-alias`"
        }
        "vault" => {
            "`vault write -f transit/keys/NAME` makes a key, `vault write -f transit/keys/NAME/rotate` rotates it, `vault delete transit/keys/NAME` deletes it \
             once `deletion_allowed` is set; `bao` likewise"
        }
        "gcp-kms" => {
            "`gcloud kms keys create`, `gcloud kms keys versions create --primary` to rotate, `gcloud kms keys versions enable`, `disable`, `destroy`, `restore`"
        }
        "azure-kv" => {
            "`az keyvault key create`, `set-attributes --enabled true` or `false`, `rotate`, `delete`, `recover`"
        }
        "pkcs11" => "`pkcs11-tool --keygen`, `pkcs11-tool --delete-object`, or the tool of the HSM",
        "kmip" => "the tool of the KMIP server",
        _ => "the tool of that KMS",
    };
    Error::bad_input(format!(
        "`{key}` is looked after in its own KMS; this is for keys of the local KMS, `local:NAME`"
    ))
    .with_hint(format!("use {tool}"))
}
