//! Key handles.

use std::sync::Arc;

use super::lease::Lease;
use super::material::KeyMaterial;
use super::usage::VersionUsage;
use crate::cipher::Direction;
use crate::keys::exchanged_map::ExchangedMap;
use crate::keys::ids::KeyVersionId;
use crate::keys::key_ref::KeyName;
use crate::keys::key_use::{DirectMode, KeyUse};
use crate::keys::wrap::{Purpose, derive};
use crate::{Error, ErrorKind, Hint, Remedy, Result, Secret};

/// One version of one key, ready to use. Clones share the key bytes, which are wiped once the last clone and the
/// keyring's cache have dropped them.
#[derive(Clone, Debug)]
pub struct KeyHandle {
    pub(crate) name: KeyName,
    pub(crate) version: u32,
    pub(crate) version_id: KeyVersionId,
    pub(crate) material: Arc<KeyMaterial>,
    pub(crate) lease: Lease,
    pub(crate) usage: Arc<VersionUsage>,
    pub(crate) due: Option<String>,
    pub(crate) only_for: Option<Arc<ExchangedMap>>,
}

impl KeyHandle {
    /// Counts `values` that are about to be protected or revealed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotUsable`] if more would be protected than the key's limit allows; errors of the audit log,
    /// in which a key with a limit sets values aside.
    pub fn count(&self, direction: Direction, values: u64) -> Result<()> {
        self.usage.count(direction, values)
    }

    /// Checks whether anything was protected or revealed with this version.
    pub(crate) fn was_used(&self) -> bool {
        self.usage.any()
    }

    /// Checks whether the key is fresh enough to be handed out again without asking the keyring.
    pub(crate) fn is_fresh(&self) -> bool {
        self.lease.is_fresh()
    }

    /// Checks that the cached key is not older than the `max_hold` of the cache limits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotUsable`] once it is older than [`CacheLimits::max_hold`](crate::keys::CacheLimits::max_hold).
    pub fn check_lease(&self) -> Result<()> {
        // Asked by jobs while they run: a handle outlives the cache's entry, so the cache alone cannot
        // end its use.
        if self.lease.is_valid() {
            return Ok(());
        }
        let max_age = humantime::format_duration(self.lease.max_age);
        let message = format!(
            "key `{}@{}` was fetched more than {max_age} ago, the max_hold",
            self.name, self.version
        );
        Err(Error::new(ErrorKind::KeyNotUsable, message).with_hint(
            "start again; for longer jobs raise `max_hold` under [keys] in the policy, or cut the job in parts",
        ))
    }

    /// Returns what is due soon, such as a period that ends.
    pub fn due(&self) -> Option<&str> {
        self.due.as_deref()
    }

    /// Returns the name of the key.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// Returns the number of the version, for display.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Returns the id of the version, which protected data names.
    pub fn version_id(&self) -> KeyVersionId {
        self.version_id
    }

    /// Returns the use of the key.
    pub fn key_use(&self) -> KeyUse {
        self.material.key_use
    }

    /// Derives the subkey of `length` bytes for `purpose`, bound to this version, `domain` and the fingerprint of the
    /// parameters that define the map.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotUsable`] if the key's use is not `derive`.
    pub fn subkey(&self, purpose: Purpose, domain: &str, fingerprint: &[u8], length: usize) -> Result<Secret<Vec<u8>>> {
        // A caller of the library may pass any purpose. The key of the check value, for one, must not
        // come out as a subkey.
        if !purpose.is_subkey() {
            return Err(Error::bug(format!(
                "`{}` is no purpose of a data key's subkey",
                purpose.label()
            )));
        }
        // A direct key is an AES key that other software has, too. Keys derived from it would be known to
        // whoever has it, and it would serve two algorithms.
        let KeyUse::Derive = self.key_use() else {
            return Err(self.not_usable("subkeys cannot be derived from it").with_hint(
                Hint::from("use it with the mode it was made for, or for deriving ").then(Remedy::CreateKey(None)),
            ));
        };
        let context = [self.version_id.as_bytes(), domain.as_bytes(), fingerprint];
        // The id and not the name is bound, so a key may be renamed. The domain separates rules that must
        // not join; the fingerprint makes another format or treatment another key, so their permutations
        // are independent.
        derive(self.material.key(), purpose, &context, length)
    }

    /// Returns the AES key itself, for `mode`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotUsable`] unless the key was made for direct use with this mode.
    pub fn direct_key(&self, mode: DirectMode) -> Result<Secret<Vec<u8>>> {
        match self.key_use() {
            // SP 800-57 Part 1, section 5.2: one key, one purpose. The same AES key under FF1 and FF3-1
            // would be one key of two algorithms.
            KeyUse::Direct { mode: made_for, .. } if made_for == mode => Ok(Secret::new(self.material.key().to_vec())),
            _ => Err(self
                .not_usable(&format!("it cannot be used directly with {mode}"))
                .with_hint("a key's use is fixed when it is created; create another key for this one")),
        }
    }

