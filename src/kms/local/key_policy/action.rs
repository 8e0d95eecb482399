//! Actions on KMS keys, named as by AWS KMS.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

macro_rules! actions {
    ($($name:ident)*) => {
        /// An action on a KMS key, named as by AWS KMS: `kms:Decrypt`, …
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "AWS KMS documents them")]
        pub enum KmsAction {
            $($name,)*
        }

        impl KmsAction {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the name in policies.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("kms:", stringify!($name)),)*
                }
            }
        }
    };
}

actions! {
    Encrypt Decrypt GenerateDataKey DescribeKey Sign GetPublicKey
    EnableKey DisableKey RotateKeyOnDemand EnableKeyRotation ScheduleKeyDeletion CancelKeyDeletion
    GetParametersForImport ImportKeyMaterial DeleteImportedKeyMaterial
    CreateAlias UpdateAlias DeleteAlias GetKeyPolicy PutKeyPolicy
}

impl fmt::Display for KmsAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KmsAction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|action| action.as_str() == text);
        // Exact, with regard to case: it is one action that is asked about, not a pattern.
        found.copied().ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|action| action.as_str()).collect();
            Error::bad_input("unknown action").with_hint(format!("the actions are {}", all.join(", ")))
        })
    }
}
