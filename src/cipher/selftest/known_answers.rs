//! Known answers that are always at hand: NIST's samples, and one case for every class of half.

use std::sync::OnceLock;

use crate::batch::call::BatchCall;
use crate::batch::numerals;
use crate::kernels::kernel::Kernel;
use crate::selftest::report::PartReport;
use crate::spec::error::{CipherError, Result};
use crate::spec::key::{Aes, AesKey};
use crate::spec::radix::Radix;
use crate::spec::tweaks::Tweaks;
use crate::spec::types::{Direction, Mode};

/// One published answer over the first `radix` characters of `0…9a…z`.
pub(crate) struct KnownAnswer {
    pub(crate) name: &'static str,
    pub(crate) algorithm: &'static str,
    pub(crate) key: &'static str,
    pub(crate) tweak: &'static str,
    pub(crate) radix: u32,
    pub(crate) plain: &'static str,
    pub(crate) cipher: &'static str,
}

/// FF1: all nine of NIST's samples (csrc.nist.gov, SP 800-38G examples), longer ones of Wycheproof; FF3: NIST's
/// samples; FF3-1: NIST's ACVP.
#[rustfmt::skip]
pub(crate) const ANSWERS: &[KnownAnswer] = &[
    KnownAnswer { name: "NIST FF1 sample 1", algorithm: "FF1", key: "2b7e151628aed2a6abf7158809cf4f3c", tweak: "", radix: 10, plain: "0123456789", cipher: "2433477484" },
    KnownAnswer { name: "NIST FF1 sample 2", algorithm: "FF1", key: "2b7e151628aed2a6abf7158809cf4f3c", tweak: "39383736353433323130", radix: 10, plain: "0123456789", cipher: "6124200773" },
    KnownAnswer { name: "NIST FF1 sample 3", algorithm: "FF1", key: "2b7e151628aed2a6abf7158809cf4f3c", tweak: "3737373770717273373737", radix: 36, plain: "0123456789abcdefghi", cipher: "a9tv40mll9kdu509eum" },
    KnownAnswer { name: "NIST FF1 sample 4", algorithm: "FF1", key: "2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f", tweak: "", radix: 10, plain: "0123456789", cipher: "2830668132" },
    KnownAnswer { name: "NIST FF1 sample 5", algorithm: "FF1", key: "2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f", tweak: "39383736353433323130", radix: 10, plain: "0123456789", cipher: "2496655549" },
    KnownAnswer { name: "NIST FF1 sample 6", algorithm: "FF1", key: "2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f", tweak: "3737373770717273373737", radix: 36, plain: "0123456789abcdefghi", cipher: "xbj3kv35jrawxv32ysr" },
    KnownAnswer { name: "NIST FF1 sample 7", algorithm: "FF1", key: "2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f7f036d6f04fc6a94", tweak: "", radix: 10, plain: "0123456789", cipher: "6657667009" },
    KnownAnswer { name: "NIST FF1 sample 8", algorithm: "FF1", key: "2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f7f036d6f04fc6a94", tweak: "39383736353433323130", radix: 10, plain: "0123456789", cipher: "1001623463" },
    KnownAnswer { name: "NIST FF1 sample 9", algorithm: "FF1", key: "2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f7f036d6f04fc6a94", tweak: "3737373770717273373737", radix: 36, plain: "0123456789abcdefghi", cipher: "xs8a0azh2avyalyzuwd" },
    KnownAnswer { name: "wycheproof/base10/3811", algorithm: "FF1", key: "e4c130f163d45035558190d51f439765679a202370a0ce7f", tweak: "d99a093ac4bd3488", radix: 10, plain: "9744806865660794449203478522192375434455876482333851699866335530", cipher: "0287356288523752558946819541256737418881601157900719316262297814" },
    KnownAnswer { name: "wycheproof/base10/3795", algorithm: "FF1", key: "fcbca98cf0cd2fc8b2541c75f8d9d9ba", tweak: "1c96e207c127f405", radix: 10, plain: "4141500068788879109305237985853933901144801941009555678092513486786396936428", cipher: "1252599358083931372710341750422722136396219018663045313868879866190609035142" },
    KnownAnswer { name: "wycheproof/base10/3831", algorithm: "FF1", key: "4c21f21cf45f61eea701cdae4a3e06a74cd18fd63eec698b49b3a21f4e1c3bf9", tweak: "0ec0a2520507286d", radix: 10, plain: "20448895151892572863141016255025453525848491739825820515939255950727950888627902", cipher: "45557387269908160596112465013431523371594172912529328213888404090244841369401578" },
    KnownAnswer { name: "NIST FF3 sample 1", algorithm: "FF3", key: "ef4359d8d580aa4f7f036d6f04fc6a94", tweak: "d8e7920afa330a73", radix: 10, plain: "890121234567890000", cipher: "750918814058654607" },
    KnownAnswer { name: "NIST FF3 sample 3", algorithm: "FF3", key: "ef4359d8d580aa4f7f036d6f04fc6a94", tweak: "d8e7920afa330a73", radix: 10, plain: "89012123456789000000789000000", cipher: "48598367162252569629397416226" },
    KnownAnswer { name: "NIST FF3 sample 4", algorithm: "FF3", key: "ef4359d8d580aa4f7f036d6f04fc6a94", tweak: "0000000000000000", radix: 10, plain: "89012123456789000000789000000", cipher: "34695224821734535122613701434" },
    KnownAnswer { name: "NIST FF3 sample 5", algorithm: "FF3", key: "ef4359d8d580aa4f7f036d6f04fc6a94", tweak: "9a768a92f60e12d8", radix: 26, plain: "0123456789abcdefghi", cipher: "g2pk40i992fn20cjakb" },
    KnownAnswer { name: "NIST FF3 sample 7", algorithm: "FF3", key: "ef4359d8d580aa4f7f036d6f04fc6a942b7e151628aed2a6", tweak: "9a768a92f60e12d8", radix: 10, plain: "890121234567890000", cipher: "961610514491424446" },
    KnownAnswer { name: "NIST FF3 sample 8", algorithm: "FF3", key: "ef4359d8d580aa4f7f036d6f04fc6a942b7e151628aed2a6", tweak: "d8e7920afa330a73", radix: 10, plain: "89012123456789000000789000000", cipher: "53048884065350204541786380807" },
    KnownAnswer { name: "NIST FF3 sample 9", algorithm: "FF3", key: "ef4359d8d580aa4f7f036d6f04fc6a942b7e151628aed2a6", tweak: "0000000000000000", radix: 10, plain: "89012123456789000000789000000", cipher: "98083802678820389295041483512" },
    KnownAnswer { name: "NIST FF3 sample 10", algorithm: "FF3", key: "ef4359d8d580aa4f7f036d6f04fc6a942b7e151628aed2a6", tweak: "9a768a92f60e12d8", radix: 26, plain: "0123456789abcdefghi", cipher: "i0ihe2jfj7a9opf9p88" },
    KnownAnswer { name: "NIST FF3 sample 13", algorithm: "FF3", key: "ef4359d8d580aa4f7f036d6f04fc6a942b7e151628aed2a6abf7158809cf4f3c", tweak: "d8e7920afa330a73", radix: 10, plain: "89012123456789000000789000000", cipher: "04344343235792599165734622699" },
    KnownAnswer { name: "NIST FF3 sample 14", algorithm: "FF3", key: "ef4359d8d580aa4f7f036d6f04fc6a942b7e151628aed2a6abf7158809cf4f3c", tweak: "0000000000000000", radix: 10, plain: "89012123456789000000789000000", cipher: "30859239999374053872365555822" },
    KnownAnswer { name: "acvp-b97fa5a/FF3-1/1", algorithm: "FF3-1", key: "44d737102ccc9aec882045c31c08252a", tweak: "7e0a5d29e0462e", radix: 10, plain: "594305339157537322411756936648", cipher: "302999799972717161117243949033" },
    KnownAnswer { name: "acvp-b97fa5a/FF3-1/76", algorithm: "FF3-1", key: "a08e26713ffd35ebc38825715837c82dbffb8d5e0083dc10", tweak: "f4f4914273640b", radix: 10, plain: "170392226812266638875510", cipher: "073299100882183879989779" },
    KnownAnswer { name: "acvp-b97fa5a/FF3-1/151", algorithm: "FF3-1", key: "a6df2b5d5b220bd000f7b2ef1af776c78480e3b036c957aa14bbcd4439661484", tweak: "e016c1194562aa", radix: 10, plain: "86194097219302634286", cipher: "68943961339843514864" },
    KnownAnswer { name: "acvp-b97fa5a/FF3-1/8", algorithm: "FF3-1", key: "03338aceaa6b4561e89390521d371a22", tweak: "c88fffc5f10c80", radix: 10, plain: "92695569309001639616080289832524924391920914827644060750", cipher: "63965996044251929674724533269654955513000106828369899958" },
];

