//! The KMS clients and the engine of one run.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::KeyArgs;
use super::printer::Printer;
use crate::keys::{Keyring, KmsKeyRef, KmsRegistry, Trust};
use crate::kms::{self, LocalKms, Settings, Unlock};
use crate::policy::Policy;
use crate::transform::Engine;
use crate::{Error, ErrorKind, Result, Secret, fs};

/// The engine that `--policy` names, its keyring unlocked.
pub(super) async fn engine(args: &KeyArgs) -> Result<Engine> {
    // A policy that is missing or wrong is said before a passphrase is asked for.
    let policy = Policy::load(&args.policy)?;
    // Known from the keyring's references, before it is authenticated: they only decide what is asked for.
    let needed = Keyring::kms_keys(&policy.keyring)?;
    warn_of_pins(&needed, &policy.trust(args.trust.as_deref())?);
    let with_local = any_local(&needed);
    let clients = clients(args, &policy, with_local).await?;
    Engine::open(&args.policy, &clients.registry).await
}

/// The KMS clients there are.
pub(super) struct Clients {
    pub(super) registry: KmsRegistry,
    /// The local KMS, if it is wanted.
    pub(super) local: Option<Arc<LocalKms>>,
}

/// Tells whether one of them is in the local KMS.
pub(super) fn any_local(keys: &[KmsKeyRef]) -> bool {
    keys.iter().any(|key| key.scheme() == "local")
}

/// The KMS clients there are; the local KMS among them only if it is wanted, since that asks for a passphrase.
pub(super) async fn clients(args: &KeyArgs, policy: &Policy, with_local: bool) -> Result<Clients> {
    clients_for(args, policy, with_local, &[]).await
}

/// Like [`clients`], and trusts the KMS keys that the person named.
pub(super) async fn clients_for(
    args: &KeyArgs,
    policy: &Policy,
    with_local: bool,
    named: &[KmsKeyRef],
) -> Result<Clients> {
    let trust = policy.trust(args.trust.as_deref())?;
    let trust = named.iter().fold(trust, |trust, key| trust.allowing(key));
    clients_trusting(trust, args, policy.approved_only, with_local).await
}

/// Like [`clients`], trusting what the caller says.
pub(super) async fn clients_trusting(
    trust: Trust,
    args: &KeyArgs,
    approved_only: bool,
    with_local: bool,
) -> Result<Clients> {
    let registry = remote(approved_only)?.with_trust(trust);
    if !with_local {
        return Ok(Clients { registry, local: None });
    }
    let path = local_kms_path(args)?;
    warn_if_open("local KMS", &path);
    // Guarded by another KMS or the system's keyring: then nothing is asked for.
    let unlock = match LocalKms::guarded_unlock(&path, &registry).await? {
        Some(unlock) => unlock,
        None => unlock(args, Ask::Once)?,
    };
    let local = LocalKms::open(path, unlock).with_actor(kms::actor());
    // Refuses to unlock by what is not approved, before the file is opened.
    let local = if approved_only { local.approved_only() } else { local };
    let local = Arc::new(local);
    Ok(Clients {
        // The same object in both: a key that the commands change is at once changed for the keyring.
        registry: registry.with_shared("local", Arc::clone(&local) as _),
        local: Some(local),
    })
}

/// Opens the keyring of `policy`, with its audit log if it has one.
pub(super) async fn keyring(policy: &Policy, registry: &KmsRegistry) -> Result<Keyring> {
    // The generation is compared before anything is done with the keyring.
    let keyring = Keyring::open(&policy.keyring, registry).await?;
    let keyring = keyring.not_older_than(policy.keyring_generation)?;
    match &policy.audit {
        Some(path) => keyring.with_audit_log(path),
        None => Ok(keyring),
    }
}

/// The local KMS, if `key` is in it.
pub(super) fn in_local<'a>(local: Option<&'a LocalKms>, key: &KmsKeyRef) -> Result<&'a LocalKms> {
    let local = local.filter(|_| key.scheme() == "local");
    local.ok_or_else(|| {
        Error::bad_input(format!("`{key}` is no key of the local KMS")).with_hint("name one: `local:NAME`")
    })
}

