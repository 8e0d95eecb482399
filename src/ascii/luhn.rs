//! The Luhn check digit (ISO/IEC 7812-1, annex B).

/// The Luhn sum of `digits` modulo 10: from the last one on, every second one counts double, its digits added.
pub fn sum<T: Copy + Into<u16>>(digits: &[T]) -> u16 {
    let mut from_end = digits.iter().rev();
    let mut sum = 0u64;
    while let Some(digit) = from_end.next() {
        sum += u64::from((*digit).into());
        if let Some(digit) = from_end.next() {
            let digit = (*digit).into();
            // 2·digit, or the sum of its digits, which is 9 less where there are two. Arithmetic, as digits are
            // secret.
            sum += u64::from(2 * digit - 9 * u16::from(digit > 4));
        }
    }
    (sum % 10) as u16
}

/// The digit at `place` that brings the sum of all `digits` to `wanted`. The digit that stands there does not matter.
pub fn solve<T: Copy + Into<u16>>(digits: &[T], place: usize, wanted: u16) -> u16 {
    let doubled = (digits.len() - 1 - place) % 2 == 1;
    let own: u16 = digits[place].into();
    let own = if doubled { 2 * own - 9 * u16::from(own > 4) } else { own };
    // The sum without the digit that stands there; + 10 keeps it above 0.
    solution(wanted, sum(digits) + 10 - own, doubled).into()
}

/// The digit that brings a Luhn sum to `wanted` modulo 10, counted `doubled` or not, where all others add up to
/// `others`, below 1,000.
#[inline]
pub(crate) fn solution(wanted: u16, others: u16, doubled: bool) -> u8 {
    // 1,000 keeps the difference above 0. A remainder by a constant is a multiplication, not a division.
    let missing = (wanted + 1000 - others) % 10;
    // Doubling permutes the digits: 0…4 → 0 2 4 6 8, 5…9 → 1 3 5 7 9.
    let digit = if doubled {
        (missing + 9 * (missing % 2)) / 2
    } else {
        missing
    };
    digit as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u16> {
        text.bytes().map(|b| u16::from(b - b'0')).collect()
    }

    #[test]
    fn well_known_numbers() {
        for valid in ["4111111111111111", "5500000000000004", "340000000000009", "79927398713"] {
            assert_eq!(sum(&digits(valid)), 0, "{valid}");
        }
        assert_ne!(sum(&digits("4111111111111112")), 0);
        for (digits, expected) in [(&[4u8, 1, 1, 1][..], 2), (&[7, 9, 9], 5), (&[], 0), (&[5, 0], 1)] {
            assert_eq!(sum(digits), expected);
        }
    }

    #[test]
    fn solves_every_place_for_every_target() {
        for length in [2, 13, 16, 19] {
            for place in 0..length {
                for target in 0..10 {
                    let mut number = digits(&"4929873146205310"[..].repeat(2)[..length]);
                    number[place] = solve(&number, place, target);
                    assert!(number[place] < 10);
                    assert_eq!(sum(&number), target);
                }
            }
        }
    }

    #[test]
    fn solutions_complete_every_sum() {
        for (others, doubled) in (0..279).flat_map(|others| [(others, false), (others, true)]) {
            for wanted in 0..10 {
                let digit = solution(wanted, others, doubled);
                let counted = if doubled { sum(&[digit, 0]) } else { digit.into() };
                assert!(digit < 10);
                assert_eq!((others + counted) % 10, wanted);
            }
        }
    }
}