/// Lets `kernel` be used if it has given the known answers once in this process.
pub(crate) fn prove(kernel: Kernel) -> Result<()> {
    // One for each kernel, and none for a cipher: the answers test code, not keys.
    #[cfg(target_arch = "x86_64")]
    static AVX512: OnceLock<bool> = OnceLock::new();
    #[cfg(target_arch = "x86_64")]
    static AVX2: OnceLock<bool> = OnceLock::new();
    static PORTABLE: OnceLock<bool> = OnceLock::new();
    static NAIVE: OnceLock<bool> = OnceLock::new();
    let proof = match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512 => &AVX512,
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 => &AVX2,
        Kernel::Portable => &PORTABLE,
        Kernel::Naive => &NAIVE,
    };
    if *proof.get_or_init(|| known_answers(kernel).failed.is_empty()) {
        Ok(())
    } else {
        Err(CipherError::KernelFailsKnownAnswers { kernel: kernel.name() })
    }
}

/// Compares `kernel` with every built-in answer.
pub(crate) fn known_answers(kernel: Kernel) -> PartReport {
    let mut line = PartReport {
        name: format!("known answers, kernel {kernel}"),
        ..PartReport::default()
    };
    for answer in ANSWERS {
        if gives_answer(kernel, answer) == Some(true) {
            line.passed += 1;
        } else {
            line.failed.push(answer.name.to_owned());
        }
    }
    line
}

