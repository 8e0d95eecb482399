//! Times of keys: whole seconds, UTC, written as RFC 3339.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A day, in seconds.
const DAY: u64 = 24 * 3_600;

/// A moment, to the second: `2026-03-01T12:00:00Z`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(SystemTime);

impl Timestamp {
    /// The beginning of 1970.
    pub const EPOCH: Self = Self(SystemTime::UNIX_EPOCH);

    /// Returns the current time of the system's clock.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Checks whether the time is past, or less than 60 days ahead.
    pub(crate) fn is_near(self, now: Self) -> bool {
        // Added to the present, not subtracted from `self`: nothing here can go below the epoch.
        now.plus_days(60) >= self
    }

    /// Returns the time `days` later.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        Self(self.0 + Duration::from_secs(u64::from(days) * DAY))
    }

    /// Returns the whole days since `then`; 0 if that is later.
    pub fn days_since(self, then: Self) -> u64 {
        // Clocks go back; a negative age is no reason to fail.
        self.0.duration_since(then.0).map_or(0, |since| since.as_secs() / DAY)
    }

    /// Returns the time as the standard library's type.
    pub fn as_system_time(self) -> SystemTime {
        self.0
    }
}

impl From<SystemTime> for Timestamp {
    /// Drops the fraction of the second; a clock before 1970 counts as 1970.
    fn from(time: SystemTime) -> Self {
        let seconds = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        // Whole seconds are all that RFC 3339 text without a fraction holds. A time that was kept finer
        // in memory than in the file would differ after reading, and the file would not be written again
        // byte for byte.
        Self(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_seconds(self.0).fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let time = humantime::parse_rfc3339(text)
            .map_err(|error| Error::bad_input("a time is written like 2026-03-01T12:00:00Z").with_source(error))?;
        Ok(time.into())
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        let time: Timestamp = "2026-02-28T23:59:59Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-02-28T23:59:59Z");
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn seconds_are_whole() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_999);
        assert_eq!(Timestamp::from(time).to_string(), "1970-01-01T00:00:01Z");
    }
}
