//! `cipherform tokens stats | export | expire | delete | reindex | reseal`

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cipher::Direction;
use crate::cli::args::{ConfirmArgs, KeyArgs, ListFormat};
use crate::cli::confirm::confirm_for;
use crate::cli::printer::{Printer, count};
use crate::cli::session;
use crate::keys::{AuditEntry, AuditEvent, Reason, Timestamp};
use crate::policy::{Rule, RuleRef};
use crate::tokens::{DomainStats, Emptied, Progress, Remains, StoreUrl, Tokenizer};
use crate::transform::{Engine, Transform};
use crate::{Error, Result, Secret};

/// Rows that are exported at a time.
// Bounds the memory of an export, whatever the size of the store.
const PAGE: usize = 4096;

/// Look after the token stores of the policy.
#[derive(Args, Debug)]
pub(in crate::cli) struct TokensArgs {
    #[command(subcommand)]
    pub(in crate::cli) command: TokensCommand,
    /// How results are written
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(in crate::cli) format: ListFormat,
}

/// The verbs for token stores.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TokensCommand {
    /// Count the tokens of each rule: those in use, forgotten and expired, and how full the fullest token space is
    Stats,
    /// Write out the rows of a rule, sealed as they are: no value is revealed
    Export {
        /// The rule
        rule: String,
    },
    /// Forget what has expired, of one rule or of all
    Expire {
        /// The rule
        rule: Option<String>,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Forget values for ever: their tokens stay taken, and can never be revealed again
    ///
    /// Ends with code 1 if one of them was not there; the others are forgotten all the same.
    #[command(after_help = "\
Examples:
  cipherform tokens delete account tok_3kTMd1Rz0QKvN5LxwY8CbA
  cipherform tokens delete ssn --values forget.txt --yes --reason 'request 4711'
      one value a line; `-` reads stdin, so that no value is in a shell's history")]
    Delete {
        /// The rule
        rule: String,
        /// The tokens
        #[arg(required_unless_present = "values")]
        tokens: Vec<String>,
        /// Forget the values in this file, one a line, instead
        #[arg(long, value_name = "FILE", conflicts_with = "tokens")]
        values: Option<PathBuf>,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Find values by the active key version from now on, and give rows new tags; nothing is minted meanwhile
    Reindex {
        /// The rule
        rule: String,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
    /// Seal with the active key version what an older one has sealed; tokens stay, and others may go on working
    Reseal {
        /// The rule; else all
        rule: Option<String>,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
}

pub(in crate::cli) async fn run(args: TokensArgs, keys: &KeyArgs, printer: &Printer) -> Result<()> {
    let engine = session::engine(keys).await?;
    let session = TokenSession {
        engine,
        format: args.format,
        printer,
    };
    match args.command {
        TokensCommand::Stats => session.stats().await,
        TokensCommand::Export { rule } => session.export(&rule).await,
        TokensCommand::Expire { rule, confirm } => session.expire(rule.as_deref(), &confirm).await,
        TokensCommand::Delete {
            rule,
            tokens,
            values,
            confirm,
        } => session.delete(&rule, tokens, values.as_deref(), &confirm).await,
        TokensCommand::Reindex { rule, confirm } => session.reindex(&rule, &confirm).await,
        TokensCommand::Reseal { rule, confirm } => session.reseal(rule.as_deref(), &confirm).await,
    }
}

/// A change of a rule's tokens, for the audit log.
struct TokenChange<'a> {
    rule: &'a Rule,
    event: AuditEvent,
    reason: &'a Reason,
    /// The number of tokens or values that were named.
    asked: Option<u64>,
}

impl<'a> TokenChange<'a> {
    fn new(rule: &'a Rule, event: AuditEvent, reason: &'a Reason) -> Self {
        Self {
            rule,
            event,
            reason,
            asked: None,
        }
    }
}

struct TokenSession<'a> {
    engine: Engine,
    format: ListFormat,
    printer: &'a Printer,
}

impl TokenSession<'_> {
    async fn stats(&self) -> Result<()> {
        // Rules may share a store: it is asked once.
        let mut stores: HashMap<StoreUrl, Vec<DomainStats>> = HashMap::new();
        let mut table = vec![
            [
                "RULE",
                "STORE",
                "TOKENS",
                "FORGOTTEN",
                "EXPIRED",
                "FULLEST SPACE",
                "FOUND BY",
            ]
            .map(String::from),
        ];
        for rule in self.rules(None)? {
            let url = store_of(rule)?;
            // A rule that has minted nothing has no store yet. It must not be made by looking.
            if self.is_missing(rule, url) {
                continue;
            }
            let transform = self.resolve(rule, Direction::Decrypt).await?;
            let tokenizer = tokenizer(&transform)?;
            if !stores.contains_key(url) {
                let stats = tokenizer.store().stats(now()).await?;
                stores.insert(url.clone(), stats);
            }
            let domain = tokenizer.domain();
            // Several rules of one domain share their tokens, so the line is the same for each.
            let stats = stores[url].iter().find(|stats| stats.domain == domain);
            if self.format == ListFormat::Json {
                self.printer.line(json!({
                    "rule": rule.name,
                    "store": url.to_string(),
                    "domain": domain,
                    "tokens": stats.map_or(0, |stats| stats.tokens),
                    "forgotten": stats.map_or(0, |stats| stats.emptied),
                    "expired": stats.map_or(0, |stats| stats.expired),
                    "fullest_percent": stats.and_then(|stats| stats.fullest_percent),
                    "index_key_version_id": stats.map(|stats| stats.index_key),
                    "reindexing_to": stats.and_then(|stats| stats.reindexing_to),
                }))?;
                continue;
            }
            let number = |of: fn(&DomainStats) -> u64| stats.map_or(0, of).to_string();
            table.push([
                rule.name.clone(),
                url.to_string(),
                number(|stats| stats.tokens),
                number(|stats| stats.emptied),
                number(|stats| stats.expired),
                match stats.and_then(|stats| stats.fullest_percent) {
                    None => "-".to_owned(),
                    Some(percent) => format!("{percent:.1} %"),
                },
                match stats {
                    None => "-".to_owned(),
                    Some(stats) => self.version(rule, stats)?,
                },
            ]);
        }
        match self.format {
            ListFormat::Table => self.printer.table(&table),
            ListFormat::Json => Ok(()),
        }
    }

    /// The key version that values are found by, as a person knows it.
    fn version(&self, rule: &Rule, stats: &DomainStats) -> Result<String> {
        let key = self.engine.keyring().describe(&rule.key.name)?;
        // The version may be gone from the keyring; then only its id is known.
        let named = |id| match key.versions.iter().find(|version| version.id == id) {
            Some(version) => format!("{}@{}", key.name, version.number),
            None => format!("{id}"),
        };
        Ok(match stats.reindexing_to {
            None => named(stats.index_key),
            Some(to) => format!("{}, being changed to {}", named(stats.index_key), named(to)),
        })
    }

    async fn export(&self, rule: &str) -> Result<()> {
        let transform = self.named(rule, Direction::Decrypt).await?;
        let tokenizer = tokenizer(&transform)?;
        let (domain, mut after) = (tokenizer.domain(), None);
        loop {
            let page = tokenizer.store().scan(&domain, after, PAGE).await?;
            // Pages go by token, so rows that come or go meanwhile do not shift those that follow.
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.token.clone());
            for record in page {
                // Ciphertext and the index value: an export reveals nothing without the keys.
                let (lookup, sealed) = record.value.unzip();
                let (lookup, sealed) = (lookup.map(hex::encode), sealed.map(hex::encode));
                let tag = record.tag.map(hex::encode);
                self.printer.line(match self.format {
                    ListFormat::Json => json!({
                        "token": record.token,
                        "lookup": lookup,
                        "sealed": sealed,
                        "expires": record.expires,
                        "tag": tag,
                    })
                    .to_string(),
                    ListFormat::Table => format!(
                        "{}  {}  {}",
                        record.token,
                        lookup.as_deref().unwrap_or("forgotten"),
                        sealed.as_deref().unwrap_or_default()
                    ),
                })?;
            }
        }
    }

    async fn expire(&self, rule: Option<&str>, args: &ConfirmArgs) -> Result<()> {
        let all = rule.is_none();
        let rules = self.rules(rule)?;
        let consequence = "Values that are past their ttl are forgotten for ever.";
        let reason = self.confirm(rule, args, consequence)?;
        for rule in rules {
            // Over all rules, a missing store is passed over; a rule that was named must have one.
            if all && self.is_missing(rule, store_of(rule)?) {
                continue;
            }
            let transform = self.resolve(rule, Direction::Decrypt).await?;
            let tokenizer = tokenizer(&transform)?;
            let change = TokenChange::new(rule, AuditEvent::ExpireTokens, &reason);
            let expire = tokenizer.expire(Timestamp::now());
            let emptied = self.audited(change, expire, |emptied| emptied.rows).await?;
            self.emptied(rule, emptied, 0)?;
        }
        Ok(())
    }

    async fn delete(&self, name: &str, tokens: Vec<String>, values: Option<&Path>, args: &ConfirmArgs) -> Result<()> {
        let rule = self.rules(Some(name))?[0];
        let (transform, asked, tokens) = match values {
            None => {
                let distinct: HashSet<String> = tokens.into_iter().collect();
                let transform = self.resolve(rule, Direction::Decrypt).await?;
                (transform, distinct.len(), distinct.into_iter().collect())
            }
            Some(path) => {
                // Values are found by the index of the active key, which is the one that protects.
                let transform = self.resolve(rule, Direction::Encrypt).await?;
                // Wiped when dropped: these are the values that are to be forgotten.
                let text = Secret::new(read(path)?);
                let distinct: HashSet<&str> = text.expose().lines().filter(|line| !line.is_empty()).collect();
                let distinct: Vec<&str> = distinct.into_iter().collect();
                // At the beginning of time nothing has expired: what has is to be forgotten as well.
                let found = tokenizer(&transform)?.find(&distinct, Timestamp::EPOCH).await?;
                (
                    transform,
                    distinct.len(),
                    found.into_iter().flatten().collect::<Vec<_>>(),
                )
            }
        };
        let what = if values.is_some() { "value" } else { "token" };
        let asked = asked as u64;
        let consequence = format!(
            "{} {} forgotten for ever, and cannot be revealed again.",
            count(tokens.len() as u64, "token"),
            if tokens.len() == 1 { "is" } else { "are" }
        );
        let reason = self.confirm(Some(name), args, &consequence)?;
        let change = TokenChange {
            asked: Some(asked),
            ..TokenChange::new(rule, AuditEvent::DeleteTokens, &reason)
        };
        let delete = tokenizer(&transform)?.delete(tokens);
        let emptied = self.audited(change, delete, |emptied| emptied.rows).await?;
        let missing = asked.saturating_sub(emptied.rows);
        self.emptied(rule, emptied, missing)?;
        if missing == 0 {
            return Ok(());
        }
        // The number only: the message must not hold what is to be forgotten.
        Err(Error::bad_input(format!(
            "rule {name}: not in the store, or forgotten before: {}",
            count(missing, what)
        ))
        .with_hint("what was there is forgotten; check those that were to be: a value is found as it was written"))
    }

    async fn reindex(&self, name: &str, args: &ConfirmArgs) -> Result<()> {
        let rule = self.rules(Some(name))?[0];
        let transform = self.resolve(rule, Direction::Encrypt).await?;
        let consequence = "Every look-up hash and tag is made anew; nothing is minted meanwhile.";
        let reason = self.confirm(Some(name), args, consequence)?;
        let change = TokenChange::new(rule, AuditEvent::ReindexTokens, &reason);
        let tokenizer = tokenizer(&transform)?;
        let walk = async { tokenizer.reindex(&mut |_| {}).await };
        let walked = self.audited(change, walk, |walked: &Progress| walked.changed).await?;
        self.told(name, "re-indexed", walked.changed)
    }

    async fn reseal(&self, rule: Option<&str>, args: &ConfirmArgs) -> Result<()> {
        let rules = self.rules(rule)?;
        let consequence = "Every value that an older key version has sealed is sealed anew.";
        let reason = self.confirm(rule, args, consequence)?;
        for rule in rules {
            let transform = self.resolve(rule, Direction::Encrypt).await?;
            let change = TokenChange::new(rule, AuditEvent::ResealTokens, &reason);
            let tokenizer = tokenizer(&transform)?;
            let walk = async { tokenizer.reseal(&mut |_| {}).await };
            let walked = self.audited(change, walk, |walked: &Progress| walked.changed).await?;
            self.told(&rule.name, "resealed", walked.changed)?;
        }
        Ok(())
    }

    /// Takes the reason for a change of one rule's tokens, or of all, and its confirmation.
    fn confirm(&self, rule: Option<&str>, args: &ConfirmArgs, consequence: &str) -> Result<Reason> {
        let reason = confirm_for("Rule", &rule.unwrap_or("all"), args, Some(consequence), self.printer)?;
        if self.engine.keyring().audit_log().is_none() {
            self.printer
                .say("warning: the policy names no audit log, so that no record is kept of this");
        }
        Ok(reason)
    }

    /// Makes a change between two entries of the audit log: one that announces it, so that there is no change without
    /// one, and one that says how many tokens it was about.
    async fn audited<T>(
        &self,
        change: TokenChange<'_>,
        done: impl Future<Output = Result<T>>,
        number: impl FnOnce(&T) -> u64,
    ) -> Result<T> {
        let keyring = self.engine.keyring();
        let entry = |values, context: Option<&str>| AuditEntry {
            key: Some(change.rule.key.name.to_string()),
            rule: Some(change.rule.name.clone()),
            reason: Some(change.reason.clone()),
            context: context.map(str::to_owned),
            values,
            ..AuditEntry::new(change.event)
        };
        let announced = entry(change.asked, Some("asked for"));
        keyring.audit([announced.clone()])?;
        match done.await {
            Ok(done) => {
                keyring.audit([entry(Some(number(&done)), None)])?;
                Ok(done)
            }
            Err(error) => {
                // The first failure is the one to be told.
                let _ = keyring.audit([announced.failed(&error)]);
                Err(error)
            }
        }
    }

    /// Says how many tokens were emptied, how many were not there, and whether the store's files still hold them.
    fn emptied(&self, rule: &Rule, Emptied { rows, remains }: Emptied, missing: u64) -> Result<()> {
        let name = &rule.name;
        if self.format == ListFormat::Json {
            return self.printer.line(json!({
                "rule": name, "emptied": rows, "missing": missing, "remains": remains,
            }));
        }
        let emptied = count(rows, "token");
        let not_yet = match remains {
            None => return self.told(name, "forgot", rows),
            Some(Remains::Log) => format!(
                "others are reading the store, and its log holds the sealed rows until they are done: then run \
                 `cipherform tokens expire {name}`"
            ),
            Some(Remains::DeadRows) => {
                "the server's files hold the sealed rows until `VACUUM cipherform_tokens`".to_owned()
            }
        };
        self.printer.say(format_args!(
            "rule {name}: emptied {emptied}, not yet out of the files: {not_yet}"
        ));
        Ok(())
    }

    fn told(&self, rule: &str, what: &str, tokens: u64) -> Result<()> {
        match self.format {
            ListFormat::Json => self.printer.line(json!({ "rule": rule, what: tokens })),
            ListFormat::Table => {
                self.printer
                    .say(format_args!("rule {rule}: {what} {}", count(tokens, "token")));
                Ok(())
            }
        }
    }

    /// The rule called so, or all that tokenize.
    fn rules(&self, name: Option<&str>) -> Result<Vec<&Rule>> {
        let policy = self.engine.policy();
        match name {
            // Checked here, so that a rule that does not tokenize is an error and not an empty list.
            Some(name) => {
                let rule = policy.rule(name)?;
                store_of(rule)?;
                Ok(vec![rule])
            }
            None => Ok(policy.rules().filter(|rule| rule.tokens.is_some()).collect()),
        }
    }

    async fn named(&self, rule: &str, direction: Direction) -> Result<Arc<Transform>> {
        let rule = self.engine.policy().rule(rule)?;
        store_of(rule)?;
        self.resolve(rule, direction).await
    }

    /// Tells whether there is no store yet, and says so.
    fn is_missing(&self, rule: &Rule, url: &StoreUrl) -> bool {
        let is_missing = url.is_missing();
        if is_missing {
            let printer = self.printer;
            printer.say(format_args!("rule {}: there is no token store `{url}` yet", rule.name));
        }
        is_missing
    }

    async fn resolve(&self, rule: &Rule, direction: Direction) -> Result<Arc<Transform>> {
        // No store is made here, whatever is done with it.
        // Opened as to reveal, which never makes a store; the engine keeps it for the resolve below.
        self.engine.token_store(store_of(rule)?, Direction::Decrypt).await?;
        let reference = RuleRef {
            rule: rule.name.clone(),
            version: None,
        };
        self.engine.resolve(&reference, direction).await
    }
}

fn store_of(rule: &Rule) -> Result<&StoreUrl> {
    match &rule.tokens {
        Some(tokens) => Ok(&tokens.store),
        None => Err(Error::bad_policy(format!("rule `{}` does not tokenize", rule.name))
            .with_hint("name a rule with treatment = \"tokenize\"")),
    }
}

fn tokenizer(transform: &Transform) -> Result<&Tokenizer> {
    transform
        .tokenizer()
        .ok_or_else(|| Error::bug("a rule that tokenizes has no tokenizer"))
}

// A clock before 1970 counts as 0: then nothing has expired.
fn now() -> u64 {
    let now = Timestamp::now().as_system_time().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    // From a pipe, so that the values are in no file and no shell history.
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    read.map_err(|error| Error::io(format!("cannot read the values in `{}`", path.display()), error))?;
    Ok(text)
}