/// The clients of remote KMSs, and who is at work.
pub(super) fn remote(approved_only: bool) -> Result<KmsRegistry> {
    // Settings come from the environment: endpoints and credentials are never in the policy.
    let settings = Settings::from_environment()?;
    let settings = if approved_only {
        settings.approved_only()
    } else {
        settings
    };
    if let Some(path) = settings.get("CIPHERFORM_PKCS11_PIN_FILE") {
        warn_if_open("PIN file", Path::new(path));
    }
    let registry = kms::with_remote(KmsRegistry::new(), &settings);
    Ok(registry.with_actor(kms::actor()))
}

/// The file of the local KMS.
pub(super) fn local_kms_path(args: &KeyArgs) -> Result<PathBuf> {
    match &args.local_kms {
        Some(path) => Ok(path.clone()),
        None => LocalKms::default_path(),
    }
}

/// The number of times that a passphrase is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ask {
    /// To unlock.
    Once,
    /// To choose a new one.
    Twice,
}

/// Finds what unlocks the local KMS: a key file, or a passphrase from a file, a descriptor, the environment or a
/// prompt. The command line goes before the environment.
pub(super) fn unlock(args: &KeyArgs, ask: Ask) -> Result<Unlock> {
    // The key file first: it is explicit, and asks for nothing.
    match (&args.key_file, &args.passphrase_file, args.passphrase_fd) {
        (Some(path), ..) => {
            warn_if_open("key file", path);
            Ok(Unlock::KeyFile(path.clone()))
        }
        (_, Some(path), _) => {
            warn_if_open("passphrase file", path);
            Unlock::passphrase_file(path)
        }
        // A descriptor that the caller opened: no file name, no environment, nothing on the command line.
        (.., Some(descriptor)) => Unlock::passphrase_file(Path::new(&format!("/dev/fd/{descriptor}"))),
        _ => match Unlock::from_environment()? {
            Some(unlock) => {
                if let Unlock::KeyFile(path) = &unlock {
                    warn_if_open("key file", path);
                }
                Ok(unlock)
            }
            None => prompt(ask).map(Unlock::Passphrase),
        },
    }
}

/// Warns of a file that other users can read, though what is in it opens keys.
fn warn_if_open(what: &str, path: &Path) {
    if fs::is_open_to_others(path) {
        Printer::new().say(format_args!(
            "warning: {what} `{path}` can be read or changed by others: chmod 600 '{path}'",
            path = path.display()
        ));
    }
}

/// Warns of the files of PINs that KMS keys name, as far as they are trusted.
pub(super) fn warn_of_pins(keys: &[KmsKeyRef], trust: &Trust) {
    for key in keys.iter().filter(|key| trust.names(key)) {
        let mut parts = key.rest().split(['?', '&', ';']);
        if let Some(path) = parts.find_map(|part| part.strip_prefix("pin-source=")) {
            warn_if_open("PIN file", Path::new(path.strip_prefix("file:").unwrap_or(path)));
        }
    }
}

pub(super) fn prompt(ask: Ask) -> Result<Secret<String>> {
    // Otherwise a job without a terminal would wait for ever, or read its data as a passphrase.
    if !std::io::stdin().is_terminal() {
        return Err(Error::new(
            ErrorKind::KeyNotUsable,
            "the local KMS needs its passphrase, and there is no terminal to ask on",
        )
        .with_hint("set CIPHERFORM_PASSPHRASE, or pass --passphrase-file, --passphrase-fd or --key-file"));
    }
    let ask_for = |what: &str| {
        rpassword::prompt_password(what)
            .map(Secret::new)
            .map_err(|error| Error::io("cannot ask for the passphrase", error))
    };
    match ask {
        // Not echoed, and wiped when dropped.
        Ask::Once => ask_for("Passphrase of the local KMS: "),
        Ask::Twice => {
            let (first, second) = (ask_for("New passphrase for the local KMS: ")?, ask_for("Once more: ")?);
            // A mistyped new passphrase would lock everything away.
            if first.expose() == second.expose() {
                Ok(first)
            } else {
                Err(Error::bad_input("the two passphrases differ; nothing was written"))
            }
        }
    }
}
