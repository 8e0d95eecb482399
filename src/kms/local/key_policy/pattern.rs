//! Wildcards.

/// Matches a text against a pattern: `*` stands for any characters, `?` for one.
pub(super) fn wildcard_match(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut in_text) = (0, 0);
    // Position of the last `*`, and of the end of what it has matched.
    let mut star: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_text));
                at += 1;
            }
            Some(&c) if c == '?' || c == text[in_text] => {
                at += 1;
                in_text += 1;
            }
            // Going back to the last `*` is enough: an earlier one could match no more than that. So the
            // time is at most the product of both lengths, where a recursive matcher takes exponential
            // time for patterns such as `*a*a*a*b`.
            _ => match star {
                Some((star_at, reached)) => {
                    star = Some((star_at, reached + 1));
                    (at, in_text) = (star_at + 1, reached + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}
