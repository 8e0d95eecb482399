//! The policy file, read and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;

use super::bind::{Line, Target};
use super::rule::{Bucket, Mask, OnEmpty, OnForgotten, OnInvalid, OnShort, Period, Rule, Tokens, Treatment, Tweak};
use crate::formats::Format;
use crate::keys::{CacheLimits, DirectMode, KeyUse};
use crate::policy::access::{self, Grant, Rights};
use crate::tokens::StoreUrl;
use crate::{Error, Result};

/// What `[columns]` may say in place of a rule's name: the column stays as it is, or is left out.
const KEEP: &str = "keep";
const DROP: &str = "drop";

/// What becomes of a column that no line names.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Unlisted {
    /// It stays as it is.
    #[default]
    Keep,
    /// The operation fails.
    Error,
    /// It is left out.
    Drop,
}

/// A policy, checked: every column's rule exists, every format and key reference is well-formed.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Where it was read from.
    pub path: PathBuf,
    /// Where its keyring is.
    pub keyring: PathBuf,
    /// What becomes of a column that no line names.
    pub unlisted: Unlisted,
    /// How long unwrapped keys stay in memory.
    pub cache: CacheLimits,
    /// Where the audit log is, if one is written.
    pub audit: Option<PathBuf>,
    /// The generation that the keyring has at least: an older copy is refused.
    pub keyring_generation: u64,
    /// Whether only what NIST has approved may be used.
    pub approved_only: bool,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
    rules: BTreeMap<String, Rule>,
    pub(super) columns: Vec<Line>,
    pub(super) roles: BTreeMap<String, BTreeMap<String, Rights>>,
}

impl Policy {
    /// Reads the policy at `path`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] with file, line and column; [`crate::ErrorKind::Io`] when it cannot be read.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let error = Error::io(format!("cannot read the policy `{}`", path.display()), error);
            match missing {
                true => {
                    error.with_hint("pass --policy FILE, set CIPHERFORM_POLICY, or make one with `cipherform init`")
                }
                false => error,
            }
        })?;
        Self::parse(&text, path)
    }

    /// Reads the policy in `text`; `path` is for messages, and what relative paths in it start from.
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let source = Source { text, path };
        let file: PolicyFile = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            source.error(span, error.message())
        })?;
        if *file.version.get_ref() != 1 {
            return Err(source.error(
                file.version.span(),
                format!("version = {} is not known, this is 1", file.version.get_ref()),
            ));
        }
        let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
        let formats = token_formats(&file.rules);
        for (name, rule) in file.rules {
            if [KEEP, DROP].contains(&name.as_str()) {
                return Err(source.error(
                    rule.key.span(),
                    format!("a rule cannot be called `{name}`: in [columns] that word says what becomes of a column"),
                ));
            }
            let at = rule.format.as_ref().map_or(rule.key.span(), Spanned::span);
            let rule = rule.check(name.clone(), file.tokens.as_ref(), &formats, &source)?;
            if file.approved_only {
                check_approved(&rule, at.clone(), &source)?;
            }
            if let Some(other) = rules.values().find(|other| mint_differently(&rule, other)) {
                return Err(source.error(
                    at,
                    format!(
                        "rules `{}` and `{name}` share a domain of tokens, and only one of them mints per occurrence",
                        other.name
                    ),
                ));
            }
            rules.insert(name, rule);
        }
        let mut columns = Vec::with_capacity(file.columns.len());
        for (pattern, rule) in file.columns {
            let at = source.at(pattern.span());
            let target = match rule.get_ref().as_str() {
                KEEP => Target::Keep,
                DROP => Target::Drop,
                name if rules.contains_key(name) => Target::Rule(name.to_owned()),
                name => return Err(source.no_such_rule(rule.span(), name, &rules)),
            };
            columns.push(Line {
                pattern: pattern.into_inner(),
                target,
                at,
            });
        }
        let mut roles: BTreeMap<String, BTreeMap<String, Rights>> = BTreeMap::new();
        for (role, grants) in file.roles {
            let named: BTreeSet<&str> = grants.keys().map(|rule| rule.get_ref().as_str()).collect();
            for (rule, rights) in &grants {
                if rule.get_ref() != "*" && !rules.contains_key(rule.get_ref()) {
                    return Err(source.no_such_rule(rule.span(), rule.get_ref(), &rules));
                }
                let meant = rules.values().filter(|known| match rule.get_ref().as_str() {
                    "*" => !named.contains(known.name.as_str()),
                    name => known.name == name,
                });
                check_rights(&role, rule, *rights, meant, &source)?;
            }
            let checked = roles.entry(role).or_default();
            checked.extend(grants.into_iter().map(|(rule, rights)| (rule.into_inner(), rights)));
        }
        Ok(Self {
            path: path.to_owned(),
            keyring: path.parent().unwrap_or(Path::new("")).join(file.keyring),
            unlisted: file.unlisted,
            cache: file.keys.check(&source)?,
            audit: file
                .audit
                .map(|audit| path.parent().unwrap_or(Path::new("")).join(audit)),
            keyring_generation: file.keyring_generation.unwrap_or_default(),
            approved_only: file.approved_only,
            digest: Sha256::digest(text).into(),
            rules,
            columns,
            roles,
        })
    }

    /// Refuses a use of a key that NIST has not approved, if the policy says so.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`].
    pub fn check_use(&self, key_use: KeyUse) -> Result<()> {
        match key_use {
            KeyUse::Direct {
                mode: DirectMode::Ff31Legacy,
                ..
            } if self.approved_only => Err(Error::bad_policy(format!(
                "`{}` says approved_only = true, and NIST has withdrawn FF3-1",
                self.path.display()
            ))
            .with_hint("make a key for FF1: --use direct-ff1-256")),
            _ => Ok(()),
        }
    }

    /// The rule called `name`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::BadPolicy`] when there is none.
    pub fn rule(&self, name: &str) -> Result<&Rule> {
        self.rules.get(name).ok_or_else(|| {
            Error::bad_policy(format!("the policy `{}` has no rule `{name}`", self.path.display()))
                .with_hint(format!("its rules are {}", names(&self.rules)))
        })
    }

    /// Every rule, by name.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }
}

