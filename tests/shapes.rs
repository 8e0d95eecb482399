//! Shapes: a known pair tells nothing of values of another shape, and a mask hides all that a format encrypts.

use std::collections::BTreeMap;

use cipherform::cipher::{Direction, Tweaks};
use cipherform::formats::{Format, Segments, Side};
use cipherform::transform::{TextBatch, Texts, Transform, mask};
use proptest::prelude::*;

use crate::answers;
use crate::sandbox::Sandbox;

const POLICY: &str = r#"
version = 1
keyring = "keyring.json"
[rules.name]
format = "name"
key = "pii"
[rules.text]
format = "text"
key = "pii"
tweak = "none"
[rules.fixed]
format = "text"
key = "pii"
tweak = { hex = "00ff" }
[rules.by-row]
format = "text"
key = "pii"
tweak = { column = "c" }
[rules.template]
format = { type = "template", patterns = ["AAAAA-A", "aaaaa-a", "AAAAAA"] }
key = "pii"
[rules.band]
format = "text"
key = "pii"
on_short = "band"
[rules.iban]
format = "iban"
key = "pii"
tweak = "none"
"#;

// A batch of one, so that no other row shares its tweak.
fn one(transform: &Transform, direction: Direction, value: &str) -> String {
    let mut out = Texts::default();
    let rows = [Some(value)];
    let batch = TextBatch::new(direction, &rows);
    // The rule that takes a column gets one tweak for all: what is tested is the shape.
    let tweaks = transform.tweak_column().map(|_| Tweaks::Shared(b"of the row"));
    transform.texts(batch.with_tweaks(tweaks), &mut out).unwrap();
    out.iter().next().flatten().unwrap().to_owned()
}

/// The letters of `value` in other classes of 26: capitals small, small letters capital, or all of flags.
fn respelt(value: &str, flags: bool) -> String {
    // All three classes have 26 letters, so a number of one is a number of the other.
    let swap = |c: char| match c {
        'A'..='Z' if flags => char::from_u32(0x1f1e6 + u32::from(c) - u32::from('A')).unwrap(),
        'a'..='z' if flags => char::from_u32(0x1f1e6 + u32::from(c) - u32::from('a')).unwrap(),
        'A'..='Z' => c.to_ascii_lowercase(),
        other => other.to_ascii_uppercase(),
    };
    value.chars().map(swap).collect()
}

/// A ciphertext that is spelt anew in another shape of as many bits decrypts to what has nothing to do with its
/// plaintext, whatever the tweak.
#[tokio::test]
async fn a_ciphertext_in_another_shape_does_not_decrypt() {
    let sandbox = Sandbox::new();
    sandbox.policy(POLICY);
    let engine = sandbox.engine().await;
    for (rule, value, flags) in [
        ("name", "Johnson", true),
        ("name", "Johnson", false),
        ("text", "Johnson", true),
        ("text", "McDonald", false),
        ("fixed", "Johnson", true),
        ("by-row", "Johnson", false),
        ("template", "HELLO-W", false),
        ("band", "jo", false),
    ] {
        let reference = rule.parse().unwrap();
        let protect = engine.resolve(&reference, Direction::Encrypt).await.unwrap();
        let reveal = engine.resolve(&reference, Direction::Decrypt).await.unwrap();
        let protected = one(&protect, Direction::Encrypt, value);
        assert_eq!(one(&reveal, Direction::Decrypt, &protected), value);
        // Before shapes were bound, this gave the plaintext in the other case.
        let back = one(&reveal, Direction::Decrypt, &respelt(&protected, flags));
        assert_ne!(back.to_lowercase(), value.to_lowercase(), "{rule}");
        assert_ne!(back, respelt(value, flags), "{rule}");
        // Nor does the pair tell what the value in the other shape becomes: a known pair would otherwise give a
        // second one for free.
        let other = one(&protect, Direction::Encrypt, &respelt(value, flags));
        assert_ne!(other, respelt(&protected, flags), "{rule}");
    }
}

/// Patterns that differ in hyphens alone agree.
#[tokio::test]
async fn hyphens_are_no_shape() {
    let sandbox = Sandbox::new();
    sandbox.policy(POLICY);
    let engine = sandbox.engine().await;
    let protect = engine
        .resolve(&"template".parse().unwrap(), Direction::Encrypt)
        .await
        .unwrap();
    let (with, without) = (
        one(&protect, Direction::Encrypt, "HELLO-W"),
        one(&protect, Direction::Encrypt, "HELLOW"),
    );
    assert_eq!(with.replace('-', ""), without);
}

/// The accounts of two countries with one structure are permuted apart, although the rule has no tweak.
#[tokio::test]
async fn countries_are_shapes() {
    let sandbox = Sandbox::new();
    sandbox.policy(POLICY);
    let engine = sandbox.engine().await;
    let protect = engine
        .resolve(&"iban".parse().unwrap(), Direction::Encrypt)
        .await
        .unwrap();
    // 20 digits in both.
    // The check digits before them differ, and are no part of the account.
    let [czech, swedish] = ["CZ6508000000192000145399", "SE8108000000192000145399"]
        .map(|value| one(&protect, Direction::Encrypt, value)[4..].to_owned());
    assert_ne!(czech, swedish);
}

