//! `cipherform tokens stats | export | expire | delete | reindex | reseal`

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cipher::Direction;
use crate::cli::args::{KeyArgs, ListFormat};
use crate::cli::printer::{Printer, count};
use crate::cli::session;
use crate::keys::Timestamp;
use crate::policy::{Rule, RuleRef};
use crate::tokens::{DomainStats, Progress, StoreUrl, Tokenizer};
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
    },
    /// Forget values for ever: their tokens stay taken, and can never be revealed again
    #[command(after_help = "\
Examples:
  cipherform tokens delete account tok_3kTMd1Rz0QKvN5LxwY8CbA
  cipherform tokens delete ssn --values forget.txt     one value a line; `-` reads stdin, so that no value is in a \
      shell's history")]
    Delete {
        /// The rule
        rule: String,
        /// The tokens
        #[arg(required_unless_present = "values")]
        tokens: Vec<String>,
        /// Forget the values in this file, one a line, instead
        #[arg(long, value_name = "FILE", conflicts_with = "tokens")]
        values: Option<PathBuf>,
    },
    /// Find values by the active key version from now on; nothing is minted meanwhile
    Reindex {
        /// The rule
        rule: String,
    },
    /// Seal with the active key version what an older one has sealed; tokens stay, and others may go on working
    Reseal {
        /// The rule; else all
        rule: Option<String>,
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
        TokensCommand::Expire { rule } => session.expire(rule.as_deref()).await,
        TokensCommand::Delete { rule, tokens, values } => session.delete(&rule, tokens, values.as_deref()).await,
        TokensCommand::Reindex { rule } => session.reindex(&rule).await,
        TokensCommand::Reseal { rule } => session.reseal(rule.as_deref()).await,
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

    async fn expire(&self, rule: Option<&str>) -> Result<()> {
        let all = rule.is_none();
        for rule in self.rules(rule)? {
            // Over all rules, a missing store is passed over; a rule that was named must have one.
            if all && self.is_missing(rule, store_of(rule)?) {
                continue;
            }
            let transform = self.resolve(rule, Direction::Decrypt).await?;
            let forgotten = tokenizer(&transform)?.expire(Timestamp::now()).await?;
            self.told(&rule.name, "forgot", forgotten)?;
        }
        Ok(())
    }

    async fn delete(&self, rule: &str, tokens: Vec<String>, values: Option<&Path>) -> Result<()> {
        let (transform, tokens) = match values {
            None => (self.named(rule, Direction::Decrypt).await?, tokens),
            Some(path) => {
                // Values are found by the index of the active key, which is the one that protects.
                let transform = self.named(rule, Direction::Encrypt).await?;
                // Wiped when dropped: these are the values that are to be forgotten.
                let text = Secret::new(read(path)?);
                let values: Vec<&str> = text.expose().lines().filter(|line| !line.is_empty()).collect();
                // At the beginning of time nothing has expired: what has is to be forgotten as well.
                let found = tokenizer(&transform)?.find(&values, Timestamp::EPOCH).await?;
                let tokens: Vec<String> = found.into_iter().flatten().collect();
                // The number only: the message must not hold what is to be forgotten.
                if tokens.len() < values.len() {
                    let missing = count((values.len() - tokens.len()) as u64, "value");
                    self.printer.say(format_args!(
                        "rule {rule}: not in the store, or forgotten before: {missing}"
                    ));
                }
                (transform, tokens)
            }
        };
        let forgotten = tokenizer(&transform)?.delete(tokens).await?;
        self.told(rule, "forgot", forgotten)
    }

    async fn reindex(&self, rule: &str) -> Result<()> {
        let transform = self.named(rule, Direction::Encrypt).await?;
        let walked = tokenizer(&transform)?.reindex(&mut |_| {}).await?;
        self.walked(rule, "re-indexed", walked)
    }

    async fn reseal(&self, rule: Option<&str>) -> Result<()> {
        for rule in self.rules(rule)? {
            let transform = self.resolve(rule, Direction::Encrypt).await?;
            let walked = tokenizer(&transform)?.reseal(&mut |_| {}).await?;
            self.walked(&rule.name, "resealed", walked)?;
        }
        Ok(())
    }

    fn walked(&self, rule: &str, what: &str, walked: Progress) -> Result<()> {
        self.told(rule, what, walked.changed)
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
