//! Rules resolved to transforms: the grants of roles, the versions of keys.

use std::sync::Arc;

use super::engine::Engine;
use crate::cipher::Direction;
use crate::keys::{KeyHandle, KeyRef, KeyVersionId, verb};
use crate::policy::{Grant, OnInvalid, Rule, RuleRef, Tokens, Treatment};
use crate::secret::wipe_stack;
use crate::tokens::{TokenRule, Tokenizer};
use crate::transform::fpe::floor;
use crate::transform::transform::Transform;
use crate::{Error, ErrorKind, Remedy, Result};

impl Engine {
    /// The transform of a rule, its key resolved now if it was not before.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] when the role may not; a key that is missing, in a state that does not allow
    /// `direction`, or refused by its KMS.
    pub async fn resolve(&self, rule: &RuleRef, direction: Direction) -> Result<Arc<Transform>> {
        // The audit entry is written whether a key was given or refused, and before the transform leaves this
        // function.
        let resolved = self.resolve_ahead(rule, direction).await;
        self.audit_access(rule, direction, resolved.as_deref().map(Transform::key))?;
        resolved
    }

    /// Like [`resolve`](Self::resolve), but writes no audit entry: used to resolve ahead of any access.
    async fn resolve_ahead(&self, rule: &RuleRef, direction: Direction) -> Result<Arc<Transform>> {
        // Rights first: a role that may not is told so, and no KMS is asked on its behalf.
        let grant = self.allow(rule, direction)?;
        self.resolve_as(rule, direction, grant).await
    }

    /// Like [`resolve_ahead`](Self::resolve_ahead), for a grant that was checked.
    async fn resolve_as(&self, rule: &RuleRef, direction: Direction, grant: Grant) -> Result<Arc<Transform>> {
        if let Some(Ok(transform)) = self.known(rule, direction, grant)
            && transform.key().is_fresh()
        {
            return Ok(transform);
        }
        let definition = self.state.policy.rule(&rule.rule)?;
        let transform = match &definition.tokens {
            Some(tokens) => self.tokens(definition, tokens, rule, direction).await,
            None => self.cipher(definition, rule, direction).await,
        };
        // Once for each key and rule, so that it costs nothing where rows are many.
        wipe_stack();
        let transform = transform.map_err(|error| error.context(format_args!("rule `{}`", rule.rule)))?;
        // A value that was made NULL is NULL in the file; one that is there and does not fit must not get lost.
        let transform = match (direction, definition.on_invalid) {
            (Direction::Decrypt, OnInvalid::Null) => transform.handling_misfits(OnInvalid::Error),
            _ => transform,
        };
        // Masked inside, so that no caller can leave it out.
        let transform = Arc::new(if grant == Grant::Masked {
            transform.masked()
        } else {
            transform
        });
        let mut transforms = self.transforms();
        // The version that a bare name stands for goes by its number too, as tables bind it.
        // Tokens have no version: each row of the store names its own.
        if transform.tokenizer().is_none() {
            let numbered = RuleRef {
                rule: rule.rule.clone(),
                version: Some(transform.key().version()),
            };
            transforms.insert((self.role.clone(), numbered, direction, grant), Ok(transform.clone()));
        }
        transforms.insert(
            (self.role.clone(), rule.clone(), direction, grant),
            Ok(transform.clone()),
        );
        Ok(transform)
    }

    /// Resolves what encrypts stored values anew, from the version in `from` to the current one, for a role that sees
    /// neither side of it plain; returns the current version, `None` if `from` is it.
    ///
    /// # Errors
    /// As [`Engine::resolve`], for keys.
    #[cfg(feature = "sql")]
    pub(crate) async fn resolve_reencryption(&self, from: &RuleRef) -> Result<Option<RuleRef>> {
        let current = RuleRef {
            rule: from.rule.clone(),
            version: None,
        };
        let protect = self.resolve_as(&current, Direction::Encrypt, Grant::Plain).await?;
        let current = RuleRef {
            version: Some(protect.key().version()),
            ..current
        };
        if current == *from {
            return Ok(None);
        }
        self.resolve_as(from, Direction::Decrypt, Grant::Plain).await?;
        Ok(Some(current))
    }

    /// The transforms that [`resolve_reencryption`](Self::resolve_reencryption) resolved: out of `from`, into `to`.
    ///
    /// # Errors
    /// They were not resolved.
    #[cfg(feature = "sql")]
    pub(crate) fn reencryption(&self, from: &RuleRef, to: &RuleRef) -> Result<[Arc<Transform>; 2]> {
        Ok([
            self.resolved_plain(from, Direction::Decrypt)?,
            self.resolved_plain(to, Direction::Encrypt)?,
        ])
    }