/// Refuses the right to protect where it is the right to reveal, unless that is given, too.
fn check_rights<'a>(
    role: &str,
    at: &Spanned<String>,
    rights: Rights,
    mut meant: impl Iterator<Item = &'a Rule>,
    source: &Source<'_>,
) -> Result<()> {
    if !rights.protect || rights.see == Grant::Plain {
        return Ok(());
    }
    match meant.find(|rule| access::is_enumerable(rule)) {
        None => Ok(()),
        Some(rule) => Err(source
            .error(
                at.span(),
                format!(
                    "role `{role}` may protect under rule `{}`, but not see its values; all of them can be listed, protected and compared, so that \
                     the right to protect is the right to reveal",
                    rule.name
                ),
            )
            .with_hint("write see = \"plain\", too, or leave out protect = true")),
    }
}

/// Refuses what NIST has not approved, in a policy that says so.
fn check_approved(rule: &Rule, at: Range<usize>, source: &Source<'_>) -> Result<()> {
    let what = match rule.treatment {
        Treatment::Siv => "AES-SIV (RFC 5297)",
        Treatment::EncryptLegacy => "FF3-1, which has been withdrawn",
        Treatment::Shift => "treatment = \"shift\", which is no encryption",
        _ if rule.insecure_small_domain.is_some() => "a domain under the floor (insecure_small_domain)",
        _ => return Ok(()),
    };
    Err(source
        .error(
            at,
            format!(
                "rule `{}`: approved_only = true, and NIST has not approved {what}",
                rule.name
            ),
        )
        .with_hint("use encrypt, tokenize or hash, or take the line approved_only out"))
}

/// The formats that `never_valid_as` may name; what is wrong with one is said where its rule is read.
fn token_formats(rules: &BTreeMap<String, RuleFile>) -> BTreeMap<String, Format> {
    let parsed = rules.iter().filter_map(|(name, rule)| {
        Some((
            name.clone(),
            parse_format(rule.format.as_ref()?.get_ref().clone()).ok()?,
        ))
    });
    parsed.collect()
}

/// Do both mint into one domain of one store, one of them per occurrence?
fn mint_differently(one: &Rule, other: &Rule) -> bool {
    one.domain == other.domain
        && matches!((&one.tokens, &other.tokens), (Some(one), Some(other))
            if one.store == other.store && one.per_occurrence != other.per_occurrence)
}

fn names(rules: &BTreeMap<String, Rule>) -> String {
    rules.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The policy's text, for saying where something stands in it.
struct Source<'a> {
    text: &'a str,
    path: &'a Path,
}

