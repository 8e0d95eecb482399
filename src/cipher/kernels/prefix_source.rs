//! Sources of each row's CBC-MAC prefix: the AES state after P and the tweak, shared or per row.

use std::ops::Range;

use crate::batch::call::BatchCall;
use crate::batch::plan::ShapePlan;
use crate::batch::prefixes::Prefixes;
use crate::batch::sizes::LANES;
use crate::spec::ff1::CachedAesP;
use crate::spec::tweaks::Tweaks;

/// A source of prefixes, for kernels that read text themselves.
pub(crate) enum PrefixSource<'a> {
    /// One for all rows.
    Shared(&'a Prefixes),
    /// FF1's, to be made of tweaks of one length.
    Packed(PackedTweaks<'a>),
    /// The prefixes of a range of rows, by a call.
    Each(&'a mut dyn FnMut(Range<usize>) -> Prefixes),
}

/// FF1's tweaks of one length that stand one after the other.
#[derive(Clone, Copy)]
pub(crate) struct PackedTweaks<'a> {
    /// AES(P), with which the chain of each row begins.
    pub(crate) chain: u128,
    /// Whole blocks of each tweak, zeros included.
    pub(crate) whole_blocks: usize,
    /// The tweaks of all rows.
    pub(crate) bytes: &'a [u8],
    /// Bytes of each tweak.
    pub(crate) length: usize,
}

/// Gives `run` the prefixes of rows with `tweaks`.
pub(crate) fn with_prefixes(
    call: BatchCall<'_>,
    plan: &ShapePlan<u64>,
    run: impl FnOnce(PrefixSource<'_>) -> bool,
) -> bool {
    let BatchCall { aes, tweaks, .. } = call;
    let mut cached = CachedAesP::default();
    // AES(P) depends on the length of the tweak, not on its bytes; the last one is kept from call to call, so that
    // rows in succession with tweaks of one length compute it once. FF3-1 has no P and needs no AES here.
    let mut per_row = |rows: std::ops::Range<usize>| {
        let mut prefixes = [[0; LANES]; 2];
        plan.prefixes(aes, &mut cached, rows.map(|row| tweaks.get(row)), &mut prefixes);
        Prefixes::PerRow(prefixes)
    };
    // Declared before the sources that borrow them: both have to live until `run` returns.
    let (shared, joined);
    // Tweaks of one length are read together.
    let tweaks = match tweaks {
        Tweaks::PerRow(each @ [first, others @ ..]) if others.iter().all(|tweak| tweak.len() == first.len()) => {
            // One copy, after which whole blocks of the tweaks can be loaded at fixed distances. Tweaks of several
            // lengths have different numbers of blocks, so their chains would not stay in step.
            joined = each.concat();
            Tweaks::Packed {
                bytes: &joined,
                length: first.len(),
            }
        }
        other => other,
    };
    let prefixes = match tweaks {
        Tweaks::Shared(tweak) => {
            // P and T are the same for all rows: one CBC-MAC, for the whole call, of all that FF1 step 6.i puts
            // before [i].
            shared = plan.shared_prefixes(aes, tweak);
            PrefixSource::Shared(&shared)
        }
        // FF1: the chain goes on from AES(P), in the kernel, many rows at a time. FF3-1: two words of each tweak,
        // which is quick row by row.
        Tweaks::Packed { bytes, length } => match plan.chain(aes, length) {
            Some((chain, whole_blocks)) => PrefixSource::Packed(PackedTweaks {
                chain,
                whole_blocks,
                bytes,
                length,
            }),
            None => PrefixSource::Each(&mut per_row),
        },
        Tweaks::PerRow(_) => PrefixSource::Each(&mut per_row),
    };
    run(prefixes)
}
