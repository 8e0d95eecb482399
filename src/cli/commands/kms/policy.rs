//! `cipherform kms policy get | put | simulate`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::args::{ListFormat, local_key, ours};
use crate::cli::audited::{AuditedKms, Scheduled, entry};
use crate::cli::report::Report;
use crate::cli::session::{Clients, in_local};
use crate::keys::{AuditEntry, AuditEvent, DataKeyId, KeyVersionId, KeyringId, KmsKeyRef, Reason, WrapContext};
use crate::kms::{self, KeyPolicy, KmsAction, LocalKms};
use crate::policy::Policy;
use crate::{Error, Result, fs};

/// The verbs for policies of KMS keys and identities.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Show the policy of a KMS key, or that of an identity
    Get {
        #[command(flatten)]
        target: PolicyTarget,
    },
    /// Put another policy in its place
    #[command(after_help = "\
Examples:
  cipherform kms policy put local:main --file main.json --reason 'only the jobs reveal'
  cipherform kms policy put --identity ann@laptop --file ann.json --reason 'on leave'

main.json:
  { \"Version\": \"2012-10-17\", \"Statement\": [
    { \"Sid\": \"admin\", \"Effect\": \"Allow\", \"Principal\": { \"User\": \"ann@laptop\" }, \"Action\": \"kms:*\", \
        \"Resource\": \"*\" },
    { \"Sid\": \"jobs\", \"Effect\": \"Allow\", \"Principal\": { \"User\": \"etl@*\" }, \"Action\": \"kms:Decrypt\", \
        \"Resource\": \"*\" } ] }

Principals are \"*\", { \"User\": … }, and \"identity-policies\", which leaves the decision to the policy of the \
    identity. The policy of an identity
names no principal; one without statements takes it away.")]
    Put {
        #[command(flatten)]
        target: PolicyTarget,
        /// The policy, JSON
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// Put it even if it does not allow you to put another one
        #[arg(long, conflicts_with = "identity")]
        bypass_lockout_check: bool,
        /// Why: it is recorded
        #[arg(long, value_name = "TEXT", value_parser = ours::<Reason>)]
        reason: Reason,
    },
    /// Show whether the policies would allow a request; nothing is done
    #[command(after_help = "\
Example:
  cipherform kms policy simulate local:main --principal etl@batch-7 --action kms:Decrypt --context use=derive")]
    Simulate {
        /// The KMS key: NAME, alias/NAME, or its URI
        #[arg(value_name = "KMS KEY", value_parser = local_key())]
        key: KmsKeyRef,
        /// Who, user@host [default: you]
        #[arg(long, value_name = "WHO")]
        principal: Option<String>,
        /// What, as kms:Decrypt
        #[arg(long, value_parser = ours::<KmsAction>)]
        action: KmsAction,
        /// A field that the wrapped bytes are bound to: keyring, data-key, version (ids), or use
        #[arg(long, value_name = "FIELD=VALUE", value_parser = context_field)]
        context: Vec<(String, String)>,
    },
}

/// The key or identity that a policy is of.
// Exactly one of the two: clap checks the group, so the code below need not.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct PolicyTarget {
    /// The KMS key: NAME, alias/NAME, or its URI
    #[arg(value_name = "KMS KEY", value_parser = local_key())]
    pub(super) key: Option<KmsKeyRef>,
    /// The identity, user@host
    #[arg(long, value_name = "WHO")]
    pub(super) identity: Option<String>,
}

// The fields of the wrap context, and no others: a misspelt one would never match.
fn context_field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, value)) if ["keyring", "data-key", "version", "use"].contains(&field) => {
            Ok((field.to_owned(), value.to_owned()))
        }
        _ => Err("write FIELD=VALUE, where FIELD is keyring, data-key, version or use".to_owned()),
    }
}

