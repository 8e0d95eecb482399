//! The part of a KMS client that all blocking providers share.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::limiter::Limiter;
use crate::keys::{DataKey, KmsClient, KmsKeyInfo, KmsKeyRef, WrapContext, random};
use crate::kms::settings::Settings;
use crate::{Result, Secret};

/// A KMS provider whose calls block: [`Remote`] makes a [`KmsClient`] of it.
pub(in crate::kms) trait Provider: Send + Sync + 'static {
    /// A parsed reference: which key, and where it is.
    type Location: Send + 'static;

    /// Names the service of a provider whose calls nothing can interrupt: past the time-out they are left to
    /// themselves.
    const UNINTERRUPTIBLE: Option<&'static str> = None;

    /// Returns the settings that the provider was made with.
    fn settings(&self) -> &Settings;

    /// Parses a reference. No request is made.
    fn locate(key: &KmsKeyRef) -> Result<Self::Location>;

    /// Describes a key, as [`KmsClient::describe`].
    fn describe(&self, location: &Self::Location) -> Result<KmsKeyInfo>;

    /// Generates a data key, as [`KmsClient::generate_data_key`]: by default random bytes of the operating system,
    /// wrapped.
    fn generate(&self, location: &Self::Location, length: usize, context: &WrapContext) -> Result<DataKey> {
        let plaintext = random::secret(length)?;
        let wrapped = self.wrap(location, &plaintext, context)?;
        Ok(DataKey { plaintext, wrapped })
    }

    /// Wraps a data key, as [`KmsClient::wrap`].
    fn wrap(&self, location: &Self::Location, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>>;

    /// Unwraps a data key, as [`KmsClient::unwrap`].
    fn unwrap(&self, location: &Self::Location, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>>;
}

/// A client of a remote KMS: the calls of a provider, off the async threads and a few at a time.
pub(in crate::kms) struct Remote<P> {
    provider: Arc<P>,
    limiter: Limiter,
}

impl<P: Provider> Remote<P> {
    pub(in crate::kms) fn new(provider: P) -> Self {
        let limiter = Limiter::new(provider.settings().timeouts());
        Self {
            provider: Arc::new(provider),
            limiter,
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        key: &KmsKeyRef,
        work: impl FnOnce(&P, &P::Location) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        // Parsed before the queue: a reference that is wrong is refused at once, whatever the KMS is
        // doing.
        let location = P::locate(key)?;
        let provider = Arc::clone(&self.provider);
        let work = move || work(&provider, &location);
        match P::UNINTERRUPTIBLE {
            None => self.limiter.run(work).await,
            Some(service) => self.limiter.run_or_leave(service, work).await,
        }
    }
}

#[async_trait]
impl<P: Provider> KmsClient for Remote<P> {
    async fn describe(&self, key: &KmsKeyRef) -> Result<KmsKeyInfo> {
        self.run(key, P::describe).await
    }

    async fn generate_data_key(&self, key: &KmsKeyRef, length: usize, context: &WrapContext) -> Result<DataKey> {
        let context = context.clone();
        let generate = move |provider: &P, location: &P::Location| provider.generate(location, length, &context);
        self.run(key, generate).await
    }

    async fn wrap(&self, key: &KmsKeyRef, plaintext: &Secret<Vec<u8>>, context: &WrapContext) -> Result<Vec<u8>> {
        // The work may outlive a caller that is cancelled, so it owns what it reads; the clone is wiped
        // like the original.
        let (plaintext, context) = (plaintext.clone(), context.clone());
        let wrap = move |provider: &P, location: &P::Location| provider.wrap(location, &plaintext, &context);
        self.run(key, wrap).await
    }

    async fn unwrap(&self, key: &KmsKeyRef, wrapped: &[u8], context: &WrapContext) -> Result<Secret<Vec<u8>>> {
        let (wrapped, context) = (wrapped.to_vec(), context.clone());
        let unwrap = move |provider: &P, location: &P::Location| provider.unwrap(location, &wrapped, &context);
        self.run(key, unwrap).await
    }
}

impl<P> Clone for Remote<P> {
    fn clone(&self) -> Self {
        Self {
            provider: Arc::clone(&self.provider),
            limiter: self.limiter.clone(),
        }
    }
}

impl<P: Provider> fmt::Debug for Remote<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            // Not the provider itself, which may hold tokens and sessions.
            .field("settings", self.provider.settings())
            .finish_non_exhaustive()
    }
}

/// Declares the public client of a provider: a newtype over [`Remote`].
macro_rules! remote_client {
    ($(#[$doc:meta])* pub struct $client:ident($provider:ident);) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $client($crate::kms::remote::Remote<$provider>);

        impl $client {
            /// Makes a client with these settings. No request is made yet.
            pub fn new(settings: $crate::kms::Settings) -> Self {
                Self($crate::kms::remote::Remote::new($provider::new(settings)))
            }
        }

        #[async_trait::async_trait]
        impl $crate::keys::KmsClient for $client {
            async fn describe(&self, key: &$crate::keys::KmsKeyRef) -> $crate::Result<$crate::keys::KmsKeyInfo> {
                self.0.describe(key).await
            }

            async fn generate_data_key(
                &self,
                key: &$crate::keys::KmsKeyRef,
                length: usize,
                context: &$crate::keys::WrapContext,
            ) -> $crate::Result<$crate::keys::DataKey> {
                self.0.generate_data_key(key, length, context).await
            }

            async fn wrap(
                &self,
                key: &$crate::keys::KmsKeyRef,
                plaintext: &$crate::Secret<Vec<u8>>,
                context: &$crate::keys::WrapContext,
            ) -> $crate::Result<Vec<u8>> {
                self.0.wrap(key, plaintext, context).await
            }

            async fn unwrap(
                &self,
                key: &$crate::keys::KmsKeyRef,
                wrapped: &[u8],
                context: &$crate::keys::WrapContext,
            ) -> $crate::Result<$crate::Secret<Vec<u8>>> {
                self.0.unwrap(key, wrapped, context).await
            }
        }
    };
}
pub(in crate::kms) use remote_client;