    /// The transform that makes of a given value what is stored of it, for a role that may search under `rule` without
    /// seeing it plain. The access is written into the audit log.
    ///
    /// # Errors
    /// It was not resolved by [`resolve_reencryption`](Self::resolve_reencryption).
    #[cfg(feature = "sql")]
    pub(crate) fn search(&self, rule: &RuleRef) -> Result<Arc<Transform>> {
        let protect = self.resolved_plain(rule, Direction::Encrypt);
        self.audit_access(rule, Direction::Encrypt, protect.as_deref().map(Transform::key))?;
        protect
    }

    /// A transform resolved before, whatever the role may see; the caller shows nothing plain of what it does.
    #[cfg(feature = "sql")]
    fn resolved_plain(&self, rule: &RuleRef, direction: Direction) -> Result<Arc<Transform>> {
        let known = self.known(rule, direction, Grant::Plain);
        let transform = known.unwrap_or_else(|| Err(Error::bug(format!("rule `{rule}` was not resolved"))))?;
        transform.key().check_lease()?;
        Ok(transform)
    }

    /// The transform for revealing what was protected under `rule` with the key version `id`.
    ///
    /// # Errors
    /// As [`Engine::resolve`]; [`ErrorKind::KeyNotFound`] when the keyring has no such version.
    pub async fn resolve_version(&self, rule: &str, id: KeyVersionId) -> Result<Arc<Transform>> {
        let definition = self.state.policy.rule(rule)?;
        // By id and not by number: the number is for display, the id was fixed with the key.
        let key = self.state.keyring.describe(&definition.key.name)?;
        let version = key.versions.iter().find(|version| version.id == id).ok_or_else(|| {
            Error::new(
                ErrorKind::KeyNotFound,
                format!(
                    "rule `{rule}`: key `{}` of keyring `{}` has no version with the id {id}",
                    key.name,
                    self.state.keyring.path().display()
                ),
            )
            .with_hint("reveal with the keyring it was protected with")
        })?;
        let rule = RuleRef {
            rule: rule.to_owned(),
            version: Some(version.number),
        };
        self.resolve(&rule, Direction::Decrypt).await
    }

