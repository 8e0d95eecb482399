//! The key under which the secrets of the file are sealed.

use std::sync::Arc;

use crate::Secret;

pub(super) type UnlockKey = Arc<Secret<Vec<u8>>>;
