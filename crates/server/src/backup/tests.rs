use super::*;
use crate::private::Others;
use crate::store::Cell;
use tempfile::TempDir;

const SECRET: &str = "6281234567801";
const PASSPHRASE: &str = "kucing hitam di atap";
/// Enough for several chunks.
const PARTS: usize = 3_000;

fn part(number: usize) -> TablePart {
    TablePart {
        table: "deliveries".to_owned(),
        columns: vec!["id".to_owned(), "phone".to_owned()],
        rows: vec![vec![Cell::Integer(number as i64), Cell::Text(SECRET.to_owned())]],
    }
}

fn header() -> Header {
    Header {
        version: "0.0.0".to_owned(),
        schema: 1,
        made_at: String::new(),
        session_key: SECRET.to_owned(),
        settings: BTreeMap::new(),
    }
}

fn write(path: &Path, passphrase: Option<&str>, parts: usize) {
    let mut writer = BackupWriter::create(path, passphrase, header()).unwrap();
    for number in 0..parts {
        writer.write(&Line::State(part(number))).unwrap();
    }
    writer.finish().unwrap();
}

fn read(path: &Path, passphrase: Option<&str>) -> anyhow::Result<usize> {
    let (mut reader, found) = BackupReader::open(path, passphrase)?;
    assert_eq!(found, header());
    let mut parts = 0;
    while let Some(line) = reader.next()? {
        assert_eq!(line, Line::State(part(parts)));
        parts += 1;
    }
    Ok(parts)
}

fn refusal(path: &Path, passphrase: Option<&str>) -> String {
    format!("{:#}", read(path, passphrase).expect_err("it is refused"))
}

#[test]
fn reads_what_it_writes_and_shows_nothing_of_what_is_encrypted() {
    let directory = TempDir::new().unwrap();
    for (name, passphrase) in [("plain", None), ("encrypted", Some(PASSPHRASE))] {
        for parts in [0, 3, PARTS] {
            let path = directory.path().join(format!("{name} {parts}"));
            write(&path, passphrase, parts);
            assert_eq!(private::others(&path).unwrap(), Others::None);
            assert_eq!(read(&path, passphrase).unwrap(), parts);
            let bytes = std::fs::read(&path).unwrap();
            let shows = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
            assert_eq!(shows, passphrase.is_none());
        }
    }
}

#[test]
fn a_cut_or_changed_file_is_refused() {
    let directory = TempDir::new().unwrap();
    for passphrase in [None, Some(PASSPHRASE)] {
        let path = directory.path().join("backup");
        write(&path, passphrase, PARTS);
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 5, 40, 70, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            refusal(&path, passphrase);
        }
        for at in [0, 14, 50, whole.len() / 2, whole.len() - 2] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, changed).unwrap();
            refusal(&path, passphrase);
        }
        std::fs::write(&path, [whole.as_slice(), b"\n"].concat()).unwrap();
        assert!(refusal(&path, passphrase).contains("damaged"));
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(read(&path, passphrase).unwrap(), PARTS, "it was the change alone");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_refusal_says_what_is_wrong() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("backup");
    write(&path, Some(PASSPHRASE), 3);
    assert!(refusal(&path, Some("Kucing hitam di atap")).contains("is not that of this backup"));
    assert!(refusal(&path, None).contains("set BACKUP_PASSPHRASE"));
    std::fs::write(&path, "kabari backup 2\n{}\n").unwrap();
    assert!(refusal(&path, None).contains("newer kabari"));
    std::fs::write(&path, "SQLite format 3\0").unwrap();
    assert!(refusal(&path, None).contains("no backup"));
}

#[test]
fn an_unfinished_backup_leaves_nothing_behind() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("backup");
    let writer = BackupWriter::create(&path, None, header()).unwrap();
    assert!(!path.exists(), "it has its name only when it is whole");
    drop(writer);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    std::fs::write(&path, "mine").unwrap();
    assert!(BackupWriter::create(&path, None, header()).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}