impl Source<'_> {
    /// `policy.toml:12:5`, from 1, in characters.
    fn at(&self, span: Range<usize>) -> String {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        format!("{}:{line}:{column}", self.path.display())
    }

    fn error(&self, span: Range<usize>, message: impl Display) -> Error {
        Error::bad_policy(format!("{}: {message}", self.at(span)))
    }

    fn no_such_rule(&self, span: Range<usize>, rule: &str, rules: &BTreeMap<String, Rule>) -> Error {
        self.error(span, format!("there is no rule `{rule}`"))
            .with_hint(format!("the rules are {}", names(rules)))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    version: Spanned<i64>,
    keyring: PathBuf,
    keyring_generation: Option<u64>,
    audit: Option<PathBuf>,
    #[serde(default)]
    approved_only: bool,
    tokens: Option<Spanned<String>>,
    #[serde(default)]
    unlisted: Unlisted,
    #[serde(default)]
    keys: KeysFile,
    #[serde(default)]
    rules: BTreeMap<String, RuleFile>,
    #[serde(default)]
    columns: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    roles: BTreeMap<String, BTreeMap<Spanned<String>, Rights>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    ttl: Option<Spanned<String>>,
    max_uses: Option<Spanned<u64>>,
    max_hold: Option<Spanned<String>>,
}

impl KeysFile {
    fn check(self, source: &Source) -> Result<CacheLimits> {
        let duration = |text: Spanned<String>| match humantime::parse_duration(text.get_ref()) {
            Ok(duration) if !duration.is_zero() => Ok(duration),
            _ => Err(source
                .error(text.span(), "this is no length of time")
                .with_hint("write it like \"30m\", \"1h\", \"7d\"")),
        };
        let mut cache = CacheLimits::default();
        if let Some(ttl) = self.ttl {
            cache = cache.with_ttl(duration(ttl)?);
        }
        if let Some(uses) = self.max_uses {
            if *uses.get_ref() == 0 {
                return Err(source.error(uses.span(), "a key that may not be used at all is of no use"));
            }
            cache = cache.with_max_uses(uses.into_inner());
        }
        if let Some(hold) = self.max_hold {
            let at = hold.span();
            cache = cache.with_max_hold(duration(hold)?);
            if cache.max_hold < cache.ttl {
                return Err(source
                    .error(at, "max_hold is shorter than ttl")
                    .with_hint("set `ttl`, too: one hour unless said otherwise"));
            }
        } else {
            cache.max_hold = cache.max_hold.max(cache.ttl);
        }
        Ok(cache)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    #[serde(default)]
    treatment: Treatment,
    format: Option<Spanned<toml::Value>>,
    key: Spanned<String>,
    domain: Option<Spanned<String>>,
    tweak: Option<Spanned<toml::Value>>,
    mask: Option<Mask>,
    #[serde(default)]
    on_invalid: OnInvalid,
    #[serde(default)]
    on_empty: OnEmpty,
    on_short: Option<Spanned<OnShort>>,
    insecure_small_domain: Option<Spanned<String>>,
    insecure_legacy: Option<Spanned<String>>,
    tokens: Option<Spanned<String>>,
    per_occurrence: Option<Spanned<bool>>,
    ttl: Option<Spanned<String>>,
    never_valid_as: Option<Spanned<Vec<String>>>,
    on_forgotten: Option<Spanned<OnForgotten>>,
    version_character: Option<Spanned<bool>>,
    bucket: Option<Spanned<BucketFile>>,
    entity: Option<Spanned<String>>,
    days: Option<Spanned<u32>>,
    bits: Option<Spanned<u16>>,
}

/// One of its keys.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum BucketFile {
    Prefix(usize),
    Width(u64),
    Edges(Vec<toml::Value>),
    To(Period),
}

/// Bytes of FF3-1's tweak (SP 800-38G Rev 1 draft of 2019, section 5.2).
pub(crate) const FF3_1_TWEAK: usize = 7;

/// What only some treatments have.
struct Parameters {
    bucket: Option<Bucket>,
    entity: Option<String>,
    days: u32,
    bits: u16,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            bucket: None,
            entity: None,
            days: 365,
            bits: 256,
        }
    }
}

/// A value as a format would write it.
fn plain_text(value: toml::Value) -> String {
    match value {
        toml::Value::String(text) => text,
        other => other.to_string(),
    }
}

