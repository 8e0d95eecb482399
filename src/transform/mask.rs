//! `mask`: letters and digits replaced, for people who need the shape only.

use crate::policy::Mask;

/// `value` with its letters and digits replaced, but for those that `mask` keeps; everything else stays where it is.
///
/// A value that has no more letters and digits than are to be kept is replaced whole: else a mask would show it.
///
/// ```
/// use cipherform::policy::Mask;
/// let mask = Mask { keep_last: 4, ..Mask::default() };
/// assert_eq!(cipherform::transform::mask("4111-1111-1111-1234", &mask), "****-****-****-1234");
/// assert_eq!(cipherform::transform::mask("1234", &mask), "****");
/// ```
pub fn mask(value: &str, mask: &Mask) -> String {
    let symbols = value.chars().filter(|c| c.is_alphanumeric()).count();
    let kept = mask.keep_first.saturating_add(mask.keep_last);
    let (first, last) = match symbols > kept {
        true => (mask.keep_first, symbols - mask.keep_last),
        false => (0, symbols),
    };
    let mut place = 0;
    value
        .chars()
        .map(|c| {
            if !c.is_alphanumeric() {
                return c;
            }
            place += 1;
            if (first + 1..=last).contains(&place) {
                mask.with
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_kept_and_marks_stay() {
        let keep = |keep_first, keep_last| Mask {
            keep_first,
            keep_last,
            with: '#',
        };
        assert_eq!(mask("ann@x.com", &keep(1, 0)), "a##@#.###");
        assert_eq!(mask("añ-b1", &keep(1, 1)), "a#-#1");
        assert_eq!(mask("ab", &keep(1, 1)), "##");
        assert_eq!(mask("", &keep(1, 1)), "");
        assert_eq!(mask("abc", &keep(0, 0)), "###");
        assert_eq!(mask("abc", &keep(usize::MAX, 1)), "###");
    }
}
