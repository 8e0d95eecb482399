//! Servers that speak KMIP.

mod provider;
mod ttlv;

pub use provider::KmipKms;
