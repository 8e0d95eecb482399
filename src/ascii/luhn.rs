//! The Luhn check digit (ISO/IEC 7812-1, annex B).

/// The Luhn sum of `digits` (ISO/IEC 7812-1, annex B), not reduced: from the last one on, every second one counts double, its digits
/// added.
pub(crate) fn weigh(digits: &[u8]) -> u16 {
    let mut from_end = digits.iter().rev();
    let mut sum = 0;
    while let Some(digit) = from_end.next() {
        sum += u16::from(*digit);
        if let Some(digit) = from_end.next() {
            sum += 2 * u16::from(*digit) - 9 * u16::from(*digit > 4);
        }
    }
    sum
}

/// The digit that brings a Luhn sum to `wanted` modulo 10, counted `doubled` or not, where the others have one of `others`, below 1,000.
#[inline]
pub(crate) fn solution(wanted: u16, others: u16, doubled: bool) -> u8 {
    let missing = (wanted + 1000 - others) % 10;
    // Doubling permutes the digits: 0…4 → 0 2 4 6 8, 5…9 → 1 3 5 7 9.
    let digit = match doubled {
        false => missing,
        true => (missing + 9 * (missing % 2)) / 2,
    };
    digit as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_luhn() {
        for (digits, sum) in [
            (&[4u8, 1, 1, 1][..], 1 + 2 + 1 + 8),
            (&[7, 9, 9], 9 + 9 + 7),
            (&[], 0),
            (&[5, 0], 1),
        ] {
            assert_eq!(weigh(digits), sum);
        }
        for (others, doubled) in (0..279).flat_map(|others| [(others, false), (others, true)]) {
            for wanted in 0..10 {
                let digit = solution(wanted, others, doubled);
                let counted = if doubled { weigh(&[digit, 0]) } else { digit.into() };
                assert!(digit < 10);
                assert_eq!((others + counted) % 10, wanted);
            }
        }
    }
}
