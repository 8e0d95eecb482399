//! `cipherform init`

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::args::{Kdf, KeyArgs, kms_key, ours};
use crate::cli::commands::keys::trust;
use crate::cli::printer::Printer;
use crate::cli::session::{self, Ask};
use crate::keys::{KeyName, KeyUse, Keyring, KmsKeyRef, KmsRegistry, Trust};
use crate::kms::{self, LocalKms, PassphraseKdf, Unlock};
use crate::{Error, Result};

/// The KMS key that new keyrings are wrapped by.
const KMS_KEY: &str = "main";

// A template with the comments that a person needs to go on; a serialised policy would have none.
const POLICY: &str = r#"# What is protected, and how. `cipherform protect FILE OUT` goes by this file.
version = 1
keyring = "keyring.json"     # relative to this file
unlisted = "error"           # a column that no line of [columns] names: "keep", "error" or "drop"

# A rule is one way to protect; columns under the same rule join with each other.

[rules.card]
format = "pan"               # payment card numbers; keeps the last four digits and a valid check digit
key = "KEY"                  # a name in the keyring, or `KEY@1` for one version
on_invalid = "siv"           # what is no such value is encrypted as a whole, and comes back; "error" stops the job
mask = { keep_last = 4 }     # what a role sees that may see it "masked"

[rules.ssn]
format = "us-ssn"
key = "KEY"
on_invalid = "siv"

[rules.email]
format = "email"             # keeps the domain
key = "KEY"
on_invalid = "siv"

[rules.phone]
format = "digits"            # punctuation stays where it is
key = "KEY"
on_short = "band"            # numbers of a few digits become others of a few digits
on_invalid = "siv"

[rules.name]
format = "name"
key = "KEY"
on_short = "band"
on_invalid = "siv"

[rules.id]
format = { type = "integer", min = 1, max = 999_999_999 }
key = "KEY"

[columns]
# A line names `table.column`, or a column of any table; `*` is a wildcard; the most specific line wins.
# The table of a file is its name without `.parquet`, or what --table says.
# `cipherform check FILE` says what would become of each column, before anything is written.
# "people.ssn" = "ssn"
# "*_phone" = "phone"
# "people.id" = "keep"       # stays as it is

# [roles.analyst]            # what `query --role analyst` sees: "plain", "masked", "protected" or "denied"
# card = "masked"
# "*" = "denied"
"#;

const TRUST: &str = "
# The keyring that is meant, and the KMS keys that it may name: another one is refused before anything is asked.
";

/// Write a policy, a keyring and, if there is none, the local KMS.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  cipherform init                         asks for a passphrase
  cipherform init --key-file ~/cf.key     no passphrase: writes a key file, and seals the local KMS under it
  cipherform init secrets --key payroll   into the folder `secrets`, with a first data key `payroll`
  cipherform init --kms vault:https://vault.example:8200/transit/main   no local KMS: the keyring is Vault's to open")]
pub(in crate::cli) struct InitArgs {
    /// The folder for policy.toml and keyring.json
    #[arg(default_value = ".")]
    pub(in crate::cli) folder: PathBuf,
    /// The name of the first data key
    #[arg(long, default_value = "pii", value_name = "NAME", value_parser = ours::<KeyName>)]
    pub(in crate::cli) key: KeyName,
    /// The KMS key that wraps the keyring, in place of the local KMS
    #[arg(long, value_name = "URI", value_parser = kms_key())]
    pub(in crate::cli) kms: Option<KmsKeyRef>,
    /// How the passphrase of a new local KMS is stretched: pbkdf2 for policies that say approved_only = true
    #[arg(long, value_enum, default_value_t)]
    pub(in crate::cli) kdf: Kdf,
}

