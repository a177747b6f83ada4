//! A table of customers as text: which character is between its cells, what its columns are, and
//! what is wrong with its lines.

use crate::store::billing::CustomerRow;
use kabari_domain::Phone;

/// What may stand between cells.
pub const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Ignored,
    Id,
    Name,
    Phone,
    Odp,
    Active,
}

impl Column {
    /// All of them.
    pub const ALL: [Column; 6] =
        [Column::Ignored, Column::Id, Column::Name, Column::Phone, Column::Odp, Column::Active];

    /// The name in forms.
    pub fn as_str(self) -> &'static str {
        match self {
            Column::Ignored => "ignored",
            Column::Id => "id",
            Column::Name => "name",
            Column::Phone => "phone",
            Column::Odp => "odp",
            Column::Active => "active",
        }
    }

    /// The column of this name.
    pub fn from_name(name: &str) -> Option<Column> {
        Self::ALL.into_iter().find(|column| column.as_str() == name)
    }

    /// Guesses from a heading, in either language.
    fn of_heading(heading: &str) -> Column {
        let heading = heading.trim().to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| heading.contains(word));
        match heading.as_str() {
            "id" | "no" | "no." | "nomor pelanggan" | "id pelanggan" | "customer_id" => Column::Id,
            _ if has(&["telp", "telepon", "phone", "whatsapp", "hp", "ponsel"]) => Column::Phone,
            "wa" | "no wa" | "nomor wa" | "nomor" => Column::Phone,
            _ if has(&["nama", "name", "pelanggan"]) => Column::Name,
            _ if has(&["odp"]) => Column::Odp,
            _ if has(&["aktif", "active", "status"]) => Column::Active,
            _ => Column::Ignored,
        }
    }
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number in the text, from 1.
    pub number: u64,
    pub cells: Vec<String>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFault {
    NoName,
    NoId,
    NeitherActiveNorNot,
}

/// Guesses the character between cells: the one that the first line has most of.
pub fn guess_delimiter(text: &str) -> char {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let found = |delimiter: &char| first.matches(*delimiter).count();
    // The first of equals.
    DELIMITERS.into_iter().rev().max_by_key(found).unwrap_or(DELIMITERS[0])
}

/// Splits a text into cells. Lines with nothing in them are left out.
pub fn read(text: &str, delimiter: char) -> Vec<Line> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(u8::try_from(delimiter).unwrap_or(b','))
        .from_reader(text.as_bytes());
    // What is text already and may have lines of any length has no faults.
    let records = reader.records().filter_map(Result::ok);
    let lines = records.map(|record| Line {
        number: record.position().map_or(0, |place| line_of(text, place)),
        cells: record.iter().map(|cell| cell.trim().to_owned()).collect(),
    });
    lines.filter(|line| line.cells.iter().any(|cell| !cell.is_empty())).collect()
}

/// Returns the line that a record begins in. The reader's own place is before the empty lines that
/// it leaves out.
fn line_of(text: &str, place: &::csv::Position) -> u64 {
    let start = usize::try_from(place.byte()).unwrap_or(text.len());
    let rest = text.get(start..).unwrap_or_default();
    let empty = rest.bytes().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    place.line() + empty.filter(|byte| *byte == b'\n').count() as u64
}

/// Guesses what the columns are, and whether the first line says so.
pub fn guess_columns(lines: &[Line]) -> (bool, Vec<Column>) {
    let Some(first) = lines.first() else { return (false, vec![]) };
    let is_phone = |cell: &String| Phone::parse(cell).is_ok();
    let has_heading = !first.cells.iter().any(is_phone);
    let mut columns: Vec<_> = match has_heading {
        true => first.cells.iter().map(|heading| Column::of_heading(heading)).collect(),
        false => first.cells.iter().map(|_| Column::Ignored).collect(),
    };
    if !has_heading {
        let phone = first.cells.iter().position(is_phone);
        let name = first.cells.iter().position(|cell| cell.chars().any(char::is_alphabetic));
        for (place, column) in [(phone, Column::Phone), (name, Column::Name)] {
            if let Some(place) = place {
                columns[place] = column;
            }
        }
    }
    // Of several that look the same, the first.
    for place in 1..columns.len() {
        if columns[..place].contains(&columns[place]) {
            columns[place] = Column::Ignored;
        }
    }
    (has_heading, columns)
}

