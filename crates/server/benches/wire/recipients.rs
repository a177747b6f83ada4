//! The recipients of the benchmark, and their texts.

/// The number of a person; those up to a million have one.
pub fn phone(person: u32) -> String {
    format!("628123{person:06}0")
}

/// Their name.
pub fn name(person: u32) -> String {
    format!("Pelanggan {person}")
}

/// What somebody of this name reads.
pub fn text(name: &str) -> String {
    format!("Halo {name}, jaringan sudah pulih.")
}