impl RuleFile {
    fn check(
        mut self,
        name: String,
        tokens: Option<&Spanned<String>>,
        formats: &BTreeMap<String, Format>,
        source: &Source<'_>,
    ) -> Result<Rule> {
        let (format, span) = self.take_format(&name, source)?;
        let tokens = self.check_tokens(&name, &span, tokens, formats, source)?;
        let Parameters {
            bucket,
            entity,
            days,
            bits,
        } = self.check_treatment(&name, &span, source)?;
        let in_rule = |span: Range<usize>, message: &str| source.error(span, format!("rule `{name}`: {message}"));
        // An error found deeper down gets its place here, and keeps its hint.
        let placed = |span: Range<usize>, error: Error| {
            let placed = in_rule(span, error.message());
            match error.hint() {
                Some(hint) => placed.with_hint(hint),
                None => placed,
            }
        };

        let mut format = parse_format(format).map_err(|error| placed(span.clone(), error))?;
        let on_short = self
            .on_short
            .as_ref()
            .map(|on_short| *on_short.get_ref())
            .unwrap_or_default();
        if let Some(at) = self.on_short.filter(|_| on_short == OnShort::Band) {
            if self.treatment != Treatment::Encrypt {
                return Err(in_rule(
                    at.span(),
                    "on_short = \"band\" is for rules with treatment = \"encrypt\"",
                ));
            }
            format = format.banded().map_err(|error| placed(at.span(), error))?;
        }
        let key = self
            .key
            .get_ref()
            .parse()
            .map_err(|error| placed(self.key.span(), error))?;
        let domain = match self.domain {
            Some(domain) if domain.get_ref().is_empty() => return Err(in_rule(domain.span(), "the domain is empty")),
            Some(domain) => domain.into_inner(),
            None => name.clone(),
        };
        let tweak = match (self.tweak, entity) {
            (_, Some(entity)) => Tweak::Column(entity),
            (None, None) if self.treatment == Treatment::Encrypt => Tweak::Kept,
            (None, None) => Tweak::None,
            (Some(tweak), None) => parse_tweak(tweak.get_ref()).map_err(|message| in_rule(tweak.span(), message))?,
        };
        if self.treatment == Treatment::EncryptLegacy && !matches!(&tweak, Tweak::Column(_)) {
            match &tweak {
                Tweak::Fixed(bytes) if bytes.len() == FF3_1_TWEAK => {}
                _ => {
                    return Err(in_rule(span, "FF3-1 takes a tweak of 56 bits").with_hint(
                        "add tweak = { hex = \"…\" } with 14 hexadecimal digits, or tweak = { column = \"…\" } with 7 bytes a row",
                    ));
                }
            }
        }
        if let Some(reason) = &self.insecure_small_domain
            && reason.get_ref().trim().is_empty()
        {
            return Err(in_rule(
                reason.span(),
                "insecure_small_domain takes the reason why so few values are accepted",
            ));
        }
        if let Some(reason) = &self.insecure_legacy {
            if self.treatment != Treatment::EncryptLegacy {
                let message = "insecure_legacy is for rules with treatment = \"encrypt-legacy\"";
                return Err(in_rule(reason.span(), message));
            }
            if reason.get_ref().trim().is_empty() {
                let message = "insecure_legacy takes the reason why FF3-1 is still used to protect";
                return Err(in_rule(reason.span(), message));
            }
        }
        let version_character = self.version_character.as_ref().is_some_and(|at| *at.get_ref());
        if let Some(at) = self.version_character.filter(|_| version_character) {
            let is_cipher = matches!(
                self.treatment,
                Treatment::Encrypt | Treatment::EncryptLegacy | Treatment::Siv
            );
            if !is_cipher {
                let message =
                    "version_character is for rules with treatment = \"encrypt\", \"encrypt-legacy\" or \"siv\"";
                return Err(in_rule(at.span(), message));
            }
            if self.on_invalid == OnInvalid::InsecureKeep {
                let message = "version_character does not go with on_invalid = \"insecure-keep\": what was left in the clear has no such character";
                return Err(in_rule(at.span(), message));
            }
        }
        if self.on_invalid == OnInvalid::InsecureKeep && !format.same_on_both_sides() {
            return Err(in_rule(
                span,
                "on_invalid = \"insecure-keep\" does not go with this format: its protected values are values that do not \
                 fit, so reveal could not tell them from those left in the clear",
            ));
        }
        Ok(Rule {
            treatment: self.treatment,
            format,
            key,
            domain,
            tweak,
            version_character,
            mask: self.mask.unwrap_or_default(),
            on_invalid: self.on_invalid,
            on_empty: self.on_empty,
            on_short,
            insecure_small_domain: self.insecure_small_domain.map(Spanned::into_inner),
            insecure_legacy: self.insecure_legacy.map(Spanned::into_inner),
            tokens,
            bucket,
            days,
            bits,
            name,
        })
    }

    /// The format and where it stands; treatments that take anything need none.
    fn take_format(&mut self, name: &str, source: &Source<'_>) -> Result<(toml::Value, Range<usize>)> {
        match self.format.take() {
            Some(format) => {
                let span = format.span();
                Ok((format.into_inner(), span))
            }
            None if self.treatment.takes_anything() => Ok((toml::Value::from("opaque"), self.key.span())),
            None => Err(source
                .error(self.key.span(), format!("rule `{name}` names no format"))
                .with_hint("add a line like format = \"digits\"")),
        }
    }

