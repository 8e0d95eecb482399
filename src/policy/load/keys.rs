//! The table `[keys]`.

use toml::Spanned;

use super::file::KeysFile;
use super::source::PolicySource;
use crate::Result;
use crate::keys::CacheLimits;

impl KeysFile {
    pub(super) fn check(self, source: &PolicySource<'_>) -> Result<CacheLimits> {
        let duration = |text: Spanned<String>| match humantime::parse_duration(text.get_ref()) {
            // A zero would ask the KMS for every use, and most services limit the rate.
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
            // A job could not keep a key for as long as the cache still hands it out.
            if cache.max_hold < cache.ttl {
                return Err(source
                    .error(at, "max_hold is shorter than ttl")
                    .with_hint("set `ttl`, too: one hour unless said otherwise"));
            }
        } else {
            // Only `ttl` is given, and longer than the default: the other limit follows.
            cache.max_hold = cache.max_hold.max(cache.ttl);
        }
        Ok(cache)
    }
}
