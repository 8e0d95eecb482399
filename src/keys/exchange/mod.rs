//! Keys of single maps for partners.

mod certificate;
mod package;
mod recipient;
mod sender;

pub use certificate::Authorities;
pub use package::ExchangePackage;
pub(crate) use package::ExportRequest;
pub use recipient::{Identity, Recipient};
pub use sender::{ExchangeSigner, Sender};