    /// What only some treatments have.
    fn check_treatment(&mut self, name: &str, span: &Range<usize>, source: &Source<'_>) -> Result<Parameters> {
        let in_rule = |span: Range<usize>, message: &str| source.error(span, format!("rule `{name}`: {message}"));
        let treatment = self.treatment;
        let only = |span: Option<Range<usize>>, whose: Treatment, key: &str| match span {
            Some(span) if treatment != whose => Err(in_rule(
                span,
                &format!("{key} is for rules with treatment = \"{whose}\""),
            )),
            _ => Ok(()),
        };
        only(self.bucket.as_ref().map(Spanned::span), Treatment::Bucket, "bucket")?;
        only(self.entity.as_ref().map(Spanned::span), Treatment::Shift, "entity")?;
        only(self.days.as_ref().map(Spanned::span), Treatment::Shift, "days")?;
        only(self.bits.as_ref().map(Spanned::span), Treatment::Hash, "bits")?;
        let mut parameters = Parameters::default();
        match treatment {
            Treatment::Bucket => {
                let bucket = self.bucket.take().ok_or_else(|| {
                    in_rule(span.clone(), "it does not say what a bucket is").with_hint(
                        "add bucket = { width = 10 }, { edges = [0, 18, 65] }, { to = \"month\" } or { prefix = 3 }",
                    )
                })?;
                let at = bucket.span();
                parameters.bucket = Some(match bucket.into_inner() {
                    BucketFile::Prefix(0) | BucketFile::Width(0) => return Err(in_rule(at, "a bucket of nothing")),
                    BucketFile::Prefix(length) => Bucket::Prefix(length),
                    BucketFile::Width(width) => Bucket::Width(width),
                    BucketFile::To(period) => Bucket::To(period),
                    BucketFile::Edges(edges) if edges.is_empty() => return Err(in_rule(at, "a bucket of nothing")),
                    BucketFile::Edges(edges) => Bucket::Edges(edges.into_iter().map(plain_text).collect()),
                });
            }
            Treatment::Shift => {
                let entity = self.entity.take().ok_or_else(|| {
                    in_rule(span.clone(), "it does not say whose dates move together")
                        .with_hint("add entity = \"patient_id\", a column that stays with the data: without it nothing can be revealed")
                })?;
                if let Some(tweak) = &self.tweak {
                    return Err(in_rule(
                        tweak.span(),
                        "the entity is what a shift goes by: it takes no tweak",
                    ));
                }
                parameters.entity = Some(entity.into_inner());
                if let Some(days) = &self.days {
                    if !(1..=36_500).contains(days.get_ref()) {
                        return Err(in_rule(days.span(), "days is 1 to 36500"));
                    }
                    parameters.days = *days.get_ref();
                }
            }
            Treatment::Hash => {
                if let Some(bits) = &self.bits {
                    if !(128..=256).contains(bits.get_ref()) || bits.get_ref() % 8 != 0 {
                        return Err(in_rule(
                            bits.span(),
                            "bits is 128 to 256, in whole bytes: shorter hashes of different values are soon equal",
                        ));
                    }
                    parameters.bits = *bits.get_ref();
                }
            }
            _ => {}
        }
        Ok(parameters)
    }

