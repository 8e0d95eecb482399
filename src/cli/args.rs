//! Arguments that several commands share.

use std::ffi::OsStr;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};

use crate::Error;
use crate::keys::{KmsKeyRef, Reason};
use crate::kms::PassphraseKdf;

/// Parses an argument of one of our types; the message of an error has the hint.
pub(super) fn ours<T: FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    // clap prints one message and knows no hints, so the hint goes into it.
    text.parse().map_err(|error: Error| match error.hint() {
        Some(hint) => format!("{error}\nhint: {}", super::hints::words(hint)),
        None => error.to_string(),
    })
}

/// Parses like [`ours`] an argument that may hold a credential by mistake: clap would print it.
#[derive(Clone)]
struct Unprinted<T>(PhantomData<T>);

impl<T: FromStr<Err = Error> + Clone + Send + Sync + 'static> TypedValueParser for Unprinted<T> {
    type Value = T;

    fn parse_ref(&self, command: &clap::Command, _: Option<&clap::Arg>, value: &OsStr) -> Result<T, clap::Error> {
        // What is not UTF-8 is none of our types, and fails like the empty text.
        let text = value.to_str().unwrap_or_default();
        // Made by hand: clap's own error would repeat the value, and a URI may hold a password that belongs
        // elsewhere.
        ours::<T>(text).map_err(|message| command.clone().error(clap::error::ErrorKind::ValueValidation, message))
    }
}

/// Parses the URI of a KMS key.
pub(super) fn kms_key() -> impl TypedValueParser<Value = KmsKeyRef> {
    Unprinted::<KmsKeyRef>(PhantomData)
}

/// A KMS key of the local KMS by its name, or by its URI.
#[derive(Clone, Debug)]
struct LocalName(KmsKeyRef);

impl FromStr for LocalName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // A name has no colon, and every URI has one.
        if text.contains(':') {
            text.parse().map(Self)
        } else {
            format!("local:{text}").parse().map(Self)
        }
    }
}

/// Parses a KMS key of the local KMS: `NAME`, `alias/NAME`, or its URI.
pub(super) fn local_key() -> impl TypedValueParser<Value = KmsKeyRef> {
    Unprinted::<LocalName>(PhantomData).map(|LocalName(key)| key)
}

/// The files of policy and keys.
#[derive(Args, Debug)]
// Global, so that they may stand before or behind the subcommand.
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
    // Read from the environment by `Unlock`, and not by clap: the command line has to go before the environment
    // for all ways to unlock together.
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
    /// The `[trust.NAME]` of the policy that says which keyring and which KMS keys are trusted, if it has several
    #[arg(long, global = true, env = "CIPHERFORM_TRUST", value_name = "NAME")]
    pub(super) trust: Option<String>,
    /// Read the passphrase from the first line of this open file descriptor
    #[arg(long, global = true, value_name = "N", conflicts_with_all = ["key_file", "passphrase_file"])]
    // No passphrase as an argument: other users see the command line of a process.
    pub(super) passphrase_fd: Option<u32>,
}

/// The reason for a change, and its confirmation.
#[derive(Args, Debug)]
pub(super) struct ConfirmArgs {
    /// Why: it is recorded [default: a prompt]
    // Not required by clap: at a terminal it is asked for.
    #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
    pub(super) reason: Option<Reason>,
    /// Do not ask whether that is meant
    #[arg(long, short)]
    pub(super) yes: bool,
}

/// The form of lists.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(super) enum ListFormat {
    /// For people
    #[default]
    Table,
    /// One object a line
    Json,
}

/// The function that stretches a passphrase.
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

/// The table of a job that goes by the policy's `[columns]`.
#[derive(Args, Debug)]
pub(super) struct TableArgs {
    /// The table that `table.column` lines mean [default: the name of the file, or of the folder of Hive partitions]
    #[arg(long, value_name = "NAME")]
    // One file may hold any part of a table, so its name is only the default.
    pub(super) table: Option<String>,
}

/// Source and target of a job.
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
