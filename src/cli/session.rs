//! The KMS clients and the engine of one run.

use std::env;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use super::args::KeyArgs;
use crate::keys::KmsRegistry;
use crate::kms::{LocalKms, Unlock};
use crate::transform::Engine;
use crate::{Error, ErrorKind, Result, Secret};

const PASSPHRASE: &str = "CIPHERFORM_PASSPHRASE";
const PASSPHRASE_FILE: &str = "CIPHERFORM_PASSPHRASE_FILE";
const KEY_FILE: &str = "CIPHERFORM_KEY_FILE";

/// As much of a passphrase file as is read, in bytes.
const LONGEST_FILE: usize = 4096;

/// The engine that `--policy` names, its keyring unlocked.
pub(super) async fn engine(args: &KeyArgs) -> Result<Engine> {
    // A policy that is missing or wrong is said before a passphrase is asked for.
    crate::policy::Policy::load(&args.policy)?;
    Engine::open(&args.policy, &registry(args, Ask::Once)?).await
}

/// The KMS clients there are.
pub(super) fn registry(args: &KeyArgs, ask: Ask) -> Result<KmsRegistry> {
    let local = LocalKms::open(local_kms_path(args)?, unlock(args, ask)?);
    Ok(KmsRegistry::new().with("local", local))
}

/// Where the local KMS is.
pub(super) fn local_kms_path(args: &KeyArgs) -> Result<PathBuf> {
    match &args.local_kms {
        Some(path) => Ok(path.clone()),
        None => LocalKms::default_path(),
    }
}

/// How often a passphrase is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ask {
    /// To unlock.
    Once,
    /// To choose a new one.
    Twice,
}

/// What unlocks the local KMS: a key file, or a passphrase from a file, a descriptor, the environment or a prompt. What the
/// command line says goes before what the environment says.
pub(super) fn unlock(args: &KeyArgs, ask: Ask) -> Result<Unlock> {
    let flags = (&args.key_file, &args.passphrase_file, args.passphrase_fd);
    let passphrase = match flags {
        (Some(path), ..) => return Ok(Unlock::KeyFile(path.clone())),
        (_, Some(path), _) => first_line(path)?,
        (.., Some(descriptor)) => first_line(Path::new(&format!("/dev/fd/{descriptor}")))?,
        _ => match (
            env::var_os(KEY_FILE),
            env::var_os(PASSPHRASE_FILE),
            env::var(PASSPHRASE),
        ) {
            (Some(path), None, Err(_)) => return Ok(Unlock::KeyFile(path.into())),
            (None, Some(path), Err(_)) => first_line(Path::new(&path))?,
            (None, None, Ok(passphrase)) => Secret::new(passphrase),
            (None, None, Err(_)) => prompt(ask)?,
            _ => {
                return Err(Error::bad_input(format!(
                    "more than one of {KEY_FILE}, {PASSPHRASE_FILE} and {PASSPHRASE} is set"
                ))
                .with_hint("unset all but one, or say which by --key-file or --passphrase-file"));
            }
        },
    };
    Ok(Unlock::Passphrase(passphrase))
}

fn first_line(path: &Path) -> Result<Secret<String>> {
    let failed = |error| Error::io(format!("cannot read the passphrase from `{}`", path.display()), error);
    let file = std::fs::File::open(path).map_err(failed)?;
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let mut line = Secret::new(String::with_capacity(LONGEST_FILE));
    file.take(LONGEST_FILE as u64)
        .read_to_string(line.expose_mut())
        .map_err(failed)?;
    let length = line.expose().find(['\r', '\n']).unwrap_or(line.expose().len());
    line.expose_mut().truncate(length);
    Ok(line)
}

fn prompt(ask: Ask) -> Result<Secret<String>> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::new(
            ErrorKind::KeyNotUsable,
            "the local KMS needs its passphrase, and there is no terminal to ask on",
        )
        .with_hint(format!(
            "set {PASSPHRASE}, or pass --passphrase-file, --passphrase-fd or --key-file"
        )));
    }
    let ask_for = |what: &str| {
        rpassword::prompt_password(what)
            .map(Secret::new)
            .map_err(|error| Error::io("cannot ask for the passphrase", error))
    };
    match ask {
        Ask::Once => ask_for("Passphrase of the local KMS: "),
        Ask::Twice => {
            let (first, second) = (ask_for("New passphrase for the local KMS: ")?, ask_for("Once more: ")?);
            match first.expose() == second.expose() {
                true => Ok(first),
                false => Err(Error::bad_input("the two passphrases differ; nothing was written")),
            }
        }
    }
}