    /// What only rules that tokenize have, and what they do not have.
    fn check_tokens(
        &mut self,
        name: &str,
        format: &Range<usize>,
        default: Option<&Spanned<String>>,
        formats: &BTreeMap<String, Format>,
        source: &Source<'_>,
    ) -> Result<Option<Tokens>> {
        let in_rule = |span: Range<usize>, message: &str| source.error(span, format!("rule `{name}`: {message}"));
        if self.treatment != Treatment::Tokenize {
            let spans = [
                self.tokens.as_ref().map(Spanned::span),
                self.per_occurrence.as_ref().map(Spanned::span),
                self.ttl.as_ref().map(Spanned::span),
                self.never_valid_as.as_ref().map(Spanned::span),
                self.on_forgotten.as_ref().map(Spanned::span),
            ];
            if let Some(span) = spans.into_iter().flatten().next() {
                return Err(in_rule(span, "this is for rules with treatment = \"tokenize\""));
            }
            if !self.treatment.takes_anything()
                && formats
                    .get(name)
                    .is_some_and(|format| format.version().starts_with("opaque/"))
            {
                return Err(in_rule(
                    format.clone(),
                    "format \"opaque\" is for treatments that keep no format: tokenize, siv, hash, mask, bucket",
                ));
            }
            return Ok(None);
        }
        if let Some(tweak) = &self.tweak {
            return Err(in_rule(tweak.span(), "a token is random: it takes no tweak"));
        }
        if let Some(reason) = &self.insecure_small_domain {
            return Err(in_rule(
                reason.span(),
                "tokens have no floor: what they must not do is fill more than half of their space",
            ));
        }
        let url = self.tokens.as_ref().or(default).ok_or_else(|| {
            in_rule(format.clone(), "it does not say where its tokens are kept")
                .with_hint("add a line tokens = \"sqlite:tokens.db\" to the rule, or to the top of the policy")
        })?;
        let folder = source.path.parent().unwrap_or(Path::new(""));
        let store = StoreUrl::parse(url.get_ref(), folder).map_err(|error| {
            let placed = in_rule(url.span(), error.message());
            match error.hint() {
                Some(hint) => placed.with_hint(hint),
                None => placed,
            }
        })?;
        let ttl = match &self.ttl {
            None => None,
            Some(text) => match humantime::parse_duration(text.get_ref()) {
                Ok(ttl) if ttl.as_secs() > 0 => Some(ttl),
                _ => {
                    return Err(in_rule(
                        text.span(),
                        "a time to live is written like \"90 days\" or \"12h\"",
                    ));
                }
            },
        };
        let mut never_valid_as = Vec::new();
        if let Some(rules) = &self.never_valid_as {
            for other in rules.get_ref() {
                match formats.get(other) {
                    Some(format) => never_valid_as.push(format.clone()),
                    None => return Err(in_rule(rules.span(), &format!("there is no rule `{other}`"))),
                }
            }
        }
        Ok(Some(Tokens {
            store,
            per_occurrence: self.per_occurrence.take().is_some_and(Spanned::into_inner),
            ttl,
            never_valid_as,
            on_forgotten: self.on_forgotten.take().map(Spanned::into_inner).unwrap_or_default(),
        }))
    }
}

/// `"pan"`, or `{ type = "pan", … }`.
fn parse_format(value: toml::Value) -> Result<Format> {
    match value {
        toml::Value::String(name) => Format::parse(&name, toml::Table::new()),
        toml::Value::Table(mut table) => match table.remove("type") {
            Some(toml::Value::String(name)) => Format::parse(&name, table),
            _ => Err(Error::bad_policy("a format table needs a type: { type = \"pan\", … }")),
        },
        _ => Err(Error::bad_policy("a format is a name, or a table with a type")),
    }
}