pub(super) async fn run(
    command: PolicyCommand,
    policy: &Policy,
    clients: &Clients,
    local: &LocalKms,
    report: &Report<'_>,
) -> Result<()> {
    match command {
        PolicyCommand::Get { target } => get(&target, local, report),
        PolicyCommand::Put {
            target,
            file,
            bypass_lockout_check,
            reason,
        } => {
            // Read before the log is opened.
            let json = fs::read(&file)?;
            let audited = AuditedKms::open(policy, clients, Scheduled::Run, report.printer).await?;
            let put = PutPolicy {
                file: &file,
                json: &json,
                reason: &reason,
                audited: &audited,
                local,
            };
            // The group of clap has exactly one of them.
            let (what, document) = match (&target.key, &target.identity) {
                (Some(key), _) => put.for_key(key, bypass_lockout_check).await?,
                (None, identity) => put.for_identity(identity.as_deref().unwrap_or_default()).await?,
            };
            let printer = report.printer;
            printer.say(what);
            printer.say(format_args!("Back up `{}`: it has changed.", local.path().display()));
            match report.format {
                ListFormat::Json => report.json(&document),
                ListFormat::Table => Ok(()),
            }
        }
        PolicyCommand::Simulate {
            key,
            principal,
            action,
            context,
        } => {
            // Simulated for the person who asks, unless somebody else is named.
            let principal = principal.unwrap_or_else(kms::actor);
            let context = wrap_context(&context)?;
            let local = in_local(Some(local), &key)?;
            // Nothing is wrapped or unwrapped: the same evaluation as a request, without the request.
            let decision = local.simulate(&key, &principal, action, context.as_ref())?;
            match report.format {
                ListFormat::Json => report.json(&json!({
                    "kms_key": key, "principal": principal, "action": action.as_str(),
                    "allowed": decision.is_allowed(), "decision": decision.to_string(),
                })),
                ListFormat::Table => report
                    .printer
                    .line(format_args!("{principal}, {action} with {key}: {decision}")),
            }
        }
    }
}

fn get(target: &PolicyTarget, local: &LocalKms, report: &Report<'_>) -> Result<()> {
    let found = match (&target.key, &target.identity) {
        (Some(key), _) => in_local(Some(local), key)?.key_policy(key)?,
        (None, identity) => {
            let identity = identity.as_deref().unwrap_or_default();
            local.identity_policy(identity)?.ok_or_else(|| {
                Error::bad_input(format!("no policy is attached to `{identity}`")).with_hint(
                    "attach one: `cipherform kms policy put --identity`; without one, the policies of the keys decide",
                )
            })?
        }
    };
    match report.format {
        ListFormat::Json => report.json(&found),
        ListFormat::Table => {
            let text = serde_json::to_string_pretty(&found);
            let text = text.map_err(|error| Error::bug("a policy that JSON cannot hold").with_source(error))?;
            report.printer.line(text)
        }
    }
}

/// A policy that is to be put in the place of another.
struct PutPolicy<'a> {
    file: &'a Path,
    json: &'a [u8],
    reason: &'a Reason,
    audited: &'a AuditedKms<'a>,
    local: &'a LocalKms,
}

impl PutPolicy<'_> {
    async fn for_key(&self, key: &KmsKeyRef, bypass_lockout_check: bool) -> Result<(String, KeyPolicy)> {
        // Parsed before the entry, so that a policy with a mistake leaves none.
        let document = KeyPolicy::parse_for_key(self.json).map_err(|error| self.in_file(error))?;
        let local = in_local(Some(self.local), key)?;
        // The lockout check is the KMS's: it knows who asks.
        let put = async || local.put_key_policy(key, document.clone(), bypass_lockout_check, self.reason);
        self.audited
            .around(self.entry(entry(AuditEvent::Policy, key, None)), put)
            .await?;
        let file = self.file.display();
        Ok((
            format!("`{file}` is the policy of KMS key `{key}` from now on."),
            document,
        ))
    }

    async fn for_identity(&self, identity: &str) -> Result<(String, KeyPolicy)> {
        let document = KeyPolicy::parse_for_identity(self.json).map_err(|error| self.in_file(error))?;
        let entry = AuditEntry {
            context: Some(format!("identity {identity}")),
            ..AuditEntry::new(AuditEvent::Policy)
        };
        let put = async || self.local.put_identity_policy(identity, document.clone(), self.reason);
        self.audited.around(self.entry(entry), put).await?;
        // An empty policy takes the attachment away.
        let what = if document.is_empty() {
            format!("No policy is attached to `{identity}` any more.")
        } else {
            format!("`{}` is attached to `{identity}` from now on.", self.file.display())
        };
        Ok((what, document))
    }

    fn entry(&self, entry: AuditEntry) -> AuditEntry {
        AuditEntry {
            reason: Some(self.reason.clone()),
            ..entry
        }
    }

    fn in_file(&self, error: Error) -> Error {
        error.context(format_args!("`{}`", self.file.display()))
    }
}

/// The context that the command line says; what it leaves out is zero, and the use `derive`.
fn wrap_context(fields: &[(String, String)]) -> Result<Option<WrapContext>> {
    // Without any field, conditions on the context are evaluated as for a request without one.
    if fields.is_empty() {
        return Ok(None);
    }
    // Ids of zeros match no real key, so a condition on one that was left out is false.
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
