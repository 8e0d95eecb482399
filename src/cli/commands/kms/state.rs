//! `cipherform kms enable | disable | schedule-deletion | cancel-deletion`

use clap::Args;

use super::change::Change;
use crate::Result;
use crate::cli::args::{ConfirmArgs, local_key};
use crate::cli::audited::entry;
use crate::keys::{AuditEntry, AuditEvent, Keyring, KmsKeyRef, Reason};
use crate::kms::{LocalKeyInfo, LocalKms};
use crate::policy::Policy;

/// A change of a KMS key of the local KMS.
#[derive(Args, Debug)]
pub(super) struct KmsKeyArgs {
    /// The KMS key: NAME, alias/NAME, or its URI
    #[arg(value_name = "KMS KEY", value_parser = local_key())]
    pub(super) key: KmsKeyRef,
    #[command(flatten)]
    pub(super) confirm: ConfirmArgs,
}

/// Delete a KMS key after a waiting period, in which it wraps and unwraps nothing.
#[derive(Args, Debug)]
#[command(after_help = "\
What it wraps is lost with it. After the waiting period the material is erased by the first command that changes a key;
until then `cancel-deletion` brings the key back, disabled. Backups of the file still have it, sealed.")]
pub(super) struct ScheduleDeletionArgs {
    #[command(flatten)]
    pub(super) args: KmsKeyArgs,
    /// Days to wait, 7 to 30
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    days: u32,
}

pub(super) async fn enable(args: &KmsKeyArgs, change: Change<'_>) -> Result<()> {
    let state = NewState {
        name: "enabled",
        consequence: None,
        words: "it wraps and unwraps.".to_owned(),
    };
    state
        .set(args, change, |local, reason| local.enable(&args.key, reason))
        .await
}

pub(super) async fn disable(args: &KmsKeyArgs, change: Change<'_>) -> Result<()> {
    let state = NewState {
        name: "disabled",
        consequence: None,
        words: "it wraps and unwraps nothing.".to_owned(),
    };
    state
        .set(args, change, |local, reason| local.disable(&args.key, reason))
        .await
}

pub(super) async fn schedule_deletion(
    ScheduleDeletionArgs { args, days }: &ScheduleDeletionArgs,
    policy: &Policy,
    change: Change<'_>,
) -> Result<()> {
    let keyring = policy.keyring.display();
    // Known before the question is asked: the keyring that needs the key is named in it.
    let (before, after) = if is_needed(&args.key, change.local, policy)? {
        (
            format!(" `{keyring}` needs it: `cipherform keys rewrap --to` another KMS key first."),
            format!(
                " `{keyring}` needs it: take it back, enable it, and `cipherform keys rewrap --to` another KMS key, \
                 or its \
                 keys are lost as well."
            ),
        )
    } else {
        Default::default()
    };
    let state = NewState {
        name: "pending-deletion",
        // Confirmed although it can be taken back: meanwhile nothing under it can be revealed.
        consequence: Some(format!(
            "In {days} days its material is erased, and what it wraps is lost.{before}"
        )),
        words: format!("its material is erased in {days} days; `cancel-deletion` takes that back.{after}"),
    };
    let act = |local: &LocalKms, reason: &Reason| local.schedule_deletion(&args.key, *days, reason);
    state.set(args, change, act).await
}

pub(super) async fn cancel_deletion(args: &KmsKeyArgs, change: Change<'_>) -> Result<()> {
    let state = NewState {
        name: "disabled",
        consequence: None,
        words: format!(
            "it is not deleted. `cipherform kms enable {}` brings it back into use.",
            args.key
        ),
    };
    let act = |local: &LocalKms, reason: &Reason| local.cancel_deletion(&args.key, reason);
    state.set(args, change, act).await
}

/// A state that a KMS key is to have.
struct NewState {
    name: &'static str,
    /// The consequence that has to be confirmed.
    consequence: Option<String>,
    words: String,
}

impl NewState {
    async fn set(
        self,
        args: &KmsKeyArgs,
        change: Change<'_>,
        act: impl FnOnce(&LocalKms, &Reason) -> Result<LocalKeyInfo>,
    ) -> Result<()> {
        let Self {
            name,
            consequence,
            words,
        } = self;
        // Before the entry, as a refusal at the prompt is no attempt.
        let reason = change.confirm(&args.key, &args.confirm, consequence.as_deref())?;
        let entry = AuditEntry {
            reason: Some(reason.clone()),
            ..entry(AuditEvent::State, &args.key, Some(format!("to {name}")))
        };
        let words = |_: &_| format!("KMS key `{}` is {name} now: {words}", args.key);
        change.make(entry, async |local| act(local, &reason), words).await
    }
}

/// Tells whether the policy's keyring needs the key, under its name or another.
// Compared by id: keyring and command may name the key by name, alias or path.
fn is_needed(key: &KmsKeyRef, local: &LocalKms, policy: &Policy) -> Result<bool> {
    let Ok(key) = local.key(key) else {
        // Who may not see it is told so by what is asked for.
        return Ok(false);
    };
    let needed = Keyring::kms_keys(&policy.keyring)?;
    let mut local_keys = needed.iter().filter(|key| key.scheme() == "local");
    // What is not there cannot be this one.
    Ok(local_keys.any(|needed| local.key(needed).is_ok_and(|needed| needed.id == key.id)))
}
