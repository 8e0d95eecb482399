//! The inputs of a batch beside its rows.

use crate::kernels::kernel::Kernel;
use crate::spec::key::Aes;
use crate::spec::tweaks::Tweaks;
use crate::spec::types::Direction;

/// A key, the kernel that computes with it, the direction, and the rows' tweaks.
#[derive(Clone, Copy)]
pub(crate) struct BatchCall<'a> {
    pub(crate) kernel: Kernel,
    pub(crate) aes: &'a Aes,
    pub(crate) direction: Direction,
    /// Checked: they suit the mode, and there are as many as rows.
    pub(crate) tweaks: Tweaks<'a>,
}
