//! `cipherform keys policy get | put | simulate`

use serde_json::json;

use super::ledger::{Due, Ledger, entry};
use super::{Told, in_local};
use crate::cli::args::{KeyArgs, ListFormat, PolicyCommand, PolicyTarget};
use crate::cli::session;
use crate::keys::{AuditEntry, AuditEvent, DataKeyId, KeyVersionId, KeyringId, WrapContext};
use crate::kms::{self, KeyPolicy};
use crate::policy::Policy;
use crate::{Error, Result, fs};

pub(super) async fn run(command: PolicyCommand, keys: &KeyArgs, policy: &Policy, told: &Told<'_>) -> Result<()> {
    let clients = session::clients(keys, policy.approved_only, true).await?;
    let Some(local) = clients.local.as_deref() else {
        return Err(Error::bug("the local KMS was wanted, and is not there"));
    };
    match command {
        PolicyCommand::Get { target } => {
            let found = match target {
                PolicyTarget { key: Some(key), .. } => in_local(Some(local), &key)?.key_policy(&key)?,
                PolicyTarget { identity, .. } => {
                    let identity = identity.unwrap_or_default();
                    local.identity_policy(&identity)?.ok_or_else(|| {
                        Error::bad_input(format!("no policy is attached to `{identity}`")).with_hint(
                            "attach one: `cipherform keys policy put --identity`; without one, the policies of the keys decide",
                        )
                    })?
                }
            };
            match told.format {
                ListFormat::Json => told.json(&found),
                ListFormat::Table => {
                    let text = serde_json::to_string_pretty(&found);
                    told.printer
                        .line(text.map_err(|error| Error::bug("a policy that JSON cannot hold").with_source(error))?)
                }
            }
        }
        PolicyCommand::Put {
            target,
            file,
            bypass_lockout_check,
            reason,
        } => {
            let json = fs::read(&file)?;
            let in_file = |error: Error| error.context(format_args!("`{}`", file.display()));
            let ledger = Ledger::open(policy, &clients, Due::IsDone, told.printer).await?;
            let audited = |entry: AuditEntry| AuditEntry {
                reason: Some(reason.clone()),
                ..entry
            };
            let (what, document) = match target {
                PolicyTarget { key: Some(key), .. } => {
                    let document = KeyPolicy::parse_for_key(&json).map_err(in_file)?;
                    let local = in_local(Some(local), &key)?;
                    let put = async || local.put_key_policy(&key, document.clone(), bypass_lockout_check, &reason);
                    ledger
                        .around(audited(entry(AuditEvent::Policy, &key, None)), put)
                        .await?;
                    (
                        format!("`{}` is the policy of KMS key `{key}` from now on.", file.display()),
                        document,
                    )
                }
                PolicyTarget { identity, .. } => {
                    let identity = identity.unwrap_or_default();
                    let document = KeyPolicy::parse_for_identity(&json).map_err(in_file)?;
                    let entry = AuditEntry {
                        context: Some(format!("identity {identity}")),
                        ..AuditEntry::new(AuditEvent::Policy)
                    };
                    let put = async || local.put_identity_policy(&identity, document.clone(), &reason);
                    ledger.around(audited(entry), put).await?;
                    let what = match document.is_empty() {
                        true => format!("No policy is attached to `{identity}` any more."),
                        false => format!("`{}` is attached to `{identity}` from now on.", file.display()),
                    };
                    (what, document)
                }
            };
            told.printer.say(what);
            told.printer
                .say(format_args!("Back up `{}`: it has changed.", local.path().display()));
            match told.format {
                ListFormat::Json => told.json(&document),
                ListFormat::Table => Ok(()),
            }
        }
        PolicyCommand::Simulate {
            key,
            principal,
            action,
            context,
        } => {
            let principal = principal.unwrap_or_else(kms::actor);
            let context = wrap_context(&context)?;
            let local = in_local(Some(local), &key)?;
            let decision = local.simulate(&key, &principal, action, context.as_ref())?;
            match told.format {
                ListFormat::Json => told.json(&json!({
                    "kms_key": key, "principal": principal, "action": action.as_str(),
                    "allowed": decision.is_allowed(), "decision": decision.to_string(),
                })),
                ListFormat::Table => told
                    .printer
                    .line(format_args!("{principal}, {action} with {key}: {decision}")),
            }
        }
    }
}

/// The context that the command line says; what it leaves out is zero, and the use `derive`.
fn wrap_context(fields: &[(String, String)]) -> Result<Option<WrapContext>> {
    if fields.is_empty() {
        return Ok(None);
    }
    let mut context = WrapContext {
        keyring: KeyringId::from_bytes([0; 16]),
        data_key: DataKeyId::from_bytes([0; 16]),
        version: KeyVersionId::from_bytes([0; 16]),
        key_use: "derive".to_owned(),
    };
    for (field, value) in fields {
        match field.as_str() {
            "keyring" => context.keyring = value.parse()?,
            "data-key" => context.data_key = value.parse()?,
            "version" => context.version = value.parse()?,
            _ => context.key_use = value.clone(),
        }
    }
    Ok(Some(context))
}
