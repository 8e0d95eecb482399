//! Unlocking of the local KMS by arguments, else by the environment. There is no prompt.

use std::path::PathBuf;

use cipherform::keys::{Keyring, KmsRegistry};
use cipherform::kms::{self, LocalKms, Settings, Unlock};
use cipherform::policy::Policy;
use cipherform::{Error, ErrorKind, Result, Secret};

/// The caller's sources of keys.
pub(crate) struct KeyArguments {
    pub(crate) passphrase: Option<Secret<String>>,
    pub(crate) passphrase_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) local_kms: Option<PathBuf>,
    /// The `[trust.NAME]` of the policy, if it has several.
    pub(crate) trust: Option<String>,
}

impl KeyArguments {
    /// The KMS clients there are. The local KMS is unlocked only if the keyring needs it.
    pub(crate) async fn registry(self, policy: &Policy) -> Result<KmsRegistry> {
        let registry = kms::with_remote(KmsRegistry::new(), &Settings::from_environment()?);
        let trust = match &self.trust {
            Some(name) => Some(name.clone()),
            None => std::env::var("CIPHERFORM_TRUST").ok(),
        };
        let registry = registry
            .with_actor(kms::actor())
            .with_trust(policy.trust(trust.as_deref())?);
        let needed = Keyring::kms_keys(&policy.keyring)?;
        if !needed.iter().any(|key| key.scheme() == "local") {
            return Ok(registry);
        }
        let path = match self.local_kms.clone().or_else(|| path_from("CIPHERFORM_LOCAL_KMS")) {
            Some(path) => path,
            None => LocalKms::default_path()?,
        };
        let unlock = match LocalKms::guarded_unlock(&path, &registry).await? {
            Some(unlock) => unlock,
            None => self.unlock()?,
        };
        let local = LocalKms::open(path, unlock).with_actor(kms::actor());
        let local = if policy.approved_only {
            local.approved_only()
        } else {
            local
        };
        Ok(registry.with("local", local))
    }

    fn unlock(self) -> Result<Unlock> {
        // More than one is a mistake that could open another KMS than was meant.
        match (self.passphrase, self.passphrase_file, self.key_file) {
            (Some(passphrase), None, None) => Ok(Unlock::Passphrase(passphrase)),
            (None, Some(path), None) => Unlock::passphrase_file(&path),
            (None, None, Some(path)) => Ok(Unlock::KeyFile(path)),
            (None, None, None) => Unlock::from_environment()?.ok_or_else(|| {
                Error::new(
                    ErrorKind::KeyNotUsable,
                    "the local KMS needs a passphrase or a key file",
                )
                .with_hint(
                    "pass passphrase=, passphrase_file= or key_file=, or set CIPHERFORM_PASSPHRASE or \
                     CIPHERFORM_KEY_FILE",
                )
            }),
            _ => Err(Error::bad_input(
                "give one of passphrase, passphrase_file and key_file, not several",
            )),
        }
    }
}

fn path_from(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}
