//! KMS providers: one file each, all alike behind [`KmsClient`](crate::keys::KmsClient).
//!
//! | scheme | client | feature |
//! | --- | --- | --- |
//! | `local` | `LocalKms`: a sealed file in the user's configuration directory | `kms-local` |
//! | `memory` | [`MemoryKms`]: for tests | |
//! | `aws-kms` | `AwsKms`: AWS KMS | `kms-aws` |
//! | `azure-kv` | `AzureKms`: Azure Key Vault, Managed HSM | `kms-azure` |
//! | `gcp-kms` | `GcpKms`: Google Cloud KMS | `kms-gcp` |
//! | `kmip` | `KmipKms`: servers that speak KMIP | `kms-kmip` |
//! | `pkcs11` | `Pkcs11Kms`: hardware security modules | `kms-pkcs11` |
//! | `vault` | `VaultKms`: HashiCorp Vault, OpenBao | `kms-vault` |
//!
//! [`with_remote`] puts those that this build has into a registry. A provider of one's own implements the trait, passes
//! `conformance::check` (feature `kms-conformance`), and is registered in a [`KmsRegistry`] in the same way.

#[cfg(feature = "kms-local")]
mod actor;
#[cfg(any(test, feature = "kms-conformance"))]
pub mod conformance;
#[cfg(feature = "kms-local")]
mod local;
mod memory;
#[cfg(feature = "kms-remote")]
mod remote;
mod seal;
mod settings;

#[cfg(feature = "kms-local")]
pub use actor::actor;
#[cfg(all(feature = "kms-local", feature = "exchange"))]
pub use local::ImportParameters;
#[cfg(feature = "kms-local")]
pub use local::{
    AccessDecision, AccessRequest, DELETION_WINDOW_DAYS, KeyPolicy, KmsAction, KmsKeyChange, KmsKeyOrigin, KmsKeySpec,
    KmsKeyUsage, LocalKeyInfo, LocalKms, MaterialInfo, NewKmsKey, PassphraseKdf, Unlock, evaluate,
};
pub use memory::{Calls, MemoryKms};
pub use settings::{Settings, Timeouts};

use crate::keys::KmsRegistry;

/// Declares the providers of remote KMSs, a line each.
macro_rules! remote_providers {
    ($($scheme:literal $feature:literal $module:ident::$client:ident)*) => {
        $(
            #[cfg(feature = $feature)]
            mod $module;
            #[cfg(feature = $feature)]
            pub use $module::$client;
        )*

        /// Registers the clients of all remote KMSs that this build has. No request is made yet.
        #[must_use]
        #[cfg_attr(not(feature = "kms-remote"), allow(unused_variables, reason = "no client reads them"))]
        pub fn with_remote(registry: KmsRegistry, settings: &Settings) -> KmsRegistry {
            $(
                #[cfg(feature = $feature)]
                let registry = registry.with($scheme, $client::new(settings.clone()));
                // A scheme that was left out of the build is still known, so that the error names the
                // feature to enable.
                #[cfg(not(feature = $feature))]
                let registry = registry.without($scheme, $feature);
            )*
            registry
        }
    };
}

remote_providers! {
    "vault" "kms-vault" vault::VaultKms
    "pkcs11" "kms-pkcs11" pkcs11::Pkcs11Kms
    "aws-kms" "kms-aws" aws::AwsKms
    "azure-kv" "kms-azure" azure::AzureKms
    "gcp-kms" "kms-gcp" gcp::GcpKms
    "kmip" "kms-kmip" kmip::KmipKms
}