    /// Resolves every rule for its active or pinned key and for every version that can still reveal, as far as the
    /// role may.
    ///
    /// A rule whose key cannot be had is passed over: it is an error when it is used.
    ///
    /// # Errors
    /// [`ErrorKind::ProviderDown`] and [`ErrorKind::WrongKey`]: nothing would work.
    pub async fn resolve_all(&self) -> Result<()> {
        for rule in self.state.policy.rules() {
            // The active version, under no number, and each one by its number.
            let mut versions = vec![None];
            if let Ok(key) = self.state.keyring.describe(&rule.key.name)
                && rule.tokens.is_none()
            {
                versions.extend(key.versions.iter().map(|version| Some(version.number)));
            }
            for version in versions {
                let reference = RuleRef {
                    rule: rule.name.clone(),
                    version,
                };
                for direction in [Direction::Encrypt, Direction::Decrypt] {
                    // What the role may not is refused when it asks, and is no error of the key: another role may.
                    let Ok(grant) = self.allow(&reference, direction) else {
                        continue;
                    };
                    match self.resolve_as(&reference, direction, grant).await {
                        // A token store that is down concerns its own rules only.
                        Err(error)
                            if matches!(error.kind(), ErrorKind::ProviderDown | ErrorKind::WrongKey)
                                && rule.tokens.is_none() =>
                        {
                            return Err(error);
                        }
                        // The refusal is kept, so that the query that needs this key can say why it cannot be had.
                        Err(error) => {
                            self.transforms()
                                .insert((self.role.clone(), reference.clone(), direction, grant), Err(error));
                        }
                        Ok(_) => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// A transform resolved before; never asks a KMS.
    ///
    /// # Errors
    /// [`ErrorKind::NotAllowed`] when the role may not; else why there is none.
    pub fn resolved(&self, rule: &RuleRef, direction: Direction) -> Result<Arc<Transform>> {
        let resolved = self.look_up(rule, direction);
        // A query resolves its rules many times, in each part of its plan: one entry for the session is enough.
        self.audit_once(rule, direction, resolved.as_deref().map(Transform::key))?;
        resolved
    }

    fn look_up(&self, rule: &RuleRef, direction: Direction) -> Result<Arc<Transform>> {
        // Looked up anew each time: the same engine may serve another role through a clone.
        let grant = self.allow(rule, direction)?;
        let known = self.known(rule, direction, grant).map(|known| {
            let transform = known?;
            // A transform may outlive the lease of its key: a right that the KMS took back meanwhile ends here.
            transform.key().check_lease()?;
            Ok(transform)
        });
        known.unwrap_or_else(|| {
            // Nothing was resolved under this name: say which of the possible reasons it is.
            let key = match self.state.policy.rule(&rule.rule) {
                Ok(definition) if definition.tokens.is_some() && rule.version.is_some() => {
                    return Err(no_version_of_tokens());
                }
                Ok(definition) => &definition.key,
                Err(error) => return Err(error),
            };
            let error = Error::new(
                ErrorKind::KeyNotUsable,
                format!(
                    "rule `{rule}` is not ready to {}: key `{key}` has no such version, or its state forbids it",
                    verb(direction)
                ),
            )
            .with_hint(Remedy::DescribeKey(key.name.to_string()));
            Err(error)
        })
    }

    fn known(&self, rule: &RuleRef, direction: Direction, grant: Grant) -> Option<Result<Arc<Transform>>> {
        let transforms = self.transforms();
        let known = transforms.get(&(self.role.clone(), rule.clone(), direction, grant))?;
        // Errors are not `Clone`, as their sources are not; `again` says the same once more.
        Some(known.as_ref().map(Arc::clone).map_err(Error::again))
    }

    /// Protecting is a right of its own; revealing is for those who see the rule's values, or see them masked, and
    /// get just that.
    fn allow(&self, rule: &RuleRef, direction: Direction) -> Result<Grant> {
        let protects = self.state.policy.may_protect(self.role(), &rule.rule)?;
        match (direction, self.grant(&rule.rule)?) {
            // To protect needs no sight of plaintext, so the grant for it is plain: there is nothing to mask.
            (Direction::Encrypt, _) if protects => Ok(Grant::Plain),
            (Direction::Decrypt, grant @ (Grant::Plain | Grant::Masked)) => Ok(grant),
            // Names role and rule only: whoever asks knows both.
            _ => Err(Error::new(
                ErrorKind::NotAllowed,
                format!(
                    "role `{}` may not {} what is under rule `{}`",
                    self.role().unwrap_or_default(),
                    verb(direction),
                    rule.rule
                ),
            )
            .with_hint(match direction {
                Direction::Encrypt => format!(
                    "to protect is a right of its own: {} = {{ see = \"plain\", protect = true }} in [roles.{}] of \
                     `{}`",
                    rule.rule,
                    self.role().unwrap_or_default(),
                    self.state.policy.path.display()
                ),
                Direction::Decrypt => format!("[roles.…] in `{}` says who may", self.state.policy.path.display()),
            })),
        }
    }

    async fn cipher(&self, definition: &Rule, rule: &RuleRef, direction: Direction) -> Result<Transform> {
        // Tested when a transform is made, and not when a policy is read: the rule may still reveal.
        if definition.treatment == Treatment::EncryptLegacy
            && direction == Direction::Encrypt
            && definition.insecure_legacy.is_none()
        {
            return Err(Error::bad_policy(
                "treatment = \"encrypt-legacy\" only reveals: FF3-1 has been broken, and NIST has withdrawn it",
            )
            .with_hint(
                "protect with treatment = \"encrypt\"; where other software needs FF3-1 still, add \
                 insecure_legacy = \"the reason\" to the rule",
            ));
        }
        // A version named by the caller goes before one that the policy pins, to reveal old data under a pinned
        // rule.
        let key = KeyRef {
            version: rule.version.or(definition.key.version),
            ..definition.key.clone()
        };
        let key = self
            .state
            .keyring
            .handle_for(&key, direction, self.role.as_ref())
            .await?;
        let mut others = Vec::new();
        // Only to reveal: each value names its version, which may be any. New values are protected by one.
        if definition.version_character && direction == Direction::Decrypt {
            others = self.handles(&definition.key).await?;
            // That one is in the list already, and first.
            others.retain(|other| other.version() != key.version());
        }
        Transform::try_new(definition, key, others)
    }

    /// Fetches every version of a key that can be had to reveal with.
    async fn handles(&self, key: &KeyRef) -> Result<Vec<KeyHandle>> {
        let keyring = &self.state.keyring;
        let mut handles = Vec::new();
        for version in keyring.describe(&key.name)?.versions {
            let version = KeyRef {
                version: Some(version.number),
                ..key.clone()
            };
            match keyring
                .handle_for(&version, Direction::Decrypt, self.role.as_ref())
                .await
            {
                Ok(handle) => handles.push(handle),
                Err(error) if error.kind() == ErrorKind::ProviderDown => return Err(error),
                // What it protected cannot be revealed; that is said where such a value is met.
                Err(_) => {}
            }
        }
        Ok(handles)
    }

    /// Every row of a token store says itself which key version sealed it, so all that can be had are.
    async fn tokens(
        &self,
        definition: &Rule,
        tokens: &Tokens,
        rule: &RuleRef,
        direction: Direction,
    ) -> Result<Transform> {
        // `RuleRef` may name a version, which for a token would be ignored silently.
        if rule.version.is_some() && direction == Direction::Encrypt {
            return Err(no_version_of_tokens());
        }
        let keyring = &self.state.keyring;
        let key = keyring
            .handle_for(&definition.key, direction, self.role.as_ref())
            .await?;
        let keys = self.handles(&definition.key).await?;
        let token_rule = TokenRule {
            domain: definition.domain.clone(),
            format: definition.format.clone(),
            per_occurrence: tokens.per_occurrence,
            ttl: tokens.ttl,
            never_valid_as: tokens.never_valid_as.clone(),
            floor: floor(definition)?.value(),
        };
        let store = self.token_store(&tokens.store, direction).await?;
        // Without a key to seal with, a tokenizer can only reveal.
        let active = (direction == Direction::Encrypt).then(|| key.clone());
        Transform::with_tokenizer(definition, key, Tokenizer::open(token_rule, store, active, keys).await?)
    }
}

fn no_version_of_tokens() -> Error {
    Error::bad_input("a token goes by no key version: each row of its store says which one sealed it")
        .with_hint("name the rule without a version")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher::Direction;
    use crate::keys::KeyUse;
    use crate::keys::{Keyring, KmsRegistry};
    use crate::kms::MemoryKms;
    use crate::policy::Policy;
    use crate::transform::{TextBatch, Texts};

    #[tokio::test]
    async fn ff3_1_protects_only_where_the_rule_says_why() {
        const RULE: &str = "treatment = \"encrypt-legacy\"\nformat = \"digits\"\nkey = \"pii\"\ndomain = \
            \"old\"\ntweak = { hex = \"d8e7920afa330a\" }\n";
        let text = format!(
            "version = 1\nkeyring = \"keyring.json\"\n[rules.reads]\n{RULE}[rules.writes]\n{RULE}insecure_legacy = \
             \"the old system reads it\"\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let policy = Policy::parse(&text, &folder.path().join("policy.toml")).unwrap();
        let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
        let kms = "memory:main".parse().unwrap();
        let mut keyring = Keyring::create(&policy.keyring, &kms, &registry).await.unwrap();
        keyring
            .create_key(&"pii".parse().unwrap(), KeyUse::Derive, None)
            .await
            .unwrap();
        let engine = Engine::new(policy, keyring);
        let [reads, writes] = ["reads", "writes"].map(|rule| rule.parse::<RuleRef>().unwrap());

        let writes = engine.resolve(&writes, Direction::Encrypt).await.unwrap();
        let (mut protected, mut revealed) = (Texts::default(), Texts::default());
        writes
            .texts(
                TextBatch::new(Direction::Encrypt, &[Some("25-989-741")]),
                &mut protected,
            )
            .unwrap();

        engine.resolve_all().await.unwrap();
        let by_table = engine.resolved(&reads, Direction::Encrypt).unwrap_err();
        let error = engine.resolve(&reads, Direction::Encrypt).await.unwrap_err();
        for error in [error, by_table] {
            assert_eq!(error.kind(), ErrorKind::BadPolicy);
            assert!(error.to_string().contains("only reveals"), "{error}");
            assert!(error.hint().unwrap().to_string().contains("insecure_legacy = "));
        }
        let reads = engine.resolve(&reads, Direction::Decrypt).await.unwrap();
        let rows: Vec<Option<&str>> = protected.iter().collect();
        reads
            .texts(TextBatch::new(Direction::Decrypt, &rows), &mut revealed)
            .unwrap();
        assert_eq!(revealed.iter().next(), Some(Some("25-989-741")));
    }
}