pub(in crate::cli) async fn run(args: InitArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    // Both are looked for before the first is written: half of an old and half of a new set would open nothing.
    let (policy, keyring) = (args.folder.join("policy.toml"), args.folder.join("keyring.json"));
    for path in [&policy, &keyring] {
        // Not `exists`, which follows links: a dangling link would be written through.
        if path.symlink_metadata().is_ok() {
            return Err(
                Error::bad_input(format!("`{}` is there already; nothing was changed", path.display()))
                    .with_hint("name another folder: `cipherform init FOLDER`"),
            );
        }
    }
    let (kms_key, registry, local) = match args.kms {
        Some(key) if key.scheme() != "local" => {
            let registry = session::remote(false)?;
            (key, registry, None)
        }
        // The local KMS also serves `--kms local:NAME`.
        named => {
            let (kms, unlocks) = local_kms(keys, args.kdf.into(), printer).await?;
            let key = named.map_or_else(|| format!("local:{KMS_KEY}").parse(), Ok)?;
            (
                key,
                KmsRegistry::new().with("local", kms).with_actor(kms::actor()),
                Some(unlocks),
            )
        }
    };
    // Only now: a passphrase that was mistyped leaves no folder behind.
    std::fs::create_dir_all(&args.folder)
        .map_err(|error| Error::io(format!("cannot make the folder `{}`", args.folder.display()), error))?;
    // Keyring, then data key, then policy: the policy comes last, since it is what later commands look for first.
    let mut ring = Keyring::create(&keyring, &kms_key, &registry).await?;
    ring.create_key(&args.key, KeyUse::Derive, None).await?;
    write_policy(&policy, &args.key, &trust::entry("main", &ring)?)?;

    printer.say(format_args!(
        "Wrote `{}`: the rules. Say in [columns] which column gets which.",
        policy.display()
    ));
    let without = if local.is_some() { "the local KMS" } else { "that KMS" };
    printer.say(format_args!(
        "Wrote `{}`: data key `{}`, wrapped by `{kms_key}`. Useless without {without}.",
        keyring.display(),
        args.key
    ));
    printer.say("");
    match local {
        Some(unlocks) => {
            let local = session::local_kms_path(keys)?;
            printer.say("Back up, apart from each other and from the data:");
            printer.say(format_args!("  `{}` and {unlocks}", local.display()));
            printer.say(format_args!("  `{}`, after every change of keys", keyring.display()));
            printer
                .say("`cipherform keys backup --to FILE` puts both files into one; `keys doctor` says when it is due.");
        }
        None => {
            printer.say("Back up, apart from the data:");
            printer.say(format_args!("  `{}`, after every change of keys", keyring.display()));
            printer.say("and guard the KMS key against deletion.");
        }
    }
    // Said last, so that it is what stays on the screen.
    printer.say("Without any one of them, what is protected cannot be revealed by anybody.");
    Ok(())
}

/// The local KMS that is there, or a new one; and what unlocks it, in words.
async fn local_kms(keys: &KeyArgs, kdf: PassphraseKdf, printer: &Printer) -> Result<(LocalKms, String)> {
    let path = session::local_kms_path(keys)?;
    let first_key: KeyName = KMS_KEY.parse()?;
    if path.symlink_metadata().is_ok() {
        let unlock =
            match LocalKms::guarded_unlock(&path, &session::remote(false)?.with_trust(Trust::of_local_kms())).await? {
                Some(unlock) => unlock,
                None => session::unlock(keys, Ask::Once)?,
            };
        let unlocks = in_words(&unlock);
        let kms = LocalKms::open(&path, unlock).with_actor(kms::actor());
        // An existing KMS may serve other keyrings; only the missing key is made.
        if !kms.list()?.iter().any(|key| key.name == first_key) {
            kms.create_key(&first_key)?;
        }
        printer.say(format_args!("Using the local KMS in `{}`.", path.display()));
        return Ok((kms, unlocks));
    }
    // Twice, as nobody could tell a mistyped passphrase later.
    let unlock = session::unlock(keys, Ask::Twice)?;
    // The key file is written before the KMS that it opens: the reverse would leave a file that nothing opens.
    if let Unlock::KeyFile(key_file) = &unlock
        && key_file.symlink_metadata().is_err()
    {
        LocalKms::create_key_file(key_file)?;
        printer.say(format_args!(
            "Wrote `{}`: the key file. Whoever has it opens the local KMS.",
            key_file.display()
        ));
    }
    LocalKms::create_with(&path, &unlock, kdf, &first_key)?;
    printer.say(format_args!(
        "Wrote `{}`: the local KMS, with KMS key `{KMS_KEY}`.",
        path.display()
    ));
    let unlocks = in_words(&unlock);
    Ok((LocalKms::open(&path, unlock), unlocks))
}

// The way only, never the passphrase.
fn in_words(unlock: &Unlock) -> String {
    match unlock {
        Unlock::KeyFile(path) => format!("the key file `{}`", path.display()),
        Unlock::Passphrase(_) => "its passphrase".to_owned(),
        Unlock::Unwrapped(_) => "what guards it".to_owned(),
    }
}

fn write_policy(path: &Path, key: &KeyName, trust: &str) -> Result<()> {
    let text = format!("{}{TRUST}{trust}", POLICY.replace("KEY", key.as_str()));
    std::fs::write(path, text).map_err(|error| Error::io(format!("cannot write `{}`", path.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_it_writes_is_good() {
        let text = POLICY.replace("KEY", "pii");
        crate::policy::Policy::parse(&text, Path::new("policy.toml")).expect("a good policy");
        // What is commented out must be good as well.
        let all = text.replace("# \"", "\"").replace("# [", "[").replace("# card", "card");
        crate::policy::Policy::parse(&all, Path::new("policy.toml")).expect("a good policy, with its examples");
    }
}
