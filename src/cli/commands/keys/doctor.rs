//! `cipherform keys doctor`

use std::path::Path;

use serde_json::json;

use crate::cli::args::ListFormat;
use crate::cli::report::Report;
use crate::cli::{hints, printer};
use crate::keys::{Finding, Keyring, KmsKeyRef, KmsRegistry, Timestamp};
use crate::kms::LocalKms;
use crate::policy::Policy;
use crate::{Error, Result};

/// Says how each thing is; fails like the first that is not well.
pub(super) async fn run(
    policy: &Policy,
    registry: &KmsRegistry,
    local: Option<&LocalKms>,
    report: &Report<'_>,
) -> Result<()> {
    let printer = report.printer;
    let unlogged = unlogged(policy, registry).await;
    let log = log(policy, registry).await;
    // The keyring's own registry writes each unwrapping into the log.
    let registry = match &log {
        Some((_, Ok(keyring))) => keyring.registry(),
        _ => registry,
    };
    let least = policy.keyring_generation;
    let mut findings = Keyring::examine(&policy.keyring, registry, least).await?;
    findings.extend(local.map(LocalKms::examine));
    let others = others(local, &findings);
    findings.extend(others);
    findings.extend(log.map(|(path, log)| {
        let well = log.and_then(|keyring| {
            keyring.check_audit_log()?;
            Ok("can be written".to_owned())
        });
        Finding::new(format!("audit log `{}`", path.display()), well)
    }));
    findings.extend(unlogged);
    // Everything is reported, and the exit code is that of the first failure.
    let (mut ill, mut first) = (0, None);
    for Finding {
        subject,
        outcome,
        advice,
        ..
    } in findings
    {
        if let Err(error) = &outcome {
            ill += 1;
            first.get_or_insert(error.kind());
        }
        // One object a line as each finding is known, so that a script can stop reading.
        if report.format == ListFormat::Json {
            let (well, said) = match &outcome {
                Ok(well) => (true, well.clone()),
                Err(error) => (false, error.to_string()),
            };
            let hint = outcome.as_ref().err().and_then(Error::hint).map(hints::words);
            let due = advice.as_ref().map(hints::words);
            report.json(&json!({ "subject": subject, "well": well, "said": said, "hint": hint, "due": due }))?;
            continue;
        }
        match outcome {
            Ok(well) => printer.line(format_args!("ok    {subject}: {well}"))?,
            Err(error) => {
                printer.line(format_args!("FAIL  {subject}: {error}"))?;
                if let Some(hint) = error.hint() {
                    printer.line(format_args!("      hint: {}", hints::words(hint)))?;
                }
            }
        }
        if let Some(advice) = advice {
            printer.line(format_args!("due   {subject}: {}", hints::words(&advice)))?;
        }
    }
    match first {
        None => Ok(()),
        Some(kind) => Err(Error::new(kind, format!("{} not well", printer::count(ill, "thing")))),
    }
}

/// The keyring with its log, in which the keys are written down that are looked at; nothing if there is no log, or
/// the keyring does not open, which is found anyway.
async fn log<'a>(policy: &'a Policy, registry: &KmsRegistry) -> Option<(&'a Path, Result<Keyring>)> {
    let path = policy.audit.as_deref()?;
    let keyring = Keyring::open(&policy.keyring, registry).await.ok()?;
    Some((path, keyring.with_audit_log(path)))
}

/// A keyring that has had a log, where the policy names none. That is no failure: who writes the policy may mean it.
async fn unlogged(policy: &Policy, registry: &KmsRegistry) -> Option<Finding> {
    if policy.audit.is_some() {
        return None;
    }
    let keyring = Keyring::open(&policy.keyring, registry).await.ok()?;
    let error = keyring.check_audit_log().err()?;
    Some(Finding {
        advice: error.hint().cloned(),
        ..Finding::new("audit log".to_owned(), Ok(error.message().to_owned()))
    })
}

/// KMS keys of the local KMS that the keyring does not need, and with which something is due.
fn others(local: Option<&LocalKms>, known: &[Finding]) -> Vec<Finding> {
    let Some(Ok(keys)) = local.map(LocalKms::list) else {
        // What is not well with it is found already.
        return Vec::new();
    };
    let now = Timestamp::now();
    let others = keys.iter().filter_map(|key| {
        let subject = format!("KMS key `{}`", KmsKeyRef::local(&key.name));
        let advice = Some(key.due(now)?);
        // Keys that wrap something were examined with the keyring already.
        let is_known = known.iter().any(|finding| finding.subject == subject);
        (!is_known).then(|| Finding {
            advice,
            ..Finding::new(subject, Ok(key.state.to_string()))
        })
    });
    others.collect()
}