    /// Checks that the key may serve this map: a key from a partner serves one map only.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyNotUsable`].
    pub fn check_map(&self, domain: &str, fingerprint: &[u8], tweak_definition: &str) -> Result<()> {
        // A partner gave the key for one map. Under another one it would protect values that the partner
        // can reveal, though nobody meant to share them.
        let Some(map) = &self.only_for else { return Ok(()) };
        let differs = if map.domain != domain {
            "domain"
        } else if map.fingerprint != hex::encode(fingerprint) {
            "format"
        } else if map.tweak != tweak_definition {
            "tweak"
        } else {
            return Ok(());
        };
        let error = self.not_usable(&format!(
            "it came from a partner for one rule, whose {differs} is another"
        ));
        Err(error.with_hint(format!(
            "the rule needs domain = \"{}\", the format `{}` and the tweak `{}`",
            map.domain, map.format, map.tweak
        )))
    }

    /// Derives the check value, 16 bytes. Kept beside protected data, it shows whether version, domain, format and
    /// tweak are those that protected it.
    ///
    /// # Errors
    ///
    /// None that a caller can cause.
    pub fn check_value(&self, domain: &str, fingerprint: &[u8], tweak_definition: &str) -> Result<[u8; 16]> {
        let context = [
            self.version_id.as_bytes(),
            domain.as_bytes(),
            fingerprint,
            tweak_definition.as_bytes(),
        ];
        let mut value = [0; 16];
        if let Some(map) = &self.only_for
            // Under any other map the value is derived here, and so differs: the comparison fails, as it
            // should.
            && self.check_map(domain, fingerprint, tweak_definition).is_ok()
        {
            // The check value of the sender, so that columns of both sides agree.
            hex::decode_to_slice(&map.check, &mut value)
                .map_err(|_| Error::bad_input("the check value of an exchanged key is not 16 bytes"))?;
            return Ok(value);
        }
        // 128 bits: two maps agree by chance with 2^-128, and a one-way function of the key may be
        // public.
        let derived = derive(self.material.check_key(), Purpose::CheckValue, &context, 16)?;
        value.copy_from_slice(derived.expose());
        Ok(value)
    }

    /// Derives the check key that goes to a partner with the key of a map.
    #[cfg(feature = "exchange")]
    pub(crate) fn exchange_check_key(&self, domain: &str, fingerprint: &[u8]) -> Result<Secret<Vec<u8>>> {
        let context = [self.version_id.as_bytes(), domain.as_bytes(), fingerprint];
        derive(self.material.check_key(), Purpose::ExchangeCheck, &context, 32)
    }

    fn not_usable(&self, why: &str) -> Error {
        let message = format!("key `{}` is for the use `{}`: {why}", self.name, self.key_use());
        Error::new(ErrorKind::KeyNotUsable, message)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::keys::KeyBits;

    fn handle(key_use: KeyUse) -> KeyHandle {
        let bytes = (0..KeyMaterial::length(key_use)).map(|byte| byte as u8).collect();
        KeyHandle {
            name: "pii".parse().unwrap(),
            version: 1,
            version_id: KeyVersionId::from_bytes(std::array::from_fn(|i| 0xa0 + i as u8)),
            material: Arc::new(KeyMaterial::try_new(key_use, Secret::new(bytes)).unwrap()),
            lease: Lease {
                clock: Arc::new(Instant::now),
                fetched: Instant::now(),
                ttl: Duration::from_secs(60),
                max_age: Duration::from_secs(60),
            },
            usage: Arc::default(),
            due: None,
            only_for: None,
        }
    }

    /// Known answers, as in `derive`: the layout of the context is part of the format.
    #[test]
    fn contexts_are_fixed() {
        let key = handle(KeyUse::Derive);
        let fingerprint = [0x00, 0xff, 0x10];
        let subkey = key.subkey(Purpose::Ff1, "customer-key", &fingerprint, 16).unwrap();
        assert_eq!(hex::encode(subkey.expose()), "13a22e285e208b5612bd77b627a18d5b");
        let check = key.check_value("customer-key", &fingerprint, "none").unwrap();
        assert_eq!(hex::encode(check), "adc788444636f33b76090a3dd94ae77b");
    }

    #[test]
    fn check_values_differ_with_each_part() {
        let key = handle(KeyUse::Derive);
        let reference = key.check_value("a", b"b", "c").unwrap();
        assert_ne!(key.check_value("x", b"b", "c").unwrap(), reference);
        assert_ne!(key.check_value("a", b"x", "c").unwrap(), reference);
        assert_ne!(key.check_value("a", b"b", "x").unwrap(), reference);
        let mut other = key.clone();
        other.version_id = KeyVersionId::from_bytes([0; 16]);
        assert_ne!(other.check_value("a", b"b", "c").unwrap(), reference);
    }

    #[test]
    fn a_key_keeps_to_its_use() {
        let derive = handle(KeyUse::Derive);
        let ff1 = handle(KeyUse::Direct {
            mode: DirectMode::Ff1,
            bits: KeyBits::B128,
        });
        assert_eq!(ff1.direct_key(DirectMode::Ff1).unwrap().expose().len(), 16);
        assert!(ff1.check_value("a", b"b", "c").is_ok());
        for refused in [
            derive.direct_key(DirectMode::Ff1),
            ff1.direct_key(DirectMode::Ff31Legacy),
            ff1.subkey(Purpose::Ff1, "a", b"b", 32),
        ] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::KeyNotUsable);
        }
        // Else anybody who may derive subkeys could make the check value of any column.
        assert!(derive.subkey(Purpose::CheckValue, "a", b"b", 16).is_err());
    }

    #[test]
    fn debug_shows_no_key() {
        let text = format!("{:?}", handle(KeyUse::Derive));
        assert!(text.contains("****") && !text.contains("31,"), "{text}");
    }
}
