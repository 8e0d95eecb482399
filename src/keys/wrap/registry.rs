//! The registry of KMS clients, by the scheme of key references.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::key_event::KeyAudit;
use super::kms_client::KmsClient;
use crate::keys::cache_limits::CacheLimits;
use crate::keys::context::Context;
use crate::keys::key_ref::KmsKeyRef;
use crate::keys::timestamp::Timestamp;
use crate::keys::trust::Trust;
use crate::{Error, ErrorKind, Result};

/// The KMS clients of this process by scheme. Passed to whatever opens a keyring; there is no global one. Clones
/// share the clients.
#[derive(Clone, Debug, Default)]
pub struct KmsRegistry {
    clients: BTreeMap<String, Arc<dyn KmsClient>>,
    /// Schemes that this build does not serve, with the features that would.
    absent: BTreeMap<String, &'static str>,
    cache: Option<CacheLimits>,
    audits: Vec<Arc<dyn KeyAudit>>,
    context: Context,
    trust: Option<Trust>,
}

impl KmsRegistry {
    /// Makes a registry without clients.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers `client` for `scheme`, in place of an earlier one.
    #[must_use]
    pub fn with(self, scheme: impl Into<String>, client: impl KmsClient + 'static) -> Self {
        self.with_shared(scheme, Arc::new(client))
    }

    /// Registers a client that the caller keeps using, too.
    #[must_use]
    pub fn with_shared(mut self, scheme: impl Into<String>, client: Arc<dyn KmsClient>) -> Self {
        // The last one wins, so a test or a host can replace a client of the defaults.
        self.clients.insert(scheme.into(), client);
        self
    }

    /// Trusts only what `trust` has: no request is made to a KMS key that it does not name, and a keyring opens only if
    /// it is the one that it pins. Without it, a program that hands over its own clients trusts every file it opens.
    #[must_use]
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Trusts a KMS key that a person named, rather than a file.
    #[must_use]
    pub fn allowing(mut self, key: &KmsKeyRef) -> Self {
        self.trust = self.trust.map(|trust| trust.allowing(key));
        self
    }

    pub(crate) fn trust(&self) -> Option<&Trust> {
        self.trust.as_ref()
    }

    /// Sets the cache limits of keyrings opened through this registry; they go before those of a policy.
    #[must_use]
    pub fn with_cache(mut self, policy: CacheLimits) -> Self {
        self.cache = Some(policy);
        self
    }

    /// Adds an observer of all requests to a KMS from now on.
    #[must_use]
    pub fn with_audit(mut self, audit: Arc<dyn KeyAudit>) -> Self {
        self.audits.push(audit);
        self
    }

    /// Sets the actor, as in the history of keys and in audit logs; `unknown` by default.
    #[must_use]
    pub fn with_actor(mut self, who: impl Into<Arc<str>>) -> Self {
        self.context.set_actor(who);
        self
    }

    /// Sets the clock, by which the periods of keys begin and end; the system's by default.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.context.set_clock(clock);
        self
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn cache(&self) -> Option<CacheLimits> {
        self.cache
    }

    pub(super) fn audits(&self) -> impl Iterator<Item = &dyn KeyAudit> {
        self.audits.iter().map(|audit| &**audit)
    }

    /// Notes that a build with `feature` would serve `scheme`, for error messages.
    #[must_use]
    #[allow(dead_code, reason = "a build with every client lacks none")]
    pub(crate) fn without(mut self, scheme: impl Into<String>, feature: &'static str) -> Self {
        self.absent.insert(scheme.into(), feature);
        self
    }

    /// Returns the client for `key`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ProviderDown`] if no client is registered for its scheme; [`ErrorKind::NotAllowed`] for a key that
    /// is not [trusted](Self::with_trust).
    pub fn client(&self, key: &KmsKeyRef) -> Result<&dyn KmsClient> {
        // Every request begins here, so that nothing is loaded, opened or sent before.
        if let Some(trust) = &self.trust {
            trust.check_reference(key)?;
        }
        let scheme = key.scheme();
        self.clients
            // By the exact scheme: no aliases, so what a keyring names is what is asked.
            .get(scheme)
            .map(|client| &**client)
            .ok_or_else(|| self.missing(scheme))
    }

    fn missing(&self, scheme: &str) -> Error {
        // A client that was left out of the build is told apart from a misspelt scheme, since the
        // remedies differ.
        if let Some(feature) = self.absent.get(scheme) {
            let message =
                format!("this build has no KMS client for scheme `{scheme}`: its feature `{feature}` is not enabled");
            return Error::new(ErrorKind::ProviderDown, message).with_hint(format!(
                "build with the feature `{feature}`, or with `full` for everything"
            ));
        }
        // The key may exist and be usable; what is missing is the way to it. So this is no `KeyNotFound`,
        // which would let `remove` call a version destroyed.
        let error = Error::new(ErrorKind::ProviderDown, format!("no KMS client for scheme `{scheme}`"));
        let registered: Vec<_> = self.clients.keys().map(String::as_str).collect();
        error.with_hint(match registered.as_slice() {
            [] => "no client is registered".to_string(),
            schemes => format!("the registered schemes are {}", schemes.join(", ")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::MemoryKms;

    #[test]
    fn a_missing_client_says_what_to_do() {
        let registry = KmsRegistry::new().with("memory", MemoryKms::new());
        assert!(registry.client(&"memory:main".parse().unwrap()).is_ok());

        let error = registry
            .client(&"vault:https://host/transit/main".parse().unwrap())
            .unwrap_err();
        assert_eq!(error.message(), "no KMS client for scheme `vault`");
        assert!(error.hint().unwrap().to_string().contains("memory"));

        // A misspelt scheme gets the same list.
        let error = registry.client(&"locl:main".parse().unwrap()).unwrap_err();
        assert!(error.hint().unwrap().to_string().contains("memory"));
    }
}