/// True if `kernel` gives one answer, in both directions; `None` if the answer is malformed.
fn gives_answer(kernel: Kernel, answer: &KnownAnswer) -> Option<bool> {
    let (key, radix) = (bytes(answer.key)?, Radix::try_new(answer.radix).ok()?);
    let key = AesKey::try_new(&key).ok()?;
    let (mode, aes) = match answer.algorithm {
        "FF1" => (Mode::Ff1, Aes::new(&key)),
        "FF3-1" => (Mode::Ff3_1, Aes::new(&key.reversed())),
        _ => (Mode::Ff3, Aes::new(&key.reversed())),
    };
    let (plain, encrypted) = (numerals(answer.plain)?, numerals(answer.cipher)?);
    let tweak = bytes(answer.tweak)?;
    // Below `Cipher`, which waits for the proof that this is part of.
    let run = |direction, numerals: &[u16]| {
        let mut numerals = numerals.to_vec();
        let n = numerals.len();
        let call = BatchCall {
            kernel,
            aes: &aes,
            direction,
            tweaks: Tweaks::Shared(&tweak),
        };
        numerals::apply(call, mode, radix, &mut numerals, n);
        numerals
    };
    // Both directions, as each has its own code in the vector kernels.
    Some(run(Direction::Encrypt, &plain) == encrypted && run(Direction::Decrypt, &encrypted) == plain)
}

/// The bytes that hexadecimal digits spell.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = numerals(hex)?;
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| (16 * pair[0] + pair[1]) as u8)
            .collect(),
    )
}

/// The numerals of the characters `0…9a…z`.
fn numerals(text: &str) -> Option<Vec<u16>> {
    text.chars()
        .map(|character| Some(character.to_digit(36)? as u16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_is_proven() {
        for kernel in Kernel::available() {
            prove(kernel).unwrap();
        }
    }

    #[test]
    fn a_wrong_answer_is_reported() {
        let wrong = KnownAnswer {
            name: "wrong",
            cipher: "2433477485",
            ..ANSWERS[0]
        };
        assert!(!gives_answer(Kernel::Portable, &wrong).unwrap());
        assert!(gives_answer(Kernel::Portable, &ANSWERS[0]).unwrap());
    }
}