/// `"none"`, `{ hex = "…" }` or `{ column = "…" }`.
fn parse_tweak(value: &toml::Value) -> Result<Tweak, &'static str> {
    const SHAPE: &str =
        "a tweak is \"none\", { hex = \"…\" } or { column = \"…\" }; without one it is what the format keeps";
    match value {
        toml::Value::String(text) if text == "none" => Ok(Tweak::None),
        toml::Value::Table(table) if table.len() == 1 => match (table.get("hex"), table.get("column")) {
            (Some(toml::Value::String(digits)), None) => match hex::decode(digits) {
                Ok(bytes) => Ok(Tweak::Fixed(bytes)),
                Err(_) => Err("the tweak is not an even number of hexadecimal digits"),
            },
            (None, Some(toml::Value::String(column))) => Ok(Tweak::Column(column.clone())),
            _ => Err(SHAPE),
        },
        _ => Err(SHAPE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"version = 1
keyring = "keys/keyring.json"
unlisted = "error"

[rules.card]
format = "pan"
key = "pii"

[rules.custkey]
format = { type = "integer", min = 1, max = 999_999_999 }
key = "pii@3"
domain = "customer-key"

[rules.phone]
format = { type = "digits", keep = [2, 0] }
key = "pii"
tweak = { column = "region" }
mask = { keep_last = 2 }

[columns]
"customer.c_custkey" = "custkey"
"*_phone" = "phone"

[roles.analyst]
card = "masked"
"*" = "denied"
"#;

    fn error(text: &str) -> String {
        let error = Policy::parse(text, Path::new("p.toml")).expect_err("a bad policy");
        assert_eq!(error.kind(), crate::ErrorKind::BadPolicy);
        error.to_string()
    }

    #[test]
    fn the_documented_policy_loads() {
        let policy = Policy::parse(GOOD, Path::new("/etc/cf/policy.toml")).expect("good");
        assert_eq!(policy.keyring, Path::new("/etc/cf/keys/keyring.json"));
        assert_eq!(policy.unlisted, Unlisted::Error);
        let phone = policy.rule("phone").expect("rule");
        assert_eq!(phone.tweak, Tweak::Column("region".into()));
        assert_eq!((phone.mask.keep_last, phone.mask.with), (2, '*'));
        assert_eq!(phone.domain, "phone");
        let custkey = policy.rule("custkey").expect("rule");
        assert_eq!(custkey.domain, "customer-key");
        assert_eq!(custkey.key.to_string(), "pii@3");
        assert_eq!(policy.grant(Some("analyst"), "card").expect("role"), Grant::Masked);
        assert_eq!(policy.grant(Some("analyst"), "phone").expect("role"), Grant::Denied);
        assert_eq!(policy.grant(None, "phone").expect("no role"), Grant::Plain);
        assert!(policy.grant(Some("nobody"), "phone").is_err());
    }

    #[test]
    fn errors_say_file_line_and_column() {
        for (from, to, at, what) in [
            ("unlisted = \"error\"", "unlist = \"error\"", "p.toml:3:1", "unlist"),
            ("version = 1", "version = 2", "p.toml:1:11", "version = 2"),
            ("\"pan\"", "\"pam\"", "p.toml:6:10", "no format is called `pam`"),
            ("key = \"pii@3\"", "key = \"pii@x\"", "p.toml:11:7", ""),
            ("max = 999_999_999", "max = 0", "p.toml:10:10", "not below"),
            ("keep = [2, 0]", "kepe = [2, 0]", "p.toml:15:10", "kepe"),
            ("{ column = \"region\" }", "\"nine\"", "p.toml:17:9", "tweak"),
            (
                "{ column = \"region\" }",
                "{ hex = \"abc\" }",
                "p.toml:17:9",
                "hexadecimal",
            ),
            ("= \"phone\"", "= \"fone\"", "p.toml:22:13", "no rule `fone`"),
            (
                "card = \"masked\"",
                "cart = \"masked\"",
                "p.toml:25:1",
                "no rule `cart`",
            ),
            ("\"masked\"", "\"maskd\"", "p.toml:25:8", "maskd"),
            ("\"masked\"", "{ se = \"masked\" }", "p.toml:25:10", "se"),
            (
                "\"masked\"",
                "{ see = \"masked\", protect = true }",
                "p.toml:25:1",
                "right to reveal",
            ),
            ("\"masked\"", "7", "p.toml:25:8", "protect = true"),
            ("domain = \"customer-key\"", "domain = \"\"", "p.toml:12:10", "empty"),
            (
                "format = \"pan\"",
                "format = \"pan\"\ntreatment = \"rot13\"",
                "p.toml:7:13",
                "rot13",
            ),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let message = error(&GOOD.replacen(from, to, 1));
            assert!(
                message.starts_with(&format!("{at}: ")),
                "{message} should start with {at}"
            );
            assert!(message.contains(what), "{message} should contain {what}");
        }
    }

    #[test]
    fn values_left_in_the_clear_must_be_told_from_protected_ones() {
        let invalid = "format = { type = \"pan\", check_digit = \"invalid\" }";
        let text = GOOD.replacen(
            "format = \"pan\"",
            &format!("{invalid}\non_invalid = \"insecure-keep\""),
            1,
        );
        assert!(error(&text).starts_with("p.toml:6:10: rule `card`: on_invalid"));
    }

    #[test]
    fn keep_and_drop_are_no_rules() {
        assert!(error(&GOOD.replacen("[rules.card]", "[rules.keep]", 1)).contains("cannot be called `keep`"));
    }

    const TOKENS: &str = r#"version = 1
keyring = "k"
tokens = "sqlite:tokens.db"

[rules.account]
treatment = "tokenize"
format = "opaque"
key = "pii"
ttl = "90 days"
never_valid_as = ["card"]

[rules.card]
treatment = "tokenize"
format = "pan"
key = "pii"
tokens = "postgres://db/tokens"
per_occurrence = true
on_forgotten = "keep"
"#;

    #[test]
    fn rules_that_tokenize() {
        let policy = Policy::parse(TOKENS, Path::new("/etc/p.toml")).expect("good");
        let account = policy.rule("account").expect("rule").tokens.clone().expect("tokens");
        assert_eq!(account.store, StoreUrl::Sqlite("/etc/tokens.db".into()));
        assert_eq!(account.ttl, Some(std::time::Duration::from_secs(90 * 86_400)));
        assert_eq!(account.never_valid_as.len(), 1);
        let card = policy.rule("card").expect("rule").tokens.clone().expect("tokens");
        assert!(card.per_occurrence && card.on_forgotten == OnForgotten::Keep);
        assert_eq!(card.store.to_string(), "postgres://db/tokens");
    }

    #[test]
    fn what_only_some_treatments_have() {
        for (rule, what) in [
            ("", "names no format"),
            ("format = \"opaque\"", "for treatments that keep no format"),
            ("treatment = \"hash\"\nbits = 64", "bits is 128 to 256"),
            ("treatment = \"hash\"\nbits = 130", "in whole bytes"),
            (
                "format = \"digits\"\nbits = 128",
                "bits is for rules with treatment = \"hash\"",
            ),
            ("treatment = \"shift\"\nformat = \"date\"", "whose dates move together"),
            (
                "treatment = \"shift\"\nformat = \"date\"\nentity = \"id\"\ndays = 0",
                "days is 1 to 36500",
            ),
            (
                "treatment = \"shift\"\nformat = \"date\"\nentity = \"id\"\ntweak = \"none\"",
                "takes no tweak",
            ),
            ("treatment = \"shift\"\nentity = \"id\"", "names no format"),
            ("treatment = \"bucket\"", "what a bucket is"),
            ("treatment = \"bucket\"\nbucket = { width = 0 }", "a bucket of nothing"),
            ("treatment = \"bucket\"\nbucket = { edges = [] }", "a bucket of nothing"),
            (
                "format = \"digits\"\nbucket = { width = 10 }",
                "bucket is for rules with treatment = \"bucket\"",
            ),
            (
                "treatment = \"encrypt-legacy\"\nformat = \"digits\"",
                "a tweak of 56 bits",
            ),
            (
                "treatment = \"encrypt-legacy\"\nformat = \"digits\"\ntweak = { hex = \"00\" }",
                "a tweak of 56 bits",
            ),
            (
                "format = \"digits\"\ninsecure_legacy = \"a reason\"",
                "insecure_legacy is for rules",
            ),
            (
                "treatment = \"encrypt-legacy\"\nformat = \"digits\"\ntweak = { hex = \"00000000000000\" }\ninsecure_legacy = \" \"",
                "insecure_legacy takes the reason",
            ),
            (
                "treatment = \"hash\"\nversion_character = true",
                "version_character is for rules",
            ),
            (
                "format = \"digits\"\nversion_character = true\non_invalid = \"insecure-keep\"",
                "version_character does not go with",
            ),
            (
                "treatment = \"siv\"\non_short = \"band\"",
                "on_short = \"band\" is for rules",
            ),
            ("format = \"pan\"\non_short = \"band\"", "does not go with this format"),
        ] {
            let message = error(&format!(
                "version = 1\nkeyring = \"k\"\n[rules.r]\nkey = \"pii\"\n{rule}\n"
            ));
            assert!(message.starts_with("p.toml:"), "{message}");
            assert!(message.contains(what), "{rule}: {message} should contain {what}");
        }
        for rule in ["hash", "siv", "mask", "drop"] {
            let text = format!("version = 1\nkeyring = \"k\"\n[rules.r]\nkey = \"pii\"\ntreatment = \"{rule}\"\n");
            assert!(Policy::parse(&text, Path::new("p.toml")).is_ok(), "{rule}");
        }
    }

    #[test]
    fn what_only_tokens_have_and_what_they_do_not_have() {
        for (from, to, at, what) in [
            (
                "tokens = \"sqlite:tokens.db\"\n",
                "",
                "p.toml:6:10",
                "where its tokens are kept",
            ),
            ("sqlite:tokens.db", "mysql:x", "p.toml:3:10", "no URL of a token store"),
            ("//db/", "//u:pw@db/", "p.toml:16:10", "no place for the password"),
            ("90 days", "soon", "p.toml:9:7", "time to live"),
            ("[\"card\"]", "[\"cart\"]", "p.toml:10:18", "no rule `cart`"),
            ("ttl = \"90 days\"", "tweak = \"none\"", "p.toml:9:9", "takes no tweak"),
            (
                "treatment = \"tokenize\"\nformat = \"pan\"",
                "format = \"pan\"",
                "p.toml:15:10",
                "treatment",
            ),
            (
                "treatment = \"tokenize\"\nformat = \"opaque\"\nkey = \"pii\"\nttl = \"90 days\"\nnever_valid_as = [\"card\"]",
                "format = \"opaque\"\nkey = \"pii\"",
                "p.toml:6:10",
                "opaque",
            ),
            (
                "tokens = \"postgres://db/tokens\"",
                "domain = \"account\"",
                "p.toml:14:10",
                "per occurrence",
            ),
        ] {
            assert!(TOKENS.contains(from), "{from}");
            let message = error(&TOKENS.replacen(from, to, 1));
            assert!(
                message.starts_with(&format!("{at}: ")),
                "{message} should start with {at}"
            );
            assert!(message.contains(what), "{message} should contain {what}");
        }
    }

    #[test]
    fn an_override_of_the_floor_takes_a_reason() {
        let text = GOOD.replacen("key = \"pii\"", "key = \"pii\"\ninsecure_small_domain = \" \"", 1);
        assert!(error(&text).contains("reason"));
    }
}