/// A mask hides every character that a format can encrypt: a place in which a value and its ciphertext differ shows
/// neither.
#[tokio::test]
async fn a_mask_hides_what_is_encrypted() {
    let policy = std::fs::read_to_string(answers::folder().join("policy.toml")).unwrap();
    let sandbox = Sandbox::new();
    sandbox.policy(&policy);
    let engine = sandbox.engine().await;
    let mut formats = BTreeMap::<String, usize>::new();
    for case in answers::cases() {
        let rule = engine.policy().rule(&case.rule).unwrap();
        if rule.treatment.name() != "encrypt" || case.r#type != "Utf8" || case.tweaks.is_some() {
            continue;
        }
        let protect = engine
            .resolve(&case.rule.parse().unwrap(), Direction::Encrypt)
            .await
            .unwrap();
        let mut value = case.values[0].clone();
        // Each result is the next value, as far as the format has one alphabet on both sides.
        for _ in 0..40 {
            let done = one(&protect, Direction::Encrypt, &value);
            // Where the length is another, no place answers to one of the value; nor do those of addresses.
            // An address may change its groups, and a band its length; then places do not answer to each other.
            let comparable = value.chars().count() == done.chars().count() && !case.rule.starts_with("ipv");
            assert!(
                !case.rule.starts_with("ipv") || done.chars().all(|c| c == '.' || c == ':' || c.is_ascii_hexdigit())
            );
            let places = value.chars().zip(done.chars());
            for (was, is) in places.filter(|(was, is)| comparable && was != is) {
                for symbol in [was, is] {
                    assert!(rule.format.is_symbol(symbol), "{}: {symbol:?} is not masked", case.rule);
                }
            }
            *formats.entry(rule.format.version()).or_default() += 1;
            // With unlike alphabets the result is no value that could go in again.
            if !rule.format.is_symmetric() || rule.version_character {
                break;
            }
            value = done;
        }
    }
    // Most formats must have been seen, or the loop above would prove little.
    assert!(formats.len() >= 25, "{formats:?}");
    let name = engine.policy().rule("name").unwrap();
    assert_eq!(
        // Two letters of a flag and three of a name: flags are no letters to Unicode.
        mask("\u{1f1e9}\u{1f1ea} Ann", name)
            .chars()
            .filter(|c| *c == name.mask.with)
            .count(),
        5
    );
}

fn format(name: &str, parameters: toml::Table) -> Format {
    Format::parse(name, parameters).unwrap()
}

/// A text of all scripts, digits and marks.
fn texts() -> impl Strategy<Value = String> {
    let letters = [
        "[A-Z]",
        "[a-z]",
        "[À-Ö]",
        "[Α-Ρ]",
        "[а-я]",
        "[א-ת]",
        "[0-9]",
        "[-. ]",
        "[\u{1f1e6}-\u{1f1ff}]",
        "[ぁ-ゖ]",
    ];
    let letter =
        prop::sample::select(letters.to_vec()).prop_flat_map(|class| prop::string::string_regex(class).unwrap());
    prop::collection::vec(letter, 1..6).prop_map(|letters| letters.concat())
}

/// Two values of one shape have symbols of one class in each place: the digits of each make a value in the layout of
/// the other, with the symbols of the first.
fn same_classes(format: &Format, one: &str, other: &str) -> bool {
    let Format::Segmented(format) = format else {
        panic!("segmented")
    };
    let split = |value: &str| {
        let mut segments = Segments::default();
        format.split(value, Side::Plain, &mut segments).map(|()| segments)
    };
    let (Ok(first), Ok(second)) = (split(one), split(other)) else {
        return true;
    };
    if first.shape != second.shape {
        return true;
    }
    let mut moved = String::new();
    // Digits of one value in the layout of the other: if their classes differ anywhere, the symbols do.
    format.join(other, &first.digits, Side::Plain, &mut moved);
    let symbols = |value: &str| value.chars().filter(|c| format.is_symbol(*c)).collect::<String>();
    first.choices == second.choices && symbols(&moved) == symbols(one)
}

proptest! {
    // Random pairs seldom have one shape, so there are many.
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn one_shape_is_one_class_in_each_place(one in texts(), other in texts()) {
        for name in ["text", "name"] {
            prop_assert!(same_classes(&format(name, toml::Table::new()), &one, &other), "{name}");
        }
        let patterns = toml::toml! { patterns = ["AAA", "aaa", "A-A-A", "Aaa", "99a", "999", "9-9-9", "[A-F][a-f]9"] };
        prop_assert!(same_classes(&format("template", patterns), &one, &other), "template");
    }
}
