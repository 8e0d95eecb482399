//! `shift`: dates moved by as many days as a keyed function of another column says: the same for all dates of a person, so that their order
//! and distances stay. This is obfuscation, not encryption: whoever knows one date of a person knows all.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::cipher::Direction;
use crate::formats::{Counts, Misfit, Unit};
use crate::{Error, Result, Secret};

/// Length of the key, in bytes.
pub(super) const KEY_LENGTH: usize = 32;

#[derive(Clone, Debug)]
pub(super) struct Shifter {
    keyed: Arc<Hmac<Sha256>>,
    /// The furthest that a date is moved.
    days: u32,
    counts: Counts,
    /// Counts of a day.
    per_day: i128,
}

impl Shifter {
    pub(super) fn new(key: &Secret<Vec<u8>>, days: u32, counts: Option<Counts>) -> Result<Self> {
        let keyed = Hmac::new_from_slice(key.expose()).map_err(|_| Error::bug("HMAC takes keys of any length"))?;
        let per_day = |unit| match unit {
            Unit::Day => Some(1),
            Unit::Instant(resolution) => Some(86_400 * resolution.per_second()),
            Unit::Integer | Unit::Decimal { .. } | Unit::TimeOfDay(_) => None,
        };
        let (counts, per_day) = counts
            .and_then(|counts| Some((counts, per_day(counts.unit)?)))
            .ok_or_else(|| Error::bad_policy("treatment = \"shift\" takes format \"date\" or \"timestamp\""))?;
        Ok(Self {
            keyed: Arc::new(keyed),
            days,
            counts,
            per_day,
        })
    }

    /// By how many days the dates of `entity` are moved: −days…−1 or 1…days.
    fn days(&self, entity: &[u8]) -> i128 {
        let mut hmac = Hmac::clone(&self.keyed);
        hmac.update(entity);
        let hash: [u8; 32] = hmac.finalize().into_bytes().into();
        let mut number = [0; 16];
        number.copy_from_slice(&hash[..16]);
        let days = i128::from(self.days);
        // Of 2^128 numbers, the first 2·days are as good as equally likely.
        let choice = (u128::from_be_bytes(number) % (2 * days) as u128) as i128;
        if choice < days {
            choice - days
        } else {
            choice - days + 1
        }
    }

    /// The count that `count` becomes, or was.
    ///
    /// # Errors
    /// One that is outside of the format's range, or would be: it is never clamped.
    pub(super) fn count(&self, direction: Direction, count: i128, entity: &[u8]) -> Result<i128, Misfit> {
        let offset = self.days(entity) * self.per_day;
        let range = self.counts.min..=self.counts.max;
        let moved = match direction {
            Direction::Encrypt => count + offset,
            Direction::Decrypt => count - offset,
        };
        match range.contains(&count) && range.contains(&moved) {
            true => Ok(moved),
            false => Err(Misfit::OutOfRange),
        }
    }

