//! `cipherform kms get-parameters-for-import | import-material | delete-material`

use std::path::PathBuf;

use clap::Args;
use rsa::pkcs8::LineEnding;
use rsa::pkcs8::der::pem;

use super::change::Change;
use super::state::KmsKeyArgs;
use crate::cli::args::{local_key, ours};
use crate::cli::audited::entry;
use crate::keys::{AuditEntry, AuditEvent, KmsKeyRef, Reason, Timestamp};
use crate::{Error, Result, fs};

/// Make a public key, and a token that goes with it, to wrap material for a KMS key with origin external.
#[derive(Args, Debug)]
#[command(after_help = "\
Both are good once, for 24 hours. Example, with material of 32 random bytes:
  cipherform kms get-parameters-for-import ours --public-key wrapping.pem --token import.token
  openssl pkeyutl -encrypt -pubin -inkey wrapping.pem -in material.bin -out wrapped.bin \\
-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256
  cipherform kms import-material ours --material wrapped.bin --token import.token --reason 'ceremony of 3 May'")]
pub(super) struct ParametersForImportArgs {
    /// The KMS key: NAME, alias/NAME, or its URI
    #[arg(value_name = "KMS KEY", value_parser = local_key())]
    pub(super) key: KmsKeyRef,
    /// Write the public key to this file (RSA, PEM)
    #[arg(long, value_name = "FILE")]
    pub(super) public_key: PathBuf,
    /// Write the token to this file
    #[arg(long, value_name = "FILE")]
    pub(super) token: PathBuf,
}

/// Import material into a KMS key with origin external; once it has had some, only the same again.
#[derive(Args, Debug)]
pub(super) struct ImportMaterialArgs {
    /// The KMS key: NAME, alias/NAME, or its URI
    #[arg(value_name = "KMS KEY", value_parser = local_key())]
    pub(super) key: KmsKeyRef,
    /// The material, wrapped by RSA-OAEP with SHA-256
    #[arg(long, value_name = "FILE")]
    pub(super) material: PathBuf,
    /// The token that came with the public key
    #[arg(long, value_name = "FILE")]
    pub(super) token: PathBuf,
    /// Erase it at this time, such as 2027-01-01T00:00:00Z [default: never]
    #[arg(long, value_name = "TIME", value_parser = ours::<Timestamp>)]
    pub(super) valid_to: Option<Timestamp>,
    /// Why: it is recorded
    #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
    pub(super) reason: Reason,
}

pub(super) async fn parameters(args: &ParametersForImportArgs, change: Change<'_>) -> Result<()> {
    let ParametersForImportArgs { key, public_key, token } = args;
    // Before those that were given out last are invalidated.
    for path in [public_key, token] {
        if path.symlink_metadata().is_ok() {
            return Err(Error::bad_input(format!("`{}` exists already", path.display()))
                .with_hint("name another file, or take that one away"));
        }
    }
    let entry = entry(AuditEvent::ImportMaterial, key, Some("get parameters".to_owned()));
    let act = async |local: &crate::kms::LocalKms| {
        // A new pair replaces the last one, in the sealed file.
        let parameters = local.parameters_for_import(key)?;
        fs::create_atomic(
            public_key,
            public_key_pem(&parameters.public_key)?.as_bytes(),
            fs::PRIVATE,
        )?;
        fs::create_atomic(token, format!("{}\n", parameters.token).as_bytes(), fs::PRIVATE)?;
        local.key(key)
    };
    let words = |_: &_| {
        format!(
            "Wrote `{}` and `{}`: wrap 32 bytes with the one, and give both to `cipherform kms import-material` \
             within 24 \
             hours.",
            public_key.display(),
            token.display(),
        )
    };
    change.make(entry, act, words).await
}

pub(super) async fn import(args: &ImportMaterialArgs, change: Change<'_>) -> Result<()> {
    // Both files are read before the entry is made: a wrong path is no attempt.
    let (wrapped, token) = (fs::read(&args.material)?, fs::read(&args.token)?);
    // A token is ASCII; what is not fails when it is compared.
    let token = String::from_utf8_lossy(&token).into_owned();
    let (key, reason) = (&args.key, &args.reason);
    let entry = AuditEntry {
        reason: Some(reason.clone()),
        ..entry(AuditEvent::ImportMaterial, key, None)
    };
    let with = format!("`{}` with `{}`", args.material.display(), args.token.display());
    // The KMS checks the token, and that the material is the same as before if there was some.
    let act = async |local: &crate::kms::LocalKms| {
        let imported = local.import_material(key, &wrapped, &token, args.valid_to, reason);
        imported.map_err(|error| error.context(&with))
    };
    change
        .make(entry, act, |_| format!("KMS key `{key}` has its material."))
        .await
}

// The material can come back, from the person who has it, so this is no deletion of the key.
pub(super) async fn delete(args: &KmsKeyArgs, change: Change<'_>) -> Result<()> {
    let key = &args.key;
    let consequence = "It wraps and unwraps nothing until the same material is imported again.";
    let reason = change.confirm(key, &args.confirm, Some(consequence))?;
    let entry = AuditEntry {
        reason: Some(reason.clone()),
        ..entry(AuditEvent::DeleteMaterial, key, None)
    };
    let act = async |local: &crate::kms::LocalKms| local.delete_imported_material(key, &reason);
    change
        .make(entry, act, |_| format!("The material of KMS key `{key}` is erased."))
        .await
}

/// Encodes a public key in PEM.
pub(super) fn public_key_pem(der: &[u8]) -> Result<String> {
    pem::encode_string("PUBLIC KEY", LineEnding::LF, der)
        .map_err(|error| Error::bug("a public key that PEM cannot hold").with_source(error))
}