/// Reads a line as a customer.
pub fn customer(line: &Line, columns: &[Column]) -> Result<CustomerRow, LineFault> {
    let cell = |column| {
        let place = columns.iter().position(|other| *other == column)?;
        Some(line.cells.get(place).map(String::as_str).unwrap_or_default())
    };
    let filled = |cell: &str| Some(cell.to_owned()).filter(|cell| !cell.is_empty());
    let id = match cell(Column::Id) {
        Some(id) => Some(id.parse().ok().filter(|id| *id > 0).ok_or(LineFault::NoId)?),
        None => None,
    };
    let is_active = match cell(Column::Active) {
        Some(word) => Some(is_active(word).ok_or(LineFault::NeitherActiveNorNot)?),
        None => None,
    };
    Ok(CustomerRow {
        id,
        name: cell(Column::Name).and_then(filled).ok_or(LineFault::NoName)?,
        // Spreadsheets are told by an apostrophe to keep the zero in front.
        phone: cell(Column::Phone).map(|cell| cell.trim_start_matches('\'')).and_then(filled),
        odp: cell(Column::Odp).map(filled),
        is_active,
    })
}

fn is_active(word: &str) -> Option<bool> {
    match word.to_lowercase().as_str() {
        "1" | "ya" | "y" | "yes" | "true" | "aktif" | "active" | "on" => Some(true),
        "0" | "tidak" | "t" | "n" | "no" | "false" | "nonaktif" | "non aktif" | "tidak aktif"
        | "inactive" | "isolir" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    proptest! {
        #[test]
        fn written_cells_are_read_again(
            rows in vec(vec("[a-zé ,;|\"\t\r\n']{0,8}", 1..5), 0..6),
            delimiter in select(&DELIMITERS[..]),
        ) {
            let mut writer = ::csv::WriterBuilder::new()
                .flexible(true)
                .delimiter(u8::try_from(delimiter).unwrap())
                .from_writer(vec![]);
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let read: Vec<_> = read(&text, delimiter).into_iter().map(|line| line.cells).collect();
            let trimmed = rows.iter().map(|row| row.iter().map(|cell| cell.trim().to_owned()));
            let mut written: Vec<Vec<_>> = trimmed.map(Iterator::collect).collect();
            written.retain(|cells| cells.iter().any(|cell| !cell.is_empty()));
            prop_assert_eq!(read, written);
        }

        #[test]
        fn any_text_is_read_as_lines_in_order(text in "(?s).{0,200}|([a-z0-9\",;\r\n]){0,60}") {
            let lines = read(&text, guess_delimiter(&text));
            let (_, columns) = guess_columns(&lines);
            let last = text.matches('\n').count() as u64 + text.matches('\r').count() as u64 + 1;
            let numbers: Vec<_> = lines.iter().map(|line| line.number).collect();
            prop_assert!(numbers.is_sorted() && numbers.iter().all(|number| *number <= last));
            for line in &lines {
                let named = customer(line, &columns).is_ok_and(|row| row.name.trim().is_empty());
                prop_assert!(!named, "a customer without a name");
            }
        }
    }

    #[test]
    fn the_delimiter_is_what_the_first_line_has_most_of() {
        assert_eq!(guess_delimiter("\nnama;telepon;odp\nBudi, S.;0812;A"), ';');
        assert_eq!(guess_delimiter("nama\ttelepon"), '\t');
        assert_eq!(guess_delimiter("nama,telepon"), ',');
        assert_eq!(guess_delimiter("nama"), ',');
    }

    #[test]
    fn lines_are_numbered_as_an_editor_numbers_them() {
        let lines = read("\u{feff}nama,hp\n\n\"Budi\nS.\",\"0812\"\nAni,0813\n,\n", ',');
        let numbers: Vec<_> = lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 3, 5]);
        assert_eq!(lines[0].cells, ["nama", "hp"]);
        assert_eq!(lines[1].cells, ["Budi\nS.", "0812"]);
    }

    #[test]
    fn columns_are_guessed_from_headings_or_from_what_is_in_them() {
        let guess = |text| guess_columns(&read(text, ','));
        assert_eq!(
            guess("No,Nama Pelanggan,No HP,ODP,Status,Alamat"),
            (
                true,
                vec![
                    Column::Id,
                    Column::Name,
                    Column::Phone,
                    Column::Odp,
                    Column::Active,
                    Column::Ignored
                ]
            )
        );
        assert_eq!(guess("Budi,081234567801"), (false, vec![Column::Name, Column::Phone]));
        assert_eq!(guess("nama,nama"), (true, vec![Column::Name, Column::Ignored]));
    }

    #[test]
    fn a_line_says_what_its_columns_say() {
        let columns = [Column::Id, Column::Name, Column::Phone, Column::Active];
        let read_line = |text| customer(&read(text, ',')[0], &columns);
        let budi = read_line("7,Budi,'0812,aktif").unwrap_or_else(|fault| panic!("{fault:?}"));
        assert_eq!((budi.id, budi.phone.as_deref(), budi.odp), (Some(7), Some("0812"), None));
        assert_eq!(budi.is_active, Some(true));
        assert_eq!(read_line("x,Budi,0812,1"), Err(LineFault::NoId));
        assert_eq!(read_line("7,,0812,1"), Err(LineFault::NoName));
        assert_eq!(read_line("7,Budi,0812,mungkin"), Err(LineFault::NeitherActiveNorNot));
    }
}
