//! The Luhn check digit (ISO/IEC 7812-1, annex B).

/// What a digit adds to the sum, `from_end` places before the last digit: every second one counts double, its digits added.
fn weigh(digit: u16, from_end: usize) -> u16 {
    let doubled = 2 * digit - 9 * u16::from(digit > 4);
    if from_end % 2 == 1 { doubled } else { digit }
}

/// The sum of `digits` modulo 10: 0 when the check digit is right.
pub(super) fn sum(digits: &[u16]) -> u16 {
    let mut sum = 0;
    for (from_end, digit) in digits.iter().rev().enumerate() {
        sum = (sum + weigh(*digit, from_end)) % 10;
    }
    sum
}

/// The digit at `place` that brings the sum of all `digits` to `target`. What stands there does not matter.
pub(super) fn solve(digits: &[u16], place: usize, target: u16) -> u16 {
    let from_end = digits.len() - 1 - place;
    let others = (sum(digits) + 10 - weigh(digits[place], from_end)) % 10;
    let wanted = (target + 10 - others) % 10;
    // Doubling permutes the digits: 0…4 → 0 2 4 6 8, 5…9 → 1 3 5 7 9.
    match from_end % 2 {
        0 => wanted,
        _ => (wanted + 9 * (wanted % 2)) / 2,
    }
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
}
