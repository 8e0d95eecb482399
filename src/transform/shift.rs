//! `shift`: dates moved by a keyed number of days, the same for all dates of an entity.
//!
//! The number of days is a function of another column, so that order and distances of one person's dates stay. This is
//! obfuscation, not encryption: whoever knows one date of a person knows all.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::batch::{OrdinalBatch, Outcome, TextBatch, Texts, Values};
use super::rows::{each_ordinal, each_ordinal_text};
use super::treatment::Treatment;
use crate::cipher::Direction;
use crate::formats::{FormatError, OrdinalRange, RowError, Unit};
use crate::policy::Rule;
use crate::{Error, Result, Secret};

/// Length of the key, in bytes.
pub(super) const KEY_LENGTH: usize = 32;

/// Moves dates under one key.
#[derive(Clone, Debug)]
pub(super) struct Shifter {
    keyed: Arc<Hmac<Sha256>>,
    /// The furthest that a date is moved.
    days: u32,
    range: OrdinalRange,
    /// Ordinals of a day.
    per_day: i128,
}

impl Shifter {
    pub(super) fn new(key: &Secret<Vec<u8>>, days: u32, range: Option<OrdinalRange>) -> Result<Self> {
        let keyed = Hmac::new_from_slice(key.expose()).map_err(|_| Error::bug("HMAC takes keys of any length"))?;
        // Only units that have days; a time of day would leave its day.
        let per_day = |unit| match unit {
            Unit::Day => Some(1),
            Unit::Instant(resolution) => Some(86_400 * resolution.per_second()),
            Unit::Integer | Unit::Decimal { .. } | Unit::TimeOfDay(_) => None,
        };
        let (range, per_day) = range
            .and_then(|range| Some((range, per_day(range.unit)?)))
            .ok_or_else(|| Error::bad_policy("treatment = \"shift\" takes format \"date\" or \"timestamp\""))?;
        Ok(Self {
            keyed: Arc::new(keyed),
            days,
            range,
            per_day,
        })
    }

    /// By how many days the dates of `entity` are moved: −days…−1 or 1…days.
    fn days(&self, entity: &[u8]) -> i128 {
        // HMAC over the entity alone, so all dates of a person, in any column of the rule, move by one number.
        let mut hmac = Hmac::clone(&self.keyed);
        hmac.update(entity);
        let hash: [u8; 32] = hmac.finalize().into_bytes().into();
        let mut number = [0; 16];
        number.copy_from_slice(&hash[..16]);
        let days = i128::from(self.days);
        // The remainder of a 128-bit number by at most 2 · 36,500: its bias is below 2^−110.
        let choice = (u128::from_be_bytes(number) % (2 * days) as u128) as i128;
        // Zero is left out: a date that does not move would be in the clear.
        if choice < days {
            choice - days
        } else {
            choice - days + 1
        }
    }

    /// Moves a date of `entity`, or moves it back.
    ///
    /// # Errors
    /// A date that is outside of the format's range, or would be: it is never clamped.
    fn shift(&self, direction: Direction, date: i128, entity: &[u8]) -> Result<i128, FormatError> {
        // At most 36,500 days in nanoseconds, far within 128 bits; dates are within 64.
        let offset = self.days(entity) * self.per_day;
        let range = self.range.min..=self.range.max;
        let moved = match direction {
            Direction::Encrypt => date + offset,
            Direction::Decrypt => date - offset,
        };
        // Both ends are tested: a moved date outside of the range could be written, but not revealed, since the
        // way back tests it too.
        if range.contains(&date) && range.contains(&moved) {
            Ok(moved)
        } else {
            Err(FormatError::OutOfRange)
        }
    }
}

impl Treatment for Shifter {
    fn texts(&self, rule: &Rule, batch: TextBatch<'_>, out: &mut Texts) -> Result<Outcome, RowError> {
        each_ordinal_text(rule, batch, out, |date, entity| {
            self.shift(batch.direction, date, entity)
        })
    }

    fn ordinals(&self, rule: &Rule, batch: OrdinalBatch<'_>) -> Result<Values<i128>, RowError> {
        each_ordinal(rule, batch, |date, entity| self.shift(batch.direction, date, entity))
    }

    fn takes_ordinals(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn never_zero_and_the_same_for_all_dates_of_one() {
        let range = OrdinalRange {
            unit: Unit::Day,
            min: 0,
            max: 1_000,
        };
        let shifter = Shifter::new(&Secret::new(vec![1; KEY_LENGTH]), 3, Some(range)).unwrap();
        let offsets: HashSet<i128> = (0..1_000u32)
            .map(|entity| shifter.days(&entity.to_be_bytes()))
            .collect();
        assert_eq!(offsets, HashSet::from([-3, -2, -1, 1, 2, 3]));
        let offset = shifter.days(b"ann");
        for date in 3..=997 {
            let moved = shifter.shift(Direction::Encrypt, date, b"ann").unwrap();
            assert_eq!(moved - date, offset);
            assert_eq!(shifter.shift(Direction::Decrypt, moved, b"ann"), Ok(date));
        }
        let edge = if offset < 0 { 0 } else { 1_000 };
        assert_eq!(
            shifter.shift(Direction::Encrypt, edge, b"ann"),
            Err(FormatError::OutOfRange)
        );
        assert_eq!(
            shifter.shift(Direction::Encrypt, 1_001, b"ann"),
            Err(FormatError::OutOfRange)
        );
    }

    #[tokio::test]
    async fn dates_and_timestamps_of_one_entity_move_together() {
        use crate::Engine;
        use crate::cipher::Tweaks;
        use crate::keys::{KeyUse, Keyring, KmsRegistry};
        use crate::kms::MemoryKms;
        use crate::policy::Policy;
        use crate::transform::{TextBatch, Texts};

        let policy: String = [
            ("day", "\"date\"", "visits", 90),
            (
                "written",
                "{ type = \"date\", pattern = \"%d.%m.%Y\", min = 1990-01-01 }",
                "visits",
                90,
            ),
            ("instant", "{ type = \"timestamp\", resolution = \"s\" }", "visits", 90),
            ("wider", "\"date\"", "visits", 91),
            ("other", "\"date\"", "others", 90),
        ]
        .iter()
        .map(|(name, format, domain, days)| {
            format!(
                "[rules.{name}]\ntreatment = \"shift\"\nformat = {format}\nkey = \"pii\"\nentity = \"id\"\ndomain = \
                 \"{domain}\"\ndays = {days}\n"
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
                .resolve(&rule.parse().unwrap(), Direction::Encrypt)
                .await
                .unwrap();
            prints.insert((transform.fingerprint(), transform.check_value()));
            let mut out = Texts::default();
            let rows = vec![Some(value); tweaks.len()];
            transform
                .texts(
                    TextBatch::new(Direction::Encrypt, &rows).with_tweaks(Some(Tweaks::PerRow(&tweaks))),
                    &mut out,
                )
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
        let range = OrdinalRange {
            unit: Unit::Integer,
            min: 0,
            max: 1_000,
        };
        let key = Secret::new(vec![1; KEY_LENGTH]);
        assert!(Shifter::new(&key, 3, Some(range)).is_err());
        assert!(Shifter::new(&key, 3, None).is_err());
    }
}
