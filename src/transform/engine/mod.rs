//! Policies with their keys: rules are resolved to transforms here.

mod audit;
mod engine;
mod resolve;

pub use engine::Engine;