    /// The least count of the format: rank 0.
    pub(super) fn least(&self) -> i128 {
        self.counts.min
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn never_zero_and_the_same_for_all_dates_of_one() {
        let counts = Counts {
            unit: Unit::Day,
            min: 0,
            max: 1_000,
        };
        let shifter = Shifter::new(&Secret::new(vec![1; KEY_LENGTH]), 3, Some(counts)).unwrap();
        let offsets: HashSet<i128> = (0..1_000u32)
            .map(|entity| shifter.days(&entity.to_be_bytes()))
            .collect();
        assert_eq!(offsets, HashSet::from([-3, -2, -1, 1, 2, 3]));
        let offset = shifter.days(b"ann");
        for count in 3..=997 {
            let moved = shifter.count(Direction::Encrypt, count, b"ann").unwrap();
            assert_eq!(moved - count, offset);
            assert_eq!(shifter.count(Direction::Decrypt, moved, b"ann"), Ok(count));
        }
        let edge = if offset < 0 { 0 } else { 1_000 };
        assert_eq!(shifter.count(Direction::Encrypt, edge, b"ann"), Err(Misfit::OutOfRange));
        assert_eq!(
            shifter.count(Direction::Encrypt, 1_001, b"ann"),
            Err(Misfit::OutOfRange)
        );
    }

    #[tokio::test]
    async fn dates_and_timestamps_of_one_entity_move_together() {
        use crate::Engine;
        use crate::keys::{KeyUse, Keyring, KmsRegistry, Operation};
        use crate::kms::MemoryKms;
        use crate::policy::Policy;
        use crate::transform::Texts;

        let policy: String = [
            ("day", "\"date\"", "visits", 90),
            ("written", "{ type = \"date\", pattern = \"%d.%m.%Y\", min = 1990-01-01 }", "visits", 90),
            ("instant", "{ type = \"timestamp\", resolution = \"s\" }", "visits", 90),
            ("wider", "\"date\"", "visits", 91),
            ("other", "\"date\"", "others", 90),
        ]
        .iter()
        .map(|(name, format, domain, days)| {
            format!(
                "[rules.{name}]\ntreatment = \"shift\"\nformat = {format}\nkey = \"pii\"\nentity = \"id\"\ndomain = \"{domain}\"\ndays = {days}\n"
            )
        })
        .collect();
        let folder = tempfile::tempdir().unwrap();
        let policy = format!("version = 1\nkeyring = \"keyring.json\"\n{policy}");
        let policy = Policy::parse(&policy, &folder.path().join("policy.toml")).unwrap();
        let registry = KmsRegistry::new().with("memory", MemoryKms::new().with_key("main"));
        let mut keyring = Keyring::create(&policy.keyring, &"memory:main".parse().unwrap(), &registry)
            .await
            .unwrap();
        keyring
            .create_key(&"pii".parse().unwrap(), KeyUse::Derive, None)
            .await
            .unwrap();
        let engine = Engine::new(policy, keyring);
        let entities: Vec<String> = (0..20).map(|entity| format!("patient {entity}")).collect();
        let tweaks: Vec<&[u8]> = entities.iter().map(String::as_bytes).collect();
        let mut prints = HashSet::new();
        let mut moved = async |rule: &str, value: &str, pattern: &str| -> Vec<i64> {
            let transform = engine
                .resolve(&rule.parse().unwrap(), Operation::Protect)
                .await
                .unwrap();
            prints.insert((transform.fingerprint(), transform.check_value()));
            let mut out = Texts::default();
            let rows = vec![Some(value); tweaks.len()];
            transform
                .texts(Direction::Encrypt, &rows, Some(&tweaks), &mut out)
                .unwrap();
            let day = |text: &str| chrono::NaiveDate::parse_from_str(&text[..10], pattern).unwrap();
            out.iter()
                .map(|text| (day(text.unwrap()) - day(value)).num_days())
                .collect()
        };
        let days = moved("day", "2001-02-03", "%Y-%m-%d").await;
        assert_eq!(moved("written", "31.12.1999", "%d.%m.%Y").await, days);
        assert_eq!(moved("instant", "2024-02-29 23:59:59", "%Y-%m-%d").await, days);
        assert_ne!(moved("wider", "2001-02-03", "%Y-%m-%d").await, days);
        assert_ne!(moved("other", "2001-02-03", "%Y-%m-%d").await, days);
        // What a rule is, is still told from what it is not.
        assert_eq!(prints.len(), 5);
    }

    #[test]
    fn only_days_can_be_moved() {
        let counts = Counts {
            unit: Unit::Integer,
            min: 0,
            max: 1_000,
        };
        let key = Secret::new(vec![1; KEY_LENGTH]);
        assert!(Shifter::new(&key, 3, Some(counts)).is_err());
        assert!(Shifter::new(&key, 3, None).is_err());
    }
}
