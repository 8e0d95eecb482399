//! Authorization by key policies: guardrails, since whoever unlocks the file could change it with other tools.

use super::history::record;
use super::info::LocalKeyInfo;
use super::local_kms::{LocalKms, in_file};
use super::lookup::find;
use super::model::{IdentityEntry, LocalKeyEntry, LocalKmsContent};
use crate::keys::{KmsKeyRef, Reason, WrapContext};
use crate::kms::local::key_policy::{AccessDecision, AccessRequest, KeyPolicy, KmsAction, evaluate};
use crate::{Error, ErrorKind, Hint, Remedy, Result};

impl LocalKms {
    /// Returns the policy of a key: [`KeyPolicy::everybody`] until another one is set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotAllowed`] if the policy does not allow reading it; [`ErrorKind::KeyNotFound`].
    pub fn key_policy(&self, key: &KmsKeyRef) -> Result<KeyPolicy> {
        let (path, name) = self.locate(key)?;
        let (content, _) = self.content(&path)?;
        let policy = || {
            let entry = find(&content, &name)?;
            self.authorize(&content, entry, KmsAction::GetKeyPolicy, None)?;
            Ok(entry.policy.clone().unwrap_or_else(KeyPolicy::everybody))
        };
        policy().map_err(|error| in_file(&path, error))
    }

    /// Replaces the policy of a key. Unless `bypass_lockout_check`, the new one must allow the caller to replace it
    /// again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotAllowed`] if the present policy does not allow it, or the new one would lock out the caller;
    /// [`ErrorKind::KeyNotFound`].
    pub fn put_key_policy(
        &self,
        key: &KmsKeyRef,
        policy: KeyPolicy,
        bypass_lockout_check: bool,
        reason: &Reason,
    ) -> Result<LocalKeyInfo> {
        self.with_key(key, KmsAction::PutKeyPolicy, |content, id, _| {
            let entry = content.key_mut(id)?;
            entry.policy = (policy != KeyPolicy::everybody()).then_some(policy);
            record(entry, "put key policy", &self.context, Some(reason));
            let entry = entry.clone();
            // Evaluated on the new policy, before anything is written: a refusal leaves the file as it
            // is. AWS KMS has the same check, and the same way around it.
            match self.authorize(content, &entry, KmsAction::PutKeyPolicy, None) {
                Err(error) if !bypass_lockout_check => Err(Error::new(
                    ErrorKind::NotAllowed,
                    "under this policy you could not replace it again",
                )
                .with_source(error)
                .with_hint(Hint::from("allow yourself kms:PutKeyPolicy, or ").then(Remedy::BypassLockoutCheck))),
                _ => Ok(()),
            }
        })
    }

    /// Returns the policy of an identity, if there is one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`] if the file does not unlock.
    pub fn identity_policy(&self, identity: &str) -> Result<Option<KeyPolicy>> {
        let (content, _) = self.content(self.path())?;
        let found = content.identities.into_iter().find(|entry| entry.name == identity);
        Ok(found.map(|entry| entry.policy))
    }

    /// Replaces the policy of an identity, `user@host`; one without statements removes it. It counts where the policy
    /// of a key refers to identity policies, and its denials count everywhere.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongKey`] if the file does not unlock.
    pub fn put_identity_policy(&self, identity: &str, policy: KeyPolicy, reason: &Reason) -> Result<()> {
        self.change(self.path(), |content, _| {
            // Identities have no history, and the change concerns every key.
            for key in &mut content.keys {
                let what = format!("put policy of identity `{identity}`");
                record(key, &what, &self.context, Some(reason));
            }
            content.identities.retain(|entry| entry.name != identity);
            if !policy.is_empty() {
                content.identities.push(IdentityEntry {
                    name: identity.to_owned(),
                    policy,
                });
            }
            Ok(())
        })
    }

    /// Evaluates the policies for a request without making it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotFound`]; [`ErrorKind::WrongKey`] if the file does not unlock.
    pub fn simulate(
        &self,
        key: &KmsKeyRef,
        principal: &str,
        action: KmsAction,
        context: Option<&WrapContext>,
    ) -> Result<AccessDecision> {
        let (path, name) = self.locate(key)?;
        let (content, _) = self.content(&path)?;
        let entry = find(&content, &name).map_err(|error| in_file(&path, error))?;
        // No authorization of the one who asks: whoever unlocks the file can read all policies in it
        // anyway.
        Ok(decide(&content, entry, principal, action, context))
    }

    /// Checks that the policies allow the actor an action.
    pub(super) fn authorize(
        &self,
        content: &LocalKmsContent,
        key: &LocalKeyEntry,
        action: KmsAction,
        context: Option<&WrapContext>,
    ) -> Result<()> {
        // A claim of this process. So the policies bind those who keep to it, as the manual says.
        let who = self.context.actor();
        match decide(content, key, who, action, context) {
            decision if decision.is_allowed() => Ok(()),
            decision => {
                let name = &key.name;
                let message = format!("KMS key `{name}`: `{who}` may not {action}: {decision}");
                let hint = Hint::from("whoever may kms:PutKeyPolicy can change the policy of the key: ")
                    .then(Remedy::ReadKeyPolicy(format!("local:{name}")));
                let attached = content.identities.iter().any(|entry| entry.name == who);
                let hint = if attached {
                    hint.then("; whoever unlocks the file can change that of the identity: ")
                        .then(Remedy::ReadIdentityPolicy(who.to_owned()))
                } else {
                    hint
                };
                Err(Error::new(ErrorKind::NotAllowed, message).with_hint(hint))
            }
        }
    }
}

fn decide(
    content: &LocalKmsContent,
    key: &LocalKeyEntry,
    principal: &str,
    action: KmsAction,
    context: Option<&WrapContext>,
) -> AccessDecision {
    let everybody;
    let policy = match &key.policy {
        Some(policy) => policy,
        None => {
            everybody = KeyPolicy::everybody();
            &everybody
        }
    };
    // By the exact name: patterns are for the statements of keys.
    let attached = content.identities.iter().filter(|entry| entry.name == principal);
    let attached: Vec<_> = attached.map(|entry| &entry.policy).collect();
    // The name and never the path or an alias, so that a statement means the key however it was reached.
    let resource = KmsKeyRef::local(&key.name);
    let request = AccessRequest {
        principal,
        action,
        resource: resource.as_str(),
        context,
    };
    evaluate(policy, &attached, &request)
}
