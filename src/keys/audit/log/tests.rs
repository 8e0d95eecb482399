use std::fs;

use super::*;
use crate::keys::KeyVersionId;

fn log(folder: &tempfile::TempDir) -> AuditLog {
    log_of(folder, [7; 32])
}

fn log_of(folder: &tempfile::TempDir, root: [u8; 32]) -> AuditLog {
    let path = folder.path().join("audit.jsonl");
    let root = Secret::new(root.to_vec());
    AuditLog::new(path, KeyringId::from_bytes([1; 16]), &root, None, Context::default()).unwrap()
}

fn used(values: u64) -> AuditEntry {
    AuditEntry {
        version: Some(KeyVersionId::from_bytes([2; 16])),
        purpose: Some(Direction::Encrypt),
        values: Some(values),
        ..AuditEntry::new(AuditEvent::Use)
    }
}

fn nothing_counted() -> UsageTally {
    UsageTally::new("pii".parse().unwrap(), KeyVersionId::from_bytes([2; 16]), 4)
}

/// Tallies without writing.
fn taken(log: &AuditLog, tally: &mut UsageTally) -> u64 {
    let refused = log.append_after::<()>(tally, |_| Err(Error::bad_input("no")));
    assert_eq!(refused.unwrap_err().message(), "no");
    tally.values()
}

fn lines(log: &AuditLog) -> Vec<String> {
    let text = fs::read_to_string(log.path()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn entries_are_chained_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(&folder);
    assert_eq!(log.verify().unwrap_err().kind(), ErrorKind::FileNotFound);
    log.append(vec![used(3)]).unwrap();
    log.append(vec![used(4), AuditEntry::new(AuditEvent::Create)]).unwrap();
    let verified = log_of(&folder, [7; 32]).verify().unwrap();
    assert_eq!(
        verified.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert!(!verified.unfinished);
    assert_eq!(taken(&log, &mut nothing_counted()), 7);
    // Another root makes another chain, from the first entry on.
    let other = log_of(&folder, [8; 32]).verify().unwrap_err();
    assert!(other.message().contains("entry 1 does not follow"), "{other}");
}

#[test]
fn what_is_set_aside_counts_until_it_is_released() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(&folder);
    log.append(vec![used(3)]).unwrap();
    let mut tally = nothing_counted();
    assert_eq!(taken(&log, &mut tally), 3);
    let event = |event, values| AuditEntry { event, ..used(values) };
    log.append(vec![event(AuditEvent::SetAside, 50)]).unwrap();
    assert_eq!(taken(&log, &mut tally), 53);
    log.append(vec![used(20), event(AuditEvent::Released, 50)]).unwrap();
    assert_eq!(taken(&log, &mut tally), 23, "from where it was");
    let limit = |key: &str, values, generation| AuditEntry {
        key: Some(key.to_owned()),
        values,
        generation: Some(generation),
        ..AuditEntry::new(AuditEvent::Limit)
    };
    for (key, values, generation, found) in [
        ("pii", Some(70), 3, None),
        ("pii", Some(50), 4, Some(50)),
        ("other", Some(9), 5, Some(50)),
        ("pii", Some(40), 6, Some(40)),
        ("pii", None, 7, Some(40)),
    ] {
        log.append(vec![limit(key, values, generation)]).unwrap();
        assert_eq!((taken(&log, &mut tally), tally.limit()), (23, found), "{key}");
    }
    assert_eq!(taken(&log, &mut nothing_counted()), 23, "from the start");

    // The tallied part was changed.
    let mut whole = lines(&log);
    whole.swap(1, 2);
    fs::write(log.path(), whole.join("\n") + "\n").unwrap();
    log.append(vec![]).unwrap();
    let refused = log.append_after::<()>(&mut nothing_counted(), |_| Err(Error::bad_input("no")));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::WrongKey);
}

