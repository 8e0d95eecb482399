//! Small domains whole: what a rule makes of all values of a domain is all values of it.

use std::collections::HashSet;
use std::fmt::Write as _;

use cipherform::cipher::Direction;
use cipherform::transform::{OrdinalBatch, Outcome, TextBatch, Texts, Transform};

use crate::sandbox::Sandbox;

/// Around powers of two, where walks are shortest and longest.
// At 2^n nothing walks; at 2^n + 1 nearly half of all land outside. 100 is the least that any setting allows.
const SIZES: [i64; 12] = [100, 127, 128, 129, 255, 256, 257, 1_000, 1_023, 1_024, 1_025, 65_537];

fn done(transform: &Transform, direction: Direction, values: &[String]) -> Vec<String> {
    let rows: Vec<Option<&str>> = values.iter().map(|value| Some(value.as_str())).collect();
    let mut out = Texts::default();
    transform.texts(TextBatch::new(direction, &rows), &mut out).unwrap();
    out.iter().flatten().map(str::to_owned).collect()
}

/// `values` are all of a domain.
fn check(protect: &Transform, reveal: &Transform, values: &[String]) {
    let protected = done(protect, Direction::Encrypt, values);
    // A map that leaves everything as it is would pass the other checks.
    assert!(protected != values);
    // A set of the same values: none is lost, none doubled, none from outside. That is a permutation.
    let all: HashSet<&String> = values.iter().collect();
    assert_eq!(protected.iter().collect::<HashSet<_>>(), all, "{}", protect.rule().name);
    assert_eq!(done(reveal, Direction::Decrypt, &protected), values);
}

#[tokio::test]
async fn small_domains_are_permuted() {
    let mut policy = "version = 1\nkeyring = \"keyring.json\"\n".to_owned();
    let mut rule = |name: &str, format: &str, more: &str| {
        // Domains of this size are refused otherwise; only small ones can be tested whole.
        let settings = "insecure_small_domain = \"a test\"";
        writeln!(
            policy,
            "[rules.{name}]\nkey = \"pii\"\n{settings}\nformat = {format}\n{more}"
        )
        .unwrap();
    };
    for size in SIZES {
        rule(
            // A range that begins below zero, so that ranks and values differ.
            &format!("integer-{size}"),
            &format!("{{ type = \"integer\", min = -7, max = {} }}", size - 8),
            "",
        );
    }
    rule("plate", "{ type = \"template\", pattern = \"A9\" }", "");
    rule(
        "either",
        // Each pattern is a domain of its own.
        "{ type = \"template\", patterns = [\"99\", \"A9\", \"[a-c]{3}\"] }",
        "",
    );
    rule("month", "{ type = \"date\", min = 2000-02-01, max = 2000-06-15 }", "");
    rule("cents", "{ type = \"decimal\", min = -1, max = 2, scale = 2 }", "");
    rule("address", "{ type = \"ipv4\", prefix = 24 }", "");
    rule("digits", "{ type = \"digits\", keep = [1, 1] }", "");
    rule(
        "bits",
        "{ type = \"alphabet\", symbols = \"01\" }",
        "on_short = \"band\"",
    );
    rule("zip", "\"digits\"", "on_short = \"band\"");
    rule("number", "{ type = \"digits\", output = \"0123456789abcdef\" }", "");
    // One engine for all: subkeys differ by rule.
    let sandbox = Sandbox::new();
    sandbox.policy(&policy);
    let engine = sandbox.engine().await;
    let both = async |rule: &str| {
        let protect = engine
            .resolve(&rule.parse().unwrap(), Direction::Encrypt)
            .await
            .unwrap();
        (
            protect,
            engine
                .resolve(&rule.parse().unwrap(), Direction::Decrypt)
                .await
                .unwrap(),
        )
    };

    for size in SIZES {
        let (protect, reveal) = both(&format!("integer-{size}")).await;
        let values: Vec<String> = (-7..size - 7).map(|value| value.to_string()).collect();
        check(&protect, &reveal, &values);
        // As a column of integers, too: ranks go another way there, and must give the same set.
        let counts: Vec<Option<i128>> = (-7..i128::from(size) - 7).map(Some).collect();
        let batch = OrdinalBatch::new(Direction::Encrypt, &counts);
        let (numbers, outcome) = protect.ordinals(batch).unwrap();
        assert_eq!(
            (numbers.iter().collect::<HashSet<_>>(), outcome),
            (counts.iter().collect(), Outcome::default())
        );
    }
    let of = |n: usize, value: &dyn Fn(usize) -> String| (0..n).map(value).collect::<Vec<_>>();
    let letter = |n: usize| char::from(b'A' + n as u8);
    let plates = of(260, &|n| format!("{}{}", letter(n / 10), n % 10));
    // 2000 is a leap year: 29 + 31 + 30 + 31 + 15 days.
    let days = of(136, &|n| {
        let first = chrono::NaiveDate::from_ymd_opt(2000, 2, 1).unwrap();
        (first + chrono::Days::new(n as u64)).to_string()
    });
    // From −1.00 to 2.00, through zero, where a sign could be lost.
    let cents = of(301, &|n| {
        let cents = n as i32 - 100;
        format!(
            "{}{}.{:02}",
            if cents < 0 { "-" } else { "" },
            cents.abs() / 100,
            cents.abs() % 100
        )
    });
    for (rule, values) in [
        ("plate", &plates),
        ("either", &of(100, &|n| format!("{n:02}"))),
        ("either", &plates),
        ("month", &days),
        ("cents", &cents),
        ("address", &of(256, &|n| format!("198.51.100.{n}"))),
        // The ends are kept, so each pair of ends is a domain of its own.
        ("digits", &of(100, &|n| format!("7-{n:02}-3"))),
        // Bands: every string of 1 to 19 bits, every string of 1 to 6 digits.
        // n + 2 in binary without its first digit lists all strings of bits by length.
        ("bits", &of((1 << 20) - 2, &|n| format!("{:b}", n + 2)[1..].to_owned())),
        (
            "zip",
            &(1..7)
                .flat_map(|length| {
                    of(10usize.pow(length), &|n| {
                        format!("{n:0width$}", width = length as usize)
                    })
                })
                .collect(),
        ),
    ] {
        let (protect, reveal) = both(rule).await;
        check(&protect, &reveal, values);
    }

    // Over more symbols the domain is another, but as large.
    let (protect, reveal) = both("number").await;
    let values = of(1_000, &|n| format!("{n:03}"));
    let protected = done(&protect, Direction::Encrypt, &values);
    // The result is the number in a larger radix: as many values, other texts.
    let expected: HashSet<String> = (0..1_000).map(|n| format!("{n:03x}")).collect();
    assert_eq!(protected.iter().cloned().collect::<HashSet<_>>(), expected);
    assert_eq!(done(&reveal, Direction::Decrypt, &protected), values);
}