#[test]
fn whatever_is_changed_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(&folder);
    log.append((0..4).map(used).collect()).unwrap();
    let whole = fs::read(log.path()).unwrap();
    // Up to the last line feed: without that one the last entry is unfinished, which is tested below.
    for at in 0..whole.len() - 1 {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(log.path(), changed).unwrap();
        assert!(log.verify().is_err(), "byte {at}");
    }
    fs::write(log.path(), &whole).unwrap();
    let all = lines(&log);
    // Whole entries with right MACs: one taken out, the first taken out, two exchanged, one repeated.
    for rearranged in [vec![0, 2, 3], vec![1, 2, 3], vec![0, 2, 1, 3], vec![0, 0, 1, 2, 3]] {
        let text: String = rearranged.iter().map(|at| format!("{}\n", all[*at])).collect();
        fs::write(log.path(), text).unwrap();
        assert_eq!(log.verify().unwrap_err().kind(), ErrorKind::WrongKey);
    }
}

#[test]
fn a_cut_end_is_noticed_by_a_checkpoint_only() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(&folder);
    log.append((0..4).map(used).collect()).unwrap();
    let checkpoint = log.checkpoint(9).unwrap();
    let checkpoint = Checkpoint::parse(&checkpoint.to_bytes()).unwrap();
    log.append(vec![used(5)]).unwrap();
    assert_eq!(log.verify_since(&checkpoint, 9).unwrap().entries.len(), 5);
    let older = log.verify_since(&checkpoint, 8).unwrap_err();
    assert!(older.message().contains("older copy"), "{older}");

    let all = lines(&log);
    // The attacker needs no key for this: an end is cut off with an editor.
    fs::write(log.path(), format!("{}\n", all[..3].join("\n"))).unwrap();
    assert_eq!(log.verify().unwrap().entries.len(), 3);
    let cut = log.verify_since(&checkpoint, 9).unwrap_err();
    assert!(cut.message().contains("has 3 entries, and had 4"), "{cut}");
    // Written on until the number of entries is as it was.
    log.append(vec![used(6), used(7)]).unwrap();
    let anew = log.verify_since(&checkpoint, 9).unwrap_err();
    assert!(anew.message().contains("not those of the checkpoint"), "{anew}");
}

#[test]
fn a_checkpoint_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(&folder);
    log.append(vec![used(1)]).unwrap();
    let bytes = log.checkpoint(1).unwrap().to_bytes();
    let text = String::from_utf8(bytes).unwrap();
    assert!(Checkpoint::parse(text.replace("\"entries\": 1", "\"entries\": 2").as_bytes()).is_err());
    let foreign = log_of(&folder, [8; 32]);
    fs::remove_file(log.path()).unwrap();
    foreign.append(vec![used(1)]).unwrap();
    let signed_by_another = foreign.checkpoint(1).unwrap();
    let error = foreign
        .verify_since(&Checkpoint::parse(text.as_bytes()).unwrap(), 1)
        .unwrap_err();
    assert!(error.message().contains("another key"), "{error}");
    assert!(foreign.verify_since(&signed_by_another, 1).is_ok());
}

#[test]
fn an_unfinished_entry_is_cut_off_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(&folder);
    log.append(vec![used(1), used(2)]).unwrap();
    let whole = fs::read(log.path()).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    // A crash, or a full disk, may stop the second entry at any byte.
    for length in first + 1..whole.len() {
        fs::write(log.path(), &whole[..length]).unwrap();
        assert!(log.verify().unwrap().unfinished, "{length}");
        log.append(vec![used(3)]).unwrap();
        let events: Vec<_> = log.verify().unwrap().entries.iter().map(|entry| entry.event).collect();
        assert_eq!(events, [AuditEvent::Use, AuditEvent::Mended, AuditEvent::Use]);
    }
}

#[test]
fn many_writers_make_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let log = log(&folder);
                for _ in 0..10 {
                    log.append(vec![used(1)]).unwrap();
                }
            });
        }
    });
    assert_eq!(log(&folder).verify().unwrap().entries.len(), 40);
}

#[test]
fn what_cannot_be_written_down_stops_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(&folder);
    // A folder in the place of the file cannot be opened for writing, whoever runs the test.
    fs::create_dir(log.path()).unwrap();
    assert_eq!(log.append(vec![used(1)]).unwrap_err().kind(), ErrorKind::Io);
}
